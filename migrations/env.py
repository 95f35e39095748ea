"""Runs migrations against the URL that `registry.database.migrate` hands over. Online only."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

import registry.catalogue  # noqa: F401 - loads the models of every room
from ledger import tables
from registry.database import Base, UtcInstant, create_engine

TARGET_METADATA = [tables.metadata, Base.metadata]


def render(kind: str, thing: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write our own column types as what they are stored as: a migration must not change with the code."""
    return "sa.BigInteger()" if kind == "type" and isinstance(thing, UtcInstant) else False


def run() -> None:
    engine = create_engine(context.config.attributes["url"])
    with engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=TARGET_METADATA, compare_type=True, render_item=render
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    engine.dispose()


run()
