"""`tanhui plots`: sample plots from their design to a checked file."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy.orm import Session

from registry.cli.common import HomeOption, JsonOption, app, console, existing, home_at, write_file
from registry.cli.land import language_of
from registry.database import Database, require_known
from registry.estimates.methods.design import lay_out, plots_given, plots_needed
from registry.estimates.methods.plot_files import Measurement
from registry.estimates.methods.uncertainty import RELIABILITY
from registry.estimates.plots.convert import convert as convert_columns
from registry.estimates.plots.design import (
    ASSUMED_VARIATION,
    Seed,
    assumed_pilot,
    design_document,
    design_files,
    given_pilot,
    given_seed,
    log_seed,
)
from registry.estimates.plots.land import ParcelLand, file_land, project_land, strata_of
from registry.estimates.plots.layout import read_layout_at
from registry.estimates.plots.report import PlotReport, report_plots
from registry.estimates.plots.store import MEASUREMENTS, list_plot_files, record_plots, store_plots
from registry.estimates.plots.words import LEVELS, finding_said
from registry.language import Language, translate
from registry.projects.models import MonitoringPeriod
from registry.projects.service import find_project, load_period
from registry.settings import Home

plots_commands = typer.Typer(help="Sample plots: where to measure, and what the crews bring back.")
app.add_typer(plots_commands, name="plots")

OPEN: Final = 2
T = TypeVar("T")
MeasurementOption = Annotated[str, typer.Option(help="what was measured: volume, trees or culms")]
LanguageOption = Annotated[str | None, typer.Option("--lang", help="zh or en [default: LANG]")]
DesignOption = Annotated[
    Path | None, typer.Option(help="design.json that the plots were laid out by; runs name its digest")
]
ProjectOption = Annotated[
    str | None, typer.Option("--project", help="a project of the home: its id or number")
]


@plots_commands.callback()
def plots() -> None:
    """Sample plots: where to measure, and what the crews bring back."""


@plots_commands.command("design")
def design(
    out: Annotated[Path, typer.Option(help="the folder for plots.csv, .geojson, .gpx and design.json")],
    project: ProjectOption = None,
    parcels: Annotated[
        Path | None, typer.Option(help="instead of a project: a parcel file with stand types")
    ] = None,
    error: Annotated[float, typer.Option(help="the error to reach, as a share of the mean")] = 0.10,
    reliability: Annotated[float, typer.Option(help="how sure, two-sided")] = RELIABILITY,
    pilot: Annotated[
        list[str] | None,
        typer.Option(help="STRATUM=MEAN:DEVIATION in tC/ha, from earlier plots; once for every stratum"),
    ] = None,
    variation: Annotated[
        float, typer.Option(help="without a pilot: deviation over mean, an assumption")
    ] = ASSUMED_VARIATION,
    count: Annotated[
        int | None, typer.Option("--plots", help="this many plots instead of those that the error needs")
    ] = None,
    area: Annotated[float, typer.Option(help="area of a plot, hectares")] = 0.06,
    seed: Annotated[
        str | None, typer.Option(help="any text [default: the root of the log's last checkpoint]")
    ] = None,
    measurement: MeasurementOption = "volume",
    crs: Annotated[str | None, typer.Option(help="the parcel file's system, where it states none")] = None,
    language: LanguageOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how many plots a target needs, share them out over the strata, and lay each stratum's on a lattice
    that a seed places and turns. The same land and seed give the same plots.
    """
    kind, spoken = _measurement(measurement), language_of(language)
    strata = strata_of(_land(home, project, parcels, crs))
    known = given_pilot(strata, _pilot(pilot)) if pilot else assumed_pilot(strata, variation)
    if count is None:
        counts = plots_needed(known, target_error=error, reliability=reliability)
    else:
        counts = plots_given(known, count, reliability=reliability)
    start = _seed(home, seed)
    laid = lay_out(strata, counts, plot_area_ha=area, seed=start[0])
    document = design_document(
        laid,
        seed=start,
        target_error=None if count is not None else error,
        reliability=reliability,
        pilot=known,
        pilot_source="given" if pilot else f"[A] assumed: {variation:g} of reference densities, table 3.4",
    )
    out.mkdir(parents=True, exist_ok=True)
    for name, data in design_files(laid, document, kind, spoken).items():
        write_file(out / name, data)
    if as_json:
        console.print_json(json.dumps(document, ensure_ascii=False))
        return
    _print_design(document, out)


@plots_commands.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="CSV, XLSX, XLS or ODS")],
    measurement: MeasurementOption = "volume",
    project: ProjectOption = None,
    parcels: Annotated[Path | None, typer.Option(help="instead of a project: a parcel file")] = None,
    period: Annotated[
        str | None, typer.Option(help="a monitoring period of the home, or FROM/TO as 2020-01-01/2025-01-01")
    ] = None,
    crs: Annotated[str | None, typer.Option(help="the parcel file's system, where it states none")] = None,
    design: DesignOption = None,
    language: LanguageOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is odd about a plot file and keep nothing. Exit status 2 while something is to be answered."""
    land = None if project is None and parcels is None else _land(home, project, parcels, crs)
    layout = None if design is None else read_layout_at(design)
    days = _period(home, period)
    report = report_plots(file, _measurement(measurement), land=land, period=days, layout=layout)
    _show(report, language_of(language), as_json)
    if report.open:
        raise typer.Exit(OPEN)


@plots_commands.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="CSV, XLSX, XLS or ODS")],
    measurement: MeasurementOption = "volume",
    design: DesignOption = None,
    language: LanguageOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a plot file: kept byte for byte under its digest. A file with faults is refused as a whole."""
    kind = _measurement(measurement)
    layout = None if design is None else read_layout_at(design)
    report = report_plots(file, kind, layout=layout)
    with _opened(home) as (target, database):
        stored = store_plots(target, file, measurement=kind, layout=layout)
        with database.write() as session:
            record_plots(session, stored)
    _show(report, language_of(language), as_json)


@plots_commands.command("list")
def list_all(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Every registered plot file."""
    with _opened(home) as (_, database), database.read() as session:
        rows = [
            {
                "sha256": row.sha256,
                "measurement": row.measurement,
                "plots": row.plots,
                "file": row.file_name,
                "design_sha256": row.design_sha256,
            }
            for row in list_plot_files(session)
        ]
    if as_json:
        console.print_json(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        text = f"{row['file']}: {row['measurement']}, {row['plots']} plots\n  {row['sha256']}"
        console.print(escape(text), soft_wrap=True)


@plots_commands.command("convert")
def convert(
    file: Annotated[Path, typer.Argument(help="a plot file with other people's headings")],
    out: Annotated[Path, typer.Option(help="the CSV to write, which can be registered")],
    column: Annotated[
        list[str] | None, typer.Option(help="FIELD=HEADING, for example dbh_cm=D; may be repeated")
    ] = None,
    value: Annotated[
        list[str] | None, typer.Option(help="FIELD=TEXT for every row, for example area_ha=1; repeatable")
    ] = None,
) -> None:
    """Write a plot file anew under our headings; every row says which line it comes from."""
    data = convert_columns(file.read_bytes(), _pairs("--column", column), _pairs("--value", value), file.name)
    write_file(out, data)
    console.print(f"wrote {out}", soft_wrap=True)


# ---- what was asked ----------------------------------------------------------------------------------------


def _measurement(given: str) -> Measurement:
    for known in MEASUREMENTS:
        if given == known:
            return known
    raise typer.BadParameter(f"--measurement is one of {', '.join(MEASUREMENTS)}")


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given or ():
        name, sign, text = one.partition("=")
        if not sign or not name or name in found:
            raise typer.BadParameter(f"{option} takes NAME=TEXT, each name once; this is {one!r}")
        found[name] = text
    return found


def _pilot(given: list[str]) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for name, text in _pairs("--pilot", given).items():
        mean, _, deviation = text.partition(":")
        try:
            found[name] = float(mean), float(deviation)
        except ValueError:
            raise typer.BadParameter(f"--pilot takes STRATUM=MEAN:DEVIATION; this is {text!r}") from None
    return found


def _seed(home: Path | None, seed: str | None) -> Seed:
    return log_seed(home_at(home)) if seed is None else given_seed(seed)


def _land(
    home: Path | None, project: str | None, parcels: Path | None, crs: str | None
) -> tuple[ParcelLand, ...]:
    if (project is None) == (parcels is None):
        raise typer.BadParameter("say which land: --project of a home, or --parcels, a file")
    if parcels is not None:
        return file_land(parcels, crs=crs)
    return _read(home, lambda session: project_land(session, find_project(session, str(project)).id))


def _period(home: Path | None, period: str | None) -> tuple[date, date] | None:
    if period is None:
        return None
    first, slash, last = period.partition("/")
    if not slash:
        first, last = _read(home, lambda session: _ends(load_period(session, period)))
    try:
        return date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        raise typer.BadParameter(f"--period is an id or FROM/TO; this is {period!r}") from None


def _ends(period: MonitoringPeriod) -> tuple[str, str]:
    return period.from_on, period.to_on


@contextmanager
def _opened(home: Path | None) -> Iterator[tuple[Home, Database]]:
    target = existing(home)
    require_known(target.database_url)
    database = Database(target.database_url)
    try:
        yield target, database
    finally:
        database.dispose()


def _read(home: Path | None, ask: Callable[[Session], T]) -> T:
    with _opened(home) as (_, database), database.read() as session:
        return ask(session)


# ---- what is answered --------------------------------------------------------------------------------------


def _show(report: PlotReport, language: Language, as_json: bool) -> None:
    plain = report.to_json()
    if as_json:
        console.print_json(json.dumps(plain, ensure_ascii=False))
        return
    if report.findings:
        table = Table(show_lines=True, title_justify="left")
        for heading in ("plot", "level", "what was found, and what to do"):
            table.add_column(translate(heading, language), overflow="fold")
        tag = "zh" if language is Language.CHINESE else "en"
        for one in report.findings:
            said = finding_said(one)[tag] + (f" [{one.answer}]" if one.answer else "")
            table.add_row(*map(escape, (one.plot or "", translate(LEVELS[one.level], language), said)))
        console.print(table)
        template = "{file}: {plots} plots, {count} findings, {open} of them to be answered."
    else:
        template = "{file}: {plots} plots, nothing odd."
    said = translate(template, language).format(
        file=report.file, plots=len(report.plots), count=len(report.findings), open=report.open
    )
    console.print(escape(f"{said}\nsha256 {report.sha256}"), soft_wrap=True)


def _print_design(document: Mapping[str, object], out: Path) -> None:
    table = Table("stratum", "ha", "plots", "spacing m", "bearing", "reachable", "no room on")
    table.columns[0].overflow = table.columns[-1].overflow = "fold"
    strata = document["strata"]
    assert isinstance(strata, list)
    for one in strata:
        table.add_row(
            escape(one["stratum"]), one["area_ha"], str(one["plots"]), one["spacing_m"], one["bearing_deg"],
            one["reachable_share"], escape(", ".join(one["unreachable_parcels"])),
        )  # fmt: skip
    console.print(table)
    for name in ("plots", "plots_by_formula", "expected_error", "t_value", "pilot", "seed", "design_sha256"):
        console.print(escape(f"{name:16} {document[name]}"), soft_wrap=True)
    console.print(
        escape(f"wrote plots.csv, plots.geojson, plots.gpx and design.json to {out}"), soft_wrap=True
    )
