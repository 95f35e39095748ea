"""Plot files: CSV in, plot records out, or a list of everything that is wrong in the file."""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from registry.estimates.methods.errors import BadPlotFile, UnknownStandType
from registry.estimates.methods.parameters import ParameterSet, default_parameters
from registry.estimates.methods.plots import MeasuredTree, PlotRecord, TreePair, VolumePair


@dataclass(frozen=True, slots=True)
class RowFault:
    """One thing wrong in a file: line number (the header is line 1), column, the text that stands there, a
    code.
    """

    row: int
    field: str
    value: str
    code: str

    def facts(self) -> dict[str, object]:
        return {"row": self.row, "field": self.field, "value": self.value, "code": self.code}


MAX_FILE_BYTES: Final = 20_000_000

_OTHER_HEADINGS: Final[Mapping[str, str]] = {
    "stand_type": "stratum",
    "date1": "measured1_on",
    "date2": "measured2_on",
    "volume1_m3_ha": "v1_m3_ha",
    "volume2_m3_ha": "v2_m3_ha",
    "lon": "lon_deg",
    "lat": "lat_deg",
    "小班号": "parcel_key",
    "样地号": "plot_id",
    "林分类型": "stratum",
    "优势树种": "stratum",
    "样地面积_公顷": "area_ha",
    "前期调查日期": "measured1_on",
    "后期调查日期": "measured2_on",
    "调查日期": "measured_on",
    "前期蓄积_立方米每公顷": "v1_m3_ha",
    "后期蓄积_立方米每公顷": "v2_m3_ha",
    "树种": "species",
    "胸径_厘米": "dbh_cm",
    "经度": "lon_deg",
    "纬度": "lat_deg",
}
_VOLUME_COLUMNS: Final = (
    "plot_id",
    "stratum",
    "area_ha",
    "measured1_on",
    "measured2_on",
    "v1_m3_ha",
    "v2_m3_ha",
)
_TREE_COLUMNS: Final = ("plot_id", "stratum", "area_ha", "measured_on", "species", "dbh_cm")
_OPTIONAL_COLUMNS: Final = ("parcel_key", "lon_deg", "lat_deg")
_UNITS: Final[Mapping[str, str]] = {
    "area": "area_ha",
    "样地面积": "area_ha",
    "面积": "area_ha",
    "v1": "v1_m3_ha",
    "v2": "v2_m3_ha",
    "volume1": "v1_m3_ha",
    "volume2": "v2_m3_ha",
    "前期蓄积": "v1_m3_ha",
    "后期蓄积": "v2_m3_ha",
    "dbh": "dbh_cm",
    "胸径": "dbh_cm",
}
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOT_FINITE: Final = frozenset({"nan", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity"})
_DATE: Final = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})")


class _Faults:
    def __init__(self) -> None:
        self.rows: list[RowFault] = []

    def add(self, row: int, field: str, value: str, code: str) -> None:
        self.rows.append(RowFault(row, field, value[:200], code))

    def refuse_if_any(self) -> None:
        if self.rows:
            faults = sorted(self.rows, key=lambda fault: (fault.row, fault.field))
            raise BadPlotFile(count=len(faults), faults=[fault.facts() for fault in faults])


def _text(content: str | bytes, faults: _Faults) -> str:
    if len(content) > MAX_FILE_BYTES:
        faults.add(0, "", str(len(content)), "file_too_large")
        faults.refuse_if_any()
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    faults.add(0, "", "", "not_text")
    faults.refuse_if_any()
    raise AssertionError("unreachable")


def _header(cells: Sequence[str], required: Sequence[str], faults: _Faults) -> dict[str, int]:
    """Column positions by name; a column of a known quantity in another unit is a fault, a remark column is
    not.
    """
    positions: dict[str, int] = {}
    for index, cell in enumerate(cells):
        name = cell.strip().lower()
        name = _OTHER_HEADINGS.get(name, name)
        if name in required or name in _OPTIONAL_COLUMNS:
            if name in positions:
                faults.add(1, name, cell, "duplicated_column")
            positions[name] = index
            continue
        expected = _UNITS.get(name.split("_")[0])
        if expected is not None and expected in required:
            faults.add(1, expected, cell, "wrong_unit")
            positions.setdefault(expected, -1)
    for name in required:
        if name not in positions:
            faults.add(1, name, "", "missing_column")
    return positions


@dataclass(frozen=True, slots=True)
class _Line:
    """One data line: its number and its cells by column name, stripped."""

    row: int
    cells: Mapping[str, str]


def _lines(content: str | bytes, required: Sequence[str], faults: _Faults) -> Iterator[_Line]:
    text = _text(content, faults)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    positions: dict[str, int] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if positions is None:
                width = len(cells)
                positions = _header(cells, required, faults)
                faults.refuse_if_any()
                continue
            if len(cells) != width:
                faults.add(reader.line_num, "", str(len(cells)), "wrong_number_of_cells")
                continue
            values = {name: cells[index].strip() for name, index in positions.items()}
            yield _Line(reader.line_num, values)
    except csv.Error as error:
        faults.add(reader.line_num, "", str(error), "not_a_csv")
    if positions is None:
        faults.add(1, "", "", "empty_file")


def _number(line: _Line, field: str, low: float, high: float, faults: _Faults) -> float:
    text = line.cells[field]
    code = ""
    if not text:
        code = "missing_value"
    elif text.lower() in _NOT_FINITE:
        code = "not_finite"
    elif not _NUMBER.fullmatch(text):
        code = "not_a_number"
    elif not math.isfinite(float(text)):
        code = "not_finite"
    elif not low <= float(text) <= high:
        code = "out_of_range"
    if code:
        faults.add(line.row, field, text, code)
        return low
    return float(text)


def _optional_number(line: _Line, field: str, low: float, high: float, faults: _Faults) -> float | None:
    if not line.cells.get(field):
        return None
    return _number(line, field, low, high, faults)


def _date(line: _Line, field: str, faults: _Faults) -> date:
    text = line.cells[field]
    match = _DATE.fullmatch(text)
    if match:
        try:
            return date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            pass
    faults.add(line.row, field, text, "not_a_date" if text else "missing_value")
    return date.min


def _name(line: _Line, field: str, faults: _Faults) -> str:
    if not line.cells[field]:
        faults.add(line.row, field, "", "missing_value")
    return line.cells[field]


def _stand_type(line: _Line, field: str, parameters: ParameterSet, faults: _Faults) -> str:
    name = _name(line, field, faults)
    try:
        return parameters.stand_type_named(name).code if name else ""
    except UnknownStandType:
        faults.add(line.row, field, name, "unknown_stand_type")
        return ""


def _area(line: _Line, parameters: ParameterSet, faults: _Faults) -> float:
    low, high = parameters.setting("min_plot_area_ha"), parameters.setting("max_plot_area_ha")
    return _number(line, "area_ha", low, high, faults)


def read_plots(content: str | bytes, parameters: ParameterSet | None = None) -> tuple[PlotRecord, ...]:
    """Plots with stand volumes from a CSV file (comma, semicolon or tab; UTF-8 or GB 18030).

    Columns `plot_id, stratum, area_ha, measured1_on, measured2_on, v1_m3_ha, v2_m3_ha`, optionally
    `parcel_key, lon_deg, lat_deg`; the other headings of `_OTHER_HEADINGS` and the Chinese names of stand
    types are taken too; further columns are remarks. One row per plot. Raises `BadPlotFile`,
    whose fact `faults` lists every fault as `{row, field, value, code}`; then nothing was read.
    """
    tables = parameters or default_parameters()
    faults = _Faults()
    plots: list[PlotRecord] = []
    seen: set[str] = set()
    for line in _lines(content, _VOLUME_COLUMNS, faults):
        plot_id = _name(line, "plot_id", faults)
        if plot_id in seen and plot_id:
            faults.add(line.row, "plot_id", plot_id, "duplicated_plot")
        seen.add(plot_id)
        first, second = _date(line, "measured1_on", faults), _date(line, "measured2_on", faults)
        if date.min not in (first, second) and second <= first:
            faults.add(line.row, "measured2_on", line.cells["measured2_on"], "dates_not_rising")
        highest = tables.setting("max_volume_m3_ha")
        volumes = VolumePair(
            _number(line, "v1_m3_ha", 0, highest, faults), _number(line, "v2_m3_ha", 0, highest, faults)
        )
        plots.append(
            PlotRecord(
                plot_id,
                _stand_type(line, "stratum", tables, faults),
                _area(line, tables, faults),
                first,
                second,
                volumes,
                _optional_number(line, "lon_deg", -180, 180, faults),
                _optional_number(line, "lat_deg", -90, 90, faults),
                line.cells.get("parcel_key") or None,
            )
        )
    if not plots and not faults.rows:
        faults.add(1, "", "", "empty_file")
    faults.refuse_if_any()
    return tuple(plots)


@dataclass(frozen=True, slots=True)
class _Site:
    """What every row of a tree plot must repeat alike."""

    stratum: str
    area_ha: float
    lon_deg: float | None
    lat_deg: float | None
    parcel_key: str | None


def read_tree_plots(content: str | bytes, parameters: ParameterSet | None = None) -> tuple[PlotRecord, ...]:
    """Plots with their trees from a CSV file, one row per living tree and date.

    Columns `plot_id, stratum, area_ha, measured_on, species, dbh_cm`, optionally `parcel_key, lon_deg,
    lat_deg`. A row with neither species nor diameter says that the plot was visited and held no living tree,
    so that a felled plot can be recorded. Each plot has exactly two dates, one stratum and one area. Raises
    `BadPlotFile`.
    """
    tables = parameters or default_parameters()
    faults = _Faults()
    visits: dict[str, dict[date, list[MeasuredTree]]] = {}
    sites: dict[str, _Site] = {}
    rows: dict[str, int] = {}
    for line in _lines(content, _TREE_COLUMNS, faults):
        plot_id = _name(line, "plot_id", faults)
        site = _Site(
            _stand_type(line, "stratum", tables, faults),
            _area(line, tables, faults),
            _optional_number(line, "lon_deg", -180, 180, faults),
            _optional_number(line, "lat_deg", -90, 90, faults),
            line.cells.get("parcel_key") or None,
        )
        if sites.setdefault(plot_id, site) != site:
            faults.add(line.row, "plot_id", plot_id, "plot_described_twice")
        rows.setdefault(plot_id, line.row)
        measured_on = _date(line, "measured_on", faults)
        trees = visits.setdefault(plot_id, {}).setdefault(measured_on, [])
        if line.cells["species"] or line.cells["dbh_cm"]:
            species = _stand_type(line, "species", tables, faults)
            trees.append(
                MeasuredTree(species, _number(line, "dbh_cm", 0, tables.setting("max_dbh_cm"), faults))
            )
    if not visits and not faults.rows:
        faults.add(1, "", "", "empty_file")
    for plot_id, dates in visits.items():
        if len(dates) != 2:
            faults.add(rows[plot_id], "measured_on", plot_id, "not_two_dates")
    faults.refuse_if_any()
    return tuple(
        _tree_record(plot_id, sites[plot_id], dict(sorted(dates.items())))
        for plot_id, dates in visits.items()
    )


def _tree_record(plot_id: str, site: _Site, visits: Mapping[date, Sequence[MeasuredTree]]) -> PlotRecord:
    (first, trees1), (second, trees2) = visits.items()
    measurement = TreePair(tuple(trees1), tuple(trees2))
    return PlotRecord(
        plot_id,
        site.stratum,
        site.area_ha,
        first,
        second,
        measurement,
        site.lon_deg,
        site.lat_deg,
        site.parcel_key,
    )
