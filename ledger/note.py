"""Signed notes (c2sp.org/signed-note): a text, an empty line, and lines `— NAME BASE64(key id || signature)`.

A note is accepted in one spelling only: lines end in LF alone, base64 is strict, no control characters. Three
kinds of key: 0x01 signs the text (a log), 0x04 `cosignature/v1` signs the text under a time (a witness), 0x06
signs a checkpoint under a time with ML-DSA-44 (a witness).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final, Protocol

from ledger.errors import MalformedKey, MalformedNote, SignatureRefused, SignerUnknown
from ledger.keys import SIGNATURE_BYTES, SigningKey, check_public_key, verify_signature
from ledger.mldsa import MlDsaKey, check_ml_dsa_key, cosigned_message, verify_ml_dsa
from ledger.strict_base64 import from_base64, to_base64

KEY_ID_BYTES: Final = 4
MAX_NOTE_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100
_TIME_BYTES: Final = 8
_MAX_TIME: Final = 2**63 - 1
_DASH: Final = "\u2014 "


class KeyKind(IntEnum):
    """The signature type byte of a note key."""

    ED25519 = 0x01
    COSIGNATURE = 0x04
    ML_DSA_44 = 0x06


LOG_KINDS: Final = frozenset({KeyKind.ED25519})
WITNESS_KINDS: Final = frozenset({KeyKind.COSIGNATURE, KeyKind.ML_DSA_44})


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    """A name, a kind and a public key: whom one trusts to sign notes."""

    name: str
    public_key: bytes
    kind: KeyKind = KeyKind.ED25519

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.kind is KeyKind.ML_DSA_44:
            check_ml_dsa_key(self.public_key)
        else:
            check_public_key(self.public_key)

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256 over name, LF, kind and key."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()[
            :KEY_ID_BYTES
        ]

    @property
    def vkey(self) -> str:
        """The verifier key `NAME+hex(key id)+base64(kind || key)`."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([self.kind]) + self.public_key)}"

    @classmethod
    def parse(cls, vkey: str) -> "NoteVerifier":
        """The verifier that a vkey spells. Raises `MalformedKey`."""
        name, _, rest = vkey.partition("+")
        data = from_base64(rest.partition("+")[2])
        if not data:
            raise MalformedKey(reason="a verifier key is NAME+ID+BASE64")
        try:
            kind = KeyKind(data[0])
        except ValueError:
            raise MalformedKey(reason=f"signature type {data[0]} is not known") from None
        verifier = cls(name, data[1:], kind)
        if verifier.vkey != vkey:
            raise MalformedKey(reason="its id is not that of its name and key")
        return verifier

    def verify(self, text: str, signature: bytes) -> None:
        """Check the bytes after the key id. Raises `SignatureRefused`."""
        if self.kind is KeyKind.ED25519:
            message, raw = text.encode(), signature
        else:
            time_s, raw = int.from_bytes(signature[:_TIME_BYTES], "big"), signature[_TIME_BYTES:]
            if time_s > _MAX_TIME or len(signature) <= _TIME_BYTES:
                raise SignatureRefused(signer=self.name)
            if self.kind is KeyKind.ML_DSA_44:
                verify_ml_dsa(self.public_key, raw, _subtree(self.name, text, time_s), self.name)
                return
            message = _cosigned(text, time_s)
        if len(raw) != SIGNATURE_BYTES:
            raise SignatureRefused(signer=self.name)
        try:
            verify_signature(self.public_key, raw, message)
        except SignatureRefused:
            raise SignatureRefused(signer=self.name) from None


def parse_vkeys(text: str) -> tuple[NoteVerifier, ...]:
    """The verifier keys of one log, one on each line, oldest first. Raises `MalformedKey`."""
    lines = text.removesuffix("\n").split("\n")
    verifiers = tuple(NoteVerifier.parse(line) for line in lines)
    if len({verifier.name for verifier in verifiers}) != 1 or len(set(lines)) != len(lines):
        raise MalformedKey(reason="verifier keys are those of one log, each once, one on a line")
    return verifiers


class Signer(Protocol):
    """What can add a line to a note: a key in memory, or one behind a service."""

    @property
    def verifier(self) -> NoteVerifier: ...

    def sign_text(self, text: str) -> bytes:
        """The bytes after the key id."""
        ...


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """Signs the text itself: the key of a log."""

    name: str
    key: SigningKey

    def __post_init__(self) -> None:
        _check_name(self.name)

    @property
    def verifier(self) -> NoteVerifier:
        return NoteVerifier(self.name, self.key.public_bytes)

    @property
    def vkey(self) -> str:
        return self.verifier.vkey

    def sign_text(self, text: str) -> bytes:
        return self.key.sign(text.encode())


@dataclass(frozen=True, slots=True)
class Cosigner:
    """Signs that it saw the text at `time_s` (POSIX seconds): the key of a witness (cosignature/v1)."""

    name: str
    key: SigningKey
    time_s: int

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_time(self.time_s)

    @property
    def verifier(self) -> NoteVerifier:
        return NoteVerifier(self.name, self.key.public_bytes, KeyKind.COSIGNATURE)

    @property
    def vkey(self) -> str:
        return self.verifier.vkey

    def sign_text(self, text: str) -> bytes:
        return self.time_s.to_bytes(_TIME_BYTES, "big") + self.key.sign(_cosigned(text, self.time_s))


@dataclass(frozen=True, slots=True)
class MlDsaCosigner:
    """As `Cosigner`, with ML-DSA-44; what it signs is a checkpoint."""

    name: str
    key: MlDsaKey
    time_s: int

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_time(self.time_s)

    @property
    def verifier(self) -> NoteVerifier:
        return NoteVerifier(self.name, self.key.public_bytes, KeyKind.ML_DSA_44)

    @property
    def vkey(self) -> str:
        return self.verifier.vkey

    def sign_text(self, text: str) -> bytes:
        message = _subtree(self.name, text, self.time_s)
        return self.time_s.to_bytes(_TIME_BYTES, "big") + self.key.sign(message)


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One line under a note; `data` is what follows the key id."""

    name: str
    key_id: bytes
    data: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.data)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart, nothing verified yet; `to_bytes` gives the same bytes again."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def to_bytes(self) -> bytes:
        return (self.text + "\n" + "".join(map(str, self.signatures))).encode()


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """The note of `text` (which ends in LF) with one line for each signer, in their order."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise MalformedNote(reason="a lone surrogate")
    note = Note(text, tuple(signature_line(text, signer) for signer in signers)).to_bytes()
    parse_note(note)
    return note


def signature_line(text: str, signer: Signer) -> SignatureLine:
    """One signer's line under a text."""
    verifier = signer.verifier
    return SignatureLine(verifier.name, verifier.key_id, signer.sign_text(text))


def add_signatures(note: bytes, lines: bytes) -> bytes:
    """The note with further signature lines (as a witness returns them) at its end.

    Raises `MalformedNote`.
    """
    whole = note + lines
    if parse_note(whole).text != parse_note(note).text:
        raise MalformedNote(reason="signature lines would change the text")
    return whole


_CONTROL: Final = re.compile("[\x00-\x09\x0b-\x1f]")


def parse_note(data: bytes) -> Note:
    """Take a note apart without verifying anything. Raises `MalformedNote`."""
    if len(data) > MAX_NOTE_BYTES:
        raise MalformedNote(reason="longer than 1,000,000 bytes")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedNote(reason="not UTF-8") from None
    if _CONTROL.search(whole):
        raise MalformedNote(reason="a control character")
    head, gap, tail = whole.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise MalformedNote(reason="text, an empty line and signature lines are expected")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise MalformedNote(reason=f"more than {MAX_SIGNATURES} signatures")
    signatures = tuple(map(_parse_line, lines))
    if len({(line.name, line.key_id) for line in signatures}) != len(signatures):
        raise MalformedNote(reason="two signatures by one key")
    note = Note(head + "\n", signatures)
    if note.to_bytes() != data:
        raise MalformedNote(reason="another spelling of the same note")
    return note


def verified_signers(note: Note, verifiers: Iterable[NoteVerifier]) -> list[NoteVerifier]:
    """The known keys that signed, in the order of the lines.

    Every signature by a known key must verify (`SignatureRefused`) and there must be at least one
    (`SignerUnknown`). Signatures by other keys are ignored.
    """
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    signed: list[NoteVerifier] = []
    for line in note.signatures:
        verifier = known.get((line.name, line.key_id))
        if verifier is not None:
            verifier.verify(note.text, line.data)
            signed.append(verifier)
    if not signed:
        raise SignerUnknown(signer=", ".join(line.name for line in note.signatures))
    return signed


def open_note(note_bytes: bytes, verifiers: Iterable[NoteVerifier]) -> tuple[str, list[str]]:
    """The text of a note and the names of the known keys that signed it.

    Raises as `parse_note`, `verified_signers`.
    """
    note = parse_note(note_bytes)
    return note.text, [verifier.name for verifier in verified_signers(note, verifiers)]


def _parse_line(line: str) -> SignatureLine:
    name, space, spelling = line.removeprefix(_DASH).partition(" ")
    data = from_base64(spelling)
    if not (line.startswith(_DASH) and space and _is_name(name)) or data is None or len(data) <= KEY_ID_BYTES:
        raise MalformedNote(reason="a signature line is — NAME BASE64")
    return SignatureLine(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def _cosigned(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def _subtree(cosigner: str, text: str, time_s: int) -> bytes:
    """What ML-DSA-44 signs of a checkpoint's text; `SignatureRefused` for a text that is none."""
    lines = text.split("\n")
    root = from_base64(lines[2]) if len(lines) > 3 else None
    size = lines[1] if len(lines) > 3 else ""
    if root is None or len(root) != 32 or not (size.isascii() and size.isdecimal() and len(size) < 20):
        raise SignatureRefused(signer=cosigner)
    return cosigned_message(cosigner, time_s, lines[0], int(size), root)


def _is_name(name: str) -> bool:
    return bool(name) and name.isprintable() and not any(c.isspace() or c == "+" for c in name)


def _check_time(time_s: int) -> None:
    if not 0 <= time_s <= _MAX_TIME:
        raise MalformedNote(reason="a cosignature time is POSIX seconds")


def _check_name(name: str) -> None:
    if not _is_name(name):
        raise MalformedKey(reason="a key name is not empty and has no space, plus or control character")
