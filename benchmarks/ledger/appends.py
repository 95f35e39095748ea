"""Durable signed double-entry appends through the product's own group writer, in process.

Clients bring the bytes of DSSE envelopes that they signed. One thread receives them as the server does: it
parses them strictly and verifies the signatures. The writer applies the entries, writes log and books, seals
and commits; its publisher writes tiles and checkpoint. Only then are the clients answered, and only then do
the entries count. While one group is being published the next is written and another received.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import tables
from ledger.canonical import decode
from ledger.envelope import Envelope
from ledger.log import LedgerTransaction
from ledger.signed import look_at
from registry.catalogue import PROJECTIONS
from registry.installation import Installation
from registry.projections import project

GROUPS_UNDER_WAY: Final = 3
"""Groups that clients have sent and not been answered for: one received or waiting, one written, one
published."""
Wire = tuple[str, bytes]
"""Request id, and the envelope's bytes as the client sent them."""
Work = Callable[[Session, LedgerTransaction], int]


@dataclass(frozen=True, slots=True)
class Appended:
    """One measurement: how many entries in how many seconds, and in how many commits."""

    entries: int
    seconds: float
    commits: int
    latencies_s: tuple[float, ...]
    """Of each group, from when it came to when it was answered."""
    cpu_s: float
    """Of this process with all its threads."""

    @property
    def rate(self) -> float:
        return self.entries / self.seconds


def received(installation: Installation, wire: bytes, *, rooms: bool) -> Work:
    """An entry as it is received: parsed, its signature verified; and the work on it that is left. With
    `rooms` the rows of the registry's rooms are written too.
    """
    signed = look_at(Envelope.from_json(decode(wire)), installation.writer.public_key)

    def work(session: Session, ledger: LedgerTransaction) -> int:
        entry = ledger.append_signed(max(time.time_ns() // 1_000_000, ledger.last_at_ms), signed)
        if rooms:
            project(session, entry, PROJECTIONS)
        return entry.index

    return work


def append(
    installation: Installation,
    wires: Sequence[Wire],
    group: int,
    *,
    rooms: bool = False,
    under_way: int = GROUPS_UNDER_WAY,
) -> Appended:
    """Send the entries in groups, at most `under_way` of them before the first of them is answered.

    Raises what the writer refuses: a rate of refusals is no rate of appends.
    """
    before, largest = _commits(installation), installation.writer.group_size
    installation.writer.group_size = group
    latencies_s: list[float] = []
    waiting: deque[list[Future[int]]] = deque()
    started, cpu_started = time.perf_counter(), time.process_time()
    try:
        for at in range(0, len(wires), group):
            if len(waiting) == under_way:
                _require_done(waiting.popleft())
            came = time.perf_counter()
            sent = [(received(installation, wire, rooms=rooms), id_) for id_, wire in wires[at : at + group]]
            answers = installation.writer.submit_all(sent)
            answers[-1].add_done_callback(partial(_note, latencies_s, came))
            waiting.append(answers)
        while waiting:
            _require_done(waiting.popleft())
    finally:
        installation.writer.group_size = largest
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    return Appended(len(wires), seconds, _commits(installation) - before, tuple(latencies_s), cpu_s)


def _require_done(answers: Sequence[Future[int]]) -> None:
    for answer in answers:
        answer.result()


def _commits(installation: Installation) -> int:
    with installation.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(tables.checkpoint)) or 0


def paced(
    installation: Installation, wires: Sequence[Wire], rate: float, random_source: Random
) -> list[float]:
    """Seconds from when each entry was due to its answer, for single entries that come at random moments,
    `rate` a second on average, whether those before them were answered or not.
    """
    latencies_s: list[float] = []
    answers = []
    due = time.perf_counter()
    for entry_id, wire in wires:
        due += random_source.expovariate(rate)
        while (early := due - time.perf_counter()) > 0:
            time.sleep(early)
        answer = installation.writer.submit(received(installation, wire, rooms=False), entry_id)
        answer.add_done_callback(partial(_note, latencies_s, due))
        answers.append(answer)
    _require_done(answers)
    return latencies_s


def _note(latencies_s: list[float], due: float, _answer: Future[int]) -> None:
    latencies_s.append(time.perf_counter() - due)
