"""Outlines of record: one form, validity, overlap, cells."""

import random

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, box

from geo.crs import LocalFrame, area_m2, parts_of
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
from geo.polygon import (
    OverlapKind,
    OverlapRule,
    canonical,
    cells,
    check_valid,
    coarse_cells,
    digest,
    from_wkb,
    judge_overlaps,
    overlap,
    to_wkb,
)
from tests.geo.shapes import QUZHOU, degrees_box, land, stand, star

RULE = OverlapRule()
METRE = 1 / 97_500  # degrees of longitude near Quzhou


def redrawn(outline: Polygon | MultiPolygon, chance: random.Random) -> Polygon | MultiPolygon:
    """The same ground from other vertices, in other directions, parts and holes shuffled, a vertex twice."""

    def ring(coords: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
        points = coords[:-1]
        start = chance.randrange(len(points))
        points = points[start:] + points[:start]
        if chance.random() < 0.5:
            points.reverse()
        twice = chance.randrange(len(points))
        points.insert(twice, points[twice])
        return [*points, points[0]]

    parts = []
    for part in parts_of(outline):
        holes = [ring(list(hole.coords)) for hole in part.interiors]
        chance.shuffle(holes)
        parts.append(Polygon(ring(list(part.exterior.coords)), holes))
    chance.shuffle(parts)
    return MultiPolygon(parts)


@given(land(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_same_ground_has_one_digest_however_it_is_drawn(
    outline: Polygon | MultiPolygon, chance: random.Random
) -> None:
    again = redrawn(outline, chance)
    assert to_wkb(canonical(again)) == to_wkb(canonical(outline))
    assert digest(canonical(again)) == digest(outline)


@given(land())
@settings(max_examples=30, deadline=None)
def test_the_form_of_record_is_a_fixed_point_within_a_tenth_of_a_millimetre(
    outline: Polygon | MultiPolygon,
) -> None:
    form = canonical(outline)
    assert to_wkb(canonical(from_wkb(to_wkb(form)))) == to_wkb(form)
    assert shapely.hausdorff_distance(form, outline) <= 0.71e-9
    assert area_m2(form) == pytest.approx(area_m2(outline), rel=1e-6)


def test_another_outline_has_another_digest() -> None:
    assert digest(degrees_box(*QUZHOU, 100, 100)) != digest(degrees_box(*QUZHOU, 100, 100.01))


def test_a_bow_tie_is_refused_with_the_place_where_it_crosses() -> None:
    tie = Polygon([(118.0, 29.0), (118.01, 29.01), (118.01, 29.0), (118.0, 29.01)])
    with pytest.raises(GeometryInvalid) as refusal:
        check_valid(canonical(tie))
    assert refusal.value.facts == {
        "reason": "Self-intersection",
        "lon": pytest.approx(118.005),
        "lat": pytest.approx(29.005),
    }
    assert "118.005," in str(refusal.value), "no more digits than a centimetre needs"


def test_a_hole_outside_its_shell_is_refused() -> None:
    shell, hole = degrees_box(*QUZHOU, 100, 100), degrees_box(QUZHOU[0] + 1, QUZHOU[1], 10, 10)
    with pytest.raises(GeometryInvalid):
        check_valid(Polygon(shell.exterior, [hole.exterior]))


@pytest.mark.parametrize("x", [181.0, float("nan"), float("inf"), -1e300])
def test_a_place_that_is_none_is_refused_although_the_geometry_library_calls_it_valid(x: float) -> None:
    with pytest.raises(CoordinatesOutOfRange):
        check_valid(Polygon([(118, 29), (x, 29), (118, 29.5)]))


def test_what_is_not_land_is_refused() -> None:
    with pytest.raises(GeometryEmpty):
        check_valid(None)
    with pytest.raises(GeometryEmpty):
        check_valid(Polygon())
    with pytest.raises(GeometryNotPolygonal):
        check_valid(shapely.Point(118, 29))
    with pytest.raises(GeometryUnreadable):
        from_wkb(b"\x01\x03\x00\x00\x00\xff")


def test_outlines_beyond_the_limits_are_refused() -> None:
    with pytest.raises(TooManyVertices):
        check_valid(star(*QUZHOU, [0.01] * 100_001))
    holes = [star(118 + 0.001 * i, 29, [1e-4] * 3).exterior for i in range(1_000)]
    with pytest.raises(TooManyRings):
        check_valid(Polygon(box(117, 28, 120, 30).exterior, holes))


# --- overlap ------------------------------------------------------------------------------------------------


@given(land(), st.floats(-1, 1), st.floats(-1, 1))
@settings(max_examples=40, deadline=None)
def test_overlap_is_the_same_from_both_sides(outline: Polygon | MultiPolygon, dx: float, dy: float) -> None:
    west, south, east, north = outline.bounds
    moved = shapely.transform(outline, lambda xy: xy + np.array([dx * (east - west), dy * (north - south)]))
    there, back = overlap(outline, moved, RULE), overlap(moved, outline, RULE)
    assert (there.kind, there.area_m2) == (back.kind, back.area_m2)
    assert (there.candidate_share, there.neighbour_share) == (back.neighbour_share, back.candidate_share)


@given(land())
@settings(max_examples=20, deadline=None)
def test_the_same_parcel_twice_is_found_at_a_hundred_per_cent(outline: Polygon | MultiPolygon) -> None:
    found = overlap(outline, outline, RULE)
    assert found.kind is OverlapKind.REFUSED
    assert found.candidate_share == pytest.approx(1.0)
    assert found.neighbour_share == pytest.approx(1.0)


def test_a_nested_parcel_is_found_with_both_shares() -> None:
    outer, inner = (
        degrees_box(*QUZHOU, 1000, 1000),
        degrees_box(QUZHOU[0] + 0.001, QUZHOU[1] + 0.001, 100, 100),
    )
    found = overlap(inner, outer, RULE)
    assert found.kind is OverlapKind.REFUSED
    assert found.candidate_share == pytest.approx(1.0)
    assert found.neighbour_share == pytest.approx(0.01, rel=1e-3)


def test_neighbours_that_only_touch_do_not_overlap() -> None:
    left, right = degrees_box(*QUZHOU, 500, 500), degrees_box(QUZHOU[0] + 500 * METRE, QUZHOU[1], 500, 500)
    assert overlap(left, right, RULE).kind is OverlapKind.NONE


@pytest.mark.parametrize(
    ("width_m", "kind"),
    [
        (0.001, OverlapKind.NONE),
        (0.2, OverlapKind.SLIVER),
        (0.45, OverlapKind.SLIVER),
        (0.6, OverlapKind.REFUSED),
    ],
)
def test_a_strip_along_a_border_is_judged_by_its_thickness_not_its_area(
    width_m: float, kind: OverlapKind
) -> None:
    left = degrees_box(*QUZHOU, 500, 500)
    right = degrees_box(QUZHOU[0] + (500 - width_m) * METRE, QUZHOU[1], 500, 500)
    found = overlap(right, left, RULE)
    assert found.kind is kind
    assert found.area_m2 == pytest.approx(width_m * 500, rel=0.01)


def test_a_thin_overlap_of_a_thin_parcel_is_more_than_a_sliver() -> None:
    wall = degrees_box(*QUZHOU, 10, 500)
    found = overlap(degrees_box(QUZHOU[0] + 9.6 * METRE, QUZHOU[1], 500, 500), wall, RULE)
    assert found.kind is OverlapKind.REFUSED  # 0.4 m is 4 % of the wall


def test_many_slivers_together_are_refused() -> None:
    candidate = degrees_box(*QUZHOU, 100, 100)
    x, y = QUZHOU
    up = 1 / 110_850
    around = [
        degrees_box(x - 99.6 * METRE, y, 100, 100),
        degrees_box(x + 99.6 * METRE, y, 100, 100),
        degrees_box(x, y + 99.6 * up, 100, 100),
    ]
    assert [o.kind for o in judge_overlaps(candidate, around[:2], RULE)] == [OverlapKind.SLIVER] * 2
    assert [o.kind for o in judge_overlaps(candidate, around, RULE)] == [OverlapKind.REFUSED] * 3


def test_the_figures_of_the_rule_belong_to_the_programme() -> None:
    left, right = degrees_box(*QUZHOU, 500, 500), degrees_box(QUZHOU[0] + 498 * METRE, QUZHOU[1], 500, 500)
    lenient = OverlapRule(name="survey-class-3", erosion_m=1.5)
    assert overlap(left, right, RULE).kind is OverlapKind.REFUSED
    found = overlap(left, right, lenient)
    assert (found.kind, found.rule) == (OverlapKind.SLIVER, "survey-class-3")


def test_a_local_metre_is_a_metre() -> None:
    frame = LocalFrame.around(degrees_box(*QUZHOU, 100, 100))
    square = degrees_box(*QUZHOU, 100, 100)
    assert frame.to_metres(square).area == pytest.approx(area_m2(square), rel=1e-6)


# --- cells --------------------------------------------------------------------------------------------------


@given(land(), st.floats(-1, 1), st.floats(-1, 1))
@settings(max_examples=40, deadline=None)
def test_parcels_that_overlap_share_a_cell_and_a_lock(
    outline: Polygon | MultiPolygon, dx: float, dy: float
) -> None:
    west, south, east, north = outline.bounds
    moved = shapely.transform(outline, lambda xy: xy + np.array([dx * (east - west), dy * (north - south)]))
    if overlap(outline, moved, RULE).kind is not OverlapKind.NONE:
        assert set(cells(outline)) & set(cells(moved))
        assert set(coarse_cells(outline)) & set(coarse_cells(moved))


def test_a_small_parcel_has_few_cells_in_ascending_order() -> None:
    found = cells(stand(*QUZHOU, 5e-4, 1))
    assert 1 <= len(found) <= 9
    assert found == sorted(set(found))
    assert all(0 < cell < 2**63 for cell in found)


def test_a_county_drawn_by_mistake_is_refused() -> None:
    with pytest.raises(TooManyCells):
        cells(degrees_box(*QUZHOU, 60_000, 60_000))
    with pytest.raises(TooManyCells):
        cells(box(100, 25, 120, 40))
