"""`tanhui export report`: what a run says, for people to read, print and sign."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from registry.cli.common import HomeOption, JsonOption, console, existing, write_file
from registry.cli.exports import export_commands


class Kind(StrEnum):
    HTML = "html"
    PDF = "pdf"


@export_commands.command("report")
def report(
    what: Annotated[
        str, typer.Argument(help="a project's id or number (its newest estimated period), or a run's id")
    ],
    file: Annotated[Path, typer.Option("--output", "-o", help="the file to write")],
    period: Annotated[str | None, typer.Option("--period", help="another period of the project")] = None,
    language: Annotated[str | None, typer.Option("--lang", help="zh or en [default: zh]")] = None,
    kind: Annotated[Kind | None, typer.Option("--format", help="[default: by the file's name]")] = None,
    public: Annotated[
        bool,
        typer.Option(
            "--public", help="to be handed on: outlines as everybody may see them, no places of plots"
        ),
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report of a run as HTML or PDF: method sheet, strata, map, uncertainty, and E-C1 line by
    line.
    """
    from registry.clock import clock_of
    from registry.database import Database
    from registry.estimates.reports.loading import Installed, Sight, load_report, reported_run
    from registry.estimates.reports.routes import Format, render
    from registry.language import chosen
    from registry.transparency.outcome import IssuedOutcomes

    chosen_kind = Format((kind or _by_name(file)).value)
    target = existing(home)
    database = Database(target.database_url)
    try:
        installed = Installed(target, clock_of(database).simulated)
        sight = Sight(everything=not public, public=public)
        with database.read() as session:
            run = reported_run(session, what, period)
            facts = load_report(session, installed, run, sight, IssuedOutcomes())
    finally:
        database.dispose()
    reader = chosen(language, None)
    write_file(file, render(facts, reader, chosen_kind))
    if as_json:
        told = {"file": str(file), "format": chosen_kind.value, "language": reader.value}
        told |= {"run": facts.run, "standing": facts.standing.value}
        console.print_json(json.dumps(told))
    else:
        console.print(
            f"wrote the report of run {facts.run} ({facts.standing.value}) to {file}", soft_wrap=True
        )


def _by_name(file: Path) -> Kind:
    suffix = file.suffix.lower().removeprefix(".")
    if suffix not in ("html", "htm", "pdf"):
        raise typer.BadParameter("say --format html or pdf, or give the file such a name")
    return Kind.PDF if suffix == "pdf" else Kind.HTML
