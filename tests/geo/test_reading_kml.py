"""KML and KMZ: placemarks as rows, whatever program wrote them."""

import zipfile
from pathlib import Path

import pytest
import shapely
from shapely import MultiPolygon, Polygon

from geo.errors import (
    ArchiveRefused,
    EncodingUnknown,
    FormatUnsupported,
    MarkupRefused,
    NotKml,
    TooManyFeatures,
)
from geo.vector import Limits, land_rows, read_parcels
from tests.geo.files import HOLE, SQUARE, archive, kml, kml_polygon, placemark, read_here, shape_of

SECOND = "118.83,28.90 118.84,28.90 118.84,28.91 118.83,28.90"

EXTENDED = """<ExtendedData>
  <Data name="林班"><displayName>林班号</displayName><value>0012</value></Data>
  <SchemaData schemaUrl="#stand">
    <SimpleData name="小班">7</SimpleData><SimpleData name="蓄积">35.5</SimpleData>
    <SimpleData name="优势树种">杉木</SimpleData><SimpleData name="集体"> true </SimpleData>
    <SimpleData name="备注"></SimpleData>
  </SchemaData>
</ExtendedData>"""
SCHEMA = """<Schema name="stand" id="stand">
  <SimpleField type="int" name="小班"/><SimpleField type="xsd:double" name="蓄积"/>
  <SimpleField type="string" name="优势树种"/><SimpleField type="bool" name="集体"/>
</Schema>"""


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_a_placemark_is_a_row_with_its_data_name_and_folders(tmp_path: Path) -> None:
    inside = placemark(
        kml_polygon(SQUARE, HOLE), name="外焦", more=f"<description>山场</description>{EXTENDED}"
    )
    text = kml(SCHEMA, f"<Folder><name>大洲镇</name><Folder><name>外焦村</name>{inside}</Folder></Folder>")
    found = read_parcels(written(tmp_path / "a.txt", text))
    assert (found.kind, found.crs, found.encoding) == ("kml", "OGC:CRS84", "utf-8")
    (row,) = found.rows
    assert row.attributes == {
        "林班": "0012",
        "小班": 7,
        "蓄积": 35.5,
        "优势树种": "杉木",
        "集体": 1,
        "备注": None,
        "name": "外焦",
        "description": "山场",
        "folder": "小班/大洲镇/外焦村",
    }
    assert isinstance(row.geometry, Polygon)
    assert row.geometry.exterior.coords[1] == (118.81, 28.9)
    assert len(row.geometry.interiors) == 1
    assert len(land_rows(found)) == 1


def test_folders_that_follow_each_other_keep_their_own_names(tmp_path: Path) -> None:
    folders = (
        f"<Folder><name>{village}</name>{placemark(kml_polygon())}</Folder>" for village in ("甲村", "乙村")
    )
    text = kml(*folders, f"<Folder>{placemark(kml_polygon())}</Folder>")
    rows = read_here(written(tmp_path / "a.kml", text)).rows
    assert [row.attributes["folder"] for row in rows] == ["小班/甲村", "小班/乙村", "小班"]


def test_several_polygons_are_one_row_and_a_label_point_is_not_land(tmp_path: Path) -> None:
    label = "<Point><coordinates>118.805,28.905</coordinates></Point>"
    inner = f"<MultiGeometry>{kml_polygon(SECOND)}</MultiGeometry>"
    text = kml(placemark(f"<MultiGeometry>{label}{kml_polygon()}{inner}</MultiGeometry>"))
    (row,) = read_here(written(tmp_path / "a.kml", text)).rows
    shape = shape_of(row.wkb)
    assert isinstance(shape, MultiPolygon)
    assert len(shape.geoms) == 2


@pytest.mark.parametrize(
    ("geometry", "code"),
    [
        ("", "geometry_empty"),
        ("<Point><coordinates>118.8,28.9</coordinates></Point>", "geometry_not_polygonal"),
        (
            "<LineString><coordinates>118.8,28.9 118.9,28.9</coordinates></LineString>",
            "geometry_not_polygonal",
        ),
        (f"<MultiGeometry>{kml_polygon()}<LineString/></MultiGeometry>", "geometry_not_polygonal"),
        ("<gx:Track><gx:coord>118.8 28.9 0</gx:coord></gx:Track>", "geometry_not_polygonal"),
        (kml_polygon("118.8,28.9 118.81,28.9 118.81,28.91"), "geometry_unreadable"),
        (kml_polygon("118.8,28.9 118.81,28.9 118.81,28.91 118.82,28.92"), "geometry_unreadable"),
        (kml_polygon("118.8, 28.9 118.81, 28.9 118.81, 28.91 118.8, 28.9"), "geometry_unreadable"),
        (kml_polygon("118.8,x 118.81,28.9 118.81,28.91 118.8,x"), "geometry_unreadable"),
        (kml_polygon("1_18.8,28.9 118.81,28.9 118.81,28.91 1_18.8,28.9"), "geometry_unreadable"),
        (kml_polygon("118.8,nan 118.81,28.9 118.81,28.91 118.8,nan"), "coordinates_out_of_range"),
        (kml_polygon("118.8,1e999 118.81,28.9 118.81,28.91 118.8,1e999"), "coordinates_out_of_range"),
        ("<Polygon/>", "geometry_unreadable"),
    ],
)
def test_what_is_not_an_outline_is_a_fault_of_its_row(tmp_path: Path, geometry: str, code: str) -> None:
    text = kml(placemark(geometry), placemark(kml_polygon()))
    first, second = read_here(written(tmp_path / "a.kml", text)).rows
    assert first.wkb is None
    assert first.problem is not None
    assert first.problem.code == code
    assert second.problem is None


def test_heights_on_some_points_only_are_left_out(tmp_path: Path) -> None:
    mixed = "118.8,28.9,5 118.81,28.9 118.81,28.91,7 118.8,28.9,5"
    (row,) = read_here(written(tmp_path / "a.kml", kml(placemark(kml_polygon(mixed))))).rows
    assert shapely.get_coordinates(shape_of(row.wkb)).tolist()[1] == [118.81, 28.9]


@pytest.mark.parametrize("encoding", ["GBK", "gb2312", "UTF-16", "UTF-8"])
def test_the_text_is_read_in_the_encoding_that_it_names(tmp_path: Path, encoding: str) -> None:
    text = kml(
        placemark(kml_polygon(), name="廿里镇"), declaration=f'<?xml version="1.0" encoding="{encoding}"?>'
    )
    found = read_here(written(tmp_path / "a.kml", text, encoding))
    assert found.rows[0].attributes["name"] == "廿里镇"
    assert found.encoding == {"GBK": "gb18030", "gb2312": "gb18030"}.get(encoding, encoding.lower())


def test_text_that_is_not_in_the_encoding_it_names_needs_a_declaration(tmp_path: Path) -> None:
    file = written(tmp_path / "a.kml", kml(placemark(kml_polygon(), name="廿里镇")), "gbk")
    with pytest.raises(EncodingUnknown):
        read_here(file)
    assert read_here(file, encoding="GBK").rows[0].attributes["name"] == "廿里镇"


def test_a_kmz_holds_one_document_and_its_pictures(tmp_path: Path) -> None:
    document = kml(placemark(kml_polygon())).encode()
    file = archive(tmp_path / "a.kmz", {"doc.kml": document, "files/icon.png": b"\x89PNG"})
    found = read_parcels(file)
    assert (found.kind, len(found.rows)) == ("kml", 1)
    for members, reason in (
        ({"doc.kml": document, "b.kml": document}, "several_datasets"),
        ({"doc.kml": document, "b.kmz": b"PK\x03\x04"}, "nested"),
        ({"doc.kml": b"PK\x03\x04" + document}, "nested"),
    ):
        with pytest.raises(ArchiveRefused) as refusal:
            read_here(archive(tmp_path / "b.kmz", members), layer="doc")
        assert refusal.value.facts["reason"] == reason


def test_what_macos_adds_to_an_archive_is_not_a_second_document(tmp_path: Path) -> None:
    members = {"doc.kml": kml(placemark(kml_polygon())).encode(), "__MACOSX/._doc.kml": b"\x00\x05\x16\x07"}
    assert len(read_here(archive(tmp_path / "a.kmz", members)).rows) == 1


def test_a_link_to_another_file_is_not_followed(tmp_path: Path) -> None:
    link = "<NetworkLink><Link><href>http://127.0.0.1:9/a.kml</href></Link></NetworkLink>"
    with pytest.raises(NotKml) as refusal:
        read_here(written(tmp_path / "a.kml", kml(placemark(kml_polygon()), link)))
    assert refusal.value.facts["reason"] == "network_link"


def test_words_that_speak_of_a_shifted_datum_are_handed_on(tmp_path: Path) -> None:
    text = kml(f"<Folder><name>高德 GCJ-02</name>{placemark(kml_polygon(), name='百度')}</Folder>")
    assert read_here(written(tmp_path / "a.kml", text)).hints == ("gcj02", "百度", "高德")
    assert read_here(written(tmp_path / "b.kml", kml(placemark(kml_polygon())))).hints == ()


def test_other_xml_is_refused_by_its_name(tmp_path: Path) -> None:
    for root, found in (
        ("wfs:FeatureCollection", "GML"),
        ("OGRVRTDataSource", "OGR VRT"),
        ("html", "HTML"),
        ("note", "XML (note)"),
    ):
        with pytest.raises(FormatUnsupported) as refusal:
            read_here(written(tmp_path / "a.kml", f"<{root}/>"))
        assert refusal.value.facts["found"] == found


def test_broken_xml_is_refused_with_its_line(tmp_path: Path) -> None:
    for text in ("<kml>\n<Document>", "<kml>\n&who;</kml>", "<!-- nothing else -->", "<kml>\n</gpx>"):
        with pytest.raises(MarkupRefused) as refusal:
            read_here(written(tmp_path / "a.kml", text))
        assert refusal.value.facts["reason"] == "not_well_formed"


def test_no_more_placemarks_are_read_than_are_allowed(tmp_path: Path) -> None:
    file = written(tmp_path / "a.kml", kml(*[placemark(kml_polygon())] * 3))
    assert len(read_parcels(file, limits=Limits(features=3)).rows) == 3
    with pytest.raises(TooManyFeatures):
        read_parcels(file, limits=Limits(features=2))


class GbkName(zipfile.ZipInfo):
    """A member named as Chinese Windows names it: GBK, and nothing says so."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - what zipfile calls
        return self.filename.encode("gbk"), self.flag_bits


def test_names_in_an_archive_are_read_as_their_author_saw_them(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        for name in ("小班甲.kml", "小班乙.kml"):
            out.writestr(GbkName(name), b"<kml/>")
    with pytest.raises(ArchiveRefused) as refusal:
        read_here(tmp_path / "a.zip")
    assert refusal.value.facts == {"reason": "several_datasets", "detail": "小班乙.kml, 小班甲.kml"}
