"""`tanhui raster`: rasters as inputs of estimates, registered, said more of, and written anew for speed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy.orm import Session

from registry.accounts.models import MandateRow, Organisation
from registry.accounts.service import NotFound
from registry.cli.common import HomeOption, JsonOption, app, console, existing, progress_bar
from registry.cli.exports import export_commands
from registry.clock import clock_of
from registry.database import Database, require_known
from registry.estimates.file_store import checked, raster_path
from registry.estimates.models import RasterStatement
from registry.estimates.rasters.form import EXAMPLE, classes_of, error_model_of
from registry.estimates.rasters.routes import raster_view
from registry.estimates.rasters.rules import ErrorModel, RasterClaim, RasterKind
from registry.estimates.rasters.store import (
    UPLOADERS,
    correct_raster,
    list_rasters,
    load_raster,
    prepare_correction,
    raster_versions,
    record_raster,
    require_author,
    store_raster,
    unbound,
)
from registry.machine import Mandate, Role
from registry.projects.rules import civil_date
from registry.settings import Home
from registry.web.uploads import safe_name

raster_commands = typer.Typer(help="Rasters: what estimates are computed from.")
app.add_typer(raster_commands, name="raster")

AsOption = Annotated[str, typer.Option("--as", help="who says so: an organisation's id or name")]
UnitOption = Annotated[str | None, typer.Option(help="t/ha of dry matter; nothing is converted")]
BandOption = Annotated[int | None, typer.Option(help="which band, where there are several")]
LicenceNoteOption = Annotated[str | None, typer.Option(help="what a LicenseRef- licence allows")]
AttributionOption = Annotated[str | None, typer.Option(help="whom the licence wants named")]
SourceOption = Annotated[str | None, typer.Option(help="where the file comes from")]
ErrorOption = Annotated[str | None, typer.Option(help=f"how wrong a cell may be, as JSON: {EXAMPLE}")]
ClassesOption = Annotated[str | None, typer.Option(help="classes that are forest: 111,112")]
DigestArgument = Annotated[str, typer.Argument(help="the SHA-256 of a registered raster")]


@raster_commands.callback()
def raster() -> None:
    """Rasters: what estimates are computed from."""


@raster_commands.command("add")
def add(
    files: Annotated[list[Path], typer.Argument(help="GeoTIFFs or COGs of which the same is to be said")],
    organisation: AsOption,
    kind: Annotated[str, typer.Option(help="agb, agb_sd, land_cover or eligible_share")],
    product: Annotated[str, typer.Option(help="the data product and its version")],
    taken_on: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="the day it shows")],
    licence: Annotated[str, typer.Option(help="SPDX id, or LicenseRef-NAME with --licence-note")],
    unit: UnitOption = None,
    band: BandOption = None,
    licence_note: LicenceNoteOption = None,
    attribution: AttributionOption = None,
    source: SourceOption = None,
    error_model: ErrorOption = None,
    forest_classes: ClassesOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register rasters. Every cell is read once, in a process that can do no harm; what cannot be an input is
    refused, and nothing of it is kept.
    """
    claim = RasterClaim(
        kind=_kind(kind),
        product=product,
        taken_on=taken_on.date(),
        unit=unit,
        band=band,
        licence=licence,
        licence_note=licence_note,
        attribution=attribution,
        source=source,
        error_model=ErrorModel() if error_model is None else error_model_of(error_model),
        forest_classes=None if forest_classes is None else classes_of(forest_classes),
    )
    with _opened(home) as (target, database), progress_bar() as progress:
        by, now, today = _author(database, organisation)
        rows = []
        for file in files:
            stored = store_raster(target, file, claim, today=today, progress=progress)
            with database.write() as session:
                rows.append(raster_view(record_raster(session, stored, by, now)))
    _show(rows, as_json)


@raster_commands.command("list")
def list_all(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Every raster, by what is said of it now."""
    with _opened(home) as (_, database), database.read() as session:
        rows = [raster_view(row) for row in list_rasters(session)]
    _show(rows, as_json)


@raster_commands.command("show")
def show(sha256: DigestArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """One raster, and all that was ever said of it."""
    with _opened(home) as (_, database), database.read() as session:
        versions = [raster_view(row) for row in raster_versions(session, _digest(session, sha256))]
    if as_json:
        console.print_json(json.dumps({**versions[-1], "versions": versions}, ensure_ascii=False))
        return
    for view in versions:
        table = Table(title=f"{view['sha256']}, version {view['version']}", title_justify="left")
        table.add_column("field")
        table.add_column("said", overflow="fold")
        for name, value in view.items():
            if value is not None and name not in ("sha256", "version"):
                table.add_row(name, value if isinstance(value, str) else json.dumps(value))
        console.print(table)


@raster_commands.command("correct")
def correct(
    sha256: DigestArgument,
    organisation: AsOption,
    reason: Annotated[str, typer.Option(help="why it was wrong")],
    kind: Annotated[str | None, typer.Option(help="agb, agb_sd, land_cover or eligible_share")] = None,
    product: Annotated[str | None, typer.Option(help="the data product and its version")] = None,
    taken_on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="the day it shows")] = None,
    licence: Annotated[str | None, typer.Option(help="SPDX id, or LicenseRef-NAME with a note")] = None,
    unit: UnitOption = None,
    band: BandOption = None,
    licence_note: LicenceNoteOption = None,
    attribution: AttributionOption = None,
    source: SourceOption = None,
    error_model: ErrorOption = None,
    forest_classes: ClassesOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say something else of a raster from now on. Nothing is edited: runs name the version that they used."""
    changes: dict[str, Any] = {
        "kind": None if kind is None else _kind(kind),
        "product": product,
        "taken_on": None if taken_on is None else taken_on.date(),
        "licence": licence,
        "unit": unit,
        "band": band,
        "licence_note": licence_note,
        "attribution": attribution,
        "source": source,
        "error_model": None if error_model is None else error_model_of(error_model),
        "forest_classes": None if forest_classes is None else classes_of(forest_classes),
    }
    said = {name: value for name, value in changes.items() if value is not None}
    with _opened(home) as (target, database), progress_bar() as progress:
        by, now, today = _author(database, organisation)
        with database.read() as session:
            digest = _digest(session, sha256)
            require_author(session, digest, by)
            known = unbound(session, load_raster(session, digest))
        ready = prepare_correction(target, known, said, reason, today=today, progress=progress)
        with database.write() as session:
            rows = [raster_view(correct_raster(session, ready, by, now))]
    _show(rows, as_json)


@raster_commands.command("normalise")
def normalise(
    rasters: Annotated[list[str] | None, typer.Argument(help="digests [default: all without a copy]")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write rasters again in the encoding that is read fastest, with a proof that no value changed. Runs then
    read the copy; what they name is the source.
    """
    from registry.estimates.rasters.copies import normalise_raster, raster_file, record_copy

    made: list[dict[str, Any]] = []
    with _opened(home) as (target, database), progress_bar() as progress:
        with database.read() as session:
            named = [load_raster(session, _digest(session, one)) for one in rasters or ()]
            missing = [
                row
                for row in list_rasters(session)
                if raster_file(session, target, row.sha256, row.band).sha256 == row.sha256
            ]
            wanted = [unbound(session, row) for row in (named if rasters else missing)]
        for row in wanted:
            copy = normalise_raster(target, row, progress)
            with database.write() as session:
                record_copy(session, copy, clock_of(database).now())
            made.append(
                {
                    "sha256": copy.source_sha256,
                    "band": copy.band,
                    "copy_sha256": copy.target_sha256,
                    "values_sha256": copy.values_sha256,
                    "encoding": copy.encoding.to_json(),
                    "size_bytes": copy.size_bytes,
                    "source_bytes": row.file.size_bytes,
                }
            )
    if as_json:
        console.print_json(json.dumps(made))
        return
    for one in made:
        console.print(
            f"{one['sha256'][:12]}  {one['source_bytes']:,} -> {one['size_bytes']:,} bytes as "
            f"{one['encoding']['dtype']}; values {one['values_sha256'][:12]} unchanged",
            soft_wrap=True,
        )


@raster_commands.command("align")
def align(
    cover: Annotated[str, typer.Argument(help="the digest of a registered land cover")],
    to: Annotated[str, typer.Option("--to", help="the digest of the raster whose grid is meant")],
    organisation: AsOption,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a land cover onto the grid of a biomass map: a raster of the share of each cell's ground that is
    eligible, registered with what it was made from.
    """
    from registry.estimates.rasters.alignment import align_raster

    with _opened(home) as (target, database), progress_bar() as progress:
        by, now, today = _author(database, organisation)
        with database.read() as session:
            source, grid = (
                unbound(session, load_raster(session, _digest(session, one))) for one in (cover, to)
            )
        stored = align_raster(target, source, grid, today=today, progress=progress)
        with database.write() as session:
            rows = [raster_view(record_raster(session, stored, by, now))]
    _show(rows, as_json)


@export_commands.command("stac")
def export_stac(
    folder: Annotated[Path, typer.Argument(help="the folder to write: catalog.json and an item for each")],
    copy: Annotated[bool, typer.Option("--copy", help="copy the files beside their items")] = False,
    link: Annotated[bool, typer.Option("--link", help="make hard links to the files (same disk)")] = False,
    address: Annotated[
        str | None, typer.Option(help="where the API is reached, for files that stay there")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a static STAC catalogue of the registered rasters, with relative paths."""
    from registry.estimates.rasters.stac import write_catalogue

    if copy and link:
        raise typer.BadParameter("--copy or --link, not both")
    with _opened(home) as (target, database), database.read() as session:
        rows = list_rasters(session)
        written = write_catalogue(
            rows,
            folder,
            "copy" if copy else "link" if link else "none",
            lambda sha256: checked(raster_path(target, sha256), sha256),
            None if address is None else address.rstrip("/"),
        )
    if as_json:
        console.print_json(json.dumps({"rasters": len(rows), "files": [str(path) for path in written]}))
    else:
        console.print(f"wrote {len(rows):,} items to {folder / 'catalog.json'}", soft_wrap=True)


# ---- helpers -----------------------------------------------------------------------------------------------


@contextmanager
def _opened(home: Path | None) -> Iterator[tuple[Home, Database]]:
    target = existing(home)
    require_known(target.database_url)
    database = Database(target.database_url)
    try:
        yield target, database
    finally:
        database.dispose()


def _author(database: Database, name: str) -> tuple[Mandate, datetime, date]:
    """Who says it, by the oldest mandate in force that may, and when."""
    now = clock_of(database).now()
    with database.read() as session:
        named = sa.or_(Organisation.id == name, Organisation.name == name)
        found = session.scalars(sa.select(Organisation).where(named)).all()
        if len(found) != 1:
            raise NotFound(kind="organisation", id=name)
        row = session.scalars(
            sa.select(MandateRow)
            .where(
                MandateRow.organisation_id == found[0].id,
                MandateRow.status == "active",
                MandateRow.role.in_([role.value for role in UPLOADERS]),
            )
            .order_by(MandateRow.role != Role.REGISTRY_ADMIN.value, MandateRow.entry_index)
        ).first()
        if row is None:
            raise NotFound(kind="mandate to bring rasters", id=name)
        return Mandate(row.id, row.person_id, row.organisation_id, Role(row.role)), now, civil_date(now)


def _kind(text: str) -> RasterKind:
    kinds: dict[str, RasterKind] = {
        "agb": "agb", "agb_sd": "agb_sd", "land_cover": "land_cover", "eligible_share": "eligible_share",
    }  # fmt: skip
    if text not in kinds:
        raise typer.BadParameter(f"--kind is one of: {', '.join(kinds)}")
    return kinds[text]


def _digest(session: Session, start: str) -> str:
    """A digest by as many of its first characters as only one raster has."""
    columns = sa.select(RasterStatement.sha256).distinct()
    found = session.scalars(columns.where(RasterStatement.sha256.startswith(start, autoescape=True))).all()
    if len(found) != 1:
        raise NotFound(kind="raster", id=safe_name(start)[:64])
    return found[0]


def _show(rows: list[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        console.print_json(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        grid, facts = row["grid"], row["facts"]
        share = "not read" if facts is None else _share(facts["statistics"])
        cells = f"{grid.get('width', '?')} x {grid.get('height', '?')} cells, with values: {share}"
        said = f"{row['kind']} {row['taken_on']}, {row['product']}, {row['unit']}, version {row['version']}"
        text = f"{said}\n  {row['sha256']}\n  {cells}; licence: {row['licence'] or 'unknown'}"
        console.print(escape(text), soft_wrap=True)


def _share(statistics: Mapping[str, int]) -> str:
    return f"{statistics['valid_cells'] / statistics['cells']:.1%}"
