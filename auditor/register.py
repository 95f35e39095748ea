"""Whose keys sign what, and from where to where: actors' keys and the log's own, by position in the log.

A key signs entries after the one that registered it, up to the one that rotated or revoked it. What was
signed before stays valid: the verdict depends on the position alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from auditor.effects import Contradiction, Transition, name_of
from auditor.entries import Entry
from auditor.signatures import Signatures
from ledger.envelope import PAYLOAD_TYPE
from ledger.errors import LedgerRefusal
from ledger.keys import check_public_key
from ledger.keys import keyid as keyid_of
from ledger.note import KEY_ID_BYTES, KeyKind, NoteVerifier
from ledger.strict_base64 import from_base64

CUSTODIES: Final = frozenset({"client", "webcrypto", "server"})
REVOCATIONS: Final = frozenset({"lost", "compromised", "left", "superseded"})
STEPS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "genesis": ("log", frozenset({"open"})),
    "key.add": ("key", frozenset({"add"})),
    "key.rotate": ("key", frozenset({"rotate"})),
    "key.revoke": ("key", frozenset({"revoke"})),
    "log.key": ("log", frozenset({"add_key", "end_key"})),
    "log.next": ("log", frozenset({"close"})),
    "state": ("log", frozenset({"state"})),
    "annotation": ("entry", frozenset({"annotate"})),
    "erase": ("record", frozenset({"erase"})),
}
"""The machine and the actions of every type of entry that means something for keys or for the log itself."""
OWN_MACHINES: Final = frozenset({"key", "log", "entry", "record"})
_KEY_FIELDS: Final = frozenset({"public", "person", "custody", "suite"})
_KIND: Final = PAYLOAD_TYPE.encode()
_PREFIX: Final = b"DSSEv1 %d %b " % (len(_KIND), _KIND)


@dataclass(slots=True)
class Key:
    """An actor's key. `ended` is the index of the entry after which it signs nothing more."""

    keyid: str
    public: bytes
    person: str
    custody: str
    index: int
    ended: int | None = None


@dataclass(slots=True)
class LogKey:
    """A key of the log: it signs every checkpoint of more than `since` entries, until it is ended."""

    verifier: NoteVerifier
    since: int
    ended: int | None = None
    endorser: NoteVerifier | None = None
    """The key in force that vouched for this one; none for the first."""

    def signs(self, size: int) -> bool:
        """Whether a checkpoint of this size bears its signature."""
        return self.since < size and (self.ended is None or size <= self.ended)


@dataclass(slots=True)
class Register:
    """Every key of the log so far."""

    keys: dict[str, Key] = field(default_factory=dict)
    log_keys: list[LogKey] = field(default_factory=list)
    origin: str = ""
    closed: bool = False

    # -- signatures

    def check(self, entry: Entry, signatures: Signatures) -> None:
        """Every signature is by a key of the register that has not ended; whether it verifies is left to
        `signatures`. Names the persons.
        """
        persons = []
        message = b"%b%d %b" % (_PREFIX, len(entry.payload), entry.payload)
        for keyid, signature in zip(entry.keyids, entry.signatures, strict=True):
            key = self.keys.get(keyid)
            if key is None:
                raise Contradiction(f"the key {keyid} is not registered")
            if key.ended is not None:
                raise Contradiction(f"the key {keyid} was ended by entry {key.ended}")
            signatures.take(entry.index, key.public, signature, message)
            persons.append(key.person)
        entry.persons = tuple(persons)

    # -- what entries do to keys

    def before(self, entry: Entry) -> None:
        """Keys that an entry's own signatures already need; and that its type is that of its steps."""
        own = STEPS.get(entry.type)
        if own is None:
            if entry.machine in OWN_MACHINES:
                raise Contradiction(f"an entry of type {entry.type} takes no step of {entry.machine}")
        elif entry.machine != own[0] or entry.action not in own[1]:
            raise Contradiction(f"{entry.machine} {entry.action} is no {entry.type}")
        caused = entry.steps[1:]
        if caused and entry.type != "key.rotate" and any(s.machine in OWN_MACHINES for s in caused):
            raise Contradiction(f"an entry of type {entry.type} causes no step of keys or of the log")
        if entry.type == "genesis":
            self._open(entry)
        elif entry.type == "key.rotate":
            self._check_rotation(entry)
            self._add(entry)

    def _open(self, entry: Entry) -> None:
        facts = entry.facts
        if facts.get("hash", "sha256") != "sha256" or facts.get("suite", "ed25519") != "ed25519":
            raise Contradiction("the log's hash or signature suite is not known")
        self.origin = entry.subject
        self._add(entry)
        if facts.get("vkey") is not None:
            self.log_keys.append(LogKey(self._verifier(entry, entry.subject), 0))

    def after(self, entry: Entry) -> None:
        """Keys that count from the next entry on: a new key cannot vouch for itself."""
        match entry.type:
            case "key.add":
                if [key.keyid for key in self._add(entry)] != [entry.subject]:
                    raise Contradiction("it adds another key than the one it names, or several")
            case "key.rotate":
                new = keyid_of(bytes.fromhex(entry.facts["keys"][0]["public"]))
                if set(entry.keyids) != {entry.subject, new}:
                    raise Contradiction("a rotation is signed by the old and the new key, and no other")
                self.keys[entry.subject].ended = entry.index
            case "key.revoke":
                self._revoke(entry)
            case "log.key":
                self._change_log_key(entry)
            case "log.next":
                self._close(entry)

    def _add(self, entry: Entry) -> list[Key]:
        items = entry.facts.get("keys")
        if type(items) is not list or not items:
            raise Contradiction("keys are missing")
        keys = [_key(item, entry.index) for item in items]
        for key in keys:
            if key.keyid in self.keys:
                raise Contradiction(f"key {key.keyid} is registered already")
            self.keys[key.keyid] = key
        return keys

    def _live(self, keyid: str) -> Key:
        key = self.keys.get(keyid)
        if key is None or key.ended is not None:
            raise Contradiction(f"there is no key {keyid} in force")
        return key

    def _check_rotation(self, entry: Entry) -> None:
        old, items = self._live(entry.subject), entry.facts.get("keys")
        if type(items) is not list or len(items) != 1 or type(items[0]) is not dict:
            raise Contradiction("a rotation names one new key")
        new = _key(items[0], entry.index)
        if new.person != old.person or entry.facts.keys() != {"keys"}:
            raise Contradiction("a rotation states a new key of the same person, and nothing else")
        if entry.effects != (Transition("key", new.keyid, "succeed", "none", "active"),):
            raise Contradiction("a rotation makes its new key active, and does nothing else")

    def _revoke(self, entry: Entry) -> None:
        key, since = self._live(entry.subject), entry.facts.get("suspect_from")
        if entry.reason_code not in REVOCATIONS or entry.facts.keys() != {"suspect_from"}:
            raise Contradiction("a revocation has a known reason and suspect_from")
        known = type(since) is int and 0 <= since <= entry.index and entry.reason_code == "compromised"
        if since is not None and not known:
            raise Contradiction("what is suspect begins at an entry before, and after a compromise only")
        key.ended = entry.index

    # -- the log's own keys

    def _verifier(self, entry: Entry, name: object) -> NoteVerifier:
        """The Ed25519 key of the log `name` that an entry states."""
        vkey = entry.facts.get("vkey")
        verifier = NoteVerifier.parse(vkey if type(vkey) is str else "")
        if verifier.name != name or verifier.kind is not KeyKind.ED25519:
            raise Contradiction(f"it is no key of the log {name}")
        return verifier

    def _change_log_key(self, entry: Entry) -> None:
        if entry.subject != self.origin:
            raise Contradiction(f"{entry.subject} is not the name of this log")
        if entry.action == "add_key":
            self._add_log_key(entry)
            return
        running = [key for key in self.log_keys if key.ended is None]
        ended = [key for key in running if key.verifier.vkey == entry.facts.get("vkey")]
        if entry.facts.keys() != {"vkey"} or not ended or len(running) == 1:
            raise Contradiction("only a key in force can end, and the last one cannot")
        ended[0].ended = entry.index

    def _add_log_key(self, entry: Entry) -> None:
        verifier = self._verifier(entry, self.origin)
        if entry.facts.keys() != {"vkey", "endorsement"}:
            raise Contradiction("a new log key has a vkey and an endorsement")
        if any(key.verifier == verifier for key in self.log_keys):
            raise Contradiction("the log has or had this key already")
        running = [key.verifier for key in self.log_keys if key.signs(entry.index)]
        endorser = endorser_of(entry.facts, running)
        if endorser is None:
            raise Contradiction("no key in force endorses the new one")
        self.log_keys.append(LogKey(verifier, entry.index, None, endorser))

    def _close(self, entry: Entry) -> None:
        name = entry.facts.get("origin")
        if entry.facts.keys() != {"origin", "vkey"} or name == entry.subject or entry.subject != self.origin:
            raise Contradiction("a closed log names the origin and the vkey of its successor")
        self._verifier(entry, name)
        self.closed = True

    def log_verifiers(self, size: int) -> list[NoteVerifier]:
        """The keys that sign a checkpoint of this size."""
        return [key.verifier for key in self.log_keys if key.signs(size)]


def endorser_of(facts: Mapping[str, Any], verifiers: Iterable[NoteVerifier]) -> NoteVerifier | None:
    """Which of these keys signed that the log has the key in `facts.vkey`, too; None when none did.

    What it signed is `ORIGIN/log-key` and the new key, one on a line: two lines are never a checkpoint.
    """
    spelled, vkey = facts.get("endorsement"), facts.get("vkey")
    data = from_base64(spelled) if type(spelled) is str else None
    if data is None or type(vkey) is not str:
        return None
    for verifier in verifiers:
        if data[:KEY_ID_BYTES] == verifier.key_id:
            try:
                verifier.verify(f"{verifier.name}/log-key\n{vkey}\n", data[KEY_ID_BYTES:])
            except LedgerRefusal:
                return None
            return verifier
    return None


def _key(item: Any, index: int) -> Key:
    if type(item) is not dict or item.keys() != _KEY_FIELDS:
        raise Contradiction("a key has public, person, custody and suite")
    public = item["public"]
    if item["suite"] != "ed25519" or item["custody"] not in CUSTODIES:
        raise Contradiction("a key's suite or custody is not known")
    if type(public) is not str or len(public) != 64 or not set("0123456789abcdef").issuperset(public):
        raise Contradiction("a public key is 64 lower-case hexadecimal digits")
    raw = bytes.fromhex(public)
    check_public_key(raw)
    return Key(keyid_of(raw), raw, name_of(item["person"]), item["custody"], index)
