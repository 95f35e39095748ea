"""Items of work on rasters: a few blocks of a coverage, cut out so that any worker can do them, and what is
read for them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geo.coverage import BLOCK, Coverage
from geo.coverage_build import Segments, row_areas_m2
from geo.crs import Floats
from geo.ragged import Ints
from geo.raster import Grid, RasterBand, RasterSource, decoded
from geo.work import Threads, Workers

__all__ = ["Blocks", "Mask", "Span", "numbers_of", "reduce_segments", "shares_in", "spans_of"]

_BLOCKS: Final = 8
_BLOCKS_ELSEWHERE: Final = 64
"""Blocks of one item of work, some 30 ms, and more where items travel. No bit depends on it."""


@dataclass(frozen=True, slots=True)
class Mask:
    """What part of a cell is asked about: all of it where the raster has one of these classes, or (classes
    None) the share that the raster holds, 0 to 1. Where the raster has no value, nothing.
    """

    source: RasterSource
    classes: tuple[int, ...] | None
    band: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """A few blocks of a coverage with their segments, cut out so that they can go to another machine.

    first: the number of the first segment in the coverage. block_segments (b + 1) and the starts of cells and
    runs count from the beginning of the cut.
    """

    grid: Grid
    first: int
    blocks: NDArray[np.int32]
    block_segments: Ints
    segments: Segments


def spans_of(coverage: Coverage, workers: Workers) -> Iterator[Span]:
    """All blocks of a coverage, a few at a time, in their order."""
    s = coverage.segments
    step = _BLOCKS if isinstance(workers, Threads) else _BLOCKS_ELSEWHERE
    for begin in range(0, len(coverage.blocks), step):
        end = min(begin + step, len(coverage.blocks))
        bounds = coverage.block_segments[begin : end + 1]
        a, z = int(bounds[0]), int(bounds[-1])
        c0, c1, r0, r1 = (int(n) for n in (s.cells[a], s.cells[z], s.runs[a], s.runs[z]))
        cut = Segments(
            s.parcel[a:z],
            s.block[a:z],
            s.cells[a : z + 1] - c0,
            s.runs[a : z + 1] - r0,
            s.cell_offset[c0:c1],
            s.cell_share[c0:c1],
            s.run_offset[r0:r1],
            s.run_length[r0:r1],
        )
        yield Span(coverage.grid, a, coverage.blocks[begin:end], bounds - a, cut)


@dataclass(slots=True)
class Blocks:
    """Reads blocks of a span, each into the same memory, 512 cells to a row."""

    grid: Grid
    _memory: dict[Any, NDArray[Any]] = field(default_factory=dict)

    def window(self, block: int) -> tuple[int, int, int, int]:
        row, column = (int(v) * BLOCK for v in divmod(block, -(-self.grid.width // BLOCK)))
        return row, column, min(BLOCK, self.grid.height - row), min(BLOCK, self.grid.width - column)

    def read(self, block: int, source: RasterSource, band: int) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Stored numbers of a block and its internal mask (empty: none), flat. They hold until the next
        block of the same type is read.
        """
        row, column, height, width = self.window(block)
        dtype = source.band(band).dtype
        if dtype not in self._memory:
            self._memory[dtype] = np.zeros((BLOCK, BLOCK), dtype=dtype)
        values = self._memory[dtype]
        usable = source.read_block(row, column, band, values[:height, :width])
        if usable is None:
            return values.reshape(-1), NO_FLAGS
        whole = np.zeros((BLOCK, BLOCK), dtype=np.uint8)
        whole[:height, :width] = usable
        return values.reshape(-1), whole.reshape(-1)

    def row_area(self, block: int) -> Floats:
        """Area of one cell of each row of a block."""
        row, _, height, _ = self.window(block)
        return row_areas_m2(self.grid)[row : row + height]

    def mask(self, block: int, masks: tuple[Mask, ...]) -> NDArray[np.float32]:
        """The least of the shares of several masks for each cell of a block; empty without masks."""
        least: NDArray[np.float32] = NO_SHARES
        for mask in masks:
            kept = mask.source.band(mask.band)
            share = shares_in(kept, mask.classes, *self.read(block, mask.source, mask.band))
            least = share if least is NO_SHARES else np.minimum(least, share)
        return least


NO_FLAGS: Final = np.zeros(0, dtype=np.uint8)
NO_SHARES: Final = np.zeros(0, dtype=np.float32)
NO_STARTS: Final = np.zeros(0, dtype=np.int64)


def shares_in(
    kept: RasterBand,
    classes: tuple[int, ...] | None,
    stored: NDArray[Any],
    usable: NDArray[np.uint8],
) -> NDArray[np.float32]:
    """The share of each cell that a mask leaves, from the stored numbers of its raster (see `Mask`)."""
    plain = (kept.scale, kept.offset) == (1.0, 0.0) and not kept.decoded
    if classes is not None and plain and stored.dtype.itemsize == 1:
        table = np.isin(np.arange(256).astype(np.uint8).view(stored.dtype), classes).astype(np.float32)
        share = table[stored.view(np.uint8)]
    else:
        values = stored if plain else _values(kept, stored)
        chosen = values if classes is None else np.isin(values, np.array(classes, dtype=np.int64))
        share = np.clip(np.where(np.isfinite(stored), chosen, 0), 0, 1).astype(np.float32)
    if kept.nodata is not None:
        nodata = stored.dtype.type(kept.nodata) if stored.dtype.kind == "f" else kept.nodata
        share[stored == nodata] = 0
    if len(usable):
        share[usable == 0] = 0
    return share


def _values(kept: RasterBand, stored: NDArray[Any]) -> NDArray[Any]:
    if kept.decoded:
        return decoded(stored, kept.scale)
    return stored.astype(np.float64) * kept.scale + kept.offset


def numbers_of(kept: RasterBand) -> tuple[int, float, float, float]:
    """How kernels are to take the stored numbers of a band: mode, scale, offset, nodata."""
    from geo.zonal_kernels import DECODED, SCALED, STORED

    nodata = np.nan if kept.nodata is None else float(kept.nodata)
    if np.dtype(kept.dtype).kind == "f" and kept.nodata is not None:
        nodata = float(np.dtype(kept.dtype).type(kept.nodata))
    plain = (kept.scale, kept.offset) == (1.0, 0.0)
    return (DECODED if kept.decoded else STORED if plain else SCALED), kept.scale, kept.offset, nodata


def reduce_segments(
    values: NDArray[Any],
    usable: NDArray[np.uint8],
    mask: NDArray[np.float32],
    begin: Ints,
    numbers: tuple[int, float, float, float],
    stretch: tuple[int, int],
    s: Segments,
    row_area: Floats,
    out: Floats,
) -> None:
    """The sums of the segments (s, 3) of one block into `out[0]`, and their spread into `out[1]`, if there is
    one.
    """
    from geo.zonal_kernels import reduce_block, reduce_plain, spread_block  # loads the compiler

    cells = (s.cells, s.runs, s.cell_offset, s.cell_share, s.run_offset, s.run_length)
    plain: Any = (values, begin, *numbers, *stretch, *cells, row_area, out[0])
    every: Any = (values, usable, mask, *plain[1:])
    if len(usable) or len(mask):
        reduce_block(*every)
    else:
        reduce_plain(*plain)
    if len(out) > 1:
        spreading: Any = (*every, out[1])
        spread_block(*spreading)
