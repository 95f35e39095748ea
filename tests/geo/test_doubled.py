"""Ground that is covered twice is lit by the cells it shares, and then judged exactly."""

import numpy as np
import pytest
from shapely import Polygon

from geo.crs import LocalFrame, Polygonal
from geo.doubled import NATIONAL, judge_lit, light_up, national_coverage, near, off_grid
from geo.polygon import OverlapRule, canonical

RULE = OverlapRule()
QUZHOU = LocalFrame(118.8, 29.0)


def square(x_m: float, y_m: float, side_m: float = 100.0, frame: LocalFrame = QUZHOU) -> Polygonal:
    east, north = frame.metres_per_degree()
    corners = [(x_m, y_m), (x_m + side_m, y_m), (x_m + side_m, y_m + side_m), (x_m, y_m + side_m)]
    return canonical(Polygon([(frame.lon_deg + x / east, frame.lat_deg + y / north) for x, y in corners]))


def test_a_checkerboard_that_only_touches_lights_nothing() -> None:
    board = [square(100 * n, 100 * m) for n in range(12) for m in range(12)]
    coverage = national_coverage(board)
    assert np.allclose(coverage.covered_m2(), coverage.ground_m2, rtol=1e-6)
    assert len(off_grid(coverage)) == 0
    assert light_up(coverage).cells == 0


@pytest.mark.parametrize("workers", [1, 3])
def test_what_lies_on_others_is_lit_and_named(workers: int) -> None:
    board = [square(100 * n, 0) for n in range(40)]
    planted = [square(100 * n + 30, 20) for n in (0, 9, 17, 25, 38)]
    lit = light_up(national_coverage([*board, *planted], workers=workers), workers=workers)
    assert lit.cells >= 5 * 64
    found = judge_lit(lit.pairs, [*board, *planted].__getitem__, RULE)
    assert {one.other for one in found} == {40, 41, 42, 43, 44}
    assert {one.one for one in found if one.other == 40} == {0, 1}


def test_a_sliver_is_lit_and_let_pass() -> None:
    pair = [square(0, 0), square(99.8, 0)]
    lit = light_up(national_coverage(pair))
    assert lit.pairs.tolist() == [[0, 1]]
    assert judge_lit(lit.pairs, pair.__getitem__, RULE) == []


def test_three_on_one_place_are_three_pairs() -> None:
    lit = light_up(national_coverage([square(0, 0), square(10, 10), square(20, 20)]))
    assert lit.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]


def test_what_lies_off_the_grid_is_paired_by_its_boxes() -> None:
    """Land in another country is no reason to overlook it."""
    islands = LocalFrame(-25.5, 37.8)
    outlines = [square(0, 0), square(0, 0, frame=islands), square(50, 0, frame=islands)]
    coverage = national_coverage(outlines)
    assert off_grid(coverage).tolist() == [1, 2]
    pairs = near(off_grid(coverage), outlines)
    assert [(one.one, one.other) for one in judge_lit(pairs, outlines.__getitem__, RULE)] == [(1, 2)]


def test_the_grid_is_one_of_whole_cells() -> None:
    assert NATIONAL.x0 % 10 == NATIONAL.y0 % 10 == 0
    assert NATIONAL.is_geographic is False
