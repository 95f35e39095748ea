"""What rasters say about parcels: sums and means with their gaps, their spread, and areas of classes.

Weights are ground areas in m2 (see `coverage`), values are densities or whatever the raster holds. A sum here
is "sum of weight x value", in value times m2: a density in t/ha gives tonnes when divided by 10,000. A cell
without a value (nodata, not-a-number, infinite, left out by an internal mask) is left out and its ground
reported as unmeasured, never filled. A value is what `RasterSource.read` gives: scale and offset are applied
to each stored number, in float64, before it is weighted.

Each raster is read once, block by block, as it is stored; segments (see `Coverage`) are reduced one by one
and added by parcel in the order of the coverage. So the sums of a parcel are the same bit for bit for any
number of workers, for any machine, and whatever other parcels are measured with it. Sums over `pixels` add
the same products in another order: they agree to about 1e-11 of the sum of their magnitudes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

from geo.coverage import Coverage, parcel_sums
from geo.crs import Floats
from geo.raster import RasterSource
from geo.spans import NO_STARTS, Blocks, Mask, Span, numbers_of, reduce_segments, spans_of
from geo.work import Progress, Threads, Workers, workers_of

__all__ = ["Layer", "Mask", "ZonalSum", "ZonalSums", "zonal_sum", "zonal_sums", "zonal_sums_of"]


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


# --- from segments to parcels -------------------------------------------------------------------------------


def _sums(coverage: Coverage, layer: Layer, rows: Floats) -> ZonalSums:
    return sums_of_segments(coverage, layer.source.name, layer.band, rows, masked=bool(layer.masks))


def sums_of_segments(coverage: Coverage, name: str, band: int, rows: Floats, *, masked: bool) -> ZonalSums:
    """Add the numbers of segments, as `reduce_segments` gives them, by parcel, in the coverage's order."""
    add = partial(parcel_sums, coverage.segment_parcel, count=coverage.parcels)
    totals, measured = add(rows[0, :, 0]), add(rows[0, :, 1])
    # a copy: sums outlive the coverage, which may be a view of a large file
    area = add(rows[0, :, 2]) * coverage.scale if masked else coverage.ground_m2.copy()
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
