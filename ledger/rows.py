"""What the books hold, as rows of the tables, and back: the writer stores these rows, the audit expects
them.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from ledger.books import Account, Block, Books, Reservation
from ledger.canonical import JsonValue, decode, encode
from ledger.effects import Effect, Limit, OpenBlock, Post, Posting, Transfer
from ledger.log_keys import LogKey
from ledger.replay import ActorKey, Entry
from ledger.units import UnitRange

Row = dict[str, Any]


def account_of(row: sa.RowMapping) -> Account:
    return Account(
        row["account"],
        row["asset"],
        Limit(row["limit_kind"]),
        row["numbered"],
        row["owner"],
        row["debits_posted"],
        row["credits_posted"],
        row["debits_pending"],
        row["credits_pending"],
    )


def account_row(account: Account) -> Row:
    return {
        "account": account.account,
        "asset": account.asset,
        "limit_kind": account.limit.value,
        "numbered": account.numbered,
        "owner": account.owner,
        "debits_posted": account.debits_posted,
        "credits_posted": account.credits_posted,
        "debits_pending": account.debits_pending,
        "credits_pending": account.credits_pending,
    }


def block_of(row: sa.RowMapping) -> Block:
    return Block(
        row["block"],
        row["series"],
        row["batch"],
        UnitRange(row["start_number"], row["end_number"]),
        row["asset"],
        row["account"],
        row["parent"],
        row["pending"],
        row["live"],
    )


def block_row(block: Block) -> Row:
    return {
        "block": block.block,
        "series": block.series,
        "batch": block.batch,
        "start_number": block.units.start,
        "end_number": block.units.end,
        "asset": block.asset,
        "account": block.account,
        "parent": block.parent,
        "pending": block.pending,
        "live": block.live,
    }


def reservation_of(row: sa.RowMapping) -> Reservation:
    content = decode(row["content"])
    assert isinstance(content, dict)
    postings: Any = content["postings"]
    blocks: Any = content["blocks"]
    return Reservation(
        row["pending"],
        tuple(Posting(p["account"], p["asset"], p["amount"]) for p in postings),
        tuple(blocks),
        row["lock_kind"],
        row["ref"],
        row["deadline_ms"],
        row["status"],
    )


def reservation_row(held: Reservation) -> Row:
    content: JsonValue = {"postings": [p.to_json() for p in held.postings], "blocks": list(held.blocks)}
    return {
        "pending": held.pending,
        "content": encode(content),
        "lock_kind": held.lock,
        "ref": held.ref,
        "deadline_ms": held.deadline_ms,
        "status": held.status,
    }


def key_of(row: sa.RowMapping) -> ActorKey:
    return ActorKey(
        row["keyid"], row["public_key"], row["person"], row["custody"], row["idx"], row["ended_idx"]
    )


def key_row(key: ActorKey, index: int) -> Row:
    return {
        "keyid": key.keyid,
        "public_key": key.public_key,
        "person": key.person,
        "custody": key.custody,
        "idx": index,
        "ended_idx": key.ended_index,
    }


def log_key_of(row: sa.RowMapping) -> LogKey:
    return LogKey(row["vkey"], row["idx"], row["ended_idx"])


def log_key_row(key: LogKey) -> Row:
    return {"vkey": key.vkey, "idx": key.index, "ended_idx": key.ended_index}


def books_rows(books: Books) -> dict[str, list[Row]]:
    """The rows of everything in these books, by table name."""
    return {
        "account": [account_row(account) for account in books.accounts.values()],
        "block": [block_row(block) for block in books.blocks.values()],
        "reservation": [reservation_row(held) for held in books.reservations.values()],
        "series": [{"series": name, "last_number": last} for name, last in books.series.items()],
    }


def posting_rows(entry: Entry) -> list[Row]:
    return [
        {"idx": entry.index, "n": n, "account": p.account, "asset": p.asset, "amount": p.amount}
        for n, p in enumerate(posted_lines(entry.payload.effects))
    ]


def posted_lines(effects: Iterable[Effect]) -> Iterator[Posting]:
    """Every line that effects post at once, in order; opening a block posts its numbers to its source."""
    for effect in effects:
        if isinstance(effect, OpenBlock):
            yield Posting(effect.source, effect.asset, -effect.units.count)
            yield Posting(effect.account, effect.asset, effect.units.count)
        elif isinstance(effect, Transfer | Post):
            yield from effect.postings
