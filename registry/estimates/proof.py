"""What plots prove: which of them stand on the run's ground, the mean change, and each parcel's part of it.

Plots are not extrapolated: growth between the last measurement and the end of the period is not claimed.
Where the measurements lie further apart than the period is long, the change is scaled down to the period.
Bamboo is credited up to the level at which a stand is full (E-F7), counted from the start of the project.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from geo.crs import Polygonal
from geo.raster import RasterSource
from ledger.canonical import JsonValue
from registry.estimates.chain import Chain, Change
from registry.estimates.ground import Ground
from registry.estimates.input_files import READERS
from registry.estimates.inputs import RunInputs
from registry.estimates.methods import (
    CalibratedChange,
    ChangeEstimator,
    MethodVersion,
    PlotEstimate,
    PlotRecord,
    RiskMode,
    calibrate,
    check_dates,
    estimate_change,
)
from registry.estimates.methods.bamboo import Saturation, saturated_tco2e
from registry.estimates.methods.constants import C_TO_CO2
from registry.estimates.methods.montecarlo import ChainTerms, second_opinion
from registry.estimates.methods.montecarlo_raster import raster_opinion
from registry.estimates.methods.parameters import sha256_hex
from registry.estimates.methods.plot_checks import check_plots
from registry.estimates.methods.version import Biomass
from registry.estimates.plain import plain
from registry.estimates.plots.ground import PlacedPlots, change_at_plots, place
from registry.estimates.rules import TIER_SCREENING, TIER_VERIFIED
from registry.programmes.rules import MILLION

_WEIGHT_PER_TC: Final = 10**6


@dataclass(frozen=True, slots=True)
class Work:
    """A run under way: its inputs with the outlines they name, its plots file, and the rasters, open."""

    inputs: RunInputs
    method: MethodVersion
    outlines: Sequence[Polygonal]
    plots: bytes | None
    rasters: Mapping[str, RasterSource]


@dataclass(frozen=True, slots=True)
class Proof:
    """The plots on the ground and what they say, before the period's length and saturation."""

    plots: PlacedPlots
    estimate: PlotEstimate
    calibrated: CalibratedChange
    at_plots: Mapping[str, float]
    scale: float
    span: Mapping[str, JsonValue]
    saturation: Mapping[str, JsonValue] | None
    delta_tco2e: float


def screened(ground: Ground) -> Change:
    """Rasters alone: a number to look at."""
    weights = tuple(_weight(parcel.delta_t) for parcel in ground.parcels)
    return Change(
        TIER_SCREENING, ground.change.delta_tco2e, ground.change.uncertainty_pct, weights, {"plots": None}
    )


def prove(work: Work, ground: Ground) -> Proof:
    """The change that the plots on the project's land prove, helped by rasters where the method says so.

    Raises `BadPlotFile`, `PlotUnplaced`, `PlotStratumDiffers`, `PlotOutsidePeriod`, `TooFewPlots` and what
    `estimate_change` and `calibrate` raise.
    """
    inputs, method = work.inputs, work.method
    assert inputs.plots is not None and work.plots is not None
    plots = place(READERS[inputs.plots.measurement](work.plots), inputs.parcels, work.outlines)
    tolerance = method.parameters.whole_setting("max_plot_date_offset_days")
    check_dates(plots.inside, inputs.from_date, inputs.to_date, tolerance_days=tolerance)
    estimate = estimate_change(
        plots.inside, ground.strata_ha, biomass=method.biomass, parameters=method.parameters
    )
    helped = method.estimator is not ChangeEstimator.STRATIFIED
    at_plots = change_at_plots(inputs, plots.inside, work.rasters) if helped else {}
    calibrated = calibrate(
        estimate,
        at_plots,
        ground.strata_delta_t_ha,
        method.estimator,
        reliability=method.parameters.setting("reliability"),
    )
    scale, span = _span(inputs, plots.inside)
    delta = calibrated.change.delta_tco2e * scale
    saturation, delta = _saturated(inputs, method, estimate, delta)
    return Proof(plots, estimate, calibrated, at_plots, scale, span, saturation, delta)


def proven(work: Work, ground: Ground, proof: Proof) -> Change:
    """The change to credit from, with what the record says of it."""
    means = {stratum.name: stratum.mean for stratum in proof.estimate.strata}
    weights = tuple(
        _weight(means[parcel.stand_type] * parcel.eligible_ha) if parcel.eligible_cm2 else 0
        for parcel in ground.parcels
    )
    if not any(weights):
        weights = tuple(parcel.eligible_cm2 for parcel in ground.parcels)
    evidence: dict[str, JsonValue] = {
        "plots_used": len(proof.plots.inside),
        "plots_outside": list(proof.plots.outside),
        "strata": plain(proof.estimate.strata),
        "change": plain(proof.calibrated),
        "time": dict(proof.span),
    }
    if work.inputs.record_version > 1:
        evidence["plots"] = _plots(proof)
        evidence["saturation"] = None if proof.saturation is None else dict(proof.saturation)
    return Change(
        TIER_VERIFIED, proof.delta_tco2e, proof.calibrated.change.uncertainty_pct, weights, evidence
    )


def opinion(work: Work, ground: Ground, proof: Proof, chain: Chain) -> JsonValue:
    """Monte Carlo of the whole chain, beside its formulas; seeded by the digest of the inputs."""
    inputs, method = work.inputs, work.method
    plain_change = proof.calibrated.change.delta_tco2e
    scale = proof.delta_tco2e / plain_change if plain_change and proof.delta_tco2e else proof.scale
    front = chain.front
    terms = ChainTerms(
        baseline_share=inputs.terms.baseline_ppm / MILLION,
        project_emissions_t=inputs.project_emissions_kg / 1000,
        leakage_t=inputs.leakage_kg / 1000,
        risk_share=inputs.terms.risk_ppm / MILLION,
        risk_mode=RiskMode(inputs.terms.risk_mode),
        rule=method.rule,
        credited_t=None if front is None else float(front.net_reduction_tco2e),
        issued_kg=chain.issuable.verified_kg,
    )
    drawn = second_opinion(
        proof.estimate,
        proof.calibrated,
        method.estimator,
        proof.at_plots,
        ground.strata_delta_t_ha,
        scale=scale,
        chain=terms,
        seed_sha256=inputs.digest(),
        reliability=method.parameters.setting("reliability"),
    )
    return plain(drawn.to_json())


def raster_second_opinion(work: Work, ground: Ground) -> JsonValue:
    """E-R2 drawn beside its formula; seeded by the digest of the inputs."""
    measured = ground.measured
    drawn = raster_opinion(
        measured.parts,
        rho_space=measured.rho_space,
        se_t=measured.change.se_agb_t,
        z_value=work.method.parameters.setting("z_value"),
        seed_sha256=work.inputs.digest(),
    )
    return plain(drawn.to_json())


def findings(work: Work, ground: Ground, proof: Proof) -> list[JsonValue]:
    """What is odd about the plots that were used, with the owner's answers: for verifiers to look at."""
    found = check_plots(
        proof.plots.inside,
        biomass=work.method.biomass,
        parameters=work.method.parameters,
        strata_ha=ground.strata_ha,
        from_on=work.inputs.from_date,
        to_on=work.inputs.to_date,
    )
    return [plain(one.to_json()) for one in found]


def plot_digest(plot: PlotRecord) -> str:
    """Of what a row of the file says about a plot, so that a changed row can be named."""
    place_ = (plot.lon_deg, plot.lat_deg, plot.area_ha)
    return sha256_hex(
        plain([plot.plot_id, plot.stratum, place_, plot.measured1_on, plot.measured2_on, plot.measurement])
    )


def _plots(proof: Proof) -> list[JsonValue]:
    """Every plot that was used, with its change and the digest of its row."""
    changes = {change.plot_id: change for change in proof.estimate.plots}
    return [
        {
            "plot_id": plot.plot_id,
            "stratum": plot.stratum,
            "carbon1_tc_ha": plain(changes[plot.plot_id].carbon1_tc_ha),
            "carbon2_tc_ha": plain(changes[plot.plot_id].carbon2_tc_ha),
            "delta_tc_ha": plain(changes[plot.plot_id].delta_tc_ha),
            "raster_delta_t_ha": plain(proof.at_plots.get(plot.plot_id)),
            "row_sha256": plot_digest(plot),
        }
        for plot in proof.plots.inside
        if plot.plot_id in changes
    ]


def _weight(carbon: float) -> int:
    """A parcel's part as a whole number; parcels of strata that lost carbon get nothing."""
    return max(round(carbon * _WEIGHT_PER_TC), 0)


def _span(inputs: RunInputs, plots: Sequence[PlotRecord]) -> tuple[float, dict[str, JsonValue]]:
    """The factor from the plots' time to the period's, never above 1, and how the record explains it."""
    spans = [(plot.measured2_on - plot.measured1_on).days for plot in plots]
    longest = max(spans)
    scale = min(1.0, inputs.days / longest)
    return scale, {
        "period_days": inputs.days,
        "plot_days_shortest": min(spans),
        "plot_days_longest": longest,
        "plots_span_ppm": round(math.fsum(spans) / len(spans) / inputs.days * MILLION),
        "scale": repr(scale),
        "rule": "not extrapolated: growth outside the plots' dates is not claimed; longer spans scale down",
    }


# ---- saturation --------------------------------------------------------------------------------------------


def _saturated(
    inputs: RunInputs, method: MethodVersion, estimate: PlotEstimate, delta_tco2e: float
) -> tuple[dict[str, JsonValue] | None, float]:
    """E-F7 for the stand: what may be credited since the project's start, less what was credited before.

    The stock at the start is the first measurement of the first period, by the same plots.
    """
    if method.biomass is not Biomass.CULMS:
        return None, delta_tco2e
    area_ha = estimate.change.area_ha
    before = inputs.saturation
    first = _mean_first_stock_tc_ha(estimate) if before is None else float(before.start_tc_ha)
    earlier = 0.0 if before is None else float(before.raw_tco2e)
    credited = 0.0 if before is None else float(before.credited_tco2e)
    found: Saturation = saturated_tco2e(
        area_ha=area_ha,
        c0_tc_ha=first,
        c1_tc_ha=max(first + (earlier + delta_tco2e) / (area_ha * C_TO_CO2), 0.0),
        c_stable_tc_ha=method.parameters.bamboo_setting("c_stable_tc_ha"),
    )
    stand = min(earlier + delta_tco2e, found.cap_tco2e) - credited
    return {
        "start_tc_ha": plain(first),
        "stable_tc_ha": plain(method.parameters.bamboo_setting("c_stable_tc_ha")),
        "change_tco2e": plain(delta_tco2e),
        "raw_tco2e": plain(earlier + delta_tco2e),
        "cap_tco2e": plain(found.cap_tco2e),
        "credited_before_tco2e": plain(credited),
        "creditable_tco2e": plain(stand),
    }, stand


def _mean_first_stock_tc_ha(estimate: PlotEstimate) -> float:
    """Stock at the first measurement, tC/ha: means of the strata, weighted by their ground."""
    stocks: list[float] = []
    for stratum in estimate.strata:
        measured = [plot.carbon1_tc_ha for plot in estimate.plots if plot.stratum == stratum.name]
        stocks.append(stratum.area_ha * math.fsum(measured) / len(measured))
    return math.fsum(stocks) / math.fsum(stratum.area_ha for stratum in estimate.strata)
