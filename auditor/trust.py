"""From the key that somebody knows to the keys that the log has now.

A log announces a new key with an endorsement by a key in force. Who holds the old key alone follows the
endorsements: each is a signature, and needs nobody's word that it was logged.
"""

import re
from collections.abc import Sequence
from typing import Final

from auditor.effects import Contradiction
from auditor.entries import read_entry
from auditor.register import endorser_of
from ledger.client import LogClient
from ledger.errors import LedgerRefusal
from ledger.note import NoteVerifier
from ledger.tiles import TILE_WIDTH

_PAYLOAD: Final = re.compile(rb'"payload":"([A-Za-z0-9+/]{4,})')


def successors(client: LogClient, size: int, known: Sequence[NoteVerifier]) -> list[NoteVerifier]:
    """`known` and every key that the log's entries endorse from them on, oldest first.

    Raises `LogWrong`, `OSError` when the log cannot be read.
    """
    trusted = list(known)
    for n in range(-(-size // TILE_WIDTH)):
        for index, leaf in enumerate(client.bundle(n, size), n * TILE_WIDTH):
            if _may_announce(leaf):
                new = _announced(index, leaf, trusted)
                if new is not None and new not in trusted:
                    trusted.append(new)
    return trusted


def _may_announce(leaf: bytes) -> bool:
    """Payloads begin with their action, which the first letters of the base64 show."""
    match = _PAYLOAD.search(leaf)
    return match is not None and match[1].startswith(_BEGINS)


_BEGINS: Final = b"eyJhY3Rpb24iOiJhZGRfa2V5I"
"""base64 of `{"action":"add_key"`, as far as it does not depend on what follows."""


def _announced(index: int, leaf: bytes, trusted: Sequence[NoteVerifier]) -> NoteVerifier | None:
    try:
        entry = read_entry(index, leaf)
        new = NoteVerifier.parse(str(entry.facts.get("vkey")))
    except (Contradiction, LedgerRefusal):
        return None
    same = entry.type == "log.key" and new.name == trusted[0].name
    return new if same and endorser_of(entry.facts, trusted) is not None else None
