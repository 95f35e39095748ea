"""Double-entry books over money, kilograms and numbered units.

An account holds one asset and four counters (posted and pending debits and credits; after TigerBeetle).
Assets are either plain (fen, kilograms) or *numbered*: every unit of a numbered asset has a number, and a
*block* is a contiguous range of numbers with one owner and at most one lock. Nothing is edited: ranges are
split and merged, moved by transfers, reserved by a pending transfer which is then posted, voided or expired
once.
What is held here:

* the postings of a transfer sum to zero per asset, and on numbered accounts they equal what the named
  blocks move;
* numbers of a series run on without gap, children of a split partition their parent, and the parents of a
  merge partition what it makes of them;
* a floored account never falls below zero, counting what is pending against it; a sink is never debited.

`Books` is pure: it reads through a `BookSource` (a dictionary, or rows of a database) and remembers what it
touched.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ledger.effects import (
    BooksRefusal,
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
    Transition,
    Void,
)
from ledger.holdings import (
    MAX_POSTINGS,
    Account,
    Block,
    BlockNotFree,
    BookSource,
    EmptySource,
    InsufficientBalance,
    PendingResolved,
    Reservation,
    check_balanced,
    check_limit,
    check_within,
)

__all__ = [
    "MAX_POSTINGS",
    "Account",
    "Block",
    "BlockNotFree",
    "BookSource",
    "Books",
    "EmptySource",
    "InsufficientBalance",
    "PendingResolved",
    "Reservation",
    "check_limit",
]


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
            case MergeBlocks():
                return self._merge(effect)
            case Transfer():
                return self._transfer(effect.postings, effect.moves, lock=None)
            case Pend():
                return self._pend(effect)
            case Transition():
                return set()
            case _:
                return self._resolve(effect, at_ms)

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
            raise BlockNotFree(block=parent.block, reason="it was split or merged before")
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

    def _merge(self, effect: MergeBlocks) -> set[str]:
        """Adjoining free blocks of one batch and account become one (RULES 2, "Splitting", 5)."""
        parents = sorted((self.block(name) for name in effect.parents), key=lambda block: block.units)
        if len(parents) < 2 or len(set(effect.parents)) != len(parents):
            raise BooksRefusal(reason=f"block {effect.block} is not merged from different blocks")
        first = parents[0]
        if self.account(first.account).limit is Limit.SINK:
            raise BlockNotFree(block=first.block, reason="it is retired or cancelled")
        units = first.units
        for parent in parents:
            if not parent.live or parent.pending is not None:
                raise BlockNotFree(block=parent.block, reason=_why_not_free(parent))
            if (parent.series, parent.batch, parent.account) != (first.series, first.batch, first.account):
                raise BooksRefusal(reason=f"block {parent.block} is of another batch or account")
            if parent is not first:
                if not units.adjacent(parent.units):
                    raise BooksRefusal(reason=f"the blocks merged to {effect.block} do not adjoin")
                units = units.merge(parent.units)
            self.blocks[parent.block] = replace(parent, live=False)
        self._new_block(replace(first, block=effect.block, units=units, parent=None))
        return set()

    def _relock(self, pending: str, parent: str, children: list[str]) -> None:
        held = self.reservation(pending)
        blocks = [b for b in held.blocks if b != parent] + children
        self.reservations[pending] = replace(held, blocks=tuple(blocks))

    def _transfer(self, postings: Sequence[Posting], moves: Sequence[Move], lock: str | None) -> set[str]:
        check_balanced(postings)
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
                raise BlockNotFree(block=block.block, reason="it was split or merged")
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
        check_balanced(effect.postings)
        if effect.pending in self.reservations or self.source.reservation(effect.pending) is not None:
            raise BooksRefusal(reason=f"reservation {effect.pending} exists already")
        locked: defaultdict[str, int] = defaultdict(int)
        for name in effect.blocks:
            block = self.block(name)
            if not block.live or block.pending is not None:
                raise BlockNotFree(block=name, reason=_why_not_free(block))
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

    def _resolve(self, effect: Post | Void | Expire, at_ms: int) -> set[str]:
        """Once, and what the clock allows: a post before the deadline, an expiry from it on."""
        held = self.reservation(effect.pending)
        if held.status != "open":
            raise PendingResolved(pending=effect.pending, reason=f"it was {held.status}")
        passed = held.deadline_ms is not None and at_ms >= held.deadline_ms
        if isinstance(effect, Post) and passed:
            raise PendingResolved(pending=effect.pending, reason="its deadline has passed")
        if isinstance(effect, Expire) and not passed:
            raise PendingResolved(pending=effect.pending, reason="its deadline has not come")
        self.reservations[effect.pending] = replace(held, status=_RESOLVED[type(effect)])
        if isinstance(effect, Post):
            return self._post(effect, held)
        self._unlock(held.blocks)
        return self._release(held)

    def _post(self, effect: Post, held: Reservation) -> set[str]:
        outside = [m.block for m in effect.moves if m.block not in held.blocks]
        if outside:
            raise BlockNotFree(block=outside[0], reason="the reservation does not hold it")
        check_within(held, effect.postings)
        touched = self._release(held)
        moved = {move.block for move in effect.moves}
        self._unlock(name for name in held.blocks if name not in moved)
        return touched | self._transfer(effect.postings, effect.moves, lock=effect.pending)

    def _unlock(self, blocks: Iterable[str]) -> None:
        for name in blocks:
            self.blocks[name] = replace(self.block(name), pending=None)

    def _release(self, held: Reservation) -> set[str]:
        for posting in held.postings:
            self.accounts[posting.account] = self.account(posting.account).released(posting.amount)
        return {posting.account for posting in held.postings}


_RESOLVED: Final = {Post: "posted", Void: "voided", Expire: "expired"}


def _why_not_free(block: Block) -> str:
    return f"it is locked by {block.pending}" if block.live else "it was split or merged"
