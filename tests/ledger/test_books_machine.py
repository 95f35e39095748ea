"""The books against a model that keeps every unit and every fen by itself, whatever is done in any order.

The model knows nothing of ranges and counters: a unit has a holder and perhaps a lock, a purse has money.
After each step both hold the same, and what must never break is looked at in the books alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger.books import Block, Books, EmptySource
from ledger.effects import (
    Child,
    Effect,
    Expire,
    Limit,
    Lock,
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

HOLDERS = ("grower", "buyer", "buffer")
PURSES = ("cash:grower", "cash:buyer")
SINK = "retired"


def between(debit: str, credit: str, amount: int, asset: str) -> tuple[Posting, ...]:
    return Posting(debit, asset, -amount), Posting(credit, asset, amount)


NTH = st.integers(0, 60)
"""Which one of what there is."""


class Reserved:
    """A reservation as the model keeps it: units, or an amount of money."""

    def __init__(self, giver: str, taker: str, units: frozenset[int], fen: int, deadline: int | None) -> None:
        self.giver, self.taker = giver, taker
        self.units, self.fen = units, fen
        self.deadline = deadline


class BooksAgainstUnits(RuleBasedStateMachine):
    """Every rule tells the books, expects what the model expects, and tells the model what was done."""

    def __init__(self) -> None:
        super().__init__()
        self.books = Books()
        self.now = 0
        self.names = 0
        self.holder: dict[int, str] = {}
        self.batch: dict[int, str] = {}
        self.lock: dict[int, str] = {}
        self.money: dict[str, int] = dict.fromkeys(PURSES, 0)
        self.open: dict[str, Reserved] = {}

    @initialize()
    def begin(self) -> None:
        """Three blocks and some money, so that there is something to do from the first step on."""
        opened: list[Effect] = [OpenAccount("issuance", "units", Limit.NONE, True, "o")]
        opened += [OpenAccount(name, "units", Limit.FLOOR, True, "o") for name in HOLDERS]
        opened += [OpenAccount(SINK, "units", Limit.SINK, True, "o")]
        opened += [OpenAccount("bank", "money", Limit.NONE, False, "o")]
        opened += [OpenAccount(name, "money", Limit.FLOOR, False, "o") for name in PURSES]
        assert self.told(opened)
        for holder in HOLDERS:
            self.issue(6, holder, True)
        for purse in PURSES:
            self.deposit(50, purse)

    # -- helpers

    def name(self) -> str:
        self.names += 1
        return f"n{self.names}"

    def told(self, effects: Sequence[Effect]) -> bool:
        """Tell the books; a refusal leaves them as they were, for they are dropped (as the writer does)."""
        tried = Books(EmptySource(), dict(self.books.accounts), dict(self.books.blocks),
                      dict(self.books.reservations), dict(self.books.series))  # fmt: skip
        try:
            tried.apply(effects, self.now)
        except LedgerRefusal:
            return False
        self.books = tried
        return True

    def live(self) -> list[Block]:
        return sorted((b for b in self.books.blocks.values() if b.live), key=lambda b: b.units)

    def known(self, n: int) -> str:
        """Nearly always an open reservation; now and then one that is not, or never was."""
        names = [*self.open, "n0", *self.books.reservations] if n % 6 == 0 else [*self.open]
        return names[n % len(names)] if names else "n0"

    def pick(self, n: int) -> Block | None:
        live = self.live()
        return live[n % len(live)] if live else None

    @staticmethod
    def numbers(units: UnitRange) -> range:
        return range(units.start, units.end + 1)

    def free_fen(self, purse: str) -> int:
        return self.money[purse] - sum(held.fen for held in self.open.values() if held.giver == purse)

    # -- units

    @rule(count=st.integers(1, 12), holder=st.sampled_from(HOLDERS), again=st.booleans())
    def issue(self, count: int, holder: str, again: bool) -> None:
        last = self.books.last_number("P")
        batch = self.batch[last] if again and last else f"batch {last}"
        units = UnitRange.after(last, count)
        assert self.told([OpenBlock(self.name(), "P", batch, units, "units", holder, "issuance")])
        for number in self.numbers(units):
            self.holder[number], self.batch[number] = holder, batch

    @rule(n=st.integers(0, 50), cut=st.integers(1, 11))
    def split(self, n: int, cut: int) -> None:
        block = self.pick(n)
        if block is None or block.units.count <= cut:
            return
        parts = block.units.split_counts([cut, block.units.count - cut])
        children = tuple(Child(self.name(), part) for part in parts)
        final = block.account == SINK
        assert self.told([SplitBlock(block.block, children)]) is not final

    @rule(n=st.integers(0, 50), count=st.integers(2, 3))
    def merge(self, n: int, count: int) -> None:
        live = self.live()
        parents = live[n % len(live) :][:count] if live else []
        facts = {(b.account, b.batch) for b in parents}
        numbers = [number for b in parents for number in self.numbers(b.units)]
        runs_on = all(one.units.end + 1 == two.units.start for one, two in pairwise(parents))
        expected = (
            len(parents) >= 2
            and len(facts) == 1
            and runs_on
            and not any(number in self.lock for number in numbers)
            and parents[0].account != SINK
        )
        assert self.told([MergeBlocks(self.name(), tuple(b.block for b in parents))]) is expected

    @rule(n=st.integers(0, 50), to=st.sampled_from((*HOLDERS, SINK)))
    def move(self, n: int, to: str) -> None:
        block = self.pick(n)
        if block is None:
            return
        numbers = self.numbers(block.units)
        expected = block.account not in (SINK, to) and not any(number in self.lock for number in numbers)
        postings = between(block.account, to, block.units.count, "units")
        assert self.told([Transfer(self.name(), postings, (Move(block.block, to),))]) is expected
        if expected:
            self.holder |= dict.fromkeys(numbers, to)

    # -- money

    @rule(fen=st.integers(1, 100), to=st.sampled_from(PURSES))
    def deposit(self, fen: int, to: str) -> None:
        assert self.told([Transfer(self.name(), between("bank", to, fen, "money"))])
        self.money[to] += fen

    @rule(fen=st.integers(1, 100), payer=st.sampled_from(PURSES), payee=st.sampled_from((*PURSES, "bank")))
    def pay(self, fen: int, payer: str, payee: str) -> None:
        if payer == payee:
            return
        expected = fen <= self.free_fen(payer)
        assert self.told([Transfer(self.name(), between(payer, payee, fen, "money"))]) is expected
        if expected:
            self.money[payer] -= fen
            if payee in self.money:
                self.money[payee] += fen

    # -- reservations

    @rule(n=st.integers(0, 50), to=st.sampled_from(HOLDERS), kind=st.sampled_from(Lock),
          wait=st.none() | st.integers(0, 5))  # fmt: skip
    def lock_units(self, n: int, to: str, kind: Lock, wait: int | None) -> None:
        name, block = self.name(), self.pick(n)
        if block is None or to == block.account:
            return
        numbers = frozenset(self.numbers(block.units))
        deadline = None if wait is None else self.now + wait
        postings = between(block.account, to, block.units.count, "units")
        expected = block.account != SINK and not numbers & self.lock.keys()
        assert self.told([Pend(name, postings, (block.block,), kind.value, "r", deadline)]) is expected
        if expected:
            self.lock |= dict.fromkeys(numbers, name)
            self.open[name] = Reserved(block.account, to, numbers, 0, deadline)

    @rule(fen=st.integers(1, 100), payer=st.sampled_from(PURSES),
          wait=st.none() | st.integers(0, 5))  # fmt: skip
    def reserve_money(self, fen: int, payer: str, wait: int | None) -> None:
        name, (payee,) = self.name(), [purse for purse in PURSES if purse != payer]
        deadline = None if wait is None else self.now + wait
        expected = fen <= self.free_fen(payer)
        pend = Pend(name, between(payer, payee, fen, "money"), (), "order", "r", deadline)
        assert self.told([pend]) is expected
        if expected:
            self.open[name] = Reserved(payer, payee, frozenset(), fen, deadline)

    @rule(n=NTH, share=st.sampled_from((0, 0, 1, 2)), parts=st.integers(0, 3))
    def post(self, n: int, share: int, parts: int) -> None:
        self._post(self.known(n), share, parts)

    def _post(self, pending: str, share: int, parts: int) -> None:
        """All of it or a part; nothing at or after the deadline, and never twice."""
        held = self.open.get(pending)
        due = held is not None and held.deadline is not None and self.now >= held.deadline
        if held is None:
            assert not self.told([Post(pending, between("bank", "cash:buyer", 1, "money"))])
            return
        if held.fen:
            fen = held.fen + 1 - share  # one too much, all, or one less
            if fen == 0:
                return
            expected = not due and fen <= held.fen
            assert self.told([Post(pending, between(held.giver, held.taker, fen, "money"))]) is expected
            if expected:
                self.money[held.giver] -= fen
                self.money[held.taker] += fen
                del self.open[pending]
            return
        if parts:
            self._split_locked(pending)
        blocks = [b for b in self.live() if b.pending == pending]
        taken = blocks[: max(1, len(blocks) - parts)]
        count = sum(b.units.count for b in taken)
        moves = tuple(Move(b.block, held.taker) for b in taken)
        posting = between(held.giver, held.taker, count, "units")
        assert self.told([Post(pending, posting, moves)]) is not due
        if not due:
            for block in taken:
                self.holder |= dict.fromkeys(self.numbers(block.units), held.taker)
            self._unlock(pending)

    def _split_locked(self, pending: str) -> None:
        """A part can be posted when it is a block of its own: locks go to both parts."""
        for block in [b for b in self.live() if b.pending == pending and b.units.count > 1]:
            parts = block.units.split_counts([1, block.units.count - 1])
            children = tuple(Child(self.name(), part) for part in parts)
            assert self.told([SplitBlock(block.block, children)])

    @rule(n=NTH)
    def void(self, n: int) -> None:
        self._void(self.known(n))

    def _void(self, pending: str) -> None:
        expected = pending in self.open
        assert self.told([Void(pending)]) is expected
        if expected:
            self._unlock(pending)

    @rule(n=NTH)
    def expire(self, n: int) -> None:
        self._expire(self.known(n))

    def _expire(self, pending: str) -> None:
        held = self.open.get(pending)
        expected = held is not None and held.deadline is not None and self.now >= held.deadline
        assert self.told([Expire(pending)]) is expected
        if expected:
            self._unlock(pending)

    @rule(n=NTH, order=st.permutations(("post", "void", "expire")))
    def race(self, n: int, order: Sequence[str]) -> None:
        """All three at once, in any order: one wins at most, and it is the first that may."""
        pending = self.known(n)
        held = self.open.get(pending)
        due = held is not None and held.deadline is not None and self.now >= held.deadline
        won = []
        for kind in order:
            before = pending in self.open
            match kind:
                case "post":
                    self._post(pending, 1, 0)
                case "void":
                    self._void(pending)
                case _:
                    self._expire(pending)
            if before and pending not in self.open:
                won.append(kind)
        may = [
            kind
            for kind in order
            if held is not None and (kind != "post" or not due) and (kind != "expire" or due)
        ]
        assert won == may[:1]

    def _unlock(self, pending: str) -> None:
        del self.open[pending]
        self.lock = {number: name for number, name in self.lock.items() if name != pending}

    @rule(by=st.integers(1, 6))
    def wait(self, by: int) -> None:
        self.now += by

    # -- what holds after each step

    @invariant()
    def live_blocks_are_the_units_each_once(self) -> None:
        found: dict[int, str] = {}
        for block in self.live():
            for number in self.numbers(block.units):
                assert number not in found
                found[number] = block.account
                assert block.batch == self.batch[number]
                assert block.pending == self.lock.get(number)
        assert found == self.holder

    @invariant()
    def nothing_comes_from_nowhere(self) -> None:
        totals: defaultdict[str, int] = defaultdict(int)
        for account in self.books.accounts.values():
            totals[account.asset] += account.balance
        assert not any(totals.values())

    @invariant()
    def counters_are_what_the_model_holds(self) -> None:
        if not self.books.accounts:
            return
        units: defaultdict[str, int] = defaultdict(int)
        for holder in self.holder.values():
            units[holder] += 1
        for name in (*HOLDERS, SINK):
            assert self.books.account(name).balance == units[name]
        for name, fen in self.money.items():
            assert self.books.account(name).balance == fen

    @invariant()
    def what_is_reserved_is_counted_and_nothing_else(self) -> None:
        debits: defaultdict[str, int] = defaultdict(int)
        credits_: defaultdict[str, int] = defaultdict(int)
        for held in self.open.values():
            amount = held.fen or len(held.units)
            debits[held.giver] += amount
            credits_[held.taker] += amount
        for name, account in self.books.accounts.items():
            assert (account.debits_pending, account.credits_pending) == (debits[name], credits_[name])
            if account.limit is not Limit.NONE:
                assert account.available >= 0
            if account.limit is Limit.SINK:
                assert account.debits_posted == account.debits_pending == 0

    @precondition(lambda self: bool(self.open))
    @rule()
    def free_everything(self) -> None:
        """Whatever was reserved, pending counters return to zero."""
        for pending in [*self.open]:
            self._void(pending)
        assert not self.lock
        for account in self.books.accounts.values():
            assert account.debits_pending == account.credits_pending == 0

    def teardown(self) -> None:
        stated = state_of(self.books, 0)
        assert stated["blocks"] == len(self.live())
        assert stated["pendings"] == len(self.open)


TestBooks = BooksAgainstUnits.TestCase
TestBooks.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


@pytest.mark.slow
def test_the_books_for_long() -> None:
    run_state_machine_as_test(
        BooksAgainstUnits, settings=settings(max_examples=2000, stateful_step_count=100, deadline=None)
    )
