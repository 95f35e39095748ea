"""Imports that go on behind the answer: a bounded queue, a worker thread, and what each of them is at.

What was asked for stands in `parcel_import` before it begins, so that an import which a restart cut off is
seen: its row says queued or running, and no job of this process does it. It can simply be sent again. A dry
run has no row; it lives in this process alone.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Final

from sqlalchemy.orm import Session

from geo.errors import GeoRefusal
from registry import jobs
from registry.clock import Clock
from registry.database import Database, lock_named
from registry.errors import RegistryRefusal
from registry.files import FileStore
from registry.jobs import UNDER_WAY
from registry.machine import Mandate
from registry.parcels.examining import Declaration, Upload
from registry.parcels.import_models import ParcelImport
from registry.parcels.imports import import_file
from registry.parcels.mapping import FieldMap
from registry.parcels.report import ImportReport
from registry.parcels.rules import ParcelRefused
from registry.turns import Turns

__all__ = ["UNDER_WAY", "ImportJobs", "ImportUnderWay", "ImportsBusy", "Job", "row_view"]

WAITING: Final = 8
WORKERS: Final = 1
AT_ONCE: Final = 2
"""Files that are examined at once by this process: each may take gigabytes and both processors."""
STANDING: Final = 6
"""Callers who wait for their answer in the open; each holds a thread that others need."""
RETRY_AFTER_S: Final = 20
FINISHING_S = 5.0
"""What an import that runs may still take when the server stops."""


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


@dataclass(slots=True, kw_only=True)
class Job(jobs.Job):
    """One import under way or done; `folder` holds the upload until then."""

    importer: Mandate
    folder: TemporaryDirectory[str]
    path: Path
    upload: Upload
    declared: Declaration
    mapping: FieldMap
    dry_run: bool
    report: ImportReport | None = None

    def view(self, outlines: bool = False) -> dict[str, Any]:
        """As a program sees it; times are RFC 3339."""
        return {
            "id": self.id,
            "file": self.upload.name,
            "sha256": self.upload.sha256,
            "size_bytes": self.upload.size_bytes,
            "programme": self.declared.programme,
            "dry_run": self.dry_run,
            **self.progress_view(),
            "kept": self.status == "taken",
            "report": None if self.report is None else self.report.to_json(outlines),
        }


class ImportJobs(jobs.Jobs[Job]):
    """The imports of one process."""

    def __init__(self, database: Database, files: FileStore, clock: Clock, waiting: int = WAITING) -> None:
        super().__init__("import", clock, waiting=waiting, workers=WORKERS, busy=_busy)
        self._database, self._files, self._now = database, files, clock.now
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
        if self.closed:
            raise _busy(self.standing)
        with self._turns.turn():
            yield

    def begin(
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
        return self.submit(
            Job(
                id=str(uuid.uuid4()) if dry_run else upload.import_id(importer.organisation),
                created_at=self._now(),
                importer=importer,
                folder=folder,
                path=path,
                upload=upload,
                declared=declared,
                mapping=mapping,
                dry_run=dry_run,
            )
        )

    def close(self, finishing_s: float | None = None) -> None:
        """As every close; the child of the import that is given up and its files go with it."""
        super().close(FINISHING_S if finishing_s is None else finishing_s)

    def work(self, job: Job) -> str:
        job.report = self._import(job)
        return _status(job.report)

    def dropped(self, job: Job) -> None:
        job.folder.cleanup()

    def _import(self, job: Job) -> ImportReport:
        try:
            with self._turns.behind():
                return import_file(
                    self._database,
                    self._files,
                    job.importer,
                    job.path,
                    job.declared,
                    now=self._now(),
                    mapping=job.mapping,
                    dry_run=job.dry_run,
                    progress=job.advance,
                    stop=self.stop,
                )
        except (GeoRefusal, RegistryRefusal) as refusal:
            return ImportReport.of_refused_file(job.upload.name, job.upload.sha256, refusal, job.dry_run)

    def noted(self, job: Job) -> None:
        """Write where a job stands; a dry run has no row, and what was taken in stays as it is."""
        if job.dry_run or job.status == "taken":
            return
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
