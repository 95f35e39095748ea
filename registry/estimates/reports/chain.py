"""The section of a report with E-C1, line by line: from the change to what may be issued."""

from collections.abc import Iterator
from decimal import Decimal

from registry.estimates.reports.blocks import (
    Block,
    Callout,
    Cell,
    Column,
    Facts,
    Paragraph,
    Section,
    Speaker,
    Table,
    Tone,
    cells,
    grouped,
    percent,
    significant,
)
from registry.estimates.reports.facts import ChainLine, Report, SaturationFact, Standing, plain_decimal

KG_PER_T = 1000


def chain_section(report: Report, say: Speaker) -> Section:
    blocks: list[Block] = []
    if report.result != "ok":
        blocks.append(Callout(say("没有可签发量", "Nothing may be issued"), _why_nothing(report, say), "bad"))
    if report.saturation is not None:
        blocks += _saturated(report.saturation, say)
    blocks.append(
        Table(
            columns=(
                Column(say("行", "line"), "right"),
                Column(say("内容与算式", "what, and how it is computed"), share=5),
                Column(say("依据", "rule"), share=2),
                Column("tCO2e", "right"),
                Column("kg CO2e", "right"),
                Column(say("计算所用原值（tCO2e）", "as computed, unrounded (tCO2e)"), "right"),
            ),
            rows=tuple((Cell(str(n)), *row) for n, row in enumerate(_chain_rows(report, say), start=1)),
            caption=say("E-C1 计算链", "E-C1, line by line"),
        )
    )
    blocks.append(
        Paragraph(
            say(
                "前两列数字四舍五入到千克，只供阅读；计算始终使用末列的原值，不作中间取整，最后一行向下取整到千克。",
                "The first two columns of figures are rounded to the kilogram for reading. The computation "
                "goes on with the last column and rounds nowhere, but for the last line: down to the "
                "kilogram.",
            ),
            "quiet",
        )
    )
    if report.line("baseline").share_ppm is not None and "baseline_ppm" in report.terms.assumed:
        blocks.append(
            Callout(
                say("基线为占位值", "The baseline is a placeholder"),
                say(
                    "基线取项目变化量的 {share}。这一比例只是占位值，没有任何证据支持；"
                    "在取得对照样地或匹配的清查数据之前，不能视为真实基线。",
                    "The baseline is taken as {share} of the project's change. This share is a pure "
                    "placeholder without evidence; it is no real baseline until control plots or a matched "
                    "inventory class give one.",
                    share=percent(report.terms.baseline_ppm),
                ),
                "bad",
            )
        )
    blocks.append(Facts(tuple(_plausibility(report, say))))
    return Section(
        "chain", say("从变化量到可签发量：E-C1", "From the change to what may be issued: E-C1"), tuple(blocks)
    )


def _saturated(found: SaturationFact, say: Speaker) -> list[Block]:
    """E-F7: a stand that is full takes up no more, however fast its culms grow."""
    return [
        Paragraph(
            say(
                "竹林计入量有饱和上限（E-F7）：自项目开始的累计变化量与上限取小，再减去以前已计入的部分，"
                "得到下表第 1 行。",
                "Bamboo is credited up to a cap (E-F7): the smaller of the change since the project's start "
                "and the cap, less what was credited before, is line 1 below.",
            )
        ),
        Facts(
            (
                (
                    say("起始 / 饱和碳密度", "carbon density at the start / when full"),
                    Cell(
                        f"{significant(found.start_tc_ha)} / {significant(found.stable_tc_ha)} "
                        f"{say('tC/公顷', 'tC/ha')}"
                    ),
                ),
                (
                    say("自项目开始的累计变化量", "change since the project's start"),
                    say.tonnes(found.raw_tco2e),
                ),
                (say("饱和上限", "cap"), say.tonnes(found.cap_tco2e)),
                (say("以前已计入", "credited before"), say.tonnes(found.credited_before_tco2e)),
                (say("本期可计入", "creditable now"), say.tonnes(found.creditable_tco2e)),
            )
        ),
    ]


def _why_nothing(report: Report, say: Speaker) -> str:
    if report.result == "uncertainty_undefined":
        return say(
            "平均变化量为零而误差不为零，相对不确定性没有定义。",
            "The mean change is zero and its error is not: the relative uncertainty is undefined.",
        )
    return say(
        "不确定性 {u} 超过 30 %（R-15，E-U2）：扣减率不存在，计算链到此为止。",
        "The uncertainty of {u} is above 30 % (R-15, E-U2): there is no rate of deduction, and the chain "
        "ends there.",
        u=percent(report.uncertainty_ppm or 0),
    )


def _chain_rows(report: Report, say: Speaker) -> Iterator[tuple[Cell, ...]]:
    terms = report.terms
    baseline_tone: Tone = "bad" if "baseline_ppm" in terms.assumed else ""
    change, uncertainty = report.line("project_change"), report.line("uncertainty")
    yield _amount(say("项目变化量 ΔP", "change of the project ΔP"), _measured_by(report), change, say)
    yield cells(
        (
            say("不确定性 U 及扣减率 DR", "uncertainty U and rate of deduction DR"),
            "E-U2, R-15",
            say.unknown if uncertainty.percent is None else f"U = {grouped(uncertainty.percent, 4)} %",
            say.unknown if uncertainty.rate is None else f"DR = {_share(uncertainty.rate)}",
            say.unknown
            if uncertainty.percent is None
            else Cell(f"{plain_decimal(uncertainty.percent)} %", code=True),
        )
    )
    yield _amount(
        say("调整后变化量：ΔP × (1 − DR)，为负时 × (1 + DR)", "adjusted: ΔP × (1 − DR); a loss × (1 + DR)"),
        "E-C1, E-U2",
        report.line("project_adjusted"),
        say,
    )
    yield _amount(
        say(
            "减：基线 ΔB = {share} × ΔP（ΔP 为负时取 0）",
            "less the baseline ΔB = {share} × ΔP (0 for a loss)",
            share=percent(terms.baseline_ppm),
        ),
        say("E-C1，方案条款", "E-C1, programme"),
        report.line("baseline"),
        say,
        baseline_tone,
    )
    yield _amount(
        say("减：项目排放 PE（业主申报）", "less project emissions PE (stated by the owner)"),
        "E-C1",
        report.line("project_emissions"),
        say,
    )
    yield _amount(
        say("减：泄漏 LK（业主申报）", "less leakage LK (stated by the owner)"),
        "E-C1",
        report.line("leakage"),
        say,
    )
    yield _amount(
        say("净减排量 = 第 3 行 − 第 4 至 6 行", "net removal = line 3 − lines 4 to 6"),
        "E-C1",
        report.line("net_reduction"),
        say,
        strong=True,
    )
    yield _amount(_risk(report, say), "E-C1", report.line("non_permanence"), say)
    yield _issuable(report, say)
    if report.loss_kg:
        yield _whole(say("碳储量损失（计为逆转）", "loss of stock (a reversal)"), "E-B1", report.loss_kg)
    yield from _signed(report, say)


def _measured_by(report: Report) -> str:
    """The equations of the change: rasters alone, plots, or plots of a stand that fills up."""
    if report.change is None:
        return "E-R2"
    return "E-U1" if report.saturation is None else "E-U1, E-F7"


def _risk(report: Report, say: Speaker) -> str:
    line = report.line("non_permanence")
    share = percent(line.share_ppm or 0)
    if report.terms.risk_mode == "buffer":
        return say(
            "非持久性：净减排量的 {share}，签发时以单位划入缓冲池，此处不扣",
            "non-permanence: {share} of the net removal; its units go to the buffer at issuance, nothing is "
            "taken off here",
            share=share,
        )
    return say(
        "减：非持久性扣留，净减排量的 {share}，永不签发",
        "less non-permanence: {share} of the net removal is withheld and never issued",
        share=share,
    )


def _issuable(report: Report, say: Speaker) -> tuple[Cell, ...]:
    """The last line of the estimate: whole kilograms."""
    line = report.line("issuable")
    deducted = report.terms.risk_mode != "buffer"
    fit = report.standing in (Standing.PROVEN, Standing.VERIFIED)
    name = say("可签发估算量", "issuable") if fit else say("估算量（不得签发）", "estimate, not for issuance")
    what = (
        say(
            "{name} = 第 7 行 − 第 8 行，向下取整到千克",
            "{name} = line 7 − line 8, down to the kilogram",
            name=name,
        )
        if deducted
        else say("{name} = 第 7 行，向下取整到千克", "{name} = line 7, down to the kilogram", name=name)
    )
    return _whole(what, "E-C1, D5", report.estimate_kg if line.kg is None else line.kg, strong=True)


def _signed(report: Report, say: Speaker) -> Iterator[tuple[Cell, ...]]:
    """What came after the estimate: signed, and issued."""
    outcome = report.outcome
    if outcome is None:
        return
    yield _whole(
        say(
            "核查机构签署的数量（其扣减 {kg} kg）",
            "signed by the verifier (which took off {kg} kg)",
            kg=grouped(outcome.deduction_kg),
        ),
        say("D1，核查声明", "D1, statement"),
        outcome.verified_kg,
        strong=True,
    )
    if outcome.units is not None:
        yield _whole(
            say(
                "已签发 {units} 个单位（每单位 {unit} kg），其中缓冲 {buffer} 个",
                "issued: {units} units of {unit} kg, {buffer} of them to the buffer",
                units=grouped(outcome.units),
                unit=grouped(outcome.unit_kg),
                buffer=grouped(outcome.buffer_units or 0),
            ),
            "I5, I6",
            outcome.units * outcome.unit_kg,
        )
        yield _whole(
            say(
                "余量结转（签发前 {kg} kg）", "carried forward ({kg} kg before)", kg=grouped(_before(report))
            ),
            "I5",
            outcome.residue_after_kg or 0,
        )


def _before(report: Report) -> int:
    return (report.outcome.residue_before_kg or 0) if report.outcome is not None else 0


def _amount(
    what: str,
    rule: str,
    line: ChainLine,
    say: Speaker,
    tone: Tone = "",
    *,
    strong: bool = False,
) -> tuple[Cell, ...]:
    if line.tco2e is None:
        missing = Cell("—", tone="quiet")
        return cells((Cell(what, tone=tone), rule, missing, missing, say.unknown))
    return (
        Cell(what, strong=strong, tone=tone),
        Cell(rule),
        Cell(grouped(line.tco2e, 3), strong=strong, tone=tone),
        Cell(grouped(line.tco2e * KG_PER_T, 0), strong=strong, tone=tone),
        Cell(plain_decimal(line.tco2e), code=True),
    )


def _whole(what: str, rule: str, kg: int, *, strong: bool = False) -> tuple[Cell, ...]:
    tonnes = Decimal(kg).scaleb(-3)
    return (
        Cell(what, strong=strong),
        Cell(rule),
        Cell(grouped(tonnes, 3), strong=strong),
        Cell(grouped(kg), strong=strong),
        Cell(plain_decimal(tonnes), code=True),
    )


def _share(rate: Decimal) -> str:
    return f"{plain_decimal(rate * 100)} %"


def _plausibility(report: Report, say: Speaker) -> Iterator[tuple[str, Cell]]:
    terms = report.terms
    yield (
        say("平均净移除强度（R-17）", "mean net removal (R-17)"),
        Cell(
            say(
                "{rate} kg CO2e/公顷/年（向上取整）；超过 {two} 需第二家核查机构，超过 {no} 则拒绝",
                "{rate} kg CO2e/ha/year (rounded up); above {two} a second verifier signs too, above {no} it "
                "is refused",
                rate=grouped(report.rate_kg_ha_year),
                two=grouped(terms.plausible_kg_ha_year),
                no=grouped(terms.refused_kg_ha_year),
            )
        ),
    )
    yield (
        say("需要第二家核查机构", "second verifier needed"),
        Cell(say("是", "yes"), tone="warn") if report.second_verifier else Cell(say("否", "no")),
    )
