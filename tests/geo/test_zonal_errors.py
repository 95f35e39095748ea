"""The sums of E-R2 block by block are those of the pixels one by one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from geo.coverage import Coverage, cover_parcels
from geo.errors import RasterBandMissing, RasterGridMismatch
from geo.pixels import ErrorSums, sample_parcels
from geo.raster import Grid, RasterSource, write_geotiff
from geo.work import Threads
from geo.zonal import Mask
from geo.zonal_errors import ErrorLayer, error_sums
from tests.geo.shapes import stand

GRID = Grid("EPSG:4490", 118.80, 29.00, 0.0003, 0.00025, 1_100, 700)
PARCELS = [stand(118.83 + 0.026 * n, 28.85 + 0.013 * n, 0.004, n, hole=n % 3 == 0) for n in range(11)]


@pytest.fixture(scope="module")
def rasters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RasterSource]:
    """Densities with gaps, deviations with gaps elsewhere, land cover, a share of forest."""
    rng = np.random.default_rng(3)
    shape = (GRID.height, GRID.width)
    arrays: dict[str, NDArray[Any]] = {
        "agb": np.where(rng.random(shape) < 0.1, -9999, rng.normal(60, 40, shape)).astype(np.float32),
        "sd": rng.gamma(3, 4, shape).astype(np.float32),
        "cover": rng.integers(1, 4, shape).astype(np.uint8),
        "share": rng.random(shape).astype(np.float32),
    }
    arrays["sd"][300:, 500:] = -9999
    folder = tmp_path_factory.mktemp("rasters")
    for name, array in arrays.items():
        write_geotiff(folder / f"{name}.tif", array, GRID, nodata=-9999 if array.dtype.kind == "f" else 0)
    return {name: RasterSource.open(folder / f"{name}.tif") for name in arrays}


@pytest.fixture(scope="module")
def coverage() -> Coverage:
    return cover_parcels(PARCELS, GRID)


def layers(rasters: dict[str, RasterSource]) -> list[ErrorLayer]:
    masks = (Mask(rasters["cover"], (2, 3)), Mask(rasters["share"], None))
    return [
        ErrorLayer(rasters["agb"], deviations=rasters["sd"]),
        ErrorLayer(rasters["agb"], masks=masks, deviations=rasters["sd"]),
        ErrorLayer(rasters["agb"], masks=masks[:1], relative=0.2),
        ErrorLayer(rasters["agb"], absolute=7.5),
    ]


@pytest.mark.parametrize("which", range(4))
def test_sums_are_those_of_the_pixels(
    which: int, rasters: dict[str, RasterSource], coverage: Coverage
) -> None:
    layer = layers(rasters)[which]
    table = sample_parcels(coverage, rasters)
    seen, weight = table.valid["agb"], table.weight_m2.copy()
    if layer.masks:
        weight *= np.isin(table.values["cover"], (2, 3))
    if len(layer.masks) > 1:
        weight *= table.values["share"]
    if layer.deviations is None:
        deviation = np.abs(table.values["agb"].astype(np.float64)) * layer.relative + layer.absolute
        known = np.ones(len(weight), dtype=np.bool_)
    else:
        deviation, known = table.values["sd"].astype(np.float64), table.valid["sd"]
    each = np.where(seen & known, weight * deviation, 0.0)
    found = error_sums(coverage, layer)
    assert found.linear == pytest.approx(table.sums(each), rel=1e-12)
    assert found.squares == pytest.approx(table.sums(each**2), rel=1e-12)
    assert found.unknown_m2 == pytest.approx(table.sums(np.where(seen & ~known, weight, 0.0)), rel=1e-12)
    errors = found.standard_error(0.3)
    for parcel in range(len(PARCELS)):
        expected = ErrorSums(float(found.linear[parcel]), float(found.squares[parcel])).standard_error(0.3)
        if found.unknown_m2[parcel] > 0:
            assert np.isnan(errors[parcel])
        else:
            assert errors[parcel] == pytest.approx(expected)
    assert np.isnan(errors).any() == (layer.deviations is not None)
    assert not np.isnan(errors).all()


def test_the_bits_depend_neither_on_the_workers_nor_on_the_neighbours(
    rasters: dict[str, RasterSource], coverage: Coverage
) -> None:
    layer = layers(rasters)[1]
    alone = error_sums(coverage, layer)
    together = error_sums(coverage, layer, workers=Threads(2))
    single = error_sums(cover_parcels(PARCELS[4:5], GRID), layer)
    for name in ("linear", "squares", "unknown_m2"):
        assert getattr(alone, name).tobytes() == getattr(together, name).tobytes()
        assert getattr(alone, name)[4] == getattr(single, name)[0]


def test_rasters_of_another_grid_and_missing_bands_are_refused(
    rasters: dict[str, RasterSource], coverage: Coverage, tmp_path: Path
) -> None:
    small = replace(GRID, height=100)
    write_geotiff(tmp_path / "small.tif", np.ones((100, GRID.width), np.float32), small)
    with RasterSource.open(tmp_path / "small.tif") as other:
        for layer in (
            ErrorLayer(other, absolute=1.0),
            ErrorLayer(rasters["agb"], deviations=other),
            ErrorLayer(rasters["agb"], masks=(Mask(other, (1,)),)),
        ):
            with pytest.raises(RasterGridMismatch):
                error_sums(coverage, layer)
    with pytest.raises(RasterBandMissing):
        error_sums(coverage, ErrorLayer(rasters["agb"], deviations=rasters["sd"], deviations_band=2))
