"""A stranger's raster is looked at by a confined child, and what cannot be an input is refused by code."""

import math
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy as rasterio_copy

from geo.confined import Bounds
from geo.errors import GeoRefusal, RasterSidecar, RasterValuesNotWhole, ReaderStopped
from geo.raster import Grid, write_geotiff
from geo.raster_inspect import LIMITS, inspect, inspect_here
from geo.raster_scan import Expected
from tests.geo import bad_rasters
from tests.geo.bad_rasters import BAD, GRID, Maker, density, one_tile_for_all, plain

AGB = Expected(0.0, 2_000.0)


def test_a_good_raster_is_described_and_counted(tmp_path: Path) -> None:
    values = density()
    values[:10] = -9999.0
    values[20, 20] = 0.0
    write_geotiff(tmp_path / "agb.tif", values, GRID, -9999.0)
    told: list[tuple[str, int, int]] = []
    found = inspect(tmp_path / "agb.tif", expected=AGB, progress=lambda *step: told.append(step))
    assert (found.grid, found.bands, found.band, found.dtype, found.nodata) == (GRID, 1, 1, "float32", -9999)
    assert (found.scan.cells, found.scan.valid_cells) == (1_200, 800)
    assert (found.scan.minimum, found.scan.maximum) == (0.0, 50.0)
    assert found.scan.mean == pytest.approx(50 * 799 / 800)
    assert told == [("scanning", 1, 1)]
    assert found == inspect_here(tmp_path / "agb.tif", expected=AGB)


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_what_cannot_be_an_input_is_refused_by_code(tmp_path: Path, make: Maker) -> None:
    make(tmp_path / "x.tif")
    with pytest.raises(GeoRefusal) as refused:
        inspect(tmp_path / "x.tif", expected=AGB)
    assert refused.value.code == BAD[make]
    assert str(refused.value)


def test_nan_may_be_the_nodata(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "x.tif", density(cell=math.nan), GRID, math.nan)
    found = inspect_here(tmp_path / "x.tif", expected=AGB)
    assert found.scan.valid_cells == found.scan.cells - 1


def test_classes_are_whole_numbers(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "x.tif", density(cell=2.5), GRID, -9999.0)
    with pytest.raises(RasterValuesNotWhole):
        inspect_here(tmp_path / "x.tif", expected=Expected(0, 65_535, whole=True))


def test_a_coloured_class_map_is_no_picture(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "x.tif", np.full((30, 40), 2, np.uint8), GRID, 0)
    with rasterio.open(tmp_path / "x.tif", "r+") as data:
        data.write_colormap(1, {2: (0, 100, 0, 255)})
    assert inspect_here(tmp_path / "x.tif").scan.maximum == 2


def test_a_named_band_of_several_is_read(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "x.tif", np.stack([density(), density() + 9]), GRID, -9999.0)
    assert inspect_here(tmp_path / "x.tif", band=2).scan.maximum == 59


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4490", "EPSG:32650", "EPSG:3857"])
@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_geotiff_and_cog_come_in_any_system_of_degrees_or_metres(
    tmp_path: Path, crs: str, driver: str
) -> None:
    step = 0.001 if crs in ("EPSG:4326", "EPSG:4490") else 30.0
    grid = Grid(crs, 118.0 if step < 1 else 500_000.0, 29.0 if step < 1 else 3_200_000.0, step, step, 40, 30)
    write_geotiff(tmp_path / "x.tif", density(), grid, -9999.0)
    if driver == "COG":
        shutil.move(tmp_path / "x.tif", tmp_path / "plain.tif")
        with rasterio.open(tmp_path / "plain.tif") as data:
            rasterio_copy(data, tmp_path / "x.tif", driver="COG")
    found = inspect_here(tmp_path / "x.tif", expected=AGB)
    assert found.grid.dx == pytest.approx(step)
    assert found.scan.maximum == 50.0


@pytest.mark.parametrize("ending", [".aux.xml", ".ovr", ".msk"])
def test_what_lies_beside_a_raster_is_refused_with_it(tmp_path: Path, ending: str) -> None:
    plain(tmp_path / "x.tif")
    (tmp_path / f"x.tif{ending}").write_bytes(b"<PAMDataset/>")
    with pytest.raises(RasterSidecar):
        inspect(tmp_path / "x.tif")


def test_a_small_file_that_unpacks_to_a_gibibyte_costs_no_more_than_its_limits(tmp_path: Path) -> None:
    one_tile_for_all(tmp_path / "x.tif")
    assert (tmp_path / "x.tif").stat().st_size < 20_000
    started = time.monotonic()
    with pytest.raises(ReaderStopped):
        inspect(tmp_path / "x.tif", limits=Bounds(1, 1024, 1 << 20))
    assert time.monotonic() - started < 20


def test_a_child_without_the_memory_it_asks_for_ends(tmp_path: Path) -> None:
    plain(tmp_path / "x.tif")
    with pytest.raises(ReaderStopped):
        inspect(tmp_path / "x.tif", limits=Bounds(60, 64, 1 << 20))


def test_the_child_has_one_driver_and_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geo import confined, raster_inspect, raster_worker

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    skipped = raster_inspect._other_drivers().split(",")
    assert {"VRT", "HTTP", "WMS", "MRF"} <= set(skipped)
    assert not raster_worker.ALLOWED_DRIVERS & set(skipped)
    assert "secret" not in confined.environment(str(tmp_path)).values()
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "secret"
    assert LIMITS.memory_mib <= 2048


def test_the_file_behind_a_vrt_is_not_shown(tmp_path: Path) -> None:
    bad_rasters.vrt_of_a_secret(tmp_path / "x.tif")
    with rasterio.open(tmp_path / "x.tif") as unguarded:
        assert bytes(unguarded.read(1).ravel()) == bad_rasters.SECRET  # the trap is real
    with pytest.raises(GeoRefusal):
        inspect_here(tmp_path / "x.tif")


def test_real_rasters_without_a_system_are_refused_and_the_others_are_read(real_data: Path) -> None:
    for file in sorted(real_data.glob("rasters/*/*.tif")):
        if file.parent.name == "nouragues":
            with pytest.raises(GeoRefusal) as refused:
                inspect_here(file)
            assert refused.value.code == "raster_crs_missing"
        else:
            assert inspect_here(file).scan.valid_cells > 0
