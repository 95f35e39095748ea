"""E-R2 over the parcels of a run: the change above their eligible ground, with its error.

Each entry of a pixel under a parcel is one of `Sums`; what the densities' statements say of errors and how
they go together is applied here.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geo.pixels import PixelTable
from geo.ragged import Flags
from ledger.canonical import JsonValue
from registry.estimates.inputs import ERRORS_OF, ParcelInput, RunInputs
from registry.estimates.methods import ChangeSums, ParameterSet, RasterChange, raster_change
from registry.estimates.methods.parameters import RootsAndCarbon
from registry.estimates.rules import RecordMalformed
from registry.programmes.rules import MILLION

M2_PER_HA: Final = 10_000
KG_PER_T: Final = 1000
DENSITIES: Final = ("agb_start", "agb_end")

Floats = NDArray[np.float64]


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


def credited_share(parcel: ParcelInput) -> float:
    """The part of a parcel's ground that its claim is credited with; slivers of earlier claims are left out
    evenly.
    """
    return parcel.credited_cm2 / parcel.area_cm2


@dataclass(frozen=True, slots=True)
class Correlation:
    """How errors of pixels go together (E-R2): in space, and between the two dates. 0 to 1."""

    rho_space: float
    rho_time: float


def deviations_of(inputs: RunInputs, table: PixelTable, density: str) -> Floats:
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


@dataclass(frozen=True, slots=True)
class MeasuredChange:
    """E-R2 over all parcels, the hectares it was summed on, and the sums of each parcel in tC.

    A pixel on the border of several parcels has one error, which stands with the first of them.
    """

    change: RasterChange
    area_ha: float
    rho_space: float
    parts: tuple[ChangeSums, ...]


def change_of(
    inputs: RunInputs,
    sums: Sums,
    deviations: Mapping[str, Floats],
    factors: Sequence[RootsAndCarbon],
    parameters: ParameterSet,
) -> MeasuredChange:
    """E-R2 over all parcels.

    Each entry's dry matter is turned into carbon by its stand type first, so the sums are tC and E-R2's own
    factors are 1. Neighbours share the pixels on their border, whose error is one error: weights of one
    pixel are added before it is squared.
    """
    table, entries = sums.table, np.flatnonzero(sums.seen)
    correlation = _correlation(inputs, parameters)
    owner = table.parcel_of_pixel()[entries]
    credited = np.array([credited_share(parcel) for parcel in inputs.parcels])
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
    owned, squared = owner[first], error * error
    by_parcel = [
        np.bincount(whose, values, minlength=len(factors)).tolist()
        for whose, values in (
            (owner, hectares),
            (owner, tonnes * (end - start)),
            (owned, error),
            (owned, squared),
        )
    ]
    parts = tuple(ChangeSums(*one) for one in zip(*by_parcel, strict=True))
    return MeasuredChange(change, added.area_ha, correlation.rho_space, parts)


def _deviation(first: Floats, second: Floats, rho_time: float) -> Floats:
    variance = first**2 + second**2 - 2 * rho_time * first * second
    deviation: Floats = np.sqrt(np.maximum(variance, 0.0))
    return deviation
