"""Options, judged from the entries alone: I10 and the money of I11."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.findings import Report
from auditor.history import ToldOption
from auditor.promises import covered_units
from auditor.splits import receipts
from ledger.effects import Effect, Move, OpenBlock, Pend, Post, Posting, Transfer, Transition
from registry.accounts.rules import BANK_ACCOUNT, MONEY, cash_account
from registry.market.proceeds import Proceeds, Rates, Share, split_payment
from registry.programmes.rules import clearing_account, units_account
from tests.registry.transparency.telling import (
    OWN,
    PROGRAMME,
    UNITS,
    VILLAGES,
    Telling,
    approval,
    failed,
    making,
)

KG = {1: 40_205, 2: 30_118, 3: 17_089}  # 87 units, 9 withheld, so 39 may be promised
FIRM = units_account("firm", PROGRAMME)
DEPOSITED = {"organisation": "firm", "amount_fen": 10**9, "reference": "r"}


@pytest.fixture
def telling() -> Telling:
    return told()


def told(units: int = 20, status: str = "accepted", election: str = "standing") -> Telling:
    """A firm with cash and one option of the vintage 2023."""
    telling = Telling()
    telling.verified(KG)
    telling.history.options["option"] = ToldOption(
        project="project",
        vintage=2023,
        seller="operator",
        buyer="firm",
        units=units,
        premium_fen=800,
        strike_fen=5500,
        window_to="2026-01-31",
        status=status,
        election=election,
        accepted_index=5,
    )
    report = telling.see("deposit", "record", "deposit", DEPOSITED, [paid({"firm": 10**9}, BANK_ACCOUNT)])
    assert report.findings == []
    return telling


def paid(received: dict[str, int], payer: str) -> Transfer:
    """Money to organisations' cash accounts."""
    return transfer({cash_account(name): fen for name, fen in received.items()}, payer)


def transfer(received: dict[str, int], payer: str) -> Transfer:
    due = [Posting(account, MONEY, fen) for account, fen in received.items() if fen]
    return Transfer("payment", (Posting(payer, MONEY, -sum(p.amount for p in due)), *due))


def split(telling: Telling, fen: int, weights: tuple[int, int, int] | None = None) -> Proceeds:
    terms = telling.history.programmes[PROGRAMME]
    rates = Rates(terms.vat_ppm, terms.surcharge_ppm, terms.insurance_ppm, terms.fee_ppm, terms.village_ppm)
    weighed = weights or tuple(telling.history.areas_cm2[f"parcel {n}", 1] for n in (1, 2, 3))
    shares = [Share(n, village, weighed[n - 1]) for n, village in enumerate(VILLAGES, start=1)]
    return split_payment(fen, rates, shares)


def activate(telling: Telling, proceeds: Proceeds, /, **changed: Any) -> Report:
    facts = {"promised_units": 20, "cover_units": 39, "proceeds": proceeds.facts()} | changed
    effects = [transfer(receipts(proceeds, "operator"), cash_account("firm"))]
    return telling.see("option", "activate", "option", facts, effects, by="firm")


# ---- promised ----------------------------------------------------------------------------------------------


def test_an_activation_within_the_cover_passes(telling: Telling) -> None:
    report = activate(telling, split(telling, 20 * 800))
    assert report.findings == []
    assert min(report.made["I10"], report.made["I11"], report.made["I9"]) > 0


def test_every_running_promise_counts(telling: Telling) -> None:
    other = telling.history.options["option"]
    telling.history.options["other"] = replace(other, units=25, status="active", delivered=5)
    assert failed(activate(telling, split(telling, 20 * 800), promised_units=40)) == {"I10"}
    telling.history.options["other"] = replace(other, units=25, status="delivered")
    telling.history.options["option"].status = "accepted"
    assert failed(activate(telling, split(telling, 20 * 800))) == set()


def test_an_issued_period_covers_nothing_more(telling: Telling) -> None:
    assert covered_units(telling.history, "project", 2023) == 39
    assert covered_units(telling.history, "project", 2024) == 0
    telling.history.periods["period"].status = "issued"
    assert covered_units(telling.history, "project", 2023) == 0


def test_somebody_elses_activation_is_found(telling: Telling) -> None:
    telling.history.options["option"].buyer = "lower"
    assert "I9" in failed(activate(telling, split(telling, 20 * 800)))


# ---- delivered ---------------------------------------------------------------------------------------------


def delivery(
    telling: Telling, units: int, *, action: str = "deliver", aside: bool = False
) -> tuple[dict[str, Any], list[Effect]]:
    """An issuance that delivers to the option, or sets the units aside."""
    plan = telling.plan()
    credited = tuple(plan.parcel_units[n] for n in (1, 2, 3))
    proceeds = split(telling, units * 5500, (credited[0], credited[1], credited[2]))
    name = "aside" if aside else ""
    line: dict[str, Any] = {
        "option": "option",
        "vintage": 2023,
        "units": units,
        "pending": name,
        "proceeds": {} if aside else proceeds.facts(),
    }
    effects: list[Effect] = [Transition("option", "option", action, "active", "next")]
    for effect in making(plan):
        if isinstance(effect, OpenBlock) and effect.account == OWN:
            own, given = effect.units.split(effect.units.end - units)
            effects.append(replace(effect, units=own))
            effects.append(replace(effect, block="given", units=given, account=OWN if aside else FIRM))
        else:
            effects.append(effect)
    if aside:
        postings = (Posting(OWN, UNITS, -units), Posting(clearing_account(PROGRAMME), UNITS, units))
        effects.append(Pend("aside", postings, ("given",), "option", "option"))
    else:
        effects.append(transfer(receipts(proceeds, "operator"), cash_account("firm")))
    return approval(plan, deliveries=[line]), effects


@given(st.integers(1, 77))
def test_a_whole_delivery_passes_whatever_its_size(units: int) -> None:
    telling = told(units, "active")
    facts, effects = delivery(telling, units)
    report = telling.see("issuance", "approve", "issuance", facts, effects)
    assert report.findings == []
    assert telling.history.options["option"].delivered == units


def test_more_than_was_contracted_is_found() -> None:
    telling = told(20, "active")
    facts, effects = delivery(telling, 21)
    assert failed(telling.see("issuance", "approve", "issuance", facts, effects)) == {"I10"}


def test_less_than_the_share_is_found() -> None:
    telling = told(20, "active")
    facts, effects = delivery(telling, 19, action="deliver_part")
    assert failed(telling.see("issuance", "approve", "issuance", facts, effects)) == {"I10"}


def test_a_delivery_that_nothing_states_is_found() -> None:
    telling = told(20, "active")
    facts, effects = delivery(telling, 20)
    report = telling.see("issuance", "approve", "issuance", facts | {"deliveries": []}, effects)
    assert {"I10", "I11"} <= failed(report)


def test_a_delivery_outside_an_issuance_is_found() -> None:
    telling = told(20, "active")
    step = Transition("option", "option", "deliver", "active", "delivered")
    assert "I10" in failed(telling.see("parcel", "return", "parcel 1", {}, [step]))


def set_aside() -> Telling:
    telling = told(20, "active", "elected")
    facts, effects = delivery(telling, 20, action="set_aside", aside=True)
    assert telling.see("issuance", "approve", "issuance", facts, effects).findings == []
    return telling


def take(telling: Telling, units: int, action: str = "take") -> Report:
    credited = telling.history.credited["project"]
    proceeds = split(telling, units * 5500, (credited[1], credited[2], credited[3]))
    postings = (Posting(OWN, UNITS, -20), Posting(FIRM, UNITS, 20))
    effects: list[Effect] = [
        Post("aside", postings, (Move("given", FIRM),)),
        transfer(receipts(proceeds, "operator"), cash_account("firm")),
    ]
    facts = {"units": units, "proceeds": proceeds.facts()}
    return telling.see("option", action, "option", facts, effects, by="firm")


def test_units_set_aside_are_taken_whole() -> None:
    assert take(set_aside(), 20).findings == []
    assert failed(take(set_aside(), 19)) == {"I10", "I11"}
    assert failed(take(set_aside(), 20, "take_part")) == {"I10"}


def test_a_contract_closed_short_pays_back_what_it_owes() -> None:
    telling = told(20, "partially_delivered")
    telling.history.options["option"].delivered = 15
    deposit = {"organisation": "operator", "amount_fen": 10_000, "reference": "r"}
    telling.see("deposit", "record", "d2", deposit, [paid({"operator": 10_000}, BANK_ACCOUNT)])

    def close(missing: int, fen: int) -> set[str]:
        telling.history.options["option"].status = "partially_delivered"
        effects = [paid({"firm": fen}, cash_account("operator"))]
        return failed(telling.see("option", "close_short", "option", {"missing_units": missing}, effects))

    assert close(5, 5 * 800) == set()
    assert close(4, 4 * 800) == {"I10", "I11"}


# ---- money -------------------------------------------------------------------------------------------------


@given(st.integers(0, 3), st.integers(0, 3), st.integers(1, 5))
def test_no_fen_goes_anywhere_else(one: int, other: int, fen: int) -> None:
    """Whatever line a fen is taken from and given to, the audit says so."""
    telling = told()
    proceeds = split(telling, 20 * 800)
    received = receipts(proceeds, "operator")
    accounts = [
        "reserve:tax:operator",
        "reserve:insurance:operator",
        cash_account("upper"),
        cash_account("lower"),
    ]
    received[accounts[one]] -= fen
    received[accounts[other]] += fen
    facts = {"promised_units": 20, "cover_units": 39, "proceeds": proceeds.facts()}
    effects = [transfer(received, cash_account("firm"))]
    report = telling.see("option", "activate", "option", facts, effects, by="firm")
    assert failed(report) == (set() if one == other else {"I11"})


@pytest.mark.parametrize(
    "line", ["gross_fen", "vat_fen", "surcharge_fen", "insurance_fen", "fee_fen", "operator_fen"]
)
def test_each_stated_line_is_computed_again(telling: Telling, line: str) -> None:
    proceeds = split(telling, 20 * 800)
    stated = proceeds.facts()
    assert isinstance(stated[line], int)
    changed = stated | {line: stated[line] + 1}  # type: ignore[operator]
    assert failed(activate(telling, proceeds, proceeds=changed)) == {"I11"}


def test_a_deposit_is_what_the_bank_says(telling: Telling) -> None:
    stated = {"organisation": "firm", "amount_fen": 700, "reference": "r"}
    effects = [paid({"firm": 701}, BANK_ACCOUNT)]
    assert failed(telling.see("deposit", "record", "d2", stated, effects)) == {"I11"}
