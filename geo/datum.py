"""The datums of Chinese web maps: what GCJ-02 and BD-09 do to a coordinate, undone, and what speaks for them.

GCJ-02 moves a WGS 84 place by 300 to 700 m, BD-09 moves GCJ-02 on by as much again. Neither has an official
public definition; the formulas here are the ones that all public converters share (Krasovsky's ellipsoid, a
polynomial and sines in degrees from 105 E 35 N). Both leave what lies outside a rectangle around China alone
(`EXTENT`), here also BD-09; that rectangle is part of the formula, not a border of anything.

Degrees, longitude before latitude. CGCS2000 and WGS 84 are one frame here (`geo.crs`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from geo.crossings import comparable
from geo.crs import (
    DENSIFY_STEP_DEG,
    Coordinates,
    Floats,
    LocalFrame,
    Polygonal,
    densify,
    distance_m,
    map_rings,
    parse_crs,
)
from geo.errors import DatumConflict, DatumSuspected
from geo.ragged import shapes_of

__all__ = [
    "DECISIVE",
    "EXTENT",
    "MAINLAND",
    "MOST_ROWS_WEIGHED",
    "SHIFTED",
    "Datum",
    "DatumVerdict",
    "Evidence",
    "check_datum_fits",
    "from_wgs84",
    "judge_datum",
    "may_be_shifted",
    "on_mainland",
    "shift_m",
    "to_wgs84",
    "unshifted",
]

Mask = NDArray[np.bool_]


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
MAINLAND: Final = (73.4, 18.1, 135.2, 53.6)  # only what lies in here is ever suspected

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
    turned += _BAIDU_OFFSET
    return turned


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


def on_mainland(geometry: Polygonal) -> bool:
    """Whether an outline lies in the rectangle around mainland China in which it may be suspected."""
    west, south, east, north = geometry.bounds
    return MAINLAND[0] <= west and south >= MAINLAND[1] and east <= MAINLAND[2] and north <= MAINLAND[3]


# --- suspicion ----------------------------------------------------------------------------------------------

DECISIVE: Final = 100
MOST_ROWS_WEIGHED: Final = 200

_TWIN_POINTS: Final = 100
_BORDER_POINTS: Final = 100  # for a row of whose outline 30 % or more runs along registered borders
_BORDER_SHARE: Final = 0.3
_COUNTY_POINTS, _COUNTY_MOST = 8, 60
_FREED_POINTS, _FREED_MOST = 10, 50
_COVERED_POINTS, _COVERED_MOST = 20, 100
_NAME_POINTS, _VENDOR_POINTS = 100, 40

_NAMES: Final = {
    Datum.GCJ02: ("gcj02", "gcj-02", "gcj_02", "gcj 02", "火星坐标", "国测局坐标", "mars coordinates"),
    Datum.BD09: ("bd09", "bd-09", "bd_09", "bd 09", "bd09ll", "bd09mc", "百度坐标"),
}
_VENDORS: Final = {
    Datum.GCJ02: ("amap", "autonavi", "gaode", "高德", "tencent", "腾讯", "qqmap", "datav"),
    Datum.BD09: ("baidu", "百度"),
}

_TWIN_SHARE: Final = 0.98
_ALONG_M: Final = 2.0
_BORDER_STEP_M: Final = 5.0
_MOST_STEPS_OF_A_ROW: Final = 400
_LEAST_RUN: Final = 3
_LEAST_BORDER_M: Final = 20.0
_ON_GROUND_SHARE: Final = 0.01
_IN_COUNTY_SHARE, _OUT_OF_COUNTY_SHARE = 0.99, 0.5
_MOST_VERTICES: Final = 20_000
_MOST_VERTICES_WEIGHED: Final = 200_000
_AROUND_DEG: Final = np.array([-0.02, -0.02, 0.02, 0.02])  # more than BD-09 moves


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for one shifted datum, and against it. Rows are counted of those that were weighed.

    Once converted: `twins` are rows that equal a registered parcel to 98 %; `bordering` rows run along
    registered borders (within 2 m, for 20 m and more) and lie on nobody's ground, for `border_m` in all;
    `freed` rows lie on registered ground only as stated, `covered` ones only converted; the county of
    `in_county` rows contains them only converted. `*_as_stated` are the same counts the other way round.
    """

    datum: Datum
    points: int = 0
    against: int = 0
    twins: int = 0
    twins_as_stated: int = 0
    bordering: int = 0
    bordering_as_stated: int = 0
    border_m: int = 0
    freed: int = 0
    covered: int = 0
    in_county: int = 0
    in_county_as_stated: int = 0
    words: tuple[str, ...] = ()

    @property
    def wins(self) -> bool:
        """Whether it wins clearly: decisive on its own, and after twice what speaks for the file."""
        return self.points >= DECISIVE + 2 * self.against

    def facts(self) -> dict[str, object]:
        """For a report: whole numbers and words."""
        counts = (
            "points", "against", "twins", "twins_as_stated", "bordering", "bordering_as_stated", "border_m",
            "freed", "covered", "in_county", "in_county_as_stated",
        )  # fmt: skip
        return {"datum": self.datum.value, "words": list(self.words)} | {
            name: getattr(self, name) for name in counts
        }


@dataclass(frozen=True, slots=True)
class DatumVerdict:
    """What a batch says of its datum. `hypothesis` is AS_STATED unless another wins clearly; then `shift_m`
    is how far its middle would move. `weighed` rows were looked at of those that have neighbours or a county.
    """

    hypothesis: Datum
    shift_m: int
    weighed: int
    evidence: tuple[Evidence, ...]

    @property
    def suspected(self) -> bool:
        return self.hypothesis is not Datum.AS_STATED

    def refusal(self) -> DatumSuspected | None:
        """The refusal until the uploader says which datum it is; None if nothing is suspected."""
        for one in self.evidence:
            if one.datum is self.hypothesis:
                return DatumSuspected(
                    hypothesis=one.datum.value,
                    shift_m=self.shift_m,
                    weighed=self.weighed,
                    twins=one.twins,
                    bordering=one.bordering,
                    border_m=one.border_m,
                    freed=one.freed,
                    in_county=one.in_county,
                    words=" ".join(one.words) or "-",
                    evidence=[each.facts() for each in self.evidence],
                )
        return None


def judge_datum(
    shapes: Sequence[Polygonal],
    *,
    registered: Sequence[Polygonal],
    counties: Mapping[str, Polygonal],
    county_of: Sequence[str | None],
    hints: Sequence[str] = (),
) -> DatumVerdict:
    """Weigh three hypotheses on a whole batch: its degrees are as stated, GCJ-02, or BD-09.

    `shapes` are valid outlines in degrees as stated, `county_of` their county codes; `registered` is ground
    near them and `counties` outlines by code, both trusted to be CGCS2000; `hints` are words of the file.

    1. Twin: a row that under a hypothesis is a registered parcel to 98 % of their union: 100 points.
    2. Border: a row that under it runs along registered borders and lies on nobody's ground: up to 100
       points, full from 30 % of its outline on. Unrelated outlines cross; they do not run together to 2 m.
    3. Ground that becomes free: 10 points a row, at most 50; ground that becomes covered: 20 less, at most
       100.
    4. County: a row that its county contains (99 %) under it and does not (50 %) as stated: 8 points, at most
       60. County lines of two sources differ by more than a hundred metres, so this alone never decides.
    5. Words: the datum's name 100 points, the name of a map that uses it 40.

    What fits only as stated (1, 2, 4) counts against it, twice. At 100 points it wins; of two, the one with
    more. At most 200 rows, spread evenly over those that have something near, are weighed.
    """
    rows = _weighed_rows(shapes, registered, counties, county_of)
    some = [shapes[n] for n in rows]
    ground = _Ground.of(registered)
    homes = [counties.get(county_of[n] or "") for n in rows]
    stated = _Standing.of(some, ground, homes)
    found = []
    for datum in SHIFTED:
        moved = _Standing.of([_moved_back(shape, datum) for shape in some], ground, homes)
        found.append(_compared(datum, stated, moved, hints))
    best = max(found, key=lambda one: (one.wins, one.points - 2 * one.against))
    hypothesis = best.datum if best.wins else Datum.AS_STATED
    return DatumVerdict(hypothesis, _middle_shift_m(shapes, hypothesis), len(rows), tuple(found))


def _weighed_rows(
    shapes: Sequence[Polygonal],
    registered: Sequence[Polygonal],
    counties: Mapping[str, Polygonal],
    county_of: Sequence[str | None],
) -> list[int]:
    """Up to 200 rows, evenly spread: those that have registered ground near, then those of a known county."""
    if not len(shapes):
        return []
    known = np.array([code is not None and code in counties for code in county_of], dtype=bool)
    near = np.zeros(len(shapes), dtype=bool)
    if len(registered):
        boxes = shapely.bounds(np.array(shapes, dtype=object)) + _AROUND_DEG
        near[np.unique(shapely.STRtree(registered).query(shapely.box(*boxes.T))[0])] = True
    beside = _spread(np.flatnonzero(near), MOST_ROWS_WEIGHED)
    others = _spread(np.flatnonzero(known & ~near), MOST_ROWS_WEIGHED - len(beside))
    rows = np.concatenate([beside, others])
    vertices = shapely.get_num_coordinates(np.array([shapes[n] for n in rows], dtype=object))
    fitting = (vertices <= _MOST_VERTICES) & (np.cumsum(vertices) <= _MOST_VERTICES_WEIGHED)
    return sorted(int(n) for n in rows[fitting])


def _moved_back(shape: Polygonal, datum: Datum) -> Polygonal:
    """`to_wgs84` of the vertices alone: for weighing that is near enough, and its work is bounded."""
    return map_rings(shape, lambda ring: unshifted(ring, datum))


def _spread(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    if len(rows) <= count:
        return rows
    if count <= 0:
        return rows[:0]
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]


def _middle_shift_m(shapes: Sequence[Polygonal], datum: Datum) -> int:
    if datum not in SHIFTED or not len(shapes):
        return 0
    west, south, east, north = shapely.total_bounds(np.array(shapes, dtype=object))
    return round(shift_m(float(west + east) / 2, float(south + north) / 2, datum))


def _compared(datum: Datum, stated: "_Standing", moved: "_Standing", hints: Sequence[str]) -> Evidence:
    freed = int(np.count_nonzero(stated.on_ground & ~moved.on_ground))
    covered = int(np.count_nonzero(moved.on_ground & ~stated.on_ground))
    in_county = int(np.count_nonzero(moved.in_county & stated.out_of_county))
    in_county_as_stated = int(np.count_nonzero(stated.in_county & moved.out_of_county))
    words, word_points = _words(datum, hints)
    points = _fit_points(moved) + word_points
    points += min(_COUNTY_POINTS * in_county, _COUNTY_MOST)
    points += min(_FREED_POINTS * freed, _FREED_MOST) - min(_COVERED_POINTS * covered, _COVERED_MOST)
    return Evidence(
        datum=datum,
        points=max(points, 0),
        against=_fit_points(stated) + min(_COUNTY_POINTS * in_county_as_stated, _COUNTY_MOST),
        twins=int(moved.twin.sum()),
        twins_as_stated=int(stated.twin.sum()),
        bordering=int(np.count_nonzero(moved.border_m > 0)),
        bordering_as_stated=int(np.count_nonzero(stated.border_m > 0)),
        border_m=round(float(moved.border_m.sum())),
        freed=freed,
        covered=covered,
        in_county=in_county,
        in_county_as_stated=in_county_as_stated,
        words=words,
    )


def _fit_points(standing: "_Standing") -> int:
    shares = np.minimum(standing.border_share / _BORDER_SHARE, 1.0)
    return round(_TWIN_POINTS * int(standing.twin.sum()) + _BORDER_POINTS * float(shares.sum()))


def _words(datum: Datum, hints: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """The words of a file that name the datum or a map that uses it, and their points."""
    said = [(hint, hint.lower()) for hint in hints]
    names = [hint for hint, low in said if any(name in low for name in _NAMES[datum])]
    vendors = [hint for hint, low in said if any(name in low for name in _VENDORS[datum])]
    points = _NAME_POINTS if names else _VENDOR_POINTS if vendors else 0
    return tuple(dict.fromkeys(names + vendors)), points


@dataclass(frozen=True, slots=True)
class _Ground:
    """Registered ground in metres around its middle, findable by outline and by edge."""

    frame: LocalFrame
    outlines: NDArray[np.object_]
    tree: shapely.STRtree
    edges: shapely.STRtree

    @classmethod
    def of(cls, registered: Sequence[Polygonal]) -> "_Ground | None":
        array = np.array(registered, dtype=object)
        array = array[shapely.get_num_coordinates(array) <= _MOST_VERTICES]
        if not len(array):
            return None
        west, south, east, north = shapely.total_bounds(array)
        frame = LocalFrame(float(west + east) / 2, float(south + north) / 2)
        outlines = _in_metres(array, frame)
        rings = shapely.get_rings(outlines)
        xy, ring = shapely.get_coordinates(rings, return_index=True)
        edge = np.flatnonzero(ring[1:] == ring[:-1])
        lines = shapely.linestrings(np.stack([xy[edge], xy[edge + 1]], axis=1))
        return cls(
            frame, outlines, shapely.STRtree(outlines), shapely.STRtree(np.atleast_1d(np.asarray(lines)))
        )


def _in_metres(shapes: NDArray[np.object_], frame: LocalFrame) -> NDArray[np.object_]:
    scale, origin = np.array(frame.metres_per_degree()), np.array([frame.lon_deg, frame.lat_deg])
    moved: NDArray[np.object_] = shapely.transform(shapes, lambda xy: (xy - origin) * scale)
    moved[~shapely.is_valid(moved)] = Polygon()  # a needle that rounding has turned over says nothing
    return moved


@dataclass(frozen=True, slots=True)
class _Standing:
    """How each weighed row stands under one hypothesis: arrays over rows. `border_m` and `border_share` are
    0 for twins and for rows that lie on somebody's ground.
    """

    twin: Mask
    on_ground: Mask
    border_m: Floats
    border_share: Floats
    in_county: Mask
    out_of_county: Mask

    @classmethod
    def of(
        cls, shapes: Sequence[Polygonal], ground: _Ground | None, homes: Sequence[Polygonal | None]
    ) -> "_Standing":
        count = len(shapes)
        twin, on_ground = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        border_m, border_share = np.zeros(count), np.zeros(count)
        if ground is not None and count:
            plane = _in_metres(np.array(shapes, dtype=object), ground.frame)
            twin, on_ground = _on_ground(plane, ground)
            border_m, border_share = _along(plane, ground)
            counts = ~twin & ~on_ground
            border_m, border_share = border_m * counts, border_share * counts
        share = np.array([_share_in(shape, home) for shape, home in zip(shapes, homes, strict=True)])
        inside, outside = share >= _IN_COUNTY_SHARE, share <= _OUT_OF_COUNTY_SHARE
        return cls(twin, on_ground, border_m, border_share, inside, outside)


def _on_ground(plane: NDArray[np.object_], ground: _Ground) -> tuple[Mask, Mask]:
    """Which rows are a registered parcel's twin, and which lie on the ground of another."""
    twin, on_ground = np.zeros(len(plane), dtype=bool), np.zeros(len(plane), dtype=bool)
    row, other = ground.tree.query(plane, predicate="intersects")
    fit = comparable(plane[row], ground.outlines[other])
    row, other = row[fit], other[fit]
    mine, theirs = plane[row], ground.outlines[other]
    shared = shapely.area(shapely.intersection(mine, theirs))
    is_twin = shared >= _TWIN_SHARE * (shapely.area(mine) + shapely.area(theirs) - shared)
    twin[row[is_twin]] = True
    on_ground[row[~is_twin & (shared > _ON_GROUND_SHARE * shapely.area(mine))]] = True
    return twin, on_ground & ~twin


def _along(plane: NDArray[np.object_], ground: _Ground) -> tuple[Floats, Floats]:
    """Metres and share of each row's outline that run within 2 m of registered borders, in runs of three
    points (10 m) and more; less than 20 m are nothing.
    """
    outline = shapely.boundary(plane)
    length = shapely.length(outline)
    step = np.maximum(_BORDER_STEP_M, length / _MOST_STEPS_OF_A_ROW)
    count = np.floor(length / step).astype(np.int64)
    row = np.repeat(np.arange(len(plane)), count)
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    points = shapely.line_interpolate_point(np.asarray(outline)[row], (place + 0.5) * step[row])
    near = np.zeros(len(row), dtype=bool)
    near[ground.edges.query(points, predicate="dwithin", distance=_ALONG_M)[0]] = True
    met = np.bincount(row[_in_runs(near, row)], minlength=len(plane)).astype(np.float64)
    metres: Floats = met * step
    metres[metres < _LEAST_BORDER_M] = 0.0
    share: Floats = metres / np.maximum(length, _BORDER_STEP_M)
    return metres, share


def _in_runs(near: Mask, row: NDArray[np.int64]) -> Mask:
    """The near points that stand in a run of three or more of the same row."""
    if not len(near):
        return near
    starts = np.flatnonzero(np.append(True, (near[1:] != near[:-1]) | (row[1:] != row[:-1])))
    sizes = np.diff(np.append(starts, len(near)))
    return near & (np.repeat(sizes, sizes) >= _LEAST_RUN)


def _share_in(shape: Polygonal, home: Polygonal | None) -> float:
    """The share of an outline inside its county's; between the two bounds where the county is not known."""
    if home is None:
        return (_IN_COUNTY_SHARE + _OUT_OF_COUNTY_SHARE) / 2
    if shapely.covers(home, shape):
        return 1.0
    if not shapely.is_valid(shape) or not comparable(shapes_of([shape]), shapes_of([home])).all():
        return (_IN_COUNTY_SHARE + _OUT_OF_COUNTY_SHARE) / 2
    return float(shapely.intersection(shape, home).area / shape.area)
