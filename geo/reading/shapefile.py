"""Shapefiles, read with a GDAL that has no other driver, in the encoding that the file was written in."""

import itertools
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from geo.errors import EncodingUnknown, NotAShapefile, TooManyFeatures
from geo.reading.rows import Attribute, Read, Task, row_of
from geo.reading.text import code_page

MAX_NAME_BYTES: Final = 10
_CUT: Final = ("incomplete multibyte sequence", "unexpected end of data")
"""What Python says of text that ends within a character."""
ALLOWED_DRIVERS: Final = frozenset({"ESRI Shapefile", "MEM", "Memory"})
_LANGUAGE_DRIVERS: Final = {0x4D: "gb18030", 0x7A: "gb18030", 0x4F: "big5", 0x78: "big5", 0x03: "cp1252"}


def read_shapefile(files: dict[str, Path], task: Task) -> Read:
    """Read one unpacked shapefile with GDAL, after its three files have been found to agree with each
    other.
    """
    for ending in (".shp", ".shx", ".dbf"):
        if ending not in files:
            raise NotAShapefile(reason="member_missing", detail=f"there is no {ending}")
    count = _check_shapefile(files)
    if count > task.max_features:
        raise TooManyFeatures(count=count, limit=task.max_features)
    names, columns, geometries = _read_gdal(files[".shp"])
    if len(geometries) != count:
        detail = f"{len(geometries)} of {count} records could be read"
        raise NotAShapefile(reason="counts_differ", detail=detail)
    widths = _widths(files[".dbf"], len(names))
    encoding, source = _encoding(files, task, names, columns, widths)
    decoded = _unique([_text(name, encoding, 0, name, MAX_NAME_BYTES) for name in names])
    fields = list(zip(decoded, columns, widths, strict=True))
    read = _columns(fields, encoding) if fields else [()] * count
    rows = [
        row_of(dict(zip(decoded, values, strict=True)), geometry)
        for values, geometry in zip(read, geometries, strict=True)
    ]
    crs = _system(files[".prj"]) if ".prj" in files else None
    return Read(rows, crs, "shapefile", encoding, source, "shapefile", crs_member=".prj")


def _system(prj: Path) -> str:
    """The text of a .prj; where a name in it is Chinese, Chinese programs write GBK."""
    raw = prj.read_bytes()[:65_537]
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("gb18030", "replace")


def _check_shapefile(files: dict[str, Path]) -> int:
    """Number of records, the same in all three files, all of them inside the .shp."""
    shp, shx, dbf = (files[e].read_bytes() for e in (".shp", ".shx", ".dbf"))
    for ending, data in ((".shp", shp), (".shx", shx)):
        if len(data) < 100 or data[:4] != b"\x00\x00\x27\x0a":
            raise NotAShapefile(reason="header", detail=f"{ending} does not begin as it must")
    if len(dbf) < 33:
        raise NotAShapefile(reason="header", detail=".dbf is too short")
    count, rest = divmod(len(shx) - 100, 8)
    records, header, length = struct.unpack("<IHH", dbf[4:12])
    if rest or records != count:
        raise NotAShapefile(reason="counts_differ", detail=f"{count} outlines and {records} attribute rows")
    if length < 1 or len(dbf) < header + records * length:
        raise NotAShapefile(reason="truncated", detail=".dbf ends early")
    for offset, size in struct.iter_unpack(">ii", shx[100:]):
        if offset < 50 or size < 2 or 2 * offset + 8 + 2 * size > len(shp):
            raise NotAShapefile(reason="truncated", detail=".shp ends before its last record")
    if any(dbf[header + i * length] == 0x2A for i in range(records)):
        raise NotAShapefile(reason="counts_differ", detail=".dbf has rows marked as deleted; pack it first")
    return count


def other_drivers() -> list[str]:
    """Drivers of this process's GDAL that nothing here needs, by name."""
    import pyogrio

    return sorted(set(pyogrio.list_drivers()) - ALLOWED_DRIVERS)


def _read_gdal(shp: Path) -> tuple[list[str], list[list[Any]], list[bytes | None]]:
    """Field names and text as Latin-1, so that every byte survives until the encoding is known."""
    import pyogrio.errors
    import pyogrio.raw

    if left := other_drivers():
        raise RuntimeError(f"drivers that should be off are on: {left}")
    try:
        meta, _, geometry, columns = pyogrio.raw.read(str(shp), encoding="ISO-8859-1", force_2d=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, RuntimeError) as error:
        raise NotAShapefile(reason="unreadable", detail=type(error).__name__) from error
    if geometry is None:
        raise NotAShapefile(reason="unreadable", detail="the records hold no outlines")
    values = [_column(c, str(t)) for c, t in zip(columns, meta["dtypes"], strict=True)]
    return [str(name) for name in meta["fields"]], values, list(geometry)


def _column(values: Any, dtype: str) -> list[Any]:
    if values.dtype.kind == "M":
        return [None if v is None else str(v) for v in values.astype("datetime64[D]").astype(object)]
    if dtype.startswith(("int", "uint")) and values.dtype.kind == "f":
        return [None if math.isnan(v) else int(v) for v in values.tolist()]
    return list(values.tolist())


def _widths(dbf: Path, count: int) -> list[int]:
    """Bytes of each text field, by its descriptor; 0 for others, and for all unless `count` are there."""
    with dbf.open("rb") as file:
        head = file.read(32)
        described = file.read(max(0, struct.unpack("<H", head[8:10])[0] - 32)).partition(b"\r")[0]
    fields = [described[at : at + 32] for at in range(0, len(described) - 31, 32)]
    widths = [field[16] + 256 * field[17] if field[11:12] == b"C" else 0 for field in fields]
    return widths if len(widths) == count else [0] * count


def _unique(names: list[str]) -> list[str]:
    """A second field of the same name, as ten bytes make them, gets a number."""
    found: list[str] = []
    for name in names:
        numbered = (f"{name}_{n}" for n in itertools.count(2))
        found.append(name if name not in found else next(one for one in numbered if one not in names))
    return found


def _columns(fields: list[tuple[str, list[Any], int]], encoding: str) -> Iterable[tuple[Attribute, ...]]:
    """The values of each row. Columns are decoded one after the other; what is wrong is said of the first
    row that has something wrong.
    """
    found: list[list[Attribute]] = []
    faults: list[EncodingUnknown] = []
    for name, column, width in fields:
        try:
            found.append(_column_cells(column, encoding, name, width))
        except EncodingUnknown as fault:
            faults.append(fault)
    if faults:
        raise min(faults, key=lambda fault: int(str(fault.facts["row"])))
    return zip(*found, strict=True)


def _column_cells(column: list[Any], encoding: str, name: str, width: int) -> list[Attribute]:
    """The values of one column; a text that stands in many rows is decoded once."""
    known: dict[str, Attribute] = {}
    found: list[Attribute] = []
    for row, value in enumerate(column, start=1):
        if type(value) is not str:
            found.append(_cell(value, encoding, row, name, width))
            continue
        if value not in known:
            known[value] = _text(value, encoding, row, name, width)
        found.append(known[value])
    return found


def _cell(value: Any, encoding: str, row: int, name: str, width: int) -> Attribute:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    return _text(str(value), encoding, row, name, width)


def _text(latin: str, encoding: str, row: int, name: str, width: int) -> str:
    """Text of a field of so many bytes. A field that is full may end within a character, as programs cut it
    there: what is left of that character shows as U+FFFD.
    """
    raw = latin.encode("iso-8859-1")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        if width and len(raw) >= width and error.end == len(raw) and error.reason in _CUT:
            return raw[: error.start].decode(encoding) + "\ufffd"
        raise EncodingUnknown(encoding=encoding, row=row, field=name) from error


def _encoding(
    files: dict[str, Path], task: Task, names: list[str], columns: list[list[Any]], widths: list[int]
) -> tuple[str, str]:
    """Declared by the caller, by .cpg, by the language byte of the .dbf; else strict UTF-8, else GB18030."""
    if task.encoding is not None:
        return code_page(task.encoding, "encoding"), "declared"
    if ".cpg" in files:
        return code_page(files[".cpg"].read_bytes()[:64].decode("ascii", "replace"), ".cpg"), "cpg"
    with files[".dbf"].open("rb") as dbf:
        language = dbf.read(30)[29]
    if language in _LANGUAGE_DRIVERS:
        return _LANGUAGE_DRIVERS[language], "ldid"
    named = [(name, MAX_NAME_BYTES) for name in names]
    texts = [(v, w) for c, w in zip(columns, widths, strict=True) for v in c if isinstance(v, str)]
    try:
        for text, width in (*named, *texts):
            _text(text, "utf-8", 0, "", width)
    except EncodingUnknown:
        return "gb18030", "guess"
    return "utf-8", "guess"
