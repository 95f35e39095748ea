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
from numpy.typing import NDArray

from geo.coverage import Coverage
from geo.crs import Polygonal
from geo.errors import RasterDoesNotCover
from geo.pixels import PixelTable, eligible, sample_parcels
from geo.ragged import Flags
from geo.raster import Grid, RasterSource
from ledger.canonical import JsonValue
from registry.estimates.inputs import (
    ELIGIBLE_SHARE,
    ERRORS_OF,
    RASTERS,
    ParcelInput,
    RunInputs,
    forest_classes,
)
from registry.estimates.methods import (
    ChangeSums,
    ParameterSet,
    RasterChange,
    RasterStock,
    raster_change,
    raster_stock_of_sums,
)
from registry.estimates.methods.parameters import RootsAndCarbon
from registry.estimates.rules import (
    NoEligibleLand,
    RasterValuesWrong,
    RecordMalformed,
)
from registry.programmes.rules import MILLION

CM2_PER_M2: Final = 10_000
CM2_PER_HA: Final = 100_000_000
M2_PER_HA: Final = 10_000
KG_PER_T: Final = 1000
DENSITIES: Final = ("agb_start", "agb_end")
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


Floats = NDArray[np.float64]

Cover = Callable[[Sequence[Polygonal], Sequence[str], Grid], Coverage]
"""Coverage of outlines, named by their digests, on a grid: `CoverageStore.coverage` of a home, or of a folder
that goes when the work is done.
"""


@dataclass(frozen=True, slots=True)
class Correlation:
    """How errors of pixels go together (E-R2): in space, and between the two dates. 0 to 1."""

    rho_space: float
    rho_time: float


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
    deviations = {name: _deviations(inputs, table, name) for name in DENSITIES}
    mask: Flags = weight > 0
    seen = mask & table.all_valid(*DENSITIES, *(name for name in ERRORS_OF.values() if name in rasters))
    _require_deviations(parcels, table, seen, deviations)
    sums = Sums(table, weight, mask, seen)
    factors = [parameters.roots_and_carbon(parcel.stand_type) for parcel in parcels]
    grounds = _parcel_grounds(parcels, sums, factors, parameters)
    _require_measured(parcels, grounds)
    if not any(ground.eligible_cm2 for ground in grounds):
        raise NoEligibleLand()
    change, hectares = _change(inputs, sums, deviations, factors, parameters)
    everything = math.fsum(ground.eligible_cm2 / CM2_PER_HA for ground in grounds)
    return Ground(grounds, change, min(hectares / everything, 1.0))


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


def _deviations(inputs: RunInputs, table: PixelTable, density: str) -> Floats:
    """Standard deviation of each entry's density, t/ha: its raster's, or by the statement's error model."""
    error = ERRORS_OF[density]
    if inputs.has_raster(error):
        return table.values[error].astype(np.float64)
    model = inputs.raster(density).error_model or {}
    if model.get("kind") == "relative_ppm":
        return np.abs(table.values[density].astype(np.float64)) * (_whole(model, "ppm") / MILLION)
    return np.full(len(table.pixel), _whole(model, "kg_ha") / KG_PER_T)


def _whole(model: Mapping[str, JsonValue], name: str) -> int:
    value = model.get(name)
    if type(value) is not int:
        raise RecordMalformed(reason=f"an error model has no whole number as {name}")
    return value


def _correlation(inputs: RunInputs, parameters: ParameterSet) -> Correlation:
    """What the statements of the densities say of their errors; the larger in space, the smaller in time,
    which is never too favourable. The method's own figures where they say nothing.
    """
    models = [inputs.raster(name).error_model or {} for name in DENSITIES]

    def said(name: str, choose: Callable[[list[int]], int]) -> float:
        values = [_whole(model, f"{name}_ppm") for model in models if f"{name}_ppm" in model]
        return choose(values) / MILLION if len(values) == len(models) else parameters.setting(name)

    return Correlation(said("rho_space", max), said("rho_time", min))


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


@dataclass(frozen=True, slots=True)
class Sums:
    """Entries of all parcels with their eligible ground (m2): `mask` where there is some, `seen` where that
    has values.
    """

    table: PixelTable
    weight_m2: Floats
    mask: Flags
    seen: Flags

    def ground(self, chosen: Flags) -> Floats:
        """Square metres of the chosen entries of each parcel."""
        return self.table.sums(np.where(chosen, self.weight_m2, 0.0))

    def values(self, chosen: Flags, name: str) -> Floats:
        """Sum of square metres x value over the chosen entries of each parcel."""
        values = self.table.values[name].astype(np.float64)
        return self.table.sums(np.where(chosen, self.weight_m2 * values, 0.0))


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


def _change(
    inputs: RunInputs,
    sums: Sums,
    deviations: Mapping[str, Floats],
    factors: Sequence[RootsAndCarbon],
    parameters: ParameterSet,
) -> tuple[RasterChange, float]:
    """E-R2 over all parcels, and the hectares it was summed on.

    Each entry's dry matter is turned into carbon by its stand type first, so the sums are tC and E-R2's own
    factors are 1. Neighbours share the pixels on their border, whose error is one error: weights of one
    pixel are added before it is squared.
    """
    table, entries = sums.table, np.flatnonzero(sums.seen)
    correlation = _correlation(inputs, parameters)
    owner = table.parcel_of_pixel()[entries]
    credited = np.array([_credited_share(parcel) for parcel in inputs.parcels])
    carbon = np.array([(1 + one.root_shoot) * one.carbon_fraction for one in factors])
    hectares = sums.weight_m2[entries] / M2_PER_HA * credited[owner]
    tonnes = hectares * carbon[owner]
    start, end = (table.values[name][entries].astype(np.float64) for name in DENSITIES)
    pixel, first, merged = np.unique(table.pixel[entries], return_index=True, return_inverse=True)
    weight = np.bincount(merged, tonnes, minlength=len(pixel))
    chosen = entries[first]
    one, other = (deviations[name][chosen] for name in DENSITIES)
    error = weight * _deviation(one, other, correlation.rho_time)
    added = ChangeSums(
        area_ha=math.fsum(hectares),
        delta_t=math.fsum(tonnes * (end - start)),
        error_t=math.fsum(error),
        error_squared_t2=math.fsum(error * error),
    )
    change = raster_change(
        added,
        rho_space=correlation.rho_space,
        z_value=parameters.setting("z_value"),
        root_shoot=0.0,
        carbon_fraction=1.0,
    )
    return change, added.area_ha


def _deviation(first: Floats, second: Floats, rho_time: float) -> Floats:
    variance = first**2 + second**2 - 2 * rho_time * first * second
    deviation: Floats = np.sqrt(np.maximum(variance, 0.0))
    return deviation
