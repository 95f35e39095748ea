"""The parameter tables of equations that no run uses: soil, farm, fire, trade and the like.

They are apart from the tables of the runs (`parameters.py`), so that a new row here changes no method of a
run. Each document names its columns with their units; every row has all of them, a source and a mark. Values
are decimals as printed; null is a value that the source does not give.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from registry.estimates.methods.errors import BadParameterTable, UnknownStandType
from registry.estimates.methods.parameters import bamboo_parameters
from registry.estimates.methods.tables import Fields, Mark, Table, packaged, read_table, sha256_hex

_OF_RUNS: Final = ("stand_types", "linear_biomass", "deduction_rules", "estimation_rules", "bamboo")


@dataclass(frozen=True, slots=True)
class DataRow:
    """A row: decimals by column, words (names, units of single values) by theirs."""

    code: str
    values: Mapping[str, Decimal | None]
    words: Mapping[str, str]
    source: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class DataTable:
    """A table with what it says of its columns."""

    title_zh: str
    title: str
    columns: Mapping[str, str]
    table: Table[DataRow]

    def value(self, code: str, column: str = "value") -> float:
        """A decimal of a row as a number. Raises `UnknownStandType` for a row that is not there, and
        `BadParameterTable` for a value that its source does not give.
        """
        found = self.optional(code, column)
        if found is None:
            raise BadParameterTable(table=self.table.name, field=f"{code}.{column}")
        return found

    def optional(self, code: str, column: str) -> float | None:
        found = self.table.row(code).values[column]
        return None if found is None else float(found)


def read_data_table(name: str, raw: bytes) -> DataTable:
    """A table from its JSON document, strictly. Raises `BadParameterTable`."""
    try:
        document = json.loads(raw)
    except ValueError:
        raise BadParameterTable(table=name, field="json") from None
    if not isinstance(document, dict):
        raise BadParameterTable(table=name, field="json")
    columns, words = document.get("columns"), document.get("words")
    if not isinstance(columns, dict) or not columns:
        raise BadParameterTable(table=name, field="columns")
    if not isinstance(words, list) or not all(isinstance(one, str) for one in words):
        raise BadParameterTable(table=name, field="words")

    def row(fields: Fields) -> DataRow:
        return DataRow(
            fields.text("code"),
            MappingProxyType({column: _value(fields, column) for column in columns}),
            MappingProxyType({word: fields.text(word) for word in words}),
            fields.text("source"),
            fields.mark(),
        )

    table = read_table(name, raw, row, extra=("title_zh", "title", "columns", "words"))
    units = {str(column): str(unit) for column, unit in columns.items()}
    return DataTable(str(document["title_zh"]), str(document["title"]), MappingProxyType(units), table)


def _value(fields: Fields, column: str) -> Decimal | None:
    if column not in fields.values:
        raise fields.fault(column)
    return fields.optional_decimal(column)


@cache
def data_table(name: str) -> DataTable:
    """A table that ships with this version of the code, or `UnknownStandType`."""
    if name not in table_names() or name in _OF_RUNS:
        raise UnknownStandType(table=name, stand_type="")
    return read_data_table(name, packaged(f"{name}.json"))


@cache
def table_names() -> tuple[str, ...]:
    """All tables that ship, those of the runs included."""
    folder = files("registry.estimates.methods") / "data"
    return tuple(
        sorted(one.name.removesuffix(".json") for one in folder.iterdir() if one.name.endswith(".json"))
    )


@cache
def table_document(name: str) -> Mapping[str, object]:
    """A shipped table as its JSON document."""
    document: dict[str, object] = json.loads(packaged(f"{name}.json"))
    return MappingProxyType(document)


@cache
def table_digests() -> Mapping[str, str]:
    """The digest of every shipped table, by its name."""
    runs = bamboo_parameters().digests()
    own = {name: data_table(name).table.digest() for name in table_names() if name not in _OF_RUNS}
    return MappingProxyType(runs | own)


def document_digest(name: str) -> str:
    """The digest of a table as anybody computes it: SHA-256 of the canonical JSON of its document."""
    return sha256_hex(dict(table_document(name)))
