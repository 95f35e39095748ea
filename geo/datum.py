"""The datums of Chinese web maps: what GCJ-02 and BD-09 do to a coordinate, undone, and what speaks for them.

GCJ-02 moves a WGS 84 place by 300 to 700 m, BD-09 moves GCJ-02 on by as much again. Neither has an official
public definition; the formulas here are the ones that all public converters share (Krasovsky's ellipsoid, a
polynomial and sines in degrees from 105 E 35 N). Both leave what lies outside a rectangle around China alone
(`EXTENT`), here also BD-09; that rectangle is part of the formula, not a border of anything.

Degrees, longitude before latitude. CGCS2000 and WGS 84 are one frame here (`geo.crs`).
"""

from enum import StrEnum
from typing import Final

import numpy as np
import pyproj
import shapely

from geo.crs import (
    DENSIFY_STEP_DEG,
    Coordinates,
    Floats,
    Polygonal,
    densify,
    distance_m,
    map_rings,
    parse_crs,
)
from geo.errors import DatumConflict

__all__ = [
    "EXTENT",
    "SHIFTED",
    "Datum",
    "check_datum_fits",
    "from_wgs84",
    "may_be_shifted",
    "shift_m",
    "to_wgs84",
]


class Datum(StrEnum):
    """What the uploader says of a file's degrees. `AS_STATED`: nothing was said beyond the file's system;
    `WGS84` and `CGCS2000`: it is the system, and suspicion is answered; `GCJ02` and `BD09`: to be converted.
    """

    AS_STATED = "as_stated"
    WGS84 = "wgs84"
    CGCS2000 = "cgcs2000"
    GCJ02 = "gcj02"
    BD09 = "bd09"


SHIFTED: Final = (Datum.GCJ02, Datum.BD09)
EXTENT: Final = (72.004, 0.8293, 137.8347, 55.8271)  # west, south, east, north

_WEB_MERCATOR: Final = frozenset({3857, 900913, 3785})
_DEGREES: Final = frozenset({4490, 4326, 4979, 4480})

_KRASOVSKY_A_M: Final = 6_378_245.0
_KRASOVSKY_E2: Final = 0.00669342162296594323
_ORIGIN: Final = (105.0, 35.0)
_BAIDU_TURN: Final = np.pi * 3000.0 / 180.0
_BAIDU_OFFSET: Final = np.array([0.0065, 0.006])

_CONVERGED_DEG: Final = 1e-11  # far inside the 1e-9 degrees of a recorded vertex
_MOST_STEPS: Final = 30

# A straight line of this length in the shifted degrees bends by at most 0.6 mm when it is brought back.
_CUT_DEG: Final = {Datum.GCJ02: DENSIFY_STEP_DEG, Datum.BD09: DENSIFY_STEP_DEG / 5}


# --- there and back -----------------------------------------------------------------------------------------


def to_wgs84(geometry: Polygonal, datum: Datum) -> Polygonal:
    """Bring degrees of GCJ-02 or BD-09 to WGS 84; every other datum is left as it is.

    An edge is a straight line in the degrees it was drawn in, so it is cut (100 m, BD-09 20 m) before its
    points are moved. Each point is iterated until it moves by less than 1e-11 degrees.
    """
    if datum not in SHIFTED:
        return geometry
    return map_rings(geometry, lambda ring: unshifted(densify(ring, _CUT_DEG[datum]), datum))


def from_wgs84(geometry: Polygonal, datum: Datum) -> Polygonal:
    """The forward transform of every vertex, as converters do it: for tests and fixtures."""
    if datum not in SHIFTED:
        return geometry
    return map_rings(geometry, lambda ring: shifted(ring, datum))


def shifted(xy: Coordinates, datum: Datum) -> Coordinates:
    """Places of WGS 84, shape (n, 2), as the datum shows them."""
    if datum not in SHIFTED:
        return xy
    moved = xy + _gcj_shift(xy)
    if datum is Datum.BD09:
        moved = _baidu(moved)
    return np.where(_inside(xy)[:, None], moved, xy)


def unshifted(xy: Coordinates, datum: Datum) -> Coordinates:
    """Places of the datum, shape (n, 2), in WGS 84: the fixed point of x = y - shift(x).

    The shift changes by at most 2 % of a step, so every round gains two digits; one round alone leaves
    metres.
    """
    if datum not in SHIFTED:
        return xy
    inside = _inside(xy)
    drawn = xy[inside]
    place = drawn
    for _ in range(_MOST_STEPS):
        forward = place + _gcj_shift(place)
        error = (_baidu(forward) if datum is Datum.BD09 else forward) - drawn
        place = place - error
        if not np.abs(error).max(initial=0.0) > _CONVERGED_DEG:
            break
    back = np.array(xy, dtype=np.float64)
    back[inside] = place
    return back


def shift_m(lon: float, lat: float, datum: Datum) -> float:
    """How far a place that was drawn in the datum lies from where its degrees say, in metres."""
    back = unshifted(np.array([[lon, lat]]), datum)[0]
    return distance_m(lon, lat, float(back[0]), float(back[1]))


def _inside(xy: Coordinates) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    west, south, east, north = EXTENT
    x, y = xy[:, 0], xy[:, 1]
    return (x >= west) & (x <= east) & (y >= south) & (y <= north)


def _gcj_shift(xy: Coordinates) -> Coordinates:
    """Degrees by which GCJ-02 moves places of WGS 84."""
    x, y = xy[:, 0] - _ORIGIN[0], xy[:, 1] - _ORIGIN[1]
    root = np.sqrt(np.abs(x))
    ripple = _sines(x, (20.0, 6.0), (20.0, 2.0))
    east_m = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root
    east_m += ripple + _sines(x, (20.0, 1.0), (40.0, 1 / 3), (150.0, 1 / 12), (300.0, 1 / 30))
    north_m = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root
    north_m += ripple + _sines(y, (20.0, 1.0), (40.0, 1 / 3), (160.0, 1 / 12), (320.0, 1 / 30))
    lat = np.radians(xy[:, 1])
    w2 = 1.0 - _KRASOVSKY_E2 * np.sin(lat) ** 2
    prime_vertical = _KRASOVSKY_A_M / np.sqrt(w2)
    meridian = prime_vertical * (1.0 - _KRASOVSKY_E2) / w2
    radians = np.column_stack([east_m / (prime_vertical * np.cos(lat)), north_m / meridian])
    shift: Coordinates = np.degrees(radians)
    return shift


def _sines(at: Floats, *waves: tuple[float, float]) -> Floats:
    """Two thirds of a sum of sines; a wave is its amplitude in metres and its half turns per degree."""
    total: Floats = np.zeros(len(at))
    for amplitude, frequency in waves:
        total += amplitude * np.sin(at * (frequency * np.pi))
    thirds: Floats = total * (2.0 / 3.0)
    return thirds


def _baidu(xy: Coordinates) -> Coordinates:
    """Places of GCJ-02 in BD-09: a small wave in radius and angle about (0, 0), and an offset."""
    x, y = xy[:, 0], xy[:, 1]
    radius = np.hypot(x, y) + 2e-5 * np.sin(y * _BAIDU_TURN)
    angle = np.arctan2(y, x) + 3e-6 * np.cos(x * _BAIDU_TURN)
    turned: Coordinates = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    return turned + _BAIDU_OFFSET


# --- which files it concerns --------------------------------------------------------------------------------


def may_be_shifted(crs: str | int | pyproj.CRS) -> bool:
    """Whether coordinates of a web map may stand in a file of this system: WGS 84 or CGCS2000 degrees, and
    Web Mercator, in which such maps are drawn. A file in a projected CGCS2000 zone came from a survey.
    """
    epsg = parse_crs(crs).to_epsg(min_confidence=70)
    if epsg is not None:
        return epsg in _DEGREES or epsg in _WEB_MERCATOR
    return parse_crs(crs).to_authority(min_confidence=70) in {("OGC", "CRS84"), ("OGC", "CRS84H")}


def check_datum_fits(crs: str | int | pyproj.CRS, datum: Datum) -> None:
    """Refuse a declared GCJ-02 or BD-09 for a file whose system cannot hold it (DatumConflict)."""
    if datum in SHIFTED and not may_be_shifted(crs):
        raise DatumConflict(crs=str(crs), datum=datum.value)


def in_extent(geometry: Polygonal) -> bool:
    """Whether a whole outline lies where the shifted datums shift."""
    return bool(_inside(shapely.get_coordinates(geometry)).all())
