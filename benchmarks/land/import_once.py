"""One import in a process of its own: `python -m benchmarks.land.import_once URL FILE ROWS FOLDER`.

Prints as JSON the seconds of its steps and the most memory that it and its child held. Checked before that is
said: every row became a draft, nothing was refused or remarked, and the outlines of a sample are byte for
byte what the functions for one polygon make of the rows.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import sqlalchemy as sa

from benchmarks.land.register import PROGRAMME
from benchmarks.ledger.rounds import ResultWrong
from geo.crs import to_store
from geo.examine import OUTLINES, OVERLAPS, READING
from geo.polygon import canonical, check_valid, from_wkb, to_wkb
from registry.database import Database
from registry.files import FileStore
from registry.machine import Mandate, Role
from registry.parcels import examining, imports
from registry.parcels.models import ParcelDraft
from registry.parcels.report import ImportReport

IMPORTER: Final = Mandate("mandate", "person", "village", Role.COLLECTIVE)
SAMPLE: Final = 200
STEPS: Final = (
    "start the child", "read", "outlines", "overlaps among them", "hand over", "fields",
    "against the register", "insert",
)  # fmt: skip


TIMED: Final = (
    (examining, "examine_file"), (examining, "examine_fields"), (imports, "judge"), (imports, "take_in"),
)  # fmt: skip
"""Where the import finds its functions."""


class Clock:
    """When each step ended, as the import itself tells it or as its functions return."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.told: list[tuple[str, float]] = []
        self.calls: dict[str, float] = {}

    def progress(self, step: str, done: int, total: int) -> None:
        self.told.append((step if done < total or step != READING else "read", time.perf_counter()))

    def timed(self, module: ModuleType, name: str) -> None:
        """Count the seconds of one function of the import."""
        original: Callable[..., Any] = getattr(module, name)

        def run(*args: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return original(*args, **named)
            finally:
                self.calls[name] = self.calls.get(name, 0.0) + time.perf_counter() - began

        setattr(module, name, run)

    def steps(self, whole_s: float) -> dict[str, float]:
        """Seconds of each step; the child is asked for its progress twenty times a second."""
        ends = {step: at - self.began for step, at in self.told}
        starts: dict[str, float] = {}
        for step, at in self.told:
            starts.setdefault(step, at - self.began)
        begun, read = starts.get(READING, 0.0), ends.get("read", 0.0)
        outlines, overlaps = ends.get(OUTLINES, read), ends.get(OVERLAPS, read)
        examined = self.calls["examine_file"]
        return {
            "start the child": begun,
            "read": read - begun,
            "outlines": outlines - read,
            "overlaps among them": overlaps - outlines,
            "hand over": examined - overlaps,
            "fields": self.calls["examine_fields"],
            "against the register": self.calls["judge"],
            "insert": self.calls["take_in"],
            "rest": whole_s - examined - sum(self.calls[n] for n in ("examine_fields", "judge", "take_in")),
        }


def main(url: str, path: Path, rows: int, folder: Path) -> dict[str, Any]:
    database = Database(url)
    for needed in ("sqlalchemy.dialects.postgresql", "geo.kernels"):
        __import__(needed)
    with database.read() as session:
        session.execute(sa.text("select 1"))
    clock = Clock()
    for module, name in TIMED:
        clock.timed(module, name)
    used = time.process_time()
    clock.began = began = time.perf_counter()
    report = imports.import_file(
        database,
        FileStore(folder / "files"),
        IMPORTER,
        path,
        examining.Declaration(PROGRAMME),
        now=datetime.now(UTC),
        progress=clock.progress,
    )
    whole = time.perf_counter() - began
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "whole_s": whole,
        "cpu_s": time.process_time() - used + children.ru_utime + children.ru_stime,
        "steps_s": clock.steps(whole),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "child_peak_mib": children.ru_maxrss / 1024,
    }
    check(database, report, rows)
    database.dispose()
    return figures


def check(database: Database, report: ImportReport, rows: int) -> None:
    """`ResultWrong` unless the file was taken in whole, and as the one-by-one functions say."""
    said = [*report.problems, *report.warnings]
    if said or not report.taken or report.rows != rows:
        first = said[0].to_json() if said else None
        raise ResultWrong(f"{report.rows} rows, taken: {report.taken}, said: {len(said)}, the first: {first}")
    with database.read() as session:
        count = session.scalar(sa.select(sa.func.count()).select_from(ParcelDraft))
        step = max(1, rows // SAMPLE)
        wanted = sa.select(ParcelDraft.wkb, ParcelDraft.source_wkb, ParcelDraft.source_crs).where(
            ParcelDraft.row_number % step == 0
        )
        sample = session.execute(wanted).all()
    if count != rows or not sample:
        raise ResultWrong(f"{rows} rows became {count} drafts")
    for wkb, source, crs in sample:
        assert source is not None
        assert crs is not None
        if to_wkb(check_valid(canonical(to_store(from_wkb(source), crs)))) != wkb:
            raise ResultWrong("an outline is not what the functions for one polygon make of it")


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))))
