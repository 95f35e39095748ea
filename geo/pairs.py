"""Overlaps among many outlines: which of them share ground, and what `polygon.overlap` says of those.

Neighbours are found by their boxes. In a cadastre nearly all of them only touch, and the exact intersection
of two that touch is the dearest question there is; so where there are many, a bound on the shared ground is
taken first (`kernels.share_little`) and only pairs that may share more than the rule ignores are judged
exactly. The work is bounded: a file whose outlines lie on each other by the thousands is refused.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import shapely

from geo import polygon
from geo.crossings import MANY_VERTICES, MAX_CROSSINGS, excess_crossings
from geo.crs import ECCENTRICITY, SEMI_MAJOR_M, Coordinates, Floats, Polygonal, areas_m2
from geo.errors import TooMuchOverlap
from geo.polygon import Overlap, OverlapKind, OverlapRule
from geo.ragged import Flags, Ints, Ragged, Shapes, ragged_of, shapes_of, starts

__all__ = ["MAX_JUDGED_VERTICES", "MAX_SCREENED_VERTICES", "Found", "against", "among", "between", "overlaps"]

Found = list[tuple[int, int, Overlap]]

MAX_SCREENED_VERTICES: Final = 1_000_000_000
MAX_JUDGED_VERTICES: Final = 100_000_000
"""Vertices of both outlines, and PAIR_VERTICES for the pair, summed over pairs: what 200,000 parcels of fifty
vertices come to if every border was digitised twice."""
PAIR_VERTICES: Final = 60
"""What a pair costs whatever its size, in vertices."""

MAX_CROSSINGS_TOGETHER: Final = 1_000_000
"""Of all pairs that are judged at once, beyond what neighbours' edges usually meet."""

_PAIRS_AT_ONCE: Final = 2_000_000
_WORTH_SCREENING: Final = 2_000
"""Outlines; loading the compiled loops takes as long as judging a few thousand pairs."""
_PAIRS_PER_TASK: Final = 512
_THREADS: Final = 2
_QUARTER_CIRCLE: Final = 16  # as the method `buffer` has it
_M2_PER_DEG2: Final = 1.25e10
"""More than a square degree has at the equator; 1.24e10."""


@dataclass(slots=True)
class Limits:
    """Work that may still be done."""

    screened: int = MAX_SCREENED_VERTICES
    judged: int = MAX_JUDGED_VERTICES


def among(
    outlines: Sequence[Polygonal],
    rule: OverlapRule,
    limits: Limits | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """What valid outlines share with each other: (later, earlier, `overlap` of the later with the earlier)
    for each two that share anything, ascending. `progress` is told how many outlines were compared, and of
    how many. Raises TooMuchOverlap.
    """
    ground = _Ground.of(outlines)
    return _found(ground, ground, rule, limits or Limits(), progress, among=True)


def between(
    candidates: Sequence[Polygonal],
    neighbours: Sequence[Polygonal],
    rule: OverlapRule,
    limits: Limits | None = None,
) -> Found:
    """What each candidate shares with each neighbour: (candidate, neighbour, `overlap`) for each two that
    share anything, ascending. Raises TooMuchOverlap.
    """
    return _found(_Ground.of(candidates), _Ground.of(neighbours), rule, limits or Limits(), None, among=False)


def overlaps(
    candidates: Sequence[Polygonal], neighbours: Sequence[Polygonal], rule: OverlapRule
) -> list[Overlap]:
    """`polygon.overlap` of the first candidate with the first neighbour, the second with the second, ..."""
    firsts, seconds = shapes_of(candidates), shapes_of(neighbours)
    shared, shared_m2 = _intersections(firsts, seconds)
    return _judged(areas_m2(list(firsts)), seconds, shared, shared_m2, rule)


def against(
    candidate: Polygonal, neighbours: Sequence[Polygonal], rule: OverlapRule
) -> list[tuple[int, Overlap]]:
    """`polygon.overlap` of one candidate with each neighbour that shares any ground with it, however little,
    and the neighbour's place in the list, ascending. Those that only touch, most of a parcel's neighbours,
    cost one question each. Raises TooManyCrossings.
    """
    if not neighbours:
        return []
    shapely.prepare(candidate)
    met = np.flatnonzero(shapely.intersects(candidate, shapes_of(neighbours)))
    seconds = shapes_of([neighbours[place] for place in met.tolist()])
    firsts = shapes_of([candidate] * len(met))
    shared, shared_m2 = _intersections(firsts, seconds)
    some = np.flatnonzero(shared_m2 > 0.0)
    if len(some) == 0:
        return []
    first_m2 = np.full(len(some), areas_m2([candidate])[0])
    judged = _judged(first_m2, seconds[some], shared[some], shared_m2[some], rule)
    return list(zip(met[some].tolist(), judged, strict=True))


# --- who meets whom -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Ground:
    """Outlines, their bounding boxes and numbers of vertices, and their vertices once they are asked for."""

    outlines: Shapes
    boxes: Floats
    vertices: Ints
    _flat: Ragged | None = field(default=None)

    @classmethod
    def of(cls, outlines: Sequence[Polygonal]) -> "_Ground":
        array = shapes_of(outlines)
        vertices = shapely.get_num_coordinates(array).astype(np.int64)
        return cls(array, shapely.bounds(array).reshape(-1, 4), vertices)

    def flat(self) -> Ragged:
        if self._flat is None:
            self._flat, plain = ragged_of(self.outlines)
            assert plain.all(), "outlines are polygons"
        return self._flat


def _found(
    ones: _Ground,
    others: _Ground,
    rule: OverlapRule,
    limits: Limits,
    progress: Callable[[int, int], None] | None,
    *,
    among: bool,
) -> Found:
    found: Found = []
    if len(ones.outlines) == 0 or len(others.outlines) == 0:
        return found
    for last, one, other in _neighbours(ones, others, among=among):
        work = ones.vertices[one] + others.vertices[other] + PAIR_VERTICES
        limits.screened = _left(limits.screened, int(work.sum()), MAX_SCREENED_VERTICES)
        open_pairs = np.flatnonzero(~_share_little(ones, others, one, other, rule))
        limits.judged = _left(limits.judged, int(work[open_pairs].sum()), MAX_JUDGED_VERTICES)
        found += _sharing(ones, others, one[open_pairs], other[open_pairs], rule)
        if progress is not None:
            progress(last, len(ones.outlines))
    return found


def _left(limit: int, work: int, most: int) -> int:
    if work > limit:
        raise TooMuchOverlap(vertices=most - limit + work, limit=most)
    return limit - work


def _neighbours(ones: _Ground, others: _Ground, *, among: bool) -> Iterator[tuple[int, Ints, Ints]]:
    """Pairs whose boxes meet, ascending, in portions that fit into memory; and up to which of the ones."""
    tree = shapely.STRtree(others.outlines)
    most = starts(_at_most(ones.boxes, others.boxes))
    first = 0
    while first < len(ones.outlines):
        last = int(np.searchsorted(most, most[first] + _PAIRS_AT_ONCE, side="right")) - 1
        last = max(last, first + 1)
        one, other = tree.query(ones.outlines[first:last])
        one = one + first
        if among:
            one, other = one[other < one], other[other < one]
        order = np.lexsort((other, one))
        yield last, one[order], other[order]
        first = last


def _at_most(boxes: Floats, others: Floats) -> Ints:
    """How many of the others' boxes each box meets at most: those it meets in longitude, or in latitude."""
    least = np.full(len(boxes), len(others), dtype=np.int64)
    for low, high in ((0, 2), (1, 3)):
        begun = np.searchsorted(np.sort(others[:, low]), boxes[:, high], side="right")
        ended = np.searchsorted(np.sort(others[:, high]), boxes[:, low], side="left")
        least = np.minimum(least, begun - ended)
    return least


def _share_little(ones: _Ground, others: _Ground, one: Ints, other: Ints, rule: OverlapRule) -> Flags:
    """Pairs that for certain share less than the rule ignores; none are named where there are few."""
    if len(ones.outlines) < _WORTH_SCREENING or rule.none_at_most_m2 <= 0.0:
        return np.zeros(len(one), dtype=bool)
    return _screened(ones, others, one, other, rule)


def _screened(ones: _Ground, others: _Ground, one: Ints, other: Ints, rule: OverlapRule) -> Flags:
    """`kernels.share_little` of the pairs."""
    from geo.kernels import share_little

    little = np.zeros(len(one), dtype=bool)
    a, b = ones.boxes[one], others.boxes[other]
    boxes = np.concatenate([np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])], axis=1)
    nearest = np.where(boxes[:, 1] * boxes[:, 3] <= 0.0, 0.0, np.abs(boxes[:, [1, 3]]).min(axis=1))
    ignored = 0.9 * rule.none_at_most_m2 / (_M2_PER_DEG2 * np.cos(np.radians(nearest)) + 1.0)
    first, second = ones.flat(), others.flat()
    rows_a, rows_b = first.parts[first.rows], second.parts[second.rows]

    def screen(at: slice) -> None:
        share_little(
            first.xy, first.rings, rows_a, second.xy, second.rings, rows_b,
            one[at], other[at], boxes[at], ignored[at], little[at],
        )  # fmt: skip

    _in_parts(len(one), 16 * _PAIRS_PER_TASK, screen)
    return little


def _in_parts(count: int, size: int, work: Callable[[slice], None]) -> None:
    """The work on slices of so many elements, by threads."""
    parts = [slice(at, min(at + size, count)) for at in range(0, count, size)]
    if len(parts) <= 1:  # one parcel and its neighbours: to start threads would take longer than the work
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(work, parts))


# --- what they share ----------------------------------------------------------------------------------------


def _sharing(ones: _Ground, others: _Ground, one: Ints, other: Ints, rule: OverlapRule) -> Found:
    """The pairs that share more than nothing, with what they share."""
    firsts, seconds = ones.outlines[one], others.outlines[other]
    shared, shared_m2 = _intersections(firsts, seconds)
    some = np.flatnonzero(shared_m2 > rule.none_at_most_m2)
    first_m2 = areas_m2(list(firsts[some]))
    judged = _judged(first_m2, seconds[some], shared[some], shared_m2[some], rule)
    return list(zip(one[some].tolist(), other[some].tolist(), judged, strict=True))


def _intersections(firsts: Shapes, seconds: Shapes) -> tuple[Shapes, Floats]:
    """`polygon.intersection` of each pair (None where it is nothing), and its area in m2. Raises
    TooManyCrossings.
    """
    _check_crossings(firsts, seconds)
    shared = np.full(len(firsts), None, dtype=object)

    def intersect(at: slice) -> None:
        a, b = firsts[at], seconds[at]
        wkb_a, wkb_b = (shapely.to_wkb(some, byte_order=1, output_dimension=2) for some in (a, b))
        in_order = np.array([x <= y for x, y in zip(wkb_a, wkb_b, strict=True)], dtype=bool)
        found = shapely.intersection(np.where(in_order, a, b), np.where(in_order, b, a))
        shared[at] = _areal(np.asarray(found, dtype=object))

    _in_parts(len(firsts), _PAIRS_PER_TASK, intersect)
    shared_m2 = np.zeros(len(firsts))
    there = np.flatnonzero(shapely.is_geometry(shared))
    shared_m2[there] = areas_m2(list(shared[there]))
    return shared, shared_m2


def _check_crossings(firsts: Shapes, seconds: Shapes) -> None:
    """Each pair within what a pair may, and all of them within a few times that."""
    left = MAX_CROSSINGS_TOGETHER
    vertices = shapely.get_num_coordinates(firsts).astype(np.int64) * shapely.get_num_coordinates(seconds)
    for at in np.flatnonzero(vertices > MANY_VERTICES):
        left -= excess_crossings(firsts[at], seconds[at], min(left, MAX_CROSSINGS))


def _areal(found: Shapes) -> Shapes:
    """What of intersections has an area, as `polygon.intersection` gives it."""
    areal = np.full(len(found), None, dtype=object)
    kind = shapely.get_type_id(found)
    whole = (kind == _POLYGON) & ~shapely.is_empty(found)
    areal[whole] = found[whole]
    for at in np.flatnonzero((kind == _MULTIPOLYGON) | (kind == _COLLECTION)).tolist():
        areal[at] = polygon._areal(found[at])
    return areal


_POLYGON: Final = 3
_MULTIPOLYGON: Final = 6
_COLLECTION: Final = 7


def _judged(
    first_m2: Floats, seconds: Shapes, shared: Shapes, shared_m2: Floats, rule: OverlapRule
) -> list[Overlap]:
    """Steps 1 to 3 of `polygon.overlap`."""
    second_m2 = areas_m2(list(seconds))
    kinds = _kinds(shared, shared_m2, np.minimum(first_m2, second_m2), rule)
    return [
        Overlap(kind, area, area / a, area / b, geometry, rule.name)
        for kind, area, a, b, geometry in zip(
            kinds, shared_m2.tolist(), first_m2.tolist(), second_m2.tolist(), shared, strict=True
        )
    ]


def _kinds(shared: Shapes, shared_m2: Floats, smaller_m2: Floats, rule: OverlapRule) -> list[OverlapKind]:
    """`polygon.kind_of` of each."""
    some = shared_m2 > rule.none_at_most_m2
    thin = some & (shared_m2 <= rule.sliver_share_at_most * smaller_m2)
    thin[thin] = _vanish(shared[thin], rule.erosion_m)
    kinds = np.where(some, np.where(thin, 1, 2), 0)
    names = (OverlapKind.NONE, OverlapKind.SLIVER, OverlapKind.REFUSED)
    return [names[kind] for kind in kinds.tolist()]


def _vanish(shapes: Shapes, erosion_m: float) -> Flags:
    """Which shapes leave nothing when every part is eroded, each in metres around its own middle."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    boxes = shapely.bounds(shapes).reshape(-1, 4)
    origin = (boxes[:, :2] + boxes[:, 2:]) / 2
    scale = _metres_per_degree(origin[:, 1])
    vertex = np.repeat(owner, shapely.get_num_coordinates(parts))
    xy: Coordinates = (shapely.get_coordinates(parts) - origin[vertex]) * scale[vertex]
    left = np.zeros(len(parts), dtype=bool)
    metres = np.asarray(shapely.set_coordinates(parts, xy), dtype=object)

    def erode(at: slice) -> None:
        left[at] = ~shapely.is_empty(shapely.buffer(metres[at], -erosion_m, quad_segs=_QUARTER_CIRCLE))

    _in_parts(len(parts), _PAIRS_PER_TASK, erode)
    return np.asarray(np.bincount(owner, left, minlength=len(shapes)) == 0, dtype=bool)


def _metres_per_degree(lat_deg: Floats) -> Coordinates:
    """East and north, (n, 2): `crs.LocalFrame.metres_per_degree` of each latitude."""
    lat = np.radians(lat_deg)
    w = np.sqrt(1 - (ECCENTRICITY * np.sin(lat)) ** 2)
    east = SEMI_MAJOR_M * np.cos(lat) / w
    north = SEMI_MAJOR_M * (1 - ECCENTRICITY**2) / w**3
    return np.column_stack([np.radians(east), np.radians(north)])
