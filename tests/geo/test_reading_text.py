"""Text as it stands in real files: cut within a character, in an encoding nobody named, or no text at all."""

import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from shapely import Polygon, box

from geo.errors import (
    ArchiveRefused,
    CrsUnknown,
    EncodingUnknown,
    NotAShapefile,
    NotGeoJson,
    NotGeoParquet,
)
from geo.vector import FeatureRow, read_parcels, write_zipped_shapefile
from tests.geo.files import archive, geopackage, kml, kml_polygon, placemark, read_here
from tests.geo.test_vector import repacked

SQUARE = box(118.8, 28.9, 118.81, 28.91)


def dbf(columns: Mapping[bytes, tuple[int, list[bytes]]]) -> bytes:
    """A table of text fields of these widths, names and cells as they are given."""
    rows = len(next(iter(columns.values()))[1])
    length = 1 + sum(width for width, _ in columns.values())
    head = struct.pack("<4BIHH20x", 3, 125, 1, 1, rows, 33 + 32 * len(columns), length)
    described = b"".join(
        struct.pack("<11sc4xBB14x", name, b"C", width, 0) for name, (width, _) in columns.items()
    )
    lines = b"".join(
        b" " + b"".join(cells[i].ljust(width) for width, cells in columns.values()) for i in range(rows)
    )
    return head + described + b"\r" + lines + b"\x1a"


def shapefile(folder: Path, columns: Mapping[bytes, tuple[int, list[bytes]]]) -> Path:
    count = len(next(iter(columns.values()))[1])
    rows = [FeatureRow(i + 1, SQUARE, {"n": i}) for i in range(count)]
    write_zipped_shapefile(folder / "plain.zip", rows, 4490)
    return repacked(folder / "plain.zip", folder / "made.zip", {".dbf": dbf(columns)})


@pytest.mark.parametrize(("codec", "found"), [("utf-8", "utf-8"), ("gbk", "gb18030")])
def test_a_cell_that_was_cut_within_a_character_does_not_cost_the_file(
    tmp_path: Path, codec: str, found: str
) -> None:
    """Programs cut text at the bytes of the field; the encoding is still found, and the cut is shown."""
    full = "衢江区大洲镇外焦村".encode(codec)
    file = shapefile(
        tmp_path, {b"n": (3, [b"1", b"2"]), b"p": (len(full) - 1, [full[:-1], "廿里".encode(codec)])}
    )
    read = read_parcels(file)
    assert (read.encoding, read.encoding_source) == (found, "guess")
    assert [row.attributes["p"] for row in read.rows] == ["衢江区大洲镇外焦\ufffd", "廿里"]


def test_half_a_character_in_a_cell_that_is_not_full_is_another_encoding(tmp_path: Path) -> None:
    with pytest.raises(EncodingUnknown) as refusal:
        read_parcels(shapefile(tmp_path, {b"name": (20, ["Café".encode("latin-1")])}))
    assert refusal.value.facts["row"] == 1


def test_field_names_of_ten_bytes_may_be_cut_and_may_be_the_same(tmp_path: Path) -> None:
    names = ["小班面积公顷".encode()[:10], "小班面积公顷".encode()[:10] + b"\x00"]
    columns = {names[0]: (2, [b"1"]), b"a": (2, [b"2"]), names[1]: (2, [b"3"])}
    (row,) = read_parcels(shapefile(tmp_path, columns)).rows
    assert row.attributes == {"小班面\ufffd": "1", "a": "2", "小班面\ufffd_2": "3"}


def test_an_archive_of_several_shapefiles_needs_the_name_of_one(tmp_path: Path) -> None:
    write_zipped_shapefile(tmp_path / "a.zip", [FeatureRow(1, SQUARE, {"n": 1})], 4490, stem="小班")
    write_zipped_shapefile(tmp_path / "b.zip", [FeatureRow(1, SQUARE, {"n": 2})], 4490, stem="道路")
    members: dict[str, bytes] = {}
    for part in ("a.zip", "b.zip"):
        with zipfile.ZipFile(tmp_path / part) as one:
            members |= {f"成果/{name}": one.read(name) for name in one.namelist()}
    both = archive(tmp_path / "both.zip", members)
    with pytest.raises(ArchiveRefused) as refusal:
        read_parcels(both)
    assert refusal.value.facts == {"reason": "several_datasets", "detail": "成果/小班.shp, 成果/道路.shp"}
    assert [row.attributes for row in read_parcels(both, layer="小班").rows] == [{"n": 1}]


def feature(**more: object) -> dict[str, object]:
    ring = [[118.8, 28.9], [118.81, 28.9], [118.81, 28.91], [118.8, 28.9]]
    return {
        "type": "Feature",
        "properties": {},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    } | more


def geojson(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_the_id_of_a_feature_is_one_of_its_attributes(tmp_path: Path) -> None:
    listed = [feature(id="0012"), feature(id=7, properties={"id": "own"}), feature()]
    text = json.dumps({"type": "FeatureCollection", "features": listed})
    rows = read_here(geojson(tmp_path / "a.json", text)).rows
    assert [row.attributes for row in rows] == [{"id": "0012"}, {"id": "own"}, {}]


def test_geojson_in_another_encoding_needs_a_declaration(tmp_path: Path) -> None:
    file = geojson(tmp_path / "a.json", json.dumps(feature(id="廿里"), ensure_ascii=False), "gbk")
    with pytest.raises(NotGeoJson) as refusal:
        read_here(file)
    assert refusal.value.facts["reason"] == "not_utf8"
    found = read_here(file, encoding="GBK")
    assert (found.rows[0].attributes["id"], found.encoding_source) == ("廿里", "declared")


@pytest.mark.parametrize(
    "text", ['{"a": "\\ud800"}', '{"a": "\\u0000"}', '{"\\udfff": 1}', '{"a": ["\\ud800"]}']
)
def test_characters_that_no_database_keeps_are_refused(tmp_path: Path, text: str) -> None:
    file = geojson(
        tmp_path / "a.json",
        json.dumps(feature(properties={})).replace('"properties": {}', f'"properties": {text}'),
    )
    with pytest.raises(EncodingUnknown) as refusal:
        read_parcels(file)
    assert refusal.value.facts["row"] == 1


def test_numbers_that_no_column_holds_become_text(tmp_path: Path) -> None:
    row = read_here(
        geojson(tmp_path / "a.json", json.dumps(feature(properties={"n": 1 << 63, "m": -5})))
    ).rows[0]
    assert row.attributes == {"n": str(1 << 63), "m": -5}


@pytest.mark.parametrize("depth", [300, 900, 960, 980, 990, 995, 1100])
def test_nested_values_are_text_or_the_file_is_refused(tmp_path: Path, depth: int) -> None:
    for name in ("properties", "note"):
        nested = "[" * depth + "]" * depth
        text = json.dumps(feature()).replace(
            '"properties": {}', f'"properties": {{}}, "{name}": {{"n": {nested}}}'
        )
        try:
            found = read_here(geojson(tmp_path / "a.json", text))
        except NotGeoJson as refusal:
            assert refusal.facts["reason"] == "nesting"
        else:
            assert len(found.rows) == 1


def test_text_that_is_not_utf8_in_parquet_is_refused(tmp_path: Path) -> None:
    raw = pyarrow.array([b"\xff\xfe"]).cast(pyarrow.binary()).view(pyarrow.string())
    about = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
    made = pyarrow.table({"geometry": [SQUARE.wkb], "n": raw})
    pyarrow.parquet.write_table(
        made.replace_schema_metadata({b"geo": json.dumps(about).encode()}), tmp_path / "a"
    )
    with pytest.raises(NotGeoParquet) as refusal:
        read_here(tmp_path / "a")
    assert refusal.value.facts["reason"] == "unreadable"


def test_a_geopackage_with_a_code_that_is_no_number_is_not_known(tmp_path: Path) -> None:
    sql = """CREATE TABLE land (fid INTEGER PRIMARY KEY, geom BLOB);
        UPDATE gpkg_spatial_ref_sys SET organization_coordsys_id = 'abc'"""
    with pytest.raises(CrsUnknown):
        read_parcels(geopackage(tmp_path / "a.gpkg", sql))


def test_xml_may_begin_with_a_blank_line(tmp_path: Path) -> None:
    (tmp_path / "a.kml").write_text("\n\n" + kml(placemark(kml_polygon())), encoding="utf-8")
    assert isinstance(read_parcels(tmp_path / "a.kml").rows[0].geometry, Polygon)


def test_a_description_beside_the_data_is_left_alone(tmp_path: Path) -> None:
    members = {"land.geojson": json.dumps(feature()).encode(), "metadata.json": b"{}", "codes.csv": b"a,b\n"}
    assert len(read_here(archive(tmp_path / "a.zip", members)).rows) == 1


def test_a_table_whose_rows_have_no_bytes_is_refused(tmp_path: Path) -> None:
    table = bytearray(dbf({b"n": (3, [b"1"])}))
    table[10:12] = b"\x00\x00"
    table = table[: 33 + 32]
    rows = [FeatureRow(1, SQUARE, {"n": 1})]
    write_zipped_shapefile(tmp_path / "plain.zip", rows, 4490)
    with pytest.raises(NotAShapefile) as refusal:
        read_parcels(repacked(tmp_path / "plain.zip", tmp_path / "made.zip", {".dbf": bytes(table)}))
    assert refusal.value.facts["reason"] == "truncated"


def test_names_in_an_archive_and_of_columns_may_speak_of_the_datum(tmp_path: Path) -> None:
    members = {"GCJ02/land.geojson": json.dumps(feature(properties={"bd09_x": 1})).encode()}
    assert read_here(archive(tmp_path / "a.zip", members)).hints == ("bd09", "gcj02")
