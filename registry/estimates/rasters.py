"""Input files of estimates: kept in the home under the digest of their bytes, so that a record can name them.

`rasters/<sha256>.tif` and `plots/<sha256>.csv`. A file is checked when it is registered, and its digest
again whenever it is used. Storing copies megabytes and needs no transaction (`store_raster`, `store_plots`);
only the row does (`record_raster`, `record_plots`). A file without a row is nobody's input.
"""

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from geo.raster import RasterSource
from registry.accounts.service import NotFound
from registry.estimates.methods import PlotRecord, read_plots, read_tree_plots
from registry.estimates.models import PlotFile, Raster
from registry.estimates.rules import ProductUnknown, RegisteredOtherwise, StoredFileChanged
from registry.settings import Home

RasterKind = Literal["agb", "agb_sd", "land_cover"]
Measurement = Literal["volume", "trees"]

UNITS: Final[dict[str, str]] = {"agb": "t/ha", "agb_sd": "t/ha", "land_cover": "class"}
"""The unit of each kind: dry matter above ground, its standard deviation for one pixel, a class number."""

FOREST_CLASSES: Final[dict[str, tuple[int, ...]]] = {"CLCD": (2,), "ESA-WorldCover": (10, 95)}
"""Classes that are forest, by land-cover product (METHODOLOGY 2.9); everything else is not eligible."""

READERS: Final[dict[str, Callable[[bytes], tuple[PlotRecord, ...]]]] = {
    "volume": read_plots,
    "trees": read_tree_plots,
}


def store_raster(home: Home, path: Path, *, kind: RasterKind, product: str, taken_on: date) -> Raster:
    """Copy a GeoTIFF into the home; the row, for `record_raster`, belongs to no session yet.

    Raises what `RasterSource.open` does (no GeoTIFF, no CRS, rotated, too large ...), `ProductUnknown` for
    a land cover whose classes nobody defined here.
    """
    if kind == "land_cover" and product not in FOREST_CLASSES:
        raise ProductUnknown(product=product[:80], known=", ".join(sorted(FOREST_CLASSES)))
    with RasterSource.open(path) as source:
        facts = source.facts()
    _store(path, raster_path(home, facts.sha256))
    return Raster(
        sha256=facts.sha256,
        kind=kind,
        unit=UNITS[kind],
        product=product,
        taken_on=taken_on.isoformat(),
        file_name=path.name,
        size_bytes=facts.size_bytes,
        grid=facts.grid.as_dict(),
    )


def record_raster(session: Session, stored: Raster) -> Raster:
    """Register a stored raster. The same file again answers the row it has, or `RegisteredOtherwise`."""
    known = session.get(Raster, stored.sha256)
    if known is not None:
        _require_same(known.sha256, _said(known), _said(stored))
        return known
    session.add(stored)
    session.flush()
    return stored


def register_raster(
    session: Session, home: Home, path: Path, *, kind: RasterKind, product: str, taken_on: date
) -> Raster:
    """`store_raster` and `record_raster` at once, for callers whose transaction keeps nobody waiting."""
    return record_raster(session, store_raster(home, path, kind=kind, product=product, taken_on=taken_on))


def store_plots(home: Home, path: Path, *, measurement: Measurement = "volume") -> PlotFile:
    """Copy a file of sample plots into the home: stand volumes, or trees. Raises `BadPlotFile` with every
    fault.
    """
    content = path.read_bytes()
    plots = READERS[measurement](content)
    sha256 = hashlib.sha256(content).hexdigest()
    _store(path, plots_path(home, sha256))
    return PlotFile(sha256=sha256, measurement=measurement, plots=len(plots), file_name=path.name)


def record_plots(session: Session, stored: PlotFile) -> PlotFile:
    """Register stored plots. The same file again answers the row it has, or `RegisteredOtherwise`."""
    known = session.get(PlotFile, stored.sha256)
    if known is not None:
        _require_same(known.sha256, known.measurement, stored.measurement)
        return known
    session.add(stored)
    session.flush()
    return stored


def register_plots(
    session: Session, home: Home, path: Path, *, measurement: Measurement = "volume"
) -> PlotFile:
    """`store_plots` and `record_plots` at once, for callers whose transaction keeps nobody waiting."""
    return record_plots(session, store_plots(home, path, measurement=measurement))


def _said(row: Raster) -> str:
    return f"{row.kind} of {row.product} on {row.taken_on}"


def _require_same(sha256: str, registered: str, asked: str) -> None:
    if registered != asked:
        raise RegisteredOtherwise(sha256=sha256, registered=registered, asked=asked)


def _store(source: Path, target: Path) -> None:
    """Copy durably; the name appears when the file is whole, also when two store the same file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{uuid.uuid4().hex}.partial")
    shutil.copyfile(source, partial)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)


# ---- reading -----------------------------------------------------------------------------------------------


def raster_path(home: Home, sha256: str) -> Path:
    return home.rasters / f"{sha256}.tif"


def plots_path(home: Home, sha256: str) -> Path:
    return home.path / "plots" / f"{sha256}.csv"


def stored_file(home: Home, sha256: str) -> Path | None:
    """The home's file with that digest, or None: `resolve` of `recompute` for rasters and plots."""
    found = (path for path in (raster_path(home, sha256), plots_path(home, sha256)) if path.exists())
    return next(found, None)


def checked(path: Path | None, sha256: str) -> Path:
    """The file if its bytes are still those of the digest (`StoredFileChanged`)."""
    if path is None or file_sha256(path) != sha256:
        raise StoredFileChanged(sha256=sha256)
    return path


def file_sha256(path: Path) -> str | None:
    """The digest of a file's bytes, None when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def load_raster(session: Session, sha256: str) -> Raster:
    row = session.get(Raster, sha256)
    if row is None:
        raise NotFound(kind="raster", id=sha256)
    return row


def load_plots(session: Session, sha256: str) -> PlotFile:
    row = session.get(PlotFile, sha256)
    if row is None:
        raise NotFound(kind="plot file", id=sha256)
    return row


def list_rasters(session: Session) -> list[Raster]:
    return list(session.scalars(sa.select(Raster).order_by(Raster.kind, Raster.taken_on, Raster.sha256)))


def list_plot_files(session: Session) -> list[PlotFile]:
    return list(session.scalars(sa.select(PlotFile).order_by(PlotFile.sha256)))
