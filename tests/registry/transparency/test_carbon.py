"""Issuances and statements, judged from the entries alone: I5, I6, I7 and the verifier's part of I9."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ledger.effects import Move, OpenBlock, Posting, Transfer
from ledger.units import UnitRange
from registry.issuance.plan import IssuancePlan
from registry.programmes.rules import issuance_account, residue_account, residue_source, units_account
from tests.registry.transparency.telling import (
    BUFFER,
    OWN,
    PROGRAMME,
    RESIDUE,
    UNITS,
    Telling,
    approval,
    failed,
    making,
)

KG = {1: 40_205, 2: 30_118, 3: 17_089}
kilograms = st.dictionaries(st.sampled_from([1, 2, 3]), st.integers(0, 300_000), min_size=1)


@pytest.fixture
def telling() -> Telling:
    telling = Telling()
    telling.verified(KG)
    return telling


def issue(telling: Telling, plan: IssuancePlan, **changed: Any) -> set[str]:
    report = telling.see("issuance", "approve", "issuance", approval(plan, **changed), making(plan))
    return failed(report)


# ---- honest issuances --------------------------------------------------------------------------------------


@given(kilograms, st.integers(1, 1800), st.integers(0, 700))
def test_every_issuance_by_the_rule_passes(kg: dict[int, int], days: int, start: int) -> None:
    telling, from_on = Telling(), date(2021, 1, 1) + timedelta(days=start)
    telling.verified(kg, from_on, from_on + timedelta(days=days))
    plan = telling.plan()
    report = telling.see("issuance", "approve", "issuance", approval(plan), making(plan))
    assert report.findings == []
    assert all(report.made.get(check, 0) > 0 for check in ("I5", "I6", "I7", "I9"))


@given(kilograms, kilograms)
def test_a_second_period_goes_on_where_the_first_one_ended(one: dict[int, int], two: dict[int, int]) -> None:
    telling = Telling()
    telling.verified(one)
    plan = telling.plan()
    assert issue(telling, plan) == set()
    told = telling.history
    told.issued.clear()  # the same names again, so that one helper serves both periods
    told.issued_statements.clear()
    telling.verified(two, date(2024, 1, 1), date(2025, 1, 1))
    again = telling.plan()
    assert again.residue_before_kg == plan.residue_after_kg
    report = telling.see("issuance", "approve", "issuance", approval(again), making(again))
    assert report.findings == []


# ---- I5 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "figure", ["verified_kg", "units", "unit_kg", "residue_before_kg", "residue_after_kg"]
)
def test_each_figure_of_the_equation_is_checked(telling: Telling, figure: str) -> None:
    plan = telling.plan()
    assert "I5" in issue(telling, plan, **{figure: plan.facts()[figure] + 1})  # type: ignore[operator]


def test_more_than_was_verified_is_not_issued_even_if_it_adds_up(telling: Telling) -> None:
    honest = telling.history.statements["statement"]
    telling.history.statements["statement"] = replace(
        honest, verified_kg=honest.verified_kg + 5_000, parcels=KG | {1: KG[1] + 5_000}
    )
    plan = telling.plan()  # of a statement that nobody signed
    telling.history.statements["statement"] = honest
    assert {"I5", "I7"} <= issue(telling, plan)


def test_the_residue_of_the_books_is_the_stated_one(telling: Telling) -> None:
    plan = telling.plan()
    report = telling.see(
        "issuance", "approve", "issuance", approval(plan), making(plan, residue_change_kg=11)
    )
    assert failed(report) == {"I5"}


def test_a_period_is_issued_once(telling: Telling) -> None:
    telling.history.issued["project", "period", "forest-biomass"] = "an earlier issuance"
    assert issue(telling, telling.plan()) == {"I5"}


def test_an_issuance_without_a_statement_is_found(telling: Telling) -> None:
    telling.history.statements.clear()
    plan_source = Telling()
    plan_source.verified(KG)
    assert issue(telling, plan_source.plan()) == {"I5"}


def test_units_out_of_nowhere_are_found(telling: Telling) -> None:
    source = issuance_account(PROGRAMME)
    opened = OpenBlock("free", "project", "issuance.2023", UnitRange(1, 5), UNITS, OWN, source)
    assert failed(telling.see("parcel", "return", "parcel 1", {}, [opened])) == {"I5"}


def test_a_residue_that_changes_by_itself_is_found(telling: Telling) -> None:
    postings = (
        Posting(residue_source(PROGRAMME), RESIDUE, -5),
        Posting(residue_account("project"), RESIDUE, 5),
    )
    assert failed(telling.see("parcel", "return", "parcel 1", {}, [Transfer("t", postings)])) == {"I5"}


def test_facts_of_another_shape_are_a_finding_and_no_crash(telling: Telling) -> None:
    report = telling.see("issuance", "approve", "issuance", {"statement": "statement", "project": 5})
    assert {"I5", "L3"} <= failed(report)


# ---- I6 ----------------------------------------------------------------------------------------------------


def test_a_buffer_below_the_share_is_found(telling: Telling) -> None:
    terms = telling.history.programmes[PROGRAMME]
    telling.history.programmes[PROGRAMME] = replace(terms, buffer_ppm=50_000)
    plan = telling.plan()
    telling.history.programmes[PROGRAMME] = terms
    assert "I6" in issue(telling, plan)


def test_a_buffer_in_the_owners_account_is_found(telling: Telling) -> None:
    plan = telling.plan()
    effects = [
        replace(effect, account=OWN) if isinstance(effect, OpenBlock) else effect for effect in making(plan)
    ]
    report = telling.see("issuance", "approve", "issuance", approval(plan), effects)
    assert {"I6", "I7"} <= failed(report)


def test_units_that_leave_the_buffer_for_a_holder_are_found(telling: Telling) -> None:
    plan = telling.plan()
    assert issue(telling, plan) == set()
    postings = (Posting(BUFFER, UNITS, -plan.buffer_units), Posting(OWN, UNITS, plan.buffer_units))
    taken = Transfer("t", postings, (Move("issuance.2023.kept", OWN),))
    assert failed(telling.see("parcel", "return", "parcel 1", {}, [taken])) == {"I6", "I8"}


# ---- I7 ----------------------------------------------------------------------------------------------------


def moved_home(plan: IssuancePlan, units: int = 1) -> list[dict[str, Any]]:
    """The plan's batches with units of the first parcel made the second's."""
    batches: list[dict[str, Any]] = [batch.to_json() for batch in plan.batches]
    one, two, *rest = batches[0]["homes"]
    batches[0]["homes"] = [one - units, two + units, *rest]
    return batches


def test_a_unit_made_another_parcels_is_found(telling: Telling) -> None:
    plan = telling.plan()
    assert issue(telling, plan, batches=moved_home(plan)) == {"I7"}


@given(kilograms, st.data())
def test_no_unit_changes_its_parcel_unseen(kg: dict[int, int], data: st.DataObject) -> None:
    telling = Telling()
    telling.verified({1: 0, 2: 0} | kg)
    plan = telling.plan()
    assume(plan.batches and plan.batches[0].homes[0] > 0)
    units = data.draw(st.integers(1, plan.batches[0].homes[0]))
    assert issue(telling, plan, batches=moved_home(plan, units)) == {"I7"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("number", 2), ("vintage", 2024), ("homes", [1, 2, 3]), ("buffer_homes", [9]), ("buffer", 3)],
)
def test_each_part_of_a_batch_is_checked(telling: Telling, name: str, value: object) -> None:
    plan = telling.plan()
    batches: list[dict[str, Any]] = [batch.to_json() for batch in plan.batches]
    batches[0][name] = value
    assert "I7" in issue(telling, plan, batches=batches)


def test_blocks_that_are_not_the_batchs_units_are_found(telling: Telling) -> None:
    plan = telling.plan()
    effects = [
        replace(effect, batch="issuance.2022") if isinstance(effect, OpenBlock) else effect
        for effect in making(plan)
    ]
    report = telling.see("issuance", "approve", "issuance", approval(plan), effects)
    assert failed(report) == {"I7"}


# ---- who verified, who moved -------------------------------------------------------------------------------


STATED = {
    "period": "period", "run": "run", "verifier": "verifier", "second_verifier": None,
    "verified_kg": sum(KG.values()), "deduction_kg": 0, "parcels": [[n, kg] for n, kg in KG.items()],
}  # fmt: skip


def test_an_independent_verifiers_statement_passes(telling: Telling) -> None:
    assert failed(telling.see("statement", "sign", "statement 2", STATED, by="verifier")) == set()


@pytest.mark.parametrize("by", ["operator", "upper", "lower"])
def test_a_party_that_verifies_its_own_project_is_found(telling: Telling, by: str) -> None:
    report = telling.see("statement", "sign", "statement 2", STATED | {"verifier": by}, by=by)
    assert failed(report) == {"I9"}


def test_a_verifier_who_also_works_for_a_village_is_found(telling: Telling) -> None:
    held = telling.history.mandates["m-verifier"]
    telling.history.mandates["m-second"] = replace(held, organisation="upper")
    report = telling.see("statement", "sign", "statement 2", STATED, by="verifier")
    assert failed(report) == {"I9"}
    telling.history.mandates["m-second"] = replace(held, organisation="upper", running=False)
    assert failed(telling.see("statement", "sign", "statement 3", STATED, by="verifier")) == set()


@pytest.mark.parametrize(
    ("machine", "action", "subject"), [("parcel", "accept", "parcel 1"), ("project", "validate", "project")]
)
def test_a_reviewer_with_a_stake_is_found(telling: Telling, machine: str, action: str, subject: str) -> None:
    facts = {"version": 1}
    assert failed(telling.see(machine, action, subject, facts, by="verifier")) == set()
    assert failed(telling.see(machine, action, subject, facts, by="upper")) == {"I9"}
    assert failed(telling.see(machine, action, subject, facts, by="operator")) == {"I9"}


def test_an_issuance_proposed_by_its_verifier_is_found(telling: Telling) -> None:
    telling.history.proposals["issuance"] = "verifier"
    assert issue(telling, telling.plan()) == {"I9"}


def test_shares_that_do_not_add_up_are_found(telling: Telling) -> None:
    report = telling.see("statement", "sign", "s2", STATED | {"verified_kg": 90_000}, by="verifier")
    assert failed(report) == {"I5"}


def test_units_that_move_without_a_sale_are_found(telling: Telling) -> None:
    plan = telling.plan()
    assert issue(telling, plan) == set()
    firm, count = units_account("firm", PROGRAMME), plan.units - plan.buffer_units
    postings = (Posting(OWN, UNITS, -count), Posting(firm, UNITS, count))
    given_away = Transfer("t", postings, (Move("issuance.2023.own", firm),))
    assert failed(telling.see("parcel", "return", "parcel 1", {}, [given_away])) == {"I8"}
