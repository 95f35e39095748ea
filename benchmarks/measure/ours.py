"""The registry's own way from outlines of record and rasters to sums, as `once` times it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure.world import read_outlines
from geo.coverage import Coverage, cover_parcels
from geo.raster import RasterSource
from geo.zonal import Layer, ZonalSums, zonal_sums_of

if TYPE_CHECKING:
    from benchmarks.measure.once import Task

Sums = NDArray[np.float64]
Work = Callable[[], Any]
Finish = Callable[[Any], tuple[Sums, dict[str, float]]]


def first(task: Task) -> tuple[Work, Finish]:
    """Nothing is kept yet: build the shares of all outlines, keep them, and take the sums."""
    outlines = list(read_outlines(Path(task.recorded)))
    shutil.rmtree(task.store, ignore_errors=True)
    Path(task.store).mkdir(parents=True)
    cover_parcels(outlines[:2], _grid(task))

    def work() -> Any:
        coverage = cover_parcels(outlines, _grid(task), workers=task.workers)
        coverage.save(Path(task.store) / "coverage.npz")
        return coverage, _sums(task, coverage)

    def finish(raw: Any) -> tuple[Sums, dict[str, float]]:
        coverage, sums = raw
        np.save(task.blocks, np.array([coverage.block_window(int(one)) for one in coverage.blocks]))
        return _in_cells(coverage, sums), _seen(task, coverage)

    return work, finish


def repeat(task: Task) -> tuple[Work, Finish]:
    """The shares are kept: load them and take the sums."""

    def work() -> Any:
        coverage = Coverage.load(Path(task.store) / "coverage.npz")
        return coverage, _sums(task, coverage)

    return work, lambda raw: (_in_cells(*raw), _seen(task, raw[0]))


def normalised(plain: Sequence[Path], folder: Path) -> list[Path]:
    """Normalised copies, made where there is none yet."""
    from geo.raster_ingest import normalise

    folder.mkdir(exist_ok=True)
    made = [folder / path.name for path in plain]
    for source, target in zip(plain, made, strict=True):
        if not target.exists():
            with RasterSource.open(source) as raster:
                normalise(raster, target)
    return made


def _seen(task: Task, coverage: Coverage) -> dict[str, float]:
    kept = sum(path.stat().st_size for path in Path(task.store).rglob("*") if path.is_file())
    return {
        "closure": float(np.abs(coverage.inside_share - 1).max()),
        "store_bytes": kept,
        "parcels": coverage.parcels,
        "blocks": len(coverage.blocks),
    }


def _grid(task: Task) -> Any:
    with RasterSource.open(task.rasters[0]) as raster:
        return raster.grid


def _sums(task: Task, coverage: Coverage) -> list[ZonalSums]:
    with ExitStack() as stack:
        rasters = [stack.enter_context(RasterSource.open(one)) for one in task.rasters]
        return zonal_sums_of(coverage, [Layer(raster) for raster in rasters], workers=task.workers)


def _in_cells(coverage: Coverage, sums: list[ZonalSums]) -> Sums:
    cell = coverage.grid.dx * coverage.grid.dy
    result: Sums = np.array([np.column_stack([one.total, one.measured_m2]) for one in sums])
    result /= coverage.scale[:, None] * cell
    return result
