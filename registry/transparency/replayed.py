"""The tables that the log implies, made a second time beside the auditor: what the served ones are held to.

Here the registry's own replay and projections are right: what is compared is what they wrote. They lie in a
temporary file, and rows of the log itself are written as they come.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import tables
from ledger.errors import LedgerRefusal
from ledger.merkle import Frontier, leaf_hash
from ledger.replay import LedgerState
from ledger.rows import books_rows, key_row, log_key_row, posting_rows
from registry.catalogue import PROJECTIONS
from registry.database import Base
from registry.projections import project, steps_of

_WRITTEN_TOGETHER = 1024


class Replayed:
    """Every table with logged columns, as the entries so far imply it. `fault` says why one refused."""

    def __init__(self) -> None:
        engine = sa.create_engine("sqlite:///", poolclass=sa.StaticPool)  # a file that SQLite deletes itself
        tables.metadata.create_all(engine)
        Base.metadata.create_all(engine)
        self.session = Session(engine)
        self.size = 0
        self.fault: str | None = None
        self._state = LedgerState()
        self._frontier = Frontier()
        self._log: list[dict[str, Any]] = []
        self._postings: list[dict[str, Any]] = []
        self._steps: dict[tuple[str, str], dict[str, Any]] = {}
        self._origin = ""

    def see(self, _index: int, leaf: bytes) -> None:
        """Take the next entry, which the auditor has judged before."""
        if self.fault is not None:
            return
        try:
            self._take(leaf)
        except (LedgerRefusal, sa.exc.SQLAlchemyError, KeyError, TypeError, ValueError) as refusal:
            self.fault = f"{type(refusal).__name__}: {refusal}"

    def _take(self, leaf: bytes) -> None:
        state = self._state
        entry = state.apply(leaf, check_signatures=False)
        project(self.session, entry, PROJECTIONS)
        digest = leaf_hash(leaf)
        self._log.append(
            {"idx": entry.index, "entry_id": entry.payload.id, "leaf_hash": digest, "leaf": leaf}
        )
        self._postings += posting_rows(entry)
        for step in steps_of(entry):
            key = (step.machine, step.subject)
            self._steps[key] = {
                "machine": step.machine, "subject": step.subject, "state": step.after, "idx": entry.index,
            }  # fmt: skip
        if entry.payload.type == "genesis":
            self._origin = entry.payload.subject
        self._frontier.append(digest)
        self.size += 1
        if len(self._log) >= _WRITTEN_TOGETHER:
            self._write_entries()

    def _write_entries(self) -> None:
        self._insert("log", self._log)
        self._insert("posting", self._postings)
        self._log, self._postings = [], []
        self.session.expunge_all()

    def finish(self) -> None:
        """Write what only the end decides: the books, the states, the keys and the head."""
        self._write_entries()
        for name, rows in books_rows(self._state.books).items():
            self._insert(name, rows)
        self._insert("subject_state", list(self._steps.values()))
        self._insert("actor_key", [key_row(key, key.index) for key in self._state.keys.values()])
        self._insert("log_key", [log_key_row(key) for key in self._state.log_keys or ()])
        head = {
            "one": 1,
            "origin": self._origin,
            "size": self._frontier.size,
            "root": self._frontier.root(),
            "frontier": self._frontier.encode(),
            "at_ms": self._state.last_at_ms,
        }
        self._insert("head", [head])
        self.session.flush()

    def _insert(self, name: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            self.session.execute(sa.insert(tables.metadata.tables[name]), rows)

    def leaf(self, index: int) -> bytes | None:
        """The leaf at an index, None beyond the end."""
        found = self.session.execute(sa.select(tables.log.c.leaf).where(tables.log.c.idx == index))
        return found.scalar_one_or_none()

    def close(self) -> None:
        self.session.close()
        self.session.get_bind().dispose()  # type: ignore[union-attr]
