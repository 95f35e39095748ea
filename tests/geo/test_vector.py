"""Parcel files: what is read, how text is decoded, and what strangers must not achieve."""

import json
import sqlite3
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from shapely import MultiPolygon, Polygon, box

from geo.crs import Polygonal, area_m2, from_store, to_store
from geo.errors import (
    ArchiveRefused,
    AttributeNotWritable,
    CrsConflict,
    EncodingUnknown,
    FileEmpty,
    FileTooLarge,
    FileUnreadable,
    FormatUnsupported,
    NotAGeoPackage,
    NotAShapefile,
    NotCsv,
    NotGeoJson,
    PrjMissing,
    ReaderStopped,
    RowsRefused,
    TooManyFeatures,
)
from geo.polygon import canonical, digest
from geo.vector import (
    Attribute,
    FeatureRow,
    Limits,
    check_rows,
    examine,
    land_rows,
    read_parcels,
    write_geojson,
    write_zipped_shapefile,
)
from tests.geo.files import archive, geopackage
from tests.geo.shapes import QUZHOU, degrees_box, stand

NAMES = ["大洲镇外焦村", "廿里镇通衢村", "华埠镇金星村"]


def village_rows(crs: str, *, more: Mapping[str, Attribute] | None = None) -> list[FeatureRow]:
    """Three stands with Chinese attributes: a plain one, one with a hole, one in two parts."""
    outlines = [
        stand(118.49, 28.9, 2e-3, 1),
        stand(118.50, 28.9, 2e-3, 2, hole=True),
        stand(118.51, 28.9, 2e-3, 3, parts=2),
    ]
    return [
        FeatureRow(
            i + 1,
            from_store(canonical(outline), crs),
            {
                "村名": NAMES[i],
                "小班号": i + 1,
                "蓄积": 12.5 * i,
                "树种": "杉木" if i else None,
                **(more or {}),
            },
        )
        for i, outline in enumerate(outlines)
    ]


@pytest.fixture
def village(tmp_path: Path) -> Path:
    write_zipped_shapefile(tmp_path / "v.zip", village_rows("EPSG:4549"), "EPSG:4549")
    return tmp_path / "v.zip"


def repacked(source: Path, target: Path, change: Mapping[str, bytes | None]) -> Path:
    """The archive with some members (by extension) replaced, added or left out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        members = {name: old.read(name) for name in old.namelist()}
        stem = next(iter(members)).rsplit(".", 1)[0]
        members |= {stem + ending: data for ending, data in change.items()}  # type: ignore[misc]
        for name, data in members.items():
            if data is not None:
                new.writestr(name, data)
    return target


# --- reading ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crs", ["EPSG:4549", "EPSG:4548", "EPSG:4528", "EPSG:4490", "EPSG:4326"])
def test_a_gbk_shapefile_comes_back_in_any_zone(tmp_path: Path, crs: str) -> None:
    write_zipped_shapefile(tmp_path / "v.zip", village_rows(crs), crs)
    found = read_parcels(tmp_path / "v.zip")
    assert (found.crs, found.encoding, found.encoding_source) == (crs, "gb18030", "guess")
    assert [row.attributes["村名"] for row in found.rows] == NAMES
    assert [row.attributes["小班号"] for row in found.rows] == [1, 2, 3]
    assert found.rows[0].attributes["树种"] is None
    assert found.rows[1].attributes["蓄积"] == 12.5
    drawn = village_rows("EPSG:4490")
    for row, original in zip(land_rows(found), drawn, strict=True):
        assert isinstance(original.geometry, Polygon | MultiPolygon)
        assert shapely.hausdorff_distance(row.geometry, original.geometry) < 1e-8
        assert area_m2(row.geometry) == pytest.approx(area_m2(original.geometry), rel=1e-6)


@pytest.mark.parametrize(
    ("encoding", "cpg", "ldid", "expected"),
    [
        ("gbk", False, False, ("gb18030", "guess")),
        ("gbk", True, False, ("gb18030", "cpg")),
        ("gbk", False, True, ("gb18030", "ldid")),
        ("utf-8", False, False, ("utf-8", "guess")),
        ("utf-8", True, False, ("utf-8", "cpg")),
    ],
)
def test_the_encoding_is_found(
    tmp_path: Path, encoding: str, cpg: bool, ldid: bool, expected: tuple[str, str]
) -> None:
    write_zipped_shapefile(tmp_path / "v.zip", village_rows("EPSG:4549"), 4549, encoding, cpg=cpg, ldid=ldid)
    found = read_parcels(tmp_path / "v.zip")
    assert (found.encoding, found.encoding_source) == expected
    assert found.rows[2].attributes["村名"] == NAMES[2]


def test_text_in_no_known_encoding_is_refused_and_a_declaration_helps(tmp_path: Path, village: Path) -> None:
    wrong = repacked(village, tmp_path / "w.zip", {".cpg": b"UTF-8"})
    with pytest.raises(EncodingUnknown):
        read_parcels(wrong)
    assert read_parcels(wrong, encoding="GBK").rows[0].attributes["村名"] == NAMES[0]
    with pytest.raises(EncodingUnknown):
        read_parcels(repacked(village, tmp_path / "x.zip", {".cpg": b"KLINGON"}))


def test_gdal_reads_the_shapefile_that_we_write(village: Path) -> None:
    frame = geopandas.read_file(f"/vsizip/{village}", encoding="GBK")
    assert list(frame["村名"]) == NAMES
    assert frame.crs.to_epsg() == 4549
    for theirs, ours in zip(frame.geometry, village_rows("EPSG:4549"), strict=True):
        assert ours.geometry is not None
        assert shapely.equals_exact(shapely.normalize(theirs), shapely.normalize(ours.geometry), 1e-6)


def test_the_same_rows_give_the_same_file(tmp_path: Path, village: Path) -> None:
    write_zipped_shapefile(tmp_path / "again.zip", village_rows("EPSG:4549"), "EPSG:4549")
    assert (tmp_path / "again.zip").read_bytes() == village.read_bytes()


def test_a_value_that_does_not_fit_is_not_written(tmp_path: Path) -> None:
    for more in ({"too_long_a_name": 1}, {"a": "长" * 200}, {"b": "\U0001f332"}):
        with pytest.raises(AttributeNotWritable):
            write_zipped_shapefile(tmp_path / "x.zip", village_rows("EPSG:4549", more=more), 4549)
    assert not (tmp_path / "x.zip").exists()


def test_geojson_written_is_geojson_read(tmp_path: Path) -> None:
    outlines: list[Polygonal] = [stand(*QUZHOU, 1e-3, 1, hole=True), stand(*QUZHOU, 1e-3, 2, parts=2)]
    (tmp_path / "a.geojson").write_text(write_geojson([(o, {"村": "上方"}) for o in outlines]), "utf-8")
    found = read_parcels(tmp_path / "a.geojson")
    assert [digest(row.geometry) for row in land_rows(found)] == [digest(o) for o in outlines]
    assert found.rows[0].attributes == {"村": "上方"}


# --- refused files ------------------------------------------------------------------------------------------


def test_a_file_that_is_not_a_shapefile_is_refused(tmp_path: Path, village: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"this is not a zip")
    with pytest.raises(NotCsv):  # it is text, whatever its name says
        read_parcels(tmp_path / "x.zip")
    for change in (
        {".shx": None},
        {".dbf": None},
        {".shp": None},
        {".shp": b"x" * 200},
        {".dbf": b"\x03" * 40},
    ):
        with pytest.raises(NotAShapefile):
            read_parcels(repacked(village, tmp_path / "y.zip", change))


def test_a_shapefile_cut_short_is_refused_and_not_read_in_part(tmp_path: Path, village: Path) -> None:
    with zipfile.ZipFile(village) as archive:
        shp, shx = archive.read("parcels.shp"), archive.read("parcels.shx")
    for change in ({".shp": shp[:-200]}, {".shx": shx[:-8]}):
        with pytest.raises(NotAShapefile):
            read_parcels(repacked(village, tmp_path / "y.zip", change))


def test_a_missing_prj_is_refused_unless_the_system_is_declared(tmp_path: Path, village: Path) -> None:
    bare = repacked(village, tmp_path / "bare.zip", {".prj": None})
    with pytest.raises(PrjMissing):
        read_parcels(bare)
    assert read_parcels(bare, crs=4549).crs == "EPSG:4549"
    with pytest.raises(CrsConflict):
        read_parcels(village, crs=4548)


def test_a_format_that_knows_only_wgs_84_may_carry_cgcs2000_by_declaration(tmp_path: Path) -> None:
    drawn = tmp_path / "drawn.geojson"
    drawn.write_text(write_geojson([(Polygon([(118.8, 29), (118.81, 29), (118.81, 29.01)]), {})]))
    assert read_parcels(drawn).crs == "OGC:CRS84"
    assert read_parcels(drawn, crs=4490).crs == "EPSG:4490"
    with pytest.raises(CrsConflict):
        read_parcels(drawn, crs=4549)


def test_no_file_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(FileEmpty):
        read_parcels(tmp_path / "a")
    with pytest.raises(FileUnreadable):
        read_parcels(tmp_path / "none.zip")


def test_limits_hold(village: Path) -> None:
    with pytest.raises(FileTooLarge):
        read_parcels(village, limits=Limits(file_bytes=100))
    with pytest.raises(TooManyFeatures):
        read_parcels(village, limits=Limits(features=2))


# --- what strangers must not achieve ------------------------------------------------------------------------


def test_a_zip_bomb_is_refused_from_its_directory(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "b.zip", {"a.geojson": b" " * (64 << 20)})
    with pytest.raises(ArchiveRefused) as refusal:
        read_parcels(bomb)
    assert refusal.value.facts["reason"] == "ratio"
    with pytest.raises(ArchiveRefused) as refusal:
        read_parcels(bomb, limits=Limits(unpacked_bytes=1 << 20))
    assert refusal.value.facts["reason"] == "too_large"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"inner.zip": b"PK\x03\x04"}, "nested"),
        ({"a.geojson": b"PK\x03\x04 a zip under another name"}, "nested"),
        ({"../a.geojson": b"{}"}, "member_name"),
        ({"/etc/a.geojson": b"{}"}, "member_name"),
        ({"C:\\a.geojson": b"{}"}, "member_name"),
        ({f"{i}.txt": b"" for i in range(21)}, "too_many_members"),
        ({"a.geojson": b"{}", "b.geojson": b"{}"}, "several_datasets"),
    ],
)
def test_archives_that_are_traps_are_refused(
    tmp_path: Path, members: Mapping[str, bytes], reason: str
) -> None:
    with pytest.raises(ArchiveRefused) as refusal:
        read_parcels(archive(tmp_path / "t.zip", members))
    assert refusal.value.facts["reason"] == reason


def test_a_damaged_archive_is_refused(tmp_path: Path, village: Path) -> None:
    (tmp_path / "d.zip").write_bytes(village.read_bytes()[:-100])
    with pytest.raises(ArchiveRefused):
        read_parcels(tmp_path / "d.zip")


def test_an_ogr_vrt_does_not_show_a_file_of_the_server(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("x,y\n1,2\n")
    vrt = (
        f'<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>{tmp_path}/secret.csv</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    )
    (tmp_path / "x.geojson").write_text(vrt)
    with pytest.raises(FormatUnsupported):
        read_parcels(tmp_path / "x.geojson")
    with pytest.raises(FormatUnsupported):
        read_parcels(archive(tmp_path / "x.zip", {"x.geojson": vrt.encode()}))
    with pytest.raises(NotAShapefile):
        read_parcels(
            archive(tmp_path / "y.zip", {f"x{e}": vrt.encode() for e in (".shp", ".shx", ".dbf", ".prj")})
        )


ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS fid, x'' AS geom FROM n"
)


def test_a_geopackage_is_read_from_its_table(tmp_path: Path) -> None:
    outline = stand(*QUZHOU, 1e-3, 5)
    blob = b"GP\x00\x01" + struct.pack("<i", 4490) + shapely.to_wkb(outline)
    sql = "CREATE TABLE land (fid INTEGER PRIMARY KEY, geom BLOB, 村 TEXT);"
    sql += f"INSERT INTO land VALUES (1, x'{blob.hex()}', '上方')"
    (row,) = land_rows(read_parcels(geopackage(tmp_path / "a.gpkg", sql)))
    assert digest(row.geometry) == digest(outline)
    assert row.attributes["村"] == "上方"


def test_an_endless_view_is_refused_at_once(tmp_path: Path) -> None:
    file = geopackage(tmp_path / "e.gpkg", f"CREATE VIEW land AS {ENDLESS}")
    with pytest.raises(NotAGeoPackage) as refusal:
        read_parcels(file, limits=Limits(seconds=5))
    assert refusal.value.facts["reason"] == "view"


def test_a_reader_that_needs_too_much_is_stopped(tmp_path: Path) -> None:
    deep = '{"type": "FeatureCollection", "features": [' + ",".join(["[[[[[]]]]]"] * 1_500_000) + "]}"
    (tmp_path / "deep.geojson").write_text(deep)
    for limits, reason in ((Limits(memory_mib=160), "memory"), (Limits(seconds=0), "time")):
        with pytest.raises(ReaderStopped) as refusal:
            read_parcels(tmp_path / "deep.geojson", limits=limits)
        assert refusal.value.facts["reason"] == reason


def test_another_kind_of_sqlite_file_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.gpkg") as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    with pytest.raises(NotAGeoPackage):
        read_parcels(tmp_path / "a.gpkg")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not_json"),
        ('{"type": "FeatureCollection"}', "structure"),
        ('{"type": "Topology"}', "structure"),
        ('{"type": "FeatureCollection", "features": [1]}', "structure"),
        ('{"a":' + "[" * 100_000, "nesting"),
        (
            '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"x": NaN}}]}',
            "not_json",
        ),
    ],
)
def test_what_is_not_geojson_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "x.geojson").write_text(text)
    with pytest.raises(NotGeoJson) as refusal:
        read_parcels(tmp_path / "x.geojson")
    assert refusal.value.facts["reason"] == reason


# --- rows ---------------------------------------------------------------------------------------------------


def test_bad_rows_are_listed_by_number_and_none_is_dropped(tmp_path: Path) -> None:
    square = [[118.0, 29.0], [118.01, 29.0], [118.01, 29.01], [118.0, 29.01], [118.0, 29.0]]
    tie = [[118.0, 29.0], [118.01, 29.01], [118.01, 29.0], [118.0, 29.01], [118.0, 29.0]]
    shapes = [
        {"type": "Polygon", "coordinates": [square]},
        {"type": "Polygon", "coordinates": [tie]},
        {"type": "Polygon", "coordinates": [square[:-1]]},
        {"type": "Polygon", "coordinates": [[[118.0, 95.0], [181.0, 95.0], [118.5, 96.0], [118.0, 95.0]]]},
        {"type": "Point", "coordinates": [118.0, 29.0]},
        None,
        {"type": "Polygon", "coordinates": [[["a", 1]] * 4]},
        {"type": "Polygon", "coordinates": [[[181.0, 29.0], [181.1, 29.0], [181.1, 29.1], [181.0, 29.0]]]},
    ]
    features = [{"type": "Feature", "properties": {"n": i}, "geometry": s} for i, s in enumerate(shapes, 1)]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    (tmp_path / "rows.geojson").write_text(text)
    found = read_parcels(tmp_path / "rows.geojson")
    good, faults = examine(found)
    assert [row.number for row in good] == [1]
    assert [(fault.row, fault.code) for fault in faults] == [
        (2, "geometry_invalid"),
        (3, "geometry_unreadable"),
        (4, "coordinates_out_of_range"),
        (5, "geometry_not_polygonal"),
        (6, "geometry_empty"),
        (7, "geometry_unreadable"),
        (8, "coordinates_out_of_range"),
    ]
    assert faults[0].facts["lon"] == pytest.approx(118.005)
    with pytest.raises(RowsRefused) as refusal:
        land_rows(found)
    assert refusal.value.facts["count"] == 7


def test_a_number_too_large_for_a_coordinate_is_a_fault_of_its_row(tmp_path: Path) -> None:
    ring = "[[1e999, 29], [118, 29], [118, 30], [1e999, 29]]"
    (tmp_path / "x.geojson").write_text(
        '{"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": ['
        + ring
        + "]}}"
    )
    (fault,) = check_rows(read_parcels(tmp_path / "x.geojson"))
    assert (fault.row, fault.code, fault.value) == (1, "coordinates_out_of_range", "inf, 29.0")


# --- real files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "crs", "count"),
    [
        ("parcels/iti1_2023.parquet", "EPSG:3035", 100),
        ("parcels/1_vietnam_areas.gpkg", "EPSG:32648", 100),
        ("parcels/LandUse.ExistingLandUse.GSAAAgriculturalParcel.gpkg", "EPSG:3067", 100),
        ("parcels/brpgewaspercelen_definitief_2023.gpkg", "EPSG:28992", 100),
        ("parcels/inspire_schlaege_2025-1_polygon.gpkg.zip", "EPSG:31287", 100),
        ("parcels/india_10k.zip", "EPSG:4326", 100),
        ("parcels/geojson_example.geojson", "OGC:CRS84", 50),
        ("stands/result_stands.geojson", "EPSG:3301", 10),
        ("boundaries/quzhou_counties_tianditu.geojson", "OGC:CRS84", 6),
    ],
)
def test_real_files_come_in_whole_and_where_they_are(
    real_data: Path, name: str, crs: str, count: int
) -> None:
    found = read_parcels(real_data / name)
    assert (found.crs, len(found.rows)) == (crs, count)
    rows = land_rows(found)
    path = f"/vsizip/{real_data / name}" if name.endswith(".zip") else str(real_data / name)
    frame = (geopandas.read_parquet if name.endswith(".parquet") else geopandas.read_file)(path).to_crs(4326)
    theirs = shapely.centroid(frame.geometry.to_numpy())
    ours = shapely.centroid(np.array([row.geometry for row in rows], dtype=object))
    assert float(shapely.distance(theirs, ours).max()) < 1e-6


def test_both_zones_meet_on_the_ground() -> None:
    """Quzhou lies on 118.5 E: one parcel drawn in either zone is the same parcel."""
    parcel = degrees_box(118.498, 28.9, 400, 400)
    west, east = (to_store(from_store(parcel, crs), crs) for crs in ("EPSG:4548", "EPSG:4549"))
    assert shapely.symmetric_difference(west, east).area < 1e-12
    assert shapely.hausdorff_distance(west, box(*parcel.bounds)) < 1e-9
