"""How much carbon stands on a stratum's land at both dates, beside what is printed for such stands.

A warning, never a refusal: the printed means are of a whole province, and nobody says how old a stand is.
"""

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from registry.estimates.methods.plausible import Plausible, plausible_density
from registry.estimates.reports.blocks import Block, Cell, Column, Paragraph, Speaker, Table, cells, grouped
from registry.estimates.reports.facts import Report, StockDensity
from registry.estimates.reports.reading import Part
from registry.estimates.reports.words import source, stand_type

TC_PER_TCO2E: Final = 12 / 44
CM2_PER_HA: Final = 100_000_000
OUTSIDE: Final = ("below", "above")


def read_stocks(record: Part) -> tuple[StockDensity, ...]:
    """By plots, where the record says what stood on them, and by rasters, on the eligible ground with values.

    A record keeps the smaller share of values of the two dates; where they differ, the density of the other
    date is that much too high.
    """
    return (*_by_plots(record), *_by_rasters(record))


def _by_plots(record: Part) -> Iterator[StockDensity]:
    found: dict[str, list[Part]] = {}
    for plot in record.part("evidence").parts("plots"):
        if plot.has("carbon1_tc_ha") and plot.has("carbon2_tc_ha"):
            found.setdefault(plot.text("stratum"), []).append(plot)
    for code, plots in sorted(found.items()):
        first, last = (
            math.fsum(float(plot.decimal(name)) for plot in plots) / len(plots)
            for name in ("carbon1_tc_ha", "carbon2_tc_ha")
        )
        yield _density(code, "plots", first, last)


def _by_rasters(record: Part) -> Iterator[StockDensity]:
    given = {one.whole("number"): one for one in record.part("inputs").parts("parcels")}
    sums: dict[str, list[tuple[float, float, float]]] = {}
    for one in record.part("results").parts("parcels"):
        parcel = given.get(one.whole("number"))
        if parcel is not None and one.has("stock_start_tco2e") and one.has("stock_end_tco2e"):
            first, last = (float(one.decimal(f"stock_{end}_tco2e")) for end in ("start", "end"))
            sums.setdefault(parcel.text("stand_type"), []).append((_measured_ha(parcel, one), first, last))
    for code, parts in sorted(sums.items()):
        hectares, first, last = (math.fsum(values) for values in zip(*parts, strict=True))
        if hectares:
            yield _density(code, "rasters", first * TC_PER_TCO2E / hectares, last * TC_PER_TCO2E / hectares)


def _measured_ha(parcel: Part, result: Part) -> float:
    """Eligible ground with values: a record has the part of it that is credited."""
    credited = parcel.whole("credited_cm2")
    share = result.decimal_or_none("valid_area_share")
    whole = result.whole("eligible_cm2") * (parcel.whole("area_cm2") / credited) if credited else 0.0
    return whole / CM2_PER_HA * (1.0 if share is None else float(share))


def _density(code: str, by: str, first: float, last: float) -> StockDensity:
    start, end = (plausible_density(code, None, max(value, 0.0)) for value in (first, last))
    return StockDensity(
        code=code,
        by=by,
        start_tc_ha=_digits(first),
        end_tc_ha=_digits(last),
        low_tc_ha=_bound(start.low_tc_ha),
        high_tc_ha=_bound(start.high_tc_ha),
        start=_status(start),
        end=_status(end),
        source=start.source,
    )


def _status(found: Plausible) -> str:
    return found.status


def _digits(value: float) -> Decimal:
    return Decimal(f"{value:.4f}")


def _bound(value: float | None) -> Decimal | None:
    return None if value is None else _digits(value)


# ---- in words ----------------------------------------------------------------------------------------------


def stocks_table(report: Report, say: Speaker) -> Iterator[Block]:
    """Each stratum's density at both dates, its range, and where the range comes from."""
    if not report.stocks:
        return
    yield Table(
        columns=(
            Column(say("层（林分类型）", "stratum (stand type)"), share=3),
            Column(say("依据", "by"), share=2),
            Column(say("期初 tC/公顷", "at the start, tC/ha"), "right", 2),
            Column(say("期末 tC/公顷", "at the end, tC/ha"), "right", 2),
            Column(say("合理范围", "plausible range"), "right", 2),
            Column(say("结果", "result"), share=2),
        ),
        rows=tuple(
            cells(
                (
                    stand_type(say, one.code),
                    _by(one, say),
                    _figure(one.start_tc_ha, one.start),
                    _figure(one.end_tc_ha, one.end),
                    say.unknown if one.low_tc_ha is None else Cell(_range(one)),
                    _result(one, say),
                )
            )
            for one in report.stocks
        ),
        caption=say(
            "林木层碳密度与浙江同类林分的比较", "Carbon of the trees beside stands of the kind in Zhejiang"
        ),
    )
    sources = sorted({source(say, one.source) for one in report.stocks if one.source})
    yield Paragraph(
        say(
            "范围取所载各龄组均值中最低者的一半至最高者的两倍（假定，A）。林龄未记录，因此不分龄组。来源：{sources}",
            "The range is from half of the lowest printed mean of any age class to twice the highest "
            "(assumed, A). Nobody recorded ages, so classes are not told apart. Source: {sources}",
            sources=say("；", "; ").join(sources) or "—",
        ),
        "quiet",
    )


def stock_warnings(report: Report, say: Speaker) -> Iterator[Cell]:
    """One line for every density outside its range."""
    for one in report.stocks:
        for when, value, status in (
            (say("期初", "at the start"), one.start_tc_ha, one.start),
            (say("期末", "at the end"), one.end_tc_ha, one.end),
        ):
            if status in OUTSIDE:
                yield Cell(
                    say(
                        "{stand}{when}的碳密度（按{by}）为 {value} tC/公顷，超出合理范围 {range}，须说明。",
                        "The carbon of {stand} {when} (by {by}) is {value} tC/ha, outside the plausible "
                        "range of {range}: to be explained.",
                        stand=stand_type(say, one.code),
                        when=when,
                        by=_by(one, say),
                        value=grouped(value, 2),
                        range=_range(one),
                    ),
                    tone="warn",
                )


def _by(one: StockDensity, say: Speaker) -> str:
    return say("样地", "plots") if one.by == "plots" else say("栅格", "rasters")


def _figure(value: Decimal, status: str) -> Cell:
    return Cell(grouped(value, 2), tone="warn" if status in OUTSIDE else "")


def _range(one: StockDensity) -> str:
    assert one.low_tc_ha is not None and one.high_tc_ha is not None
    return f"{grouped(one.low_tc_ha, 2)}–{grouped(one.high_tc_ha, 2)}"


def _result(one: StockDensity, say: Speaker) -> Cell:
    if "unknown" in (one.start, one.end):
        return Cell(say("没有参考值", "nothing printed"), tone="quiet")
    if one.start in OUTSIDE or one.end in OUTSIDE:
        return Cell(say("超出范围", "outside"), tone="warn", strong=True)
    return Cell(say("在范围内", "inside"), tone="good")
