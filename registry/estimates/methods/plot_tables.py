"""A plot file as tables of text: CSV in the encodings and separators that desktop programs write, or the
sheets of a workbook.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from geo.errors import GeoRefusal
from registry.estimates.methods.errors import BadPlotFile
from registry.estimates.methods.plot_columns import known_columns
from registry.estimates.methods.plot_sheets import ending_of, read_sheets

MAX_FILE_BYTES: Final = 20_000_000
HEADER_WITHIN: Final = 20
"""Rows in which the header is looked for; above it stand titles."""


@dataclass(frozen=True, slots=True)
class RowFault:
    """One thing wrong in a file: sheet (empty in CSV), line number (that of the spreadsheet program), column,
    the text that stands there, a code.
    """

    row: int
    field: str
    value: str
    code: str
    sheet: str = ""

    def facts(self) -> dict[str, object]:
        plain = {"row": self.row, "field": self.field, "value": self.value, "code": self.code}
        return plain | {"sheet": self.sheet} if self.sheet else plain


class Faults:
    """Everything that is wrong, gathered before anything is refused."""

    def __init__(self) -> None:
        self.rows: list[RowFault] = []

    def add(self, row: int, field: str, value: str, code: str, sheet: str = "") -> None:
        self.rows.append(RowFault(row, field, value[:200], code, sheet))

    def refuse_if_any(self) -> None:
        if self.rows:
            faults = sorted(self.rows, key=lambda fault: (fault.sheet, fault.row, fault.field))
            raise BadPlotFile(count=len(faults), faults=[fault.facts() for fault in faults])


@dataclass(frozen=True, slots=True)
class Table:
    """A header with the rows under it; `ragged` are rows with another number of cells than the header."""

    sheet: str
    header_row: int
    header: Sequence[str]
    rows: Sequence[tuple[int, Sequence[str]]]


def tables_of(content: str | bytes, faults: Faults) -> list[Table]:
    """The tables of a file, told from its bytes. Raises `BadPlotFile` for what is no table at all."""
    if len(content) > MAX_FILE_BYTES:
        faults.add(0, "", str(len(content)), "file_too_large")
        faults.refuse_if_any()
    if isinstance(content, str) or ending_of(content) == ".csv":
        found = [("", list(_csv_rows(_text(content, faults), faults)))]
    else:
        found = _sheets(content, faults)
    tables = [_table(sheet, rows) for sheet, rows in found if rows]
    if not tables and not faults.rows:
        faults.add(1, "", "", "empty_file")
    return tables


def _sheets(content: bytes, faults: Faults) -> list[tuple[str, list[tuple[int, list[str]]]]]:
    try:
        return read_sheets(content)
    except GeoRefusal as refusal:
        faults.add(0, "", str(refusal), f"workbook_{refusal.code}")
        faults.refuse_if_any()
        raise AssertionError("unreachable") from refusal


def _text(content: str | bytes, faults: Faults) -> str:
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if utf_16 else ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    faults.add(0, "", "", "not_text")
    faults.refuse_if_any()
    raise AssertionError("unreachable")


def _csv_rows(text: str, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        faults.add(reader.line_num, "", str(error), "not_a_csv")


def _table(sheet: str, rows: list[tuple[int, list[str]]]) -> Table:
    """The header is the first row that names two columns or more, else the first row of all."""
    at = next((n for n, (_, cells) in enumerate(rows[:HEADER_WITHIN]) if known_columns(cells) >= 2), 0)
    number, header = rows[at]
    return Table(sheet, number, header, rows[at + 1 :])
