"""Everything that is said of a plot file before it is used: what is in it, and what is odd, in words."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from registry.estimates.methods.parameters import bamboo_parameters, default_parameters
from registry.estimates.methods.plot_checks import Finding, check_plots
from registry.estimates.methods.plot_files import READER, Measurement
from registry.estimates.methods.plots import PlotRecord
from registry.estimates.plots.land import ParcelLand, check_places
from registry.estimates.plots.layout import Layout, check_layout
from registry.estimates.plots.store import read_plots_at
from registry.estimates.plots.words import finding_said


@dataclass(frozen=True, slots=True)
class PlotReport:
    """A plot file that could be read: its digest, its plots, and what is odd about them."""

    file: str
    sha256: str
    measurement: Measurement
    plots: tuple[PlotRecord, ...]
    findings: tuple[Finding, ...]
    design_sha256: str | None = None

    @property
    def open(self) -> int:
        """Findings that somebody still has to answer: errors, and plots that stand out without a reason."""
        return sum(finding.open for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "sha256": self.sha256,
            "measurement": self.measurement,
            "reader": READER,
            "design_sha256": self.design_sha256,
            "plots": len(self.plots),
            "strata": {
                stratum: sum(plot.stratum == stratum for plot in self.plots)
                for stratum in sorted({plot.stratum for plot in self.plots})
            },
            "open": self.open,
            "findings": [{**finding.to_json(), **finding_said(finding)} for finding in self.findings],
        }


def report_plots(
    path: Path,
    measurement: Measurement,
    *,
    file: str | None = None,
    land: Sequence[ParcelLand] | None = None,
    period: tuple[date, date] | None = None,
    layout: Layout | None = None,
) -> PlotReport:
    """Read a file and check it, on a project's land, in its period and by its design where they are given.

    Raises `BadPlotFile` with every fault in words when it cannot be read.
    """
    plots = read_plots_at(path, measurement, file)
    tables = bamboo_parameters() if measurement == "culms" else default_parameters()
    from_on, to_on = period or (None, None)
    strata = None if land is None else dict.fromkeys((parcel.stand_type for parcel in land), 1.0)
    found = check_plots(plots, parameters=tables, strata_ha=strata, from_on=from_on, to_on=to_on)
    placed = () if land is None else tuple(check_places(plots, land))
    laid = () if layout is None else tuple(check_layout(plots, layout))
    order = {"error": 0, "outlier": 1, "warning": 2}
    findings = tuple(
        sorted((*found, *placed, *laid), key=lambda one: (order[one.level], one.plot or "", one.code))
    )
    return PlotReport(
        file or path.name,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        measurement,
        plots,
        findings,
        None if layout is None else layout.sha256,
    )
