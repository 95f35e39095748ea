"""What is exported is what was kept: read back by our own reader, by pyogrio and by geopandas."""

import json
import threading
from pathlib import Path

import pyogrio
import pyproj
import pytest
import shapely

from geo.export import ExportRow, Field, Format, write
from geo.polygon import canonical, polygonal
from geo.vector import read_parcels

FIELDS = [
    Field("code", "text"),
    Field("units", "integer"),
    Field("area_mu", "number"),
    Field("masked", "boolean"),
]
RING = shapely.Point(118.84, 28.91).buffer(0.004).exterior.coords
ROWS = [
    ExportRow(
        canonical(outline), {"code": code, "units": units, "area_mu": 1234.5678, "masked": units is None}
    )
    for outline, code, units in (
        (shapely.box(118.8, 28.9, 118.80512345678, 28.90298765432), "甲村-01-001", 7),
        (shapely.Polygon(RING, [shapely.Point(118.84, 28.91).buffer(0.001).exterior.coords]), "𠮷", None),
        (
            shapely.MultiPolygon(
                [shapely.box(119, 29, 119.01, 29.01), shapely.box(119.02, 29, 119.03, 29.01)]
            ),
            '=HYPERLINK("x")',
            0,
        ),
    )
]


@pytest.mark.parametrize("kind", list(Format))
def test_what_is_written_is_read_back_by_our_own_reader(kind: Format, tmp_path: Path) -> None:
    path = tmp_path / f"parcels{kind.suffix}"
    assert write(path, kind, FIELDS, iter(ROWS)) == 3
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    read = read_parcels(path)
    assert len(read.rows) == 3
    for found, row in zip(read.rows, ROWS, strict=True):
        assert found.geometry is not None
        assert shapely.equals_exact(canonical(polygonal(found.geometry)), row.outline, 1e-9)
        assert found.attributes["code"] == row.values["code"]
        assert found.attributes["units"] == row.values["units"]
        assert found.attributes["area_mu"] == row.values["area_mu"]


def test_a_geopackage_states_its_system_and_finds_by_box(tmp_path: Path) -> None:
    path = tmp_path / "parcels.gpkg"
    write(path, Format.GPKG, FIELDS, ROWS)
    told = pyogrio.read_info(path)
    assert (told["crs"], told["features"], told["geometry_type"]) == ("EPSG:4490", 3, "MultiPolygon")
    found = pyogrio.read_dataframe(path, bbox=(118.83, 28.9, 118.85, 28.92))
    assert found["code"].tolist() == ["𠮷"]
    assert found["units"].isna().tolist() == [True] and found["masked"].tolist() == [True]


def test_geoparquet_is_as_its_specification_says_and_geopandas_reads_it(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    import pyarrow.parquet as pq

    path = tmp_path / "parcels.parquet"
    write(path, Format.GEOPARQUET, FIELDS, ROWS)
    geo = json.loads(pq.read_metadata(path).metadata[b"geo"])
    column = geo["columns"]["geometry"]
    assert (geo["version"], geo["primary_column"], column["encoding"]) == ("1.1.0", "geometry", "WKB")
    assert column["geometry_types"] == ["MultiPolygon", "Polygon"]
    assert pyproj.CRS.from_json_dict(column["crs"]) == pyproj.CRS.from_epsg(4490)
    assert column["bbox"] == list(shapely.total_bounds([row.outline for row in ROWS]))
    frame = geopandas.read_parquet(path)
    assert frame.crs.to_epsg() == 4490
    assert [a.equals(b.outline) for a, b in zip(frame.geometry, ROWS, strict=True)] == [True] * 3
    assert frame["code"].tolist() == [row.values["code"] for row in ROWS]
    assert len(geopandas.read_parquet(path, bbox=(119.0, 29.0, 119.1, 29.1))) == 1


@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize("rows", [ROWS, []], ids=["three rows", "none"])
def test_the_same_rows_give_the_same_bytes(kind: Format, rows: list[ExportRow], tmp_path: Path) -> None:
    first, second = (tmp_path / f"{name}{kind.suffix}" for name in "ab")
    threads = [threading.Thread(target=write, args=(path, kind, FIELDS, rows)) for path in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("kind", list(Format))
def test_what_breaks_off_leaves_nothing(kind: Format, tmp_path: Path) -> None:
    def broken() -> object:
        yield ROWS[0]
        raise LookupError

    with pytest.raises(LookupError):
        write(tmp_path / f"parcels{kind.suffix}", kind, FIELDS, broken())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
