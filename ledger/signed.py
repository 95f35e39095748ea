"""A signed entry, looked at before its turn: parsed, and its signatures verified as far as keys are known.

Verifying takes longer than all the rest of an append, depends on nothing that is locked, and lets other
threads run. What it needs of a key is its bytes alone, and a key's id is their digest, so no wrong key can be
taken for the right one. Whether the key is registered, and still in force, is decided in the writer's turn.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ledger.entry import Payload
from ledger.envelope import PAYLOAD_TYPE, Envelope, Signature, pae
from ledger.errors import SignatureRefused
from ledger.keys import keyid, verify_signature
from ledger.replay import payload_of

PublicKeys = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Signed:
    """An envelope, what it says, and the ids of the keys whose signatures over it were verified."""

    envelope: Envelope
    payload: Payload
    checked: frozenset[str]


def look_at(envelope: Envelope, public_key: PublicKeys) -> Signed:
    """Parse an entry's envelope and verify what can be: `public_key` gives the bytes of a key id, if known.

    Raises `SignatureRefused` for a signature that does not verify, and what parsing raises.
    """
    payload = payload_of(envelope)
    checked = verified(envelope.payload, envelope.signatures, public_key)
    return Signed(envelope, payload, frozenset(signature.keyid for signature in checked))


def verified(content: bytes, signatures: Iterable[Signature], public_key: PublicKeys) -> frozenset[Signature]:
    """Those signatures over `content` whose keys are known; a wrong one is refused (`SignatureRefused`)."""
    message = pae(PAYLOAD_TYPE, content)
    checked = set()
    for signature in signatures:
        key = public_key(signature.keyid)
        if key is None:
            continue
        if keyid(key) != signature.keyid:
            raise SignatureRefused(signer=signature.keyid)
        verify_signature(key, signature.sig, message)
        checked.add(signature)
    return frozenset(checked)
