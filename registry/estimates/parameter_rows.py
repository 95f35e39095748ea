"""The rows of a method's parameter tables as their files spell them: for records, bundles and comparisons."""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from registry.estimates.methods import MethodVersion
from registry.estimates.methods.parameters import sha256_hex
from registry.estimates.rules import RecordMalformed

Rows = Mapping[str, Mapping[str, Any]]
"""The rows of one table by their codes."""


def table_document(table: str) -> dict[str, Any]:
    """The table's file of this code; decimals in it are texts."""
    raw = (files("registry.estimates.methods") / "data" / f"{table}.json").read_bytes()
    document: dict[str, Any] = json.loads(raw)
    return document


def table_rows(document: object) -> dict[str, Mapping[str, Any]]:
    """The rows of a table's document by code (`RecordMalformed`)."""
    rows = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "code" in row for row in rows):
        raise RecordMalformed(reason="a parameter table has no rows")
    return {str(row["code"]): row for row in rows}


def table_sha256(document: object) -> str:
    """The digest that records name a table by (`RecordMalformed` where a number is no text)."""
    try:
        return sha256_hex(document)
    except TypeError as fault:
        raise RecordMalformed(reason="a parameter table holds a number that is no text") from fault


def rows_used(method: MethodVersion, stand_types: set[str]) -> dict[str, Mapping[str, Any]]:
    """The rows that a run of these stand types computes with, by `table.code`: those of the stand types, and
    all of tables that have none.
    """
    used: dict[str, Mapping[str, Any]] = {}
    for table in sorted(method.parameters.digests()):
        rows = table_rows(table_document(table))
        by_stand_type = bool(stand_types & set(rows)) or table in ("stand_types", "linear_biomass")
        for code, row in rows.items():
            if code in stand_types or not by_stand_type:
                used[f"{table}.{code}"] = row
    return used


def differing_rows(table: str, expected: object, found: object) -> Iterator[tuple[str, str, str | None]]:
    """Names (`table.code.field`) and both values, of every figure that two documents of a table spell
    differently.
    """
    one, other = table_rows(expected), table_rows(found)
    for code in sorted({*one, *other}):
        if code not in one or code not in other:
            yield f"{table}.{code}", "a row" if code in one else "no row", "a row" if code in other else None
            continue
        for name in sorted({*one[code], *other[code]}):
            if one[code].get(name) != other[code].get(name):
                yield f"{table}.{code}.{name}", str(one[code].get(name)), _text(other[code].get(name))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
