"""Parameter tables as documents: rows with a source and a mark of confidence, read strictly, known by their
digest.

A table's digest is the SHA-256 of its canonical JSON (keys sorted, no spaces, UTF-8), decimals being strings
as they were printed, so the digest does not depend on how a machine writes a float.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from importlib.resources import files
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeVar, cast

from registry.estimates.methods.errors import BadParameterTable, UnknownStandType

_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class Mark(StrEnum):
    """How far a parameter may be trusted; issuance needs an attestation for the rows that are not `SURE`."""

    SURE = "S"
    PROBABLE = "P"
    ASSUMED = "A"


def canonical_json(document: object) -> bytes:
    """One byte form for a document of strings, integers, booleans, nulls, lists and string-keyed mappings.

    Same bytes as RFC 8785 as long as keys are ASCII and no number is a float; a float raises `TypeError`.
    """
    _refuse_floats(document)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _refuse_floats(document: object) -> None:
    if isinstance(document, float):
        raise TypeError("floats have no canonical form here; write decimals as strings")
    if isinstance(document, Mapping):
        for value in document.values():
            _refuse_floats(value)
    elif isinstance(document, list | tuple):
        for value in document:
            _refuse_floats(value)


def sha256_hex(document: object) -> str:
    return hashlib.sha256(canonical_json(document)).hexdigest()


class _Row(Protocol):
    @property
    def code(self) -> str: ...
    @property
    def mark(self) -> Mark: ...


Row = TypeVar("Row", bound=_Row)


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """A parameter table as it was read; `digest_hex` is of the whole document, sources and marks included."""

    name: str
    version: str
    rows: Mapping[str, Row]
    digest_hex: str

    def row(self, code: str) -> Row:
        """The row of a code, or `UnknownStandType`."""
        try:
            return self.rows[code]
        except KeyError:
            raise UnknownStandType(table=self.name, stand_type=code) from None

    def digest(self) -> str:
        return self.digest_hex


class Fields:
    """Strict reading of one row: every value has its type, and none is left over."""

    def __init__(self, table: str, row: object) -> None:
        self.table = table
        if not isinstance(row, dict):
            raise BadParameterTable(table=table, field="rows")
        self.values = dict(row)

    def fault(self, field: str) -> BadParameterTable:
        return BadParameterTable(table=self.table, field=field)

    def text(self, field: str) -> str:
        value = self.values.pop(field, None)
        if not isinstance(value, str) or not value:
            raise self.fault(field)
        return value

    def decimal(self, field: str) -> Decimal:
        value = self.text(field)
        if not _DECIMAL.fullmatch(value):
            raise self.fault(field)
        return Decimal(value)

    def optional_decimal(self, field: str) -> Decimal | None:
        if self.values.get(field) is None:
            self.values.pop(field, None)
            return None
        return self.decimal(field)

    def number(self, field: str) -> float:
        return float(self.decimal(field))

    def mark(self, field: str = "mark") -> Mark:
        value = self.text(field)
        if value not in set(Mark):
            raise self.fault(field)
        return Mark(value)

    def rows(self, field: str) -> list[object]:
        value = self.values.pop(field, None)
        if not isinstance(value, list) or not value:
            raise self.fault(field)
        return cast("list[object]", value)

    def end(self) -> None:
        for field in self.values:
            raise self.fault(str(field))


def read_table(
    name: str, raw: bytes, row_of: Callable[[Fields], Row], *, extra: Sequence[str] = ()
) -> Table[Row]:
    """A table from its JSON document; `extra` are fields of the document that its reader knows. Raises
    `BadParameterTable`.
    """
    try:
        document = json.loads(raw)
    except ValueError:
        raise BadParameterTable(table=name, field="json") from None
    fields = Fields(name, document)
    if fields.text("table") != name:
        raise fields.fault("table")
    version = fields.text("version")
    for name_of_extra in ("units", *extra):
        fields.values.pop(name_of_extra, None)
    rows: dict[str, Row] = {}
    for raw_row in fields.rows("rows"):
        row_fields = Fields(name, raw_row)
        row = row_of(row_fields)
        row_fields.end()
        if row.code in rows:
            raise fields.fault(row.code)
        rows[row.code] = row
    fields.end()
    return Table(name, version, MappingProxyType(rows), sha256_hex(document))


def packaged(name: str) -> bytes:
    return (files("registry.estimates.methods") / "data" / name).read_bytes()
