"""The registry's own way from outlines of record and rasters to sums, as `once` times it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.ledger.rounds import ResultWrong
from benchmarks.measure.world import read_outlines
from geo.coverage import Coverage, cover_parcels
from geo.coverage_store import CoverageStore
from geo.crs import to_store
from geo.packed import Packed, PackedStore, packed_sums
from geo.raster import RasterSource
from geo.zonal import Layer, ZonalSums, zonal_sums, zonal_sums_of

if TYPE_CHECKING:
    from benchmarks.measure.once import Task

Sums = NDArray[np.float64]
Work = Callable[[], Any]
Finish = Callable[[Any], tuple[Sums, dict[str, float]]]


def first(task: Task) -> tuple[Work, Finish]:
    """Nothing is kept yet: build the shares of all outlines, keep them, and take the sums."""
    outlines, keys = list(read_outlines(Path(task.recorded))), _keys(task)
    shutil.rmtree(task.store, ignore_errors=True)
    _warm(task)

    def work() -> Any:
        coverage = CoverageStore(task.store).coverage(outlines, keys, _grid(task), workers=task.workers)
        return coverage, _sums(task, coverage)

    def finish(raw: Any) -> tuple[Sums, dict[str, float]]:
        coverage, sums = raw
        np.save(task.blocks, np.array([coverage.block_window(int(one)) for one in coverage.blocks]))
        return _in_cells(coverage, sums), _seen(task, coverage)

    return work, finish


def repeat(task: Task) -> tuple[Work, Finish]:
    """The shares are kept: load them and take the sums."""
    keys = _keys(task)
    _warm(task)

    def work() -> Any:
        store = CoverageStore(task.store)
        coverage = store.coverage(_not_kept, keys, _grid(task), workers=task.workers)
        return coverage, _sums(task, coverage)

    return work, lambda raw: (_in_cells(*raw), _seen(task, raw[0]))


def packed(task: Task) -> tuple[Work, Finish]:
    """Shares and values under the parcels are in memory: sums once more, as other factors or draws need them.
    No raster is read.
    """
    coverage = CoverageStore(task.store).coverage(_not_kept, _keys(task), _grid(task))
    values = list(_packed(task, coverage))

    def work() -> Any:
        return coverage, [packed_sums(coverage, one, workers=task.workers) for one in values]

    work()
    return work, lambda raw: (_in_cells(*raw), {"packed_bytes": sum(one.size_bytes for one in values)})


def packed_from_files(task: Task) -> tuple[Work, Finish]:
    """Shares and values are kept in files: load them, and sum. Digests of the rasters are known."""
    keys = _keys(task)
    list(_packed(task, CoverageStore(task.store).coverage(_not_kept, keys, _grid(task))))
    _warm(task)
    known = [_digest(path) for path in task.rasters]

    def work() -> Any:
        coverage = CoverageStore(task.store).coverage(_not_kept, keys, _grid(task), workers=task.workers)
        sums = [packed_sums(coverage, one, workers=task.workers) for one in _packed(task, coverage, known)]
        return coverage, sums

    return work, lambda raw: (_in_cells(*raw), _seen(task, raw[0]))


def _packed(task: Task, coverage: Coverage, known: Sequence[str] = ()) -> Iterator[Packed]:
    store = PackedStore(Path(task.store).parent / "packed")
    for n, path in enumerate(task.rasters):
        with RasterSource.open(path) as raster:
            if known:
                raster.__dict__["sha256"] = known[n]
            yield store.values(coverage, _keys(task), raster, workers=task.workers)


def _digest(path: str) -> str:
    with RasterSource.open(path) as raster:
        return raster.sha256


def _keys(task: Task) -> list[str]:
    return Path(task.keys).read_text().split()


def _not_kept(rows: Any) -> Any:
    raise ResultWrong(f"the shares of {len(rows)} parcels were not kept")


def normalised(plain: Sequence[Path], parent: Path) -> list[Path]:
    """Normalised copies, made where this code has made none yet; those of other code go."""
    from geo import raster, raster_ingest
    from geo.raster_ingest import normalise

    code = b"".join(Path(str(module.__file__)).read_bytes() for module in (raster, raster_ingest))
    folder = parent / f"normalised-{hashlib.sha256(code).hexdigest()[:12]}"
    for older in set(parent.glob("normalised-*")) - {folder}:
        shutil.rmtree(older)
    folder.mkdir(exist_ok=True)
    made = [folder / path.name for path in plain]
    of_file: dict[int, Path] = {}
    for source, target in zip(plain, made, strict=True):
        same = of_file.setdefault(source.stat().st_ino, target)
        if not target.exists() and same is not target:
            os.link(same, target)
        elif not target.exists():
            with RasterSource.open(source) as opened:
                normalise(opened, target)
    return made


def _warm(task: Task) -> None:
    """Import and compile what the work will use, over one parcel in the raster's first block."""
    with RasterSource.open(task.rasters[0]) as raster:
        grid = raster.grid
        corner = shapely.box(grid.x0, grid.y0 - 2 * grid.dy, grid.x0 + 2 * grid.dx, grid.y0)
        zonal_sums(cover_parcels([to_store(corner, grid.crs)], grid), raster)


def _seen(task: Task, coverage: Coverage) -> dict[str, float]:
    kept = sum(path.stat().st_size for path in Path(task.store).rglob("*") if path.is_file())
    # the plane area that the shares add up to, over that of the outline
    closure = np.abs(coverage.raw_m2 / coverage.plane - 1)[np.load(task.within)]
    return {
        "closure": float(closure.max()),
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
