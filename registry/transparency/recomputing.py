"""The kilograms once more: what a serial, a run or a project rests on, computed again in its own home."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from geo.work import Progress
from registry.accounts.service import NotFound
from registry.estimates.ground import Cover
from registry.estimates.models import EstimateRun
from registry.estimates.recompute import Recomputed
from registry.estimates.recompute_home import recompute_run
from registry.estimates.run import fresh_cover
from registry.estimates.service import load_run
from registry.projects.models import MonitoringPeriod
from registry.projects.service import known_project
from registry.settings import Home
from registry.transparency.trace import find_serial, homes_of

VOUCHED: Final = {
    "key_given": "the record is held to the log's entry by the key that was given",
    "key_of_bundle": "the record is held to an entry by the bundle's own key: give the log's with --vkey",
    "nobody": "the bundle has no entry of a log: nobody vouches for the record",
}
"""What says that a bundle's record is the one that was logged."""


@dataclass(frozen=True, slots=True)
class RecomputedSerial:
    """A serial's run, or a run asked for itself, computed again. `parcel_kg` are the estimates of the parcels
    on which the serial's units grew, of all parcels where no serial was asked for. `vouched` is one of
    `VOUCHED` for a bundle, None for a run of the home, whose record the audit holds to the log.
    """

    serial: str | None
    run: str
    outcome: Recomputed
    parcel_kg: dict[int, int]
    vouched: str | None = None

    @property
    def same(self) -> bool:
        return self.outcome.same

    def to_json(self) -> dict[str, Any]:
        return {
            "serial": self.serial,
            "run": self.run,
            "same": self.same,
            "kg": self.outcome.kg,
            "recorded_kg": self.outcome.recorded_kg,
            "parcels": [{"number": number, "estimate_kg": kg} for number, kg in self.parcel_kg.items()],
            "record_vouched_by": self.vouched,
            "differences": [asdict(one) for one in self.outcome.differences],
        }

    def lines(self) -> list[str]:
        """For a person at a terminal."""
        found = (
            "nothing: an input is missing or changed" if self.outcome.kg is None else f"{self.outcome.kg} kg"
        )
        lines = [f"run {self.run}" if self.serial is None else f"{self.serial} rests on run {self.run}"]
        lines.append(f"recorded {self.outcome.recorded_kg} kg, computed again {found}")
        if self.serial is not None:
            lines += [f"parcel {number}: {kg} kg" for number, kg in self.parcel_kg.items()]
        lines += [
            f"differs: {one.name}: recorded {one.expected}, found {one.found or 'nothing'}"
            for one in self.outcome.differences
        ]
        lines += [] if self.vouched is None else [VOUCHED[self.vouched]]
        return [*lines, "the same" if self.same else "NOT the same"]


def recompute_serial(
    session: Session, home: Home, serial: str, cover: Cover = fresh_cover, progress: Progress | None = None
) -> RecomputedSerial:
    """Follow a serial to its run and compute that again from the home's files and the outlines in the
    database.

    Refusals as in `trace`; also `RecordErased`, and what `recompute` raises.
    """
    found = find_serial(session, serial)
    run = load_run(session, found.run.id)
    record, outcome = recompute_run(session, home, run, cover, progress)
    shares = dict(record.parcels)
    numbers = sorted({one.number for one in homes_of(session, found)})
    return RecomputedSerial(str(found.serial), run.id, outcome, {n: shares.get(n, 0) for n in numbers})


def recompute_named(
    session: Session, home: Home, what: str, cover: Cover = fresh_cover, progress: Progress | None = None
) -> list[RecomputedSerial]:
    """Recompute what is named: a run, the runs that hold for the periods of a project, else a serial."""
    run, project = session.get(EstimateRun, what), known_project(session, what)
    if run is None and project is None:
        return [recompute_serial(session, home, what, cover, progress)]
    runs = [run] if run is not None else _runs(session, None if project is None else project.id)
    if not runs:
        raise NotFound(kind="run of project", id=what)
    return _again(session, home, runs, cover, progress)


def recompute_all(
    session: Session, home: Home, cover: Cover = fresh_cover, progress: Progress | None = None
) -> list[RecomputedSerial]:
    """Recompute every run that holds for a period and whose record is kept."""
    runs = [run for run in _runs(session) if run.record is not None]
    return _again(session, home, runs, cover, progress)


def _again(
    session: Session, home: Home, runs: Sequence[EstimateRun], cover: Cover, progress: Progress | None
) -> list[RecomputedSerial]:
    answers = []
    for one in runs:
        record, outcome = recompute_run(session, home, one, cover, progress)
        answers.append(RecomputedSerial(None, one.id, outcome, dict(record.parcels)))
    return answers


def _runs(session: Session, project: str | None = None) -> list[EstimateRun]:
    """The runs that hold for periods, of one project or of all, oldest first."""
    wanted = sa.select(EstimateRun).join(MonitoringPeriod, MonitoringPeriod.run_id == EstimateRun.id)
    if project is not None:
        wanted = wanted.where(MonitoringPeriod.project_id == project)
    return list(session.scalars(wanted.order_by(MonitoringPeriod.from_on, EstimateRun.id)))
