"""The loop from shares and deviations of pixels to the two sums of E-R2, compiled (see `geo.kernels`).

Numbers are added one after the other in float64, edge cells of a segment first, then its runs; nothing is
left to the compiler to reorder.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geo.kernels import compiled
from geo.raster import BLOCK

__all__ = ["error_block"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@compiled
def _weight(area: float, mask: NDArray[np.float32], at: Any) -> float:
    if len(mask) == 0:
        return area
    return area * np.float64(mask[at]) if mask[at] > 0.0 else 0.0


@compiled
def error_block(
    deviation: Floats,
    mask: NDArray[np.float32],
    first: int,
    last: int,
    segment_cells: Ints,
    segment_runs: Ints,
    cell_offset: NDArray[np.int32],
    cell_share: NDArray[np.float32],
    run_offset: NDArray[np.int32],
    run_length: NDArray[np.int16],
    row_area: Floats,
    out: Floats,
) -> None:
    """For each segment of a block: sum of w x s, sum of (w x s)^2, and w where s is not known. A weight w is
    share x cell area x mask.

    `deviation` is the block, 512 to a row: s of each cell, 0 where the density has no value, not-a-number
    where it has one and nobody knows its error. `mask` (0 to 1) is like it, or empty.
    """
    for segment in range(first, last):
        linear = 0.0
        squares = 0.0
        unknown = 0.0
        for j in range(segment_cells[segment], segment_cells[segment + 1]):
            at = cell_offset[j]
            weight = _weight(cell_share[j] * row_area[at // BLOCK], mask, at)
            if np.isnan(deviation[at]):
                unknown += weight
            else:
                error = weight * deviation[at]
                linear += error
                squares += error * error
        for j in range(segment_runs[segment], segment_runs[segment + 1]):
            start = run_offset[j]
            area = row_area[start // BLOCK]
            for at in range(start, start + run_length[j]):
                weight = _weight(area, mask, at)
                if np.isnan(deviation[at]):
                    unknown += weight
                else:
                    error = weight * deviation[at]
                    linear += error
                    squares += error * error
        out[segment, 0] = linear
        out[segment, 1] = squares
        out[segment, 2] = unknown
