"""Rasters that must not come in, each with the code it is refused by."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio

from geo.raster import Grid, write_geotiff

GRID: Final = Grid("EPSG:4549", 380_000.0, 3_210_000.0, 10.0, 10.0, 40, 30)
SECRET: Final = b"S" * 64


def density(**changed: Any) -> np.ndarray:
    values = np.full((GRID.height, GRID.width), 50.0, np.float32)
    values[2, 3] = changed.get("cell", 50.0)
    return values


def plain(path: Path) -> None:
    """A good one."""
    write_geotiff(path, density(), GRID, -9999.0)


def _raw(path: Path, array: np.ndarray, **profile: Any) -> None:
    bands = array if array.ndim == 3 else array[np.newaxis]
    usual: dict[str, Any] = {
        "driver": "GTiff",
        "width": bands.shape[2],
        "height": bands.shape[1],
        "count": bands.shape[0],
        "dtype": bands.dtype,
        "crs": "EPSG:4549",
        "transform": rasterio.Affine(10, 0, 380_000, 0, -10, 3_210_000),
    }
    with rasterio.open(path, "w", **usual | profile) as out:
        out.write(bands)


def without_crs(path: Path) -> None:
    _raw(path, density(), crs=None)


def in_feet(path: Path) -> None:
    _raw(path, density(), crs="EPSG:2263")


def rotated(path: Path) -> None:
    _raw(path, density(), transform=rasterio.Affine(10, 1, 380_000, 1, -10, 3_210_000))


def beside_the_earth(path: Path) -> None:
    _raw(path, density(), transform=rasterio.Affine(10, 0, 1e12, 0, -10, 3_210_000))


def nowhere(path: Path) -> None:
    _raw(path, density(), transform=rasterio.Affine(10, 0, float("nan"), 0, -10, 3_210_000))


def cells_without_width(path: Path) -> None:
    _raw(path, density(), transform=rasterio.Affine(float("nan"), 0, 380_000, 0, -10, 3_210_000))


def scaled_by_nan(path: Path) -> None:
    """Numbers as stored, none of them one as read: neither below nor above what can be."""
    _raw(path, density(), nodata=float("nan"))
    with rasterio.open(path, "r+") as out:
        out.scales = (float("nan"),)


def photograph(path: Path) -> None:
    _raw(path, np.full((3, 30, 40), 90, np.uint8), photometric="RGB")


def several_bands(path: Path) -> None:
    write_geotiff(path, np.stack([density(), density()]), GRID, -9999.0)


def complex_numbers(path: Path) -> None:
    _raw(path, density().astype(np.complex64))


def nan_undeclared(path: Path) -> None:
    write_geotiff(path, density(cell=np.nan), GRID, -9999.0)


def infinity(path: Path) -> None:
    write_geotiff(path, density(cell=np.inf), GRID, np.nan)


def nothing_but_nodata(path: Path) -> None:
    write_geotiff(path, np.full((30, 40), -9999.0, np.float32), GRID, -9999.0)


def negative(path: Path) -> None:
    write_geotiff(path, density(cell=-0.5), GRID, -9999.0)


def too_dense(path: Path) -> None:
    write_geotiff(path, density(cell=2_001.0), GRID, -9999.0)


def vrt_of_a_secret(path: Path) -> None:
    secret = path.with_name("secret.bin")
    secret.write_bytes(SECRET)
    path.write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><SRS>EPSG:4549</SRS>'
        "<GeoTransform>380000,10,0,3210000,0,-10</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">'
        f'<SourceFilename relativeToVRT="0">{secret}</SourceFilename>'
        "<ImageOffset>0</ImageOffset><PixelOffset>1</PixelOffset><LineOffset>8</LineOffset>"
        "</VRTRasterBand></VRTDataset>"
    )


def another_kind(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))


def truncated(path: Path) -> None:
    noise = np.random.default_rng(1).random((900, 900), np.float32)
    _raw(path, noise, tiled=True, blockxsize=256, blockysize=256, compress="deflate")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])


def tiff(width: int, height: int, tile: int, content: bytes, *, bits: int = 8, samples: int = 1) -> bytes:
    """A TIFF written by hand, georeferenced in EPSG:4549, of one tile that all tiles point to."""
    count = -(-width // tile) * -(-height // tile)
    short, long, double = 3, 4, 12
    keys = struct.pack("<12H", 1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 4549)
    blocks: list[bytes] = []
    start = 8 + 2 + 14 * 12 + 4

    def kept(data: bytes) -> int:
        at = start + sum(map(len, blocks))
        blocks.append(data)
        return at

    scale = kept(struct.pack("<3d", 10.0, 10.0, 0.0))
    tie = kept(struct.pack("<6d", 0, 0, 0, 380_000.0, 3_210_000.0, 0))
    geo = kept(keys)
    data = kept(content)
    same = count == 1
    offsets = data if same else kept(struct.pack(f"<{count}I", *[data] * count))
    sizes = len(content) if same else kept(struct.pack(f"<{count}I", *[len(content)] * count))
    entries = [
        (256, long, 1, width), (257, long, 1, height), (258, short, 1, bits), (259, short, 1, 8),
        (262, short, 1, 1), (277, short, 1, samples), (322, long, 1, tile), (323, long, 1, tile),
        (324, long, count, offsets), (325, long, count, sizes), (339, short, 1, 1),
        (33550, double, 3, scale), (33922, double, 6, tie), (34735, short, 12, geo),
    ]  # fmt: skip
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\x00" + struct.pack("<I", 8) + struct.pack("<H", 14) + body + bytes(4) + b"".join(blocks)


def a_header_that_claims_too_much(path: Path) -> None:
    path.write_bytes(tiff(65_536, 65_536, 4096, zlib.compress(bytes(16))))


def a_tile_of_a_gibibyte(path: Path) -> None:
    path.write_bytes(tiff(32_768, 32_768, 32_768, zlib.compress(bytes(1 << 24), 9)))


def one_tile_for_all(path: Path) -> None:
    """Sixteen kilobytes that decompress to a gibibyte of zeros: no class, no forest."""
    path.write_bytes(tiff(32_768, 32_768, 4096, zlib.compress(bytes(1 << 24), 9)))


Maker = Callable[[Path], None]

BAD: Final[dict[Maker, str]] = {
    without_crs: "raster_crs_missing",
    in_feet: "raster_crs_unsupported",
    rotated: "raster_rotated",
    beside_the_earth: "raster_misplaced",
    nowhere: "raster_misplaced",
    cells_without_width: "raster_misplaced",
    scaled_by_nan: "raster_values_not_finite",
    photograph: "raster_is_picture",
    several_bands: "raster_band_unnamed",
    complex_numbers: "raster_type_unsupported",
    nan_undeclared: "raster_values_not_finite",
    infinity: "raster_values_not_finite",
    nothing_but_nodata: "raster_without_values",
    negative: "raster_values_out_of_range",
    too_dense: "raster_values_out_of_range",
    vrt_of_a_secret: "raster_not_geotiff",
    another_kind: "raster_not_geotiff",
    truncated: "raster_unreadable",
    a_header_that_claims_too_much: "raster_too_large",
    a_tile_of_a_gibibyte: "raster_too_large",
}
