"""A witness (c2sp.org/tlog-witness): it cosigns a log's checkpoint when that extends all it cosigned before.

`decide` is the whole judgement, pure. `WitnessStore` is the memory: the newest cosigned checkpoint of each
log in one small SQLite file, read and replaced in one transaction that is durable before anything is signed.
So two requests from the same old size cannot both win, whatever processes they come through, and a witness
that is killed at any moment never goes back.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from ledger.checkpoint import Checkpoint, parse, peek_checkpoint
from ledger.errors import LedgerRefusal, MalformedNote, ProofRefused, SignatureRefused
from ledger.keys import SigningKey
from ledger.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE, verify_consistency
from ledger.mldsa import MlDsaKey
from ledger.note import Cosigner, MlDsaCosigner, Note, NoteVerifier, Signer, parse_note, signature_line
from ledger.proof import MAX_HASHES
from ledger.strict_base64 import from_base64, to_base64

SIZE_TYPE: Final = "text/x.tlog.size"
TEXT_TYPE: Final = "text/plain; charset=utf-8"
MAX_REQUEST_BYTES: Final = 65_536
"""An old size, 63 hashes, and a checkpoint with as many signatures as anybody needs."""
_SIZE_DIGITS: Final = len(str(MAX_SIZE))


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """The body of `add-checkpoint`: sizes count entries; the proof leads from `old_size` to the note's."""

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes

    def to_bytes(self) -> bytes:
        lines = [f"old {self.old_size}", *map(to_base64, self.proof), "", ""]
        return "\n".join(lines).encode() + self.note

    @classmethod
    def parse(cls, data: bytes) -> "AddCheckpoint":
        """The request that `data` spells, in its one spelling. Raises a `LedgerRefusal`."""
        head, gap, note = data.partition(b"\n\n")
        if not gap or not head.isascii():
            raise MalformedNote(reason="an old size, hashes, an empty line and a checkpoint are expected")
        first, *lines = head.decode("ascii").split("\n")
        digits = first.removeprefix("old ")
        if digits == first or not digits.isdecimal() or len(digits) > _SIZE_DIGITS:
            raise MalformedNote(reason="the first line is the old size")
        hashes = [from_base64(line) for line in lines]
        if len(hashes) > MAX_HASHES or any(value is None or len(value) != HASH_BYTES for value in hashes):
            raise MalformedNote(reason=f"at most {MAX_HASHES} hashes of {HASH_BYTES} bytes")
        request = cls(int(digits), tuple(value for value in hashes if value is not None), note)
        if request.to_bytes() != data:
            raise MalformedNote(reason="another spelling of the same request")
        parse_note(note)
        return request


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness says: an HTTP status, and a body of the type that goes with it."""

    status: HTTPStatus
    body: bytes
    content_type: str = TEXT_TYPE


@dataclass(frozen=True, slots=True)
class Accepted:
    """A checkpoint to remember and then to cosign."""

    checkpoint: Checkpoint
    text: str


Logs = Mapping[str, Sequence[NoteVerifier]]
"""The keys that a witness trusts, by origin."""


def decide(request: AddCheckpoint, known: Checkpoint | None, logs: Logs) -> Accepted | Answer:
    """Judge a well-formed request against the newest checkpoint cosigned before (c2sp.org/tlog-witness).

    1. 404: the origin is not known.
    2. 403: no signature verifies under a key that is trusted for it. Other lines are ignored.
    3. 400: the old size is beyond the new one, or what was signed is no checkpoint of three lines.
    4. 409: the old size is not that of `known`, or the same size has another root.
    5. 422: the proof does not lead from the known root to the new one (RFC 6962, 2.1.2).
    """
    note = parse_note(request.note)
    origin = note.text.partition("\n")[0]
    if origin not in logs:
        return _refused(HTTPStatus.NOT_FOUND, "this witness does not know the log")
    if not any(_signed(note, verifier) for verifier in logs[origin]):
        return _refused(HTTPStatus.FORBIDDEN, "no signature by a key of this log verifies")
    try:
        new = parse(note.text)
    except LedgerRefusal as refusal:
        return _refused(HTTPStatus.BAD_REQUEST, str(refusal))
    if request.old_size > new.size:
        return _refused(HTTPStatus.BAD_REQUEST, "the old size is beyond the new one")
    old = Checkpoint(origin, 0, EMPTY_ROOT) if known is None else known
    if request.old_size != old.size or (old.size == new.size and old.root != new.root):
        return Answer(HTTPStatus.CONFLICT, f"{old.size}\n".encode(), SIZE_TYPE)
    try:
        verify_consistency(old.size, new.size, request.proof, old.root, new.root)
    except ProofRefused as refusal:
        return _refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(refusal))
    return Accepted(new, note.text)


def _signed(note: Note, verifier: NoteVerifier) -> bool:
    for line in note.signatures:
        if (line.name, line.key_id) == (verifier.name, verifier.key_id):
            try:
                verifier.verify(note.text, line.data)
            except SignatureRefused:
                return False
            return True
    return False


def _refused(status: HTTPStatus, reason: str) -> Answer:
    return Answer(status, f"{reason}\n".encode())


# ---- what it remembers -------------------------------------------------------------------------------------


class WitnessStore:
    """The newest cosigned checkpoint of every log, in a SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(self._connect()) as connection:
            connection.execute(
                "create table if not exists seen (origin text primary key, size integer not null, "
                "note blob not null) strict"
            )

    def latest(self, origin: str) -> bytes | None:
        """The note of the newest checkpoint that was cosigned for a log."""
        with closing(self._connect()) as connection:
            return _note(connection, origin)

    @contextmanager
    def turn(self, origin: str) -> Iterator[tuple[bytes | None, Callable[[int, bytes], None]]]:
        """The newest note, and how to replace it, while nobody else can; durable when the block has ended."""
        with closing(self._connect()) as connection:
            connection.execute("begin immediate")
            try:
                yield _note(connection, origin), lambda size, note: _keep(connection, origin, size, note)
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        connection.execute("pragma synchronous = extra")  # the journal's removal is synced too
        return connection


def _note(connection: sqlite3.Connection, origin: str) -> bytes | None:
    row = connection.execute("select note from seen where origin = ?", (origin,)).fetchone()
    return None if row is None else bytes(row[0])


def _keep(connection: sqlite3.Connection, origin: str, size: int, note: bytes) -> None:
    connection.execute(
        "insert into seen values (?, ?, ?) on conflict (origin) do update set size = ?, note = ? "
        "where excluded.size >= seen.size",
        (origin, size, note, size, note),
    )


# ---- the witness -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Witness:
    """A name, its keys, the logs it knows, its memory, and its clock (POSIX seconds)."""

    name: str
    key: SigningKey
    logs: Logs
    store: WitnessStore
    now_s: Callable[[], int]
    ml_dsa_key: MlDsaKey | None = None

    @property
    def vkeys(self) -> list[str]:
        return [signer.verifier.vkey for signer in self._signers(0)]

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer one request. What is cosigned is durable before the answer exists."""
        try:
            request = AddCheckpoint.parse(body)
            origin = parse_note(request.note).text.partition("\n")[0]
        except LedgerRefusal as refusal:
            return _refused(HTTPStatus.BAD_REQUEST, str(refusal))
        if not isinstance(judged := decide(request, self._latest(origin), self.logs), Accepted):
            return judged  # without a turn: strangers do not make others wait
        with self.store.turn(origin) as (seen, keep):
            judged = decide(request, None if seen is None else peek_checkpoint(seen), self.logs)
            if isinstance(judged, Accepted):
                keep(judged.checkpoint.size, request.note)
        if not isinstance(judged, Accepted):
            return judged
        lines = [signature_line(judged.text, signer) for signer in self._signers(self.now_s())]
        return Answer(HTTPStatus.OK, "".join(map(str, lines)).encode())

    def _latest(self, origin: str) -> Checkpoint | None:
        seen = self.store.latest(origin) if origin in self.logs else None
        return None if seen is None else peek_checkpoint(seen)

    def _signers(self, time_s: int) -> list[Signer]:
        first: Signer = Cosigner(self.name, self.key, time_s)
        if self.ml_dsa_key is None:
            return [first]
        return [first, MlDsaCosigner(self.name, self.ml_dsa_key, time_s)]


def trusted_logs(verifiers: Sequence[NoteVerifier]) -> Logs:
    """The logs that a witness is told to know; several keys with one name are keys of one log."""
    logs: dict[str, list[NoteVerifier]] = {}
    for verifier in verifiers:
        logs.setdefault(verifier.name, []).append(verifier)
    return logs
