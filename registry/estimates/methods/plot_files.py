"""Plot files: CSV or a workbook in, plot records out, or a list of everything that is wrong in the file.

A file has one table with everything, or a table of plots beside tables of trees, culms or volumes, as sheets
of one workbook: what a data row does not say itself is taken from its plot's row. All or nothing is read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal, TypeVar

from registry.estimates.methods.bamboo import CulmClass
from registry.estimates.methods.parameters import ParameterSet, bamboo_parameters, default_parameters
from registry.estimates.methods.plot_cells import (
    Line,
    day,
    name,
    number,
    optional_number,
    plot_area_ha,
    stand_type,
    whole_number,
)
from registry.estimates.methods.plot_columns import heading_of
from registry.estimates.methods.plot_tables import MAX_FILE_BYTES, Faults, RowFault, Table, tables_of
from registry.estimates.methods.plots import CulmPair, MeasuredTree, PlotRecord, TreePair, VolumePair

__all__ = [
    "MAX_FILE_BYTES",
    "READER",
    "Measurement",
    "RowFault",
    "read_culm_plots",
    "read_plot_file",
    "read_plots",
    "read_tree_plots",
]

Measurement = Literal["volume", "trees", "culms"]
P = TypeVar("P")

READER: Final = "plots/2"
"""Raised when the same bytes would be read as other records; what was read before must stay readable."""

_SITE: Final = ("plot_id", "stratum", "area_ha")
_VOLUME: Final = ("measured1_on", "measured2_on", "v1_m3_ha", "v2_m3_ha")
_TREES: Final = ("measured_on", "species", "dbh_cm")
_CULMS: Final = ("measured_on", "dbh_cm", "du")
_OPTIONAL: Final = (
    "parcel_key", "lon_deg", "lat_deg", "explanation", "tree_id", "height_m", "culms",
)  # fmt: skip
_MAX_HEIGHT_M: Final = 100.0
_MAX_CULMS: Final = 100_000


def read_plot_file(
    content: str | bytes, measurement: Measurement, parameters: ParameterSet | None = None
) -> tuple[PlotRecord, ...]:
    """The plots of a file that holds volumes, trees or culms. Raises `BadPlotFile`."""
    reader: Callable[..., tuple[PlotRecord, ...]] = _READERS[measurement]
    return reader(content, parameters)


# ---- lines -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Columns:
    """The positions of a table's fields and the factors of their units."""

    at: Mapping[str, int]
    factors: Mapping[str, Decimal]


def _columns(table: Table, wanted: Sequence[str], faults: Faults) -> _Columns:
    """A column of a known quantity in another unit is a fault, a remark column is not."""
    at: dict[str, int] = {}
    factors: dict[str, Decimal] = {}
    for index, cell in enumerate(table.header):
        heading = heading_of(cell)
        if heading is None or heading.field not in wanted:
            continue
        if heading.fault:
            faults.add(table.header_row, heading.field, cell, heading.fault, table.sheet)
            at.setdefault(heading.field, -1)
            continue
        if heading.field in at and cell:
            faults.add(table.header_row, heading.field, cell, "duplicated_column", table.sheet)
        at[heading.field] = index
        factors[heading.field] = heading.factor
    return _Columns(at, factors)


def _lines(content: str | bytes, needed: Sequence[str], faults: Faults) -> list[Line]:
    """The data lines of all tables, completed from the table of plots where there is one."""
    wanted = (*_SITE, *needed, *_OPTIONAL)
    tables = tables_of(content, faults)
    columns = [_columns(table, wanted, faults) for table in tables]
    pairs = list(zip(tables, columns, strict=True))
    data = [
        pair for pair in pairs if all(field in pair[1].at for field in needed) and "plot_id" in pair[1].at
    ]
    if not data:
        _missing(pairs, (*_SITE, *needed), faults)
        return []
    sites = [pair for pair in pairs if pair not in data and {"plot_id", "area_ha"} <= set(pair[1].at)]
    for table, of_table in data:
        known = set(of_table.at).union(*(one.at for _, one in sites))
        for field in (*_SITE, *needed):
            if field not in known:
                faults.add(table.header_row, field, "", "missing_column", table.sheet)
    faults.refuse_if_any()
    described = _sites(sites, faults)
    lines = [line for pair in data for line in _rows(*pair, faults)]
    _require_described(lines, described, faults)
    return [_completed(line, described) for line in lines]


def _missing(pairs: Sequence[tuple[Table, _Columns]], required: Sequence[str], faults: Faults) -> None:
    """No table has what is needed: say it of the one that has most of it."""
    if not pairs:
        faults.refuse_if_any()
        return
    table, columns = max(pairs, key=lambda pair: len(pair[1].at))
    for field in required:
        if field not in columns.at:
            faults.add(table.header_row, field, "", "missing_column", table.sheet)
    faults.refuse_if_any()


def _rows(table: Table, columns: _Columns, faults: Faults) -> Iterator[Line]:
    width = len(table.header)
    for row, cells in table.rows:
        if len(cells) != width:
            faults.add(row, "", str(len(cells)), "wrong_number_of_cells", table.sheet)
            continue
        values = {field: cells[index] for field, index in columns.at.items() if index >= 0}
        yield Line(table.sheet, row, values, columns.factors)


def _sites(tables: Sequence[tuple[Table, _Columns]], faults: Faults) -> dict[str, Line]:
    """The row of each plot in the tables of plots."""
    found: dict[str, Line] = {}
    for pair in tables:
        for line in _rows(*pair, faults):
            plot_id = name(line, "plot_id", faults)
            if plot_id in found:
                line.fault(faults, "plot_id", plot_id, "duplicated_plot")
            found[plot_id] = line
    return found


def _require_described(lines: Sequence[Line], described: Mapping[str, Line], faults: Faults) -> None:
    if not described:
        return
    measured = {line.cells["plot_id"] for line in lines}
    for plot_id, site in described.items():
        if plot_id not in measured:
            site.fault(faults, "plot_id", plot_id, "plot_not_measured")
    for line in lines:
        plot_id = line.cells["plot_id"]
        if plot_id and plot_id not in described:
            line.fault(faults, "plot_id", plot_id, "plot_not_described")


def _completed(line: Line, described: Mapping[str, Line]) -> Line:
    site = described.get(line.cells["plot_id"])
    if site is None:
        return line
    own = {field: text for field, text in line.cells.items() if text or field not in site.cells}
    factors = {**site.factors, **{field: line.factors[field] for field in own if field in line.factors}}
    return Line(line.sheet, line.row, {**site.cells, **own}, factors)


# ---- what all plots have -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Site:
    """What every row of a plot must repeat alike; the explanation may stand in one of them."""

    stratum: str
    area_ha: float
    lon_deg: float | None
    lat_deg: float | None
    parcel_key: str | None
    explanation: str | None


def _site(line: Line, tables: ParameterSet, faults: Faults) -> _Site:
    return _Site(
        stand_type(line, "stratum", tables, faults),
        plot_area_ha(line, tables, faults),
        optional_number(line, "lon_deg", -180, 180, faults),
        optional_number(line, "lat_deg", -90, 90, faults),
        line.cells.get("parcel_key") or None,
        line.cells.get("explanation") or None,
    )


def _record(
    plot_id: str, site: _Site, days: tuple[date, date], measurement: VolumePair | TreePair | CulmPair
) -> PlotRecord:
    return PlotRecord(
        plot_id, site.stratum, site.area_ha, *days, measurement,
        site.lon_deg, site.lat_deg, site.parcel_key, site.explanation,
    )  # fmt: skip


# ---- volumes -----------------------------------------------------------------------------------------------


def read_plots(content: str | bytes, parameters: ParameterSet | None = None) -> tuple[PlotRecord, ...]:
    """Plots with stand volumes; CSV (comma, semicolon or tab; UTF-8, UTF-16 or GB 18030) or a workbook.

    Columns `plot_id, stratum, area_ha, measured1_on, measured2_on, v1_m3_ha, v2_m3_ha`, optionally
    `parcel_key, lon_deg, lat_deg, explanation`, under the headings of `plot_columns`; stand types by code or
    Chinese name; further columns are remarks. One row per plot. Raises `BadPlotFile`, whose fact `faults`
    lists every fault as `{row, field, value, code}`, with `sheet` in a workbook; then nothing was read.
    """
    tables = parameters or default_parameters()
    faults = Faults()
    plots: list[PlotRecord] = []
    seen: set[str] = set()
    for line in _lines(content, _VOLUME, faults):
        plot_id = name(line, "plot_id", faults)
        if plot_id in seen and plot_id:
            line.fault(faults, "plot_id", plot_id, "duplicated_plot")
        seen.add(plot_id)
        first, second = day(line, "measured1_on", faults), day(line, "measured2_on", faults)
        if date.min not in (first, second) and second <= first:
            line.fault(faults, "measured2_on", line.cells["measured2_on"], "dates_not_rising")
        highest = tables.setting("max_volume_m3_ha")
        volumes = VolumePair(
            number(line, "v1_m3_ha", 0, highest, faults), number(line, "v2_m3_ha", 0, highest, faults)
        )
        plots.append(_record(plot_id, _site(line, tables, faults), (first, second), volumes))
    if not plots and not faults.rows:
        faults.add(1, "", "", "empty_file")
    faults.refuse_if_any()
    return tuple(plots)


# ---- trees and culms ---------------------------------------------------------------------------------------


class _Visits:
    """Rows gathered by plot and date."""

    def __init__(self, tables: ParameterSet, faults: Faults) -> None:
        self.tables = tables
        self.faults = faults
        self.sites: dict[str, _Site] = {}
        self.first_lines: dict[str, Line] = {}
        self.tagged: set[tuple[str, date, str]] = set()

    def visit(self, line: Line) -> tuple[str, date]:
        plot_id = name(line, "plot_id", self.faults)
        site = _site(line, self.tables, self.faults)
        known = self.sites.setdefault(plot_id, site)
        said = known.explanation or site.explanation
        if replace(known, explanation=said) != replace(site, explanation=site.explanation or said):
            line.fault(self.faults, "plot_id", plot_id, "plot_described_twice")
        self.sites[plot_id] = replace(known, explanation=said)
        self.first_lines.setdefault(plot_id, line)
        return plot_id, day(line, "measured_on", self.faults)

    def tag(self, line: Line, plot_id: str, on: date) -> str | None:
        """The number of a tree, which is there once in a visit."""
        tag = line.cells.get("tree_id") or None
        if tag is not None:
            if (plot_id, on, tag) in self.tagged:
                line.fault(self.faults, "tree_id", tag, "duplicated_tree")
            self.tagged.add((plot_id, on, tag))
        return tag

    def end(self, plots: Mapping[str, Mapping[date, object]]) -> None:
        if not plots and not self.faults.rows:
            self.faults.add(1, "", "", "empty_file")
        for plot_id, dates in plots.items():
            if len(dates) != 2:
                self.first_lines[plot_id].fault(self.faults, "measured_on", plot_id, "not_two_dates")
        self.faults.refuse_if_any()


def read_tree_plots(content: str | bytes, parameters: ParameterSet | None = None) -> tuple[PlotRecord, ...]:
    """Plots with their trees, one row per living tree and date; files as in `read_plots`.

    Columns `plot_id, stratum, area_ha, measured_on, species, dbh_cm`, optionally `tree_id, height_m,
    parcel_key, lon_deg, lat_deg, explanation`. A row with neither species nor diameter says that the plot was
    visited and held no living tree, so that a felled plot can be recorded. Each plot has exactly two dates,
    one stratum and one area. Raises `BadPlotFile`.
    """
    tables = parameters or default_parameters()
    faults = Faults()
    visits = _Visits(tables, faults)
    plots: dict[str, dict[date, list[MeasuredTree]]] = {}
    for line in _lines(content, _TREES, faults):
        plot_id, on = visits.visit(line)
        trees = plots.setdefault(plot_id, {}).setdefault(on, [])
        if line.cells.get("species") or line.cells.get("dbh_cm"):
            species = stand_type(line, "species", tables, faults)
            dbh_cm = number(line, "dbh_cm", 0, tables.setting("max_dbh_cm"), faults)
            height_m = optional_number(line, "height_m", 0, _MAX_HEIGHT_M, faults)
            trees.append(MeasuredTree(species, dbh_cm, visits.tag(line, plot_id, on), height_m))
    visits.end(plots)
    return tuple(
        _record(plot_id, visits.sites[plot_id], *_pair(dates, TreePair)) for plot_id, dates in plots.items()
    )


def read_culm_plots(content: str | bytes, parameters: ParameterSet | None = None) -> tuple[PlotRecord, ...]:
    """Plots of Moso bamboo, one row per living culm or class of alike culms, and date; files as in
    `read_plots`.

    Columns `plot_id, stratum, area_ha, measured_on, dbh_cm, du`, optionally `culms` (how many are alike; one
    where there is no such column) and those of `read_tree_plots`. Culms thinner than E-F6 was fitted for are
    read and not counted, as trees below 5 cm. A row with neither diameter nor age says
    that no culm stood there. Raises `BadPlotFile`.
    """
    tables = parameters if parameters is not None and parameters.bamboo else bamboo_parameters()
    model = tables.culm_model
    faults = Faults()
    visits = _Visits(tables, faults)
    plots: dict[str, dict[date, list[CulmClass]]] = {}
    for line in _lines(content, _CULMS, faults):
        plot_id, on = visits.visit(line)
        culms = plots.setdefault(plot_id, {}).setdefault(on, [])
        if line.cells.get("dbh_cm") or line.cells.get("du"):
            visits.tag(line, plot_id, on)
            dbh_cm = number(line, "dbh_cm", 0, model.max_dbh_cm, faults)
            du = whole_number(line, "du", 1, int(model.max_du), faults)
            counted = whole_number(line, "culms", 1, _MAX_CULMS, faults) if line.cells.get("culms") else 1
            culms.append(CulmClass(dbh_cm, du, counted))
    visits.end(plots)
    return tuple(
        _record(plot_id, visits.sites[plot_id], *_pair(dates, CulmPair)) for plot_id, dates in plots.items()
    )


def _pair(visits: Mapping[date, Sequence[Any]], kind: Callable[..., P]) -> tuple[tuple[date, date], P]:
    """The two dates in their order, and what was found at each."""
    (first, ones), (second, others) = sorted(visits.items(), key=lambda visit: visit[0])
    return (first, second), kind(tuple(ones), tuple(others))


_READERS: Final[Mapping[str, Callable[..., tuple[PlotRecord, ...]]]] = {
    "volume": read_plots,
    "trees": read_tree_plots,
    "culms": read_culm_plots,
}
