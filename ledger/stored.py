"""The books as they lie in the database, read through a cursor: few rows are held, however many there are."""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import sqlalchemy as sa

from ledger import tables
from ledger.canonical import JsonValue
from ledger.rows import account_of, block_of, reservation_of
from ledger.state import state_facts

T = TypeVar("T")

ROWS_AT_ONCE: Final = 1000


def stored_state(connection: sa.Connection, size: int) -> dict[str, JsonValue]:
    """The facts of a `state` entry at index `size`, as `ledger.state` defines them, of the tables now."""
    account, block, reservation = tables.account.c, tables.block.c, tables.reservation.c
    return state_facts(
        size,
        _stream(connection, sa.select(tables.account), account.account, account_of),
        _stream(connection, sa.select(tables.block).where(block.live), block.block, block_of),
        _stream(
            connection,
            sa.select(tables.reservation).where(reservation.status == "open"),
            reservation.pending,
            reservation_of,
        ),
    )


def _stream(
    connection: sa.Connection,
    wanted: sa.Select[tuple[object, ...]],
    name: sa.Column[str],
    read: Callable[[sa.RowMapping], T],
) -> Iterator[T]:
    """Sorted by name in the order of ASCII, whatever order the database has for texts of its own."""
    order = sa.collate(name, "C") if connection.dialect.name == "postgresql" else name
    rows = connection.execute(wanted.order_by(order), execution_options={"yield_per": ROWS_AT_ONCE})
    for row in rows.mappings():
        yield read(row)
