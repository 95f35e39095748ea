"""What the rasters say about the parcels of a run: which ground is eligible, and the change above it.

Pixel shares are exact (`geo.coverage`). Eligible is what both land covers call forest; ground without data
is left out, never filled (E-R1). Areas leave this module in whole cm2, so that the last digit of a float
cannot move a kilogram.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry import Point, Polygon

from geo.coverage import Coverage, Floats, cover_parcels
from geo.crs import LocalFrame, Polygonal
from geo.errors import RasterDoesNotCover
from geo.raster import RasterSource
from geo.zonal import Flags, PixelTable, eligible, sample_parcels
from registry.estimates.inputs import RASTERS, ParcelInput
from registry.estimates.methods import (
    BiomassFactors,
    ChangeSums,
    ParameterSet,
    PlotRecord,
    RasterChange,
    RasterStock,
    raster_change,
    raster_stock_of_sums,
)
from registry.estimates.rules import NoEligibleLand, PlotStratumDiffers, PlotUnplaced, RasterValuesWrong

CM2_PER_M2: Final = 10_000
CM2_PER_HA: Final = 100_000_000
M2_PER_HA: Final = 10_000
DENSITIES: Final = ("agb_start", "agb_end")
DEVIATIONS: Final = ("agb_start_sd", "agb_end_sd")
COVERS: Final = ("land_cover_start", "land_cover_end")
_DISC_VERTICES: Final = 32
_INSIDE: Final = 1 - 1e-7


@dataclass(frozen=True, slots=True)
class ParcelGround:
    """One parcel: its eligible ground that is credited, E-R1 at both dates, and its part of the change (dry
    matter, t).

    `measured_ha` is the credited eligible ground with data, on which `delta_t` was summed.
    """

    number: int
    stand_type: str
    eligible_cm2: int
    start: RasterStock
    end: RasterStock
    measured_ha: float
    delta_t: float

    @property
    def eligible_ha(self) -> float:
        return self.eligible_cm2 / CM2_PER_HA


@dataclass(frozen=True, slots=True)
class Ground:
    """All parcels; `change` is E-R2 over them together, in carbon (tC where E-R2 says dry matter)."""

    parcels: tuple[ParcelGround, ...]
    change: RasterChange
    valid_area_share: float

    @property
    def eligible_cm2(self) -> int:
        return sum(parcel.eligible_cm2 for parcel in self.parcels)

    @property
    def strata_ha(self) -> dict[str, float]:
        """Eligible hectares by stand type, of the stand types that have any."""
        areas: dict[str, int] = {}
        for parcel in self.parcels:
            areas[parcel.stand_type] = areas.get(parcel.stand_type, 0) + parcel.eligible_cm2
        return {code: area / CM2_PER_HA for code, area in sorted(areas.items()) if area}

    @property
    def strata_delta_t_ha(self) -> dict[str, float]:
        """Mean raster change by stand type, t dry matter per hectare with data."""
        means: dict[str, float] = {}
        for code in self.strata_ha:
            members = [parcel for parcel in self.parcels if parcel.stand_type == code]
            hectares = math.fsum(parcel.measured_ha for parcel in members)
            if hectares:
                means[code] = math.fsum(parcel.delta_t for parcel in members) / hectares
        return means


@contextmanager
def opened(files: Mapping[str, Path]) -> Iterator[dict[str, RasterSource]]:
    """The rasters of a run by name, on one grid (`RasterGridMismatch`)."""
    with ExitStack() as stack:
        rasters = {name: stack.enter_context(RasterSource.open(files[name])) for name in RASTERS}
        grid = rasters["agb_start"].grid
        for name, raster in rasters.items():
            grid.require(raster.grid, name)
        yield rasters


def measure(
    parcels: Sequence[ParcelInput],
    outlines: Sequence[Polygonal],
    rasters: Mapping[str, RasterSource],
    forest: Mapping[str, Collection[int]],
    parameters: ParameterSet,
) -> Ground:
    """E-R1 for each parcel at both dates and E-R2 over all.

    `outlines` are canonical, in the order of `parcels`; `forest` are the eligible classes of each land
    cover. Raises `RasterDoesNotCover` when a parcel lies outside the rasters or too little of it has values
    (E-R1), `RasterValuesWrong` for a deviation below zero, `NoEligibleLand`.
    """
    coverage = cover_parcels(outlines, rasters["agb_start"].grid)
    _require_inside(parcels, coverage)
    table = sample_parcels(coverage, rasters)
    mask: Flags = np.ones(len(table.pixel), dtype=np.bool_)
    for name in COVERS:
        _require_seen(parcels, table, name)
        mask &= eligible(table, name, forest[name])
    seen = mask & table.all_valid(*DENSITIES, *DEVIATIONS)
    _require_deviations(parcels, table, seen)
    factors = [parameters.stand_types.row(parcel.stand_type).factors for parcel in parcels]
    grounds = _parcel_grounds(parcels, table, mask, seen, factors, parameters)
    _require_measured(parcels, grounds)
    if not any(ground.eligible_cm2 for ground in grounds):
        raise NoEligibleLand()
    change, hectares = _change(parcels, table, seen, factors, parameters)
    everything = math.fsum(ground.eligible_cm2 / CM2_PER_HA for ground in grounds)
    return Ground(grounds, change, min(hectares / everything, 1.0))


# ---- refusals ----------------------------------------------------------------------------------------------


def _require_inside(parcels: Sequence[ParcelInput], coverage: Coverage) -> None:
    for parcel, share in zip(parcels, coverage.inside_share, strict=True):
        if share < _INSIDE:
            raise RasterDoesNotCover(covered_share=round(float(share), 6), parcel=parcel.parcel)


def _require_seen(parcels: Sequence[ParcelInput], table: PixelTable, name: str) -> None:
    """A land cover without any class under a parcel says nothing about it."""
    seen = table.sums(table.valid[name])
    for parcel, pixels in zip(parcels, seen, strict=True):
        if not pixels:
            raise RasterDoesNotCover(covered_share=0.0, parcel=parcel.parcel)


def _require_deviations(parcels: Sequence[ParcelInput], table: PixelTable, seen: Flags) -> None:
    owner = table.parcel_of_pixel()
    for name in DEVIATIONS:
        wrong = np.flatnonzero(seen & (table.values[name] < 0))
        if len(wrong):
            raise RasterValuesWrong(
                name=name, kind=RASTERS[name], parcel=parcels[int(owner[wrong[0]])].parcel
            )


def _require_measured(parcels: Sequence[ParcelInput], grounds: Sequence[ParcelGround]) -> None:
    for parcel, ground in zip(parcels, grounds, strict=True):
        for stock in (ground.start, ground.end):
            if stock.eligible_area_ha and stock.status != "ok":
                raise RasterDoesNotCover(covered_share=round(stock.valid_area_share, 6), parcel=parcel.parcel)


# ---- sums --------------------------------------------------------------------------------------------------


def _parcel_grounds(
    parcels: Sequence[ParcelInput],
    table: PixelTable,
    mask: Flags,
    seen: Flags,
    factors: Sequence[BiomassFactors],
    parameters: ParameterSet,
) -> tuple[ParcelGround, ...]:
    eligible_m2 = table.sums(np.where(mask, table.weight_m2, 0.0))
    seen_m2 = table.sums(np.where(seen, table.weight_m2, 0.0))
    valid_m2 = {name: _weighted(table, mask & table.valid[name]) for name in DENSITIES}
    stocks_t = {name: _weighted(table, mask & table.valid[name], name) / M2_PER_HA for name in DENSITIES}
    delta_t = (_weighted(table, seen, "agb_end") - _weighted(table, seen, "agb_start")) / M2_PER_HA
    least = parameters.setting("min_valid_area_share")

    def stock(n: int, name: str) -> RasterStock:
        return raster_stock_of_sums(
            polygon_area_ha=max(table.area_m2[n], eligible_m2[n]) / M2_PER_HA,
            eligible_area_ha=float(eligible_m2[n]) / M2_PER_HA,
            valid_area_ha=float(valid_m2[name][n]) / M2_PER_HA,
            agb_total_t=float(stocks_t[name][n]),
            root_shoot=factors[n].root_shoot,
            carbon_fraction=factors[n].carbon_fraction,
            min_valid_area_share=least,
        )

    return tuple(
        ParcelGround(
            number=parcel.number,
            stand_type=parcel.stand_type,
            eligible_cm2=_credited_cm2(parcel, float(eligible_m2[n]), float(table.area_m2[n])),
            start=stock(n, "agb_start"),
            end=stock(n, "agb_end"),
            measured_ha=float(seen_m2[n]) / M2_PER_HA * _credited_share(parcel),
            delta_t=float(delta_t[n]) * _credited_share(parcel),
        )
        for n, parcel in enumerate(parcels)
    )


def _credited_share(parcel: ParcelInput) -> float:
    """The part of a parcel's ground that its claim is credited with; slivers of earlier claims are left out
    evenly.
    """
    return parcel.credited_cm2 / parcel.area_cm2


def _credited_cm2(parcel: ParcelInput, eligible_m2: float, area_m2: float) -> int:
    return min(round(parcel.credited_cm2 * (eligible_m2 / area_m2)), parcel.credited_cm2)


def _weighted(table: PixelTable, chosen: Flags, name: str | None = None) -> Floats:
    """Sum of ground (m2), or of ground x value, over the chosen entries of each parcel."""
    values = 1.0 if name is None else table.values[name].astype(np.float64)
    return table.sums(np.where(chosen, table.weight_m2 * values, 0.0))


def _change(
    parcels: Sequence[ParcelInput],
    table: PixelTable,
    seen: Flags,
    factors: Sequence[BiomassFactors],
    parameters: ParameterSet,
) -> tuple[RasterChange, float]:
    """E-R2 over all parcels, and the hectares it was summed on.

    Each entry's dry matter is turned into carbon by its stand type first, so the sums are tC and E-R2's own
    factors are 1. Neighbours share the pixels on their border, whose error is one error: weights of one
    pixel are added before it is squared.
    """
    entries = np.flatnonzero(seen)
    owner = table.parcel_of_pixel()[entries]
    credited = np.array([_credited_share(parcel) for parcel in parcels])
    carbon = np.array([(1 + one.root_shoot) * one.carbon_fraction for one in factors])
    hectares = table.weight_m2[entries] / M2_PER_HA * credited[owner]
    tonnes = hectares * carbon[owner]
    start, end = (table.values[name][entries].astype(np.float64) for name in DENSITIES)
    pixel, first, merged = np.unique(table.pixel[entries], return_index=True, return_inverse=True)
    weight = np.bincount(merged, tonnes, minlength=len(pixel))
    error = weight * _deviation(table, entries[first], parameters.setting("rho_time"))
    sums = ChangeSums(
        area_ha=math.fsum(hectares),
        delta_t=math.fsum(tonnes * (end - start)),
        error_t=math.fsum(error),
        error_squared_t2=math.fsum(error * error),
    )
    change = raster_change(
        sums,
        rho_space=parameters.setting("rho_space"),
        z_value=parameters.setting("z_value"),
        root_shoot=0.0,
        carbon_fraction=1.0,
    )
    return change, sums.area_ha


def _deviation(table: PixelTable, entries: NDArray[np.integer], rho_time: float) -> Floats:
    first, second = (table.values[name][entries].astype(np.float64) for name in DEVIATIONS)
    variance = first**2 + second**2 - 2 * rho_time * first * second
    deviation: Floats = np.sqrt(np.maximum(variance, 0.0))
    return deviation


# ---- plots on the ground -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlacedPlots:
    """Plots on the run's parcels, and the ids of those that stand elsewhere."""

    inside: tuple[PlotRecord, ...]
    outside: tuple[str, ...]


def place(
    plots: Sequence[PlotRecord], parcels: Sequence[ParcelInput], outlines: Sequence[Polygonal]
) -> PlacedPlots:
    """Which plots stand on the run's parcels: their coordinates decide, not what the crew wrote down.

    Raises `PlotUnplaced` and `PlotStratumDiffers`.
    """
    tree = STRtree(list(outlines))
    inside: list[PlotRecord] = []
    outside: list[str] = []
    for plot in plots:
        if plot.lon_deg is None or plot.lat_deg is None:
            raise PlotUnplaced(plot=plot.plot_id)
        found = sorted(int(n) for n in tree.query(Point(plot.lon_deg, plot.lat_deg), predicate="intersects"))
        if not found:
            outside.append(plot.plot_id)
            continue
        types = {parcels[n].stand_type for n in found}
        if plot.stratum not in types:
            parcel = parcels[found[0]]
            raise PlotStratumDiffers(
                plot=plot.plot_id, stratum=plot.stratum, parcel=parcel.parcel, stand_type=parcel.stand_type
            )
        inside.append(plot)
    return PlacedPlots(tuple(inside), tuple(outside))


def change_at_plots(plots: Sequence[PlotRecord], rasters: Mapping[str, RasterSource]) -> dict[str, float]:
    """Raster change at each plot, t/ha over a disc of the plot's area; plots without data are left out."""
    discs = [_disc(plot) for plot in plots]
    coverage = cover_parcels(discs, rasters["agb_start"].grid)
    table = sample_parcels(coverage, {name: rasters[name] for name in DENSITIES})
    seen = table.all_valid(*DENSITIES)
    hectares = table.sums(np.where(seen, table.weight_m2, 0.0))
    delta = _weighted(table, seen, "agb_end") - _weighted(table, seen, "agb_start")
    return {plot.plot_id: float(delta[n] / hectares[n]) for n, plot in enumerate(plots) if hectares[n] > 0}


def _disc(plot: PlotRecord) -> Polygon:
    assert plot.lon_deg is not None and plot.lat_deg is not None
    east, north = LocalFrame(plot.lon_deg, plot.lat_deg).metres_per_degree()
    turns = np.linspace(0, 2 * np.pi, _DISC_VERTICES, endpoint=False)
    shape = _DISC_VERTICES / 2 * np.sin(2 * np.pi / _DISC_VERTICES)
    radius = np.sqrt(plot.area_ha * M2_PER_HA / shape)
    x = plot.lon_deg + radius * np.cos(turns) / east
    y = plot.lat_deg + radius * np.sin(turns) / north
    return Polygon(np.column_stack([x, y]))
