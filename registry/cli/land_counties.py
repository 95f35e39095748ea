"""`tanhui land counties`: load the outlines of counties, or list those that are known."""

import json
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.table import Table

from registry.cli.common import HomeOption, JsonOption, console, existing
from registry.cli.land import land_commands
from registry.clock import clock_of
from registry.database import Database, require_known
from registry.parcels.counties import read_counties, save_counties
from registry.parcels.models import CountyOutline


@land_commands.command("counties")
def counties(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="outlines of counties: zipped shapefile, GeoPackage, GeoJSON … [default: list them]"
        ),
    ] = None,
    code_field: Annotated[
        str, typer.Option("--code-field", help="the column with the code of six digits")
    ] = "code",
    name_field: Annotated[str, typer.Option("--name-field", help="the column with the name")] = "name",
    source: Annotated[
        str | None, typer.Option("--source", help="who made them, and when [default: the file's name]")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load outlines of counties, by which imports tell where land lies; known codes are replaced.

    All rows are taken, or none. Without them a county code is believed as it stands.
    """
    target = existing(home)
    require_known(target.database_url)
    database = Database(target.database_url)
    try:
        if file is not None:
            said = _load(database, file, code_field, name_field, source or file.name)
        else:
            said = _known(database)
    finally:
        database.dispose()
    if as_json:
        console.print_json(json.dumps(said, ensure_ascii=False))
    elif file is not None:
        console.print(f"counties: {said['new']} new, {said['replaced']} replaced")
    else:
        _print(said)


def _load(database: Database, file: Path, code_field: str, name_field: str, source: str) -> dict[str, Any]:
    now = clock_of(database).now()
    read = read_counties(file, code_field=code_field, name_field=name_field, source=source, now=now)
    with database.write() as session:
        new, replaced = save_counties(session, read)
    return {"new": new, "replaced": replaced}


def _known(database: Database) -> dict[str, Any]:
    columns = (CountyOutline.code, CountyOutline.name, CountyOutline.source, CountyOutline.updated_at)
    with database.read() as session:
        rows = session.execute(sa.select(*columns).order_by(CountyOutline.code)).all()
    return {
        "counties": [
            {"code": code, "name": name, "source": source, "updated_at": at.isoformat()}
            for code, name, source, at in rows
        ]
    }


def _print(said: dict[str, Any]) -> None:
    table = Table("code", "name", "source", "updated")
    for county in said["counties"]:
        table.add_row(county["code"], county["name"], county["source"], county["updated_at"])
    console.print(table)
