"""One run: measures and their reference by turns, A B A B, in several rounds.

Rates of a shared machine are only good as ratios inside one run. So the reference V, verifications per second
of one core, is taken before and after every measurement, and a ratio is that of a rate to its two neighbours.
A run in which V itself moved is worth nothing, and says so.
"""

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.envelope import PAYLOAD_TYPE, pae

PAYLOAD_BYTES: Final = 720
"""Of a deposit's payload: the reference verifies messages as long as the entries have."""
SYNC_BYTES: Final = 4096
MOST_MOVED: Final = 0.15
"""By how much of its first round's rate V may differ in the last one."""


class ResultWrong(Exception):
    """What was to be timed is not right, so its time means nothing."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        return cls(min(values), median(values), max(values))

    def to_json(self) -> dict[str, float]:
        return {"min": self.min, "median": self.median, "max": self.max}


class VerifyRate:
    """The reference V: Ed25519 verifications per second of one core with `cryptography`, key loaded once."""

    def __init__(self, count: int = 2500) -> None:
        private = Ed25519PrivateKey.generate()
        self._message = pae(PAYLOAD_TYPE, b"x" * PAYLOAD_BYTES)
        self._signature = private.sign(self._message)
        self._public = private.public_key()
        self._count = count

    def __call__(self) -> float:
        verify, signature, message = self._public.verify, self._signature, self._message
        started = time.perf_counter()
        for _ in range(self._count):
            verify(signature, message)
        return self._count / (time.perf_counter() - started)


def sync_rate(folder: Path, count: int = 200) -> float:
    """The reference F: `pwrite` of one page and `fdatasync`, per second, in the measures' file system."""
    handle, name = tempfile.mkstemp(dir=folder)
    page = os.urandom(SYNC_BYTES)
    try:
        started = time.perf_counter()
        for n in range(count):
            os.pwrite(handle, page, n * SYNC_BYTES)
            os.fdatasync(handle)
        return count / (time.perf_counter() - started)
    finally:
        os.close(handle)
        Path(name).unlink()


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: a rate per second (or another value), V beside it, and what else was seen."""

    value: float
    reference: float
    seen: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        return self.value / self.reference


Measurement = Callable[[], tuple[float, Mapping[str, float]]]


@dataclass(slots=True)
class Run:
    """Everything that is measured in one run, by name, with V as it went along."""

    verify_rate: Callable[[], float] = field(default_factory=VerifyRate)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """What could not be measured here, and why."""
    rounds: list[list[float]] = field(default_factory=list)
    """V as taken in each round."""

    def begin_round(self) -> None:
        self.rounds.append([self.verify_rate()])

    def take(self, name: str, measurement: Measurement) -> None:
        """Measure once, between two readings of V."""
        readings = self.rounds[-1]
        before = readings[-1]
        value, seen = measurement()
        readings.append(self.verify_rate())
        self.samples.setdefault(name, []).append(Sample(value, (before + readings[-1]) / 2, seen))

    def rates(self, name: str) -> Spread:
        return Spread.of([sample.value for sample in self.samples[name]])

    def ratios(self, name: str) -> Spread:
        """The measure per V, each with its own neighbours."""
        return Spread.of([sample.ratio for sample in self.samples[name]])

    def against(self, name: str, other: str) -> Spread:
        """The measure per another one, round by round."""
        pairs = zip(self.samples[name], self.samples[other], strict=True)
        return Spread.of([one.value / two.value for one, two in pairs])

    def seen(self, name: str, what: str) -> Spread:
        return Spread.of([sample.seen[what] for sample in self.samples[name]])

    @property
    def v(self) -> Spread:
        return Spread.of([median(readings) for readings in self.rounds])

    @property
    def moved(self) -> float:
        """By which part of the first round's V that of the last round differs."""
        first, last = median(self.rounds[0]), median(self.rounds[-1])
        return abs(last - first) / first

    @property
    def discarded(self) -> bool:
        return self.moved > MOST_MOVED

    def to_json(self) -> dict[str, Any]:
        return {
            "v_per_s": self.v.to_json(),
            "v_moved": self.moved,
            "discarded": self.discarded,
            "absent": self.absent,
            "samples": {
                name: [{"value": s.value, "v": s.reference, **s.seen} for s in samples]
                for name, samples in self.samples.items()
            },
        }


def percentile(values: list[float], part: float) -> float:
    """The smallest value that at least this part of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
