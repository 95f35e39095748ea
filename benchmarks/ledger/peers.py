"""What others would use: pymerkle on SQLite for the log, and a plain double-entry table in PostgreSQL.

Neither checks a signature; the first keeps no balances, the second no log. Both are durable as ours is.
"""

import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
from pymerkle import SqliteTree, verify_inclusion

from benchmarks.ledger.rounds import ResultWrong, percentile
from benchmarks.ledger.world import RECEIVERS, amount_fen

Seen = tuple[float, Mapping[str, float]]


# ---- pymerkle ----------------------------------------------------------------------------------------------


@contextmanager
def merkle_tree(path: Path) -> Iterator[Any]:
    with SqliteTree(str(path)) as tree:
        yield tree


def merkle_append(tree: Any, entries: Sequence[bytes], group: int) -> Seen:
    """Entries per second, `group` of them a commit."""
    before = tree.get_size()
    started = time.perf_counter()
    if group == 1:
        for entry in entries:
            tree.append_entry(entry)
    else:
        for at in range(0, len(entries), group):
            tree.append_entries(entries[at : at + group], chunksize=group)
    seconds = time.perf_counter() - started
    if tree.get_size() != before + len(entries):
        raise ResultWrong(f"pymerkle has {tree.get_size()} entries")
    return len(entries) / seconds, {"size": tree.get_size()}


def merkle_prove(tree: Any, count: int, random_source: random.Random) -> Seen:
    """Inclusion proofs per second at the tree's size, each checked outside the time."""
    size = tree.get_size()
    root = tree.get_root()
    took_s = []
    for _ in range(count):
        index = random_source.randrange(size) + 1
        started = time.perf_counter()
        proof = tree.prove_inclusion(index)
        took_s.append(time.perf_counter() - started)
        verify_inclusion(tree.get_leaf(index), root, proof)  # raises pymerkle's InvalidProof
    microseconds = [1e6 * seconds for seconds in took_s]
    return count / sum(took_s), {"p50_us": percentile(microseconds, 0.5), "size": size}


# ---- a plain table -----------------------------------------------------------------------------------------

SCHEMA = """
create table plain_account (id text primary key, balance bigint not null);
create table plain_posting (
    entry text not null, n integer not null, account text not null references plain_account (id),
    amount bigint not null, primary key (entry, n));
create index on plain_posting (account);
"""
BANK = "bank"
Deposit = tuple[str, str, int]
"""Entry id, receiving account, amount in fen."""


class PlainBooks:
    """Two postings and two balances an entry, under row locks, one transaction a group."""

    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(conninfo)
        self._connection.execute(SCHEMA)
        names = [BANK, *(f"receiver {n}" for n in range(RECEIVERS))]
        with self._connection.cursor() as cursor:
            cursor.executemany("insert into plain_account values (%s, 0)", [(name,) for name in names])
        self._connection.commit()
        self._written = 0

    def close(self) -> None:
        self._connection.close()

    def append(self, deposits: Sequence[Deposit], group: int) -> Seen:
        """Entries per second; the sums are compared after the time."""
        started = time.perf_counter()
        rest = iter(deposits)
        while chunk := list(islice(rest, group)):
            self._write(chunk)
        seconds = time.perf_counter() - started
        self._written += len(deposits)
        self.check()
        return len(deposits) / seconds, {}

    def _write(self, deposits: Sequence[Deposit]) -> None:
        change: defaultdict[str, int] = defaultdict(int)
        rows = []
        for entry, receiver, amount in deposits:
            rows += [(entry, 0, BANK, -amount), (entry, 1, receiver, amount)]
            change[BANK] -= amount
            change[receiver] += amount
        names = sorted(change)
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute("select id from plain_account where id = any(%s) order by id for update", [names])
            columns = [list(column) for column in zip(*rows, strict=True)]
            cursor.execute(
                "insert into plain_posting"
                " select * from unnest(%s::text[], %s::integer[], %s::text[], %s::bigint[])",
                columns,
            )
            cursor.execute(
                "update plain_account set balance = balance + c.amount"
                " from unnest(%s::text[], %s::bigint[]) as c (id, amount) where plain_account.id = c.id",
                [names, [change[name] for name in names]],
            )

    def check(self) -> None:
        """Raises `ResultWrong` unless every entry is there and every balance is the sum of its postings."""
        entries = self._one("select count(distinct entry) from plain_posting")
        wrong = self._one(
            "select count(*) from plain_account a where balance <>"
            " (select coalesce(sum(amount), 0) from plain_posting p where p.account = a.id)"
        )
        if entries != self._written or wrong:
            raise ResultWrong(f"{entries} entries of {self._written}, {wrong} balances are wrong")

    def _one(self, query: str) -> int:
        with self._connection.transaction():
            row = self._connection.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])


def deposits(start: int, count: int) -> list[Deposit]:
    """The same deposits as the ledger's (`world`), without signatures."""
    return [
        (f"{n:08d}-0000-4000-8000-000000000000", f"receiver {n % RECEIVERS}", amount_fen(n))
        for n in range(start, start + count)
    ]
