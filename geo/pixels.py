"""The pixels under parcels as one table: everything after reading is arithmetic on arrays.

For what cannot be said as a sum of weight x value of each raster alone: equations of several rasters for each
pixel, and errors of pixels that several parcels share. Of a province it is many gigabytes; sums alone are
taken by `zonal`, from the file, or by `packed`, from what is kept.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geo.coverage import BLOCK, Coverage, parcel_sums
from geo.crs import Floats
from geo.ragged import Flags, Ints
from geo.raster import Grid, RasterFacts, RasterSource
from geo.work import Workers, threads_of, workers_of
from geo.zonal import ZonalSum, zonal_sum


@dataclass(frozen=True, slots=True, eq=False)
class ParcelPixels:
    """The pixels of one parcel: number on the grid (row x width + column), weight, values and validity by
    raster.
    """

    pixel: Ints
    weight_m2: Floats
    values: Mapping[str, NDArray[Any]]
    valid: Mapping[str, Flags]
    area_m2: float
    outside_m2: float  # inside the parcel, outside the raster


@dataclass(frozen=True, slots=True, eq=False)
class PixelTable:
    """Packed values of several rasters of one grid under all parcels.

    start (n + 1): where each parcel's pixels begin. pixel, weight_m2 and each array of values and valid have
    one entry for each (parcel, pixel); pixels of a parcel ascend. values keep the raster's own type and are 0
    where not valid. area_m2 (n): area of record; outside_m2 (n): of it, outside the raster.
    """

    grid: Grid
    start: Ints
    pixel: Ints
    weight_m2: Floats
    values: Mapping[str, NDArray[Any]]
    valid: Mapping[str, Flags]
    area_m2: Floats
    outside_m2: Floats
    rasters: Mapping[str, RasterFacts]

    @property
    def parcels(self) -> int:
        return len(self.area_m2)

    def pixels(self, parcel: int) -> ParcelPixels:
        """The pixels of one parcel, as views."""
        here = slice(int(self.start[parcel]), int(self.start[parcel + 1]))
        return ParcelPixels(
            pixel=self.pixel[here],
            weight_m2=self.weight_m2[here],
            values={name: array[here] for name, array in self.values.items()},
            valid={name: array[here] for name, array in self.valid.items()},
            area_m2=float(self.area_m2[parcel]),
            outside_m2=float(self.outside_m2[parcel]),
        )

    def parcel_of_pixel(self) -> Ints:
        """Index of the parcel of each entry."""
        return np.repeat(np.arange(self.parcels), np.diff(self.start))

    def sums(self, per_pixel: NDArray[Any]) -> Floats:
        """Sum over each parcel of one number for each entry, in a fixed order."""
        return parcel_sums(self.parcel_of_pixel(), np.asarray(per_pixel, dtype=np.float64), self.parcels)

    def all_valid(self, *names: str) -> Flags:
        """Entries where every named raster has a value."""
        result = np.ones(len(self.pixel), dtype=np.bool_)
        for name in names:
            result &= self.valid[name]
        return result


def sample_parcels(
    coverage: Coverage, rasters: Mapping[str, RasterSource], *, band: int = 1, workers: Workers | int = 1
) -> PixelTable:
    """Read the values under the parcels from each raster once and pack them by parcel.

    All rasters must lie on the coverage's grid (RasterGridMismatch names the one that does not); a land-cover
    raster on another grid needs its own coverage and its own table.
    """
    for raster in rasters.values():
        coverage.grid.require(raster.grid, raster.name)
    parcel, pixel, share = _entries(coverage)
    # a pixel can occur twice when parts of one parcel meet in it; entries then stay apart and both count
    order = np.lexsort((pixel, parcel))
    parcel, pixel = parcel[order], pixel[order]
    rows = pixel // coverage.grid.width
    areas = coverage.row_areas_m2(0, coverage.grid.height)
    weight = share[order] * areas[rows] * coverage.scale[parcel]
    values: dict[str, NDArray[Any]] = {}
    valid: dict[str, Flags] = {}
    for name, raster in rasters.items():
        values[name], valid[name] = _pack(coverage, raster, pixel, band, workers)
    return PixelTable(
        grid=coverage.grid,
        start=np.searchsorted(parcel, np.arange(coverage.parcels + 1)).astype(np.int64),
        pixel=pixel,
        weight_m2=weight,
        values=values,
        valid=valid,
        area_m2=coverage.ground_m2.copy(),
        outside_m2=coverage.unmeasured_m2(),
        rasters={name: raster.facts() for name, raster in rasters.items()},
    )


def _entries(coverage: Coverage) -> tuple[Ints, Ints, Floats]:
    """Parcel, pixel and share of every covered cell, runs unrolled."""
    columns = coverage.block_columns
    width = coverage.grid.width
    origin = (coverage.segment_block.astype(np.int64) // columns) * BLOCK * width
    origin += (coverage.segment_block.astype(np.int64) % columns) * BLOCK

    def place(segment: Ints, offset: Ints) -> Ints:
        return origin[segment] + (offset // BLOCK) * width + offset % BLOCK

    segments = np.arange(len(coverage.segment_parcel))
    of_cell = np.repeat(segments, np.diff(coverage.segment_cells))
    of_run = np.repeat(segments, np.diff(coverage.segment_runs))
    length = coverage.run_length.astype(np.int64)
    starts = np.cumsum(length) - length
    within = np.arange(int(length.sum())) - np.repeat(starts, length)
    run_offset = np.repeat(coverage.run_offset.astype(np.int64), length) + within
    of_run = np.repeat(of_run, length)
    pixel = np.concatenate([place(of_cell, coverage.cell_offset.astype(np.int64)), place(of_run, run_offset)])
    parcel = coverage.segment_parcel.astype(np.int64)[np.concatenate([of_cell, of_run])]
    share = np.concatenate([coverage.cell_share.astype(np.float64), np.ones(len(of_run))])
    return parcel, pixel, share


def _pack(
    coverage: Coverage, raster: RasterSource, pixel: Ints, band: int, workers: Workers | int
) -> tuple[NDArray[Any], Flags]:
    """Value and validity for each pixel number, reading each touched block once."""
    row, column = pixel // coverage.grid.width, pixel % coverage.grid.width
    block = (row // BLOCK) * coverage.block_columns + column // BLOCK
    order = np.argsort(block, kind="stable")
    bounds = np.searchsorted(block[order], np.append(coverage.blocks, np.iinfo(np.int32).max))

    def read(index: int) -> tuple[Ints, NDArray[Any], Flags]:
        row0, column0, height, width = coverage.block_window(int(coverage.blocks[index]))
        window = raster.read(row0, column0, height, width, band)
        here = order[bounds[index] : bounds[index + 1]]
        at = (row[here] - row0, column[here] - column0)
        return here, window.values[at], window.valid[at]

    values: NDArray[Any] | None = None
    valid = np.zeros(len(pixel), dtype=np.bool_)
    threads = threads_of(workers_of(workers))
    for here, found, good in threads.map(read, range(len(coverage.blocks))):
        if values is None:
            values = np.zeros(len(pixel), dtype=found.dtype)
        values[here] = np.where(good, found, 0)
        valid[here] = good
    return (np.zeros(0) if values is None else values), valid


# --- on packed pixels ---------------------------------------------------------------------------------------


def eligible(table: PixelTable, name: str, classes: Collection[int]) -> Flags:
    """Entries whose class in raster `name` is one of `classes`; a cell without a class is not eligible."""
    mask: Flags = np.isin(table.values[name], np.array(sorted(classes), dtype=np.int64))
    return mask & table.valid[name]


def table_sums(
    table: PixelTable, name: str, *, eligible: Flags | None = None, band: int = 1
) -> list[ZonalSum]:
    """E-R1 for each parcel: sums over its eligible pixels, E_i = w_i x mask_i.

    With a mask, `area_m2` is the eligible area on the raster and ground outside the raster is not part of it;
    without one it is the whole parcel, and what lies outside counts as unmeasured.
    """
    weight = table.weight_m2 if eligible is None else np.where(eligible, table.weight_m2, 0.0)
    good = table.valid[name]
    measured = table.sums(np.where(good, weight, 0.0))
    totals = table.sums(np.where(good, weight * table.values[name], 0.0))
    areas = table.area_m2 if eligible is None else table.sums(weight)
    facts = table.rasters[name]
    return [
        zonal_sum(float(t), float(a), float(m), facts.sha256, band)
        for t, a, m in zip(totals, areas, measured, strict=True)
    ]


def class_areas_m2(table: PixelTable, name: str) -> list[dict[int, float]]:
    """Ground area of each class of an integer raster under each parcel; cells without a class are left
    out.
    """
    good = table.valid[name]
    classes, inverse = np.unique(table.values[name][good], return_inverse=True)
    count = max(len(classes), 1)
    key = table.parcel_of_pixel()[good] * count + inverse
    areas = np.bincount(key, table.weight_m2[good], minlength=table.parcels * count).reshape(-1, count)
    return [{int(c): float(a) for c, a in zip(classes, row, strict=False) if a > 0} for row in areas]


@dataclass(frozen=True, slots=True)
class ErrorSums:
    """The two sums of E-R2 over pixels: `linear` = sum of w x s, `squares` = sum of (w x s)^2."""

    linear: float
    squares: float

    def standard_error(self, rho_space: float) -> float:
        """SE of the sum when errors of any two pixels correlate by `rho_space` (0 to 1), by E-R2."""
        return float(np.sqrt((1 - rho_space) * self.squares + rho_space * self.linear**2))


def error_sums(weight: Floats, standard_deviation: Floats) -> ErrorSums:
    """E-R2's sums for weights and per-pixel standard deviations of equal length; each pixel must occur
    once.
    """
    product = weight * standard_deviation
    return ErrorSums(float(np.sum(product)), float(np.sum(product**2)))


def merged_pixels(
    table: PixelTable, parcels: Sequence[int] | None = None, *, mask: Flags | None = None
) -> tuple[Ints, Floats]:
    """Entries of several parcels with each pixel once: the index of one entry of it, and the weights added.

    Neighbours share the pixels on their border. Their errors are the same error, so E-R2 over several parcels
    needs the weights added first.
    """
    chosen = np.ones(len(table.pixel), dtype=np.bool_) if mask is None else mask.copy()
    if parcels is not None:
        wanted = np.zeros(table.parcels, dtype=np.bool_)
        wanted[list(parcels)] = True
        chosen &= wanted[table.parcel_of_pixel()]
    entries = np.flatnonzero(chosen)
    _, first, inverse = np.unique(table.pixel[entries], return_index=True, return_inverse=True)
    weight = np.bincount(inverse, table.weight_m2[entries], minlength=len(first)).astype(np.float64)
    return entries[first], weight
