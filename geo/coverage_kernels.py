"""The loops from edges to shares of cells, compiled: what `coverage_build` does to every block that an
outline touches (see `geo.kernels`).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from geo.kernels import compiled
from geo.raster import BLOCK

__all__ = ["place", "room", "shares"]

_EPSILON: Final = 1e-9  # shares closer to 0 or 1 than this are rounding of the coordinates

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


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
def _edge(
    acc: Floats, width: int, height: int, x0: float, y0: float, x1: float, y1: float, sign: float
) -> None:
    """Add the signed area right of one edge to a window of height x width cells (coordinates in cells).

    Edges that run south count `sign`, those that run north its opposite.
    """
    if y0 == y1:
        return
    if y0 > y1:
        x0, x1, y0, y1, sign = x1, x0, y1, y0, -sign
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
    acc: Floats,
    x: Floats,
    y: Floats,
    rings: Ints,
    signs: Floats,
    first: int,
    last: int,
    column0: int,
    row0: int,
) -> None:
    """Clear a window that starts at (row0, column0) and add the edges of rings first..last to it."""
    acc[:] = 0.0
    height = acc.shape[0]
    width = acc.shape[1] - 2
    for ring in range(first, last):
        sign = signs[ring]
        for k in range(rings[ring], rings[ring + 1] - 1):
            _edge(acc, width, height, x[k] - column0, y[k] - row0, x[k + 1] - column0, y[k + 1] - row0, sign)


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
    """Write the edge cells and runs of a window whose first cell has offset `origin` in its block; (-1, -1)
    if there is no room for them.
    """
    width = acc.shape[1] - 2
    for row in range(acc.shape[0]):
        if cells + width > len(cell_offset) or runs + width > len(run_offset):
            return -1, -1
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
def _orient(x: Floats, y: Floats, rings: Ints, parts: Ints, signs: Floats, area: Floats) -> None:
    """For each ring the sign that makes shells count and holes not; for each part its area, in cells."""
    for part in range(len(parts) - 1):
        area[part] = 0.0
        for ring in range(parts[part], parts[part + 1]):
            start = rings[ring]
            x0 = x[start]
            y0 = y[start]
            twice = 0.0
            for k in range(start, rings[ring + 1] - 1):
                twice += (x[k] - x0) * (y[k + 1] - y0) - (x[k + 1] - x0) * (y[k] - y0)
            shell = ring == parts[part]
            # y runs south here: a positive sum is a ring that runs clockwise on the map
            signs[ring] = -1.0 if shell == (twice > 0.0) else 1.0
            area[part] += abs(twice) * (0.5 if shell else -0.5)


@compiled
def _box(
    x: Floats, y: Floats, start: int, end: int, grid_width: int, grid_height: int
) -> tuple[int, int, int, int]:
    """First and last column, first and last row of the cells that a shell touches on the raster."""
    west, east, north, south = x[start], x[start], y[start], y[start]
    for k in range(start, end):
        west = min(west, x[k])
        east = max(east, x[k])
        north = min(north, y[k])
        south = max(south, y[k])
    # compared as numbers first: a place far away is no cell number
    left = int(np.floor(min(max(west, 0.0), float(grid_width))))
    right = int(np.ceil(min(max(east, 0.0), float(grid_width))))
    top = int(np.floor(min(max(north, 0.0), float(grid_height))))
    bottom = int(np.ceil(min(max(south, 0.0), float(grid_height))))
    return left, right, top, bottom


@compiled
def room(
    x: Floats, y: Floats, rings: Ints, parts: Ints, grid_width: int, grid_height: int
) -> tuple[int, int, int]:
    """Likely numbers of edge cells, runs and segments of all parts; `shares` says when they are too small."""
    edges = 0.0
    rows = 0
    blocks = 0
    for k in range(len(x) - 1):
        edges += min(abs(x[k + 1] - x[k]), float(grid_width)) + min(abs(y[k + 1] - y[k]), float(grid_height))
        edges += 3.0
    for part in range(len(parts) - 1):
        start, end = rings[parts[part]], rings[parts[part] + 1]
        left, right, top, bottom = _box(x, y, start, end, grid_width, grid_height)
        wide = (right - left) // BLOCK + 2
        blocks += wide * ((bottom - top) // BLOCK + 2)
        rows += wide * (bottom - top + 2)
    return int(edges), int(edges) + rows, blocks


@compiled
def _measure(
    row0: int,
    first_cell: int,
    cells: int,
    first_run: int,
    runs: int,
    cell_offset: NDArray[np.int32],
    cell_share: NDArray[np.float32],
    run_offset: NDArray[np.int32],
    run_length: NDArray[np.int16],
    row_area: Floats,
) -> tuple[float, float]:
    """Cells covered by what was written of one segment, and their area; row0 is its block's first row."""
    covered = 0.0
    area = 0.0
    for j in range(first_cell, cells):
        covered += cell_share[j]
        area += cell_share[j] * row_area[row0 + cell_offset[j] // BLOCK]
    for j in range(first_run, runs):
        covered += run_length[j]
        area += run_length[j] * row_area[row0 + run_offset[j] // BLOCK]
    return covered, area


@compiled
def shares(
    x: Floats,
    y: Floats,
    rings: Ints,
    parts: Ints,
    rows: Ints,
    grid_width: int,
    grid_height: int,
    row_area: Floats,
    measured: Floats,
    segment_parcel: NDArray[np.int32],
    segment_block: NDArray[np.int32],
    segment_cells: Ints,
    segment_runs: Ints,
    cell_offset: NDArray[np.int32],
    cell_share: NDArray[np.float32],
    run_offset: NDArray[np.int32],
    run_length: NDArray[np.int16],
) -> tuple[int, int, int]:
    """Fill the arrays of one chunk, part by part and block by block. Coordinates are in cells from the
    north-west corner; `rings`, `parts` and `rows` are as in `geo.ragged`.

    `measured` (parcels, 3) gets the plane area of each parcel in cells, the cells it covers, and their area.
    Whatever is written of a parcel depends on its own outline only. Returns the numbers of segments, cells
    and runs, or (-1, -1, -1) if there was no room for them.
    """
    segments = 0
    cells = 0
    runs = 0
    block_columns = (grid_width + BLOCK - 1) // BLOCK
    work = np.zeros((BLOCK, BLOCK + 2))
    signs = np.empty(len(rings) - 1)
    area = np.empty(len(parts) - 1)
    _orient(x, y, rings, parts, signs, area)
    measured[:] = 0.0
    for row in range(len(rows) - 1):
        for part in range(rows[row], rows[row + 1]):
            measured[row, 0] += area[part]
            start, end = rings[parts[part]], rings[parts[part] + 1]
            left, right, top, bottom = _box(x, y, start, end, grid_width, grid_height)
            if right <= left or bottom <= top:
                continue
            for block_row in range(top // BLOCK, (bottom - 1) // BLOCK + 1):
                row0 = max(top, block_row * BLOCK)
                height = min(bottom, (block_row + 1) * BLOCK) - row0
                for block_column in range(left // BLOCK, (right - 1) // BLOCK + 1):
                    if segments >= len(segment_parcel):
                        return -1, -1, -1
                    column0 = max(left, block_column * BLOCK)
                    width = min(right, (block_column + 1) * BLOCK) - column0
                    acc = work[:height, : width + 2]
                    _accumulate(acc, x, y, rings, signs, parts[part], parts[part + 1], column0, row0)
                    origin = (row0 - block_row * BLOCK) * BLOCK + column0 - block_column * BLOCK
                    now_cells, now_runs = _emit(
                        acc, origin, cells, runs, cell_offset, cell_share, run_offset, run_length
                    )
                    if now_cells < 0:
                        return -1, -1, -1
                    if now_cells == cells and now_runs == runs:
                        continue
                    covered, ground = _measure(
                        block_row * BLOCK,
                        cells,
                        now_cells,
                        runs,
                        now_runs,
                        cell_offset,
                        cell_share,
                        run_offset,
                        run_length,
                        row_area,
                    )
                    measured[row, 1] += covered
                    measured[row, 2] += ground
                    segment_parcel[segments] = row
                    segment_block[segments] = block_row * block_columns + block_column
                    segment_cells[segments] = cells
                    segment_runs[segments] = runs
                    segments += 1
                    cells, runs = now_cells, now_runs
    segment_cells[segments] = cells
    segment_runs[segments] = runs
    return segments, cells, runs


@compiled
def place(
    chosen: Ints,
    target: Ints,
    source_cells: Ints,
    source_runs: Ints,
    source_offset: NDArray[np.int32],
    source_share: NDArray[np.float32],
    source_run: NDArray[np.int32],
    source_length: NDArray[np.int16],
    segment_cells: Ints,
    segment_runs: Ints,
    cell_offset: NDArray[np.int32],
    cell_share: NDArray[np.float32],
    run_offset: NDArray[np.int32],
    run_length: NDArray[np.int16],
) -> None:
    """Copy segments `chosen` of a source to the places that segments `target` have in other arrays."""
    for k in range(len(chosen)):
        to = segment_cells[target[k]]
        for j in range(source_cells[chosen[k]], source_cells[chosen[k] + 1]):
            cell_offset[to] = source_offset[j]
            cell_share[to] = source_share[j]
            to += 1
        to = segment_runs[target[k]]
        for j in range(source_runs[chosen[k]], source_runs[chosen[k] + 1]):
            run_offset[to] = source_run[j]
            run_length[to] = source_length[j]
            to += 1
