"""The offline check of one entry: a proof file, the entry's bytes, and the log's verifier key.

It imports hashing and signatures only: no database, no network, no clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.canonical import JsonValue, decode
from ledger.checkpoint import open_checkpoint
from ledger.envelope import PAYLOAD_TYPE, Envelope, decode_leaf
from ledger.errors import MalformedEnvelope, MalformedProof
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.note import NoteVerifier, parse_vkeys
from ledger.policy import Policy
from ledger.proof import TlogProof


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """An entry of the log: at `index` of `size`, sequenced at `at_ms` (milliseconds since 1970, UTC)."""

    index: int
    size: int
    at_ms: int
    payload: dict[str, JsonValue]
    envelope: Envelope


def verify_entry(
    proof_bytes: bytes,
    entry_bytes: bytes,
    vkey: str,
    *,
    witnesses: Sequence[str] = (),
    policy: Policy | None = None,
    actor_keys: Mapping[str, bytes] | None = None,
) -> VerifiedEntry:
    """Check that an entry is in the log, with nothing but the log's public key.

    1. The proof file is in its one spelling and carries no extra data, which nothing would vouch for.
    2. Its checkpoint is signed by `vkey`, whose name is the log's origin (c2sp.org/tlog-checkpoint), and by
       every one of `witnesses` (verifier keys); with `policy`, which must know the log, by its quorum. Of a
       log with several keys, one on each line of `vkey`, one is enough.
    3. The entry's hash leads through the proof to the checkpoint's root (RFC 9162, 2.1.3.2).
    4. The entry is a leaf in its one spelling: time, payload, type, signatures.
    5. The payload is of the ledger's type and is canonical JSON.
    6. With `actor_keys` (key id to public key) every actor's signature verifies. Without, the log vouches for
       having checked them; whose the keys are stands in the log.

    Signature lines by other keys are not looked at. Raises a `LedgerRefusal`.
    """
    proof = TlogProof.parse(proof_bytes)
    if proof.extra is not None:
        raise MalformedProof(reason="extra data, which nothing vouches for")
    verifiers = parse_vkeys(vkey)
    checkpoint = open_checkpoint(
        proof.checkpoint_note, verifiers, [NoteVerifier.parse(witness) for witness in witnesses]
    )
    if policy is not None:
        policy.require_log(*verifiers)
        policy.require(proof.checkpoint_note)
    verify_inclusion(proof.index, checkpoint.size, leaf_hash(entry_bytes), proof.hashes, checkpoint.root)
    at_ms, envelope = decode_leaf(entry_bytes)
    payload = decode(envelope.payload)
    if envelope.payload_type != PAYLOAD_TYPE or not isinstance(payload, dict):
        raise MalformedEnvelope(reason=f"the payload is not an object of type {PAYLOAD_TYPE}")
    if actor_keys is not None:
        envelope.verify(actor_keys)
    return VerifiedEntry(proof.index, checkpoint.size, at_ms, payload, envelope)
