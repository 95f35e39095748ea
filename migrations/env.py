"""Runs migrations against the URL that `registry.database.migrate` hands over. Online only.

A second process that starts meanwhile waits for the lock and then finds nothing left to do.
"""

from typing import Any, Final, Literal, cast

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationInfo

import registry.catalogue  # noqa: F401 - loads the models of every room
from ledger import tables
from registry.database import Base, UtcInstant, create_engine

MIGRATION_LOCK: Final = (
    0x74616E68  # a number of ours, in the space of lock pairs; ground locks are single numbers
)
TARGET_METADATA = [tables.metadata, Base.metadata]


def render(kind: str, thing: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write our own column types as what they are stored as: a migration must not change with the code."""
    return "sa.BigInteger()" if kind == "type" and isinstance(thing, UtcInstant) else False


def run() -> None:
    engine = create_engine(context.config.attributes["url"]).execution_options(tanhui_write=True)
    with engine.connect() as connection:
        _lock(connection)
        context.configure(
            connection=connection,
            target_metadata=TARGET_METADATA,
            compare_type=True,
            render_item=render,
            on_version_apply=cast("Any", _forward),  # called by keyword
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    engine.dispose()


def _forward(*, step: MigrationInfo, **_rest: Any) -> None:
    """No migration is taken back: the newer schema's data would be lost with it."""
    if not step.is_upgrade:
        raise NotImplementedError("a schema is not taken back; restore a backup made before the upgrade")


def _lock(connection: sa.Connection) -> None:
    """Until the transaction ends; on SQLite it began with the write lock (`BEGIN IMMEDIATE`)."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("select pg_advisory_xact_lock(:lock, 0)"), {"lock": MIGRATION_LOCK})
    else:
        connection.execute(sa.text("select 1"))


run()
