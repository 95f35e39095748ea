"""Exact shares, held against shapely cell by cell and against exactextract."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from exactextract import exact_extract
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon, box

from geo.coverage import BLOCK, Coverage, build_coverage, cover_parcels
from geo.crs import Polygonal, area_m2, from_store
from geo.errors import CoverageNotClosed, CoverageUnreadable, RasterDoesNotCover, RasterGridMismatch
from geo.pixels import (
    class_areas_m2,
    eligible,
    error_sums,
    merged_pixels,
    sample_parcels,
    table_sums,
)
from geo.raster import Grid, RasterSource, write_geotiff
from geo.vector import land_rows, read_parcels
from geo.zonal import zonal_sums
from tests.geo.shapes import degrees_box, stand

PLANE = Grid("EPSG:4549", 380_000.0, 3_210_000.0, 10.0, 10.0, 1_300, 1_100)
DEGREES = Grid("EPSG:4490", 118.80, 29.00, 0.0003, 0.00025, 700, 600)


def dense(coverage: Coverage, parcel: int) -> NDArray[np.float64]:
    """Shares of one parcel as a full array."""
    grid = coverage.grid
    result = np.zeros((grid.height, grid.width))
    for segment in np.flatnonzero(coverage.segment_parcel == parcel):
        row0, column0, _, _ = coverage.block_window(int(coverage.segment_block[segment]))
        for j in range(coverage.segment_cells[segment], coverage.segment_cells[segment + 1]):
            row, column = divmod(int(coverage.cell_offset[j]), BLOCK)
            result[row0 + row, column0 + column] += coverage.cell_share[j]
        for j in range(coverage.segment_runs[segment], coverage.segment_runs[segment + 1]):
            row, column = divmod(int(coverage.run_offset[j]), BLOCK)
            start = column0 + column
            result[row0 + row, start : start + int(coverage.run_length[j])] += 1
    return result


def by_shapely(geometry: Polygonal, grid: Grid) -> NDArray[np.float64]:
    """The same from intersections with every cell near the polygon."""
    result = np.zeros((grid.height, grid.width))
    west, south, east, north = geometry.bounds
    columns = np.arange(grid.width)
    columns = columns[(grid.x0 + (columns + 1) * grid.dx > west) & (grid.x0 + columns * grid.dx < east)]
    rows = np.arange(grid.height)
    rows = rows[(grid.y0 - rows * grid.dy > south) & (grid.y0 - (rows + 1) * grid.dy < north)]
    if len(columns) == 0 or len(rows) == 0:
        return result
    x, y = np.meshgrid(grid.x0 + columns * grid.dx, grid.y0 - rows * grid.dy)
    cells = shapely.box(x, y - grid.dy, x + grid.dx, y)
    shapely.prepare(geometry)
    shares = shapely.contains(geometry, cells).astype(np.float64)
    cut = (shares == 0) & shapely.intersects(geometry, cells)
    shares[cut] = shapely.area(shapely.intersection(geometry, cells[cut])) / (grid.dx * grid.dy)
    result[np.ix_(rows, columns)] = shares
    return result


@given(
    st.floats(-0.1, 1.1),
    st.floats(-0.1, 1.1),
    st.floats(2, 900),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.integers(1, 2),
)
@settings(max_examples=40, deadline=None)
def test_shares_are_those_of_intersections_cell_by_cell(
    x: float, y: float, size: float, seed: int, hole: bool, parts: int
) -> None:
    """Across block borders, over the raster's edge, smaller than a cell, with holes and in parts."""
    outline = stand(380_000 + 13_000 * x, 3_210_000 - 11_000 * y, size, seed, hole=hole, parts=parts)
    coverage = build_coverage([outline], PLANE, ground_m2=np.array([outline.area]))
    assert np.abs(dense(coverage, 0) - by_shapely(outline, PLANE)).max() < 1e-7


@pytest.mark.parametrize(
    "outline",
    [
        box(385_120, 3_204_880, 385_130, 3_204_890),  # one cell at a block corner
        box(385_115, 3_204_875, 385_125, 3_204_885),  # quarters of four blocks
        Polygon([(380_003, 3_209_997), (386_991, 3_204_013), (386_999, 3_204_003), (380_001, 3_209_990)]),
        Polygon(
            box(384_000, 3_203_000, 386_500, 3_206_000).exterior,
            [box(384_505, 3_203_505, 386_005, 3_205_505).exterior],
        ),
        MultiPolygon(
            [box(385_000, 3_205_000, 385_004, 3_205_010), box(385_006, 3_205_000, 385_009, 3_205_010)]
        ),
    ],
)
def test_awkward_outlines_are_exact(outline: Polygonal) -> None:
    coverage = build_coverage([outline], PLANE, ground_m2=np.array([outline.area]))
    expected = by_shapely(outline, PLANE)
    assert np.abs(dense(coverage, 0) - expected).max() < 1e-7
    assert coverage.covered_m2()[0] == pytest.approx(expected.sum() * 100, rel=1e-7)


def many(count: int) -> list[Polygonal]:
    """Recorded parcels scattered over the grids, larger than one block at times."""
    rng = np.random.default_rng(7)
    return [
        stand(
            float(rng.uniform(118.82, 118.88)),
            float(rng.uniform(28.92, 28.98)),
            float(rng.uniform(3e-4, 8e-3)),
            i,
            hole=i % 3 == 0,
            parts=1 + (i % 7 == 0),
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("grid", [PLANE, DEGREES])
def test_coverage_closes_and_weights_add_up_to_the_area_of_record(grid: Grid) -> None:
    parcels = many(60)
    coverage = cover_parcels(parcels, grid)
    whole = coverage.unmeasured_m2() == 0
    assert whole.sum() > 40
    assert np.abs(coverage.inside_share[whole] - 1).max() <= 1e-7
    areas = np.array([area_m2(p) for p in parcels])
    np.testing.assert_allclose(coverage.covered_m2()[whole], areas[whole], rtol=1e-12)
    np.testing.assert_allclose(coverage.covered_m2() + coverage.unmeasured_m2(), areas, rtol=1e-7)


def test_the_result_is_the_same_bit_for_bit_for_any_number_of_workers(tmp_path: Path) -> None:
    parcels = many(40) * 60  # several chunks
    agb = np.random.default_rng(1).uniform(0, 300, (PLANE.height, PLANE.width)).astype(np.float32)
    write_geotiff(tmp_path / "agb.tif", agb, PLANE, -1.0)
    moved = [from_store(p, PLANE.crs) for p in parcels[:40]] * 60
    areas = np.tile([area_m2(p) for p in parcels[:40]], 60)
    first: tuple[bytes, bytes] | None = None
    for workers in (1, 2, 4):
        coverage = build_coverage(moved, PLANE, ground_m2=areas, workers=workers)
        coverage.save(tmp_path / f"{workers}.npz")
        with RasterSource.open(tmp_path / "agb.tif") as raster:
            sums = repr(zonal_sums(coverage, raster, workers=workers).rows("")).encode()
        result = ((tmp_path / f"{workers}.npz").read_bytes(), sums)
        first = first or result
        assert result == first


def test_coverage_is_kept_and_read_again(tmp_path: Path) -> None:
    coverage = cover_parcels(many(20), PLANE)
    coverage.save(tmp_path / "kept.npz")
    again = Coverage.load(tmp_path / "kept.npz")
    assert again.grid == coverage.grid
    for name in ("segment_parcel", "cell_share", "run_length", "scale", "block_segments"):
        assert np.array_equal(getattr(again, name), getattr(coverage, name))
    (tmp_path / "kept.npz").write_bytes((tmp_path / "kept.npz").read_bytes()[:999])
    with pytest.raises(CoverageUnreadable):
        Coverage.load(tmp_path / "kept.npz")


def test_an_invalid_outline_does_not_close() -> None:
    tie = Polygon([(381_000, 3_201_000), (381_300, 3_201_300), (381_300, 3_201_000), (381_000, 3_201_250)])
    with pytest.raises(CoverageNotClosed):
        build_coverage([tie], PLANE)


def test_a_parcel_outside_the_raster_is_unmeasured_and_can_be_refused() -> None:
    half = from_store(box(118.79, 28.9, 118.81, 28.92), 4490)
    coverage = cover_parcels([many(1)[0], half, degrees_box(100, 30, 100, 100)], DEGREES)
    assert coverage.unmeasured_m2()[1] == pytest.approx(area_m2(half) / 2, rel=1e-6)
    assert coverage.unmeasured_m2()[2] == pytest.approx(10_000, rel=0.02)
    with pytest.raises(RasterDoesNotCover) as refusal:
        coverage.require_inside()
    assert refusal.value.facts["parcel"] == 1


def test_no_parcels_is_not_an_error(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "x.tif", np.ones((PLANE.height, PLANE.width), np.float32), PLANE)
    coverage = cover_parcels([], PLANE)
    with RasterSource.open(tmp_path / "x.tif") as raster:
        assert zonal_sums(coverage, raster).rows("") == []
        assert sample_parcels(coverage, {"x": raster}).parcels == 0


# --- zonal --------------------------------------------------------------------------------------------------


def test_a_constant_density_gives_area_times_density(tmp_path: Path) -> None:
    parcels = many(30)
    for grid in (PLANE, DEGREES):
        write_geotiff(tmp_path / "c.tif", np.full((grid.height, grid.width), 80, np.float32), grid)
        coverage = cover_parcels(parcels, grid)
        with RasterSource.open(tmp_path / "c.tif") as raster:
            streamed = zonal_sums(coverage, raster).rows(raster.sha256)
            packed = table_sums(sample_parcels(coverage, {"agb": raster}), "agb")
        for one, other, outline in zip(streamed, packed, parcels, strict=True):
            assert one.area_m2 == area_m2(outline)
            assert one.total == pytest.approx(80 * (one.area_m2 - one.unmeasured_m2), rel=1e-12)
            assert one.mean == pytest.approx(80)
            assert one.measured_m2 > 0
            assert other.total == pytest.approx(one.total, rel=1e-12)
            assert other.unmeasured_m2 == pytest.approx(one.unmeasured_m2, abs=1e-6)


def test_the_published_vector_of_a_masked_total_with_a_gap(tmp_path: Path) -> None:
    """V10: six pixels of 1 ha, one not eligible, one without a value."""
    grid = Grid("EPSG:4549", 500_000.0, 3_210_000.0, 100.0, 100.0, 6, 1)
    agb = np.array([[62.0, 71.5, 80.3, 55.2, -9999, 90.8]], np.float64)
    write_geotiff(tmp_path / "agb.tif", agb, grid, -9999.0, block=16)
    write_geotiff(tmp_path / "cover.tif", np.array([[2, 2, 2, 5, 2, 2]], np.uint8), grid, block=16)
    shares = [0.25, 1.0, 0.6, 1.0, 0.4, 0.85]
    boxes = [
        box(500_000 + 100 * i, 3_209_900, 500_100 + 100 * i, 3_209_900 + 100 * s)
        for i, s in enumerate(shares)
    ]
    outline = shapely.union_all(boxes)
    assert isinstance(outline, Polygon)
    coverage = build_coverage([outline], grid, ground_m2=np.array([41_000.0]))
    with (
        RasterSource.open(tmp_path / "agb.tif") as raster,
        RasterSource.open(tmp_path / "cover.tif") as cover,
    ):
        table = sample_parcels(coverage, {"agb": raster, "cover": cover})
    (found,) = table_sums(table, "agb", eligible=eligible(table, "cover", {2}))
    assert found.area_m2 == pytest.approx(31_000, rel=1e-7)
    assert found.valid_share == pytest.approx(0.8709677419, rel=1e-6)
    assert found.total / 10_000 == pytest.approx(212.36, rel=1e-6)
    assert found.mean == pytest.approx(78.65185185, rel=1e-6)
    (areas,) = class_areas_m2(table, "cover")
    assert areas == {2: pytest.approx(31_000), 5: pytest.approx(10_000)}


def test_the_published_vector_of_correlated_errors() -> None:
    """V11, the part that belongs to rasters: SE from the two sums."""
    weight = np.array([0.25, 1.0, 0.6, 0.85])
    deviation = np.array([1.915724406, 2.078460969, 2.337520053, 2.531402773])
    assert error_sums(weight, deviation).standard_error(0.1) == pytest.approx(3.710355324, rel=1e-8)


def test_pixels_on_a_common_border_count_once_in_a_joint_error(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "x.tif", np.ones((PLANE.height, PLANE.width), np.float32), PLANE)
    left, right = box(381_000, 3_201_000, 381_055, 3_201_050), box(381_055, 3_201_000, 381_100, 3_201_050)
    coverage = build_coverage([left, right], PLANE)
    with RasterSource.open(tmp_path / "x.tif") as raster:
        table = sample_parcels(coverage, {"x": raster})
    entries, weight = merged_pixels(table, [0, 1])
    assert len(table.pixel) == 55
    assert len(entries) == 50
    assert weight.sum() == pytest.approx(table.weight_m2.sum())
    assert np.ptp(weight) < 0.01


def test_a_raster_of_another_grid_is_refused_within_one_call(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "a.tif", np.ones((PLANE.height, PLANE.width), np.float32), PLANE)
    write_geotiff(tmp_path / "b.tif", np.ones((DEGREES.height, DEGREES.width), np.uint8), DEGREES)
    coverage = cover_parcels(many(3), PLANE)
    with RasterSource.open(tmp_path / "a.tif") as a, RasterSource.open(tmp_path / "b.tif") as b:
        with pytest.raises(RasterGridMismatch):
            sample_parcels(coverage, {"a": a, "b": b})
        with pytest.raises(RasterGridMismatch):
            zonal_sums(coverage, b)


# --- second opinion -----------------------------------------------------------------------------------------


def scattered(bounds: tuple[float, float, float, float], size: float, count: int) -> list[Polygonal]:
    rng = np.random.default_rng(3)
    west, south, east, north = bounds
    places = rng.uniform((west, south, 0.05), (east, north, 1.0), (count, 3)).tolist()
    return [stand(x, y, size * share, i, hole=i % 2 == 0) for i, (x, y, share) in enumerate(places)]


@pytest.mark.parametrize(
    "name",
    [
        "sao_miguel/eu_dem_v11.tif",
        "sao_miguel/clc2018_v2020_20u1.tif",
        "hispaniola/gfw_forest_carbon_gross_emissions_Mg_CO2e_px_20N_080W.tif",
        "hispaniola/Hansen_GFC-2023-v1.11_treecover2000_20N_080W.tif",
        "hispaniola/NASADEM_HGT_n18w072.tif",
    ],
)
def test_exactextract_agrees_on_real_rasters(real_data: Path, name: str) -> None:
    file = real_data / "rasters" / name
    with RasterSource.open(file) as raster:
        grid = raster.grid
        east, south = grid.x0 + grid.dx * grid.width, grid.y0 - grid.dy * grid.height
        parcels = scattered((grid.x0, south, east, grid.y0), (east - grid.x0) / 8, 40)
        if name.startswith("sao_miguel"):
            municipalities = read_parcels(real_data / "rasters" / "sao_miguel" / "concelhos.gpkg")
            parcels += [row.geometry for row in land_rows(municipalities)]
        coverage = cover_parcels(parcels, grid)
        table = sample_parcels(coverage, {"v": raster}, workers=2)
    frame = geopandas.GeoDataFrame({"id": range(len(parcels))}, geometry=parcels, crs="EPSG:4326")
    theirs = exact_extract(str(file), frame, ["sum", "count"], output="pandas")
    # their weights are shares; ours are areas: divide ours by the area of each cell
    share = table.weight_m2 / coverage.scale[table.parcel_of_pixel()]
    share /= coverage.row_areas_m2(0, grid.height)[table.pixel // grid.width]
    good = table.valid["v"]
    sums = table.sums(np.where(good, share * table.values["v"], 0))
    counts = table.sums(np.where(good, share, 0))
    np.testing.assert_allclose(counts, theirs["count"].to_numpy(), rtol=1e-6, atol=1e-6)
    known = theirs["count"].to_numpy() > 1e-6
    np.testing.assert_allclose(sums[known], theirs["sum"].to_numpy()[known], rtol=1e-6, atol=1e-5)
