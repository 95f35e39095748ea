"""From outlines to the shares of cells: chunks of outlines are laid on the grid by workers and put together.

Of a parcel nothing depends on the others: each number is taken from its own rings, in their order. So a
coverage can be built whole, in chunks, on several machines, or pieced together from what was kept of each
parcel, and is the same bit for bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geo import batch
from geo import crs as frames
from geo.crs import DENSIFY_STEP_DEG, MAX_DENSIFIED_VERTICES, Floats, Polygonal
from geo.errors import CoverageNotClosed, TooManyVertices
from geo.ragged import Ints, Ragged, Shapes, ragged_of, shapes_of, starts
from geo.raster import Grid
from geo.work import Progress, Workers, threads_of

__all__ = ["CLOSURE", "Assembled", "Part", "Segments", "assemble", "build_parts", "row_areas_m2"]

CLOSURE: Final = 1e-7
_CHUNK: Final = 1_024
_CHUNK_VERTICES: Final = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """(block, parcel) pairs with their cells and runs, in any order, as in `Coverage`."""

    parcel: NDArray[np.int32]
    block: NDArray[np.int32]
    cells: Ints
    runs: Ints
    cell_offset: NDArray[np.int32]
    cell_share: NDArray[np.float32]
    run_offset: NDArray[np.int32]
    run_length: NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one chunk of parcels gave; parcels are counted within the chunk. The numbers of each are those of
    `Coverage`.
    """

    segments: Segments
    ground_m2: Floats
    plane: Floats
    inside_share: Floats
    raw_m2: Floats
    scale: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """Parcels first, first + 1, ...; `recorded` ones are in EPSG:4490, others in the system of the grid."""

    first: int
    shapes: Shapes
    grid: Grid
    recorded: bool
    ground_m2: Floats | None


@lru_cache(maxsize=4)
def row_areas_m2(grid: Grid) -> Floats:
    """Area of one cell of each row of a grid: constant in metres, E-A2 in degrees."""
    if not grid.is_geographic:
        return np.full(grid.height, grid.dx * grid.dy)
    rows = np.arange(grid.height)
    return frames.pixel_area_m2(grid.y0 - (rows + 0.5) * grid.dy, grid.dy, grid.dx)


def build_parts(
    outlines: Sequence[Polygonal],
    grid: Grid,
    *,
    recorded: bool,
    ground_m2: Floats | None,
    workers: Workers,
    progress: Progress | None = None,
) -> list[Part]:
    """Lay outlines on a grid, chunk by chunk (CoverageNotClosed)."""
    shapes = shapes_of(outlines)
    chunks = [
        _Chunk(a, shapes[a:b], grid, recorded, None if ground_m2 is None else ground_m2[a:b])
        for a, b in _chunks(shapes)
    ]
    return list(workers.map(lay, chunks, step="coverage", progress=progress))


def _chunks(shapes: Shapes) -> Iterator[tuple[int, int]]:
    """Cuts of at most so many rows and vertices, one row at least."""
    total = np.concatenate([[0], np.cumsum(shapely.get_num_coordinates(shapes))])
    first = 0
    while first < len(shapes):
        room = int(np.searchsorted(total, total[first] + _CHUNK_VERTICES, side="right")) - 1
        last = min(max(room, first + 1), first + _CHUNK, len(shapes))
        yield first, last
        first = last


def lay(chunk: _Chunk) -> Part:
    """One chunk on its grid: the task that workers do."""
    grid = chunk.grid
    ragged = _ragged(chunk.shapes)
    if chunk.recorded:
        ground = frames.areas_m2(list(chunk.shapes)) if chunk.ground_m2 is None else chunk.ground_m2
        ragged = _from_store(ragged, grid)
    elif chunk.ground_m2 is None:
        ground = frames.areas_m2([frames.to_store(shape, grid.crs) for shape in chunk.shapes])
    else:
        ground = chunk.ground_m2
    segments, measured = _shares(ragged, grid)
    return _closed(chunk, ragged, segments, measured, np.asarray(ground, dtype=np.float64))


def _ragged(shapes: Shapes) -> Ragged:
    """All rows; what is empty has no part."""
    ragged, plain = ragged_of(shapes)
    if plain.all():
        return ragged
    shapes = shapes_of([shape if ok else _tidy(shape) for shape, ok in zip(shapes, plain, strict=True)])
    ragged, plain = ragged_of(shapes)
    parts_in = np.zeros(len(shapes), dtype=np.int64)
    parts_in[plain] = np.diff(ragged.rows)
    return Ragged(ragged.xy, ragged.rings, ragged.parts, starts(parts_in))


def _tidy(shape: Polygonal) -> Polygonal:
    """Without empty parts and holes."""
    kept = [
        shapely.Polygon(part.exterior, [hole for hole in part.interiors if not hole.is_empty])
        for part in frames.parts_of(shape)
    ]
    return shapely.MultiPolygon(kept)


def _from_store(ragged: Ragged, grid: Grid) -> Ragged:
    """`crs.from_store` of each row: edges cut where they would bend, vertices transformed."""
    step = frames._step(grid.crs)
    if step.back is None or len(ragged.xy) == 0:
        return ragged
    if step.step is not None:
        pieces = batch._pieces(ragged, DENSIFY_STEP_DEG)
        most = float(np.add.reduceat(pieces, starts(np.diff(ragged.rings) - 1)[:-1]).max())
        if most > MAX_DENSIFIED_VERTICES:
            raise TooManyVertices(count=int(min(most, 1e15)), limit=MAX_DENSIFIED_VERTICES)
        ragged = batch._cut(ragged, pieces)
    return Ragged(step.back(ragged.xy), ragged.rings, ragged.parts, ragged.rows)


def _shares(ragged: Ragged, grid: Grid) -> tuple[Segments, Floats]:
    """Segments of the rows, and for each row: plane area in cells, cells covered, their area in m2."""
    from geo.coverage_kernels import room, shares  # loads the compiler

    x = (ragged.xy[:, 0] - grid.x0) / grid.dx
    y = (grid.y0 - ragged.xy[:, 1]) / grid.dy
    outline = (x, y, ragged.rings, ragged.parts)
    cells, runs, count = (n + 1024 for n in room(*outline, grid.width, grid.height))
    measured = np.empty((ragged.count, 3))
    while True:
        kept: list[Any] = [
            np.empty(count, np.int32),
            np.empty(count, np.int32),
            np.empty(count + 1, np.int64),
            np.empty(count + 1, np.int64),
            np.empty(cells, np.int32),
            np.empty(cells, np.float32),
            np.empty(runs, np.int32),
            np.empty(runs, np.int16),
        ]
        areas = row_areas_m2(grid)
        s, c, r = shares(*outline, ragged.rows, grid.width, grid.height, areas, measured, *kept)
        if s >= 0:
            break
        cells, runs, count = cells * 2, runs * 2, count * 2
    lengths = (s, s, s + 1, s + 1, c, c, r, r)
    return Segments(*(array[:n].copy() for array, n in zip(kept, lengths, strict=True))), measured


def _closed(chunk: _Chunk, ragged: Ragged, segments: Segments, measured: Floats, ground_m2: Floats) -> Part:
    """Compare shares with plane areas and fix the scale to ground areas (CoverageNotClosed).

    In metres the scale is ground area / plane area, in degrees 1; wholly inside it is ground area / area of
    the shares, so that the float32 rounding of the shares goes out with it.
    """
    grid = chunk.grid
    plane_cells, covered, raw = measured.T
    inside = covered / np.where(plane_cells > 0, plane_cells, 1.0)
    difference = np.where(_within(chunk, ragged), np.abs(inside - 1), np.maximum(inside - 1, 0.0))
    if len(broken := np.flatnonzero(~(difference <= CLOSURE))):
        at = int(broken[0])
        raise CoverageNotClosed(parcel=chunk.first + at, difference=float(difference[at]))
    plane = plane_cells * (grid.dx * grid.dy)
    whole = (inside >= 1 - CLOSURE) & (raw > 0)
    outside = np.ones(len(plane)) if grid.is_geographic else ground_m2 / np.where(plane > 0, plane, 1.0)
    scale = np.where(whole, ground_m2 / np.where(whole, raw, 1.0), outside)
    return Part(segments, ground_m2, plane, np.minimum(inside, 1.0), raw.copy(), scale)


def _within(chunk: _Chunk, ragged: Ragged) -> NDArray[np.bool_]:
    """Which rows lie wholly on the raster."""
    grid = chunk.grid
    out = (ragged.xy[:, 0] < grid.x0) | (ragged.xy[:, 0] > grid.x0 + grid.dx * grid.width)
    out |= (ragged.xy[:, 1] > grid.y0) | (ragged.xy[:, 1] < grid.y0 - grid.dy * grid.height)
    within = np.diff(ragged.rows) > 0
    within[ragged.row_of_vertex()[out]] = False
    return within


# --- putting together ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Assembled:
    """Segments by block, then parcel; blocks touched, and where each one's segments start."""

    segments: Segments
    blocks: NDArray[np.int32]
    block_segments: Ints


def assemble(
    sources: Sequence[Segments],
    chosen: Sequence[Ints | None],
    parcel: Sequence[NDArray[np.int32]],
    workers: Workers,
) -> Assembled:
    """Segments of several sources in the order of a coverage.

    Of each source all segments are taken, or those that are `chosen`, in this order; `parcel` numbers those
    that are taken anew. Segments of one parcel in one block keep their order.
    """
    picked = [_picked(source, some) for source, some in zip(sources, chosen, strict=True)]
    new_parcel = joined([np.asarray(one, dtype=np.int32) for one in parcel], np.int32)
    block = joined([s.block[some] for s, some in zip(sources, picked, strict=True)], np.int32)
    order = np.lexsort((new_parcel, block))  # stable
    cells = starts(
        joined([np.diff(s.cells)[some] for s, some in zip(sources, picked, strict=True)], np.int64)[order]
    )
    runs = starts(
        joined([np.diff(s.runs)[some] for s, some in zip(sources, picked, strict=True)], np.int64)[order]
    )
    target = np.empty(len(order), dtype=np.int64)
    target[order] = np.arange(len(order))
    segments = Segments(
        new_parcel[order],
        block[order],
        cells,
        runs,
        np.empty(cells[-1], np.int32),
        np.empty(cells[-1], np.float32),
        np.empty(runs[-1], np.int32),
        np.empty(runs[-1], np.int16),
    )
    _copy(sources, picked, target, segments, workers)
    blocks, first = np.unique(segments.block, return_index=True)
    return Assembled(segments, blocks.astype(np.int32), np.append(first, len(order)).astype(np.int64))


def _picked(source: Segments, chosen: Ints | None) -> Ints:
    return np.arange(len(source.block)) if chosen is None else np.asarray(chosen, dtype=np.int64)


_COPY: Final = 1 << 16


def _copy(
    sources: Sequence[Segments], picked: Sequence[Ints], target: Ints, into: Segments, workers: Workers
) -> None:
    """Bring the cells and runs of segments to their new places, each of which is written once."""
    from geo.coverage_kernels import place  # loads the compiler

    begin = starts(np.array([len(one) for one in picked], dtype=np.int64))
    pieces = [
        (source, picked[i][a : a + _COPY], target[begin[i] + a : begin[i] + min(a + _COPY, len(picked[i]))])
        for i, source in enumerate(sources)
        for a in range(0, len(picked[i]), _COPY)
    ]

    def copy(piece: tuple[Segments, Ints, Ints]) -> None:
        source, some, to = piece
        place(
            some,
            to,
            source.cells,
            source.runs,
            source.cell_offset,
            source.cell_share,
            source.run_offset,
            source.run_length,
            into.cells,
            into.runs,
            into.cell_offset,
            into.cell_share,
            into.run_offset,
            into.run_length,
        )

    for _ in threads_of(workers).map(copy, pieces):
        pass


def joined(arrays: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    """One array of several, perhaps of none."""
    return np.concatenate(arrays).astype(dtype, copy=False) if arrays else np.zeros(0, dtype)
