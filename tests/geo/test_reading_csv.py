"""Tables with outlines as well-known text, as databases and spreadsheets export them."""

from pathlib import Path

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import CrsConflict, EncodingUnknown, NotCsv, TooManyFeatures
from geo.reading.csv_wkt import MAX_FIELD_CHARACTERS, _begin, _shape
from geo.vector import Limits, land_rows, read_parcels
from tests.geo.files import archive, read_here, shape_of

WKT = "POLYGON ((118.8 28.9, 118.81 28.9, 118.81 28.91, 118.8 28.9))"


def table(*lines: str) -> str:
    return "\n".join(("小班号,树种,WKT", *lines)) + "\n"


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", ("utf-8", "guess")),
        ("utf-8-sig", ("utf-8", "format")),
        ("gbk", ("gb18030", "guess")),
        ("gb18030", ("gb18030", "guess")),
        ("utf-16", ("utf-16", "format")),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_is_read_in_its_encoding_and_with_its_separator(
    tmp_path: Path, encoding: str, expected: tuple[str, str], delimiter: str
) -> None:
    lines = (
        ("小班号", "树种", "WKT"),
        ("0012", "杉木", f'"SRID=4490;{WKT}"'),
        ("13", "", f'"SRID=4490;{WKT}"'),
    )
    text = "\r\n".join(delimiter.join(line) for line in lines)
    found = read_here(written(tmp_path / "a.txt", text, encoding))
    assert (found.kind, found.crs) == ("csv", "EPSG:4490")
    assert (found.encoding, found.encoding_source) == expected
    assert [row.attributes for row in found.rows] == [
        {"小班号": "0012", "树种": "杉木"},
        {"小班号": "13", "树种": None},
    ]
    assert shape_of(found.rows[0].wkb).bounds == (118.8, 28.9, 118.81, 28.91)


def test_a_declared_encoding_holds(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", f'村,WKT\n豐林村,"{WKT}"\n', "big5")
    assert read_here(file, encoding="Big5", crs=True).rows[0].attributes["村"] == "豐林村"


def test_text_that_is_in_no_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"n,WKT\n\xff\xff\xff,x\n")
    with pytest.raises(EncodingUnknown):
        read_here(tmp_path / "a.csv")
    with pytest.raises(EncodingUnknown):
        read_here(written(tmp_path / "b.csv", table()), encoding="KLINGON")


@pytest.mark.parametrize("heading", ["WKT", "wkt_geom", "Geometry", "the_geom", "几何", "坐标", "column 2"])
def test_the_outlines_are_found_by_heading_or_by_what_they_are(tmp_path: Path, heading: str) -> None:
    found = read_here(written(tmp_path / "a.csv", f'n,{heading}\n1,"{WKT}"\n'), crs=True)
    assert found.rows[0].problem is None
    assert found.rows[0].attributes == {"n": "1"}


def test_a_heading_decides_between_two_columns_with_outlines(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", f'旧图,几何\n"{WKT}","{WKT}"\n')
    assert list(read_here(file, crs=True).rows[0].attributes) == ["旧图"]
    for heading in ("geom,WKT", "a,b"):
        with pytest.raises(NotCsv) as refusal:
            read_here(written(tmp_path / "b.csv", f'{heading}\n"{WKT}","{WKT}"\n'), crs=True)
        assert refusal.value.facts["reason"] == "several_outlines"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b\n1,2\n", "no_outlines"),
        ("just words\n", "no_outlines"),
        (f'n,n,WKT\n1,2,"{WKT}"\n', "heading"),
        (",".join(["c"] * 1001) + "\n", "heading"),
        (f"n,WKT\n1,{WKT}\n", "columns"),
        ("n,WKT\n1\n", "columns"),
        ('n,WKT\n1,"POLYGON ((0 0"x\n', "quoting"),
        ('n,WKT\n1,"POLYGON ((0 0\n', "quoting"),
        (f'n,WKT\n1,"SRID=4549;{WKT}"\n2,"SRID=4548;{WKT}"\n', "several_systems"),
        (f'n,WKT\n1,"SRID=4549;{WKT}"\n2,"{WKT}"\n', "several_systems"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused_with_the_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(NotCsv) as refusal:
        read_here(written(tmp_path / "a.csv", text), crs=True)
    assert refusal.value.facts["reason"] == reason


def test_an_outline_without_quotation_marks_is_explained(tmp_path: Path) -> None:
    with pytest.raises(NotCsv, match=r"line 2 has 5 fields and the heading 2; .*quotation marks"):
        read_here(written(tmp_path / "a.csv", f"n,WKT\n1,{WKT}\n"), crs=True)


@pytest.mark.parametrize(
    ("wkt", "code"),
    [
        ("", "geometry_empty"),
        ("POLYGON EMPTY", None),
        ("118.8 28.9", "geometry_unreadable"),
        ("POINT (118.8 28.9)", "geometry_not_polygonal"),
        ("LINESTRING (0 0, 1 1)", "geometry_not_polygonal"),
        ("CURVEPOLYGON (CIRCULARSTRING (0 0, 1 1, 2 0, 1 -1, 0 0))", "geometry_not_polygonal"),
        ("GEOMETRYCOLLECTION (" * 50 + ")" * 50, "geometry_not_polygonal"),
        ("POLYGON ((0 0, 1 1, 1 0))", "geometry_unreadable"),
        ("POLYGON ((0 0, 1 1", "geometry_unreadable"),
        ("polygon z ((0 0 5, 1 0 5, 1 1 5, 0 0 5))", None),
        ("MULTIPOLYGONZM (((0 0 1 2, 1 0 1 2, 1 1 1 2, 0 0 1 2)))", None),
    ],
)
def test_an_outline_that_cannot_be_read_is_a_fault_of_its_row(
    tmp_path: Path, wkt: str, code: str | None
) -> None:
    text = f'n,WKT\n1,"{wkt}"\n2,"{WKT}"\n'
    first, second = read_here(written(tmp_path / "a.csv", text), crs=True).rows
    assert (None if first.problem is None else first.problem.code) == code
    assert second.problem is None
    if first.wkb is not None:
        assert not shapely.has_z(shape_of(first.wkb))


def test_the_system_comes_from_the_texts_or_from_a_declaration(tmp_path: Path) -> None:
    metres = "POLYGON ((500000 3200000, 500100 3200000, 500100 3200100, 500000 3200000))"
    embedded = written(tmp_path / "a.csv", f'n,WKT\n1,"SRID=4549;{metres}"\n')
    assert len(land_rows(read_parcels(embedded))) == 1
    with pytest.raises(CrsConflict):
        read_parcels(embedded, crs=4548)
    assert read_parcels(written(tmp_path / "b.csv", f'n,WKT\n1,"{metres}"\n'), crs=4549).crs == "EPSG:4549"


def test_blank_lines_and_columns_without_a_name_lose_nothing(tmp_path: Path) -> None:
    text = f'\n\nn,WKT,\n\n1,"{WKT}",x\n,,\n'
    (row,) = read_here(written(tmp_path / "a.csv", text), crs=True).rows
    assert row.attributes == {"n": "1", "column 3": "x"}


def test_a_table_may_come_in_an_archive_and_beside_a_shapefile_it_is_a_legend(tmp_path: Path) -> None:
    data = f'n,WKT\n1,"SRID=4490;{WKT}"\n'.encode()
    assert len(read_here(archive(tmp_path / "a.zip", {"data.csv": data, "readme.txt": b"x"})).rows) == 1
    found = read_here(
        archive(
            tmp_path / "b.zip",
            {"legend.csv": b"a,b\n", "a.geojson": b'{"type":"FeatureCollection","features":[]}'},
        )
    )
    assert found.kind == "geojson"


def test_no_more_rows_and_no_longer_fields_are_read_than_are_allowed(tmp_path: Path) -> None:
    with pytest.raises(TooManyFeatures):
        read_parcels(written(tmp_path / "a.csv", f'n,WKT\n1,"{WKT}"\n2,"{WKT}"\n'), limits=Limits(features=1))
    with pytest.raises(NotCsv) as refusal:
        read_here(written(tmp_path / "b.csv", "n,WKT\n1," + "x" * (MAX_FIELD_CHARACTERS + 1) + "\n"))
    assert refusal.value.facts["reason"] == "field_size"


@settings(max_examples=200)
@given(st.text(alphabet="SRID=;POLYGNMUTZ( 0123456789EMPTY\t", max_size=200))
def test_the_beginning_of_a_text_is_judged_without_an_exception(text: str) -> None:
    begun = _begin(text)
    assert (_shape(text) is None) or begun is not None
