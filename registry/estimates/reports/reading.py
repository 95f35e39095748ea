"""A run's record read for its report: leniently, because a report shows records of every version.

What a record has is read strictly as to its type, or the record is `RecordMalformed`; what it has not is
None. So an old record, or one that says more than this reader knows, still makes a report.
"""

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal, InvalidOperation

from ledger.canonical import JsonValue, decode
from ledger.errors import NotCanonical
from registry.estimates.reports.facts import (
    AttestedRow,
    ChainLine,
    Finding,
    OpinionCheck,
    PlotChanged,
    PlotChangeFact,
    RasterOpinion,
    SaturationFact,
    ScreeningFact,
    SecondOpinion,
    StratumFact,
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

    def decimals(self) -> dict[str, Decimal]:
        """Decimals by name, of an object that holds nothing else."""
        return {name: self.decimal(name) for name in self.value}

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


def read_plot_changes(record: Part) -> tuple[PlotChanged, ...] | None:
    """The change of every plot used; None where the record has only their strata."""
    evidence = record.part("evidence")
    if not evidence.has("plots"):
        return None
    return tuple(
        PlotChanged(
            plot=one.text("plot_id"),
            stratum=one.text("stratum"),
            delta_tc_ha=one.decimal("delta_tc_ha"),
            raster_delta_t_ha=one.decimal_or_none("raster_delta_t_ha"),
        )
        for one in evidence.parts("plots")
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


def read_saturation(record: Part) -> SaturationFact | None:
    """What a bamboo stand that is filling up may still be credited with."""
    found = record.part("evidence").part("saturation")
    if not found.value:
        return None
    return SaturationFact(**{one.name: found.decimal(one.name) for one in fields(SaturationFact)})


def read_screening(record: Part) -> ScreeningFact | None:
    screening = record.part("screening")
    if not screening.value:
        return None
    return ScreeningFact(
        delta_tco2e=screening.decimal("delta_tco2e"),
        uncertainty_pct=screening.decimal_or_none("uncertainty_pct"),
        valid_area_share=screening.decimal_or_none("valid_area_share"),
        se_tc=screening.decimal_or_none("se_agb_t"),
        opinion=_raster_opinion(screening.part("second_opinion")),
    )


def _raster_opinion(found: Part) -> RasterOpinion | None:
    if not found.value:
        return None
    return RasterOpinion(
        draws=found.whole("draws"),
        parts=found.whole("parts"),
        seed_sha256=found.text_or_none("seed_sha256"),
        rho_space=found.decimal("rho_space"),
        agrees=found.value.get("agrees") is True,
        uncertainty_pct=found.decimal_or_none("uncertainty_pct"),
        change_tco2e=found.part("change_quantiles_tco2e").decimals(),
        checks=_checks(found.part("checks")),
        told=dict(found.value),
    )


def read_second_opinion(record: Part) -> SecondOpinion | None:
    """The Monte Carlo of a record that has one."""
    found = record.part("evidence").part("second_opinion")
    if not found.value:
        return None
    change = found.part("change_quantiles_tco2e").decimals()
    return SecondOpinion(
        draws=found.whole("draws"),
        seed_sha256=found.text_or_none("seed_sha256"),
        agrees=found.value.get("agrees") is True,
        mean_tc_ha=found.decimal_or_none("mean_tc_ha"),
        se_tc_ha=found.decimal_or_none("se_tc_ha"),
        uncertainty_pct=found.decimal_or_none("uncertainty_pct"),
        change_tco2e=change,
        net_tco2e=found.part("net_quantiles_tco2e").decimals(),
        refused_share=found.decimal_or_none("refused_share"),
        below_credited=found.decimal_or_none("p_true_below_credited"),
        checks=_checks(found.part("checks")),
        told=dict(found.value),
    )


def _checks(checks: Part) -> tuple[OpinionCheck, ...]:
    return tuple(
        OpinionCheck(name, check.decimal("formula"), check.decimal("drawn"), check.decimal("allowed"))
        for name in sorted(checks.value)
        for check in [checks.part(name)]
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
        Finding(
            code=one.text("code"),
            level=one.text_or_none("level") or "warning",
            plot=one.text_or_none("plot"),
            value=one.text_or_none("value") or "",
            limit=one.text_or_none("limit") or "",
            answer=one.text_or_none("answer"),
        )
        for one in evidence.parts("findings")
    )
