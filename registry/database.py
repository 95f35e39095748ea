"""The database: one SQLite file or a PostgreSQL, the same schema, and its two kinds of transaction.

A *read* transaction serves pages and answers. A *write* transaction takes the write lock at its start
(`BEGIN IMMEDIATE` on SQLite; on PostgreSQL the ledger locks its head row), because a decision read before
the lock may be stale when it is written. Services neither open nor end a transaction.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, Session, mapped_column

from registry.errors import RegistryRefusal


class SchemaNewer(RegistryRefusal):
    """A newer program wrote this database; this one could misread what it says."""

    code: ClassVar[str] = "schema_newer"
    template: ClassVar[str] = (
        "The database is at schema {found}, which this program (up to {known}) does not know; "
        "use the program that wrote it, or restore a backup made before the upgrade."
    )


class Base(DeclarativeBase):
    """Every table of the rooms. Tables of the ledger are in `ledger.tables`."""


class UtcInstant(sa.types.TypeDecorator[datetime]):
    """An instant, stored as POSIX milliseconds: SQLite has no time zones, and the log counts milliseconds
    too.
    """

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant without a time zone")
        return round(value.timestamp() * 1000)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)


def logged(kind: Any = None, **options: Any) -> MappedColumn[Any]:
    """A column that is a function of the log: written by projections only, rebuilt and compared by the
    audit.
    """
    return _column("logged", kind, options)


def committed(kind: Any = None, **options: Any) -> MappedColumn[Any]:
    """A column bound by a commitment in the log: names, geometry, documents. NULL once it was erased."""
    options.setdefault("nullable", True)
    return _column("committed", kind, options)


def working(kind: Any = None, **options: Any) -> MappedColumn[Any]:
    """A column nobody relies on as a fact: drafts, sessions, caches."""
    return _column("working", kind, options)


def _column(truth: str, kind: Any, options: dict[str, Any]) -> MappedColumn[Any]:
    positional = () if kind is None else (kind,)
    return mapped_column(*positional, info={"truth": truth}, **options)


class Committed:
    """Mixin for a row with committed columns.

    The committed columns together are one record, `{column: value}` with bytes in hexadecimal; its keyed
    digest is `commitment`, which is logged. The key stands beside the record and is erased with it.
    """

    commitment: Mapped[str] = logged(sa.String(64))
    commitment_key: Mapped[bytes | None] = committed(sa.LargeBinary)


class Database:
    """Engine and transactions of one installation."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = create_engine(url)

    @contextmanager
    def read(self) -> Iterator[Session]:
        with Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that holds the write lock from its start; commits unless an exception leaves it."""
        engine = self.engine.execution_options(tanhui_write=True)
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def dispose(self) -> None:
        self.engine.dispose()


def create_engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed, isolation_level="READ COMMITTED", pool_size=20)
    engine = sa.create_engine(parsed, connect_args={"timeout": 60, "check_same_thread": False})
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver leaves BEGIN to us
    for pragma in (
        "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=60000",
        "cache_size=-16384",  # KiB for a connection; 2 MiB do not hold the indexes of a province's land
    ):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("tanhui_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def lock_coarse_cells(session: Session, cells: Sequence[int]) -> None:
    """Serialise writers over the same ground until the transaction ends.

    PostgreSQL takes one advisory lock per 2 km cell in ascending order; SQLite's write transaction holds
    them all.
    """
    if cells and session.get_bind().dialect.name == "postgresql":
        session.execute(_LOCK_CELLS, {"cells": sorted(set(cells))})


_LOCK_CELLS: Final = sa.text(
    "select pg_advisory_xact_lock(cell)"
    " from unnest(cast(:cells as bigint[])) with ordinality as one (cell, n) order by n"
)
"""All locks in one question: a volatile function is called for each row after the rows were sorted."""


def lock_named(session: Session, name: str) -> None:
    """Serialise writers of what has this name until the transaction ends; SQLite's write transaction holds
    everything.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def migration_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(_migrations_folder())))
    config.attributes["url"] = url
    return config


def _migrations_folder() -> Path:
    import migrations

    return Path(next(iter(migrations.__path__)))


_MIGRATING: Final = threading.Lock()
"""Alembic keeps what it is doing in its module: one migration at a time in one process."""


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at `url` to the newest schema, or to `revision` on the way there.

    Processes that start at once do it one after another. Raises `SchemaNewer`, and changes nothing, when a
    newer program wrote the database.
    """
    require_known(url)
    config = migration_config(url)
    target = ScriptDirectory.from_config(config).get_current_head() if revision == "head" else revision
    if schema_revision(url) != target:
        with _MIGRATING:
            command.upgrade(config, revision)


def require_known(url: str, revision: str | None = None) -> None:
    """`SchemaNewer` unless this program knows the schema `revision`, by default the one that the database at
    `url` has.
    """
    script = ScriptDirectory.from_config(migration_config(url))
    found = schema_revision(url) if revision is None else revision
    if found is not None and found not in {known.revision for known in script.walk_revisions()}:
        raise SchemaNewer(found=found, known=str(script.get_current_head()))


def schema_revision(url: str) -> str | None:
    """The migration that the database at `url` is at; None when it has no schema of ours."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
