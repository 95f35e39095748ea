"""The group writer: the one place where logged things are written.

Commands queue; one thread takes up to 256 of them, or what comes within 10 ms under load, runs each in its
savepoint (a refusal rolls back only its own), seals the log, commits, publishes, and only then answers.
Several processes serialise on the log's head row. After a failed commit or seal the outcome is unknown: the
writer stops and answers nobody; a restart recovers from what is durable.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy.orm import Session

from ledger.log import LedgerTransaction
from ledger.note import NoteSigner
from registry.database import Database
from registry.errors import RegistryRefusal

GROUP_SIZE = 256
GATHER_SECONDS = 0.010

T = TypeVar("T")


class WriterStopped(RegistryRefusal):
    code: ClassVar[str] = "writer_stopped"
    template: ClassVar[str] = (
        "The registry is not accepting acts now; whether the last ones were written is decided on restart."
    )


@dataclass(slots=True)
class _Job(Generic[T]):
    work: Callable[[Session, LedgerTransaction], T]
    future: Future[T]


class Writer:
    """Runs jobs `(session, ledger) -> result` in groups. `publish` is called after each commit that logged
    something.
    """

    def __init__(self, database: Database, signer: NoteSigner, publish: Callable[[], None]) -> None:
        self._database = database
        self._signer = signer
        self._publish = publish
        self._jobs: queue.Queue[_Job[Any] | None] = queue.Queue()
        self._failure: BaseException | None = None
        self._closed = False
        self._had_company = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="group-writer", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> BaseException | None:
        return self._failure

    def submit(self, work: Callable[[Session, LedgerTransaction], T]) -> Future[T]:
        """Queue a job. Its future is resolved after the commit that carries it, or with its refusal."""
        future: Future[T] = Future()
        with self._lock:
            if self._failure is not None or self._closed or not self._thread.is_alive():
                raise WriterStopped() from self._failure
            self._jobs.put(_Job(work, future))
        return future

    def run(self, work: Callable[[Session, LedgerTransaction], T]) -> T:
        return self.submit(work).result()

    def close(self) -> None:
        """Finish what is queued, then stop."""
        with self._lock:
            self._closed = True  # a job behind the end mark would wait for ever
            self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            group, last = self._gather()
            if group:
                try:
                    self._write(group)
                except BaseException as failure:
                    self._stop(failure, group)
                    return
            if last:
                return

    def _gather(self) -> tuple[list[_Job[Any]], bool]:
        """Wait for a job, then take what comes with it; and whether the end mark came.

        Waiting for company is worth it only where there was company before: a lone client is served at once.
        """
        group: list[_Job[Any]] = []
        patience_seconds = GATHER_SECONDS if self._had_company else 0
        last = False
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            if len(group) == GROUP_SIZE:
                break
            try:
                job = self._jobs.get(timeout=patience_seconds if len(group) == 1 else 0.0001)
            except queue.Empty:
                break
        else:
            last = True
        self._had_company = len(group) > 1
        return group, last

    def _write(self, group: list[_Job[Any]]) -> None:
        # From here on a job cannot be cancelled; one that was is left out.
        group = [job for job in group if job.future.set_running_or_notify_cancel()]
        with self._database.write() as session:
            ledger = LedgerTransaction(session)
            answers = [_attempt(job, session, ledger) for job in group]
            sealed = ledger.seal(self._signer) is not None
        if sealed:
            self._publish()
        for answer in answers:
            answer()

    def _stop(self, failure: BaseException, group: list[_Job[Any]]) -> None:
        with self._lock:
            self._failure = failure
            waiting = list(group)
            while not self._jobs.empty():
                job = self._jobs.get_nowait()
                if job is not None:
                    waiting.append(job)
        for job in waiting:
            if not job.future.done():
                stopped = WriterStopped()
                stopped.__cause__ = failure
                job.future.set_exception(stopped)


def _attempt(job: _Job[T], session: Session, ledger: LedgerTransaction) -> Callable[[], None]:
    """Run one job in its savepoint. The answer is given later, when it is durable."""
    try:
        with ledger.savepoint():
            result = job.work(session, ledger)
            session.flush()
    except Exception as refusal:
        session.expire_all()
        refused = refusal
        return lambda: job.future.set_exception(refused)
    return lambda: job.future.set_result(result)
