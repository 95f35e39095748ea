"""Cells of a plot file as values: what is written one way only is read, what is ambiguous is a fault.

Numbers have a point; `12,5` is refused, because `1,234` may be either. Dates are year, month and day in this
order (2024-06-01, 2024/6/1, 20240601, 2024年6月1日) or the serial day of a spreadsheet program (45444).
"""

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from registry.estimates.methods.errors import UnknownStandType
from registry.estimates.methods.parameters import MOSO_BAMBOO, ParameterSet
from registry.estimates.methods.plot_tables import Faults

_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?[0-9]+,[0-9]+")
_NOT_FINITE: Final = frozenset({"nan", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity"})
_DATE: Final = re.compile(r"([0-9]{4})(?:([-/.])([0-9]{1,2})\2([0-9]{1,2})|年([0-9]{1,2})月([0-9]{1,2})日)")
_COMPACT_DATE: Final = re.compile(r"((?:19|20)[0-9]{2})([0-9]{2})([0-9]{2})")
_MIDNIGHT: Final = re.compile(r"[ T]0?0:00(:00)?(\.0+)?$")
_SERIAL: Final = re.compile(r"[2-7][0-9]{4}")
"""1954 to 2119: whole days of the 1900 system, in which day 60 is one that never was."""
_SERIAL_ZERO: Final = date(1899, 12, 30)
_ONE: Final = Decimal(1)

_BAMBOO_NAMES: Final = frozenset({MOSO_BAMBOO, "毛竹", "毛竹林"})


@dataclass(frozen=True, slots=True)
class Line:
    """One data line: its sheet and number, its cells by field, stripped, and the factors of their units."""

    sheet: str
    row: int
    cells: Mapping[str, str]
    factors: Mapping[str, Decimal]

    def fault(self, faults: Faults, field: str, value: str, code: str) -> None:
        faults.add(self.row, field, value, code, self.sheet)


def number(line: Line, field: str, low: float, high: float, faults: Faults) -> float:
    """A number in the field's unit within [low, high]; `low` after a fault."""
    text = unicodedata.normalize("NFKC", line.cells.get(field, ""))
    code = _fault_of(text)
    value = low
    if not code:
        factor = line.factors.get(field, _ONE)
        value = float(text) if factor == 1 else float(Decimal(text) * factor)
        if not math.isfinite(value):
            code = "not_finite"
        elif not low <= value <= high:
            code = "out_of_range"
    if code:
        line.fault(faults, field, text, code)
        return low
    return value


def _fault_of(text: str) -> str:
    if not text:
        return "missing_value"
    if text.lower() in _NOT_FINITE:
        return "not_finite"
    if _DECIMAL_COMMA.fullmatch(text):
        return "decimal_comma"
    return "" if _NUMBER.fullmatch(text) else "not_a_number"


def optional_number(line: Line, field: str, low: float, high: float, faults: Faults) -> float | None:
    return number(line, field, low, high, faults) if line.cells.get(field) else None


def whole_number(line: Line, field: str, low: int, high: int, faults: Faults) -> int:
    value = number(line, field, low, high, faults)
    if value != int(value):
        line.fault(faults, field, line.cells[field], "not_a_whole_number")
    return int(value)


def day(line: Line, field: str, faults: Faults) -> date:
    """A civil date; `date.min` after a fault."""
    text = line.cells.get(field, "")
    found = date_of(text)
    if found is None:
        line.fault(faults, field, text, "not_a_date" if text else "missing_value")
        return date.min
    return found


def date_of(text: str) -> date | None:
    """The date that a text spells, in one of the four ways of this module; None for anything else."""
    text = _MIDNIGHT.sub("", unicodedata.normalize("NFKC", text).strip())
    parts: tuple[str, ...] = ()
    if match := _DATE.fullmatch(text):
        parts = (match[1], match[3] or match[5], match[4] or match[6])
    elif match := _COMPACT_DATE.fullmatch(text):
        parts = (match[1], match[2], match[3])
    elif _SERIAL.fullmatch(text):
        return _SERIAL_ZERO + timedelta(days=int(text))
    try:
        return date(*map(int, parts)) if parts else None
    except ValueError:
        return None


def name(line: Line, field: str, faults: Faults) -> str:
    if not line.cells.get(field):
        line.fault(faults, field, "", "missing_value")
        return ""
    return line.cells[field]


def stand_type(line: Line, field: str, parameters: ParameterSet, faults: Faults) -> str:
    """The code of a stand type by its code or Chinese name; empty after a fault."""
    text = name(line, field, faults)
    if text in _BAMBOO_NAMES and parameters.bamboo is not None:
        return MOSO_BAMBOO
    try:
        return parameters.stand_type_named(text).code if text else ""
    except UnknownStandType:
        line.fault(faults, field, text, "unknown_stand_type")
        return ""


def plot_area_ha(line: Line, parameters: ParameterSet, faults: Faults) -> float:
    low, high = parameters.setting("min_plot_area_ha"), parameters.setting("max_plot_area_ha")
    return number(line, "area_ha", low, high, faults)
