"""GeoPackages, read with SQLite alone."""

import math
import sqlite3
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from geo.errors import (
    GeometryEmpty,
    GeometryUnreadable,
    NotAGeoPackage,
    TooManyFeatures,
)
from geo.reading.rows import Attribute, Read, Row, Task, row_of

_ENVELOPE_BYTES: Final = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}


def read_geopackage(path: Path, task: Task) -> Read:
    """Read a feature table with SQLite alone: no views, no virtual tables, no triggers, no functions of the
    schema.
    """
    with path.open("rb") as file:
        head = file.read(72)
    if not head.startswith(b"SQLite format 3\x00") or head[68:72] not in (b"GPKG", b"GP10", b"GP11"):
        raise NotAGeoPackage(reason="header", detail="it is another kind of SQLite file")
    uri = f"file:{urllib.parse.quote(str(path))}?mode=ro&immutable=1"
    try:
        with sqlite3.connect(uri, uri=True) as database:
            database.execute("PRAGMA trusted_schema=OFF")
            database.execute("PRAGMA query_only=ON")
            return _read_layer(database, task)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise NotAGeoPackage(reason="unreadable", detail=str(error)[:80]) from error


def _read_layer(database: sqlite3.Connection, task: Task) -> Read:
    for needed in ("gpkg_contents", "gpkg_geometry_columns", "gpkg_spatial_ref_sys"):
        _require_table(database, needed)
    layers = [
        str(name)
        for (name,) in database.execute(
            "SELECT table_name FROM gpkg_contents WHERE data_type = 'features' ORDER BY table_name"
        )
    ]
    layer = _chosen_layer(layers, task.layer)
    _require_table(database, layer)
    found = database.execute(
        "SELECT column_name, srs_id FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
    ).fetchone()
    if found is None:
        raise NotAGeoPackage(reason="no_feature_table", detail=layer[:80])
    shape, srs = str(found[0]), found[1]
    columns = [
        str(name)
        for _, name, _, _, _, _, hidden in database.execute(f"PRAGMA table_xinfo({_quoted(layer)})")
        if hidden == 0
    ]
    if shape not in columns:
        raise NotAGeoPackage(reason="no_feature_table", detail=f"{layer[:60]} has no column {shape[:20]}")
    rows = list(_gpkg_rows(database, layer, shape, columns, task.max_features))
    crs = _gpkg_crs(database, srs)
    return Read(rows, crs, layer, "utf-8", "format", "gpkg", crs_member="gpkg_spatial_ref_sys")


def _chosen_layer(layers: list[str], wanted: str | None) -> str:
    if not layers:
        raise NotAGeoPackage(reason="no_feature_table", detail="it lists no features")
    if wanted is not None:
        if wanted not in layers:
            raise NotAGeoPackage(reason="layer_unknown", detail=wanted[:80])
        return wanted
    if len(layers) > 1:
        raise NotAGeoPackage(reason="several_layers", detail=", ".join(layers)[:120])
    return layers[0]


def _require_table(database: sqlite3.Connection, name: str) -> None:
    found = database.execute(
        "SELECT type, sql FROM sqlite_master WHERE lower(name) = lower(?) AND type IN ('table', 'view')",
        (name,),
    ).fetchone()
    if found is None:
        raise NotAGeoPackage(reason="no_feature_table", detail=f"there is no table {name[:60]}")
    if found[0] != "table" or str(found[1]).lstrip().upper().startswith("CREATE VIRTUAL"):
        raise NotAGeoPackage(reason="view", detail=f"{name[:60]} is not a plain table")


def _gpkg_rows(
    database: sqlite3.Connection, layer: str, shape: str, columns: list[str], limit: int
) -> Iterator[Row]:
    selected = ", ".join(_quoted(column) for column in columns)
    at = columns.index(shape)
    query = f"SELECT {selected} FROM {_quoted(layer)}"  # noqa: S608 - names are quoted
    for number, record in enumerate(database.execute(query), start=1):
        if number > limit:
            raise TooManyFeatures(count=number, limit=limit)
        named = zip(columns, record, strict=True)
        attributes = {column: _gpkg_value(value) for column, value in named if column != shape}
        blob = record[at]
        if not isinstance(blob, bytes) or not blob:
            yield Row(attributes, None, GeometryEmpty())
        elif len(blob) < 8 or blob[:2] != b"GP" or (blob[3] >> 1) & 7 not in _ENVELOPE_BYTES:
            yield Row(attributes, None, GeometryUnreadable(reason="not a GeoPackage geometry"))
        else:
            yield row_of(attributes, blob[8 + _ENVELOPE_BYTES[(blob[3] >> 1) & 7] :])


def _gpkg_value(value: Any) -> Attribute:
    if isinstance(value, bytes):
        return value[:256].hex()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float) else None


def _gpkg_crs(database: sqlite3.Connection, srs: Any) -> str | None:
    found = database.execute(
        "SELECT organization, organization_coordsys_id, definition FROM gpkg_spatial_ref_sys"
        " WHERE srs_id = ?",
        (srs,),
    ).fetchone()
    if found is None or srs in (0, -1):
        return None
    organization, code, definition = found
    if str(organization).upper() == "EPSG":
        return f"EPSG:{code}"
    return str(definition)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
