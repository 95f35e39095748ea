"""How fast one parcel is held against a register: `claims.check` and `ground.overlaps_with_live_parcels` as
the services call them, on SQLite and PostgreSQL, beside shapely's STRtree over the same outlines in memory.

The questions (GEO.md 4): parcels left out of the register, whose neighbours only touch them; registered
parcels moved 30 m; left-out parcels grown by 0.2 m. The answers of all are compared before any time counts.
"""

import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import numpy as np
import psycopg
import shapely
from psycopg.sql import SQL, Identifier
from sqlalchemy.orm import Session

from benchmarks.land.register import CREDITING, POOL, PROGRAMME, World, fill, parcel_id, size_mib, world
from benchmarks.land.world import EPSG, grown, moved
from benchmarks.land.world import outlines as drawn
from geo import batch
from geo.pairs import against
from geo.polygon import OverlapKind, OverlapRule, Polygonal, judge_together
from registry.database import Database
from registry.parcels.ground import overlap_rule, overlaps_with_live_parcels
from registry.programmes.models import Programme
from registry.programmes.service import terms_of
from registry.projects.claims import check
from registry.projects.rules import DateRange
from tests.postgres import Cluster, NoPostgres, start_cluster

SIZES: Final = (20_000, 100_000)
FULL_SIZES: Final = (20_000, 100_000, 1_000_000)
OF_EACH: Final = 200
FULL_OF_EACH: Final = 350
TODAY: Final = "2025-06-01"

Answer = frozenset[tuple[str, str]]
"""Neighbours and what each shares: their ids and the kinds that are not `none`."""
Ask = Callable[[Polygonal], Answer]


@dataclass(slots=True)
class Way:
    """One way to ask, and what it took."""

    name: str
    build_s: float
    disk_mib: float
    memory_mib: float
    times_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Questions:
    touching: list[Polygonal]
    shifted: list[Polygonal]
    widened: list[Polygonal]

    @property
    def all(self) -> list[Polygonal]:
        return [*self.touching, *self.shifted, *self.widened]


def measure(full: bool) -> dict[str, Any]:
    """The figures for each size and way."""
    figures: dict[str, Any] = {}
    for size in FULL_SIZES if full else SIZES:
        figures[str(size)] = measure_size(size, FULL_OF_EACH if full else OF_EACH)
    return figures


def measure_size(size: int, of_each: int) -> dict[str, Any]:
    before = _resident_mib()
    some = world(size, of_each)
    asked = questions(some, size, of_each)
    ways = [_tree(some, asked)]
    with fresh_databases() as urls:
        for name, fresh in urls.items():
            ways += _database(name, next(fresh), some, asked)
    _compare(ways)
    kinds = _kinds(ways[0], of_each)
    return {
        "parcels": size,
        "questions": len(asked.all),
        "answers": kinds,
        "world_mib": _resident_mib() - before,
        "ways": {way.name: _figures(way) for way in ways},
    }


def questions(some: World, size: int, of_each: int) -> Questions:
    """The outlines that are asked about, in the form of record."""
    metres = drawn(size + of_each)
    return Questions(
        touching=some.spare,
        shifted=_recorded(moved(metres[:of_each], 30.0)),
        widened=_recorded(grown(metres[size:], 0.2)),
    )


def _recorded(metres: Any) -> list[Polygonal]:
    recorded = batch.record(list(metres), EPSG)
    return [outline for outline in recorded.outlines if outline is not None]


# ---- the ways ----------------------------------------------------------------------------------------------


def _tree(some: World, asked: Questions) -> Way:
    """STRtree in memory, and the same judgement."""
    outlines = np.array(some.outlines, dtype=object)
    names = [parcel_id(number) for number in range(len(outlines))]
    began = time.perf_counter()
    tree = shapely.STRtree(outlines)
    tree.query(outlines[0])  # it is built when it is first asked
    way = Way("STRtree in memory", time.perf_counter() - began, 0.0, 0.0)

    def ask(candidate: Polygonal) -> Answer:
        near = np.sort(tree.query(candidate))
        shared = against(candidate, list(outlines[near]), RULE)
        found = judge_together([one for _, one in shared], RULE)
        return _answer((names[near[at]], one.kind) for (at, _), one in zip(shared, found, strict=True))

    _time(way, ask, asked)
    return way


def _database(name: str, url: str, some: World, asked: Questions) -> list[Way]:
    seconds = fill(url, some)
    disk = size_mib(url)
    database = Database(url)
    ways = []
    try:
        for what, ask_in in (("claim check", _check), ("live parcels", _live)):
            way = Way(f"{name}: {what}", seconds, disk, 0.0)
            with Session(database.engine) as session:
                programme = session.get_one(Programme, PROGRAMME)
                session.expunge(programme)
                _time(way, ask_in(session, programme), asked, session)
            ways.append(way)
    finally:
        database.dispose()
    return ways


def _check(session: Session, programme: Programme) -> Ask:
    period = DateRange(*CREDITING)

    def ask(candidate: Polygonal) -> Answer:
        verdict = check(session, candidate, period, POOL, programme, today=TODAY)
        return _answer((one.other.parcel, one.overlap.kind) for one in (*verdict.refused, *verdict.slivers))

    return ask


def _live(session: Session, programme: Programme) -> Ask:
    rule = overlap_rule(terms_of(programme))

    def ask(candidate: Polygonal) -> Answer:
        found = overlaps_with_live_parcels(session, candidate, rule)
        return _answer((one.parcel, one.overlap.kind) for one in found)

    return ask


RULE: Final = OverlapRule()


def _answer(found: Iterator[tuple[str, OverlapKind]] | Any) -> Answer:
    return frozenset((name, kind.value) for name, kind in found if kind is not OverlapKind.NONE)


def _time(way: Way, ask: Ask, asked: Questions, session: Session | None = None) -> None:
    """Once for the answers and warm pages, then once for the times. Each question has a savepoint's locks of
    its own: what it locks is let go before the next.
    """
    way.answers = [ask(candidate) for candidate in asked.all]
    for candidate in asked.all:
        began, worked = time.perf_counter(), time.thread_time()
        ask(candidate)
        way.times_ms.append((time.perf_counter() - began) * 1000)
        way.cpu_ms.append((time.thread_time() - worked) * 1000)
        if session is not None:
            session.rollback()
            session.connection()
    way.memory_mib = _resident_mib()


@contextmanager
def fresh_databases() -> Iterator[dict[str, Iterator[str]]]:
    """For each database that runs here, as many new ones as somebody takes."""
    with tempfile.TemporaryDirectory(prefix="tanhui-bench-") as folder, ExitStack() as stack:
        urls: dict[str, Iterator[str]] = {"SQLite": (f"sqlite:///{folder}/land{n}.db" for n in count())}
        with suppress(NoPostgres):
            urls["PostgreSQL"] = _new_in(stack.enter_context(_cluster()))
        yield urls


def _new_in(cluster: Cluster) -> Iterator[str]:
    for n in count():
        with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
            connection.execute(SQL("create database {}").format(Identifier(f"land{n}")))
        yield cluster.url(f"land{n}")


@contextmanager
def _cluster() -> Iterator[Cluster]:
    cluster = start_cluster(durable=True)
    try:
        yield cluster
    finally:
        cluster.stop()


# ---- the figures -------------------------------------------------------------------------------------------


def _compare(ways: Sequence[Way]) -> None:
    for way in ways[1:]:
        differing = sum(a != b for a, b in zip(ways[0].answers, way.answers, strict=True))
        if differing:
            raise RuntimeError(f"{way.name} answers {differing} questions otherwise than {ways[0].name}")


def _kinds(way: Way, of_each: int) -> dict[str, str]:
    """How many of each kind of question were refused, accepted with slivers, and clear."""
    said = {}
    parts = ("touching", "moved 30 m", "grown 0.2 m")
    for n, part in enumerate(parts):
        some = way.answers[n * of_each : (n + 1) * of_each]
        refused = sum(any(kind == "refused" for _, kind in one) for one in some)
        slivers = sum(bool(one) for one in some) - refused
        said[part] = f"{refused} refused, {slivers} with slivers, {len(some) - refused - slivers} clear"
    if not said["touching"].startswith("0 refused, 0 with"):
        raise RuntimeError(f"neighbours that only touch share ground: {said['touching']}")
    if not said["moved 30 m"].startswith(f"{of_each} refused"):
        raise RuntimeError(f"parcels moved by 30 m are not all refused: {said['moved 30 m']}")
    return said


def _figures(way: Way) -> dict[str, float]:
    times, worked = sorted(way.times_ms), sorted(way.cpu_ms)
    return {
        "build_s": way.build_s,
        "disk_mib": way.disk_mib,
        "p50_ms": statistics.median(times),
        "p99_ms": times[max(0, round(len(times) * 0.99) - 1)],
        "worst_ms": times[-1],
        "cpu_p50_ms": statistics.median(worked),
        "cpu_p99_ms": worked[max(0, round(len(worked) * 0.99) - 1)],
    }


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(figures: dict[str, Any], said: str) -> str:
    """The page's table."""
    lines = [
        said,
        "",
        "| parcels | way | built in | on the disk | p50 | p99 | slowest | own processor time, p50 | p99 |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size, of_size in figures.items():
        for name, way in of_size["ways"].items():
            disk = f"{way['disk_mib']:,.0f} MiB" if way["disk_mib"] else ""
            lines.append(
                f"| {int(size):,} | {name} | {way['build_s']:.1f} s | {disk} | {way['p50_ms']:.2f} ms "
                f"| {way['p99_ms']:.2f} ms | {way['worst_ms']:.1f} ms "
                f"| {way['cpu_p50_ms']:.2f} ms | {way['cpu_p99_ms']:.2f} ms |"
            )
    last = list(figures.values())[-1]
    answers = "; ".join(f"{part}: {found}" for part, found in last["answers"].items())
    lines += ["", f"All ways gave the same answers; of the largest register, {answers}."]
    return "\n".join(lines)
