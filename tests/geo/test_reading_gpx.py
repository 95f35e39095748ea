"""Tracks walked around a parcel: when they are an outline, and when they are not."""

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon

from geo.crs import GEOD, area_m2
from geo.errors import GeoRefusal, NotGpx, TrackNotClosed
from geo.reading.gpx import MAX_GAP_M, MAX_GAP_SHARE, _outline
from geo.vector import land_rows, read_parcels
from tests.geo.files import gpx, gpx_segment, read_here, shape_of
from tests.geo.shapes import QUZHOU

Walk = list[tuple[float, float]]


def walk(
    side_m: float = 200.0, *, step_m: float = 10.0, left_out_m: float = 0.0, east_m: float = 0.0
) -> Walk:
    """Points along a square in the order in which they were walked, without the last metres."""
    lon, lat = QUZHOU
    per_lon, per_lat = 97_500.0, 110_850.0
    along = np.arange(0.0, 4 * side_m - left_out_m + 1e-9, step_m)
    corner, rest = np.divmod(np.minimum(along, 4 * side_m - 1e-9), side_m)
    x = np.choose(corner.astype(int), [rest, side_m, side_m - rest, 0.0]) + east_m
    y = np.choose(corner.astype(int), [0.0, rest, side_m, side_m - rest])
    return [(lon + a / per_lon, lat + b / per_lat) for a, b in zip(x.tolist(), y.tolist(), strict=True)]


def track(*segments: Walk, name: str = "外焦") -> str:
    return f"<trk><name>{name}</name><desc>步行</desc>{''.join(map(gpx_segment, segments))}</trk>"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path, *segments: Walk) -> GeoRefusal:
    (row,) = read_here(written(path / "t.gpx", gpx(track(*segments)))).rows
    assert row.wkb is None
    assert row.problem is not None
    return row.problem


def test_a_walk_around_a_parcel_is_its_outline_and_the_track_is_kept(tmp_path: Path) -> None:
    points = walk(left_out_m=10.0)
    found = read_parcels(written(tmp_path / "a.gpx", gpx(track(points))))
    assert (found.kind, found.crs) == ("gpx", "OGC:CRS84")
    (row,) = found.rows
    assert row.attributes == {
        "name": "外焦",
        "desc": "步行",
        "cmt": None,
        "src": None,
        "number": None,
        "type": None,
        "first_at": "2025-04-05T01:00:00Z",
        "last_at": "2025-04-05T01:01:19Z",
        "points": 80,
        "segments": 1,
    }
    assert row.drawn is not None
    assert [tuple(p) for p in shapely.get_coordinates(row.drawn)] == points
    (land,) = land_rows(found)
    assert area_m2(land.geometry) == pytest.approx(40_000, rel=0.01)


def test_a_gap_is_closed_if_it_is_small_beside_the_walk_and_in_metres(tmp_path: Path) -> None:
    """200 m of side: 5 % of what was walked, about 39 m; 2 km of side: 50 m."""
    closed = read_here(written(tmp_path / "a.gpx", gpx(track(walk(left_out_m=30.0))))).rows
    assert closed[0].problem is None
    problem = refused(tmp_path, walk(left_out_m=50.0))
    assert isinstance(problem, TrackNotClosed)
    assert problem.facts == {"gap_m": 50, "length_m": 750, "limit_m": 37}
    assert refused(tmp_path, walk(2000.0, left_out_m=60.0)).facts["limit_m"] == MAX_GAP_M


def test_a_way_there_is_not_an_outline(tmp_path: Path) -> None:
    assert refused(tmp_path, walk()[:30]).code == "track_not_closed"


def test_a_break_in_the_signal_counts_as_a_gap(tmp_path: Path) -> None:
    points = walk()
    (row,) = read_here(written(tmp_path / "a.gpx", gpx(track(points[:30], points[32:])))).rows
    assert row.problem is None
    assert row.attributes["segments"] == 2
    assert row.drawn is not None
    assert len(shapely.get_parts(shape_of(row.drawn))) == 2
    assert refused(tmp_path, points[:30], points[35:]).code == "track_not_closed"


def test_segments_that_close_by_themselves_are_parts(tmp_path: Path) -> None:
    text = gpx(track(walk(), walk(100.0, east_m=500.0)))
    (row,) = read_here(written(tmp_path / "a.gpx", text)).rows
    shape = shape_of(row.wkb)
    assert isinstance(shape, MultiPolygon)
    assert len(shape.geoms) == 2


def test_a_route_is_read_as_a_track_and_waypoints_are_left_out(tmp_path: Path) -> None:
    route = f"<rte><name>r</name>{gpx_segment(walk(), 'rtept')}</rte>"
    text = gpx('<wpt lat="28.9" lon="118.8"><name>w</name></wpt>', route)
    (row,) = read_here(written(tmp_path / "a.gpx", text)).rows
    assert row.problem is None
    assert row.attributes["name"] == "r"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_fewer_than_four_points_are_no_outline(tmp_path: Path, count: int) -> None:
    problem = refused(tmp_path, walk()[:count])
    assert (problem.code, problem.facts["points"]) == ("track_too_short", count)


@pytest.mark.parametrize(
    ("point", "code"),
    [
        ('<trkpt lat="28.9"/>', "geometry_unreadable"),
        ('<trkpt lat="28.9" lon="east"/>', "geometry_unreadable"),
        ('<trkpt lat="28.9" lon="1_18.8"/>', "geometry_unreadable"),
        ('<trkpt lat="28.9" lon="181"/>', "coordinates_out_of_range"),
        ('<trkpt lat="118.8" lon="28.9"/>', "coordinates_out_of_range"),
        ('<trkpt lat="nan" lon="118.8"/>', "coordinates_out_of_range"),
        ('<trkpt lat="1e300" lon="118.8"/>', "coordinates_out_of_range"),
    ],
)
def test_a_point_that_is_no_place_is_a_fault_of_its_track(tmp_path: Path, point: str, code: str) -> None:
    bad = f"<trk><trkseg>{point}{gpx_segment(walk())[8:]}</trk>"
    first, second = read_here(written(tmp_path / "a.gpx", gpx(bad, track(walk())))).rows
    assert first.problem is not None
    assert first.problem.code == code
    assert second.problem is None


def test_a_file_without_a_track_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotGpx):
        read_here(written(tmp_path / "a.gpx", gpx('<wpt lat="28.9" lon="118.8"/>')))


def test_the_program_that_wrote_it_may_speak_of_the_datum(tmp_path: Path) -> None:
    file = written(tmp_path / "a.gpx", gpx(track(walk()), creator="Amap 12"))
    assert read_here(file).hints == ("amap",)


@settings(max_examples=40, deadline=None)
@given(
    side_m=st.floats(20, 3000),
    left_out_share=st.floats(0.0, 0.4),
    cuts=st.lists(st.integers(1, 60), max_size=3, unique=True),
)
def test_what_is_accepted_has_small_gaps_and_holds_every_point(
    side_m: float, left_out_share: float, cuts: list[int]
) -> None:
    points = np.array(walk(side_m, step_m=side_m / 20, left_out_m=4 * side_m * left_out_share))
    segments = [part for part in np.split(points, sorted(cuts)) if len(part)]
    walked = sum(float(GEOD.line_length(*part.T)) for part in segments)
    try:
        shape = shapely.from_wkb(_outline(segments))
    except TrackNotClosed as problem:
        assert float(str(problem.facts["gap_m"])) >= float(str(problem.facts["limit_m"]))
        return
    whole = float(GEOD.geometry_length(shape))
    assert whole - walked <= min(MAX_GAP_M, MAX_GAP_SHARE * walked) + 1e-6
    assert set(map(tuple, shapely.get_coordinates(shape).tolist())) == set(map(tuple, points.tolist()))
