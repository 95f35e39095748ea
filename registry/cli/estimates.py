"""`tanhui recompute` and `tanhui export run`: an estimate computed again, here or by a stranger."""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from geo.work import Progress
from registry.cli.common import (
    HomeOption,
    JsonOption,
    app,
    console,
    existing,
    key_text,
    progress_bar,
)
from registry.cli.exports import export_commands

BUNDLE = ".zip"


@app.command()
def recompute(
    what: Annotated[
        str, typer.Argument(help="a serial number, a run, a project, or the bundle of a run (.zip)")
    ],
    home: HomeOption = None,
    rasters: Annotated[
        Path | None,
        typer.Option("--rasters", help="a folder that has the rasters of a bundle without them"),
    ] = None,
    vkey: Annotated[
        str | None,
        typer.Option("--vkey", help="the log's key or a file with it, for a bundle [default: the bundle's]"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure again: from a run's inputs to its kilograms. A bundle needs no home and no database."""
    with progress_bar() as advance:
        if Path(what).suffix == BUNDLE:
            results = [_of_bundle(Path(what), rasters, vkey, advance)]
        else:
            results = _of_home(what, home, advance)
    if as_json:
        answers = [one.to_json() for one in results]
        console.print_json(json.dumps(answers[0] if len(answers) == 1 else _together(answers)))
    else:
        for line in (line for one in results for line in one.lines()):
            console.print(line, soft_wrap=True, markup=False)
    if not all(one.same for one in results):
        raise typer.Exit(1)


def _together(answers: list[dict[str, Any]]) -> dict[str, Any]:
    return {"same": all(one["same"] for one in answers), "runs": answers}


def _of_bundle(path: Path, rasters: Path | None, vkey: str | None, advance: Progress) -> Any:
    from registry.estimates.bundle_reading import recompute_bundle, unpack
    from registry.transparency.recomputing import RecomputedSerial

    key = None if vkey is None else key_text(vkey)
    with tempfile.TemporaryDirectory(prefix="tanhui-bundle-") as scratch:
        bundle = unpack(path, Path(scratch), rasters)
        outcome = recompute_bundle(bundle, key, progress=advance)
        return RecomputedSerial(None, bundle.run, outcome, dict(bundle.record.parcels))


def _of_home(what: str, home: Path | None, advance: Progress) -> list[Any]:
    from registry.database import Database
    from registry.transparency.recomputing import recompute_named

    target = existing(home)
    database = Database(target.database_url)
    try:
        with database.read() as session:
            return recompute_named(session, target, what, progress=advance)
    finally:
        database.dispose()


@export_commands.command("run")
def export_run(
    run: Annotated[str, typer.Argument(help="the run's id")],
    bundle: Annotated[Path, typer.Option("--bundle", help="write everything it was made from here (.zip)")],
    without_rasters: Annotated[
        bool, typer.Option("--without-rasters", help="name the rasters, their licences and sources only")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a run as one file that a stranger can check. It holds outlines of people's land."""
    from ledger.tiles import TileDirectory
    from registry.database import Database
    from registry.estimates.bundle import gather, write_bundle

    target = existing(home)
    database = Database(target.database_url)
    try:
        with database.read() as session:
            contents = gather(session, target, run, TileDirectory(target.log), rasters=not without_rasters)
        write_bundle(contents, bundle)
    finally:
        database.dispose()
    left_out = [one.name for one in contents.left_out]
    if as_json:
        facts = {"run": run, "file": str(bundle), "members": len(contents.members), "left_out": left_out}
        console.print_json(json.dumps(facts))
        return
    console.print(f"wrote {len(contents.members):,} files of run {run} to {bundle}", soft_wrap=True)
    if left_out:
        console.print(f"without {', '.join(left_out)}", soft_wrap=True)
