"""Append to the log and to what it implies, inside the caller's database transaction.

A `LedgerTransaction` locks the head, applies entries one by one with the same `LedgerState` that an audit
replays, writes the log rows and the projections of the books, and at the end seals: it reads the new leaves
back, hashes them again from those bytes, compares the root, signs the checkpoint and moves the head by
compare-and-swap. It neither begins nor ends the transaction; publishing (`ledger.tiles`) happens after the
commit, from the committed rows alone.

Rows are gathered in a `Memory` and written together: when the transaction is sealed, or before anybody reads
the ledger's tables through the session.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import ORMExecuteState, Session

from ledger import tables
from ledger.bulk import Bulk
from ledger.canonical import JsonValue
from ledger.checkpoint import Checkpoint, peek_checkpoint, sign_checkpoint
from ledger.envelope import encode_leaf
from ledger.errors import LedgerRefusal
from ledger.log_keys import LogKey, LogKeyNotHeld, in_force
from ledger.memory import Memory, MemorySource
from ledger.merkle import EMPTY_ROOT, Frontier, leaf_hash
from ledger.note import NoteVerifier, Signer
from ledger.replay import Entry, LedgerState
from ledger.rows import log_key_of
from ledger.signed import Signed
from ledger.stored import stored_state


class LogMissing(LedgerRefusal):
    code: ClassVar[str] = "log_missing"
    template: ClassVar[str] = "There is no log in this database yet."


class LogCorrupt(LedgerRefusal):
    """The database contradicts itself. Nothing is signed any more; an operator has to look."""

    code: ClassVar[str] = "log_corrupt"
    template: ClassVar[str] = "The log in the database is damaged: {reason}."


class SavepointNeeded(Exception):
    """Something was written and has to be taken back, in a transaction that was opened without savepoints.

    Nothing of the transaction may be kept: it is rolled back and done again with `savepoints=True`.
    """


def create(session: Session, origin: str) -> None:
    """Put an empty log into a database without one. A second one violates the head's primary key."""
    session.execute(
        sa.insert(tables.head).values(
            one=1, origin=origin, size=0, root=EMPTY_ROOT, frontier=Frontier().encode(), at_ms=0
        )
    )


def origin(session: Session) -> str:
    """The name of the log in this database; `LogMissing` when there is none."""
    found = session.execute(sa.select(tables.head.c.origin)).scalar_one_or_none()
    if found is None:
        raise LogMissing()
    return str(found)


def ledger_source(session: Session) -> MemorySource:
    """What the ledger's tables say to a reader, each row read once."""
    return MemorySource(session.connection(), Memory())


class Companion(Protocol):
    """Something else that remembers what is not written yet, and can be taken back with the ledger."""

    def mark(self) -> Any: ...
    def take_back(self, mark: Any) -> None: ...


class LedgerTransaction:
    """The ledger's part of one write transaction, from the locked head to the signed checkpoint.

    `memory` is what the writer keeps from one transaction to the next. Without `savepoints` an act that fails
    after it has written something raises `SavepointNeeded`; acts that are refused before cost nothing.
    """

    def __init__(self, session: Session, memory: Memory | None = None, *, savepoints: bool = True) -> None:
        connection = session.connection()
        row = connection.execute(_LOCKED_HEAD).mappings().one_or_none()
        if row is None:
            raise LogMissing()
        self._session = session
        self.savepoints = savepoints
        self._connection = connection
        self._bulk = Bulk(connection)
        self.memory = Memory() if memory is None else memory
        self.memory.begin(row["root"])
        self.source = MemorySource(connection, self.memory)
        self.origin: str = row["origin"]
        self._old_size: int = row["size"]
        self._old_root: bytes = row["root"]
        self._old_frontier = Frontier.decode(self._old_size, row["frontier"])
        self._frontier = self._old_frontier.copy()
        self._at_ms: int = row["at_ms"]
        self.companions: list[Companion] = []
        self._writes = 0
        self._digest: dict[str, JsonValue] | None = None
        self._check_head(connection)
        _watch(session, self)

    def _check_head(self, connection: sa.Connection) -> None:
        if self._old_frontier.root() != self._old_root:
            raise LogCorrupt(reason=f"the frontier at size {self._old_size} has another root than the head")
        signed = connection.execute(_LAST_NOTE).scalar_one_or_none()
        if signed is None and self._old_size == 0:
            return
        # A head that nobody signed would become history with our next signature.
        head = Checkpoint(self.origin, self._old_size, self._old_root)
        if signed is None or peek_checkpoint(signed) != head:
            raise LogCorrupt(reason=f"the head at size {self._old_size} is not the last signed checkpoint")

    @property
    def size(self) -> int:
        return self._frontier.size

    @property
    def committed_size(self) -> int:
        """The size at the last checkpoint, before this transaction."""
        return self._old_size

    @property
    def grew(self) -> bool:
        """Whether anything was appended in this transaction."""
        return self.size > self._old_size

    @property
    def last_at_ms(self) -> int:
        return self._at_ms

    def look_for(self, entry_ids: Iterable[str]) -> None:
        """Learn in one statement which of these ids the log has: cheaper than one by one."""
        self.source.look_for(entry_ids)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """All that is done inside, or, when an exception leaves it, nothing of it.

        Raises `SavepointNeeded` from that exception when only the whole transaction can take it back.
        """
        if self.savepoints:
            self.flush()
        guard = self._session.begin_nested() if self.savepoints else self._thought()
        kept, mark = (self._frontier.copy(), self._at_ms), self.memory.mark()
        try:
            with guard:
                yield
        except BaseException:
            self._frontier, self._at_ms = kept
            self._digest = None
            self.memory.take_back(mark)
            raise

    @contextmanager
    def _thought(self) -> Iterator[None]:
        """What is only thought of is forgotten; what reached the database cannot be taken back from here.

        New rows may wait in the session, changed ones may not: what changed in which act would be lost.
        """
        session = self._session
        if session.dirty or session.deleted:
            session.flush()
        writes, waiting = self._writes, len(session.new)
        marks = [(companion, companion.mark()) for companion in self.companions]
        try:
            yield
        except SavepointNeeded:
            raise
        except BaseException as failure:
            database_refused = isinstance(failure, sa.exc.DBAPIError)
            if self._writes != writes or session.dirty or session.deleted or database_refused:
                raise SavepointNeeded() from failure
            for added in list(session.new)[waiting:]:
                session.expunge(added)
            for companion, mark in marks:
                companion.take_back(mark)
            raise

    def append(self, leaf: bytes, *, check_signatures: bool = True) -> Entry:
        """Apply one leaf; it is written with the next flush. `check_signatures=False` only for signatures
        this process just made or checked.
        """
        state = self._state()
        return self._keep(state.apply(leaf, check_signatures=check_signatures), leaf, state)

    def append_signed(self, at_ms: int, signed: Signed) -> Entry:
        """As `append`, for an entry that was looked at before; `at_ms` is the time it is given."""
        state = self._state()
        leaf = encode_leaf(at_ms, signed.envelope)
        return self._keep(state.follow(at_ms, signed.envelope, signed.payload, signed.checked), leaf, state)

    def _state(self) -> LedgerState:
        return LedgerState(
            self.source, size=self.size, last_at_ms=self._at_ms, state_at=lambda _size: self.state_facts()
        )

    def state_facts(self) -> dict[str, JsonValue]:
        """The facts of a `state` entry that is the next one. Reads every account, live block and open
        reservation, once for each size.
        """
        if self._digest is None or self._digest["size"] != self.size:
            self.flush()
            self._digest = stored_state(self._session.connection(), self.size)
        return self._digest

    def _keep(self, entry: Entry, leaf: bytes, state: LedgerState) -> Entry:
        digest = leaf_hash(leaf)
        self.memory.keep(entry, leaf, digest, state)
        self._frontier.append(digest)
        self._at_ms = entry.at_ms
        return entry

    def flush(self) -> None:
        """Write the rows that are only remembered so far."""
        if self.memory.pending:
            self.wrote()
            self.memory.flush(self._bulk)

    def wrote(self) -> None:
        """Note that something reached the database, so that it can only be taken back there."""
        self._writes += 1

    def verifiers(self) -> list[NoteVerifier]:
        """The log's keys in force after the entries so far: they sign the checkpoint."""
        return in_force(self.source.log_keys(), self.size)

    def seal(self, signers: Sequence[Signer] | Signer) -> bytes | None:
        """Check what was written, sign the checkpoint with every key in force, and move the head. None when
        nothing was appended.

        Raises `LogCorrupt` when the leaves read back do not give the root, or another writer moved the head;
        `LogKeyNotHeld` when `signers` have not the key of each in force.
        """
        if self.size == self._old_size:
            return None
        self._session.flush()
        self.flush()
        root = self._frontier.root()
        if self._read_back() != (self.size, root):
            raise LogCorrupt(reason=f"the leaves read back at size {self.size} have another root")
        note = sign_checkpoint(Checkpoint(self.origin, self.size, root), self._in_force(signers))
        self._bulk.insert(tables.checkpoint, [{"size": self.size, "note": note}])
        moved = self._connection.execute(
            _MOVE_HEAD,
            {
                "old_size": self._old_size,
                "old_root": self._old_root,
                "size": self.size,
                "root": root,
                "frontier": self._frontier.encode(),
                "at_ms": self._at_ms,
            },
        )
        if moved.rowcount != 1:
            raise LogCorrupt(reason="the head moved under the lock")
        return note

    def _in_force(self, signers: Sequence[Signer] | Signer) -> list[Signer]:
        """Those who have to sign, in the order of the log's keys; all where the log names no key."""
        held = list(signers) if isinstance(signers, Sequence) else [signers]
        wanted = self.verifiers()
        by_key = {signer.verifier: signer for signer in held}
        for verifier in wanted:
            if verifier not in by_key:
                raise LogKeyNotHeld(vkey=verifier.vkey)
        return [by_key[verifier] for verifier in wanted] or held

    def committed(self) -> None:
        """The caller's transaction is durable: what is remembered is what the tables say."""
        self.memory.end(self._frontier.root())

    def _read_back(self) -> tuple[int, bytes]:
        frontier = self._old_frontier
        written = {"start": self._old_size, "end": self.size}
        for leaf in self._connection.execute(_LEAVES, written).scalars():
            frontier.append(leaf_hash(leaf))
        return frontier.size, frontier.root()


def _watch(session: Session, ledger: LedgerTransaction) -> None:
    """Write what is remembered before the ledger's tables are read through the session, and note writes."""

    def executing(state: ORMExecuteState) -> None:
        if not state.is_select:
            ledger.wrote()
        elif state.bind_mapper is None:  # a statement on tables, which may be the ledger's
            ledger.flush()

    def flushed(_session: Session, _context: object) -> None:
        ledger.wrote()

    sa.event.listen(session, "do_orm_execute", executing)
    sa.event.listen(session, "after_flush", flushed)


def leaves(session: Session, start: int, end: int) -> Iterator[bytes]:
    """The leaf bytes with start <= index < end, in order."""
    yield from session.execute(_LEAVES, {"start": start, "end": end}).scalars()


def size(session: Session) -> int:
    """The number of entries that are committed."""
    return int(session.execute(sa.select(tables.head.c.size)).scalar_one())


def log_keys(session: Session) -> tuple[LogKey, ...]:
    """The log's own keys, oldest first, with the entries where each begins and ends."""
    rows = session.execute(sa.select(tables.log_key).order_by(tables.log_key.c.idx))
    return tuple(map(log_key_of, rows.mappings()))


def last_checkpoint(session: Session) -> bytes | None:
    """The newest signed checkpoint in the database."""
    return session.execute(_LAST_NOTE).scalar_one_or_none()


_LEAVES = (
    sa.select(tables.log.c.leaf)
    .where(tables.log.c.idx >= sa.bindparam("start"), tables.log.c.idx < sa.bindparam("end"))
    .order_by(tables.log.c.idx)
)
_MOVE_HEAD = (
    sa.update(tables.head)
    .where(tables.head.c.size == sa.bindparam("old_size"), tables.head.c.root == sa.bindparam("old_root"))
    .values({name: sa.bindparam(name) for name in ("size", "root", "frontier", "at_ms")})
)
_LOCKED_HEAD = sa.select(tables.head).with_for_update()
_LAST_NOTE = sa.select(tables.checkpoint.c.note).order_by(tables.checkpoint.c.size.desc()).limit(1)
