"""Rasters in the encoding that is read fastest, with every value as it was.

Most of the time of an estimate goes into decompressing. One band is written again in tiles of 512 cells,
ZSTD at level 1, and single-precision numbers as scaled whole numbers of two bytes where every one of them
comes back to the same bits. It is a recorded step: what came in, what went out, how it is encoded, and a
digest of the values that both share. The copy is proven by reading it again and comparing every block.
"""

import math
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geo.confined import Progress
from geo.errors import RasterCopyDiffers
from geo.raster import BLOCK, DECODE_TAG, FILL_TAG, NEGATIVE_ZERO, RasterSource, RasterWindow, decoded
from geo.raster_scan import ValuesDigest, block_count, blocks

SCALES: Final = (1.0, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001)
"""Steps in which products state densities; the first that loses nothing is taken."""
GAP: Final = NEGATIVE_ZERO + 1
"""The stored number that stands for "no value" beside scaled ones."""
FITTING: Final = "fitting"
WRITING: Final = "writing"
PROVING: Final = "proving"
_LEVEL: Final = 1


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the copy stores its values: `scale` is None unless they are scaled. `nodata` is the stored number
    of a cell without a value, None where every cell has one.
    """

    dtype: str
    scale: float | None
    nodata: float | None
    predictor: int
    compression: str = "zstd"
    level: int = _LEVEL
    block: int = BLOCK

    def to_json(self) -> dict[str, Any]:
        """Numbers that may not be finite as texts."""
        plain = asdict(self)
        return plain | {"nodata": None if self.nodata is None else repr(self.nodata)}


@dataclass(frozen=True, slots=True)
class Normalised:
    """A proven copy of one band. `values_sha256` is the digest of `raster_scan`, the same for both files."""

    source_sha256: str
    band: int
    target_sha256: str
    size_bytes: int
    encoding: Encoding
    values_sha256: str


def normalise(
    source: RasterSource, target: str | os.PathLike[str], *, band: int = 1, progress: Progress | None = None
) -> Normalised:
    """Write one band of a raster to `target` in the encoding that is read fastest, and prove the copy.

    1. Find the encoding: the coarsest scale that gives every value back bit for bit, else the type it has.
    2. Write it, tile by tile.
    3. Read both again and compare every block; the file gets its name only then.

    Whole numbers keep their type, scale and offset. Raises RasterCopyDiffers (a fault of ours or of the
    disk), RasterUnreadable, RasterBandMissing.
    """
    path = Path(target)
    encoding = _encoding(source, band, progress)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        _write(source, band, encoding, partial, progress)
        with RasterSource.open(partial) as copy:
            values_sha256 = prove(source, copy, band, progress)
            sha256 = copy.sha256
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return Normalised(source.sha256, band, sha256, path.stat().st_size, encoding, values_sha256)


def prove(source: RasterSource, copy: RasterSource, band: int, progress: Progress | None = None) -> str:
    """Compare a copy with its source, each block bit for bit (RasterCopyDiffers); the digest of values."""
    source.grid.require(copy.grid, copy.name)
    digest: ValuesDigest | None = None
    for done, ((row, column, ours), (_, _, theirs)) in enumerate(
        zip(blocks(copy, 1), blocks(source, band), strict=True), start=1
    ):
        if not _same(ours, theirs):
            raise RasterCopyDiffers(name=source.name, row=row, column=column)
        if digest is None:
            digest = ValuesDigest(copy, ours.values.dtype)
        digest.add(ours)
        if progress is not None:
            progress(PROVING, done, block_count(source))
    assert digest is not None, "a raster has cells"
    return digest.hexdigest()


def _same(one: RasterWindow, other: RasterWindow) -> bool:
    """The same cells have values, of the same type and bits."""
    return (
        one.values.dtype == other.values.dtype
        and bool(np.array_equal(one.valid, other.valid))
        and one.values[one.valid].tobytes() == other.values[other.valid].tobytes()
    )


# ---- the encoding ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Fit:
    """What reading the source once tells: which scales lose nothing, gaps, whole numbers in use."""

    scales: list[float]
    gaps: bool = False
    used: set[int] | None = None


def _encoding(source: RasterSource, band: int, progress: Progress | None) -> Encoding:
    stored = source.band(band)
    dtype = np.dtype(stored.dtype)
    if dtype.kind != "f" or stored.decoded or (stored.scale, stored.offset) != (1.0, 0.0):
        return Encoding(dtype.name, None, _whole_nodata(source, band, dtype, progress), _predictor(dtype))
    fit = _fitted(source, band, dtype, progress)
    if fit.scales:
        return Encoding("uint16", fit.scales[0], float(GAP), 1)
    nodata = stored.nodata if stored.nodata is not None else math.nan if fit.gaps else None
    return Encoding(dtype.name, None, nodata, _predictor(dtype))


def _predictor(dtype: "np.dtype[Any]") -> int:
    return 3 if dtype.kind == "f" else 1


def _fitted(source: RasterSource, band: int, dtype: "np.dtype[Any]", progress: Progress | None) -> _Fit:
    fit = _Fit(list(SCALES) if dtype == np.float32 else [])
    for done, (_, _, window) in enumerate(blocks(source, band), start=1):
        fit.gaps = fit.gaps or not window.valid.all()
        held = window.values[window.valid]
        fit.scales = [scale for scale in fit.scales if _loses_nothing(held, scale)]
        if progress is not None:
            progress(FITTING, done, block_count(source))
        if not fit.scales and fit.gaps:
            break
    return fit


def _loses_nothing(values: NDArray[Any], scale: float) -> bool:
    if not values.size:
        return True
    stored = np.rint(values.astype(np.float64) / scale)
    if stored.min() < 0 or stored.max() >= NEGATIVE_ZERO:
        return False
    again = decoded(_numbers(stored), scale)
    return bool(np.array_equal(again.view(np.uint32), values.view(np.uint32)))


def _numbers(steps: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Whole steps as stored: rounding a little below zero gives a zero with a sign, which has its own."""
    return np.where(np.signbit(steps), NEGATIVE_ZERO, steps).astype(np.uint16)


def _whole_nodata(
    source: RasterSource, band: int, dtype: "np.dtype[Any]", progress: Progress | None
) -> float | None:
    """The nodata of stored numbers: the source's own, else one that no cell uses, where there are gaps.

    Raises RasterCopyDiffers where an internal mask leaves cells out and every number of the type is in use.
    """
    stored = source.band(band)
    if stored.nodata is not None or not stored.masked:
        return stored.nodata
    used: set[int] = set()
    for done, (row, column, window) in enumerate(blocks(source, band), start=1):
        height, width = window.valid.shape
        raw = source.read_raw(row, column, height, width, band)
        used.update(np.unique(raw.values[raw.valid]).tolist())
        if progress is not None:
            progress(FITTING, done, block_count(source))
    limits = np.iinfo(dtype)
    free = next((n for n in range(int(limits.max), int(limits.max) - 65_537, -1) if n not in used), None)
    if free is None or free < limits.min:
        raise RasterCopyDiffers(name=source.name, row=0, column=0)
    return float(free)


# ---- writing -----------------------------------------------------------------------------------------------


def _write(
    source: RasterSource, band: int, encoding: Encoding, path: Path, progress: Progress | None
) -> None:
    total = block_count(source)
    with _created(source, band, encoding, path) as out:
        from rasterio.windows import Window

        for done, (row, column, window) in enumerate(_stored(source, band, encoding), start=1):
            height, width = window.values.shape
            gap = 0 if encoding.nodata is None else encoding.nodata
            held = np.where(window.valid, window.values, np.array(gap, dtype=encoding.dtype))
            out.write(held.astype(encoding.dtype, copy=False), 1, window=Window(column, row, width, height))
            if progress is not None:
                progress(WRITING, done, total)


def _stored(source: RasterSource, band: int, encoding: Encoding) -> Iterator[tuple[int, int, RasterWindow]]:
    """The numbers to store, block by block."""
    for row, column, window in blocks(source, band):
        if encoding.scale is None:
            height, width = window.valid.shape
            raw = source.read_raw(row, column, height, width, band)
            yield row, column, RasterWindow(raw.values, window.valid)
        else:
            held = np.where(window.valid, window.values, 0).astype(np.float64)
            yield row, column, RasterWindow(_numbers(np.rint(held / encoding.scale)), window.valid)


@contextmanager
def _created(source: RasterSource, band: int, encoding: Encoding, path: Path) -> Iterator[Any]:
    import rasterio
    from rasterio.transform import Affine

    grid, stored = source.grid, source.band(band)
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": 1,
        "dtype": encoding.dtype,
        "crs": rasterio.CRS.from_user_input(grid.crs),
        "transform": Affine(grid.dx, 0.0, grid.x0, 0.0, -grid.dy, grid.y0),
        "nodata": encoding.nodata,
        "tiled": True,
        "blockxsize": encoding.block,
        "blockysize": encoding.block,
        "compress": encoding.compression,
        "zstd_level": encoding.level,
        "predictor": encoding.predictor,
        "bigtiff": "IF_SAFER",
    }
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.open(path, "w", **profile) as out:
        if encoding.scale is not None:
            out.scales = (encoding.scale,)
            fill = math.nan if stored.nodata is None else stored.nodata
            out.update_tags(**{DECODE_TAG: "float32", FILL_TAG: repr(float(np.float32(fill)))})
        elif stored.decoded:
            out.scales = (stored.scale,)
            out.update_tags(**_tags(source))
        else:
            out.scales, out.offsets = (stored.scale,), (stored.offset,)
        yield out


def _tags(source: RasterSource) -> dict[str, str]:
    """The tags of a copy that is copied again."""
    table = source.decode_table()
    assert table is not None, "its band is decoded"
    return {DECODE_TAG: "float32", FILL_TAG: repr(float(table[GAP]))}
