"""The group writer: the one place where logged things are written.

Commands queue; one thread takes up to 256 of them, or what comes within 10 ms under load, runs them in order,
seals the log and commits. A second thread publishes what is committed, several groups at once when they come
fast, and only then answers. A refusal takes back only its own: a group is run without savepoints first,
because nearly all refusals come before anything was written; where one does not, the whole group is rolled
back and run again, each command in a savepoint of its own. Several processes serialise on the log's head row.
After a failed seal, commit or publication the outcome is unknown: the writer stops and answers nobody; a
restart recovers from what is durable.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger.log import LedgerTransaction, SavepointNeeded
from ledger.log_keys import LogKeyNotHeld
from ledger.memory import Memory
from ledger.note import NoteVerifier, Signer
from registry.database import Database
from registry.errors import RegistryRefusal
from registry.waiting import begin_waiting

GROUP_SIZE = 256
GATHER_SECONDS = 0.010
LULL_SECONDS = 0.002
"""When nothing comes for so long, nothing is waited for: all who ask have asked."""

_log = logging.getLogger(__name__)

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
Job = Callable[[Session, LedgerTransaction], None]
"""What the registry itself does at the end of a group."""
Aftermath = Callable[[Exception], None]
"""What is done about a refusal before it is answered, outside any transaction. It raises nothing."""


@dataclass(frozen=True, slots=True)
class _Committed:
    """A group that is durable and waits to be published and answered."""

    group: list[_Job[Any]]
    answers: list[_Answer]
    size: int
    """Of the log, as it was committed: what is answered may lie anywhere below it."""


class Writer:
    """Runs jobs `(session, ledger) -> result` in groups. `publish` is called after a commit when the log has
    grown. `signers` gives what signs for the log's keys in force, or raises `LogKeyNotHeld`; they are
    asked for within each transaction, because another process may have changed the keys.
    """

    def __init__(
        self,
        database: Database,
        signers: Callable[[Sequence[NoteVerifier]], Sequence[Signer]],
        publish: Callable[[], None],
        bracket: Bracket | None = None,
        group_size: int = GROUP_SIZE,
        upkeep: Job | None = None,
        aftermath: Aftermath | None = None,
    ) -> None:
        self._database = database
        self._signers = signers
        self._publish = publish
        self._bracket = bracket or NoBracket()
        self.group_size = group_size  # may be changed while it runs
        self._upkeep = upkeep
        self._aftermath = aftermath
        self._memory = Memory()
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._closed = False
        self._had_company = False
        self._lock = threading.Lock()
        self._committed: queue.SimpleQueue[_Committed | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-writer", daemon=True)
        self._publisher = threading.Thread(target=self._publish_groups, name="publisher", daemon=True)
        self._thread.start()
        self._publisher.start()

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
        self._publisher.join()

    def public_key(self, keyid: str) -> bytes | None:
        """A key that the writer has met lately, to verify signatures before their turn."""
        return self._memory.public_key(keyid)

    def _run(self) -> None:
        last = False
        while not last:
            group, last = self._gather()
            try:
                self._write(group)
            except BaseException as failure:
                self._stop(failure, group)
                break
        self._committed.put(None)

    def _publish_groups(self) -> None:
        """Publish and answer what the other thread committed, until its end mark.

        What was committed before the other thread failed is published and answered as ever; after a failure
        of its own it answers nobody.
        """
        failure: BaseException | None = None
        last, public = False, 0
        while not last:
            groups, last = self._take_committed()
            size = max((committed.size for committed in groups), default=0)
            try:
                if failure is None and size > public:  # also what another process has committed meanwhile
                    self._publish()
                    public = size
            except BaseException as fault:
                failure = fault
            for committed in groups:
                if failure is not None:
                    self._stop(failure, committed.group)
                    continue
                for answer in committed.answers:
                    answer()

    def _take_committed(self) -> tuple[list[_Committed], bool]:
        """Wait for a committed group, and take those behind it too; and whether the end mark came."""
        waiting = [self._committed.get()]
        while waiting[-1] is not None and not self._committed.empty():
            waiting.append(self._committed.get_nowait())
        return [committed for committed in waiting if committed is not None], waiting[-1] is None

    def _gather(self) -> tuple[list[_Job[Any]], bool]:
        """Wait for a job, then take what comes within 10 ms; and whether the end mark came.

        Waiting for company is worth it only where there was company before: a lone client is served at once.
        """
        group: list[_Job[Any]] = []
        job = self._jobs.get()
        until = time.monotonic() + (GATHER_SECONDS if self._had_company else 0)
        while job is not None:
            group.append(job)
            if len(group) >= self.group_size:
                break
            try:
                job = self._jobs.get(timeout=max(min(until - time.monotonic(), LULL_SECONDS), 0))
            except queue.Empty:
                break
        self._had_company = len(group) > 1
        return group, job is None

    def _write(self, group: list[_Job[Any]]) -> None:
        # From here on a job cannot be cancelled; one that was is left out.
        group = [job for job in group if job.future.set_running_or_notify_cancel()]
        if not group:
            return
        try:
            answers, size = self._transact(group, savepoints=False)
        except _DoAgain:
            answers, size = self._transact(group, savepoints=True)
        except LogKeyNotHeld as refusal:  # before anything was committed: it was all rolled back
            for job in group:
                job.future.set_exception(refusal)
            return
        self._committed.put(_Committed(group, answers, size))

    def _transact(self, group: list[_Job[Any]], *, savepoints: bool) -> tuple[list[_Answer], int]:
        """One transaction with all jobs of the group; their answers, and the size of the log after it."""
        with self._database.write() as session:
            ledger = LedgerTransaction(session, self._memory, savepoints=savepoints)
            self._signers(ledger.verifiers())  # another process may have changed the log's keys
            try:
                answers = self._serve(group, session, ledger)
                ledger.seal(self._signers(ledger.verifiers()))
            except (SavepointNeeded, sa.exc.SQLAlchemyError) as reason:
                if savepoints:
                    raise
                raise _DoAgain() from reason
        ledger.committed()
        return answers, ledger.size

    def _serve(self, group: list[_Job[Any]], session: Session, ledger: LedgerTransaction) -> list[_Answer]:
        request_ids = [job.request_id for job in group if job.request_id is not None]
        ledger.look_for(request_ids)
        waiting = None if ledger.savepoints else begin_waiting(session)
        if waiting is not None:
            ledger.companions.append(waiting)
        self._bracket.begin(session, request_ids)
        answers = [_attempt(job, session, ledger, self._aftermath) for job in group]
        self._bracket.end(session)
        if self._upkeep is not None:
            self._upkeep(session, ledger)
        if waiting is not None:
            waiting.send()
        return answers

    def _stop(self, failure: BaseException, group: list[_Job[Any]]) -> None:
        with self._lock:
            self._failure = failure
            waiting = list(group)
            while not self._jobs.empty():
                job = self._jobs.get_nowait()
                if job is not None:
                    waiting.append(job)
        said = "The registry takes no more acts until it is restarted, because %s: %s"
        _log.critical(said, type(failure).__name__, failure, exc_info=failure)
        for job in waiting:
            if not job.future.done():
                stopped = WriterStopped()
                stopped.__cause__ = failure
                job.future.set_exception(stopped)


class _DoAgain(Exception):
    """The group has to be run again with savepoints; nothing of it was kept."""


def _attempt(
    job: _Job[T], session: Session, ledger: LedgerTransaction, aftermath: Aftermath | None
) -> _Answer:
    """Run one job by itself. The answer is given later, when it is durable."""
    try:
        with ledger.savepoint():
            result = job.work(session, ledger)
    except SavepointNeeded:
        raise
    except Exception as refusal:
        refused = refusal

        def refuse() -> None:
            if aftermath is not None:
                aftermath(refused)
            job.future.set_exception(refused)

        return refuse
    return lambda: job.future.set_result(result)
