"""Proposals for outlines that are not valid: what is enclosed before and after, and where there is no way
out.
"""

from collections.abc import Sequence

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon

from geo.crs import Polygonal, area_m2
from geo.polygon import canonical, check_valid, digest
from geo.repair import (
    MAX_REPAIR_VERTICES,
    MOST_CHANGE_PPM,
    NoRepair,
    Repair,
    judge_repair,
    propose_repair,
)
from tests.geo.shapes import QUZHOU, land

Ring = Sequence[tuple[float, float]]
SQUARE_M2 = 9_997.14  # 100 by 100 of `degrees`, as the ellipsoid has it


def square(west: float, south: float, east: float, north: float) -> Ring:
    return [(west, south), (east, south), (east, north), (west, north)]


def degrees(ring: Ring) -> list[tuple[float, float]]:
    """Metres east and north of Quzhou, about."""
    return [(QUZHOU[0] + x / 97_500, QUZHOU[1] + y / 110_850) for x, y in ring]


def drawn(shell: Ring, *holes: Ring) -> Polygon:
    return Polygon(degrees(shell), [degrees(hole) for hole in holes])


def proposal(outline: Polygonal) -> Repair:
    judged = judge_repair(outline)
    assert isinstance(judged, Repair), judged
    assert check_valid(judged.geometry).equals(canonical(judged.geometry))
    assert judged.sha256 == digest(judged.geometry)
    assert judged.area_after_m2 == area_m2(judged.geometry)
    return judged


@pytest.mark.parametrize(
    ("shell", "holes", "before_m2", "after_m2", "change_ppm"),
    [
        pytest.param([(0, 0), (100, 100), (100, 0), (0, 100)], [], 4_998.57, 4_998.57, 0, id="bow-tie"),
        pytest.param(
            [(0, 0), (100, 0), (100, 50), (160, 50), (100, 50), (100, 100), (0, 100)], [],
            SQUARE_M2, SQUARE_M2, 0, id="spike",
        ),
        pytest.param(
            [*square(0, 0, 100, 100), *square(0, 0, 100, 100)], [], None, SQUARE_M2, None,
            id="ring drawn twice",
        ),
        pytest.param(
            square(0, 0, 100, 100), [square(200, 200, 220, 220)], SQUARE_M2, 10_397.02, 39_999,
            id="hole outside its shell",
        ),
        pytest.param(
            square(0, 0, 100, 100), [square(90, 40, 110, 60)], 9_797.20, 9_797.20, 0,
            id="hole across its shell",
        ),
        pytest.param(
            square(0, 0, 100, 100), [square(20, 20, 80, 80), square(40, 40, 60, 60)], 6_398.17, 6_398.17, 0,
            id="nested holes",
        ),
        pytest.param(
            [(0, 0), (50, 0), (100, 0), (100, 100), (50, 0), (0, 100)], [], 4_998.58, 4_998.58, 0,
            id="ring touching itself",
        ),
        pytest.param(
            [(0, 0), (100, 0), (100, 100), (40, 100), (40, -10), (60, -10), (60, 100), (0, 100)], [],
            8_197.65, 10_197.08, 243_904, id="loop laid over itself",
        ),
    ],
)  # fmt: skip
def test_a_proposal_says_what_was_enclosed_and_what_will_be(
    shell: Ring, holes: list[Ring], before_m2: float | None, after_m2: float, change_ppm: int | None
) -> None:
    outline = drawn(shell, *holes)
    assert not outline.is_valid
    found = proposal(outline)
    assert found.area_before_m2 == (None if before_m2 is None else pytest.approx(before_m2, abs=0.01))
    assert found.area_after_m2 == pytest.approx(after_m2, abs=0.01)
    assert found.change_ppm == change_ppm


def test_a_bow_tie_keeps_both_wings_and_its_crossing_is_the_place() -> None:
    found = proposal(drawn([(0, 0), (100, 100), (100, 0), (0, 100)]))
    assert found.reason == "Self-intersection"
    middle = degrees([(50, 50)])[0]
    assert (found.lon, found.lat) == pytest.approx(middle, abs=1e-7)
    assert len(found.places) == 1
    assert found.places[0] == pytest.approx(middle, abs=1e-9)
    assert isinstance(found.geometry, MultiPolygon)


def test_what_is_added_and_what_is_removed_is_shown_as_ground() -> None:
    lake_outside = proposal(drawn(square(0, 0, 100, 100), square(200, 200, 220, 220)))
    assert lake_outside.added is not None
    assert lake_outside.removed is None
    assert lake_outside.added.equals(canonical(drawn(square(200, 200, 220, 220))))


def test_two_parts_on_the_same_ground_become_one() -> None:
    both = MultiPolygon([drawn(square(0, 0, 100, 100)), drawn(square(50, 0, 150, 100))])
    found = proposal(both)
    assert isinstance(found.geometry, Polygon)
    assert found.area_before_m2 == pytest.approx(1.5 * SQUARE_M2, abs=0.02)
    assert found.change_ppm == 0


def test_vertices_that_are_drawn_twice_do_not_matter() -> None:
    once = [(0.0, 0.0), (100.0, 100.0), (100.0, 0.0), (0.0, 100.0)]
    twice = [vertex for vertex in once for _ in range(2)]
    assert proposal(drawn(twice)).sha256 == proposal(drawn(once)).sha256


def test_four_corners_on_the_edge_of_rounding_have_a_way_out() -> None:
    """Found by chance: GEOS's older noding gives up on this needle, its newer one does not."""
    needle = Polygon([(118.0018, 28.0078), (118.0017, 28.0077), (118.0018, 28.0079), (118.0014, 28.0071)])
    assert not needle.is_valid
    assert proposal(needle).area_before_m2 == pytest.approx(163.5, abs=0.1)  # a triangle and a needle


@pytest.mark.parametrize("line", [[(0, 0), (100, 0), (50, 0)], [(0, 0), (100, 0), (0, 0), (50, 0)]])
def test_a_line_is_no_land(line: Ring) -> None:
    assert judge_repair(drawn(line)) is NoRepair.NOTHING_LEFT


def test_a_proposal_that_would_be_other_land_is_not_made() -> None:
    """The same walk round two rooms, one within the other: even and odd differ by more than a quarter."""
    walk = [*square(0, 0, 100, 100), (0, 0), *square(10, 10, 90, 90), (10, 10)]
    assert judge_repair(drawn(walk)) is NoRepair.CHANGES_TOO_MUCH
    assert propose_repair(drawn(walk)) is None


def ring_of(count: int) -> list[tuple[float, float]]:
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return list(zip(500 * np.cos(turn), 500 * np.sin(turn), strict=True))


def test_a_proposal_is_made_up_to_two_thousand_vertices() -> None:
    knot = [(600.0, -200.0), (700.0, 0.0), (700.0, -200.0), (600.0, 0.0)]
    fitting = drawn([*ring_of(MAX_REPAIR_VERTICES - 5), *knot])
    assert shapely.get_num_coordinates(fitting) == MAX_REPAIR_VERTICES
    assert proposal(fitting).change_ppm == 0
    assert judge_repair(drawn([*ring_of(MAX_REPAIR_VERTICES - 4), *knot])) is NoRepair.TOO_MANY_VERTICES


@pytest.mark.parametrize("kind", ["scribble", "one line to and fro", "one ring a hundred times"])
def test_what_would_take_minutes_is_not_tried(kind: str) -> None:
    rng = np.random.default_rng(7)
    x, y = rng.uniform(0, 1000, (2, 1_900))
    if kind == "one line to and fro":
        y = np.zeros(1_900)
    ring = list(zip(x, y, strict=True))
    if kind == "one ring a hundred times":
        ring = ring_of(19) * 100
    assert judge_repair(drawn([*ring, (500.0, 900.0)])) is NoRepair.TOO_MANY_CROSSINGS


def test_what_is_no_place_has_no_proposal() -> None:
    assert judge_repair(Polygon([(118, 28), (400, 28), (118, 29)])) is NoRepair.NOT_LAND
    a_province = Polygon([(118, 28), (123, 31), (123, 28), (118, 31)])
    assert judge_repair(a_province) is NoRepair.NOT_LAND  # valid or not, it would be refused


@given(land(), st.integers(0, 2**16))
@settings(max_examples=25, deadline=None)
def test_a_proposal_is_land_close_to_what_was_drawn(outline: Polygon | MultiPolygon, seed: int) -> None:
    """Two neighbouring vertices are exchanged, as a mistyped table does it."""
    part = outline.geoms[0] if isinstance(outline, MultiPolygon) else outline
    ring = shapely.get_coordinates(part.exterior)[:-1]
    n = int(np.random.default_rng(seed).integers(1, len(ring) - 1))
    ring[[n, n - 1]] = ring[[n - 1, n]]
    mistyped = Polygon(ring)
    judged = judge_repair(mistyped)
    assert isinstance(judged, Repair)
    assert judged.area_before_m2 is not None
    assert judged.change_ppm is not None
    assert abs(judged.change_ppm) <= MOST_CHANGE_PPM
    gained = area_m2(judged.added) if judged.added is not None else 0.0
    lost = area_m2(judged.removed) if judged.removed is not None else 0.0
    assert judged.area_after_m2 == pytest.approx(judged.area_before_m2 + gained - lost, rel=1e-6)
