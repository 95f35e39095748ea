"""`tanhui land export`: parcels as a file; `tanhui land publish`: what everybody may see, made anew."""

import json
from pathlib import Path
from typing import Annotated

import typer

from registry.cli.common import HomeOption, JsonOption, console, existing
from registry.cli.land import land_commands


@land_commands.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="the file to write: .gpkg, .parquet or .geojson")],
    kind: Annotated[
        str | None, typer.Option("--format", help="gpkg, geoparquet or geojson [default: by the name]")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where", help="NAME=TEXT: county, status, village, bbox, datetime …, as in the API; repeatable"
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="outlines as everybody may see them, to be handed on")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write parcels as GeoPackage, GeoParquet or GeoJSON: outlines of record, or with --public what everybody
    may see.
    """
    from geo.export import Format, write
    from registry.clock import clock_of
    from registry.database import Database
    from registry.transparency.exports import FIELDS, Sight, export_rows, parse_format
    from registry.transparency.features import PROPERTIES, parse_question

    by_name = next((one.value for one in Format if one.suffix == file.suffix), file.suffix)
    chosen = parse_format(by_name if kind is None else kind)
    asked = [(name, text) for name, _, text in (part.partition("=") for part in where or ())]
    question = parse_question(asked, PROPERTIES, paged=False)
    database = Database(existing(home).database_url)
    try:
        now = clock_of(database).now()
        with database.read() as session:
            rows = export_rows(session, question, Sight(everything=not public))
            count = write(file, chosen, FIELDS, rows, made_at=now)
    finally:
        database.dispose()
    if as_json:
        console.print_json(json.dumps({"file": str(file), "format": chosen.value, "parcels": count}))
    else:
        console.print(f"wrote {count:,} parcels to {file}", soft_wrap=True)


@land_commands.command("publish")
def publish(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Make anew what everybody may see of each parcel; who asked to be hidden stays hidden."""
    from registry.database import Database
    from registry.parcels.public import rebuild_public

    database = Database(existing(home).database_url)
    try:
        with database.write() as session:
            count = rebuild_public(session)
    finally:
        database.dispose()
    if as_json:
        console.print_json(json.dumps({"parcels": count}))
    else:
        console.print(f"{count:,} parcels are shown", soft_wrap=True)
