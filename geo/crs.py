"""Frames: the one in which land is recorded, those in which it arrives, and areas and distances on the
ellipsoid.

Land is recorded in EPSG:4490 (CGCS2000), longitude before latitude, degrees. An edge is a straight line in
those coordinates. WGS 84 degrees are taken over unchanged: the published step between the two frames is a
null step, so what a phone measured is not claimed to better than a metre. All coordinates here are x before y
(`always_xy`).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pyproj
import pyproj.exceptions
import pyproj.transformer
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely import MultiPolygon, Polygon

from geo.errors import (
    AxesNotSwapped,
    AxesSwapped,
    CoordinatesOutOfRange,
    CrsUnknown,
    DatumShiftUnknown,
    FarFromMeridian,
    TooManyVertices,
    ZonePrefixConflict,
)

Polygonal = Polygon | MultiPolygon
Floats = NDArray[np.float64]
Coordinates = NDArray[np.float64]
CrsInput = str | int | pyproj.CRS

STORE_EPSG: Final = 4490
STORE_CRS: Final = pyproj.CRS.from_epsg(STORE_EPSG)
WGS84: Final = pyproj.CRS.from_epsg(4326)
GEOD: Final = pyproj.Geod(ellps="GRS80")
SEMI_MAJOR_M: Final = 6_378_137.0
FLATTENING: Final = 1 / 298.257222101
SEMI_MINOR_M: Final = SEMI_MAJOR_M * (1 - FLATTENING)
ECCENTRICITY: Final = float(np.sqrt(FLATTENING * (2 - FLATTENING)))

MU_PER_M2: Final = 3 / 2000  # 1 mu = 2000/3 m2, 15 mu = 1 ha
DENSIFY_STEP_M: Final = 100.0  # a straight line of this length bends by 0.1 mm at latitude 30, 0.6 mm at 70
DENSIFY_STEP_DEG: Final = 0.001
MAX_DENSIFIED_VERTICES: Final = 1_000_000

ALBERS: Final = "+proj=aea +lat_0=0 +lon_0=105 +lat_1=25 +lat_2=47 +x_0=0 +y_0=0 +ellps=GRS80"

_NULL_STEP_EPSG: Final = frozenset({4490, 4326, 4979, 4480})
_NULL_STEP_AUTHORITY: Final = frozenset({("OGC", "CRS84"), ("OGC", "CRS84H")})
_REFUSED_DATUMS: Final = (
    "beijing 1954",
    "beijing_1954",
    "xian 1980",
    "xian_1980",
    "new beijing",
    "new_beijing",
)
_AUTHORITY: Final = re.compile(
    r"(?:urn:ogc:def:crs:)?(EPSG|OGC|ESRI):{1,2}(?:[0-9.]*:)?([A-Za-z0-9]{2,10})", re.I
)
_WKT_DATUM: Final = re.compile(r"""(\bDATUM\s*\[\s*)"([^"]*)\"""", re.I)
_CGCS2000_NAMES: Final = frozenset({"cgcs2000", "china2000", "chinageodeticcoordinatesystem2000"})
_MAX_WKT_CHARACTERS: Final = 65_536
_WEST_OF_CHINA: Final = (73.0, 26.0, 50.0)  # longitude from; latitude from, to
_MAX_EASTING_FROM_MERIDIAN_M: Final = 1_200_000.0
_PREFIXED_EASTINGS_M: Final = (13e6, 46e6)


def mu(area_m2: float) -> float:
    """Square metres in mu (1 ha = 15 mu)."""
    return area_m2 * MU_PER_M2


# --- coordinate systems -------------------------------------------------------------------------------------


def parse_crs(given: CrsInput) -> pyproj.CRS:
    """The horizontal coordinate system of an EPSG number, an authority code, a URN or a WKT text.

    PROJ strings and names are not read: they may point at files. An equivalent EPSG definition takes the
    place of a WKT text, so that the same system has one spelling. Raises CrsUnknown, DatumShiftUnknown.
    """
    crs = _horizontal(given if isinstance(given, pyproj.CRS) else _read_crs(given))
    if not (crs.is_geographic or crs.is_projected):
        raise CrsUnknown(crs=_short(crs.name))
    datum = _datum_name(crs)
    if any(name in datum.lower() for name in _REFUSED_DATUMS):
        raise DatumShiftUnknown(datum=datum)
    epsg = crs.to_epsg(min_confidence=70)
    return crs if epsg is None else pyproj.CRS.from_epsg(epsg)


def crs_text(crs: pyproj.CRS) -> str:
    """One spelling of a system: `AUTHORITY:CODE` where there is one, else WKT2."""
    authority = crs.to_authority(min_confidence=70)
    return ":".join(authority) if authority else crs.to_wkt("WKT2_2019")


def _read_crs(given: str | int) -> pyproj.CRS:
    try:
        if isinstance(given, int):
            return pyproj.CRS.from_epsg(given)
        text = given.strip("\ufeff\x00 \t\r\n")
        if match := _AUTHORITY.fullmatch(text):
            return pyproj.CRS.from_authority(match[1].upper(), match[2].upper())
        if len(text) > _MAX_WKT_CHARACTERS or "[" not in text or "grids" in text.lower():
            raise CrsUnknown(crs=_short(text))
        return pyproj.CRS.from_wkt(_WKT_DATUM.sub(_known_datum, text))
    except pyproj.exceptions.CRSError as error:
        raise CrsUnknown(crs=_short(str(given))) from error


def _known_datum(found: re.Match[str]) -> str:
    """Chinese programs call CGCS2000 by many names; PROJ knows one. The ellipsoid is still compared."""
    plain = re.sub(r"[^a-z0-9]", "", found[2].lower())
    known = plain in _CGCS2000_NAMES or plain.removeprefix("d") in _CGCS2000_NAMES
    return f'{found[1]}"D_China_2000"' if known else found[0]


def _horizontal(crs: pyproj.CRS) -> pyproj.CRS:
    while crs.is_compound:
        crs = crs.sub_crs_list[0]
    if crs.is_bound and crs.source_crs is not None:
        crs = crs.source_crs
    return crs.to_2d() if len(crs.axis_info) > 2 else crs


def _datum_name(crs: pyproj.CRS) -> str:
    return crs.datum.name if crs.datum is not None else ""


def _short(text: str) -> str:
    return text if len(text) <= 120 else text[:117] + "..."


def is_store_frame(crs: pyproj.CRS) -> bool:
    """Whether coordinates of this system are taken over as they are: degrees of CGCS2000 or WGS 84."""
    if not crs.is_geographic:
        return False
    if crs.to_epsg(min_confidence=70) in _NULL_STEP_EPSG:
        return True
    authority = crs.to_authority(min_confidence=70)
    return authority is not None and tuple(authority) in _NULL_STEP_AUTHORITY


@dataclass(frozen=True, slots=True)
class _Step:
    """How one system is left for, and reached from, the store. `metres` is None for degrees."""

    forward: Callable[[Coordinates], Coordinates] | None
    back: Callable[[Coordinates], Coordinates] | None
    step: float | None
    false_easting: float | None


@lru_cache(maxsize=64)
def _step(srs: str) -> _Step:
    crs = parse_crs(srs) if "[" in srs or ":" in srs else pyproj.CRS(srs)
    if is_store_frame(crs):
        return _Step(None, None, None, None)
    hub = _hub(crs)
    forward = pyproj.Transformer.from_crs(crs, hub, always_xy=True)
    back = pyproj.Transformer.from_crs(hub, crs, always_xy=True)
    step = DENSIFY_STEP_M / crs.axis_info[0].unit_conversion_factor if crs.is_projected else None
    return _Step(_apply(forward), _apply(back), step, _false_easting(crs))


def _hub(crs: pyproj.CRS) -> pyproj.CRS:
    """The degrees through which a system reaches the store: CGCS2000 itself, else WGS 84 and its null step.

    Straight to CGCS2000 there is no published step from most datums, and PROJ would then move nothing, 100 m
    and more off. Refuses a datum without a published step to WGS 84 either (DatumShiftUnknown).
    """
    base = crs.geodetic_crs
    if base is not None and base.to_2d().to_epsg(min_confidence=70) == STORE_EPSG:
        return STORE_CRS
    if base is None or not is_store_frame(base.to_2d()):
        steps = pyproj.transformer.TransformerGroup(crs, WGS84, always_xy=True).transformers
        if not any("ballpark" not in step.description.lower() for step in steps):
            raise DatumShiftUnknown(datum=_datum_name(crs))
    return WGS84


def _apply(transformer: pyproj.Transformer) -> Callable[[Coordinates], Coordinates]:
    def run(xy: Coordinates) -> Coordinates:
        x, y = transformer.transform(xy[:, 0], xy[:, 1])
        return np.column_stack([x, y])

    return run


def _false_easting(crs: pyproj.CRS) -> float | None:
    operation = crs.coordinate_operation
    if operation is None or "Transverse Mercator" not in operation.method_name:
        return None
    return next((float(p.value) for p in operation.params if p.name == "False easting"), None)


# --- moving geometries --------------------------------------------------------------------------------------


def to_store(geometry: Polygonal, source_crs: CrsInput, *, swapped: bool = False) -> Polygonal:
    """Bring a polygon to EPSG:4490, longitude before latitude.

    0. `swapped` says that the file has northing before easting, or latitude before longitude; they are
       exchanged. If they were not, it is refused (AxesNotSwapped).
    1. Each vertex must be a place in the source system (bounds, zone prefix, axis order, finite, and back
       again).
    2. Projected edges are cut into pieces of at most 100 m, so that the recorded edge follows the drawn one
       to 1 mm.
    3. The vertices are transformed.

    Does not round and does not judge validity: `polygon.canonical` and `polygon.check_valid` do.
    Raises CrsUnknown, DatumShiftUnknown, CoordinatesOutOfRange, AxesSwapped, ZonePrefixConflict,
    TooManyVertices.
    """
    if swapped:
        try:
            return to_store(swapped_axes(geometry), source_crs)
        except AxesSwapped as refusal:
            raise AxesNotSwapped(x=refusal.facts["y"], y=refusal.facts["x"]) from refusal
    step = _step(_srs(source_crs))
    vertices = shapely.get_coordinates(geometry)
    _check_source(vertices, step)
    if step.forward is None:
        return shapely.force_2d(geometry)
    _check_place(vertices, step)
    forward, length = step.forward, step.step
    return map_rings(geometry, lambda ring: forward(ring if length is None else densify(ring, length)))


def swapped_axes(geometry: Polygonal) -> Polygonal:
    """The polygon with its two axes exchanged."""
    return shapely.transform(geometry, lambda xy: xy[:, ::-1])


def from_store(geometry: Polygonal, target_crs: CrsInput) -> Polygonal:
    """Bring a recorded polygon to another system, its edges cut to 0.001 degrees where they would bend."""
    step = _step(_srs(target_crs))
    if step.back is None:
        return shapely.force_2d(geometry)
    back = step.back
    cut = step.step is not None
    return map_rings(geometry, lambda ring: back(densify(ring, DENSIFY_STEP_DEG) if cut else ring))


def _srs(crs: CrsInput) -> str:
    if isinstance(crs, pyproj.CRS):
        return str(crs.srs)
    return f"EPSG:{crs}" if isinstance(crs, int) else crs


def _check_source(xy: Coordinates, step: _Step) -> None:
    finite = np.isfinite(xy).all(axis=1)
    if not finite.all():
        raise _out_of_range(xy[~finite][0])
    if step.step is None and step.forward is None:
        check_degrees(xy)
        _check_polar(xy)
    if step.false_easting is not None:
        _check_easting(xy, step.false_easting)


def check_degrees(xy: Coordinates) -> None:
    """Refuse what is not a longitude and a latitude (CoordinatesOutOfRange, AxesSwapped)."""
    bad = ~((np.abs(xy[:, 0]) <= 180.0) & (np.abs(xy[:, 1]) <= 90.0))
    if not bad.any():
        return
    x, y = xy[bad][0]
    if abs(x) <= 90.0 < abs(y) <= 180.0:
        raise AxesSwapped(x=float(x), y=float(y))
    raise _out_of_range(xy[bad][0])


def _check_polar(xy: Coordinates) -> None:
    """The west of China with its axes exchanged would lie in the Arctic Ocean, where there is no land."""
    (south, west), (north, east) = xy.min(axis=0, initial=np.inf), xy.max(axis=0, initial=-np.inf)
    if (
        _WEST_OF_CHINA[0] <= west
        and east <= 90.0
        and _WEST_OF_CHINA[1] <= south
        and north <= _WEST_OF_CHINA[2]
    ):
        raise AxesSwapped(x=float(xy[0, 0]), y=float(xy[0, 1]))


def _check_easting(xy: Coordinates, false_easting: float) -> None:
    """Transverse Mercator: an easting far from its meridian is a wrong zone prefix or a northing."""
    bad = np.abs(xy[:, 0] - false_easting) > _MAX_EASTING_FROM_MERIDIAN_M
    if not bad.any():
        return
    x, y = (float(v) for v in xy[bad][0])
    low, high = _PREFIXED_EASTINGS_M
    if (low <= x < high) != (low <= false_easting < high) and 0 <= y <= 10.1e6 and (x >= low or 0 < x < 1e6):
        raise ZonePrefixConflict(x=x, false_easting=false_easting)
    if abs(y - false_easting) <= _MAX_EASTING_FROM_MERIDIAN_M and abs(x) <= 10.1e6:
        raise AxesSwapped(x=x, y=y)
    raise CoordinatesOutOfRange(x=x, y=y)


def _check_place(xy: Coordinates, step: _Step) -> None:
    assert step.forward is not None
    assert step.back is not None
    degrees = step.forward(xy)
    inside = (np.abs(degrees[:, 0]) <= 180.0) & (np.abs(degrees[:, 1]) <= 90.0)  # False for inf and nan
    if not inside.all():
        raise _out_of_range(xy[~inside][0])
    if step.step is None:
        return
    again = step.back(degrees)
    off = ~(np.abs(again - xy).max(axis=1) <= step.step * 1e-4)
    if off.any():
        raise _out_of_range(xy[off][0])


def _out_of_range(point: Coordinates) -> CoordinatesOutOfRange:
    return CoordinatesOutOfRange(x=_plain(point[0]), y=_plain(point[1]))


def _plain(value: float) -> float | str:
    """JSON knows no NaN."""
    return float(value) if np.isfinite(value) else str(float(value))


_THREE_DEGREE_ZONES: Final = range(4513, 4555)
FAR_FROM_MERIDIAN_DEG: Final = 2.0


def far_from_meridian(crs: CrsInput, bounds: Floats) -> list[tuple[int, FarFromMeridian]]:
    """Which of the outlines with these bounds (n, 4; degrees) lie more than 2 degrees from the central
    meridian of the 3-degree zone that they came in, half a degree beyond the zone's edge.

    To be said, not refused: areas are taken on the ellipsoid and are right in any zone. It is mostly the
    wrong zone that was declared, and then the land lies elsewhere.
    """
    known = parse_crs(crs)
    if known.to_epsg(min_confidence=70) not in _THREE_DEGREE_ZONES:
        return []
    meridian = _central_meridian(known)
    away = np.maximum(np.abs(bounds[:, 0] - meridian), np.abs(bounds[:, 2] - meridian))
    return [
        (int(n), FarFromMeridian(meridian=meridian, away_degrees=round(float(away[n]), 2)))
        for n in np.flatnonzero(away > FAR_FROM_MERIDIAN_DEG)
    ]


def _central_meridian(crs: pyproj.CRS) -> float:
    assert crs.coordinate_operation is not None
    named = (p.value for p in crs.coordinate_operation.params if p.name == "Longitude of natural origin")
    return float(next(named))


def map_rings(geometry: Polygonal, change: Callable[[Coordinates], Coordinates]) -> Polygonal:
    """The polygon whose rings (closed, shape (n, 2)) are the changed rings of `geometry`."""
    parts = [
        Polygon(
            change(shapely.get_coordinates(part.exterior)),
            [change(shapely.get_coordinates(hole)) for hole in part.interiors],
        )
        for part in parts_of(geometry)
    ]
    return parts[0] if isinstance(geometry, Polygon) else MultiPolygon(parts)


def parts_of(geometry: Polygonal) -> list[Polygon]:
    """The non-empty polygons of a polygon or multipolygon."""
    parts = [geometry] if isinstance(geometry, Polygon) else list(geometry.geoms)
    return [part for part in parts if not part.is_empty]


def densify(ring: Coordinates, step: float) -> Coordinates:
    """Cut each edge of a closed ring (n, 2) into equal pieces no longer than `step`.

    The new points do not depend on the direction of the edge, so neighbours get the same ones.
    """
    start, end = ring[:-1], ring[1:]
    pieces = np.maximum(np.ceil(np.hypot(*(end - start).T) / step), 1.0)
    if pieces.sum() > MAX_DENSIFIED_VERTICES:
        raise TooManyVertices(count=int(min(pieces.sum(), 1e15)), limit=MAX_DENSIFIED_VERTICES)
    count = pieces.astype(np.int64)
    if int(count.sum()) == len(start):
        return ring
    edge = np.repeat(np.arange(len(start)), count)
    k = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    turned = (start[:, 0] > end[:, 0]) | ((start[:, 0] == end[:, 0]) & (start[:, 1] > end[:, 1]))
    low = np.where(turned[:, None], end, start)
    high = np.where(turned[:, None], start, end)
    share = np.where(turned[edge], count[edge] - k, k) / count[edge]
    points = low[edge] + (high - low)[edge] * share[:, None]
    points[k == 0] = start
    return np.concatenate([points, ring[-1:]])


# --- the ellipsoid ------------------------------------------------------------------------------------------


def _zone(lat_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """F of E-A2: b^2/2 * F is the ellipsoid's area per radian of longitude between the equator and a
    latitude.
    """
    sine = np.sin(lat_rad)
    e = ECCENTRICITY
    f: Floats = sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e
    return f


def pixel_area_m2(lat_deg: ArrayLike, dlat_deg: ArrayLike, dlon_deg: float) -> NDArray[np.float64]:
    """Area on the GRS80 ellipsoid of cells with these centre latitudes, heights and width, in degrees (E-A2,
    exact).
    """
    centre = np.radians(np.asarray(lat_deg, dtype=np.float64))
    half = np.radians(np.asarray(dlat_deg, dtype=np.float64)) / 2
    band = _zone(centre + half) - _zone(centre - half)
    area: Floats = SEMI_MINOR_M**2 / 2 * np.radians(dlon_deg) * band
    return area


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)


def areas_m2(geometries: Sequence[Polygonal]) -> NDArray[np.float64]:
    """Ground area of each polygon of EPSG:4490, in m2 (E-A1): holes subtracted, parts added.

    The geodesic area of the outline whose edges are straight in longitude and latitude, that is the limit of
    GRS80 geodesic areas as the edges are cut finer. It is the integral of E-A2's F along the edges (six-point
    Gauss, exact to rounding for edges of any parcel), so that parts of a split polygon add up to the whole to
    about 1e-12, which geodesics drawn between far vertices would not do. Polygons across the 180th meridian
    are not supported.
    """
    array = np.empty(len(geometries), dtype=object)
    array[:] = list(geometries)
    parts, owner = shapely.get_parts(array, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    if len(rings) == 0:
        return np.zeros(len(array))
    area = _ring_areas_m2(rings)
    is_shell = np.append(True, part[1:] != part[:-1])
    signed: Floats = np.where(is_shell, area, -area)
    return _sums(owner[part], signed, len(array))


def _ring_areas_m2(rings: NDArray[np.object_]) -> NDArray[np.float64]:
    """Unsigned areas of closed rings."""
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    rad = np.radians(xy)
    first = np.searchsorted(ring, np.arange(len(rings)))
    edge = np.flatnonzero(ring[1:] == ring[:-1])
    owner = ring[edge]
    lat0, lat1 = rad[edge, 1], rad[edge + 1, 1]
    middle, half = (lat0 + lat1) / 2, (lat1 - lat0) / 2
    base = _zone(rad[first, 1])[owner]
    mean = np.zeros(len(edge))
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        mean += weight / 2 * (_zone(middle + half * node) - base)
    strip = mean * (rad[edge + 1, 0] - rad[edge, 0])
    return np.abs(_sums(owner, strip, len(rings))) * (SEMI_MINOR_M**2 / 2)


def _sums(group: NDArray[np.int64], values: Floats, count: int) -> Floats:
    return np.bincount(group, values, minlength=count).astype(np.float64)


def area_m2(geometry: Polygonal) -> float:
    """Ground area of one polygon of EPSG:4490; see `areas_m2`."""
    return float(areas_m2([geometry])[0])


def distance_m(lon0: float, lat0: float, lon1: float, lat1: float) -> float:
    """Length of the GRS80 geodesic between two places."""
    return float(GEOD.inv(lon0, lat0, lon1, lat1)[2])


@dataclass(frozen=True, slots=True)
class LocalFrame:
    """Metres east and north of a place, by the ellipsoid's radii there.

    Linear in longitude and latitude, so straight recorded edges stay straight. For lengths of metres within a
    few kilometres of the place: 10 km away the scale is off by about 1e-3.
    """

    lon_deg: float
    lat_deg: float

    @classmethod
    def around(cls, geometry: Polygonal) -> "LocalFrame":
        west, south, east, north = geometry.bounds
        return cls((west + east) / 2, (south + north) / 2)

    def metres_per_degree(self) -> tuple[float, float]:
        """East, north."""
        lat = np.radians(self.lat_deg)
        w = np.sqrt(1 - (ECCENTRICITY * np.sin(lat)) ** 2)
        east = SEMI_MAJOR_M * np.cos(lat) / w
        north = SEMI_MAJOR_M * (1 - ECCENTRICITY**2) / w**3
        return float(np.radians(east)), float(np.radians(north))

    def to_metres(self, geometry: Polygonal) -> Polygonal:
        scale = np.array(self.metres_per_degree())
        origin = np.array([self.lon_deg, self.lat_deg])
        return shapely.transform(geometry, lambda xy: (xy - origin) * scale)


_ALBERS_STEP: Final = pyproj.Transformer.from_pipeline(
    f"+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step {ALBERS}"
)


def to_albers(geometry: Polygonal) -> Polygonal:
    """A recorded polygon in metres of the national equal-area frame (Albers 25/47/105 on GRS80)."""
    return map_rings(geometry, lambda ring: _apply(_ALBERS_STEP)(densify(ring, DENSIFY_STEP_DEG)))
