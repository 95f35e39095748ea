"""The digest that `state` entries carry: accounts, live blocks and open reservations as the books hold them.

Replay must reproduce it, so that whoever starts from such an entry starts from what the log says.
"""

import json
from hashlib import sha256
from typing import Any, Final

from auditor.books import Books
from auditor.effects import Contradiction
from auditor.entries import Entry

_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def check_state(entry: Entry, books: Books) -> None:
    """Hold a `state` entry to the books. Raises `Contradiction`."""
    wanted = {"size": entry.index, **state_facts(books)}
    if entry.facts != wanted:
        raise Contradiction(f"the state is {wanted}; it states {entry.facts}")


def state_facts(books: Books) -> dict[str, Any]:
    """Counts and digest of these books."""
    content = {
        "accounts": [_account(books, name) for name in sorted(books.accounts)],
        "blocks": [_block(books, name) for name in sorted(books.blocks)],
        "pendings": [_pending(books, name) for name in sorted(books.reservations)],
    }
    return {
        "accounts": len(books.accounts),
        "blocks": len(books.blocks),
        "pendings": len(books.reservations),
        "sha256": sha256(_encode(content).encode("ascii")).hexdigest(),
    }


def _account(books: Books, name: str) -> dict[str, Any]:
    account = books.accounts[name]
    return {
        "account": name,
        "asset": account.asset,
        "debits_posted": account.debits_posted,
        "credits_posted": account.credits_posted,
        "debits_pending": account.debits_pending,
        "credits_pending": account.credits_pending,
        "limit": account.limit,
        "numbered": account.numbered,
        "owner": account.owner,
    }


def _block(books: Books, name: str) -> dict[str, Any]:
    block = books.blocks[name]
    return {
        "block": name,
        "account": block.account,
        "asset": block.asset,
        "batch": block.batch,
        "series": block.series,
        "start": block.units.start,
        "end": block.units.end,
        "pending": block.pending,
    }


def _pending(books: Books, name: str) -> dict[str, Any]:
    held = books.reservations[name]
    return {
        "pending": name,
        "blocks": held.blocks,
        "deadline": held.deadline_ms,
        "lock": held.lock,
        "postings": [posting._asdict() for posting in held.postings],
        "ref": held.ref,
    }
