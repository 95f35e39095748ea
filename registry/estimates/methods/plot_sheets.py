"""Spreadsheets (XLSX, XLS, ODS) as plain tables of text. The only module that imports python-calamine.

A workbook comes from a stranger, and the size of its sheets is what its two outermost cells say: two cells in
far corners would be terabytes. So it is read by a confined child (`geo.confined`), within limits on memory
and time. What a cell shows is what counts: of a formula the value that the spreadsheet program kept, of
merged cells the one value in each of them; an error (`#N/A`) is an empty cell. Run as a script it is the
child.
"""

import datetime as dt
import json
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if __name__ == "__main__":  # isolated mode puts neither this folder nor the working directory on the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from geo import confined
from geo.errors import ArchiveRefused, FileUnreadable

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

BOUNDS: Final = confined.Bounds(seconds=30, memory_mib=1024, file_bytes=128 << 20)
MAX_MEMBERS: Final = 500
MAX_UNPACKED_BYTES: Final = 128 << 20
MAX_RATIO: Final = 100
RATIO_FREE_BYTES: Final = 1 << 20
MAX_SHEETS: Final = 20
MAX_ROWS: Final = 200_000
MAX_COLUMNS: Final = 200
MAX_CELLS: Final = 2_000_000
"""Of all sheets together."""

Sheet = tuple[str, list[tuple[int, list[str]]]]
"""Name; rows with their numbers, counted as the spreadsheet program counts them."""

_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0"


def ending_of(content: bytes) -> str:
    """What the bytes are: .xlsx, .ods, .xls, or .csv for everything else."""
    if content.startswith(_OLE):
        return ".xls"
    if content.startswith(_ZIP):
        return ".ods" if b"opendocument.spreadsheet" in content[:200] else ".xlsx"
    return ".csv"


def read_sheets(content: bytes) -> list[Sheet]:
    """The sheets of a workbook in their order, hidden ones too.

    Raises `ArchiveRefused` (damaged, too large, packed too well), `FileUnreadable` (no workbook, a password,
    too many sheets, rows or columns) and `ReaderStopped` (memory, time).
    """
    with tempfile.TemporaryDirectory(prefix="tanhui-plots-") as name:
        folder = Path(name)
        (folder / "workbook").write_bytes(content)
        confined.run(__file__, [], folder, confined.environment(name), BOUNDS)
        found = confined.result(folder)
    return [
        (str(sheet), [(int(number), list(cells)) for number, cells in rows])
        for sheet, rows in found["sheets"]
    ]


# --- in the child -------------------------------------------------------------------------------------------


def main() -> None:
    confined.confine(BOUNDS)
    folder = Path.cwd()
    confined.answer(folder, BOUNDS, lambda: _work(folder))


def _work(folder: Path) -> None:
    path = folder / "workbook"
    with path.open("rb") as file:
        if file.read(4) == _ZIP:
            _check_archive(path)
    sheets = _read(path)
    (folder / confined.RESULT).write_text(json.dumps({"sheets": sheets}), encoding="utf-8")


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise ArchiveRefused(reason="damaged", detail=str(error)[:80]) from error
    if len(members) > MAX_MEMBERS:
        raise ArchiveRefused(reason="too_many_members", detail=f"{len(members)} of at most {MAX_MEMBERS}")
    if any(member.flag_bits & 1 for member in members):
        raise ArchiveRefused(reason="encrypted", detail="take the password away")
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if unpacked > MAX_UNPACKED_BYTES:
        raise ArchiveRefused(reason="too_large", detail=f"{unpacked} of at most {MAX_UNPACKED_BYTES} bytes")
    if unpacked > RATIO_FREE_BYTES and unpacked > MAX_RATIO * max(packed, 1):
        raise ArchiveRefused(reason="ratio", detail=f"{unpacked} bytes from {packed}")


def _read(path: Path) -> list[Sheet]:
    from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum

    try:
        workbook = CalamineWorkbook.from_path(path)
        names = [sheet.name for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        if len(names) > MAX_SHEETS:
            raise FileUnreadable(reason=f"{len(names)} sheets of at most {MAX_SHEETS}")
        sheets: list[Sheet] = []
        left = MAX_CELLS
        for name in names:
            sheet = workbook.get_sheet_by_name(name)
            left -= sheet.height * sheet.width
            _check_size(sheet, left)
            sheets.append((name, _rows(sheet)))
    except (CalamineError, OSError, ValueError) as error:
        raise FileUnreadable(reason=f"{type(error).__name__}: {error}"[:120]) from error
    return sheets


def _check_size(sheet: "CalamineSheet", left: int) -> None:
    if sheet.height > MAX_ROWS or sheet.width > MAX_COLUMNS or left < 0:
        raise FileUnreadable(
            reason=f"sheet {sheet.name} has {sheet.height} rows and {sheet.width} columns; at most "
            f"{MAX_ROWS} rows, {MAX_COLUMNS} columns and {MAX_CELLS} cells of all sheets are read"
        )


def _rows(sheet: "CalamineSheet") -> list[tuple[int, list[str]]]:
    if sheet.start is None:
        return []
    top, first = sheet.start
    table = [[_text(cell) for cell in row] for row in sheet.to_python(skip_empty_area=True)]
    for (from_row, from_column), (to_row, to_column) in sheet.merged_cell_ranges or ():
        _spread(table, from_row - top, from_column - first, to_row - top, to_column - first)
    return [(top + 1 + number, row) for number, row in enumerate(table) if any(row)]


def _spread(table: list[list[str]], top: int, left: int, bottom: int, right: int) -> None:
    """The value of merged cells in each of them."""
    if not (0 <= top < len(table) and 0 <= left < len(table[top])):
        return
    value = table[top][left]
    for row in table[top : bottom + 1]:
        for column in range(left, min(right + 1, len(row))):
            row[column] = value


def _text(cell: Any) -> str:
    """A cell as text: whole numbers without a point, dates as ISO 8601."""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(" ")
    if isinstance(cell, dt.date):
        return cell.isoformat()
    return str(cell).strip()


if __name__ == "__main__":
    main()
