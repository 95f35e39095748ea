"""`tanhui audit`: replay the published log from zero and hold everything against it.

The order is that of trust: the checkpoint by the log's key, the files by the checkpoint, the entries by
their signatures, the rules by the entries, the tables by the replay, the ground by the outlines that the
tables hold, and the certificates by the log. With `log_only` it needs nothing but `log/` and `log.vkey`, and
says which checks it did not make.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import tables
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import LedgerRefusal
from ledger.log import books_rows, key_row, posting_rows
from ledger.merkle import Frontier, leaf_hash
from ledger.note import NoteVerifier
from ledger.replay import Entry, LedgerState
from ledger.tiles import CHECKPOINT, TileDirectory
from registry.catalogue import MACHINES, PROJECTIONS
from registry.database import Base, Database
from registry.projections import project, steps_of
from registry.settings import Home
from registry.transparency import published
from registry.transparency.certificates import AuditedLog, check_certificates, judge_retirement
from registry.transparency.comparison import check_commitments, compare_tables
from registry.transparency.findings import NEED_MORE_THAN_THE_LOG, Report
from registry.transparency.history import History
from registry.transparency.invariants import Checker, Conservation, Money, RequestIds, Steps, sizes_grow
from registry.transparency.land import check_land
from registry.transparency.rooms import JUDGES, Rooms

Progress = Callable[[str, int, int], None]

ATTEMPTS: Final = 4
SETTLE_SECONDS: Final = 0.3
"""A commit is published within this time, as a rule."""


def silent(_step: str, _done: int, _total: int) -> None:
    """No progress line."""


@dataclass(slots=True)
class Replayed:
    """The log replayed: its entries, the state and the tables they imply, what they told, and the root at
    every size.
    """

    leaves: Sequence[bytes]
    state: LedgerState
    session: Session
    roots: list[bytes]
    history: History


def audit(home: Home, progress: Progress = silent, *, log_only: bool = False) -> Report:
    """Audit an installation's folder. Findings are in the report; only a missing folder or key raises.

    A log that grew meanwhile is audited again, a few times: what failed may only have been of two moments.
    """
    for _ in range(ATTEMPTS - 1):
        report = _audit_once(home, progress, log_only=log_only)
        if report.passed or not _grew(home, report):
            return report
    return _audit_once(home, progress, log_only=log_only)


def _grew(home: Home, report: Report) -> bool:
    """Whether more was published than was audited, or is about to be."""
    if report.behind:
        time.sleep(SETTLE_SECONDS)
    try:
        return TileDirectory(home.log).published_size() > report.size > 0
    except LedgerRefusal:
        return False


def _audit_once(home: Home, progress: Progress, *, log_only: bool) -> Report:
    report = Report()
    vkey = home.vkey.read_text().strip()
    replayed = replay_published(home, vkey, report, progress, log_only=log_only)
    if replayed is None:
        return report
    try:
        if not log_only:
            hold_installation(home, vkey, replayed, report)
    finally:
        replayed.session.close()
    return report


def replay_published(
    home: Home, vkey: str, report: Report, progress: Progress = silent, *, log_only: bool = False
) -> Replayed | None:
    """The published log, checked and replayed from zero; None when it is not a log or does not follow."""
    if log_only:
        report.skipped |= dict.fromkeys(NEED_MORE_THAN_THE_LOG, "not checked: it needs more than the log")
    checkpoint = published.read_checkpoint(home.log, vkey, report)
    if checkpoint is None:
        return None
    report.size = checkpoint.size
    leaves = _published_leaves(home.log, checkpoint, report)
    if leaves is None:
        return None
    replayed = replay(leaves, report, progress, log_only=log_only)
    if replayed is not None:
        _check_head(checkpoint, vkey, replayed, report)
    return replayed


def _published_leaves(folder: Path, checkpoint: Checkpoint, report: Report) -> Sequence[bytes] | None:
    leaves = published.read_leaves(folder, checkpoint.size, report)
    if leaves is None:
        return None
    hashes = published.check_root(leaves, checkpoint, report)
    published.check_files(folder, leaves, hashes, report)
    return leaves if report.passed else None


def _check_head(checkpoint: Checkpoint, vkey: str, replayed: Replayed, report: Report) -> None:
    """That the checkpoint stands at the end of this history, and the first entry names this log and key."""
    report.expect("I12", replayed.roots[-1] == checkpoint.root, CHECKPOINT, "it is not on the history")
    genesis = replayed.history.genesis
    report.expect(
        "L1",
        genesis == (checkpoint.origin, vkey),
        "entry 0",
        f"it opens the log {genesis[0]} with another key",
    )


def checkers(rooms: Rooms) -> list[Checker]:
    return [Steps(MACHINES), Conservation(), Money(), RequestIds(), rooms]


def replay(
    leaves: Sequence[bytes], report: Report, progress: Progress = silent, *, log_only: bool = False
) -> Replayed | None:
    """Apply every entry from zero, with every checker looking on. None when an entry does not follow."""
    state, session, frontier = LedgerState(), _empty_tables(), Frontier()
    rooms = Rooms(JUDGES if log_only else {**JUDGES, judge_retirement: "I14"})
    looking_on, roots, extra = checkers(rooms), [], _LedgerRows()
    for index, leaf in enumerate(leaves):
        report.count("L3")
        try:
            entry = state.apply(leaf)
            project(session, entry, PROJECTIONS)
        except (LedgerRefusal, sa.exc.SQLAlchemyError, KeyError, TypeError, ValueError) as refusal:
            report.find("L3", f"entry {index}", f"{type(refusal).__name__}: {refusal}")
            session.close()
            return None
        for checker in looking_on:
            checker.see(entry, state, report)
        frontier.append(leaf_hash(leaf))
        roots.append(frontier.root())
        extra.see(entry, leaf, state)
        progress("replay", index + 1, len(leaves))
    for checker in looking_on:
        checker.finish(state, report)
    extra.write(session, state, frontier)
    return Replayed(leaves, state, session, roots, rooms.history)


def _empty_tables() -> Session:
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    tables.metadata.create_all(engine)
    Base.metadata.create_all(engine)
    return Session(engine)


class _LedgerRows:
    """The ledger's own tables, gathered while replaying and written once."""

    def __init__(self) -> None:
        self._rows: dict[str, list[dict[str, Any]]] = {"log": [], "posting": []}
        self._states: dict[tuple[str, str], dict[str, Any]] = {}
        self._key_index: dict[str, int] = {}
        self._origin = ""
        self._at_ms = 0

    def see(self, entry: Entry, leaf: bytes, state: LedgerState) -> None:
        digest = leaf_hash(leaf)
        self._rows["log"].append(
            {"idx": entry.index, "entry_id": entry.payload.id, "leaf_hash": digest, "leaf": leaf}
        )
        self._rows["posting"] += posting_rows(entry)
        for step in steps_of(entry):
            key = (step.machine, step.subject)
            self._states[key] = {
                "machine": step.machine, "subject": step.subject, "state": step.after, "idx": entry.index,
            }  # fmt: skip
        for keyid in state.keys.keys() - self._key_index.keys():
            self._key_index[keyid] = entry.index
        if entry.payload.type == "genesis":
            self._origin = entry.payload.subject
        self._at_ms = entry.at_ms

    def write(self, session: Session, state: LedgerState, frontier: Frontier) -> None:
        rows = self._rows | books_rows(state.books)
        rows["subject_state"] = list(self._states.values())
        rows["actor_key"] = [key_row(key, self._key_index[key.keyid]) for key in state.keys.values()]
        rows["head"] = [
            {
                "one": 1,
                "origin": self._origin,
                "size": frontier.size,
                "root": frontier.root(),
                "frontier": frontier.encode(),
                "at_ms": self._at_ms,
            }
        ]
        for name, table_rows in rows.items():
            if table_rows:
                session.execute(sa.insert(tables.metadata.tables[name]), table_rows)
        session.flush()


def hold_installation(home: Home, vkey: str, replayed: Replayed, report: Report) -> None:
    """I4, I12 to I14 and C1: what the database and the certificates' folder hold, against the replayed
    log.
    """
    database = Database(home.database_url)
    try:
        with database.read() as served:
            if served.get_bind().dialect.name == "postgresql":  # one moment, as SQLite reads anyway
                served.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            _check_freshness(served, len(replayed.leaves), report)
            compare_tables(replayed.session, served, report)
            check_commitments(served, report)
            _check_checkpoints(served, vkey, replayed.roots, report)
            check_land(replayed.history, served, report)
    except (sa.exc.SQLAlchemyError, ValueError, TypeError) as fault:
        report.find("I13", "the database", f"it cannot be read: {fault}")
    finally:
        database.dispose()
    log = AuditedLog(vkey, replayed.leaves, replayed.roots, replayed.session)
    check_certificates(home, log, report)


def _check_freshness(served: Session, size: int, report: Report) -> None:
    """A published log that is older than the database hides the newest entries."""
    committed = served.execute(sa.select(tables.head.c.size)).scalar_one_or_none()
    report.behind = committed is not None and committed > size
    report.expect(
        "L1", committed == size, CHECKPOINT, f"it is of {size} entries; the database committed {committed}"
    )


def _check_checkpoints(served: Session, vkey: str, roots: Sequence[bytes], report: Report) -> None:
    verifier = NoteVerifier.parse(vkey)
    rows = served.execute(sa.select(tables.checkpoint).order_by(tables.checkpoint.c.size)).all()
    report.expect(
        "I12", bool(rows) and rows[-1].size == len(roots), "checkpoint", "the last is not the published one"
    )
    report.expect("I12", sizes_grow(row.size for row in rows), "checkpoint", "sizes do not grow")
    for row in rows:
        where = f"checkpoint {row.size}"
        try:
            checkpoint = open_checkpoint(row.note, verifier)
        except LedgerRefusal as refusal:
            report.find("I12", f"{where} column note", refusal)
            continue
        fits = checkpoint.size == row.size and 0 < row.size <= len(roots)
        report.expect(
            "I12",
            fits and roots[row.size - 1] == checkpoint.root,
            where,
            "it is not on the published history",
        )
