"""How long an import takes: a county's parcels with all checks on SQLite and PostgreSQL, by step, with memory
and growth; and the demo's 172 parcels through the whole service over HTTP.

The file is a zipped shapefile of clean parcels; the register holds as many already, mixed among them, so that
every row has registered neighbours to be held against. Before anything is timed, a file with planted faults
must be refused for exactly those (`check_planted`); what is timed is checked as `import_once` says.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks.land import service
from benchmarks.land.claims import fresh_databases
from benchmarks.land.files import columns, write, written
from benchmarks.land.import_once import STEPS
from benchmarks.land.register import fill, world
from benchmarks.land.world import EPSG, grown, moved, outlines
from benchmarks.ledger.rounds import ResultWrong
from geo import batch
from geo.examine import Declared, examine_file
from geo.polygon import OverlapKind, OverlapRule

CHECKOUT: Final = Path(__file__).parents[2]
SIZES: Final = (10_000, 100_000)
FULL_SIZES: Final = (10_000, 50_000, 100_000, 200_000)
ROUNDS: Final = 3
FULL_ROUNDS: Final = 5
GOALS_S: Final = {100_000: (10.0, 6.0)}
"""Must and aim for an import on SQLite."""
SERVICE_MUST_S: Final = 10.0
PLANTED: Final = (3_000, 40)


def measure(full: bool) -> dict[str, Any]:
    """The figures of all imports and of the service."""
    with tempfile.TemporaryDirectory(prefix="tanhui-bench-") as name:
        folder = Path(name)
        figures: dict[str, Any] = {"planted": check_planted(folder), "imports": {}}
        with fresh_databases() as urls:
            for size in FULL_SIZES if full else SIZES:
                figures["imports"][str(size)] = _sized(folder, urls, size, FULL_ROUNDS if full else ROUNDS)
        figures["service"] = service.measure(folder, FULL_ROUNDS if full else ROUNDS)
    return figures


def check_planted(folder: Path) -> dict[str, int]:
    """Plant parcels moved by 30 m and parcels drawn 0.2 m wider among others; what the examination finds must
    be what their distance says: one overlap to refuse at least for each that was moved, slivers and nothing
    worse for each that was widened.
    """
    count, some = PLANTED
    metres = outlines(count, seed=5)
    file = np.concatenate([metres, moved(metres[:some], 30.0), grown(metres[some : 2 * some], 0.2)])
    areas = batch.record(list(file), EPSG).areas_cm2
    path = folder / "planted.zip"
    write(path, file, columns(len(file), areas))
    # the originals of the widened ones stay, so each of those lies on its original whole
    found = examine_file(path, Declared(), rule=OverlapRule())
    refused = {(later, earlier) for later, earlier, one in found.overlaps if one.kind is OverlapKind.REFUSED}
    slivers = [(later, earlier) for later, earlier, one in found.overlaps if one.kind is OverlapKind.SLIVER]
    expected = {(count + n + 1, n + 1) for n in range(2 * some)}
    if found.faults or not expected <= refused or any(later <= count for later, _, _ in found.overlaps):
        raise ResultWrong(f"of {len(expected)} planted overlaps, {len(expected & refused)} were found")
    return {"rows": len(file), "planted": len(expected), "refused": len(refused), "slivers": len(slivers)}


def _sized(folder: Path, urls: dict[str, Iterator[str]], size: int, rounds: int) -> dict[str, Any]:
    some = world(size, size)
    path = written(folder / f"{size}.zip", outlines(2 * size)[size:])
    figures: dict[str, Any] = {"file_mib": path.stat().st_size / 2**20, "databases": {}}
    for name, fresh in urls.items():
        runs = []
        for number in range(rounds):
            url = next(fresh)
            fill(url, some, claims=False)
            runs.append(_once(url, path, size, folder / f"{name}-{size}-{number}"))
        figures["databases"][name] = {
            **{key: _spread([run[key] for run in runs]) for key in runs[0] if key != "steps_s"},
            "steps_s": {step: _spread([run["steps_s"][step] for run in runs]) for step in runs[0]["steps_s"]},
        }
    path.unlink()
    return figures


def _once(url: str, path: Path, size: int, folder: Path) -> dict[str, Any]:
    line = [sys.executable, "-m", "benchmarks.land.import_once", url, str(path), str(size), str(folder)]
    done = subprocess.run(line, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ResultWrong(done.stderr.strip()[-2000:])
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "median": median(values), "max": max(values)}


# ---- the table ---------------------------------------------------------------------------------------------


def table(figures: dict[str, Any], said: str) -> str:
    """The page's table."""
    lines = [said, "", "| measure | must | aim | median | range | met | what else was seen |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | --- | --- |")
    for size, of_size in figures["imports"].items():
        for name, one in of_size["databases"].items():
            lines.append(_import_row(int(size), name, one))
    served = figures["service"]["whole_s"]
    parts = ", ".join(f"{step} {one['median']:.2f} s" for step, one in figures["service"]["steps_s"].items())
    lines.append(
        f"| {figures['service']['parcels']} parcels of the demo through the service over HTTP "
        f"| {SERVICE_MUST_S:.0f} s | | {served['median']:.2f} s | {_range(served)} "
        f"| {'must' if served['median'] <= SERVICE_MUST_S else '**missed**'} | {parts} |"
    )
    lines += ["", *_steps(figures), "", _planted(figures["planted"])]
    return "\n".join(lines)


def _import_row(size: int, name: str, one: dict[str, Any]) -> str:
    must, aim = GOALS_S.get(size, (0.0, 0.0)) if name == "SQLite" else (0.0, 0.0)
    whole = one["whole_s"]
    met = (
        ""
        if not must
        else "aim"
        if whole["median"] <= aim
        else "must"
        if whole["median"] <= must
        else "**missed**"
    )
    goals = f"{must:.0f} s | {aim:.0f} s" if must else " | "
    memory = (
        f"{one['child_peak_mib']['median']:,.0f} MiB in the child, {one['peak_mib']['median']:,.0f} beside it"
    )
    return (
        f"| import of {size:,} parcels, {name} | {goals} | {whole['median']:.2f} s | {_range(whole)} | {met} "
        f"| {size / whole['median']:,.0f} parcels/s; processor {one['cpu_s']['median']:.1f} s; {memory} |"
    )


def _range(spread: dict[str, float]) -> str:
    return f"{spread['min']:.2f} to {spread['max']:.2f}"


def _steps(figures: dict[str, Any]) -> list[str]:
    """Medians of the steps, one column for each import."""
    runs = [
        (f"{int(size):,}, {name}", one["steps_s"])
        for size, of_size in figures["imports"].items()
        for name, one in of_size["databases"].items()
    ]
    lines = ["| step, s | " + " | ".join(name for name, _ in runs) + " |"]
    lines.append("| --- |" + " ---: |" * len(runs))
    lines += [
        f"| {step} | " + " | ".join(f"{one[step]['median']:.2f}" for _, one in runs) + " |"
        for step in (*STEPS, "rest")
    ]
    return lines


def _planted(found: dict[str, int]) -> str:
    return (
        f"Before that, a file of {found['rows']:,} parcels with {found['planted']} planted on others was "
        f"examined: all were found, {found['refused']} overlaps to refuse and {found['slivers']} slivers."
    )
