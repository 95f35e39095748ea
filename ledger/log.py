"""Append to the log and to what it implies, inside the caller's database transaction.

A `LedgerTransaction` locks the head, applies entries one by one with the same `LedgerState` that an audit
replays, writes the log rows and the projections of the books, and at the end seals: it reads the new leaves
back, hashes them again from those bytes, compares the root, signs the checkpoint and moves the head by
compare-and-swap. It neither begins nor ends the transaction; publishing (`ledger.tiles`) happens after the
commit, from the committed rows alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from ledger import tables
from ledger.books import Account, Block, Books, Reservation
from ledger.canonical import JsonValue, decode, encode
from ledger.checkpoint import Checkpoint, peek_checkpoint, sign_checkpoint
from ledger.effects import Effect, Limit, OpenBlock, Post, Posting, Transfer
from ledger.errors import LedgerRefusal
from ledger.merkle import EMPTY_ROOT, Frontier, leaf_hash
from ledger.note import NoteSigner
from ledger.replay import ActorKey, Entry, LedgerState
from ledger.units import UnitRange


class LogMissing(LedgerRefusal):
    code: ClassVar[str] = "log_missing"
    template: ClassVar[str] = "There is no log in this database yet."


class LogCorrupt(LedgerRefusal):
    """The database contradicts itself. Nothing is signed any more; an operator has to look."""

    code: ClassVar[str] = "log_corrupt"
    template: ClassVar[str] = "The log in the database is damaged: {reason}."


class SqlSource:
    """What the database knew before the entry that is being applied."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def account(self, account: str) -> Account | None:
        row = self._one(tables.account, tables.account.c.account == account)
        return None if row is None else account_of(row)

    def block(self, block: str) -> Block | None:
        row = self._one(tables.block, tables.block.c.block == block)
        return None if row is None else block_of(row)

    def reservation(self, pending: str) -> Reservation | None:
        row = self._one(tables.reservation, tables.reservation.c.pending == pending)
        return None if row is None else reservation_of(row)

    def last_number(self, series: str) -> int:
        row = self._one(tables.series, tables.series.c.series == series)
        return 0 if row is None else int(row["last_number"])

    def actor_key(self, keyid: str) -> ActorKey | None:
        row = self._one(tables.actor_key, tables.actor_key.c.keyid == keyid)
        return None if row is None else ActorKey(keyid, row["public_key"], row["person"], row["custody"])

    def subject_state(self, machine: str, subject: str) -> str | None:
        state = tables.subject_state.c
        row = self._one(tables.subject_state, sa.and_(state.machine == machine, state.subject == subject))
        return None if row is None else str(row["state"])

    def has_entry(self, entry_id: str) -> bool:
        return self._one(tables.log, tables.log.c.entry_id == entry_id) is not None

    def _one(self, table: sa.Table, condition: sa.ColumnElement[bool]) -> sa.RowMapping | None:
        return self._session.execute(sa.select(table).where(condition)).mappings().one_or_none()


def account_of(row: sa.RowMapping) -> Account:
    return Account(
        row["account"],
        row["asset"],
        Limit(row["limit_kind"]),
        row["numbered"],
        row["owner"],
        row["debits_posted"],
        row["credits_posted"],
        row["debits_pending"],
        row["credits_pending"],
    )


def block_of(row: sa.RowMapping) -> Block:
    return Block(
        row["block"],
        row["series"],
        row["batch"],
        UnitRange(row["start_number"], row["end_number"]),
        row["asset"],
        row["account"],
        row["parent"],
        row["pending"],
        row["live"],
    )


def reservation_of(row: sa.RowMapping) -> Reservation:
    content = decode(row["content"])
    assert isinstance(content, dict)
    postings: Any = content["postings"]
    blocks: Any = content["blocks"]
    return Reservation(
        row["pending"],
        tuple(Posting(p["account"], p["asset"], p["amount"]) for p in postings),
        tuple(blocks),
        row["lock_kind"],
        row["ref"],
        row["deadline_ms"],
        row["status"],
    )


def posted_lines(effects: Sequence[Effect]) -> Iterator[Posting]:
    """Every line that effects post at once, in order; opening a block posts its numbers to its source."""
    for effect in effects:
        if isinstance(effect, OpenBlock):
            yield Posting(effect.source, effect.asset, -effect.units.count)
            yield Posting(effect.account, effect.asset, effect.units.count)
        elif isinstance(effect, Transfer | Post):
            yield from effect.postings


def books_rows(books: Books) -> dict[str, list[dict[str, Any]]]:
    """The rows of everything in these books, by table name: what the writer stores and the audit expects."""
    return {
        "account": [
            {
                "account": a.account,
                "asset": a.asset,
                "limit_kind": a.limit.value,
                "numbered": a.numbered,
                "owner": a.owner,
                "debits_posted": a.debits_posted,
                "credits_posted": a.credits_posted,
                "debits_pending": a.debits_pending,
                "credits_pending": a.credits_pending,
            }
            for a in books.accounts.values()
        ],
        "block": [
            {
                "block": b.block,
                "series": b.series,
                "batch": b.batch,
                "start_number": b.units.start,
                "end_number": b.units.end,
                "asset": b.asset,
                "account": b.account,
                "parent": b.parent,
                "pending": b.pending,
                "live": b.live,
            }
            for b in books.blocks.values()
        ],
        "reservation": [_reservation_row(r) for r in books.reservations.values()],
        "series": [{"series": name, "last_number": last} for name, last in books.series.items()],
    }


def _reservation_row(held: Reservation) -> dict[str, Any]:
    content: JsonValue = {"postings": [p.to_json() for p in held.postings], "blocks": list(held.blocks)}
    return {
        "pending": held.pending,
        "content": encode(content),
        "lock_kind": held.lock,
        "ref": held.ref,
        "deadline_ms": held.deadline_ms,
        "status": held.status,
    }


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


class LedgerTransaction:
    """The ledger's part of one write transaction, from the locked head to the signed checkpoint."""

    def __init__(self, session: Session) -> None:
        row = session.execute(sa.select(tables.head).with_for_update()).mappings().one_or_none()
        if row is None:
            raise LogMissing()
        self._session = session
        self.origin: str = row["origin"]
        self._old_size: int = row["size"]
        self._old_root: bytes = row["root"]
        self._old_frontier = Frontier.decode(self._old_size, row["frontier"])
        self._frontier = self._old_frontier.copy()
        self._at_ms: int = row["at_ms"]
        if self._old_frontier.root() != self._old_root:
            raise LogCorrupt(reason=f"the frontier at size {self._old_size} has another root than the head")
        signed = last_checkpoint(session)
        if signed is None and self._old_size == 0:
            return
        # A head that nobody signed would become history with our next signature.
        if signed is None or peek_checkpoint(signed) != Checkpoint(
            self.origin, self._old_size, self._old_root
        ):
            raise LogCorrupt(reason=f"the head at size {self._old_size} is not the last signed checkpoint")

    @property
    def size(self) -> int:
        return self._frontier.size

    @property
    def last_at_ms(self) -> int:
        return self._at_ms

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """All entries appended inside, or, when an exception leaves it, none of them."""
        kept = (self._frontier.copy(), self._at_ms)
        try:
            with self._session.begin_nested():
                yield
        except BaseException:
            self._frontier, self._at_ms = kept
            raise

    def append(self, leaf: bytes, *, check_signatures: bool = True) -> Entry:
        """Apply one leaf and write it. `check_signatures=False` only for signatures this process just made
        or checked.
        """
        state = LedgerState(SqlSource(self._session), size=self.size, last_at_ms=self._at_ms)
        entry = state.apply(leaf, check_signatures=check_signatures)
        digest = leaf_hash(leaf)
        self._session.execute(
            sa.insert(tables.log).values(
                idx=entry.index, entry_id=entry.payload.id, leaf_hash=digest, leaf=leaf
            )
        )
        self._write_state(entry, state)
        self._frontier.append(digest)
        self._at_ms = entry.at_ms
        return entry

    def _write_state(self, entry: Entry, state: LedgerState) -> None:
        rows = books_rows(state.books)
        rows["subject_state"] = [
            {"machine": machine, "subject": subject, "state": after, "idx": entry.index}
            for (machine, subject), after in state.states.items()
        ]
        rows["actor_key"] = [key_row(key, entry.index) for key in state.keys.values()]
        rows["posting"] = posting_rows(entry)
        for name, table_rows in rows.items():
            _upsert(self._session, tables.metadata.tables[name], table_rows)

    def seal(self, signer: NoteSigner) -> bytes | None:
        """Check what was written, sign the checkpoint and move the head. None when nothing was appended.

        Raises `LogCorrupt` when the leaves read back do not give the root, or another writer moved the head.
        """
        if self.size == self._old_size:
            return None
        self._session.flush()
        frontier = self._old_frontier
        for leaf in leaves(self._session, self._old_size, self.size):
            frontier.append(leaf_hash(leaf))
        root = self._frontier.root()
        if frontier.size != self.size or frontier.root() != root:
            raise LogCorrupt(reason=f"the leaves read back at size {self.size} have another root")
        note = sign_checkpoint(Checkpoint(self.origin, self.size, root), [signer])
        self._session.execute(sa.insert(tables.checkpoint).values(size=self.size, note=note))
        head = tables.head.c
        moved = self._session.execute(
            sa.update(tables.head)
            .where(head.size == self._old_size, head.root == self._old_root)
            .values(size=self.size, root=root, frontier=self._frontier.encode(), at_ms=self._at_ms)
        )
        if moved.rowcount != 1:  # type: ignore[attr-defined]
            raise LogCorrupt(reason="the head moved under the lock")
        return note


def key_row(key: ActorKey, index: int) -> dict[str, Any]:
    return {
        "keyid": key.keyid,
        "public_key": key.public_key,
        "person": key.person,
        "custody": key.custody,
        "idx": index,
    }


def posting_rows(entry: Entry) -> list[dict[str, Any]]:
    return [
        {"idx": entry.index, "n": n, "account": p.account, "asset": p.asset, "amount": p.amount}
        for n, p in enumerate(posted_lines(entry.payload.effects))
    ]


def leaves(session: Session, start: int, end: int) -> Iterator[bytes]:
    """The leaf bytes with start <= index < end, in order."""
    rows = session.execute(
        sa.select(tables.log.c.leaf)
        .where(tables.log.c.idx >= start, tables.log.c.idx < end)
        .order_by(tables.log.c.idx)
    )
    for row in rows:
        yield row.leaf


def last_checkpoint(session: Session) -> bytes | None:
    """The newest signed checkpoint in the database."""
    newest = sa.select(tables.checkpoint.c.note).order_by(tables.checkpoint.c.size.desc()).limit(1)
    return session.execute(newest).scalar_one_or_none()


def _upsert(session: Session, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    dialect = session.get_bind().dialect.name
    statement: Any = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)
