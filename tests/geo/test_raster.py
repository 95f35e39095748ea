"""Rasters: what opens, what is refused, and that values arrive as they are."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geo.errors import (
    FileUnreadable,
    GeoRefusal,
    RasterBandMissing,
    RasterCrsMissing,
    RasterGridMismatch,
    RasterNotGeotiff,
    RasterRotated,
    RasterSidecar,
)
from geo.raster import Grid, RasterSource, write_geotiff

GRID = Grid("EPSG:4549", 380_000.0, 3_210_000.0, 10.0, 10.0, 300, 200)


def ramp() -> np.ndarray:
    return np.arange(GRID.width * GRID.height, dtype=np.float32).reshape(GRID.height, GRID.width)


def test_what_is_written_is_read_again_with_its_gaps(tmp_path: Path) -> None:
    values = ramp()
    values[3, 4], values[5, 6], values[7, 8] = -9999, np.nan, 0
    file = tmp_path / "agb.tif"
    write_geotiff(file, values, GRID, -9999.0)
    with RasterSource.open(file) as raster:
        assert raster.grid == GRID
        assert raster.facts().sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        window = raster.read(2, 3, 20, 10)
    assert not window.valid[1, 1]
    assert not window.valid[3, 3]
    assert window.valid[5, 5]  # zero is a value
    assert np.array_equal(window.values[window.valid], values[2:22, 3:13][window.valid])
    assert window.valid.sum() == 198


def test_the_same_array_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        write_geotiff(tmp_path / name, ramp(), GRID, -9999.0)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_an_internal_mask_and_a_scale_are_honoured(tmp_path: Path) -> None:
    file = tmp_path / "scaled.tif"
    write_geotiff(file, np.full((200, 300), 625, dtype=np.uint16), GRID)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(file, "r+") as data:
        data.scales, data.offsets = (0.1,), (1.0,)
        mask = np.full((200, 300), 255, dtype=np.uint8)
        mask[0, 0] = 0
        data.write_mask(mask)
    window = RasterSource.open(file).read(0, 0, 2, 2)
    assert window.values[1, 1] == pytest.approx(63.5)
    assert window.valid.tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize("content", [b"", b"not a raster", b"II*\x00 truncated", b"PK\x03\x04"])
def test_what_is_not_a_geotiff_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tif").write_bytes(content)
    with pytest.raises(RasterNotGeotiff):
        RasterSource.open(tmp_path / "x.tif")


def test_a_vrt_called_tif_does_not_show_another_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"S" * 64)
    (tmp_path / "x.tif").write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1" '
        f'subClass="VRTRawRasterBand"><SourceFilename relativeToVRT="0">{secret}</SourceFilename>'
        "<ImageOffset>0</ImageOffset><PixelOffset>1</PixelOffset><LineOffset>8</LineOffset>"
        "</VRTRasterBand></VRTDataset>"
    )
    with rasterio.open(tmp_path / "x.tif") as unguarded:
        assert bytes(unguarded.read(1).ravel()) == b"S" * 64  # the trap is real
    with pytest.raises(RasterNotGeotiff):
        RasterSource.open(tmp_path / "x.tif")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable):
        RasterSource.open(tmp_path / "none.tif")
    with pytest.raises(FileUnreadable):
        RasterSource.open("/vsicurl/http://127.0.0.1:9/x.tif")


@pytest.mark.parametrize("sidecar", ["x.tif.aux.xml", "x.tif.ovr", "x.tif.msk"])
def test_a_sidecar_that_would_change_values_is_refused(tmp_path: Path, sidecar: str) -> None:
    write_geotiff(tmp_path / "x.tif", ramp(), GRID)
    (tmp_path / sidecar).write_text("<PAMDataset/>")
    with pytest.raises(RasterSidecar):
        RasterSource.open(tmp_path / "x.tif")


def test_a_rotated_raster_is_refused(tmp_path: Path) -> None:
    turned = rasterio.Affine(10, 1, 380_000, 1, -10, 3_210_000)
    profile = {"driver": "GTiff", "width": 4, "height": 4, "count": 1, "dtype": "uint8"}
    with rasterio.open(tmp_path / "x.tif", "w", crs="EPSG:4549", transform=turned, **profile) as out:
        out.write(np.ones((1, 4, 4), np.uint8))
    with pytest.raises(RasterRotated):
        RasterSource.open(tmp_path / "x.tif")


def test_a_band_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "x.tif", ramp(), GRID)
    with RasterSource.open(tmp_path / "x.tif") as raster, pytest.raises(RasterBandMissing):
        raster.read(0, 0, 1, 1, band=2)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"x0": 380_000.0 + 5e-6}, True),
        ({"x0": 380_000.1}, False),
        ({"y0": 3_210_010.0}, False),
        ({"dx": 10.001}, False),
        ({"width": 301}, False),
        ({"crs": "EPSG:4548"}, False),
    ],
)
def test_grids_are_the_same_or_they_are_not(change: dict[str, object], same: bool) -> None:
    other = replace(GRID, **change)  # type: ignore[arg-type]
    assert (GRID.difference(other) is None) is same
    if not same:
        with pytest.raises(RasterGridMismatch):
            GRID.require(other, "x.tif")


def test_a_real_raster_without_a_coordinate_system_is_refused(real_data: Path) -> None:
    for name in ("NouraguesRaster.tif", "nouragues_map_pred.tif"):
        with pytest.raises(RasterCrsMissing):
            RasterSource.open(real_data / "rasters" / "nouragues" / name)


def test_real_rasters_open(real_data: Path) -> None:
    for file in sorted(real_data.glob("rasters/[hs]*/*.tif")):
        with RasterSource.open(file) as raster:
            assert raster.grid.crs == "EPSG:4326"
            assert raster.read(0, 0, 2, 2).values.shape == (2, 2)


def test_every_refusal_has_its_own_code_and_a_sentence_over_its_facts() -> None:
    from geo.confined import refusals

    kinds = list(_all(GeoRefusal))
    assert len(refusals()) == len(kinds)
    assert all(k.template.endswith(".") for k in kinds)


def _all(kind: type[GeoRefusal]) -> list[type[GeoRefusal]]:
    return [kind, *(deeper for sub in kind.__subclasses__() for deeper in _all(sub))]
