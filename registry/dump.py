"""The tables as lines of JSON: the same lines from SQLite and from PostgreSQL, and into either of them.

The first line of a table names its columns; each further line is a row. Bytes are base64, JSON columns keep
their text. What is dumped is what the database has, so that every schema since the first can be dumped and
loaded; the schema itself comes from the migrations.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, ClassVar, Final

import sqlalchemy as sa

from registry.errors import RegistryRefusal

BATCH_ROWS: Final = 500
_NOT_OURS: Final = frozenset({"alembic_version"})
_OF_EXTENSIONS: Final = sa.text(
    "select c.relname from pg_class c join pg_depend d on d.objid = c.oid where d.deptype = 'e'"
)


class DumpRefused(RegistryRefusal):
    code: ClassVar[str] = "dump_refused"
    template: ClassVar[str] = "The table {table} cannot be loaded: {reason}."


def tables_of(connection: sa.Connection) -> list[sa.Table]:
    """Every table of the installation, each after those that it refers to."""
    skipped = set(_NOT_OURS)
    if connection.dialect.name == "postgresql":
        skipped |= set(connection.scalars(_OF_EXTENSIONS))
    names = [name for name in sa.inspect(connection).get_table_names() if name not in skipped]
    metadata = sa.MetaData()
    metadata.reflect(connection, only=names)
    return metadata.sorted_tables


def dump(connection: sa.Connection, table: sa.Table) -> Iterator[bytes]:
    """The lines of one table, in the order of its primary key."""
    columns = _stored(table)
    yield _line([[column.name, _kind(column)] for column in columns])
    picked = [sa.cast(c, sa.Text).label(c.name) if _kind(c) == "json" else c for c in columns]
    order = list(table.primary_key) or columns
    rows = connection.execute(
        sa.select(*picked).order_by(*order), execution_options={"yield_per": BATCH_ROWS}
    )
    for row in rows:
        yield _line([_spelled(value) for value in row])


def load(connection: sa.Connection, table: sa.Table, lines: Iterable[bytes]) -> int:
    """Insert the rows of a dump into an empty table; answers how many. Raises `DumpRefused`."""
    source = iter(lines)
    try:
        header = json.loads(next(source, b"null"))
        kinds: dict[str, str] = dict(header)
    except (ValueError, TypeError) as fault:
        raise DumpRefused(table=table.name, reason="its first line does not name columns") from fault
    if kinds != {column.name: _kind(column) for column in _stored(table)}:
        raise DumpRefused(table=table.name, reason="its columns are not those of the schema")
    statement = _insert(connection, table, list(kinds))
    count = 0
    while batch := list(islice(source, BATCH_ROWS)):
        connection.exec_driver_sql(statement, [_row(table, list(kinds.values()), line) for line in batch])
        count += len(batch)
    return count


def _stored(table: sa.Table) -> list[sa.Column[Any]]:
    """The columns that are written; the database computes the others."""
    return sorted((c for c in table.columns if c.computed is None), key=lambda column: column.name)


def _kind(column: sa.Column[Any]) -> str:
    if isinstance(column.type, sa.LargeBinary):
        return "bytes"
    return "json" if isinstance(column.type, sa.JSON) else "plain"


def _insert(connection: sa.Connection, table: sa.Table, names: list[str]) -> str:
    """An insert in the driver's own words: rows pass as they are."""
    quote = connection.dialect.identifier_preparer.quote
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    columns = ", ".join(quote(name) for name in names)
    return f"insert into {quote(table.name)} ({columns}) values ({', '.join([mark] * len(names))})"  # noqa: S608


def _line(values: list[Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _spelled(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a value of {type(value).__name__} has no place in a dump")


def _row(table: sa.Table, kinds: list[str], line: bytes) -> tuple[Any, ...]:
    try:
        values = json.loads(line)
        return tuple(
            base64.b64decode(value, validate=True) if kind == "bytes" and value is not None else value
            for kind, value in zip(kinds, values, strict=True)
        )
    except (ValueError, TypeError, binascii.Error) as fault:
        raise DumpRefused(table=table.name, reason="a line is not a row of it") from fault
