"""`tanhui backup`: everything of an installation in one archive.

A backup reads the tables in one transaction of the database, so that a server may go on writing. Tables are
dumped, not files, so that one format serves both databases. The published log is not in the archive: it
follows from the entries and is made again. Certificates are listed before the tables are read and everything
else after, so that no file belongs to a later moment than its row, and no row lacks its file.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Final

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext

from auditor.findings import Report
from ledger.checkpoint import peek_checkpoint
from ledger.log import LogMissing
from ledger.tiles import CHECKPOINT
from registry.archive import Manifest, new_archive, part_of, put_in_place
from registry.database import create_engine, require_known
from registry.documents.bundle import SUFFIXES
from registry.dump import dump, tables_of
from registry.errors import RegistryRefusal
from registry.restore import HOME, PUBLISHED, TABLES, Progress, check_backup
from registry.settings import Home
from registry.transparency.audit import silent

SECRET: Final = "keys/secret"  # noqa: S105 - a name
_HALF: Final = (".new", ".partial", ".part")


class BackupInside(RegistryRefusal):
    code: ClassVar[str] = "backup_inside_home"
    template: ClassVar[str] = "A backup does not lie in the home that it is of; {path} does."


@dataclass(frozen=True, slots=True)
class Backup:
    """An archive that was made; `report` is the audit of a copy restored from it, if one was made."""

    path: Path
    manifest: Manifest
    report: Report | None


# ---- backup ------------------------------------------------------------------------------------------------


def backup(
    home: Home,
    target: Path,
    progress: Progress = silent,
    *,
    keys: bool = True,
    secret: bool = False,
    check: bool = True,
) -> Backup:
    """Make the archive `target`, or one with a name of its own in the folder `target`.

    `keys` are encrypted; `secret` also takes the passphrase that the home keeps. With `check` the archive
    is read again, restored into a temporary folder and audited; what is found there is what the installation
    has, so that the archive is kept all the same. Raises `BackupInside`, `SchemaNewer`, `LogMissing`.
    """
    require_known(home.database_url)
    target = target.absolute()
    if target.is_dir():
        target = target / f"tanhui-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz"
    if target.resolve().is_relative_to(home.path.resolve()):
        raise BackupInside(path=str(target))
    part = part_of(target)
    with new_archive(part) as archive:
        certificates = _certificates(home.path)
        with _snapshot(home.database_url) as connection:
            manifest = _manifest(connection)
            tables = tables_of(connection)
            for done, table in enumerate(tables, 1):
                with tempfile.TemporaryFile(dir=target.parent) as spool:
                    spool.writelines(dump(connection, table))
                    size_bytes = spool.tell()
                    spool.seek(0)
                    archive.add(f"{TABLES}{table.name}", spool, size_bytes)
                progress("tables", done, len(tables))
        _add_files(home, [*certificates, *_other_files(home.path, keys, secret)], archive.add, progress)
        manifest = replace(manifest, members=archive.digests)
        archive.finish(manifest)
    try:
        report = check_backup(part, progress) if check else None
        put_in_place(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return Backup(target, manifest, report)


@contextmanager
def _snapshot(url: str) -> Iterator[sa.Connection]:
    """One moment of the database, however long it is read; writers go on."""
    engine = create_engine(url)
    try:
        options: dict[str, Any] = {}
        if engine.dialect.name == "postgresql":
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with engine.connect().execution_options(**options) as connection:
            yield connection
    finally:
        engine.dispose()


def _manifest(connection: sa.Connection) -> Manifest:
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        raise LogMissing()
    note = connection.execute(
        sa.text("select note from checkpoint order by size desc limit 1")
    ).scalar_one_or_none()
    if note is None:
        raise LogMissing()
    head = peek_checkpoint(bytes(note))
    return Manifest(
        version=version("tanhui"),
        revision=revision,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        origin=head.origin,
        size=head.size,
        root=head.root.hex(),
        checkpoint=bytes(note).decode(),
    )


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """Every file of a home but its tables, the published log, marks and halves; links are followed."""
    seen: set[Path] = set()
    for folder, inner, names in os.walk(root, followlinks=True):
        here = Path(folder)
        if here.resolve() in seen:
            inner.clear()
            continue
        seen.add(here.resolve())
        if here == root:
            inner[:] = [name for name in inner if name != "log"]
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            path = here / name
            if not _skipped(name, here == root) and path.is_file():
                yield path.relative_to(root).as_posix(), path


def _skipped(name: str, at_top: bool) -> bool:
    if at_top and (name == "restored" or name.startswith("tanhui.db")):
        return True
    return name.startswith(".") or name.endswith(_HALF)


def _certificates(root: Path) -> list[tuple[str, Path]]:
    """The certificates of which every file is there; one that is just being written can be made again."""
    files = {name: path for name, path in _files(root) if name.startswith("certificates/")}
    return [
        (name, path)
        for name, path in files.items()
        if any(
            name.endswith(suffix)
            and all(f"{name.removesuffix(suffix)}{other}" in files for other in SUFFIXES)
            for suffix in SUFFIXES
        )
    ]


def _other_files(root: Path, keys: bool, secret: bool) -> Iterator[tuple[str, Path]]:
    for name, path in _files(root):
        if name.startswith(("certificates/", "cache/")) or (name == SECRET and not secret):
            continue
        if keys or not name.startswith("keys/"):
            yield name, path


def _add_files(
    home: Home,
    files: list[tuple[str, Path]],
    add: Callable[[str, Any, int], None],
    progress: Progress,
) -> None:
    for done, (name, path) in enumerate(files, 1):
        with path.open("rb") as content:
            add(f"{HOME}{name}", content, os.fstat(content.fileno()).st_size)
        progress("files", done, len(files))
    public = home.log / CHECKPOINT
    if public.exists():
        with public.open("rb") as content:
            add(PUBLISHED, content, os.fstat(content.fileno()).st_size)
