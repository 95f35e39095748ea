"""Money of the trade equations: to the fen, and the same as the market's own settlement."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.estimates.methods import calculate
from registry.estimates.methods.errors import OutOfRange
from registry.estimates.methods.money import in_fen, yuan
from registry.market.proceeds import Rates, Share, recover_advance, split_payment
from tests.registry.estimates.sheets import PUBLISHED

MILLION = 1_000_000
LINES = {
    "gross_cny": "gross_fen",
    "vat_cny": "vat_fen",
    "surcharge_cny": "surcharge_fen",
    "insurance_cny": "insurance_fen",
    "platform_fee_cny": "fee_fen",
    "distributable_cny": "distributable_fen",
    "village_total_cny": "village_fen",
    "operator_cny": "operator_fen",
}


def fen(text: object) -> int:
    assert isinstance(text, str)
    whole, _, cents = text.partition(".")
    assert len(cents) == 2, text
    return int(whole + cents)


def settled_by_the_market(given: dict[str, Any]) -> tuple[dict[str, int], list[int]]:
    """The market's own settlement of what E-T1 is asked, in fen."""
    rates = [
        round(given[name] * MILLION)
        for name in ("vat_rate", "surcharge_rate", "insurance_rate", "platform_fee_rate", "village_share")
    ]
    shares = [Share(n, "village", weight) for n, weight in enumerate(given["parcel_credits_tco2e"], 1)]
    gross = int(Decimal(str(given["quantity_tco2e"])) * Decimal(str(given["price_cny"])) * 100)
    split = split_payment(gross, Rates(*rates), shares)
    recovered, now = recover_advance(round(given["advance_paid_cny"] * 100), split.village_fen)
    lines = {name: getattr(split, own) for name, own in LINES.items()}
    return lines | {"advance_recovered_cny": recovered, "village_cash_now_cny": now}, list(split.parcels_fen)


def assert_both_settle_alike(given: dict[str, Any]) -> None:
    outputs = calculate("E-T1", given)
    parcels = outputs.pop("parcel_allocation_cny")
    assert isinstance(parcels, list)
    lines, allocated = settled_by_the_market(given)
    assert {name: fen(text) for name, text in outputs.items()} == lines
    assert [fen(text) for text in parcels] == allocated


def test_the_market_settles_the_published_sale_as_the_equation_does() -> None:
    (vector,) = (one for one in PUBLISHED if one["inputs"]["equation"] == "E-T1")
    assert_both_settle_alike({key: value for key, value in vector["inputs"].items() if key != "equation"})


ppm = st.integers(0, 250_000).map(lambda n: n / MILLION)


@given(
    st.fixed_dictionaries(
        {
            "quantity_tco2e": st.integers(0, 1_000_000),
            "price_cny": st.integers(0, 100_000).map(lambda n: n / 100),
            "vat_rate": ppm,
            "surcharge_rate": ppm,
            "insurance_rate": ppm,
            "platform_fee_rate": ppm,
            "village_share": st.integers(0, MILLION).map(lambda n: n / MILLION),
            "advance_paid_cny": st.integers(0, 10**9).map(lambda n: n / 100),
            "parcel_credits_tco2e": st.lists(st.integers(1, 10**6), min_size=1, max_size=12),
        }
    )
)
def test_the_market_settles_every_sale_as_the_equation_does(given: dict[str, Any]) -> None:
    assert_both_settle_alike(given)


def test_halves_go_up_away_from_zero_and_text_has_two_decimals() -> None:
    assert [in_fen(Fraction(n, 1000)) for n in (4, 5, 15, -5, -4)] == [0, 1, 2, -1, 0]
    assert [yuan(Decimal(n).scaleb(-2)) for n in (0, 5, -1200000)] == ["0.00", "0.05", "-12000.00"]
    gain = calculate(
        "E-T0",
        {
            "contracted_tco2e": 1,
            "premium_cny_t": 0.005,
            "strike_cny_t": 1,
            "spot_cny_t": 1,
            "deliverable_tco2e": 1,
            "elect_exercise": True,
        },
    )
    assert (gain["premium_cny"], gain["buyer_gain_cny"]) == ("0.01", "-0.01")


SALE = {
    "quantity_tco2e": 100,
    "price_cny": 60,
    "vat_rate": 0.06,
    "surcharge_rate": 0.12,
    "insurance_rate": 0.03,
    "platform_fee_rate": 0.02,
    "village_share": 1,
    "advance_paid_cny": 0,
    "parcel_credits_tco2e": [1, 2],
}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"insurance_rate": 1, "platform_fee_rate": 1}, "distributable_cny"),
        ({"parcel_credits_tco2e": [0, 0]}, "parcel_credits_tco2e"),
        ({"parcel_credits_tco2e": []}, "parcel_credits_tco2e"),
        ({"parcel_credits_tco2e": [1, -1]}, "parcel_credits_tco2e[1]"),
        ({"vat_rate": 6}, "vat_rate"),
    ],
)
def test_a_sale_that_cannot_be_settled_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(OutOfRange) as refused:
        calculate("E-T1", SALE | change)
    assert refused.value.facts["field"] == field


def test_a_cover_whose_exit_is_its_trigger_is_refused() -> None:
    cover = {"loss_tco2e": 500, "trigger_tco2e": 400, "exit_tco2e": 400, "limit_cny": 1}
    with pytest.raises(OutOfRange) as refused:
        calculate("E-T3", cover)
    assert refused.value.facts["field"] == "exit_tco2e"
    with pytest.raises(OutOfRange):
        calculate(
            "E-T0",
            {
                "contracted_tco2e": 10,
                "premium_cny_t": 1,
                "strike_cny_t": 1,
                "spot_cny_t": 1,
                "deliverable_tco2e": 11,
                "elect_exercise": True,
            },
        )


def test_credits_of_parcels_may_be_fractions_and_ties_go_to_the_lower_number() -> None:
    parcels = calculate("E-T1", SALE | {"parcel_credits_tco2e": [0.1, 0.1, 0.1]})["parcel_allocation_cny"]
    assert isinstance(parcels, list)
    amounts = [fen(text) for text in parcels]
    assert amounts == sorted(amounts, reverse=True) and max(amounts) - min(amounts) <= 1


@given(st.floats(0, 2000), st.floats(0, 2000), st.floats(0, 500), st.floats(0, 1))
def test_what_was_contracted_is_delivered_made_good_or_paid_back(
    contracted: float, issued: float, pool: float, cap: float
) -> None:
    out: Any = calculate(
        "E-T2",
        {
            "contracted_tco2e": contracted + 1,
            "issued_tco2e": issued,
            "pool_available_tco2e": pool,
            "make_good_cap": cap,
            "prepaid_unit_cny": 45,
            "interest_rate": 0.031,
            "days": 200,
        },
    )
    whole = out["delivered_own_tco2e"] + out["make_good_tco2e"] + out["shortfall_tco2e"]
    assert whole == pytest.approx(contracted + 1)
    assert out["make_good_tco2e"] <= min(pool, cap * (contracted + 1)) + 1e-9
    total = fen(out["refund_principal_cny"]) + fen(out["refund_interest_cny"])
    assert fen(out["refund_total_cny"]) == total
