"""The books a second time, for judging and not for writing: plain dictionaries, changed in place.

An entry that does not follow raises `Contradiction`, and then these books are of no more use: the audit has
its finding. Kept in memory: accounts, live blocks, open reservations. Names that were used up (blocks that
were split or merged, reservations that were resolved) lie in a `Spill`, because no name is used twice.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from auditor.effects import (
    Contradiction,
    Effect,
    Expire,
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
from auditor.spill import Spill
from ledger.canonical import MAX_INTEGER
from ledger.units import UnitRange

MOST_POSTINGS: Final = 64


class Account:
    """One account: asset, limit, and the four counters in whole units of the asset."""

    __slots__ = (
        "asset", "credits_pending", "credits_posted", "debits_pending", "debits_posted", "limit", "name",
        "numbered", "owner",
    )  # fmt: skip

    def __init__(self, name: str, asset: str, limit: str, numbered: bool, owner: str) -> None:
        self.name = name
        self.asset = asset
        self.limit = limit
        self.numbered = numbered
        self.owner = owner
        self.debits_posted = self.credits_posted = self.debits_pending = self.credits_pending = 0

    @property
    def balance(self) -> int:
        return self.credits_posted - self.debits_posted

    @property
    def available(self) -> int:
        """What may still be taken: reserved debits count, reserved credits do not."""
        return self.credits_posted - self.debits_posted - self.debits_pending

    def post(self, amount: int) -> None:
        if amount >= 0:
            self.credits_posted += amount
        else:
            self.debits_posted -= amount

    def reserve(self, amount: int, direction: int = 1) -> None:
        """Reserve (or with -1 release) what would be posted as `amount`."""
        if amount >= 0:
            self.credits_pending += direction * amount
        else:
            self.debits_pending -= direction * amount


class Block:
    """A contiguous range of one series in one account, free or under one reservation."""

    __slots__ = ("account", "asset", "batch", "block", "parent", "pending", "series", "units")

    def __init__(
        self, block: str, series: str, batch: str, units: UnitRange, asset: str, account: str,
        parent: str | None = None, pending: str | None = None,
    ) -> None:  # fmt: skip
        self.block = block
        self.series = series
        self.batch = batch
        self.units = units
        self.asset = asset
        self.account = account
        self.parent = parent
        self.pending = pending


class Reservation:
    __slots__ = ("blocks", "deadline_ms", "lock", "pending", "postings", "ref")

    def __init__(self, effect: Pend) -> None:
        self.pending = effect.pending
        self.postings = effect.postings
        self.blocks = list(effect.blocks)
        self.lock = effect.lock
        self.ref = effect.ref
        self.deadline_ms = effect.deadline_ms


class Books:
    """Accounts, live blocks, open reservations, and the last number of every series."""

    __slots__ = ("_gone", "accounts", "blocks", "reservations", "series", "touched", "touched_blocks")

    def __init__(self, gone: Spill | None = None) -> None:
        self.accounts: dict[str, Account] = {}
        self.blocks: dict[str, Block] = {}
        self.reservations: dict[str, Reservation] = {}
        self.series: dict[str, int] = {}
        self._gone = Spill() if gone is None else gone
        self.touched: dict[str, Account] = {}
        """Accounts that the last entry changed."""
        self.touched_blocks: dict[str, str] = {}
        """Blocks that the last entry opened, moved, locked, freed or ended, and their batches."""

    # -- reading

    def account(self, name: str) -> Account:
        found = self.accounts.get(name)
        if found is None:
            raise Contradiction(f"account {name} is not open")
        return found

    def block(self, name: str) -> Block:
        """A live block."""
        found = self.blocks.get(name)
        if found is None:
            raise Contradiction(f"there is no live block {name}")
        return found

    # -- applying

    def apply(self, effects: Iterable[Effect], at_ms: int) -> None:
        """Carry out the effects of one entry in order, then hold every account they touched to its limit."""
        self.touched = {}
        self.touched_blocks = {}
        for effect in effects:
            kind = type(effect)
            if kind is not Transition:
                _DOES[kind](self, effect, at_ms)
        for account in self.touched.values():
            _check_limit(account)

    def _touch(self, name: str) -> Account:
        account = self.accounts.get(name)
        if account is None:
            raise Contradiction(f"account {name} is not open")
        self.touched[name] = account
        return account

    def _open_account(self, effect: OpenAccount, _at_ms: int) -> None:
        if effect.account in self.accounts:
            raise Contradiction(f"account {effect.account} is open already")
        self.accounts[effect.account] = Account(*effect)

    def _open_block(self, effect: OpenBlock, _at_ms: int) -> None:
        holder, source = self.account(effect.account), self.account(effect.source)
        if not (holder.numbered and source.numbered) or not holder.asset == source.asset == effect.asset:
            raise Contradiction(f"block {effect.block} is opened between accounts of other assets")
        if source.limit != "none" or holder.limit == "none":
            raise Contradiction(f"block {effect.block} is not opened from an issuance account")
        if effect.units.start != self.series.get(effect.series, 0) + 1:
            raise Contradiction(f"numbers of {effect.series} do not run on at {effect.units.start}")
        self._new_block(
            Block(effect.block, effect.series, effect.batch, effect.units, effect.asset, effect.account)
        )
        self.series[effect.series] = effect.units.end
        self._touch(effect.source).post(-effect.units.count)
        self._touch(effect.account).post(effect.units.count)

    def _new_block(self, block: Block) -> None:
        if block.block in self.blocks or self._gone.get(b"block " + block.block.encode()) is not None:
            raise Contradiction(f"block {block.block} exists already")
        self.blocks[block.block] = block
        self.touched_blocks[block.block] = block.batch

    def _end_block(self, block: Block) -> None:
        del self.blocks[block.block]
        self._gone.put(b"block " + block.block.encode())
        self.touched_blocks[block.block] = block.batch

    def _split(self, effect: SplitBlock, _at_ms: int) -> None:
        parent = self.block(effect.block)
        if self.account(parent.account).limit == "sink":
            raise Contradiction(f"block {parent.block} is retired or cancelled")
        ranges = [child.units for child in effect.children]
        if len(ranges) < 2 or not parent.units.partitioned_by(ranges):
            raise Contradiction(f"the children of block {parent.block} do not partition it")
        for child in effect.children:
            self._new_block(
                Block(
                    child.block, parent.series, parent.batch, child.units, parent.asset, parent.account,
                    parent.block, parent.pending,
                )
            )  # fmt: skip
        self._end_block(parent)
        if parent.pending is not None:
            held = self.reservations[parent.pending]
            held.blocks.remove(parent.block)
            held.blocks += [child.block for child in effect.children]

    def _merge(self, effect: MergeBlocks, _at_ms: int) -> None:
        parents = sorted([self.block(name) for name in effect.parents], key=lambda block: block.units.start)
        if len(parents) < 2 or len(set(effect.parents)) != len(parents):
            raise Contradiction(f"block {effect.block} is merged from fewer than two blocks")
        first = parents[0]
        if self.account(first.account).limit == "sink":
            raise Contradiction(f"block {first.block} is retired or cancelled")
        for parent in parents:
            same = (parent.series, parent.batch, parent.asset, parent.account)
            if parent.pending is not None:
                raise Contradiction(f"block {parent.block} is locked by {parent.pending}")
            if same != (first.series, first.batch, first.asset, first.account):
                raise Contradiction(f"block {parent.block} is of another batch or holder")
        whole = UnitRange(first.units.start, parents[-1].units.end)
        if not whole.partitioned_by([parent.units for parent in parents]):
            raise Contradiction(f"the blocks merged to {effect.block} are not contiguous")
        self._new_block(Block(effect.block, first.series, first.batch, whole, first.asset, first.account))
        for parent in parents:
            self._end_block(parent)

    def _transfer(self, effect: Transfer, _at_ms: int) -> None:
        self._post_lines(effect.postings, effect.moves, None)

    def _post_lines(self, postings: Sequence[Posting], moves: Sequence[Move], lock: str | None) -> None:
        _check_balanced(postings)
        moved: dict[str, int] = self._move(moves, lock) if moves else {}
        for name, asset, amount in postings:
            account = self._touch(name)
            if account.asset != asset or amount == 0:
                raise Contradiction(f"{amount} {asset} cannot be posted to account {name}")
            if account.limit == "sink" and amount < 0:
                raise Contradiction(f"account {name} is final")
            if account.numbered:
                moved[name] = moved.get(name, 0) - amount
            if amount > 0:
                account.credits_posted += amount
            else:
                account.debits_posted -= amount
        if moved and any(moved.values()):
            raise Contradiction("postings and the blocks that move do not agree")

    def _move(self, moves: Sequence[Move], lock: str | None) -> dict[str, int]:
        moved: dict[str, int] = {}
        for name, to in moves:
            block, receiver = self.block(name), self.account(to)
            if self.account(block.account).limit == "sink":
                raise Contradiction(f"block {name} is retired or cancelled")
            if block.pending != lock:
                raise Contradiction(f"block {name} is locked by {block.pending}")
            if receiver.asset != block.asset or block.account == to:
                raise Contradiction(f"block {name} cannot move to {to}")
            count = block.units.count
            moved[block.account] = moved.get(block.account, 0) - count
            moved[to] = moved.get(to, 0) + count
            block.account, block.pending = to, None
            self.touched_blocks[name] = block.batch
        return moved

    def _pend(self, effect: Pend, _at_ms: int) -> None:
        _check_balanced(effect.postings)
        if effect.pending in self.reservations or self._resolved(effect.pending):
            raise Contradiction(f"reservation {effect.pending} exists already")
        locked: dict[str, int] = {}
        for name in effect.blocks:
            block = self.block(name)
            if block.pending is not None:
                raise Contradiction(f"block {name} is locked by {block.pending}")
            locked[block.account] = locked.get(block.account, 0) - block.units.count
            block.pending = effect.pending
            self.touched_blocks[name] = block.batch
        for name, asset, amount in effect.postings:
            account = self._touch(name)
            if account.asset != asset or amount == 0 or (account.limit == "sink" and amount < 0):
                raise Contradiction(f"account {name} cannot reserve {amount} {asset}")
            if account.numbered and amount < 0:
                locked[name] = locked.get(name, 0) - amount
            account.reserve(amount)
        if any(locked.values()):
            raise Contradiction("postings and the blocks that are locked do not agree")
        self.reservations[effect.pending] = Reservation(effect)

    def _resolved(self, pending: str) -> bool:
        return self._gone.get(b"pending " + pending.encode()) is not None

    def _resolve(self, pending: str) -> Reservation:
        held = self.reservations.pop(pending, None)
        if held is None:
            reason = "was resolved before" if self._resolved(pending) else "does not exist"
            raise Contradiction(f"reservation {pending} {reason}")
        self._gone.put(b"pending " + pending.encode())
        for name, _asset, amount in held.postings:
            self._touch(name).reserve(amount, -1)
        return held

    def _post(self, effect: Post, at_ms: int) -> None:
        held = self._resolve(effect.pending)
        if held.deadline_ms is not None and at_ms >= held.deadline_ms:
            raise Contradiction(f"the deadline of reservation {effect.pending} has passed")
        moved = {move.block for move in effect.moves}
        if not moved <= set(held.blocks):
            raise Contradiction(f"reservation {effect.pending} does not hold every block that is moved")
        _check_within(held, effect.postings)
        self._free([name for name in held.blocks if name not in moved])
        self._post_lines(effect.postings, effect.moves, effect.pending)

    def _free(self, names: Iterable[str]) -> None:
        for name in names:
            block = self.block(name)
            block.pending = None
            self.touched_blocks[name] = block.batch

    def _void(self, effect: Void, _at_ms: int) -> None:
        self._free(self._resolve(effect.pending).blocks)

    def _expire(self, effect: Expire, at_ms: int) -> None:
        held = self._resolve(effect.pending)
        if held.deadline_ms is None or at_ms < held.deadline_ms:
            raise Contradiction(f"reservation {effect.pending} has not reached its deadline")
        self._free(held.blocks)


_DOES: Final[Mapping[type, Callable[[Books, Any, int], None]]] = {
    OpenAccount: Books._open_account,
    OpenBlock: Books._open_block,
    SplitBlock: Books._split,
    MergeBlocks: Books._merge,
    Transfer: Books._transfer,
    Pend: Books._pend,
    Post: Books._post,
    Void: Books._void,
    Expire: Books._expire,
}


def _check_limit(account: Account) -> None:
    debits, credits_, pending = account.debits_posted, account.credits_posted, account.debits_pending
    if max(debits, credits_, pending, account.credits_pending) > MAX_INTEGER:
        raise Contradiction(f"account {account.name} would count beyond 2^53 - 1")
    if account.limit != "none" and (credits_ - debits - pending < 0 or credits_ < debits):
        raise Contradiction(f"account {account.name} is overdrawn by {debits + pending - credits_}")


def _check_balanced(postings: Sequence[Posting]) -> None:
    if len(postings) == 2:
        one, two = postings
        if one[1] == two[1] and one[2] + two[2] == 0:
            return
    if not 2 <= len(postings) <= MOST_POSTINGS:
        raise Contradiction(f"{len(postings)} postings; 2 to {MOST_POSTINGS} are allowed")
    totals: dict[str, int] = {}
    for _, asset, amount in postings:
        totals[asset] = totals.get(asset, 0) + amount
    if any(totals.values()):
        raise Contradiction(f"postings do not sum to zero: {totals}")


def _check_within(held: Reservation, postings: Sequence[Posting]) -> None:
    """A post takes from every account what was reserved there at most, of the assets that were reserved."""
    left: dict[tuple[str, str], int] = {}
    assets = {asset for _, asset, _ in held.postings}
    for name, asset, amount in held.postings:
        if amount < 0:
            left[name, asset] = left.get((name, asset), 0) - amount
    for name, asset, amount in postings:
        if amount < 0 and asset in assets:
            left[name, asset] = left.get((name, asset), 0) + amount
    if any(rest < 0 for rest in left.values()):
        raise Contradiction(f"more is posted than reservation {held.pending} holds")
