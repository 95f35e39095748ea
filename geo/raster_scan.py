"""A raster looked at once from end to end: what its values are like, whether they can be what they are said
to be, and the digest that names them whatever their encoding.

The digest is SHA-256 over

    tanhui raster values 1\\n<width> <height> <type>\\n

followed by the blocks of 512 x 512 cells, row by row of blocks (those at the edges are smaller): the values
as `RasterSource.read` gives them, little-endian, cells without a value as zero, then which cells have one, a
bit each, the first cell in the highest bit, the last byte of a block filled with zeros. Files that differ in
tiling, compression, scale or nodata have the same digest when they say the same.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geo.confined import Progress
from geo.errors import (
    RasterValuesNotFinite,
    RasterValuesNotWhole,
    RasterValuesOutOfRange,
    RasterWithoutValues,
)
from geo.raster import BLOCK, RasterSource, RasterWindow

CHUNK_BLOCKS: Final = 32
"""Blocks read at once: strips as wide as 16,384 cells are decompressed once."""
SCANNING: Final = "scanning"


@dataclass(frozen=True, slots=True)
class Expected:
    """Values that a raster can hold; `whole` for classes."""

    least: float
    most: float
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Scan:
    """What one band holds. `minimum`, `maximum` and `mean` are of the cells that have a value."""

    dtype: str
    cells: int
    valid_cells: int
    minimum: float
    maximum: float
    mean: float
    values_sha256: str

    @property
    def valid_share(self) -> float:
        return self.valid_cells / self.cells


def blocks(source: RasterSource, band: int) -> Iterator[tuple[int, int, RasterWindow]]:
    """(row, column, values) of each block of 512 x 512 cells, row by row; read many at a time."""
    grid = source.grid
    step = BLOCK * CHUNK_BLOCKS
    for row in range(0, grid.height, BLOCK):
        height = min(BLOCK, grid.height - row)
        for start in range(0, grid.width, step):
            width = min(step, grid.width - start)
            chunk = source.read(row, start, height, width, band)
            for column in range(0, width, BLOCK):
                part = np.s_[:, column : column + BLOCK]
                yield row, start + column, RasterWindow(chunk.values[part], chunk.valid[part])


def block_count(source: RasterSource) -> int:
    return math.ceil(source.grid.height / BLOCK) * math.ceil(source.grid.width / BLOCK)


def scan(
    source: RasterSource, band: int = 1, expected: Expected | None = None, progress: Progress | None = None
) -> Scan:
    """Read every cell of a band once.

    Raises RasterValuesNotFinite for infinities, and for NaN where it is not the nodata of the file,
    RasterWithoutValues, RasterValuesOutOfRange and RasterValuesNotWhole for what is not `expected`,
    RasterUnreadable, RasterBandMissing.
    """
    declared = source.nodata is not None and math.isnan(source.nodata)
    seen = _Seen(nan_is_nodata=declared or source.band(band).decoded)
    digest: ValuesDigest | None = None
    total = block_count(source)
    for number, (_, _, window) in enumerate(blocks(source, band), start=1):
        if digest is None:
            digest = ValuesDigest(source, window.values.dtype)
        seen.add(window)
        digest.add(window)
        if progress is not None:
            progress(SCANNING, number, total)
    assert digest is not None, "a raster has cells"
    _require(source, band, seen, expected)
    return Scan(
        dtype=digest.dtype.name,
        cells=source.grid.width * source.grid.height,
        valid_cells=seen.valid,
        minimum=seen.minimum,
        maximum=seen.maximum,
        mean=math.fsum(seen.sums) / seen.valid,
        values_sha256=digest.hexdigest(),
    )


class ValuesDigest:
    """The digest of values, fed with the blocks in their order."""

    def __init__(self, source: RasterSource, dtype: "np.dtype[Any]") -> None:
        self.dtype = dtype
        head = f"tanhui raster values 1\n{source.grid.width} {source.grid.height} {dtype.name}\n"
        self._digest = hashlib.sha256(head.encode("ascii"))

    def add(self, window: RasterWindow) -> None:
        held = np.where(window.valid, window.values, np.zeros((), window.values.dtype))
        self._digest.update(np.ascontiguousarray(held, dtype=self.dtype.newbyteorder("<")).data)
        self._digest.update(np.packbits(window.valid).data)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


@dataclass(slots=True)
class _Seen:
    nan_is_nodata: bool
    valid: int = 0
    nan: int = 0
    infinite: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    whole: bool = True
    sums: list[float] = field(default_factory=list)

    def add(self, window: RasterWindow) -> None:
        self._count_not_finite(window.values)
        held: NDArray[Any] = window.values[window.valid]
        if not held.size:
            return
        self.valid += held.size
        if self.nan_is_nodata and held.dtype.kind == "f":  # a number that scale or offset made none
            self.nan += int(np.isnan(held).sum())
        self.minimum = min(self.minimum, float(held.min()))
        self.maximum = max(self.maximum, float(held.max()))
        self.sums.append(float(held.sum(dtype=np.float64)))
        if self.whole and held.dtype.kind == "f":
            self.whole = bool((held == np.floor(held)).all())

    def _count_not_finite(self, values: NDArray[Any]) -> None:
        if values.dtype.kind != "f" or np.isfinite(values).all():
            return
        nan = int(np.isnan(values).sum())
        self.infinite += int((~np.isfinite(values)).sum()) - nan
        self.nan += 0 if self.nan_is_nodata else nan


def _require(source: RasterSource, band: int, seen: _Seen, expected: Expected | None) -> None:
    name = source.name
    if seen.nan or seen.infinite:
        raise RasterValuesNotFinite(name=name, nan_cells=seen.nan, infinite_cells=seen.infinite)
    if not seen.valid:
        raise RasterWithoutValues(name=name, band=band)
    if expected is None:
        return
    if seen.minimum < expected.least or seen.maximum > expected.most:
        raise RasterValuesOutOfRange(
            name=name,
            minimum=_spelled(seen.minimum),
            maximum=_spelled(seen.maximum),
            least=_spelled(expected.least),
            most=_spelled(expected.most),
        )
    if expected.whole and not seen.whole:
        raise RasterValuesNotWhole(name=name)


def _spelled(value: float) -> str:
    return f"{value:.10g}"
