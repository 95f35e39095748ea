"""Tables as projections of the log.

Each room gives one function per state machine that turns a recorded step into rows. The writer calls it in
the transaction that appends the entry; the audit calls the same functions on an empty database and
compares. A projection reads the entry and the rows projected before it, never the clock, a file, or a
working column.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from ledger.canonical import JsonValue
from ledger.commitment import commit
from ledger.effects import Transition
from ledger.errors import LedgerRefusal
from ledger.replay import Entry
from registry.database import Base, Committed, logged
from registry.waiting import waiting_in


@dataclass(frozen=True, slots=True)
class Recorded:
    """One step of one subject, with the entry that records it."""

    entry: Entry
    machine: str
    subject: str
    action: str
    before: str
    after: str
    place: int = 0
    """Of this step among those of its entry; the entry's own is the first, 0."""

    @property
    def facts(self) -> dict[str, Any]:
        """The entry's facts. Typed loosely on purpose: the audit compares the rows made of them."""
        return self.entry.payload.facts

    @property
    def index(self) -> int:
        return self.entry.index


Projection = Callable[[Session, Recorded], None]
Projections = Mapping[str, Projection]


def steps_of(entry: Entry) -> Iterator[Recorded]:
    """The entry's own step, then those it causes."""
    payload = entry.payload
    own = (payload.machine, payload.subject, payload.action, payload.before, payload.after)
    yield Recorded(entry, *own)
    place = 0
    for effect in payload.effects:
        if isinstance(effect, Transition):
            place += 1
            caused = (effect.machine, effect.subject, effect.action, effect.before, effect.after)
            yield Recorded(entry, *caused, place)


class UnknownMachine(LedgerRefusal):
    code: ClassVar[str] = "machine_unknown"
    template: ClassVar[str] = "Entry {index} is of the machine {machine}, which this version does not know."


def project(session: Session, entry: Entry, projections: Projections) -> None:
    """Write the rows that an entry implies."""
    for recorded in steps_of(entry):
        projection = projections.get(recorded.machine)
        if projection is None:
            raise UnknownMachine(index=entry.index, machine=recorded.machine)
        projection(session, recorded)
    if session.new or session.dirty:
        session.flush()


class Subject:
    """Mixin of a table whose rows are subjects of a state machine."""

    id: Mapped[str] = logged(sa.String(200), primary_key=True)
    status: Mapped[str] = logged(sa.String(40), index=True)
    entry_index: Mapped[int] = logged(sa.BigInteger)


T = TypeVar("T", bound=Base)


def begin(session: Session, model: type[T], recorded: Recorded, **columns: Any) -> None:
    """Add the row of a new subject, with its first status."""
    row = {"id": recorded.subject, "status": recorded.after, "entry_index": recorded.index, **columns}
    waiting = waiting_in(session)
    if waiting is None:
        session.add(model(**row))
        return
    if session.new:  # which the new row may refer to
        session.flush()
    waiting.add(model, row)


def follow(session: Session, model: type[T], recorded: Recorded) -> T:
    """The row of the recorded subject, with its new status."""
    row = session.get(model, recorded.subject)
    if row is None:
        raise UnknownMachine(index=recorded.index, machine=f"{recorded.machine} {recorded.subject}")
    subject: Any = row
    subject.status = recorded.after
    subject.entry_index = recorded.index
    return row


# ---- committed columns
# -------------------------------------------------------------------------------------------


def committed_columns(model: type[Any]) -> tuple[str, ...]:
    """Names of the columns whose values form the model's committed record (the key is not part of it)."""
    return tuple(
        column.key
        for column in sa.inspect(model).columns
        if column.info.get("truth") == "committed" and column.key != "commitment_key"
    )


def record_of(model: type[Any], values: Mapping[str, Any]) -> dict[str, JsonValue]:
    """The committed record: every committed column of the model, bytes in hexadecimal."""
    names = committed_columns(model)
    unknown = set(values) - set(names)
    if unknown:
        raise TypeError(f"{model.__name__} has no committed columns {sorted(unknown)}")
    return {name: _plain(values.get(name)) for name in names}


def _plain(value: Any) -> JsonValue:
    return value.hex() if isinstance(value, bytes) else value


def opens_commitment(row: Committed) -> bool | None:
    """Whether a row's committed columns are those in the log; None when they were erased."""
    model = type(row)
    values = {name: getattr(row, name) for name in committed_columns(model)}
    if row.commitment_key is None:
        return None if all(value is None for value in values.values()) else False
    return commit(row.commitment_key, record_of(model, values)) == row.commitment
