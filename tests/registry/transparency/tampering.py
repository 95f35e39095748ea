"""Somebody with the database in hand: no guards, no foreign keys, any column."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ledger import tables
from registry.database import Base
from registry.installation import Installation

GUARDED = ("log", "posting", "checkpoint")


@dataclass(frozen=True, slots=True)
class Change:
    """Another value in one column of one row."""

    table: sa.Table
    column: sa.Column[Any]
    key: tuple[Any, ...]
    before: Any
    after: Any

    @property
    def row(self) -> str:
        """As findings name the row."""
        return f"{self.table.name} {'/'.join(map(str, self.key))}"

    @property
    def new_row(self) -> str:
        """As findings name it after the change, which may be one of its key."""
        keys = zip(self.table.primary_key, self.key, strict=True)
        changed = [self.after if column is self.column else value for column, value in keys]
        return f"{self.table.name} {'/'.join(map(str, changed))}"

    def statements(self) -> tuple[Any, Any]:
        """What makes the change and what takes it back."""
        return self._update(self.before, self.after), self._update(self.after, self.before)

    def _update(self, held: Any, wanted: Any) -> Any:
        keys = zip(self.table.primary_key, self.key, strict=True)
        where = [column == (held if column is self.column else value) for column, value in keys]
        return sa.update(self.table).where(*where).values({self.column: wanted})


def all_tables() -> Iterator[sa.Table]:
    for metadata in (tables.metadata, Base.metadata):
        yield from metadata.sorted_tables


def changes(installation: Installation, truth: str) -> Iterator[list[Change]]:
    """Every column of that truth, in every table with rows, in rounds of at most one column a table."""
    by_table = [list(_changes_of(installation, table, truth)) for table in all_tables()]
    for together in zip_longest(*by_table):
        yield [change for change in together if change is not None]


def _changes_of(installation: Installation, table: sa.Table, truth: str) -> Iterator[Change]:
    keys = list(table.primary_key)
    for n, column in enumerate(c for c in table.columns if c.info["truth"] == truth):
        with installation.database.read() as session:
            rows = session.execute(sa.select(*keys, column).order_by(*keys)).all()
        if rows:
            *key, value = rows[n % len(rows)]
            yield Change(table, column, tuple(key), value, other_value(column, value))


def other_value(column: sa.Column[Any], value: Any) -> Any:
    """Another value that the column can hold."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1_000_003
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:] if value else b"x"
        case str():
            return ("y" if value[:1] == "x" else "x") + value[1:]
        case dict():
            return {**value, "x": 1}
        case list():
            return [*value, "x"]
    kind = {int: 7, bytes: b"x", str: "x", bool: True, dict: {"x": 1}, object: ["x"]}
    return kind[column.type.python_type]


def drop_guards(installation: Installation) -> None:
    """The triggers and constraints of the database, gone; checks of SQLite are only ignored, see `run`."""
    with installation.database.write() as session:
        if session.get_bind().dialect.name == "sqlite":
            named = "select name from sqlite_master where type = 'trigger'"
            for trigger in session.scalars(sa.text(named)).all():
                session.execute(sa.text(f"drop trigger {trigger}"))
            return
        guards = (
            "select conrelid::regclass::text, conname from pg_constraint where contype in ('c', 'x') "
            "and connamespace = 'public'::regnamespace"
        )
        for table, constraint in session.execute(sa.text(guards)).all():
            session.execute(sa.text(f"alter table {table} drop constraint {constraint}"))
        for table in GUARDED:
            session.execute(sa.text(f"drop trigger {table}_no_change on {table}"))


@contextmanager
def tampered(installation: Installation, changed: Sequence[Change]) -> Iterator[None]:
    """The changes made, and afterwards taken back."""
    run(installation, [change.statements()[0] for change in changed])
    try:
        yield
    finally:
        run(installation, [change.statements()[1] for change in changed])


def run(installation: Installation, statements: Sequence[Any]) -> None:
    """Without foreign keys or triggers, whatever the database."""
    with installation.database.engine.connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:
            connection.exec_driver_sql("rollback")
            connection.exec_driver_sql("pragma foreign_keys=off")
            connection.exec_driver_sql("pragma ignore_check_constraints=on")
            connection.exec_driver_sql("begin")
        else:
            connection.exec_driver_sql("set session_replication_role = replica")
        for statement in statements:
            found = connection.execute(statement).rowcount
            assert found == 1, statement
        connection.commit()
        if sqlite:
            connection.exec_driver_sql("pragma foreign_keys=on")
            connection.exec_driver_sql("pragma ignore_check_constraints=off")
        else:
            connection.exec_driver_sql("set session_replication_role = origin")
            connection.commit()


@contextmanager
def flipped(path: Path, place: int) -> Iterator[None]:
    """One bit of a file changed, and afterwards changed back."""
    original = path.read_bytes()
    place %= len(original)
    path.write_bytes(original[:place] + bytes([original[place] ^ 1]) + original[place + 1 :])
    try:
        yield
    finally:
        path.write_bytes(original)
