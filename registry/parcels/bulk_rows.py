"""Very many rows of one table at once, in the caller's transaction.

The object-relational mapper takes some fifty microseconds for each row; a county's parcels are a hundred
thousand. Values are converted column by column as the column's type says, and handed to the driver.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson
import sqlalchemy as sa
from psycopg.sql import SQL, Identifier
from sqlalchemy.orm import Session

ROWS_AT_ONCE: Final = 5_000


def insert_many(session: Session, model: type[Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns."""
    if not rows:
        return
    session.flush()
    table: sa.Table = model.__table__
    columns = [table.columns[name] for name in rows[0]]
    connection = session.connection()
    change = [_change(column, connection.dialect) for column in columns]
    driver: Any = connection.connection.driver_connection
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        values = [
            [row[column.name] for row in some] if how is None else [how(row[column.name]) for row in some]
            for column, how in zip(columns, change, strict=True)
        ]
        _write(driver, connection.dialect.name, table.name, columns, zip(*values, strict=True))


def _change(column: "sa.Column[Any]", dialect: sa.Dialect) -> Callable[[Any], Any] | None:
    """What the column's type does to a value before the driver sees it; None for nothing."""
    if isinstance(column.type, sa.JSON):
        return _text
    if isinstance(column.type, sa.LargeBinary | sa.Boolean):
        return None
    found: Callable[[Any], Any] | None = column.type.dialect_impl(dialect).bind_processor(dialect)
    return found


def _text(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # whole numbers beyond 64 bits
        return json.dumps(value)


def _write(driver: Any, dialect: str, table: str, columns: Sequence["sa.Column[Any]"], rows: Any) -> None:
    names = [column.name for column in columns]
    if dialect == "postgresql":
        listed = SQL(", ").join(map(Identifier, names))
        question = SQL("copy {} ({}) from stdin").format(Identifier(table), listed)
        with driver.cursor() as cursor, cursor.copy(question) as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" * len(names))
    quoted = ", ".join(f'"{name}"' for name in names)
    driver.executemany(f'insert into "{table}" ({quoted}) values ({marks})', rows)  # noqa: S608 - our names
