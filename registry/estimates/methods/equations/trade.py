"""Trade: E-T0 to E-T4."""

from typing import Annotated, Final

from registry.estimates.methods import trade
from registry.estimates.methods.equations.declare import Equation
from registry.estimates.methods.quantities import (
    Days,
    Gas,
    Many,
    Money,
    Mu,
    Price,
    Quantity,
    Share,
    Years,
    not_negative,
    positive,
)
from registry.estimates.methods.trade import (
    IndexPayout,
    OptionOutcome,
    PledgeValue,
    Settlement,
    Shortfall,
)

Contracted = Annotated[float, positive("tCO2e")]
InterestRate = Annotated[float, Quantity("1/year", low=0, high=10)]
PerMu = Annotated[float, not_negative("tCO2e/mu/year")]


def _option(
    *,
    contracted_tco2e: Contracted,
    premium_cny_t: Price,
    strike_cny_t: Price,
    spot_cny_t: Price,
    deliverable_tco2e: Gas,
    elect_exercise: bool,
) -> OptionOutcome:
    return trade.option_outcome(
        contracted_tco2e=contracted_tco2e,
        premium_cny_t=premium_cny_t,
        strike_cny_t=strike_cny_t,
        spot_cny_t=spot_cny_t,
        deliverable_tco2e=deliverable_tco2e,
        elect_exercise=elect_exercise,
    )


def _settlement(
    *,
    quantity_tco2e: Gas,
    price_cny: Price,
    vat_rate: Share,
    surcharge_rate: Share,
    insurance_rate: Share,
    platform_fee_rate: Share,
    village_share: Share,
    advance_paid_cny: Money,
    parcel_credits_tco2e: Annotated[list[Gas], Many(1, 10_000)],
) -> Settlement:
    return trade.settlement(
        quantity_tco2e=quantity_tco2e,
        price_cny=price_cny,
        vat_rate=vat_rate,
        surcharge_rate=surcharge_rate,
        insurance_rate=insurance_rate,
        platform_fee_rate=platform_fee_rate,
        village_share=village_share,
        advance_paid_cny=advance_paid_cny,
        parcel_credits_tco2e=parcel_credits_tco2e,
    )


def _shortfall(
    *,
    contracted_tco2e: Contracted,
    issued_tco2e: Gas,
    pool_available_tco2e: Gas,
    make_good_cap: Share,
    prepaid_unit_cny: Price,
    interest_rate: InterestRate,
    days: Days,
) -> Shortfall:
    return trade.shortfall(
        contracted_tco2e=contracted_tco2e,
        issued_tco2e=issued_tco2e,
        pool_available_tco2e=pool_available_tco2e,
        make_good_cap=make_good_cap,
        prepaid_unit_cny=prepaid_unit_cny,
        interest_rate=interest_rate,
        days=days,
    )


def _index(*, loss_tco2e: Gas, trigger_tco2e: Gas, exit_tco2e: Gas, limit_cny: Money) -> IndexPayout:
    return trade.index_payout(
        loss_tco2e=loss_tco2e, trigger_tco2e=trigger_tco2e, exit_tco2e=exit_tco2e, limit_cny=limit_cny
    )


def _pledge(
    *,
    area_mu: Mu,
    annual_tco2e_per_mu: PerMu,
    years: Years,
    price_cny: Price,
    volume_haircut: Share,
    ltv: Share,
) -> PledgeValue:
    return trade.pledge_value(
        area_mu=area_mu,
        annual_tco2e_per_mu=annual_tco2e_per_mu,
        years=years,
        price_cny=price_cny,
        volume_haircut=volume_haircut,
        ltv=ltv,
    )


_TRADE: Final = ("trade",)

EQUATIONS: Final = (
    Equation(
        "E-T0",
        "碳汇期权行权",
        "Option at its end",
        "premium = contracted premium_per_t; exercised: payment = deliverable strike",
        "clause 6.5; exercise is the buyer's own act",
        (_option,),
    ),
    Equation(
        "E-T1",
        "结算与收益分配",
        "Settlement and its split",
        "gross = quantity price; less VAT, surcharge, insurance and fee; village's share, by parcel",
        "clause 6.6; each line to the fen, halves up; largest remainder, ties to the lower index",
        (_settlement,),
        _TRADE,
    ),
    Equation(
        "E-T2",
        "交付不足",
        "Shortfall of a delivery",
        "make good = min(need, pool, cap contracted); refund = shortfall price (1 + rate days/365)",
        "clause 6.7",
        (_shortfall,),
    ),
    Equation(
        "E-T3",
        "碳汇指数保险",
        "Index insurance",
        "payout = limit clamp((loss - trigger)/(exit - trigger), 0, 1)",
        "clause 6.8",
        (_index,),
    ),
    Equation(
        "E-T4",
        "质押估值",
        "Value of a pledge",
        "expected = mu rate years; loan = expected (1 - haircut) price LTV",
        "clause 6.8",
        (_pledge,),
        _TRADE,
    ),
)
