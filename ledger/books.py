"""Double-entry books over money, kilograms and numbered units.

An account holds one asset and four counters (posted and pending debits and credits; after TigerBeetle).
Assets are either plain (fen, kilograms) or *numbered*: every unit of a numbered asset has a number, and a
*block* is a contiguous range of numbers with one owner and at most one lock. Nothing is edited: ranges are
split, moved by transfers, reserved by a pending transfer which is then posted or voided once.
What is held here:

* the postings of a transfer sum to zero per asset, and on numbered accounts they equal what the named
  blocks move;
* numbers of a series run on without gap, children of a split partition their parent;
* a floored account never falls below zero, counting what is pending against it; a sink is never debited.

`Books` is pure: it reads through a `BookSource` (a dictionary, or rows of a database) and remembers what it
touched.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

from ledger.canonical import MAX_INTEGER
from ledger.effects import (
    BooksRefusal,
    Effect,
    Limit,
    Move,
    OpenAccount,
    OpenBlock,
    Pend,
    Post,
    Posting,
    SplitBlock,
    Transfer,
    Transition,
    Void,
)
from ledger.units import UnitRange


class InsufficientBalance(BooksRefusal):
    """An account would fall below zero."""

    code: ClassVar[str] = "insufficient_balance"
    template: ClassVar[str] = (
        "Account {account} has {available} of {asset} free, {needed} more would be needed."
    )


class BlockNotFree(BooksRefusal):
    """A block is locked by something else, gone, or with another holder."""

    code: ClassVar[str] = "block_not_free"
    template: ClassVar[str] = "Block {block} is not free: {reason}."


class PendingResolved(BooksRefusal):
    """A pending transfer is resolved once only, and before its deadline."""

    code: ClassVar[str] = "pending_resolved"
    template: ClassVar[str] = "The reservation {pending} cannot be resolved: {reason}."


@dataclass(frozen=True, slots=True)
class Account:
    """One account and its four counters, in whole units of `asset`."""

    account: str
    asset: str
    limit: Limit
    numbered: bool
    owner: str
    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0

    @property
    def balance(self) -> int:
        return self.credits_posted - self.debits_posted

    @property
    def available(self) -> int:
        """What may still be taken: pending debits count, pending credits do not."""
        return self.balance - self.debits_pending

    def posted(self, amount: int) -> "Account":
        if amount >= 0:
            return replace(self, credits_posted=self.credits_posted + amount)
        return replace(self, debits_posted=self.debits_posted - amount)

    def reserved(self, amount: int) -> "Account":
        """`amount` as it is posted later: negative reserves a debit. Reserving the opposite is `released`."""
        if amount >= 0:
            return replace(self, credits_pending=self.credits_pending + amount)
        return replace(self, debits_pending=self.debits_pending - amount)

    def released(self, amount: int) -> "Account":
        if amount >= 0:
            return replace(self, credits_pending=self.credits_pending - amount)
        return replace(self, debits_pending=self.debits_pending + amount)


@dataclass(frozen=True, slots=True)
class Block:
    """A contiguous range of one series: one holder, at most one lock. A split block stays, no longer live."""

    block: str
    series: str
    batch: str
    units: UnitRange
    asset: str
    account: str
    parent: str | None = None
    pending: str | None = None
    live: bool = True


@dataclass(frozen=True, slots=True)
class Reservation:
    """A pending transfer as the books keep it."""

    pending: str
    postings: tuple[Posting, ...]
    blocks: tuple[str, ...]
    lock: str
    ref: str
    deadline_ms: int | None
    status: str = "open"


class BookSource(Protocol):
    """Where the books were before: a database, or nothing at all."""

    def account(self, account: str) -> Account | None: ...
    def block(self, block: str) -> Block | None: ...
    def reservation(self, pending: str) -> Reservation | None: ...
    def last_number(self, series: str) -> int: ...


class EmptySource:
    """The source of books that start from zero."""

    def account(self, account: str) -> Account | None:
        return None

    def block(self, block: str) -> Block | None:
        return None

    def reservation(self, pending: str) -> Reservation | None:
        return None

    def last_number(self, series: str) -> int:
        return 0


MAX_POSTINGS = 64


@dataclass(slots=True)
class Books:
    """Accounts, blocks, reservations and series; what `source` does not know does not exist."""

    source: BookSource = field(default_factory=EmptySource)
    accounts: dict[str, Account] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    series: dict[str, int] = field(default_factory=dict)

    # -- reading

    def account(self, account: str) -> Account:
        found = self.find_account(account)
        if found is None:
            raise BooksRefusal(reason=f"account {account} is not open")
        return found

    def find_account(self, account: str) -> Account | None:
        found = self.accounts.get(account)
        return found if found is not None else self.source.account(account)

    def block(self, block: str) -> Block:
        found = self.blocks.get(block) or self.source.block(block)
        if found is None:
            raise BooksRefusal(reason=f"block {block} does not exist")
        return found

    def reservation(self, pending: str) -> Reservation:
        found = self.reservations.get(pending) or self.source.reservation(pending)
        if found is None:
            raise PendingResolved(pending=pending, reason="it does not exist")
        return found

    def last_number(self, series: str) -> int:
        known = self.series.get(series)
        return known if known is not None else self.source.last_number(series)

    # -- applying

    def apply(self, effects: Sequence[Effect], at_ms: int) -> None:
        """Apply the effects of one entry in order, then check every account they touched.

        Raises `BooksRefusal` and its kinds; the caller then discards these books.
        """
        touched: set[str] = set()
        for effect in effects:
            touched |= self._apply_one(effect, at_ms)
        for account in touched:
            check_limit(self.account(account))

    def _apply_one(self, effect: Effect, at_ms: int) -> set[str]:
        """Apply one effect; answers the accounts whose counters it changed."""
        match effect:
            case OpenAccount():
                return self._open_account(effect)
            case OpenBlock():
                return self._open_block(effect)
            case SplitBlock():
                return self._split(effect)
            case Transfer():
                return self._transfer(effect.postings, effect.moves, lock=None)
            case Pend():
                return self._pend(effect)
            case Post():
                return self._post(effect, at_ms)
            case Void():
                return self._void(effect.pending)
            case Transition():
                return set()

    def _open_account(self, effect: OpenAccount) -> set[str]:
        if self.find_account(effect.account) is not None:
            raise BooksRefusal(reason=f"account {effect.account} is open already")
        self.accounts[effect.account] = Account(
            effect.account, effect.asset, effect.limit, effect.numbered, effect.owner
        )
        return set()

    def _open_block(self, effect: OpenBlock) -> set[str]:
        holder, source = self.account(effect.account), self.account(effect.source)
        if not (holder.numbered and source.numbered and holder.asset == source.asset == effect.asset):
            raise BooksRefusal(reason=f"block {effect.block} is opened between accounts of other assets")
        if source.limit is not Limit.NONE or holder.limit is Limit.NONE:
            raise BooksRefusal(reason=f"block {effect.block} is not opened from an issuance account")
        if effect.units.start != self.last_number(effect.series) + 1:
            raise BooksRefusal(reason=f"numbers of {effect.series} do not run on at {effect.units.start}")
        self._new_block(
            Block(effect.block, effect.series, effect.batch, effect.units, effect.asset, effect.account)
        )
        self.series[effect.series] = effect.units.end
        self.accounts[effect.source] = source.posted(-effect.units.count)
        self.accounts[effect.account] = holder.posted(effect.units.count)
        return {effect.source, effect.account}

    def _new_block(self, block: Block) -> None:
        if block.block in self.blocks or self.source.block(block.block) is not None:
            raise BooksRefusal(reason=f"block {block.block} exists already")
        self.blocks[block.block] = block

    def _split(self, effect: SplitBlock) -> set[str]:
        parent = self.block(effect.block)
        if not parent.live:
            raise BlockNotFree(block=parent.block, reason="it was split before")
        if self.account(parent.account).limit is Limit.SINK:
            raise BlockNotFree(block=parent.block, reason="it is retired or cancelled")
        if len(effect.children) < 2 or not parent.units.partitioned_by([c.units for c in effect.children]):
            raise BooksRefusal(reason=f"the children of block {parent.block} do not partition it")
        self.blocks[parent.block] = replace(parent, live=False)
        for child in effect.children:
            self._new_block(
                replace(parent, block=child.block, units=child.units, parent=parent.block, live=True)
            )
        if parent.pending is not None:
            self._relock(parent.pending, parent.block, [c.block for c in effect.children])
        return set()

    def _relock(self, pending: str, parent: str, children: list[str]) -> None:
        held = self.reservation(pending)
        blocks = [b for b in held.blocks if b != parent] + children
        self.reservations[pending] = replace(held, blocks=tuple(blocks))

    def _transfer(self, postings: Sequence[Posting], moves: Sequence[Move], lock: str | None) -> set[str]:
        _check_balanced(postings)
        moved = self._move_blocks(moves, lock)
        for posting in postings:
            account = self.account(posting.account)
            if account.asset != posting.asset:
                raise BooksRefusal(reason=f"account {posting.account} does not hold {posting.asset}")
            if posting.amount == 0:
                raise BooksRefusal(reason="a posting of zero")
            if account.limit is Limit.SINK and posting.amount < 0:
                raise BooksRefusal(reason=f"account {posting.account} is final")
            if account.numbered:
                moved[posting.account] -= posting.amount
            self.accounts[posting.account] = account.posted(posting.amount)
        if any(moved.values()):
            raise BooksRefusal(reason="postings and the blocks that move do not agree")
        return {posting.account for posting in postings}

    def _move_blocks(self, moves: Sequence[Move], lock: str | None) -> defaultdict[str, int]:
        moved: defaultdict[str, int] = defaultdict(int)
        for move in moves:
            block, receiver = self.block(move.block), self.account(move.to)
            if not block.live:
                raise BlockNotFree(block=block.block, reason="it was split")
            if self.account(block.account).limit is Limit.SINK:
                raise BlockNotFree(block=block.block, reason="it is retired or cancelled")
            if block.pending != lock:
                raise BlockNotFree(block=block.block, reason=f"it is locked by {block.pending}")
            if receiver.asset != block.asset or block.account == move.to:
                raise BooksRefusal(reason=f"block {block.block} cannot move to {move.to}")
            moved[block.account] -= block.units.count
            moved[move.to] += block.units.count
            self.blocks[block.block] = replace(block, account=move.to, pending=None)
        return moved

    def _pend(self, effect: Pend) -> set[str]:
        _check_balanced(effect.postings)
        if effect.pending in self.reservations or self.source.reservation(effect.pending) is not None:
            raise BooksRefusal(reason=f"reservation {effect.pending} exists already")
        locked: defaultdict[str, int] = defaultdict(int)
        for name in effect.blocks:
            block = self.block(name)
            if not block.live or block.pending is not None:
                raise BlockNotFree(
                    block=name, reason=f"it is locked by {block.pending}" if block.live else "split"
                )
            locked[block.account] -= block.units.count
            self.blocks[name] = replace(block, pending=effect.pending)
        for posting in effect.postings:
            account = self.account(posting.account)
            if account.asset != posting.asset or posting.amount == 0:
                raise BooksRefusal(reason=f"account {posting.account} cannot reserve {posting.asset}")
            if account.limit is Limit.SINK and posting.amount < 0:
                raise BooksRefusal(reason=f"account {posting.account} is final")
            if account.numbered and posting.amount < 0:
                locked[posting.account] -= posting.amount
            self.accounts[posting.account] = account.reserved(posting.amount)
        if any(locked.values()):
            raise BooksRefusal(reason="postings and the blocks that are locked do not agree")
        self.reservations[effect.pending] = Reservation(
            effect.pending, effect.postings, effect.blocks, effect.lock, effect.ref, effect.deadline_ms
        )
        return {posting.account for posting in effect.postings}

    def _post(self, effect: Post, at_ms: int) -> set[str]:
        held = self._resolve(effect.pending, "posted")
        if held.deadline_ms is not None and at_ms >= held.deadline_ms:
            raise PendingResolved(pending=effect.pending, reason="its deadline has passed")
        outside = [m.block for m in effect.moves if m.block not in held.blocks]
        if outside:
            raise BlockNotFree(block=outside[0], reason="the reservation does not hold it")
        _check_within(held, effect.postings)
        touched = self._release(held)
        moved = {move.block for move in effect.moves}
        for name in held.blocks:
            if name not in moved:
                self.blocks[name] = replace(self.block(name), pending=None)
        return touched | self._transfer(effect.postings, effect.moves, lock=effect.pending)

    def _void(self, pending: str) -> set[str]:
        held = self._resolve(pending, "voided")
        for name in held.blocks:
            self.blocks[name] = replace(self.block(name), pending=None)
        return self._release(held)

    def _resolve(self, pending: str, status: str) -> Reservation:
        held = self.reservation(pending)
        if held.status != "open":
            raise PendingResolved(pending=pending, reason=f"it was {held.status}")
        self.reservations[pending] = replace(held, status=status)
        return held

    def _release(self, held: Reservation) -> set[str]:
        for posting in held.postings:
            self.accounts[posting.account] = self.account(posting.account).released(posting.amount)
        return {posting.account for posting in held.postings}


def check_limit(account: Account) -> None:
    """Refuse an account below its limit (`InsufficientBalance`), and counters that no entry could state."""
    if max(account.debits_posted, account.credits_posted) > MAX_INTEGER or (
        max(account.debits_pending, account.credits_pending) > MAX_INTEGER
    ):
        raise BooksRefusal(reason=f"account {account.account} would count beyond 2^53 - 1")
    if account.limit is Limit.NONE:
        return
    if account.available < 0 or account.balance < 0:
        needed = -min(account.available, account.balance)
        raise InsufficientBalance(
            account=account.account, asset=account.asset, available=account.available + needed, needed=needed
        )


def _check_balanced(postings: Sequence[Posting]) -> None:
    if not 2 <= len(postings) <= MAX_POSTINGS:
        raise BooksRefusal(reason=f"{len(postings)} postings; 2 to {MAX_POSTINGS} are allowed")
    totals: defaultdict[str, int] = defaultdict(int)
    for posting in postings:
        totals[posting.asset] += posting.amount
    uneven = {asset: total for asset, total in totals.items() if total}
    if uneven:
        raise BooksRefusal(reason=f"postings do not sum to zero: {uneven}")


def _check_within(held: Reservation, postings: Iterable[Posting]) -> None:
    """A post takes no more from an account than was reserved there, nor from another account for that
    asset.
    """
    left: defaultdict[tuple[str, str], int] = defaultdict(int)
    reserved_assets = set()
    for posting in held.postings:
        reserved_assets.add(posting.asset)
        if posting.amount < 0:
            left[posting.account, posting.asset] -= posting.amount
    for posting in postings:
        if posting.amount < 0 and posting.asset in reserved_assets:
            left[posting.account, posting.asset] += posting.amount
    if any(rest < 0 for rest in left.values()):
        raise PendingResolved(pending=held.pending, reason="more is posted than was reserved")
