"""`apply(state, entry) -> state`: the one meaning of an entry, for the writer, for recovery and for the
audit.

Replay depends on the log before the entry and on nothing else. It holds, for every entry:

* the envelope is canonical and every signature on it is by a key registered before it;
* its request id is new, and its time is not before the entry before it;
* every state it leaves is the state the log implies, and no subject it names had another;
* the books accept its effects (`ledger.books`).

Who may take which step (roles, two persons, two organisations) is not known here; `registry` and its audit
check that with the same tables.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Protocol

from ledger.books import Books, BookSource, EmptySource
from ledger.effects import Transition, is_name
from ledger.entry import MalformedPayload, Payload, parse_payload
from ledger.envelope import PAYLOAD_TYPE, Envelope, decode_leaf
from ledger.errors import LedgerRefusal
from ledger.keys import check_public_key
from ledger.keys import keyid as keyid_of

PUBLIC_KEY: Final = re.compile(r"[0-9a-f]{64}")


class ReplayRefusal(LedgerRefusal):
    """An entry that does not follow from the log before it."""

    code: ClassVar[str] = "replay_refused"
    template: ClassVar[str] = "The entry does not follow from the log: {reason}."


class DuplicateEntry(ReplayRefusal):
    code: ClassVar[str] = "entry_id_reused"
    template: ClassVar[str] = "The request id {id} is in the log already."


class StateMoved(ReplayRefusal):
    """The subject is in another state than the entry says."""

    code: ClassVar[str] = "state_moved"
    template: ClassVar[str] = (
        "{machine} {subject} is {actual}, not {before}: the act {action} does not apply."
    )


class UnknownKey(ReplayRefusal):
    code: ClassVar[str] = "key_unknown"
    template: ClassVar[str] = "The key {keyid} is not registered in the log."


@dataclass(frozen=True, slots=True)
class ActorKey:
    """A registered key: whose it is and who holds it. The log says so, never a field beside a signature."""

    keyid: str
    public_key: bytes
    person: str
    custody: str


class StateSource(BookSource, Protocol):
    """What was before: a database, or nothing."""

    def actor_key(self, keyid: str) -> ActorKey | None: ...
    def subject_state(self, machine: str, subject: str) -> str | None: ...
    def has_entry(self, entry_id: str) -> bool: ...


class EmptyStateSource(EmptySource):
    def actor_key(self, keyid: str) -> ActorKey | None:
        return None

    def subject_state(self, machine: str, subject: str) -> str | None:
        return None

    def has_entry(self, entry_id: str) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Entry:
    """One decoded entry at its place in the log."""

    index: int
    at_ms: int
    payload: Payload
    envelope: Envelope


@dataclass(slots=True)
class LedgerState:
    """Everything the log implies: books, keys, states of subjects, ids used, time and size."""

    source: StateSource = field(default_factory=EmptyStateSource)
    books: Books = field(init=False)
    keys: dict[str, ActorKey] = field(default_factory=dict)
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    size: int = 0
    last_at_ms: int = 0

    def __post_init__(self) -> None:
        self.books = Books(self.source)

    def actor_key(self, keyid: str) -> ActorKey:
        found = self.keys.get(keyid) or self.source.actor_key(keyid)
        if found is None:
            raise UnknownKey(keyid=keyid)
        return found

    def subject_state(self, machine: str, subject: str) -> str | None:
        known = self.states.get((machine, subject))
        return known if known is not None else self.source.subject_state(machine, subject)

    def apply(self, leaf: bytes, *, check_signatures: bool = True) -> Entry:
        """Apply the next entry. Raises a `LedgerRefusal`; this state is then spoilt and must be dropped."""
        at_ms, envelope = decode_leaf(leaf)
        payload = payload_of(envelope)
        checked = () if check_signatures else tuple(s.keyid for s in envelope.signatures)
        return self.follow(at_ms, envelope, payload, checked)

    def follow(self, at_ms: int, envelope: Envelope, payload: Payload, checked: Collection[str]) -> Entry:
        """Apply an entry that was decoded already: `payload` is what the envelope's bytes spell.

        `checked` are the ids of keys whose signatures on this envelope were verified with the public key that
        has this id; whether such a key is registered is looked at here in any case.
        """
        entry = Entry(self.size, at_ms, payload, envelope)
        if at_ms < self.last_at_ms:
            raise ReplayRefusal(reason=f"time falls from {self.last_at_ms} to {at_ms}")
        if payload.id in self.ids or self.source.has_entry(payload.id):
            raise DuplicateEntry(id=payload.id)
        if (payload.type == "genesis") != (self.size == 0):
            raise ReplayRefusal(reason="genesis is the first entry and no other")
        if payload.type == "genesis":  # signed by the root key that it names itself
            self._register_keys(payload)
        self._check_signatures(envelope, checked)
        if payload.type == "key.add":  # a new key cannot vouch for itself
            self._register_keys(payload)
        self._step(payload.machine, payload.subject, payload.action, payload.before, payload.after)
        for effect in payload.effects:
            if isinstance(effect, Transition):
                self._step(effect.machine, effect.subject, effect.action, effect.before, effect.after)
        self.books.apply(payload.effects, at_ms)
        self.ids.add(payload.id)
        self.size += 1
        self.last_at_ms = at_ms
        return entry

    def _check_signatures(self, envelope: Envelope, checked: Collection[str]) -> None:
        keys = {s.keyid: self.actor_key(s.keyid).public_key for s in envelope.signatures}
        if not keys or any(keyid not in checked for keyid in keys):
            envelope.verify(keys)

    def _register_keys(self, payload: Payload) -> None:
        keys = payload.facts.get("keys")
        if not isinstance(keys, list) or not keys:
            raise MalformedPayload(reason="keys are missing")
        for item in keys:
            if not isinstance(item, dict) or set(item) != {"public", "person", "custody", "suite"}:
                raise MalformedPayload(reason="a key has public, person, custody and suite")
            key = _actor_key(item)
            if key.keyid in self.keys or self.source.actor_key(key.keyid) is not None:
                raise ReplayRefusal(reason=f"key {key.keyid} is registered already")
            self.keys[key.keyid] = key

    def _step(self, machine: str, subject: str, action: str, before: str, after: str) -> None:
        actual = self.subject_state(machine, subject)
        if actual is not None and actual != before:
            raise StateMoved(machine=machine, subject=subject, action=action, before=before, actual=actual)
        self.states[machine, subject] = after


def payload_of(envelope: Envelope) -> Payload:
    """What the envelope of an entry says. Raises `MalformedPayload` and what `parse_payload` raises."""
    if envelope.payload_type != PAYLOAD_TYPE:
        raise MalformedPayload(reason=f"payload type {envelope.payload_type!r}")
    return parse_payload(envelope.payload)


def _actor_key(item: Mapping[str, object]) -> ActorKey:
    public, person, custody = item["public"], item["person"], item["custody"]
    if not (isinstance(public, str) and isinstance(person, str) and isinstance(custody, str)):
        raise MalformedPayload(reason="a key's fields are texts")
    if not is_name(person):
        raise MalformedPayload(reason="a key belongs to somebody")
    if item["suite"] != "ed25519":
        raise MalformedPayload(reason=f"signature suite {item['suite']!r} is unknown")
    if custody not in ("client", "webcrypto", "server"):
        raise MalformedPayload(reason=f"custody {custody!r} is unknown")
    if not PUBLIC_KEY.fullmatch(public):
        raise MalformedPayload(reason="a public key is 64 lower-case hexadecimal digits")
    public_key = bytes.fromhex(public)
    check_public_key(public_key)
    return ActorKey(keyid_of(public_key), public_key, person, custody)
