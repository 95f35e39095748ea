"""Outlines that would take the machine down when they are laid across each other are refused before that."""

import time

import numpy as np
import pytest
import shapely
from shapely import Polygon

from geo import pairs
from geo.crossings import MANY_VERTICES, MAX_CROSSINGS, comparable, excess_crossings
from geo.datum import judge_datum
from geo.errors import TooManyCrossings
from geo.polygon import OverlapRule, canonical, difference, intersection
from tests.geo.shapes import QUZHOU

X, Y = QUZHOU
SIDE = 0.04


def comb(teeth: int, *, lying: bool = False) -> Polygon:
    """A back with teeth upwards, or to the right."""
    at = np.arange(teeth)[:, None] * SIDE / teeth
    across = (at + np.array([0.0, 0.4, 0.5, 0.6]) * SIDE / teeth).ravel()
    up = np.tile([0.0, 0.0, SIDE, SIDE], teeth)
    points = [(0.0, -0.002), *zip(across, up, strict=True), (SIDE, 0.0), (SIDE, -0.002)]
    return Polygon([(X + b, Y + a) if lying else (X + a, Y + b) for a, b in points])


def wavy(vertices: int, phase: float) -> Polygon:
    """A round outline of many vertices, as two surveyors would digitise it."""
    angle = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    radius = 0.01 + 1e-6 * np.sin(97 * angle + phase)
    return Polygon(np.column_stack([X + radius * np.cos(angle), Y + radius * np.sin(angle)]))


def test_combs_across_each_other_are_refused_at_once() -> None:
    one, other = comb(10_000), comb(10_000, lying=True)
    assert one.is_valid
    begun = time.monotonic()
    for ask in (
        lambda: intersection(one, other),
        lambda: difference(one, other),
        lambda: pairs.between([one], [other], OverlapRule()),
        lambda: pairs.among([one, other], OverlapRule()),
    ):
        with pytest.raises(TooManyCrossings):
            ask()
    assert time.monotonic() - begun < 10  # it would take minutes and gigabytes


def test_many_pairs_of_small_combs_are_refused_together() -> None:
    ones, others = [comb(130)] * 30, [comb(130, lying=True)] * 30
    each = excess_crossings(ones[0], others[0], MAX_CROSSINGS)
    assert pairs.MAX_CROSSINGS_TOGETHER / 30**2 < each < MAX_CROSSINGS
    with pytest.raises(TooManyCrossings):
        pairs.between(ones, others, OverlapRule())


def test_a_border_that_was_digitised_twice_is_compared() -> None:
    one, other = canonical(wavy(20_000, 0.0)), canonical(wavy(20_000, 1.0))
    assert excess_crossings(one, other, MAX_CROSSINGS) == 0
    shared = intersection(one, other)
    assert shared is not None
    assert shared.equals(shapely.intersection(one, other))


def test_few_vertices_are_not_counted() -> None:
    one, other = comb(100), comb(100, lying=True)
    assert shapely.get_num_coordinates(one) * shapely.get_num_coordinates(other) < MANY_VERTICES
    assert excess_crossings(one, other, 0) == 0


def test_a_judgement_of_the_place_leaves_out_what_cannot_be_compared() -> None:
    one, other = comb(2_000), comb(2_000, lying=True)
    ones = np.array([one, one, one], dtype=object)
    others = np.array([other, one, wavy(100, 0.0)], dtype=object)
    assert comparable(ones, others).tolist() == [False, True, True]
    begun = time.monotonic()
    judge_datum([one], registered=[other], counties={"330802": other}, county_of=["330802"])
    assert time.monotonic() - begun < 10
