"""The sections of a report that say what was measured: strata, uncertainty, rasters alone, and E-C1."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from registry.estimates.report import ChainLine, Report, SecondOpinion, plain_decimal
from registry.estimates.report_blocks import (
    Block,
    Callout,
    Cell,
    Column,
    Facts,
    Formula,
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
from registry.estimates.report_pictures import opinion_pictures, strata_pictures
from registry.estimates.report_words import ESTIMATORS, OPINION_CHECKS, stand_type, word

CM2_PER_HA = 10**8
KG_PER_T = 1000


# ---- E-C1 --------------------------------------------------------------------------------------------------


def chain_section(report: Report, say: Speaker) -> Section:
    blocks: list[Block] = []
    if report.result != "ok":
        blocks.append(Callout(say("没有可签发量", "Nothing may be issued"), _why_nothing(report, say), "bad"))
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
    yield _amount(say("项目变化量 ΔP", "change of the project ΔP"), "E-U1", change, say)
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
    what = (
        say(
            "可签发估算量 = 第 7 行 − 第 8 行，向下取整到千克",
            "issuable = line 7 − line 8, down to the kilogram",
        )
        if deducted
        else say("可签发估算量 = 第 7 行，向下取整到千克", "issuable = line 7, down to the kilogram")
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


# ---- strata and uncertainty --------------------------------------------------------------------------------


def strata_section(report: Report, say: Speaker) -> Section:
    title = say("分层与样地", "Strata and plots")
    change = report.change
    if not report.strata or change is None:
        return Section("strata", title, (Paragraph(_no_plots(say)),))
    blocks: list[Block] = [
        Table(
            columns=(
                Column(say("层（林分类型）", "stratum (stand type)"), share=3),
                Column(say("面积（亩）", "area, mu"), "right"),
                Column(say("面积（公顷）", "area, ha"), "right"),
                Column(say("权重", "weight"), "right"),
                Column(say("样地数 n", "plots n"), "right"),
                Column(say("均值 tC/公顷", "mean, tC/ha"), "right"),
                Column(say("标准差 tC/公顷", "SD, tC/ha"), "right"),
                Column(say("标准误 tC/公顷", "SE, tC/ha"), "right"),
                Column(say("占总方差", "of the variance"), "right"),
            ),
            rows=tuple(_strata_rows(report, say)),
            total=cells(
                (
                    Cell(say("合计", "all"), strong=True),
                    Cell(grouped(change.area_ha * 15, 2), strong=True),
                    Cell(grouped(change.area_ha, 4), strong=True),
                    "100 %",
                    Cell(str(sum(one.n for one in report.strata)), strong=True),
                    Cell(significant(change.mean_tc_ha), strong=True),
                    "",
                    Cell(significant(change.se_tc_ha), strong=True),
                    "100 %",
                )
            ),
            caption=say("各层的样地变化量（监测期内）", "Change at the plots by stratum, over the period"),
        ),
        Paragraph(
            say(
                "面积为两期土地覆盖均为森林、且主张可计入的面积。标准差为层内样地间的样本标准差，"
                "标准误 = 标准差 / √n。自由度 df = Σn − 层数 = {df}，双侧可靠性 90 % 的 t = {t}。",
                "Areas are what both land covers call forest, as far as the claims are credited with it. SD "
                "is the sample standard deviation between the plots of a stratum, SE = SD / √n. Degrees of "
                "freedom df = Σn − number of strata = {df}; t = {t} at 90 % reliability, two-sided.",
                df=change.df,
                t=grouped(change.t_value, 4),
            ),
            "quiet",
        ),
        *strata_pictures(report, say),
    ]
    return Section("strata", title, tuple(blocks))


def _no_plots(say: Speaker) -> str:
    return say("本次估算没有使用样地。", "This estimate used no plots.")


def _strata_rows(report: Report, say: Speaker) -> Iterator[tuple[Cell, ...]]:
    area = sum((one.area_ha for one in report.strata), Decimal(0))
    variances = [(one.area_ha / area * one.se) ** 2 for one in report.strata]
    whole = sum(variances, Decimal(0))
    for one, variance in zip(report.strata, variances, strict=True):
        yield cells(
            (
                stand_type(say, one.code),
                grouped(one.area_ha * 15, 2),
                grouped(one.area_ha, 4),
                f"{grouped(one.area_ha / area * 100, 2)} %",
                str(one.n),
                significant(one.mean),
                significant(one.sd),
                significant(one.se),
                f"{grouped(variance / whole * 100, 1)} %" if whole else "—",
            )
        )


def uncertainty_section(report: Report, say: Speaker) -> Section:
    blocks: list[Block] = []
    change = report.change
    if change is None:
        blocks.append(Paragraph(_no_plots(say)))
    else:
        half = abs(change.t_value * change.se_tc_ha * change.area_ha * 44 / 12)
        blocks += [
            Formula(tuple(_formula(report, say))),
            Facts(
                (
                    (say("估计方法", "estimator"), Cell(word(say, ESTIMATORS, change.estimator))),
                    (
                        say("变化量（90 % 区间）", "change (interval of 90 %)"),
                        Cell(
                            f"{grouped(change.delta_tco2e, 3)} ± {grouped(half, 3)} tCO2e, "
                            f"[{grouped(change.delta_tco2e - half, 3)}; "
                            f"{grouped(change.delta_tco2e + half, 3)}]"
                        ),
                    ),
                    *_calibration(report, say),
                    *_time(report, say),
                )
            ),
        ]
    blocks += _second_opinion(report, say)
    blocks += opinion_pictures(report, say)
    return Section("uncertainty", say("不确定性", "Uncertainty"), tuple(blocks))


def _formula(report: Report, say: Speaker) -> Iterator[str]:
    """E-U1 in words and numbers."""
    change = report.change
    assert change is not None
    if change.estimator == "stratified":
        yield say("平均变化量 = Σ (层权重 × 层均值)", "mean change = Σ (weight × mean of the stratum)")
        yield say("标准误 SE = √ Σ (层权重² × 层标准差² / n)", "SE = √ Σ (weight² × SD² / n)")
    yield say(
        "平均变化量 = {mean} tC/公顷，SE = {se} tC/公顷",
        "mean change = {mean} tC/ha, SE = {se} tC/ha",
        mean=significant(change.mean_tc_ha, 7),
        se=significant(change.se_tc_ha, 7),
    )
    u = say.unknown.text if change.uncertainty_pct is None else f"{grouped(change.uncertainty_pct, 4)} %"
    yield say(
        "U = t × SE / |平均变化量| × 100 % = {t} × {se} / {mean} × 100 % = {u}",
        "U = t × SE / |mean| × 100 % = {t} × {se} / {mean} × 100 % = {u}",
        t=grouped(change.t_value, 4),
        se=significant(change.se_tc_ha, 7),
        mean=significant(abs(change.mean_tc_ha), 7),
        u=u,
    )
    yield say(
        "变化量 = 平均变化量 × 面积 × 44/12 = {mean} × {area} × 44/12 = {delta} tCO2e",
        "change = mean × area × 44/12 = {mean} × {area} × 44/12 = {delta} tCO2e",
        mean=significant(change.mean_tc_ha, 7),
        area=grouped(change.area_ha, 4),
        delta=grouped(change.delta_tco2e, 3),
    )


def _calibration(report: Report, say: Speaker) -> Iterator[tuple[str, Cell]]:
    change = report.change
    if change is None or change.coefficient is None:
        return
    yield say("校准系数", "coefficient"), Cell(significant(change.coefficient))
    yield (
        say("栅格均值：样地处 / 全部面积", "raster mean: at the plots / everywhere"),
        Cell(
            f"{say.figure(change.raster_mean_at_plots_t_ha, 3).text} / "
            f"{say.figure(change.raster_mean_t_ha, 3).text} {say('t/公顷', 't/ha')}"
        ),
    )


def _time(report: Report, say: Speaker) -> Iterator[tuple[str, Cell]]:
    time = report.time
    if time is None:
        return
    yield (
        say("样地间隔与监测期", "days between visits, and of the period"),
        Cell(
            say(
                "样地 {short} 至 {long} 天，监测期 {days} 天；换算系数 {scale}。样地日期以外的生长不计入；"
                "间隔更长时按比例缩减。",
                "plots {short} to {long} days, period {days} days; factor {scale}. Growth outside the plots' "
                "dates is not claimed; a longer span is scaled down.",
                short=grouped(time.shortest_days),
                long=grouped(time.longest_days),
                days=grouped(time.period_days),
                scale=plain_decimal(time.scale),
            )
        ),
    )


def _second_opinion(report: Report, say: Speaker) -> Iterator[Block]:
    found = report.second_opinion
    label = say("蒙特卡洛第二意见", "Monte Carlo, a second opinion")
    if found is None:
        yield Facts(((label, say.unknown),))
        return
    formula_u = report.change.uncertainty_pct if report.change else None
    yield Facts(
        (
            (
                label,
                Cell(
                    say(
                        "对样地有放回抽样 {n} 次，整条计算链逐次重算",
                        "plots drawn again {n} times, the whole chain computed each time",
                        n=grouped(found.draws),
                    )
                ),
            ),
            (
                say("随机种子（输入摘要）", "seed (digest of the inputs)"),
                say.either(found.seed_sha256, code=True),
            ),
            (
                say("相对不确定性：抽样 / 公式", "relative uncertainty: draws / formula"),
                Cell(
                    f"{say.figure(found.uncertainty_pct, 4, '%').text} / {say.figure(formula_u, 4, '%').text}"
                ),
            ),
            *_quantiles(say("变化量分位数", "quantiles of the change"), found.change_tco2e),
            *_quantiles(say("净减排量分位数", "quantiles of the net removal"), found.net_tco2e),
            (
                say("真实净减排量低于估算量的概率", "probability that the true net removal is below"),
                say.figure(None if found.below_credited is None else found.below_credited * 100, 1, "%"),
            ),
            (
                say("过于不确定而不得签发的抽样", "draws too uncertain to issue anything"),
                say.figure(None if found.refused_share is None else found.refused_share * 100, 2, "%"),
            ),
            (
                say("两种方法", "formulas and draws"),
                Cell(say("相符", "agree"), tone="good")
                if found.agrees
                else Cell(say("不符，须说明", "differ: to be explained"), tone="bad", strong=True),
            ),
        )
    )
    yield _opinion_checks(found, say)


def _quantiles(label: str, found: Mapping[str, Decimal]) -> Iterator[tuple[str, Cell]]:
    if found:
        ordered = sorted(found.items(), key=lambda one: Decimal(one[0]))
        said = "; ".join(f"{grouped(Decimal(at) * 100, 0)} %: {grouped(one, 0)}" for at, one in ordered)
        yield label, Cell(f"{said} tCO2e")


def _opinion_checks(found: SecondOpinion, say: Speaker) -> Table:
    return Table(
        columns=(
            Column(say("数值", "figure"), share=3),
            Column(say("公式", "formula"), "right", 2),
            Column(say("抽样", "draws"), "right", 2),
            Column(say("允许相差", "may differ by"), "right", 2),
            Column(say("结果", "result")),
        ),
        rows=tuple(
            cells(
                (
                    word(say, OPINION_CHECKS, one.name),
                    *(significant(value) for value in (one.formula, one.drawn, one.allowed)),
                    Cell(say("相符", "agrees"), tone="good")
                    if one.agrees
                    else Cell(say("不符", "differs"), tone="bad", strong=True),
                )
            )
            for one in found.checks
        ),
        caption=say("公式与抽样", "Formulas beside draws"),
    )


# ---- rasters alone -----------------------------------------------------------------------------------------


def screening_section(report: Report, say: Speaker) -> Section:
    found, title = report.screening, say("仅用栅格的筛查：E-R2", "Rasters alone, a screening: E-R2")
    if found is None:
        return Section("screening", title, (Facts(((say("筛查", "screening"), say.unknown),)),))
    u = found.uncertainty_pct
    why = say(
        "两期生物量产品的误差相互独立时，变化量的误差大于变化量本身。筛查结果只用来发现矛盾，"
        "按方法学永不签发；只有用样地校准才能使用。",
        "With independent errors of the two dates, the error of the change is as large as the change. A "
        "screening shows contradictions; by the method it is never issued. Only plots make it usable.",
    )
    return Section(
        "screening",
        title,
        (
            Facts(
                (
                    (
                        say("变化量", "change"),
                        say.tonnes(found.delta_tco2e),
                    ),
                    (
                        say("不确定性 U（z = 1.645）", "uncertainty U (z = 1.645)"),
                        Cell(f"{grouped(u, 4)} %", tone="bad" if u > 30 else "")
                        if u is not None
                        else say.unknown,
                    ),
                    (
                        say("有效面积比例", "share of land with data"),
                        Cell(f"{grouped(found.valid_area_share * 100, 4)} %")
                        if found.valid_area_share is not None
                        else say.unknown,
                    ),
                )
            ),
            Callout(say("筛查不得签发", "A screening is not for issuance"), why, "warn"),
        ),
    )
