"""Frames, areas and distances."""

import re

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from shapely import MultiPolygon, Polygon, box

from geo.crs import (
    GEOD,
    area_m2,
    areas_m2,
    crs_text,
    densify,
    distance_m,
    far_from_meridian,
    from_store,
    map_rings,
    mu,
    parse_crs,
    pixel_area_m2,
    swapped_axes,
    to_store,
)
from geo.errors import (
    AxesNotSwapped,
    AxesSwapped,
    CoordinatesOutOfRange,
    CrsUnknown,
    DatumShiftUnknown,
    ZonePrefixConflict,
)
from geo.polygon import polygonal
from tests.geo.shapes import QUZHOU, degrees_box, land

GAUSS_KRUEGER = ("EPSG:4528", "EPSG:4527", "EPSG:4548", "EPSG:4549")


def test_a_pixel_at_quzhou_has_the_published_area() -> None:
    assert pixel_area_m2(28.95, 0.0008888888889, 0.0008888888889) == pytest.approx(8537.148614, rel=1e-9)


def test_fifteen_mu_are_one_hectare() -> None:
    assert mu(10_000.0) == 15.0


@given(land())
@settings(max_examples=15, deadline=None)
def test_area_is_the_geodesic_area_of_the_finely_cut_outline(outline: Polygon | MultiPolygon) -> None:
    fine = map_rings(outline, lambda ring: densify(ring, 1e-4))
    geodesic = abs(GEOD.geometry_area_perimeter(shapely.orient_polygons(fine))[0])
    assert area_m2(outline) == pytest.approx(geodesic, rel=1e-8, abs=1e-3)  # the oracle's own rounding


def test_a_box_of_degrees_has_the_area_of_the_pixel() -> None:
    assert area_m2(box(118, 28, 119, 29)) == pytest.approx(float(pixel_area_m2(28.5, 1, 1)), rel=1e-12)


@given(land())
@settings(max_examples=25, deadline=None)
def test_the_parts_of_a_split_parcel_measure_what_the_whole_did(outline: Polygon | MultiPolygon) -> None:
    west, south, east, north = outline.bounds
    middle = (west + 2 * east) / 3
    halves = [box(west - 1, south - 1, middle, north + 1), box(middle, south - 1, east + 1, north + 1)]
    parts = [polygonal(shapely.intersection(outline, half)) for half in halves]
    total = float(areas_m2(parts).sum())
    assert total == pytest.approx(area_m2(outline), rel=1e-9)


@pytest.mark.parametrize("crs", GAUSS_KRUEGER)
def test_a_parcel_on_the_zone_border_comes_out_the_same_from_both_zones(crs: str) -> None:
    parcel = degrees_box(118.496, 28.95, 800, 500)
    again = to_store(from_store(parcel, crs), crs)
    assert shapely.hausdorff_distance(again, parcel) < 1e-9
    assert area_m2(again) == pytest.approx(area_m2(parcel), rel=1e-9)


def test_a_long_projected_edge_is_cut_before_it_is_transformed() -> None:
    plane = box(400_000, 3_200_000, 420_000, 3_220_000)
    stored = to_store(plane, "EPSG:4549")
    middle = from_store(Polygon([*shapely.get_coordinates(box(0, 0, 1, 1))]), 4490)  # no step for degrees
    assert len(middle.exterior.coords) == 5  # type: ignore[union-attr]
    assert len(stored.exterior.coords) == 801  # type: ignore[union-attr]
    back = from_store(stored, "EPSG:4549")
    assert shapely.hausdorff_distance(back, plane) < 1e-3  # a chord of 20 km would be metres off


def test_neighbours_that_draw_a_border_in_opposite_directions_get_the_same_cuts() -> None:
    ring = np.array([[0.0, 0.0], [1234.5, 777.7], [0.0, 0.0]])
    cut = densify(ring, 100.0)
    n = len(cut) // 2
    assert np.array_equal(cut[: n + 1], cut[n:][::-1])


def test_an_esri_prj_is_recognised_as_its_epsg_system() -> None:
    wkt = parse_crs(4549).to_wkt("WKT1_ESRI")
    assert "AUTHORITY" not in wkt
    assert crs_text(parse_crs(wkt)) == "EPSG:4549"


@pytest.mark.parametrize(
    "given_crs", ["", "+proj=longlat +nadgrids=/etc/passwd", "Gauss", "EPSG:999999", "PROJCS["]
)
def test_a_system_that_is_not_one_is_refused(given_crs: str) -> None:
    with pytest.raises(CrsUnknown):
        parse_crs(given_crs)


@pytest.mark.parametrize("old", [2384, 4610, 2437, 4214])
def test_the_old_datums_are_refused_because_no_public_shift_is_good_enough(old: int) -> None:
    with pytest.raises(DatumShiftUnknown):
        parse_crs(old)


def test_a_datum_without_a_published_step_is_refused_rather_than_left_where_it_is() -> None:
    unknown = parse_crs(3301).to_wkt("WKT1_GDAL").replace("Estonia_1997", "Somewhere_1900")
    unknown = re.sub(r",AUTHORITY\[[^]]*\]", "", unknown).replace("TOWGS84", "X")
    unknown = unknown.replace("6378137", "6378333")
    with pytest.raises(DatumShiftUnknown):
        to_store(box(500_000, 6_500_000, 500_100, 6_500_100), unknown)


def test_a_zone_prefix_that_the_system_does_not_have_is_named() -> None:
    parcel = degrees_box(*QUZHOU, 300, 300)
    for drawn, declared in (("EPSG:4528", "EPSG:4549"), ("EPSG:4549", "EPSG:4528")):
        with pytest.raises(ZonePrefixConflict):
            to_store(from_store(parcel, drawn), declared)


def test_northing_before_easting_is_named() -> None:
    drawn = from_store(degrees_box(*QUZHOU, 300, 300), "EPSG:4549")
    with pytest.raises(AxesSwapped):
        to_store(shapely.transform(drawn, lambda xy: xy[:, ::-1]), "EPSG:4549")
    with pytest.raises(AxesSwapped):
        to_store(shapely.transform(degrees_box(*QUZHOU, 300, 300), lambda xy: xy[:, ::-1]), 4490)


@pytest.mark.parametrize("bad", [181.0, float("nan"), float("inf"), 1e300])
@pytest.mark.parametrize("crs", ["EPSG:4490", "EPSG:4549", "EPSG:3857"])
def test_what_is_no_place_is_refused(bad: float, crs: str) -> None:
    y = 95.0 if bad == 181.0 and crs == "EPSG:4490" else 28.0
    if bad == 181.0 and crs != "EPSG:4490":
        bad = 1e9
    with pytest.raises(CoordinatesOutOfRange):
        to_store(Polygon([(118, y), (bad, y), (119, y + 1), (118, y)]), crs)


def test_a_degree_of_latitude_at_quzhou() -> None:
    assert distance_m(118.87, 28.5, 118.87, 29.5) == pytest.approx(110_853, abs=20)


# --- China's systems ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsg", [*range(4513, 4555), *range(4491, 4513), 4490, 4326, 3857])
def test_each_system_of_chinese_files_is_read_as_proj_reads_it(epsg: int) -> None:
    """Zones with prefix (4513 to 4533) and without (4534 to 4554), of 6 degrees, degrees, Web Mercator."""
    meridian = dict(zip(range(4513, 4534), range(75, 136, 3), strict=True))
    meridian |= dict(zip(range(4534, 4555), range(75, 136, 3), strict=True))
    meridian |= dict(zip([*range(4491, 4502), *range(4502, 4513)], [*range(75, 136, 6)] * 2, strict=True))
    parcel = degrees_box(meridian.get(epsg, 118) + 0.7, 28.95, 300, 200)
    system = pyproj.CRS.from_epsg(epsg)
    base = 4326 if epsg == 3857 else 4490
    there = pyproj.Transformer.from_crs(base, system, always_xy=True)
    drawn = shapely.transform(parcel, lambda xy: np.column_stack(there.transform(xy[:, 0], xy[:, 1])))
    if epsg in range(4513, 4534):
        prefix = 25 + epsg - 4513
        assert drawn.bounds[0] // 1e6 == prefix
    stored = to_store(drawn, epsg)
    assert shapely.hausdorff_distance(stored, parcel) < 2e-8  # 300 m drawn straight in another plane: 1 mm
    assert area_m2(stored) == pytest.approx(area_m2(parcel), rel=1e-5)


def test_crs84_is_longitude_first_and_taken_over_unchanged() -> None:
    parcel = degrees_box(*QUZHOU, 300, 200)
    for crs in ("OGC:CRS84", "urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", 4490):
        assert to_store(parcel, crs).equals(parcel)


@pytest.mark.parametrize("longitude", [118.4, 118.6])
def test_a_parcel_beside_the_zone_border_has_the_same_area_from_either_zone(longitude: float) -> None:
    parcel = degrees_box(longitude, 28.95, 700, 400)
    west, east = (area_m2(to_store(from_store(parcel, crs), crs)) for crs in (4548, 4549))
    assert west == pytest.approx(east, rel=1e-9)
    assert west == pytest.approx(area_m2(parcel), rel=1e-9)


def test_web_mercator_comes_in_but_never_measures() -> None:
    parcel = degrees_box(*QUZHOU, 400, 300)
    drawn = from_store(parcel, 3857)
    assert drawn.area / area_m2(parcel) == pytest.approx(1.306, abs=0.005)  # what its plane would say
    stored = to_store(drawn, 3857)
    geodesic = abs(GEOD.geometry_area_perimeter(shapely.orient_polygons(stored))[0])
    assert area_m2(stored) == pytest.approx(geodesic, rel=1e-8)


def test_land_outside_the_declared_zone_is_named_and_land_beside_its_edge_is_not() -> None:
    quzhou, beside, far = (degrees_box(longitude, 28.95, 300, 200) for longitude in (118.87, 118.4, 115.5))
    bounds = shapely.bounds([quzhou, beside, far])
    said = far_from_meridian(4549, bounds)
    assert [n for n, _ in said] == [2]
    assert said[0][1].facts == {"meridian": 120.0, "away_degrees": 4.5}
    assert far_from_meridian("EPSG:4528", bounds)[0][1].facts["meridian"] == 120.0
    for without_zones in (4490, 3857, 32650):
        assert far_from_meridian(without_zones, bounds) == []


@pytest.mark.parametrize(
    "name", ["D_CGCS_2000", "CGCS2000", "CGCS_2000", "China_Geodetic_Coordinate_System_2000", "D_China_2000"]
)
def test_the_names_that_chinese_programs_give_cgcs2000_are_known(name: str) -> None:
    wkt = parse_crs(4549).to_wkt("WKT1_ESRI").replace("D_China_2000", name)
    assert name in wkt
    assert crs_text(parse_crs(wkt)) == "EPSG:4549"


def test_a_known_name_on_another_ellipsoid_is_not_believed() -> None:
    wkt = parse_crs(4549).to_wkt("WKT1_ESRI").replace("D_China_2000", "CGCS2000")
    krasovsky = wkt.replace("6378137.0", "6378245.0").replace("298.257222101", "298.3")
    assert krasovsky != wkt
    with pytest.raises(DatumShiftUnknown):
        to_store(box(500_000, 3_200_000, 500_100, 3_200_100), krasovsky)


# --- axes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crs", [4490, "EPSG:4326", "EPSG:4549", "EPSG:4528"])
def test_exchanged_axes_are_refused_until_declared_and_then_exchanged(crs: str | int) -> None:
    parcel = degrees_box(*QUZHOU, 300, 300)
    drawn = swapped_axes(from_store(parcel, crs))
    with pytest.raises(AxesSwapped):
        to_store(drawn, crs)
    assert shapely.hausdorff_distance(to_store(drawn, crs, swapped=True), parcel) < 1e-9


@pytest.mark.parametrize("crs", [4490, "EPSG:4549", "EPSG:4528"])
def test_axes_that_are_right_are_not_exchanged_on_somebodys_word(crs: str | int) -> None:
    drawn = from_store(degrees_box(*QUZHOU, 300, 300), crs)
    with pytest.raises(AxesNotSwapped) as refused:
        to_store(drawn, crs, swapped=True)
    x, y = float(str(refused.value.facts["x"])), float(str(refused.value.facts["y"]))
    assert shapely.intersects_xy(drawn.boundary.buffer(1e-6), x, y)


def test_the_west_of_china_with_its_axes_exchanged_is_not_taken_for_the_arctic_ocean() -> None:
    kashgar = degrees_box(76.0, 39.5, 300, 300)
    with pytest.raises(AxesSwapped):
        to_store(swapped_axes(kashgar), 4490)
    assert to_store(swapped_axes(kashgar), 4490, swapped=True).equals(kashgar)
    spitsbergen = degrees_box(16.0, 78.2, 300, 300)
    assert to_store(spitsbergen, 4490).equals(spitsbergen)
