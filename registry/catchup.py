"""`tanhui restore --catch-up`: bring a database that is older than the published log up to it.

What was published after the backup is read from the published log, verified by the log's key, and applied
entry by entry, as it was when it was first logged. Every logged column is whole again after that, and nothing
is signed on the way: the checkpoint is the published one. What the log holds only as a digest (names,
outlines, run records) is lost with the newer database and is listed.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, ClassVar, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from auditor.findings import Report
from geo.polygon import from_wkb
from ledger.checkpoint import Checkpoint, peek_checkpoint
from ledger.client import Files, FolderFiles, Head, LogClient, read_head
from ledger.log import LedgerTransaction, LogMissing, last_checkpoint, log_keys
from ledger.log_keys import in_force
from ledger.note import NoteVerifier, parse_note, parse_vkeys
from ledger.replay import Entry
from registry.anchor import Anchors, root_in, unmark, write_durably
from registry.catalogue import FORGET, PROJECTIONS
from registry.clock import ClockState, from_milliseconds
from registry.database import Base, Committed, Database, migrate
from registry.errors import HomeMissing, RegistryRefusal
from registry.installation import write_vkeys
from registry.parcels.models import ParcelVersion
from registry.parcels.public import refresh_public
from registry.projections import committed_columns, project
from registry.projects.claims import index_claim, index_outside_claim, index_unplaced
from registry.projects.models import ClaimCell, LandClaim, OutsideClaim, OutsideClaimCell
from registry.records.models import Erasure
from registry.records.service import empty, find_record
from registry.restore import publish_again
from registry.settings import Home
from registry.transparency.audit import audit, silent

Progress = Callable[[str, int, int], None]

GROUP: Final = 256


class CatchUpRefused(RegistryRefusal):
    code: ClassVar[str] = "catch_up_refused"
    template: ClassVar[str] = (
        "The published log and this database do not come out the same after {size} entries; "
        "nothing was written."
    )


class CatchUpCircular(RegistryRefusal):
    """The log of a restored home was made from its own tables."""

    code: ClassVar[str] = "catch_up_circular"
    template: ClassVar[str] = (
        "{path} was made from the backup itself and cannot say what was published after it."
    )


@dataclass(frozen=True, slots=True)
class Lost:
    """A row whose committed columns were in the newer database only. The digest in the log stays."""

    table: str
    key: str
    columns: tuple[str, ...]
    commitment: str

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {', '.join(self.columns)}"


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Sizes in entries, what could not be brought back, and the audit after it."""

    before: int
    size: int
    lost: tuple[Lost, ...]
    report: Report


def catch_up(home: Home, published: Files, progress: Progress = silent) -> CaughtUp:
    """Apply what the published log has after this database's last entry.

    1. The published log is whole, signed by the keys that the home knows or that these endorsed since, and
       continues this database's log.
    2. Its further entries are applied with their signatures checked; the root comes out as it was published,
       and every key that the log has by then signed it.
    3. The home passes its audit; then the mark of a restored home is taken away.

    One transaction: it is all there or nothing. Raises `LogWrong` when the published log is not that
    continuation (a shorter one is none), what an entry that does not follow is refused with, `OSError`.
    """
    if not home.vkey.exists():
        raise HomeMissing(path=str(home.path))
    own_files = isinstance(published, FolderFiles) and published.path.resolve() == home.log.resolve()
    if own_files and home.restored.exists():
        raise CatchUpCircular(path=str(home.log))
    migrate(home.database_url)
    database = Database(home.database_url)
    try:
        with tempfile.TemporaryFile() as spool:
            own = _own_head(database)
            client = LogClient(published, parse_vkeys(home.vkey.read_text()))
            head = _spool(client, own, spool, progress)
            lost: list[Lost] = []
            if head.checkpoint.size > own.checkpoint.size:
                lost = _apply(home, database, own.checkpoint, head, spool, progress)
        write_vkeys(home, database)
    finally:
        database.dispose()
    publish_again(home, head.note)
    report = audit(home, progress)
    if report.passed:
        unmark(home)
    return CaughtUp(own.checkpoint.size, head.checkpoint.size, tuple(lost), report)


def declare_newest(home: Home) -> None:
    """The operator's word that nothing was published after the backup. The anchors are asked all the same."""
    database = Database(home.database_url)
    try:
        own = _own_head(database).checkpoint
        with database.read() as session:
            Anchors(home.anchors).hold(own, lambda size: root_in(session, size))
    finally:
        database.dispose()
    unmark(home)


def _own_head(database: Database) -> Head:
    with database.read() as session:
        note = last_checkpoint(session)
        if note is None:
            raise LogMissing()
        return read_head(note, in_force(log_keys(session), peek_checkpoint(note).size))


def _spool(client: LogClient, own: Head, spool: IO[bytes], progress: Progress) -> Head:
    """Keep the entries after our own; they are to be believed once this returns."""
    size = own.checkpoint.size

    def visit(index: int, leaf: bytes) -> None:
        if index >= size:
            spool.write(len(leaf).to_bytes(4, "big") + leaf)
            progress("read", index + 1 - size, max(index + 1 - size, 1))

    head = client.verify(own, visit).head
    spool.seek(0)
    return head


def _spooled(spool: IO[bytes]) -> Iterator[bytes]:
    while length := spool.read(4):
        yield spool.read(int.from_bytes(length, "big"))


def _apply(
    home: Home,
    database: Database,
    own: Checkpoint,
    head: Head,
    spool: IO[bytes],
    progress: Progress,
) -> list[Lost]:
    size = head.checkpoint.size
    with database.write() as session:
        missing = _without_record(session)
        ledger = LedgerTransaction(session)
        if ledger.size != own.size:
            raise CatchUpRefused(size=own.size)
        entry: Entry | None = None
        for leaf in _spooled(spool):
            entry = ledger.append(leaf)
            project(session, entry, PROJECTIONS)
            if ledger.size % GROUP == 0:
                session.flush()
                session.expunge_all()
                progress("apply", ledger.size - own.size, size - own.size)
        assert entry is not None
        _follow_clock(session, entry.at_ms)
        session.flush()
        _carry_out_erasures(session, own.size)
        _index_claims(session)
        refresh_public(session)
        ledger.seal([_Published(verifier, head) for verifier in ledger.verifiers()])
        lost = sorted(_without_record(session) - missing, key=str)
        _remember(home, lost)  # before the commit: after it nobody could tell any more
    return lost


@dataclass(frozen=True, slots=True)
class _Published:
    """Signs the one tree head that a key of the log has signed and published already."""

    verifier: NoteVerifier
    head: Head

    def sign_text(self, text: str) -> bytes:
        note = parse_note(self.head.note)
        if note.text != text:
            raise CatchUpRefused(size=self.head.checkpoint.size)
        own = (self.verifier.name, self.verifier.key_id)
        signature = next((line.data for line in note.signatures if (line.name, line.key_id) == own), b"")
        self.verifier.verify(text, signature)
        return signature


def _follow_clock(session: Session, at_ms: int) -> None:
    """A simulated installation's clock does not stand before its log."""
    clock = session.get(ClockState, 1, with_for_update=True)
    if clock is not None and clock.instant < from_milliseconds(at_ms):
        clock.instant = from_milliseconds(at_ms)


def _index_claims(session: Session) -> None:
    """Make claims that came with the entries findable by their ground; where its outline is lost, by all."""
    rows = session.execute(
        sa.select(LandClaim.id, ParcelVersion.wkb)
        .join(
            ParcelVersion,
            sa.and_(
                ParcelVersion.parcel_id == LandClaim.parcel_id,
                ParcelVersion.version == LandClaim.parcel_version,
            ),
        )
        .where(~sa.exists().where(ClaimCell.claim_id == LandClaim.id))
    ).all()
    for claim, wkb in rows:
        if wkb is None:
            index_unplaced(session, claim)
        else:
            index_claim(session, claim, from_wkb(wkb))
    outside = sa.select(OutsideClaim.id, OutsideClaim.wkb).where(
        ~sa.exists().where(OutsideClaimCell.outside_claim_id == OutsideClaim.id)
    )
    for claim, wkb in session.execute(outside).all():
        index_outside_claim(session, claim, None if wkb is None else from_wkb(wkb))


def _without_record(session: Session) -> set[Lost]:
    """Rows whose committed record is not here and was not erased."""
    found: set[Lost] = set()
    for mapper in Base.registry.mappers:
        model: Any = mapper.class_
        if issubclass(model, Committed):
            wanted = sa.select(model.commitment, *mapper.primary_key).where(model.commitment_key.is_(None))
            for commitment, *parts in session.execute(wanted):
                table, key = str(mapper.local_table.description), "/".join(map(str, parts))
                found.add(Lost(table, key, committed_columns(model), commitment))
    erased = set(session.scalars(sa.select(Erasure.commitment)))
    return {lost for lost in found if lost.commitment not in erased}


def _remember(home: Home, lost: Sequence[Lost]) -> None:
    """What the audit may find empty without an entry that erased it."""
    known = home.lost_commitments() | {one.commitment for one in lost}
    if known:
        write_durably(home.lost, "".join(f"{commitment}\n" for commitment in sorted(known)).encode())


def _carry_out_erasures(session: Session, size: int) -> None:
    """Delete from what the backup held the records that were erased after it."""
    for erasure in session.scalars(sa.select(Erasure).where(Erasure.entry_index >= size)).all():
        row = find_record(session, erasure.commitment)
        if row is not None and row.commitment_key is not None:
            empty(session, row, erasure.committed_index, FORGET)
