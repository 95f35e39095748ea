"""Input files of estimates: kept in the home under the digest of their bytes, so that a record can name them.

`rasters/<sha256>.tif` (`raster_store`) and `plots/<sha256>.csv`. A file is checked when it is registered, and
its digest again whenever it is used. Storing copies megabytes and needs no transaction (`store_raster`,
`store_plots`); only the row does (`record_raster`, `record_plots`). A file without a row is nobody's input.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from registry.accounts.service import NotFound
from registry.estimates.file_store import checked, file_sha256, keep, raster_path
from registry.estimates.methods import PlotRecord, read_plots, read_tree_plots
from registry.estimates.models import PlotFile
from registry.estimates.raster_rules import FOREST_CLASSES, UNITS, ErrorModel, RasterClaim, RasterKind
from registry.estimates.raster_store import (
    list_rasters,
    load_raster,
    record_raster,
    register_raster,
    store_raster,
)
from registry.estimates.rules import RegisteredOtherwise
from registry.settings import Home

__all__ = [
    "FOREST_CLASSES",
    "READERS",
    "UNITS",
    "ErrorModel",
    "Measurement",
    "RasterClaim",
    "RasterKind",
    "checked",
    "file_sha256",
    "list_plot_files",
    "list_rasters",
    "load_plots",
    "load_raster",
    "plots_path",
    "raster_path",
    "record_plots",
    "record_raster",
    "register_plots",
    "register_raster",
    "store_plots",
    "store_raster",
    "stored_file",
]

Measurement = Literal["volume", "trees"]

READERS: Final[dict[str, Callable[[bytes], tuple[PlotRecord, ...]]]] = {
    "volume": read_plots,
    "trees": read_tree_plots,
}


def store_plots(home: Home, path: Path, *, measurement: Measurement = "volume") -> PlotFile:
    """Copy a file of sample plots into the home: stand volumes, or trees. Raises `BadPlotFile` with every
    fault.
    """
    content = path.read_bytes()
    plots = READERS[measurement](content)
    sha256 = hashlib.sha256(content).hexdigest()
    keep(path, plots_path(home, sha256))
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


def _require_same(sha256: str, registered: str, asked: str) -> None:
    if registered != asked:
        raise RegisteredOtherwise(sha256=sha256, registered=registered, asked=asked)


# ---- reading -----------------------------------------------------------------------------------------------


def plots_path(home: Home, sha256: str) -> Path:
    return home.path / "plots" / f"{sha256}.csv"


def stored_file(home: Home, sha256: str) -> Path | None:
    """The home's file with that digest, or None: `resolve` of `recompute` for rasters and plots."""
    found = (path for path in (raster_path(home, sha256), plots_path(home, sha256)) if path.exists())
    return next(found, None)


def load_plots(session: Session, sha256: str) -> PlotFile:
    row = session.get(PlotFile, sha256)
    if row is None:
        raise NotFound(kind="plot file", id=sha256)
    return row


def list_plot_files(session: Session) -> list[PlotFile]:
    return list(session.scalars(sa.select(PlotFile).order_by(PlotFile.sha256)))
