"""What is odd about plots is named with its value and its bound, and nothing is left out because of it."""

import math
import random
import statistics
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.estimates.methods import Biomass, MeasuredTree, TreePair, VolumePair, estimate_change
from registry.estimates.methods.bamboo import CulmClass
from registry.estimates.methods.parameters import bamboo_parameters
from registry.estimates.methods.plot_checks import Finding, check_plots, radius_m, robust_z
from registry.estimates.methods.plots import CulmPair, PlotRecord

FIRST_ON, SECOND_ON = date(2020, 1, 10), date(2024, 12, 20)
FROM_ON, TO_ON = date(2020, 1, 1), date(2025, 1, 1)


def plot(number: int, gain: float = 30.0, **changed: object) -> PlotRecord:
    given: dict[str, object] = {
        "plot_id": f"P{number}", "stratum": "chinese_fir", "area_ha": 0.06, "measured1_on": FIRST_ON,
        "measured2_on": SECOND_ON, "measurement": VolumePair(60.0, 60.0 + gain),
        "lon_deg": 118.4 + 0.001 * number, "lat_deg": 28.9,
    }  # fmt: skip
    return PlotRecord(**given | changed)  # type: ignore[arg-type]


def trees(*dbhs: tuple[str | None, float], species: str = "chinese_fir") -> tuple[MeasuredTree, ...]:
    return tuple(MeasuredTree(species, dbh, tag) for tag, dbh in dbhs)


def stand(number: int, before: tuple[MeasuredTree, ...], after: tuple[MeasuredTree, ...]) -> PlotRecord:
    """A plot of these trees and enough ordinary ones beside them."""
    usual = trees(*((None, 14.0) for _ in range(40)))
    return plot(number, measurement=TreePair((*before, *usual), (*after, *usual)))


def codes(findings: tuple[Finding, ...]) -> list[tuple[str, str, str | None]]:
    return [(one.level, one.code, one.plot) for one in findings]


GOOD = [plot(n, 30.0 + n) for n in range(9)]


def test_good_plots_leave_nothing_to_say() -> None:
    assert check_plots(GOOD, strata_ha={"chinese_fir": 40.0}, from_on=FROM_ON, to_on=TO_ON) == ()


def test_the_same_plot_twice_and_two_plots_in_one_place_are_errors() -> None:
    near = plot(20, lon_deg=118.4 + 0.00005, lat_deg=28.9)
    found = check_plots([*GOOD, GOOD[3], near])
    assert codes(found) == [("error", "plots_same_place", "P20"), ("error", "plot_duplicated", "P3")]
    assert found[0].value.startswith("4.9 m, P0")
    assert found[0].limit == ">= 13.8 m"


def test_thousands_of_plots_in_one_place_are_each_named_once() -> None:
    crowd = [plot(n, lon_deg=118.4, lat_deg=28.9) for n in range(3_000)]
    found = [one for one in check_plots(crowd) if one.code == "plots_same_place"]
    assert {one.plot for one in found} <= {one.plot_id for one in crowd}
    assert len(found) == len(crowd) - 1


@given(
    st.lists(
        st.tuples(st.integers(-60, 60), st.integers(-60, 60), st.sampled_from([0.01, 0.06, 1.0])),
        max_size=25,
    ),
    st.sampled_from([(118.4, 28.9), (-0.0001, 0.0001), (-118.0, -30.0)]),
)
def test_every_plot_that_lies_on_an_earlier_one_is_found(
    spots: list[tuple[int, int, float]], at: tuple[float, float]
) -> None:
    lon, lat = at
    places = [(lat + north * 1e-5, lon + east * 1e-5, area) for east, north, area in spots]
    plots = [plot(n, lon_deg=x, lat_deg=y, area_ha=area) for n, (y, x, area) in enumerate(places)]
    places.sort()

    def lies(one: tuple[float, float, float], other: tuple[float, float, float], slack_m: float) -> bool:
        east = (one[1] - other[1]) * math.cos(math.radians(other[0]))
        distance = math.hypot(one[0] - other[0], east) * 111_195.0
        return distance < max(radius_m(one[2]), radius_m(other[2])) + slack_m

    def count(slack_m: float) -> int:
        return sum(any(lies(one, other, slack_m) for other in places[:n]) for n, one in enumerate(places))

    found = [one for one in check_plots(plots) if one.code == "plots_same_place"]
    assert count(-1e-6) <= len(found) <= count(1e-6)


@pytest.mark.parametrize(
    "blank", ["", "-", "——", "\u200b\u200b", "\u3164\u3164", "\u2800", ".", "x", "。。。"]
)
def test_a_blank_explains_nothing(blank: str) -> None:
    outlier = Finding("plot_stands_out", "outlier", "P1", "change", "9", "3", blank)
    assert outlier.open
    assert not replace(outlier, answer="风倒").open


def test_a_plot_just_beyond_the_radius_is_another_plot() -> None:
    beyond = plot(20, lon_deg=118.4 + 0.00015, lat_deg=28.9)
    assert check_plots([*GOOD, beyond]) == ()


def test_strata_without_plots_and_plots_without_a_stratum_are_errors() -> None:
    stray = plot(30, stratum="oak")
    found = check_plots([*GOOD, stray], strata_ha={"chinese_fir": 40.0, "masson_pine": 3.0})
    assert codes(found) == [("error", "plots_too_few", None), ("error", "plot_outside_strata", "P30")]
    assert found[0].value == "masson_pine: 0"
    assert codes(check_plots([*GOOD, stray])) == [("error", "plots_too_few", None)]


def test_a_plot_measured_outside_the_period_is_an_error() -> None:
    late = plot(40, measured2_on=date(2025, 9, 1))
    assert codes(check_plots([*GOOD, late], from_on=FROM_ON, to_on=TO_ON)) == [
        ("error", "plot_outside_period", "P40")
    ]
    assert check_plots([*GOOD, late]) == ()


def test_a_plot_without_a_place_is_an_error_and_one_of_unusual_size_a_warning() -> None:
    found = check_plots([*GOOD, plot(50, lon_deg=None), plot(51, area_ha=0.1)])
    assert codes(found) == [("error", "plot_unplaced", "P50"), ("warning", "plot_area_unusual", "P51")]


def test_growth_that_no_forest_has_and_loss_are_warned_of() -> None:
    found = check_plots([*GOOD, plot(60, gain=900.0), plot(61, gain=-20.0)])
    warned = [one for one in codes(found) if one[0] == "warning"]
    assert warned == [("warning", "growth_implausible", "P60"), ("warning", "plot_lost_carbon", "P61")]


def test_trees_are_followed_by_their_numbers() -> None:
    before = trees(("1", 12.0), ("2", 20.0), ("3", 9.0), ("4", 15.0), ("5", 11.0))
    after = (
        *trees(("1", 16.0), ("2", 18.5), ("3", 32.0), ("7", 6.5), ("8", 30.0)),
        *trees(("5", 13.0), species="oak"),
    )
    found = check_plots([stand(n, before, after) for n in (1,)] + [stand(n, (), ()) for n in (2, 3)])
    told = {one.code: one.value for one in found if one.plot == "P1"}
    assert told == {
        "tree_shrank": "2: 20 -> 18.5 cm",
        "tree_grew_too_fast": "3: 9 -> 32 cm",
        "tree_changed_species": "5: chinese_fir -> oak",
        "tree_appeared": "8: 30 cm",
        "trees_gone": "4",
    }


def test_trees_without_numbers_are_not_matched() -> None:
    plots = [stand(n, trees((None, 30.0)), trees((None, 12.0))) for n in (1, 2, 3)]
    assert not {one.code for one in check_plots(plots)} & {"tree_shrank", "trees_gone", "tree_appeared"}


def test_a_felled_plot_thin_trees_and_odd_shapes_are_warned_of() -> None:
    felled = plot(1, measurement=TreePair(trees(*((None, 15.0) for _ in range(30))), ()))
    thin = stand(2, trees((None, 3.0)), trees((None, 4.5)))
    tall = stand(3, (MeasuredTree("oak", 5.0, "9", 25.0),), (MeasuredTree("oak", 8.0, "9", 9.0),))
    crowded = plot(4, measurement=TreePair(trees(*((None, 6.0) for _ in range(700))), ()))
    told = {(one.plot, one.code): one.value for one in check_plots([felled, thin, tall, crowded])}
    assert told["P1", "plot_without_stems"] == "0"
    assert told["P2", "trees_too_thin"] == "2"
    assert told["P3", "tree_shape_unusual"] == "9: 25 m, 5 cm"
    assert told["P4", "stem_density_unusual"] == "11667"


def test_bamboo_is_checked_by_its_culms() -> None:
    def grove(number: int, culms: int) -> PlotRecord:
        pair = CulmPair((CulmClass(9.0, 2, 100),), (CulmClass(9.0, 2, culms),))
        return plot(number, stratum="moso_bamboo", measurement=pair, area_ha=0.04)

    plots = [grove(n, 110) for n in range(3)] + [grove(9, 1)]
    found = check_plots(plots, biomass=Biomass.CULMS, parameters=bamboo_parameters())
    assert ("warning", "stem_density_unusual", "P9") in codes(found)
    assert ("warning", "plot_lost_carbon", "P9") in codes(found)


def test_measurements_that_the_method_cannot_use_are_errors() -> None:
    found = check_plots(GOOD[:3], biomass=Biomass.TREES)
    assert {one.code for one in found} == {"plot_not_computed"}
    assert found[0].value == "plots_wrong_measurement"


# Outliers


def test_a_plot_that_stands_out_waits_for_its_owner_and_stays_in_the_estimate() -> None:
    odd = plot(70, gain=75.0)
    (found,) = check_plots([*GOOD, odd])
    assert (found.level, found.code, found.plot, found.answer) == ("outlier", "plot_stands_out", "P70", None)
    assert found.open
    answered = replace(odd, explanation="fertilised in 2021, checked by a second crew")
    (found,) = check_plots([*GOOD, answered])
    assert found.answer == answered.explanation
    assert not found.open
    assert "P70" in {one.plot_id for one in estimate_change([*GOOD, answered], {"chinese_fir": 1.0}).plots}


@given(st.lists(st.floats(-1e3, 1e3), min_size=8, max_size=40), st.randoms(use_true_random=False))
def test_robust_scores_depend_on_neither_order_nor_place(values: list[float], rng: random.Random) -> None:
    scores = dict(zip(values, robust_z(values), strict=True))
    shuffled = list(values)
    rng.shuffle(shuffled)
    assert dict(zip(shuffled, robust_z(shuffled), strict=True)) == scores


def test_one_wild_value_does_not_hide_itself() -> None:
    """With mean and standard deviation nobody among n can lie more than (n - 1)/sqrt(n) away: 2.85 of ten."""
    values = [10.0, 10.5, 9.5, 10.2, 9.8, 10.1, 9.9, 10.3, 9.7, 500.0]
    classic = abs(500.0 - statistics.fmean(values)) / statistics.stdev(values)
    assert classic < 2.85
    assert robust_z(values)[-1] > 100


def test_the_score_is_the_modified_one_of_the_handbooks() -> None:
    """0.6745 (x - median) / median deviation (NIST e-Handbook 1.3.5.17): here 0.6745 x 4 / 1."""
    assert robust_z([3.0, 4.0, 4.0, 5.0, 5.0, 5.0, 6.0, 6.0, 9.0])[-1] == pytest.approx(0.6745 * 4, rel=1e-4)


def test_values_that_are_mostly_alike_are_scored_by_their_mean_deviation() -> None:
    scores = robust_z([5.0] * 9 + [6.0])
    assert scores[0] == 0
    assert scores[-1] == pytest.approx(1 / (0.1 * 1.2533141373155))
    assert robust_z([5.0] * 9) == [0.0] * 9
    assert robust_z([1.0, 2.0, 99.0]) == [0.0] * 3
