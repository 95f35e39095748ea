"""Polygons of record: one byte form for one outline, validity, overlap, and the cells by which neighbours are
found.

Everything here is in EPSG:4490, longitude before latitude.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from geo.crossings import check_crossings
from geo.crs import Coordinates, LocalFrame, Polygonal, area_m2, check_degrees, parts_of, to_albers
from geo.errors import (
    CoordinatesOutOfRange,
    GeometryEmpty,
    GeometryInvalid,
    GeometryNotPolygonal,
    GeometryUnreadable,
    TooManyCells,
    TooManyRings,
    TooManyVertices,
)

__all__ = [
    "CELL_M",
    "COARSE_CELL_M",
    "MAX_CELLS",
    "MAX_RINGS",
    "MAX_VERTICES",
    "Overlap",
    "OverlapKind",
    "OverlapRule",
    "Polygonal",
    "canonical",
    "cells",
    "check_limits",
    "check_valid",
    "coarse_cells",
    "coarse_of",
    "difference",
    "digest",
    "from_wkb",
    "intersection",
    "judge_overlaps",
    "judge_together",
    "kind_of",
    "neighbouring_cells",
    "overlap",
    "polygonal",
    "to_wkb",
]

DECIMALS: Final = 9  # 1e-9 degrees are 0.11 mm, so a rounded vertex moves by at most 0.08 mm
MAX_VERTICES: Final = 100_000
MAX_RINGS: Final = 1_000

CELL_M: Final = 512
COARSE_CELL_M: Final = 2048
MAX_CELLS: Final = 4_096
_CELL_MARGIN_M: Final = 1.0
_MAX_BOX_CELLS: Final = 1 << 18
_CELL_OFFSET: Final = 1 << 17
_CELL_STRIDE: Final = 1 << 18

_PLACE_DIGITS: Final = 7
"""Decimals of a degree in the place of a fault: a centimetre."""
_FAULT: Final = re.compile(r"(?P<reason>.*?)\s*\[(?P<x>\S+) (?P<y>[^\]\s]+).*\]")


# --- one form -----------------------------------------------------------------------------------------------


def polygonal(geometry: BaseGeometry | None) -> Polygonal:
    """The geometry as what land can be (GeometryEmpty, GeometryNotPolygonal)."""
    if geometry is None or geometry.is_empty:
        raise GeometryEmpty()
    if not isinstance(geometry, Polygon | MultiPolygon):
        raise GeometryNotPolygonal(found=geometry.geom_type)
    return geometry


def canonical(geometry: Polygonal) -> Polygonal:
    """The one form of an outline: the same ground drawn from another vertex, in another direction, with its
    parts or holes in another order or with a vertex repeated gives the same bytes.

    Two dimensions; vertices on the grid of 1e-9 degrees; no vertex twice in a row; shells anticlockwise and
    holes clockwise, each from its smallest vertex; holes and parts ascending; a single part is a Polygon.
    What rounding made smaller than a triangle is gone (GeometryEmpty if nothing is left). Raises
    CoordinatesOutOfRange.
    """
    polygonal(geometry)
    check_limits(geometry)
    parts: list[tuple[Coordinates, list[Coordinates]]] = []
    for part in parts_of(geometry):
        shell = _ring(shapely.get_coordinates(part.exterior), anticlockwise=True)
        if shell is None:
            continue
        holes = [_ring(shapely.get_coordinates(hole), anticlockwise=False) for hole in part.interiors]
        parts.append((shell, sorted((hole for hole in holes if hole is not None), key=_order)))
    if not parts:
        raise GeometryEmpty()
    parts.sort(key=lambda p: (_order(p[0]), [_order(hole) for hole in p[1]]))
    polygons = [Polygon(shell, holes) for shell, holes in parts]
    return polygons[0] if len(polygons) == 1 else MultiPolygon(polygons)


def _order(ring: Coordinates) -> list[list[float]]:
    return cast("list[list[float]]", ring.tolist())


def _ring(xy: Coordinates, *, anticlockwise: bool) -> Coordinates | None:
    points = np.round(xy[:-1], DECIMALS) + 0.0  # + 0.0 makes -0.0 into 0.0
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    if len(points) < 3:
        return None
    start = int(np.lexsort((points[:, 1], points[:, 0]))[0])
    points = np.roll(points, -start, axis=0)
    x, y = (points - points[0]).T
    twice = float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))
    if (twice > 0) != anticlockwise:
        points = np.roll(points[::-1], 1, axis=0)
    return np.concatenate([points, points[:1]])


def to_wkb(geometry: Polygonal) -> bytes:
    """Well-known binary, two dimensions, little endian."""
    return shapely.to_wkb(geometry, byte_order=1, output_dimension=2)


def from_wkb(wkb: bytes) -> Polygonal:
    """Raises GeometryUnreadable, GeometryEmpty, GeometryNotPolygonal."""
    try:
        geometry = shapely.from_wkb(wkb)
    except (shapely.errors.GEOSException, ValueError) as error:
        raise GeometryUnreadable(reason=str(error)[:120]) from error
    return polygonal(geometry)


def digest(geometry: Polygonal) -> str:
    """SHA-256 (hex) of the WKB of the canonical form."""
    return hashlib.sha256(to_wkb(canonical(geometry))).hexdigest()


# --- validity -----------------------------------------------------------------------------------------------


def check_limits(geometry: Polygonal) -> None:
    """Vertices, rings, finite degrees: what must hold before any costly question is asked."""
    count = int(shapely.get_num_coordinates(geometry))
    if count > MAX_VERTICES:
        raise TooManyVertices(count=count, limit=MAX_VERTICES)
    rings = sum(1 + len(part.interiors) for part in parts_of(geometry))
    if rings > MAX_RINGS:
        raise TooManyRings(count=rings, limit=MAX_RINGS)
    check_degrees(shapely.get_coordinates(geometry))


def check_valid(geometry: BaseGeometry | None) -> Polygonal:
    """A polygon on which areas and overlaps mean something; nothing is repaired.

    Raises GeometryEmpty, GeometryNotPolygonal, TooManyVertices, TooManyRings, CoordinatesOutOfRange,
    AxesSwapped, or GeometryInvalid with the reason and the place.
    """
    shape = polygonal(geometry)
    check_limits(shape)
    if not shapely.is_valid(shape):
        raise invalid(shape)
    if area_m2(shape) <= 0.0:
        raise GeometryEmpty()
    return shape


def invalid(geometry: Polygonal) -> GeometryInvalid:
    """The refusal that names what is wrong with an invalid polygon, and where."""
    text = str(shapely.is_valid_reason(geometry))
    match = _FAULT.match(text)
    if match is None:
        west, south, _, _ = geometry.bounds
        return GeometryInvalid(reason=text, lon=round(west, _PLACE_DIGITS), lat=round(south, _PLACE_DIGITS))
    lon, lat = round(float(match["x"]), _PLACE_DIGITS), round(float(match["y"]), _PLACE_DIGITS)
    return GeometryInvalid(reason=match["reason"], lon=lon, lat=lat)


# --- overlap ------------------------------------------------------------------------------------------------


class OverlapKind(StrEnum):
    NONE = "none"
    SLIVER = "sliver"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class OverlapRule:
    """What two parcels may share. The figures are programme data; `name` is shown with every answer."""

    name: str = "overlap-2026"
    none_at_most_m2: float = 1.0
    erosion_m: float = 0.25
    sliver_share_at_most: float = 0.01


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a candidate shares with a neighbour. Shares are of each one's own area; geometry is None for no
    overlap.
    """

    kind: OverlapKind
    area_m2: float
    candidate_share: float
    neighbour_share: float
    geometry: Polygonal | None
    rule: str


def overlap(candidate: Polygonal, neighbour: Polygonal, rule: OverlapRule) -> Overlap:
    """Judge one pair of valid polygons.

    1. The intersection is taken in longitude and latitude; its area is ground area. Up to `none_at_most_m2`:
       none.
    2. A sliver vanishes when eroded by `erosion_m` on the ground and is at most `sliver_share_at_most` of the
       smaller.
    3. Anything else is refused.

    The answer is the same from both sides, with the shares exchanged.
    """
    shared = intersection(candidate, neighbour)
    candidate_m2, neighbour_m2 = area_m2(candidate), area_m2(neighbour)
    shared_m2 = area_m2(shared) if shared is not None else 0.0
    smaller_m2 = min(candidate_m2, neighbour_m2)
    return Overlap(
        kind=kind_of(shared, shared_m2, smaller_m2, rule),
        area_m2=shared_m2,
        candidate_share=shared_m2 / candidate_m2,
        neighbour_share=shared_m2 / neighbour_m2,
        geometry=shared,
        rule=rule.name,
    )


def kind_of(ground: Polygonal | None, ground_m2: float, smaller_m2: float, rule: OverlapRule) -> OverlapKind:
    """What the rule calls some ground that two outlines share, or that one of them lacks: steps 1 to 3 of
    `overlap`. `smaller_m2` is the smaller one's area.
    """
    if ground is None or ground_m2 <= rule.none_at_most_m2:
        return OverlapKind.NONE
    if ground_m2 <= rule.sliver_share_at_most * smaller_m2 and _vanishes(ground, rule.erosion_m):
        return OverlapKind.SLIVER
    return OverlapKind.REFUSED


def difference(a: Polygonal, b: Polygonal) -> Polygonal | None:
    """The ground of `a` that is not `b`'s; None where there is none. Raises TooManyCrossings."""
    check_crossings(a, b)
    return _areal(shapely.difference(a, b))


def intersection(a: Polygonal, b: Polygonal) -> Polygonal | None:
    """The ground that is both's, the same for (a, b) and (b, a); None where there is none. Raises
    TooManyCrossings.
    """
    check_crossings(a, b)
    first, second = (a, b) if to_wkb(a) <= to_wkb(b) else (b, a)
    return _areal(shapely.intersection(first, second))


def judge_overlaps(candidate: Polygonal, neighbours: Sequence[Polygonal], rule: OverlapRule) -> list[Overlap]:
    """One answer for each neighbour, in their order; slivers are also judged together.

    If the slivers together exceed `sliver_share_at_most` of the candidate, all of them are refused: many thin
    strips are as much ground as one wide one. Each pair was already held to the share of its smaller parcel.
    """
    return judge_together([overlap(candidate, neighbour, rule) for neighbour in neighbours], rule)


def judge_together(found: list[Overlap], rule: OverlapRule) -> list[Overlap]:
    """What a candidate shares with each neighbour, its slivers judged together (`judge_overlaps`)."""
    together = sum(one.candidate_share for one in found if one.kind is OverlapKind.SLIVER)
    if together <= rule.sliver_share_at_most:
        return found
    return [
        replace(one, kind=OverlapKind.REFUSED) if one.kind is OverlapKind.SLIVER else one for one in found
    ]


def _areal(geometry: BaseGeometry) -> Polygonal | None:
    polygons = [part for part in _flat(geometry) if isinstance(part, Polygon) and not part.is_empty]
    if not polygons:
        return None
    return polygons[0] if len(polygons) == 1 else MultiPolygon(polygons)


def _flat(geometry: BaseGeometry) -> Iterable[BaseGeometry]:
    parts = shapely.get_parts(geometry)
    for part in parts:
        if isinstance(part, MultiPolygon):
            yield from part.geoms
        else:
            yield cast("BaseGeometry", part)


def _vanishes(geometry: Polygonal, erosion_m: float) -> bool:
    frame = LocalFrame.around(geometry)
    return all(frame.to_metres(part).buffer(-erosion_m).is_empty for part in parts_of(geometry))


# --- cells --------------------------------------------------------------------------------------------------


def cells(geometry: Polygonal) -> list[int]:
    """The 512 m cells of the national equal-area grid that a polygon touches, ascending (TooManyCells above
    4,096).

    Cells within a metre are counted as touched, so polygons that overlap have a cell in common whatever the
    rounding.
    """
    found: set[int] = set()
    for part in parts_of(to_albers(geometry)):
        found.update(_cells_of_part(part))
        if len(found) > MAX_CELLS:
            raise TooManyCells(limit=MAX_CELLS)
    return sorted(found)


def _cells_of_part(part: Polygon) -> list[int]:
    if not np.isfinite(part.bounds).all():
        raise CoordinatesOutOfRange(x=str(part.bounds[0]), y=str(part.bounds[1]))
    m = _CELL_MARGIN_M
    west, south, east, north = part.bounds
    columns = np.arange(np.floor((west - m) / CELL_M), np.floor((east + m) / CELL_M) + 1)
    rows = np.arange(np.floor((south - m) / CELL_M), np.floor((north + m) / CELL_M) + 1)
    if len(columns) * len(rows) > _MAX_BOX_CELLS:
        raise TooManyCells(limit=MAX_CELLS)
    column, row = (a.ravel() for a in np.meshgrid(columns, rows))
    x, y = column * CELL_M, row * CELL_M
    boxes = shapely.box(x - m, y - m, x + CELL_M + m, y + CELL_M + m)
    shapely.prepare(part)
    hit = shapely.intersects(part, boxes)
    ids = (
        (row[hit].astype(np.int64) + _CELL_OFFSET) * _CELL_STRIDE
        + column[hit].astype(np.int64)
        + _CELL_OFFSET
    )
    return cast("list[int]", ids.tolist())


def neighbouring_cells(cells: NDArray[np.int64], reach: int) -> NDArray[np.int64]:
    """The cells and those up to `reach` rows and columns away, ascending."""
    steps = np.arange(-reach, reach + 1, dtype=np.int64)
    away = (steps[:, None] * _CELL_STRIDE + steps[None, :]).ravel()
    return np.unique((cells[:, None] + away[None, :]).ravel())


def coarse_cells(geometry: Polygonal) -> list[int]:
    """The 2,048 m cells that contain the cells of a polygon, ascending: the order in which they are
    locked.
    """
    return coarse_of(cells(geometry))


def coarse_of(touched: Iterable[int]) -> list[int]:
    """The 2,048 m cells that contain these 512 m cells, ascending."""
    ratio = COARSE_CELL_M // CELL_M
    found = set()
    for cell in touched:
        row, column = cell // _CELL_STRIDE - _CELL_OFFSET, cell % _CELL_STRIDE - _CELL_OFFSET
        found.add((row // ratio + _CELL_OFFSET) * _CELL_STRIDE + column // ratio + _CELL_OFFSET)
    return sorted(found)
