"""Rings of numbers as well-known binary (OGC 06-103r4, 8.2), checked on the way."""

import math
import struct
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from geo.errors import CoordinatesOutOfRange, GeometryUnreadable

Points = NDArray[np.float64]

_POLYGON, _MULTI_LINE, _MULTI_POLYGON, _LINE = 3, 5, 6, 2


def polygon_wkb(rings: Iterable[Points]) -> bytes:
    """A polygon of closed rings (n, 2), the outer one first."""
    packed = [_ring(points) for points in rings]
    return struct.pack("<BII", 1, _POLYGON, len(packed)) + b"".join(packed)


def multipolygon_wkb(polygons: Sequence[bytes]) -> bytes:
    """A multipolygon of packed polygons."""
    return struct.pack("<BII", 1, _MULTI_POLYGON, len(polygons)) + b"".join(polygons)


def lines_wkb(lines: Sequence[Points]) -> bytes:
    """A line for each list of points (n, 2) as one geometry."""
    packed = [struct.pack("<BII", 1, _LINE, len(points)) + points.astype("<f8").tobytes() for points in lines]
    return struct.pack("<BII", 1, _MULTI_LINE, len(packed)) + b"".join(packed)


def _ring(points: Points) -> bytes:
    check_finite(points)
    if len(points) < 4:
        raise GeometryUnreadable(reason=f"a ring of {len(points)} positions")
    if points[0, 0] != points[-1, 0] or points[0, 1] != points[-1, 1]:
        raise GeometryUnreadable(reason="a ring that is not closed")
    return struct.pack("<I", len(points)) + points.astype("<f8").tobytes()


def check_finite(points: Points) -> None:
    """Refuse what is not a number that a coordinate can be (CoordinatesOutOfRange)."""
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        x, y = (float(v) for v in points[~finite][0])
        raise CoordinatesOutOfRange(x=_plain(x), y=_plain(y))


def _plain(value: float) -> float | str:
    """JSON knows no NaN."""
    return value if math.isfinite(value) else str(value)
