"""`tanhui land coverage`: shares of cells of all registered parcels, ahead of the first estimate."""

import json
import re
import time
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from geo.work import Progress, workers_of
from registry.cli.common import HomeOption, JsonOption, console, existing, progress_bar

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def land_coverage(
    raster: Annotated[
        str | None,
        typer.Argument(help="whose grid: a registered raster's digest, or a GeoTIFF [default: only report]"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="threads [default: one for each core]")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute what share of each cell of a raster's grid lies in each parcel of the register, where it is not
    kept yet, so that no estimate on this grid has to wait for it. Says what the store holds.
    """
    from geo.coverage_store import CoverageStore
    from registry.database import Database, require_known

    target = existing(home)
    require_known(target.database_url)
    store = CoverageStore(target.coverage)
    told: dict[str, Any] = {}
    began = time.perf_counter()
    if raster is not None:
        database = Database(target.database_url)
        try:
            with progress_bar() as advance:
                told = {"covered": _cover(database, store, raster, workers, advance)}
        finally:
            database.dispose()
    seconds = time.perf_counter() - began
    kept = store.facts()
    told |= {"grids": kept.grids, "parcels": kept.parcels, "size_bytes": kept.size_bytes}
    if as_json:
        console.print_json(json.dumps(told))
        return
    if raster is not None:
        console.print(f"{told['covered']:,} parcels of the register lie ready; {seconds:.1f} s")
    console.print(f"{kept.parcels:,} parcels on {kept.grids} grids in {kept.size_bytes:,} bytes")


def _cover(database: Any, store: Any, raster: str, workers: int | None, progress: Progress) -> int:
    """How many parcels are covered now."""
    from registry.estimates.screening import PIECE, shares_of
    from registry.estimates.screening_files import candidates_of_register, count_register

    grid = _grid(database, raster)
    with database.read() as session:
        total = count_register(session)
    candidates = candidates_of_register(database)
    done = 0
    while piece := list(islice(candidates, PIECE)):
        shares_of(piece, grid, store, workers_of(workers), progress)
        done += len(piece)
        progress("parcels", done, max(total, done))
    return done


def _grid(database: Any, raster: str) -> Any:
    from geo.raster import Grid, RasterSource
    from registry.estimates.input_files import load_raster

    if not _DIGEST.fullmatch(raster):
        with RasterSource.open(Path(raster)) as source:
            return source.grid
    with database.read() as session:
        return Grid(**load_raster(session, raster).file.grid)
