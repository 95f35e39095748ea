"""Durable signed double-entry appends through the product's own group writer, in process.

A client brings the bytes of a DSSE envelope that it signed. The writer parses them strictly, checks form and
signature, applies the entry, writes log and books, seals, commits and publishes the tiles; only then is the
client answered, and only then does the entry count.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import tables
from ledger.canonical import decode
from ledger.envelope import Envelope, encode_leaf
from ledger.log import LedgerTransaction
from registry.catalogue import PROJECTIONS
from registry.installation import Installation
from registry.projections import project

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
    """Of each chunk that a client sent at once."""

    @property
    def rate(self) -> float:
        return self.entries / self.seconds


def received(wire: bytes, *, rooms: bool) -> Work:
    """The work on one entry; with `rooms` the rows of the registry's rooms are written too."""

    def work(session: Session, ledger: LedgerTransaction) -> int:
        envelope = Envelope.from_json(decode(wire))
        at_ms = max(time.time_ns() // 1_000_000, ledger.last_at_ms)
        entry = ledger.append(encode_leaf(at_ms, envelope))
        if rooms:
            project(session, entry, PROJECTIONS)
        return entry.index

    return work


def append(installation: Installation, wires: Sequence[Wire], group: int, *, rooms: bool = False) -> Appended:
    """Send the entries in chunks of `group` at once, the next when the last was answered.

    Raises what the writer refuses: a rate of refusals is no rate of appends.
    """
    works = [(received(wire, rooms=rooms), entry_id) for entry_id, wire in wires]
    chunks = [works[at : at + group] for at in range(0, len(works), group)]
    before = _commits(installation)
    latencies_s = []
    started = last = time.perf_counter()
    for chunk in chunks:
        answers: list[Future[Any]] = installation.writer.submit_all(chunk)
        for answer in answers:
            answer.result()
        now = time.perf_counter()
        latencies_s.append(now - last)
        last = now
    return Appended(len(works), last - started, _commits(installation) - before, tuple(latencies_s))


def _commits(installation: Installation) -> int:
    with installation.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(tables.checkpoint)) or 0


def paced(
    installation: Installation, wires: Sequence[Wire], rate: float, random_source: Random
) -> list[float]:
    """Seconds from when each entry was due to its answer, for single entries that come at random moments,
    `rate` a second on average, whether those before them were answered or not.
    """
    works = [(received(wire, rooms=False), entry_id) for entry_id, wire in wires]
    latencies_s: list[float] = []
    answers = []
    due = time.perf_counter()
    for work, entry_id in works:
        due += random_source.expovariate(rate)
        while (early := due - time.perf_counter()) > 0:
            time.sleep(early)
        answer = installation.writer.submit(work, entry_id)
        answer.add_done_callback(partial(_note, latencies_s, due))
        answers.append(answer)
    for answer in answers:
        answer.result()
    return latencies_s


def _note(latencies_s: list[float], due: float, _answer: Future[int]) -> None:
    latencies_s.append(time.perf_counter() - due)
