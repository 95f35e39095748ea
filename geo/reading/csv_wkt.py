"""Tables of text with the outline of each row as well-known text (OGC 06-103r4, 7), as databases export them.

All other columns stay text: `0012` is a code, not twelve.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from geo.errors import (
    GeometryEmpty,
    GeometryNotPolygonal,
    GeometryUnreadable,
    GeoRefusal,
    NotCsv,
    TooManyFeatures,
)
from geo.reading.rows import Attribute, Read, Row, Task, row_of
from geo.reading.text import code_page, decoded, marked

MAX_COLUMNS: Final = 1000
MAX_FIELD_CHARACTERS: Final = 16 << 20  # an outline of the most vertices that land may have takes about 4 MB
_DELIMITERS: Final = (",", ";", "\t")
_SAMPLE_ROWS: Final = 20
_HEADINGS: Final = frozenset({
    "wkt", "ewkt", "the_geom", "geom", "geometry", "shape", "wkt_geom", "wkt_geometry", "geom_wkt",
    "geometry_wkt", "几何", "几何数据", "几何信息", "几何图形", "图形", "坐标", "坐标串", "空间坐标", "边界",
    "边界坐标", "空间数据",
})  # fmt: skip
_WKT: Final = re.compile(
    r"(?:SRID\s{0,9}=\s{0,9}(\d{1,7})\s{0,9};)?\s{0,9}([A-Z]{3,20})\s{0,9}(?:ZM|Z|M)?\s{0,9}(?:\(|EMPTY)",
    re.IGNORECASE,
)
_WKT_CHARACTERS: Final = 100
_SHAPES: Final = frozenset({
    "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION",
    "LINEARRING", "CIRCULARSTRING", "COMPOUNDCURVE", "CURVEPOLYGON", "MULTICURVE", "MULTISURFACE", "TRIANGLE",
    "TIN", "POLYHEDRALSURFACE",
})  # fmt: skip


def read_csv(path: Path, task: Task) -> Read:
    """Read a table with a heading. Raises EncodingUnknown, NotCsv, TooManyFeatures.

    The encoding is that declared by the caller, that of the byte order mark, strict UTF-8, else GB18030. The
    system is the SRID of the texts, if they have one (`SRID=4549;POLYGON ...`).
    """
    text, encoding, source = _text(path.read_bytes(), task.encoding)
    records = _records(text)
    try:
        heading = _heading(next(records, (0, []))[1])
        table = list(_table(records, heading, task.max_features))
    except csv.Error as error:
        reason = "field_size" if "larger than field limit" in str(error) else "quoting"
        raise NotCsv(reason=reason, detail=str(error)[:80]) from error
    at = _outlines(heading, table)
    rows = [_row(heading, record, at) for record in table]
    return Read(rows, _system(table, at), "csv", encoding, source, "csv", crs_member="SRID")


# --- text ---------------------------------------------------------------------------------------------------


def _text(data: bytes, declared: str | None) -> tuple[str, str, str]:
    """The text, its encoding, and how that was found."""
    if declared is not None:
        codec = code_page(declared, "CSV")
        return decoded(data, codec, "CSV").lstrip("\ufeff"), codec, "declared"
    if mark := marked(data):
        return decoded(data, mark, "CSV"), mark.removesuffix("-sig"), "format"
    try:
        return data.decode("utf-8"), "utf-8", "guess"
    except UnicodeDecodeError:
        return decoded(data, "gb18030", "CSV"), "gb18030", "guess"


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each record that is not blank."""
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    first = text[: 1 << 16].lstrip("\r\n").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=lambda one: re.sub(r'"[^"]*"', "", first).count(one))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    for record in reader:
        if any(field.strip() for field in record):
            yield reader.line_num, record


def _heading(fields: list[str]) -> list[str]:
    """Names of the columns; a column without one is called by its place."""
    names = [name.strip() or f"column {place}" for place, name in enumerate(fields, start=1)]
    if not names:
        raise NotCsv(reason="heading", detail="the table has no heading")
    if len(names) > MAX_COLUMNS:
        raise NotCsv(reason="heading", detail=f"{len(names)} columns of at most {MAX_COLUMNS}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise NotCsv(reason="heading", detail=f"two columns are called {twice[0][:40]}")
    return names


def _table(
    records: Iterator[tuple[int, list[str]]], heading: list[str], max_features: int
) -> Iterator[list[str]]:
    for number, (line, record) in enumerate(records, start=1):
        if number > max_features:
            raise TooManyFeatures(count=number, limit=max_features)
        if len(record) != len(heading):
            detail = f"line {line} has {len(record)} fields and the heading {len(heading)}"
            if any(_shape(field) for field in record):
                detail += "; outlines with commas belong in quotation marks"
            raise NotCsv(reason="columns", detail=detail)
        yield record


# --- outlines -----------------------------------------------------------------------------------------------


def _outlines(heading: list[str], table: list[list[str]]) -> int:
    """The column with the outlines: the one whose texts are outlines, by its name if there are several."""
    sample = table[:_SAMPLE_ROWS]
    named = [at for at, name in enumerate(heading) if name.lower() in _HEADINGS]
    holding = [at for at in range(len(heading)) if any(_shape(record[at]) for record in sample)]
    for candidates in ([at for at in holding if at in named], holding, named):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            names = ", ".join(heading[at] for at in candidates)[:80]
            raise NotCsv(reason="several_outlines", detail=f"any of {names} may hold the outlines")
    raise NotCsv(reason="no_outlines", detail="no column is called WKT or holds outlines as well-known text")


def _begin(text: str) -> re.Match[str] | None:
    """The beginning of a well-known text: SRID, if it has one, and kind of geometry."""
    return _WKT.match(text.lstrip()[:_WKT_CHARACTERS])


def _shape(text: str) -> str | None:
    """The kind of geometry that a well-known text begins with."""
    found = _begin(text)
    if found is None:
        return None
    words = (found[2].upper().removesuffix(dimension) for dimension in ("", "ZM", "Z", "M"))
    return next((word for word in words if word in _SHAPES), None)


def _system(table: list[list[str]], at: int) -> str | None:
    """The one system that the texts name. Raises NotCsv if they name several, or some do and some do not."""
    begun = [found for record in table if (found := _begin(record[at])) is not None]
    named = {None if found[1] in (None, "0") else int(found[1]) for found in begun}
    if len(named) > 1:
        listed = ", ".join(sorted(str(srid or "none") for srid in named))[:80]
        raise NotCsv(reason="several_systems", detail=f"the outlines name the systems {listed}")
    srid = next(iter(named), None)
    return None if srid is None else f"EPSG:{srid}"


def _row(heading: list[str], record: list[str], at: int) -> Row:
    named = [pair for place, pair in enumerate(zip(heading, record, strict=True)) if place != at]
    attributes: dict[str, Attribute] = {name: field.strip() or None for name, field in named}
    try:
        return row_of(attributes, _wkb(record[at].strip()))
    except GeoRefusal as problem:
        return Row(attributes, None, problem)


def _wkb(text: str) -> bytes:
    """Polygons only, so that nothing that nests without bound reaches the reader of texts."""
    import shapely

    if not text:
        raise GeometryEmpty
    shape = _shape(text)
    if shape is None:
        raise GeometryUnreadable(reason=f"not well-known text: {text[:40]}")
    if shape not in ("POLYGON", "MULTIPOLYGON"):
        raise GeometryNotPolygonal(found=shape)
    try:
        return shapely.to_wkb(shapely.from_wkt(text.rpartition(";")[2]), byte_order=1)
    except (shapely.errors.GEOSException, ValueError, TypeError) as error:
        raise GeometryUnreadable(reason=str(error)[:120]) from error
