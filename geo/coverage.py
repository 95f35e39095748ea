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

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.crs import Polygonal, areas_m2, from_store, pixel_area_m2, to_store
from geo.errors import CoverageNotClosed, CoverageUnreadable, RasterDoesNotCover
from geo.raster import BLOCK, Grid

__all__ = ["BLOCK", "Coverage", "build_coverage", "cover_parcels", "pixel_area_m2"]

CLOSURE: Final = 1e-7
_CHUNK: Final = 1024  # parcels built at once; constant, so that the result does not depend on the workers
_FORMAT: Final = 1

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """Which share of which cell lies in which parcel.

    A segment is one (block, parcel) pair; segments ascend by block, then parcel. Blocks of 512 x 512 cells
    are numbered by row from the north-west. Offsets count cells within a block, row x 512 + column.

    ground_m2 (n): area of record. plane (n): area in the plane of the grid, in its units. inside_share (n):
    the share of the plane area that lies on the raster. scale (n): factor from share x cell area to ground
    area. segment_parcel, segment_block (s); segment_cells, segment_runs (s + 1): where each one's cells and
    runs start. cell_offset int32, cell_share float32 (c). run_offset int32, run_length int16 (r).
    blocks (b): blocks touched, ascending; block_segments (b + 1): where each one's segments start.
    """

    grid: Grid
    ground_m2: Floats
    plane: Floats
    inside_share: Floats
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
        return sum(array.nbytes for array in self._arrays().values())

    def block_window(self, block: int) -> tuple[int, int, int, int]:
        """Row, column, height and width of a block, cut at the raster's edge."""
        row, column = (int(v) * BLOCK for v in divmod(block, self.block_columns))
        return row, column, min(BLOCK, self.grid.height - row), min(BLOCK, self.grid.width - column)

    def row_areas_m2(self, first: int, count: int) -> Floats:
        """Area of one cell of each row, before the parcel's scale: constant in metres, E-A2 in degrees."""
        grid = self.grid
        if not grid.is_geographic:
            return np.full(count, grid.dx * grid.dy)
        rows = np.arange(first, first + count)
        return pixel_area_m2(grid.y0 - (rows + 0.5) * grid.dy, grid.dy, grid.dx)

    def covered_m2(self) -> Floats:
        """Ground area of each parcel on the raster; the same as `ground_m2` for those wholly inside."""
        return self.scale * self._raw_m2()

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

    def _raw_m2(self) -> Floats:
        """Sum of share x cell area of each parcel, always in the same order."""
        from geo.kernels import segment_areas  # loads the compiler

        per_segment = np.zeros(len(self.segment_parcel))
        for i, block in enumerate(self.blocks):
            row, _, height, _ = self.block_window(int(block))
            areas = np.zeros(BLOCK)
            areas[:height] = self.row_areas_m2(row, height)
            segment_areas(
                self.block_segments[i],
                self.block_segments[i + 1],
                self.segment_cells,
                self.segment_runs,
                self.cell_offset,
                self.cell_share,
                self.run_offset,
                self.run_length,
                areas,
                per_segment,
            )
        return parcel_sums(self.segment_parcel, per_segment, self.parcels)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "grid"}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to `path`, replacing it when complete. The file is a cache: it may be deleted and made
        again.
        """
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        head = json.dumps({"format": _FORMAT, "grid": self.grid.as_dict()}, sort_keys=True)
        with partial.open("wb") as out:
            np.savez(out, allow_pickle=False, head=np.frombuffer(head.encode(), np.uint8), **self._arrays())
        partial.replace(target)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Coverage":
        """Read what `save` wrote (CoverageUnreadable)."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                head = json.loads(stored["head"].tobytes())
                if head["format"] != _FORMAT:
                    raise CoverageUnreadable(reason=f"format {head['format']}")
                arrays = {f.name: stored[f.name] for f in fields(cls) if f.name != "grid"}
                return cls(grid=Grid(**head["grid"]), **arrays)
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise CoverageUnreadable(reason=type(error).__name__) from error


def parcel_sums(parcel: NDArray[np.integer[Any]], values: Floats, count: int) -> Floats:
    """Sums by parcel in the order of `values`, whoever computed them."""
    return np.bincount(parcel, values, minlength=count).astype(np.float64)


# --- building -----------------------------------------------------------------------------------------------


def cover_parcels(parcels: Sequence[Polygonal], grid: Grid, *, workers: int = 1) -> Coverage:
    """Coverage of recorded polygons (EPSG:4490): brought to the grid's system with their edges cut, areas of
    record.
    """
    moved = [from_store(parcel, grid.crs) for parcel in parcels]
    return build_coverage(moved, grid, ground_m2=areas_m2(parcels), workers=workers)


def build_coverage(
    geometries: Sequence[Polygonal], grid: Grid, *, ground_m2: Floats | None = None, workers: int = 1
) -> Coverage:
    """Coverage of valid polygons given in the coordinates of the grid.

    `ground_m2` are their areas of record; without it they are computed by bringing each polygon to EPSG:4490.
    The result is the same bit for bit for any number of workers. The shares of each polygon wholly on the
    raster are compared with its plane area; a difference above 1e-7 means that it was not valid
    (CoverageNotClosed).
    """
    if ground_m2 is None:
        ground_m2 = areas_m2([to_store(geometry, grid.crs) for geometry in geometries])
    array = np.empty(len(geometries), dtype=object)
    array[:] = list(geometries)
    chunks = [array[start : start + _CHUNK] for start in range(0, len(array), _CHUNK)]
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        built = list(pool.map(lambda chunk: _build_chunk(chunk, grid), chunks))
    plane = shapely.area(array.astype(object)) if len(array) else np.zeros(0)
    return _close(_assemble(built, grid, np.asarray(ground_m2, dtype=np.float64), plane), array)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one chunk of parcels gave; parcels are counted within the chunk."""

    parcels: int
    parcel: NDArray[np.int32]
    block: NDArray[np.int32]
    cells: Ints
    runs: Ints
    cell_offset: NDArray[np.int32]
    cell_share: NDArray[np.float32]
    run_offset: NDArray[np.int32]
    run_length: NDArray[np.int16]


def _build_chunk(geometries: NDArray[np.object_], grid: Grid) -> _Part:
    from geo.kernels import shares  # loads the compiler

    xy, ring_starts, ring_part, part_parcel = _rings(geometries)
    x = (xy[:, 0] - grid.x0) / grid.dx
    y = (grid.y0 - xy[:, 1]) / grid.dy
    cells, runs, segments = _room(x, y, ring_starts, ring_part, part_parcel)
    while True:
        part = (
            np.empty(segments, np.int32),
            np.empty(segments, np.int32),
            np.empty(segments + 1, np.int64),
            np.empty(segments + 1, np.int64),
            np.empty(cells, np.int32),
            np.empty(cells, np.float32),
            np.empty(runs, np.int32),
            np.empty(runs, np.int16),
        )
        s, c, r = shares(x, y, ring_starts, ring_part, part_parcel, grid.width, grid.height, *part)
        if s >= 0:
            break
        cells, runs, segments = cells * 2, runs * 2, segments * 2
    part[2][s], part[3][s] = c, r
    return _Part(
        len(geometries),
        part[0][:s].copy(),
        part[1][:s].copy(),
        part[2][: s + 1].copy(),
        part[3][: s + 1].copy(),
        part[4][:c].copy(),
        part[5][:c].copy(),
        part[6][:r].copy(),
        part[7][:r].copy(),
    )


def _rings(geometries: NDArray[np.object_]) -> tuple[Floats, Ints, Ints, Ints]:
    """Coordinates; where rings start in them; where parts start in rings; parcel of each part.

    Shells are turned anticlockwise and holes clockwise, so that signed areas subtract the holes.
    """
    parts, parcel = shapely.get_parts(geometries, return_index=True)
    parts = shapely.orient_polygons(parts, exterior_cw=False)
    rings, owner = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    ring_starts = np.searchsorted(ring, np.arange(len(rings) + 1)).astype(np.int64)
    ring_part = np.searchsorted(owner, np.arange(len(parts) + 1)).astype(np.int64)
    return np.ascontiguousarray(xy), ring_starts, ring_part, parcel.astype(np.int64)


def _room(
    x: Floats, y: Floats, ring_starts: Ints, ring_part: Ints, part_parcel: Ints
) -> tuple[int, int, int]:
    """Likely numbers of edge cells, runs and segments; the builder says when they were too small."""
    if len(x) == 0:
        return 1, 1, 1
    edges = float(np.sum(np.abs(np.diff(x)) + np.abs(np.diff(y)) + 3.0)) if len(x) > 1 else 1.0
    starts = ring_starts[ring_part[:-1]]
    ends = ring_starts[ring_part[1:]]
    blocks = 0.0
    rows = 0.0
    for a, z in zip(starts, ends, strict=True):
        if z > a:
            wide = np.ptp(x[a:z]) // BLOCK + 2
            tall = np.ptp(y[a:z])
            blocks += wide * (tall // BLOCK + 2)
            rows += wide * (tall + 2)
    cap = 1 << 22
    return int(min(edges, cap)) + 16, int(min(edges + rows, cap)) + 16, int(min(blocks, cap)) + 16


def _assemble(parts: list[_Part], grid: Grid, ground_m2: Floats, plane: Floats) -> Coverage:
    first = np.cumsum([0, *(p.parcels for p in parts)])
    cells = np.cumsum([0, *(len(p.cell_offset) for p in parts)])
    runs = np.cumsum([0, *(len(p.run_offset) for p in parts)])
    parcel = _join([p.parcel + np.int32(first[i]) for i, p in enumerate(parts)], np.int32)
    block = _join([p.block for p in parts], np.int32)
    cell_start = _join([*(p.cells[:-1] + cells[i] for i, p in enumerate(parts)), cells[-1:]], np.int64)
    run_start = _join([*(p.runs[:-1] + runs[i] for i, p in enumerate(parts)), runs[-1:]], np.int64)
    order = np.lexsort((parcel, block))  # stable: parts of one parcel in one block keep their order
    cell_order, segment_cells = _gather(cell_start, order)
    run_order, segment_runs = _gather(run_start, order)
    segment_block = block[order]
    blocks, start = np.unique(segment_block, return_index=True)
    zeros = np.zeros(len(ground_m2))
    return Coverage(
        grid=grid,
        ground_m2=ground_m2,
        plane=plane,
        inside_share=zeros,
        scale=zeros,
        segment_parcel=parcel[order],
        segment_block=segment_block,
        segment_cells=segment_cells,
        segment_runs=segment_runs,
        cell_offset=_join([p.cell_offset for p in parts], np.int32)[cell_order],
        cell_share=_join([p.cell_share for p in parts], np.float32)[cell_order],
        run_offset=_join([p.run_offset for p in parts], np.int32)[run_order],
        run_length=_join([p.run_length for p in parts], np.int16)[run_order],
        blocks=blocks.astype(np.int32),
        block_segments=np.append(start, len(order)).astype(np.int64),
    )


def _join(arrays: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate(arrays).astype(dtype, copy=False) if arrays else np.zeros(0, dtype)


def _gather(starts: Ints, order: Ints) -> tuple[Ints, Ints]:
    """Indices that bring ragged rows into `order`, and where each row then starts."""
    lengths = np.diff(starts)[order]
    new = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.arange(new[-1]) - np.repeat(new[:-1] - starts[:-1][order], lengths), new


def _close(coverage: Coverage, geometries: NDArray[np.object_]) -> Coverage:
    """Compare shares with plane areas and fix the scale to ground areas."""
    grid = coverage.grid
    cell = grid.dx * grid.dy
    cells_in_plane = coverage.plane / cell
    shares = _share_sums(coverage)
    inside = shares / np.where(cells_in_plane > 0, cells_in_plane, 1.0)
    _check_closure(inside, geometries, grid)
    coverage = _with(coverage, inside_share=np.minimum(inside, 1.0))
    raw = coverage._raw_m2()
    if grid.is_geographic:
        whole = inside >= 1 - CLOSURE
        scale = np.where(whole & (raw > 0), coverage.ground_m2 / np.where(raw > 0, raw, 1.0), 1.0)
    else:
        # wholly inside, the float32 rounding of the shares goes out with the scale
        plane = np.where(inside >= 1 - CLOSURE, raw, coverage.plane)
        scale = coverage.ground_m2 / np.where(plane > 0, plane, 1.0)
    return _with(coverage, scale=scale)


def _with(coverage: Coverage, **changes: Floats) -> Coverage:
    values: dict[str, Any] = {f.name: getattr(coverage, f.name) for f in fields(coverage)}
    return Coverage(**(values | changes))


def _check_closure(inside: Floats, geometries: NDArray[np.object_], grid: Grid) -> None:
    if len(geometries) == 0:
        return
    west, south, east, north = shapely.bounds(geometries).T
    within = (west >= grid.x0) & (north <= grid.y0)
    within &= (east <= grid.x0 + grid.dx * grid.width) & (south >= grid.y0 - grid.dy * grid.height)
    difference = np.where(within, np.abs(inside - 1), np.maximum(inside - 1, 0.0))
    broken = np.flatnonzero(~(difference <= CLOSURE))
    if len(broken):
        parcel = int(broken[0])
        raise CoverageNotClosed(parcel=parcel, difference=float(difference[parcel]))


def _share_sums(coverage: Coverage) -> Floats:
    """Cells covered by each parcel, in whole cells."""
    cells = np.concatenate([[0.0], np.cumsum(coverage.cell_share, dtype=np.float64)])
    runs = np.concatenate([[0], np.cumsum(coverage.run_length, dtype=np.int64)])
    edge = np.diff(cells[coverage.segment_cells])
    full = np.diff(runs[coverage.segment_runs])
    return parcel_sums(coverage.segment_parcel, edge + full, coverage.parcels)
