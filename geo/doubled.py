"""Ground that a whole register covers twice: from the shares of cells, then exactly.

The outlines of the register are laid on one national equal-area grid of 10 m, their exact shares of its cells
are computed once (`geo.coverage`) and kept. Summed by cell, they say in a fraction of a second where more
than a whole cell is covered; only the outlines that meet in such cells are judged against each other.

A cell that is half empty can hide an overlap of less than half a cell: what two outlines share at the outer
edge of land, narrower than a cell, need not be lit. Two that share a whole cell always are. The check of each
claim and the audit of the log judge every pair exactly; this is the question that one can ask of a province
every hour.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geo import crs
from geo.coverage import BLOCK, CLOSURE, Coverage, build_coverage
from geo.crs import ALBERS, DENSIFY_STEP_DEG, Polygonal, areas_m2
from geo.polygon import Overlap, OverlapKind, OverlapRule, overlap
from geo.raster import Grid

__all__ = ["NATIONAL", "Doubled", "Lit", "judge_lit", "light_up", "national_coverage", "near", "off_grid"]

CELL_M: Final = 10.0
NATIONAL: Final = Grid(
    crs=f"{ALBERS} +type=crs",
    x0=-3_000_000.0,
    y0=6_600_000.0,
    dx=CELL_M,
    dy=CELL_M,
    width=560_000,
    height=640_000,
)
"""The country in the national equal-area frame, its islands too."""

TOLERANCE: Final = 1e-3
"""By how much of itself a cell may be covered twice: edges are cut anew in this frame, to 0.1 mm."""
_CHUNK: Final = 20_000
_ALBERS: Final = crs._apply(crs._ALBERS_STEP)

Pairs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lit:
    """Cells covered more than once, and the pairs of outlines (k, 2) that meet in them, ascending."""

    cells: int
    pairs: Pairs


@dataclass(frozen=True, slots=True)
class Doubled:
    """Two outlines, by their place in the register, and the ground that is both's."""

    one: int
    other: int
    overlap: Overlap


def national_coverage(outlines: Sequence[Polygonal], *, workers: int = 1) -> Coverage:
    """Exact shares of recorded outlines (EPSG:4490) in the cells of `NATIONAL`."""
    array = np.empty(len(outlines), dtype=object)
    array[:] = list(outlines)
    moved = [_to_national(array[first : first + _CHUNK]) for first in range(0, len(array), _CHUNK)]
    in_metres: Sequence[Polygonal] = list(np.concatenate(moved)) if moved else []
    return build_coverage(in_metres, NATIONAL, ground_m2=areas_m2(outlines), workers=workers)


def _to_national(outlines: NDArray[np.object_]) -> NDArray[np.object_]:
    """Many outlines in metres of the national frame, their edges cut where they would bend."""
    cut = shapely.segmentize(outlines, DENSIFY_STEP_DEG)
    return np.asarray(shapely.transform(cut, _ALBERS), dtype=object)


def light_up(coverage: Coverage, *, tolerance: float = TOLERANCE, workers: int = 1) -> Lit:
    """Sum the shares of each cell, and name the pairs of outlines in cells above 1 + `tolerance`.

    Of outlines that the grid does not hold whole (`off_grid`) it says nothing; `near` pairs those.
    """
    blocks = len(coverage.blocks)
    bounds = np.linspace(0, blocks, max(1, min(workers * 8, blocks)) + 1).astype(np.int64)
    spans = list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        found = list(pool.map(lambda span: _lit_in(coverage, span[0], span[1], tolerance), spans))
    cells = np.concatenate([cell for cell, _ in found]) if found else np.zeros(0, np.int64)
    outlines = np.concatenate([outline for _, outline in found]) if found else np.zeros(0, np.int64)
    return Lit(len(np.unique(cells)), _pairs(cells, outlines))


def off_grid(coverage: Coverage) -> NDArray[np.int64]:
    """Outlines that the grid does not hold whole: shares say nothing of the rest of them."""
    return np.flatnonzero(coverage.inside_share < 1 - CLOSURE)


def near(some: NDArray[np.int64], outlines: Sequence[Polygonal]) -> Pairs:
    """Pairs of `some` outlines with all whose boxes meet theirs."""
    array = np.empty(len(outlines), dtype=object)
    array[:] = list(outlines)
    one, other = shapely.STRtree(array).query(array[some])
    pairs = np.sort(np.column_stack([some[one], other]), axis=1)
    found: Pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    return found


def _lit_in(
    coverage: Coverage, first: int, last: int, tolerance: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each lit cell of some blocks with each outline in it."""
    from geo.doubled_kernel import lit  # loads the compiler

    room = 1 << 12
    while True:
        cell, outline = np.empty(room, np.int64), np.empty(room, np.int64)
        needed = lit(
            first,
            last,
            coverage.block_segments,
            coverage.segment_parcel,
            coverage.segment_cells,
            coverage.segment_runs,
            coverage.cell_offset,
            coverage.cell_share,
            coverage.run_offset,
            coverage.run_length,
            BLOCK * BLOCK,
            1.0 + tolerance,
            cell,
            outline,
        )
        if needed <= room:
            return cell[:needed], outline[:needed]
        room = int(needed)


def _pairs(cells: NDArray[np.int64], outlines: NDArray[np.int64]) -> Pairs:
    """Every two outlines of one cell, each pair once."""
    order = np.lexsort((outlines, cells))
    cells, outlines = cells[order], outlines[order]
    found = [np.zeros((0, 2), np.int64)]
    step = 1
    while True:  # neighbours in the list, then next but one, as far as a cell has outlines
        same = cells[step:] == cells[:-step]
        if not same.any():
            break
        pairs = np.column_stack([outlines[:-step][same], outlines[step:][same]])
        found.append(np.unique(pairs, axis=0))
        step += 1
    pairs = np.unique(np.concatenate(found), axis=0)
    apart: Pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return apart


def judge_lit(pairs: Pairs, outline_of: Callable[[int], Polygonal], rule: OverlapRule) -> list[Doubled]:
    """Which pairs share more ground than the rule lets them, exactly; `outline_of` gives an outline by its
    place.
    """
    outline = lru_cache(maxsize=1024)(outline_of)
    judged = [(one, other, overlap(outline(one), outline(other), rule)) for one, other in pairs.tolist()]
    return [Doubled(*found) for found in judged if found[2].kind is OverlapKind.REFUSED]
