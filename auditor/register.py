"""Whose keys sign what, and from where to where: actors' keys and the log's own, by position in the log.

A key signs entries after the one that registered it, up to the one that rotated or revoked it. What was
signed before stays valid: the verdict depends on the position alone.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from auditor.effects import Contradiction, name_of
from auditor.entries import Entry
from auditor.signatures import Signatures
from ledger.envelope import PAYLOAD_TYPE
from ledger.errors import LedgerRefusal
from ledger.keys import check_public_key
from ledger.keys import keyid as keyid_of
from ledger.note import NoteVerifier

CUSTODIES: Final = frozenset({"client", "webcrypto", "server"})
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
        """Keys that an entry's own signatures already need."""
        if entry.type == "genesis":
            self.origin = entry.subject
            self._add(entry)
            self._add_log_key(entry)
        elif entry.type == "key.rotate":
            self._check_rotation(entry)
            self._add(entry)

    def after(self, entry: Entry) -> None:
        """Keys that count from the next entry on: a new key cannot vouch for itself."""
        match entry.type:
            case "key.add":
                self._add(entry)
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

    def _add(self, entry: Entry) -> None:
        items = entry.facts.get("keys")
        if type(items) is not list or not items:
            raise Contradiction("keys are missing")
        for item in items:
            key = _key(item, entry.index)
            if key.keyid in self.keys:
                raise Contradiction(f"key {key.keyid} is registered already")
            self.keys[key.keyid] = key

    def _live(self, keyid: str) -> Key:
        key = self.keys.get(keyid)
        if key is None or key.ended is not None:
            raise Contradiction(f"there is no key {keyid} in force")
        return key

    def _check_rotation(self, entry: Entry) -> None:
        old, items = self._live(entry.subject), entry.facts.get("keys")
        if type(items) is not list or len(items) != 1 or type(items[0]) is not dict:
            raise Contradiction("a rotation names one new key")
        if items[0].get("person") != old.person:
            raise Contradiction("the new key is of another person")

    def _revoke(self, entry: Entry) -> None:
        key, since = self._live(entry.subject), entry.facts.get("suspect_from")
        if since is not None and (type(since) is not int or not 0 <= since <= entry.index):
            raise Contradiction("what is suspect begins at an entry before")
        key.ended = entry.index

    # -- the log's own keys

    def _verifier(self, entry: Entry) -> NoteVerifier:
        vkey = entry.facts.get("vkey")
        try:
            verifier = NoteVerifier.parse(vkey if type(vkey) is str else "")
        except LedgerRefusal as refusal:
            raise Contradiction(f"the log's key is none: {refusal}") from None
        return verifier

    def _add_log_key(self, entry: Entry) -> None:
        verifier = self._verifier(entry)
        if verifier.name != self.origin:
            raise Contradiction(f"the key of {verifier.name} cannot sign for the log {self.origin}")
        if any(key.verifier == verifier for key in self.log_keys):
            raise Contradiction("the log has or had this key already")
        self.log_keys.append(LogKey(verifier, 0 if entry.type == "genesis" else entry.index))

    def _change_log_key(self, entry: Entry) -> None:
        if entry.action == "add_key":
            self._add_log_key(entry)
            return
        verifier = self._verifier(entry)
        running = [key for key in self.log_keys if key.ended is None]
        ended = [key for key in running if key.verifier == verifier]
        if not ended or len(running) == 1:
            raise Contradiction("only a key in force can end, and the last one cannot")
        ended[0].ended = entry.index

    def _close(self, entry: Entry) -> None:
        if name_of(entry.facts.get("origin")) != self._verifier(entry).name:
            raise Contradiction("the successor's key is not of its name")
        self.closed = True

    def log_verifiers(self, size: int) -> list[NoteVerifier]:
        """The keys that sign a checkpoint of this size."""
        return [key.verifier for key in self.log_keys if key.signs(size)]


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
