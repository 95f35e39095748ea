"""How often the edges of two outlines may meet, counted before their intersection is asked for.

Two valid outlines of n and m vertices can cross n times m times: two combs of 2,500 vertices laid across each
other hold a processor for half a minute and take more than a gigabyte, and the limit on vertices allows forty
times as many. Land does not do that. The edges' boxes that meet are counted, which is never fewer than the
crossings, and for borders that were digitised twice is a few for each edge.
"""

from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo.errors import TooManyCrossings
from geo.ragged import Flags, Shapes

__all__ = ["MANY_VERTICES", "MAX_CROSSINGS", "check_crossings", "comparable", "excess_crossings"]

MAX_CROSSINGS: Final = 250_000
"""Beyond `USUAL` for each edge, of one pair: some seconds, some hundred megabytes."""
USUAL: Final = 4
"""Edges that an edge of a border meets when the other side digitised the border, too."""
MANY_VERTICES: Final = 250_000
"""Edges of one times edges of the other up to which nothing is counted."""
_PAIRS_AT_ONCE: Final = 4_000_000


def check_crossings(one: BaseGeometry, other: BaseGeometry) -> None:
    """Refuse a pair whose intersection would be a bomb (TooManyCrossings)."""
    excess_crossings(one, other, MAX_CROSSINGS)


def excess_crossings(one: BaseGeometry, other: BaseGeometry, left: int) -> int:
    """By how much the edges of two outlines meet more often than those of neighbours do (TooManyCrossings
    above `left`).
    """
    vertices = int(shapely.get_num_coordinates(one)), int(shapely.get_num_coordinates(other))
    if vertices[0] * vertices[1] <= MANY_VERTICES:
        return 0
    shared = _shared_box(one, other)
    if shared is None:
        return 0
    first, second = _edges_in(one, shared), _edges_in(other, shared)
    if len(first) * len(second) <= MANY_VERTICES:
        return 0
    usual = USUAL * (len(first) + len(second))
    tree, count = shapely.STRtree(second), 0
    rows = max(1, _PAIRS_AT_ONCE // len(second))
    for start in range(0, len(first), rows):
        count += tree.query(first[start : start + rows]).shape[1]
        if count - usual > left:
            raise TooManyCrossings(crossings=count, limit=left + usual)
    return max(0, count - usual)


def comparable(ones: Shapes, others: Shapes, left: int = MAX_CROSSINGS) -> Flags:
    """Which of these pairs can be compared, for a judgement that may leave pairs out: all that cross as
    neighbours do, and others while they come to `left` together.
    """
    fit = np.ones(len(ones), dtype=bool)
    vertices = shapely.get_num_coordinates(ones).astype(np.int64) * shapely.get_num_coordinates(others)
    for at in np.flatnonzero(vertices > MANY_VERTICES):
        try:
            left -= excess_crossings(ones[at], others[at], left)
        except TooManyCrossings:
            fit[at] = False
    return fit


def _shared_box(one: BaseGeometry, other: BaseGeometry) -> tuple[float, float, float, float] | None:
    a, b = one.bounds, other.bounds
    box = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return box if box[0] <= box[2] and box[1] <= box[3] else None


def _edges_in(outline: BaseGeometry, box: tuple[float, float, float, float]) -> Shapes:
    """The boxes of the edges that reach into a box."""
    rings = shapely.get_rings(shapely.get_parts(outline))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    low, high = np.minimum(xy[1:], xy[:-1]), np.maximum(xy[1:], xy[:-1])
    inside = (ring[1:] == ring[:-1]) & (low <= box[2:]).all(axis=1) & (high >= box[:2]).all(axis=1)
    low, high = low[inside], high[inside]
    found: Shapes = np.asarray(shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1]), dtype=object)
    return found
