"""The group writer: the one place where logged things are written.

Commands queue; one thread takes up to 256 of them, or what comes within 10 ms under load, runs them in order,
seals the log, commits, publishes, and only then answers. A refusal takes back only its own: a group is run
without savepoints first, because nearly all refusals come before anything was written; where one does not,
the whole group is rolled back and run again, each command in a savepoint of its own. Several processes
serialise on the log's head row. After a failed commit or seal the outcome is unknown: the writer stops and
answers nobody; a restart recovers from what is durable.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger.log import LedgerTransaction, SavepointNeeded
from ledger.memory import Memory
from ledger.note import Signer
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


class Bracket(Protocol):
    """What is done once for a whole group, because doing it for each command would be slow."""

    def begin(self, session: Session, request_ids: Sequence[str]) -> None:
        """Before the first command."""

    def end(self, session: Session) -> None:
        """After the last one, before the log is sealed."""


class NoBracket:
    """Nothing is shared between the commands of a group."""

    def begin(self, session: Session, request_ids: Sequence[str]) -> None:
        pass

    def end(self, session: Session) -> None:
        pass


@dataclass(slots=True)
class _Job(Generic[T]):
    work: Callable[[Session, LedgerTransaction], T]
    future: Future[T]
    request_id: str | None


_Answer = Callable[[], None]


class Writer:
    """Runs jobs `(session, ledger) -> result` in groups. `publish` is called after each commit that logged
    something.
    """

    def __init__(
        self,
        database: Database,
        signer: Signer,
        publish: Callable[[], None],
        bracket: Bracket | None = None,
    ) -> None:
        self._database = database
        self._signer = signer
        self._publish = publish
        self._bracket = bracket or NoBracket()
        self._memory = Memory()
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._closed = False
        self._had_company = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="group-writer", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> BaseException | None:
        return self._failure

    def submit(
        self, work: Callable[[Session, LedgerTransaction], T], request_id: str | None = None
    ) -> Future[T]:
        """Queue a job. Its future is resolved after the commit that carries it, or with its refusal.

        A job is run a second time when its group has to be done again, so it changes nothing but the session
        and the ledger. `request_id`, the id of the entry that the job appends, saves looking for each alone.
        """
        return self.submit_all([(work, request_id)])[0]

    def submit_all(
        self, works: Sequence[tuple[Callable[[Session, LedgerTransaction], T], str | None]]
    ) -> list[Future[T]]:
        """Queue several jobs at once, one after the other."""
        jobs = [_Job(work, Future(), request_id) for work, request_id in works]
        with self._lock:
            if self._failure is not None or self._closed or not self._thread.is_alive():
                raise WriterStopped() from self._failure
            for job in jobs:
                self._jobs.put(job)
        return [job.future for job in jobs]

    def run(self, work: Callable[[Session, LedgerTransaction], T], request_id: str | None = None) -> T:
        return self.submit(work, request_id).result()

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
                if self._jobs.empty():
                    job = self._jobs.get(timeout=patience_seconds if len(group) == 1 else 0.0001)
                else:
                    job = self._jobs.get_nowait()
            except queue.Empty:
                break
        else:
            last = True
        self._had_company = len(group) > 1
        return group, last

    def _write(self, group: list[_Job[Any]]) -> None:
        # From here on a job cannot be cancelled; one that was is left out.
        group = [job for job in group if job.future.set_running_or_notify_cancel()]
        try:
            answers, sealed = self._transact(group, savepoints=False)
        except _DoAgain:
            answers, sealed = self._transact(group, savepoints=True)
        if sealed:
            self._publish()
        for answer in answers:
            answer()

    def _transact(self, group: list[_Job[Any]], *, savepoints: bool) -> tuple[list[_Answer], bool]:
        """One transaction with all jobs of the group; their answers, and whether anything was logged."""
        with self._database.write() as session:
            ledger = LedgerTransaction(session, self._memory, savepoints=savepoints)
            try:
                answers = self._serve(group, session, ledger)
                sealed = ledger.seal(self._signer) is not None
            except (SavepointNeeded, sa.exc.SQLAlchemyError) as reason:
                if savepoints:
                    raise
                raise _DoAgain() from reason
        ledger.committed()
        return answers, sealed

    def _serve(self, group: list[_Job[Any]], session: Session, ledger: LedgerTransaction) -> list[_Answer]:
        request_ids = [job.request_id for job in group if job.request_id is not None]
        ledger.look_for(request_ids)
        self._bracket.begin(session, request_ids)
        answers = [_attempt(job, session, ledger) for job in group]
        self._bracket.end(session)
        return answers

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


class _DoAgain(Exception):
    """The group has to be run again with savepoints; nothing of it was kept."""


def _attempt(job: _Job[T], session: Session, ledger: LedgerTransaction) -> _Answer:
    """Run one job by itself. The answer is given later, when it is durable."""
    try:
        with ledger.savepoint():
            result = job.work(session, ledger)
    except SavepointNeeded:
        raise
    except Exception as refusal:
        refused = refusal
        return lambda: job.future.set_exception(refused)
    return lambda: job.future.set_result(result)
