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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from zipfile import BadZipFile

import numba
import numpy as np
import shapely
from numpy.typing import NDArray

from geo.crs import Polygonal, areas_m2, from_store, pixel_area_m2, to_store
from geo.errors import CoverageNotClosed, CoverageUnreadable, RasterDoesNotCover
from geo.raster import BLOCK, Grid

__all__ = ["BLOCK", "Coverage", "build_coverage", "cover_parcels", "pixel_area_m2"]

CLOSURE: Final = 1e-7
_CHUNK: Final = 1024  # parcels built at once; constant, so that the result does not depend on the workers
_EPSILON: Final = 1e-9  # shares closer to 0 or 1 than this are rounding of the coordinates
_FORMAT: Final = 1

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """numba.njit without the interpreter lock, kept on disk, with a type that checkers understand."""
    return cast("_F", numba.njit(nogil=True, cache=True, error_model="numpy")(function))


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
        per_segment = np.zeros(len(self.segment_parcel))
        for i, block in enumerate(self.blocks):
            row, _, height, _ = self.block_window(int(block))
            areas = np.zeros(BLOCK)
            areas[:height] = self.row_areas_m2(row, height)
            _segment_areas(
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
        s, c, r = _shares(x, y, ring_starts, ring_part, part_parcel, grid.width, grid.height, *part)
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


# --- kernels ------------------------------------------------------------------------------------------------


@compiled
def _spread(acc: Floats, row: int, a: float, b: float, d: float) -> None:
    """One piece of an edge within one row, from column a to b (0 <= a <= b <= width), of signed height d.

    The cells to its right get d, those it crosses the part of d to the right of it: acc holds the differences
    from column to column.
    """
    first = int(a)
    last = int(np.ceil(b))
    if last <= first + 1:
        left = 0.5 * (a + b) - first
        acc[row, first] += d * (1.0 - left)
        acc[row, first + 1] += d * left
        return
    slope = d / (b - a)  # height per column
    before = 0.0
    for column in range(first, last):
        enter = max(a, float(column))
        leave = min(b, float(column + 1))
        # what was gained left of this column counts in full, what is gained in it by the area to its right
        gained = slope * (enter - a)
        share = gained + slope * (leave - enter) * (column + 1 - 0.5 * (enter + leave))
        acc[row, column] += share - before
        before = share
    acc[row, last] += d - before


@compiled
def _piece(acc: Floats, width: int, row: int, a: float, b: float, d: float) -> None:
    """One piece of an edge within one row, cut at the window's sides; left of them it covers a whole row."""
    if a >= 0.0 and b <= width:
        _spread(acc, row, a, b, d)
    elif b <= 0.0:
        acc[row, 0] += d
    elif a < width:
        per_column = d / (b - a)
        if a < 0.0:
            acc[row, 0] += per_column * -a
            a = 0.0
        b = min(b, float(width))
        _spread(acc, row, a, b, per_column * (b - a))


@compiled
def _edge(acc: Floats, width: int, height: int, x0: float, y0: float, x1: float, y1: float) -> None:
    """Add the signed area right of one edge to a window of height x width cells (coordinates in cells).

    Edges that run south count positive, those that run north negative.
    """
    if y0 == y1:
        return
    sign = 1.0
    if y0 > y1:
        x0, x1, y0, y1, sign = x1, x0, y1, y0, -1.0
    if y1 <= 0.0 or y0 >= height or (x0 >= width and x1 >= width):
        return
    slope = (x1 - x0) / (y1 - y0)
    x = x0
    y = y0
    end_x = x1
    end_y = y1
    if y < 0.0:
        x -= y * slope
        y = 0.0
    if end_y > height:
        end_x = x0 + (height - y0) * slope
        end_y = float(height)
    row = int(y)
    while y < end_y:
        next_y = min(float(row + 1), end_y)
        next_x = x + slope * (next_y - y) if next_y < end_y else end_x
        _piece(acc, width, row, min(x, next_x), max(x, next_x), (next_y - y) * sign)
        x = next_x
        y = next_y
        row += 1


@compiled
def _accumulate(
    acc: Floats, x: Floats, y: Floats, ring_starts: Ints, first: int, last: int, column0: int, row0: int
) -> None:
    """Clear a window that starts at (row0, column0) and add the edges of rings first..last to it."""
    acc[:] = 0.0
    height = acc.shape[0]
    width = acc.shape[1] - 2
    for ring in range(first, last):
        for k in range(ring_starts[ring], ring_starts[ring + 1] - 1):
            _edge(acc, width, height, x[k] - column0, y[k] - row0, x[k + 1] - column0, y[k + 1] - row0)


@compiled
def _needs(acc: Floats) -> tuple[int, int]:
    """Edge cells and runs that an accumulated window will give."""
    cells = 0
    runs = 0
    for row in range(acc.shape[0]):
        total = 0.0
        before = False
        for column in range(acc.shape[1] - 2):
            total += acc[row, column]
            full = total >= 1.0 - _EPSILON
            if full and not before:
                runs += 1
            if total > _EPSILON and not full:
                cells += 1
            before = full
    return cells, runs


@compiled
def _emit(
    acc: Floats,
    origin: int,
    cells: int,
    runs: int,
    cell_offset: NDArray[np.int32],
    cell_share: NDArray[np.float32],
    run_offset: NDArray[np.int32],
    run_length: NDArray[np.int16],
) -> tuple[int, int]:
    """Write the edge cells and runs of a window whose first cell has offset `origin` in its block."""
    width = acc.shape[1] - 2
    for row in range(acc.shape[0]):
        base = origin + row * BLOCK
        total = 0.0
        run = -1
        for column in range(width):
            total += acc[row, column]
            if total >= 1.0 - _EPSILON:
                if run < 0:
                    run = column
                continue
            if run >= 0:
                run_offset[runs] = base + run
                run_length[runs] = column - run
                runs += 1
                run = -1
            if total > _EPSILON:
                cell_offset[cells] = base + column
                cell_share[cells] = total
                cells += 1
        if run >= 0:
            run_offset[runs] = base + run
            run_length[runs] = width - run
            runs += 1
    return cells, runs


@compiled
def _shares(
    x: Floats,
    y: Floats,
    ring_starts: Ints,
    ring_part: Ints,
    part_parcel: Ints,
    grid_width: int,
    grid_height: int,
    segment_parcel: NDArray[np.int32],
    segment_block: NDArray[np.int32],
    segment_cells: Ints,
    segment_runs: Ints,
    cell_offset: NDArray[np.int32],
    cell_share: NDArray[np.float32],
    run_offset: NDArray[np.int32],
    run_length: NDArray[np.int16],
) -> tuple[int, int, int]:
    """Fill the arrays of one chunk, part by part and block by block.

    Returns the numbers of segments, cells and runs, or (-1, -1, -1) if there was no room for them.
    """
    segments = 0
    cells = 0
    runs = 0
    block_columns = (grid_width + BLOCK - 1) // BLOCK
    work = np.zeros((BLOCK, BLOCK + 2))
    for part in range(len(part_parcel)):
        start = ring_starts[ring_part[part]]
        end = ring_starts[ring_part[part] + 1]
        if end <= start:
            continue
        left = max(int(np.floor(x[start:end].min())), 0)
        right = min(int(np.ceil(x[start:end].max())), grid_width)
        top = max(int(np.floor(y[start:end].min())), 0)
        bottom = min(int(np.ceil(y[start:end].max())), grid_height)
        if right <= left or bottom <= top:
            continue
        for block_row in range(top // BLOCK, (bottom - 1) // BLOCK + 1):
            row0 = max(top, block_row * BLOCK)
            height = min(bottom, (block_row + 1) * BLOCK) - row0
            for block_column in range(left // BLOCK, (right - 1) // BLOCK + 1):
                column0 = max(left, block_column * BLOCK)
                width = min(right, (block_column + 1) * BLOCK) - column0
                acc = work[:height, : width + 2]
                _accumulate(acc, x, y, ring_starts, ring_part[part], ring_part[part + 1], column0, row0)
                need_cells, need_runs = _needs(acc)
                if need_cells + need_runs == 0:
                    continue
                if (
                    segments >= len(segment_parcel)
                    or cells + need_cells > len(cell_offset)
                    or runs + need_runs > len(run_offset)
                ):
                    return -1, -1, -1
                segment_parcel[segments] = part_parcel[part]
                segment_block[segments] = block_row * block_columns + block_column
                segment_cells[segments] = cells
                segment_runs[segments] = runs
                segments += 1
                origin = (row0 - block_row * BLOCK) * BLOCK + column0 - block_column * BLOCK
                cells, runs = _emit(acc, origin, cells, runs, cell_offset, cell_share, run_offset, run_length)
    return segments, cells, runs


@compiled
def _segment_areas(
    first: int,
    last: int,
    segment_cells: Ints,
    segment_runs: Ints,
    cell_offset: NDArray[np.int32],
    cell_share: NDArray[np.float32],
    run_offset: NDArray[np.int32],
    run_length: NDArray[np.int16],
    row_area: Floats,
    out: Floats,
) -> None:
    """Sum of share x cell area for the segments first..last of one block; row_area is by row of the block."""
    for segment in range(first, last):
        total = 0.0
        for j in range(segment_cells[segment], segment_cells[segment + 1]):
            total += cell_share[j] * row_area[cell_offset[j] // BLOCK]
        for j in range(segment_runs[segment], segment_runs[segment + 1]):
            total += run_length[j] * row_area[run_offset[j] // BLOCK]
        out[segment] = total
