"""A second opinion on an estimate: the whole chain drawn many times, beside the formulas that credit it.

The plots of every stratum are drawn again with replacement (n - 1 of n, so that the variance of a drawn
mean is that of E-U1: Rao and Wu, Resampling inference with complex survey data, JASA 83, 1988, section 2),
and the estimator is formed anew from each draw. No formula of `uncertainty` or `calibration` is used, so a
wrong one is noticed. To speak of the true change each deviation is widened by sqrt(df / chi-square(df)), as
Student's distribution does; the draws then go line by line through E-U2 and E-C1 in plain floats.

`numpy.random.RandomState` is used on purpose: its streams are frozen (NEP 19), so a seed gives the same
draws under any numpy. What is told of them has six digits, which no machine's last bit reaches. Nothing here
decides a kilogram.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from registry.estimates.methods.calibration import CalibratedChange
from registry.estimates.methods.checks import finite, not_negative, share
from registry.estimates.methods.constants import C_TO_CO2, KG_PER_T
from registry.estimates.methods.crediting import RiskMode
from registry.estimates.methods.errors import OutOfRange
from registry.estimates.methods.parameters import DeductionRule
from registry.estimates.methods.plots import PlotEstimate
from registry.estimates.methods.uncertainty import RELIABILITY
from registry.estimates.methods.version import ChangeEstimator

Floats = NDArray[np.float64]
Json = str | int | bool | None | list[int] | dict[str, str]

DRAWS: Final = 10_000
FEWEST_DRAWS: Final = 1_000
MAX_RESAMPLED: Final = 2_500_000
"""Plots times draws; with more plots there are fewer draws, so that the opinion stays a matter of moments."""
STANDARD_ERRORS: Final = 4.0
"""How many standard errors of the draws themselves a figure may be off: 6 in 100,000 by chance."""
LINEAR_ALLOWANCE: Final = 0.25
"""Ratio and regression are linearised by their formulas. Without g-weights that understates the error where
plots are few or lie on other raster values than the land, and the draws then say so: a disagreement is a
result, not a fault of the programme.
"""
INTERVAL_ALLOWANCE: Final = 0.25
"""Drawn intervals follow the plots' own shape, those of the formula Student's."""
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS: Final = 41


@dataclass(frozen=True, slots=True)
class ChainTerms:
    """What E-C1 applies after the change, and what came of it by the formulas.

    Emissions and leakage in tCO2e; `credited_t` is the net reduction after the deduction, None when the
    uncertainty lets nothing be issued; `issued_kg` what a verifier may sign.
    """

    baseline_share: float
    project_emissions_t: float
    leakage_t: float
    risk_share: float
    risk_mode: RiskMode
    rule: DeductionRule
    credited_t: float | None
    issued_kg: int


@dataclass(frozen=True, slots=True)
class Check:
    """One figure of the formulas beside that of the draws, and how far apart they may be."""

    formula: float
    drawn: float
    allowed: float

    @property
    def agrees(self) -> bool:
        return abs(self.drawn - self.formula) <= self.allowed

    def to_json(self) -> dict[str, str]:
        return {
            "formula": figure_text(self.formula),
            "drawn": figure_text(self.drawn),
            "allowed": figure_text(self.allowed),
        }


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What the draws say. Mean and error in tC/ha; change, net reduction and quantiles in tCO2e.

    `checks` compares with the formulas. `p_true_below_credited` is the probability that the true net
    reduction, without any deduction for uncertainty, lies below what is credited; `refused_share` the share
    of draws that would have been too uncertain to issue anything.
    """

    seed_sha256: str
    draws: int
    mean_tc_ha: float
    se_tc_ha: float
    uncertainty_pct: float | None
    checks: Mapping[str, Check]
    change_quantiles_t: Mapping[float, float]
    net_quantiles_t: Mapping[float, float]
    kg_quantiles: Mapping[float, float]
    kg_mean: float
    refused_share: float
    p_true_below_credited: float | None
    histogram_from_t: float
    histogram_to_t: float
    histogram: tuple[int, ...]

    @property
    def agrees(self) -> bool:
        return all(check.agrees for check in self.checks.values())

    def to_json(self) -> dict[str, Json | dict[str, dict[str, str]]]:
        """For the run's record: texts of six digits, so that every machine writes the same."""
        return {
            "rule": "plots drawn again, n - 1 of n with replacement; RandomState seeded by the inputs",
            "seed_sha256": self.seed_sha256,
            "draws": self.draws,
            "agrees": self.agrees,
            "checks": {name: check.to_json() for name, check in self.checks.items()},
            "mean_tc_ha": figure_text(self.mean_tc_ha),
            "se_tc_ha": figure_text(self.se_tc_ha),
            "uncertainty_pct": None if self.uncertainty_pct is None else figure_text(self.uncertainty_pct),
            "change_quantiles_tco2e": quantile_texts(self.change_quantiles_t),
            "net_quantiles_tco2e": quantile_texts(self.net_quantiles_t),
            "kg_quantiles": quantile_texts(self.kg_quantiles),
            "kg_mean": figure_text(self.kg_mean),
            "refused_share": figure_text(self.refused_share),
            "p_true_below_credited": (
                None if self.p_true_below_credited is None else figure_text(self.p_true_below_credited)
            ),
            "histogram_tco2e": {
                "from": figure_text(self.histogram_from_t),
                "to": figure_text(self.histogram_to_t),
            },
            "histogram_counts": list(self.histogram),
        }


def second_opinion(
    estimate: PlotEstimate,
    calibrated: CalibratedChange,
    estimator: ChangeEstimator,
    raster_delta_at_plot_t_ha: Mapping[str, float],
    raster_mean_delta_t_ha: Mapping[str, float],
    *,
    scale: float,
    chain: ChainTerms,
    seed_sha256: str,
    reliability: float = RELIABILITY,
    draws: int = DRAWS,
    parameter_se_share: Mapping[str, float] | None = None,
) -> SecondOpinion:
    """Draw the estimate and its chain again, and hold both against the formulas.

    Arguments as of `calibrate`, whose result is `calibrated`; `scale` is the factor from the plots' time to
    the period's; `parameter_se_share` the relative standard error of the carbon factors of a stratum, where
    its row states one: it widens what is said of the true change, not the check of the formulas. The seed is
    a SHA-256 in hex, that of the run's inputs, so nobody chooses it. Raises `OutOfRange`.
    """
    finite(scale=scale)
    share(reliability=reliability)
    if not FEWEST_DRAWS <= draws <= 1_000_000:
        raise OutOfRange(field="draws", value=draws, rule=f">= {FEWEST_DRAWS}, <= 1000000")
    strata = _strata(estimate, estimator, raster_delta_at_plot_t_ha, raster_mean_delta_t_ha)
    count = max(FEWEST_DRAWS, min(draws, MAX_RESAMPLED // len(estimate.plots)))
    stream = stream_of(seed_sha256, 0)
    drawn = [_resampled(stratum, stream, count) for stratum in strata]
    means = _estimates(strata, drawn, estimator)
    change = calibrated.change
    free = _free(strata, drawn, calibrated)
    widen = np.sqrt(free / stream.chisquare(free, count))
    factors = _factors(strata, parameter_se_share or {}, seed_sha256, count)
    shifted = means if factors is None else _estimates(strata, _scaled(drawn, factors), estimator)
    centre = change.mean_delta_tc_ha
    true = centre + (shifted - shifted.mean()) * widen
    tonnes = scale * change.area_ha * C_TO_CO2
    sampled = centre + (means - means.mean()) * widen
    half = _half_width(sampled, reliability)
    u_pct = half / abs(centre) * 100 if centre else None
    kilograms, refused = _issued_kg(true * tonnes, change.t_value * change.se_tc_ha * tonnes, chain)
    net = _net(true * tonnes, chain)
    below = None if chain.credited_t is None else float(np.mean(net < chain.credited_t))
    low, high, counts = histogram_of(true * tonnes)
    return SecondOpinion(
        seed_sha256=seed_sha256,
        draws=count,
        mean_tc_ha=float(means.mean()),
        se_tc_ha=float(means.std()),
        uncertainty_pct=u_pct,
        checks=_checks(means, half, calibrated, tonnes, chain),
        change_quantiles_t=quantiles_of(true * tonnes),
        net_quantiles_t=quantiles_of(net),
        kg_quantiles=quantiles_of(kilograms),
        kg_mean=float(kilograms.mean()),
        refused_share=float(refused.mean()),
        p_true_below_credited=below,
        histogram_from_t=low,
        histogram_to_t=high,
        histogram=counts,
    )


# ---- drawing plots -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plots:
    """One stratum: its share of the land, the change of plots (tC/ha) and raster, and the raster's mean."""

    name: str
    area_share: float
    change: Floats
    raster: Floats
    raster_mean: float

    @property
    def pooling(self) -> float:
        n = len(self.change)
        return self.area_share**2 / (n * (n - 1))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Of one stratum, for every draw: means of change and raster, and sums of products about them."""

    change: Floats
    raster: Floats
    products: Floats
    squares: Floats


def _strata(
    estimate: PlotEstimate,
    estimator: ChangeEstimator,
    at_plot: Mapping[str, float],
    mean_of: Mapping[str, float],
) -> list[_Plots]:
    plain = estimator is ChangeEstimator.STRATIFIED
    land = sum(stratum.area_ha for stratum in estimate.strata)
    found: list[_Plots] = []
    for stratum in estimate.strata:
        plots = [plot for plot in estimate.plots if plot.stratum == stratum.name]
        change = np.array([plot.delta_tc_ha for plot in plots])
        raster = np.zeros(len(plots)) if plain else np.array([at_plot[plot.plot_id] for plot in plots])
        mean = 0.0 if plain else mean_of[stratum.name or ""]
        found.append(_Plots(stratum.name or "", stratum.area_ha / land, change, raster, mean))
    return found


def _resampled(stratum: _Plots, stream: np.random.RandomState, count: int) -> _Drawn:
    n = len(stratum.change)
    chosen = (stream.random_sample((count, n - 1)) * n).astype(np.intp)
    change = stratum.change[chosen]
    means = change.mean(axis=1)
    if not stratum.raster.any():
        nothing = np.zeros(count)
        return _Drawn(means, nothing, nothing, nothing)
    raster = stratum.raster[chosen]
    raster_means = raster.mean(axis=1)
    off = raster - raster_means[:, None]
    products = (off * (change - means[:, None])).sum(axis=1)
    return _Drawn(means, raster_means, products, (off * off).sum(axis=1))


def _estimates(strata: Sequence[_Plots], drawn: Sequence[_Drawn], estimator: ChangeEstimator) -> Floats:
    """The mean change per hectare of all land, formed anew from every draw."""
    by_plots = _over(strata, [one.change for one in drawn])
    if estimator is ChangeEstimator.STRATIFIED:
        return by_plots
    at_plots = _over(strata, [one.raster for one in drawn])
    everywhere = sum(stratum.area_share * stratum.raster_mean for stratum in strata)
    if estimator.is_ratio:
        usable = np.where(at_plots > 0, at_plots, np.nan)
        ratio: Floats = by_plots / usable * everywhere
        return np.where(np.isfinite(ratio), ratio, np.nanmean(ratio))
    pooled = [stratum.pooling for stratum in strata]
    products = sum(weight * one.products for weight, one in zip(pooled, drawn, strict=True))
    squares = np.asarray(sum(weight * one.squares for weight, one in zip(pooled, drawn, strict=True)))
    flat = squares <= 0
    slope: Floats = products / np.where(flat, 1.0, squares)
    slope = np.where(flat, slope[~flat].mean() if not flat.all() else 0.0, slope)
    moved: Floats = by_plots + slope * (everywhere - at_plots)
    return moved


def _over(strata: Sequence[_Plots], values: Sequence[Floats]) -> Floats:
    weighted: Floats = np.asarray(
        sum(stratum.area_share * value for stratum, value in zip(strata, values, strict=True))
    )
    return weighted


def _free(strata: Sequence[_Plots], drawn: Sequence[_Drawn], calibrated: CalibratedChange) -> int:
    """Degrees of freedom: of all plots, and for errors by g-weights the effective ones, from the spread that
    the draws of each stratum bring to the mean.
    """
    sizes = [len(stratum.change) for stratum in strata]
    free = sum(sizes) - len(strata) - (calibrated.estimator is not ChangeEstimator.STRATIFIED)
    if not calibrated.estimator.is_weighted:
        return free
    slope = calibrated.coefficient or 0.0
    spread = [
        stratum.area_share**2 * float((one.change - slope * one.raster).var())
        for stratum, one in zip(strata, drawn, strict=True)
    ]
    squares = sum(one**2 / (n - 1) for one, n in zip(spread, sizes, strict=True))
    return free if squares <= 0 else max(1, min(free, math.floor(sum(spread) ** 2 / squares)))


def _factors(
    strata: Sequence[_Plots], se_share: Mapping[str, float], seed_sha256: str, count: int
) -> list[Floats] | None:
    """What the carbon factors of each stratum are off by, in every draw; None where none is stated."""
    not_negative(**{f"parameter_se_share of {name}": value for name, value in se_share.items()})
    if not any(se_share.get(stratum.name) for stratum in strata):
        return None
    stream = stream_of(seed_sha256, 1)
    return [1 + se_share.get(stratum.name, 0.0) * stream.standard_normal(count) for stratum in strata]


def _scaled(drawn: Sequence[_Drawn], factors: Sequence[Floats]) -> list[_Drawn]:
    return [
        _Drawn(one.change * factor, one.raster, one.products * factor, one.squares)
        for one, factor in zip(drawn, factors, strict=True)
    ]


def stream_of(seed_sha256: str, part: int) -> np.random.RandomState:
    """The frozen stream of a digest; `part` tells streams of one seed apart."""
    raw = bytes.fromhex(seed_sha256)
    if len(raw) != 32:
        raise OutOfRange(field="seed_sha256", value=len(raw), rule="= 32 bytes")
    words = [int.from_bytes(raw[at : at + 4], "big") for at in range(0, 32, 4)]
    return np.random.RandomState([*words, part])


# ---- the chain, once more ----------------------------------------------------------------------------------


def _net(change_t: Floats, chain: ChainTerms) -> Floats:
    """E-C1 without a deduction for uncertainty: what the truth would have given."""
    baseline = chain.baseline_share * np.maximum(change_t, 0)
    net: Floats = change_t - baseline - chain.project_emissions_t - chain.leakage_t
    return net


def _rates(percent: Floats, rule: DeductionRule) -> Floats:
    """E-U2 for many uncertainties at once; NaN where nothing may be issued."""
    rates = np.full(len(percent), np.nan)
    for step in reversed(rule.steps):
        bound = math.inf if step.up_to_pct is None else float(step.up_to_pct)
        proportional = np.minimum(percent * float(step.share_of_u or 0) / 100, 1.0)
        rate = proportional if step.rate is None else float(step.rate)
        rates = np.where(percent <= bound, rate, rates)
    return rates


def _issued_kg(change_t: Floats, half_width_t: float, chain: ChainTerms) -> tuple[Floats, NDArray[np.bool_]]:
    """E-U2 and E-C1 for every draw; zero where it would be refused, with the flag."""
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = np.abs(half_width_t / change_t) * 100 if half_width_t else np.zeros(len(change_t))
    rates = _rates(percent, chain.rule)
    refused = np.isnan(rates)
    rates = np.where(refused, 0.0, rates)
    kept = np.where(change_t >= 0, change_t * (1 - rates), change_t * (1 + rates))
    baseline = chain.baseline_share * np.maximum(change_t, 0)
    net = kept - baseline - chain.project_emissions_t - chain.leakage_t
    part = 1 - chain.risk_share if chain.risk_mode is RiskMode.DEDUCT else 1.0
    kilograms = np.where(refused, 0.0, np.maximum(net, 0) * part * KG_PER_T)
    return kilograms, refused


# ---- beside the formulas -----------------------------------------------------------------------------------


def _checks(
    means: Floats, half: float, calibrated: CalibratedChange, tonnes: float, chain: ChainTerms
) -> dict[str, Check]:
    change = calibrated.change
    linear = calibrated.estimator is ChangeEstimator.STRATIFIED
    allowance = 0.0 if linear else LINEAR_ALLOWANCE
    spread, count = float(means.std()), len(means)
    tiny = 1e-9 * (abs(change.mean_delta_tc_ha) + change.se_tc_ha)
    of_mean = STANDARD_ERRORS * spread / math.sqrt(count) + allowance * change.se_tc_ha + tiny
    of_se = (STANDARD_ERRORS * relative_error_of_sd(means) + allowance) * change.se_tc_ha + tiny
    width = change.t_value * change.se_tc_ha
    given = np.array([change.mean_delta_tc_ha * tonnes])
    again, _ = _issued_kg(given, width * tonnes, chain)
    return {
        "mean_tc_ha": Check(change.mean_delta_tc_ha, float(means.mean()), of_mean),
        "se_tc_ha": Check(change.se_tc_ha, spread, of_se),
        "half_width_tc_ha": Check(width, half, (INTERVAL_ALLOWANCE + allowance) * width + tiny),
        "issued_kg": Check(float(chain.issued_kg), float(again[0]), 1.0 + 1e-9 * float(again[0])),
    }


def relative_error_of_sd(values: Floats) -> float:
    """Standard error of a drawn standard deviation, relative to it: sqrt((kurtosis - 1) / 4N)."""
    off = values - values.mean()
    variance = float((off**2).mean())
    if variance == 0:
        return 0.0
    kurtosis = float((off**4).mean()) / variance**2
    return math.sqrt(max(kurtosis - 1, 0.0) / (4 * len(values)))


def _half_width(values: Floats, reliability: float) -> float:
    low, high = np.quantile(values, [(1 - reliability) / 2, (1 + reliability) / 2])
    return float(high - low) / 2


def quantiles_of(values: Floats) -> dict[float, float]:
    found = np.quantile(values, QUANTILES)
    return {level: float(value) for level, value in zip(QUANTILES, found, strict=True)}


def quantile_texts(quantiles: Mapping[float, float]) -> dict[str, str]:
    return {f"{level:g}": figure_text(value) for level, value in quantiles.items()}


def histogram_of(values: Floats) -> tuple[float, float, tuple[int, ...]]:
    """Counts between the thousandths at both ends; what lies further out is counted at the ends."""
    low, high = (float(figure_text(float(value))) for value in np.quantile(values, [0.001, 0.999]))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(np.clip(values, low, high), bins=BINS, range=(low, high))
    return low, high, tuple(int(count) for count in counts)


def figure_text(value: float) -> str:
    """Six digits, without an exponent."""
    return f"{Decimal(f'{value + 0.0:.6g}'):f}"
