"""What strangers must not achieve, whatever the format: each file is refused for what it is, and soon.

The refusals are those of the checks themselves; where a limit of the child is the check, it is set low.
"""

import json
import shutil
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path

import geopandas
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import shapely
from shapely import Polygon

from geo import vector
from geo.crs import parse_crs
from geo.errors import (
    ArchiveRefused,
    FileTooLarge,
    FormatUnknown,
    FormatUnsupported,
    GeoRefusal,
    HeadingsRefused,
    MarkupRefused,
    NotAGeoPackage,
    NotAShapefile,
    NotCsv,
    NotGeoJson,
    ReaderStopped,
    ShapefileNotZipped,
    TableTooLarge,
)
from geo.polygon import MAX_VERTICES
from geo.reading.kinds import kind_of
from geo.vector import FeatureRow, Limits, check_rows, read_parcels, write_zipped_shapefile
from tests.geo.files import archive, geopackage, gpx, kml, kml_polygon, parcel_file, placemark, read_here

TIGHT = Limits(seconds=20, memory_mib=1024)


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def why(path: Path, limits: Limits = TIGHT) -> GeoRefusal:
    """The refusal of a file by the confined child; a good file comes in afterwards as before."""
    with pytest.raises(GeoRefusal) as refusal:
        read_parcels(path, limits=limits)
    return refusal.value


# --- files of other kinds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (b"  0\nSECTION\n  2\nHEADER\n", "DXF"),
        (b"AutoCAD Binary DXF\r\n\x1a\x00", "DXF"),
        (b"AC1032\x00\x00", "DWG"),
        (b"!table\n!version 300\n", "MapInfo TAB"),
        (b'Version 300\nCharset "Neutral"\n', "MapInfo MIF"),
        (b"II*\x00\x08\x00\x00\x00", "TIFF"),
        (b"MM\x00*\x00\x00\x00\x08", "TIFF"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\xff\xd8\xff\xe1", "JPEG"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"Rar!\x1a\x07\x01\x00", "RAR"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel (XLS)"),
        (b"\x00\x01\x00\x00Standard Jet DB", "Access (MDB)"),
        (b"PARE", "encrypted Parquet"),
    ],
)
def test_a_format_that_is_not_read_is_named(tmp_path: Path, start: bytes, found: str) -> None:
    with pytest.raises(FormatUnsupported) as refusal:
        kind_of(written(tmp_path / "a.geojson", start))
    assert refusal.value.facts["found"] == found
    assert "GeoParquet" in str(refusal.value)


@pytest.mark.parametrize(
    ("members", "found"),
    [
        (("land.gml", "land.xsd"), "GML"),
        ((*(f"land.gdb/a{i:08x}.gdbtable" for i in range(40)), "land.gdb/gdb"), "FileGDB"),
        (("land.tab", "land.dat", "land.map", "land.id"), "MapInfo TAB"),
        (("land.dxf",), "DXF"),
        (("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"), "Excel (XLSX)"),
    ],
)
def test_a_format_that_is_not_read_is_named_in_an_archive(
    tmp_path: Path, members: tuple[str, ...], found: str
) -> None:
    with pytest.raises(FormatUnsupported) as refusal:
        read_here(archive(tmp_path / "a.zip", dict.fromkeys(members, b"x")))
    assert refusal.value.facts["found"] == found


def test_a_shapefile_without_its_companions_is_told_to_be_packed(tmp_path: Path) -> None:
    with pytest.raises(ShapefileNotZipped):
        read_parcels(written(tmp_path / "a.zip", b"\x00\x00\x27\x0a" + b"\x00" * 96))


@pytest.mark.parametrize(
    "content", [b"\x03\x7d\x01\x01\x00\x00", b" \n\n ", b"\xff\xfe", b"\x00" * 100, b"\xef\xbb\xbf"]
)
def test_what_is_nothing_at_all_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(FormatUnknown):
        read_parcels(written(tmp_path / "a.csv", content))


@pytest.mark.parametrize("name", ["a.tif", "a.geojson", "a.kml", "a.csv", "a.gpkg", "a.zip", "a"])
def test_names_do_not_decide(tmp_path: Path, name: str) -> None:
    assert read_here(written(tmp_path / name, kml(placemark(kml_polygon())))).kind == "kml"


# --- files that point elsewhere -----------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that nobody may call."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def test_no_file_makes_the_reader_call_anybody(tmp_path: Path, listener: socket.socket) -> None:
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/a"
    square = json.loads(shapely.to_geojson(shapely.box(118.8, 28.9, 118.81, 28.91)))
    link = {"type": "link", "properties": {"href": address, "type": "ogcwkt"}}
    feature = {"type": "Feature", "properties": {}, "geometry": square}
    write_zipped_shapefile(
        tmp_path / "v.zip", [FeatureRow(1, shapely.box(118.8, 28.9, 118.81, 28.91), {"n": 1})], 4490
    )
    with zipfile.ZipFile(tmp_path / "v.zip") as plain:
        members = {name: plain.read(name) for name in plain.namelist()}
    source = f"<SrcDataSource>/vsicurl/{address}</SrcDataSource>"
    vrt = f'<OGRVRTDataSource><OGRVRTLayer name="a">{source}</OGRVRTLayer></OGRVRTDataSource>'
    files = {
        "a.geojson": vrt,
        "b.tif": f"<VRTDataset><SourceFilename>/vsicurl/{address}</SourceFilename></VRTDataset>",
        "c.json": json.dumps({"type": "FeatureCollection", "features": [feature], "crs": link}),
        "d.kml": kml(f"<NetworkLink><Link><href>{address}</href></Link></NetworkLink>"),
        "e.kml": f'<!DOCTYPE kml SYSTEM "{address}"><kml/>',
        "f.gpx": f'<!DOCTYPE gpx [<!ENTITY a SYSTEM "{address}">]><gpx>&a;</gpx>',
        "g.csv": f"n,WKT\n1,{address}\n",
        "h.txt": address,
    }
    for name, content in files.items():  # here, where the network is not shut off
        with pytest.raises(GeoRefusal):
            found = read_here(written(tmp_path / name, content))
            parse_crs(found.crs or "")
    for prj in (address, f"/vsicurl/{address}"):
        assert why(archive(tmp_path / "i.zip", members | {"parcels.prj": prj.encode()})).code == "crs_unknown"
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_link_in_an_archive_does_not_lead_to_a_file_of_the_server(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("n,WKT\n1,POLYGON EMPTY\n")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        info = zipfile.ZipInfo("a.csv")
        info.external_attr = 0o120777 << 16
        out.writestr(info, str(tmp_path / "secret"))
    assert why(tmp_path / "a.zip").code == "not_csv"


@pytest.mark.parametrize("name", ["../a.csv", "..\\a.csv", "/a.csv", "\\a.csv", "C:\\a.csv", "a/../../a.csv"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveRefused) as refusal:
        read_here(archive(tmp_path / "a.zip", {name: b"n,WKT\n"}))
    assert refusal.value.facts["reason"] == "member_name"


def test_the_child_gets_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "TANHUI_KEY_PASSPHRASE",
        "AWS_SECRET_ACCESS_KEY",
        "HTTPS_PROXY",
        "GDAL_CONFIG_FILE",
        "PYTHONPATH",
    ):
        monkeypatch.setenv(name, "secret")
    assert "secret" not in vector._environment(str(tmp_path)).values()


# --- XML ----------------------------------------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))


@pytest.mark.parametrize("root", ["kml", "gpx"])
@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE r [<!ENTITY l0 "ha">' + LAUGHS + "]>",
        '<!DOCTYPE r SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE r [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>',
        "<!DOCTYPE r>",
    ],
)
def test_a_document_type_is_refused_before_it_means_anything(
    tmp_path: Path, root: str, declared: str
) -> None:
    with pytest.raises(MarkupRefused) as refusal:
        read_here(written(tmp_path / "a.kml", f'<?xml version="1.0"?>{declared}<{root}>&l9;&a;</{root}>'))
    assert refusal.value.facts["reason"] == "doctype"


def test_laughs_do_not_reach_the_parent(tmp_path: Path) -> None:
    text = f'<!DOCTYPE kml [<!ENTITY l0 "ha">{LAUGHS}]><kml>&l9;</kml>'
    assert why(written(tmp_path / "a.kml", text)).facts["reason"] == "doctype"


@pytest.mark.parametrize("root", ["kml", "gpx"])
def test_elements_do_not_nest_without_end(tmp_path: Path, root: str) -> None:
    deep = f"<{root}>" + "<Placemark><MultiGeometry>" * 100_000
    refusal = why(written(tmp_path / "a.kml", deep))
    assert (refusal.code, refusal.facts["reason"]) == ("markup_refused", "nesting")


# --- archives -----------------------------------------------------------------------------------------------


def raw_zip(
    path: Path, name: str, packed: bytes, size: int, *, method: int = 8, flags: int = 0, crc: int = 0
) -> Path:
    """An archive whose directory says what we like of its one member."""
    encoded = name.encode()
    fields = (20, flags, method, 0, 33, crc, len(packed), size, len(encoded), 0)
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", *fields) + encoded + packed
    central = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, *fields, 0, 0, 0, 0, 0) + encoded
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local), 0)
    return written(path, local + central + end)


def zeros(mebibytes: int) -> bytes:
    """So many MiB of zeros, deflated: a thousandth of it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first * mebibytes + zlib.compressobj(9, zlib.DEFLATED, -15).flush()


@pytest.mark.parametrize("name", ["a.geojson", "doc.kml", "a.csv", "a.gpkg", "a.parquet", "a.shp"])
def test_a_gibibyte_in_a_mebibyte_is_refused_from_the_directory(tmp_path: Path, name: str) -> None:
    packed = zeros(1024)
    assert len(packed) < 2 << 20
    with pytest.raises(ArchiveRefused) as refusal:
        read_here(raw_zip(tmp_path / "a.zip", name, packed, 1 << 30))
    assert refusal.value.facts["reason"] == "too_large"
    with pytest.raises(ArchiveRefused) as refusal:
        read_here(raw_zip(tmp_path / "b.zip", name, zeros(200), 200 << 20))
    assert refusal.value.facts["reason"] == "ratio"


def test_a_directory_that_lies_about_sizes_does_not_help(tmp_path: Path) -> None:
    """The member goes on after the bytes that the directory admits."""
    for size in (100, 1 << 20):
        refusal = why(
            raw_zip(tmp_path / "a.zip", "a.geojson", zeros(1024), size, crc=zlib.crc32(bytes(size)) ^ 1)
        )
        assert (refusal.code, refusal.facts["reason"]) == ("archive_refused", "damaged")


@pytest.mark.parametrize(
    ("method", "flags", "reason"),
    [(8, 1, "encrypted"), (0, 1, "encrypted"), (14, 0, "method"), (99, 1, "encrypted"), (12, 0, "method")],
)
def test_members_under_a_password_or_packed_otherwise_are_refused(
    tmp_path: Path, method: int, flags: int, reason: str
) -> None:
    file = raw_zip(tmp_path / "a.zip", "a.csv", b"x" * 20, 20, method=method, flags=flags)
    with pytest.raises(ArchiveRefused) as refusal:
        read_here(file)
    assert refusal.value.facts["reason"] == reason


def test_an_archive_with_nothing_in_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAShapefile):
        read_here(archive(tmp_path / "a.zip", {}))
    with pytest.raises(NotAShapefile):
        read_here(archive(tmp_path / "b.zip", {"readme.txt": b"x", "a.dbf": b"x"}))


# --- GeoPackage ---------------------------------------------------------------------------------------------


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"


@pytest.mark.parametrize(
    "sql",
    [
        f"CREATE VIEW land AS {ENDLESS} SELECT i AS fid, x'' AS geom FROM n",
        "CREATE VIRTUAL TABLE land USING fts5(geom)",
        f"DROP TABLE gpkg_contents; CREATE VIEW gpkg_contents AS {ENDLESS} SELECT 'a' AS table_name FROM n",
    ],
)
def test_only_plain_tables_of_a_geopackage_are_read(tmp_path: Path, sql: str) -> None:
    with pytest.raises(NotAGeoPackage) as refusal:
        read_here(geopackage(tmp_path / "a.gpkg", sql))
    assert refusal.value.facts["reason"] == "view"


def test_a_column_that_is_computed_is_not_read(tmp_path: Path) -> None:
    sql = "CREATE TABLE land (fid INTEGER PRIMARY KEY, geom BLOB, big TEXT AS (hex(zeroblob(9))) VIRTUAL);"
    found = read_here(geopackage(tmp_path / "a.gpkg", sql + "INSERT INTO land (fid) VALUES (1)"))
    assert found.rows[0].attributes == {"fid": 1}


def test_a_spoilt_geopackage_is_refused(tmp_path: Path) -> None:
    file = geopackage(tmp_path / "a.gpkg", "CREATE TABLE land (fid INTEGER PRIMARY KEY, geom BLOB)")
    data = file.read_bytes()
    for spoilt in (data[:100], data[:4096], data[:200] + b"\xff" * 4000 + data[4200:]):
        with pytest.raises(NotAGeoPackage):
            read_here(written(tmp_path / "b.gpkg", spoilt))


# --- text that is too much ----------------------------------------------------------------------------------


def test_a_line_of_a_hundred_megabytes_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", b'n,WKT\n1,"POLYGON ((' + b"118.8 28.9," * 9_600_000)
    assert isinstance(why(file), FileTooLarge)
    refusal = why(file, Limits(file_bytes=128 << 20, seconds=20))
    assert isinstance(refusal, NotCsv)
    assert refusal.facts["reason"] == "field_size"


@pytest.mark.parametrize(
    "content", ["[" * 1_000_000, '{"type":"FeatureCollection","features":' + "[" * 1_000_000]
)
def test_brackets_do_not_nest_without_end(tmp_path: Path, content: str) -> None:
    refusal = why(written(tmp_path / "a.geojson", content))
    assert isinstance(refusal, NotGeoJson)
    assert refusal.facts["reason"] == "nesting"


@pytest.mark.parametrize(
    "names", [[{"x" * 201: 1}], [{str(n): 1 for n in range(1001)}], [{str(n): 1} for n in range(1001)]]
)
def test_names_of_columns_without_end_do_not_reach_the_parent(
    tmp_path: Path, names: list[dict[str, int]]
) -> None:
    features = [{"type": "Feature", "properties": one, "geometry": None} for one in names]
    content = json.dumps({"type": "FeatureCollection", "features": features})
    refusal = why(written(tmp_path / "a.geojson", content), Limits())
    assert isinstance(refusal, HeadingsRefused)
    assert refusal.facts["length"] in (201, 4, 3)


def test_a_small_file_of_very_many_empty_cells_is_refused(tmp_path: Path) -> None:
    count, square = 12_000, shapely.to_wkb(shapely.box(118.9, 28.9, 118.901, 28.901))
    cells = pyarrow.nulls(count, pyarrow.int64())
    columns: dict[str, object] = {f"c{n}": cells for n in range(900)}
    path = parquet(tmp_path / "a.parquet", {"geometry": [square] * count, **columns})
    assert path.stat().st_size < 1 << 20
    refusal = why(path, Limits())
    assert isinstance(refusal, TableTooLarge), refusal
    assert refusal.facts["values"] == 900 * count


def test_a_number_of_a_million_digits_is_refused(tmp_path: Path) -> None:
    text = '{"type":"Feature","properties":{"n":' + "9" * 1_000_000 + '},"geometry":null}'
    assert isinstance(why(written(tmp_path / "a.geojson", text)), NotGeoJson)


def test_geometries_that_nest_without_end_take_nobody_down(tmp_path: Path) -> None:
    collection = struct.pack("<BII", 1, 7, 1) * 500_000
    multipolygon = struct.pack("<BII", 1, 6, 1) * 500_000
    columns = {"geometry": [collection, b"\x01\x03\x00\x00\x00\x00\x00\x00\x00"]}
    rows = read_parcels(parquet(tmp_path / "a.parquet", columns), limits=TIGHT).rows
    assert [None if row.problem is None else row.problem.code for row in rows] == [
        "geometry_not_polygonal",
        None,
    ]
    found: object
    try:
        found = read_parcels(
            parquet(tmp_path / "b.parquet", {"geometry": [multipolygon]}), limits=TIGHT
        ).rows[0]
    except ReaderStopped as stopped:
        found = stopped.facts["reason"]
    assert found == "died" or getattr(found, "problem", None) is not None


# --- outlines that are no outlines, in every format ---------------------------------------------------------

Ring = list[tuple[float, float]]


def parquet(path: Path, columns: Mapping[str, object]) -> Path:
    about = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
    made = pyarrow.table(columns).replace_schema_metadata({b"geo": json.dumps(about).encode()})
    pyarrow.parquet.write_table(made, path)
    return path


def wkb(ring: Ring) -> bytes:
    if not ring:
        return struct.pack("<BII", 1, 3, 0)
    points = np.array(ring, dtype="<f8").tobytes()
    return struct.pack("<BIII", 1, 3, 1, len(ring)) + points


def as_geojson(path: Path, ring: Ring) -> Path:
    numbers = json.dumps([ring] if ring else []).replace("Infinity", "1e999")
    text = '{"type":"Feature","properties":{},"geometry":{"type":"Polygon","coordinates":' + numbers + "}}"
    return written(path / "a.geojson", text)


def as_kml(path: Path, ring: Ring) -> Path:
    return written(path / "a.kml", kml(placemark(kml_polygon(" ".join(f"{x!r},{y!r}" for x, y in ring)))))


def as_gpx(path: Path, ring: Ring) -> Path:
    points = "".join(f'<trkpt lon="{x!r}" lat="{y!r}"/>' for x, y in ring)
    return written(path / "a.gpx", gpx(f"<trk><trkseg>{points}</trkseg></trk>"))


def as_csv(path: Path, ring: Ring) -> Path:
    numbers = ", ".join(f"{x!r} {y!r}" for x, y in ring)
    text = f"POLYGON (({numbers}))" if ring else "POLYGON EMPTY"
    return written(path / "a.csv", f'n,WKT\n1,"SRID=4490;{text}"\n')


def as_parquet(path: Path, ring: Ring) -> Path:
    return parquet(path / "a.parquet", {"geometry": [wkb(ring)]})


def as_geopackage(path: Path, ring: Ring) -> Path:
    blob = (b"GP\x00\x01" + struct.pack("<i", 4490) + wkb(ring)).hex()
    return geopackage(
        path / "a.gpkg",
        f"CREATE TABLE land (fid INTEGER PRIMARY KEY, geom BLOB); INSERT INTO land VALUES (1, x'{blob}')",
    )


def as_shapefile(path: Path, ring: Ring) -> Path:
    """A square overwritten in place, as no writer writes such numbers; nothing is a null shape."""
    write_zipped_shapefile(path / "a.zip", [FeatureRow(1, Polygon(SQUARE), {"n": 1})], 4490)
    with zipfile.ZipFile(path / "a.zip") as plain:
        members = {name: plain.read(name) for name in plain.namelist()}
    shp, shx = members["parcels.shp"], members["parcels.shx"]
    if ring:
        shp = shp[: -16 * len(ring)] + np.array(ring, dtype="<f8").tobytes()
    else:
        shp = shp[:24] + struct.pack(">i", 56) + shp[28:100] + struct.pack(">ii", 1, 2) + struct.pack("<i", 0)
        shx = shx[:100] + struct.pack(">ii", 50, 2)
    return archive(path / "a.zip", members | {"parcels.shp": shp, "parcels.shx": shx})


FORMATS: list[Callable[[Path, Ring], Path]] = [
    as_geojson, as_kml, as_gpx, as_csv, as_parquet, as_geopackage, as_shapefile,
]  # fmt: skip
SQUARE: Ring = [(118.8, 28.9), (118.81, 28.9), (118.81, 28.91), (118.8, 28.91), (118.8, 28.9)]


def faults(file: Path) -> list[str]:
    """By the child where GDAL reads: it is fit for that only there."""
    found = read_parcels(file) if file.suffix == ".zip" else parcel_file(read_here(file))
    return [fault.code for fault in check_rows(found)]


PLACES = [
    pytest.param(form, bad, id=f"{form.__name__}-{bad}")
    for form, bad in product(FORMATS, (181.0, -181.0, 1e300, float("nan"), float("inf")))
    if form is not as_geojson or bad == bad  # NaN is not JSON: tests/geo/test_vector.py
    if form is not as_shapefile or bad in (181.0, 1e300) or bad != bad  # each takes a child
]


@pytest.mark.parametrize(("form", "bad"), PLACES)
def test_a_place_that_is_none_is_a_fault_in_every_format(
    tmp_path: Path, form: Callable[[Path, Ring], Path], bad: float
) -> None:
    ring = [(bad, 28.9), *SQUARE[1:-1], (bad, 28.9)]
    (code,) = faults(form(tmp_path, ring))
    assert code in ("coordinates_out_of_range", "geometry_unreadable")


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: str(form.__name__))
def test_an_empty_outline_is_a_fault_and_a_square_is_not(
    tmp_path: Path, form: Callable[[Path, Ring], Path]
) -> None:
    assert faults(form(tmp_path, SQUARE)) == []
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    (code,) = faults(form(tmp_path, []))
    assert code in ("geometry_empty", "geometry_unreadable", "track_too_short")


@pytest.mark.parametrize(
    "form", [as_geojson, as_kml, as_csv, as_geopackage], ids=lambda form: str(form.__name__)
)
def test_an_outline_of_two_hundred_thousand_points_is_refused_quickly(
    tmp_path: Path, form: Callable[[Path, Ring], Path]
) -> None:
    turns = np.linspace(0, 2 * np.pi, 2 * MAX_VERTICES + 1)
    ring = list(
        zip((118.8 + 0.01 * np.cos(turns)).tolist(), (28.9 + 0.01 * np.sin(turns)).tolist(), strict=True)
    )
    ring[-1] = ring[0]
    assert faults(form(tmp_path, ring)) == ["too_many_vertices"]


def test_heights_and_measures_are_left_out_and_curves_refused(tmp_path: Path) -> None:
    flat = shapely.to_wkb(Polygon(SQUARE))
    high = shapely.to_wkb(shapely.force_3d(Polygon(SQUARE), 80.0))
    iso = shapely.to_wkb(shapely.from_wkt("POLYGON ZM ((0 0 1 2, 1 0 1 2, 1 1 1 2, 0 0 1 2))"), flavor="iso")
    curve = struct.pack("<BIIBII", 1, 10, 1, 1, 8, 3) + np.zeros(6).tobytes()
    surface = struct.pack("<BII", 1, 1012, 0)
    columns = {"geometry": [flat, high, iso, curve, surface]}
    rows = read_here(parquet(tmp_path / "a.parquet", columns)).rows
    assert [None if row.problem is None else row.problem.facts["found"] for row in rows] == [
        None,
        None,
        None,
        "CurvePolygon",
        "MultiSurface",
    ]
    assert rows[0].wkb == rows[1].wkb
    assert rows[2].wkb is not None
    assert not shapely.has_z(shapely.from_wkb(rows[2].wkb))


def test_a_shapefile_with_heights_comes_in_flat(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.force_3d(Polygon(SQUARE), 80.0)], crs=4490)
    frame.to_file(tmp_path / "z.shp")
    members = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.stem == "z"}
    assert members["z.shp"][32:36] == struct.pack("<i", 15)  # PolygonZ
    (row,) = read_parcels(archive(tmp_path / "a.zip", members)).rows
    assert row.geometry is not None
    assert not row.geometry.has_z
