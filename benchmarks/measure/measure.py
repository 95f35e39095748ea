"""Every method by turns, round after round, each in a process of its own; nothing counts before its sums
were found right.

The first round of a case keeps all sums. Ours are held against exactextract's for every parcel, against the
exact intersections for some of every kind, and against themselves for one, two and four workers, bit for bit
(`check`). Every later run must give the sums that were checked, or there are no figures at all.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.land.world import EPSG
from benchmarks.ledger.rounds import ResultWrong
from benchmarks.measure import check, ours
from benchmarks.measure.once import Task
from benchmarks.measure.world import Outlines, World, read_outlines, world, write_outlines
from geo.crs import from_store
from geo.raster import RasterSource

CHECKOUT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Case:
    """Parcels, cell size, rasters of one grid; rounds, and in how many of them exactextract takes part."""

    parcels: int
    cell_m: int
    rasters: int
    rounds: int = 3
    peer_rounds: int = 3

    def takes(self, row: "Row") -> bool:
        """One core alone is measured with one raster at 10 m."""
        return row.peer or row.workers > 1 or (self.rasters, self.cell_m) == (1, 10)


DEFAULT: Final = (
    Case(2_000, 10, 1),
    Case(2_000, 10, 5),
    Case(50_000, 10, 1),
    Case(50_000, 10, 5, rounds=2, peer_rounds=1),
    Case(50_000, 30, 1),
)
FULL: Final = (
    Case(2_000, 10, 1, 5, 5),
    Case(2_000, 10, 5),
    Case(2_000, 30, 1),
    Case(50_000, 10, 1, 5, 3),
    Case(50_000, 10, 5),
    Case(50_000, 10, 20, peer_rounds=0),
    Case(50_000, 30, 1, 5, 3),
    Case(50_000, 30, 5),
    Case(200_000, 10, 1, 3, 1),
    Case(200_000, 30, 1, 3, 1),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a case: which method on which files, with how many threads on as many cores."""

    name: str
    method: str
    workers: int
    normalised: bool = False
    peer: bool = False


ROWS: Final = (
    Row("read, 2", "read", 2),
    Row("read, 1", "read", 1),
    Row("first, 2", "first", 2),
    Row("first, 1", "first", 1),
    Row("repeat, 2", "repeat", 2),
    Row("repeat, 1", "repeat", 1),
    Row("packed, 2", "packed", 2),
    Row("packed, 1", "packed", 1),
    Row("packed from files, 2", "packed-from-files", 2),
    Row("normalised: read, 2", "read", 2, normalised=True),
    Row("normalised: read, 1", "read", 1, normalised=True),
    Row("normalised: repeat, 2", "repeat", 2, normalised=True),
    Row("normalised: repeat, 1", "repeat", 1, normalised=True),
    Row("exactextract by feature", "exactextract-feature", 1, peer=True),
    Row("exactextract by raster", "exactextract-raster", 1, peer=True),
)
"""In this order; blocks and coverage that later rows need are kept by the first `first`."""
MORE_WORKERS: Final = 4


@dataclass(slots=True)
class Measured:
    """What a case gave: runs by row, in the order of rounds, and what was checked."""

    case: Case
    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    checked: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        case = self.case
        about = {"parcels": case.parcels, "cell_m": case.cell_m, "rasters": case.rasters}
        return {**about, "rounds": case.rounds, "checked": self.checked, "runs": self.runs}


def measure(full: bool, folder: Path | None = None) -> dict[str, Any]:
    """All cases over the standard world, built first where it is not there."""
    made = world(folder)
    return measured(made, FULL if full else DEFAULT)


def measured(made: World, cases: Sequence[Case], rows: Sequence[Row] = ROWS) -> dict[str, Any]:
    """The figures of some cases over one world, as JSON (ResultWrong)."""
    results = [_case(made, case, rows).to_json() for case in cases]
    return {
        "world": {"digest": made.digest, "published": made.is_published, **made.manifest["facts"]},
        "cases": results,
    }


# ---- one case ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Files:
    """What the processes of a case read and keep."""

    folder: Path
    plain: tuple[str, ...]
    normalised: tuple[str, ...]

    def task(self, row: Row, keep: Path | None = None) -> Task:
        return Task(
            method=row.method,
            rasters=self.normalised if row.normalised else self.plain,
            store=str(self.folder / "store"),
            recorded=str(self.folder.parent / "recorded.npz"),
            keys=str(self.folder.parent / "keys.txt"),
            moved=str(self.folder.parent / "moved.npz"),
            within=str(self.folder / "within.npy"),
            blocks=str(self.folder / "blocks.npy"),
            workers=row.workers,
            cores=0 if row.peer else row.workers,
            keep=None if keep is None else str(keep),
        )


def _case(made: World, case: Case, every: Sequence[Row]) -> Measured:
    files = _prepared(made, case)
    rows = [row for row in every if case.takes(row)]
    result = Measured(case)
    _run(files.task(Row("", "first", 1)))  # so that there are blocks to read; not counted
    for number in range(case.rounds):
        for row in _of_round(rows, number, case):
            keep = _kept(files, row) if number == 0 else None
            result.runs.setdefault(row.name, []).append(_run(files.task(row, keep)))
        if number == 0:
            result.checked = _checked(files, rows, case)
    _same_sums(result, rows)
    return result


def _of_round(rows: Sequence[Row], number: int, case: Case) -> Iterator[Row]:
    """The rows in turn, forwards and backwards by turns; `first` before what uses its coverage."""
    chosen = [row for row in rows if not row.peer or number < case.peer_rounds]
    return iter(chosen if number % 2 == 0 else chosen[::-1])


def _run(task: Task) -> dict[str, Any]:
    line = [sys.executable, "-m", "benchmarks.measure.once", task.to_json()]
    done = subprocess.run(line, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ResultWrong(f"{task.method}: {done.stderr.strip()[-2000:]}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _prepared(made: World, case: Case) -> Files:
    """Outlines of record, the same in the rasters' system, normalised copies: kept for the next run."""
    parcels = made.folder / f"parcels-{case.parcels}"
    folder = parcels / f"{case.cell_m}m"
    folder.mkdir(parents=True, exist_ok=True)
    if not (parcels / "moved.npz").exists():
        recorded, keys = made.recorded(case.parcels)
        write_outlines(parcels / "recorded.npz", recorded)
        (parcels / "keys.txt").write_text("\n".join(keys))
        moved: Outlines = np.empty(len(recorded), dtype=object)
        moved[:] = [from_store(outline, f"EPSG:{EPSG}") for outline in recorded]
        write_outlines(parcels / "moved.npz", moved)
    plain = made.rasters(case.cell_m, case.rasters)
    if not (folder / "within.npy").exists():
        np.save(folder / "within.npy", _within(read_outlines(parcels / "moved.npz"), plain[0]))
    normalised = ours.normalised(plain, made.folder)
    return Files(folder, tuple(map(str, plain)), tuple(map(str, normalised)))


def _within(outlines: Outlines, raster: Path) -> NDArray[np.bool_]:
    """Which outlines lie wholly on the raster: the coarse one is 10 m shorter."""
    with RasterSource.open(raster) as opened:
        grid = opened.grid
    west, south, east, north = shapely.bounds(outlines).T
    inside = (west >= grid.x0) & (east <= grid.x0 + grid.width * grid.dx)
    return np.asarray(inside & (north <= grid.y0) & (south >= grid.y0 - grid.height * grid.dy))


# ---- what must hold ----------------------------------------------------------------------------------------


def _kept(files: Files, row: Row) -> Path:
    return files.folder / f"{row.name.replace(' ', '-').replace(':', '').replace(',', '')}.npy"


def _checked(files: Files, rows: Sequence[Row], case: Case) -> dict[str, float]:
    """Hold all sums of the first round to each other and to exact intersections (ResultWrong)."""
    zonal = [row for row in rows if row.method != "read" and not row.peer]
    sums = {row.name: np.load(_kept(files, row)) for row in zonal}
    base = sums["repeat, 2"]
    found: dict[str, float] = {}
    for row in zonal:
        differ = check.worst(sums[row.name], base)
        check.require(f"{row.name} and repeat", differ, 0.0)
    more = _run(files.task(Row("", "repeat", MORE_WORKERS), files.folder / "more.npy"))
    check.require(
        "four workers", 0.0 if np.array_equal(np.load(files.folder / "more.npy"), base) else 1.0, 0.0
    )
    found["closure"] = check.require("closure", float(more["closure"]), check.BOUND)
    for row in rows if case.peer_rounds else ():
        if row.peer:
            peer = np.load(_kept(files, row))
            found[row.name] = check.require(row.name, check.worst(base, peer))
            check.require(f"{row.name}, count", check.worst_count(base, peer), check.COUNT_BOUND)
    return found | _against_exact(files, base)


def _against_exact(files: Files, base: check.Sums) -> dict[str, float]:
    moved = read_outlines(files.folder.parent / "moved.npz")
    some = check.of_every_kind(moved)
    exact = check.exact(moved[some], Path(files.plain[0]))[None]
    differ = check.require("exact intersections", check.worst(base[:1, some], exact))
    check.require("exact intersections, count", check.worst_count(base[:1, some], exact), check.COUNT_BOUND)
    return {"exact": differ, "exact_parcels": len(some)}


def _same_sums(result: Measured, rows: Sequence[Row]) -> None:
    """Every round's sums are those of the first, which were checked (ResultWrong)."""
    for row in rows:
        digests = {run.get("sha256") for run in result.runs.get(row.name, [])}
        if len(digests) > 1:
            raise ResultWrong(f"{row.name} gave other sums in another round")
