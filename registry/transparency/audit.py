"""`tanhui audit DIR`: the log judged by the auditor, and then the installation held against it.

The log's part (`auditor`) shares no code with what wrote it and needs no database. After it come the tables,
against those that the same entries imply; the ground, against the outlines that the tables hold; the
certificates, against the log. All of it is of one moment: the database is read in one snapshot, and the
published log is judged to the size that this snapshot has.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from auditor.audit import Audited, Until, audit_alone, audit_log
from auditor.findings import Report
from auditor.history import History
from auditor.published import Lying, Sizes
from auditor.register import Register
from auditor.rooms import JUDGES
from ledger import tables
from ledger.checkpoint import open_checkpoint, peek_checkpoint
from ledger.client import FolderFiles
from ledger.errors import LedgerRefusal
from ledger.note import NoteVerifier
from ledger.policy import read_policy
from ledger.tiles import CHECKPOINT, TileDirectory
from registry.database import Database
from registry.settings import Home
from registry.transparency.certificates import (
    AuditedLog,
    check_certificates,
    judge_retirement,
    proven_sizes,
)
from registry.transparency.comparison import check_commitments, compare_tables
from registry.transparency.land import check_land
from registry.transparency.replayed import Replayed
from registry.transparency.review import note_reviews

Progress = Callable[[str, int, int], None]

PATIENCE_SECONDS = 5.0
"""How long the published log may stand still while commits are on their way to it."""
_LOOK_AGAIN_SECONDS: Final = 0.05


def silent(_step: str, _done: int, _total: int) -> None:
    """No progress line."""


@dataclass(slots=True)
class Judged:
    """A log that was judged: what its entries told, the tables they imply, and its root at certain sizes."""

    size: int
    register: Register
    history: History
    tables: Replayed
    roots: dict[int, bytes]
    required: set[int]
    """Sizes of checkpoints that somebody outside the tables has."""

    def close(self) -> None:
        self.tables.close()


def audit(home: Home, progress: Progress = silent, *, log_only: bool = False) -> Report:
    """Audit an installation's folder. Findings are in the report; only a missing folder or key raises.

    With `log_only` it needs nothing but `log/` and `log.vkey`, and says which checks it did not make.
    """
    verifiers = verifiers_of(home.vkey)
    if log_only:
        return audit_alone(FolderFiles(home.log), verifiers, progress=progress).report
    report = Report()
    with snapshot(home) as served, _readable(report):
        judged = judge(home, verifiers, served, report, progress)
        if judged is not None:
            try:
                hold_installation(home, verifiers, judged, served, report)
            finally:
                judged.close()
    return report


@contextmanager
def _readable(report: Report) -> Iterator[None]:
    try:
        yield
    except (sa.exc.SQLAlchemyError, ValueError, TypeError) as fault:
        report.find("I13", "the database", f"it cannot be read: {fault}")


def verifiers_of(vkey: Path) -> list[NoteVerifier]:
    """The keys in a file, one on a line. Raises `MalformedKey`, `OSError`."""
    return [NoteVerifier.parse(line) for line in vkey.read_text().split()]


@contextmanager
def snapshot(home: Home) -> Iterator[Session]:
    """One moment of the database, however long it is looked at."""
    database = Database(home.database_url)
    try:
        with database.read() as served:
            if served.get_bind().dialect.name == "postgresql":  # SQLite reads one moment anyway
                served.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield served
    finally:
        database.dispose()


def judge(
    home: Home,
    verifiers: Sequence[NoteVerifier],
    served: Session,
    report: Report,
    progress: Progress = silent,
) -> Judged | None:
    """The published log, judged to the size that the served tables have; None when it does not follow."""
    committed = served.execute(sa.select(tables.head.c.size)).scalar_one_or_none() or 0
    lying, published = _published_by_now(home, committed)
    handed_out = {*lying.sizes(), *proven_sizes(home)}
    wanted = sorted(size for size in {*_signed_sizes(served), *handed_out} if size > 0)
    report.expect(
        "L1",
        published >= committed > 0,
        CHECKPOINT,
        f"it is of {published} entries; the database committed {committed}",
    )
    roots: dict[int, bytes] = {}
    rebuilt = Replayed()
    audited = audit_log(
        FolderFiles(home.log),
        verifiers,
        Until(size=min(committed, published) or None, whole=True),
        report=report,
        judges={**JUDGES, judge_retirement: "I14"},
        sizes=Sizes(iter(wanted), roots.__setitem__),
        lying=lying,
        visit=rebuilt.see,
        progress=progress,
    )
    return _judged(audited, rebuilt, roots, {size for size in handed_out if 0 < size <= committed})


def _judged(
    audited: Audited, rebuilt: Replayed, roots: dict[int, bytes], required: set[int]
) -> Judged | None:
    replay, report = audited.replay, audited.report
    if rebuilt.fault is not None:
        report.find("L3", f"entry {rebuilt.size}", f"the registry's own replay refuses it: {rebuilt.fault}")
    if rebuilt.fault is not None or not audited.followed:
        rebuilt.close()
        return None
    rebuilt.finish()
    return Judged(replay.size, replay.register, replay.history, rebuilt, roots, required)


def _published_by_now(home: Home, committed: int) -> tuple[Lying, int]:
    """The files that lie in the log's folder and the size that is public, once that size has reached what is
    committed and covers the files; a publication in flight is waited for.
    """
    moved_at, before = time.monotonic(), -1
    while True:
        lying = Lying(home.log)
        try:
            published = TileDirectory(home.log).published_size()
        except LedgerRefusal:
            return lying, committed  # what is wrong with the checkpoint is the auditor's to say
        if published >= max(committed, lying.needs()):
            return lying, published
        if published != before:
            moved_at, before = time.monotonic(), published
        if time.monotonic() - moved_at > PATIENCE_SECONDS:
            return lying, published
        time.sleep(_LOOK_AGAIN_SECONDS)


# ---- the tables --------------------------------------------------------------------------------------------


def hold_installation(
    home: Home, verifiers: Sequence[NoteVerifier], judged: Judged, served: Session, report: Report
) -> None:
    """I4, I12 to I14 and C1: what the database and the certificates' folder hold, against the judged log."""
    with _readable(report):
        compare_tables(judged.tables.session, served, report)
        check_commitments(served, report, home.lost_commitments())
        check_land(judged.history, served, report)
        note_reviews(judged.tables.session, report)
        _check_checkpoints(judged, served, report)
    log = AuditedLog(
        "\n".join(key.vkey for key in verifiers),
        judged.tables.leaf,
        judged.roots,
        judged.tables.session,
        read_policy(home.policy),
    )
    check_certificates(home, log, report)


def _signed_sizes(served: Session) -> set[int]:
    sizes: set[int] = set()
    for table in (tables.checkpoint, tables.cosigned):
        sizes |= set(served.scalars(sa.select(table.c.size)))
    return sizes


def _check_checkpoints(judged: Judged, served: Session, report: Report) -> None:
    """Every signed checkpoint is of this history, and those that must exist do.

    No entry says at which sizes somebody signed, so a missing row is found where something else has seen its
    checkpoint: the last one, one that witnesses cosigned, one whose partial bundle is public, one that stands
    in a certificate's proof (0005).
    """
    rows = served.execute(sa.select(tables.checkpoint).order_by(tables.checkpoint.c.size)).all()
    last = rows[-1].size if rows else 0
    report.expect("I12", last == judged.size, "checkpoint", "the last is not the published one")
    for row in rows:
        _check_note(judged, f"checkpoint {row.size}", row.size, row.note, report)
    cosigned = served.execute(sa.select(tables.cosigned).order_by(tables.cosigned.c.size)).all()
    for row in cosigned:
        _check_note(judged, f"cosigned {row.size}", row.size, row.note, report)
    seen = judged.required | {row.size for row in cosigned}
    for size in sorted(seen - {row.size for row in rows}):
        report.find(
            "I12", f"checkpoint {size}", "the row is missing: a checkpoint of this size was handed out"
        )


def _check_note(judged: Judged, where: str, size: int, note: bytes, report: Report) -> None:
    """A signed checkpoint of this size, by every key that was the log's at that size."""
    try:
        opened = [open_checkpoint(note, verifier) for verifier in judged.register.log_verifiers(size)]
        checkpoint = opened[0] if opened else peek_checkpoint(note)
    except LedgerRefusal as refusal:
        report.find("I12", f"{where} column note", refusal)
        return
    fits = checkpoint.size == size and judged.roots.get(size) == checkpoint.root
    report.expect("I12", fits, where, "it is not on the published history")
