"""Student's quantile, uncertainty, deduction, and plots helped by a raster."""

import math
import random
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import product
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.estimates.methods import (
    Biomass,
    ChangeEstimator,
    PlotChange,
    PlotEstimate,
    Stratum,
    Term,
    calibrate,
    check_dates,
    deduct,
    deduction_rate,
    default_parameters,
    estimate_change,
    incomplete_beta,
    stratified_mean,
    student_quantile,
    uncertainty_of_product_pct,
    uncertainty_of_sum_pct,
)
from registry.estimates.methods.errors import (
    DuplicatedPlot,
    MethodRefusal,
    MixedMeasurements,
    NoRasterChange,
    NoRasterSpread,
    NotFinite,
    OutOfRange,
    PlotOutsidePeriod,
    PlotOutsideStrata,
    PlotWithoutRaster,
    TooFewPlots,
    UncertaintyUndefined,
)
from registry.estimates.methods.plots import (
    MeasuredTree,
    PlotRecord,
    TreePair,
    VolumePair,
    mean_and_sd,
)

AR_CM = default_parameters().deduction_rules.row("ar_cm")
CDM = default_parameters().deduction_rules.row("cdm_tool_14")


# Student's distribution


@pytest.mark.parametrize(
    ("df", "printed"), [(1, 6.3138), (5, 2.0150), (10, 1.8125), (14, 1.7613), (30, 1.6973), (120, 1.6577)]
)
def test_the_quantile_agrees_with_the_printed_table(df: int, printed: float) -> None:
    assert student_quantile(0.90, df) == pytest.approx(printed, abs=5.1e-5)


@given(st.floats(0.001, 0.999))
def test_the_quantile_agrees_with_the_closed_forms_of_one_and_two_degrees(reliability: float) -> None:
    assert student_quantile(reliability, 1) == pytest.approx(math.tan(math.pi * reliability / 2), rel=1e-9)
    two = reliability * math.sqrt(2 / (1 - reliability**2))
    assert student_quantile(reliability, 2) == pytest.approx(two, rel=1e-9)


def test_the_quantile_of_many_degrees_is_the_normal_one() -> None:
    assert student_quantile(0.90, 1_000_000) == pytest.approx(1.6448536269514722, rel=2e-6)


@given(st.floats(0.2, 40), st.floats(0.2, 40), st.floats(0, 1))
def test_the_incomplete_beta_function_is_symmetric(a: float, b: float, x: float) -> None:
    y = 1 - x
    assert incomplete_beta(a, b, x, y) + incomplete_beta(b, a, y, x) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("reliability", "df"), [(0.0, 5), (1.0, 5), (0.9, 0), (math.nan, 5)])
def test_a_quantile_that_does_not_exist_is_refused(reliability: float, df: int) -> None:
    with pytest.raises((OutOfRange, NotFinite)):
        student_quantile(reliability, df)


# Deduction


@pytest.mark.parametrize(
    ("percent", "rate"),
    [(0.0, "0"), (10.0, "0"), (20.0, "0.06"), (30.0, "0.11"), (math.nextafter(10, 11), "0.06")],
)
def test_the_upper_bound_of_a_step_belongs_to_it(percent: float, rate: str) -> None:
    assert deduction_rate(percent, AR_CM) == Decimal(rate)


def test_above_the_last_step_nothing_may_be_issued() -> None:
    for percent in (math.nextafter(30, 31), 168.9, None):
        result = deduct(100.0, percent, AR_CM)
        assert (result.status, result.deduction_rate, result.adjusted_tco2e) == (
            "reject_more_plots",
            None,
            None,
        )


def test_the_proportional_rule_takes_a_share_of_the_uncertainty() -> None:
    assert deduction_rate(18.0, CDM) == Decimal("0.09")
    assert deduction_rate(250.0, CDM) == 1


@given(st.floats(0, 30), st.floats(0, 30), st.floats(-1e6, 1e6))
def test_more_uncertainty_never_gives_more(one: float, other: float, quantity: float) -> None:
    low, high = sorted((one, other))
    sure, unsure = deduct(quantity, low, AR_CM).adjusted_tco2e, deduct(quantity, high, AR_CM).adjusted_tco2e
    assert sure is not None
    assert unsure is not None
    assert unsure <= sure <= Decimal(repr(quantity))


# Stratified mean


@given(
    st.lists(
        st.tuples(st.floats(0.1, 1e4), st.lists(st.floats(-50, 50), min_size=3, max_size=8)),
        min_size=1,
        max_size=5,
    ),
    st.randoms(use_true_random=False),
)
def test_the_mean_and_its_error_do_not_depend_on_the_order_of_strata(
    drawn: list[tuple[float, list[float]]], shuffler: random.Random
) -> None:
    strata = [Stratum(area, len(values), *mean_and_sd(values)) for area, values in drawn]
    shuffled = list(strata)
    shuffler.shuffle(shuffled)
    assert stratified_mean(strata=strata) == stratified_mean(strata=shuffled)


def test_one_stratum_is_the_ordinary_interval_of_a_mean() -> None:
    values = [4.1, 5.9, 5.0, 6.4, 3.6]
    result = stratified_mean(strata=[Stratum(10, 5, *mean_and_sd(values))])
    assert result.mean_delta_tc_ha == pytest.approx(fmean(values))
    assert result.se_tc_ha == pytest.approx(stdev(values) / math.sqrt(5))
    assert result.df == 4


def test_fewer_than_three_plots_are_refused() -> None:
    with pytest.raises(TooFewPlots) as refusal:
        stratified_mean(strata=[Stratum(10, 2, 5.0, 1.0, "oak")])
    assert refusal.value.facts == {"stratum": "oak", "plots": 2, "needed": 3}


def test_a_change_of_zero_has_no_relative_uncertainty() -> None:
    assert stratified_mean(strata=[Stratum(10, 3, 0.0, 1.0)]).uncertainty_pct is None
    assert stratified_mean(strata=[Stratum(10, 3, 0.0, 0.0)]).uncertainty_pct == 0


def test_uncertainties_of_sums_and_products_combine_as_the_guidelines_say() -> None:
    assert uncertainty_of_sum_pct([Term(100, 5), Term(50, 8)]) == pytest.approx(
        math.sqrt(25 + 16) / 150 * 100
    )
    assert uncertainty_of_product_pct([3, 4]) == pytest.approx(5)
    with pytest.raises(UncertaintyUndefined):
        uncertainty_of_sum_pct([Term(100, 5), Term(-100, 5)])


# Plots


def plot(
    name: str, stratum: str, v1: float, v2: float, *, first: date = date(2019, 12, 1), area_ha: float = 0.06
) -> PlotRecord:
    return PlotRecord(name, stratum, area_ha, first, date(2024, 11, 20), VolumePair(v1, v2))


FIR = [plot(f"F{i}", "chinese_fir", 60 + i, 88 + 2 * i) for i in range(5)]
PINE = [plot(f"P{i}", "masson_pine", 50 + i, 70 + 1.5 * i) for i in range(4)]
AREAS = {"chinese_fir": 120.0, "masson_pine": 80.0}


def test_the_change_of_plots_is_that_of_the_published_equation() -> None:
    estimate = estimate_change([*FIR, *PINE], AREAS)
    fir, pine = estimate.strata
    per_m3 = 0.307 * 1.634 * 1.246 * 0.52
    assert fir.mean == pytest.approx(per_m3 * fmean(28 + i for i in range(5)))
    assert fir.sd == pytest.approx(per_m3 * stdev(28 + i for i in range(5)))
    change = estimate.change
    assert change.mean_delta_tc_ha == pytest.approx(0.6 * fir.mean + 0.4 * pine.mean)
    assert change.delta_tco2e == pytest.approx(change.mean_delta_tc_ha * 200 * 44 / 12)
    assert change.df == 7


def test_the_order_of_plots_does_not_change_a_bit() -> None:
    assert estimate_change([*FIR, *PINE], AREAS) == estimate_change([*PINE[::-1], *FIR[::-1]], AREAS)


def test_the_linear_equation_falls_back_for_both_dates_on_a_nearly_bare_plot() -> None:
    bare = [plot(f"B{i}", "masson_pine", 9.9, 40.0 + i) for i in range(3)]
    areas = {"masson_pine": 10.0}
    linear = estimate_change(bare, areas, biomass=Biomass.LINEAR)
    assert linear.plots == estimate_change(bare, areas, biomass=Biomass.VOLUME).plots


def test_the_linear_equation_is_used_from_ten_cubic_metres() -> None:
    plots = [plot(f"B{i}", "masson_pine", 10.0, 40.0) for i in range(3)]
    found = estimate_change(plots, {"masson_pine": 10.0}, biomass=Biomass.LINEAR).strata[0].mean
    assert found == pytest.approx(30 * 0.5034 * 0.46)


def test_a_felled_plot_counts_as_a_loss() -> None:
    stood = (MeasuredTree("chinese_fir", 20.0), MeasuredTree("chinese_fir", 4.9))
    trees = [
        PlotRecord(f"T{i}", "chinese_fir", 0.06, date(2019, 12, 1), date(2024, 12, 1), TreePair(stood, ()))
        for i in range(3)
    ]
    estimate = estimate_change(trees, {"chinese_fir": 5.0}, biomass=Biomass.TREES)
    one_tree = 0.3 * 0.307 * 20 ** (7 / 3) / 1000 / 0.06 * 1.246 * 0.52
    assert estimate.change.mean_delta_tc_ha == pytest.approx(-one_tree)  # the tree under 5 cm does not count


def refused(plots: list[PlotRecord], areas: dict[str, float], reason: type[MethodRefusal]) -> MethodRefusal:
    with pytest.raises(reason) as refusal:
        estimate_change(plots, areas)
    assert str(refusal.value)
    return refusal.value


def test_plots_that_prove_nothing_are_refused() -> None:
    assert refused(FIR[:2] + PINE, AREAS, TooFewPlots).facts["stratum"] == "chinese_fir"
    assert refused(FIR, AREAS, TooFewPlots).facts == {"stratum": "masson_pine", "plots": 0, "needed": 3}
    assert refused([*FIR, FIR[0], *PINE], AREAS, DuplicatedPlot).facts == {"plot": "F0"}
    assert refused([*FIR, *PINE], {"chinese_fir": 1.0}, PlotOutsideStrata).facts["plot"] == "P0"
    refused([*FIR, plot("X", "chinese_fir", math.nan, 80.0)], {"chinese_fir": 1.0}, NotFinite)
    refused([*FIR, plot("X", "chinese_fir", 60.0, 9000.0)], {"chinese_fir": 1.0}, OutOfRange)
    refused([*FIR, plot("X", "chinese_fir", 60.0, 80.0, area_ha=600)], {"chinese_fir": 1.0}, OutOfRange)
    refused(
        [*FIR, plot("X", "chinese_fir", 6.0, 8.0, first=date(2025, 1, 1))], {"chinese_fir": 1.0}, OutOfRange
    )
    refused(FIR, {"chinese_fir": 0.0}, OutOfRange)
    with pytest.raises(MixedMeasurements):
        estimate_change(FIR, {"chinese_fir": 1.0}, biomass=Biomass.TREES)


def test_growth_outside_the_monitoring_period_is_not_credited_in_it() -> None:
    check_dates(FIR, date(2020, 1, 1), date(2025, 1, 1))
    early = [plot("E", "chinese_fir", 60, 90, first=date(2015, 12, 1))]
    with pytest.raises(PlotOutsidePeriod) as refusal:
        check_dates(early, date(2020, 1, 1), date(2025, 1, 1))
    assert refusal.value.facts["measured_on"] == "2015-12-01"


# Calibration


def sampled(strata: dict[str, tuple[float, list[float]]]) -> PlotEstimate:
    """An estimate whose plots changed by the given tC/ha."""
    rows = tuple(Stratum(a, len(v), *mean_and_sd(v), name) for name, (a, v) in strata.items())
    plots = tuple(
        PlotChange(f"{name}{i}", name, 0.0, value, value)
        for name, (_, values) in strata.items()
        for i, value in enumerate(values)
    )
    return PlotEstimate(Biomass.VOLUME, rows, plots, stratified_mean(strata=rows))


def test_a_raster_that_is_proportional_to_the_plots_leaves_no_error() -> None:
    estimate = sampled({"a": (30, [2.0, 4.0, 6.0]), "b": (70, [1.0, 3.0, 2.0, 5.0])})
    raster = {plot.plot_id: plot.delta_tc_ha / 0.4 for plot in estimate.plots}
    result = calibrate(estimate, raster, {"a": 12.0, "b": 9.0}, ChangeEstimator.COMBINED_RATIO)
    assert result.coefficient == pytest.approx(0.4)
    assert result.change.mean_delta_tc_ha == pytest.approx(0.4 * (0.3 * 12 + 0.7 * 9))
    assert result.change.se_tc_ha == pytest.approx(0, abs=1e-12)
    assert result.change.df == 4


def test_the_regression_of_one_stratum_is_the_least_squares_line() -> None:
    x = [3.0, 8.0, 5.0, 9.0, 1.0]
    y = [2.1, 4.4, 2.9, 5.3, 0.8]
    estimate = sampled({"a": (10, y)})
    result = calibrate(
        estimate, {f"a{i}": one for i, one in enumerate(x)}, {"a": 6.5}, ChangeEstimator.COMBINED_REGRESSION
    )
    sxx = sum((one - fmean(x)) ** 2 for one in x)
    slope = sum((one - fmean(x)) * other for one, other in zip(x, y, strict=True)) / sxx
    residual = sum(
        (other - fmean(y) - slope * (one - fmean(x))) ** 2 for one, other in zip(x, y, strict=True)
    )
    assert result.coefficient == pytest.approx(slope)
    assert result.change.mean_delta_tc_ha == pytest.approx(fmean(y) + slope * (6.5 - fmean(x)))
    assert result.change.se_tc_ha == pytest.approx(math.sqrt(residual / (5 * 4)))


@pytest.mark.parametrize("estimator", list(ChangeEstimator))
def test_nine_of_ten_intervals_hold_the_true_change(estimator: ChangeEstimator) -> None:
    """A land of 4000 stands whose change is known, sampled over and over: the stated reliability holds."""
    rng = random.Random(20241120)
    land: dict[str, list[tuple[float, float]]] = {}
    for name, level in (("a", 6.0), ("b", 9.0)):
        raster = [rng.gauss(level, 2.0) for _ in range(2000)]
        land[name] = [(0.5 * x + 0.4 + rng.gauss(0, 0.5), x) for x in raster]
    truth = fmean(y for stands in land.values() for y, _ in stands)
    means = {name: fmean(x for _, x in stands) for name, stands in land.items()}
    held = 0
    for _ in range(400):
        drawn = {name: rng.sample(stands, 12) for name, stands in land.items()}
        estimate = sampled({name: (50.0, [y for y, _ in pairs]) for name, pairs in drawn.items()})
        at_plots = {f"{name}{i}": x for name, pairs in drawn.items() for i, (_, x) in enumerate(pairs)}
        change = calibrate(estimate, at_plots, means, estimator).change
        held += abs(change.mean_delta_tc_ha - truth) <= change.t_value * change.se_tc_ha
    assert 0.85 <= held / 400 <= 0.95


def test_a_raster_that_cannot_help_is_refused() -> None:
    estimate = sampled({"a": (10, [1.0, 2.0, 3.0])})
    flat = {"a0": 0.0, "a1": 0.0, "a2": 0.0}
    with pytest.raises(NoRasterChange):
        calibrate(estimate, flat, {"a": 5.0}, ChangeEstimator.COMBINED_RATIO)
    with pytest.raises(NoRasterSpread):
        calibrate(estimate, flat, {"a": 5.0}, ChangeEstimator.COMBINED_REGRESSION)
    with pytest.raises(PlotWithoutRaster):
        calibrate(estimate, {"a0": 1.0}, {"a": 5.0}, ChangeEstimator.COMBINED_RATIO)
    with pytest.raises(NotFinite):
        calibrate(estimate, {**flat, "a1": math.inf}, {"a": 5.0}, ChangeEstimator.COMBINED_RATIO)


# All possible samples


SMALL_LAND: dict[str, tuple[float, list[tuple[float, float]]]] = {
    "a": (60.0, [(2.0, 5.0), (3.1, 8.0), (5.2, 11.0)]),
    "b": (40.0, [(1.0, 3.0), (2.4, 4.0), (2.9, 7.0)]),
}
"""By stratum: hectares, and change by plots (tC/ha) and by raster (t/ha) of each of its stands."""


def every_sample() -> Iterator[tuple[PlotEstimate, dict[str, float]]]:
    """Every way to draw three stands of each stratum one after the other: 3^3 x 3^3, all as likely."""
    stands = {name: stands for name, (_, stands) in SMALL_LAND.items()}
    for first in product(stands["a"], repeat=3):
        for second in product(stands["b"], repeat=3):
            drawn = {"a": first, "b": second}
            estimate = sampled(
                {name: (SMALL_LAND[name][0], [y for y, _ in pairs]) for name, pairs in drawn.items()}
            )
            yield estimate, {f"{n}{i}": x for n, pairs in drawn.items() for i, (_, x) in enumerate(pairs)}


def the_truth() -> float:
    return sum(area * fmean(y for y, _ in stands) for area, stands in SMALL_LAND.values()) / 100


def test_over_all_possible_samples_the_mean_is_right_and_so_is_its_error() -> None:
    """No simulation: the expected estimate of the variance is the variance (Cochran 1977, theorem 5.3)."""
    estimates = [estimate.change for estimate, _ in every_sample()]
    assert len(estimates) == 3**6
    means = [change.mean_delta_tc_ha for change in estimates]
    assert fmean(means) == pytest.approx(the_truth(), rel=1e-12)
    variance = fmean((mean - the_truth()) ** 2 for mean in means)
    assert fmean(change.se_tc_ha**2 for change in estimates) == pytest.approx(variance, rel=1e-12)


def test_over_all_possible_samples_a_ratio_is_nearly_unbiased_and_says_too_small_an_error() -> None:
    """Cochran 1977, 6.11: bias of the order 1/n, and a variance for large samples. With three plots in a
    stratum the true error is larger than the formula's, which is what the second opinion then reports.
    """
    means = {name: fmean(x for _, x in stands) for name, (_, stands) in SMALL_LAND.items()}
    drawn = list(every_sample())
    found = [calibrate(*one, means, ChangeEstimator.COMBINED_RATIO).change for one in drawn]
    bias = fmean(change.mean_delta_tc_ha for change in found) - the_truth()
    error = math.sqrt(fmean((change.mean_delta_tc_ha - the_truth()) ** 2 for change in found))
    plain = math.sqrt(fmean((one.change.mean_delta_tc_ha - the_truth()) ** 2 for one, _ in drawn))
    said = math.sqrt(fmean(change.se_tc_ha**2 for change in found))
    assert abs(bias) < 0.1 * error
    assert error < 0.8 * plain  # the raster helps
    assert 0.75 * error < said < error
