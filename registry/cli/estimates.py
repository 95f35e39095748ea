"""`tanhui estimate`, `recompute` and `export run`: an estimate computed here, and again by anybody."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from geo.cluster import workers_for
from geo.work import Progress, Workers
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
from registry.cli.screening import ScreeningQuestion, screen_to_file

BUNDLE = ".zip"
OUTPUTS = (".csv", ".parquet", ".gpkg", ".geojson")


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
    from registry.estimates.bundles.reading import recompute_bundle, unpack
    from registry.transparency.recomputing import RecomputedSerial

    key = None if vkey is None else key_text(vkey)
    with tempfile.TemporaryDirectory(prefix="tanhui-bundle-") as scratch:
        bundle = unpack(path, Path(scratch), rasters)
        outcome = recompute_bundle(bundle, key, progress=advance)
        vouched = "nobody" if not bundle.has_entry else "key_of_bundle" if key is None else "key_given"
        return RecomputedSerial(None, bundle.run, outcome, dict(bundle.record.parcels), vouched)


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
    from registry.estimates.bundles.writing import gather, write_bundle

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


# ---- estimating --------------------------------------------------------------------------------------------


@app.command()
def estimate(
    period: Annotated[str | None, typer.Option("--period", help="a monitoring period, by its id")] = None,
    rasters: Annotated[
        Path | None,
        typer.Option("--rasters", help="JSON: digest by name (agb_start, agb_start_sd, … land_cover_end)"),
    ] = None,
    raster: Annotated[
        list[str] | None, typer.Option("--raster", help="NAME=DIGEST, in place of --rasters; repeatable")
    ] = None,
    plots: Annotated[str | None, typer.Option("--plots", help="digest of a registered plot file")] = None,
    project_emissions_kg: Annotated[int, typer.Option(help="kg CO2e by fire or fertiliser", min=0)] = 0,
    leakage_kg: Annotated[int, typer.Option(help="kg CO2e by work that moved elsewhere", min=0)] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="compute and tell; keep nothing")] = False,
    parcels: Annotated[
        Path | None, typer.Option("--parcels", help="screen the parcels of a file: zipped shapefile …")
    ] = None,
    register: Annotated[bool, typer.Option("--register", help="screen the parcels of the register")] = False,
    programme: Annotated[str | None, typer.Option(help="of the register, only what it has claims on")] = None,
    agb: Annotated[
        str | None, typer.Option("--agb", help="density above ground, t/ha: a digest or a GeoTIFF")
    ] = None,
    sd: Annotated[
        str | None, typer.Option("--sd", help="its standard deviations: a digest or a file")
    ] = None,
    error_ppm: Annotated[
        int | None, typer.Option(help="without --sd: a pixel's error in ppm of its value", min=0)
    ] = None,
    rho_space_ppm: Annotated[
        int | None, typer.Option(help="how far errors of pixels go together", min=0, max=1_000_000)
    ] = None,
    land_cover: Annotated[
        str | None, typer.Option("--land-cover", help="land cover on the same grid: a digest or a file")
    ] = None,
    forest: Annotated[
        str, typer.Option("--forest", help="a file's forest classes, with commas, or a known product")
    ] = "CLCD",
    stand_type: Annotated[
        str | None, typer.Option(help="of rows that state none: a code of the stand types")
    ] = None,
    crs: Annotated[str | None, typer.Option(help="of the parcels' file, where it states none")] = None,
    encoding: Annotated[str | None, typer.Option(help="of the parcels' file")] = None,
    layer: Annotated[str | None, typer.Option(help="of the parcels' file, where there are several")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="where stocks go: .parquet, .csv, .gpkg or .geojson")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="threads [default: one for each core]")
    ] = None,
    dask: Annotated[
        str | None, typer.Option("--dask", help="a Dask scheduler whose workers have the same rasters")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute the estimate of a period, for its owner to record; or screen the stocks of many parcels.

    With --period the record is kept under the digest of its inputs: the owner's act finds it. With --parcels
    or --register every parcel gets its stock by raster and the error of it: screening, never to be issued.
    """
    if (period is not None) + (parcels is not None) + register != 1:
        raise typer.BadParameter("say one of: --period ID, --parcels FILE, --register")
    if period is not None:
        given = _rasters_given(rasters, raster or [])
        body = {
            "period": period,
            "rasters": given,
            "plots": plots,
            "project_emissions_kg": project_emissions_kg,
            "leakage_kg": leakage_kg,
        }
        with progress_bar() as advance, workers_for(dask, workers) as hands:
            prepared = _estimate_period(home, body, dry_run, hands, advance)
        _tell_period(prepared, dry_run, as_json)
        return
    if agb is None or out is None:
        raise typer.BadParameter("screening needs --agb and --out")
    if out.suffix not in OUTPUTS:
        raise typer.BadParameter(f"--out ends with one of {', '.join(OUTPUTS)}")
    question = ScreeningQuestion(
        agb=agb,
        sd=sd,
        error_ppm=error_ppm,
        rho_space_ppm=rho_space_ppm,
        land_cover=land_cover,
        forest=forest,
        parcels=parcels,
        programme=programme,
        stand_type=stand_type,
        crs=crs,
        encoding=encoding,
        layer=layer,
    )
    with progress_bar() as advance, workers_for(dask, workers) as hands:
        told = screen_to_file(question, out, home, hands, advance)
    _tell_screening(told, out, as_json)


def _rasters_given(file: Path | None, named: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    if file is not None:
        given |= json.loads(file.read_text(encoding="utf-8"))
    for one in named:
        name, _, digest = one.partition("=")
        given[name] = digest
    return given


def _estimate_period(
    home: Path | None, body: dict[str, Any], dry_run: bool, workers: Workers, progress: Progress
) -> Any:
    from pydantic import ValidationError

    from registry.database import Database, require_known
    from registry.estimates.service import EstimatePeriod, prepare_run

    try:
        command = EstimatePeriod.model_validate(body)
    except ValidationError as fault:
        first = fault.errors()[0]
        raise typer.BadParameter(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from fault
    target = existing(home)
    require_known(target.database_url)
    database = Database(target.database_url)
    try:
        keep = not dry_run
        return prepare_run(database, target, None, command, keep=keep, progress=progress, workers=workers)
    finally:
        database.dispose()


def _tell_period(prepared: Any, dry_run: bool, as_json: bool) -> None:
    if as_json:
        told = {"inputs_sha256": prepared.inputs_sha256, "kept": not dry_run}
        console.print_json(json.dumps(told | {"record": prepared.record.document}))
        return
    for line in _lines_of(prepared.record.document):
        console.print(line, soft_wrap=True, markup=False)
    kept = "nothing was kept" if dry_run else "kept for the owner to record"
    console.print(f"inputs {prepared.inputs_sha256}: {kept}", soft_wrap=True)


def _lines_of(document: dict[str, Any]) -> Iterator[str]:
    """A run for a person: tier, quantity, uncertainty, the chain line by line, the second opinion."""
    results, evidence = document["results"], document["evidence"]
    ppm = results["uncertainty_ppm"]
    uncertainty = "undefined" if ppm is None else f"{ppm / 10_000:.2f} %"
    yield f"tier {results['tier']}, status {results['status']}"
    yield f"{results['estimate_kg']:,} kg CO2e may be issued, uncertainty {uncertainty}"
    for line in document["chain"]:
        said = ", ".join(f"{name} {value}" for name, value in line.items() if name != "line")
        yield f"  {line['line']}: {said}"
    opinion = evidence.get("second_opinion")
    if opinion:
        agrees = "agrees" if opinion["agrees"] else "DOES NOT agree"
        drawn = f"uncertainty {opinion['uncertainty_pct']} %"
        yield f"second opinion of {opinion['draws']:,} draws {agrees}: {drawn}"
    for finding in evidence.get("findings", []):
        yield f"  {finding['level']} {finding['code']}: plot {finding['plot'] or '-'} {finding['value']}"


def _tell_screening(told: dict[str, Any], out: Path, as_json: bool) -> None:
    if as_json:
        console.print_json(json.dumps(told))
        return
    statuses = ", ".join(f"{count:,} {status}" for status, count in told["by_status"].items())
    console.print(f"{told['parcels']:,} parcels ({statuses}) in {out}", soft_wrap=True)
    console.print(
        f"{told['stock_tco2e']:,.0f} tCO2e on {told['eligible_ha']:,.0f} ha: screening, never to be issued",
        soft_wrap=True,
    )
    console.print(f"rows {told['rows_sha256']}", soft_wrap=True)
