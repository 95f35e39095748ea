"""Parcel files: read by a child process; zipped shapefiles and GeoJSON are written here.

Files come from strangers, so they are opened by a confined child process (`reading.worker`). A file is read
completely or refused; what is wrong with single rows is listed row by row, and no row is dropped.
"""

import json
import os
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from geo import confined
from geo.confined import Bounds, refusal_of
from geo.crs import CrsInput, Polygonal, crs_text, is_store_frame, parse_crs, parts_of, to_store
from geo.errors import (
    AttributeNotWritable,
    CrsConflict,
    CrsUnknown,
    FileTooLarge,
    FileUnreadable,
    GeoRefusal,
    RowsRefused,
    TooManyVertices,
)
from geo.polygon import MAX_VERTICES, canonical, check_valid, polygonal
from geo.reading import worker
from geo.reading.kinds import kind_of
from geo.reading.rows import Attribute as Attribute
from geo.reading.rows import Task


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost."""

    file_bytes: int = 64 << 20
    unpacked_bytes: int = 256 << 20
    features: int = 200_000
    seconds: int = 60
    memory_mib: int = 2048

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.seconds, self.memory_mib, 2 * self.unpacked_bytes)


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One feature. `number` counts from 1 in the file's order; geometry is in the file's system, None if
    there is a `problem`. `drawn` is what the file holds where the polygon was made from it: a walked track.
    """

    number: int
    geometry: BaseGeometry | None
    attributes: Mapping[str, Attribute]
    problem: GeoRefusal | None = None
    drawn: BaseGeometry | None = None


@dataclass(frozen=True, slots=True)
class ParcelFile:
    """A file as read. `crs` has one spelling (`crs_text`); encoding_source is declared, cpg, ldid, guess or
    format. `kind` is the format by content: shapefile, gpkg, geojson, kml, gpx, csv, parquet. `hints` are
    words in the file that speak of its datum.
    """

    rows: list[FeatureRow]
    crs: str
    encoding: str
    encoding_source: str
    layer: str
    kind: str
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong with one row: the refusal's code, template and facts, and the field and value it is
    about.
    """

    row: int
    field: str
    value: Attribute
    code: str
    template: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class LandRow:
    """A row fit for the record: canonical geometry in EPSG:4490."""

    number: int
    geometry: Polygonal
    attributes: Mapping[str, Attribute]


# --- reading ------------------------------------------------------------------------------------------------


def read_parcels(
    path: str | os.PathLike[str],
    *,
    crs: CrsInput | None = None,
    layer: str | None = None,
    encoding: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> ParcelFile:
    """Read a zipped shapefile, GeoPackage, GeoJSON, KML, KMZ, GPX, CSV with WKT or GeoParquet.

    They are told apart by content; all may come in a zip archive. `layer` names one of several data sets.

    `crs` declares the system of a file that states none, or one that nobody knows; if it states another,
    CrsConflict. `encoding` overrides .cpg, the .dbf's language byte and the guess. Raises FileUnreadable,
    FileTooLarge, FileEmpty, FormatUnsupported, ArchiveRefused, NotAShapefile, NotAGeoPackage, NotGeoJson,
    MarkupRefused, NotKml, NotGpx, NotCsv, NotGeoParquet, PrjMissing, CrsUnknown, CrsConflict,
    DatumShiftUnknown, EncodingUnknown, TooManyFeatures, ReaderStopped.
    """
    file = Path(path).resolve()
    kind = _kind(file, limits)
    with tempfile.TemporaryDirectory(prefix="tanhui-read-") as folder:
        task = Task(
            path=str(file),
            kind=kind,
            folder=folder,
            layer=layer,
            encoding=encoding,
            max_features=limits.features,
            max_unpacked_bytes=limits.unpacked_bytes,
            seconds=limits.seconds,
            memory_mib=limits.memory_mib,
            crs_declared=crs is not None,
        )
        _run(task, limits)
        head, wkb = _result(Path(folder))
    system = _system(head["crs"], crs)
    return ParcelFile(
        rows=list(_rows(head["rows"], wkb)),
        crs=crs_text(system),
        encoding=head["encoding"],
        encoding_source=head["encoding_source"],
        layer=head["layer"],
        kind=head["kind"],
        hints=tuple(head["hints"]),
    )


def _kind(file: Path, limits: Limits) -> str:
    """What a file is by its first bytes."""
    try:
        size = file.stat().st_size
        if size > limits.file_bytes:
            raise FileTooLarge(size_bytes=size, limit_bytes=limits.file_bytes)
        return kind_of(file)
    except OSError as error:
        raise FileUnreadable(reason=error.strerror or type(error).__name__) from error


def _run(task: Task, limits: Limits) -> None:
    confined.run(
        worker.__file__, [json.dumps(asdict(task))], Path(task.folder), _environment(task.folder),
        limits.bounds,
    )  # fmt: skip


def _environment(folder: str) -> dict[str, str]:
    skipped = _other_drivers()
    return confined.environment(folder, SHAPE_RESTORE_SHX="NO", OGR_SKIP=skipped, GDAL_SKIP=skipped)


@lru_cache(maxsize=1)
def _other_drivers() -> str:
    """Every driver of pyogrio's GDAL but the one that is needed; the child checks that they are off.

    Asked of a process of its own, as GDAL and what pyogrio brings along would stay in this one for good.
    """
    return confined.printed(worker.__file__, worker.LIST_DRIVERS)


def _result(folder: Path) -> tuple[dict[str, Any], bytes]:
    return confined.result(folder), (folder / "result.wkb").read_bytes()


def _rows(records: list[list[Any]], wkb: bytes) -> Iterator[FeatureRow]:
    at = 0
    for number, (attributes, length, drawn_length, problem) in enumerate(records, start=1):
        geometry = shapely.from_wkb(wkb[at : at + length]) if length else None
        at += length
        drawn = shapely.from_wkb(wkb[at : at + drawn_length]) if drawn_length else None
        at += drawn_length
        yield FeatureRow(
            number, geometry, attributes, None if problem is None else refusal_of(problem), drawn
        )


def _system(found: str | None, declared: CrsInput | None) -> pyproj.CRS:
    if found is None:
        assert declared is not None, "the reader refuses a file without a system unless one is declared"
        return parse_crs(declared)
    try:
        system = parse_crs(found)
    except CrsUnknown:
        if declared is None:
            raise
        return parse_crs(declared)  # nobody knows what the file says, and the caller does
    if declared is None:
        return system
    said = parse_crs(declared)
    if is_store_frame(system) and is_store_frame(said):
        return said  # degrees either way: formats that know only WGS 84 carry CGCS2000 under its name
    if not system.equals(said, ignore_axis_order=True):
        raise CrsConflict(found=crs_text(system)[:120], declared=crs_text(said)[:120])
    return system


# --- judging rows -------------------------------------------------------------------------------------------


def examine(file: ParcelFile) -> tuple[list[LandRow], list[RowFault]]:
    """Bring each row to the record's form, or say what is wrong with it. Every row is in one of the two
    lists.
    """
    good: list[LandRow] = []
    faults: list[RowFault] = []
    for row in file.rows:
        try:
            good.append(LandRow(row.number, _land(row, file.crs), row.attributes))
        except GeoRefusal as refusal:
            faults.append(_fault(row.number, refusal))
    return good, faults


def check_rows(file: ParcelFile) -> list[RowFault]:
    """All that is wrong with the geometries of a file, in its order."""
    return examine(file)[1]


def land_rows(file: ParcelFile) -> list[LandRow]:
    """All rows in the record's form; if one cannot be, none is (RowsRefused with the list of faults)."""
    good, faults = examine(file)
    if faults:
        listed = [asdict(fault) for fault in faults]
        raise RowsRefused(count=len(faults), rows=listed)
    return good


def _land(row: FeatureRow, crs: str) -> Polygonal:
    if row.problem is not None:
        raise row.problem
    shape = polygonal(row.geometry)
    count = int(shapely.get_num_coordinates(shape))
    if count > MAX_VERTICES:
        raise TooManyVertices(count=count, limit=MAX_VERTICES)
    return check_valid(canonical(to_store(shape, crs)))


def _fault(number: int, refusal: GeoRefusal) -> RowFault:
    facts = refusal.facts
    value = f"{facts['x']}, {facts['y']}" if {"x", "y"} <= facts.keys() else None
    return RowFault(number, "geometry", value, refusal.code, refusal.template, facts)


# --- writing ------------------------------------------------------------------------------------------------


def write_geojson(features: Sequence[tuple[Polygonal, Mapping[str, object]]]) -> str:
    """An RFC 7946 FeatureCollection of recorded polygons, nine decimals, shells anticlockwise."""
    listed = [
        {
            "type": "Feature",
            "properties": dict(properties),
            "geometry": json.loads(shapely.to_geojson(canonical(geometry))),
        }
        for geometry, properties in features
    ]
    return json.dumps({"type": "FeatureCollection", "features": listed}, ensure_ascii=False, allow_nan=False)


_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_TEXT_BYTES: Final = 254
_DECIMALS: Final = 9
_LDID: Final = {"gbk": 0x4D, "gb18030": 0x4D, "gb2312": 0x4D}


def write_zipped_shapefile(
    path: str | os.PathLike[str],
    rows: Sequence[FeatureRow],
    crs: CrsInput,
    encoding: str = "gbk",
    *,
    cpg: bool = False,
    ldid: bool = False,
    stem: str = "parcels",
) -> None:
    """Write polygons (in `crs`) and attributes as .shp, .shx, .dbf, .prj in a zip; same rows, same bytes.

    `cpg` and `ldid` say whether the file names its encoding, which Chinese desktop programs often leave out.
    Fields are those of the first row: whole numbers, decimals (9 places) or text. Names of at most 10 bytes.
    Raises AttributeNotWritable, GeometryEmpty, GeometryNotPolygonal.
    """
    shp, shx = _shapes([polygonal(row.geometry) for row in rows])
    dbf = _table(rows, encoding, _LDID.get(encoding.lower(), 0) if ldid else 0)
    members = {
        f"{stem}.shp": shp,
        f"{stem}.shx": shx,
        f"{stem}.dbf": dbf,
        f"{stem}.prj": parse_crs(crs).to_wkt("WKT1_ESRI").encode("ascii"),
    }
    if cpg:
        members[f"{stem}.cpg"] = encoding.upper().encode("ascii")
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    partial.replace(target)


def _shapes(geometries: Sequence[Polygonal]) -> tuple[bytes, bytes]:
    """Main file and index of a polygon shapefile (ESRI Shapefile Technical Description, 1998)."""
    records: list[bytes] = []
    index: list[bytes] = []
    offset = 50
    for number, geometry in enumerate(geometries, start=1):
        content = _shape(geometry)
        words = len(content) // 2
        records.append(struct.pack(">ii", number, words) + content)
        index.append(struct.pack(">ii", offset, words))
        offset += 4 + words
    bounds = np.array([g.bounds for g in geometries]).reshape(-1, 4)
    if len(bounds) == 0:
        bounds = np.zeros((1, 4))
    box = (*bounds[:, :2].min(axis=0).tolist(), *bounds[:, 2:].max(axis=0).tolist())
    return _main_header(b"".join(records), box), _main_header(b"".join(index), box)


def _main_header(body: bytes, box: tuple[float, ...]) -> bytes:
    words = (100 + len(body)) // 2
    head = struct.pack(">i20xi", 9994, words) + struct.pack("<ii4d32x", 1000, 5, *box)
    return head + body


def _shape(geometry: Polygonal) -> bytes:
    rings: list[Any] = []
    for part in parts_of(geometry):
        turned = shapely.orient_polygons(part, exterior_cw=True)
        rings += [shapely.get_coordinates(ring) for ring in (turned.exterior, *turned.interiors)]
    starts = np.cumsum([0, *(len(ring) for ring in rings)])
    head = struct.pack("<i4dii", 5, *geometry.bounds, len(rings), int(starts[-1]))
    return head + starts[:-1].astype("<i4").tobytes() + np.concatenate(rings).astype("<f8").tobytes()


def _table(rows: Sequence[FeatureRow], encoding: str, language: int) -> bytes:
    """A dBASE III table."""
    names = list(rows[0].attributes) if rows else []
    columns = [_dbf_column(rows, name, encoding) for name in names]
    length = 1 + sum(size for _, size, _, _ in columns)
    head = struct.pack("<4BIHH17xB2x", 3, 80, 1, 1, len(rows), 33 + 32 * len(names), length, language)
    described = b"".join(
        struct.pack("<11sc4xBB14x", _name(name, encoding), kind, size, decimals)
        for name, (kind, size, decimals, _) in zip(names, columns, strict=True)
    )
    lines = [b" " + b"".join(cells[i] for _, _, _, cells in columns) for i in range(len(rows))]
    return head + described + b"\r" + b"".join(lines) + b"\x1a"


def _name(name: str, encoding: str) -> bytes:
    encoded = _encoded(name, encoding, 0, name)
    if len(encoded) > 10:
        raise AttributeNotWritable(row=0, field=name, encoding=encoding)
    return encoded


def _dbf_column(rows: Sequence[FeatureRow], name: str, encoding: str) -> tuple[bytes, int, int, list[bytes]]:
    """Type, width, decimals and the padded cells of one field; an absent value is blank."""
    values = [row.attributes.get(name) for row in rows]
    if any(isinstance(value, str) for value in values):
        texts = [
            b"" if v is None else _encoded(str(v), encoding, row.number, name)
            for row, v in zip(rows, values, strict=True)
        ]
        width = max(1, *(len(text) for text in texts))
        if width > _TEXT_BYTES:
            long = next(row.number for row, text in zip(rows, texts, strict=True) if len(text) > _TEXT_BYTES)
            raise AttributeNotWritable(row=long, field=name, encoding=encoding)
        return b"C", width, 0, [text.ljust(width) for text in texts]
    decimals = _DECIMALS if any(isinstance(value, float) for value in values) else 0
    numbers = ["" if v is None else f"{v:.{decimals}f}" for v in values]
    width = max(1, *(len(number) for number in numbers))
    return b"N", width, decimals, [number.rjust(width).encode("ascii") for number in numbers]


def _encoded(text: str, encoding: str, row: int, name: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise AttributeNotWritable(row=row, field=name, encoding=encoding) from error
