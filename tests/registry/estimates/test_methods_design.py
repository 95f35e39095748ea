"""The design of a sample: how many plots, how many in each stratum, and a lattice that nobody picks from."""

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, box
from shapely.affinity import rotate
from shapely.geometry.base import BaseGeometry

from geo.crs import LocalFrame, Polygonal
from registry.estimates.methods import student_quantile
from registry.estimates.methods.design import (
    Allocation,
    Design,
    DesignStratum,
    PilotStratum,
    allocate,
    lay_out,
    plots_given,
    plots_needed,
    stratum_area_ha,
)
from registry.estimates.methods.errors import OutOfRange, StratumTooSmall, TooManyPlots
from registry.estimates.methods.plot_checks import radius_m

EAST, NORTH = LocalFrame(118.4, 28.9).metres_per_degree()
AREA_HA = 0.06
Rectangle = tuple[float, float, float, float]


def land(*metres: float, hole: Rectangle | None = None) -> Polygon:
    """A rectangle in metres from a corner at 118.4 E 28.9 N, perhaps with a hole."""
    west, south, east, north = metres
    shape: BaseGeometry = box(west, south, east, north)
    if hole is not None:
        shape = shape.difference(box(*hole))
    moved = shapely.transform(shape, lambda xy: xy / [EAST, NORTH] + [118.4, 28.9])
    assert isinstance(moved, Polygon)
    return moved


def laid(
    parcels: Mapping[str, Polygonal], count: int, seed: str = "seed", area_ha: float = AREA_HA
) -> Design:
    stratum = DesignStratum("chinese_fir", parcels)
    return lay_out(
        [stratum], Allocation({"chinese_fir": count}, count, 1.7, 0.1), plot_area_ha=area_ha, seed=seed
    )


def discs(design: Design) -> list[Polygon]:
    radius = radius_m(design.plot_area_ha)
    turns = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return [
        Polygon(
            np.column_stack(
                [
                    plot.lon_deg
                    + radius * np.cos(turns) / LocalFrame(plot.lon_deg, plot.lat_deg).metres_per_degree()[0],
                    plot.lat_deg
                    + radius * np.sin(turns) / LocalFrame(plot.lon_deg, plot.lat_deg).metres_per_degree()[1],
                ]
            )
        )
        for plot in design.plots
    ]


# How many


def test_the_number_of_plots_follows_the_formula_with_t_iterated_twice() -> None:
    """Mean 10, deviation 4, 10 %: (1.6449 x 4)^2 = 43.3; with t of 43 degrees 45.2; of 45 degrees 45.1."""
    found = plots_needed([PilotStratum("a", 50.0, 10.0, 4.0)], target_error=0.10)
    assert found.plots == {"a": 46}
    assert found.t_value == student_quantile(0.90, 45)
    assert found.expected_error <= 0.10


def test_few_plots_are_at_least_three_in_every_stratum() -> None:
    found = plots_needed(
        [PilotStratum("a", 50.0, 10.0, 0.1), PilotStratum("b", 1.0, 10.0, 0.0)], target_error=0.10
    )
    assert found.plots == {"a": 3, "b": 3}


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(1, 500), st.floats(2, 40), st.floats(0.2, 20)), min_size=1, max_size=6),
    st.floats(0.05, 0.30),
)
def test_plots_allocated_as_designed_reach_the_target_if_the_pilot_was_right(
    drawn: list[tuple[float, float, float]], target: float
) -> None:
    strata = [PilotStratum(f"s{n}", *one) for n, one in enumerate(drawn)]
    try:
        found = plots_needed(strata, target_error=target)
    except TooManyPlots:
        return
    assert found.total >= 3 * len(strata)
    assert found.expected_error <= target
    assert found.total <= found.by_formula + 4 * len(strata)


@pytest.mark.parametrize(
    ("strata", "target"),
    [
        ([], 0.1),
        ([PilotStratum("a", 1.0, 10.0, 4.0)], 0.0),
        ([PilotStratum("a", 1.0, 10.0, 4.0)], 1.5),
        ([PilotStratum("a", 1.0, 0.0, 4.0)], 0.1),
        ([PilotStratum("a", 1.0, 10.0, -4.0)], 0.1),
        ([PilotStratum("a", 0.0, 10.0, 4.0)], 0.1),
    ],
)
def test_a_design_of_nothing_is_refused(strata: list[PilotStratum], target: float) -> None:
    with pytest.raises(OutOfRange):
        plots_needed(strata, target_error=target)


def test_a_number_that_somebody_decided_on_is_shared_out_with_the_error_to_expect() -> None:
    strata = [PilotStratum("a", 50.0, 10.0, 4.0), PilotStratum("b", 50.0, 10.0, 2.0)]
    found = plots_given(strata, 30)
    assert found.plots == {"a": 20, "b": 10}
    se = math.sqrt(4.0 / 20 + 1.0 / 10)
    assert found.expected_error == pytest.approx(student_quantile(0.90, 28) * se / 10)
    with pytest.raises(TooManyPlots):
        plots_given(strata, 30_000)


def test_a_target_that_nobody_can_walk_is_refused() -> None:
    with pytest.raises(TooManyPlots):
        plots_needed([PilotStratum("a", 1.0, 0.1, 40.0)], target_error=0.01)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 1e3), min_size=1),
    st.integers(0, 400),
)
def test_an_allocation_adds_up_and_leaves_no_stratum_short(spreads: dict[str, float], more: int) -> None:
    total = 3 * len(spreads) + more
    counts = allocate(total, spreads)
    assert sum(counts.values()) == total
    assert min(counts.values()) >= 3
    for one in spreads:
        for other in spreads:
            if spreads[one] > spreads[other]:
                assert counts[one] >= counts[other]


def test_an_allocation_is_that_of_exact_fractions() -> None:
    spreads = {"a": 3.0, "b": 2.0, "c": 1.0}
    assert allocate(20, spreads) == {"a": 10, "b": 7, "c": 3}
    parts = {name: Fraction(20) * Fraction(value) / 6 for name, value in spreads.items()}
    assert all(abs(allocate(20, spreads)[name] - part) < 1 for name, part in parts.items())
    assert allocate(9, {"a": 100.0, "b": 0.0, "c": 0.0}) == {"a": 3, "b": 3, "c": 3}
    with pytest.raises(OutOfRange):
        allocate(8, spreads)


# Where


@settings(max_examples=25, deadline=None)
@given(
    st.integers(3, 40), st.text(max_size=8), st.floats(150, 900), st.floats(150, 900), st.floats(0, 90),
)  # fmt: skip
def test_the_count_is_exact_and_every_circle_lies_inside(
    count: int, seed: str, width: float, height: float, bearing: float
) -> None:
    outline = rotate(land(0, 0, width, height), bearing)
    assert isinstance(outline, Polygon)
    try:
        design = laid({"p": outline}, count, seed)
    except StratumTooSmall:
        assume(False)
        raise
    assert len(design.plots) == count
    assert len({plot.plot_id for plot in design.plots}) == count
    assert all(shapely.covers(outline, disc) for disc in discs(design))
    assert design.digest() == laid({"p": outline}, count, seed).digest()


def test_plots_never_overlap_and_stand_on_one_square_lattice() -> None:
    design = laid({"p": land(0, 0, 800, 600)}, 24)
    (stratum,) = design.strata
    places = np.array([[plot.lon_deg * EAST, plot.lat_deg * NORTH] for plot in design.plots])
    apart = np.hypot(*(places[:, None] - places[None, :]).transpose(2, 0, 1))
    nearest = np.where(apart == 0, np.inf, apart).min(axis=1)
    assert nearest == pytest.approx(stratum.spacing_m, rel=1e-3)
    assert stratum.spacing_m > 2 * radius_m(AREA_HA)
    turn = math.radians(stratum.bearing_deg)
    along = (places - places[0]) @ np.array([math.cos(turn), math.sin(turn)]) / stratum.spacing_m
    assert np.abs(along - np.round(along)).max() < 0.01


def test_holes_and_parts_and_borders_between_parcels_of_one_stratum() -> None:
    """A circle may reach over a border inside the stratum, and never into a hole or out of the stratum."""
    parcels: dict[str, Polygonal] = {
        "west": land(0, 0, 200, 400, hole=(60, 60, 140, 340)),
        "east": land(200, 0, 400, 400),
        "far": MultiPolygon([land(900, 0, 1000, 100), land(900, 200, 1000, 300)]),
        "sliver": land(0, 500, 400, 515),
    }
    design = laid(parcels, 30)
    ground = shapely.union_all(list(parcels.values()))
    assert all(shapely.covers(shapely.buffer(ground, 1e-12), disc) for disc in discs(design))
    assert design.strata[0].unreachable == ("sliver",)
    assert 0.3 < design.strata[0].reachable_share < 0.8
    assert {plot.parcel for plot in design.plots} == {"west", "east", "far"}
    for plot in design.plots:
        assert shapely.intersects(parcels[plot.parcel], shapely.Point(plot.lon_deg, plot.lat_deg))


@pytest.mark.parametrize(
    ("outline", "count"), [((0, 0, 400, 20), 3), ((0, 0, 26, 26), 3), ((0, 0, 100, 100), 40)]
)
def test_ground_without_room_is_refused(outline: tuple[float, ...], count: int) -> None:
    with pytest.raises(StratumTooSmall) as refused:
        laid({"p": land(*outline)}, count)
    assert int(str(refused.value.facts["room"])) < count


def test_another_seed_is_another_design_and_a_stratum_more_moves_no_other() -> None:
    parcels = {"p": land(0, 0, 500, 400)}
    one = laid(parcels, 10)
    assert one.digest() != laid(parcels, 10, "other").digest()
    both = lay_out(
        [DesignStratum("oak", {"q": land(900, 0, 1400, 400)}), DesignStratum("chinese_fir", parcels)],
        Allocation({"chinese_fir": 10, "oak": 5}, 15, 1.7, 0.1),
        plot_area_ha=AREA_HA,
        seed="seed",
    )
    assert [plot for plot in both.plots if plot.stratum == "chinese_fir"] == list(one.plots)


def test_over_many_seeds_every_place_is_as_likely() -> None:
    """Chi-square over a 4 x 4 grid of the ground that centres can stand on; each cell about 150 plots."""
    parcels = {"p": land(0, 0, 400, 400)}
    edge = radius_m(AREA_HA) * 1.01
    counts = np.zeros((4, 4))
    for n in range(300):
        for plot in laid(parcels, 8, f"seed {n}").plots:
            x = ((plot.lon_deg - 118.4) * EAST - edge) / (400 - 2 * edge)
            y = ((plot.lat_deg - 28.9) * NORTH - edge) / (400 - 2 * edge)
            counts[min(int(y * 4), 3), min(int(x * 4), 3)] += 1
    assert counts.sum() == 2400
    assert counts.min() > 150 * 0.7
    assert counts.max() < 150 * 1.3


def test_the_places_of_a_seed_are_frozen() -> None:
    """Written down once: another machine must send the crew to the same places."""
    design = laid({"p": land(0, 0, 500, 400)}, 5)
    assert [f"{plot.lon_deg:.7f} {plot.lat_deg:.7f}" for plot in design.plots[:2]] == FROZEN


FROZEN = ["118.4018020 28.9005778", "118.4036534 28.9010374"]


def test_the_ground_of_a_stratum_is_geodesic() -> None:
    assert stratum_area_ha({"a": land(0, 0, 100, 100), "b": land(200, 0, 300, 100)}) == pytest.approx(
        2.0, rel=1e-3
    )
