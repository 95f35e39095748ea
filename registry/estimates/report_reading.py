"""A run's record read for its report: leniently, because a report shows records of every version.

What a record has is read strictly as to its type, or the record is `RecordMalformed`; what it has not is
None. So an old record, or one that says more than this reader knows, still makes a report.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from ledger.canonical import JsonValue, decode
from ledger.errors import NotCanonical
from registry.estimates.methods import MethodVersion, method_version
from registry.estimates.methods.errors import MethodRefusal, UnknownMethod
from registry.estimates.report import (
    AttestedRow,
    ChainLine,
    Finding,
    MethodSheet,
    ParameterRow,
    PlotChangeFact,
    ScreeningFact,
    SecondOpinion,
    StratumFact,
    TableFact,
    TermsFact,
    TimeFact,
)
from registry.estimates.rules import RecordMalformed


class Part:
    """A JSON object of a record; `at` is its place, for the refusal."""

    def __init__(self, value: Mapping[str, JsonValue], at: str = "") -> None:
        self.value, self.at = value, at

    @classmethod
    def of_text(cls, text: str) -> "Part":
        """A whole record. Raises `RecordMalformed`."""
        try:
            document = decode(text.encode())
        except NotCanonical as fault:
            raise RecordMalformed(reason="it is not canonical JSON") from fault
        if not isinstance(document, dict):
            raise RecordMalformed(reason="it is no object")
        return cls(document)

    def fault(self, name: str) -> RecordMalformed:
        return RecordMalformed(reason=f"{self.at}{name} is missing or of another type")

    def has(self, name: str) -> bool:
        return self.value.get(name) is not None

    def part(self, name: str) -> "Part":
        """The object of a name; an empty one where the record has none."""
        found = self.value.get(name)
        if found is not None and not isinstance(found, dict):
            raise self.fault(name)
        return Part(found or {}, f"{self.at}{name}.")

    def parts(self, name: str) -> list["Part"]:
        found = self.value.get(name)
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise self.fault(name)
        return [Part(one, f"{self.at}{name}.") for one in found if isinstance(one, dict)]

    def text(self, name: str) -> str:
        found = self.text_or_none(name)
        if found is None:
            raise self.fault(name)
        return found

    def text_or_none(self, name: str) -> str | None:
        found = self.value.get(name)
        if found is not None and not isinstance(found, str):
            raise self.fault(name)
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        found = self.value.get(name)
        if found is None:
            return ()
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise self.fault(name)
        return tuple(str(one) for one in found)

    def whole(self, name: str) -> int:
        found = self.whole_or_none(name)
        if found is None:
            raise self.fault(name)
        return found

    def whole_or_none(self, name: str) -> int | None:
        found = self.value.get(name)
        if found is not None and type(found) is not int:
            raise self.fault(name)
        return found

    def decimal(self, name: str) -> Decimal:
        found = self.decimal_or_none(name)
        if found is None:
            raise self.fault(name)
        return found

    def decimal_or_none(self, name: str) -> Decimal | None:
        """A decimal that the record spells as text; a whole number is one, too."""
        found = self.value.get(name)
        if found is None:
            return None
        try:
            number = Decimal(found) if isinstance(found, str) or type(found) is int else None
        except InvalidOperation:
            number = None
        if number is None or not number.is_finite():
            raise self.fault(name)
        return number

    def said(self) -> dict[str, str]:
        """The plain values as texts, by name."""
        return {
            name: str(value)
            for name, value in sorted(self.value.items())
            if value is not None and not isinstance(value, dict | list)
        }


def read_strata(record: Part) -> tuple[StratumFact, ...]:
    return tuple(
        StratumFact(
            code=one.text("name"),
            area_ha=one.decimal("area_ha"),
            n=one.whole("n"),
            mean=one.decimal("mean"),
            sd=one.decimal("sd"),
        )
        for one in record.part("evidence").parts("strata")
    )


def read_change(record: Part) -> PlotChangeFact | None:
    calibrated = record.part("evidence").part("change")
    change = calibrated.part("change")
    if not change.value:
        return None
    return PlotChangeFact(
        estimator=calibrated.text("estimator"),
        area_ha=change.decimal("area_ha"),
        df=change.whole("df"),
        t_value=change.decimal("t_value"),
        mean_tc_ha=change.decimal("mean_delta_tc_ha"),
        se_tc_ha=change.decimal("se_tc_ha"),
        uncertainty_pct=change.decimal_or_none("uncertainty_pct"),
        delta_tco2e=change.decimal("delta_tco2e"),
        coefficient=calibrated.decimal_or_none("coefficient"),
        raster_mean_t_ha=calibrated.decimal_or_none("raster_mean_t_ha"),
        raster_mean_at_plots_t_ha=calibrated.decimal_or_none("raster_mean_at_plots_t_ha"),
    )


def read_time(record: Part) -> TimeFact | None:
    time = record.part("evidence").part("time")
    if not time.value:
        return None
    return TimeFact(
        period_days=time.whole("period_days"),
        shortest_days=time.whole("plot_days_shortest"),
        longest_days=time.whole("plot_days_longest"),
        scale=time.decimal("scale"),
    )


def read_screening(record: Part) -> ScreeningFact | None:
    screening = record.part("screening")
    if not screening.value:
        return None
    return ScreeningFact(
        delta_tco2e=screening.decimal("delta_tco2e"),
        uncertainty_pct=screening.decimal_or_none("uncertainty_pct"),
        valid_area_share=screening.decimal_or_none("valid_area_share"),
    )


def read_second_opinion(record: Part) -> SecondOpinion | None:
    """The Monte Carlo of a record that has one."""
    found = record.part("evidence").part("second_opinion")
    if not found.value:
        return None
    return SecondOpinion(
        draws=found.whole("draws"),
        seed=found.said().get("seed"),
        mean_tco2e=found.decimal_or_none("mean_tco2e"),
        sd_tco2e=found.decimal_or_none("sd_tco2e"),
        low_tco2e=found.decimal_or_none("low_tco2e"),
        high_tco2e=found.decimal_or_none("high_tco2e"),
        level=found.decimal_or_none("level"),
        uncertainty_pct=found.decimal_or_none("uncertainty_pct"),
        picture=None,
    )


def read_chain(record: Part) -> tuple[ChainLine, ...]:
    return tuple(
        ChainLine(
            line=one.text("line"),
            tco2e=one.decimal_or_none("tco2e"),
            kg=one.whole_or_none("kg"),
            percent=one.decimal_or_none("percent"),
            rate=one.decimal_or_none("rate"),
            share_ppm=one.whole_or_none("share_ppm"),
            mode=one.text_or_none("mode"),
        )
        for one in record.parts("chain")
    )


def read_terms(inputs: Part) -> TermsFact:
    terms = inputs.part("terms")
    return TermsFact(
        risk_mode=terms.text("risk_mode"),
        buffer_ppm=terms.whole("buffer_ppm"),
        withheld_ppm=terms.whole("withheld_ppm"),
        baseline_ppm=terms.whole("baseline_ppm"),
        plausible_kg_ha_year=terms.whole("plausible_kg_ha_year"),
        refused_kg_ha_year=terms.whole("refused_kg_ha_year"),
        assumed=terms.texts("assumed"),
    )


def read_attested(record: Part) -> tuple[AttestedRow, ...]:
    return tuple(
        AttestedRow(one.text("table"), one.text("code"), one.text("mark"), one.text("source"))
        for one in record.parts("rows_to_attest")
    )


def read_findings(record: Part) -> tuple[Finding, ...] | None:
    """What the checks of the plots found; None where the record says nothing of it."""
    evidence = record.part("evidence")
    if not evidence.has("findings"):
        return None
    return tuple(
        Finding(one.text("code"), one.text_or_none("plot"), one.text_or_none("message") or "")
        for one in evidence.parts("findings")
    )


# ---- the method --------------------------------------------------------------------------------------------

_FACTORS = (
    ("wood_density", "t/m³"),
    ("bef", "1"),
    ("root_shoot", "1"),
    ("carbon_fraction", "tC/t"),
)
_SETTINGS_OF_PLOTS = ("reliability", "min_plots_per_stratum", "max_plot_date_offset_days")
_SETTINGS_OF_RASTERS = ("min_valid_area_share", "rho_space", "rho_time", "z_value")
_SETTINGS_OF_LINEAR = ("min_linear_volume_m3_ha",)


def read_method(inputs: Part, stand_types: tuple[str, ...], proven: bool) -> MethodSheet:
    """The method sheet: the rows of this software's tables where they are those of the run, else none."""
    id_, sha256, digests = (
        inputs.text("method"),
        inputs.text("method_sha256"),
        inputs.part("parameter_tables"),
    )
    try:
        ours = method_version(id_)
    except UnknownMethod:
        ours = None
    known = ours is not None and ours.digest() == sha256
    tables = tuple(
        TableFact(name, _version(ours, name, digest), digest) for name, digest in digests.said().items()
    )
    if ours is None or not known:
        return MethodSheet(id_, sha256, False, None, None, None, None, (), tables, ())
    return MethodSheet(
        id=id_,
        sha256=sha256,
        known=True,
        code_version=ours.code_version,
        biomass=ours.biomass.value,
        estimator=ours.estimator.value,
        deduction_rule=ours.deduction_rule,
        deduction_steps=tuple((one.up_to_pct, one.rate, one.share_of_u) for one in ours.rule.steps),
        tables=tables,
        rows=tuple(_rows(ours, stand_types, proven)),
    )


def _version(ours: MethodVersion | None, name: str, digest: str) -> str | None:
    table: Any = getattr(ours.parameters, _ATTRIBUTES.get(name, name), None) if ours is not None else None
    return table.version if table is not None and table.digest() == digest else None


_ATTRIBUTES = {"estimation_rules": "settings"}


def _rows(ours: MethodVersion, stand_types: tuple[str, ...], proven: bool) -> list[ParameterRow]:
    tables = ours.parameters
    rows: list[ParameterRow] = []
    for code in stand_types:
        try:
            row = tables.stand_types.row(code)
        except MethodRefusal:
            continue
        rows += [
            ParameterRow(
                "stand_types", code, name, f"{getattr(row.factors, name):g}", unit, row.source, row.mark
            )
            for name, unit in _FACTORS
        ]
        if ours.biomass.value == "E-F2":
            line = tables.linear_biomass.row(code)
            rows += [
                ParameterRow("linear_biomass", code, "a", f"{line.a:g}", "t/m³", line.source, line.mark),
                ParameterRow("linear_biomass", code, "b", f"{line.b:g}", "t/ha", line.source, line.mark),
            ]
    rule = ours.rule
    for step in rule.steps:
        bound = "" if step.up_to_pct is None else f"U ≤ {step.up_to_pct} %"
        value = step.rate if step.rate is not None else f"{step.share_of_u} × U"
        rows.append(
            ParameterRow("deduction_rules", rule.code, bound, f"{value}", "1", rule.source, rule.mark)
        )
    used = _SETTINGS_OF_RASTERS + (_SETTINGS_OF_PLOTS if proven else ())
    used += _SETTINGS_OF_LINEAR if ours.biomass.value == "E-F2" else ()
    for code in used:
        setting = tables.settings.rows.get(code)
        if setting is not None:
            rows.append(
                ParameterRow(
                    "estimation_rules",
                    code,
                    "",
                    f"{setting.value}",
                    setting.unit,
                    setting.source,
                    setting.mark,
                )
            )
    return rows
