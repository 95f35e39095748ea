"""The digest that `state` entries carry: accounts, live blocks and open reservations as the books hold them.

Replay must reproduce it, so that whoever starts from such an entry starts from what the log says.
"""

import json
from hashlib import sha256
from typing import Any, Final

from auditor.books import Account, Block, Books, Reservation
from auditor.effects import Contradiction
from auditor.entries import Entry

_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def check_state(entry: Entry, books: Books) -> None:
    """Hold a `state` entry to the books. Raises `Contradiction`."""
    wanted = {"size": entry.index, **state_facts(books)}
    if entry.facts != wanted:
        raise Contradiction(f"the state is {wanted}; it states {entry.facts}")


def state_facts(books: Books) -> dict[str, Any]:
    """Counts and digest of these books: each kind sorted by name, one item after the other."""
    accounts, blocks = sorted(books.accounts.items()), sorted(books.blocks.items())
    pendings = sorted(books.reservations.items())
    digest = sha256()
    for opening, items in (
        ('{"accounts":[', [_account(account) for _, account in accounts]),
        ('],"blocks":[', [_block(block) for _, block in blocks]),
        ('],"pendings":[', [_pending(held) for _, held in pendings]),
    ):
        digest.update((opening + ",".join(map(_encode, items))).encode("ascii"))
    digest.update(b"]}")
    return {
        "accounts": len(accounts),
        "blocks": len(blocks),
        "pendings": len(pendings),
        "sha256": digest.hexdigest(),
    }


def _account(account: Account) -> dict[str, Any]:
    return {
        "account": account.name,
        "asset": account.asset,
        "credits_pending": account.credits_pending,
        "credits_posted": account.credits_posted,
        "debits_pending": account.debits_pending,
        "debits_posted": account.debits_posted,
        "limit": account.limit,
        "numbered": account.numbered,
        "owner": account.owner,
    }


def _block(block: Block) -> dict[str, Any]:
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


def _pending(held: Reservation) -> dict[str, Any]:
    return {
        "blocks": held.blocks,
        "deadline": held.deadline_ms,
        "lock": held.lock,
        "pending": held.pending,
        "postings": [posting._asdict() for posting in held.postings],
        "ref": held.ref,
    }
