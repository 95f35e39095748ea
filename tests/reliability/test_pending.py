"""Post, void and expire race for one reservation from two writers: one resolves it, nothing stays pending."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import log, tables
from ledger.effects import Effect, Expire, Limit, OpenAccount, Pend, Post, Posting, Transfer, Void
from ledger.errors import LedgerRefusal
from ledger.holdings import PendingResolved
from ledger.log import LedgerTransaction
from ledger.note import NoteSigner
from ledger.replay import LedgerState
from registry.database import Database
from registry.writer import Writer
from tests.ledger.test_replay import CLERK, GENESIS, ROOT, adds, leaf, payload
from tests.reliability.figures import Figures

SIGNER = NoteSigner("test.log", ROOT)
FEN = "CNY-fen"
PAID_IN, RESERVED, DEADLINE_MS = 100, 60, 50_000
COPIES = 3
"""So often each writer is asked for each resolution."""


@dataclass(slots=True)
class Desk:
    """One database, two writers on it, and a reservation of 60 fen for the payee."""

    database: Database
    writers: tuple[Writer, Writer]
    entries: int = 3

    def send(self, n: int, effect: Effect, at_ms: int) -> "Future[str]":
        """Ask one writer or the other for an entry with this effect."""
        self.entries += 1
        signed = leaf(payload(self.entries, effects=(effect,)), CLERK, at_ms=at_ms)

        def work(_session: Session, ledger: LedgerTransaction) -> str:
            ledger.append(signed)
            return type(effect).__name__

        return self.writers[n % 2].submit(work)

    def account(self, name: str) -> tuple[int, int, int, int]:
        """Debits and credits posted, debits and credits pending."""
        column = tables.account.c
        counters = (
            column.debits_posted, column.credits_posted, column.debits_pending, column.credits_pending,
        )  # fmt: skip
        with self.database.read() as session:
            one, two, three, four = session.execute(sa.select(*counters).where(column.account == name)).one()
        return one, two, three, four

    def replayed(self) -> LedgerState:
        state = LedgerState()
        with self.database.read() as session:
            for entry in log.leaves(session, 0, 10_000):
                state.apply(entry)
        return state


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    database = Database(database_url)
    with database.write() as session:
        log.create(session, "test.log")
    effects = (
        OpenAccount("bank", FEN, Limit.NONE, False, "registry"),
        *(OpenAccount(name, FEN, Limit.FLOOR, False, name) for name in ("payer", "payee")),
        Transfer("paid in", between("bank", "payer", PAID_IN)),
        Pend("reserved", between("payer", "payee", RESERVED), (), "order", "ref", DEADLINE_MS),
    )
    with database.write() as session:
        ledger = LedgerTransaction(session)
        for entry in (leaf(GENESIS, ROOT), leaf(adds(1, CLERK), ROOT)):
            ledger.append(entry)
        ledger.append(leaf(payload(2, effects=effects), CLERK))
        ledger.seal(SIGNER)
    one, two = (Writer(database, lambda _keys: [SIGNER], lambda: None) for _ in range(2))
    yield Desk(database, (one, two))
    one.close()
    two.close()
    database.dispose()


def between(debit: str, credit: str, amount: int) -> tuple[Posting, ...]:
    return Posting(debit, FEN, -amount), Posting(credit, FEN, amount)


def post(amount: int) -> Post:
    return Post("reserved", between("payer", "payee", amount))


def race(desk: Desk, effects: list[Effect], at_ms: int) -> tuple[list[str], Counter[str]]:
    """Everybody at once; who won, and why the others did not."""
    sent: list[Future[Any]] = [desk.send(n, effect, at_ms) for n in range(2 * COPIES) for effect in effects]
    wait(sent, 60)
    refused = [future.exception(0) for future in sent]
    assert all(refusal is None or isinstance(refusal, LedgerRefusal) for refusal in refused)
    won = [future.result() for future in sent if future.exception(0) is None]
    return won, Counter(type(refusal).__name__ for refusal in refused if refusal is not None)


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize(
    ("at_ms", "possible"),
    [
        (DEADLINE_MS - 1, {"Post", "Void"}),
        (DEADLINE_MS, {"Void", "Expire"}),
        (DEADLINE_MS + 1, {"Void", "Expire"}),
    ],
    ids=["before the deadline", "at the deadline", "after the deadline"],
)
def test_of_post_void_and_expire_one_resolves(
    desk: Desk, figures: Figures, at_ms: int, possible: set[str], first: int
) -> None:
    effects: list[Effect] = [post(RESERVED), Void("reserved"), Expire("reserved")]
    won, refused = race(desk, effects[first:] + effects[:first], at_ms)
    figures.tell("post void expire", asked=6 * COPIES, resolved=len(won), **refused)
    assert len(won) == 1 and won[0] in possible
    moved = RESERVED if won == ["Post"] else 0
    assert desk.account("payer") == (moved, PAID_IN, 0, 0)
    assert desk.account("payee") == (0, moved, 0, 0)
    held = desk.replayed().books.reservations["reserved"]
    assert held.status == {"Post": "posted", "Void": "voided", "Expire": "expired"}[won[0]]


def test_of_many_partial_posts_one_moves_its_part_and_the_rest_is_free(desk: Desk) -> None:
    won, refused = race(desk, [post(amount) for amount in (25, 30, 35)], DEADLINE_MS - 1)
    assert len(won) == 1
    assert set(refused) == {PendingResolved.__name__}
    moved = desk.account("payee")[1]
    assert moved in (25, 30, 35)
    assert desk.account("payer") == (moved, PAID_IN, 0, 0)


def test_a_post_at_the_deadline_or_later_moves_nothing_and_the_reservation_stays(desk: Desk) -> None:
    for late in (DEADLINE_MS, DEADLINE_MS + 3_600_000):
        won, _ = race(desk, [post(RESERVED), post(1)], late)
        assert won == []
    assert desk.account("payer") == (0, PAID_IN, RESERVED, 0)
    assert desk.account("payee") == (0, 0, 0, RESERVED)


def test_more_than_was_reserved_is_not_posted(desk: Desk) -> None:
    won, _ = race(desk, [post(RESERVED + 1)], DEADLINE_MS - 1)
    assert won == []
    assert desk.account("payer") == (0, PAID_IN, RESERVED, 0)
