"""When a `state` entry is due, and how it is written: at the end of a group, by the registry itself.

One is due when so many entries passed since the last one, or when the day in China changed since it; and only
behind something else that is logged, so that a registry nobody uses writes nothing.
"""

import uuid
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger.entry import Payload
from ledger.envelope import Envelope, decode_leaf, encode_leaf
from ledger.keys import SigningKey
from ledger.log import LedgerTransaction, leaves
from registry.accounts.rules import LOG
from registry.accounts.service import AccountsDirectory
from registry.acts import SYSTEM
from registry.clock import from_milliseconds
from registry.keyring import KeyNotHeld, KeyRing
from registry.projections import Projections, project
from registry.projects.rules import civil_date
from registry.records.models import StateEntry

STATE_EVERY: Final = 4096
"""Entries from one `state` entry to the next, at most by one group more."""


LAST_STATE: Final = "the last state entry"


@dataclass(slots=True)
class Upkeep:
    """What the registry itself logs at the end of a group (`registry.writer.Writer`)."""

    keyring: KeyRing
    projections: Projections
    state_every: int = STATE_EVERY
    _began_at_ms: int | None = field(default=None, init=False)
    """The time of the first entry, which never changes."""

    def __call__(self, session: Session, ledger: LedgerTransaction) -> None:
        if ledger.grew and ledger.size > 1 and self._due(session, ledger) and self._open(ledger):
            self._write_state(session, ledger)

    def _due(self, session: Session, ledger: LedgerTransaction) -> bool:
        last, at_ms = ledger.memory.recall(LAST_STATE, lambda: self._last(session))
        days = {civil_date(from_milliseconds(moment)) for moment in (at_ms, ledger.last_at_ms)}
        return len(days) == 2 or ledger.size - last > self.state_every

    def _last(self, session: Session) -> tuple[int, int]:
        """Index and time of the last `state` entry, else of the first entry."""
        newest = sa.select(StateEntry.entry_index, StateEntry.at_ms)
        found = session.execute(newest.order_by(StateEntry.entry_index.desc()).limit(1)).one_or_none()
        if found is not None:
            return found.entry_index, found.at_ms
        if self._began_at_ms is None:
            (first,) = leaves(session, 0, 1)
            self._began_at_ms = decode_leaf(first)[0]
        return 0, self._began_at_ms

    @staticmethod
    def _open(ledger: LedgerTransaction) -> bool:
        """Whether the log takes entries: nothing comes after it has named its successor."""
        return ledger.source.subject_state(LOG.name, ledger.origin) == "open"

    def _system_key(self, session: Session) -> SigningKey:
        """The system's newest key: it may have been rotated."""
        keyid = AccountsDirectory().server_key(session, SYSTEM.person)
        if keyid is None:
            raise KeyNotHeld(keyid=f"of {SYSTEM.person}")
        return self.keyring.held(keyid, SYSTEM.person)

    def _write_state(self, session: Session, ledger: LedgerTransaction) -> None:
        payload = Payload(
            type="state",
            id=str(uuid.uuid4()),
            by=SYSTEM.person,
            role=SYSTEM.role.value,
            mandate=SYSTEM.id,
            machine=LOG.name,
            subject=ledger.origin,
            action="state",
            before="open",
            after=LOG.step("open", "state", ledger.origin).after,
            facts=ledger.state_facts(),
        )
        envelope = Envelope(payload.to_bytes()).sign(self._system_key(session))
        entry = ledger.append(encode_leaf(ledger.last_at_ms, envelope), check_signatures=False)
        ledger.memory.recalled[LAST_STATE] = (entry.index, entry.at_ms)
        project(session, entry, self.projections)
