"""All time comes from one clock object.

A real installation reads the system clock. A simulated one (a demo, a rehearsal) reads an instant kept in
its database, which only moves forward and only from the installation's command line. The genesis entry of
the log says which, for good.
"""

from datetime import UTC, datetime
from typing import ClassVar, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from registry.database import Base, Database, UtcInstant, working
from registry.errors import RegistryRefusal


class Clock(Protocol):
    @property
    def simulated(self) -> bool: ...

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's own time."""

    simulated = False

    def now(self) -> datetime:
        return datetime.now(UTC)


class ClockRefused(RegistryRefusal):
    code: ClassVar[str] = "clock_refused"
    template: ClassVar[str] = "The clock cannot be set so: {reason}."


class ClockState(Base):
    """The instant of a simulated installation; no row in a real one."""

    __tablename__ = "clock_state"

    one: Mapped[int] = working(sa.Integer, primary_key=True, autoincrement=False)
    instant: Mapped[datetime] = working(UtcInstant)


class SimulatedClock:
    """An instant that stands still until it is advanced. Shared by every process on the database."""

    simulated = True

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self) -> datetime:
        with self._database.read() as session:
            state = session.get(ClockState, 1)
            if state is None:
                raise ClockRefused(reason="this installation runs on real time")
            return state.instant

    def advance(self, instant: datetime) -> None:
        """Move forward to `instant`; `ClockRefused` when that is back in time."""
        with self._database.write() as session:
            state = session.get(ClockState, 1)
            if state is None:
                raise ClockRefused(reason="this installation runs on real time")
            if _utc(instant) < state.instant:
                raise ClockRefused(reason=f"it stands at {state.instant.isoformat()} and only moves forward")
            state.instant = _utc(instant)


def start_simulation(session: Session, instant: datetime) -> None:
    """Make a new installation a simulated one, standing at `instant`."""
    session.add(ClockState(one=1, instant=_utc(instant)))


def clock_of(database: Database) -> Clock:
    """The clock of an installation: what its database says."""
    with database.read() as session:
        simulated = session.get(ClockState, 1) is not None
    return SimulatedClock(database) if simulated else SystemClock()


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ClockRefused(reason="an instant needs its time zone")
    return instant.astimezone(UTC)


def milliseconds(instant: datetime) -> int:
    """The instant as whole POSIX milliseconds, as the log writes it."""
    return round(instant.timestamp() * 1000)


def from_milliseconds(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
