"""Two books, written apart, judge the same effects: the ledger's, which the registry writes by, and the
auditor's. They refuse the same entries and hold the same after those they accept.
"""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from auditor.books import Books as AuditedBooks
from auditor.digest import state_facts
from auditor.effects import Contradiction, read_effects
from ledger.books import Books
from ledger.effects import (
    Child,
    Effect,
    Expire,
    Limit,
    MergeBlocks,
    Move,
    OpenAccount,
    OpenBlock,
    Pend,
    Post,
    Posting,
    SplitBlock,
    Transfer,
    Void,
)
from ledger.errors import LedgerRefusal
from ledger.state import state_of
from ledger.units import UnitRange

UNITS, FEN = "CO2E:P", "CNY-fen"
OPENED = [
    OpenAccount("issuance", UNITS, Limit.NONE, True, "registry"),
    OpenAccount("village", UNITS, Limit.FLOOR, True, "village"),
    OpenAccount("firm", UNITS, Limit.FLOOR, True, "firm"),
    OpenAccount("clearing", UNITS, Limit.FLOOR, True, "registry"),
    OpenAccount("retired", UNITS, Limit.SINK, True, "registry"),
    OpenAccount("bank", FEN, Limit.NONE, False, "registry"),
    OpenAccount("purse", FEN, Limit.FLOOR, False, "village"),
    OpenAccount("till", FEN, Limit.FLOOR, False, "firm"),
]
HOLDERS = ("village", "firm", "clearing", "retired", "issuance", "nobody")
PURSES = ("bank", "purse", "till", "firm", "nobody")


class Two:
    """The same entries for both. What one takes and the other refuses is the failure looked for."""

    def __init__(self) -> None:
        self.ledger, self.audited, self.size, self.names = Books(), AuditedBooks(), 0, 0
        self.at_ms = 1000
        assert self.apply(*OPENED)

    def apply(self, *effects: Effect) -> bool:
        kept = (dict(self.ledger.accounts), dict(self.ledger.blocks), dict(self.ledger.reservations))
        series, before = dict(self.ledger.series), deepcopy(self.audited)
        taken = self._ledger_takes(effects)
        assert self._auditor_takes(effects) == taken, effects
        if not taken:
            self.ledger = Books(accounts=kept[0], blocks=kept[1], reservations=kept[2], series=series)
            self.audited = before
        self.size += 1
        assert state_of(self.ledger, self.size) == {"size": self.size, **state_facts(self.audited)}
        return taken

    def _ledger_takes(self, effects: tuple[Effect, ...]) -> bool:
        try:
            self.ledger.apply(effects, self.at_ms)
        except LedgerRefusal:
            return False
        return True

    def _auditor_takes(self, effects: tuple[Effect, ...]) -> bool:
        try:
            self.audited.apply(read_effects([effect.to_json() for effect in effects])[0], self.at_ms)
        except (Contradiction, LedgerRefusal):
            return False
        return True

    # -- what a forger or a hurried service might ask for

    def name(self) -> str:
        self.names += 1
        return f"name {self.names}"

    def some_name(self, data: DataObject) -> str:
        """Mostly a new name, sometimes one that was used before."""
        if self.names and data.draw(st.integers(0, 9)) == 0:
            return f"name {data.draw(st.integers(1, self.names))}"
        return self.name()

    def block(self, data: DataObject) -> str:
        known = sorted(self.ledger.blocks)
        live = [name for name in known if self.ledger.blocks[name].live]
        pick = live if live and data.draw(st.sampled_from([True] * 9 + [False])) else known
        return str(data.draw(st.sampled_from(pick or ["none"])))

    def count(self, block: str) -> int:
        return self.ledger.blocks[block].units.count if block in self.ledger.blocks else 1

    def holder(self, block: str) -> str:
        return self.ledger.blocks[block].account if block in self.ledger.blocks else "village"


def issue(two: Two, data: DataObject) -> list[Effect]:
    start = two.ledger.last_number("S") + data.draw(st.sampled_from([1, 1, 1, 1, 0, 2]))
    units = UnitRange(max(1, start), max(1, start) + data.draw(st.integers(0, 9)))
    account = data.draw(st.sampled_from(["village", "village", "firm", "issuance", "purse"]))
    source = data.draw(st.sampled_from(["issuance", "issuance", "issuance", "firm"]))
    return [OpenBlock(two.some_name(data), "S", "B", units, UNITS, account, source)]


def split(two: Two, data: DataObject) -> list[Effect]:
    block = two.block(data)
    units = two.ledger.blocks[block].units if block in two.ledger.blocks else UnitRange(1, 4)
    cut = data.draw(st.integers(units.start, max(units.start, units.end)))
    wrong = data.draw(st.sampled_from([0, 0, 0, 1]))
    parts = [UnitRange(units.start, max(units.start, cut - 1 + wrong)), UnitRange(cut, max(cut, units.end))]
    return [SplitBlock(block, tuple(Child(two.some_name(data), part) for part in parts))]


def merge(two: Two, data: DataObject) -> list[Effect]:
    live = sorted(
        (held for held in two.ledger.blocks.values() if held.live), key=lambda held: held.units.start
    )
    if len(live) < 2 or data.draw(st.integers(0, 4)) == 0:
        return [MergeBlocks(two.some_name(data), (two.block(data), two.block(data)))]
    at = data.draw(st.integers(0, len(live) - 2))
    names = [held.block for held in live[at : at + data.draw(st.integers(2, 3))]]
    return [MergeBlocks(two.some_name(data), tuple(data.draw(st.permutations(names))))]


def move(two: Two, data: DataObject) -> list[Effect]:
    block, to = two.block(data), data.draw(st.sampled_from(HOLDERS))
    count = two.count(block) + data.draw(st.sampled_from([0, 0, 0, 0, 1]))
    lines = (Posting(two.holder(block), UNITS, -count), Posting(to, UNITS, count))
    return [Transfer("t", lines, (Move(block, to),))]


def pay(two: Two, data: DataObject) -> list[Effect]:
    payer, payee = data.draw(st.sampled_from(PURSES)), data.draw(st.sampled_from(PURSES))
    fen, more = data.draw(st.integers(-20, 60)), data.draw(st.sampled_from([0, 0, 0, 0, 1]))
    lines = (Posting(payer, FEN, -fen), Posting(payee, FEN, fen + more))
    return [Transfer("t", lines * data.draw(st.sampled_from([1, 1, 1, 33])))]


def deliver(two: Two, data: DataObject) -> list[Effect]:
    """Units against money in one transfer."""
    (units,), (money,) = move(two, data), pay(two, data)
    assert isinstance(units, Transfer)
    assert isinstance(money, Transfer)
    return [Transfer("t", units.postings + money.postings, units.moves)]


def pend(two: Two, data: DataObject) -> list[Effect]:
    deadline = data.draw(st.sampled_from([None, 900, 1500, 2500]))
    if data.draw(st.booleans()):
        fen = data.draw(st.integers(0, 40))
        reserved = (Posting("purse", FEN, -fen), Posting("till", FEN, fen))
        return [Pend(two.some_name(data), reserved, (), "order", "r", deadline)]
    blocks = tuple({two.block(data) for _ in range(data.draw(st.integers(1, 2)))})
    taken = [Posting(two.holder(block), UNITS, -two.count(block)) for block in blocks]
    lines = (*taken, Posting("clearing", UNITS, sum(map(two.count, blocks))))
    return [Pend(two.some_name(data), lines, blocks, "option", "r", deadline)]


def resolve(two: Two, data: DataObject) -> list[Effect]:
    name = data.draw(st.sampled_from(sorted(two.ledger.reservations) or ["none"]))
    how = data.draw(st.sampled_from(["void", "expire", "post", "post"]))
    if how != "post":
        return [Void(name) if how == "void" else Expire(name)]
    held = two.ledger.reservations.get(name)
    if held is None:
        return [Post(name, (Posting("purse", FEN, -1), Posting("till", FEN, 1)))]
    blocks = held.blocks if data.draw(st.booleans()) else held.blocks[:1]
    if not blocks:
        part = data.draw(st.integers(1, 50))
        return [Post(name, (Posting("purse", FEN, -part), Posting("till", FEN, part)))]
    to = data.draw(st.sampled_from(["firm", "retired", "clearing"]))
    lines = tuple(Posting(two.holder(block), UNITS, -two.count(block)) for block in blocks)
    total = (Posting(to, UNITS, sum(map(two.count, blocks))),)
    return [Post(name, lines + total, tuple(Move(block, to) for block in blocks))]


ASKED = [issue, issue, split, merge, move, move, pay, pay, deliver, pend, pend, resolve, resolve]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_two_books_agree_on_whatever_is_asked_of_them(data: DataObject) -> None:
    two = Two()
    two.apply(OpenBlock(two.name(), "S", "B", UnitRange(1, 12), UNITS, "village", "issuance"))
    two.apply(Transfer("t", (Posting("bank", FEN, -100), Posting("purse", FEN, 100))))
    for _ in range(data.draw(st.integers(5, 25))):
        two.at_ms += data.draw(st.sampled_from([0, 0, 100, 600]))
        effects: list[Any] = []
        for _ in range(data.draw(st.sampled_from([1, 1, 2]))):
            effects += data.draw(st.sampled_from(ASKED))(two, data)
        two.apply(*effects)


def test_what_is_asked_is_taken_often_enough_to_mean_something() -> None:
    """A guard for the test above: each kind of effect is accepted in a plain story."""
    two = Two()
    assert two.apply(OpenBlock("b", "S", "B", UnitRange(1, 10), UNITS, "village", "issuance"))
    assert two.apply(SplitBlock("b", (Child("c", UnitRange(1, 4)), Child("d", UnitRange(5, 10)))))
    lines = (Posting("village", UNITS, -4), Posting("clearing", UNITS, 4))
    assert two.apply(Pend("p", lines, ("c",), "option", "r", 2000))
    assert not two.apply(Expire("p"))
    at_firm = (Posting("village", UNITS, -4), Posting("firm", UNITS, 4))
    assert two.apply(Post("p", at_firm, (Move("c", "firm"),)))
    assert not two.apply(Void("p"))
    back = (Posting("firm", UNITS, -4), Posting("village", UNITS, 4))
    assert two.apply(Transfer("t", back, (Move("c", "village"),)))
    assert two.apply(MergeBlocks("e", ("d", "c")))
    assert two.apply(
        Pend(
            "q", (Posting("village", UNITS, -10), Posting("clearing", UNITS, 10)), ("e",), "option", "r", 1500
        )
    )
    two.at_ms = 1500
    assert not two.apply(
        Post("q", (Posting("village", UNITS, -10), Posting("firm", UNITS, 10)), (Move("e", "firm"),))
    )
    assert two.apply(Expire("q"))
    assert two.apply(
        Transfer(
            "t", (Posting("village", UNITS, -10), Posting("retired", UNITS, 10)), (Move("e", "retired"),)
        )
    )
    assert not two.apply(SplitBlock("e", (Child("f", UnitRange(1, 4)), Child("g", UnitRange(5, 10)))))


@pytest.mark.parametrize("name", ["b", "c", "d"])
def test_a_name_is_used_once_even_when_its_block_is_gone(name: str) -> None:
    two = Two()
    two.apply(OpenBlock("b", "S", "B", UnitRange(1, 10), UNITS, "village", "issuance"))
    two.apply(SplitBlock("b", (Child("c", UnitRange(1, 4)), Child("d", UnitRange(5, 10)))))
    two.apply(MergeBlocks("e", ("c", "d")))
    assert not two.apply(OpenBlock(name, "S", "B", UnitRange(11, 12), UNITS, "village", "issuance"))
