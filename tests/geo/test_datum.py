"""GCJ-02 and BD-09: what they move, the way back, and what makes a batch suspect.

The vectors of the forward transform are those that public converters publish as their own tests.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon
from shapely.geometry import shape as shape_of

from geo.crs import Polygonal, area_m2, areas_m2, distance_m
from geo.datum import (
    SHIFTED,
    Datum,
    DatumVerdict,
    check_datum_fits,
    from_wgs84,
    judge_datum,
    may_be_shifted,
    on_mainland,
    shift_m,
    shifted,
    to_wgs84,
    unshifted,
)
from geo.errors import DatumConflict
from geo.polygon import check_valid, polygonal
from geo.vector import examine, read_parcels
from tests.geo.shapes import QUZHOU, degrees_box, land, stand

ZHEJIANG = (118.0, 27.0, 123.0, 31.5)
QUZHOU_BOX = (118.0, 28.2, 119.3, 29.5)
STEP = np.array([0.0004, 0.0008])


def grid(
    box: tuple[float, float, float, float], steps: int = 40
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    west, south, east, north = box
    x, y = np.meshgrid(np.linspace(west, east, steps), np.linspace(south, north, steps))
    return np.column_stack([x.ravel(), y.ravel()])


# --- there and back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wgs84", "gcj02"),
    [
        ((121.5272106, 31.1774276), (121.531541859215, 31.17530398364597)),
        ((113.912316, 22.543847), (113.9171764808363, 22.540796131694766)),
        ((116.377817, 39.911954), (116.38404722455657, 39.91334545536069)),
    ],
)
def test_the_published_vectors_of_gcj02(wgs84: tuple[float, float], gcj02: tuple[float, float]) -> None:
    assert shifted(np.array([wgs84]), Datum.GCJ02)[0] == pytest.approx(gcj02, abs=1e-10)


def test_bd09_is_gcj02_carried_on() -> None:
    """The vector that converters of the map's own documentation use: GCJ-02 to BD-09."""
    gcj02 = np.array([[116.404, 39.915]])
    wgs84 = unshifted(gcj02, Datum.GCJ02)
    assert shifted(wgs84, Datum.BD09)[0] == pytest.approx((116.41036949371, 39.92133699351), abs=1e-9)


@pytest.mark.parametrize("datum", SHIFTED)
@given(lon=st.floats(ZHEJIANG[0], ZHEJIANG[2]), lat=st.floats(ZHEJIANG[1], ZHEJIANG[3]))
@settings(max_examples=200, deadline=None)
def test_what_was_moved_comes_back_to_the_last_recorded_digit(datum: Datum, lon: float, lat: float) -> None:
    place = np.array([[lon, lat]])
    assert np.abs(unshifted(shifted(place, datum), datum) - place).max() <= 1e-9
    assert np.abs(shifted(unshifted(place, datum), datum) - place).max() <= 1e-9


@pytest.mark.parametrize("datum", SHIFTED)
def test_every_place_in_china_comes_back_to_a_tenth_of_a_millimetre(datum: Datum) -> None:
    places = grid((73.5, 18.0, 135.0, 53.5))
    assert np.abs(unshifted(shifted(places, datum), datum) - places).max() <= 1e-9


def test_one_round_of_the_inverse_leaves_metres() -> None:
    """Why it is iterated: the usual shortcut subtracts the shift of the shifted place."""
    places = grid(QUZHOU_BOX, 15)
    drawn = shifted(places, Datum.GCJ02)
    shortcut = drawn - (shifted(drawn, Datum.GCJ02) - drawn)
    metres = [distance_m(*a, *b) for a, b in zip(places, shortcut, strict=True)]
    assert 1.0 < max(metres) < 4.0


@pytest.mark.parametrize(("datum", "least", "most"), [(Datum.GCJ02, 554, 622), (Datum.BD09, 1_125, 1_230)])
def test_land_of_quzhou_moves_as_far_as_was_measured(datum: Datum, least: float, most: float) -> None:
    places = grid(QUZHOU_BOX)
    moved = shifted(places, datum)
    metres = [distance_m(*a, *b) for a, b in zip(places, moved, strict=True)]
    assert least < min(metres)
    assert max(metres) < most
    assert shift_m(*QUZHOU, datum) == pytest.approx(sum(metres) / len(metres), rel=0.05)


def test_bd09_moves_quzhou_by_about_1175_m() -> None:
    places = grid(QUZHOU_BOX)
    moved = shifted(places, Datum.BD09)
    metres = [distance_m(*a, *b) for a, b in zip(places, moved, strict=True)]
    assert sum(metres) / len(metres) == pytest.approx(1_175, abs=10)


def test_the_area_changes_by_up_to_four_parts_in_a_thousand() -> None:
    parcels = [degrees_box(lon, lat, 200, 200) for lon, lat in grid(QUZHOU_BOX, 25)]
    moved = [from_wgs84(parcel, Datum.GCJ02) for parcel in parcels]
    changes = np.abs(areas_m2(moved) / areas_m2(parcels) - 1)
    assert 0.0040 < changes.max() < 0.0045


@pytest.mark.parametrize("datum", SHIFTED)
@given(outline=land())
@settings(max_examples=8, deadline=None)
def test_an_outline_that_was_converted_comes_back_with_its_area(datum: Datum, outline: Polygonal) -> None:
    back = check_valid(to_wgs84(from_wgs84(outline, datum), datum))
    assert area_m2(back) == pytest.approx(area_m2(outline), rel=2e-3)  # long edges bend between vertices
    fine = shapely.segmentize(outline, 2e-4)  # a point each 20 m: what is left is the transform
    assert shapely.hausdorff_distance(to_wgs84(from_wgs84(fine, datum), datum), fine) < 1e-8


@pytest.mark.parametrize("datum", SHIFTED)
def test_neighbours_with_a_common_border_still_touch_after_conversion(datum: Datum) -> None:
    """One of them has a vertex in the middle of the other's edge, as drawn."""
    x, y = QUZHOU
    left = Polygon([(x, y), (x + 0.004, y), (x + 0.004, y + 0.008), (x, y + 0.008)])
    right = Polygon([(x + 0.004, y), (x + 0.008, y), (x + 0.008, y + 0.008), (x + 0.004, y + 0.008),
                     (x + 0.004, y + 0.003)])  # fmt: skip
    a, b = to_wgs84(left, datum), to_wgs84(right, datum)
    assert area_m2(a) + area_m2(b) == pytest.approx(area_m2(polygon_union(a, b)), abs=0.5)
    assert shapely.intersection(a, b).area / left.area < 1e-5


def polygon_union(a: Polygonal, b: Polygonal) -> Polygonal:
    union = shapely.union(a, b)
    assert isinstance(union, Polygon)
    return Polygon(union.exterior)


@pytest.mark.parametrize("datum", SHIFTED)
def test_what_lies_outside_the_rectangle_of_the_formula_is_left_alone(datum: Datum) -> None:
    for lon, lat in [(5.0, 52.0), (72.0, 30.0), (137.9, 35.0), (110.0, 0.5), (110.0, 56.0), (-118.0, 29.0)]:
        parcel = degrees_box(lon, lat, 300, 300)
        assert from_wgs84(parcel, datum).equals(parcel)
        assert shapely.hausdorff_distance(to_wgs84(parcel, datum), parcel) < 1e-12


@pytest.mark.parametrize("datum", [Datum.AS_STATED, Datum.WGS84, Datum.CGCS2000])
def test_a_datum_that_is_the_registers_own_changes_nothing(datum: Datum) -> None:
    parcel = stand(*QUZHOU, 0.01, 3)
    assert to_wgs84(parcel, datum) is parcel
    assert from_wgs84(parcel, datum) is parcel
    assert np.array_equal(unshifted(np.array([QUZHOU]), datum), shifted(np.array([QUZHOU]), datum))


def test_a_survey_file_in_metres_is_neither_suspected_nor_converted() -> None:
    for crs in ("EPSG:4326", 4490, "OGC:CRS84", "EPSG:3857"):
        assert may_be_shifted(crs)
        check_datum_fits(crs, Datum.GCJ02)
    for crs in ("EPSG:4549", 4528, "EPSG:32650"):
        assert not may_be_shifted(crs)
        check_datum_fits(crs, Datum.CGCS2000)
        with pytest.raises(DatumConflict):
            check_datum_fits(crs, Datum.BD09)


# --- suspicion ----------------------------------------------------------------------------------------------


def judged(
    shapes: Sequence[Polygonal],
    registered: Sequence[Polygonal] = (),
    counties: dict[str, Polygonal] | None = None,
    code: str | None = None,
    hints: Sequence[str] = (),
) -> DatumVerdict:
    return judge_datum(
        shapes, registered=registered, counties=counties or {}, county_of=[code] * len(shapes), hints=hints
    )


def outlines(folder: Path, name: str) -> dict[str, Polygonal]:
    features = json.loads((folder / "boundaries" / name).read_text(encoding="utf-8"))["features"]
    return {
        str(one["properties"]["district_adcode"]): polygonal(shape_of(one["geometry"])) for one in features
    }


def beside(province: dict[str, Polygonal], code: str) -> list[Polygonal]:
    """The other counties within a few kilometres of one."""
    near = shapely.box(*province[code].bounds).buffer(0.03)
    return [other for its, other in province.items() if its != code and shapely.intersects(other, near)]


def test_a_county_moved_by_a_web_map_is_suspected_when_its_neighbours_are_registered(real_data: Path) -> None:
    province = outlines(real_data, "zhejiang_counties_tianditu.geojson")
    for code, outline in outlines(real_data, "quzhou_counties_tianditu.geojson").items():
        neighbours = beside(province, code)
        honest = judged([outline], neighbours, province, code)
        assert not honest.suspected
        assert honest.refusal() is None
        for datum in SHIFTED if code == "330824" else [Datum.GCJ02]:
            verdict = judged([from_wgs84(outline, datum)], neighbours, province, code)
            assert verdict.hypothesis is datum
            refusal = verdict.refusal()
            assert refusal is not None
            assert refusal.facts["hypothesis"] == datum.value
            assert refusal.facts["bordering"] == 1
            assert {one["datum"] for one in refusal.facts["evidence"]} == set(SHIFTED)  # type: ignore[attr-defined]


def test_an_honest_county_of_another_source_is_not_suspected(real_data: Path) -> None:
    """Its lines differ from its neighbours' by a hundred metres all along: that is no datum."""
    province = outlines(real_data, "zhejiang_counties_tianditu.geojson")
    for code, outline in outlines(real_data, "quzhou_counties_amap.geojson").items():
        neighbours = beside(province, code)
        assert not judged([outline], neighbours, province, code).suspected


def test_the_county_alone_says_too_little(real_data: Path) -> None:
    """The outline of all Quzhou: two honest sources agree to 98.7 %, one and its moved self to 97.6 %."""
    tianditu = outlines(real_data, "quzhou_counties_tianditu.geojson")
    amap = outlines(real_data, "quzhou_counties_amap.geojson")
    moved = {code: from_wgs84(outline, Datum.GCJ02) for code, outline in tianditu.items()}
    assert not any(judged([one], [], tianditu, code).suspected for code, one in moved.items())
    whole = shapely.union_all(list(tianditu.values()))
    for other, agrees in ((amap, 0.987), (moved, 0.976)):
        its = shapely.union_all(list(other.values()))
        shared = shapely.intersection(whole, its).area / shapely.union(whole, its).area
        assert shared == pytest.approx(agrees, abs=0.001)


@pytest.fixture(scope="module")
def sheet(real_data: Path) -> list[Polygonal]:
    """A hundred real fields, many of them neighbours, carried to Quzhou."""
    rows, _ = examine(read_parcels(real_data / "parcels" / "inspire_schlaege_2025-1_polygon.gpkg.zip"))
    west, south, east, north = shapely.total_bounds([row.geometry for row in rows])
    middle = np.array([(west + east) / 2, (south + north) / 2])
    narrow = np.array([np.cos(np.radians(middle[1])) / np.cos(np.radians(QUZHOU[1])), 1.0])
    return [shapely.transform(row.geometry, lambda xy: (xy - middle) * narrow + QUZHOU) for row in rows]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_real_fields_are_suspected_when_moved_and_never_when_not(
    sheet: list[Polygonal], share: float
) -> None:
    rng = np.random.default_rng(round(share * 10))
    picked = rng.random(len(sheet)) < share
    batch = [one for one, is_in in zip(sheet, picked, strict=True) if is_in]
    registered = [one for one, is_in in zip(sheet, picked, strict=True) if not is_in]
    assert not judged(batch, registered).suspected
    for datum in SHIFTED:
        verdict = judged([from_wgs84(one, datum) for one in batch], registered)
        assert verdict.hypothesis is datum
        assert verdict.shift_m == pytest.approx(shift_m(*QUZHOU, datum), rel=0.05)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_honest_land_among_unrelated_neighbours_is_not_suspected(seed: int) -> None:
    """Jagged stands strewn over two kilometres, overlaps and all."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(-0.01, 0.01, (40, 2)) + QUZHOU
    made = [stand(x, y, float(rng.uniform(5e-4, 3e-3)), int(rng.integers(2**31))) for x, y in place]
    assert not judged(made[:20], made[20:]).suspected


@pytest.mark.parametrize("datum", SHIFTED)
def test_a_file_that_was_registered_before_and_comes_back_moved_is_known_by_its_twins(datum: Datum) -> None:
    known = stand(*QUZHOU, 0.003, 5)
    assert not judged([known], [known]).suspected
    verdict = judged([from_wgs84(known, datum)], [known])
    assert verdict.hypothesis is datum
    assert [one.twins for one in verdict.evidence if one.datum is datum] == [1]


def test_a_batch_alone_is_not_suspected() -> None:
    assert judged([stand(*QUZHOU, 0.003, 5)]).evidence[0].points == 0
    assert not judged([from_wgs84(stand(*QUZHOU, 0.003, 5), Datum.GCJ02)]).suspected
    assert not judged([]).suspected


def test_needles_and_giants_are_weighed_in_bounded_time_or_left_out() -> None:
    """Outlines a tenth of a millimetre wide, which no transform keeps valid, and one of 60,000 vertices."""
    x, y = QUZHOU
    needles = [Polygon([(x, y + n * 1e-3), (x + 0.01, y + n * 1e-3 + 2e-9), (x + 0.02, y + n * 1e-3 + 2e-9)])
               for n in range(50)]  # fmt: skip
    turn = np.linspace(0, 2 * np.pi, 60_000, endpoint=False)
    giant = Polygon(np.column_stack([x + 0.01 * np.cos(turn), y + 0.01 * np.sin(turn)]))
    counties: dict[str, Polygonal] = {"330802": shapely.box(x, y, x + 0.015, y + 1)}
    verdict = judged([*needles, giant], [*needles, giant], counties, "330802")
    assert not verdict.suspected
    assert verdict.weighed == 50


def test_somebodys_ground_claimed_twice_is_no_datum() -> None:
    """Overlaps that a shift would remove are evidence, not proof: here a village claims its neighbour's."""
    registered = [degrees_box(QUZHOU[0] + 0.002 * n, QUZHOU[1], 190, 400) for n in range(12)]
    claimed = [shapely.transform(one, lambda xy: xy + STEP) for one in registered]
    verdict = judged(claimed, registered)
    assert not verdict.suspected
    assert max(one.freed for one in verdict.evidence) >= 1


@pytest.mark.parametrize(
    ("hints", "hypothesis"),
    [
        (["坐标系: GCJ-02"], Datum.GCJ02),
        (["bd09ll"], Datum.BD09),
        (["火星坐标"], Datum.GCJ02),
        (["高德地图"], Datum.AS_STATED),
        (["amap_id", "百度"], Datum.AS_STATED),
        (["cgcs2000"], Datum.AS_STATED),
        ([], Datum.AS_STATED),
    ],
)
def test_a_file_that_names_its_datum_is_believed_and_a_map_s_name_alone_is_not(
    hints: list[str], hypothesis: Datum
) -> None:
    assert judged([degrees_box(*QUZHOU, 300, 300)], hints=hints).hypothesis is hypothesis


def test_a_county_and_a_maps_name_together_are_enough() -> None:
    """Eight parcels just inside the county's line, drawn 600 m outside of it, in a file that names a map."""
    west = QUZHOU[0]
    county = Polygon([(west, 28.8), (west + 0.2, 28.8), (west + 0.2, 29.2), (west, 29.2)])
    inside = [degrees_box(west + 0.2 - 0.0035, 28.9 + 0.005 * n, 200, 200) for n in range(8)]
    moved = [from_wgs84(one, Datum.GCJ02) for one in inside]
    assert not any(shapely.intersects(county, one) for one in moved)
    counties: dict[str, Polygonal] = {"330802": county}
    assert not judged(moved, counties=counties, code="330802").suspected
    assert judged(moved, counties=counties, code="330802", hints=["高德"]).hypothesis is Datum.GCJ02
    assert not judged(inside, counties=counties, code="330802", hints=["高德"]).suspected


def test_only_land_of_the_mainland_is_suspected() -> None:
    assert on_mainland(degrees_box(*QUZHOU, 300, 300))
    assert not on_mainland(degrees_box(5.0, 52.0, 300, 300))
    assert not on_mainland(degrees_box(139.7, 35.6, 300, 300))
