"""`apply(state, entry) -> state`: the one meaning of an entry, for the writer, for recovery and for the
audit.

Replay depends on the log before the entry and on nothing else. It holds, for every entry:

* the envelope is canonical and every signature on it is by a key registered before it and not yet ended;
* its request id is new, and its time is not before the entry before it;
* every state it leaves is the state the log implies, and no subject it names had another;
* the books accept its effects (`ledger.books`);
* what it says about the log itself holds (`ledger.notices`);
* keys of actors and of the log begin and end as `ledger.actor_keys` and `ledger.log_keys` say, and nothing
  comes after the entry that closes the log.

Who may take which step (roles, two persons, two organisations) is not known here; `registry` and its audit
check that with the same tables.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, Protocol

from ledger.actor_keys import (
    SUITE,
    ActorKey,
    KeyEnded,
    UnknownKey,
    added_key,
    check_revocation,
    check_rotation_signatures,
    keys_of,
    rotated_key,
)
from ledger.books import Books, BookSource, EmptySource
from ledger.canonical import JsonValue
from ledger.effects import Transition
from ledger.entry import MalformedPayload, Payload, parse_payload
from ledger.envelope import PAYLOAD_TYPE, Envelope, decode_leaf
from ledger.errors import ReplayRefusal
from ledger.log_keys import CLOSED, LOG_MACHINE, LogClosed, LogKey, follow_log_keys, origin_of
from ledger.merkle import HASH_BYTES, leaf_hash
from ledger.notices import ENTRY_MACHINE, RECORD_MACHINE, StateAt, check_notice
from ledger.state import state_of

__all__ = [
    "ActorKey",
    "DuplicateEntry",
    "EmptyStateSource",
    "Entry",
    "KeyEnded",
    "LedgerState",
    "LogClosed",
    "ReplayRefusal",
    "StateMoved",
    "StateSource",
    "UnknownKey",
    "payload_of",
]

HASH: Final = "sha256"
OWN_STEPS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "genesis": (LOG_MACHINE, frozenset({"open"})),
    "key.add": ("key", frozenset({"add"})),
    "key.rotate": ("key", frozenset({"rotate"})),
    "key.revoke": ("key", frozenset({"revoke"})),
    "log.key": (LOG_MACHINE, frozenset({"add_key", "end_key"})),
    "log.next": (LOG_MACHINE, frozenset({"close"})),
    "state": (LOG_MACHINE, frozenset({"state"})),
    "annotation": (ENTRY_MACHINE, frozenset({"annotate"})),
    "erase": (RECORD_MACHINE, frozenset({"erase"})),
}
"""The machine and the actions of the entries that the ledger itself understands: only they move it."""
OWN_MACHINES: Final = frozenset({"key", LOG_MACHINE, ENTRY_MACHINE, RECORD_MACHINE})


class DuplicateEntry(ReplayRefusal):
    code: ClassVar[str] = "entry_id_reused"
    template: ClassVar[str] = "The request id {id} is in the log already."


class StateMoved(ReplayRefusal):
    """The subject is in another state than the entry says."""

    code: ClassVar[str] = "state_moved"
    template: ClassVar[str] = (
        "{machine} {subject} is {actual}, not {before}: the act {action} does not apply."
    )


class StateSource(BookSource, Protocol):
    """What was before: a database, or nothing."""

    def actor_key(self, keyid: str) -> ActorKey | None: ...
    def subject_state(self, machine: str, subject: str) -> str | None: ...
    def has_entry(self, entry_id: str) -> bool: ...
    def log_keys(self) -> tuple[LogKey, ...]: ...
    def leaf(self, index: int) -> bytes | None: ...


class EmptyStateSource(EmptySource):
    def actor_key(self, keyid: str) -> ActorKey | None:
        return None

    def subject_state(self, machine: str, subject: str) -> str | None:
        return None

    def has_entry(self, entry_id: str) -> bool:
        return False

    def log_keys(self) -> tuple[LogKey, ...]:
        return ()

    def leaf(self, index: int) -> bytes | None:
        return None


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
    log_keys: tuple[LogKey, ...] | None = None
    """The log's own keys; None while they are those of the source."""
    size: int = 0
    last_at_ms: int = 0
    state_at: StateAt | None = None
    """How the facts of a `state` entry are found; None when these books hold everything themselves."""
    _first: int = field(init=False)
    _hashes: bytearray = field(default_factory=bytearray)
    """Leaf hashes of what was applied here, from the entry `_first` on."""
    _commitments: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """What the entries that were applied here committed to."""

    def __post_init__(self) -> None:
        self.books = Books(self.source)
        self._first = self.size

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
        entry = self.follow(at_ms, envelope, payload, checked)
        self._hashes += leaf_hash(leaf)
        return entry

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
        self._require_open()
        _check_kind(payload)
        self._introduce(payload)
        self._check_signatures(envelope, checked)
        self._follow_keys(entry)
        check_notice(payload, self.size, self.state_at or self._state_at, self)
        self._step(payload.machine, payload.subject, payload.action, payload.before, payload.after)
        for effect in payload.effects:
            if isinstance(effect, Transition):
                self._step(effect.machine, effect.subject, effect.action, effect.before, effect.after)
        self.books.apply(payload.effects, at_ms)
        self.ids.add(payload.id)
        if payload.commitments:
            self._commitments[self.size] = tuple(payload.commitments.values())
        self.size += 1
        self.last_at_ms = at_ms
        return entry

    def _state_at(self, size: int) -> dict[str, JsonValue]:
        return state_of(self.books, size)

    def hash_of(self, index: int) -> bytes | None:
        """The leaf hash of an earlier entry."""
        at = (index - self._first) * HASH_BYTES
        if at >= 0:
            return bytes(self._hashes[at : at + HASH_BYTES])
        leaf = self.source.leaf(index)
        return None if leaf is None else leaf_hash(leaf)

    def commitments_of(self, index: int) -> Collection[str]:
        """What an earlier entry committed to."""
        if index >= self._first:
            return self._commitments.get(index, ())
        leaf = self.source.leaf(index)
        return () if leaf is None else payload_of(decode_leaf(leaf)[1]).commitments.values()

    def known_log_keys(self) -> tuple[LogKey, ...]:
        return self.source.log_keys() if self.log_keys is None else self.log_keys

    def _require_open(self) -> None:
        origin = origin_of(self.known_log_keys())
        if origin is not None and self.subject_state(LOG_MACHINE, origin) == CLOSED:
            raise LogClosed(origin=origin)

    def _check_signatures(self, envelope: Envelope, checked: Collection[str]) -> None:
        keys: dict[str, bytes] = {}
        for signature in envelope.signatures:
            key = self.actor_key(signature.keyid)
            key.require_running()
            keys[key.keyid] = key.public_key
        if not keys or any(keyid not in checked for keyid in keys):
            envelope.verify(keys)

    def _introduce(self, payload: Payload) -> None:
        """Register keys that an entry's own signatures are by: the root key of genesis, the new one of a
        rotation.
        """
        if payload.type == "genesis":
            _check_suites(payload)
            self._register(keys_of(payload, self.size))
        elif payload.type == "key.rotate":
            old = self.actor_key(payload.subject)
            old.require_running()
            self._register([rotated_key(payload, old, self.size)])

    def _follow_keys(self, entry: Entry) -> None:
        """What a signed entry does to keys. A new key cannot vouch for itself."""
        payload = entry.payload
        match payload.type:
            case "key.add":
                self._register([added_key(payload, self.size)])
            case "key.rotate":
                (new,) = keys_of(payload, self.size)
                check_rotation_signatures(entry.envelope.signatures, payload.subject, new.keyid)
                self._end(payload.subject)
            case "key.revoke":
                check_revocation(payload, self.size)
                self._end(payload.subject)
            case "genesis" | "log.key" | "log.next":
                self._follow_log_keys(payload)

    def _follow_log_keys(self, payload: Payload) -> None:
        before = self.known_log_keys()
        if payload.type != "genesis" and payload.subject != origin_of(before):
            raise ReplayRefusal(reason=f"{payload.subject} is not the name of this log")
        self.log_keys = follow_log_keys(before, payload, self.size)

    def _register(self, keys: Collection[ActorKey]) -> None:
        for key in keys:
            if key.keyid in self.keys or self.source.actor_key(key.keyid) is not None:
                raise ReplayRefusal(reason=f"key {key.keyid} is registered already")
            self.keys[key.keyid] = key

    def _end(self, keyid: str) -> None:
        key = self.actor_key(keyid)
        key.require_running()
        self.keys[keyid] = replace(key, ended_index=self.size)

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


def _check_kind(payload: Payload) -> None:
    """Entries of the ledger's own types take their own steps, and no other entry takes one of those.

    Else a key could be ended in a table of states and go on signing.
    """
    own = OWN_STEPS.get(payload.type)
    if own is None and payload.machine in OWN_MACHINES:
        raise MalformedPayload(reason=f"an entry of type {payload.type} takes no step of {payload.machine}")
    if own is not None and (payload.machine != own[0] or payload.action not in own[1]):
        raise MalformedPayload(reason=f"{payload.machine} {payload.action} is no {payload.type}")
    carried = [e for e in payload.effects if isinstance(e, Transition) and e.machine in OWN_MACHINES]
    if carried and payload.type != "key.rotate":
        raise MalformedPayload(reason=f"an entry of type {payload.type} carries no step of a key or the log")


def _check_suites(payload: Payload) -> None:
    """The first entry names the hash and the signature suite of the whole log; these are the ones we know."""
    for name, known in (("hash", HASH), ("suite", SUITE)):
        if payload.facts.get(name, known) != known:
            raise MalformedPayload(reason=f"the log's {name} {payload.facts[name]!r} is unknown")
