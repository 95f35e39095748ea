"""What the rasters say about the parcels of a run: which ground is eligible, and the change above it.

Pixel shares are exact (`geo.coverage`). Eligible is what both land covers call forest; ground without data
is left out, never filled (E-R1). Areas leave this module in whole cm2, so that the last digit of a float
cannot move a kilogram.
"""

import math
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from geo.coverage import Coverage
from geo.crs import Polygonal
from geo.errors import RasterDoesNotCover
from geo.pixels import PixelTable, eligible, sample_parcels
from geo.ragged import Flags
from geo.raster import Grid, RasterSource
from registry.estimates.ground_change import (
    DENSITIES,
    M2_PER_HA,
    Floats,
    MeasuredChange,
    Sums,
    change_of,
    credited_share,
    deviations_of,
)
from registry.estimates.inputs import (
    ELIGIBLE_SHARE,
    ERRORS_OF,
    RASTERS,
    ParcelInput,
    RunInputs,
    forest_classes,
)
from registry.estimates.methods import (
    ParameterSet,
    RasterChange,
    RasterStock,
    raster_stock_of_sums,
)
from registry.estimates.methods.parameters import RootsAndCarbon
from registry.estimates.rules import (
    NoEligibleLand,
    RasterValuesWrong,
)

CM2_PER_M2: Final = 10_000
CM2_PER_HA: Final = 100_000_000
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
    """All parcels; `measured` is E-R2 over them together, in carbon (tC where E-R2 says dry matter)."""

    parcels: tuple[ParcelGround, ...]
    measured: MeasuredChange
    valid_area_share: float

    @property
    def change(self) -> RasterChange:
        return self.measured.change

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


Cover = Callable[[Sequence[Polygonal], Sequence[str], Grid], Coverage]
"""Coverage of outlines, named by their digests, on a grid: `CoverageStore.coverage` of a home, or of a folder
that goes when the work is done.
"""


@contextmanager
def opened(files: Mapping[str, Path]) -> Iterator[dict[str, RasterSource]]:
    """The rasters of a run by name, on one grid (`RasterGridMismatch`)."""
    with ExitStack() as stack:
        rasters = {
            name: stack.enter_context(RasterSource.open(files[name])) for name in RASTERS if name in files
        }
        grid = rasters["agb_start"].grid
        for name, raster in rasters.items():
            grid.require(raster.grid, name)
        yield rasters


def measure(
    inputs: RunInputs,
    outlines: Sequence[Polygonal],
    rasters: Mapping[str, RasterSource],
    parameters: ParameterSet,
    cover: Cover,
) -> Ground:
    """E-R1 for each parcel at both dates and E-R2 over all.

    `outlines` are canonical, in the order of `inputs.parcels`. Raises `RasterDoesNotCover` when a parcel lies
    outside the rasters or too little of it has values (E-R1), `RasterValuesWrong` for a deviation below zero
    or a share of forest that is none, `ProductUnknown`, `NoEligibleLand`.
    """
    parcels = inputs.parcels
    keys = [parcel.geometry_sha256 for parcel in parcels]
    coverage = cover(outlines, keys, rasters["agb_start"].grid)
    _require_inside(parcels, coverage)
    table = sampled(coverage, inputs, rasters)
    weight = table.weight_m2 * _eligible_share(inputs, table)
    deviations = {name: deviations_of(inputs, table, name) for name in DENSITIES}
    mask: Flags = weight > 0
    seen = mask & table.all_valid(*DENSITIES, *(name for name in ERRORS_OF.values() if name in rasters))
    _require_deviations(parcels, table, seen, deviations)
    sums = Sums(table, weight, mask, seen)
    factors = [parameters.roots_and_carbon(parcel.stand_type) for parcel in parcels]
    grounds = _parcel_grounds(parcels, sums, factors, parameters)
    _require_measured(parcels, grounds)
    if not any(ground.eligible_cm2 for ground in grounds):
        raise NoEligibleLand()
    measured = change_of(inputs, sums, deviations, factors, parameters)
    everything = math.fsum(ground.eligible_cm2 / CM2_PER_HA for ground in grounds)
    return Ground(grounds, measured, min(measured.area_ha / everything, 1.0))


def sampled(coverage: Coverage, inputs: RunInputs, rasters: Mapping[str, RasterSource]) -> PixelTable:
    """The values under the parcels, each raster's from the band that its statement names; a copy has one."""
    bands = {
        name: 1 if raster.bands == 1 else inputs.raster(name).band or 1 for name, raster in rasters.items()
    }
    tables = [
        sample_parcels(coverage, {name: rasters[name] for name in rasters if bands[name] == band}, band=band)
        for band in sorted(set(bands.values()))
    ]
    return replace(
        tables[0],
        values=dict(ChainMap(*(dict(table.values) for table in tables))),
        valid=dict(ChainMap(*(dict(table.valid) for table in tables))),
        rasters=dict(ChainMap(*(dict(table.rasters) for table in tables))),
    )


def _eligible_share(inputs: RunInputs, table: PixelTable) -> Floats:
    """The share of each entry that is forest at both dates, 0 or 1 where land covers have classes.

    Where both ends give shares the smaller one holds: nobody knows whether they mean the same ground.
    """
    share: Floats = np.ones(len(table.pixel))
    for name, classes in forest_classes(inputs).items():
        _require_seen(inputs.parcels, table, name)
        if classes is not None:
            share = np.minimum(share, eligible(table, name, classes))
            continue
        given = np.where(table.valid[name], table.values[name].astype(np.float64), 0.0)
        wrong = np.flatnonzero((given < 0) | (given > 1))
        if len(wrong):
            raise _values_wrong(inputs.parcels, table, name, ELIGIBLE_SHARE, int(wrong[0]))
        share = np.minimum(share, given)
    return share


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


def _require_deviations(
    parcels: Sequence[ParcelInput], table: PixelTable, seen: Flags, deviations: Mapping[str, Floats]
) -> None:
    for density, deviation in deviations.items():
        wrong = np.flatnonzero(seen & (deviation < 0))
        if len(wrong):
            name = ERRORS_OF[density]
            raise _values_wrong(parcels, table, name, RASTERS[name], int(wrong[0]))


def _values_wrong(
    parcels: Sequence[ParcelInput], table: PixelTable, name: str, kind: str, entry: int
) -> RasterValuesWrong:
    owner = int(table.parcel_of_pixel()[entry])
    return RasterValuesWrong(name=name, kind=kind, parcel=parcels[owner].parcel)


def _require_measured(parcels: Sequence[ParcelInput], grounds: Sequence[ParcelGround]) -> None:
    for parcel, ground in zip(parcels, grounds, strict=True):
        for stock in (ground.start, ground.end):
            if stock.eligible_area_ha and stock.status != "ok":
                raise RasterDoesNotCover(covered_share=round(stock.valid_area_share, 6), parcel=parcel.parcel)


# ---- sums --------------------------------------------------------------------------------------------------


def _parcel_grounds(
    parcels: Sequence[ParcelInput],
    sums: Sums,
    factors: Sequence[RootsAndCarbon],
    parameters: ParameterSet,
) -> tuple[ParcelGround, ...]:
    table, valid = sums.table, sums.table.valid
    eligible_m2, seen_m2 = sums.ground(sums.mask), sums.ground(sums.seen)
    valid_m2 = {name: sums.ground(sums.mask & valid[name]) for name in DENSITIES}
    stocks_t = {name: sums.values(sums.mask & valid[name], name) / M2_PER_HA for name in DENSITIES}
    delta_t = (sums.values(sums.seen, "agb_end") - sums.values(sums.seen, "agb_start")) / M2_PER_HA
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
            measured_ha=float(seen_m2[n]) / M2_PER_HA * credited_share(parcel),
            delta_t=float(delta_t[n]) * credited_share(parcel),
        )
        for n, parcel in enumerate(parcels)
    )


def _credited_cm2(parcel: ParcelInput, eligible_m2: float, area_m2: float) -> int:
    return min(round(parcel.credited_cm2 * (eligible_m2 / area_m2)), parcel.credited_cm2)
