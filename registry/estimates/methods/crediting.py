"""From a measured change to what may be credited: E-C1, its front part that issuance uses, E-B1 and R-17.

Exactness. Quantities enter as `exact` decimals (the shortest decimal that spells the float), rates are
decimals of their table, and the chain only adds, subtracts and multiplies in a context that traps rounding.
Hence the floor at the end is that of the true decimal result: 2366.8 t is 2 366 800 kg, whatever 2366.8 is in
binary, and the 1e-9 that E-C1 adds for binary floats is not needed.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from enum import StrEnum
from typing import Final

from registry.estimates.methods.constants import KG_PER_T
from registry.estimates.methods.errors import (
    ImplausibleRemoval,
    OutOfRange,
    UncertaintyTooHigh,
    UncertaintyUndefined,
)
from registry.estimates.methods.parameters import DeductionRule, ParameterSet
from registry.estimates.methods.uncertainty import EXACT, adjusted, deduction_rate, exact

Number = float | int | Decimal

_LARGEST_TCO2E: Final = Decimal(10) ** 12
_SMALLEST_EXPONENT: Final = -400


class RiskMode(StrEnum):
    """What happens to the share withheld against reversal: never issued, or issued to the buffer pool."""

    DEDUCT = "deduct"
    BUFFER = "buffer"


def _quantity(field: str, value: Number) -> Decimal:
    number = exact(value, field)
    if abs(number) > _LARGEST_TCO2E or (number and number.adjusted() < _SMALLEST_EXPONENT):
        raise OutOfRange(field=field, value=float(number), rule="<= 1e12")
    return number


def _not_negative(field: str, value: Number) -> Decimal:
    number = _quantity(field, value)
    if number < 0:
        raise OutOfRange(field=field, value=float(number), rule=">= 0")
    return number


@dataclass(frozen=True, slots=True)
class NetReduction:
    """The front part of E-C1: everything before carry and units. Decimals in tCO2e, exact."""

    deduction_rate: Decimal
    project_adjusted_tco2e: Decimal
    net_reduction_tco2e: Decimal
    risk_withheld_tco2e: Decimal


def net_reduction(
    *,
    delta_project_tco2e: Number,
    uncertainty_pct: float | None,
    delta_baseline_tco2e: Number,
    project_emissions_tco2e: Number,
    leakage_tco2e: Number,
    k_risk: Number,
    rule: DeductionRule,
) -> NetReduction:
    """Deduct uncertainty, baseline, project emissions, leakage and risk, in this order (E-C1, D5).

    `delta_baseline_tco2e` is what would have been taken up anyway (may be negative); emissions and leakage
    are not negative; `k_risk` is a share. Raises `UncertaintyTooHigh`, `UncertaintyUndefined`, `OutOfRange`,
    `NotFinite`.
    """
    rate = deduction_rate(uncertainty_pct, rule)
    if rate is None:
        if uncertainty_pct is None:
            raise UncertaintyUndefined()
        raise UncertaintyTooHigh(uncertainty_pct=uncertainty_pct, limit_pct=float(rule.limit_pct or 0))
    risk = _not_negative("k_risk", k_risk)
    if risk > 1:
        raise OutOfRange(field="k_risk", value=float(risk), rule=">= 0, <= 1")
    project = adjusted(_quantity("delta_project_tco2e", delta_project_tco2e), rate)
    baseline = _quantity("delta_baseline_tco2e", delta_baseline_tco2e)
    emissions = _not_negative("project_emissions_tco2e", project_emissions_tco2e)
    leakage = _not_negative("leakage_tco2e", leakage_tco2e)
    with localcontext(EXACT):
        net = project - baseline - emissions - leakage
        return NetReduction(rate, project, net, max(net, Decimal(0)) * risk)


@dataclass(frozen=True, slots=True)
class CreditingChain:
    """Every line of E-C1, tCO2e. A negative `carry_out_tco2e` is a debt."""

    deduction_rate: Decimal
    project_adjusted_tco2e: Decimal
    net_reduction_tco2e: Decimal
    risk_withheld_tco2e: Decimal
    creditable_tco2e: Decimal
    issued_tco2e: Decimal
    buffer_units_tco2e: Decimal
    carry_out_tco2e: Decimal


def crediting_chain(
    *,
    delta_project_tco2e: Number,
    uncertainty_pct: float | None,
    delta_baseline_tco2e: Number,
    project_emissions_tco2e: Number,
    leakage_tco2e: Number,
    k_risk: Number,
    risk_mode: RiskMode,
    carry_in_tco2e: Number,
    unit_tco2e: Number,
    rule: DeductionRule,
) -> CreditingChain:
    """The crediting chain as published (E-C1). Issuance does not use it but `issuable_kg`; see there.

    Refusals as in `net_reduction`; also a unit that is not positive.
    """
    front = net_reduction(
        delta_project_tco2e=delta_project_tco2e,
        uncertainty_pct=uncertainty_pct,
        delta_baseline_tco2e=delta_baseline_tco2e,
        project_emissions_tco2e=project_emissions_tco2e,
        leakage_tco2e=leakage_tco2e,
        k_risk=k_risk,
        rule=rule,
    )
    carry_in = _quantity("carry_in_tco2e", carry_in_tco2e)
    unit = _not_negative("unit_tco2e", unit_tco2e)
    if unit == 0:
        raise OutOfRange(field="unit_tco2e", value=0.0, rule="> 0")
    with localcontext(EXACT):
        creditable = front.net_reduction_tco2e - front.risk_withheld_tco2e + carry_in
        issued = max(creditable, Decimal(0)) // unit * unit
        buffer = front.risk_withheld_tco2e // unit * unit if risk_mode is RiskMode.BUFFER else Decimal(0)
        return CreditingChain(
            deduction_rate=front.deduction_rate,
            project_adjusted_tco2e=front.project_adjusted_tco2e,
            net_reduction_tco2e=front.net_reduction_tco2e,
            risk_withheld_tco2e=front.risk_withheld_tco2e,
            creditable_tco2e=creditable,
            issued_tco2e=issued,
            buffer_units_tco2e=buffer,
            carry_out_tco2e=creditable - issued,
        )


@dataclass(frozen=True, slots=True)
class Issuable:
    """What a verifier may sign at most, in whole kilograms; a net loss is a reversal of `loss_kg` and no
    batch.
    """

    verified_kg: int
    reversal: bool
    loss_kg: int


def issuable_kg(front: NetReduction, mode: RiskMode) -> Issuable:
    """Whole kilograms that issuance starts from, rounded down once.

    Mode `buffer`: the whole net reduction, because the buffer share is taken from the units. Mode `deduct`:
    the net reduction less what is withheld. A net loss gives zero kilograms, the flag, and the loss rounded
    up.
    """
    with localcontext(EXACT):
        net = front.net_reduction_tco2e
        if net < 0:
            loss = (-net * KG_PER_T).to_integral_value(rounding=ROUND_CEILING)
            return Issuable(0, True, int(loss))
        part = net - front.risk_withheld_tco2e if mode is RiskMode.DEDUCT else net
        return Issuable(int((part * KG_PER_T).to_integral_value(rounding=ROUND_FLOOR)), False, 0)


@dataclass(frozen=True, slots=True)
class Reversal:
    """Who stands in for lost carbon, and what the two buffers hold afterwards; tCO2e."""

    cancel_project_buffer_tco2e: Decimal
    cancel_pooled_buffer_tco2e: Decimal
    developer_liability_tco2e: Decimal
    project_buffer_after_tco2e: Decimal
    pooled_buffer_after_tco2e: Decimal


def reversal(
    *,
    loss_tco2e: Number,
    project_buffer_tco2e: Number,
    pooled_buffer_tco2e: Number,
    intentional: bool,
) -> Reversal:
    """Share out a loss of already issued carbon: the project's buffer, then the pool, then the developer
    (E-B1).

    An intentional loss leaves the buffers alone. All arguments are at least zero, or `OutOfRange`.
    """
    loss = _not_negative("loss_tco2e", loss_tco2e)
    own = _not_negative("project_buffer_tco2e", project_buffer_tco2e)
    pool = _not_negative("pooled_buffer_tco2e", pooled_buffer_tco2e)
    with localcontext(EXACT):
        from_own = Decimal(0) if intentional else min(loss, own)
        from_pool = Decimal(0) if intentional else min(loss - from_own, pool)
        return Reversal(from_own, from_pool, loss - from_own - from_pool, own - from_own, pool - from_pool)


class Plausibility(StrEnum):
    """What the rate of removal asks for (R-17)."""

    ORDINARY = "ordinary"
    SECOND_VERIFIER = "second_verifier"


def plausibility(
    *, net_tco2e: Number, area_ha: float, years: float, parameters: ParameterSet
) -> Plausibility:
    """Gate R-17 on the mean net removal per hectare and year.

    Above the first bound a second verifier is needed; above the second `ImplausibleRemoval` is raised, which
    catches numbers per mu that were taken for numbers per hectare.
    """
    net = _quantity("net_tco2e", net_tco2e)
    for field, value in (("area_ha", area_ha), ("years", years)):
        if _not_negative(field, value) == 0:
            raise OutOfRange(field=field, value=0.0, rule="> 0")
    rate = float(net) / area_ha / years
    refuse_above = parameters.setting("refuse_above_tco2e_ha_year")
    if rate > refuse_above:
        raise ImplausibleRemoval(rate_tco2e_ha_year=rate, limit_tco2e_ha_year=refuse_above)
    above = parameters.setting("second_verifier_above_tco2e_ha_year")
    return Plausibility.SECOND_VERIFIER if rate > above else Plausibility.ORDINARY
