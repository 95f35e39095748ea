"""`tanhui db`, `clock`, `member`: an installation, its database, its simulated clock, its members."""

import json
from datetime import datetime
from typing import Annotated

import typer

from registry.cli.common import HomeOption, JsonOption, app, console, existing, home_at, utc
from registry.machine import Role
from registry.settings import Settings

database_commands = typer.Typer(help="The installation and its database.", no_args_is_help=True)
clock_commands = typer.Typer(help="The clock of a simulated installation.", no_args_is_help=True)
app.add_typer(database_commands, name="db")
app.add_typer(clock_commands, name="clock")


@database_commands.command("create")
def db_create(
    home: HomeOption = None,
    origin: Annotated[str | None, typer.Option(help="the log's name; it can never change")] = None,
    clock: Annotated[
        datetime | None, typer.Option(help="make it a simulated installation at this UTC instant")
    ] = None,
) -> None:
    """Make a new installation: schema, keys, and a log with its first entry."""
    from registry.installation import Installation

    settings = Settings()
    simulated_at = None if clock is None else utc(clock)
    installation = Installation.create(
        home_at(home),
        settings.origin if origin is None else origin,
        simulated_at=simulated_at,
        passphrase=settings.key_passphrase,
    )
    installation.close()
    console.print(f"created {installation.home.path}\nlog key {installation.vkey}", soft_wrap=True)


@database_commands.command("upgrade")
def db_upgrade(home: HomeOption = None) -> None:
    """Bring the database to the newest schema."""
    from registry.database import migrate

    migrate(existing(home).database_url)
    console.print("the schema is the newest")


@database_commands.command("vacuum")
def db_vacuum(home: HomeOption = None) -> None:
    """Take away what erased records left in files: certificates of theirs, and bytes in the database."""
    from registry.vacuum import vacuum

    for name in vacuum(existing(home)):
        console.print(f"removed {name}", soft_wrap=True)
    console.print("the database is written anew")


@database_commands.command("anchor")
def db_anchor(home: HomeOption = None) -> None:
    """Begin the anchors that TANHUI_ANCHOR names: copies of the last published checkpoint elsewhere."""
    from ledger.tiles import TileDirectory
    from registry.anchor import Anchors

    target = existing(home)
    note = TileDirectory(target.log).checkpoint_bytes()
    if not target.anchors or note is None:
        raise typer.BadParameter("TANHUI_ANCHOR names no file, or nothing is published yet")
    begun = Anchors(target.anchors).begin(note)
    for path in target.anchors:
        console.print(f"{'begun' if path in begun else 'there already'} {path}", soft_wrap=True)


@clock_commands.command("advance")
def clock_advance(
    to: Annotated[datetime, typer.Argument(help="a UTC instant, for example 2025-07-01T08:00:00")],
    home: HomeOption = None,
) -> None:
    """Move a simulated clock forward. It never moves back, and never over HTTP."""
    from registry.clock import SimulatedClock
    from registry.database import Database

    instant = utc(to)
    database = Database(existing(home).database_url)
    SimulatedClock(database).advance(instant)
    database.dispose()
    console.print(f"the clock stands at {instant:%Y-%m-%dT%H:%M:%SZ}")


@app.command()
def member(
    name: Annotated[str, typer.Argument(help="the organisation's name, or the id of a registered one")],
    kind: Annotated[Role, typer.Option(help="the organisation's kind and the person's role")],
    person: Annotated[str, typer.Option(help="the person who acts for it")],
    county: Annotated[str, typer.Option(help="GB/T 2260 county code")] = "330800",
    public_key: Annotated[
        str | None, typer.Option(help="the person's own Ed25519 key (hex); else the server keeps one")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register an organisation, a person with a key and a mandate, and print an API key for it."""
    from pydantic import ValidationError

    from registry.installation import opened
    from registry.members import enrol
    from registry.web.api import request_invalid

    with opened(home_at(home), passphrase=Settings().key_passphrase) as installation:
        try:
            enrolled = enrol(installation, name, kind, person, county, public_key)
        except ValidationError as invalid:
            raise request_invalid(list(invalid.errors())) from invalid
    if as_json:
        console.print_json(json.dumps(enrolled))
    else:
        for key, value in enrolled.items():
            console.print(f"{key:13} {value}", soft_wrap=True)
