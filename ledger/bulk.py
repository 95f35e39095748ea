"""Many rows in one statement, in the way each database is fast at.

SQLite runs one prepared statement per row; PostgreSQL takes the columns as arrays, one round trip for all
rows. Statements are made once for each table and used as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

_ARRAYS: Final[dict[type[Any], str]] = {
    sa.BigInteger: "bigint[]",
    sa.Integer: "integer[]",
    sa.String: "text[]",
    sa.LargeBinary: "bytea[]",
    sa.Boolean: "boolean[]",
}


@dataclass(frozen=True, slots=True)
class Bulk:
    """Writes rows of a table over one connection, inside its transaction."""

    connection: sa.Connection

    def insert(self, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows; one that is there already violates the table's key (`sqlalchemy.exc.IntegrityError`)."""
        self._write(table, rows, replacing=False)

    def upsert(self, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows, or give those that are there already these values."""
        self._write(table, rows, replacing=True)

    def _write(self, table: sa.Table, rows: Sequence[dict[str, Any]], *, replacing: bool) -> None:
        if not rows:
            return
        names = [column.name for column in table.columns]
        values: Any
        if self.connection.dialect.name == "sqlite":
            values = [tuple(map(row.__getitem__, names)) for row in rows]
            statement = _sqlite_statement(table, replacing)
        else:
            values = tuple([row[name] for row in rows] for name in names)
            statement = _postgresql_statement(table, replacing)
        self.connection.exec_driver_sql(statement, values)


@cache
def _sqlite_statement(table: sa.Table, replacing: bool) -> str:
    marks = ", ".join("?" for _ in table.columns)
    return f"{_into(table)} VALUES ({marks}){_on_conflict(table) if replacing else ''}"


@cache
def _postgresql_statement(table: sa.Table, replacing: bool) -> str:
    arrays = ", ".join(f"%s::{_array_of(column)}" for column in table.columns)
    columns = f"SELECT * FROM unnest({arrays})"  # noqa: S608
    return f"{_into(table)} {columns}{_on_conflict(table) if replacing else ''}"


def _into(table: sa.Table) -> str:
    return f"INSERT INTO {table.name} ({', '.join(column.name for column in table.columns)})"


def _on_conflict(table: sa.Table) -> str:
    keys = [column.name for column in table.primary_key]
    changed = ", ".join(f"{c.name} = excluded.{c.name}" for c in table.columns if c.name not in keys)
    return f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changed}"


def _array_of(column: sa.Column[Any]) -> str:
    for kind in type(column.type).__mro__:
        if kind in _ARRAYS:
            return _ARRAYS[kind]
    raise TypeError(f"{column} is of a type that has no array here")
