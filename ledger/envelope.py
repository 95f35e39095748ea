"""What actors sign (DSSE) and what the log holds (a leaf).

An actor signs `DSSEv1 SP len(type) SP type SP len(payload) SP payload`. A leaf is the canonical JSON of the
envelope and of `at`, the time that the sequencer gave it:

    {"at": ms, "payload": base64, "payloadType": type, "signatures": [{"keyid", "sig"}, ...]}

Signatures are sorted by key id, one for each key. What a signature means comes from the key's registration in
the log.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter
from typing import Final

from ledger.canonical import MAX_INTEGER, JsonValue, decode, encode
from ledger.errors import MalformedEnvelope, SignatureRefused, SignerUnknown
from ledger.keys import SIGNATURE_BYTES, SigningKey, keyid, verify_signature
from ledger.strict_base64 import from_base64, to_base64

PAYLOAD_TYPE: Final = "application/vnd.tanhui.ledger-entry.v1+json"
MAX_PAYLOAD_BYTES: Final = 32 * 1024
MAX_LEAF_BYTES: Final = 65_535
_KEYID: Final = re.compile("[0-9a-f]{64}")
_MAX_TYPE_CHARACTERS: Final = 200


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature: the key's id (hexadecimal SHA-256 of the key) and 64 bytes."""

    keyid: str
    sig: bytes

    def __post_init__(self) -> None:
        if not _KEYID.fullmatch(self.keyid):
            raise MalformedEnvelope(reason="a key id is 64 hexadecimal digits")
        if len(self.sig) != SIGNATURE_BYTES:
            raise MalformedEnvelope(reason="a signature has 64 bytes")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload with its type and signatures, sorted by key id.

    Construction checks the form, `verify` the signatures.
    """

    payload: bytes
    payload_type: str = PAYLOAD_TYPE
    signatures: tuple[Signature, ...] = ()

    def __post_init__(self) -> None:
        if len(self.payload) > MAX_PAYLOAD_BYTES:
            raise MalformedEnvelope(reason=f"a payload of more than {MAX_PAYLOAD_BYTES} bytes")
        kind = self.payload_type
        if not (0 < len(kind) <= _MAX_TYPE_CHARACTERS and kind.isascii() and kind.isprintable()):
            raise MalformedEnvelope(reason="a payload type is a short ASCII text")
        ids = [signature.keyid for signature in self.signatures]
        if any(one >= two for one, two in pairwise(ids)):
            raise MalformedEnvelope(reason="signatures are sorted by key id, one for each key")

    def sign(self, *keys: SigningKey) -> "Envelope":
        """This envelope with signatures by `keys` added, each in its place."""
        message = pae(self.payload_type, self.payload)
        added = (Signature(key.keyid, key.sign(message)) for key in keys)
        return replace(self, signatures=tuple(sorted((*self.signatures, *added), key=attrgetter("keyid"))))

    def verify(self, public_keys: Mapping[str, bytes]) -> None:
        """Check every signature with the key of its id; there is at least one.

        Raises `SignerUnknown` for no signature or a key id that is not in `public_keys`, `SignatureRefused`
        for a signature that does not verify.
        """
        if not self.signatures:
            raise SignerUnknown(signer="(none)")
        message = pae(self.payload_type, self.payload)
        for signature in self.signatures:
            public_key = public_keys.get(signature.keyid)
            if public_key is None:
                raise SignerUnknown(signer=signature.keyid)
            if keyid(public_key) != signature.keyid:
                raise SignatureRefused(signer=signature.keyid)
            verify_signature(public_key, signature.sig, message)

    def to_json(self) -> dict[str, JsonValue]:
        """The DSSE JSON form."""
        return {
            "payload": to_base64(self.payload),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": s.keyid, "sig": to_base64(s.sig)} for s in self.signatures],
        }

    @classmethod
    def from_json(cls, value: JsonValue) -> "Envelope":
        """The envelope of a DSSE JSON form: exactly its keys, strict base64. Raises `MalformedEnvelope`."""
        match value:
            case {"payload": str(payload), "payloadType": str(kind), "signatures": list(items), **rest} if (
                not rest
            ):
                return cls(_bytes(payload), kind, tuple(map(_signature, items)))
        raise MalformedEnvelope(reason="payload, payloadType and signatures are expected")


def encode_leaf(at_ms: int, envelope: Envelope) -> bytes:
    """The log's bytes for one signed entry at the sequencer's time (milliseconds since 1970, UTC)."""
    if type(at_ms) is not int or not 0 <= at_ms <= MAX_INTEGER:
        raise MalformedEnvelope(reason="the time is a whole number of milliseconds")
    if not envelope.signatures:
        raise MalformedEnvelope(reason="a leaf has at least one signature")
    leaf = encode({"at": at_ms, **envelope.to_json()})
    if len(leaf) > MAX_LEAF_BYTES:
        raise MalformedEnvelope(reason=f"a leaf of more than {MAX_LEAF_BYTES} bytes")
    return leaf


def decode_leaf(leaf: bytes) -> tuple[int, Envelope]:
    """The time and the envelope of a leaf; inverse of `encode_leaf` to the byte. No signature is checked.

    Raises `NotCanonical` or `MalformedEnvelope`.
    """
    if len(leaf) > MAX_LEAF_BYTES:
        raise MalformedEnvelope(reason=f"a leaf of more than {MAX_LEAF_BYTES} bytes")
    value = decode(leaf)
    if not isinstance(value, dict):
        raise MalformedEnvelope(reason="a leaf is an object")
    at_ms = value.pop("at", None)
    if type(at_ms) is not int or at_ms < 0:
        raise MalformedEnvelope(reason="the time is a whole number of milliseconds")
    envelope = Envelope.from_json(value)
    if not envelope.signatures:
        raise MalformedEnvelope(reason="a leaf has at least one signature")
    return at_ms, envelope


def _signature(value: JsonValue) -> Signature:
    match value:
        case {"keyid": str(name), "sig": str(sig), **rest} if not rest:
            return Signature(name, _bytes(sig))
    raise MalformedEnvelope(reason="a signature has keyid and sig")


def _bytes(text: str) -> bytes:
    data = from_base64(text)
    if data is None:
        raise MalformedEnvelope(reason="base64 in another spelling")
    return data
