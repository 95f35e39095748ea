"""Exact shares of raster cells inside polygons, computed once for a grid and kept.

Shares depend on the outlines and the grid only, so they are stored and every raster of the grid is read
against them. A share is the exact area of polygon and cell divided by the area of the cell in the plane of
the grid, found by signed area accumulation (each edge adds the area to its right, as in anti-aliased drawing
of letters) in float64, part by part and block by block. Partly covered cells are stored one by one with a
float32 share, full ones as runs.

**Ground.** Planes distort: a Gauss-Krueger area is off by 3e-4 and more. The weight of a cell is therefore
true ground area: the parcel's area on the ellipsoid, distributed over its cells.

* metres: weight = share x dx x dy x (ground area / plane area of the parcel). The change of scale within one
parcel is
  neglected (7e-6 across a kilometre, 150 km off the meridian).
* degrees: weight = share x area of the cell on the ellipsoid (E-A2, by row), then scaled so that a parcel
wholly inside
  the raster sums to its own area (a factor within about 1e-6 of 1).

So the weights of a parcel wholly inside the raster add up to its area of record, and what lies outside is
`unmeasured`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geo.coverage_build import (
    CLOSURE,
    Assembled,
    Part,
    Segments,
    assemble,
    build_parts,
    joined,
    row_areas_m2,
)
from geo.crs import Floats, Polygonal, pixel_area_m2
from geo.errors import CoverageUnreadable, RasterDoesNotCover
from geo.kept import Kept, keep
from geo.ragged import Ints, starts
from geo.raster import BLOCK, Grid
from geo.work import Progress, Workers, workers_of

__all__ = ["BLOCK", "CLOSURE", "Coverage", "build_coverage", "cover_parcels", "parcel_sums", "pixel_area_m2"]


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """Which share of which cell lies in which parcel.

    A segment is one (block, parcel) pair; segments ascend by block, then parcel. Blocks of 512 x 512 cells
    are numbered by row from the north-west. Offsets count cells within a block, row x 512 + column.

    ground_m2 (n): area of record. plane (n): area in the plane of the grid, in its units. inside_share (n):
    the share of the plane area that lies on the raster. raw_m2 (n): sum of share x cell area. scale (n):
    factor from share x cell area to ground area. segment_parcel, segment_block (s); segment_cells,
    segment_runs (s + 1): where each one's cells and runs start. cell_offset int32, cell_share float32 (c).
    run_offset int32, run_length int16 (r). blocks (b): blocks touched, ascending; block_segments (b + 1):
    where each one's segments start.

    Nothing that is said of a parcel depends on the other parcels of the coverage.
    """

    grid: Grid
    ground_m2: Floats
    plane: Floats
    inside_share: Floats
    raw_m2: Floats
    scale: Floats
    segment_parcel: NDArray[np.int32]
    segment_block: NDArray[np.int32]
    segment_cells: Ints
    segment_runs: Ints
    cell_offset: NDArray[np.int32]
    cell_share: NDArray[np.float32]
    run_offset: NDArray[np.int32]
    run_length: NDArray[np.int16]
    blocks: NDArray[np.int32]
    block_segments: Ints

    @property
    def parcels(self) -> int:
        return len(self.ground_m2)

    @property
    def block_columns(self) -> int:
        return -(-self.grid.width // BLOCK)

    @property
    def size_bytes(self) -> int:
        return sum(array.nbytes for array in self.arrays().values())

    def block_window(self, block: int) -> tuple[int, int, int, int]:
        """Row, column, height and width of a block, cut at the raster's edge."""
        row, column = (int(v) * BLOCK for v in divmod(block, self.block_columns))
        return row, column, min(BLOCK, self.grid.height - row), min(BLOCK, self.grid.width - column)

    def row_areas_m2(self, first: int, count: int) -> Floats:
        """Area of one cell of each row, before the parcel's scale: constant in metres, E-A2 in degrees."""
        return row_areas_m2(self.grid)[first : first + count]

    def covered_m2(self) -> Floats:
        """Ground area of each parcel on the raster; the same as `ground_m2` for those wholly inside."""
        return self.scale * self.raw_m2

    def unmeasured_m2(self) -> Floats:
        """Ground area of each parcel outside the raster, 0 within the closure."""
        outside = self.ground_m2 - self.covered_m2()
        return np.where(self.inside_share >= 1 - CLOSURE, 0.0, np.maximum(outside, 0.0))

    def require_inside(self, at_least_share: float = 1 - CLOSURE) -> None:
        """Refuse a raster that leaves a parcel outside (RasterDoesNotCover, by the parcel's index)."""
        short = np.flatnonzero(self.inside_share < at_least_share)
        if len(short):
            parcel = int(short[0])
            raise RasterDoesNotCover(covered_share=float(self.inside_share[parcel]), parcel=parcel)

    @property
    def segments(self) -> Segments:
        """The segments with their cells and runs, as views."""
        return Segments(
            self.segment_parcel,
            self.segment_block,
            self.segment_cells,
            self.segment_runs,
            self.cell_offset,
            self.cell_share,
            self.run_offset,
            self.run_length,
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name."""
        return {name: getattr(self, name) for name in array_names()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to `path`, replacing it when complete. The file is a cache: it may be deleted and made
        again.
        """
        keep(path, {"grid": self.grid.as_dict()}, self.arrays())

    @classmethod
    def load(cls, path: str | os.PathLike[str], workers: Workers | None = None) -> "Coverage":
        """What `save` wrote, as views of the file (CoverageUnreadable)."""
        try:
            kept = Kept(path)
            return cls(
                grid=Grid(**kept.facts["grid"]),
                **{name: kept.array(name, workers) for name in array_names()},
            )
        except (OSError, KeyError, TypeError) as error:
            raise CoverageUnreadable(reason=type(error).__name__) from error


@cache
def array_names() -> tuple[str, ...]:
    return tuple(field.name for field in fields(Coverage) if field.name != "grid")


def parcel_sums(parcel: NDArray[np.integer[Any]], values: Floats, count: int) -> Floats:
    """Sums by parcel, each in the order of its own `values`, whoever computed them."""
    return np.bincount(parcel, values, minlength=count).astype(np.float64)


def cover_parcels(
    parcels: Sequence[Polygonal],
    grid: Grid,
    *,
    workers: Workers | int = 1,
    progress: Progress | None = None,
) -> Coverage:
    """Coverage of recorded polygons (EPSG:4490): brought to the grid's system with their edges cut, areas of
    record.
    """
    hands = workers_of(workers)
    parts = build_parts(parcels, grid, recorded=True, ground_m2=None, workers=hands, progress=progress)
    return coverage_of(parts, grid, hands)


def build_coverage(
    geometries: Sequence[Polygonal],
    grid: Grid,
    *,
    ground_m2: Floats | None = None,
    workers: Workers | int = 1,
    progress: Progress | None = None,
) -> Coverage:
    """Coverage of valid polygons given in the coordinates of the grid.

    `ground_m2` are their areas of record; without it they are computed by bringing each polygon to EPSG:4490.
    The result is the same bit for bit for any number of workers, and for each parcel whatever the others are.
    The shares of each polygon wholly on the raster are compared with its plane area; a difference above 1e-7
    means that it was not valid (CoverageNotClosed).
    """
    hands = workers_of(workers)
    parts = build_parts(
        geometries, grid, recorded=False, ground_m2=ground_m2, workers=hands, progress=progress
    )
    return coverage_of(parts, grid, hands)


def coverage_of(parts: Sequence[Part], grid: Grid, workers: Workers) -> Coverage:
    """One coverage of chunks that follow each other."""
    first = starts(np.array([len(part.scale) for part in parts], dtype=np.int64))
    together = assemble(
        [part.segments for part in parts],
        [None] * len(parts),
        [part.segments.parcel + np.int32(first[i]) for i, part in enumerate(parts)],
        workers,
    )
    numbers = {name: joined([getattr(part, name) for part in parts], np.float64) for name in PER_PARCEL}
    return assembled_coverage(grid, numbers, together)


def assembled_coverage(grid: Grid, per_parcel: dict[str, Any], together: Assembled) -> Coverage:
    """A coverage of what was put together; `per_parcel` by the names of `PER_PARCEL`."""
    s = together.segments
    return Coverage(
        grid=grid,
        **per_parcel,
        segment_parcel=s.parcel,
        segment_block=s.block,
        segment_cells=s.cells,
        segment_runs=s.runs,
        cell_offset=s.cell_offset,
        cell_share=s.cell_share,
        run_offset=s.run_offset,
        run_length=s.run_length,
        blocks=together.blocks,
        block_segments=together.block_segments,
    )


PER_PARCEL: Final = ("ground_m2", "plane", "inside_share", "raw_m2", "scale")
