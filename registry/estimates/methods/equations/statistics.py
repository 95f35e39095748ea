"""Rasters and samples: E-R1, E-R2, E-U1, E-U2."""

import dataclasses
from typing import Annotated, Final

from registry.estimates.methods import raster, uncertainty
from registry.estimates.methods.equations.declare import Equation
from registry.estimates.methods.parameters import DeductionRule, default_parameters
from registry.estimates.methods.quantities import (
    CarbonDensity,
    Factor,
    GasChange,
    Hectares,
    Many,
    Percent,
    Quantity,
    Share,
)
from registry.estimates.methods.raster import ChangePixel, RasterChange, RasterStock, StockPixel
from registry.estimates.methods.uncertainty import Deduction, MeanChange, Stratum, Term

Correlation = Annotated[float, Quantity("1", low=-1, high=1)]
Reliability = Annotated[float, Quantity("1", above=0, high=0.9999)]
MostPixels = Many(1, 100_000)
Strata = Annotated[list[Stratum], Many(1, 1000)]


def deduction_rule(code: str) -> DeductionRule:
    return default_parameters().deduction_rules.row(code)


def _stock(
    *,
    pixel_area_ha: Hectares,
    pixels: Annotated[list[StockPixel], MostPixels],
    root_shoot: Share,
    carbon_fraction: Share,
    nodata: Annotated[float, Quantity("t/ha")] | None = None,
) -> RasterStock:
    read = [
        dataclasses.replace(pixel, agb_t_ha=None) if pixel.agb_t_ha == nodata else pixel for pixel in pixels
    ]
    return raster.raster_stock(
        pixel_area_ha=pixel_area_ha, pixels=read, root_shoot=root_shoot, carbon_fraction=carbon_fraction
    )


@dataclasses.dataclass(frozen=True, slots=True)
class PixelErrors:
    """Standard deviation of the change of each pixel, t/ha."""

    pixel_delta_sd: tuple[float, ...]


def _change(
    *,
    rho_space: Share,
    rho_time: Correlation,
    z_value: Factor,
    root_shoot: Share,
    carbon_fraction: Share,
    pixels: Annotated[list[ChangePixel], MostPixels],
    rule: str = "ar_cm",
) -> tuple[PixelErrors, RasterChange, Deduction]:
    change = raster.raster_change(
        raster.change_sums(pixels, rho_time),
        rho_space=rho_space,
        z_value=z_value,
        root_shoot=root_shoot,
        carbon_fraction=carbon_fraction,
    )
    deduction = uncertainty.deduct(change.delta_tco2e, change.uncertainty_pct, deduction_rule(rule))
    return PixelErrors(tuple(raster.pixel_delta_sd(one, rho_time) for one in pixels)), change, deduction


def _mean(*, strata: Strata, reliability: Reliability) -> MeanChange:
    return uncertainty.stratified_mean(strata=strata, reliability=reliability)


def _deduct(*, quantity_tco2e: GasChange, uncertainty_pct: Percent, rule: str = "ar_cm") -> Deduction:
    return uncertainty.deduct(quantity_tco2e, uncertainty_pct, deduction_rule(rule))


def _mean_and_deduct(
    *, strata: Strata, reliability: Reliability, rule: str = "ar_cm"
) -> tuple[MeanChange, Deduction]:
    change = uncertainty.stratified_mean(strata=strata, reliability=reliability)
    return change, uncertainty.deduct(change.delta_tco2e, change.uncertainty_pct, deduction_rule(rule))


@dataclasses.dataclass(frozen=True, slots=True)
class RelativeUncertainty:
    uncertainty_pct: float


def _inventories(
    *, c1_tc_ha: CarbonDensity, u1_pct: Percent, c2_tc_ha: CarbonDensity, u2_pct: Percent
) -> RelativeUncertainty:
    return RelativeUncertainty(
        uncertainty.uncertainty_of_sum_pct([Term(c2_tc_ha, u2_pct), Term(-c1_tc_ha, u1_pct)])
    )


def _sum(*, terms: Annotated[list[Term], Many(1, 1000)]) -> RelativeUncertainty:
    return RelativeUncertainty(uncertainty.uncertainty_of_sum_pct(terms))


def _product(*, uncertainties_pct: Annotated[list[Percent], Many(1, 1000)]) -> RelativeUncertainty:
    return RelativeUncertainty(uncertainty.uncertainty_of_product_pct(uncertainties_pct))


_RULES: Final = ("deduction_rules",)

EQUATIONS: Final = (
    Equation(
        "E-R1",
        "栅格储量（像元分数覆盖）",
        "Stock of a raster with fractional coverage",
        "agb = sum frac pixel_area mask agb_i over pixels with data; C = agb (1 + R) CF",
        "clause 2.9; pixels without data are left out, never filled",
        (_stock,),
    ),
    Equation(
        "E-R2",
        "栅格储量变化及误差",
        "Change between two rasters with correlated errors",
        "T = sum w delta; SE^2 = (1 - rho) sum (w s)^2 + rho (sum w s)^2; U = z SE/|T| 100",
        "clause 2.9; alone never issued",
        (_change,),
        _RULES,
    ),
    Equation(
        "E-U1",
        "分层抽样均值与误差",
        "Stratified mean and its error",
        "mean = sum w mean_h; SE^2 = sum w^2 sd^2/n; U = t SE/|mean| 100",
        "clause 2.10; Cochran 1977, 5.3",
        (_mean,),
        ("estimation_rules",),
    ),
    Equation(
        "E-U1/E-U2",
        "分层抽样与不确定性扣减",
        "Stratified mean with its deduction",
        "E-U1, then E-U2",
        "clause 2.10",
        (_mean_and_deduct,),
        ("estimation_rules", *_RULES),
    ),
    Equation(
        "E-U1/two-inventories",
        "两次独立调查之差的不确定性",
        "Uncertainty of the difference of two inventories",
        "U = sqrt((U1 C1)^2 + (U2 C2)^2)/|C2 - C1|",
        "clause 2.10; IPCC 2006 vol. 1, eq. 3.2",
        (_inventories,),
    ),
    Equation(
        "E-U1/sum",
        "各项之和的不确定性",
        "Uncertainty of a sum",
        "U = sqrt(sum (U_i x_i)^2)/|sum x_i|",
        "clause 2.10; IPCC 2006 vol. 1, eq. 3.2",
        (_sum,),
    ),
    Equation(
        "E-U1/product",
        "各项之积的不确定性",
        "Uncertainty of a product",
        "U = sqrt(sum U_i^2)",
        "clause 2.10; IPCC 2006 vol. 1, eq. 3.1",
        (_product,),
    ),
    Equation(
        "E-U2",
        "不确定性扣减",
        "Deduction for uncertainty",
        "x (1 - DR) if x >= 0 else x (1 + DR); DR by steps of U, bounds inclusive",
        "clause 2.10; AR-CM, or CDM AR-TOOL14 as `cdm_tool_14`",
        (_deduct,),
        _RULES,
    ),
)
