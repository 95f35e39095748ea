"""Commitments: what binds a record that is personal or bulky to the log without putting it there.

The commitment is HMAC-SHA-256 under 32 random bytes over the record's canonical JSON. A plain hash would not
do, since identity numbers can be enumerated. Who deletes record and key leaves a commitment that says
nothing.
"""

import hmac
import secrets
from typing import Final

from ledger.canonical import JsonValue, encode
from ledger.errors import CommitmentRefused

KEY_BYTES: Final = 32


def new_commitment_key() -> bytes:
    """32 random bytes, kept beside the record."""
    return secrets.token_bytes(KEY_BYTES)


def commit(key: bytes, record: JsonValue) -> str:
    """The commitment to `record` under `key` (32 bytes), 64 hexadecimal digits."""
    if len(key) != KEY_BYTES:
        raise CommitmentRefused(reason="a commitment key has 32 bytes")
    return hmac.digest(key, encode(record), "sha256").hex()


def verify_commitment(commitment: str, key: bytes, record: JsonValue) -> None:
    """Check that `commitment` is to this record under this key. Raises `CommitmentRefused`."""
    if not hmac.compare_digest(commit(key, record).encode(), commitment.encode("utf-8", "replace")):
        raise CommitmentRefused(reason="the record or its key is another one")
