"""What rasters say about parcels: sums and means with their gaps, their spread, and areas of classes.

Weights are ground areas in m2 (see `coverage`), values are densities or whatever the raster holds. A sum here
is "sum of weight x value", in value times m2: a density in t/ha gives tonnes when divided by 10,000. A cell
without a value (nodata, not-a-number, infinite, left out by an internal mask) is left out and its ground
reported as unmeasured, never filled. A value is what `RasterSource.read` gives: scale and offset are applied
to each stored number, in float64, before it is weighted.

Each raster is read once, block by block, as it is stored; segments (see `Coverage`) are reduced one by one
and added by parcel in the order of the coverage. So the sums of a parcel are the same bit for bit for any
number of workers, for any machine, and whatever other parcels are measured with it. Sums over `pixels` add
the same products in another order: they agree to about 1e-13 of the sum of their magnitudes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geo.coverage import BLOCK, Coverage, parcel_sums
from geo.coverage_build import Segments, row_areas_m2
from geo.crs import Floats
from geo.ragged import Ints
from geo.raster import Grid, RasterBand, RasterSource, decoded
from geo.work import Progress, Threads, Workers, workers_of

__all__ = ["Layer", "Mask", "ZonalSum", "ZonalSums", "zonal_sum", "zonal_sums", "zonal_sums_of"]

_BLOCKS: Final = 8
_BLOCKS_ELSEWHERE: Final = 64
"""Blocks of one item of work, some 30 ms, and more where items travel. No bit depends on it."""


@dataclass(frozen=True, slots=True)
class ZonalSum:
    """One raster under one parcel.

    total: sum of weight x value over measured cells, in value x m2. mean: total / measured_m2, None if
    nothing was measured. area_m2: the area asked about (the parcel, or its eligible part). unmeasured_m2: the
    part of it outside the raster or without a value. valid_share: 1 - unmeasured_m2 / area_m2
    (`valid_area_share` of E-R1).
    """

    total: float
    mean: float | None
    area_m2: float
    measured_m2: float
    unmeasured_m2: float
    valid_share: float
    raster_sha256: str
    band: int = 1


def zonal_sum(total: float, area_m2: float, measured_m2: float, sha256: str, band: int) -> ZonalSum:
    """One parcel's sum; what was measured is at most what was asked about."""
    measured_m2 = min(measured_m2, area_m2)
    return ZonalSum(
        total=total,
        mean=total / measured_m2 if measured_m2 > 0 else None,
        area_m2=area_m2,
        measured_m2=measured_m2,
        unmeasured_m2=area_m2 - measured_m2,
        valid_share=measured_m2 / area_m2 if area_m2 > 0 else 0.0,
        raster_sha256=sha256,
        band=band,
    )


@dataclass(frozen=True, slots=True, eq=False)
class ZonalSums:
    """One band under each parcel (n): the arrays of `ZonalSum`.

    minimum, maximum: of the cells that a parcel touches, not-a-number where none has a value; variance: of
    the ground, sum of weight x (value - mean)^2 / measured_m2. None where they were not asked for.
    """

    name: str
    band: int
    total: Floats
    measured_m2: Floats
    area_m2: Floats
    minimum: Floats | None = None
    maximum: Floats | None = None
    variance: Floats | None = None

    @property
    def mean(self) -> Floats:
        """Not-a-number where nothing was measured."""
        return _over(self.total, self.measured_m2, np.nan)

    @property
    def unmeasured_m2(self) -> Floats:
        return self.area_m2 - self.measured_m2

    @property
    def valid_share(self) -> Floats:
        return _over(self.measured_m2, self.area_m2, 0.0)

    def rows(self, sha256: str) -> list[ZonalSum]:
        """One by one, with the digest of the raster's file."""
        columns = (self.total.tolist(), self.area_m2.tolist(), self.measured_m2.tolist())
        return [zonal_sum(t, a, m, sha256, self.band) for t, a, m in zip(*columns, strict=True)]


def _over(above: Floats, below: Floats, otherwise: float) -> Floats:
    some = below > 0
    return np.where(some, above / np.where(some, below, 1.0), otherwise)


@dataclass(frozen=True, slots=True)
class Mask:
    """What part of a cell is asked about: all of it where the raster has one of these classes, or (classes
    None) the share that the raster holds, 0 to 1. Where the raster has no value, nothing.
    """

    source: RasterSource
    classes: tuple[int, ...] | None
    band: int = 1


@dataclass(frozen=True, slots=True)
class Layer:
    """A band to be summed, over what all masks leave (the least of their shares), with its spread or not."""

    source: RasterSource
    band: int = 1
    masks: tuple[Mask, ...] = ()
    spread: bool = False


def zonal_sums(
    coverage: Coverage,
    raster: RasterSource,
    *,
    band: int = 1,
    masks: Sequence[Mask] = (),
    spread: bool = False,
    workers: Workers | int = 1,
    progress: Progress | None = None,
) -> ZonalSums:
    """One band under each parcel (E-R1), reading each touched block once.

    With masks, `area_m2` is the area they leave on the raster; without, the whole parcel, and what lies
    outside the raster counts as unmeasured. Raises RasterGridMismatch, RasterBandMissing, RasterUnreadable.
    """
    layer = Layer(raster, band, tuple(masks), spread)
    return zonal_sums_of(coverage, [layer], workers=workers, progress=progress)[0]


def zonal_sums_of(
    coverage: Coverage,
    layers: Sequence[Layer],
    *,
    workers: Workers | int = 1,
    progress: Progress | None = None,
) -> list[ZonalSums]:
    """As `zonal_sums` for several rasters and bands of one grid, in one pass.

    Layers that follow each other and have the same masks, or are bands of the same raster, are read together:
    their masks once. All are refused before any is read.
    """
    for layer in layers:
        for source, band in ((layer.source, layer.band), *((m.source, m.band) for m in layer.masks)):
            coverage.grid.require(source.grid, source.name)
            source.band(band)
    together = [tuple(group) for _, group in groupby(layers, _company)]
    hands = workers_of(workers)
    spans = list(spans_of(coverage, hands))
    # what travels is the span: it goes out once, with all that is asked of it
    batches = [[group] for group in together] if isinstance(hands, Threads) else [together]
    items = [(span, batch) for batch in batches for span in spans]
    results = hands.map(_reduce_span, items, step="rasters", progress=progress)
    found: list[ZonalSums] = []
    for batch in batches:
        here = [layer for group in batch for layer in group]
        per_segment = [np.zeros((1 + layer.spread, len(coverage.segment_parcel), 3)) for layer in here]
        for span in spans:
            for into, some in zip(per_segment, next(results), strict=True):
                into[:, span.first : span.first + some.shape[1]] = some
        found += [_sums(coverage, layer, rows) for layer, rows in zip(here, per_segment, strict=True)]
    for _ in results:  # tells the last of them to the progress
        pass
    return found


def _company(layer: Layer) -> tuple[Any, ...]:
    """Layers with the same answer are read together."""
    masks = tuple((id(mask.source), mask.classes, mask.band) for mask in layer.masks)
    return masks or (id(layer.source),)


# --- items of work ------------------------------------------------------------------------------------------


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


def _reduce_span(item: tuple[Span, Sequence[tuple[Layer, ...]]]) -> list[Floats]:
    """The task that workers do: for each layer of each company what `reduce_segments` gives of a span."""
    span, together = item
    blocks = Blocks(span.grid)
    return [out for layers in together for out in _reduce_company(span, layers, blocks)]


def _reduce_company(span: Span, layers: tuple[Layer, ...], blocks: Blocks) -> list[Floats]:
    found = [np.zeros((1 + layer.spread, len(span.segments.block), 3)) for layer in layers]
    for at, block in enumerate(span.blocks.tolist()):
        stretch = (int(span.block_segments[at]), int(span.block_segments[at + 1]))
        mask = blocks.mask(block, layers[0].masks)
        for layer, out in zip(layers, found, strict=True):
            values, usable = blocks.read(block, layer.source, layer.band)
            numbers = numbers_of(layer.source.band(layer.band))
            reduce_segments(
                values, usable, mask, NO_STARTS, numbers, stretch, span.segments, blocks.row_area(block), out
            )
    return found


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
    under: Any = (*numbers, *stretch, *cells, row_area)
    if len(usable) or len(mask):
        reduce_block(values, usable, mask, begin, *under, out[0])
    else:
        reduce_plain(values, begin, *under, out[0])
    if len(out) > 1:
        spread_block(values, usable, mask, begin, *under, out[0], out[1])


# --- from segments to parcels -------------------------------------------------------------------------------


def _sums(coverage: Coverage, layer: Layer, rows: Floats) -> ZonalSums:
    return sums_of_segments(coverage, layer.source.name, layer.band, rows, masked=bool(layer.masks))


def sums_of_segments(coverage: Coverage, name: str, band: int, rows: Floats, *, masked: bool) -> ZonalSums:
    """Add the numbers of segments, as `reduce_segments` gives them, by parcel, in the coverage's order."""
    add = partial(parcel_sums, coverage.segment_parcel, count=coverage.parcels)
    totals, measured = add(rows[0, :, 0]), add(rows[0, :, 1])
    area = add(rows[0, :, 2]) * coverage.scale if masked else coverage.ground_m2
    minimum = maximum = variance = None
    if len(rows) > 1:
        minimum, maximum, variance = _spread(coverage, rows, totals, measured)
    return ZonalSums(
        name=name,
        band=band,
        total=totals * coverage.scale,
        measured_m2=np.minimum(measured * coverage.scale, area),
        area_m2=area,
        minimum=minimum,
        maximum=maximum,
        variance=variance,
    )


def _spread(
    coverage: Coverage, rows: Floats, totals: Floats, measured: Floats
) -> tuple[Floats, Floats, Floats]:
    """Smallest, largest and variance of each parcel: squares within segments, and of their means about the
    parcel's (Chan, Golub & LeVeque 1983).
    """
    owner, (sums, spread) = coverage.segment_parcel, rows
    weight = sums[:, 1]
    least, most = np.full(coverage.parcels, np.inf), np.full(coverage.parcels, -np.inf)
    np.minimum.at(least, owner, np.where(weight > 0, spread[:, 0], np.inf))
    np.maximum.at(most, owner, np.where(weight > 0, spread[:, 1], -np.inf))
    away = _over(sums[:, 0], weight, 0.0) - _over(totals, measured, 0.0)[owner]
    squares = parcel_sums(owner, spread[:, 2] + weight * away**2, coverage.parcels)
    some = measured > 0
    nothing = np.full(coverage.parcels, np.nan)
    return (
        np.where(some, least, nothing),
        np.where(some, most, nothing),
        _over(squares, measured, np.nan),
    )
