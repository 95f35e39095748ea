"""The method sheet of a run: out of its record, or, for a record that does not say it, out of this software
where that has the very same method.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from ledger.canonical import JsonValue
from registry.estimates.methods import MethodVersion, method_version
from registry.estimates.methods.errors import UnknownMethod
from registry.estimates.parameter_rows import rows_used, table_document, table_sha256
from registry.estimates.plain import plain
from registry.estimates.reports.facts import DeductionStep, MethodSheet, ParameterRow, TableFact
from registry.estimates.reports.reading import Part

FACTORS: Final = {"wood_density": "t/m³", "bef": "1", "root_shoot": "1", "carbon_fraction": "tC/t"}
LINE: Final = {"a": "t/m³", "b": "t/ha"}
LINEAR: Final = "E-F2"
UNUSED: Final = ("site_factor_poor", "site_factor_mean", "site_factor_good")
"""Settings of growth curves, which no run computes with."""


def read_method(record: Part, stand_types: set[str]) -> MethodSheet:
    """The method sheet of a record of any version."""
    inputs = record.part("inputs")
    id_, sha256 = inputs.text("method"), inputs.text("method_sha256")
    ours = _ours(id_, sha256)
    method, rows = record.part("method"), record.part("parameters")
    if not method.value and ours is not None:
        method, rows = Part(_object(ours.record())), Part(_object(rows_used(ours, stand_types)))
    rule = method.text_or_none("deduction_rule")
    steps = rows.part(f"deduction_rules.{rule}").parts("steps")
    return MethodSheet(
        id=id_,
        sha256=sha256,
        known=bool(method.value),
        code_version=method.text_or_none("code_version"),
        biomass=method.text_or_none("biomass"),
        estimator=method.text_or_none("estimator"),
        deduction_rule=rule,
        deduction_steps=tuple(_step(one) for one in steps),
        tables=tuple(
            TableFact(name, _version(name, digest), digest)
            for name, digest in inputs.part("parameter_tables").said().items()
        ),
        rows=tuple(_rows(rows, rule, method.text_or_none("biomass"))),
    )


def _ours(id_: str, sha256: str) -> MethodVersion | None:
    """This software's version of the method, if it is the same to the digest."""
    try:
        ours = method_version(id_)
    except UnknownMethod:
        return None
    return ours if ours.digest() == sha256 else None


def _object(value: Mapping[str, Any]) -> dict[str, JsonValue]:
    told = plain(value)
    assert isinstance(told, dict)
    return told


def _version(table: str, digest: str) -> str | None:
    """The version of a table that this software has, too."""
    try:
        document = table_document(table)
    except FileNotFoundError:
        return None
    return str(document.get("version")) if table_sha256(document) == digest else None


def _step(step: Part) -> DeductionStep:
    return DeductionStep(
        step.decimal_or_none("up_to_pct"), step.decimal_or_none("rate"), step.decimal_or_none("share_of_u")
    )


def _rows(rows: Part, rule: str | None, biomass: str | None) -> Iterator[ParameterRow]:
    """The numbers of the rows that a run computes with, table by table."""
    for name in sorted(rows.value):
        table, _, code = name.partition(".")
        if code in UNUSED or (table == "deduction_rules" and code != rule):
            continue
        if table == "linear_biomass" and biomass != LINEAR:
            continue
        yield from _numbers(table, code, rows.part(name))


def _numbers(table: str, code: str, row: Part) -> Iterator[ParameterRow]:
    source, mark = row.text_or_none("source") or "", row.text_or_none("mark") or ""
    if table == "deduction_rules":
        for step in map(_step, row.parts("steps")):
            name = "" if step.up_to_pct is None else f"U ≤ {step.up_to_pct} %"
            value = f"{step.share_of_u} × U" if step.rate is None else f"{step.rate}"
            yield ParameterRow(table, code, name, value, "1", source, mark)
    elif row.has("value"):
        unit = row.text_or_none("unit") or ""
        yield ParameterRow(table, code, "", _number(row.decimal("value")), unit, source, mark)
    else:
        units = FACTORS if table == "stand_types" else LINE
        for name, unit in units.items():
            if row.has(name):
                yield ParameterRow(table, code, name, _number(row.decimal(name)), unit, source, mark)


def _number(value: Decimal) -> str:
    return format(value, "f")
