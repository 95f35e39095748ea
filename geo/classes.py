"""Areas of the classes of a land cover, or of any raster of whole numbers, under parcels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geo.coverage import Coverage
from geo.crs import Floats
from geo.errors import RasterNotClasses
from geo.ragged import Ints
from geo.raster import RasterBand, RasterSource
from geo.spans import Blocks, Span, spans_of
from geo.work import Progress, Workers, workers_of

__all__ = ["ClassAreas", "class_areas"]

MOST_CLASSES: Final = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class ClassAreas:
    """Ground area of each class under each parcel (n, k), in m2; classes (k) ascend. Cells without a class
    are left out.
    """

    classes: Ints
    area_m2: Floats

    def of(self, parcel: int) -> dict[int, float]:
        """Classes that the parcel touches, and their areas."""
        areas = self.area_m2[parcel]
        return {int(self.classes[k]): float(areas[k]) for k in np.flatnonzero(areas > 0)}


def class_areas(
    coverage: Coverage,
    source: RasterSource,
    *,
    band: int = 1,
    workers: Workers | int = 1,
    progress: Progress | None = None,
) -> ClassAreas:
    """Areas of all classes, reading each touched block once; the same bit for bit for any workers and in any
    company (see `zonal`). Raises RasterNotClasses for numbers with fractions or too many different ones,
    RasterGridMismatch, RasterBandMissing, RasterUnreadable.
    """
    coverage.grid.require(source.grid, source.name)
    stored = source.band(band)
    if np.dtype(stored.dtype).kind == "f" or (stored.scale, stored.offset) != (1.0, 0.0):
        raise RasterNotClasses(name=source.name)
    hands = workers_of(workers)
    items = [(span, source, band) for span in spans_of(coverage, hands)]
    columns: dict[int, Floats] = {}
    for (span, _, _), found in zip(
        items, hands.map(_count, items, step="classes", progress=progress), strict=True
    ):
        for owner, classes, areas in found:
            for k, one in enumerate(classes.tolist()):
                if one not in columns and len(columns) == MOST_CLASSES:
                    raise RasterNotClasses(name=source.name)
                into = columns.setdefault(one, np.zeros(coverage.parcels))
                np.add.at(into, span.segments.parcel[owner], areas[:, k])
    classes = np.array(sorted(columns), dtype=np.int64)
    table = np.zeros((coverage.parcels, len(classes)))
    for k, one in enumerate(classes.tolist()):
        table[:, k] = columns[one] * coverage.scale
    some = table.any(axis=0)
    return ClassAreas(classes[some], table[:, some])


def _count(item: tuple[Span, RasterSource, int]) -> list[tuple[slice, Ints, Floats]]:
    """The task that workers do: for each block its segments, the classes in it, and their areas."""
    span, source, band = item
    return list(_blocks(span, source, band))


def _blocks(span: Span, source: RasterSource, band: int) -> Iterator[tuple[slice, Ints, Floats]]:
    from geo.zonal_kernels import class_block  # loads the compiler

    s, blocks = span.segments, Blocks(span.grid)
    for at, block in enumerate(span.blocks.tolist()):
        first, last = int(span.block_segments[at]), int(span.block_segments[at + 1])
        read, usable = blocks.read(block, source, band)
        height, width = blocks.window(block)[2:]
        classes, place = _places(read, usable, source.band(band), height, width)
        if len(classes) > MOST_CLASSES:
            raise RasterNotClasses(name=source.name)
        areas = np.zeros((last - first, len(classes)))
        cells = (s.cells, s.runs, s.cell_offset, s.cell_share, s.run_offset, s.run_length)
        given: Any = (place, first, last, *cells, blocks.row_area(block), areas)
        class_block(*given)
        yield slice(first, last), classes, areas


def _places(
    read: NDArray[Any], usable: NDArray[np.uint8], stored: RasterBand, height: int, width: int
) -> tuple[Ints, NDArray[np.int32]]:
    """The classes of a block, and for each of its cells (512 to a row) the place of its class, or -1."""
    inside = read.reshape(512, 512)[:height, :width]
    if read.dtype.itemsize <= 2:
        low = int(np.iinfo(read.dtype).min)
        seen = np.zeros(1 << (8 * read.dtype.itemsize), dtype=np.bool_)
        seen[inside.astype(np.int32) - low] = True
        classes = np.flatnonzero(seen) + low
    else:
        classes = np.unique(inside).astype(np.int64)
    if stored.nodata is not None:
        classes = classes[classes != stored.nodata]
    place = np.searchsorted(classes, read).astype(np.int32) if len(classes) else np.zeros(len(read), np.int32)
    place[place == len(classes)] = -1
    if len(classes):
        place[classes[place] != read] = -1
    if len(usable):
        place[usable == 0] = -1
    return classes, place
