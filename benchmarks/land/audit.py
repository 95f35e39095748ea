"""How long it takes to look through a whole register for ground that is covered twice (`tanhui land audit`).

A clean register must give nothing, and five registrations that were planted on others' ground must all be
found; only then do the times count.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.land.register import World, fill, parcel_id, world
from benchmarks.land.world import EPSG, moved
from benchmarks.land.world import outlines as drawn
from geo import batch
from geo.coverage import Coverage
from geo.doubled import light_up
from registry.database import Database
from registry.transparency.doubled import audit_land

SIZE, FULL_SIZE = 50_000, 200_000
PLANTED: Final = 5
ROUNDS: Final = 5
WORKERS: Final = 2


def measure(full: bool) -> dict[str, Any]:
    size = FULL_SIZE if full else SIZE
    clean = world(size, 0)
    with tempfile.TemporaryDirectory(prefix="tanhui-bench-") as folder:
        figures = _measured(clean, Path(folder) / "clean")
        if figures["lit_cells"] or figures["found"]:
            raise RuntimeError(f"a clean register lights {figures['lit_cells']} cells")
        wrong = _measured(_with_planted(clean, size), Path(folder) / "wrong", rounds=1)
    planted = {parcel_id(size + n) for n in range(PLANTED)}
    found = {name for pair in wrong["found"] for name in pair} & planted
    if found != planted:
        raise RuntimeError(f"of {PLANTED} planted registrations {len(found)} were found")
    return {
        "parcels": size,
        **{key: value for key, value in figures.items() if key != "found"},
        "planted_found": len(found),
        "planted_cells": wrong["lit_cells"],
        "planted_s": wrong["whole_s"],
    }


def _with_planted(clean: World, size: int) -> World:
    """The register with some parcels again, 30 m aside."""
    extra = batch.record(list(moved(drawn(size)[:PLANTED], 30.0)), EPSG)
    first = clean.recorded
    joined = batch.Recorded(
        outlines=np.concatenate([first.outlines, extra.outlines]),
        wkb=[*first.wkb, *extra.wkb],
        areas_cm2=np.concatenate([first.areas_cm2, extra.areas_cm2]),
        cells=np.concatenate([first.cells, extra.cells]),
        starts=np.concatenate([first.starts, first.starts[-1] + extra.starts[1:]]),
        refused={},
        invalid={},
    )
    return World(joined, size + PLANTED)


def _measured(some: World, folder: Path, rounds: int = ROUNDS) -> dict[str, Any]:
    folder.mkdir()
    url, cache = f"sqlite:///{folder / 'land.db'}", folder / "cache"
    fill(url, some)
    database = Database(url)
    try:
        built_s, found = _timed(database, cache)
        whole = [_timed(database, cache)[0] for _ in range(rounds)]
    finally:
        database.dispose()
    (kept,) = cache.iterdir()
    load_s, coverage = _clocked(lambda: Coverage.load(kept))
    light_up(coverage, workers=WORKERS)
    sums = [_clocked(lambda: light_up(coverage, workers=WORKERS))[0] for _ in range(rounds)]
    return {
        "first_s": built_s,
        "whole_s": statistics.median(whole),
        "load_s": load_s,
        "sum_s": statistics.median(sums),
        "index_mib": kept.stat().st_size / 2**20,
        "lit_cells": found.lit_cells,
        "found": [(one["parcel"], one["other"]) for one in found.doubled],
    }


def _timed(database: Database, cache: Path) -> tuple[float, Any]:
    with database.read() as session:
        return _clocked(lambda: audit_land(session, cache, workers=WORKERS))


def _clocked(work: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def table(figures: dict[str, Any], said: str) -> str:
    """The page's table."""
    planted = f"{PLANTED} planted registrations, {figures['planted_found']} found"
    lit = f"{figures['planted_cells']:,} cells lit"
    return "\n".join(
        [
            said,
            "",
            f"| {figures['parcels']:,} parcels, {WORKERS} threads, SQLite | seconds |",
            "| --- | ---: |",
            f"| from the index in memory: sum all cells, name what is lit | {figures['sum_s']:.2f} |",
            f"| load the index ({figures['index_mib']:.0f} MiB) | {figures['load_s']:.2f} |",
            f"| the whole command's work: list the register, load, sum, judge | {figures['whole_s']:.2f} |",
            f"| the first time, building the index | {figures['first_s']:.1f} |",
            f"| with {planted} ({lit}) | {figures['planted_s']:.2f} |",
        ]
    )
