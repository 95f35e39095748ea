"""A way out for an outline that is not valid: what is wrong and where, a proposed outline, and what it would
change. Nothing is altered here; whoever drew the outline takes the proposal by its digest, or draws again.

Before the costly question is asked the outline's crossings are counted: `make_valid` takes seconds for a
scribble of a thousand vertices, and nobody's land is a scribble. Everything is in EPSG:4490 degrees.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LinearRing, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from geo.crs import Coordinates, Floats, Polygonal, area_m2, parts_of
from geo.errors import GeoRefusal
from geo.polygon import DECIMALS, canonical, cells, check_limits, check_valid, digest, invalid

__all__ = [
    "MAX_REPAIR_CROSSINGS",
    "MAX_REPAIR_VERTICES",
    "MOST_CHANGE_PPM",
    "NoRepair",
    "Repair",
    "judge_repair",
    "propose_repair",
]

MAX_REPAIR_VERTICES: Final = 2_000
MAX_REPAIR_CROSSINGS: Final = 1_000
MOST_CHANGE_PPM: Final = 250_000
MILLION: Final = 1_000_000
_MOST_PLACES: Final = 50
_PAIRS_AT_ONCE: Final = 1 << 19
_TOUCHING_DEG: Final = 1e-12
_CRUMB_DEG2: Final = 1e-12  # about 100 cm2 of ground


class NoRepair(StrEnum):
    """Why there is no proposal for an invalid outline."""

    NOT_LAND = "not_land"  # out of bounds, too many rings, too large: not a question of validity
    TOO_MANY_VERTICES = "too_many_vertices"
    TOO_MANY_CROSSINGS = "too_many_crossings"
    NOTHING_LEFT = "nothing_left"
    CHANGES_TOO_MUCH = "changes_too_much"


@dataclass(frozen=True, slots=True)
class Repair:
    """A proposal. `lon`, `lat` and `reason` are the first fault, `places` up to 50 points where the outline
    meets itself. `geometry` is canonical, `sha256` its digest: by it the proposal is taken.

    `area_before_m2` is the ground that the outline encloses as drawn: each shell less its holes, each ring by
    the even-odd rule; None where it encloses none by that rule (a ring drawn twice), and then `change_ppm` is
    None too. `added` is ground of the proposal that was not enclosed as drawn, `removed` the reverse.
    """

    lon: float
    lat: float
    reason: str
    places: tuple[tuple[float, float], ...]
    geometry: Polygonal
    sha256: str
    area_before_m2: float | None
    area_after_m2: float
    change_ppm: int | None
    added: Polygonal | None
    removed: Polygonal | None


def propose_repair(geometry: Polygonal) -> Repair | None:
    """A proposal for an invalid outline, or None where none is made; `judge_repair` says why."""
    judged = judge_repair(geometry)
    return judged if isinstance(judged, Repair) else None


def judge_repair(geometry: Polygonal) -> Repair | NoRepair:
    """A proposal for an invalid outline, or the reason for which none is made.

    1. More than 2,000 vertices, or 1,000 pairs of edges that cross, touch or repeat: none. This bounds the
       time to about a second.
    2. `make_valid`, method "structure", which also makes land of a hole outside its shell; what collapses is
       dropped. `buffer(0)` is never used: it halves a bow-tie without a word.
    3. On the register's grid and valid there, and not too large to be registered, or none.
    4. It must keep at least three quarters of the drawn area and add at most a quarter.
    """
    try:
        check_limits(geometry)
    except GeoRefusal:
        return NoRepair.NOT_LAND
    if int(shapely.get_num_coordinates(geometry)) > MAX_REPAIR_VERTICES:
        return NoRepair.TOO_MANY_VERTICES
    segments, repeats = _segments(geometry)
    places = _meeting_places(segments)
    if places is None or repeats > MAX_REPAIR_CROSSINGS:
        return NoRepair.TOO_MANY_CROSSINGS
    repaired = _on_grid(shapely.make_valid(geometry, method="structure", keep_collapsed=False))
    if repaired is None:
        return NoRepair.NOTHING_LEFT
    try:
        cells(repaired)
    except GeoRefusal:
        return NoRepair.NOT_LAND
    return _proposal(geometry, repaired, places)


def _proposal(drawn: Polygonal, repaired: Polygonal, places: Coordinates) -> Repair | NoRepair:
    before = _enclosed(drawn)
    added = _beyond(repaired, before) if before is not None else repaired
    removed = _beyond(before, repaired) if before is not None else None
    area_before = area_m2(before) if before is not None else None
    area_after = area_m2(repaired)
    change = None
    if area_before is not None:
        moved = max(area_m2(part) if part is not None else 0.0 for part in (added, removed))
        if moved * MILLION > MOST_CHANGE_PPM * area_before:
            return NoRepair.CHANGES_TOO_MUCH
        change = round((area_after - area_before) / area_before * MILLION)
    fault = invalid(drawn).facts
    return Repair(
        lon=float(str(fault["lon"])),
        lat=float(str(fault["lat"])),
        reason=str(fault["reason"]),
        places=tuple((float(x), float(y)) for x, y in places[:_MOST_PLACES]),
        geometry=repaired,
        sha256=digest(repaired),
        area_before_m2=area_before,
        area_after_m2=area_after,
        change_ppm=change,
        added=added,
        removed=removed,
    )


def _on_grid(geometry: BaseGeometry) -> Polygonal | None:
    """The areal part on the register's grid of 1e-9 degrees, canonical and valid; None if nothing is."""
    for candidate in (geometry, shapely.set_precision(geometry, 10.0**-DECIMALS)):
        land = _polygons(candidate)
        if land is None:
            continue
        try:
            return check_valid(canonical(land))
        except GeoRefusal:
            continue
    return None


def _beyond(one: Polygonal, other: Polygonal) -> Polygonal | None:
    """The ground of one that is not the other's, without the crumbs of rounding."""
    return _polygons(shapely.difference(one, other), _CRUMB_DEG2)


def _polygons(geometry: BaseGeometry, more_than: float = 0.0) -> Polygonal | None:
    found = [part for part in _flat(geometry) if isinstance(part, Polygon) and part.area > more_than]
    if not found:
        return None
    return found[0] if len(found) == 1 else MultiPolygon(found)


def _flat(geometry: BaseGeometry) -> Iterator[BaseGeometry]:
    for part in shapely.get_parts(geometry):
        if isinstance(part, MultiPolygon):
            yield from part.geoms
        else:
            yield part


# --- what was drawn -----------------------------------------------------------------------------------------


def _enclosed(geometry: Polygonal) -> Polygonal | None:
    """The ground that an invalid outline encloses as drawn: each shell by the even-odd rule, less its holes
    by the same rule, all parts together.
    """
    parts = []
    for part in parts_of(geometry):
        shell = _even_odd(part.exterior)
        holes = shapely.union_all([_even_odd(hole) for hole in part.interiors])
        parts.append(shapely.difference(shell, holes))
    return _polygons(shapely.set_precision(shapely.union_all(parts), 10.0**-DECIMALS))


def _even_odd(ring: LinearRing) -> BaseGeometry:
    """The faces of a ring that lie to the inside of an odd number of its turns."""
    noded = shapely.unary_union(shapely.linestrings(shapely.get_coordinates(ring)))
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    inside = [face for face in faces if _odd(shapely.get_coordinates(ring), face.representative_point())]
    return shapely.union_all(inside)


def _odd(ring: Coordinates, point: shapely.Point) -> bool:
    """Whether a ray to the east from the point meets the ring an odd number of times."""
    (x0, y0), (x1, y1) = ring[:-1].T, ring[1:].T
    across = (y0 > point.y) != (y1 > point.y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (point.y - y0) / (y1 - y0) * (x1 - x0)
    return bool(np.count_nonzero(across & (at > point.x)) % 2)


# --- crossings ----------------------------------------------------------------------------------------------


def _segments(geometry: Polygonal) -> tuple[Floats, int]:
    """The different edges of all rings, shape (n, 4): x0, y0, x1, y1, the smaller end first; and how many
    pairs of equal edges there were.
    """
    rings = shapely.get_rings(np.array(parts_of(geometry), dtype=object))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    edge = np.flatnonzero((ring[1:] == ring[:-1]) & (xy[1:] != xy[:-1]).any(axis=1))
    start, end = xy[edge], xy[edge + 1]
    turned = (start[:, 0] > end[:, 0]) | ((start[:, 0] == end[:, 0]) & (start[:, 1] > end[:, 1]))
    start, end = np.where(turned[:, None], end, start), np.where(turned[:, None], start, end)
    edges, times = np.unique(np.hstack([start, end]), axis=0, return_counts=True)
    return edges, int((times * (times - 1) // 2).sum())


def _meeting_places(segments: Floats) -> Coordinates | None:
    """Where edges meet other than end to end, shape (k, 2); None if more than 1,000 pairs of edges do."""
    found: list[Coordinates] = []
    count = 0
    rows = max(1, _PAIRS_AT_ONCE // max(1, len(segments)))
    for start in range(0, len(segments), rows):
        some = _crossings(segments[start : start + rows], segments)
        count += len(some)
        if count > 2 * MAX_REPAIR_CROSSINGS:  # each pair is seen from both edges
            return None
        found.append(some)
    if not found:
        return np.empty((0, 2))
    return np.unique(np.round(np.concatenate(found), DECIMALS), axis=0)


def _crossings(some: Floats, every: Floats) -> Coordinates:
    """A point where each pair of one of some edges and one of all meets: crosses, touches inside one of
    them, or runs along it. Edges that share no more than an end do not meet.
    """
    boxes = (some[:, None, 0] <= every[None, :, 2]) & (some[:, None, 2] >= every[None, :, 0])
    low, high = np.minimum(some[:, 1], some[:, 3]), np.maximum(some[:, 1], some[:, 3])
    boxes &= (low[:, None] <= np.maximum(every[:, 1], every[:, 3])[None, :]) & (
        high[:, None] >= np.minimum(every[:, 1], every[:, 3])[None, :]
    )
    i, j = np.nonzero(boxes)
    a, b = some[i], every[j]
    d1, d2 = _offset(a, b[:, :2]), _offset(a, b[:, 2:])
    d3, d4 = _offset(b, a[:, :2]), _offset(b, a[:, 2:])
    along = (d1 == 0.0) & (d2 == 0.0) & _overlap_along(a, b)
    ends = (a[:, :2] == b[:, :2]).all(1) | (a[:, 2:] == b[:, 2:]).all(1)
    ends |= (a[:, :2] == b[:, 2:]).all(1) | (a[:, 2:] == b[:, :2]).all(1)
    meet = ((d1 * d2 <= 0.0) & (d3 * d4 <= 0.0) & ~ends) | along
    meet &= (a != b).any(axis=1)
    span = np.where(d3 == d4, 1.0, d3 - d4)
    share = np.where(d3 == d4, 0.0, d3 / span)
    points: Coordinates = (a[:, :2] + share[:, None] * (a[:, 2:] - a[:, :2]))[meet]
    return points


def _offset(edge: Floats, point: Coordinates) -> Floats:
    """How far points lie to the left of edges, in degrees; what rounding made of nothing is nothing."""
    way = edge[:, 2:] - edge[:, :2]
    to = point - edge[:, :2]
    off = (way[:, 0] * to[:, 1] - way[:, 1] * to[:, 0]) / np.hypot(way[:, 0], way[:, 1])
    off[np.abs(off) < _TOUCHING_DEG] = 0.0
    return off


def _overlap_along(a: Floats, b: Floats) -> NDArray[np.bool_]:
    """Of edges on one line, each smaller end first: whether they share more than a point."""
    upright = (a[:, 0] == a[:, 2]) & (b[:, 0] == b[:, 2])
    low = np.where(upright, np.maximum(a[:, 1], b[:, 1]), np.maximum(a[:, 0], b[:, 0]))
    high = np.where(upright, np.minimum(a[:, 3], b[:, 3]), np.minimum(a[:, 2], b[:, 2]))
    shared: NDArray[np.bool_] = low < high
    return shared
