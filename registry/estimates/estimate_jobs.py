"""Estimates that are computed behind the answer, and how many are computed at once in this process.

A job computes and keeps the record of a run, as `prepare_run` does; its owner then records it with the same
request as ever, which finds it. A restart loses the job and nothing else: it is asked for again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from geo.errors import GeoRefusal
from geo.work import Progress
from ledger.errors import LedgerRefusal
from registry import jobs
from registry.clock import Clock
from registry.database import Database
from registry.errors import RegistryRefusal
from registry.estimates.rules import EstimateRefused
from registry.estimates.service import EstimatePeriod, Prepared, prepare_run
from registry.machine import Mandate
from registry.settings import Home
from registry.turns import Turns

WAITING: Final = 8
WORKERS: Final = 1
AT_ONCE: Final = 2
"""Runs that are computed at once by this process."""
STANDING: Final = 6
"""Callers who wait for their run in the open; each holds a thread that others need."""
RETRY_AFTER_S: Final = 20


class EstimatesBusy(EstimateRefused):
    code: ClassVar[str] = "estimates_busy"
    template: ClassVar[str] = (
        "{waiting} estimates are computed or wait already; send yours again in {retry_after_s} seconds."
    )


def _busy(waiting: int) -> EstimatesBusy:
    return EstimatesBusy(waiting=waiting, retry_after_s=RETRY_AFTER_S)


@dataclass(slots=True, kw_only=True)
class EstimateJob(jobs.Job):
    """One estimate under way or done. `refusal` is why nothing came of it, `prepared` what did."""

    by: Mandate
    command: EstimatePeriod
    prepared: Prepared | None = None
    refusal: RegistryRefusal | GeoRefusal | LedgerRefusal | None = None

    def view(self) -> dict[str, Any]:
        """As a program sees it: `status` is queued, running, computed, refused or failed."""
        prepared = self.prepared
        return {
            "id": self.id,
            "period": self.command.period,
            **self.progress_view(),
            "inputs_sha256": None if prepared is None else prepared.inputs_sha256,
            "tier": None if prepared is None else prepared.tier,
            "estimate_kg": None if prepared is None else prepared.estimate_kg,
            "uncertainty_ppm": None if prepared is None else prepared.uncertainty_ppm,
            "refusal": None
            if self.refusal is None
            else {"code": self.refusal.code, "facts": {k: str(v) for k, v in self.refusal.facts.items()}},
        }


class EstimateJobs(jobs.Jobs[EstimateJob]):
    """The estimates of one process."""

    def __init__(self, database: Database, home: Home, clock: Clock, waiting: int = WAITING) -> None:
        super().__init__("estimate", clock, waiting=waiting, workers=WORKERS, busy=_busy)
        self._database, self._home, self._now = database, home, clock.now
        self._turns = Turns(AT_ONCE, STANDING, _busy)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The right to compute now, for a caller who waits for the answer (`EstimatesBusy`)."""
        if self.closed:
            raise _busy(self._turns.callers)
        with self._turns.turn():
            yield

    def begin(self, id_: str, by: Mandate, command: EstimatePeriod) -> EstimateJob:
        """Queue an estimate; one under way is answered with its job again (`EstimatesBusy`)."""
        return self.submit(EstimateJob(id=id_, created_at=self._now(), by=by, command=command))

    def compute(
        self, organisation: str, command: EstimatePeriod, progress: Progress | None = None
    ) -> Prepared:
        return prepare_run(self._database, self._home, organisation, command, progress=progress)

    def work(self, job: EstimateJob) -> str:
        try:
            with self._turns.behind():
                job.prepared = self.compute(job.by.organisation, job.command, job.advance)
        except (RegistryRefusal, GeoRefusal, LedgerRefusal) as refusal:
            job.refusal = refusal
            return "refused"
        return "computed"
