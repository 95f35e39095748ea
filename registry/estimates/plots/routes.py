"""Plot files over HTTP: checked, registered, listed."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from registry.accounts.service import NotFound
from registry.estimates.methods.plot_files import Measurement
from registry.estimates.models import PlotFile
from registry.estimates.plots.land import ParcelLand, project_land
from registry.estimates.plots.layout import MAX_BYTES, read_layout
from registry.estimates.plots.report import report_plots
from registry.estimates.plots.store import list_plot_files, record_plots, store_plots
from registry.estimates.uploads import UPLOAD_PROBLEMS, require_uploader
from registry.projects.service import load_period, load_project
from registry.turns import Turns
from registry.web.api import READ_PROBLEMS, Acting, Caller, Known, Reading, Running
from registry.web.uploads import uploaded

router = APIRouter(tags=["estimates"])

AT_ONCE, STANDING = 2, 6
_turns: Final = Turns(AT_ONCE, STANDING)
"""A workbook takes a process of its own while it is read."""


@router.post(
    "/plot-files", summary="Register a file of sample plots", status_code=201, responses=UPLOAD_PROBLEMS
)
def add_plots(
    running: Running,
    by: Acting,
    file: Annotated[UploadFile, File(description="CSV, XLSX, XLS or ODS")],
    measurement: Annotated[Measurement, Form()] = "volume",
    design: Annotated[
        UploadFile | None, File(description="design.json of `tanhui plots design`, which the plots keep to")
    ] = None,
    dry_run: bool = False,
    project: str | None = None,
    period: str | None = None,
) -> JSONResponse:
    """A file with faults is refused as a whole; `errors` lists them, in words.

    The answer says what is odd about the plots; with `project` also where they stand on its land, with
    `period` whether they were measured near its ends, with `design` which left their designed places, which
    are missing and which are additional. `dry_run` only says so: nothing is kept.
    """
    require_uploader(by, "plot file")
    with running.database.read() as session:
        land, days = _ground(session, by, project, period)
    with _turns.turn(), uploaded(file) as path:
        layout = None if design is None else read_layout(design.file.read(MAX_BYTES + 1))
        report = report_plots(path, measurement, land=land, period=days, layout=layout)
        if dry_run:
            return JSONResponse({**report.to_json(), "dry_run": True}, 200)
        stored = store_plots(running.home, path, measurement=measurement, layout=layout)
    with running.database.write() as session:
        view = plots_view(record_plots(session, stored))
    return JSONResponse({**report.to_json(), **view, "dry_run": False}, 201)


@router.get("/plot-files", summary="Registered plot files", responses=READ_PROBLEMS)
def plot_files(known: Known, session: Reading) -> dict[str, Any]:
    return {"items": [plots_view(row) for row in list_plot_files(session)], "next": None}


def _ground(
    session: Session, by: Caller, project: str | None, period: str | None
) -> tuple[tuple[ParcelLand, ...] | None, tuple[date, date] | None]:
    """The land and the period that plots are to be held against; another's project is as good as missing."""
    days = None
    if period is not None:
        row = load_period(session, period)
        project = project or row.project_id
        if row.project_id != project:
            raise NotFound(kind="monitoring period", id=period)
        days = date.fromisoformat(row.from_on), date.fromisoformat(row.to_on)
    if project is None:
        return None, None
    if not by.official and load_project(session, project).owner_id != by.mandate.organisation:
        raise NotFound(kind="project", id=project)
    return project_land(session, project), days


def plots_view(row: PlotFile) -> Mapping[str, Any]:
    return {
        "sha256": row.sha256,
        "measurement": row.measurement,
        "plots": row.plots,
        "design_sha256": row.design_sha256,
    }
