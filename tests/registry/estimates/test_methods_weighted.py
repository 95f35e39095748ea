"""Ratio and regression whose errors know where the plots lie (g-weights), beside the first release's."""

import math
import random
from collections.abc import Mapping
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.estimates.bundles import text as bundle_text
from registry.estimates.methods import METHODS, ChangeEstimator, PlotEstimate, calibrate
from registry.estimates.methods.errors import NoRasterSpread, SlopeRestsOnPlot
from registry.estimates.methods.montecarlo import SecondOpinion
from registry.estimates.methods.version import Biomass
from registry.estimates.reports.words import ESTIMATORS
from registry.programmes.methods import OFFERED
from tests.registry.estimates.test_methods_montecarlo import estimate_of, opinion
from tests.registry.estimates.test_methods_statistics import SMALL_LAND, every_sample, sampled, the_truth

RATIO, REGRESSION = ChangeEstimator.COMBINED_RATIO, ChangeEstimator.COMBINED_REGRESSION
SUCCESSORS = {RATIO: ChangeEstimator.WEIGHTED_RATIO, REGRESSION: ChangeEstimator.WEIGHTED_REGRESSION}
BOTH = pytest.mark.parametrize("first", list(SUCCESSORS))

Stands = list[tuple[float, float]]
"""Change by plots (tC/ha) and by raster (t/ha) of each stand."""


def one_stratum(pairs: Stands) -> tuple[PlotEstimate, dict[str, float]]:
    estimate = sampled({"a": (10.0, [y for y, _ in pairs])})
    return estimate, {f"a{n}": x for n, (_, x) in enumerate(pairs)}


PAIRS: Stands = [(2.1, 3.0), (4.4, 8.0), (2.9, 5.0), (5.3, 9.0), (0.8, 1.0), (3.0, 4.5)]


# What the successors say


@BOTH
def test_the_mean_is_the_same_and_only_its_error_is_another(first: ChangeEstimator) -> None:
    for land in (2.0, 5.0, 9.0):
        old, new = (calibrate(*one_stratum(PAIRS), {"a": land}, one) for one in (first, SUCCESSORS[first]))
        assert new.coefficient == old.coefficient
        assert new.change.mean_delta_tc_ha == old.change.mean_delta_tc_ha
        assert new.change.df <= old.change.df


def test_the_error_of_a_ratio_grows_with_the_land_that_the_plots_do_not_show() -> None:
    at_plots = fmean(x for _, x in PAIRS)
    for land in (2.0, at_plots, 9.0):
        old, new = (calibrate(*one_stratum(PAIRS), {"a": land}, one) for one in (RATIO, SUCCESSORS[RATIO]))
        assert new.change.se_tc_ha == pytest.approx(old.change.se_tc_ha * land / at_plots, rel=1e-12)


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 100)), min_size=4, max_size=9), st.floats(1, 120))
def test_the_error_of_a_regression_is_that_of_leaving_each_plot_out(pairs: Stands, land: float) -> None:
    """For one stratum the delete-one jackknife, exactly: the line drawn anew without each plot."""
    weighted = SUCCESSORS[REGRESSION]
    try:
        whole = calibrate(*one_stratum(pairs), {"a": land}, weighted).change
    except (NoRasterSpread, SlopeRestsOnPlot):
        return
    n = len(pairs)
    xs = [x for _, x in pairs]
    if min(np.var(xs[:i] + xs[i + 1 :]) for i in range(n)) < 1e-3:
        return
    without = [
        calibrate(*one_stratum(pairs[:i] + pairs[i + 1 :]), {"a": land}, REGRESSION).change.mean_delta_tc_ha
        for i in range(n)
    ]
    jackknife = math.sqrt((n - 1) / n * sum((one - whole.mean_delta_tc_ha) ** 2 for one in without))
    assert whole.se_tc_ha == pytest.approx(jackknife, rel=1e-6, abs=1e-6)
    assert whole.df == n - 2


def test_a_slope_that_rests_on_one_plot_is_refused_where_the_first_release_called_it_sure() -> None:
    pairs = [(2.0, 4.0), (3.0, 4.0), (2.5, 4.0), (9.0, 12.0)]
    assert calibrate(*one_stratum(pairs), {"a": 8.0}, REGRESSION).change.df == 2
    with pytest.raises(SlopeRestsOnPlot) as refused:
        calibrate(*one_stratum(pairs), {"a": 8.0}, SUCCESSORS[REGRESSION])
    assert refused.value.facts["plot"] == "a3"


@BOTH
def test_plots_elsewhere_do_not_make_a_stratum_sure(first: ChangeEstimator) -> None:
    """Three plots on nearly all the land, twenty on the rest: two degrees of freedom, not twenty."""
    rng = random.Random(3)
    rest = [(0.4 * x + rng.gauss(0, 0.3), x) for x in (rng.gauss(10, 3) for _ in range(20))]
    drawn = {"a": (95.0, PAIRS[:3]), "b": (5.0, rest)}
    estimate = sampled({name: (area, [y for y, _ in pairs]) for name, (area, pairs) in drawn.items()})
    at = {f"{name}{n}": x for name, (_, pairs) in drawn.items() for n, (_, x) in enumerate(pairs)}
    old, new = (calibrate(estimate, at, {"a": 6.0, "b": 9.0}, one) for one in (first, SUCCESSORS[first]))
    assert old.change.df == 20
    assert new.change.df == 2


def test_over_all_possible_samples_the_ratios_error_is_nearer_to_the_true_one() -> None:
    means = {name: fmean(x for _, x in stands) for name, (_, stands) in SMALL_LAND.items()}
    drawn = list(every_sample())
    old, new = (
        [calibrate(*one, means, estimator).change for one in drawn]
        for estimator in (RATIO, SUCCESSORS[RATIO])
    )
    true = fmean((change.mean_delta_tc_ha - the_truth()) ** 2 for change in old)
    said_old, said_new = (fmean(change.se_tc_ha**2 for change in found) for found in (old, new))
    assert said_old < said_new < 1.02 * true


# Nine of ten


def a_land(rng: random.Random) -> dict[str, tuple[float, int, Stands]]:
    """By stratum: hectares, plots, stands. Few plots where the land is, and a raster with a long tail."""
    land = {}
    for name, area, plots, level, spread, noise in (
        ("a", 80.0, 4, 20.0, 8.0, 1.5),
        ("b", 20.0, 9, 14.0, 5.0, 1.0),
    ):
        shape = (level / spread) ** 2
        raster = [rng.gammavariate(shape, spread**2 / level) for _ in range(2000)]
        land[name] = (
            area, plots, [(0.45 * x + rng.gauss(0, noise) * math.sqrt(x / level), x) for x in raster]
        )  # fmt: skip
    return land


@BOTH
def test_nine_of_ten_intervals_hold_the_true_change_where_the_first_release_held_fewer(
    first: ChangeEstimator,
) -> None:
    rng = random.Random(20261121)
    land = a_land(rng)
    truth = sum(area * fmean(y for y, _ in stands) for area, _, stands in land.values()) / 100
    means = {name: fmean(x for _, x in stands) for name, (_, _, stands) in land.items()}
    samples = 600
    held = {first: 0, SUCCESSORS[first]: 0}
    for _ in range(samples):
        drawn = {name: rng.sample(stands, plots) for name, (_, plots, stands) in land.items()}
        estimate = sampled({name: (land[name][0], [y for y, _ in pairs]) for name, pairs in drawn.items()})
        at_plots = {f"{name}{n}": x for name, pairs in drawn.items() for n, (_, x) in enumerate(pairs)}
        for estimator in held:
            change = calibrate(estimate, at_plots, means, estimator).change
            held[estimator] += abs(change.mean_delta_tc_ha - truth) <= change.t_value * change.se_tc_ha
    assert held[SUCCESSORS[first]] / samples >= 0.87
    assert held[first] / samples < 0.85


# The second opinion


def apart(at: int, land: float) -> tuple[PlotEstimate, dict[str, float], dict[str, float]]:
    """Ten and eight plots on raster values around 20, on land whose mean is `land`."""
    rng = np.random.default_rng(at)
    values: dict[str, list[float]] = {}
    at_plot: dict[str, float] = {}
    for h, n in enumerate((10, 8)):
        raster = rng.normal(20, 4, n)
        values[f"s{h}"] = [float(0.45 * x + rng.normal(0, 1.0)) for x in raster]
        at_plot |= {f"s{h}{k}": float(x) for k, x in enumerate(raster)}
    return estimate_of(values, {"s0": 10.0, "s1": 17.0}), at_plot, dict.fromkeys(values, land)


def drawn_again(estimator: ChangeEstimator, at: int, land: float) -> SecondOpinion:
    estimate, at_plot, means = apart(at, land)
    calibrated = calibrate(estimate, at_plot, means, estimator)
    return opinion(estimate, calibrated, at_plot, means, name=at)


@BOTH
@pytest.mark.parametrize("at", range(4))
def test_drawing_agrees_with_the_successors_where_it_objects_to_the_first(
    first: ChangeEstimator, at: int
) -> None:
    land = 32.0
    assert not drawn_again(first, at, land).agrees
    told = drawn_again(SUCCESSORS[first], at, land)
    assert told.agrees, told.checks


# What is offered


def test_what_programmes_may_name_is_what_estimates_computes() -> None:
    assert list(OFFERED) == list(METHODS)
    for one in METHODS.values():
        assert one.superseded_by is None or METHODS[one.superseded_by].superseded_by is None


def test_every_way_from_plots_to_a_mean_has_its_words_in_reports_and_bundles() -> None:
    every = {one.value for one in ChangeEstimator}
    assert set(ESTIMATORS) == set(bundle_text._ESTIMATORS) == every


def test_a_successor_measures_alike_and_states_other_errors() -> None:
    replaced: Mapping[str, str] = {one: new for one, new in OFFERED.items() if new is not None}
    assert len(replaced) == 2
    for old, new in replaced.items():
        assert METHODS[new].biomass is METHODS[old].biomass is Biomass.VOLUME
        assert METHODS[new].estimator is SUCCESSORS[METHODS[old].estimator]
        assert METHODS[new].parameters.digests() == METHODS[old].parameters.digests()
