"""E-C1 for a run, line by line: from the change of the ground to the kilograms that may be issued."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Final

from ledger.canonical import JsonValue
from registry.estimates.ground import CM2_PER_HA
from registry.estimates.inputs import RunInputs, TermsInput
from registry.estimates.methods import (
    Issuable,
    MethodVersion,
    NetReduction,
    RiskMode,
    issuable_kg,
    net_reduction,
)
from registry.estimates.methods.errors import ImplausibleRemoval, UncertaintyTooHigh, UncertaintyUndefined
from registry.estimates.methods.uncertainty import EXACT, exact
from registry.estimates.plain import plain

_DAYS_PER_YEAR: Final = Decimal("365.25")


@dataclass(frozen=True, slots=True)
class Change:
    """The change that a run credits from: tCO2e of the whole eligible ground, its uncertainty, and each
    parcel's weight.
    """

    tier: str
    delta_tco2e: float
    uncertainty_pct: float | None
    weights: tuple[int, ...]
    evidence: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Chain:
    """E-C1 up to what may be issued. `front` is None when the uncertainty lets nothing be issued; `status`
    says so.
    """

    status: str
    baseline_tco2e: Decimal
    front: NetReduction | None
    issuable: Issuable


def chained(inputs: RunInputs, method: MethodVersion, change: Change) -> Chain:
    """E-C1 in its fixed order (D5). Too uncertain a change issues nothing."""
    baseline = _baseline_tco2e(change.delta_tco2e, inputs.terms.baseline_ppm)
    try:
        front = net_reduction(
            delta_project_tco2e=change.delta_tco2e,
            uncertainty_pct=change.uncertainty_pct,
            delta_baseline_tco2e=baseline,
            project_emissions_tco2e=_tonnes(inputs.project_emissions_kg),
            leakage_tco2e=_tonnes(inputs.leakage_kg),
            k_risk=Decimal(inputs.terms.risk_ppm).scaleb(-6),
            rule=method.rule,
        )
    except UncertaintyTooHigh:
        return Chain("reject_more_plots", baseline, None, Issuable(0, False, 0))
    except UncertaintyUndefined:
        return Chain("uncertainty_undefined", baseline, None, Issuable(0, False, 0))
    return Chain("ok", baseline, front, issuable_kg(front, RiskMode(inputs.terms.risk_mode)))


def _baseline_tco2e(delta_tco2e: float, baseline_ppm: int) -> Decimal:
    """The programme's share of the project's change, as it would have been anyway; a loss has no baseline
    to lean on.
    """
    with localcontext(EXACT):
        return max(exact(delta_tco2e), Decimal(0)) * Decimal(baseline_ppm).scaleb(-6)


def _tonnes(kilograms: int) -> Decimal:
    return Decimal(kilograms).scaleb(-3)


def rate_kg_ha_year(terms: TermsInput, chain: Chain, eligible_cm2: int, days: int) -> int:
    """R-17: mean net removal, rounded up; above the programme's second bound it is refused
    (`ImplausibleRemoval`).
    """
    if chain.front is None:
        return 0
    net_kg = max(chain.front.net_reduction_tco2e, Decimal(0)) * 1000
    hectares = Decimal(eligible_cm2) / CM2_PER_HA
    rate = int((net_kg / hectares / (days / _DAYS_PER_YEAR)).to_integral_value(rounding=ROUND_CEILING))
    if rate > terms.refused_kg_ha_year:
        raise ImplausibleRemoval(
            rate_tco2e_ha_year=rate / 1000, limit_tco2e_ha_year=terms.refused_kg_ha_year / 1000
        )
    return rate


def ppm(percent: float | None) -> int | None:
    """An uncertainty in per cent as parts per million, rounded up."""
    if percent is None:
        return None
    return int((exact(percent) * 10_000).to_integral_value(rounding=ROUND_CEILING))


def lines(inputs: RunInputs, change: Change, chain: Chain) -> list[JsonValue]:
    """E-C1 as a reader follows it; tCO2e, exact decimals."""
    front = chain.front
    lines: list[JsonValue] = [
        {"line": "project_change", "tco2e": repr(change.delta_tco2e)},
        {
            "line": "uncertainty",
            "percent": plain(change.uncertainty_pct),
            "rate": plain(front and front.deduction_rate),
        },
        {"line": "project_adjusted", "tco2e": plain(front and front.project_adjusted_tco2e)},
        {"line": "baseline", "tco2e": plain(chain.baseline_tco2e), "share_ppm": inputs.terms.baseline_ppm},
        {"line": "project_emissions", "tco2e": plain(_tonnes(inputs.project_emissions_kg))},
        {"line": "leakage", "tco2e": plain(_tonnes(inputs.leakage_kg))},
        {"line": "net_reduction", "tco2e": plain(front and front.net_reduction_tco2e)},
        {
            "line": "non_permanence",
            "tco2e": plain(front and front.risk_withheld_tco2e),
            "share_ppm": inputs.terms.risk_ppm,
            "mode": inputs.terms.risk_mode,
        },
        {"line": "issuable", "kg": chain.issuable.verified_kg},
    ]
    return lines
