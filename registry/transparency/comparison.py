"""The tables against the log: rebuild every logged column from zero and compare; open every commitment.

Rows are compared by primary key, column by column, so that a finding names the table, the row and the column.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from auditor.findings import Report
from ledger import tables
from ledger.errors import LedgerRefusal
from registry.database import Base, Committed
from registry.projections import committed_columns, opens_commitment
from registry.records.models import Erasure

MOST_FINDINGS = 20


def logged_columns(table: sa.Table) -> list[sa.Column[Any]]:
    return [column for column in table.columns if column.info["truth"] == "logged"]


def compared_tables() -> Iterator[sa.Table]:
    """Every table with logged columns, except the checkpoints, which are not a function of the entries
    alone.
    """
    for metadata in (tables.metadata, Base.metadata):
        for table in metadata.sorted_tables:
            if logged_columns(table) and table.name != "checkpoint":
                yield table


def compare_tables(replayed: Session, served: Session, report: Report) -> None:
    """I13: the served tables are those the replay made."""
    for table in compared_tables():
        _compare(table, _rows(replayed, table), _rows(served, table), report)


def _rows(session: Session, table: sa.Table) -> dict[tuple[Any, ...], sa.RowMapping]:
    keys = [column.name for column in table.primary_key]
    rows = session.execute(sa.select(*logged_columns(table))).mappings()
    return {tuple(row[key] for key in keys): row for row in rows}


def _compare(
    table: sa.Table,
    expected: Mapping[tuple[Any, ...], sa.RowMapping],
    actual: Mapping[tuple[Any, ...], sa.RowMapping],
    report: Report,
) -> None:
    found = 0
    for key in sorted(expected.keys() | actual.keys(), key=str):
        where = f"{table.name} {'/'.join(map(str, key))}"
        report.count("I13")
        if key not in actual:
            report.find("I13", where, "the row is missing")
        elif key not in expected:
            report.find("I13", where, "the log knows no such row")
        elif differing := _differing(expected[key], actual[key]):
            report.find("I13", f"{where} column {', '.join(differing)}", "it is not what the log implies")
        else:
            continue
        found += 1
        if found == MOST_FINDINGS:
            report.find("I13", table.name, "and more rows of this table")
            return


def _differing(expected: sa.RowMapping, actual: sa.RowMapping) -> list[str]:
    return [name for name in expected if expected[name] != actual[name]]


def check_commitments(served: Session, report: Report, lost: Collection[str] = ()) -> None:
    """C1: committed columns open the commitment that is logged beside them.

    A record that an entry erased is noted, and holds nothing any more. So is one of `lost`, the commitments
    that the home says went with a newer database. No other is empty.
    """
    erased = set(served.scalars(sa.select(Erasure.commitment)))
    for mapper in Base.registry.mappers:
        if not issubclass(mapper.class_, Committed):
            continue
        columns = ", ".join((*committed_columns(mapper.class_), "commitment_key"))
        for row in served.scalars(sa.select(mapper.class_)):
            key = "/".join(map(str, sa.inspect(row).identity or ()))
            where = f"{mapper.local_table.description} {key} columns {columns}"
            if row.commitment in lost and row.commitment not in erased and _opens(row) is None:
                report.note("C1", where, "the record was lost with a newer database")
            else:
                _check_record(row, row.commitment in erased, where, report)


def _check_record(row: Committed, erased: bool, where: str, report: Report) -> None:
    opens = _opens(row)
    if opens is None and erased:
        report.note("C1", where, "the record was erased")
    elif opens is None:
        report.expect("C1", False, where, "it was emptied and no entry erased it")
    elif erased:
        report.expect("C1", False, where, "it was erased and still holds its values")
    else:
        report.expect("C1", opens, where, "together they are not the record that was committed")


def _opens(row: Committed) -> bool | None:
    """As `opens_commitment`; a value that could not be committed at all opens nothing."""
    try:
        return opens_commitment(row)
    except (LedgerRefusal, TypeError, ValueError):
        return False
