"""After records were erased: take away what is left of them in files.

A database does not overwrite what it deletes, and a certificate's files and uploads lie beside it. Backups
are not reached from here: they end by their own expiry.
"""

import hashlib
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from registry.database import Base, Committed, Database
from registry.documents.bundle import SUFFIXES
from registry.errors import RegistryRefusal
from registry.evidence.models import EvidenceUpload
from registry.evidence.service import forgotten_evidence
from registry.files import FileStore
from registry.office import Request
from registry.parcels.import_models import ParcelImport, ParcelSource
from registry.parcels.models import Parcel, ParcelCell, ParcelDraft, ParcelVersion
from registry.parcels.public import ParcelPublic
from registry.parcels.sources import forgotten_files
from registry.projects.models import LandClaim
from registry.retirement.models import Certificate
from registry.settings import Home

_HELD = Request | ParcelDraft | ParcelSource | ParcelImport | ParcelCell | ParcelPublic | EvidenceUpload
"""Rows beside the records that held the same values."""

_ROWS = 5_000


class DatabaseBusy(RegistryRefusal):
    """Somebody still reads the state of before."""

    code: ClassVar[str] = "database_busy"
    template: ClassVar[str] = (
        "The database is being read; its files keep what was erased until this is repeated."
    )


def vacuum(home: Home) -> list[str]:
    """Remove files of erased certificates and rewrite the database without what was deleted.

    Answers the names of the files removed, in their folders, and of the store of shares of cells if some were
    taken out. Raises `DatabaseBusy`. On PostgreSQL each table that held records is locked while it is written
    anew; its archived write-ahead log is the operator's.
    """
    database = Database(home.database_url)
    try:
        with database.read() as session:
            erased = session.scalars(sa.select(Certificate.number).where(Certificate.records.is_(None))).all()
            forgotten = forgotten_files(session) | forgotten_evidence(session)
            removed_shares = _forget_land(session, home)
        removed = [f"certificates/{name}" for number in erased for name in _remove_files(home, number)]
        removed += _remove_uploads(home, forgotten)
        removed += removed_shares
        if database.engine.dialect.name == "sqlite":
            _rewrite_sqlite(database)
        else:
            _rewrite_postgresql(database)
    finally:
        database.dispose()
    return removed


def _remove_files(home: Home, number: str) -> list[str]:
    found = [home.certificates / f"{number}{suffix}" for suffix in SUFFIXES]
    names = [path.name for path in found if path.exists()]
    for path in found:
        path.unlink(missing_ok=True)
    return names


def _remove_uploads(home: Home, digests: set[str]) -> list[str]:
    store = FileStore(home.files)
    held = sorted(digest for digest in digests if store.holds(digest))
    for digest in held:
        store.remove(digest)
    return [f"files/{digest}" for digest in held]


def _forget_land(session: Session, home: Home) -> list[str]:
    """Shares of cells tell an outline to within a cell: only those of outlines that are there and in use
    stay. An estimate makes others again where it may.
    """
    from geo.coverage_store import CoverageStore
    from registry.transparency.doubled import forget_stale

    named = forget_stale(session, home.cache)
    outlines = session.scalars(_outlines_in_use().execution_options(yield_per=_ROWS))
    keys = [hashlib.sha256(wkb).hexdigest() for wkb in outlines if wkb]
    if CoverageStore(home.coverage).keep_only(keys):
        named.append(home.coverage)
    return [str(path.relative_to(home.path)) for path in named]


def _outlines_in_use() -> sa.Select[bytes | None]:
    """Of each parcel's newest version, and of those that claims run on."""
    version = ParcelVersion
    newest = sa.exists().where(Parcel.id == version.parcel_id, Parcel.version == version.version)
    claimed = sa.exists().where(
        LandClaim.parcel_id == version.parcel_id,
        LandClaim.parcel_version == version.version,
        LandClaim.status == "active",
    )
    return sa.select(version.wkb).where(version.wkb.is_not(None), newest | claimed)


def _rewrite_sqlite(database: Database) -> None:
    """Every page is written anew, and the write-ahead log, which may hold old ones, is cut to nothing."""
    connection = database.engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("vacuum")
        (busy, *_) = cursor.execute("pragma wal_checkpoint(truncate)").fetchone()
        cursor.close()
    finally:
        connection.close()
    if busy:
        raise DatabaseBusy()


def _rewrite_postgresql(database: Database) -> None:
    kept = [m.local_table for m in Base.registry.mappers if issubclass(m.class_, Committed | _HELD)]
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in sorted(str(table) for table in kept):
            connection.exec_driver_sql(f"vacuum full {table}")
