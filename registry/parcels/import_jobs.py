"""Imports that go on behind the answer: a bounded queue, a worker thread, and what each of them is at.

What was asked for stands in `parcel_import` before it begins, so that an import which a restart cut off is
seen: its row says queued or running, and no job of this process does it. It can simply be sent again. A dry
run has no row; it lives in this process alone.
"""

import logging
import secrets
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from queue import Empty, Full, Queue
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Final

from sqlalchemy.orm import Session

from geo.errors import GeoRefusal
from registry.clock import Clock
from registry.database import Database, lock_named
from registry.errors import RegistryRefusal
from registry.files import FileStore
from registry.machine import Mandate
from registry.parcels.examining import Declaration, Upload
from registry.parcels.import_models import ParcelImport
from registry.parcels.imports import import_file
from registry.parcels.mapping import FieldMap
from registry.parcels.report import ImportReport
from registry.parcels.rules import ParcelRefused
from registry.turns import Turns

WAITING: Final = 8
WORKERS: Final = 1
AT_ONCE: Final = 2
"""Files that are examined at once by this process: each may take gigabytes and both processors."""
STANDING: Final = 6
"""Callers who wait for their answer in the open; each holds a thread that others need."""
REMEMBERED: Final = 200
RETRY_AFTER_S: Final = 20
FINISHING_S = 5.0
"""What an import that runs may still take when the server stops."""
UNDER_WAY: Final = ("queued", "running")

faults = logging.getLogger("tanhui.faults")


class ImportsBusy(ParcelRefused):
    code: ClassVar[str] = "imports_busy"
    template: ClassVar[str] = (
        "{waiting} imports are waiting already; send yours again in {retry_after_s} seconds."
    )


def _busy(waiting: int) -> ImportsBusy:
    return ImportsBusy(waiting=waiting, retry_after_s=RETRY_AFTER_S)


class ImportUnderWay(ParcelRefused):
    code: ClassVar[str] = "import_under_way"
    template: ClassVar[str] = "The import {import_id} is still under way."


@dataclass(slots=True)
class Job:
    """One import under way or done; `folder` holds the upload until then. `reference` names a fault of ours
    in the operator's log.
    """

    id: str
    importer: Mandate
    folder: TemporaryDirectory[str]
    path: Path
    upload: Upload
    declared: Declaration
    mapping: FieldMap
    dry_run: bool
    created_at: datetime
    status: str = "queued"
    step: str = ""
    done: int = 0
    total: int = 0
    finished_at: datetime | None = None
    report: ImportReport | None = None
    reference: str | None = None
    finished: threading.Event = field(default_factory=threading.Event)

    def advance(self, step: str, done: int, total: int) -> None:
        self.step, self.done, self.total = step, int(done), int(total)

    def view(self, outlines: bool = False) -> dict[str, Any]:
        """As a program sees it; times are RFC 3339."""
        return {
            "id": self.id,
            "file": self.upload.name,
            "sha256": self.upload.sha256,
            "size_bytes": self.upload.size_bytes,
            "programme": self.declared.programme,
            "dry_run": self.dry_run,
            "status": self.status,
            "step": self.step,
            "done": self.done,
            "total": self.total,
            "created_at": self.created_at.isoformat(),
            "finished_at": None if self.finished_at is None else self.finished_at.isoformat(),
            "kept": self.status == "taken",
            "reference": self.reference,
            "report": None if self.report is None else self.report.to_json(outlines),
        }


class ImportJobs:
    """The imports of one process."""

    def __init__(self, database: Database, files: FileStore, clock: Clock, waiting: int = WAITING) -> None:
        self._database, self._files, self._clock = database, files, clock
        self._queue: Queue[Job | None] = Queue(waiting)
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._workers: list[threading.Thread] = []
        self._closed = False
        self._stop = threading.Event()
        self._turns = Turns(AT_ONCE, STANDING, _busy)

    @property
    def standing(self) -> int:
        """Callers whose files are examined, or who wait for that."""
        return self._turns.callers

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The right to examine one file now, for an import whose caller waits for its answer. Waits for it
        behind those that came before; raises `ImportsBusy` when too many do.
        """
        if self._closed:
            raise _busy(self.standing)
        with self._turns.turn():
            yield

    def submit(
        self,
        importer: Mandate,
        folder: TemporaryDirectory[str],
        path: Path,
        declared: Declaration,
        mapping: FieldMap,
        dry_run: bool,
    ) -> Job:
        """Queue an import, whose folder goes when it is done; the same file of the same organisation that is
        under way is answered with its job. Raises `ImportsBusy`.
        """
        upload = Upload.of(path)
        id_ = str(uuid.uuid4()) if dry_run else upload.import_id(importer.organisation)
        now = self._clock.now()
        job = Job(id_, importer, folder, path, upload, declared, mapping, dry_run, now)
        with self._lock:
            known = self._jobs.get(id_)
            if known is not None and known.status in UNDER_WAY:
                folder.cleanup()
                return known
            if self._closed or self._queue.full():
                folder.cleanup()
                raise _busy(self._queue.qsize())
            if not dry_run:
                self._note(job)
            self._remember(job)
            with suppress(Full):  # nobody else puts, under the lock
                self._queue.put_nowait(job)
            self._start()
        return job

    def find(self, id_: str) -> Job | None:
        with self._lock:
            return self._jobs.get(id_)

    def forget(self, id_: str) -> None:
        """Leave an import that is done to its row."""
        with self._lock:
            job = self._jobs.get(id_)
            if job is not None and job.status not in UNDER_WAY:
                del self._jobs[id_]

    def close(self) -> None:
        """Take no more, drop what waits, let the one that runs finish for a moment, then give it up: its
        child and its files go with it.
        """
        with self._lock:
            self._closed = True
            with suppress(Empty):
                while True:
                    waiting = self._queue.get_nowait()
                    if waiting is not None:
                        waiting.folder.cleanup()
            for _ in self._workers:
                self._queue.put_nowait(None)
        for seconds in (FINISHING_S, 2.0):
            for worker in self._workers:
                worker.join(timeout=seconds)
            self._stop.set()

    # -- the worker

    def _start(self) -> None:
        if len(self._workers) < WORKERS:
            worker = threading.Thread(target=self._work, name="tanhui-import", daemon=True)
            self._workers.append(worker)
            worker.start()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            self._run(job)

    def _run(self, job: Job) -> None:
        job.status = "running"
        try:
            if not job.dry_run:
                self._note(job)
            report = self._import(job)
            job.report, job.status = report, _status(report)
        except (
            Exception
        ):  # a thread's fault would be nobody's: it is the job's, and the operator's log has it
            job.status, job.reference = "failed", secrets.token_hex(8)
            faults.exception("fault %s: import %s", job.reference, job.id)
        finally:
            job.finished_at = self._clock.now()
            job.folder.cleanup()
            if not job.dry_run and job.status != "taken" and not self._stop.is_set():
                with suppress(Exception):
                    self._note(job)
            job.finished.set()

    def _import(self, job: Job) -> ImportReport:
        try:
            with self._turns.behind():
                return import_file(
                    self._database,
                    self._files,
                    job.importer,
                    job.path,
                    job.declared,
                    now=self._clock.now(),
                    mapping=job.mapping,
                    dry_run=job.dry_run,
                    progress=job.advance,
                    stop=self._stop,
                )
        except (GeoRefusal, RegistryRefusal) as refusal:
            return ImportReport.of_refused_file(job.upload.name, job.upload.sha256, refusal, job.dry_run)

    def _note(self, job: Job) -> None:
        """Write where a job stands; what was taken in stays as it is."""
        with self._database.write() as session:
            lock_named(session, job.id)
            row = session.get(ParcelImport, job.id) or _new_row(session, job)
            if row.status == "taken":
                return
            row.status, row.programme, row.declared = (
                job.status,
                job.declared.programme,
                job.declared.to_json(),
            )
            row.report = None if job.report is None else job.report.to_json()
            row.created_at, row.finished_at = job.created_at, job.finished_at

    def _remember(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._jobs.move_to_end(job.id)
        for id_ in [one.id for one in self._jobs.values() if one.status not in UNDER_WAY]:
            if len(self._jobs) <= REMEMBERED:
                break
            del self._jobs[id_]


def _status(report: ImportReport) -> str:
    if report.problems:
        return "refused"
    return "checked" if report.dry_run else "taken"


def _new_row(session: Session, job: Job) -> ParcelImport:
    row = ParcelImport(
        id=job.id,
        organisation_id=job.importer.organisation,
        person=job.importer.person,
        file_name=job.upload.name,
        sha256=job.upload.sha256,
        size_bytes=job.upload.size_bytes,
        kept=False,
    )
    session.add(row)
    return row


def row_view(row: ParcelImport, report: Mapping[str, Any] | None) -> dict[str, Any]:
    """A kept import as a program sees it, when no job of this process does it."""
    return {
        "id": row.id,
        "file": row.file_name,
        "sha256": row.sha256,
        "size_bytes": row.size_bytes,
        "programme": row.programme,
        "dry_run": False,
        "status": "interrupted" if row.status in UNDER_WAY else row.status,
        "step": "",
        "done": 0,
        "total": 0,
        "created_at": row.created_at.isoformat(),
        "finished_at": None if row.finished_at is None else row.finished_at.isoformat(),
        "kept": row.kept,
        "reference": None,
        "report": report,
    }
