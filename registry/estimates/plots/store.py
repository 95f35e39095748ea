"""Plot files in the home: the original, byte for byte, under its digest and an ending that says what it is.

`plots/<sha256>.csv`, `.xlsx`, `.xls` or `.ods`. A file is read when it is registered, and its digest held
against its bytes whenever it is used, so a run reads the same plots again. Storing needs no transaction; only
the row does. A file without a row is nobody's input.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from registry.accounts.service import NotFound
from registry.estimates.file_store import keep
from registry.estimates.methods.errors import BadPlotFile
from registry.estimates.methods.parameters import bamboo_parameters, default_parameters
from registry.estimates.methods.plot_checks import check_plots
from registry.estimates.methods.plot_files import Measurement, read_plot_file
from registry.estimates.methods.plot_sheets import ending_of
from registry.estimates.methods.plots import PlotRecord
from registry.estimates.models import PlotFile
from registry.estimates.plots.layout import Layout, require_known_seed
from registry.estimates.plots.words import explained, finding_said
from registry.estimates.rules import PlotsUnanswered, RegisteredOtherwise
from registry.settings import Home

ENDINGS: Final = (".csv", ".xlsx", ".xls", ".ods")

MEASUREMENTS: Final[tuple[Measurement, ...]] = ("volume", "trees", "culms")

READERS: Final[dict[str, Callable[[bytes], tuple[PlotRecord, ...]]]] = {
    measurement: partial(read_plot_file, measurement=measurement) for measurement in MEASUREMENTS
}


def read_plots_at(path: Path, measurement: Measurement, file: str | None = None) -> tuple[PlotRecord, ...]:
    """The plots of a file. `BadPlotFile` then also says of each fault, in both languages, what it means and
    what to do; `file` is the name to say it of.
    """
    try:
        return READERS[measurement](path.read_bytes())
    except BadPlotFile as refusal:
        raise explained(refusal, file or path.name) from None


def store_plots(
    home: Home, path: Path, *, measurement: Measurement = "volume", layout: Layout | None = None
) -> PlotFile:
    """Copy a file of sample plots into the home: stand volumes, trees or culms; `layout` is the design that
    they were laid out by.

    Raises `DesignSeedUnknown`, `BadPlotFile` with every fault, and `PlotsUnanswered` for plots that stand out
    of their stratum without an explanation, or lie on each other. Nothing is left out and nothing kept until
    they are.
    """
    if layout is not None:
        require_known_seed(home, layout)
    plots = read_plots_at(path, measurement)
    require_answers(plots, measurement, path.name)
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    keep(path, home.path / "plots" / f"{sha256}{ending_of(content)}")
    return PlotFile(
        sha256=sha256,
        measurement=measurement,
        plots=len(plots),
        file_name=path.name,
        design_sha256=None if layout is None else layout.sha256,
        design=None if layout is None else dict(layout.document),
    )


def require_answers(plots: Sequence[PlotRecord], measurement: Measurement, file: str) -> None:
    """Refuse what only the owner can answer (`PlotsUnanswered`); what depends on a project its runs judge."""
    tables = bamboo_parameters() if measurement == "culms" else default_parameters()
    found = check_plots(plots, parameters=tables)
    asked = [one for one in found if one.open and one.code in ("plot_stands_out", "plots_same_place")]
    if asked:
        faults = [{"file": file, "field": one.plot, **one.to_json(), **finding_said(one)} for one in asked]
        raise PlotsUnanswered(count=len(asked), faults=faults)


def record_plots(session: Session, stored: PlotFile) -> PlotFile:
    """Register stored plots. The same file again answers the row it has, or `RegisteredOtherwise`; a row
    without a design takes the one that is brought, and keeps it.
    """
    known = session.get(PlotFile, stored.sha256)
    if known is None:
        session.add(stored)
        session.flush()
        return stored
    if known.measurement != stored.measurement:
        raise RegisteredOtherwise(sha256=known.sha256, registered=known.measurement, asked=stored.measurement)
    if stored.design_sha256 is not None:
        _add_design(known, stored.design_sha256, stored.design)
        session.flush()
    return known


def _add_design(known: PlotFile, sha256: str, design: dict[str, Any] | None) -> None:
    if known.design_sha256 is None:
        known.design_sha256, known.design = sha256, design
    elif known.design_sha256 != sha256:
        raise RegisteredOtherwise(
            sha256=known.sha256, registered=f"laid out by design {known.design_sha256}", asked=sha256
        )


def register_plots(
    session: Session, home: Home, path: Path, *, measurement: Measurement = "volume"
) -> PlotFile:
    """`store_plots` and `record_plots` at once, for callers whose transaction keeps nobody waiting."""
    return record_plots(session, store_plots(home, path, measurement=measurement))


def plots_path(home: Home, sha256: str) -> Path:
    """Where a plot file lies; where a CSV would lie if there is none."""
    found = (home.path / "plots" / f"{sha256}{ending}" for ending in ENDINGS)
    return next((path for path in found if path.exists()), home.path / "plots" / f"{sha256}.csv")


def load_plots(session: Session, sha256: str) -> PlotFile:
    row = session.get(PlotFile, sha256)
    if row is None:
        raise NotFound(kind="plot file", id=sha256)
    return row


def list_plot_files(session: Session) -> list[PlotFile]:
    return list(session.scalars(sa.select(PlotFile).order_by(PlotFile.sha256)))
