"""All time comes from one clock object.

A real installation reads the system clock. A simulated one (a demo, a rehearsal) reads an instant kept in
its database, which only moves forward and only from the installation's command line. The genesis entry of
the log says which, for good.
"""

import time
from datetime import UTC, datetime
from typing import ClassVar, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session

from registry.database import Base, Database, UtcInstant, working
from registry.errors import RegistryRefusal


class Clock(Protocol):
    @property
    def simulated(self) -> bool: ...

    def now(self) -> datetime: ...


class ClockJumped(RegistryRefusal):
    """Log time decides deadlines and cannot go back, so nothing is logged on a clock that cannot be right."""

    code: ClassVar[str] = "clock_jumped"
    template: ClassVar[str] = (
        "The clock jumped by {seconds} seconds; nothing is logged until an operator has set it and restarted."
    )


MAX_JUMP_SECONDS: Final = 60
_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # counts on while the machine sleeps


def check_jump(seconds: float) -> None:
    """Refuse a clock that is off by more than a minute (`ClockJumped`); less is clamped or slewed."""
    if abs(seconds) > MAX_JUMP_SECONDS:
        raise ClockJumped(seconds=round(seconds))


class SystemClock:
    """The machine's own time, as long as it goes on as steadily as the machine counts."""

    simulated = False

    def __init__(self) -> None:
        self._offset = _offset()

    def now(self) -> datetime:
        offset = _offset()
        check_jump(offset - self._offset)
        self._offset = offset
        return datetime.now(UTC)


def _offset() -> float:
    return time.time() - time.clock_gettime(_STEADY)


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
            state = session.get(ClockState, 1, with_for_update=True)
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
