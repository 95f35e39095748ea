"""The loops over edges and cells, compiled: what `coverage_kernels` and `zonal_kernels` are made with,
and what `pairs` does to the borders of every two neighbours.

Importing this module loads the compiler (numba, some 50 MiB), so they import it when they first build, sum or
compare many: a registry that does none of it does not carry it. Machine code is kept on disk beside this
file, and the kernels run without the interpreter lock.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["compiled", "share_little"]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """numba.njit without the interpreter lock, kept on disk, with a type that checkers understand."""
    return cast("_F", numba.njit(nogil=True, cache=True, error_model="numpy")(function))


# --- from two outlines to a bound on what they share --------------------------------------------------------

_MOST_EDGES: Final = 256
"""Edges of one outline near another; with more, GEOS is the better judge."""


@compiled
def _near_edges(
    xy: Floats, rings: Ints, first: int, last: int, box: Floats, edges: Floats, left: Floats
) -> tuple[int, int]:
    """Edges of rings first..last that meet a box (west, south, east, north), lower end first, and of those
    wholly west of it, at its heights, the lower and upper end. (-1, -1) if there is no room for them.
    """
    met = 0
    west = 0
    for ring in range(first, last):
        for k in range(rings[ring], rings[ring + 1] - 1):
            x0, y0, x1, y1 = xy[k, 0], xy[k, 1], xy[k + 1, 0], xy[k + 1, 1]
            if y0 > y1:
                x0, y0, x1, y1 = x1, y1, x0, y0
            if y1 < box[1] or y0 > box[3] or (x0 > box[2] and x1 > box[2]):
                continue
            if x0 < box[0] and x1 < box[0]:
                if west == len(left):
                    return -1, -1
                left[west, 0] = y0
                left[west, 1] = y1
                west += 1
                continue
            if met == len(edges):
                return -1, -1
            edges[met, 0] = x0
            edges[met, 1] = y0
            edges[met, 2] = x1
            edges[met, 3] = y1
            met += 1
    return met, west


@compiled
def _sort(values: Floats, count: int) -> None:
    """Insertion sort of the first values: few, and mostly in order."""
    for i in range(1, count):
        value = values[i]
        j = i - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value


@compiled
def _heights(edges: Floats, count: int, box: Floats, out: Floats, filled: int) -> int:
    """Add the heights at which edges begin and end within the box."""
    for k in range(count):
        for y in (edges[k, 1], edges[k, 3]):
            if box[1] < y < box[3]:
                out[filled] = y
                filled += 1
    return filled


@compiled
def _sides(
    edges: Floats, count: int, left: Floats, west: int, low: float, high: float, box: Floats, out: Floats
) -> int:
    """Where an outline begins and ends, from west to east, between two heights with no vertex between them:
    pairs of (x at the lower, x at the upper height), cut at the box. How many; even.
    """
    middle = 0.5 * (low + high)
    inside = False
    for k in range(west):
        if left[k, 0] <= middle < left[k, 1]:
            inside = not inside
    found = 0
    if inside:
        out[0, 0] = box[0]
        out[0, 1] = box[0]
        found = 1
    begin = found
    for k in range(count):
        if not edges[k, 1] <= middle < edges[k, 3]:
            continue
        slope = (edges[k, 2] - edges[k, 0]) / (edges[k, 3] - edges[k, 1])
        a = edges[k, 0] + (low - edges[k, 1]) * slope
        b = edges[k, 0] + (high - edges[k, 1]) * slope
        j = found
        while j > begin and out[j - 1, 0] + out[j - 1, 1] > a + b:
            out[j, 0] = out[j - 1, 0]
            out[j, 1] = out[j - 1, 1]
            j -= 1
        out[j, 0] = a
        out[j, 1] = b
        found += 1
    if found % 2 == 1:
        out[found, 0] = box[2]
        out[found, 1] = box[2]
        found += 1
    return found


@compiled
def _above_nothing(a: float, b: float) -> float:
    """Mean of the positive part of a line that runs from a to b."""
    if a <= 0.0 and b <= 0.0:
        return 0.0
    if a >= 0.0 and b >= 0.0:
        return 0.5 * (a + b)
    return 0.5 * max(a, b) ** 2 / abs(a - b)


@compiled
def _shared_width(one: Floats, ones: int, other: Floats, others: int) -> float:
    """Not less than the mean width that two outlines share between two heights.

    Two stretches share at each height the least of: the one's end less the other's beginning, the reverse,
    and the width of each. Each of these is a straight line, and the mean of its positive part a bound.
    """
    total = 0.0
    for i in range(0, ones, 2):
        for j in range(0, others, 2):
            width = _above_nothing(one[i + 1, 0] - other[j, 0], one[i + 1, 1] - other[j, 1])
            if width == 0.0:
                continue
            width = min(width, _above_nothing(other[j + 1, 0] - one[i, 0], other[j + 1, 1] - one[i, 1]))
            width = min(width, _above_nothing(one[i + 1, 0] - one[i, 0], one[i + 1, 1] - one[i, 1]))
            total += min(width, _above_nothing(other[j + 1, 0] - other[j, 0], other[j + 1, 1] - other[j, 1]))
    return total


@compiled
def share_little(
    xy_a: Floats,
    rings_a: Ints,
    rows_a: Ints,
    xy_b: Floats,
    rings_b: Ints,
    rows_b: Ints,
    row_a: Ints,
    row_b: Ints,
    boxes: Floats,
    little: Floats,
    out: Flags,
) -> None:
    """For each pair of valid outlines: whether they share less than `little` (square degrees), for certain.

    `boxes` are the intersections of their bounding boxes; `rows` the first ring of each outline. The box is
    cut at every height at which an edge in it begins or ends; between two heights the outlines are rows of
    stretches whose common width is bounded from above. Along a border with the same vertices on both sides
    the bound is nothing but rounding. False says only that it was not shown.
    """
    edges_a, edges_b = np.empty((_MOST_EDGES, 4)), np.empty((_MOST_EDGES, 4))
    left_a, left_b = np.empty((_MOST_EDGES, 2)), np.empty((_MOST_EDGES, 2))
    sides_a, sides_b = np.empty((_MOST_EDGES + 2, 2)), np.empty((_MOST_EDGES + 2, 2))
    heights = np.empty(4 * _MOST_EDGES + 2)
    for pair in range(len(row_a)):
        box = boxes[pair]
        a, b = row_a[pair], row_b[pair]
        out[pair] = (box[2] - box[0]) * (box[3] - box[1]) < little[pair]
        if out[pair]:
            continue
        count_a, west_a = _near_edges(xy_a, rings_a, rows_a[a], rows_a[a + 1], box, edges_a, left_a)
        count_b, west_b = _near_edges(xy_b, rings_b, rows_b[b], rows_b[b + 1], box, edges_b, left_b)
        if count_a < 0 or count_b < 0:
            continue
        heights[0] = box[1]
        heights[1] = box[3]
        filled = _heights(edges_a, count_a, box, heights, 2)
        filled = _heights(edges_b, count_b, box, heights, filled)
        _sort(heights, filled)
        total = 0.0
        for k in range(filled - 1):
            low, high = heights[k], heights[k + 1]
            if high <= low:
                continue
            ones = _sides(edges_a, count_a, left_a, west_a, low, high, box, sides_a)
            others = _sides(edges_b, count_b, left_b, west_b, low, high, box, sides_b)
            total += (high - low) * _shared_width(sides_a, ones, sides_b, others)
            if total >= little[pair]:
                break
        out[pair] = total < little[pair]
