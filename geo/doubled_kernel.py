"""The loops that sum shares by cell, compiled (see `geo.kernels`)."""

import numpy as np
from numpy.typing import NDArray

from geo.kernels import compiled

__all__ = ["lit"]

Ints = NDArray[np.int64]
Totals = NDArray[np.float32]


@compiled
def _add(
    total: Totals,
    cells: NDArray[np.int32],
    shares: NDArray[np.float32],
    runs: NDArray[np.int32],
    lengths: NDArray[np.int16],
) -> None:
    """Add one segment's shares to the cells of its block."""
    for n in range(len(cells)):
        total[cells[n]] += shares[n]
    for n in range(len(runs)):
        for offset in range(runs[n], runs[n] + lengths[n]):
            total[offset] += np.float32(1.0)


@compiled
def _name(
    total: Totals,
    most: float,
    cells: NDArray[np.int32],
    runs: NDArray[np.int32],
    lengths: NDArray[np.int16],
    first: int,
    outline: int,
    count: int,
    out_cell: Ints,
    out_outline: Ints,
) -> int:
    """Write the lit cells of one segment behind `count`; answers the new count. `first` is the number of the
    block's first cell.
    """
    for n in range(len(cells)):
        if total[cells[n]] > most:
            if count < len(out_cell):
                out_cell[count] = first + cells[n]
                out_outline[count] = outline
            count += 1
    for n in range(len(runs)):
        for offset in range(runs[n], runs[n] + lengths[n]):
            if total[offset] > most:
                if count < len(out_cell):
                    out_cell[count] = first + offset
                    out_outline[count] = outline
                count += 1
    return count


@compiled
def lit(
    first: int,
    last: int,
    block_segments: Ints,
    segment_parcel: NDArray[np.int32],
    segment_cells: Ints,
    segment_runs: Ints,
    cell_offset: NDArray[np.int32],
    cell_share: NDArray[np.float32],
    run_offset: NDArray[np.int32],
    run_length: NDArray[np.int16],
    cells_in_block: int,
    most: float,
    out_cell: Ints,
    out_outline: Ints,
) -> int:
    """Write each cell of blocks first..last that is covered more than `most` times with each outline in it,
    as far as there is room; answers how many there are. A cell's number is block x cells_in_block + offset.
    """
    count = 0
    total = np.zeros(cells_in_block, np.float32)
    for block in range(first, last):
        begin = block_segments[block]
        end = block_segments[block + 1]
        if end - begin < 2:
            continue
        total[:] = 0.0
        for segment in range(begin, end):
            a, b = segment_cells[segment], segment_cells[segment + 1]
            c, d = segment_runs[segment], segment_runs[segment + 1]
            _add(total, cell_offset[a:b], cell_share[a:b], run_offset[c:d], run_length[c:d])
        if total.max() <= most:
            continue
        for segment in range(begin, end):
            a, b = segment_cells[segment], segment_cells[segment + 1]
            c, d = segment_runs[segment], segment_runs[segment + 1]
            count = _name(
                total,
                most,
                cell_offset[a:b],
                run_offset[c:d],
                run_length[c:d],
                block * cells_in_block,
                segment_parcel[segment],
                count,
                out_cell,
                out_outline,
            )
    return count
