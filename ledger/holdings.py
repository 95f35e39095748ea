"""What the books hold, accounts, blocks and reservations, where they read it from, and what they refuse."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from ledger.canonical import MAX_INTEGER
from ledger.effects import BooksRefusal, Limit, Posting
from ledger.units import UnitRange

MAX_POSTINGS = 64


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
        # Spelled out: every posting of every entry comes here, and `replace` takes three times as long.
        return Account(
            self.account,
            self.asset,
            self.limit,
            self.numbered,
            self.owner,
            self.debits_posted - min(amount, 0),
            self.credits_posted + max(amount, 0),
            self.debits_pending,
            self.credits_pending,
        )

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


def check_balanced(postings: Sequence[Posting]) -> None:
    if not 2 <= len(postings) <= MAX_POSTINGS:
        raise BooksRefusal(reason=f"{len(postings)} postings; 2 to {MAX_POSTINGS} are allowed")
    totals: defaultdict[str, int] = defaultdict(int)
    for posting in postings:
        totals[posting.asset] += posting.amount
    uneven = {asset: total for asset, total in totals.items() if total}
    if uneven:
        raise BooksRefusal(reason=f"postings do not sum to zero: {uneven}")


def check_within(held: Reservation, postings: Iterable[Posting]) -> None:
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
