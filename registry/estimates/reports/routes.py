"""Reports over HTTP: the newest of a project, or that of a run, as HTML or PDF."""

from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from registry.accounts.service import NotFound
from registry.estimates.models import EstimateRun
from registry.estimates.reports.document import compose
from registry.estimates.reports.facts import Report
from registry.estimates.reports.html import POLICY, render_html
from registry.estimates.reports.loading import Installed, Outcomes, Sight, load_report, run_of_project
from registry.estimates.reports.pdf import render_pdf
from registry.estimates.reports.sources import edition_sha256
from registry.estimates.service import load_run
from registry.language import Language
from registry.projects.models import Project
from registry.projects.service import load_period, load_project
from registry.settings import Settings
from registry.turns import Turns
from registry.web.api import READ_PROBLEMS, Caller, Known, Reader, Running, Services, problem_responses

RENDERING: Final = Turns(at_once=1, standing=6)
"""A report takes about a second of one core."""
PROBLEMS: Final = READ_PROBLEMS | problem_responses(409, 422, 503)


class Format(StrEnum):
    HTML = "html"
    PDF = "pdf"

    @property
    def media_type(self) -> str:
        return "application/pdf" if self is Format.PDF else "text/html; charset=utf-8"


Wanted = Annotated[Format, Query(alias="format", description="`html` or `pdf`")]
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/html": {}, "application/pdf": {}}},
    304: {"description": "the reader has it already"},
}


def render(report: Report, language: Language, kind: Format) -> bytes:
    """The report as a file. Raises `GlyphMissing` (PDF)."""
    document = compose(report, language)
    return render_html(document) if kind is Format.HTML else render_pdf(document, tuple(Settings().font_dirs))


def report_router(outcomes: Outcomes) -> APIRouter:
    """The routes; `outcomes` says what later rooms know of a run."""
    router = APIRouter(tags=["estimates"])

    @router.get(
        "/projects/{project}/report",
        summary="Report of a project's newest estimated period, as HTML or PDF",
        response_class=Response,
        responses={**ANSWERS, **PROBLEMS},
    )
    def project_report(
        project: str,
        request: Request,
        running: Running,
        known: Known,
        language: Reader,
        kind: Wanted = Format.HTML,
        period: str | None = None,
    ) -> Response:
        """`period` names another period. The owner, verifiers, the registry and auditors may see it."""
        with running.database.read() as session:
            row = load_project(session, project)
            _require_seen(known, row, NotFound(kind="project", id=project))
            report = _load(session, running, known, run_of_project(session, row, period), outcomes)
        return _answer(request, report, language, kind)

    @router.get(
        "/runs/{run}/report",
        summary="Report of one run, as HTML or PDF",
        response_class=Response,
        responses={**ANSWERS, **PROBLEMS},
    )
    def run_report(
        run: str,
        request: Request,
        running: Running,
        known: Known,
        language: Reader,
        kind: Wanted = Format.HTML,
    ) -> Response:
        """The owner, verifiers, the registry and auditors may see it."""
        with running.database.read() as session:
            row = load_run(session, run)
            owner = load_project(session, load_period(session, row.period_id).project_id)
            _require_seen(known, owner, NotFound(kind="run", id=run))
            report = _load(session, running, known, row, outcomes)
        return _answer(request, report, language, kind)

    return router


def _require_seen(known: Caller, project: Project, missing: NotFound) -> None:
    """Another's report is as good as missing."""
    if not (known.official or project.owner_id == known.mandate.organisation):
        raise missing


def _load(session: Session, running: Services, known: Caller, run: EstimateRun, outcomes: Outcomes) -> Report:
    sight = Sight(everything=known.official, organisation=known.mandate.organisation)
    return load_report(session, Installed(running.home, running.clock.simulated), run, sight, outcomes)


def _answer(request: Request, report: Report, language: Language, kind: Format) -> Response:
    """The file with its ETag, or 304 before anything is rendered."""
    etag = f'"{edition_sha256(report, language, kind, tuple(Settings().font_dirs))[:32]}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        "Vary": "Accept-Language, Authorization",
        "Content-Language": language.value,
        "Content-Disposition": f'inline; filename="tanhui-report-{report.run[:8]}-{language.value}.{kind}"',
    }
    if kind is Format.HTML:
        headers["Content-Security-Policy"] = POLICY
    if etag in (
        part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")
    ):
        return Response(status_code=304, headers=headers)
    with RENDERING.turn():
        content = render(report, language, kind)
    return Response(content, media_type=kind.media_type, headers=headers)
