"""`tanhui import` and `tanhui land`: parcels that come in as files, and what is asked of land."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import sqlalchemy as sa
import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy.orm import Session

from geo.datum import Datum
from geo.errors import GeoRefusal
from registry.accounts.models import MandateRow, Organisation
from registry.accounts.service import NotFound
from registry.cli.common import HomeOption, JsonOption, app, console, existing, progress_bar
from registry.cli.land_audit import land_audit
from registry.cli.land_coverage import land_coverage
from registry.clock import clock_of
from registry.database import Database, require_known
from registry.files import FileStore
from registry.language import Language, chosen, field_named, translate
from registry.machine import Mandate, Role
from registry.parcels.examining import Declaration
from registry.parcels.imports import IMPORTERS, import_file
from registry.parcels.mappings import find_mapping
from registry.parcels.report import ImportReport, RowProblem
from registry.programmes.service import list_programmes

land_commands = typer.Typer(help="Land: parcels, their claims, and the outlines of counties.")
app.add_typer(land_commands, name="land")

REFUSED: Final = 2
SHOWN_WARNINGS: Final = 20
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@land_commands.callback()
def land() -> None:
    """Land: parcels, their claims, and the outlines of counties."""


land_commands.command("audit")(land_audit)
land_commands.command("coverage")(land_coverage)


@app.command("import")
def import_parcels(
    file: Annotated[Path, typer.Argument(help="parcels: zipped shapefile, GeoPackage, GeoJSON, KML …")],
    organisation: Annotated[str, typer.Option("--as", help="who imports: an organisation's id or name")],
    programme: Annotated[
        str | None, typer.Option(help="whose tolerances hold [default: the one that is published]")
    ] = None,
    mapping: Annotated[str | None, typer.Option(help="a saved field mapping, or a built-in one")] = None,
    value: Annotated[
        list[str] | None, typer.Option(help="FIELD=TEXT: one value for the whole file; may be repeated")
    ] = None,
    owner: Annotated[
        list[str] | None,
        typer.Option(help="VILLAGE=ORGANISATION: whose the land is, for an operator; may be repeated"),
    ] = None,
    crs: Annotated[
        str | None, typer.Option(help="the file's coordinate system, where it states none")
    ] = None,
    datum: Annotated[
        Datum, typer.Option(help="what degrees are in; GCJ-02 and BD-09 are converted")
    ] = Datum.AS_STATED,
    swapped: Annotated[bool, typer.Option("--swapped", help="the axes of the file are exchanged")] = False,
    encoding: Annotated[str | None, typer.Option(help="the encoding of the attributes")] = None,
    layer: Annotated[str | None, typer.Option(help="which layer, where there are several")] = None,
    accept_repair: Annotated[
        list[str] | None,
        typer.Option(help="ROW=DIGEST: take the outline that is proposed for a row; may be repeated"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="only say what would come of it; nothing is kept")
    ] = False,
    language: Annotated[str | None, typer.Option("--lang", help="zh or en [default: LANG]")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import a file of parcels: every row becomes a draft, or none does and every bad row is listed."""
    target = existing(home)
    require_known(target.database_url)
    database = Database(target.database_url)
    try:
        with database.read() as session:
            importer = _importer(session, organisation)
            fields = find_mapping(session, importer.organisation, mapping)
            owners = {
                village: _organisation(session, name).id
                for village, name in _pairs("--owner", owner or ()).items()
            }
            declared = Declaration(
                programme=programme or _programme(session),
                crs=crs,
                encoding=encoding,
                layer=layer,
                datum=datum,
                swapped=swapped,
                repairs=_repairs(accept_repair or ()),
                values=_pairs("--value", value or ()),
                owners=owners or None,
            )
        now = clock_of(database).now()
        with progress_bar() as progress:
            try:
                report = import_file(
                    database, FileStore(target.files), importer, file, declared,
                    now=now, mapping=fields, dry_run=dry_run, progress=progress,
                )  # fmt: skip
            except GeoRefusal as refusal:
                report = ImportReport.of_refused_file(file.name, "", refusal, dry_run)
    finally:
        database.dispose()
    if as_json:
        console.print_json(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        print_report(report, language_of(language))
    if report.problems:
        raise typer.Exit(REFUSED)


def print_report(report: ImportReport, language: Language) -> None:
    """The report as tables in one language: what is wrong, what is worth saying, and what came of it."""
    if report.problems:
        _print_table(report.problems, translate("What is wrong", language), language)
    if report.warnings:
        shown = report.warnings[:SHOWN_WARNINGS]
        _print_table(shown, translate("Worth knowing", language), language)
        left = len(report.warnings) - len(shown)
        if left:
            console.print(translate("and {count} more: --json has them all", language).format(count=left))
    for field, heading in report.proposed.items():
        said = translate("The column {heading} looks like {field}; a field mapping can say so.", language)
        named = field_named(field, language)
        console.print(escape(said.format(heading=heading, field=named)), soft_wrap=True)
    console.print(escape(summary_line(report, language)), soft_wrap=True)


def summary_line(report: ImportReport, language: Language) -> str:
    """What came of a file, in one sentence."""
    if report.problems:
        template = "{file}: {count} faults; nothing was imported."
    elif report.dry_run:
        template = "{file}: {rows} rows, {area_mu} mu, without a fault; nothing was kept (dry run)."
    elif report.repeated:
        template = "{file}: was imported before as {id}: {drafts} drafts."
    else:
        template = "{file}: {rows} rows, {area_mu} mu; {drafts} drafts, import {id}."
    plain = report.to_json()
    return translate(template, language).format(
        file=report.file,
        count=len(report.problems),
        rows=report.rows,
        area_mu=plain["area_mu"],
        drafts=len(report.drafts),
        id=report.import_id,
    )


def _print_table(problems: Sequence[RowProblem], title: str, language: Language) -> None:
    table = Table(title=title, title_justify="left", show_lines=True)
    for heading in ("row", "field", "value", "reason", "what to do"):
        words = translate(heading.capitalize(), language)
        table.add_column(words, justify="right" if heading == "row" else "left", overflow="fold")
    for one in problems:
        value = "" if one.value is None else str(one.value)
        row = str(one.row) if one.row else translate("File", language)
        said = (field_named(one.field, language), value, one.message(language), one.advice(language))
        table.add_row(row, *map(escape, said))
    console.print(table)
    for one in problems:
        if one.repair is not None:
            proposed = translate("Proposed for row {row} (area changes by {ppm} ppm):", language)
            console.print(escape(proposed.format(row=one.row, ppm=one.repair.change_ppm)))
            console.print(f"  --accept-repair {one.row}={one.repair.sha256}", soft_wrap=True)


# ---- what was asked ----------------------------------------------------------------------------------------


def _importer(session: Session, name: str) -> Mandate:
    """The oldest mandate in force by which an organisation may import."""
    organisation = _organisation(session, name)
    row = session.scalars(
        sa.select(MandateRow)
        .where(
            MandateRow.organisation_id == organisation.id,
            MandateRow.status == "active",
            MandateRow.role.in_([role.value for role in IMPORTERS]),
        )
        .order_by(MandateRow.entry_index)
    ).first()
    if row is None:
        raise NotFound(kind="mandate to import", id=name)
    return Mandate(row.id, row.person_id, row.organisation_id, Role(row.role))


def _programme(session: Session) -> str:
    """The one programme that is published, else it has to be named."""
    published = [one.id for one in list_programmes(session) if one.status == "published"]
    if len(published) != 1:
        raise typer.BadParameter(f"--programme names one of: {', '.join(published) or 'none is published'}")
    return published[0]


def _organisation(session: Session, name: str) -> Organisation:
    """An organisation by its id, or by a name that only one has."""
    found = session.scalars(
        sa.select(Organisation).where(sa.or_(Organisation.id == name, Organisation.name == name))
    ).all()
    if len(found) != 1:
        raise NotFound(kind="organisation", id=name)
    return found[0]


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """`NAME=TEXT` options as a mapping."""
    found: dict[str, str] = {}
    for one in given:
        name, sign, text = one.partition("=")
        if not sign or not name or name in found:
            raise typer.BadParameter(f"{option} takes NAME=VALUE, each name once; this is {one!r}")
        found[name] = text
    return found


def _repairs(given: Sequence[str]) -> dict[int, str]:
    found = _pairs("--accept-repair", given)
    for row, digest in found.items():
        if not row.isdecimal() or not _DIGEST.fullmatch(digest):
            raise typer.BadParameter(
                "--accept-repair takes ROW=DIGEST: a row's number and 64 hexadecimal digits"
            )
    return {int(row): digest for row, digest in found.items()}


def language_of(asked: str | None) -> Language:
    """`--lang`, else the environment's, else Chinese."""
    spoken = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return chosen(asked or spoken.partition(".")[0], None)
