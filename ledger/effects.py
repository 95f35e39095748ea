"""What an entry may do to accounts, blocks and states: its effects, and their one spelling in JSON.

An effect is data. What it means is in `ledger.books`, which applies it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from ledger.canonical import JsonValue
from ledger.errors import LedgerRefusal
from ledger.units import UnitRange


class Limit(StrEnum):
    """What an account may not do."""

    NONE = "none"
    FLOOR = "floor"
    SINK = "sink"


class Lock(StrEnum):
    """Why blocks or amounts are reserved. There are no other reasons."""

    ORDER = "order"
    OPTION = "option"
    PLEDGE = "pledge"
    RETIRE = "retire"
    FREEZE = "freeze"
    SUBSCRIPTION = "subscription"
    """Of the money that a subscriber has put up: logs that were begun before say so, too."""


class BooksRefusal(LedgerRefusal):
    """An effect that the books do not allow."""

    code: ClassVar[str] = "books_refused"
    template: ClassVar[str] = "The books do not allow this: {reason}."


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of a transfer: positive credits the account, negative debits it."""

    account: str
    asset: str
    amount: int

    def to_json(self) -> JsonValue:
        return {"account": self.account, "asset": self.asset, "amount": self.amount}


@dataclass(frozen=True, slots=True)
class Move:
    """A whole block changes its account."""

    block: str
    to: str

    def to_json(self) -> JsonValue:
        return {"block": self.block, "to": self.to}


@dataclass(frozen=True, slots=True)
class Child:
    """One part of a split."""

    block: str
    units: UnitRange

    def to_json(self) -> JsonValue:
        return {"block": self.block, "start": self.units.start, "end": self.units.end}


@dataclass(frozen=True, slots=True)
class OpenAccount:
    account: str
    asset: str
    limit: Limit
    numbered: bool
    owner: str

    def to_json(self) -> JsonValue:
        return {
            "type": "account.open",
            "account": self.account,
            "asset": self.asset,
            "limit": self.limit.value,
            "numbered": self.numbered,
            "owner": self.owner,
        }


@dataclass(frozen=True, slots=True)
class OpenBlock:
    """New numbers of a series, created in `account` against `source` (the issuance account of the asset)."""

    block: str
    series: str
    batch: str
    units: UnitRange
    asset: str
    account: str
    source: str

    def to_json(self) -> JsonValue:
        return {
            "type": "block.open",
            "block": self.block,
            "series": self.series,
            "batch": self.batch,
            "start": self.units.start,
            "end": self.units.end,
            "asset": self.asset,
            "account": self.account,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class SplitBlock:
    block: str
    children: tuple[Child, ...]

    def to_json(self) -> JsonValue:
        return {"type": "block.split", "block": self.block, "children": [c.to_json() for c in self.children]}


@dataclass(frozen=True, slots=True)
class MergeBlocks:
    """Free blocks that adjoin, of one batch and account, become the block `block`; `parents` are no longer
    live.
    """

    block: str
    parents: tuple[str, ...]

    def to_json(self) -> JsonValue:
        return {"type": "block.merge", "block": self.block, "parents": list(self.parents)}


@dataclass(frozen=True, slots=True)
class Transfer:
    transfer: str
    postings: tuple[Posting, ...]
    moves: tuple[Move, ...] = ()

    def to_json(self) -> JsonValue:
        return {
            "type": "transfer",
            "transfer": self.transfer,
            "postings": [p.to_json() for p in self.postings],
            "moves": [m.to_json() for m in self.moves],
        }


@dataclass(frozen=True, slots=True)
class Pend:
    """Reserve amounts and lock whole blocks until they are posted, voided, or, past `deadline_ms`,
    expired. `lock` is a value of `Lock`.
    """

    pending: str
    postings: tuple[Posting, ...]
    blocks: tuple[str, ...]
    lock: str
    ref: str
    deadline_ms: int | None = None

    def to_json(self) -> JsonValue:
        return {
            "type": "pending",
            "pending": self.pending,
            "postings": [p.to_json() for p in self.postings],
            "blocks": list(self.blocks),
            "lock": self.lock,
            "ref": self.ref,
            "deadline": self.deadline_ms,
        }


@dataclass(frozen=True, slots=True)
class Post:
    """Carry out a reservation, whole or in part; what is not carried out is free again."""

    pending: str
    postings: tuple[Posting, ...]
    moves: tuple[Move, ...] = ()

    def to_json(self) -> JsonValue:
        return {
            "type": "post",
            "pending": self.pending,
            "postings": [p.to_json() for p in self.postings],
            "moves": [m.to_json() for m in self.moves],
        }


@dataclass(frozen=True, slots=True)
class Void:
    pending: str

    def to_json(self) -> JsonValue:
        return {"type": "void", "pending": self.pending}


@dataclass(frozen=True, slots=True)
class Expire:
    """As a void, but only at or after the deadline: nobody's decision but the clock's."""

    pending: str

    def to_json(self) -> JsonValue:
        return {"type": "expire", "pending": self.pending}


@dataclass(frozen=True, slots=True)
class Transition:
    """A step of another subject that this entry causes. The books pass it on; `replay` checks it."""

    machine: str
    subject: str
    action: str
    before: str
    after: str

    def to_json(self) -> JsonValue:
        return {
            "type": "transition",
            "machine": self.machine,
            "subject": self.subject,
            "action": self.action,
            "before": self.before,
            "after": self.after,
        }


Effect = (
    OpenAccount
    | OpenBlock
    | SplitBlock
    | MergeBlocks
    | Transfer
    | Pend
    | Post
    | Void
    | Expire
    | Transition
)  # fmt: skip


class MalformedEffect(BooksRefusal):
    """An effect object that has not exactly its fields."""

    code: ClassVar[str] = "effect_malformed"
    template: ClassVar[str] = "The effect {effect} is malformed: {reason}."


def parse_effect(value: JsonValue) -> Effect:
    """The effect that a JSON object spells; exactly its keys, exactly their types, else `MalformedEffect`."""
    if not isinstance(value, dict):
        raise MalformedEffect(effect=str(value)[:80], reason="not an object")
    effect = _build_effect(value)
    if effect.to_json() != value:
        raise MalformedEffect(effect=str(value.get("type")), reason="it has fields or spellings of its own")
    return effect


def is_name(text: str) -> bool:
    """Whether a text may stand as a name in an entry: 1 to 200 printable ASCII characters.

    NUL and other control characters have no place in a name, and not every database would take them.
    """
    return _NAME.fullmatch(text) is not None


_NAME: Final = re.compile("[ -~]{1,200}")


def _build_effect(value: dict[str, JsonValue]) -> Effect:
    kind = value.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise MalformedEffect(effect=str(kind), reason="an unknown type")
    try:
        return reader(value)
    except (KeyError, TypeError, ValueError) as fault:
        raise MalformedEffect(effect=str(kind), reason=str(fault)) from fault


def _text(value: JsonValue) -> str:
    if not isinstance(value, str) or not is_name(value):
        raise TypeError("a short printable ASCII text is expected")
    return value


def _names(value: JsonValue) -> tuple[str, ...]:
    return tuple(_text(name) for name in _list(value))


def _whole(value: JsonValue) -> int:
    if type(value) is not int:
        raise TypeError("a whole number is expected")
    return value


def _flag(value: JsonValue) -> bool:
    if type(value) is not bool:
        raise TypeError("true or false is expected")
    return value


def _list(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise TypeError("a list is expected")
    return value


def _objects(value: JsonValue) -> list[dict[str, JsonValue]]:
    objects = _list(value)
    if not all(isinstance(item, dict) for item in objects):
        raise TypeError("a list of objects is expected")
    return objects  # type: ignore[return-value]


def _units(value: dict[str, JsonValue]) -> UnitRange:
    return UnitRange(_whole(value["start"]), _whole(value["end"]))


def _postings(value: dict[str, JsonValue]) -> tuple[Posting, ...]:
    return tuple(
        Posting(_text(p["account"]), _text(p["asset"]), _whole(p["amount"]))
        for p in _objects(value["postings"])
    )


def _moves(value: dict[str, JsonValue]) -> tuple[Move, ...]:
    return tuple(Move(_text(m["block"]), _text(m["to"])) for m in _objects(value["moves"]))


# ---- one reader for each type ------------------------------------------------------------------------------

Fields = dict[str, JsonValue]


def _open_account(value: Fields) -> Effect:
    return OpenAccount(
        _text(value["account"]), _text(value["asset"]), Limit(_text(value["limit"])),
        _flag(value["numbered"]), _text(value["owner"]),
    )  # fmt: skip


def _open_block(value: Fields) -> Effect:
    return OpenBlock(
        _text(value["block"]), _text(value["series"]), _text(value["batch"]), _units(value),
        _text(value["asset"]), _text(value["account"]), _text(value["source"]),
    )  # fmt: skip


def _split_block(value: Fields) -> Effect:
    children = tuple(Child(_text(c["block"]), _units(c)) for c in _objects(value["children"]))
    return SplitBlock(_text(value["block"]), children)


def _merge_blocks(value: Fields) -> Effect:
    return MergeBlocks(_text(value["block"]), _names(value["parents"]))


def _transfer(value: Fields) -> Effect:
    return Transfer(_text(value["transfer"]), _postings(value), _moves(value))


def _pend(value: Fields) -> Effect:
    deadline = value["deadline"]
    return Pend(
        _text(value["pending"]), _postings(value), _names(value["blocks"]), Lock(_text(value["lock"])).value,
        _text(value["ref"]), None if deadline is None else _whole(deadline),
    )  # fmt: skip


def _post(value: Fields) -> Effect:
    return Post(_text(value["pending"]), _postings(value), _moves(value))


def _void(value: Fields) -> Effect:
    return Void(_text(value["pending"]))


def _expire(value: Fields) -> Effect:
    return Expire(_text(value["pending"]))


def _transition(value: Fields) -> Effect:
    return Transition(*(_text(value[key]) for key in ("machine", "subject", "action", "before", "after")))


_READERS: Final[Mapping[str, Callable[[Fields], Effect]]] = {
    "account.open": _open_account,
    "block.open": _open_block,
    "block.split": _split_block,
    "block.merge": _merge_blocks,
    "transfer": _transfer,
    "pending": _pend,
    "post": _post,
    "void": _void,
    "expire": _expire,
    "transition": _transition,
}
