"""The page where parcels come in: a form that works without JavaScript, and the report as a table and a map.

The API key is the form's first field: it is checked before the file is taken (`registry.web.form_key`), goes
into no address and no log, and is kept nowhere. With JavaScript the form is sent with
`Prefer: respond-async` and the page shows the progress; the report is the same.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import shapely
from fastapi import APIRouter, File, Form, Header, Request, Response, UploadFile
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from geo.datum import Datum
from geo.errors import GeoRefusal
from registry.documents.mapping import DEGREE, ParcelOutline, parcel_map_svg
from registry.errors import RegistryRefusal
from registry.files import FileStore
from registry.language import Language, field_named, sentence, translate
from registry.parcels.import_form import ImportForm
from registry.parcels.import_jobs import ImportJobs
from registry.parcels.import_routes import Jobs, begin_import, report_of_import
from registry.parcels.imports import check_importer, import_file
from registry.parcels.mappings import find_mapping
from registry.parcels.report import ImportReport
from registry.problem import status_of
from registry.programmes.service import list_programmes, published_programme
from registry.web.api import (
    Caller,
    Known,
    Now,
    PlainForm,
    Reader,
    Reading,
    Running,
    Services,
    acting,
    caller_of,
    request_invalid,
)
from registry.web.pages import environment, other_language
from registry.web.uploads import uploaded

PAGE: Final = "/land/import"
KEY_REFUSED: Final = "The key was not accepted. See whether it was copied whole, and whether it may act."
MAP_SIZE: Final = (720, 460)
SHOWN_ROWS: Final = 200
LARGEST_LINK: Final = 512 * 1024
SYSTEMS: Final = {
    "EPSG:4490": "CGCS2000",
    "EPSG:4549": "CGCS2000 / 3° CM 120°E",
    "EPSG:4548": "CGCS2000 / 3° CM 117°E",
    "EPSG:4528": "CGCS2000 / 3° zone 40",
    "EPSG:4527": "CGCS2000 / 3° zone 39",
    "EPSG:4326": "WGS 84",
    "EPSG:3857": "Web Mercator",
}
"""Systems that the form offers; any other can be written."""
ENCODINGS: Final = ("GBK", "UTF-8")
FILES: Final = ".zip,.gpkg,.geojson,.json,.kml,.kmz,.gpx,.parquet,.csv"

UNASKED: Final[Mapping[str, Any]] = {
    "programme": "", "owners": "", "values": "", "accept_repairs": "", "crs": "", "encoding": "", "layer": "",
    "datum": Datum.AS_STATED.value, "swapped": False, "mapping": "",
}  # fmt: skip
"""The form before anybody filled it in."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Lines:
    """A text field of the form with one `NAME=VALUE` on each line."""

    name: str
    text: str

    def read(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for number, line in enumerate(self.text.splitlines(), start=1):
            if not line.strip():
                continue
            name, sign, value = (part.strip() for part in line.replace("＝", "=").partition("="))
            if not sign or not name or not value or name in found:
                fault = {"loc": (self.name, number), "msg": "NAME=VALUE, each name once", "type": "line"}
                raise request_invalid([fault])
            found[name] = value
        return found


@router.head(PAGE)
@router.get(PAGE)
def form_page(
    running: Running, now: Now, session: Reading, language: Reader, refused: str | None = None
) -> HTMLResponse:
    error = translate(KEY_REFUSED, language) if refused is not None else None
    return _page(running, session, language, now, error=error, status=401 if error else 200)


@router.post(PAGE)
def import_page(
    request: Request,
    running: Running,
    now: Now,
    jobs: Jobs,
    language: Reader,
    key: Annotated[str, Form(max_length=200)],
    programme: Annotated[PlainForm, Form()],
    file: Annotated[UploadFile, File()],
    owners: Annotated[str, Form(max_length=100_000)] = "",
    values: Annotated[str, Form(max_length=100_000)] = "",
    accept_repairs: Annotated[str, Form(max_length=100_000)] = "",
    crs: Annotated[PlainForm, Form()] = "",
    encoding: Annotated[PlainForm, Form()] = "",
    layer: Annotated[PlainForm, Form()] = "",
    datum: Annotated[Datum, Form()] = Datum.AS_STATED,
    swapped: Annotated[bool, Form()] = False,
    mapping: Annotated[PlainForm, Form()] = "",
    action: Annotated[PlainForm, Form()] = "check",
    prefer: Annotated[str, Header()] = "",
) -> Response:
    """Check or import a file and show what came of it; with `Prefer: respond-async` as the API does."""
    asked = {
        "programme": programme, "owners": owners, "values": values, "accept_repairs": accept_repairs,
        "crs": crs, "encoding": encoding, "layer": layer, "datum": datum.value, "swapped": swapped,
        "mapping": mapping,
    }  # fmt: skip
    if "respond-async" in prefer:
        by = acting(caller_of(request, running, key))
        form = _form(asked, action != "import")
        declared = form.declaration()
        with running.database.read() as session:
            check_importer(session, by.mandate, declared)
            published_programme(session, programme)
            fields = find_mapping(session, by.mandate.organisation, form.mapping)
        return begin_import(running, jobs, by, form, declared, fields, file)
    report, error, status = None, None, 200
    try:
        by = acting(caller_of(request, running, key))
        report = _report(running, jobs, by, _form(asked, action != "import"), file, now)
        status = 200 if report.dry_run or report.repeated else 422 if report.problems else 201
    except RegistryRefusal as refusal:
        found = status_of(type(refusal))
        if found is None:
            raise
        error, status = _said(refusal, language), found.value
    with running.database.read() as session:
        return _page(running, session, language, now, report=report, error=error, status=status, asked=asked)


@router.get(f"{PAGE}/{{import_id}}")
def report_part(import_id: str, known: Known, session: Reading, jobs: Jobs, language: Reader) -> HTMLResponse:
    """The report of an import that is done, as the part of the page that shows it."""
    report = report_of_import(session, jobs, known, import_id)
    template = environment(language).get_template("import_report.html")
    return _html(template.render(**_report_context(report, language)), language, 200)


def _form(asked: Mapping[str, Any], dry_run: bool) -> ImportForm:
    """The page's form as the API's: its lines as JSON objects."""
    lines = {name: Lines(name, asked[name]).read() for name in ("owners", "values", "accept_repairs")}
    return ImportForm(
        programme=asked["programme"],
        owners=json.dumps(lines["owners"]) if lines["owners"] else None,
        crs=asked["crs"] or None,
        encoding=asked["encoding"] or None,
        layer=asked["layer"] or None,
        datum=Datum(asked["datum"]),
        swapped=bool(asked["swapped"]),
        mapping=asked["mapping"] or None,
        values=json.dumps(lines["values"]),
        accept_repairs=json.dumps(lines["accept_repairs"]),
        dry_run=dry_run,
    )


def _report(
    running: Services, jobs: ImportJobs, by: Caller, form: ImportForm, file: UploadFile, now: Any
) -> ImportReport:
    declared = form.declaration()
    with running.database.read() as session:
        fields = find_mapping(session, by.mandate.organisation, form.mapping)
    with jobs.turn(), uploaded(file) as path:
        try:
            return import_file(
                running.database,
                FileStore(running.home.files),
                by.mandate,
                path,
                declared,
                now=now,
                mapping=fields,
                dry_run=form.dry_run,
            )
        except GeoRefusal as refusal:
            return ImportReport.of_refused_file(path.name, "", refusal, form.dry_run)


def _said(refusal: RegistryRefusal, language: Language) -> str:
    """The refusal in one line, with the fields of a refused form."""
    listed = refusal.facts.get("errors")
    fields = [f"{one['field']}: {one['message']}" for one in listed] if isinstance(listed, list) else []
    return " ".join([sentence(refusal, language), *fields])


# ---- showing -----------------------------------------------------------------------------------------------


def _page(
    running: Services,
    session: Session,
    language: Language,
    now: Any,
    *,
    report: ImportReport | None = None,
    error: str | None = None,
    status: int = 200,
    asked: Mapping[str, Any] | None = None,
) -> HTMLResponse:
    programmes = [one.id for one in list_programmes(session) if one.status == "published"]
    content = (
        environment(language)
        .get_template("land_import.html")
        .render(
            language=language.value,
            other=other_language(language),
            now=now,
            simulated=running.clock.simulated,
            programmes=programmes,
            systems=SYSTEMS,
            encodings=ENCODINGS,
            datums=[datum.value for datum in Datum],
            files=FILES,
            asked=asked or UNASKED,
            error=error,
            **(_report_context(report, language) if report is not None else {"report": None}),
        )
    )
    return _html(content, language, status)


def _html(content: str, language: Language, status: int) -> HTMLResponse:
    headers = {"Content-Language": language.value, "Cache-Control": "no-store", "Vary": "Accept-Language"}
    return HTMLResponse(content, status, headers)


def _report_context(report: ImportReport, language: Language) -> dict[str, Any]:
    return {
        "report": report,
        "plain": report.to_json(),
        "problems": _rows(report.problems, language),
        "warnings": _rows(report.warnings, language),
        "shown_rows": SHOWN_ROWS,
        "map": outline_map(report),
        "table": csv_link(report),
    }


def _rows(problems: Sequence[Any], language: Language) -> list[dict[str, Any]]:
    return [
        {
            "row": one.row,
            "field": field_named(one.field, language),
            "value": "" if one.value is None else str(one.value),
            "code": one.code,
            "reason": one.message(language),
            "advice": one.advice(language),
            "repair": one.repair,
        }
        for one in problems[:SHOWN_ROWS]
    ]


def csv_link(report: ImportReport) -> str | None:
    """The report's table as an address that holds it whole: a dry run keeps nothing to ask for later."""
    if not report.problems and not report.warnings:
        return None
    content = report.to_csv()
    if len(content) > LARGEST_LINK:
        return None
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(content).decode()}"


def outline_map(report: ImportReport) -> str | None:
    """Valid outlines, and for others those that are proposed, as SVG; rows with faults are filled."""
    proposed = {one.row: one.repair.geometry.wkb for one in report.problems if one.repair is not None}
    drawn = proposed | dict(report.drawn)
    if not drawn:
        return None
    bad = {str(one.row) for one in report.problems}
    outlines = [ParcelOutline(str(row), _rings(wkb), str(row)) for row, wkb in drawn.items()]
    return parcel_map_svg(outlines, bad, *MAP_SIZE)


def _rings(wkb: bytes) -> tuple[tuple[tuple[int, int], ...], ...]:
    parts = shapely.get_parts(shapely.from_wkb(wkb))
    rings = shapely.get_rings(parts)
    return tuple(
        tuple((round(x * DEGREE), round(y * DEGREE)) for x, y in shapely.get_coordinates(ring))
        for ring in rings
    )
