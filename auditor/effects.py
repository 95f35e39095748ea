"""What an entry does to accounts, blocks and states, read a second time from its JSON.

`read_effects` answers the effects and the one text that spells them: whoever compares that text with what was
signed has checked fields, types and spelling at once. Texts hold neither quotes nor backslashes on this path
(`entries` sends the rare entry that has some another way).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ledger.canonical import MAX_INTEGER
from ledger.errors import LedgerRefusal
from ledger.units import UnitRange

LOCKS: Final = frozenset({"order", "option", "pledge", "retire", "freeze", "subscription"})
LIMITS: Final = frozenset({"none", "floor", "sink"})
MOST_CHARACTERS: Final = 200


class Contradiction(Exception):
    """An entry that is not spelled as it must be, or that does not follow from the log before it."""


class Posting(NamedTuple):
    account: str
    asset: str
    amount: int


class Move(NamedTuple):
    block: str
    to: str


class Child(NamedTuple):
    block: str
    units: UnitRange


class OpenAccount(NamedTuple):
    account: str
    asset: str
    limit: str
    numbered: bool
    owner: str


class OpenBlock(NamedTuple):
    block: str
    series: str
    batch: str
    units: UnitRange
    asset: str
    account: str
    source: str


class SplitBlock(NamedTuple):
    block: str
    children: tuple[Child, ...]


class MergeBlocks(NamedTuple):
    block: str
    parents: tuple[str, ...]


class Transfer(NamedTuple):
    transfer: str
    postings: tuple[Posting, ...]
    moves: tuple[Move, ...]


class Pend(NamedTuple):
    pending: str
    postings: tuple[Posting, ...]
    blocks: tuple[str, ...]
    lock: str
    ref: str
    deadline_ms: int | None


class Post(NamedTuple):
    pending: str
    postings: tuple[Posting, ...]
    moves: tuple[Move, ...]


class Void(NamedTuple):
    pending: str


class Expire(NamedTuple):
    pending: str


class Transition(NamedTuple):
    machine: str
    subject: str
    action: str
    before: str
    after: str


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
Read = tuple[Effect, str]


def read_effects(values: Sequence[Any]) -> tuple[tuple[Effect, ...], str]:
    """The effects and their canonical text. Raises `Contradiction`."""
    if not values:
        return (), "[]"
    try:
        read = [_READERS[value["type"]](value) for value in values]
    except (KeyError, TypeError, AttributeError, ValueError, LedgerRefusal) as fault:
        raise Contradiction(f"an effect is malformed: {type(fault).__name__} {fault}") from None
    return tuple([effect for effect, _ in read]), "[" + ",".join([text for _, text in read]) + "]"


def name_of(value: object) -> str:
    """A text of 1 to 200 characters; that they are printable ASCII is known of the whole payload."""
    if type(value) is not str or not 0 < len(value) <= MOST_CHARACTERS:
        raise Contradiction(f"{str(value)[:80]!r} is not a short text")
    return value


def whole(value: object) -> int:
    if type(value) is not int or not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise Contradiction(f"{str(value)[:80]!r} is not a whole number up to 2^53 - 1")
    return value


def _listed(value: object) -> list[Any]:
    if type(value) is not list:
        raise Contradiction("a list is expected")
    return value


def _postings(value: object) -> tuple[tuple[Posting, ...], str]:
    postings, texts = [], []
    for item in _listed(value):
        account, asset, amount = name_of(item["account"]), name_of(item["asset"]), whole(item["amount"])
        postings.append(Posting(account, asset, amount))
        texts.append(f'{{"account":"{account}","amount":{amount},"asset":"{asset}"}}')
    return tuple(postings), ",".join(texts)


def _moves(value: object) -> tuple[tuple[Move, ...], str]:
    moves = tuple([Move(name_of(item["block"]), name_of(item["to"])) for item in _listed(value)])
    return moves, ",".join([f'{{"block":"{move.block}","to":"{move.to}"}}' for move in moves])


def _names(value: object) -> tuple[tuple[str, ...], str]:
    names = tuple([name_of(item) for item in _listed(value)])
    return names, ",".join([f'"{name}"' for name in names])


def _units(value: Mapping[str, Any]) -> UnitRange:
    return UnitRange(whole(value["start"]), whole(value["end"]))


def _open_account(value: Mapping[str, Any]) -> Read:
    numbered = value["numbered"]
    if type(numbered) is not bool or value["limit"] not in LIMITS:
        raise Contradiction("an account's limit is none, floor or sink, and it is numbered or not")
    effect = OpenAccount(
        name_of(value["account"]), name_of(value["asset"]), value["limit"], numbered, name_of(value["owner"])
    )
    return effect, (
        f'{{"account":"{effect.account}","asset":"{effect.asset}","limit":"{effect.limit}",'
        f'"numbered":{"true" if numbered else "false"},"owner":"{effect.owner}","type":"account.open"}}'
    )


def _open_block(value: Mapping[str, Any]) -> Read:
    texts = [name_of(value[key]) for key in ("block", "series", "batch", "asset", "account", "source")]
    block, series, batch, asset, account, source = texts
    units = _units(value)
    return OpenBlock(block, series, batch, units, asset, account, source), (
        f'{{"account":"{account}","asset":"{asset}","batch":"{batch}","block":"{block}","end":{units.end},'
        f'"series":"{series}","source":"{source}","start":{units.start},"type":"block.open"}}'
    )


def _split(value: Mapping[str, Any]) -> Read:
    children = tuple([Child(name_of(item["block"]), _units(item)) for item in _listed(value["children"])])
    block = name_of(value["block"])
    text = ",".join(
        [f'{{"block":"{c.block}","end":{c.units.end},"start":{c.units.start}}}' for c in children]
    )
    return SplitBlock(block, children), f'{{"block":"{block}","children":[{text}],"type":"block.split"}}'


def _merge(value: Mapping[str, Any]) -> Read:
    block, (parents, text) = name_of(value["block"]), _names(value["parents"])
    return MergeBlocks(block, parents), f'{{"block":"{block}","parents":[{text}],"type":"block.merge"}}'


def _transfer(value: Mapping[str, Any]) -> Read:
    name, (postings, lines) = name_of(value["transfer"]), _postings(value["postings"])
    moves, moved = _moves(value["moves"]) if value["moves"] != [] else ((), "")
    return Transfer(name, postings, moves), (
        f'{{"moves":[{moved}],"postings":[{lines}],"transfer":"{name}","type":"transfer"}}'
    )


def _pend(value: Mapping[str, Any]) -> Read:
    deadline = value["deadline"]
    if value["lock"] not in LOCKS:
        raise Contradiction("a reservation is for a reason of its own")
    (postings, lines), (blocks, locked) = _postings(value["postings"]), _names(value["blocks"])
    effect = Pend(
        name_of(value["pending"]), postings, blocks, name_of(value["lock"]), name_of(value["ref"]),
        None if deadline is None else whole(deadline),
    )  # fmt: skip
    return effect, (
        f'{{"blocks":[{locked}],"deadline":{"null" if deadline is None else deadline},"lock":"{effect.lock}",'
        f'"pending":"{effect.pending}","postings":[{lines}],"ref":"{effect.ref}","type":"pending"}}'
    )


def _post(value: Mapping[str, Any]) -> Read:
    name, (postings, lines) = name_of(value["pending"]), _postings(value["postings"])
    moves, moved = _moves(value["moves"])
    return Post(name, postings, moves), (
        f'{{"moves":[{moved}],"pending":"{name}","postings":[{lines}],"type":"post"}}'
    )


def _void(value: Mapping[str, Any]) -> Read:
    name = name_of(value["pending"])
    return Void(name), f'{{"pending":"{name}","type":"void"}}'


def _expire(value: Mapping[str, Any]) -> Read:
    name = name_of(value["pending"])
    return Expire(name), f'{{"pending":"{name}","type":"expire"}}'


def _transition(value: Mapping[str, Any]) -> Read:
    texts = [name_of(value[key]) for key in ("machine", "subject", "action", "before", "after")]
    machine, subject, action, before, after = texts
    return Transition(machine, subject, action, before, after), (
        f'{{"action":"{action}","after":"{after}","before":"{before}","machine":"{machine}",'
        f'"subject":"{subject}","type":"transition"}}'
    )


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Read]]] = {
    "account.open": _open_account,
    "block.open": _open_block,
    "block.split": _split,
    "block.merge": _merge,
    "transfer": _transfer,
    "pending": _pend,
    "post": _post,
    "void": _void,
    "expire": _expire,
    "transition": _transition,
}
