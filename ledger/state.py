"""The digest that `state` entries carry: accounts, live blocks and open reservations at one size of the log.

Whoever replays the log must come to the same one. It is SHA-256 over the RFC 8785 JSON of

    {"accounts": [...], "blocks": [...], "pendings": [...]}

each list sorted by name in the order of ASCII, its items as `_account`, `_block` and `_pending` spell them.
The text is hashed item by item and never held whole, whether the items come from books or from a database.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from ledger.books import Account, Block, Books, Reservation
from ledger.canonical import JsonValue


def state_facts(
    size: int, accounts: Iterable[Account], blocks: Iterable[Block], pendings: Iterable[Reservation]
) -> dict[str, JsonValue]:
    """The facts of a `state` entry at index `size`. All accounts, live blocks and open reservations are
    given, each kind sorted by name.
    """
    digest = hashlib.sha256()
    counts = []
    for opening, items, spell in (
        (b'{"accounts":[', accounts, _account),
        (b'],"blocks":[', blocks, _block),
        (b'],"pendings":[', pendings, _pending),
    ):
        digest.update(opening)
        counts.append(_update(digest.update, items, spell))
    digest.update(b"]}")
    return {
        "size": size,
        "accounts": counts[0],
        "blocks": counts[1],
        "pendings": counts[2],
        "sha256": digest.hexdigest(),
    }


def state_of(books: Books, size: int) -> dict[str, JsonValue]:
    """The same for books that hold everything themselves, as those of a replay from zero do."""
    return state_facts(
        size,
        (books.accounts[name] for name in sorted(books.accounts)),
        (block for name in sorted(books.blocks) if (block := books.blocks[name]).live),
        (held for name in sorted(books.reservations) if (held := books.reservations[name]).status == "open"),
    )


def _update(update: Callable[[bytes], None], items: Iterable[Any], spell: Callable[[Any], JsonValue]) -> int:
    count = 0
    for count, item in enumerate(items, 1):
        text = _encode(spell(item))
        update((text if count == 1 else f",{text}").encode("ascii"))
    return count


def _account(account: Account) -> JsonValue:
    return {
        "account": account.account,
        "asset": account.asset,
        "credits_pending": account.credits_pending,
        "credits_posted": account.credits_posted,
        "debits_pending": account.debits_pending,
        "debits_posted": account.debits_posted,
        "limit": account.limit.value,
        "numbered": account.numbered,
        "owner": account.owner,
    }


def _block(block: Block) -> JsonValue:
    return {
        "account": block.account,
        "asset": block.asset,
        "batch": block.batch,
        "block": block.block,
        "end": block.units.end,
        "pending": block.pending,
        "series": block.series,
        "start": block.units.start,
    }


def _pending(held: Reservation) -> JsonValue:
    return {
        "blocks": list(held.blocks),
        "deadline": held.deadline_ms,
        "lock": held.lock,
        "pending": held.pending,
        "postings": [posting.to_json() for posting in held.postings],
        "ref": held.ref,
    }


_encode: Final = json.JSONEncoder(check_circular=False, sort_keys=True, separators=(",", ":")).encode
"""RFC 8785 for what stands in the books: printable ASCII and whole numbers that entries have stated."""
