"""How sure a sum over a parcel is: the two sums of E-R2, block by block, as `zonal` does it with the sums.

For one density at a time, with the error of each pixel: a raster of standard deviations, a share of the
value, or one number. What several parcels share of a pixel, and differences of two dates, need the pixels
themselves (`geo.pixels`); for each parcel by itself these sums are enough, and no pixel is kept.

The same bit for bit for any number of workers, for any machine, and whatever other parcels are measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geo.coverage import BLOCK, Coverage, parcel_sums
from geo.crs import Floats
from geo.raster import RasterSource
from geo.spans import Blocks, Mask, Span, spans_of
from geo.work import Progress, Workers, workers_of

__all__ = ["ErrorLayer", "ParcelErrors", "error_sums"]


@dataclass(frozen=True, slots=True)
class ErrorLayer:
    """A density and the standard deviation of its pixels, in its own unit, over what all masks leave.

    The deviation is the value of `deviations` (its magnitude), else `relative` x the magnitude of the value
    + `absolute`.
    """

    source: RasterSource
    band: int = 1
    masks: tuple[Mask, ...] = ()
    deviations: RasterSource | None = None
    deviations_band: int = 1
    relative: float = 0.0
    absolute: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ParcelErrors:
    """E-R2's sums of each parcel (n), in value x m2: `linear` = sum of w x s, `squares` = sum of (w x s)^2.

    unknown_m2: ground with a density whose deviation has no value.
    """

    linear: Floats
    squares: Floats
    unknown_m2: Floats

    def standard_error(self, rho_space: float) -> Floats:
        """SE of each parcel's sum when errors of any two pixels correlate by `rho_space` (0 to 1), in value x
        m2; not-a-number where a deviation is not known.
        """
        variance = (1 - rho_space) * self.squares + rho_space * self.linear * self.linear
        return np.where(self.unknown_m2 > 0, np.nan, np.sqrt(variance))


def error_sums(
    coverage: Coverage,
    layer: ErrorLayer,
    *,
    workers: Workers | int = 1,
    progress: Progress | None = None,
) -> ParcelErrors:
    """E-R2's sums under each parcel, reading each touched block once.

    All rasters lie on the grid of the coverage. Raises RasterGridMismatch, RasterBandMissing,
    RasterUnreadable.
    """
    for source, band in _rasters(layer):
        coverage.grid.require(source.grid, source.name)
        source.band(band)
    hands = workers_of(workers)
    spans = list(spans_of(coverage, hands))
    rows = np.zeros((len(coverage.segment_parcel), 3))
    results = hands.map(_errors_of_span, [(span, layer) for span in spans], step="errors", progress=progress)
    for span, some in zip(spans, results, strict=True):
        rows[span.first : span.first + len(some)] = some
    linear, squares, unknown = (
        parcel_sums(coverage.segment_parcel, rows[:, column], coverage.parcels) for column in range(3)
    )
    scale = coverage.scale
    return ParcelErrors(linear * scale, squares * scale * scale, unknown * scale)


def _rasters(layer: ErrorLayer) -> Sequence[tuple[RasterSource, int]]:
    own = [(layer.source, layer.band), *((mask.source, mask.band) for mask in layer.masks)]
    return own if layer.deviations is None else [*own, (layer.deviations, layer.deviations_band)]


def _errors_of_span(item: tuple[Span, ErrorLayer]) -> Floats:
    """The task that workers do: the three sums of each segment of a span."""
    from geo.error_kernels import error_block  # loads the compiler

    span, layer = item
    blocks = Blocks(span.grid)
    s = span.segments
    found = np.zeros((len(s.block), 3))
    for at, block in enumerate(span.blocks.tolist()):
        stretch = (int(span.block_segments[at]), int(span.block_segments[at + 1]))
        error_block(
            _deviation(layer, blocks.window(block)),
            blocks.mask(block, layer.masks),
            *stretch,
            s.cells,
            s.runs,
            s.cell_offset,
            s.cell_share,
            s.run_offset,
            s.run_length,
            blocks.row_area(block),
            found,
        )
    return found


def _deviation(layer: ErrorLayer, window: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """What `error_block` calls so, 512 to a row."""
    density = layer.source.read(*window, layer.band)
    if layer.deviations is None:
        own = np.abs(density.values.astype(np.float64)) * layer.relative + layer.absolute
    else:
        stated = layer.deviations.read(*window, layer.deviations_band)
        own = np.where(stated.valid, np.abs(stated.values.astype(np.float64)), np.nan)
    whole = np.zeros((BLOCK, BLOCK))
    whole[: window[2], : window[3]] = np.where(density.valid, own, 0.0)
    return whole.reshape(-1)
