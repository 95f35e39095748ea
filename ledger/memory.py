"""What a writer knows of the ledger's tables, so that it neither asks twice nor writes row by row.

A `Memory` answers for the tables below the locked head: what it was told, what it has read, and what it has
found to be absent. That stays true as long as nobody else appends, which the head's root shows; then the next
transaction begins with it. What entries change is kept as *changed* and written by `flush` in few statements.
Everything done after a `mark` can be taken back, so that a refused act leaves nothing behind.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from ledger import tables
from ledger.books import Account, Block, Reservation
from ledger.bulk import Bulk
from ledger.log_keys import LogKey
from ledger.replay import ActorKey, Entry, LedgerState
from ledger.rows import (
    Row,
    account_of,
    account_row,
    block_of,
    block_row,
    key_of,
    key_row,
    log_key_of,
    log_key_row,
    posting_rows,
    reservation_of,
    reservation_row,
)

MOST_KEPT: Final = 50_000
"""Rows remembered from one transaction to the next; beyond it a memory starts anew."""

Key = str | tuple[str, str]
Kept = dict[Key, Any]
_UNKNOWN: Final = object()
T = TypeVar("T")


def _per_table() -> dict[str, dict[Any, Any]]:
    return {name: {} for name in _ROWS}


@dataclass(frozen=True, slots=True)
class Mark:
    """A point to go back to."""

    undo: int
    log: int
    posting: int


@dataclass(slots=True)
class Memory:
    """Rows by table name and primary key; `None` for a row that is known to be absent."""

    root: bytes = b""
    kept: dict[str, Kept] = field(default_factory=_per_table)
    recalled: dict[Hashable, Any] = field(default_factory=dict)
    """What the caller looked up elsewhere and knows to hold as long as nobody else appends."""
    ids: dict[str, bool] = field(default_factory=dict)
    """Entry ids looked for in this transaction, and whether the log has them."""
    log: list[Row] = field(default_factory=list)
    posting: list[Row] = field(default_factory=list)
    changed: dict[str, dict[Key, None]] = field(default_factory=_per_table)
    supposed: set[Key] = field(default_factory=set)
    """Subject states that are taken to be new because an entry's own id, which is new, names the subject.
    Their rows are inserted, never updated, so that the table's key refuses a wrong supposition."""
    _undo: list[tuple[dict[Any, Any], Any, Any]] = field(default_factory=list)

    def begin(self, root: bytes) -> None:
        """Start a transaction on the head with this root; forget what another writer may have changed."""
        if self.root != root or sum(map(len, self.kept.values())) > MOST_KEPT:
            for kept in self.kept.values():
                kept.clear()
            self.recalled.clear()
        self.root = b""  # until this transaction is committed
        self.ids.clear()
        self._drop_pending()

    def end(self, root: bytes) -> None:
        """The transaction was committed, and the head has this root now."""
        self.root = root

    def recall(self, key: Hashable, look_up: Callable[[], T]) -> T:
        """What was looked up before, else now."""
        if key not in self.recalled:
            self.recalled[key] = look_up()
        value: T = self.recalled[key]
        return value

    def mark(self) -> Mark:
        return Mark(len(self._undo), len(self.log), len(self.posting))

    def take_back(self, mark: Mark) -> None:
        """Forget everything since the mark. Rows already flushed are the database's to take back."""
        while len(self._undo) > mark.undo:
            kept, key, old = self._undo.pop()
            if old is _UNKNOWN:
                kept.pop(key, None)
            else:
                kept[key] = old
        del self.log[mark.log :]
        del self.posting[mark.posting :]

    def _drop_pending(self) -> None:
        self.log.clear()
        self.posting.clear()
        self.supposed.clear()
        self._undo.clear()
        for changed in self.changed.values():
            changed.clear()

    def put(self, table: str, key: Key, value: Any) -> None:
        kept = self.kept[table]
        self._undo.append((kept, key, kept.get(key, _UNKNOWN)))
        kept[key] = value
        self.changed[table][key] = None

    def keep(self, entry: Entry, leaf: bytes, digest: bytes, state: LedgerState) -> None:
        """Take over what one applied entry says."""
        entry_id = entry.payload.id
        self._undo.append((self.ids, entry_id, self.ids.get(entry_id, _UNKNOWN)))
        self.ids[entry_id] = True
        self.log.append({"idx": entry.index, "entry_id": entry_id, "leaf_hash": digest, "leaf": leaf})
        self.posting += posting_rows(entry)
        for table, values in (
            ("account", state.books.accounts),
            ("block", state.books.blocks),
            ("reservation", state.books.reservations),
            ("series", state.books.series),
        ):
            for name, value in values.items():
                self.put(table, name, value)
        for subject, after in state.states.items():
            self.put("subject_state", subject, (after, entry.index))
        for key in state.keys.values():
            self.put("actor_key", key.keyid, (key, key.index))
        for log_key in state.log_keys or ():
            self.put("log_key", log_key.vkey, log_key)

    def public_key(self, keyid: str) -> bytes | None:
        """The key of this id, when it is remembered. Any thread may ask: ids are digests of their keys."""
        found = self.kept["actor_key"].get(keyid)
        return None if found is None else found[0].public_key

    @property
    def pending(self) -> bool:
        return bool(self.log)

    def flush(self, bulk: Bulk) -> None:
        """Write what changed since the last flush."""
        bulk.insert(tables.log, self.log)
        bulk.insert(tables.posting, self.posting)
        new = [key for key in self.changed["subject_state"] if key in self.supposed]
        bulk.insert(tables.subject_state, self._rows("subject_state", new))
        for key in new:
            del self.changed["subject_state"][key]
        for name, changed in self.changed.items():
            bulk.upsert(tables.metadata.tables[name], self._rows(name, changed))
            changed.clear()
        self.log.clear()
        self.posting.clear()
        self.supposed.clear()

    def _rows(self, table: str, keys: Iterable[Key]) -> list[Row]:
        row, kept = _ROWS[table], self.kept[table]
        return [row(key, value) for key in keys if (value := kept.get(key)) is not None]


@dataclass(frozen=True, slots=True)
class MemorySource:
    """What was before the entry that is applied: remembered, else read once and remembered.

    Implements `ledger.replay.StateSource`.
    """

    connection: sa.Connection
    memory: Memory

    def account(self, account: str) -> Account | None:
        found: Account | None = self._kept("account", account, account_of)
        return found

    def block(self, block: str) -> Block | None:
        found: Block | None = self._kept("block", block, block_of)
        return found

    def reservation(self, pending: str) -> Reservation | None:
        found: Reservation | None = self._kept("reservation", pending, reservation_of)
        return found

    def last_number(self, series: str) -> int:
        found: int | None = self._kept("series", series, lambda row: row["last_number"])
        return found or 0

    def actor_key(self, keyid: str) -> ActorKey | None:
        found = self._kept("actor_key", keyid, lambda row: (key_of(row), row["idx"]))
        return None if found is None else found[0]

    def subject_state(self, machine: str, subject: str) -> str | None:
        found = self.memory.kept["subject_state"].get((machine, subject), _UNKNOWN)
        if found is _UNKNOWN and self.memory.ids.get(subject) is False:
            self.memory.supposed.add((machine, subject))
            return None
        if found is _UNKNOWN:
            found = self._kept("subject_state", (machine, subject), lambda row: (row["state"], row["idx"]))
        return None if found is None else found[0]

    def log_keys(self) -> tuple[LogKey, ...]:
        kept = self.memory.kept["log_key"]
        if not kept:
            rows = self.connection.execute(sa.select(tables.log_key).order_by(tables.log_key.c.idx))
            kept |= {row["vkey"]: log_key_of(row) for row in rows.mappings()}
        return tuple(kept.values())

    def leaf(self, index: int) -> bytes | None:
        """The leaf of an entry, written or not yet written."""
        for row in self.memory.log:
            if row["idx"] == index:
                return bytes(row["leaf"])
        log = tables.log.c
        found = self.connection.execute(sa.select(log.leaf).where(log.idx == index))
        return found.scalar_one_or_none()

    def has_entry(self, entry_id: str) -> bool:
        found = self.memory.ids.get(entry_id)
        if found is None:
            self.look_for([entry_id])
            found = self.memory.ids[entry_id]
        return found

    def look_for(self, entry_ids: Iterable[str]) -> None:
        """Learn in one statement which of these ids the log has."""
        wanted = [entry_id for entry_id in entry_ids if entry_id not in self.memory.ids]
        if not wanted:
            return
        column = tables.log.c.entry_id
        found = set(self.connection.execute(sa.select(column).where(column.in_(wanted))).scalars())
        self.memory.ids.update((entry_id, entry_id in found) for entry_id in wanted)

    def _kept(self, table: str, key: Key, value_of: Callable[[sa.RowMapping], Any]) -> Any:
        kept = self.memory.kept[table]
        found = kept.get(key, _UNKNOWN)
        if found is _UNKNOWN:
            values = (key,) if isinstance(key, str) else key
            chosen = tables.metadata.tables[table]
            same = (column == value for column, value in zip(chosen.primary_key, values, strict=True))
            row = self.connection.execute(sa.select(chosen).where(*same)).mappings().one_or_none()
            found = kept[key] = None if row is None else value_of(row)
        return found


def _state_row(key: Any, value: Any) -> Row:
    machine, subject = key
    state, index = value
    return {"machine": machine, "subject": subject, "state": state, "idx": index}


_ROWS: Final[dict[str, Callable[[Any, Any], Row]]] = {
    "account": lambda _key, account: account_row(account),
    "block": lambda _key, block: block_row(block),
    "reservation": lambda _key, held: reservation_row(held),
    "series": lambda name, last: {"series": name, "last_number": last},
    "subject_state": _state_row,
    "actor_key": lambda _key, value: key_row(*value),
    "log_key": lambda _key, value: log_key_row(value),
}
