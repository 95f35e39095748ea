"""Many outlines at once say what one at a time says: the same bytes, refusals, areas and cells."""

import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Point, Polygon, box

from benchmarks.land import world
from geo import batch, ragged
from geo.crs import area_m2, parts_of, to_store
from geo.datum import Datum, from_wgs84, to_wgs84
from geo.errors import GeoRefusal, TooManyCells, TooManyVertices
from geo.polygon import MAX_VERTICES, canonical, cells, check_valid, from_wkb, polygonal, to_wkb
from tests.geo.shapes import GAUSS_KRUEGER_120E, QUZHOU, land, stand
from tests.geo.test_polygon import redrawn

Answer = bytes | tuple[str, dict[str, object]]

BOW_TIE = Polygon([(118.87, 28.95), (118.88, 28.96), (118.88, 28.95), (118.87, 28.96)])
FAR_EAST_M = 500_000.0
HOLES = [box(118.002 + k / 1e3, 28.002, 118.0025 + k / 1e3, 28.003).exterior for k in range(5)]
SPECK = Polygon([(118.0, 29.0), (118.0, 29.0 + 1e-10), (118.0, 29.0)])
ODD: list[Any] = [
    None,
    Point(118.87, 28.95),
    Polygon(),
    MultiPolygon(),
    BOW_TIE,
    Polygon([(118.0, 28.0), (118.1, 28.1), (118.2, 28.2), (118.0, 28.0)]),  # no ground
    Polygon([(118.0, 28.0), (118.0, 28.0), (118.0, 28.0), (118.0, 28.0)]),  # a point
    Polygon([(118.0, 28.0), (118.0, 28.0 + 4e-10), (118.0 + 4e-10, 28.0)]),  # gone when rounded
    Polygon([(181.0, 28.0), (181.1, 28.0), (181.0, 28.1)]),
    Polygon([(28.95, 118.87), (28.96, 118.87), (28.96, 118.88)]),  # latitude before longitude
    Polygon([(118.0, 28.0), (118.1, np.nan), (118.0, 28.1)]),
    Polygon([(118.0, 28.0), (118.1, 1e300), (118.0, 28.1)]),
    Polygon([(-0.0, -0.0), (0.001, 0.0), (0.001, 0.001), (-0.0, 0.001)]),
    box(10.0, 89.9, 10.1, 89.95),
    box(118.0, 28.0, 119.0, 29.0),  # more cells than a parcel may have
    box(118.0, 28.0, 118.1, 28.1),  # many cells, but not too many
    shapely.force_3d(box(118.0, 28.0, 118.001, 28.001), 7.0),
    Polygon(box(118.0, 28.0, 118.01, 28.01).exterior, HOLES),
    MultiPolygon([box(118.0, 28.0, 118.001, 28.001), box(118.001, 28.001, 118.002, 28.002)]),  # touch
    MultiPolygon([box(118.0, 28.0, 118.001, 28.001), box(118.0, 28.0, 118.002, 28.002)]),  # one in the other
    MultiPolygon([box(118.0, 28.0, 118.001, 28.001), SPECK]),
]  # fmt: skip
METRES: list[Any] = [
    Polygon([(500_000, 3_200_000), (507_000, 3_200_000), (507_000, 3_200_100), (500_000, 3_200_100)]),
    Polygon([(500_000, 3_200_000), (900_000, 3_200_000), (500_000.0, 3_600_000)]),
    Polygon([(500_000, 3_200_000), (1_600_000, 3_200_000), (500_000.0, 3_600_000)]),
    box(40_500_000, 3_200_000, 40_500_100, 3_200_100),  # a zone prefix where there is none
    box(3_200_000, 500_000, 3_200_100, 500_100),  # northing before easting
    box(500_000, 2e7, 500_100, 2e7 + 100),
    box(500_000, 9_999_000, 500_100, 9_999_100),
    Polygon([(500_000, 1), (500_001, 1), (500_000, 2e12)]),
    box(118.87, 28.95, 118.88, 28.96),  # degrees
]


def one_by_one(shape: Any, crs: str = "EPSG:4490", datum: Datum = Datum.AS_STATED) -> Answer:
    """What the functions for one polygon make of a row, as a file's rows have always gone."""
    try:
        outline = polygonal(shape)
        count = int(shapely.get_num_coordinates(outline))
        if count > MAX_VERTICES:
            raise TooManyVertices(count=count, limit=MAX_VERTICES)
        found = check_valid(canonical(to_wgs84(to_store(outline, crs), datum)))
        cells(found)
        return to_wkb(found)
    except GeoRefusal as refusal:
        return refusal.code, refusal.facts


def at_once(shapes: list[Any], crs: str = "EPSG:4490", datum: Datum = Datum.AS_STATED) -> list[Answer]:
    recorded = batch.record(shapes, crs, datum=datum)
    answers: list[Answer] = []
    for row, wkb in enumerate(recorded.wkb):
        assert (wkb is None) == (row in recorded.refused) == (recorded.outlines[row] is None)
        if wkb is None:
            answers.append((recorded.refused[row].code, recorded.refused[row].facts))
            continue
        answers.append(wkb)
        outline = from_wkb(wkb)
        assert shapely.to_wkb(recorded.outlines[row]) == shapely.to_wkb(outline)
        assert recorded.areas_cm2[row] == round(area_m2(outline) * 10_000)
        assert recorded.cells_of(row) == cells(outline)
    return answers


@given(st.lists(land(), min_size=1, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_outlines_drawn_in_any_way_get_the_bytes_that_each_gets_alone(
    outlines: list[Any], chance: random.Random
) -> None:
    drawn = [redrawn(outline, chance) for outline in outlines]
    assert at_once(drawn) == [one_by_one(outline) for outline in drawn]
    forms, refused = batch.canonical(drawn)
    assert not refused
    assert [to_wkb(form) for form in forms] == [to_wkb(canonical(outline)) for outline in drawn]


@st.composite
def scribble(draw: st.DrawFn) -> Any:
    """Rings through few places of a coarse grid: repeated vertices, spikes, crossings, flat rings, holes that
    touch or lie outside; mostly nonsense, sometimes an outline.
    """
    place = st.tuples(st.integers(-3, 3), st.integers(-3, 3))
    unit = draw(st.sampled_from([1e-10, 1e-9, 1e-4, 0.3]))
    x, y = draw(st.sampled_from([(0.0, 0.0), QUZHOU, (-179.9, -60.0)]))

    def ring() -> list[tuple[float, float]]:
        points = draw(st.lists(place, min_size=3, max_size=8))
        return [(x + a * unit, y + b * unit) for a, b in points]

    parts = [
        Polygon(ring(), [ring() for _ in range(draw(st.integers(0, 2)))])
        for _ in range(draw(st.integers(1, 2)))
    ]
    return parts[0] if len(parts) == 1 and draw(st.booleans()) else MultiPolygon(parts)


@given(st.lists(scribble(), min_size=1, max_size=5))
@settings(max_examples=80, deadline=None)
def test_nonsense_is_refused_for_the_reason_it_is_refused_for_alone(shapes: list[Any]) -> None:
    assert at_once(shapes) == [one_by_one(shape) for shape in shapes]
    forms, refused = batch.canonical(shapes)
    for row, shape in enumerate(shapes):
        try:
            assert to_wkb(forms[row]) == to_wkb(canonical(shape))
        except GeoRefusal as refusal:
            assert (refused[row].code, refused[row].facts) == (refusal.code, refusal.facts)


def test_odd_rows_among_good_ones_change_nothing_for_either() -> None:
    good = [stand(*QUZHOU, 0.002, seed, hole=seed % 2 == 0, parts=1 + seed % 3) for seed in range(20)]
    mixed = [row for pair in zip(good, [*ODD, *METRES], strict=False) for row in pair] + ODD + METRES
    assert at_once(mixed) == [one_by_one(row) for row in mixed]
    assert batch.record([], "EPSG:4490").wkb == []


@pytest.mark.parametrize("crs", [GAUSS_KRUEGER_120E, "EPSG:3857", "EPSG:32650", "EPSG:4326", "EPSG:4269"])
def test_rows_of_other_systems_come_to_the_store_as_each_does_alone(crs: str) -> None:
    rows = [*METRES, *ODD, *world.outlines(40)]
    assert at_once(rows, crs) == [one_by_one(row, crs) for row in rows]


@pytest.mark.parametrize("datum", [Datum.GCJ02, Datum.BD09])
def test_rows_of_a_web_map_are_moved_back_as_each_is_alone(datum: Datum) -> None:
    drawn = [from_wgs84(stand(*QUZHOU, 0.004, seed, parts=2), datum) for seed in range(12)]
    rows = [*drawn, *ODD, box(72.0, 10.0, 72.01, 10.01)]
    assert at_once(rows, "EPSG:4326", datum) == [one_by_one(row, "EPSG:4326", datum) for row in rows]


def test_an_invalid_row_keeps_its_form_for_the_repair() -> None:
    recorded = batch.record([box(118.0, 28.0, 118.001, 28.001), BOW_TIE], "EPSG:4490")
    assert list(recorded.refused) == [1]
    assert to_wkb(recorded.invalid[1]) == to_wkb(canonical(BOW_TIE))


def test_a_row_that_would_be_cut_into_too_many_pieces_is_not_cut() -> None:
    """A few corners far apart are a million vertices once the edges are cut; the work must not be done for
    every such row of a file.
    """
    west_east = Polygon([(1_000, 3_200_000), (999_000, 3_200_000 + 6e6), (2_000, 3_200_001)])
    rows = [west_east] * 2_000
    recorded = batch.record(rows, GAUSS_KRUEGER_120E)
    expected = one_by_one(west_east, GAUSS_KRUEGER_120E)
    assert expected[0] == "too_many_vertices"
    assert {(one.code, one.facts["count"]) for one in recorded.refused.values()} == {
        (expected[0], expected[1]["count"])  # type: ignore[index]
    }
    assert len(recorded.refused) == len(rows)


def test_areas_in_whole_square_centimetres_are_those_of_the_exact_sum() -> None:
    near = [
        stand(QUZHOU[0] + seed / 50, seed / 1.2, 10 ** -(1 + seed % 40 / 10), seed, hole=seed % 2 == 1)
        for seed in range(70)
    ]
    outlines = [canonical(one) for one in near]
    exact = [round(area_m2(one) * 10_000) for one in outlines]
    assert batch.areas_cm2(outlines).tolist() == exact
    assert min(exact) < 100_000 < 10**12 < max(exact)


def test_an_area_just_between_two_whole_numbers_is_left_to_the_exact_sum() -> None:
    """The polynomial is good to far better than a square centimetre, but rounding needs the last bit."""
    outlines = batch.canonical(list(stretched(1_500)))[0]
    exact = [round(area_m2(one) * 10_000) for one in outlines]
    assert batch.areas_cm2(list(outlines)).tolist() == exact


def stretched(count: int) -> Any:
    """Boxes of some 5 km, whose area in cm2 has fifteen digits."""
    rng = np.random.default_rng(3)
    west, south = QUZHOU[0] + rng.uniform(0, 1, count), QUZHOU[1] + rng.uniform(0, 1, count)
    return shapely.box(
        west, south, west + rng.uniform(0.04, 0.05, count), south + rng.uniform(0.01, 0.017, count)
    )


def test_cells_of_outlines_along_the_grids_lines_are_those_of_each_alone() -> None:
    rng = np.random.default_rng(5)
    some = [stand(QUZHOU[0] + float(rng.uniform(-0.02, 0.02)), QUZHOU[1], float(size), k, parts=1 + k % 2)
            for k, size in enumerate(rng.uniform(1e-4, 2e-2, 150))]  # fmt: skip
    found, begin = batch.cells(some)
    assert [found[a:b].tolist() for a, b in pairwise(begin)] == [cells(one) for one in some]
    with pytest.raises(TooManyCells):
        batch.cells([*some, box(118.0, 28.0, 119.0, 29.0)])


def test_rings_parts_and_rows_are_found_again() -> None:
    shapes = ragged.shapes_of(
        [stand(*QUZHOU, 0.002, 1, hole=True, parts=2), None, box(0, 0, 1, 1), Point(0, 0)]
    )
    flat, plain = ragged.ragged_of(shapes)
    assert plain.tolist() == [True, False, True, False]
    assert [
        shapely.from_wkb(wkb).equals_exact(shape)
        for wkb, shape in zip(ragged.wkb_of(flat), shapes[plain], strict=True)
    ]
    assert flat.vertices().tolist() == shapely.get_num_coordinates(shapes[plain]).tolist()
    alone = flat.take(np.array([False, True]))
    assert ragged.wkb_of(alone) == [to_wkb(box(0, 0, 1, 1))]
    assert [len(parts_of(shape)) for shape in shapes[plain]] == np.diff(flat.rows).tolist()
