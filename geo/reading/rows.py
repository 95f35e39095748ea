"""What a reader is asked for, and what it hands back."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from geo.errors import GeometryEmpty, GeometryNotPolygonal, GeometryUnreadable, GeoRefusal

Attribute = str | int | float | None

_LAND: Final = frozenset({3, 6})
_KINDS: Final = {
    1: "Point", 2: "LineString", 4: "MultiPoint", 5: "MultiLineString", 7: "GeometryCollection",
    8: "CircularString", 9: "CompoundCurve", 10: "CurvePolygon", 11: "MultiCurve", 12: "MultiSurface",
    13: "Curve", 14: "Surface", 15: "PolyhedralSurface", 16: "TIN", 17: "Triangle",
}  # fmt: skip
"""Types of geometry by their numbers (ISO 19125, SQL/MM)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One feature: attributes, and its geometry as WKB or the reason why there is none.

    `drawn` is what the file holds (WKB) where the polygon was made from something else: the walked track.
    """

    attributes: dict[str, Attribute]
    wkb: bytes | None
    problem: GeoRefusal | None = None
    drawn: bytes | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """A file as read.

    `crs` is None if the file states none, and `crs_member` is where it would have stood. `kind` is the format
    by content; `hints` are words in the file that speak of its datum.
    """

    rows: list[Row]
    crs: str | None
    layer: str
    encoding: str
    encoding_source: str
    kind: str
    crs_member: str = ""
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """What to read and within which limits."""

    path: str
    kind: str  # as `kinds.kind_of` tells
    folder: str
    layer: str | None
    encoding: str | None
    max_features: int
    max_unpacked_bytes: int
    seconds: int
    memory_mib: int
    crs_declared: bool


def row_of(attributes: dict[str, Attribute], wkb: bytes | None, drawn: bytes | None = None) -> Row:
    """A row with its geometry as it stands in the file, if that can be a polygon.

    Nothing else reaches the reader of binary geometry, so that no collection nested without end does.
    """
    if wkb is None:
        return Row(attributes, None, GeometryEmpty(), drawn)
    kind = _kind(wkb)
    if kind is not None and kind not in _LAND:
        return Row(attributes, None, GeometryNotPolygonal(found=_KINDS.get(kind, f"type {kind}")), drawn)
    return Row(attributes, wkb, None, drawn)


def understood(rows: list[Row]) -> list[Row]:
    """The rows with their geometry read and written again, or with the reason why it cannot be read.

    It is read here, where a crash costs nothing, and what is handed on is what was understood. Heights and
    measures are left out: land is an outline on the ellipsoid.
    """
    given = [row.wkb for row in rows if row.wkb is not None]
    written = iter(_rewritten(given))
    return [row if row.wkb is None else _with(row, next(written)) for row in rows]


def _with(row: Row, written: bytes | GeometryUnreadable) -> Row:
    if isinstance(written, bytes):
        return Row(row.attributes, written, None, row.drawn)
    return Row(row.attributes, None, written, row.drawn)


def _rewritten(given: list[bytes]) -> list[bytes | GeometryUnreadable]:
    """All at once; one by one only to say what is wrong with which."""
    import shapely

    array = np.empty(len(given), dtype=object)
    array[:] = given
    try:
        with np.errstate(all="ignore"):  # NaN and infinity are judged with the outline
            shapes = shapely.from_wkb(array, on_invalid="ignore")
    except (NotImplementedError, ValueError, TypeError):
        return [_rewritten_one(wkb) for wkb in given]
    written = shapely.to_wkb(shapes, output_dimension=2, byte_order=1)
    return [
        one if isinstance(one, bytes) else _rewritten_one(wkb)
        for one, wkb in zip(written.tolist(), given, strict=True)
    ]


def _rewritten_one(wkb: bytes) -> bytes | GeometryUnreadable:
    import shapely

    try:
        return bytes(shapely.to_wkb(shapely.from_wkb(wkb), output_dimension=2, byte_order=1))
    except (shapely.errors.GEOSException, ValueError, TypeError, NotImplementedError) as error:
        return GeometryUnreadable(reason=str(error)[:120])


def _kind(wkb: bytes) -> int | None:
    """The type of a geometry without its dimensions, in ISO's numbers or with PostGIS's flags."""
    if len(wkb) < 5 or wkb[0] > 1:
        return None
    return (int.from_bytes(wkb[1:5], "little" if wkb[0] else "big") & 0x1FFFFFFF) % 1000
