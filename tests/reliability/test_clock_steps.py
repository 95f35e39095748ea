"""The clock steps or stands still under a running writer: nothing is logged on it, nothing goes back."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest

from ledger.client import FolderFiles, LogClient
from ledger.envelope import decode_leaf
from ledger.note import NoteVerifier
from registry import clock as clocks
from registry.clock import ClockJumped
from registry.installation import Installation
from tests.reliability.acting import Ground, asked
from tests.reliability.conftest import Grounds
from tests.reliability.judging import Verdict, committed_size, judge, vkey_of
from tests.reliability.loading import Said

HOUR, YEAR = 3600, 365 * 86_400


@dataclass(slots=True)
class Wall:
    """The module `time` with a wall clock that is set off, or stands still; the steady count goes on."""

    ahead_seconds: float = 0
    still_at: float | None = None
    steady_ahead: float = 0

    def time(self) -> float:
        return time.time() + self.ahead_seconds if self.still_at is None else self.still_at

    def clock_gettime(self, which: int) -> float:
        return time.clock_gettime(which) + self.steady_ahead

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()

    class OnTheWall(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(wall.time(), tz)

    monkeypatch.setattr(clocks, "time", wall)
    monkeypatch.setattr(clocks, "datetime", OnTheWall)
    return wall


@pytest.fixture
def ground(grounds: Grounds) -> Ground:
    return grounds()


@pytest.fixture
def running(ground: Ground, wall: Wall) -> Iterator[Installation]:
    installation = Installation.open(ground.home)
    yield installation
    installation.close()


def act(installation: Installation, ground: Ground, request: str | None = None) -> int:
    request = request or str(uuid.uuid4())
    return installation.office.execute(*asked(ground, request), request).entries[0]


def instants(ground: Ground) -> list[int]:
    """The time of each published entry, in milliseconds."""
    found: list[int] = []
    client = LogClient(FolderFiles(ground.home.log), NoteVerifier.parse(vkey_of(ground.home)))
    client.verify(visit=lambda _index, leaf: found.append(decode_leaf(leaf)[0]))
    return found


@pytest.mark.parametrize("step", [-HOUR, HOUR, 10 * YEAR, -10 * YEAR])
def test_a_step_is_refused_until_the_clock_is_right_again(
    running: Installation, ground: Ground, wall: Wall, step: int, go_oracle: Path
) -> None:
    first = act(running, ground)
    wall.ahead_seconds = step
    request = str(uuid.uuid4())
    for _ in range(3):
        with pytest.raises(ClockJumped):
            act(running, ground, request)
    assert running.writer.failure is None, "a wrong clock is refused, act by act; the writer lives"
    assert committed_size(ground.home) == first + 1

    wall.ahead_seconds = 0
    assert act(running, ground, request) == first + 1
    assert instants(ground) == sorted(instants(ground))
    judge(ground, Said({request}), Verdict(), go=go_oracle)


def test_a_clock_that_stands_still_is_noticed_within_a_minute(
    running: Installation, ground: Ground, wall: Wall
) -> None:
    act(running, ground)
    wall.still_at = time.time()
    wall.steady_ahead = 59
    act(running, ground)  # it may yet be a slow one
    wall.steady_ahead = 59 + 62
    with pytest.raises(ClockJumped):
        act(running, ground)
    assert instants(ground) == sorted(instants(ground))


def test_small_steps_back_are_clamped_and_time_in_the_log_never_falls(
    running: Installation, ground: Ground, wall: Wall
) -> None:
    for seconds in (0, -20, -40, -55, -10, 0):
        wall.ahead_seconds = seconds
        act(running, ground)
    found = instants(ground)
    assert found == sorted(found)
    assert len(set(found[-6:-1])) <= 2, "while the clock is behind, the log's time stands"


@pytest.mark.parametrize("step", [-HOUR, -10 * YEAR])
def test_a_process_that_starts_on_a_clock_behind_its_log_logs_nothing(
    ground: Ground, wall: Wall, step: int
) -> None:
    installation = Installation.open(ground.home)
    act(installation, ground)
    installation.close()
    before = committed_size(ground.home)
    wall.ahead_seconds = step
    again = Installation.open(ground.home)
    try:
        with pytest.raises(ClockJumped):
            act(again, ground)
        assert committed_size(ground.home) == before
    finally:
        again.close()
