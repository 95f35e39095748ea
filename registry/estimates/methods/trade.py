"""Contracts in money and units: E-T0 option, E-T1 settlement, E-T2 shortfall, E-T3 index cover, E-T4 pledge.

Quantities and rates are taken as the decimals they spell and computed as fractions; every named money line is
rounded to the fen once, halves away from zero, and the next line starts from the rounded one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from registry.apportion import largest_remainder
from registry.estimates.methods.checks import not_negative, positive, share
from registry.estimates.methods.errors import OutOfRange
from registry.estimates.methods.money import fraction, in_fen, of_fen, rounded

DAYS_PER_YEAR: Final = 365


@dataclass(frozen=True, slots=True)
class OptionOutcome:
    """E-T0 at the end of an option; `buyer_gain_cny` is for information."""

    premium_cny: Decimal
    exercise_payment_cny: Decimal
    seller_gross_cny: Decimal
    units_to_buyer_tco2e: float
    units_released_tco2e: float
    buyer_gain_cny: Decimal


def option_outcome(
    *,
    contracted_tco2e: float,
    premium_cny_t: float,
    strike_cny_t: float,
    spot_cny_t: float,
    deliverable_tco2e: float,
    elect_exercise: bool,
) -> OptionOutcome:
    """What an option comes to when its buyer elects to exercise it, or lets it go (E-T0)."""
    not_negative(contracted_tco2e=contracted_tco2e, deliverable_tco2e=deliverable_tco2e)
    if deliverable_tco2e > contracted_tco2e:
        raise OutOfRange(field="deliverable_tco2e", value=deliverable_tco2e, rule=f"<= {contracted_tco2e:g}")
    units = fraction(deliverable_tco2e) if elect_exercise else Fraction(0)
    premium = in_fen(fraction(contracted_tco2e) * fraction(premium_cny_t))
    payment = in_fen(units * fraction(strike_cny_t))
    gain = in_fen(units * (fraction(spot_cny_t) - fraction(strike_cny_t)) - Fraction(premium, 100))
    return OptionOutcome(
        of_fen(premium),
        of_fen(payment),
        of_fen(premium + payment),
        float(units),
        float(fraction(deliverable_tco2e) - units),
        of_fen(gain),
    )


@dataclass(frozen=True, slots=True)
class Settlement:
    """E-T1, line by line; the parcels' sums add up to the village's exactly."""

    gross_cny: Decimal
    vat_cny: Decimal
    surcharge_cny: Decimal
    insurance_cny: Decimal
    platform_fee_cny: Decimal
    distributable_cny: Decimal
    village_total_cny: Decimal
    operator_cny: Decimal
    advance_recovered_cny: Decimal
    village_cash_now_cny: Decimal
    parcel_allocation_cny: tuple[Decimal, ...]


def settlement(
    *,
    quantity_tco2e: float,
    price_cny: float,
    vat_rate: float,
    surcharge_rate: float,
    insurance_rate: float,
    platform_fee_rate: float,
    village_share: float,
    advance_paid_cny: float,
    parcel_credits_tco2e: Sequence[float],
) -> Settlement:
    """A sale's payment to taxes, insurance, fee, village and operator, and to parcels by credits (E-T1).

    The price includes the VAT; the surcharge is on the VAT. Raises `OutOfRange` where the lines take more
    than the payment, or no parcel has a credit.
    """
    share(vat_rate=vat_rate, surcharge_rate=surcharge_rate, insurance_rate=insurance_rate)
    share(platform_fee_rate=platform_fee_rate, village_share=village_share)
    gross = in_fen(fraction(quantity_tco2e) * fraction(price_cny))
    vat = in_fen(Fraction(gross, 100) * fraction(vat_rate) / (1 + fraction(vat_rate)))
    surcharge, insurance, fee = (
        in_fen(Fraction(base, 100) * fraction(rate))
        for base, rate in ((vat, surcharge_rate), (gross, insurance_rate), (gross, platform_fee_rate))
    )
    distributable = gross - vat - surcharge - insurance - fee
    if distributable < 0:
        raise OutOfRange(field="distributable_cny", value=distributable / 100, rule=">= 0")
    village = in_fen(Fraction(distributable, 100) * fraction(village_share))
    recovered = min(in_fen(fraction(advance_paid_cny)), village)
    parcels = largest_remainder(village, _weights(parcel_credits_tco2e))
    return Settlement(
        gross_cny=of_fen(gross),
        vat_cny=of_fen(vat),
        surcharge_cny=of_fen(surcharge),
        insurance_cny=of_fen(insurance),
        platform_fee_cny=of_fen(fee),
        distributable_cny=of_fen(distributable),
        village_total_cny=of_fen(village),
        operator_cny=of_fen(distributable - village),
        advance_recovered_cny=of_fen(recovered),
        village_cash_now_cny=of_fen(village - recovered),
        parcel_allocation_cny=tuple(of_fen(fen) for fen in parcels),
    )


def _weights(credits_tco2e: Sequence[float]) -> list[int]:
    """Whole numbers in the proportion of the credits."""
    not_negative(**{f"parcel_credits_tco2e[{i}]": one for i, one in enumerate(credits_tco2e)})
    if not any(credits_tco2e):
        raise OutOfRange(field="parcel_credits_tco2e", value=0, rule="> 0")
    weights = [fraction(one) for one in credits_tco2e]
    common = math.lcm(*(weight.denominator for weight in weights))
    return [int(weight * common) for weight in weights]


@dataclass(frozen=True, slots=True)
class Shortfall:
    """E-T2: what a seller delivers of what it contracted, and what it pays back."""

    delivered_own_tco2e: float
    make_good_tco2e: float
    delivered_total_tco2e: float
    shortfall_tco2e: float
    surplus_tco2e: float
    refund_principal_cny: Decimal
    refund_interest_cny: Decimal
    refund_total_cny: Decimal
    delivery_ratio: float


def shortfall(
    *,
    contracted_tco2e: float,
    issued_tco2e: float,
    pool_available_tco2e: float,
    make_good_cap: float,
    prepaid_unit_cny: float,
    interest_rate: float,
    days: float,
) -> Shortfall:
    """Own units first, then the reserve company's pool up to a cap, then money with interest (E-T2)."""
    positive(contracted_tco2e=contracted_tco2e)
    not_negative(issued_tco2e=issued_tco2e, pool_available_tco2e=pool_available_tco2e)
    share(make_good_cap=make_good_cap)
    contracted, issued = fraction(contracted_tco2e), fraction(issued_tco2e)
    own = min(contracted, issued)
    pool = min(contracted - own, fraction(pool_available_tco2e), fraction(make_good_cap) * contracted)
    missing = contracted - own - pool
    principal = in_fen(missing * fraction(prepaid_unit_cny))
    interest = in_fen(Fraction(principal, 100) * fraction(interest_rate) * fraction(days) / DAYS_PER_YEAR)
    return Shortfall(
        float(own),
        float(pool),
        float(own + pool),
        float(missing),
        float(max(Fraction(0), issued - contracted)),
        of_fen(principal),
        of_fen(interest),
        of_fen(principal + interest),
        float((own + pool) / contracted),
    )


@dataclass(frozen=True, slots=True)
class IndexPayout:
    """E-T3: the share of the limit that is paid, and the sum."""

    payout_ratio: float
    payout_cny: Decimal


def index_payout(
    *, loss_tco2e: float, trigger_tco2e: float, exit_tco2e: float, limit_cny: float
) -> IndexPayout:
    """Nothing up to the trigger, everything from the exit, in proportion between (E-T3)."""
    not_negative(loss_tco2e=loss_tco2e, trigger_tco2e=trigger_tco2e, limit_cny=limit_cny)
    if exit_tco2e <= trigger_tco2e:
        raise OutOfRange(field="exit_tco2e", value=exit_tco2e, rule=f"> {trigger_tco2e:g}")
    trigger = fraction(trigger_tco2e)
    ratio = (fraction(loss_tco2e) - trigger) / (fraction(exit_tco2e) - trigger)
    ratio = min(max(ratio, Fraction(0)), Fraction(1))
    return IndexPayout(float(ratio), rounded(fraction(limit_cny) * ratio))


@dataclass(frozen=True, slots=True)
class PledgeValue:
    """E-T4: what is expected of the land, its value, and the most a bank lends on it."""

    expected_tco2e: float
    appraised_value_cny: Decimal
    max_loan_cny: Decimal


def pledge_value(
    *,
    area_mu: float,
    annual_tco2e_per_mu: float,
    years: float,
    price_cny: float,
    volume_haircut: float,
    ltv: float,
) -> PledgeValue:
    """The appraisal of a pledge of coming removals, less a haircut for volume, times loan to value (E-T4)."""
    not_negative(area_mu=area_mu, annual_tco2e_per_mu=annual_tco2e_per_mu, years=years, price_cny=price_cny)
    share(volume_haircut=volume_haircut, ltv=ltv)
    expected = fraction(area_mu) * fraction(annual_tco2e_per_mu) * fraction(years)
    price = fraction(price_cny)
    loan = expected * (1 - fraction(volume_haircut)) * price * fraction(ltv)
    return PledgeValue(float(expected), rounded(expected * price), rounded(loan))
