"""The child process that opens files of strangers. Run as a script by `vector.read_parcels`, never imported
by it.

It gets a file and limits on its command line, confines itself, reads, and leaves `result.json` and
`result.wkb` in its folder. What it does not use it cannot be attacked through: archives are unpacked here
under names of our own, GeoJSON and GeoPackage are read without GDAL, and GDAL sees nothing but an unpacked
shapefile, with every other driver off.
"""

import ctypes
import json
import math
import resource
import sqlite3
import struct
import sys
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":  # isolated mode puts neither this folder nor the working directory on the path
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from geo.errors import (
    ArchiveRefused,
    CoordinatesOutOfRange,
    EncodingUnknown,
    GeometryEmpty,
    GeometryNotPolygonal,
    GeometryUnreadable,
    GeoRefusal,
    NotAGeoPackage,
    NotAShapefile,
    NotGeoJson,
    PrjMissing,
    ReaderStopped,
    TooManyFeatures,
)

Attribute = str | int | float | None

MAX_MEMBERS: Final = 20
MAX_RATIO: Final = 100
RATIO_FREE_BYTES: Final = 1 << 20  # small archives may pack well
MAX_NESTING: Final = 64
_SHAPEFILE: Final = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_READABLE: Final = (*_SHAPEFILE, ".gpkg", ".geojson", ".json")
_NESTED: Final = (".zip", ".kmz", ".7z", ".rar", ".gz", ".tar", ".tgz", ".bz2", ".xz")
ALLOWED_DRIVERS: Final = frozenset({"ESRI Shapefile", "MEM", "Memory"})
LIST_DRIVERS: Final = "drivers"
"""Argument in place of a task: print the drivers to turn off, as GDAL_SKIP wants them."""
_CODE_PAGES: Final = {
    "utf-8": "utf-8", "utf8": "utf-8", "65001": "utf-8",
    "gbk": "gb18030", "gb2312": "gb18030", "gb18030": "gb18030", "936": "gb18030", "cp936": "gb18030",
    "54936": "gb18030", "euc-cn": "gb18030", "big5": "big5", "950": "big5", "cp950": "big5",
    "iso-8859-1": "iso-8859-1", "iso88591": "iso-8859-1", "88591": "iso-8859-1", "iso8859-1": "iso-8859-1",
    "1252": "cp1252", "cp1252": "cp1252", "windows-1252": "cp1252", "ansi 1252": "cp1252",
    "ascii": "ascii", "us-ascii": "ascii",
}  # fmt: skip
_LANGUAGE_DRIVERS: Final = {0x4D: "gb18030", 0x7A: "gb18030", 0x4F: "big5", 0x78: "big5", 0x03: "cp1252"}
_ENVELOPE_BYTES: Final = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}


@dataclass(frozen=True, slots=True)
class Row:
    """One feature: attributes, and its geometry as WKB or the reason why there is none."""

    attributes: dict[str, Attribute]
    wkb: bytes | None
    problem: GeoRefusal | None = None


@dataclass(frozen=True, slots=True)
class Read:
    rows: list[Row]
    crs: str | None
    layer: str
    encoding: str
    encoding_source: str


@dataclass(frozen=True, slots=True)
class Task:
    """What to read and within which limits."""

    path: str
    kind: str  # zip, gpkg, geojson
    folder: str
    layer: str | None
    encoding: str | None
    max_features: int
    max_unpacked_bytes: int
    seconds: int
    memory_mib: int
    crs_declared: bool


# --- confinement --------------------------------------------------------------------------------------------


def confine(task: Task) -> None:
    """Limits on memory, processor time, file size and open files; no core dumps; a network of its own if
    allowed.
    """
    memory = task.memory_mib << 20
    for what, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, task.seconds),
        (resource.RLIMIT_FSIZE, 2 * task.max_unpacked_bytes),
        (resource.RLIMIT_NOFILE, 128),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))
    _leave_network()


def _leave_network() -> None:
    """An empty network namespace where the kernel lets us; the drivers that could use a network are off
    anyway.
    """
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)
    clone_new_user, clone_new_net = 0x10000000, 0x40000000
    if unshare is not None and unshare(clone_new_net) != 0:
        unshare(clone_new_user | clone_new_net)


# --- archives -----------------------------------------------------------------------------------------------


def unpack(task: Task) -> dict[str, Path]:
    """Unpack the readable members under our own names; the extension of each tells what it is.

    Every member counts for the limits, read or not. Raises ArchiveRefused, NotAShapefile.
    """
    try:
        with zipfile.ZipFile(task.path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            _check_members(members, task)
            chosen = _choose(members)
            return {ending: _unpack_member(archive, m, ending, task) for ending, m in chosen.items()}
    except (zipfile.BadZipFile, NotImplementedError, EOFError, struct.error) as error:
        raise ArchiveRefused(reason="damaged", detail=str(error)[:80]) from error
    except zlib.error as error:
        raise ArchiveRefused(reason="damaged", detail=str(error)[:80]) from error


def _check_members(members: list[zipfile.ZipInfo], task: Task) -> None:
    if len(members) > MAX_MEMBERS:
        raise ArchiveRefused(reason="too_many_members", detail=f"{len(members)} of at most {MAX_MEMBERS}")
    for member in members:
        name = member.filename
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
            raise ArchiveRefused(reason="member_name", detail=name[:80])
        if member.flag_bits & 1:
            raise ArchiveRefused(reason="encrypted", detail=name[:80])
        if name.lower().endswith(_NESTED):
            raise ArchiveRefused(reason="nested", detail=name[:80])
    total = sum(m.file_size for m in members)
    packed = sum(m.compress_size for m in members)
    if total > task.max_unpacked_bytes:
        raise ArchiveRefused(reason="too_large", detail=f"{total} of at most {task.max_unpacked_bytes} bytes")
    if total > RATIO_FREE_BYTES and total > MAX_RATIO * max(packed, 1):
        raise ArchiveRefused(reason="ratio", detail=f"{total} bytes from {packed}")


def _choose(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The members of the one data set, by extension."""
    readable = [m for m in members if _ending(m) in _READABLE]
    main = [m for m in readable if _ending(m) in (".shp", ".gpkg", ".geojson", ".json")]
    if not main:
        names = ", ".join(sorted(m.filename for m in members))[:80] or "nothing"
        raise NotAShapefile(reason="member_missing", detail=f"no .shp among {names}")
    if len(main) > 1:
        raise ArchiveRefused(
            reason="several_datasets", detail=", ".join(sorted(m.filename for m in main))[:80]
        )
    if _ending(main[0]) != ".shp":
        return {_ending(main[0]): main[0]}
    stem = main[0].filename[:-4].lower()
    return {_ending(m): m for m in readable if m.filename[: -len(_ending(m))].lower() == stem}


def _ending(member: zipfile.ZipInfo) -> str:
    return Path(member.filename).suffix.lower()


def _unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, ending: str, task: Task) -> Path:
    target = Path(task.folder) / f"data{ending}"
    left = member.file_size
    with archive.open(member) as source, target.open("wb") as out:
        while chunk := source.read(min(1 << 20, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise ArchiveRefused(reason="too_large", detail=f"{ending} is larger than the archive says")
            if chunk[:4] == b"PK\x03\x04" and out.tell() == 0:
                raise ArchiveRefused(reason="nested", detail=member.filename[:80])
            out.write(chunk)
    return target


# --- shapefiles ---------------------------------------------------------------------------------------------


def read_shapefile(files: dict[str, Path], task: Task) -> Read:
    """Read one unpacked shapefile with GDAL, after its three files have been found to agree with each
    other.
    """
    for ending in (".shp", ".shx", ".dbf"):
        if ending not in files:
            raise NotAShapefile(reason="member_missing", detail=f"there is no {ending}")
    if ".prj" not in files and not task.crs_declared:
        raise PrjMissing(member=".prj")
    count = _check_shapefile(files)
    if count > task.max_features:
        raise TooManyFeatures(count=count, limit=task.max_features)
    names, columns, geometries = _read_gdal(files[".shp"])
    if len(geometries) != count:
        detail = f"{len(geometries)} of {count} records could be read"
        raise NotAShapefile(reason="counts_differ", detail=detail)
    encoding, source = _encoding(files, task, names, columns)
    decoded = [_text(name, encoding, 0, name) for name in names]
    rows = []
    for i in range(count):
        attributes: dict[str, Attribute] = {
            name: _cell(column[i], encoding, i + 1, name)
            for name, column in zip(decoded, columns, strict=True)
        }
        rows.append(_row(attributes, geometries[i]))
    crs = files[".prj"].read_bytes()[:65_537].decode("utf-8", "replace") if ".prj" in files else None
    return Read(rows, crs, "shapefile", encoding, source)


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
    if len(dbf) < header + records * length:
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


def _cell(value: Any, encoding: str, row: int, name: str) -> Attribute:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    return _text(str(value), encoding, row, name)


def _text(latin: str, encoding: str, row: int, name: str) -> str:
    try:
        return latin.encode("iso-8859-1").decode(encoding)
    except UnicodeDecodeError as error:
        raise EncodingUnknown(encoding=encoding, row=row, field=name) from error


def _encoding(
    files: dict[str, Path], task: Task, names: list[str], columns: list[list[Any]]
) -> tuple[str, str]:
    """Declared by the caller, by .cpg, by the language byte of the .dbf; else strict UTF-8, else GB18030."""
    if task.encoding is not None:
        return _code_page(task.encoding), "declared"
    if ".cpg" in files:
        return _code_page(files[".cpg"].read_bytes()[:64].decode("ascii", "replace")), "cpg"
    with files[".dbf"].open("rb") as dbf:
        language = dbf.read(30)[29]
    if language in _LANGUAGE_DRIVERS:
        return _LANGUAGE_DRIVERS[language], "ldid"
    texts = [*names, *(v for column in columns for v in column if isinstance(v, str))]
    raw = b"\n".join(text.encode("iso-8859-1") for text in texts)
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030", "guess"
    return "utf-8", "guess"


def _code_page(name: str) -> str:
    found = _CODE_PAGES.get(name.strip("\ufeff\x00 \r\n\t").lower())
    if found is None:
        raise EncodingUnknown(encoding=name.strip()[:32], row=0, field=".cpg")
    return found


def _row(attributes: dict[str, Attribute], wkb: bytes | None) -> Row:
    """Read the geometry here, where a crash costs nothing, and hand on what was understood."""
    import shapely

    if wkb is None:
        return Row(attributes, None, GeometryEmpty())
    try:
        geometry = shapely.from_wkb(wkb)
        return Row(attributes, shapely.to_wkb(geometry, output_dimension=2, byte_order=1))
    except (shapely.errors.GEOSException, ValueError, TypeError) as error:
        return Row(attributes, None, GeometryUnreadable(reason=str(error)[:120]))


# --- GeoPackage ---------------------------------------------------------------------------------------------


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
    except sqlite3.Error as error:
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
    return Read(rows, _gpkg_crs(database, srs, task), layer, "utf-8", "format")


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
            yield _row(attributes, blob[8 + _ENVELOPE_BYTES[(blob[3] >> 1) & 7] :])


def _gpkg_value(value: Any) -> Attribute:
    if isinstance(value, bytes):
        return value[:256].hex()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float) else None


def _gpkg_crs(database: sqlite3.Connection, srs: Any, task: Task) -> str | None:
    found = database.execute(
        "SELECT organization, organization_coordsys_id, definition FROM gpkg_spatial_ref_sys"
        " WHERE srs_id = ?",
        (srs,),
    ).fetchone()
    if found is None or srs in (0, -1):
        if task.crs_declared:
            return None
        raise PrjMissing(member="gpkg_spatial_ref_sys")
    organization, code, definition = found
    if str(organization).upper() == "EPSG":
        return f"EPSG:{int(code)}"
    return str(definition)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# --- GeoJSON ------------------------------------------------------------------------------------------------


def read_geojson(path: Path, task: Task) -> Read:
    """Read a FeatureCollection or Feature (RFC 7946); a `crs` member of the older draft is honoured."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise NotGeoJson(reason="not_utf8", detail=f"byte {error.start}") from error
    except RecursionError as error:
        raise NotGeoJson(reason="nesting", detail="brackets nest too deep") from error
    except ValueError as error:
        raise NotGeoJson(reason="not_json", detail=str(error)[:80]) from error
    features = _features(document)
    if len(features) > task.max_features:
        raise TooManyFeatures(count=len(features), limit=task.max_features)
    rows = [_geojson_row(number, feature) for number, feature in enumerate(features, start=1)]
    return Read(rows, _geojson_crs(document), "geojson", "utf-8", "format")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _features(document: Any) -> list[Any]:
    kind = document.get("type") if isinstance(document, dict) else None
    if kind == "FeatureCollection" and isinstance(document.get("features"), list):
        return list(document["features"])
    if kind == "Feature":
        return [document]
    raise NotGeoJson(reason="structure", detail="neither a FeatureCollection nor a Feature")


def _geojson_crs(document: dict[str, Any]) -> str:
    crs = document.get("crs")
    if crs is None:
        return "OGC:CRS84"
    try:
        name = str(crs["properties"]["name"])
    except (KeyError, TypeError) as error:
        raise NotGeoJson(reason="structure", detail="the member crs has no name") from error
    return "OGC:CRS84" if name.upper().endswith("CRS84") else name


def _geojson_row(number: int, feature: Any) -> Row:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise NotGeoJson(reason="structure", detail=f"member {number} is not a Feature")
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        raise NotGeoJson(reason="structure", detail=f"the properties of feature {number} are not an object")
    attributes = {str(k): _json_value(v) for k, v in properties.items()}
    shape = feature.get("geometry")
    if shape is None:
        return Row(attributes, None, GeometryEmpty())
    try:
        return _row(attributes, _geojson_wkb(shape))
    except GeoRefusal as problem:
        return Row(attributes, None, problem)


def _json_value(value: Any) -> Attribute:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _geojson_wkb(shape: Any) -> bytes:
    kind = shape.get("type") if isinstance(shape, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise GeometryNotPolygonal(found=str(kind)[:40])
    coordinates = shape.get("coordinates")
    if kind == "Polygon":
        return _polygon_wkb(coordinates)
    parts = [_polygon_wkb(part) for part in _list(coordinates)]
    return struct.pack("<BII", 1, 6, len(parts)) + b"".join(parts)


def _polygon_wkb(rings: Any) -> bytes:
    packed = [_ring_wkb(ring) for ring in _list(rings)]
    return struct.pack("<BII", 1, 3, len(packed)) + b"".join(packed)


def _ring_wkb(ring: Any) -> bytes:
    points = [_position(p) for p in _list(ring)]
    if len(points) < 4:
        raise GeometryUnreadable(reason=f"a ring of {len(points)} positions")
    if points[0] != points[-1]:
        raise GeometryUnreadable(reason="a ring that is not closed")
    return struct.pack("<I", len(points)) + b"".join(struct.pack("<dd", x, y) for x, y in points)


def _position(value: Any) -> tuple[float, float]:
    numbers = _list(value)
    if len(numbers) < 2 or any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers[:2]):
        raise GeometryUnreadable(reason="a position that is not two numbers")
    try:
        x, y = float(numbers[0]), float(numbers[1])
    except OverflowError as error:
        raise CoordinatesOutOfRange(x=str(numbers[0])[:40], y=str(numbers[1])[:40]) from error
    if not (math.isfinite(x) and math.isfinite(y)):
        raise CoordinatesOutOfRange(x=str(x), y=str(y))
    return x, y


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise GeometryUnreadable(reason="coordinates that are not nested lists")
    return value


# --- the process --------------------------------------------------------------------------------------------


def read(task: Task) -> Read:
    """Read by kind; an archive is unpacked first."""
    if task.kind == "gpkg":
        return read_geopackage(Path(task.path), task)
    if task.kind == "geojson":
        return read_geojson(Path(task.path), task)
    files = unpack(task)
    if ".shp" in files:
        return read_shapefile(files, task)
    if ".gpkg" in files:
        return read_geopackage(files[".gpkg"], task)
    return read_geojson(next(iter(files.values())), task)


def _refusal(problem: GeoRefusal | None) -> dict[str, Any] | None:
    return None if problem is None else {"code": problem.code, "facts": problem.facts}


def _write(folder: Path, found: Read) -> None:
    with (folder / "result.wkb").open("wb") as out:
        for row in found.rows:
            out.write(row.wkb or b"")
    head = {
        "crs": found.crs,
        "layer": found.layer,
        "encoding": found.encoding,
        "encoding_source": found.encoding_source,
        "rows": [[row.attributes, len(row.wkb or b""), _refusal(row.problem)] for row in found.rows],
    }
    (folder / "result.json").write_text(json.dumps(head), encoding="utf-8")


def main(argument: str) -> None:
    if argument == LIST_DRIVERS:
        sys.stdout.write(",".join(other_drivers()))
        return
    task = Task(**json.loads(argument))
    confine(task)
    folder = Path(task.folder)
    try:
        _write(folder, read(task))
    except GeoRefusal as refusal:
        (folder / "result.json").write_text(json.dumps({"refused": _refusal(refusal)}), encoding="utf-8")
    except MemoryError:
        refused = ReaderStopped(reason="memory", seconds=task.seconds, memory_mib=task.memory_mib)
        (folder / "result.json").write_text(json.dumps({"refused": _refusal(refused)}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
