"""The audit passes on what the registry wrote, and finds whatever was changed behind its back."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import tables
from registry.accounts.service import RecordDeposit
from registry.database import Base
from registry.installation import Installation
from registry.machine import Role
from registry.transparency.audit import audit
from tests.registry.people import People


@pytest.fixture
def written(people: People) -> Installation:
    """A small installation with members and money."""
    bank = people.member(Role.BANK, "bank A")
    firm = people.member(Role.ENTERPRISE, "企业甲")
    people.do(
        bank, "deposit.record", RecordDeposit(organisation=firm.organisation, amount_fen=700, reference="s1")
    )
    return people.installation


def failures(installation: Installation) -> list[str]:
    return [str(finding) for finding in audit(installation.home).findings]


def test_the_audit_passes_on_what_the_registry_wrote(written: Installation) -> None:
    report = audit(written.home)
    assert report.findings == []
    assert report.size == 10
    for check in ("L1", "L2", "L3", "I8", "I9", "I11", "I12", "I13", "I15", "C1"):
        assert report.made[check] > 0, check


def test_a_flipped_byte_in_any_published_file_is_found(written: Installation) -> None:
    files = [p for p in written.home.log.rglob("*") if p.is_file() and not p.name.startswith(".")]
    assert len(files) > 10
    for path in files:
        original = path.read_bytes()
        for place in {0, len(original) // 2, len(original) - 1}:
            path.write_bytes(original[:place] + bytes([original[place] ^ 1]) + original[place + 1 :])
            found = failures(written)
            assert found, f"{path.relative_to(written.home.log)} byte {place}"
        path.write_bytes(original)
    assert failures(written) == []


def test_a_missing_tile_is_found(written: Installation) -> None:
    newest = max(
        (written.home.log / "tile" / "0").rglob("*"),
        key=lambda p: (p.is_file(), int(p.name) if p.name.isdigit() else 0),
    )
    newest.unlink()
    assert any(newest.name in finding for finding in failures(written))


def _changed(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1_000_003
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:] if value else b"x"
        case str():
            return ("y" if value[:1] == "x" else "x") + value[1:]
        case None:
            return None
        case dict():
            return {**value, "x": 1}
    return None


def _drop_guards(session: Session) -> None:
    for table in ("log", "posting", "checkpoint"):
        if session.get_bind().dialect.name == "sqlite":
            session.execute(sa.text(f"drop trigger {table}_no_update"))
        else:
            session.execute(sa.text(f"drop trigger {table}_no_change on {table}"))


def test_a_change_in_any_logged_or_committed_column_is_found(written: Installation) -> None:
    """Every column of every table with rows, one at a time, in a database whose guards were dropped."""
    with written.database.write() as session:
        _drop_guards(session)
        if session.get_bind().dialect.name == "postgresql":
            session.execute(sa.text("set session_replication_role = replica"))
    tried = 0
    for metadata in (tables.metadata, Base.metadata):
        for table in metadata.sorted_tables:
            for column in table.columns:
                if column.info["truth"] != "working":
                    tried += _tamper_and_restore(written, table, column)
    assert tried > 60


def _tamper_and_restore(written: Installation, table: sa.Table, column: sa.Column[Any]) -> int:
    keys = list(table.primary_key)
    with written.database.read() as session:
        row = session.execute(sa.select(*keys, column).limit(1)).first()
    if row is None or (changed := _changed(row[-1])) is None:
        return 0
    where = sa.and_(*(key == value for key, value in zip(keys, row, strict=False)))
    undo = sa.and_(
        *(key == (changed if key is column else value) for key, value in zip(keys, row, strict=False))
    )
    _set(written, sa.update(table).where(where).values({column: changed}))
    try:
        assert failures(written), f"{table.name}.{column.name}"
    finally:
        _set(written, sa.update(table).where(undo).values({column: row[-1]}))
    return 1


def _set(written: Installation, statement: Any) -> None:
    """Like somebody with the database in hand: no guards, no foreign keys."""
    with written.database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("rollback")
            connection.exec_driver_sql("pragma foreign_keys=off")
            connection.exec_driver_sql("begin")
        else:
            connection.exec_driver_sql("set session_replication_role = replica")
        connection.execute(statement)
        connection.commit()
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("pragma foreign_keys=on")
        else:
            connection.exec_driver_sql("set session_replication_role = origin")
            connection.commit()


def test_an_audit_needs_the_log_key(written: Installation, tmp_path: Path) -> None:
    other = Installation.create(type(written.home).at(tmp_path / "other"), "tanhui.test/log")
    other.close()
    written.home.vkey.write_text(other.vkey + "\n")
    assert [f for f in failures(written) if f.startswith("L1")]
