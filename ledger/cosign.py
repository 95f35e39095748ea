"""Ask witnesses for their cosignatures (c2sp.org/tlog-witness, the client's side).

All witnesses of a policy are asked at once, each with the consistency proof from the size it cosigned last.
The first quorum is enough; who is late keeps its own thread busy and nobody else. Only a line that verifies
under the key in the policy is kept. A witness that has seen more of this log than we have, or another root
under a size of ours, is not late: it contradicts us, and that is told apart.
"""

import http.client
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar, Final
from urllib.parse import SplitResult, urlsplit

from ledger.checkpoint import Checkpoint, peek_checkpoint
from ledger.errors import LedgerRefusal
from ledger.merkle import MAX_SIZE
from ledger.note import Note, NoteVerifier, SignatureLine, parse_note
from ledger.policy import KnownWitness, MalformedPolicy, Policy
from ledger.witness import SIZE_TYPE, AddCheckpoint

REQUEST_S: Final = 10.0
"""How long one request may take before its connection is given up."""
MAX_ANSWER_BYTES: Final = 65_536
_ROUNDS: Final = 2
_SIZE_DIGITS: Final = len(str(MAX_SIZE))

Prover = Callable[[int], Sequence[bytes]]
"""The consistency proof from an older size to that of the checkpoint."""


class WitnessLate(LedgerRefusal):
    """A witness that did not cosign this time."""

    code: ClassVar[str] = "witness_late"
    template: ClassVar[str] = "The witness {witness} did not cosign: {reason}."


class WitnessContradicts(LedgerRefusal):
    """A witness has seen `size` entries of this log that are not ours, or not yet ours."""

    code: ClassVar[str] = "witness_contradicts"
    template: ClassVar[str] = "The witness {witness} has cosigned another history of {size} entries."


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of asking brought; `note` bears the lines that verified.

    `contradictions` are sizes that witnesses stated, by name; `missing` are reasons, by name.
    """

    note: bytes
    quorum: bool
    missing: Mapping[str, str]
    contradictions: Mapping[str, int]


class WitnessClient:
    """One witness over HTTP. One request at a time; it remembers the size that the witness cosigned last."""

    def __init__(self, known: KnownWitness) -> None:
        self.known: Final = known
        self._address: Final = _address(known)
        self._connection: http.client.HTTPConnection | None = None
        self._size: int | None = None
        self._busy = threading.Lock()

    @property
    def name(self) -> str:
        return self.known.name

    def cosign(self, note: bytes, prove: Prover) -> SignatureLine:
        """The witness's line under a note, verified.

        Raises `WitnessLate` for whatever may pass by itself, `WitnessContradicts`.
        """
        if not self._busy.acquire(blocking=False):
            raise self._late("it still has not answered the request before")
        try:
            return self._cosign(note, peek_checkpoint(note), prove)
        except (OSError, http.client.HTTPException, ValueError) as fault:
            self._hang_up()
            raise self._late(f"{type(fault).__name__} {fault}".strip()) from fault
        finally:
            self._busy.release()

    def _cosign(self, note: bytes, new: Checkpoint, prove: Prover) -> SignatureLine:
        old = self._size if self._size is not None and self._size <= new.size else 0
        for _ in range(_ROUNDS):
            status, kind, body = self._post(AddCheckpoint(old, tuple(prove(old)), note).to_bytes())
            if status == 200:
                line = self._line(parse_note(note), body)
                self._size = new.size
                return line
            if status == 422 and old > 0:  # of a proof that is right: it has another root under the old size
                raise WitnessContradicts(witness=self.name, size=old)
            if status != 409 or kind != SIZE_TYPE:
                raise self._late(f"it answered {status}")
            told = self._told(body)
            if told > new.size or told == old == new.size:
                raise WitnessContradicts(witness=self.name, size=told)
            self._size = old = told
        raise self._late("its size moved while it was asked")

    def _told(self, body: bytes) -> int:
        digits = body.decode("ascii", "replace").removesuffix("\n")
        if not (digits.isascii() and digits.isdecimal()) or len(digits) > _SIZE_DIGITS:
            raise self._late("it answered 409 without a size")
        return int(digits)

    def _line(self, note: Note, body: bytes) -> SignatureLine:
        """The line by the key in the policy; lines by other keys are ignored."""
        verifier = self.known.verifier
        try:
            answered = parse_note(note.text.encode() + b"\n" + body)
            if answered.text == note.text:
                for line in answered.signatures:
                    if (line.name, line.key_id) == (verifier.name, verifier.key_id):
                        verifier.verify(note.text, line.data)
                        return line
        except LedgerRefusal as refusal:
            raise self._late(f"its answer is not a cosignature: {refusal}".removesuffix(".")) from refusal
        raise self._late("its answer has no signature by its key")

    def _post(self, body: bytes) -> tuple[int, str, bytes]:
        """Status, media type and body. A connection that was kept and is closed by now is opened again."""
        until = time.monotonic() + REQUEST_S
        kept = self._connection is not None
        try:
            return self._exchange(body, until)
        except (ConnectionError, http.client.HTTPException):
            self._hang_up()
            if not kept:
                raise
        return self._exchange(body, until)

    def _exchange(self, body: bytes, until: float) -> tuple[int, str, bytes]:
        connection = self._connection or self._dial()
        self._connection = connection
        connection.request(
            "POST",
            f"{self._address.path.rstrip('/')}/add-checkpoint",
            body,
            {"Content-Type": "text/plain; charset=utf-8"},
        )
        answer = connection.getresponse()
        read = bytearray()
        while part := answer.read1(MAX_ANSWER_BYTES):
            read += part
            if len(read) > MAX_ANSWER_BYTES or time.monotonic() > until:
                raise TimeoutError("the answer is too long or too slow")
        answer.close()  # or its connection could not be used again
        return answer.status, (answer.headers.get("Content-Type") or "").split(";")[0].strip(), bytes(read)

    def _dial(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._address.scheme == "https" else http.client.HTTPConnection
        if self._address.hostname is None:
            raise OSError("the policy gives no address for it")
        return kind(self._address.hostname, self._address.port, timeout=REQUEST_S)

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):
                connection.close()

    def _late(self, reason: str) -> WitnessLate:
        return WitnessLate(witness=self.name, reason=reason)


def _address(known: KnownWitness) -> SplitResult:
    try:
        address = urlsplit(known.url or "")
        usable = known.url is None or (address.scheme in ("http", "https") and bool(address.hostname))
        usable = usable and (address.port is None or address.port > 0) and not address.query
    except ValueError:
        usable = False
    if not usable:
        raise MalformedPolicy(line=0, reason=f"{known.url} is not the http or https address of a witness")
    return address


@dataclass(slots=True)
class _Gathering:
    """What comes in while one round is under way."""

    lines: dict[str, SignatureLine] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    contradictions: dict[str, int] = field(default_factory=dict)
    news: threading.Condition = field(default_factory=threading.Condition)

    def ask(self, client: WitnessClient, note: bytes, prove: Prover) -> None:
        line, contradiction, reason = None, None, "it failed"
        try:
            line = client.cosign(note, prove)
        except WitnessContradicts as refusal:
            contradiction, reason = int(str(refusal.facts["size"])), str(refusal)
        except LedgerRefusal as refusal:
            reason = str(refusal.facts.get("reason", refusal))
        finally:
            with self.news:
                if line is not None:
                    self.lines[client.name] = line
                else:
                    self.missing[client.name] = reason
                if contradiction is not None:
                    self.contradictions[client.name] = contradiction
                self.news.notify_all()


class Witnesses:
    """All witnesses of one policy. Lines for the same checkpoint are kept from one round to the next."""

    def __init__(self, policy: Policy) -> None:
        self.policy: Final = policy
        self._clients: Final = [WitnessClient(known) for known in policy.witnesses.values()]
        self._text = ""
        self._lines: dict[str, SignatureLine] = {}

    @property
    def verifiers(self) -> list[NoteVerifier]:
        return [client.known.verifier for client in self._clients]

    def cosign(self, note: bytes, prove: Prover, budget_s: float, *, everybody: bool = False) -> Round:
        """Ask for at most `budget_s` seconds, and no longer than until a quorum has signed, or with
        `everybody` until all have answered.
        """
        opened = parse_note(note)
        if opened.text != self._text:
            self._text, self._lines = opened.text, {}
        gathering = _Gathering({} if everybody else dict(self._lines))
        asked = [client for client in self._clients if everybody or client.name not in self._lines]
        until = time.monotonic() + budget_s
        for client in asked:
            threading.Thread(
                target=gathering.ask, args=(client, note, prove), name=f"witness {client.name}", daemon=True
            ).start()
        with gathering.news:
            while (left_s := until - time.monotonic()) > 0 and not self._enough(gathering, everybody):
                gathering.news.wait(left_s)
            self._lines = dict(gathering.lines)
            missing, contradictions = dict(gathering.missing), dict(gathering.contradictions)
        for client in asked:
            if client.name not in self._lines:
                missing.setdefault(client.name, f"it has not answered within {budget_s:g} seconds")
        lines = [self._lines[client.name] for client in self._clients if client.name in self._lines]
        return Round(
            Note(opened.text, (*opened.signatures, *lines)).to_bytes(),
            self.policy.satisfied(self._lines.keys()),
            missing,
            contradictions,
        )

    def _enough(self, gathering: _Gathering, everybody: bool) -> bool:
        if gathering.contradictions:
            return True
        all_answered = len(gathering.lines.keys() | gathering.missing.keys()) == len(self._clients)
        return all_answered or (not everybody and self.policy.satisfied(gathering.lines.keys()))
