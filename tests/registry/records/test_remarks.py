"""Entries are never changed: they are remarked on, or corrected by entries that name them."""

import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.books import InsufficientBalance
from ledger.entry import parse_payload
from ledger.envelope import decode_leaf
from ledger.log import leaves, ledger_source
from ledger.merkle import leaf_hash
from registry.accounts.models import Deposit
from registry.accounts.service import NotFound, RecordDeposit, ReverseDeposit
from registry.installation import Installation
from registry.machine import Mandate, NotAuthorised, Role, TransitionRefused
from registry.records.models import Annotation
from registry.records.rules import EntryUnknown
from registry.records.service import AnnotateEntry
from registry.transparency.audit import audit
from tests.registry.people import People


def leaf(people: People, index: int) -> bytes:
    with people.installation.database.read() as session:
        (found,) = leaves(session, index, index + 1)
        return found


def test_the_registry_remarks_on_an_entry_which_stays_as_it_is(people: People) -> None:
    registrar = people.member(Role.REGISTRY_ADMIN, "registry")
    before = leaf(people, 1)
    for reason in ("clerical", "context"):
        command = AnnotateEntry.model_validate({"index": 1, "reason": reason, "text": "名称写错一字"})
        (index,) = people.do(registrar, "entry.annotate", command).entries
    assert leaf(people, 1) == before
    said = parse_payload(decode_leaf(leaf(people, index))[1].payload)
    assert (said.type, said.subject, said.before, said.after) == ("annotation", "1", "logged", "logged")
    assert said.facts == {"index": 1, "leaf": leaf_hash(before).hex()}
    with people.installation.database.read() as session:
        row = session.get_one(Annotation, index)
        assert (row.annotated_index, row.reason_code, row.text) == (1, "context", "名称写错一字")
    assert audit(people.installation.home).findings == []


def test_nobody_remarks_on_what_is_not_there_or_without_being_of_the_registry(people: People) -> None:
    registrar = people.member(Role.REGISTRY_ADMIN, "registry")
    with pytest.raises(EntryUnknown):
        people.do(registrar, "entry.annotate", AnnotateEntry(index=10**6, reason="clerical"))
    with pytest.raises(NotAuthorised):
        people.do(
            people.member(Role.BANK, "bank"), "entry.annotate", AnnotateEntry(index=1, reason="clerical")
        )


def deposited(people: People, bank: Mandate) -> tuple[str, str, int]:
    """The firm, the deposit, and the entry that recorded it."""
    firm = people.organisation(Role.ENTERPRISE, "firm")
    command = RecordDeposit(organisation=firm, amount_fen=500, reference="L-1")
    outcome = people.do(bank, "deposit.record", command)
    return firm, str(outcome.answer["deposit"]), outcome.entries[0]


def cash(people: People, organisation: str) -> int:
    with people.installation.database.read() as session:
        found = ledger_source(session).account(f"cash:{organisation}")
        assert found is not None
        return found.balance


def test_the_bank_takes_back_a_deposit_by_an_entry_that_names_it(people: People) -> None:
    bank = people.member(Role.BANK, "bank")
    firm, deposit, recorded = deposited(people, bank)
    command = ReverseDeposit(deposit=deposit, reason="wrong_account")
    (index,) = people.do(bank, "deposit.reverse", command).entries
    said = parse_payload(decode_leaf(leaf(people, index))[1].payload)
    assert (said.type, said.action, said.after) == ("correct", "reverse", "reversed")
    assert said.facts["corrects"] == {
        "index": recorded,
        "leaf": leaf_hash(leaf(people, recorded)).hex(),
    }
    assert cash(people, firm) == 0
    with people.installation.database.read() as session:
        assert session.get_one(Deposit, deposit).status == "reversed"
    with pytest.raises(TransitionRefused):
        people.do(bank, "deposit.reverse", command)
    assert audit(people.installation.home).findings == []


def test_only_the_bank_that_recorded_it_takes_a_deposit_back(people: People) -> None:
    bank = people.member(Role.BANK, "bank")
    firm, deposit, _ = deposited(people, bank)
    command = ReverseDeposit(deposit=deposit, reason="clerical")
    with pytest.raises(NotFound):
        people.do(people.member(Role.BANK, "another bank"), "deposit.reverse", command)
    with pytest.raises(NotFound):
        people.do(bank, "deposit.reverse", ReverseDeposit(deposit="none", reason="clerical"))
    assert cash(people, firm) == 500


def test_money_that_is_spent_or_reserved_is_not_taken_back(people: People) -> None:
    """The floor holds, also against the bank."""
    bank = people.member(Role.BANK, "bank")
    firm, deposit, _ = deposited(people, bank)
    with people.installation.database.write() as session:
        account = tables.account.c
        session.execute(
            sa.update(tables.account).where(account.account == f"cash:{firm}").values(debits_pending=1)
        )
    people.installation.close()
    again = Installation.open(people.installation.home)
    with pytest.raises(InsufficientBalance):
        People(again).do(bank, "deposit.reverse", ReverseDeposit(deposit=deposit, reason="clerical"))
    again.close()
