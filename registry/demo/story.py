"""The life of a credit in nine steps, each through the office and each with its line of progress.

What a step needs from the one before it stands in `Story`. Lines hold figures of the input only, never keys
or digests, so that the same input gives the same lines.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from registry.clock import SimulatedClock
from registry.demo.cast import Cast, Member
from registry.demo.files import Files
from registry.installation import Installation

ORIGIN = "demo.tanhui.example/log"
BEGINNING = datetime(2025, 1, 6, 1, 0, tzinfo=UTC)
STEPS = (
    "land",
    "project",
    "estimate",
    "option",
    "verification",
    "issuance",
    "market",
    "retirement",
    "log",
    "audit",
)

Say = Callable[[str], None]


@dataclass(slots=True)
class Story:
    """Everything that the steps hand on."""

    installation: Installation
    files: Files
    say: Say
    cast: Cast
    collectives: dict[str, Member] = field(default_factory=dict)
    projects: list["CountyProject"] = field(default_factory=list)
    programme: str = ""
    assumed: tuple[str, ...] = ()
    certificates: list[Path] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def member(self, name: str) -> Member:
        return self.cast.members[name]

    def advance(self, delta: timedelta) -> None:
        """Let the simulated clock go on."""
        clock = self.installation.clock
        assert isinstance(clock, SimulatedClock), "the demo runs on simulated time"
        clock.advance(clock.now() + delta)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time a step and print its line."""
        started = time.perf_counter()
        number = f"{STEPS.index(name) + 1}/{len(STEPS)}"

        def line(text: str) -> None:
            self.say(f"{number} {name:<12} {text}")

        yield line
        self.seconds[name] = round(time.perf_counter() - started, 3)


@dataclass(slots=True)
class CountyProject:
    """One project: the parcels of a county's villages under one operator."""

    county: str
    parcels: list[str]
    project: str = ""
    period: str = ""
    issuance: str = ""
    option: str = ""
    run_kg: int = 0
    uncertainty_ppm: int = 0
    verified_kg: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
