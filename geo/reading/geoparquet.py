"""GeoParquet 1.0, 1.1 and the drafts before them, read by pyarrow a little at a time.

What a file would become in memory is bounded before and while it is read: by its own table of contents, which
may lie, and by counting what comes.
"""

import datetime
import decimal
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from geo.errors import GeometryEmpty, GeometryUnreadable, GeoRefusal, NotGeoParquet, TooManyFeatures
from geo.reading.hints import datum_hints
from geo.reading.packing import Points, multipolygon_wkb, polygon_wkb
from geo.reading.rows import Attribute, Read, Row, Task, row_of

MAX_COLUMNS: Final = 1000
MAX_ROW_GROUPS: Final = 10_000
MAX_FOOTER_BYTES: Final = 16 << 20
BATCH_ROWS: Final = 256
_MAGIC: Final = b"PAR1"
_NATIVE: Final = ("polygon", "multipolygon")


@dataclass(frozen=True, slots=True)
class _Outlines:
    """The primary column: its name, its encoding, its system, and the columns that are not attributes."""

    column: str
    encoding: str  # WKB, polygon, multipolygon
    crs: str | None
    aside: frozenset[str]


def read_geoparquet(path: Path, task: Task) -> Read:
    """Read the primary geometry and all other columns. Raises NotGeoParquet, TooManyFeatures."""
    import pyarrow
    import pyarrow.parquet

    _check_footer(path)
    try:
        with pyarrow.OSFile(str(path), "rb") as source:
            file = pyarrow.parquet.ParquetFile(
                source,
                thrift_string_size_limit=MAX_FOOTER_BYTES,
                thrift_container_size_limit=MAX_COLUMNS * MAX_ROW_GROUPS,
            )
            _check_contents(file.metadata, task)
            said = (
                file.metadata.metadata or {}
            )  # of the file: a schema that Arrow wrote beside it may say less
            outlines = _outlines(file.schema_arrow, said)
            rows = list(_rows(file, outlines, task))
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, UnicodeDecodeError, OSError) as error:
        raise NotGeoParquet(reason="unreadable", detail=str(error).partition("\n")[0][:80]) from error
    hints = datum_hints(_texts(said))
    return Read(rows, outlines.crs, "parquet", "utf-8", "format", "parquet", crs_member="crs", hints=hints)


def _check_footer(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - 8))
        end = stream.read(8)
    length = int.from_bytes(end[:4], "little")
    if size < 20 or end[4:] != _MAGIC or length > size - 12:
        raise NotGeoParquet(reason="unreadable", detail="the file does not end as it must")
    if length > MAX_FOOTER_BYTES:
        raise NotGeoParquet(reason="too_large", detail=f"a table of contents of {length} bytes")


def _check_contents(contents: Any, task: Task) -> None:
    """What the file says of itself."""
    if contents.num_rows > task.max_features:
        raise TooManyFeatures(count=contents.num_rows, limit=task.max_features)
    if contents.num_columns > MAX_COLUMNS or contents.num_row_groups > MAX_ROW_GROUPS:
        detail = f"{contents.num_columns} columns in {contents.num_row_groups} groups"
        raise NotGeoParquet(reason="too_large", detail=detail)
    total = sum(contents.row_group(i).total_byte_size for i in range(contents.num_row_groups))
    if not 0 <= total <= task.max_unpacked_bytes:
        detail = f"{total} of at most {task.max_unpacked_bytes} bytes"
        raise NotGeoParquet(reason="too_large", detail=detail)


# --- what the file says of its outlines ---------------------------------------------------------------------


def _outlines(schema: Any, said: dict[bytes, bytes]) -> _Outlines:
    geo = _geo(said)
    columns = geo.get("columns")
    primary = geo.get("primary_column")
    about = columns.get(primary) if isinstance(columns, dict) and isinstance(primary, str) else None
    if not isinstance(columns, dict) or not isinstance(primary, str) or not isinstance(about, dict):
        raise NotGeoParquet(reason="column", detail="it does not name the column of its outlines")
    if schema.names.count(primary) != 1 or len(set(schema.names)) != len(schema.names):
        raise NotGeoParquet(reason="column", detail=f"{primary[:60]} is not one of its columns")
    encoding = about.get("encoding")
    if encoding != "WKB" and encoding not in _NATIVE:
        raise NotGeoParquet(reason="encoding", detail=str(encoding)[:60])
    _check_type(schema.field(primary).type, encoding)
    if about.get("edges", "planar") != "planar":
        raise NotGeoParquet(reason="edges", detail=f"{str(about['edges'])[:40]}; land has planar edges")
    aside = frozenset(columns) | _coverings(columns)
    return _Outlines(primary, encoding, _crs(about), aside)


def _geo(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    raw = metadata.get(b"geo")
    if raw is None:
        raise NotGeoParquet(reason="no_geo", detail="it is Parquet without the metadata `geo`")
    try:
        geo = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise NotGeoParquet(reason="no_geo", detail="its metadata `geo` cannot be read") from error
    if not isinstance(geo, dict):
        raise NotGeoParquet(reason="no_geo", detail="its metadata `geo` is not an object")
    return geo


def _check_type(kind: Any, encoding: str) -> None:
    """The column holds what its metadata says."""
    import pyarrow.types as types

    if encoding == "WKB":
        fits = types.is_binary(kind) or types.is_large_binary(kind)
    else:
        depth = 2 + _NATIVE.index(encoding)  # rings of points, or polygons of rings
        while depth and (types.is_list(kind) or types.is_large_list(kind)):
            kind, depth = kind.value_type, depth - 1
        fits = not depth and types.is_struct(kind) and {"x", "y"} <= {field.name for field in kind}
    if not fits:
        raise NotGeoParquet(reason="column", detail=f"its outlines are not stored as {encoding}")


def _coverings(columns: dict[str, Any]) -> frozenset[str]:
    """Columns that repeat the bounds of the outlines (1.1, `covering`)."""
    found = set()
    for about in columns.values():
        covering = about.get("covering") if isinstance(about, dict) else None
        bbox = covering.get("bbox") if isinstance(covering, dict) else None
        paths = bbox.values() if isinstance(bbox, dict) else ()
        found |= {path[0] for path in paths if isinstance(path, list) and path and isinstance(path[0], str)}
    return frozenset(found)


def _crs(about: dict[str, Any]) -> str | None:
    """PROJJSON (1.x) or WKT (drafts) as WKT; absent means OGC:CRS84, null means unknown."""
    import pyproj
    import pyproj.exceptions

    if "crs" not in about:
        return "OGC:CRS84"
    crs = about["crs"]
    if crs is None or isinstance(crs, str):
        return crs or None
    try:
        found = pyproj.CRS.from_json_dict(crs)
    except (pyproj.exceptions.CRSError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise NotGeoParquet(reason="crs", detail="its system cannot be read as PROJJSON") from error
    authority = found.to_authority(min_confidence=100)
    return ":".join(authority) if authority else found.to_wkt()


# --- rows ---------------------------------------------------------------------------------------------------


def _rows(file: Any, outlines: _Outlines, task: Task) -> Iterator[Row]:
    """Rows in small batches, so that what a batch expands to is seen before the next one comes."""
    aside = outlines.aside - {outlines.column}
    names = [name for name in file.schema_arrow.names if name not in aside]
    count = size = 0
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=names, use_threads=False):
        count += batch.num_rows
        size += batch.nbytes
        if count > task.max_features:
            raise TooManyFeatures(count=count, limit=task.max_features)
        if size > task.max_unpacked_bytes:
            detail = f"more than {task.max_unpacked_bytes} bytes when unpacked"
            raise NotGeoParquet(reason="too_large", detail=detail)
        for record in batch.to_pylist():
            shape = record.pop(outlines.column)
            attributes = {name: _value(value) for name, value in record.items()}
            yield _row(attributes, shape, outlines.encoding)


def _row(attributes: dict[str, Attribute], shape: Any, encoding: str) -> Row:
    try:
        if not shape:
            raise GeometryEmpty
        if encoding == "WKB":
            return row_of(attributes, shape)
        polygons = [shape] if encoding == "polygon" else shape
        packed = [polygon_wkb(_points(ring) for ring in polygon) for polygon in polygons]
        return row_of(attributes, packed[0] if encoding == "polygon" else multipolygon_wkb(packed))
    except GeoRefusal as problem:
        return Row(attributes, None, problem)


def _points(ring: Any) -> Points:
    try:
        return np.array([(point["x"], point["y"]) for point in ring], dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise GeometryUnreadable(reason="a position that is not two numbers") from error


def _value(value: Any) -> Attribute:
    """Text for what is neither text nor a number; bytes shortened as those of a GeoPackage are."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, bytes):
        return value[:256].hex()
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | datetime.timedelta):
        return str(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _texts(metadata: dict[bytes, bytes]) -> Iterator[str]:
    for key, value in metadata.items():
        if key != b"ARROW:schema":
            yield value[:4096].decode("utf-8", "replace")
