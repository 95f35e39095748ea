"""Proof files (c2sp.org/tlog-proof): the index, the inclusion hashes and the checkpoint that one entry needs,
for ever.
"""

from dataclasses import dataclass
from typing import Final

from ledger.errors import MalformedProof
from ledger.merkle import HASH_BYTES, MAX_SIZE
from ledger.note import parse_note
from ledger.strict_base64 import from_base64, to_base64

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_HASHES: Final = 63
MAX_PROOF_BYTES: Final = 2_000_000
_INDEX_DIGITS: Final = len(str(MAX_SIZE))


@dataclass(frozen=True, slots=True)
class TlogProof:
    """An inclusion proof with its checkpoint (a signed note, verbatim).

    `extra` is opaque and authenticated by nothing.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint_note: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if type(self.index) is not int or not 0 <= self.index < MAX_SIZE:
            raise MalformedProof(reason="the index is a whole number from 0 to 2^63 - 2")
        if len(self.hashes) > MAX_HASHES or any(len(value) != HASH_BYTES for value in self.hashes):
            raise MalformedProof(reason="at most 63 hashes of 32 bytes")
        parse_note(self.checkpoint_note)

    def to_bytes(self) -> bytes:
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {to_base64(self.extra)}")
        lines += [f"index {self.index}", *map(to_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.checkpoint_note

    @classmethod
    def parse(cls, data: bytes) -> "TlogProof":
        """The proof that `data` spells.

        Raises `MalformedProof` or, for the checkpoint part, `MalformedNote`.
        """
        if len(data) > MAX_PROOF_BYTES:
            raise MalformedProof(reason="too long")
        head, gap, note = data.partition(b"\n\n")
        if not gap or not head.isascii():
            raise MalformedProof(reason="hashes, an empty line and a checkpoint are expected")
        lines = head.decode("ascii").split("\n")
        if lines[0] != HEADER:
            raise MalformedProof(reason=f"the first line is not {HEADER}")
        extra = None
        if len(lines) > 1 and lines[1].startswith("extra "):
            extra = _decoded(lines.pop(1).removeprefix("extra "))
        if len(lines) < 2 or len(lines) > 2 + MAX_HASHES:
            raise MalformedProof(reason="an index and at most 63 hashes are expected")
        proof = cls(_index(lines[1]), tuple(map(_decoded, lines[2:])), note, extra)
        if proof.to_bytes() != data:
            raise MalformedProof(reason="another spelling of the same proof")
        return proof


def _index(line: str) -> int:
    digits = line.removeprefix("index ")
    if digits == line or not digits.isdecimal() or len(digits) > _INDEX_DIGITS:
        raise MalformedProof(reason="an index line is expected")
    return int(digits)


def _decoded(line: str) -> bytes:
    data = from_base64(line)
    if data is None:
        raise MalformedProof(reason="base64 in another spelling")
    return data
