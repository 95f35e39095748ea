"""Checkpoints (c2sp.org/tlog-checkpoint): the signed size and root of the log, exactly three lines.

No extension lines: witnesses' newer signatures do not cover them and monitors cannot audit them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import MalformedCheckpoint, SignerUnknown
from ledger.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from ledger.note import NoteVerifier, Signer, parse_note, sign_note, verified_signers
from ledger.strict_base64 import from_base64, to_base64

MAX_ORIGIN_CHARACTERS: Final = 200
_SIZE_DIGITS: Final = len(str(MAX_SIZE))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: whose, how many entries, and the root over them."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not 0 < len(self.origin) <= MAX_ORIGIN_CHARACTERS or not self.origin.isprintable():
            raise MalformedCheckpoint(reason="the origin is one line")
        if type(self.size) is not int or not 0 <= self.size <= MAX_SIZE:
            raise MalformedCheckpoint(reason="the size is a whole number from 0 to 2^63 - 1")
        if len(self.root) != HASH_BYTES:
            raise MalformedCheckpoint(reason="the root has 32 bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise MalformedCheckpoint(reason="the empty log has another root")

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"


def parse(text: str) -> Checkpoint:
    """The checkpoint that `text` spells. Raises `MalformedCheckpoint`."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise MalformedCheckpoint(reason="three lines are expected")
    size, root = lines[1], from_base64(lines[2])
    if not (size.isascii() and size.isdecimal() and len(size) <= _SIZE_DIGITS) or root is None:
        raise MalformedCheckpoint(reason="size and root are not spelled as they should be")
    checkpoint = Checkpoint(lines[0], int(size), root)
    if checkpoint.text() != text:
        raise MalformedCheckpoint(reason="another spelling of the same checkpoint")
    return checkpoint


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer] | Signer) -> bytes:
    """The signed note of `checkpoint`, with a line for each signer (the log first)."""
    return sign_note(checkpoint.text(), signers if isinstance(signers, Sequence) else [signers])


def open_checkpoint(
    note: bytes, verifier: NoteVerifier | Sequence[NoteVerifier], witnesses: Sequence[NoteVerifier] = ()
) -> Checkpoint:
    """The checkpoint in a note that is signed by `verifier`, whose name is the origin, and by every one of
    `witnesses`. Of several verifiers, which are keys of one log, one is enough.

    Raises `MalformedNote`, `MalformedCheckpoint`, `SignatureRefused`, `SignerUnknown`.
    """
    opened = parse_note(note)
    own = [verifier] if isinstance(verifier, NoteVerifier) else list(verifier)
    signed = verified_signers(opened, [*own, *witnesses])
    if not any(key in signed for key in own):
        raise SignerUnknown(signer=own[-1].name)
    for wanted in witnesses:
        if wanted not in signed:
            raise SignerUnknown(signer=wanted.name)
    checkpoint = parse(opened.text)
    if any(checkpoint.origin != key.name for key in own):
        raise MalformedCheckpoint(reason="its origin is not the name of the log's key")
    return checkpoint


def peek_checkpoint(note: bytes) -> Checkpoint:
    """The checkpoint in a note of which **no signature is checked**: for our own files, never for a
    stranger's.
    """
    return parse(parse_note(note).text)
