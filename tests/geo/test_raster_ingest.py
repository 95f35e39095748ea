"""A copy in another encoding holds the same values, bit for bit, or there is none."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geo.errors import RasterCopyDiffers
from geo.raster import Grid, RasterSource, write_geotiff
from geo.raster_ingest import SCALES, normalise, prove
from geo.raster_scan import scan

GRID = Grid("EPSG:4549", 380_000.0, 3_210_000.0, 10.0, 10.0, 700, 530)


def tenths(seed: int = 1) -> np.ndarray:
    numbers = np.random.default_rng(seed).integers(0, 4_000, (GRID.height, GRID.width))
    return (numbers * 0.1).astype(np.float32)


def everything(raster: RasterSource, band: int = 1) -> tuple[np.ndarray, np.ndarray]:
    window = raster.read(0, 0, raster.grid.height, raster.grid.width, band)
    return window.values, window.valid


def same_values(one: Path, other: Path, band: int = 1) -> None:
    with RasterSource.open(one) as source, RasterSource.open(other) as copy:
        values, valid = everything(source, band)
        again, again_valid = everything(copy)
        assert again.dtype == values.dtype
        assert np.array_equal(valid, again_valid)
        assert values[valid].tobytes() == again[valid].tobytes()
        assert scan(copy).values_sha256 == scan(source, band).values_sha256


@pytest.mark.parametrize("nodata", [-9999.0, math.nan, None])
def test_densities_in_tenths_become_whole_numbers_and_come_back_to_the_bit(
    tmp_path: Path, nodata: float | None
) -> None:
    values = tenths()
    if nodata is not None:
        values[:40, 100:600] = nodata
    write_geotiff(tmp_path / "agb.tif", values, GRID, nodata)
    with RasterSource.open(tmp_path / "agb.tif") as source:
        made = normalise(source, tmp_path / "copy.tif")
        assert (made.encoding.dtype, made.encoding.scale) == ("uint16", 0.1)
        assert made.source_sha256 == source.sha256
        assert made.values_sha256 == scan(source).values_sha256
    same_values(tmp_path / "agb.tif", tmp_path / "copy.tif")
    with rasterio.open(tmp_path / "copy.tif") as data:
        assert (data.profile["compress"], data.block_shapes) == ("zstd", [(512, 512)])
    with RasterSource.open(tmp_path / "copy.tif") as copy:
        assert copy.sha256 == made.target_sha256


def test_values_that_no_scale_holds_stay_single_precision(tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(100, 30, (GRID.height, GRID.width)).astype(np.float32)
    values[5, 5], values[6, 6] = math.nan, -0.0
    write_geotiff(tmp_path / "agb.tif", values, GRID, math.nan)
    with RasterSource.open(tmp_path / "agb.tif") as source:
        made = normalise(source, tmp_path / "copy.tif")
    assert (made.encoding.dtype, made.encoding.scale) == ("float32", None)
    same_values(tmp_path / "agb.tif", tmp_path / "copy.tif")


def test_a_zero_that_was_rounded_from_below_keeps_its_sign(tmp_path: Path) -> None:
    values = tenths()
    values[3, 3] = -0.0
    write_geotiff(tmp_path / "agb.tif", values, GRID, -9999.0)
    with RasterSource.open(tmp_path / "agb.tif") as source:
        assert normalise(source, tmp_path / "copy.tif").encoding.dtype == "uint16"
    same_values(tmp_path / "agb.tif", tmp_path / "copy.tif")
    with RasterSource.open(tmp_path / "copy.tif") as copy:
        assert np.signbit(copy.read(3, 3, 1, 1).values).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.float64])
def test_other_types_keep_their_type(tmp_path: Path, dtype: type) -> None:
    values: NDArray[Any] = np.random.default_rng(3).integers(0, 99, (GRID.height, GRID.width)).astype(dtype)
    write_geotiff(tmp_path / "cover.tif", values, GRID, 0)
    with RasterSource.open(tmp_path / "cover.tif") as source:
        assert normalise(source, tmp_path / "copy.tif").encoding.dtype == np.dtype(dtype).name
    same_values(tmp_path / "cover.tif", tmp_path / "copy.tif")


def test_scale_and_offset_of_the_source_are_kept(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "x.tif", np.full((GRID.height, GRID.width), 625, np.uint16), GRID, 0)
    with rasterio.open(tmp_path / "x.tif", "r+") as data:
        data.scales, data.offsets = (0.1,), (1.0,)
    with RasterSource.open(tmp_path / "x.tif") as source:
        normalise(source, tmp_path / "copy.tif")
    same_values(tmp_path / "x.tif", tmp_path / "copy.tif")


def test_an_internal_mask_becomes_a_number_that_no_cell_uses(tmp_path: Path) -> None:
    values = np.random.default_rng(4).integers(0, 200, (GRID.height, GRID.width)).astype(np.uint8)
    values[0, :2] = 255, 254
    write_geotiff(tmp_path / "x.tif", values, GRID)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(tmp_path / "x.tif", "r+") as data:
        mask = np.full(values.shape, 255, np.uint8)
        mask[10:20, 10:20] = 0
        data.write_mask(mask)
    with RasterSource.open(tmp_path / "x.tif") as source:
        assert normalise(source, tmp_path / "copy.tif").encoding.nodata == 253.0
    same_values(tmp_path / "x.tif", tmp_path / "copy.tif")


def test_one_band_of_several_is_copied_alone_and_a_copy_can_be_copied(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "x.tif", np.stack([tenths(1), tenths(2)]), GRID, -9999.0)
    with RasterSource.open(tmp_path / "x.tif") as source:
        first = normalise(source, tmp_path / "copy.tif", band=2)
    same_values(tmp_path / "x.tif", tmp_path / "copy.tif", band=2)
    with RasterSource.open(tmp_path / "copy.tif") as copy:
        second = normalise(copy, tmp_path / "again.tif")
    assert second.values_sha256 == first.values_sha256
    same_values(tmp_path / "copy.tif", tmp_path / "again.tif")


@settings(max_examples=20)
@given(data=st.data())
def test_whatever_is_held_comes_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("any")
    scale = data.draw(st.sampled_from(SCALES))
    numbers = st.one_of(
        st.integers(0, 65_533).map(lambda n: float(np.float32(n * scale))),
        st.floats(0, 2_000, width=32),
        st.sampled_from([-9999.0, -0.0]),
    )
    cells = data.draw(st.lists(numbers, min_size=12, max_size=12))
    grid = Grid("EPSG:4549", 380_000.0, 3_210_000.0, 10.0, 10.0, 4, 3)
    write_geotiff(folder / "x.tif", np.array(cells, np.float32).reshape(3, 4), grid, -9999.0, block=16)
    with RasterSource.open(folder / "x.tif") as source:
        normalise(source, folder / "copy.tif")
        values, valid = everything(source)
    with RasterSource.open(folder / "copy.tif") as copy:
        again, again_valid = everything(copy)
    assert np.array_equal(valid, again_valid)
    assert values[valid].tobytes() == again[valid].tobytes()


def test_a_copy_that_differs_in_one_cell_is_found(tmp_path: Path) -> None:
    values = tenths()
    write_geotiff(tmp_path / "a.tif", values, GRID, -9999.0)
    values[520, 690] += np.float32(0.1)
    write_geotiff(tmp_path / "b.tif", values, GRID, -9999.0)
    with (
        RasterSource.open(tmp_path / "a.tif") as source,
        RasterSource.open(tmp_path / "b.tif") as copy,
        pytest.raises(RasterCopyDiffers) as refused,
    ):
        prove(source, copy, 1)
    assert (refused.value.facts["row"], refused.value.facts["column"]) == (512, 512)


def test_the_digest_of_values_is_recomputed_as_its_page_says(tmp_path: Path) -> None:
    import hashlib

    values = tenths()
    values[100:300, 5:9] = -9999.0
    write_geotiff(tmp_path / "x.tif", values, GRID, -9999.0)
    digest = hashlib.sha256(b"tanhui raster values 1\n700 530 float32\n")
    for row in range(0, 530, 512):
        for column in range(0, 700, 512):
            block = values[row : row + 512, column : column + 512]
            digest.update(np.where(block == -9999.0, 0, block).astype("<f4").tobytes())
            digest.update(np.packbits(block != -9999.0).tobytes())
    with RasterSource.open(tmp_path / "x.tif") as source:
        assert scan(source).values_sha256 == digest.hexdigest()
