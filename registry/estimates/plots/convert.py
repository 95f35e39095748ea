"""Plot files of other people, brought under our headings: named columns, and one value for a whole file.

What comes out is a CSV file of its own, which is registered and named by its digest; it says of every row
from which file and line it was taken. So a record needs no mapping, and reading it again needs no program but
ours. Nothing is converted but headings.
"""

import csv
import hashlib
import io
from collections.abc import Mapping
from typing import ClassVar, Final

from registry.estimates.methods.plot_columns import COLUMNS
from registry.estimates.methods.plot_tables import Faults, Table, tables_of
from registry.estimates.rules import EstimateRefused

_UNITS: Final = {"area_ha", "v1_m3_ha", "v2_m3_ha"}
FIELDS: Final = tuple(column.field for column in COLUMNS)
SOURCE: Final = "source"


class FieldUnknown(EstimateRefused):
    code: ClassVar[str] = "plots_field_unknown"
    template: ClassVar[str] = "Plot files have no field {name}; they have {known}."


class HeadingMissing(EstimateRefused):
    code: ClassVar[str] = "plots_heading_missing"
    template: ClassVar[str] = "No table of the file has the column {heading}; there are {found}."


def convert(content: bytes, columns: Mapping[str, str], values: Mapping[str, str], file: str) -> bytes:
    """The table that has all columns named, under our headings.

    `columns` gives the heading of a field (`dbh_cm` from `D`), `values` what a field is in every row. Empty
    cells that say so in another way (`NA`) become empty. Raises `FieldUnknown`, `HeadingMissing`,
    `BadPlotFile` for what is no table.
    """
    for name in (*columns, *values):
        if name not in FIELDS:
            raise FieldUnknown(name=name[:80], known=", ".join(FIELDS))
    faults = Faults()
    tables = tables_of(content, faults)
    faults.refuse_if_any()
    table = _having(tables, tuple(columns.values()))
    at = {field: list(table.header).index(heading) for field, heading in columns.items()}
    digest = hashlib.sha256(content).hexdigest()
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*at, *(field for field in values if field not in at), SOURCE])
    for row, cells in table.rows:
        taken = [_cell(cells[index]) if index < len(cells) else "" for index in at.values()]
        fixed = [text for field, text in values.items() if field not in at]
        where = f"{file} {table.sheet} {row} sha256:{digest}".replace("  ", " ")
        writer.writerow([*taken, *fixed, where])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _having(tables: list[Table], headings: tuple[str, ...]) -> Table:
    for table in tables:
        if all(heading in table.header for heading in headings):
            return table
    found = ", ".join(cell for table in tables for cell in table.header if cell)[:300]
    missing = next((one for one in headings if not any(one in table.header for table in tables)), headings[0])
    raise HeadingMissing(heading=missing[:80], found=found)


def _cell(text: str) -> str:
    return "" if text.upper() in ("NA", "N/A", "#N/A", "NULL") else text
