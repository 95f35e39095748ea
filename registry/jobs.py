"""Work that goes on behind the answer: a bounded queue, worker threads, and what each job is at.

A job lives in this process alone; a room that wants it seen after a restart writes its own row (`noted`).
What a job does, and what it leaves behind when it is dropped, is its room's (`JobWork`).
"""

import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty, Full, Queue
from typing import Any, Final, Generic, TypeVar

from registry.clock import Clock
from registry.errors import RegistryRefusal

UNDER_WAY: Final = ("queued", "running")
REMEMBERED: Final = 200

faults = logging.getLogger("tanhui.faults")


@dataclass(slots=True, kw_only=True)
class Job:
    """Work under way or done. `reference` names a fault of ours in the operator's log."""

    id: str
    created_at: datetime
    status: str = "queued"
    step: str = ""
    done: int = 0
    total: int = 0
    finished_at: datetime | None = None
    reference: str | None = None
    finished: threading.Event = field(default_factory=threading.Event)

    @property
    def under_way(self) -> bool:
        return self.status in UNDER_WAY

    def advance(self, step: str, done: int, total: int) -> None:
        self.step, self.done, self.total = step, int(done), int(total)

    def progress_view(self) -> dict[str, Any]:
        """How far it is, as a program sees it; times are RFC 3339."""
        return {
            "status": self.status,
            "step": self.step,
            "done": self.done,
            "total": self.total,
            "created_at": self.created_at.isoformat(),
            "finished_at": None if self.finished_at is None else self.finished_at.isoformat(),
            "reference": self.reference,
        }


J = TypeVar("J", bound=Job)


class Jobs(Generic[J]):
    """The jobs of one kind in one process.

    `work` does a job and answers its status; `stop` is set when the server ends before it did. `noted` is
    told of a job before it is queued, when it begins and when it ends; `dropped` when no more is done for it.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        waiting: int,
        workers: int,
        busy: Callable[[int], RegistryRefusal],
        remembered: int = REMEMBERED,
    ) -> None:
        self._name, self._clock, self._most, self._busy = name, clock, workers, busy
        self._remembered = remembered
        self._queue: Queue[J | None] = Queue(waiting)
        self._jobs: OrderedDict[str, J] = OrderedDict()
        self._lock = threading.Lock()
        self._workers: list[threading.Thread] = []
        self.closed = False
        self.stop = threading.Event()

    def work(self, job: J) -> str:
        raise NotImplementedError

    def noted(self, job: J) -> None:
        """Nothing is written unless a room does."""

    def dropped(self, job: J) -> None:
        """Nothing lies about unless a room's job has files."""

    def submit(self, job: J) -> J:
        """Queue a job; one of the same id that is under way is answered instead. Raises what `busy` makes."""
        with self._lock:
            known = self._jobs.get(job.id)
            if known is not None and known.under_way:
                self.dropped(job)
                return known
            if self.closed or self._queue.full():
                self.dropped(job)
                raise self._busy(self._queue.qsize())
            self.noted(job)
            self._remember(job)
            with suppress(Full):  # nobody else puts, under the lock
                self._queue.put_nowait(job)
            self._start()
        return job

    def find(self, id_: str) -> J | None:
        with self._lock:
            return self._jobs.get(id_)

    def forget(self, id_: str) -> None:
        """Forget a job that is done."""
        with self._lock:
            job = self._jobs.get(id_)
            if job is not None and not job.under_way:
                del self._jobs[id_]

    def close(self, finishing_s: float = 5.0) -> None:
        """Take no more, drop what waits, let what runs finish for a moment, then give it up."""
        with self._lock:
            self.closed = True
            with suppress(Empty):
                while True:
                    waiting = self._queue.get_nowait()
                    if waiting is not None:
                        self.dropped(waiting)
            for _ in self._workers:
                self._queue.put_nowait(None)
        for seconds in (finishing_s, 2.0):
            for worker in self._workers:
                worker.join(timeout=seconds)
            self.stop.set()

    # -- the worker

    def _start(self) -> None:
        if len(self._workers) < self._most:
            worker = threading.Thread(target=self._run_all, name=f"tanhui-{self._name}", daemon=True)
            self._workers.append(worker)
            worker.start()

    def _run_all(self) -> None:
        while (job := self._queue.get()) is not None:
            self._run(job)

    def _run(self, job: J) -> None:
        job.status = "running"
        try:
            self.noted(job)
            job.status = self.work(job)
        except (
            Exception
        ):  # a thread's fault would be nobody's: it is the job's, and the operator's log has it
            job.status, job.reference = "failed", secrets.token_hex(8)
            faults.exception("fault %s: %s %s", job.reference, self._name, job.id)
        finally:
            job.finished_at = self._clock.now()
            self.dropped(job)
            if not self.stop.is_set():
                with suppress(Exception):
                    self.noted(job)
            job.finished.set()

    def _remember(self, job: J) -> None:
        self._jobs[job.id] = job
        self._jobs.move_to_end(job.id)
        for id_ in [one.id for one in self._jobs.values() if not one.under_way]:
            if len(self._jobs) <= self._remembered:
                break
            del self._jobs[id_]
