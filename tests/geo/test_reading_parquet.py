"""GeoParquet as other programs write it, and Parquet that says more than it holds."""

import datetime
import decimal
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas
import pyarrow
import pyarrow.parquet
import pyproj
import pytest
import shapely
from shapely import MultiPolygon, Polygon

from geo.errors import NotGeoParquet, PrjMissing, ReaderStopped, TooManyFeatures
from geo.polygon import digest
from geo.vector import Limits, land_rows, read_parcels
from tests.geo.files import archive, read_here, shape_of
from tests.geo.shapes import QUZHOU, stand

OUTLINES: list[Polygon | MultiPolygon] = [
    stand(*QUZHOU, 1e-3, 1, hole=True),
    stand(*QUZHOU, 1e-3, 2, parts=2),
]
WKB: Mapping[str, Any] = {"encoding": "WKB", "geometry_types": []}


def parquet(path: Path, columns: Mapping[str, Any], about: Any, **more: Any) -> Path:
    """A file with this `geo` metadata (none if None)."""
    made = pyarrow.table(dict(columns))
    if about is not None:
        made = made.replace_schema_metadata(
            {b"geo": about if isinstance(about, bytes) else json.dumps(about)}
        )
    pyarrow.parquet.write_table(made, path, **more)
    return path


def geo(column: Mapping[str, Any] = WKB, **more: Any) -> dict[str, Any]:
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": dict(column)}} | more


def plain(path: Path, column: Mapping[str, Any] = WKB) -> Path:
    columns = {"n": [1, 2], "geometry": [shapely.to_wkb(outline) for outline in OUTLINES]}
    return parquet(path, columns, geo(column))


@pytest.mark.parametrize("options", [{}, {"geometry_encoding": "geoarrow"}, {"write_covering_bbox": True}])
def test_what_geopandas_writes_is_read_as_it_was(tmp_path: Path, options: Mapping[str, Any]) -> None:
    outlines = [MultiPolygon([o]) if isinstance(o, Polygon) else o for o in OUTLINES]
    frame = geopandas.GeoDataFrame({"村": ["上方", None]}, geometry=outlines, crs=4549)
    frame.to_parquet(tmp_path / "a.bin", schema_version="1.1.0", **options)
    found = read_here(tmp_path / "a.bin")
    assert (found.kind, found.crs) == ("parquet", "EPSG:4549")
    assert [row.attributes for row in found.rows] == [{"村": "上方"}, {"村": None}]
    for row, outline in zip(found.rows, outlines, strict=True):
        assert shape_of(row.wkb).equals_exact(outline, 0)


def test_plain_polygons_in_the_native_encoding_are_read(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame(geometry=[OUTLINES[0]], crs=4490)
    frame.to_parquet(tmp_path / "a.parquet", geometry_encoding="geoarrow", schema_version="1.1.0")
    (row,) = read_here(tmp_path / "a.parquet").rows
    assert digest(shape_of(row.wkb)) == digest(OUTLINES[0])  # type: ignore[arg-type]


def test_a_file_without_a_system_is_in_wgs_84_as_the_format_says(tmp_path: Path) -> None:
    found = read_parcels(plain(tmp_path / "a.parquet"))
    assert found.crs == "OGC:CRS84"
    assert [digest(row.geometry) for row in land_rows(found)] == [digest(outline) for outline in OUTLINES]


def test_a_system_that_is_stated_to_be_unknown_must_be_declared(tmp_path: Path) -> None:
    file = plain(tmp_path / "a.parquet", {**WKB, "crs": None})
    with pytest.raises(PrjMissing):
        read_here(file)
    assert read_parcels(file, crs=4490).crs == "EPSG:4490"


def test_the_drafts_wrote_the_system_as_text(tmp_path: Path) -> None:
    found = read_here(plain(tmp_path / "a.parquet", {**WKB, "crs": pyproj.CRS(4549).to_wkt()}))
    assert found.crs is not None
    assert pyproj.CRS(found.crs).to_epsg() == 4549


def test_a_system_without_a_code_comes_as_its_definition(tmp_path: Path) -> None:
    own = pyproj.CRS("+proj=tmerc +lon_0=118.5 +x_0=500000 +ellps=GRS80 +type=crs").to_json_dict()
    found = read_here(plain(tmp_path / "a.parquet", {**WKB, "crs": own}))
    assert found.crs is not None
    assert "118.5" in found.crs


def test_other_columns_become_text_and_numbers(tmp_path: Path) -> None:
    columns = {
        "geometry": [shapely.to_wkb(OUTLINES[0])],
        "on": [datetime.date(2025, 4, 5)],
        "ratio": [0.5],
        "none": pyarrow.array([float("nan")]),
        "yes": [True],
        "exact": [decimal.Decimal("1.10")],
        "list": [[1, 2]],
        "raw": [b"\x00\xff"],
        "树种": pyarrow.array(["杉木"]).dictionary_encode(),
    }
    (row,) = read_here(parquet(tmp_path / "a.parquet", columns, geo())).rows
    assert row.attributes == {
        "on": "2025-04-05", "ratio": 0.5, "none": None, "yes": 1, "exact": "1.10", "list": "[1, 2]",
        "raw": "00ff", "树种": "杉木",
    }  # fmt: skip


def test_rows_that_hold_no_outline_are_faults_of_their_own(tmp_path: Path) -> None:
    shapes = [None, b"", b"nonsense", shapely.to_wkb(shapely.Point(118.8, 28.9)), shapely.to_wkb(OUTLINES[0])]
    rows = read_here(parquet(tmp_path / "a.parquet", {"geometry": shapes}, geo())).rows
    codes = [None if row.problem is None else row.problem.code for row in rows]
    assert codes == [
        "geometry_empty",
        "geometry_empty",
        "geometry_unreadable",
        "geometry_not_polygonal",
        None,
    ]


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        (None, "no_geo"),
        (b"not json", "no_geo"),
        (b"[" * 100_000, "no_geo"),
        ([], "no_geo"),
        ({}, "column"),
        (geo(primary_column="other"), "column"),
        ({"primary_column": "land", "columns": {"land": dict(WKB)}}, "column"),
        ({"primary_column": "n", "columns": {"n": dict(WKB)}}, "column"),
        (geo({"encoding": "multipolygon"}), "column"),
        (geo({"encoding": "linestring"}), "encoding"),
        (geo({"encoding": "TWKB"}), "encoding"),
        (geo({}), "encoding"),
        (geo({**WKB, "edges": "spherical"}), "edges"),
        (geo({**WKB, "crs": {"type": "Nonsense"}}), "crs"),
        (geo({**WKB, "crs": [1]}), "crs"),
    ],
)
def test_a_file_that_does_not_say_what_it_holds_is_refused(tmp_path: Path, about: Any, reason: str) -> None:
    columns = {"n": [1], "geometry": [shapely.to_wkb(OUTLINES[0])]}
    with pytest.raises(NotGeoParquet) as refusal:
        read_here(parquet(tmp_path / "a.parquet", columns, about))
    assert refusal.value.facts["reason"] == reason


def test_a_file_cut_short_or_spoilt_is_refused(tmp_path: Path) -> None:
    data = plain(tmp_path / "a.parquet").read_bytes()
    for spoilt in (
        data[:-20],
        data[:40] + b"\xff" * 40 + data[80:],
        b"PAR1" + b"\x00" * 30,
        b"PAR1",
        data[:4] * 9,
    ):
        (tmp_path / "b.parquet").write_bytes(spoilt)
        with pytest.raises(NotGeoParquet):
            read_here(tmp_path / "b.parquet")


def test_it_may_come_in_an_archive(tmp_path: Path) -> None:
    data = plain(tmp_path / "a.parquet").read_bytes()
    assert len(read_here(archive(tmp_path / "a.zip", {"a.parquet": data})).rows) == 2


# --- bombs --------------------------------------------------------------------------------------------------


def test_rows_are_counted_before_they_are_read(tmp_path: Path) -> None:
    """A million equal rows take a few hundred bytes."""
    columns = {"geometry": pyarrow.array([b"x"] * 1_000_000)}
    file = parquet(tmp_path / "a.parquet", columns, geo())
    assert file.stat().st_size < 10_000
    with pytest.raises(TooManyFeatures) as refusal:
        read_parcels(file)
    assert refusal.value.facts["count"] == 1_000_000


def test_a_dictionary_that_expands_is_stopped_while_it_is_read(tmp_path: Path) -> None:
    """One value of a megabyte, 20,000 times: 20 GB in memory, a few kilobytes on disk."""
    big = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 20_000, pyarrow.int32()), pyarrow.array(["x" * (1 << 20)])
    )
    columns = {"geometry": pyarrow.array([b"x"] * 20_000), "note": big}
    file = parquet(tmp_path / "a.parquet", columns, geo(), compression="zstd")
    assert file.stat().st_size < 1 << 20
    with pytest.raises((NotGeoParquet, ReaderStopped)) as refusal:
        read_parcels(file)
    assert refusal.value.facts["reason"] in ("too_large", "memory")


def test_pages_that_unpack_to_more_than_is_allowed_are_refused_unread(tmp_path: Path) -> None:
    columns = {"geometry": [b"x"], "note": ["x" * (64 << 20)]}
    file = parquet(tmp_path / "a.parquet", columns, geo(), compression="zstd", use_dictionary=False)
    with pytest.raises(NotGeoParquet) as refusal:
        read_parcels(file, limits=Limits(unpacked_bytes=32 << 20))
    assert refusal.value.facts["reason"] == "too_large"


def test_columns_beyond_count_are_refused(tmp_path: Path) -> None:
    columns = {"geometry": [b"x"]} | {f"c{i}": [1] for i in range(1001)}
    with pytest.raises(NotGeoParquet) as refusal:
        read_here(parquet(tmp_path / "a.parquet", columns, geo()))
    assert refusal.value.facts["reason"] == "too_large"
