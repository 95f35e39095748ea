"""Several processes want the same ground at once: `python -m benchmarks.land.races`, for both databases.

Every process tries every ground, each 2 m beside the others' try, with the real check and index in a
transaction of its own (`claims.check`, `claims.index_claim`), so that nothing but its locks keeps two apart:
the group writer, which serialises on the log's head, is not there. Afterwards every pair of claims is judged
exactly. A run without the locks shows that the campaign sees what it looks for.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
import sqlalchemy as sa
from shapely import Polygon
from sqlalchemy.orm import Session

from benchmarks.land.register import CREDITING, POOL, PROGRAMME, found
from geo.crs import LocalFrame
from geo.polygon import OverlapKind, OverlapRule, Polygonal, canonical, from_wkb, overlap, to_wkb
from registry.database import Database, migrate
from registry.parcels.models import Parcel, ParcelVersion
from registry.programmes.models import Programme
from registry.projects.claims import check, index_claim
from registry.projects.models import LandClaim
from registry.projects.rules import DateRange

CHECKOUT: Final = Path(__file__).resolve().parents[2]
ORIGIN: Final = LocalFrame(118.80, 29.00)
PROCESSES: Final = 4
GROUNDS: Final = 250
RUNS: Final = 10
ASIDE_M: Final = 2.0
SIDE_M: Final = 100.0
TOGETHER: Final = 8
"""Grounds that a process tries in an order of its own, so that nobody runs ahead."""


@dataclass(frozen=True, slots=True)
class Run:
    """One race: how many tried and claimed, how many pairs of claims share ground, and how fast it went."""

    tries: int
    claims: int
    doubled: int
    seconds: float


def race(url: str, processes: int = PROCESSES, grounds: int = GROUNDS, *, locks: bool = True) -> Run:
    """Let processes race for grounds in a migrated, empty database, and judge what came of it."""
    database = Database(url)
    try:
        with database.write() as session:
            found(session)
        with _started(url, processes, grounds, locks) as racers:
            began = time.perf_counter()
            told = [json.loads(_line(racer)) for racer in racers]
            seconds = time.perf_counter() - began
        claimed = _claimed(database)
    finally:
        database.dispose()
    if sum(one["claimed"] for one in told) != len(claimed):
        raise RuntimeError(f"{told} were claimed, {len(claimed)} are kept")
    return Run(sum(one["tried"] for one in told), len(claimed), _doubled(claimed), seconds)


def ground(number: int, aside: int) -> Polygonal:
    """A square of its own in the country, moved 2 m for each racer."""
    east, north = ORIGIN.metres_per_degree()
    row, column = divmod(number, 32)
    x, y = column * 3 * SIDE_M + aside * ASIDE_M, row * 3 * SIDE_M
    corners = [(x, y), (x + SIDE_M, y), (x + SIDE_M, y + SIDE_M), (x, y + SIDE_M)]
    return canonical(Polygon([(ORIGIN.lon_deg + a / east, ORIGIN.lat_deg + b / north) for a, b in corners]))


# ---- the racers --------------------------------------------------------------------------------------------


@contextmanager
def _started(url: str, processes: int, grounds: int, locks: bool) -> "Iterator[list[subprocess.Popen[str]]]":
    """Processes that are ready, and told to go at once; those that still run are ended."""
    command = [sys.executable, "-m", "benchmarks.land.races", "--racer", url]
    racers = [
        subprocess.Popen(
            [*command, str(number), "--grounds", str(grounds), *([] if locks else ["--without-locks"])],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    try:
        for racer in racers:
            if _line(racer) != "ready":
                raise RuntimeError("a racer is not ready")
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        yield racers
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()


def _line(racer: "subprocess.Popen[str]") -> str:
    assert racer.stdout is not None
    line = racer.stdout.readline().strip()
    if not line:
        raise RuntimeError("a racer died")
    return line


def _run(url: str, number: int, grounds: int, locks: bool) -> None:
    """What a racer does."""
    database = Database(url)
    outlines = [ground(n, number) for n in range(grounds)]
    with database.read() as session:
        programme = session.get_one(Programme, PROGRAMME)
        session.expunge(programme)
    order = _order(grounds, number)
    print("ready", flush=True)
    sys.stdin.readline()
    claimed = 0
    for n in order:
        with database.write() as session:
            claimed += _try(session, f"{n}-{number}", outlines[n], programme, locks)
    print(json.dumps({"tried": len(order), "claimed": claimed}), flush=True)
    database.dispose()


def _order(grounds: int, number: int) -> list[int]:
    shuffled = random.Random(number)
    order: list[int] = []
    for first in range(0, grounds, TOGETHER):
        some = list(range(first, min(first + TOGETHER, grounds)))
        shuffled.shuffle(some)
        order += some
    return order


def _try(session: Session, name: str, outline: Polygonal, programme: Programme, locks: bool) -> bool:
    """Whether the ground was claimed."""
    period = DateRange(*CREDITING)
    verdict = check(session, outline, period, POOL, programme, today="2025-06-01", locked=not locks)
    if not verdict.clear:
        return False
    row = {"id": name, "status": "enrolled", "entry_index": 0}
    session.execute(
        sa.insert(Parcel),
        [{**row, "organisation_id": "village", "county": "330802", "code": name, "version": 1}],
    )
    digests = dict.fromkeys(("source_sha256", "evidence_sha256", "resolution_sha256"), "0" * 64)
    version = {"parcel_id": name, "version": 1, "area_cm2": verdict.area_cm2, "stand_type": "fir"}
    version |= {"wkb": to_wkb(outline), "commitment": name, **digests}
    session.execute(sa.insert(ParcelVersion), [version])
    claim: dict[str, Any] = {
        "id": f"c{name}",
        "status": "active",
        "entry_index": 0,
        "parcel_id": name,
        "parcel_version": 1,
        "project_id": "project",
        "programme_id": PROGRAMME,
        "pool": POOL,
        "from_on": CREDITING[0],
        "to_on": CREDITING[1],
        "credited_cm2": verdict.credited_cm2,
        "claimed_index": 0,
    }
    session.execute(sa.insert(LandClaim), [claim])
    index_claim(session, claim["id"], outline)
    return True


# ---- what came of it ---------------------------------------------------------------------------------------


def _claimed(database: Database) -> list[Polygonal]:
    with database.read() as session:
        return [from_wkb(wkb) for wkb in session.scalars(sa.select(ParcelVersion.wkb)) if wkb is not None]


def _doubled(claimed: Sequence[Polygonal]) -> int:
    """Pairs of claims on the same ground: all pairs, without our own index."""
    array = np.array(claimed, dtype=object)
    one, other = shapely.STRtree(array).query(array, predicate="intersects")
    rule = OverlapRule()
    return sum(
        overlap(claimed[a], claimed[b], rule).kind is OverlapKind.REFUSED
        for a, b in zip(one.tolist(), other.tolist(), strict=True)
        if a < b
    )


# ---- the campaign ------------------------------------------------------------------------------------------


def campaign(urls: dict[str, Iterator[str]], runs: int = RUNS) -> dict[str, Any]:
    """Ten runs for each database, and one without locks where locks are what keeps two apart."""
    figures: dict[str, Any] = {}
    for name, fresh in urls.items():
        done = [_fresh_race(next(fresh)) for _ in range(runs)]
        figures[name] = _summed(done)
        if name == "PostgreSQL":
            figures[f"{name}, without the locks"] = _summed([_fresh_race(next(fresh), locks=False)])
    return figures


def _fresh_race(url: str, *, locks: bool = True) -> Run:
    migrate(url)
    return race(url, locks=locks)


def _summed(runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "runs": len(runs),
        "tries": sum(run.tries for run in runs),
        "claims": sum(run.claims for run in runs),
        "doubled": [run.doubled for run in runs],
        "tries_per_s": sum(run.tries for run in runs) / sum(run.seconds for run in runs),
    }


def table(figures: dict[str, Any], said: str) -> str:
    """The page's table."""
    lines = [
        said,
        "",
        "| database | runs | tries | claims | double claims in each run | tries a second |",
        "| --- | ---: | ---: | ---: | --- | ---: |",
    ]
    for name, one in figures.items():
        doubled = ", ".join(map(str, one["doubled"]))
        lines.append(
            f"| {name} | {one['runs']} | {one['tries']:,} | {one['claims']:,} | {doubled} "
            f"| {one['tries_per_s']:,.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.land.races", description=__doc__)
    parser.add_argument("--racer", nargs=2, metavar=("URL", "NUMBER"), help="be one of the racers")
    parser.add_argument("--grounds", type=int, default=GROUNDS)
    parser.add_argument("--without-locks", action="store_true")
    asked = parser.parse_args()
    if asked.racer is not None:
        _run(asked.racer[0], int(asked.racer[1]), asked.grounds, not asked.without_locks)
        return
    from benchmarks.land.claims import fresh_databases

    with fresh_databases() as urls:
        print(json.dumps(campaign(urls), indent=2))


if __name__ == "__main__":
    main()
