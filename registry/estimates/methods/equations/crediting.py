"""From change to units: E-C1, E-B1, R-17."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from registry.estimates.methods import crediting
from registry.estimates.methods.crediting import CreditingChain, Reversal, RiskMode
from registry.estimates.methods.equations.declare import Equation
from registry.estimates.methods.equations.statistics import deduction_rule
from registry.estimates.methods.parameters import default_parameters
from registry.estimates.methods.quantities import Gas, GasChange, Hectares, Percent, Quantity, Share, Years

Unit = Annotated[float, Quantity("tCO2e", above=0, high=1000)]


def _chain(
    *,
    delta_project_tco2e: GasChange,
    uncertainty_pct: Percent,
    delta_baseline_tco2e: GasChange,
    project_emissions_tco2e: Gas,
    leakage_tco2e: Gas,
    k_risk: Share,
    risk_mode: Literal["deduct", "buffer"],
    carry_in_tco2e: GasChange,
    unit_tco2e: Unit,
    rule: str = "ar_cm",
) -> CreditingChain:
    return crediting.crediting_chain(
        delta_project_tco2e=delta_project_tco2e,
        uncertainty_pct=uncertainty_pct,
        delta_baseline_tco2e=delta_baseline_tco2e,
        project_emissions_tco2e=project_emissions_tco2e,
        leakage_tco2e=leakage_tco2e,
        k_risk=k_risk,
        risk_mode=RiskMode(risk_mode),
        carry_in_tco2e=carry_in_tco2e,
        unit_tco2e=unit_tco2e,
        rule=deduction_rule(rule),
    )


def _reversal(
    *, loss_tco2e: Gas, project_buffer_tco2e: Gas, pooled_buffer_tco2e: Gas, intentional: bool
) -> Reversal:
    return crediting.reversal(
        loss_tco2e=loss_tco2e,
        project_buffer_tco2e=project_buffer_tco2e,
        pooled_buffer_tco2e=pooled_buffer_tco2e,
        intentional=intentional,
    )


@dataclass(frozen=True, slots=True)
class RateJudged:
    """The rate of removal, and what it asks for."""

    rate_tco2e_ha_year: float
    status: str


def _rate(*, net_tco2e: GasChange, area_ha: Hectares, years: Years) -> RateJudged:
    judged = crediting.plausibility(
        net_tco2e=net_tco2e, area_ha=area_ha, years=years, parameters=default_parameters()
    )
    return RateJudged(net_tco2e / area_ha / years, judged.value)


EQUATIONS: Final = (
    Equation(
        "E-C1",
        "计入链",
        "From measured change to units",
        "DR; net = dP (1 -+ DR) - dB - PE - LK; less withheld; plus carry; floor to the unit",
        "clause 2.11; D5",
        (_chain,),
        ("deduction_rules",),
    ),
    Equation(
        "E-B1",
        "逆转的承担",
        "Who covers a reversal",
        "intentional: the developer; else project buffer, pooled buffer, the developer",
        "clause 2.11",
        (_reversal,),
    ),
    Equation(
        "R-17",
        "合理性门槛",
        "Gate on the rate of removal",
        "net / area / years: above 12 tCO2e/ha/year a second verifier, above 30 refused",
        "clause 1.4",
        (_rate,),
        ("estimation_rules",),
    ),
)
