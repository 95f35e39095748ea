"""One parcel against its neighbours gets the answers that each pair gets alone."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely import Polygon, box

from geo.pairs import against
from geo.polygon import OverlapKind, OverlapRule, Polygonal, canonical, overlap

RULE = OverlapRule()
STEP = 1e-3
"""Degrees: about a hundred metres."""


def star(seed: int, corners: int, x: float, y: float) -> Polygonal:
    """A valid outline around a place, as a surveyor walks around it."""
    drawn = np.random.default_rng(seed)
    angle = np.sort(drawn.uniform(0, 2 * np.pi, corners)) + np.linspace(0, 1e-6, corners)
    reach = drawn.uniform(0.4, 1.0, corners) * STEP
    return canonical(Polygon(np.column_stack([x + np.cos(angle) * reach, y + np.sin(angle) * reach])))


places = st.tuples(st.integers(0, 2**32 - 1), st.integers(5, 30), st.floats(-2, 2), st.floats(-2, 2))


@given(neighbours=st.lists(places, max_size=6))
@settings(max_examples=60, deadline=None)
def test_the_answers_are_those_of_each_pair_alone(neighbours: list[tuple[int, int, float, float]]) -> None:
    candidate = star(7, 24, 118.8, 29.0)
    others = [star(seed, n, 118.8 + x * STEP, 29.0 + y * STEP) for seed, n, x, y in neighbours]
    assume(all(other.is_valid for other in others))  # few corners on one side of the place cross each other
    alone = [(at, overlap(candidate, other, RULE)) for at, other in enumerate(others)]
    assert against(candidate, others, RULE) == [(at, one) for at, one in alone if one.area_m2 > 0]


def test_neighbours_that_only_touch_or_are_elsewhere_are_left_out() -> None:
    candidate = canonical(box(118.8, 29.0, 118.801, 29.001))
    touching = canonical(box(118.801, 29.0, 118.802, 29.001))
    inside = canonical(box(118.8002, 29.0002, 118.8004, 29.0004))
    away = canonical(box(118.9, 29.0, 118.901, 29.001))
    ((at, found),) = against(candidate, [touching, away, inside], RULE)
    assert (at, found.kind, found.neighbour_share) == (2, OverlapKind.REFUSED, 1.0)
    assert against(candidate, [], RULE) == against(candidate, [away], RULE) == []
