"""The eligible share of each cell is what exactextract says, whatever the two grids are."""

from pathlib import Path

import exactextract
import geopandas
import numpy as np
import pyproj
import pytest
import rasterio
import shapely

from geo import raster_align
from geo.errors import RasterDoesNotCover, RasterTooLarge
from geo.raster import Grid, RasterSource, write_geotiff
from geo.raster_align import NODATA, eligible_share

COVER = Grid("EPSG:4549", 380_000.0, 3_210_000.0, 10.0, 10.0, 200, 150)
FOREST = (2, 7)
GEOD = pyproj.Geod(ellps="GRS80")


def classes(grid: Grid, seed: int = 5) -> np.ndarray:
    """Classes 0 to 8, 0 for nothing, in patches."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 9, (grid.height // 7 + 1, grid.width // 7 + 1))
    return np.kron(patches, np.ones((7, 7)))[: grid.height, : grid.width].astype(np.uint8)


def aligned(path: Path, cover: Grid, target: Grid) -> np.ndarray:
    write_geotiff(path, classes(cover), cover, 0)
    with RasterSource.open(path) as source:
        return eligible_share(source, FOREST, target)


def by_exactextract(path: Path, target: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Eligible and known share of each cell, in the plane of the cover."""
    cells = [
        shapely.box(
            target.x0 + target.dx * column, target.y0 - target.dy * (row + 1),
            target.x0 + target.dx * (column + 1), target.y0 - target.dy * row,
        )
        for row in range(target.height)
        for column in range(target.width)
    ]  # fmt: skip
    frame = geopandas.GeoDataFrame({"id": range(len(cells))}, geometry=cells, crs=target.crs)
    with rasterio.open(path) as data:
        frame = frame.to_crs(data.crs)
        step = abs(data.transform.a * data.transform.e)
        found = exactextract.exact_extract(data, frame, ["unique", "frac", "count"])
    areas = np.asarray(frame.geometry.area) / step
    eligible, known = np.zeros(len(cells)), np.zeros(len(cells))
    for n, one in enumerate(found):
        values = one["properties"]
        known[n] = values["count"] / areas[n]
        shares = zip(values["unique"], values["frac"], strict=True)
        eligible[n] = known[n] * sum(share for value, share in shares if value in FOREST)
    shape = (target.height, target.width)
    return eligible.reshape(shape), known.reshape(shape)


@pytest.mark.parametrize(
    "target",
    [
        Grid("EPSG:4549", 380_013.7, 3_209_951.1, 97.3, 103.9, 15, 11),
        Grid("EPSG:4549", 379_700.0, 3_210_300.0, 100.0, 100.0, 30, 25),
        Grid("EPSG:4549", 380_005.0, 3_209_995.0, 3.0, 4.0, 25, 20),
        Grid("EPSG:4549", 380_200.0, 3_209_900.0, 10.0, 10.0, 30, 20),
    ],
    ids=["coarser, shifted", "reaching beyond", "finer", "the same cells"],
)
def test_in_one_system_the_share_is_exact(
    tmp_path: Path, target: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raster_align, "_PIECE_CELLS", 5_000)  # many pieces
    found = aligned(tmp_path / "cover.tif", COVER, target)
    eligible, known = by_exactextract(tmp_path / "cover.tif", target)
    assert np.array_equal(found == NODATA, known < 1e-9)
    seen = found != NODATA
    assert np.abs(found - eligible)[seen].max() < 2e-7


def test_in_degrees_the_share_is_of_ground_not_of_degrees(tmp_path: Path) -> None:
    cover = Grid("EPSG:4490", 118.8, 60.0, 1.0, 1.0, 2, 20)
    write_geotiff(
        tmp_path / "c.tif", np.repeat([[2], [1]], 10, axis=0).repeat(2, axis=1).astype(np.uint8), cover, 0
    )
    with RasterSource.open(tmp_path / "c.tif") as source:
        (share,) = eligible_share(source, FOREST, Grid("EPSG:4326", 118.8, 60.0, 2.0, 20.0, 1, 1)).ravel()
    north, whole = (
        abs(GEOD.polygon_area_perimeter(*box)[0]) for box in (strip(50.0, 60.0), strip(40.0, 60.0))
    )
    assert share == pytest.approx(north / whole, abs=1e-6)
    assert abs(share - 0.5) > 0.03


def strip(south: float, north: float) -> tuple[np.ndarray, np.ndarray]:
    along = np.linspace(118.8, 120.8, 4_001)
    return np.concatenate([along, along[::-1]]), np.repeat([south, north], len(along))


def test_a_cell_of_another_system_is_laid_over_the_cover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raster_align, "_POLYGONS", 40)
    cover = Grid("EPSG:4490", 118.77, 29.01, 0.0001, 0.0001, 200, 150)
    target = Grid("EPSG:4549", 380_310.0, 3_209_900.0, 100.0, 100.0, 15, 12)
    found = aligned(tmp_path / "cover.tif", cover, target)
    eligible, known = by_exactextract(tmp_path / "cover.tif", target)
    seen = found != NODATA
    assert seen.any()
    assert np.array_equal(seen, known > 1e-9)
    assert np.abs(found - eligible)[seen].max() < 2e-5  # degrees of different latitudes weigh alike there


def test_grids_that_nowhere_meet_or_are_too_large_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RasterDoesNotCover):
        aligned(tmp_path / "c.tif", COVER, Grid("EPSG:4549", 480_000.0, 3_210_000.0, 100.0, 100.0, 3, 3))
    monkeypatch.setattr(raster_align, "MAX_CELLS", 100)
    with pytest.raises(RasterTooLarge):
        aligned(tmp_path / "c.tif", COVER, COVER)
