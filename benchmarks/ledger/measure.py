"""The whole run: every measure of `LEDGER.md` 5.3 with its references, round by round."""

import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import psycopg
import sqlalchemy as sa

from benchmarks.ledger import appends, audits, peers
from benchmarks.ledger.logs import signed_log
from benchmarks.ledger.proofs import Tree, prove
from benchmarks.ledger.rounds import ResultWrong, Run, percentile, sync_rate
from benchmarks.ledger.service import Server, serving
from benchmarks.ledger.world import World, found
from ledger import tables
from registry.accounts.rules import BANK_ACCOUNT, MONEY
from registry.database import Database
from registry.installation import Installation
from registry.settings import Home
from registry.transparency.audit import audit
from tests.postgres import Cluster, NoPostgres, start_cluster

SEED: Final = 20_261_121
GROUPS: Final = (1, 16, 64, 256)
CLIENTS: Final = (1, 8, 32)
BATCH: Final = 64
PORTION: Final = 10_240
"""Entries signed at a time, where there are many."""
HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    rounds: int = 5
    appends: Mapping[int, int] = field(default_factory=lambda: {1: 100, 16: 800, 64: 1920, 256: 2560})
    """Entries by group size."""
    paced: int = 600
    requests: Mapping[int, int] = field(default_factory=lambda: {1: 60, 8: 240, 32: 480})
    """Requests by number of clients."""
    batches: int = 64
    """Requests of 64 entries."""
    proofs: int = 1_000
    proof_sizes: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    audited: int = 40_000
    """Deposits in the log that is audited every round, also by the Go program."""
    memory_sizes: tuple[int, ...] = (10_000, 100_000)
    """Deposits in the logs that are audited once each, for the memory it takes."""
    served: int = 0
    """Deposits that are in the server's log before it starts."""


FULL: Final = Extent(
    rounds=9,
    appends={1: 300, 16: 1_600, 64: 5_120, 256: 7_680},
    paced=3_000,
    requests={1: 300, 8: 1_000, 32: 3_000},
    batches=256,
    proofs=5_000,
    audited=100_000,
    memory_sizes=(100_000, 1_000_000),
    served=1_000_000,
)


@dataclass(slots=True)
class Ours:
    """One installation that grows over the rounds."""

    name: str
    installation: Installation
    world: World
    rooms: bool = False
    """Whether the rows of the registry's rooms are written too, as the office does."""
    sent: int = 0

    def wires(self, count: int) -> list[appends.Wire]:
        made = self.world.wires(self.sent, count)
        self.sent += count
        return made

    def append(self, wires: Sequence[appends.Wire], group: int) -> appends.Appended:
        under_way = 1 if group == 1 else appends.GROUPS_UNDER_WAY  # a single client waits for its answer
        return appends.append(self.installation, wires, group, rooms=self.rooms, under_way=under_way)

    def check(self) -> None:
        check(self.name, self.installation.home, self.world, self.sent, rooms=self.rooms)


def check(name: str, home: Home, world: World, sent: int, *, rooms: bool) -> None:
    """Files, signatures and rules by the product's own audit, and the sums of what was sent; with `rooms`
    every table too. Raises `ResultWrong`.
    """
    report = audit(home, log_only=not rooms)
    if not report.passed or report.made["L3"] < sent:
        raise ResultWrong(f"{name}: {[str(finding) for finding in report.findings[:5]]}")
    if _credited(home) != world.credited(sent):
        raise ResultWrong(f"{name}: the accounts hold other sums than were sent")


def _credited(home: Home) -> dict[str, int]:
    """What the accounts that received something hold, in fen."""
    account = tables.account.c
    balance_fen = account.credits_posted - account.debits_posted
    query = sa.select(account.account, balance_fen.label("balance_fen")).where(
        account.asset == MONEY, account.account != BANK_ACCOUNT, account.credits_posted > 0
    )
    database = Database(home.database_url)
    try:
        with database.read() as session:
            return {row.account: row.balance_fen for row in session.execute(query)}
    finally:
        database.dispose()


def measure(folder: Path, extent: Extent) -> Run:
    """Everything, in a new folder below `folder`, whose file system is the one that is measured."""
    run = Run()
    base = Path(tempfile.mkdtemp(prefix="tanhui-bench-", dir=folder))
    try:
        with ExitStack() as stack:
            bench = _Bench(run, extent, base, stack)
            for number in range(extent.rounds):
                run.begin_round()
                bench.round(number)
            bench.finish()
    finally:
        shutil.rmtree(base)
    return run


class _Bench:
    """What is measured again and again, made once."""

    def __init__(self, run: Run, extent: Extent, base: Path, stack: ExitStack) -> None:
        self._run = run
        self._extent = extent
        self._base = base
        self._random = random.Random(SEED)
        self._ours = [self._founded("sqlite", base / "sqlite", None, stack)]
        self._rooms = self._founded("sqlite with rooms", base / "rooms", None, stack)
        self._rooms.rooms = True
        self._plain: peers.PlainBooks | None = None
        self._plain_sent = 0
        self._begin_postgres(stack)
        self._server = stack.enter_context(_own_server(base / "served", extent.served))
        self._merkle = stack.enter_context(peers.merkle_tree(base / "pymerkle.db"))
        self._trees = [Tree.grown(base / f"tree-{size}", size) for size in extent.proof_sizes]
        self._log = signed_log(base / "audited", extent.audited)
        self._oracle = audits.built_oracle(base)
        if self._oracle is None:
            run.absent["go"] = (
                "no Go with x/mod (on Debian: apt-get install golang-go golang-golang-x-mod-dev)"
            )
        self._warm_up()

    def _begin_postgres(self, stack: ExitStack) -> None:
        try:
            cluster = start_cluster(durable=True)
        except NoPostgres as reason:
            self._run.absent["postgresql"] = str(reason)
            return
        stack.callback(cluster.stop)
        for name in ("ours", "plain"):
            _create_database(cluster, name)
        self._ours.append(self._founded("postgresql", self._base / "postgresql", cluster.url("ours"), stack))
        self._plain = peers.PlainBooks(cluster.conninfo("plain"))
        stack.callback(self._plain.close)

    def _founded(self, name: str, folder: Path, url: str | None, stack: ExitStack) -> Ours:
        installation, world = found(folder, url)
        stack.callback(installation.close)
        return Ours(name, installation, world)

    def _warm_up(self) -> None:
        """Everything once, uncounted and checked."""
        for ours in (*self._ours, self._rooms):
            ours.append(ours.wires(512), 64)
            ours.check()
        self._server.answer(self._server.deposits(64), 8, 64)
        self._server.answer(self._server.batches(16, 16), 8, 256)
        audits.full_audit(self._log)

    # -- a round

    def round(self, number: int) -> None:
        run, base = self._run, self._base
        run.take("sync", lambda: (sync_rate(base), {}))
        for ours in self._ours:
            for group in GROUPS:
                self._append(ours, group)
        self._append(self._rooms, 64)
        self._pace(self._ours[0])
        if self._plain is not None:
            for group in GROUPS:
                self._append_plain(self._plain, group)
        self._append_merkle()
        for clients in CLIENTS:
            self._request(f"http {clients}", clients, self._server.batches(self._extent.requests[clients], 1))
        self._request("http kept key", 32, self._server.deposits(self._extent.requests[32]))
        self._request("http batch", 32, self._server.batches(self._extent.batches, BATCH), BATCH)
        for tree in self._trees:
            run.take(f"proof {tree.size}", partial(prove, tree, self._extent.proofs, self._random))
        self._audit()

    def _append(self, ours: Ours, group: int) -> None:
        wires = ours.wires(self._extent.appends[group])

        def measured() -> tuple[float, Mapping[str, float]]:
            made = ours.append(wires, group)
            milliseconds = [1e3 * seconds for seconds in made.latencies_s]
            return made.rate, {
                "p50_ms": percentile(milliseconds, 0.5),
                "p99_ms": percentile(milliseconds, 0.99),
                "entries_per_commit": made.entries / made.commits,
                "cpu_us": 1e6 * made.cpu_s / made.entries,
            }

        self._run.take(f"append {ours.name} {group}", measured)

    def _pace(self, ours: Ours) -> None:
        wires = ours.wires(self._extent.paced)
        rate = HALF * self._run.samples[f"append {ours.name} 64"][-1].value

        def measured() -> tuple[float, Mapping[str, float]]:
            took_s = appends.paced(ours.installation, wires, rate, self._random)
            milliseconds = [1e3 * seconds for seconds in took_s]
            return rate, {"p50_ms": percentile(milliseconds, 0.5), "p99_ms": percentile(milliseconds, 0.99)}

        self._run.take(f"half load {ours.name}", measured)

    def _append_plain(self, plain: peers.PlainBooks, group: int) -> None:
        made = peers.deposits(self._plain_sent, self._extent.appends[group])
        self._plain_sent += len(made)
        self._run.take(f"plain {group}", lambda: plain.append(made, group))

    def _append_merkle(self) -> None:
        """The same leaves as ours have, so that only the work differs."""
        leaves = [wire for _, wire in self._ours[0].world.wires(0, self._extent.appends[64])]
        one = self._extent.appends[1]
        self._run.take("pymerkle 1", lambda: peers.merkle_append(self._merkle, leaves[:one], 1))
        self._run.take("pymerkle 64", lambda: peers.merkle_append(self._merkle, leaves[one:], 64))
        self._run.take("pymerkle proof", lambda: peers.merkle_prove(self._merkle, 50, self._random))

    def _request(self, name: str, clients: int, requests: Sequence[bytes], entries: int = 1) -> None:
        count = len(requests) * entries
        self._run.take(name, lambda: self._server.answer(requests, clients, count))

    def _audit(self) -> None:
        log, oracle = self._log, self._oracle
        self._run.take("audit hashes", lambda: audits.hash_audit(log))
        self._run.take("audit everything", lambda: audits.full_audit(log))
        if oracle is not None:
            self._run.take("audit go", lambda: audits.oracle_audit(oracle, log))

    # -- after the last round

    def finish(self) -> None:
        """The logs that grew are audited whole; then memory, which needs one measurement and no V."""
        for ours in (*self._ours, self._rooms):
            ours.check()
        server = self._server
        check("the server", Home.at(self._base / "served"), server.world, server.sent, rooms=True)
        self._run.take("service memory", lambda: (self._server.memory_mib, {"entries": self._server.sent}))
        for size in self._extent.memory_sizes:
            log = signed_log(self._base / f"log-{size}", size)
            for what, audited in (("hashes", audits.hash_audit), ("everything", audits.full_audit)):
                self._run.take(f"memory {what} {size}", partial(audited, log))
            shutil.rmtree(log.folder)


@contextmanager
def _own_server(folder: Path, deposits: int) -> Iterator[Server]:
    """A server whose log has so many deposits at its start."""
    installation, world = found(folder)
    ours = Ours("served", installation, world, rooms=True)
    while ours.sent < deposits:
        ours.append(ours.wires(min(PORTION, deposits - ours.sent)), 256)
    installation.close()
    with serving(folder, world) as server:
        server.sent = ours.sent
        yield server


def _create_database(cluster: Cluster, name: str) -> None:
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
