"""`tanhui land audit`: is any ground covered twice."""

import json
import time
from typing import Annotated, Any

import typer
from rich.table import Table

from registry.cli.common import HomeOption, JsonOption, console, existing, progress_bar

WRONG = 1
MOST_SHOWN = 50


def land_audit(
    home: HomeOption = None,
    as_json: JsonOption = False,
    threads: Annotated[int, typer.Option("--threads", min=1, help="threads that sum cells")] = 2,
) -> None:
    """Look through the whole register for ground that is covered twice.

    Exact shares of 10 m cells are summed over all live parcels and claims and judged exactly where a cell is
    covered more than once. The shares are kept in the home's `cache`, which may be deleted. Exit status 1
    when ground is claimed twice; live parcels on the same ground are listed, their review may have explained
    them.
    """
    from registry.database import Database
    from registry.transparency.doubled import audit_land

    target = existing(home)
    began = time.perf_counter()
    database = Database(target.database_url)
    try:
        with progress_bar() as advance, database.read() as session:
            found = audit_land(session, target.cache, workers=threads, progress=advance)
    finally:
        database.dispose()
    if as_json:
        console.print_json(json.dumps(found.to_json()))
    else:
        _say(found, time.perf_counter() - began)
    if found.doubled:
        raise typer.Exit(WRONG)


def _say(found: Any, seconds: float) -> None:
    made = "made" if found.built else "kept"
    console.print(
        f"{found.outlines} outlines, {found.claims} claims; {found.lit_cells} cells covered more than once, "
        f"{found.judged} pairs judged; {seconds:.2f} s, index {made}",
        soft_wrap=True,
    )
    if found.erased:
        console.print(f"{found.erased} outlines are erased and were not looked at")
    _list("claimed twice", found.doubled)
    _list("live parcels on the same ground", found.parcels)
    if not found.doubled:
        console.print("[green]no ground is claimed twice[/green]")


def _list(title: str, pairs: list[dict[str, Any]]) -> None:
    if not pairs:
        return
    table = Table(title=f"{title}: {len(pairs)}")
    for column in ("parcel", "other", "m2", "mu", "share", "of the other"):
        table.add_column(column, overflow="fold")
    for pair in pairs[:MOST_SHOWN]:
        shares = (pair["candidate_share"], pair["neighbour_share"])
        table.add_row(
            pair["parcel"],
            pair["other"],
            str(pair["overlap_m2"]),
            pair["overlap_mu"],
            *(f"{share:.4f}" for share in shares),
        )
    console.print(table)
