"""Recomputing what a home holds: a run by its id, with its rasters, plots and outlines where they are."""

import tempfile
from pathlib import Path

from sqlalchemy.orm import Session

from geo.work import Progress
from registry.estimates.ground import Cover
from registry.estimates.input_files import stored_file
from registry.estimates.models import EstimateRun
from registry.estimates.recompute import Recomputed, folder, recompute, write_outlines
from registry.estimates.run import fresh_cover
from registry.estimates.run_record import RunRecord
from registry.estimates.service import load_record, record_outlines
from registry.settings import Home


def recompute_run(
    session: Session,
    home: Home,
    run: EstimateRun,
    cover: Cover = fresh_cover,
    progress: Progress | None = None,
) -> tuple[RunRecord, Recomputed]:
    """Compute a run again from the home's files and the outlines in the database.

    Raises `RecordErased`, `RecordMalformed`, and what `compute` raises.
    """
    record = load_record(run)
    with tempfile.TemporaryDirectory(prefix="tanhui-outlines-") as scratch:
        write_outlines(record_outlines(session, record), Path(scratch))
        outlines = folder(Path(scratch))
        found = recompute(
            record.text,
            lambda sha256: stored_file(home, sha256) or outlines(sha256),
            cover=cover,
            progress=progress,
        )
    return record, found
