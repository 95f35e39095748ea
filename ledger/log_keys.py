"""The log's own keys over time, as the log itself announces them.

The genesis entry names the first. `log.key` adds one or ends one: the keys in force after entry i sign every
checkpoint of more than i entries, so that during an overlap notes bear two signatures. A key is only added
with an *endorsement* by a key in force, so that somebody who knows the old key alone can follow the log to
the new one without believing whoever holds that.

An endorsement is the line of a signed note by the old key, as base64 of `key id || signature`, over two
lines: `ORIGIN/log-key` and the new verifier key. It has no third line, so it is never a checkpoint.

A file of verifier keys (`log.vkey`) has every key of the log, one on each line, in the order in which they
were added (`ledger.note.parse_vkeys` reads it): those that ended still open the proofs that they signed.
"""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from ledger.entry import MalformedPayload, Payload, parse_payload
from ledger.envelope import PAYLOAD_TYPE, decode_leaf
from ledger.errors import LedgerRefusal, MalformedKey, ReplayRefusal
from ledger.note import KEY_ID_BYTES, KeyKind, NoteVerifier, Signer
from ledger.strict_base64 import from_base64, to_base64

LOG_MACHINE: Final = "log"
CLOSED: Final = "closed"


class LogClosed(ReplayRefusal):
    """The log named its successor; nothing comes after that."""

    code: ClassVar[str] = "log_closed"
    template: ClassVar[str] = "The log {origin} is closed; what comes next is in its successor."


class LogKeyRefused(ReplayRefusal):
    """A change of the log's keys that would leave it without one, or that nobody could follow."""

    code: ClassVar[str] = "log_key_refused"
    template: ClassVar[str] = "The log's keys cannot change so: {reason}."


class LogKeyNotHeld(LedgerRefusal):
    """A checkpoint without the signature of a key in force would be refused by everybody."""

    code: ClassVar[str] = "log_key_not_held"
    template: ClassVar[str] = (
        "The log's key {vkey} is in force and is not held here; nothing is signed without it."
    )


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key of the log: the entry that added it and the one that ended it."""

    vkey: str
    index: int
    ended_index: int | None = None

    @property
    def verifier(self) -> NoteVerifier:
        return NoteVerifier.parse(self.vkey)

    def signs(self, size: int) -> bool:
        """Whether a checkpoint of this size bears its signature."""
        return self.index < size and (self.ended_index is None or size <= self.ended_index)


def in_force(keys: Iterable[LogKey], size: int) -> list[NoteVerifier]:
    """The keys that sign a checkpoint of this size, oldest first."""
    return [key.verifier for key in keys if key.signs(size)]


def follow_log_keys(keys: tuple[LogKey, ...], payload: Payload, index: int) -> tuple[LogKey, ...]:
    """The log's keys after an entry of type `genesis`, `log.key` or `log.next`.

    Raises `MalformedPayload`, `MalformedKey`, `LogKeyRefused`.
    """
    match payload.type, payload.action:
        case "genesis", _:
            return _first(payload)
        case "log.key", "add_key":
            return _added(keys, payload, index)
        case "log.key", "end_key":
            return _ended(keys, payload, index)
        case _:
            _check_successor(payload)
            return keys


def origin_of(keys: Sequence[LogKey]) -> str | None:
    """The name of the log whose keys these are."""
    return keys[0].vkey.partition("+")[0] if keys else None


def _first(payload: Payload) -> tuple[LogKey, ...]:
    vkey = payload.facts.get("vkey")
    if vkey is None:  # a log whose entries do not name its key: nothing to follow
        return ()
    return (LogKey(_named(vkey, payload.subject).vkey, 0),)


def _added(keys: tuple[LogKey, ...], payload: Payload, index: int) -> tuple[LogKey, ...]:
    if set(payload.facts) != {"vkey", "endorsement"}:
        raise MalformedPayload(reason="a new log key has a vkey and an endorsement")
    verifier = _named(payload.facts["vkey"], payload.subject)
    if payload.subject != origin_of(keys):
        raise LogKeyRefused(reason=f"{payload.subject} is not the name of this log")
    if any(key.vkey == verifier.vkey for key in keys):
        raise LogKeyRefused(reason="the log has or had this key already")
    endorser(payload, in_force(keys, index))
    return (*keys, LogKey(verifier.vkey, index))


def _ended(keys: tuple[LogKey, ...], payload: Payload, index: int) -> tuple[LogKey, ...]:
    if set(payload.facts) != {"vkey"}:
        raise MalformedPayload(reason="the end of a log key states its vkey and nothing else")
    running = [key for key in keys if key.ended_index is None]
    if not any(key.vkey == payload.facts["vkey"] for key in running):
        raise LogKeyRefused(reason="only a key in force can be ended")
    if len(running) == 1:
        raise LogKeyRefused(reason="it is the only one in force")
    return tuple(
        replace(key, ended_index=index) if key in running and key.vkey == payload.facts["vkey"] else key
        for key in keys
    )


def _check_successor(payload: Payload) -> None:
    if set(payload.facts) != {"origin", "vkey"}:
        raise MalformedPayload(reason="a closed log names the origin and the vkey of its successor")
    origin = payload.facts["origin"]
    if not isinstance(origin, str) or origin == payload.subject:
        raise MalformedPayload(reason="a successor has a name of its own")
    _named(payload.facts["vkey"], origin)


def _named(vkey: object, origin: str) -> NoteVerifier:
    """The Ed25519 verifier that a fact spells, whose name is the log's."""
    verifier = NoteVerifier.parse(vkey if isinstance(vkey, str) else "")
    if verifier.name != origin or verifier.kind is not KeyKind.ED25519:
        raise MalformedKey(reason=f"it is no key of the log {origin}")
    return verifier


# ---- endorsements ------------------------------------------------------------------------------------------


def endorse(new: NoteVerifier, signer: Signer) -> str:
    """What a key in force says for a new key of its log."""
    return to_base64(signer.verifier.key_id + signer.sign_text(_endorsed(new)))


def endorser(payload: Payload, verifiers: Iterable[NoteVerifier]) -> NoteVerifier:
    """Which of these keys endorsed the key that an entry adds. Raises `LogKeyRefused`."""
    spelled = payload.facts.get("endorsement")
    data = from_base64(spelled) if isinstance(spelled, str) else None
    new = NoteVerifier.parse(str(payload.facts["vkey"]))
    for verifier in verifiers:
        if data is not None and data[:KEY_ID_BYTES] == verifier.key_id:
            try:
                verifier.verify(_endorsed(new), data[KEY_ID_BYTES:])
            except LedgerRefusal as refusal:
                raise LogKeyRefused(reason="its endorsement does not verify") from refusal
            return verifier
    raise LogKeyRefused(reason="no key in force endorses the new one")


def endorsed_key(payload: Payload, verifiers: Sequence[NoteVerifier]) -> NoteVerifier:
    """The key that an entry adds, when one of these keys of its log endorsed it. Raises a `LedgerRefusal`."""
    new = _named(payload.facts.get("vkey"), verifiers[0].name)
    endorser(payload, verifiers)
    return new


def _endorsed(new: NoteVerifier) -> str:
    return f"{new.name}/log-key\n{new.vkey}\n"


# ---- keys that somebody knows ------------------------------------------------------------------------------


def spell_vkeys(keys: Iterable[LogKey]) -> str:
    """The file of verifier keys: every key the log has had, oldest first, newest last."""
    return "".join(f"{key.vkey}\n" for key in keys)


_MARKS: Final = tuple(
    # The base64 of a word depends on where in a group of three bytes it begins.
    b64encode(bytes(offset) + b'"log.key"')[-(-offset * 4 // 3) : (offset + 9) * 4 // 3]
    for offset in range(3)
)


def announcement(index: int, leaf: bytes) -> Payload | None:
    """The payload of an entry that says something of the log's keys; None for every other entry.

    Nearly all entries are passed over by a search for bytes, because a client reads millions of them.
    """
    if index and not any(mark in leaf for mark in _MARKS):
        return None
    try:
        _, envelope = decode_leaf(leaf)
        payload = parse_payload(envelope.payload)
    except LedgerRefusal:  # a log of something else
        return None
    wanted = "log.key" if index else "genesis"
    return payload if envelope.payload_type == PAYLOAD_TYPE and payload.type == wanted else None
