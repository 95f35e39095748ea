"""The registry states in the log what its books hold, and whoever replays the log comes to the same."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.bulk import Bulk
from ledger.effects import Effect, Limit, OpenAccount, OpenBlock, Pend, Posting
from ledger.entry import parse_payload
from ledger.envelope import decode_leaf, encode_leaf
from ledger.log import LedgerTransaction, leaves
from ledger.replay import LedgerState, ReplayRefusal
from ledger.rows import books_rows
from ledger.state import state_of
from ledger.units import UnitRange
from registry.clock import SimulatedClock
from registry.installation import Installation
from registry.machine import Role
from registry.settings import Home
from registry.transparency.audit import audit
from tests.registry.people import People

NOON = datetime(2025, 3, 3, 4, tzinfo=UTC)


@pytest.fixture
def people(tmp_path: Path, database_url: str) -> Iterator[People]:
    """A registry that states its books after ten entries."""
    home = Home.at(tmp_path / "home", database_url)
    installation = Installation.create(home, "tanhui.test/log", simulated_at=NOON, state_every=10)
    yield People(installation)
    installation.close()


def entries(people: People) -> list[Any]:
    with people.installation.database.read() as session:
        return [decode_leaf(leaf)[1] for leaf in leaves(session, 0, 10**6)]


def states(people: People) -> list[tuple[int, dict[str, Any]]]:
    payloads = [parse_payload(envelope.payload) for envelope in entries(people)]
    return [(index, payload.facts) for index, payload in enumerate(payloads) if payload.type == "state"]


def advance(people: People, **delta: float) -> None:
    clock = people.installation.clock
    assert isinstance(clock, SimulatedClock)
    clock.advance(clock.now() + timedelta(**delta))


def test_the_books_are_stated_after_so_many_entries(people: People) -> None:
    for n in range(25):
        people.organisation(Role.ENTERPRISE, f"firm {n}")
    found = states(people)
    assert [index for index, _ in found] == [11, 22]
    assert [facts["size"] for _, facts in found] == [11, 22]
    assert [facts["accounts"] for _, facts in found] == [11, 21]  # the bank's and one for each firm
    assert audit(people.installation.home).findings == []


def test_the_books_are_stated_when_the_day_in_china_has_changed(people: People) -> None:
    people.organisation(Role.ENTERPRISE, "firm 1")
    advance(people, hours=11)  # 23:00 in China
    people.organisation(Role.ENTERPRISE, "firm 2")
    assert states(people) == []
    advance(people, hours=2)  # the next day there, the same day in UTC
    assert states(people) == []  # nothing is logged because of the time alone
    people.organisation(Role.ENTERPRISE, "firm 3")
    people.organisation(Role.ENTERPRISE, "firm 4")
    assert [index for index, _ in states(people)] == [4]


def test_a_refused_act_brings_no_statement(people: People) -> None:
    advance(people, days=1)
    with pytest.raises(Exception, match="cannot be given"):
        people.organisation(Role.ROOT, "root")
    assert states(people) == []


def test_a_restarted_registry_goes_on_counting(people: People) -> None:
    for n in range(8):
        people.organisation(Role.ENTERPRISE, f"firm {n}")
    home = people.installation.home
    people.installation.close()
    again = People(Installation.open(home, state_every=10))
    for n in range(4):
        again.organisation(Role.ENTERPRISE, f"other firm {n}")
    assert [index for index, _ in states(again)] == [11]
    again.installation.close()


def test_the_digest_of_the_rows_is_that_of_a_replay(people: People) -> None:
    """Blocks and reservations too, with names whose order differs from one database's own."""
    with people.installation.database.write() as session:
        ledger = LedgerTransaction(session)
        state = LedgerState()
        for leaf in leaves(session, 0, ledger.size):
            state.apply(leaf)
        effects: list[Effect] = [
            OpenAccount("issuance", "CO2E:P", Limit.NONE, True, "registry"),
            *(OpenAccount(name, "CO2E:P", Limit.FLOOR, True, "o") for name in ("a:Z", "A:z", "a-1", 'q"\\')),
            *(
                OpenBlock(f"{name}{n}", f"P{name}", "batch", UnitRange(10 * n + 1, 10 * n + 10), "CO2E:P",
                          "a:Z", "issuance")
                for name in ("b", "B", "_") for n in range(700)
            ),
            Pend("p", (Posting("a:Z", "CO2E:P", -10), Posting("A:z", "CO2E:P", 10)), ("b0",), "pledge", "r"),
        ]  # fmt: skip
        state.books.apply(effects, 0)
        bulk = Bulk(session.connection())
        for name, rows in books_rows(state.books).items():
            bulk.upsert(tables.metadata.tables[name], rows)
        stated = ledger.state_facts()
        assert stated == state_of(state.books, ledger.size)
        assert (stated["accounts"], stated["blocks"], stated["pendings"]) == (6, 2100, 1)
        session.rollback()


def test_the_layout_of_the_digest_is_the_documented_one(people: People) -> None:
    people.organisation(Role.ENTERPRISE, "firm 1")
    with people.installation.database.read() as session:
        rows = session.execute(sa.select(tables.account).order_by(tables.account.c.account)).mappings()
        accounts = [
            {
                "account": row["account"], "asset": row["asset"], "limit": row["limit_kind"],
                "numbered": row["numbered"], "owner": row["owner"],
                "debits_posted": row["debits_posted"], "credits_posted": row["credits_posted"],
                "debits_pending": row["debits_pending"], "credits_pending": row["credits_pending"],
            }
            for row in rows
        ]  # fmt: skip
    content = {"accounts": accounts, "blocks": [], "pendings": []}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    for n in range(9):
        people.organisation(Role.ENTERPRISE, f"firm {n}")
    state = LedgerState()
    for envelope in entries(people)[:2]:
        state.apply(encode_leaf(10**13, envelope))
    assert state_of(state.books, 2) == {
        "size": 2, "accounts": 2, "blocks": 0, "pendings": 0,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }  # fmt: skip


@pytest.mark.parametrize("fact", ["size", "accounts", "blocks", "pendings", "sha256"])
def test_replay_refuses_another_state(people: People, fact: str) -> None:
    for n in range(11):
        people.organisation(Role.ENTERPRISE, f"firm {n}")
    with people.installation.database.read() as session:
        told = list(leaves(session, 0, 10**6))
    state = LedgerState()
    for leaf in told[:11]:
        state.apply(leaf)
    at_ms, envelope = decode_leaf(told[11])
    payload = parse_payload(envelope.payload)
    before: Any = payload.facts[fact]
    payload.facts[fact] = "0" * 64 if fact == "sha256" else before + 1
    with pytest.raises(ReplayRefusal):
        state.follow(at_ms, envelope, payload, [s.keyid for s in envelope.signatures])
