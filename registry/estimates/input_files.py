"""Input files of estimates: kept in the home under the digest of their bytes, so that a record can name them.

`rasters/<sha256>.tif` (`rasters.store`), `plots/<sha256>.csv` or `.xlsx` (`plots.store`). A file is checked
when it is registered, and its digest again whenever it is used. Storing copies megabytes and needs no
transaction (`store_raster`, `store_plots`); only the row does (`record_raster`, `record_plots`). A file
without a row is nobody's input.
"""

from pathlib import Path

from registry.estimates.file_store import checked, file_sha256, raster_path
from registry.estimates.methods.plot_files import Measurement
from registry.estimates.plots.store import (
    READERS,
    list_plot_files,
    load_plots,
    plots_path,
    record_plots,
    register_plots,
    store_plots,
)
from registry.estimates.rasters.rules import FOREST_CLASSES, UNITS, ErrorModel, RasterClaim, RasterKind
from registry.estimates.rasters.store import (
    list_rasters,
    load_raster,
    record_raster,
    register_raster,
    store_raster,
)
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


def stored_file(home: Home, sha256: str) -> Path | None:
    """The home's file with that digest, or None: `resolve` of `recompute` for rasters and plots."""
    found = (path for path in (raster_path(home, sha256), plots_path(home, sha256)) if path.exists())
    return next(found, None)
