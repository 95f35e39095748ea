"""The second opinion: drawing the whole chain agrees with the formulas, and disagrees with wrong ones."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from time import perf_counter

import numpy as np
import pytest

from registry.estimates.methods import (
    Biomass,
    CalibratedChange,
    ChangeEstimator,
    ChangePixel,
    ChangeSums,
    PlotChange,
    PlotEstimate,
    RiskMode,
    Stratum,
    add_sums,
    calibrate,
    change_sums,
    default_parameters,
    issuable_kg,
    net_reduction,
    raster_change,
    stratified_mean,
)
from registry.estimates.methods.errors import OutOfRange, UncertaintyTooHigh
from registry.estimates.methods.montecarlo import (
    ChainTerms,
    SecondOpinion,
    second_opinion,
)
from registry.estimates.methods.montecarlo_raster import DateErrors, raster_opinion, two_date_errors
from registry.estimates.methods.plots import mean_and_sd
from registry.estimates.methods.uncertainty import mean_change

RULE = default_parameters().deduction_rules.row("ar_cm")
CDM = default_parameters().deduction_rules.row("cdm_tool_14")
PLAIN = ChangeEstimator.STRATIFIED


def seed(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def estimate_of(values: Mapping[str, Sequence[float]], areas: Mapping[str, float]) -> PlotEstimate:
    """Plots with these changes (tC/ha) by stratum."""
    strata = tuple(
        Stratum(areas[name], len(changes), *mean_and_sd(changes), name) for name, changes in values.items()
    )
    plots = tuple(
        PlotChange(f"{name}{n}", name, 0.0, change, change)
        for name, changes in values.items()
        for n, change in enumerate(changes)
    )
    return PlotEstimate(Biomass.VOLUME, strata, plots, stratified_mean(strata=strata))


def drawn_estimate(sizes: Sequence[int], mean: float = 10.0, sd: float = 3.0, at: int = 7) -> PlotEstimate:
    rng = np.random.default_rng(at)
    values = {
        f"s{h}": [float(v) for v in rng.gamma((mean / sd) ** 2, sd**2 / mean, n)] for h, n in enumerate(sizes)
    }
    return estimate_of(values, {name: 10.0 + 7 * h for h, name in enumerate(values)})


def terms(
    calibrated: CalibratedChange, scale: float = 1.0, mode: RiskMode = RiskMode.DEDUCT, share: str = "0.1"
) -> ChainTerms:
    """E-C1 by the formulas: 30 % baseline, 20 t of emissions, 5 t of leakage."""
    delta = calibrated.change.delta_tco2e * scale
    try:
        front = net_reduction(
            delta_project_tco2e=delta,
            uncertainty_pct=calibrated.change.uncertainty_pct,
            delta_baseline_tco2e=max(Decimal(repr(delta)), Decimal(0)) * Decimal("0.3"),
            project_emissions_tco2e=20,
            leakage_tco2e=5,
            k_risk=Decimal(share),
            rule=RULE,
        )
    except UncertaintyTooHigh:
        return ChainTerms(0.3, 20.0, 5.0, float(share), mode, RULE, None, 0)
    issued = issuable_kg(front, mode).verified_kg
    return ChainTerms(0.3, 20.0, 5.0, float(share), mode, RULE, float(front.net_reduction_tco2e), issued)


def opinion(
    estimate: PlotEstimate,
    calibrated: CalibratedChange | None = None,
    at_plot: Mapping[str, float] | None = None,
    mean_of: Mapping[str, float] | None = None,
    scale: float = 1.0,
    chain: ChainTerms | None = None,
    name: object = "run",
    **others: object,
) -> SecondOpinion:
    calibrated = calibrated or CalibratedChange(PLAIN, None, None, None, estimate.change)
    return second_opinion(
        estimate, calibrated, calibrated.estimator, at_plot or {}, mean_of or {}, scale=scale,
        chain=chain or terms(calibrated, scale), seed_sha256=seed(name), **others,  # type: ignore[arg-type]
    )  # fmt: skip


# The formulas are right


@pytest.mark.parametrize("sizes", [(3,), (5,), (3, 3, 3), (3,) * 12, (40, 8, 3), (12,) * 6])
def test_drawing_agrees_with_the_formula_for_few_plots_and_for_many_strata(sizes: Sequence[int]) -> None:
    for n in range(3):
        estimate = drawn_estimate(sizes, at=n)
        told = opinion(estimate, name=n)
        assert told.agrees, told.checks
        assert told.se_tc_ha == pytest.approx(estimate.change.se_tc_ha, rel=0.03)
        assert told.mean_tc_ha == pytest.approx(estimate.change.mean_delta_tc_ha, rel=0.01)


def test_the_error_by_drawing_is_that_of_all_possible_draws() -> None:
    """Plots 1, 2, 6: two of three with replacement; all nine means have the variance s^2/3 of E-U1."""
    values = (1.0, 2.0, 6.0)
    means = [(a + b) / 2 for a in values for b in values]
    assert np.var(means) == pytest.approx(mean_and_sd(values)[1] ** 2 / 3)
    told = opinion(estimate_of({"one": values}, {"one": 4.0}))
    assert told.se_tc_ha == pytest.approx(float(np.std(means)), rel=0.02)


def test_a_period_shorter_than_the_plots_scales_the_tonnes_and_not_the_error_per_hectare() -> None:
    estimate = drawn_estimate((12, 9))
    whole, half = opinion(estimate), opinion(estimate, scale=0.5)
    assert half.agrees
    assert half.se_tc_ha == whole.se_tc_ha
    assert half.change_quantiles_t[0.5] == pytest.approx(whole.change_quantiles_t[0.5] / 2)


@pytest.mark.parametrize("mode", list(RiskMode))
def test_the_kilograms_are_drawn_through_every_line_of_the_chain(mode: RiskMode) -> None:
    estimate = drawn_estimate((30, 30), sd=2.0)
    calibrated = CalibratedChange(PLAIN, None, None, None, estimate.change)
    chain = terms(calibrated, mode=mode)
    told = opinion(estimate, chain=chain)
    assert told.checks["issued_kg"].agrees
    assert chain.issued_kg > 0
    assert told.kg_quantiles[0.05] < chain.issued_kg < told.kg_quantiles[0.95]
    assert told.refused_share == 0.0
    assert told.p_true_below_credited == pytest.approx(0.5, abs=0.03)


def test_a_deduction_makes_it_likely_that_the_truth_is_above_what_is_credited() -> None:
    estimate = drawn_estimate((8, 8), sd=4.0, at=3)
    percent = estimate.change.uncertainty_pct
    assert percent is not None
    assert 10 < percent < 30
    told = opinion(estimate)
    assert told.p_true_below_credited is not None
    assert 0.05 < told.p_true_below_credited < 0.40
    assert 0 < told.refused_share < 1 or told.kg_quantiles[0.05] > 0


def test_an_estimate_too_uncertain_to_issue_is_drawn_too() -> None:
    estimate = estimate_of({"one": (1.0, 20.0, 4.0)}, {"one": 10.0})
    told = opinion(estimate)
    assert told.checks["issued_kg"].formula == told.checks["issued_kg"].drawn == 0
    assert told.p_true_below_credited is None
    assert told.refused_share > 0.5


def test_plots_that_all_agree_leave_nothing_to_draw() -> None:
    told = opinion(estimate_of({"one": (5.0, 5.0, 5.0)}, {"one": 10.0}))
    assert told.agrees
    assert (told.se_tc_ha, told.uncertainty_pct) == (0.0, 0.0)
    assert sum(told.histogram) == told.draws


def test_a_stated_error_of_the_carbon_factors_widens_the_truth_and_not_the_check() -> None:
    estimate = drawn_estimate((20, 20))
    bare, wide = opinion(estimate), opinion(estimate, parameter_se_share={"s0": 0.2, "s1": 0.2})
    assert wide.agrees
    assert wide.se_tc_ha == bare.se_tc_ha
    assert _width(wide) > 1.5 * _width(bare)


def _width(told: SecondOpinion) -> float:
    return told.change_quantiles_t[0.95] - told.change_quantiles_t[0.05]


# Plots helped by a raster


def helped(
    estimator: ChangeEstimator, sizes: Sequence[int], at: int
) -> tuple[SecondOpinion, CalibratedChange]:
    rng = np.random.default_rng(at)
    values: dict[str, list[float]] = {}
    at_plot: dict[str, float] = {}
    for h, n in enumerate(sizes):
        raster = rng.normal(20, 5, n)
        values[f"s{h}"] = [float(0.45 * x + rng.normal(0, 1.0)) for x in raster]
        at_plot |= {f"s{h}{k}": float(x) for k, x in enumerate(raster)}
    mean_of = dict.fromkeys(values, 20.0)
    estimate = estimate_of(values, {name: 10.0 + 7 * h for h, name in enumerate(values)})
    calibrated = calibrate(estimate, at_plot, mean_of, estimator)
    return opinion(estimate, calibrated, at_plot, mean_of, name=at), calibrated


@pytest.mark.parametrize("estimator", [ChangeEstimator.COMBINED_RATIO, ChangeEstimator.COMBINED_REGRESSION])
def test_drawing_agrees_with_the_linearised_formulas_where_plots_are_many(estimator: ChangeEstimator) -> None:
    for at in range(3):
        told, calibrated = helped(estimator, (25, 20), at)
        assert told.agrees, told.checks
        assert told.se_tc_ha == pytest.approx(calibrated.change.se_tc_ha, rel=0.15)


def test_drawing_objects_to_a_line_fitted_through_a_handful_of_plots() -> None:
    told = [helped(ChangeEstimator.COMBINED_REGRESSION, (3, 3), at)[0] for at in range(5)]
    assert not all(one.agrees for one in told)


# Wrong formulas are caught


def wrong(estimate: PlotEstimate, se_tc_ha: float, df: int | None = None) -> SecondOpinion:
    """The opinion on an estimate whose formula says another error."""
    right = estimate.change
    change = mean_change(
        area_ha=right.area_ha, mean_tc_ha=right.mean_delta_tc_ha, se_tc_ha=se_tc_ha, df=df or right.df
    )
    return opinion(replace(estimate, change=change), CalibratedChange(PLAIN, None, None, None, change))


def test_a_formula_with_weights_that_are_not_squared_is_caught() -> None:
    estimate = drawn_estimate((12, 9, 6))
    area = estimate.change.area_ha
    se = math.sqrt(sum(s.area_ha / area * s.sd**2 / s.n for s in estimate.strata))
    told = wrong(estimate, se)
    assert not told.agrees
    assert not told.checks["se_tc_ha"].agrees


def test_a_formula_that_forgets_the_number_of_plots_or_one_degree_of_freedom_is_caught() -> None:
    estimate = drawn_estimate((8, 8))
    assert not wrong(estimate, estimate.change.se_tc_ha * math.sqrt(8)).agrees
    population_sd = estimate.change.se_tc_ha * math.sqrt(7 / 8)
    assert not wrong(estimate, population_sd).agrees


def test_a_normal_quantile_for_three_plots_is_caught() -> None:
    estimate = estimate_of({"one": (4.0, 5.0, 6.5)}, {"one": 10.0})
    told = wrong(estimate, estimate.change.se_tc_ha, df=10_000)
    assert not told.agrees


def test_a_mean_of_plots_instead_of_land_is_caught() -> None:
    estimate = estimate_of({"a": (1.0, 1.2, 1.1), "b": (9.0, 9.5, 9.1)}, {"a": 90.0, "b": 10.0})
    unweighted = estimate.change.mean_delta_tc_ha + 3.0
    change = mean_change(
        area_ha=100.0, mean_tc_ha=unweighted, se_tc_ha=estimate.change.se_tc_ha, df=estimate.change.df
    )
    told = opinion(estimate, CalibratedChange(PLAIN, None, None, None, change))
    assert not told.checks["mean_tc_ha"].agrees


def test_a_chain_with_a_line_left_out_is_caught() -> None:
    estimate = drawn_estimate((12, 9))
    right = terms(CalibratedChange(PLAIN, None, None, None, estimate.change))
    for mistake in (
        replace(right, leakage_t=0.0),
        replace(right, baseline_share=0.0),
        replace(right, risk_mode=RiskMode.BUFFER),
        replace(right, issued_kg=right.issued_kg + 2),
    ):
        assert not opinion(estimate, chain=mistake).checks["issued_kg"].agrees


# Rasters


def parcels_of_pixels(count: int = 12) -> list[list[ChangePixel]]:
    rng = np.random.default_rng(5)
    return [
        [
            ChangePixel(
                0.01, 50.0, float(rng.normal(58, 3)), float(rng.uniform(4, 9)), float(rng.uniform(4, 9))
            )
            for _ in range(30)
        ]
        for _ in range(count)
    ]


@pytest.mark.parametrize("rho_space", [0.0, 0.05, 0.30, 1.0])
@pytest.mark.parametrize("rho_time", [0.0, 0.6])
def test_raster_errors_drawn_by_parcel_have_the_error_of_all_pixels_together(
    rho_space: float, rho_time: float
) -> None:
    parts = [change_sums(pixels, rho_time) for pixels in parcels_of_pixels()]
    formula = raster_change(
        add_sums(parts), rho_space=rho_space, z_value=1.645, root_shoot=0.2, carbon_fraction=0.5
    )
    told = raster_opinion(
        parts, rho_space=rho_space, se_t=formula.se_agb_t, z_value=1.645, seed_sha256=seed("raster")
    )
    assert told.agrees, told
    assert told.se_t == pytest.approx(formula.se_agb_t, rel=0.03)
    assert told.delta_t == pytest.approx(formula.delta_agb_t, abs=5 * formula.se_agb_t / 100)


def test_a_raster_error_without_its_common_part_is_caught() -> None:
    parts = [change_sums(pixels, 0.0) for pixels in parcels_of_pixels()]
    alone = math.sqrt(sum(part.error_squared_t2 for part in parts))
    told = raster_opinion(parts, rho_space=0.3, se_t=alone, z_value=1.645, seed_sha256=seed("raster"))
    assert not told.checks["se_tc"].agrees and not told.checks["half_width_tc"].agrees


def test_dates_that_err_each_for_itself_never_err_more_than_the_formula_says() -> None:
    def sums(pixels: Sequence[ChangePixel]) -> DateErrors:
        first = [p.weight_ha * p.sd1 for p in pixels]
        second = [p.weight_ha * p.sd2 for p in pixels]
        return DateErrors(
            sum(first), sum(second), sum(a * a for a in first), sum(b * b for b in second),
            sum(a * b for a, b in zip(first, second, strict=True)),
        )  # fmt: skip

    for rho_time in (0.0, 0.5):
        parcels = parcels_of_pixels()
        se = _raster_se(parcels, rho_time)
        drawn = two_date_errors(
            [sums(pixels) for pixels in parcels], rho_space=0.3, rho_time=rho_time, seed_sha256=seed(1)
        )
        assert 0.9 * se < drawn.std() < 1.02 * se
        alike = [[replace(pixel, sd2=1.5 * pixel.sd1) for pixel in pixels] for pixels in parcels]
        drawn = two_date_errors(
            [sums(pixels) for pixels in alike], rho_space=0.3, rho_time=rho_time, seed_sha256=seed(2)
        )
        assert drawn.std() == pytest.approx(_raster_se(alike, rho_time), rel=0.03)


def _raster_se(parcels: Sequence[Sequence[ChangePixel]], rho_time: float) -> float:
    sums: ChangeSums = add_sums([change_sums(pixels, rho_time) for pixels in parcels])
    return raster_change(sums, rho_space=0.3, z_value=1.645, root_shoot=0, carbon_fraction=1).se_agb_t


# The same again


def test_the_same_inputs_give_the_same_words_and_others_give_others() -> None:
    estimate = drawn_estimate((12, 9))
    assert opinion(estimate).to_json() == opinion(estimate).to_json()
    assert opinion(estimate).to_json() != opinion(estimate, name="another").to_json()


def test_the_stream_is_frozen() -> None:
    """Written down once: another numpy, another machine must say the same."""
    plain = opinion(estimate_of({"one": (1.0, 2.0, 6.0, 3.5)}, {"one": 4.0})).to_json()
    assert plain["seed_sha256"] == seed("run")
    assert (plain["mean_tc_ha"], plain["se_tc_ha"]) == FROZEN


FROZEN = ("3.128", "1.08917")


def test_five_hundred_plots_are_drawn_in_a_moment() -> None:
    estimate = drawn_estimate((250, 150, 100))
    opinion(estimate)
    began = perf_counter()
    told = opinion(estimate)
    assert perf_counter() - began < 1.0
    assert told.draws == 5_000


@pytest.mark.parametrize("others", [{"draws": 10}, {"reliability": 1.2}])
def test_what_cannot_be_drawn_is_refused(others: dict[str, float]) -> None:
    with pytest.raises(OutOfRange):
        opinion(drawn_estimate((5, 5)), **others)  # type: ignore[arg-type]


def test_figures_are_written_with_six_digits_and_no_exponent() -> None:
    told = opinion(drawn_estimate((12, 9))).to_json()
    assert isinstance(told["kg_quantiles"], dict)
    for text in told["kg_quantiles"].values():
        assert isinstance(text, str)
        assert len(text.strip("0").replace(".", "")) <= 6
        assert "e" not in text
