"""What density rasters say about stock and change: E-R1 and E-R2. Pixels come in as plain numbers; `geo`
reads them.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from registry.estimates.methods.checks import finite, not_negative, positive, share, total
from registry.estimates.methods.constants import C_TO_CO2, MU_PER_HA
from registry.estimates.methods.errors import OutOfRange
from registry.estimates.methods.quantities import DryMatterDensity, Quantity, Share
from registry.estimates.methods.quantities import not_negative as not_negative_quantity

MIN_VALID_AREA_SHARE: Final = 0.95


@dataclass(frozen=True, slots=True)
class StockPixel:
    """Density in t/ha (None: no data), share of the pixel inside the polygon, eligible share of that."""

    agb_t_ha: Annotated[float, Quantity("t/ha")] | None
    frac: Share
    mask: Share


@dataclass(frozen=True, slots=True)
class RasterStock:
    polygon_area_ha: float
    eligible_area_ha: float
    valid_area_share: float
    agb_total_t: float
    agb_mean_t_ha: float | None
    carbon_tc: float
    stock_tco2e: float
    eligible_area_mu: float
    status: Literal["ok", "insufficient_coverage"]


def raster_stock_of_sums(
    *,
    polygon_area_ha: float,
    eligible_area_ha: float,
    valid_area_ha: float,
    agb_total_t: float,
    root_shoot: float,
    carbon_fraction: float,
    min_valid_area_share: float = MIN_VALID_AREA_SHARE,
) -> RasterStock:
    """E-R1 from the sums over a polygon: its area, the eligible part, the part with data, and the dry matter
    there.

    Land without data is left out, never filled; under `min_valid_area_share` the status says so. Raises
    `OutOfRange` when the parts are larger than the whole.
    """
    not_negative(polygon_area_ha=polygon_area_ha, eligible_area_ha=eligible_area_ha)
    not_negative(valid_area_ha=valid_area_ha, agb_total_t=agb_total_t)
    share(root_shoot=root_shoot, carbon_fraction=carbon_fraction, min_valid_area_share=min_valid_area_share)
    _not_more("eligible_area_ha", eligible_area_ha, polygon_area_ha)
    _not_more("valid_area_ha", valid_area_ha, eligible_area_ha)
    valid_share = valid_area_ha / eligible_area_ha if eligible_area_ha else 0.0
    carbon = agb_total_t * (1 + root_shoot) * carbon_fraction
    return RasterStock(
        polygon_area_ha=polygon_area_ha,
        eligible_area_ha=eligible_area_ha,
        valid_area_share=valid_share,
        agb_total_t=agb_total_t,
        agb_mean_t_ha=agb_total_t / valid_area_ha if valid_area_ha else None,
        carbon_tc=carbon,
        stock_tco2e=carbon * C_TO_CO2,
        eligible_area_mu=eligible_area_ha * MU_PER_HA,
        status="ok" if valid_share >= min_valid_area_share else "insufficient_coverage",
    )


def _not_more(field: str, part: float, whole: float) -> None:
    if part > whole * (1 + 1e-9):
        raise OutOfRange(field=field, value=part, rule=f"<= {whole:g}")


def raster_stock(
    *,
    pixel_area_ha: float,
    pixels: Sequence[StockPixel],
    root_shoot: float,
    carbon_fraction: float,
    min_valid_area_share: float = MIN_VALID_AREA_SHARE,
) -> RasterStock:
    """Stock of a polygon from density pixels of one area, with fractional coverage, mask and gaps (E-R1)."""
    positive(pixel_area_ha=pixel_area_ha)
    for index, pixel in enumerate(pixels):
        share(frac=pixel.frac, mask=pixel.mask)
        not_negative(**{f"pixels[{index}].agb_t_ha": pixel.agb_t_ha or 0.0})
    valid = [pixel for pixel in pixels if pixel.agb_t_ha is not None]
    return raster_stock_of_sums(
        polygon_area_ha=total(p.frac * pixel_area_ha for p in pixels),
        eligible_area_ha=total(p.frac * pixel_area_ha * p.mask for p in pixels),
        valid_area_ha=total(p.frac * pixel_area_ha * p.mask for p in valid),
        agb_total_t=total(p.frac * pixel_area_ha * p.mask * (p.agb_t_ha or 0.0) for p in valid),
        root_shoot=root_shoot,
        carbon_fraction=carbon_fraction,
        min_valid_area_share=min_valid_area_share,
    )


@dataclass(frozen=True, slots=True)
class ChangePixel:
    """Eligible hectares of a pixel inside the polygon; density and its standard deviation (t/ha) at two
    dates.
    """

    weight_ha: Annotated[float, not_negative_quantity("ha")]
    agb1: DryMatterDensity
    agb2: DryMatterDensity
    sd1: DryMatterDensity
    sd2: DryMatterDensity


@dataclass(frozen=True, slots=True)
class ChangeSums:
    """The three sums of E-R2; they add over pixels, parcels and strata, so nothing else need be kept.

    `delta_t` is the sum of w*delta, `error_t` of w*s, `error_squared_t2` of (w*s)**2, all in dry matter.
    """

    area_ha: float
    delta_t: float
    error_t: float
    error_squared_t2: float


@dataclass(frozen=True, slots=True)
class RasterChange:
    """Change of dry matter (`delta_agb_t`, standard error `se_agb_t`) and what it means in CO2.

    `uncertainty_pct` is None when the change is zero and its error is not.
    """

    delta_agb_t: float
    se_agb_t: float
    uncertainty_pct: float | None
    delta_tco2e: float


def pixel_delta_sd(pixel: ChangePixel, rho_time: float) -> float:
    """Standard deviation of a pixel's change, t/ha, when its errors at the two dates correlate by
    `rho_time`.
    """
    not_negative(sd1=pixel.sd1, sd2=pixel.sd2, weight_ha=pixel.weight_ha)
    finite(agb1=pixel.agb1, agb2=pixel.agb2)
    share(rho_time=rho_time)
    variance = pixel.sd1**2 + pixel.sd2**2 - 2 * rho_time * pixel.sd1 * pixel.sd2
    return math.sqrt(max(variance, 0.0))


def change_sums(pixels: Iterable[ChangePixel], rho_time: float) -> ChangeSums:
    """The sums of E-R2 over pixels; order does not matter."""
    areas: list[float] = []
    deltas: list[float] = []
    errors: list[float] = []
    for pixel in pixels:
        errors.append(pixel.weight_ha * pixel_delta_sd(pixel, rho_time))
        areas.append(pixel.weight_ha)
        deltas.append(pixel.weight_ha * (pixel.agb2 - pixel.agb1))
    return ChangeSums(total(areas), total(deltas), total(errors), total(error * error for error in errors))


def add_sums(parts: Sequence[ChangeSums]) -> ChangeSums:
    """The sums of a whole from those of its parts."""
    return ChangeSums(
        total(part.area_ha for part in parts),
        total(part.delta_t for part in parts),
        total(part.error_t for part in parts),
        total(part.error_squared_t2 for part in parts),
    )


def relative_uncertainty_pct(half_width: float, value: float) -> float | None:
    """`half_width` as per cent of |`value`|; 0 when there is no error, None when the value is zero but the
    error is not.
    """
    if half_width == 0:
        return 0.0
    percent = half_width / abs(value) * 100 if value else math.inf
    return percent if math.isfinite(percent) else None


def raster_change(
    sums: ChangeSums, *, rho_space: float, z_value: float, root_shoot: float, carbon_fraction: float
) -> RasterChange:
    """Change between two dates with spatially correlated errors (E-R2).

    Errors of different pixels correlate by `rho_space`; `z_value` turns the standard error into the half
    width of the interval. The result is for screening: raster-only change cannot be issued.
    """
    share(rho_space=rho_space, root_shoot=root_shoot, carbon_fraction=carbon_fraction)
    positive(z_value=z_value)
    finite(delta_t=sums.delta_t)
    not_negative(error_t=sums.error_t, error_squared_t2=sums.error_squared_t2)
    variance = (1 - rho_space) * sums.error_squared_t2 + rho_space * sums.error_t**2
    error = math.sqrt(variance)
    return RasterChange(
        delta_agb_t=sums.delta_t,
        se_agb_t=error,
        uncertainty_pct=relative_uncertainty_pct(z_value * error, sums.delta_t),
        delta_tco2e=sums.delta_t * (1 + root_shoot) * carbon_fraction * C_TO_CO2,
    )
