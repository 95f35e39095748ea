"""The sections of a report that say what was measured: strata, uncertainty, and rasters alone."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

from registry.estimates.reports.blocks import (
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
    cells,
    grouped,
    significant,
)
from registry.estimates.reports.facts import OpinionCheck, Report, ScreeningFact, plain_decimal
from registry.estimates.reports.pictures import opinion_pictures, screening_pictures, strata_pictures
from registry.estimates.reports.stocks import stocks_table
from registry.estimates.reports.words import ESTIMATORS, OPINION_CHECKS, stand_type, word

# ---- strata and uncertainty --------------------------------------------------------------------------------


def strata_section(report: Report, say: Speaker) -> Section:
    title = say("分层与样地", "Strata and plots")
    change = report.change
    if not report.strata or change is None:
        return Section("strata", title, (Paragraph(_no_plots(say)), *stocks_table(report, say)))
    blocks: list[Block] = [
        Table(
            columns=(
                Column(say("层（林分类型）", "stratum (stand type)"), share=3),
                *_by_language(
                    say,
                    Column(say("面积（亩）", "area, mu"), "right"),
                    Column(say("面积（公顷）", "area, ha"), "right"),
                ),
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
                    *_by_language(
                        say,
                        Cell(grouped(change.area_ha * 15, 2), strong=True),
                        Cell(grouped(change.area_ha, 4), strong=True),
                    ),
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
        *stocks_table(report, say),
    ]
    return Section("strata", title, tuple(blocks))


T = TypeVar("T")


def _by_language(say: Speaker, in_mu: T, in_ha: T) -> tuple[T, T]:
    """Mu first for Chinese readers, hectares for others."""
    return (in_mu, in_ha) if say.chinese else (in_ha, in_mu)


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
                *_by_language(say, grouped(one.area_ha * 15, 2), grouped(one.area_ha, 4)),
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
                say(
                    "真实净减排量低于估算量的概率",
                    "probability that the true net removal is below the estimate",
                ),
                say.figure(None if found.below_credited is None else found.below_credited * 100, 1, "%"),
            ),
            (
                say("过于不确定而不得签发的抽样", "draws too uncertain to issue anything"),
                say.figure(None if found.refused_share is None else found.refused_share * 100, 2, "%"),
            ),
            (say("两种方法", "formulas and draws"), _agreement(found.agrees, say)),
        )
    )
    yield _opinion_checks(found.checks, say)


def _quantiles(label: str, found: Mapping[str, Decimal]) -> Iterator[tuple[str, Cell]]:
    if found:
        ordered = sorted(found.items(), key=lambda one: Decimal(one[0]))
        said = "; ".join(f"{grouped(Decimal(at) * 100, 0)} %: {grouped(one, 0)}" for at, one in ordered)
        yield label, Cell(f"{said} tCO2e")


def _opinion_checks(checks: Sequence[OpinionCheck], say: Speaker) -> Table:
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
            for one in checks
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
            *_raster_opinion(found, say),
            *screening_pictures(report, say),
            Callout(say("筛查不得签发", "A screening is not for issuance"), why, "warn"),
        ),
    )


def _raster_opinion(found: ScreeningFact, say: Speaker) -> Iterator[Block]:
    """What the draws say of E-R2, or that this record has none."""
    opinion, label = found.opinion, say("蒙特卡洛第二意见", "Monte Carlo, a second opinion")
    if opinion is None:
        yield Facts(((label, say.unknown),))
        return
    yield Facts(
        (
            (
                label,
                Cell(
                    say(
                        "误差抽样 {n} 次：所有像元共有的误差，以及 {parts} 个地块各自的误差（ρ = {rho}）",
                        "errors drawn {n} times: one that all cells share, and each of {parts} parcels' own "
                        "(ρ = {rho})",
                        n=grouped(opinion.draws),
                        parts=grouped(opinion.parts),
                        rho=plain_decimal(opinion.rho_space),
                    )
                ),
            ),
            (
                say("随机种子（输入摘要）", "seed (digest of the inputs)"),
                say.either(opinion.seed_sha256, code=True),
            ),
            (
                say("相对不确定性：抽样 / 公式", "relative uncertainty: draws / formula"),
                Cell(
                    f"{say.figure(opinion.uncertainty_pct, 4, '%').text} / "
                    f"{say.figure(found.uncertainty_pct, 4, '%').text}"
                ),
            ),
            *_quantiles(say("变化量分位数", "quantiles of the change"), opinion.change_tco2e),
            (say("两种方法", "formulas and draws"), _agreement(opinion.agrees, say)),
        )
    )
    yield _opinion_checks(opinion.checks, say)
    yield Paragraph(
        say(
            "抽样只核对误差的合成；像元标准差和相关系数按产品说明采用，两者的对错抽样看不出来。",
            "The draws check how errors add up; the deviations of the cells and their correlation are taken "
            "as stated, and no draw can tell whether they are right.",
        ),
        "quiet",
    )


def _agreement(agrees: bool, say: Speaker) -> Cell:
    if agrees:
        return Cell(say("相符", "agree"), tone="good")
    return Cell(say("不符，须说明", "differ: to be explained"), tone="bad", strong=True)
