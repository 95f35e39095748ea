"""Rasters of the home: registered once, said more of later, never edited.

A file is copied and looked at (`examine_raster`) while nobody waits; only the row needs a transaction
(`record_raster`). What is said of it is a statement with a version; whoever brought the file, and the
registry's administrator, may correct it, and a correction is the next version (`correct_raster`).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from geo.confined import Progress
from geo.errors import GeoRefusal
from geo.raster import Grid, check_start
from geo.raster_inspect import Inspection, inspect
from registry.accounts.service import NotFound
from registry.estimates.file_store import checked, copied, raster_path
from registry.estimates.models import Raster, RasterStatement
from registry.estimates.rasters.rules import (
    EXPECTED,
    ErrorModel,
    RasterClaim,
    RasterErrorModelWrong,
    RasterNothingCorrected,
    RasterStatementMoved,
    check_claim,
    check_stated_unit,
    check_text,
)
from registry.estimates.rules import RegisteredOtherwise
from registry.machine import Mandate, NotAuthorised, Role
from registry.settings import Home

UPLOADERS: Final = (Role.COLLECTIVE, Role.OPERATOR, Role.REGISTRY_ADMIN, Role.VERIFIER)
"""Roles that bring input files of estimates."""

Inspect = Callable[..., Inspection]
_SAID: Final = (
    "kind", "unit", "band", "product", "taken_on", "licence", "licence_note", "attribution", "source",
    "error_model", "forest_classes",
)  # fmt: skip
"""Columns that are said; the others were found, or say who said it."""


@dataclass(frozen=True, slots=True)
class StoredRaster:
    """A file in the home and what is said of it, as columns; nobody's input until it is recorded."""

    file: dict[str, Any]
    statement: dict[str, Any]

    @property
    def sha256(self) -> str:
        return str(self.file["sha256"])


# ---- registering -------------------------------------------------------------------------------------------


def store_raster(
    home: Home,
    path: Path,
    claim: RasterClaim,
    *,
    today: date,
    lineage: dict[str, Any] | None = None,
    progress: Progress | None = None,
    inspect: Inspect = inspect,
) -> StoredRaster:
    """Copy a GeoTIFF into the home and read every cell of it once, in a confined child.

    Raises what `check_claim` and `raster_inspect.inspect` do (no GeoTIFF, no CRS, rotated, a picture, values
    that cannot be ...); then nothing is left in the home.
    """
    claim = check_claim(claim, today)
    check_start(path.resolve())
    partial, sha256 = copied(path, home.rasters)
    try:
        found = _examined(partial, claim, path.name, progress, inspect)
        partial.replace(raster_path(home, sha256))
    finally:
        partial.unlink(missing_ok=True)
    file = {
        "sha256": sha256,
        "file_name": path.name[-200:],
        "size_bytes": raster_path(home, sha256).stat().st_size,
        "grid": found.grid.as_dict(),
    }
    return StoredRaster(file, {"sha256": sha256, **_columns(claim, found), "lineage": lineage})


def _examined(
    path: Path, claim: RasterClaim, name: str, progress: Progress | None, inspect: Inspect
) -> Inspection:
    """The file under a name of ours, spoken of by the name it came with."""
    try:
        found = inspect(path, band=claim.band, expected=EXPECTED[claim.kind], progress=progress)
    except GeoRefusal as refusal:
        if "name" in refusal.facts:
            refusal.facts["name"] = name
        raise
    check_stated_unit(claim, found.unit_stated, name)
    return found


def record_raster(
    session: Session, stored: StoredRaster, by: Mandate | None = None, at: datetime | None = None
) -> RasterStatement:
    """Register a stored raster. The same file again answers what is said of it, or `RegisteredOtherwise`.

    Raises RasterErrorModelWrong when the raster of deviations is none or lies on another grid.
    """
    known = _newest(session, stored.sha256)
    if known is not None:
        _require_same(known, stored.statement)
        return known
    _require_deviations(session, stored.statement["error_model"], stored.file["grid"])
    session.add(Raster(**stored.file))
    session.flush()
    return _append(session, stored.statement, 1, by, at, None)


def register_raster(
    session: Session, home: Home, path: Path, claim: RasterClaim, *, today: date, **options: Any
) -> RasterStatement:
    """`store_raster` and `record_raster` at once, for callers whose transaction keeps nobody waiting."""
    return record_raster(session, store_raster(home, path, claim, today=today, **options))


def _append(
    session: Session,
    columns: dict[str, Any],
    version: int,
    by: Mandate | None,
    at: datetime | None,
    reason: str | None,
) -> RasterStatement:
    row = RasterStatement(
        file=session.get_one(Raster, columns["sha256"]),
        **columns,
        version=version,
        organisation_id=None if by is None else by.organisation,
        person_id=None if by is None else by.person,
        stated_at=at,
        reason=reason,
    )
    session.add(row)
    session.flush()
    return row


def _columns(claim: RasterClaim, found: Inspection) -> dict[str, Any]:
    return {**_said_columns(claim), "band": found.band, **_found_columns(found)}


def _said_columns(claim: RasterClaim) -> dict[str, Any]:
    said = {name: getattr(claim, name) for name in _SAID}
    classes = claim.forest_classes
    return said | {
        "taken_on": claim.taken_on.isoformat(),
        "error_model": claim.error_model.to_json(),
        "forest_classes": None if classes is None else list(classes),
    }


def _found_columns(found: Inspection) -> dict[str, Any]:
    scan = found.scan
    return {
        "values_sha256": scan.values_sha256,
        "facts": {
            "bands": found.bands,
            "dtype": found.dtype,
            "nodata": None if found.nodata is None else repr(found.nodata),
            "scale": repr(found.scale),
            "offset": repr(found.offset),
            "block": [found.block_rows, found.block_columns],
            "compression": found.compression,
            "unit_stated": found.unit_stated,
            "statistics": {
                "cells": scan.cells,
                "valid_cells": scan.valid_cells,
                "minimum": scan.minimum,
                "maximum": scan.maximum,
                "mean": scan.mean,
            },
        },
    }


def _require_same(known: RasterStatement, asked: dict[str, Any]) -> None:
    differing = [name for name in _SAID if getattr(known, name) != asked[name]]
    if differing:
        raise RegisteredOtherwise(
            sha256=known.sha256,
            registered=", ".join(f"{name} {_short(getattr(known, name))}" for name in differing),
            asked=", ".join(f"{name} {_short(asked[name])}" for name in differing),
        )


def _short(value: object) -> str:
    return str(value)[:80]


def _require_deviations(session: Session, model: dict[str, Any], grid: dict[str, Any]) -> None:
    """The raster of deviations that an error model names is one, on the grid of what it is about."""
    if model["kind"] != "per_pixel":
        return
    named = _newest(session, model["sd_sha256"])
    if named is None or named.kind != "agb_sd":
        raise RasterErrorModelWrong(model=model["kind"], reason="deviation")
    if Grid(**grid).difference(Grid(**named.file.grid)) is not None:
        raise RasterErrorModelWrong(model=model["kind"], reason="grid")


# ---- correcting --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be said from now on, made ready while nobody waits, for the statement of version `base`."""

    sha256: str
    base: int
    statement: dict[str, Any]
    reason: str


def prepare_correction(
    home: Home,
    known: RasterStatement,
    changes: dict[str, Any],
    reason: str,
    *,
    today: date,
    progress: Progress | None = None,
) -> Correction:
    """What a raster is said to be with `changes` (fields of `RasterClaim`). No transaction is needed.

    The file is read again where another band or kind is meant, or where it never was. Raises what
    `store_raster` does, `RasterNothingCorrected`, `StoredFileChanged`.
    """
    check_text("reason", reason)
    claim = check_claim(_changed(known, changes), today)
    check_stated_unit(claim, (known.facts or {}).get("unit_stated", ""), known.file.file_name)
    said = _said_columns(claim)
    if all(getattr(known, name) == said[name] for name in _SAID):
        raise RasterNothingCorrected(sha256=known.sha256)
    found: dict[str, Any] = {"facts": known.facts, "values_sha256": known.values_sha256}
    if known.facts is None or (claim.kind, claim.band) != (known.kind, known.band):
        path = checked(raster_path(home, known.sha256), known.sha256)
        found = _found_columns(_examined(path, claim, known.file.file_name, progress, inspect))
    statement = {"sha256": known.sha256, **said, **found, "lineage": known.lineage}
    return Correction(known.sha256, known.version, statement, reason)


def _changed(known: RasterStatement, changes: dict[str, Any]) -> RasterClaim:
    """What is said now, with the changes; another kind or product brings its own unit and classes."""
    said = claim_of(known)
    if changes.get("kind", said.kind) != said.kind and "unit" not in changes:
        said = replace(said, unit=None)
    if {"kind", "product"} & changes.keys() and "forest_classes" not in changes:
        said = replace(said, forest_classes=None)
    return replace(said, **changes)


def correct_raster(session: Session, correction: Correction, by: Mandate, at: datetime) -> RasterStatement:
    """Say it: the next version. Raises `NotAuthorised`, `RasterStatementMoved` when another came first,
    RasterErrorModelWrong.
    """
    session.get(Raster, correction.sha256, with_for_update=True)
    known = load_raster(session, correction.sha256)
    require_author(session, correction.sha256, by)
    if known.version != correction.base:
        raise RasterStatementMoved(sha256=known.sha256, found=known.version, expected=correction.base)
    _require_deviations(session, correction.statement["error_model"], known.file.grid)
    return _append(session, correction.statement, known.version + 1, by, at, correction.reason)


def require_author(session: Session, sha256: str, by: Mandate) -> None:
    """Whoever brought the file, and the registry's administrator, say what it is (`NotAuthorised`)."""
    first = load_raster(session, sha256, 1)
    own = first.organisation_id is not None and first.organisation_id == by.organisation
    if not (by.role == Role.REGISTRY_ADMIN or (own and by.role in UPLOADERS)):
        raise NotAuthorised(machine="raster", action="correct", needed=Role.REGISTRY_ADMIN)


def claim_of(row: RasterStatement) -> RasterClaim:
    """What a statement says, as it was claimed."""
    said = {field.name: getattr(row, field.name) for field in fields(RasterClaim)}
    classes = row.forest_classes
    return RasterClaim(
        **said
        | {
            "taken_on": date.fromisoformat(row.taken_on),
            "error_model": ErrorModel.from_json(row.error_model),
            "forest_classes": None if classes is None else tuple(classes),
        }
    )


# ---- reading -----------------------------------------------------------------------------------------------


def load_raster(session: Session, sha256: str, version: int | None = None) -> RasterStatement:
    """What is said of a raster: the newest, or the version that a run names."""
    row = _newest(session, sha256) if version is None else session.get(RasterStatement, (sha256, version))
    if row is None:
        raise NotFound(kind="raster", id=sha256)
    return row


def unbound(session: Session, row: RasterStatement) -> RasterStatement:
    """The statement with its file, for work that goes on after the transaction has ended."""
    session.expunge(row.file)
    session.expunge(row)
    return row


def _newest(session: Session, sha256: str) -> RasterStatement | None:
    wanted = sa.select(RasterStatement).where(RasterStatement.sha256 == sha256)
    return session.scalars(wanted.order_by(RasterStatement.version.desc()).limit(1)).one_or_none()


def raster_versions(session: Session, sha256: str) -> list[RasterStatement]:
    """All that was ever said of a raster, the first first (`NotFound`)."""
    wanted = sa.select(RasterStatement).where(RasterStatement.sha256 == sha256)
    found = list(session.scalars(wanted.order_by(RasterStatement.version)))
    if not found:
        raise NotFound(kind="raster", id=sha256)
    return found


def list_rasters(session: Session) -> list[RasterStatement]:
    """Every raster by what is said of it now."""
    newest = (
        sa.select(RasterStatement.sha256, sa.func.max(RasterStatement.version).label("version"))
        .group_by(RasterStatement.sha256)
        .subquery()
    )
    same = sa.and_(RasterStatement.sha256 == newest.c.sha256, RasterStatement.version == newest.c.version)
    order = (RasterStatement.kind, RasterStatement.taken_on, RasterStatement.sha256)
    return list(session.scalars(sa.select(RasterStatement).join(newest, same).order_by(*order)))
