"""`tanhui restore`: a home made of an archive, audited, and marked so that it signs nothing yet.

Whatever fails, nothing is left: a home is built under a hidden name and renamed, a database that was empty is
empty again.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

import sqlalchemy as sa

from auditor.findings import Report
from ledger import log as ledger_log
from ledger.checkpoint import Checkpoint, peek_checkpoint
from ledger.errors import LedgerRefusal
from ledger.log import LogMissing
from ledger.tiles import TileDirectory
from registry.anchor import mark_restored
from registry.archive import (
    BackupDamaged,
    Manifest,
    copy_to,
    lines_of,
    members,
    read_manifest,
    sync_folder,
)
from registry.database import Database, create_engine, migrate, require_known, sqlite_url
from registry.dump import load, tables_of
from registry.errors import RegistryRefusal
from registry.installation import HomeTaken
from registry.settings import Home
from registry.transparency.audit import audit, silent

Progress = Callable[[str, int, int], None]

TABLES, HOME, PUBLISHED = "tables/", "home/", "published/checkpoint"
_NOT_FOR_AUDIT: Final = ("home/keys/", "home/rasters/", "home/plots/")
_MADE_ELSEWISE: Final = ("restored", "tanhui.db", "log/")


class DatabaseTaken(RegistryRefusal):
    code: ClassVar[str] = "database_taken"
    template: ClassVar[str] = (
        "{database} has tables already ({table}); a backup is restored into an empty one."
    )


class RestoreRefused(RegistryRefusal):
    """The copy was taken away again."""

    code: ClassVar[str] = "restore_refused"
    template: ClassVar[str] = (
        "The restored copy does not pass its audit ({count} findings, the first: {first}); "
        "nothing is left of it."
    )


class OtherLog(RegistryRefusal):
    code: ClassVar[str] = "backup_of_other_log"
    template: ClassVar[str] = "The backup is of a log with the key {found}, not {expected}."


def check_backup(archive: Path, progress: Progress = silent) -> Report:
    """Read an archive whole, restore its tables into a temporary folder, and audit that copy."""
    manifest = read_manifest(archive)
    with tempfile.TemporaryDirectory(prefix="tanhui-check-") as folder:
        copy = Home.at(Path(folder))
        unpack(archive, manifest, copy, progress, lambda name: not name.startswith(_NOT_FOR_AUDIT))
        return audit(copy, progress)


def restore(
    archive: Path, home: Home, progress: Progress = silent, *, vkey: str | None = None
) -> tuple[Manifest, Report]:
    """Make a home of an archive, marked as restored: it signs nothing yet (`registry.anchor`).

    1. The archive is whole: every member has the manifest's digest.
    2. Home and database are empty.
    3. The tables are loaded under the schema that they had, then brought to the newest; the published log is
       made from the entries.
    4. The copy passes its audit, else nothing of it is left (`RestoreRefused`).

    With `vkey` the archive must be of the log with that key. Raises `BackupDamaged`, `SchemaNewer`,
    `HomeTaken`, `DatabaseTaken`, `OtherLog`.
    """
    manifest = read_manifest(archive)
    require_known(home.database_url, manifest.revision)
    if home.path.exists() and any(home.path.iterdir()):
        raise HomeTaken(path=str(home.path))
    own_tables = home.database_url == sqlite_url(home.own_tables)
    home.path.parent.mkdir(parents=True, exist_ok=True)
    with _empty_or_left_empty(None if own_tables else home.database_url):
        staged = Path(
            tempfile.mkdtemp(prefix=f".{home.path.name}.", suffix=".restoring", dir=home.path.parent)
        )
        try:
            copy = Home.at(staged, None if own_tables else home.database_url)
            unpack(archive, manifest, copy, progress)
            _require_log(copy, vkey)
            report = audit(copy, progress)
            if not report.passed:
                raise RestoreRefused(count=len(report.findings), first=str(report.findings[0]))
            mark_restored(copy, manifest.size)
            _sync_tree(staged)
            staged.rename(home.path)
            sync_folder(home.path.parent)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
    return manifest, report


def unpack(
    archive: Path,
    manifest: Manifest,
    home: Home,
    progress: Progress,
    wanted: Callable[[str], bool] = lambda _name: True,
) -> None:
    """Tables, files and published log of an archive whose digests were checked."""
    migrate(home.database_url, manifest.revision)
    public: bytes | None = None
    engine = create_engine(home.database_url).execution_options(tanhui_write=True)
    try:
        with engine.begin() as connection:
            tables = {table.name: table for table in tables_of(connection)}
            for done, (name, content) in enumerate(members(archive), 1):
                progress("members", done, len(manifest.members) + 1)
                if name == PUBLISHED:
                    public = content.read()
                elif name.startswith(TABLES):
                    table = tables.pop(name.removeprefix(TABLES), None)
                    if table is None:
                        raise BackupDamaged(
                            member=name, reason=f"schema {manifest.revision} has no such table"
                        )
                    load(connection, table, lines_of(content))
                elif name.startswith(HOME) and wanted(name):
                    inside = name.removeprefix(HOME)
                    if inside.startswith(_MADE_ELSEWISE):
                        raise BackupDamaged(member=name, reason="an archive of ours has no such member")
                    copy_to(home.path / inside, content, 0o600 if inside.startswith("keys/") else 0o644)
            if tables:
                raise BackupDamaged(member=f"{TABLES}{min(tables)}", reason="it is missing")
    finally:
        engine.dispose()
    if home.keys.is_dir():
        home.keys.chmod(0o700)
    migrate(home.database_url)
    publish_again(home, public)


def publish_again(home: Home, public: bytes | None) -> None:
    """The published log, from the entries; the note with its witnesses' lines where it is of this size."""
    database, tiles = Database(home.database_url), TileDirectory(home.log)
    try:
        with database.read() as session:
            note = ledger_log.last_checkpoint(session)
            if note is None:
                raise LogMissing()
            head = peek_checkpoint(note)
            tiles.publish(lambda start, end: ledger_log.leaves(session, start, end), 0, head.size)
            tiles.write_checkpoint(public if public and _says(public, head) else note)
    finally:
        database.dispose()


def _says(note: bytes, head: Checkpoint) -> bool:
    try:
        return peek_checkpoint(note) == head
    except LedgerRefusal:
        return False


def _require_log(home: Home, vkey: str | None) -> None:
    if not home.vkey.exists():
        raise BackupDamaged(member=f"{HOME}{home.vkey.name}", reason="it is missing")
    found = home.vkey.read_text().strip()
    if vkey is not None and not set(vkey.split()) & set(found.split()):
        raise OtherLog(found=found, expected=vkey)


def _sync_tree(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        sync_folder(Path(folder))


# ---- a database that is not the home's own -----------------------------------------------------------------

_FUNCTIONS: Final = sa.text(
    "select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
    "where n.nspname = current_schema()"
)


@contextmanager
def _empty_or_left_empty(url: str | None) -> Iterator[None]:
    """`DatabaseTaken` unless the database has no tables; when the block fails it has none again."""
    if url is None:
        yield
        return
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            taken = sa.inspect(connection).get_table_names()
            own = [table.name for table in tables_of(connection)]
            if own or "alembic_version" in taken:
                database = engine.url.render_as_string(hide_password=True)
                raise DatabaseTaken(database=database, table=min([*own, "alembic_version"]))
            functions = _functions(connection)
        try:
            yield
        except BaseException:
            _empty(engine, set(taken), functions)
            raise
    finally:
        engine.dispose()


def _functions(connection: sa.Connection) -> set[str]:
    return set(connection.scalars(_FUNCTIONS)) if connection.dialect.name == "postgresql" else set()


def _empty(engine: sa.Engine, tables: set[str], functions: set[str]) -> None:
    """Drop what was made since."""
    with engine.begin() as connection:
        metadata = sa.MetaData()
        metadata.reflect(connection)
        metadata.drop_all(connection, [t for t in metadata.sorted_tables if t.name not in tables])
        for function in sorted(_functions(connection) - functions):
            connection.execute(sa.text(f"drop function {function} cascade"))
