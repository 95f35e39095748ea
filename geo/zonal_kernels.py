"""The loops from shares and values to sums, compiled: what `zonal` does to every block of a raster, and
`packed` to the values under the parcels (see `geo.kernels`).

Numbers are added one after the other in float64, first the edge cells of a segment, then its runs, each run
before it is weighted; nothing is left to the compiler to reorder. So a sum has the same bits on any machine
and for any split of the work. Streamed and packed values are added in the same order.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geo.kernels import compiled
from geo.raster import NEGATIVE_ZERO

__all__ = [
    "DECODED",
    "SCALED",
    "STORED",
    "class_block",
    "pack_block",
    "reduce_block",
    "reduce_plain",
    "spread_block",
]

ROW: Final = 9
"""An offset in a block of 512 columns, shifted by this, is its row."""
STORED: Final = 0
SCALED: Final = 1
DECODED: Final = 2

Values = NDArray[Any]
Flags = NDArray[np.uint8]
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Offsets = NDArray[np.int32]
Lengths = NDArray[np.int16]


@compiled
def _number(stored: float, mode: int, scale: float, offset: float) -> float:
    """What a stored number stands for, as `RasterSource.read` says it."""
    if mode == STORED:
        return np.float64(stored)
    if mode == SCALED:
        return np.float64(stored) * scale + offset
    if stored == NEGATIVE_ZERO:
        return -0.0
    return np.float64(np.float32(np.float64(stored) * scale))


@compiled
def _good(values: Values, usable: Flags, at: Any, nodata: float) -> bool:
    """Whether a cell has a value."""
    stored = np.float64(values[at])
    return bool(stored - stored == 0.0 and stored != nodata and (len(usable) == 0 or usable[at] > 0))


@compiled
def _wanted(mask: Singles, at: Any) -> float:
    """The part of a cell that is asked about; nothing where the mask does not know."""
    if len(mask) == 0:
        return 1.0
    return np.float64(mask[at]) if mask[at] > 0.0 else 0.0


@compiled
def _run(
    values: Values,
    usable: Flags,
    mask: Singles,
    mode: int,
    scale: float,
    offset: float,
    nodata: float,
    first: Any,
    last: Any,
) -> tuple[float, float, float]:
    """Sum of the values of whole cells that follow each other, how much of them has one, and how much there
    is of them.
    """
    total = 0.0
    measured = 0.0
    chosen = 0.0
    for at in range(first, last):
        share = _wanted(mask, at)
        chosen += share
        if share > 0.0 and _good(values, usable, at, nodata):
            total += share * _number(values[at], mode, scale, offset)
            measured += share
    return total, measured, chosen


@compiled
def reduce_plain(
    values: Values,
    begin: Ints,
    mode: int,
    scale: float,
    offset: float,
    nodata: float,
    first: int,
    last: int,
    segment_cells: Ints,
    segment_runs: Ints,
    cell_offset: Offsets,
    cell_share: Singles,
    run_offset: Offsets,
    run_length: Lengths,
    row_area: Floats,
    out: Floats,
) -> None:
    """`reduce_block` without mask and flags, the same bit for bit: what is done most, in less time."""
    for segment in range(first, last):
        total = 0.0
        measured = 0.0
        chosen = 0.0
        cell = segment_cells[segment]
        packed = len(begin) > 0
        ahead = begin[segment] - cell if packed else np.int64(0)
        for j in range(cell, segment_cells[segment + 1]):
            at = ahead + j if packed else np.int64(cell_offset[j])
            weight = np.float64(cell_share[j]) * row_area[cell_offset[j] >> ROW]
            stored = np.float64(values[at])
            good = (stored - stored == 0.0) & (stored != nodata)
            number = stored if mode == STORED else _number(values[at], mode, scale, offset)
            chosen += weight
            total += weight * number if good else 0.0
            measured += weight if good else 0.0
        ahead += segment_cells[segment + 1]
        for j in range(segment_runs[segment], segment_runs[segment + 1]):
            start = ahead if packed else np.int64(run_offset[j])
            length = np.int64(run_length[j])
            area = row_area[run_offset[j] >> ROW]
            summed = 0.0
            count = 0
            for at in range(start, start + length):
                stored = np.float64(values[at])
                good = (stored - stored == 0.0) & (stored != nodata)
                number = stored if mode == STORED else _number(values[at], mode, scale, offset)
                summed += number if good else 0.0
                count += good
            ahead += length
            total += summed * area
            measured += np.float64(count) * area
            chosen += np.float64(length) * area
        out[segment, 0] = total
        out[segment, 1] = measured
        out[segment, 2] = chosen


@compiled
def reduce_block(
    values: Values,
    usable: Flags,
    mask: Singles,
    begin: Ints,
    mode: int,
    scale: float,
    offset: float,
    nodata: float,
    first: int,
    last: int,
    segment_cells: Ints,
    segment_runs: Ints,
    cell_offset: Offsets,
    cell_share: Singles,
    run_offset: Offsets,
    run_length: Lengths,
    row_area: Floats,
    out: Floats,
) -> None:
    """For each segment of a block: sum of weight x value and of weight over cells with a value, and of weight
    over all. A weight is share x cell area x mask.

    `values` is the block, 512 to a row; `usable` (0: no value) and `mask` (0 to 1; not-a-number counts as 0)
    are like it, or empty. With `begin` they are packed instead: those of segment i lie from begin[i] on, edge
    cells first. `nodata` is not-a-number where there is none. `row_area` is by row of the block.
    """
    for segment in range(first, last):
        total = 0.0
        measured = 0.0
        chosen = 0.0
        packed = begin[segment] if len(begin) > 0 else -1
        for j in range(segment_cells[segment], segment_cells[segment + 1]):
            at = np.int64(cell_offset[j]) if packed < 0 else packed
            weight = cell_share[j] * row_area[cell_offset[j] >> ROW] * _wanted(mask, at)
            chosen += weight
            if weight > 0.0 and _good(values, usable, at, nodata):
                total += weight * _number(values[at], mode, scale, offset)
                measured += weight
            packed += 1 if packed >= 0 else 0
        for j in range(segment_runs[segment], segment_runs[segment + 1]):
            start = np.int64(run_offset[j]) if packed < 0 else packed
            area = row_area[run_offset[j] >> ROW]
            end = start + run_length[j]
            summed, found, all_cells = _run(values, usable, mask, mode, scale, offset, nodata, start, end)
            total += summed * area
            measured += found * area
            chosen += all_cells * area
            packed = end if packed >= 0 else packed
        out[segment, 0] = total
        out[segment, 1] = measured
        out[segment, 2] = chosen


@compiled
def spread_block(
    values: Values,
    usable: Flags,
    mask: Singles,
    begin: Ints,
    mode: int,
    scale: float,
    offset: float,
    nodata: float,
    first: int,
    last: int,
    segment_cells: Ints,
    segment_runs: Ints,
    cell_offset: Offsets,
    cell_share: Singles,
    run_offset: Offsets,
    run_length: Lengths,
    row_area: Floats,
    sums: Floats,
    out: Floats,
) -> None:
    """For each segment of a block, after `reduce_block` gave its `sums`: smallest and largest value of its
    cells, and the sum of weight x (value - mean of the segment)^2.
    """
    for segment in range(first, last):
        spread = (np.inf, -np.inf, 0.0)
        mean = sums[segment, 0] / sums[segment, 1] if sums[segment, 1] > 0.0 else 0.0
        packed = begin[segment] if len(begin) > 0 else -1
        for j in range(segment_cells[segment], segment_cells[segment + 1]):
            at = np.int64(cell_offset[j]) if packed < 0 else packed
            weight = cell_share[j] * row_area[cell_offset[j] >> ROW] * _wanted(mask, at)
            if weight > 0.0 and _good(values, usable, at, nodata):
                spread = _wider(spread, _number(values[at], mode, scale, offset), weight, mean)
            packed += 1 if packed >= 0 else 0
        for j in range(segment_runs[segment], segment_runs[segment + 1]):
            start = np.int64(run_offset[j]) if packed < 0 else packed
            area = row_area[run_offset[j] >> ROW]
            end = start + run_length[j]
            for at in range(start, end):
                weight = area * _wanted(mask, at)
                if weight > 0.0 and _good(values, usable, at, nodata):
                    spread = _wider(spread, _number(values[at], mode, scale, offset), weight, mean)
            packed = end if packed >= 0 else packed
        out[segment, 0], out[segment, 1], out[segment, 2] = spread


@compiled
def _wider(
    spread: tuple[float, float, float], value: float, weight: float, mean: float
) -> tuple[float, float, float]:
    least, most, squares = spread
    return min(least, value), max(most, value), squares + weight * (value - mean) ** 2


@compiled
def class_block(
    place: Offsets,
    first: int,
    last: int,
    segment_cells: Ints,
    segment_runs: Ints,
    cell_offset: Offsets,
    cell_share: Singles,
    run_offset: Offsets,
    run_length: Lengths,
    row_area: Floats,
    out: Floats,
) -> None:
    """For each segment of a block the weight of each class; `place` has for each cell of the block the column
    of its class in `out`, -1 where it has none.
    """
    for segment in range(first, last):
        for j in range(segment_cells[segment], segment_cells[segment + 1]):
            k = cell_offset[j]
            if place[k] >= 0:
                out[segment - first, place[k]] += cell_share[j] * row_area[k >> ROW]
        for j in range(segment_runs[segment], segment_runs[segment + 1]):
            start = run_offset[j]
            for k in range(start, start + run_length[j]):
                if place[k] >= 0:
                    out[segment - first, place[k]] += row_area[start >> ROW]


@compiled
def pack_block(
    values: Values,
    first: int,
    last: int,
    segment_cells: Ints,
    segment_runs: Ints,
    segment_values: Ints,
    cell_offset: Offsets,
    run_offset: Offsets,
    run_length: Lengths,
    out: Values,
) -> None:
    """Bring the values under the segments of a block together: edge cells, then runs, from
    `segment_values[segment]` on.
    """
    for segment in range(first, last):
        to = segment_values[segment]
        for j in range(segment_cells[segment], segment_cells[segment + 1]):
            out[to] = values[cell_offset[j]]
            to += 1
        for j in range(segment_runs[segment], segment_runs[segment + 1]):
            for k in range(run_offset[j], run_offset[j] + run_length[j]):
                out[to] = values[k]
                to += 1
