"""Actors' keys over time: who signs what, by position in the log.

A key signs entries after the one that registered it, up to and with the one that rotates or revokes it. What
it signed before stays valid: the verdict depends on positions alone, never on a clock.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from ledger.canonical import JsonValue
from ledger.effects import Transition, is_name
from ledger.entry import MalformedPayload, Payload
from ledger.envelope import Signature
from ledger.errors import ReplayRefusal
from ledger.keys import check_public_key
from ledger.keys import keyid as keyid_of

SUITE: Final = "ed25519"
CUSTODIES: Final = ("client", "webcrypto", "server")
REVOCATIONS: Final = ("lost", "compromised", "left", "superseded")
"""Why a key is revoked: its `reason_code`."""
PUBLIC_KEY: Final = re.compile(r"[0-9a-f]{64}")


class UnknownKey(ReplayRefusal):
    code: ClassVar[str] = "key_unknown"
    template: ClassVar[str] = "The key {keyid} is not registered in the log."


class KeyEnded(ReplayRefusal):
    """A signature by a key that was rotated or revoked before."""

    code: ClassVar[str] = "key_ended"
    template: ClassVar[str] = "The key {keyid} was ended by entry {index}; it signs nothing after that."


@dataclass(frozen=True, slots=True)
class ActorKey:
    """A registered key: whose it is and who holds it. The log says so, never a field beside a signature.

    `index` is the entry that registered it, `ended_index` the one that ended it.
    """

    keyid: str
    public_key: bytes
    person: str
    custody: str
    index: int = 0
    ended_index: int | None = None

    def require_running(self) -> None:
        if self.ended_index is not None:
            raise KeyEnded(keyid=self.keyid, index=self.ended_index)


def keys_of(payload: Payload, index: int) -> list[ActorKey]:
    """The keys that an entry registers: `facts.keys`. Raises `MalformedPayload`, `MalformedKey`."""
    keys = payload.facts.get("keys")
    if not isinstance(keys, list) or not keys:
        raise MalformedPayload(reason="keys are missing")
    return [_actor_key(item, index) for item in keys]


def added_key(payload: Payload, index: int) -> ActorKey:
    """The one key that a `key.add` registers; the entry's subject is its id."""
    keys = keys_of(payload, index)
    if [key.keyid for key in keys] != [payload.subject]:
        raise ReplayRefusal(reason="one key is added, and the subject is its id")
    return keys[0]


def rotated_key(payload: Payload, old: ActorKey, index: int) -> ActorKey:
    """The one new key of a rotation, which is the same person's and begins by the entry's one effect."""
    if set(payload.facts) != {"keys"}:
        raise MalformedPayload(reason="a rotation states its new key and nothing else")
    keys = keys_of(payload, index)
    if len(keys) != 1 or keys[0].person != old.person:
        raise ReplayRefusal(reason="a rotation has one new key, of the same person")
    if payload.effects != (succession(keys[0].keyid),):
        raise ReplayRefusal(reason="a rotation makes its new key active, and nothing else")
    return keys[0]


def succession(keyid: str) -> Transition:
    """How a rotation makes its new key active."""
    return Transition("key", keyid, "succeed", "none", "active")


def check_rotation_signatures(signatures: Sequence[Signature], old: str, new: str) -> None:
    """Exactly the old and the new key sign: the old one names its successor, which proves that it is held."""
    if {signature.keyid for signature in signatures} != {old, new}:
        raise ReplayRefusal(reason="a rotation is signed by the old and the new key and by no other")


def check_revocation(payload: Payload, index: int) -> None:
    """The reason is a known one, and what is suspect began before. Raises `MalformedPayload`."""
    if payload.reason_code not in REVOCATIONS or set(payload.facts) != {"suspect_from"}:
        raise MalformedPayload(reason=f"a revocation says one of {', '.join(REVOCATIONS)} and suspect_from")
    suspect_from = payload.facts["suspect_from"]
    if suspect_from is None:
        return
    if payload.reason_code != "compromised" or type(suspect_from) is not int:
        raise MalformedPayload(reason="only a compromise has an index from which entries are suspect")
    if not 0 <= suspect_from <= index:
        raise MalformedPayload(reason="what is suspect begins in the log before")


def _actor_key(item: JsonValue, index: int) -> ActorKey:
    if not isinstance(item, Mapping) or set(item) != {"public", "person", "custody", "suite"}:
        raise MalformedPayload(reason="a key has public, person, custody and suite")
    public, person, custody = item["public"], item["person"], item["custody"]
    if not (isinstance(public, str) and isinstance(person, str) and isinstance(custody, str)):
        raise MalformedPayload(reason="a key's fields are texts")
    if not is_name(person):
        raise MalformedPayload(reason="a key belongs to somebody")
    if item["suite"] != SUITE:
        raise MalformedPayload(reason=f"signature suite {item['suite']!r} is unknown")
    if custody not in CUSTODIES:
        raise MalformedPayload(reason=f"custody {custody!r} is unknown")
    if not PUBLIC_KEY.fullmatch(public):
        raise MalformedPayload(reason="a public key is 64 lower-case hexadecimal digits")
    public_key = bytes.fromhex(public)
    check_public_key(public_key)
    return ActorKey(keyid_of(public_key), public_key, person, custody, index)
