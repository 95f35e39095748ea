"""One clock: real and steady, or simulated and moved forward by hand; the log says which, for good."""

import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.entry import parse_payload
from ledger.envelope import decode_leaf
from ledger.log import leaves
from registry import clock as clocks
from registry.accounts.service import RegisterPerson
from registry.clock import (
    ClockJumped,
    ClockRefused,
    ClockState,
    SimulatedClock,
    SystemClock,
    clock_of,
    from_milliseconds,
    milliseconds,
)
from registry.database import Database
from registry.installation import Installation
from registry.settings import Home
from tests.registry.conftest import START
from tests.registry.people import People

HOUR = timedelta(hours=1)


def at_ms(installation: Installation, index: int) -> int:
    with installation.database.read() as session:
        (leaf,) = leaves(session, index, index + 1)
    return decode_leaf(leaf)[0]


def test_a_simulated_clock_stands_until_it_is_advanced(installation: Installation) -> None:
    clock = installation.clock
    assert isinstance(clock, SimulatedClock)
    assert clock.simulated
    assert clock.now() == clock.now() == START
    clock.advance(START + HOUR)
    assert clock_of(installation.database).now() == START + HOUR
    clock.advance(START + HOUR)  # where it stands is not back in time


def test_it_only_moves_forward_and_needs_a_time_zone(installation: Installation) -> None:
    clock = installation.clock
    assert isinstance(clock, SimulatedClock)
    for wrong in (START - HOUR, START - timedelta(milliseconds=1), (START + HOUR).replace(tzinfo=None)):
        with pytest.raises(ClockRefused):
            clock.advance(wrong)
    assert clock.now() == START
    shanghai = timezone(timedelta(hours=8))
    with pytest.raises(ClockRefused):
        clock.advance((START - HOUR).astimezone(shanghai))
    clock.advance((START + HOUR).astimezone(shanghai))
    assert clock.now() == START + HOUR


def test_entries_carry_the_clocks_time(people: People) -> None:
    installation = people.installation
    assert at_ms(installation, 0) == milliseconds(START)
    assert isinstance(installation.clock, SimulatedClock)
    installation.clock.advance(START + HOUR)
    people.do(installation.root, "person.register", RegisterPerson(name="A"))
    assert from_milliseconds(at_ms(installation, 1)) == START + HOUR


def test_a_real_installation_has_no_clock_to_advance(tmp_path: Path, database_url: str) -> None:
    installation = Installation.create(Home.at(tmp_path / "home", database_url), "tanhui.test/log")
    try:
        assert not installation.clock.simulated
        assert abs(installation.clock.now() - datetime.now(UTC)) < timedelta(seconds=30)
        with pytest.raises(ClockRefused):
            SimulatedClock(installation.database).advance(datetime.now(UTC) + HOUR)
        with pytest.raises(ClockRefused):
            SimulatedClock(installation.database).now()
        with installation.database.read() as session:
            (leaf,) = leaves(session, 0, 1)
        assert parse_payload(decode_leaf(leaf)[1].payload).facts["clock"] == "real"
    finally:
        installation.close()


@pytest.mark.parametrize("simulated", [True, False])
def test_a_log_does_not_change_between_simulated_and_real(
    tmp_path: Path, database_url: str, simulated: bool
) -> None:
    home = Home.at(tmp_path / "home", database_url)
    Installation.create(home, "tanhui.test/log", simulated_at=START if simulated else None).close()
    database = Database(database_url)
    with database.write() as session:
        if simulated:
            session.execute(sa.delete(ClockState))
        else:
            session.add(ClockState(one=1, instant=START))
    database.dispose()
    with pytest.raises(ClockRefused, match="began on"):
        Installation.open(home)


# ---- clocks that cannot be right ---------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [-3600, 3600, 10 * 365 * 86_400])
def test_a_real_clock_that_jumps_is_not_believed_any_more(monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    clock = SystemClock()
    clock.now()
    monkeypatch.setattr(clocks, "time", _Shifted(jump))
    for _ in range(2):
        with pytest.raises(ClockJumped) as refused:
            clock.now()
        assert abs(int(str(refused.value.facts["seconds"])) - jump) <= 1


@pytest.mark.parametrize("jump", [-20, 20])
def test_small_steps_are_followed(monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    clock = SystemClock()
    for n in range(1, 8):  # together more than a minute, as a slewed clock may come to in a year
        monkeypatch.setattr(clocks, "time", _Shifted(n * jump))
        clock.now()


class _Shifted:
    """The module `time` with the wall set off from the steady count."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def time(self) -> float:
        return time.time() + self._seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def _set_head_ahead(people: People, seconds: int) -> None:
    """As after a time when the clock was ahead."""
    with people.installation.database.write() as session:
        session.execute(sa.update(tables.head).values(at_ms=tables.head.c.at_ms + seconds * 1000))


def test_a_step_back_is_clamped_when_it_is_small(people: People) -> None:
    _set_head_ahead(people, 59)
    outcome = people.do(people.installation.root, "person.register", RegisterPerson(name="A"))
    assert at_ms(people.installation, outcome.entries[0]) == milliseconds(START) + 59_000


def test_a_log_that_is_ahead_of_the_clock_is_not_written(people: People) -> None:
    _set_head_ahead(people, 61)
    with pytest.raises(ClockJumped):
        people.do(people.installation.root, "person.register", RegisterPerson(name="A"))
