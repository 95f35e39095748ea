"""Sums of rasters under parcels, held against intersections cell by cell and values one by one."""

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon, box
from shapely.ops import split

from geo.classes import class_areas
from geo.coverage import Coverage, build_coverage, cover_parcels
from geo.crs import Polygonal, area_m2
from geo.errors import RasterBandMissing, RasterGridMismatch, RasterNotClasses
from geo.packed import PackedMask, PackedStore, pack, packed_sums, parcel_of_values, values_of_segments
from geo.pixels import sample_parcels, table_sums
from geo.raster import Grid, RasterSource, write_geotiff
from geo.zonal import Layer, Mask, ZonalSums, zonal_sums, zonal_sums_of
from tests.geo.shapes import degrees_box, stand

PLANE = Grid("EPSG:4549", 380_000.0, 3_210_000.0, 10.0, 10.0, 540, 530)
WEST, SOUTH, EAST, NORTH = 380_000, 3_204_700, 385_400, 3_210_000


@lru_cache(maxsize=200)
def shares(outline: Polygonal, grid: Grid) -> NDArray[np.float64]:
    """Share of each cell, by intersection."""
    west, south, east, north = outline.bounds
    columns, rows = np.arange(grid.width), np.arange(grid.height)
    columns = columns[(grid.x0 + (columns + 1) * grid.dx > west) & (grid.x0 + columns * grid.dx < east)]
    rows = rows[(grid.y0 - rows * grid.dy > south) & (grid.y0 - (rows + 1) * grid.dy < north)]
    found = np.zeros((grid.height, grid.width))
    if len(columns) and len(rows):
        x, y = np.meshgrid(grid.x0 + columns * grid.dx, grid.y0 - rows * grid.dy)
        cells = shapely.box(x, y - grid.dy, x + grid.dx, y)
        shapely.prepare(outline)
        whole = shapely.contains(outline, cells)
        cut = shapely.intersects(outline, cells) & ~whole
        share = whole.astype(np.float64)
        share[cut] = shapely.area(shapely.intersection(outline, cells[cut])) / (grid.dx * grid.dy)
        found[np.ix_(rows, columns)] = share
    return found


AWKWARD: list[Polygonal] = [
    box(WEST, SOUTH, EAST, NORTH),  # the raster itself
    box(WEST - 100, SOUTH - 100, EAST + 100, NORTH + 100),
    box(385_120, 3_204_870, 385_130, 3_204_880),  # one cell at a corner of blocks
    box(385_115, 3_204_875, 385_125, 3_204_885),
    Polygon([(380_003, 3_209_997), (385_391, 3_204_713), (385_399, 3_204_703), (380_001, 3_209_990)]),
    Polygon([(381_000, 3_206_000), (381_400, 3_206_000.3), (381_400, 3_206_000.31)]),  # thinner than a cell
    box(384_990, 3_206_001, 385_250, 3_206_001.5),
    Polygon([(382_000, 3_207_000), (382_050, 3_207_010), (382_100, 3_207_000), (382_050, 3_207_090)]),
    Polygon(
        box(382_000, 3_204_750, 385_200, 3_208_000).exterior,
        [
            box(382_105, 3_204_805, 385_105, 3_207_905).exterior,
            box(382_010, 3_207_950, 382_020, 3_207_960).exterior,
        ],
    ),
    MultiPolygon([box(385_000, 3_205_000, 385_004, 3_205_010), box(385_006, 3_205_000, 385_009, 3_205_010)]),
    MultiPolygon([stand(380_000, 3_210_000, 300, 1, hole=True), stand(385_400, 3_204_700, 400, 2)]),
    stand(385_120, 3_204_880, 900, 3, hole=True, parts=2),
    stand(383_000, 3_207_000, 3, 4),
]


def written(path: Path, kind: str, seed: int = 0) -> tuple[Path, NDArray[np.float64]]:
    """A raster of a type with gaps of every sort, and its values (not-a-number in the gaps)."""
    rng = np.random.default_rng(seed)
    shape = (PLANE.height, PLANE.width)
    numbers = rng.uniform(1, 200, shape)
    gap = rng.uniform(0, 1, shape) < 0.05
    if kind.startswith("float"):
        array = np.round(numbers, 1).astype(kind)
        array[gap] = rng.choice(np.array([-9999.0, np.nan, np.inf, -np.inf]), int(gap.sum()))
        nodata: float | None = -9999.0
    else:
        array = numbers.astype(kind.split("*", maxsplit=1)[0])
        array[gap], nodata = 255, 255
    write_geotiff(path, array, PLANE, nodata)
    values = array.astype(np.float64)
    if kind == "uint16*0.1":
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets = (0.1,), (-3.0,)
        values = values * 0.1 - 3.0
    if kind == "uint8*masked":
        hidden = rng.uniform(0, 1, shape) < 0.1
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
            file.nodata = None
            file.write_mask(~(hidden | gap))
        gap |= hidden
    return path, np.where(gap, np.nan, values)


KINDS = ("float32", "float64", "uint8", "int16", "uint16*0.1", "uint8*masked")


@pytest.mark.parametrize("kind", KINDS)
def test_sums_are_those_of_intersections_cell_by_cell(tmp_path: Path, kind: str) -> None:
    """Within 1e-7, as stored, scaled or masked; from the file and packed, to the bit."""
    path, values = written(tmp_path / "x.tif", kind)
    coverage = build_coverage(AWKWARD, PLANE, ground_m2=shapely.area(np.array(AWKWARD)))
    with RasterSource.open(path) as raster:
        found = zonal_sums(coverage, raster, spread=True)
        packed = packed_sums(coverage, pack(coverage, raster), spread=True, workers=2)
        table = table_sums(sample_parcels(coverage, {"x": raster}), "x")
    seen = np.isfinite(values)
    known = np.where(seen, values, 0)
    for n, outline in enumerate(AWKWARD):
        weight = np.where(seen, shares(outline, PLANE) * 100, 0)
        exact = float(np.sum(weight * known))
        assert found.total[n] == pytest.approx(exact, rel=1e-7)
        assert found.measured_m2[n] == pytest.approx(weight.sum(), rel=1e-7)
        assert table[n].total == pytest.approx(found.total[n], rel=1e-12)
        here = values[weight > 1e-6]
        assert found.minimum is not None
        assert found.maximum is not None
        assert found.variance is not None
        assert (found.minimum[n], found.maximum[n]) == (here.min(), here.max())
        mean = exact / weight.sum()
        assert found.mean[n] == pytest.approx(mean, rel=1e-7)
        squares = np.sum(weight * (known - mean) ** 2) / weight.sum()
        assert found.variance[n] == pytest.approx(squares, rel=1e-6, abs=1e-6)
    assert same(found, packed)


def same(one: ZonalSums, other: ZonalSums) -> bool:
    names = ("total", "measured_m2", "area_m2", "minimum", "maximum", "variance")
    return all(
        np.array_equal(
            np.asarray(getattr(one, n), np.float64), np.asarray(getattr(other, n), np.float64), True
        )
        for n in names
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans())
@settings(max_examples=12, deadline=None)
def test_any_outline_over_any_edge_sums_exactly(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: int, hole: bool
) -> None:
    folder = tmp_path_factory.mktemp("x")
    path, values = written(folder / "x.tif", "float32", seed % 97)
    rng = np.random.default_rng(seed)
    x, y = float(rng.uniform(WEST - 50, EAST + 50)), float(rng.uniform(SOUTH - 50, NORTH + 50))
    outline = stand(x, y, float(size**2), seed, hole=hole, parts=1 + seed % 2)
    coverage = build_coverage([outline], PLANE, ground_m2=np.array([outline.area]))
    with RasterSource.open(path) as raster:
        found = zonal_sums(coverage, raster)
    exact = np.nansum(shares(outline, PLANE) * 100 * np.where(np.isfinite(values), values, np.nan))
    assert found.total[0] == pytest.approx(exact, rel=1e-7, abs=1e-6)


def land() -> list[Polygonal]:
    rng = np.random.default_rng(3)
    drawn = rng.uniform((WEST, SOUTH, 20), (EAST, NORTH, 400), (25, 3)).tolist()
    return [stand(x, y, s, n, hole=n % 4 == 0, parts=1 + (n % 5 == 0)) for n, (x, y, s) in enumerate(drawn)]


def laid(outlines: list[Polygonal]) -> Coverage:
    return build_coverage(outlines, PLANE, ground_m2=shapely.area(np.array(outlines)))


def test_sums_do_not_depend_on_workers_on_company_or_on_what_else_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any number of threads, any cut into items, parcels alone or together, layers alone or together."""
    everything = land()
    coverage = laid(everything)
    paths = [written(tmp_path / f"{n}.tif", kind, n)[0] for n, kind in enumerate(KINDS)]
    sources = [RasterSource.open(path) for path in paths]
    cover = Mask(sources[2], tuple(range(1, 100)))
    layers = [Layer(source, spread=True) for source in sources]
    layers += [Layer(sources[0], masks=(cover,)), Layer(sources[1], masks=(cover,), spread=True)]
    told: list[tuple[str, int, int]] = []
    together = zonal_sums_of(coverage, layers, progress=lambda *one: told.append(one))
    assert told[-1][1] == told[-1][2] > 0
    for workers in (2, 4):
        again = zonal_sums_of(coverage, layers, workers=workers)
        assert all(same(a, b) for a, b in zip(together, again, strict=True))
    monkeypatch.setattr("geo.spans._BLOCKS", 1)
    for layer, expected in zip(layers, together, strict=True):
        alone = zonal_sums(coverage, layer.source, masks=layer.masks, spread=layer.spread)
        assert same(alone, expected)
    some = [17, 3, 24, 3]
    few = zonal_sums_of(laid([everything[n] for n in some]), layers)
    for a, b in zip(few, together, strict=True):
        assert np.array_equal(a.total, b.total[some])
        assert np.array_equal(a.area_m2, b.area_m2[some])
    for source in sources:
        source.close()


def test_masks_leave_the_least_of_their_shares(tmp_path: Path) -> None:
    """Classes at two dates and a raster of shares; where a mask knows nothing, nothing is asked."""
    outlines = land()
    coverage = laid(outlines)
    first, cover_1 = written(tmp_path / "1.tif", "uint8", 1)
    second, cover_2 = written(tmp_path / "2.tif", "int16", 2)
    share = np.random.default_rng(4).uniform(0, 1.2, cover_1.shape).astype(np.float32)
    share[::7, ::5] = np.nan
    write_geotiff(tmp_path / "3.tif", share, PLANE)
    path, values = written(tmp_path / "x.tif", "float32")
    forest = tuple(range(1, 150))
    with (
        RasterSource.open(first) as a,
        RasterSource.open(second) as b,
        RasterSource.open(tmp_path / "3.tif") as c,
        RasterSource.open(path) as raster,
    ):
        masks = (Mask(a, forest), Mask(b, forest), Mask(c, None))
        found = zonal_sums(coverage, raster, masks=masks, workers=2)
        packs = [PackedMask(pack(coverage, m.source), m.classes) for m in masks]
        packed = packed_sums(coverage, pack(coverage, raster), masks=packs, workers=2)
        ready = np.minimum.reduce([one.shares() for one in packs])
        assert same(packed, packed_sums(coverage, pack(coverage, raster), masks=[ready]))
        with pytest.raises(ValueError, match="each packed cell"):
            packed_sums(coverage, pack(coverage, raster), masks=[ready[1:]])
    assert same(found, packed)
    chosen = np.isin(cover_1, forest) & np.isin(cover_2, forest)
    mask = np.where(chosen & np.isfinite(share), np.clip(share, 0, 1), 0).astype(np.float64)
    for n, outline in enumerate(outlines):
        weight = shares(outline, PLANE) * 100 * mask
        assert found.area_m2[n] == pytest.approx(weight.sum(), rel=1e-6, abs=1e-6)
        good = np.isfinite(values)
        assert found.total[n] == pytest.approx(np.sum(weight[good] * values[good]), rel=1e-6, abs=1e-6)
        assert found.measured_m2[n] == pytest.approx(weight[good].sum(), rel=1e-6, abs=1e-6)


def test_packed_values_are_kept_and_a_damaged_file_is_read_again(tmp_path: Path) -> None:
    coverage = laid(land())
    keys = [f"{n:064x}" for n in range(25)]
    path, _ = written(tmp_path / "x.tif", "uint8*masked")
    store = PackedStore(tmp_path / "packed")
    with RasterSource.open(path) as raster:
        expected = zonal_sums(coverage, raster)
        assert same(packed_sums(coverage, store.values(coverage, keys, raster)), expected)
        (file,) = (tmp_path / "packed").iterdir()
        before = file.read_bytes()
        assert same(packed_sums(coverage, store.values(coverage, keys, raster, workers=2)), expected)
        file.write_bytes(before[:5000] + bytes([before[5000] ^ 1]) + before[5001:])
        assert same(packed_sums(coverage, store.values(coverage, keys, raster)), expected)
        assert store.damaged == [file.name]
        assert file.read_bytes() == before
        with pytest.raises(ValueError, match="25 parcels with 24 keys"):
            store.values(coverage, keys[1:], raster)
        PackedStore(tmp_path / "packed", limit_bytes=10).trim()
        assert list((tmp_path / "packed").iterdir()) == []
        packed = pack(coverage, raster)
    owner = parcel_of_values(coverage)
    assert len(owner) == len(packed.values) == values_of_segments(coverage)[-1]
    assert np.bincount(owner, minlength=25)[0] == len(packed.values[owner == 0])


def test_packed_values_of_another_raster_are_not_taken(tmp_path: Path) -> None:
    coverage, keys = laid(land()[:3]), [f"{n:064x}" for n in range(3)]
    store = PackedStore(tmp_path / "packed")
    found = []
    for n in range(2):
        with RasterSource.open(written(tmp_path / f"{n}.tif", "float32", n)[0]) as raster:
            found.append(packed_sums(coverage, store.values(coverage, keys, raster)).total)
            assert np.array_equal(found[-1], zonal_sums(coverage, raster).total)
    assert not np.array_equal(found[0], found[1])


def test_packed_values_go_with_any_parcel_that_is_not_kept_on(tmp_path: Path) -> None:
    coverage, keys = laid(land()[:3]), [f"{n:064x}" for n in range(3)]
    store = PackedStore(tmp_path / "packed")
    assert store.keep_only(keys) == 0
    with RasterSource.open(written(tmp_path / "x.tif", "float32")[0]) as raster:
        store.values(coverage, keys, raster)
        store.values(laid(land()[:2]), keys[:2], raster)
        (tmp_path / "packed" / "old.values").write_bytes(b"of another format")
        assert store.keep_only([*keys, "ab" * 32]) == 1
        assert store.keep_only(keys[:2]) == 1
        assert len(list((tmp_path / "packed").iterdir())) == 1
        assert store.keep_only(keys[1:]) == 1
    assert list((tmp_path / "packed").iterdir()) == []


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint8*masked", "int32"])
def test_areas_of_classes_are_those_of_cells(tmp_path: Path, kind: str) -> None:
    outlines = land()[:8]
    coverage = laid(outlines)
    path, values = written(tmp_path / "cover.tif", kind)
    with RasterSource.open(path) as raster:
        found = class_areas(coverage, raster)
        again = class_areas(laid(outlines[3:8]), raster, workers=2)
        table = sample_parcels(coverage, {"cover": raster})
    assert list(pairwise(found.classes)) == sorted(pairwise(found.classes))
    for n, outline in enumerate(outlines):
        weight = shares(outline, PLANE) * 100
        exact = {
            int(c): weight[values == c].sum() for c in np.unique(values[(weight > 1e-7) & ~np.isnan(values)])
        }
        assert found.of(n) == {c: pytest.approx(a, rel=1e-6) for c, a in exact.items() if a > 1e-6}
    assert again.of(2) == found.of(5)
    assert table.parcels == len(found.area_m2)


def test_numbers_with_fractions_are_no_classes(tmp_path: Path) -> None:
    for kind in ("float32", "uint16*0.1"):
        with (
            RasterSource.open(written(tmp_path / "x.tif", kind)[0]) as raster,
            pytest.raises(RasterNotClasses),
        ):
            class_areas(laid(land()[:1]), raster)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (600, 1), (513, 512), (3, 2)])
def test_small_rasters_and_single_pixels(tmp_path: Path, size: tuple[int, int]) -> None:
    height, width = size
    grid = Grid("EPSG:4549", 380_000.0, 3_210_000.0, 10.0, 10.0, width, height)
    array = np.arange(height * width, dtype=np.float32).reshape(size)
    write_geotiff(tmp_path / "x.tif", array, grid, block=16)
    outlines: list[Polygonal] = [
        box(379_000, 3_200_000, 390_000, 3_211_000),
        box(380_001, 3_209_991, 380_004, 3_209_999),
    ]
    coverage = build_coverage(outlines, grid, ground_m2=shapely.area(np.array(outlines)))
    with RasterSource.open(tmp_path / "x.tif") as raster:
        found = zonal_sums(coverage, raster, workers=2)
    assert found.total[0] == pytest.approx(float(array.sum(dtype=np.float64)) * 100)
    assert found.measured_m2.tolist() == pytest.approx([height * width * 100, 24])
    assert found.total[1] == 0.0


@pytest.mark.parametrize("latitude", [-0.05, 21.0, 45.0, 67.3])
def test_a_constant_on_a_degree_grid_gives_ground_area(tmp_path: Path, latitude: float) -> None:
    """From the equator to the north; blocks on both sides of a border, cells on corners."""
    grid = Grid("EPSG:4490", 110.0, latitude + 0.2, 0.00025, 0.00025, 900, 800)
    write_geotiff(tmp_path / "one.tif", np.full((800, 900), 2.5, np.float32), grid)
    outlines: list[Polygonal] = [
        stand(110.1, latitude + 0.1, 0.02, 1, hole=True),
        box(110.05, latitude + 0.05, 110.06, latitude + 0.06),
        degrees_box(110.128, latitude + 0.072, 400, 400),
    ]
    coverage = cover_parcels(outlines, grid)
    with RasterSource.open(tmp_path / "one.tif") as raster:
        found = zonal_sums(coverage, raster)
    assert not np.shares_memory(found.area_m2, coverage.ground_m2), (
        "sums hold a whole file of shares in memory"
    )
    ground = np.array([area_m2(outline) for outline in outlines])
    np.testing.assert_allclose(found.total, 2.5 * ground, rtol=1e-12)
    np.testing.assert_allclose(coverage.raw_m2, ground, rtol=1e-5)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.9))
@settings(max_examples=10, deadline=None)
def test_the_parts_of_a_split_parcel_measure_what_the_whole_did(
    tmp_path_factory: pytest.TempPathFactory, seed: int, at: float
) -> None:
    path, _ = written(tmp_path_factory.mktemp("x") / "x.tif", "float32")
    whole = stand(383_500, 3_207_200, 900, seed, hole=True)
    west, south, east, north = whole.bounds
    line = shapely.LineString(
        [(west + at * (east - west), south - 1), (east - at * (east - west), north + 1)]
    )
    parts = [part for part in split(whole, line).geoms if isinstance(part, Polygon)]
    outlines: list[Polygonal] = [whole, *parts]
    with RasterSource.open(path) as raster:
        found = zonal_sums(laid(outlines), raster)
    assert found.total[1:].sum() == pytest.approx(found.total[0], rel=1e-7)
    assert found.measured_m2[1:].sum() == pytest.approx(found.measured_m2[0], rel=1e-7)


def test_everything_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    path, _ = written(tmp_path / "x.tif", "uint8")
    other = Grid(PLANE.crs, PLANE.x0 + 0.01, PLANE.y0, 10.0, 10.0, PLANE.width, PLANE.height)
    write_geotiff(tmp_path / "y.tif", np.ones((PLANE.height, PLANE.width), np.uint8), other)
    coverage = laid(land()[:2])
    told: list[Any] = []
    with RasterSource.open(path) as raster, RasterSource.open(tmp_path / "y.tif") as moved:
        for layers in ([Layer(raster), Layer(moved)], [Layer(raster, masks=(Mask(moved, (1,)),))]):
            with pytest.raises(RasterGridMismatch):
                zonal_sums_of(coverage, layers, progress=lambda *one: told.append(one))
        with pytest.raises(RasterBandMissing):
            zonal_sums_of(coverage, [Layer(raster), Layer(raster, band=2)])
    assert told == []
