"""A report in words: `compose` turns the facts into the document that both renderers place."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from registry.estimates.report import Finding, LandParcel, PlotPlace, Report
from registry.estimates.report_blocks import (
    Block,
    Bullets,
    Cell,
    Column,
    Document,
    Facts,
    Figure,
    Figures,
    Paragraph,
    Picture,
    Section,
    Signatures,
    Speaker,
    Table,
    Tone,
    cells,
    grouped,
    ha,
    m2,
    mu,
    once,
    percent,
)
from registry.estimates.report_map import MapWords, colours, report_map_svg
from registry.estimates.report_measurement import (
    chain_section,
    screening_section,
    strata_section,
    uncertainty_section,
)
from registry.estimates.report_sheet import inputs_section, method_section, same_as_above
from registry.estimates.report_words import (
    CHECKS,
    FINDINGS,
    LEVELS,
    PARAMETERS,
    SOFTWARE,
    STAMPS,
    TABLES,
    source,
    stand_type,
    state,
    word,
)
from registry.language import Language

LOCAL: Final = ZoneInfo("Asia/Shanghai")
SHORT: Final = 8


def compose(report: Report, language: Language) -> Document:
    """The document of a report in a language. Pure: the same report makes the same document."""
    say = Speaker(language)
    subject = report.subject
    stamp, stamp_text, tone = STAMPS[report.standing]
    name = subject.project_name or subject.project
    programme = (say(subject.programme_name_zh or "", subject.programme_name_en or "")) or subject.programme
    return Document(
        language=language,
        title=say("林业碳汇估算报告", "Estimate of a forestry carbon sink"),
        subtitle=name,
        running=f"{programme} · {name}",
        stamp=say(*stamp),
        stamp_tone=tone,
        stamp_text=say(*stamp_text),
        simulated=say("模拟时钟", "SIMULATED CLOCK") if report.simulated else "",
        simulated_text=say(
            "本登记系统使用模拟时钟，所列内容不代表真实减排量。",
            "This registry runs on a simulated clock; nothing here stands for a real removal.",
        )
        if report.simulated
        else "",
        footer=say(
            "运行 {run} · 输入摘要 {inputs}",
            "run {run} · inputs {inputs}",
            run=report.run[:SHORT],
            inputs=report.inputs_sha256[:16],
        ),
        page_words=say("第 {page} 页，共 {pages} 页", "page {page} of {pages}"),
        contents_word=say("目录", "Contents"),
        author=programme,
        at=report.stated_at,
        lead=tuple(_lead(report, say)),
        sections=(
            _land_section(report, say),
            chain_section(report, say),
            _outcome_section(report, say),
            strata_section(report, say),
            uncertainty_section(report, say),
            screening_section(report, say),
            inputs_section(report, say),
            method_section(report, say),
            _attestation_section(report, say),
            _warnings_section(report, say),
            _unchecked_section(say),
            _recompute_section(report, say),
            _parcels_section(report, say),
            _signatures_section(say),
        ),
    )


def instant(at: datetime, say: Speaker) -> str:
    return f"{at.astimezone(LOCAL):%Y-%m-%d %H:%M:%S} {say('（北京时间）', '(China time)')}"


# ---- the first page ----------------------------------------------------------------------------------------


def _lead(report: Report, say: Speaker) -> Iterator[Block]:
    subject = report.subject
    yield Figures(tuple(_figures(report, say)))
    number = (
        say("尚无编号", "no number yet") if subject.project_number is None else str(subject.project_number)
    )
    county = say("县级代码 {code}", "county {code}", code=subject.county)
    yield Facts(
        (
            (
                say("项目", "project"),
                Cell(
                    say(
                        "{name}（编号 {number}，{county}）",
                        "{name} (number {number}, {county})",
                        name=subject.project_name or subject.project,
                        number=number,
                        county=county,
                    ),
                    strong=True,
                ),
            ),
            (say("项目标识", "project id"), Cell(subject.project, code=True)),
            (say("业主", "owner"), Cell(subject.owner)),
            (say("审定机构", "validator"), say.either(subject.validator)),
            (say("方案", "programme"), Cell(_programme(report, say))),
            (
                say("监测期", "monitoring period"),
                Cell(
                    say(
                        "{from_on} 至 {last_on}（含首尾，{days} 天），{state}",
                        "{from_on} to {last_on} (both included, {days} days), {state}",
                        from_on=subject.from_on.isoformat(),
                        last_on=subject.last_on.isoformat(),
                        days=grouped(subject.days),
                        state=state(say, subject.period_status),
                    )
                ),
            ),
            (
                say("计入期", "crediting period"),
                Cell(f"{subject.crediting_from.isoformat()} – {subject.crediting_to.isoformat()}"),
            ),
            (say("碳库", "pools"), Cell(_pools(report, say))),
            (say("运行标识", "run"), Cell(report.run, code=True)),
            (
                say("运行状态", "status of the run"),
                Cell(_run_status(report, say), tone="bad" if report.status != "recorded" else ""),
            ),
            (
                say("日志条目", "log entry"),
                Cell(
                    say(
                        "第 {index} 条，{at}",
                        "entry {index}, {at}",
                        index=report.entry.index,
                        at=instant(report.entry.at, say),
                    )
                ),
            ),
            (say("条目哈希", "hash of the entry"), Cell(report.entry.leaf_sha256, code=True)),
            (say("日志", "log"), Cell(report.log_origin, code=True)),
            (
                say("所述事实截至", "facts as of"),
                Cell(
                    say(
                        "日志第 {index} 条，{at}",
                        "log entry {index}, {at}",
                        index=report.stated_index,
                        at=instant(report.stated_at, say),
                    )
                ),
            ),
            (say("输入摘要", "digest of inputs"), Cell(report.inputs_sha256, code=True)),
            (say("版本", "edition"), Cell(_edition(report, say))),
        )
    )


def _figures(report: Report, say: Speaker) -> Iterator[Figure]:
    tone: Tone = "" if report.standing.value in ("proven", "verified") else "bad"
    u = report.uncertainty_ppm
    yield Figure(
        say("可签发估算量", "issuable by this estimate"),
        f"{grouped(report.line('issuable').tco2e or _tonnes(report.estimate_kg), 3)}",
        f"tCO2e · {grouped(report.estimate_kg)} kg",
        tone,
    )
    if report.outcome is not None:
        yield Figure(
            say("核查机构签署", "signed by the verifier"),
            grouped(_tonnes(report.outcome.verified_kg), 3),
            f"tCO2e · {grouped(report.outcome.verified_kg)} kg",
            "good",
        )
    yield Figure(
        say("不确定性 U（90 %）", "uncertainty U (90 %)"),
        say.unknown.text if u is None else f"± {percent(u)}",
        say("向上取整", "rounded up"),
        "bad" if u is None or u > 300_000 else "",
    )
    eligible = report.eligible_cm2
    yield Figure(
        say("可计入面积", "eligible land"),
        say(mu(eligible), ha(eligible)),
        say("亩 · {other} 公顷", "ha · {other} mu", other=say(ha(eligible), mu(eligible))),
        "",
    )


def _tonnes(kg: int) -> Decimal:
    return Decimal(kg).scaleb(-3)


def _programme(report: Report, say: Speaker) -> str:
    subject = report.subject
    name = say(subject.programme_name_zh or "", subject.programme_name_en or "")
    return f"{name} {subject.programme}".strip()


POOLS: Final = {"forest-biomass": ("地上与地下生物量", "biomass above and below ground")}


def _pools(report: Report, say: Speaker) -> str:
    return say("、", ", ").join(word(say, POOLS, pool) for pool in report.subject.pools)


def _run_status(report: Report, say: Speaker) -> str:
    text = state(say, report.status)
    return f"{text} → {report.superseded_by}" if report.superseded_by else text


def _edition(report: Report, say: Speaker) -> str:
    if report.public:
        return say(
            "可转交版本：不绘制受保护地块的边界，不列样地位置",
            "to be handed on: outlines of protected parcels and places of plots are left out",
        )
    return say(
        "限业主、核查机构、登记机构和审计方使用",
        "for the owner, verifiers, the registry and auditors only",
    )


# ---- land --------------------------------------------------------------------------------------------------


def _land_section(report: Report, say: Speaker) -> Section:
    blocks: list[Block] = [_by_stand_type(report, say)]
    svg = report_map_svg(report.parcels, _places(report), _map_words(report, say))
    if svg is None:
        blocks.append(
            Paragraph(say("没有可以绘制的边界。", "There is no outline that may be drawn."), "quiet")
        )
    else:
        blocks.append(
            Picture(
                svg,
                say("按林分类型着色的地块图", "map of the parcels by stand type"),
                say(
                    "数字为地块序号（太小的地块不标）。坐标系 CGCS2000（EPSG:4490），"
                    "经纬度为十进制度，上为北。",
                    "Numbers are those of the parcels; small ones have none. Frame CGCS2000 (EPSG:4490), "
                    "decimal degrees, north is up.",
                ),
            )
        )
    hidden = [parcel for parcel in report.parcels if parcel.rings is None]
    if hidden:
        blocks.append(Paragraph(_hidden(hidden, say), "quiet"))
    if any(not parcel.exact for parcel in report.parcels):
        blocks.append(
            Paragraph(
                say(
                    "非本人可见的边界为公开的简化边界（约 20 米）。",
                    "Outlines of record that are not for the reader are drawn as everybody may see them, "
                    "simplified to about 20 m.",
                ),
                "quiet",
            )
        )
    return Section("land", say("土地", "Land"), tuple(blocks))


def _hidden(hidden: list[LandParcel], say: Speaker) -> str:
    masked = [str(one.number) for one in hidden if one.masked]
    erased = [str(one.number) for one in hidden if not one.masked]
    parts = []
    if masked:
        parts.append(
            say(
                "受保护、未绘制的地块：{numbers}。",
                "Parcels that are protected and not drawn: {numbers}.",
                numbers=say("、", ", ").join(masked),
            )
        )
    if erased:
        parts.append(
            say(
                "边界已删除的地块：{numbers}。",
                "Parcels whose outline was erased: {numbers}.",
                numbers=say("、", ", ").join(erased),
            )
        )
    return say("", " ").join(parts)


def _places(report: Report) -> tuple[PlotPlace, ...]:
    if report.plots is None or report.plots.places is None:
        return ()
    return report.plots.places


def _map_words(report: Report, say: Speaker) -> MapWords:
    return MapWords(
        say("地块图", "map of the parcels"),
        {code: stand_type(say, code) for code in report.by_stand_type},
        say("样地", "plot"),
    )


def _by_stand_type(report: Report, say: Speaker) -> Table:
    swatches = colours(list(report.by_stand_type))
    rows = []
    for code, parcels in report.by_stand_type.items():
        area = sum(one.area_cm2 for one in parcels)
        eligible = sum(one.eligible_cm2 for one in parcels)
        rows.append(
            (
                Cell(stand_type(say, code), swatch=swatches[code]),
                Cell(grouped(len(parcels))),
                *_areas(area, say),
                *_areas(eligible, say),
                Cell(grouped(sum(one.estimate_kg for one in parcels))),
            )
        )
    return Table(
        columns=(
            Column(say("林分类型", "stand type"), share=1),
            Column(say("地块数", "parcels"), "right"),
            *_area_columns(say, say("面积", "area")),
            *_area_columns(say, say("可计入", "eligible")),
            Column(say("估算量 kg CO2e", "estimate, kg CO2e"), "right"),
        ),
        rows=tuple(rows),
        total=(
            Cell(say("合计", "all"), strong=True),
            Cell(grouped(len(report.parcels)), strong=True),
            *_areas(report.area_cm2, say, strong=True),
            *_areas(report.eligible_cm2, say, strong=True),
            Cell(grouped(sum(one.estimate_kg for one in report.parcels)), strong=True),
        ),
        caption=say("各林分类型的土地与估算量", "Land and estimate by stand type"),
    )


def _area_columns(say: Speaker, what: str) -> tuple[Column, Column]:
    """Mu first for Chinese readers."""
    in_mu = Column(say("{what}（亩）", "{what}, mu", what=what), "right")
    in_ha = Column(say("{what}（公顷）", "{what}, ha", what=what), "right")
    return (in_mu, in_ha) if say.chinese else (in_ha, in_mu)


def _areas(cm2: int, say: Speaker, *, strong: bool = False) -> tuple[Cell, Cell]:
    in_mu, in_ha = Cell(mu(cm2), strong=strong), Cell(ha(cm2), strong=strong)
    return (in_mu, in_ha) if say.chinese else (in_ha, in_mu)


def _parcels_section(report: Report, say: Speaker) -> Section:
    """Every parcel with its share; the shares add up to the estimate, and the table shows it."""
    swatches = colours(list(report.by_stand_type))
    rows = tuple(
        (
            Cell(str(one.number)),
            Cell(one.code, code=True),
            Cell(one.village) if one.village else Cell(_no_village(one, say), tone="quiet"),
            Cell(stand_type(say, one.stand_type), swatch=swatches[one.stand_type]),
            Cell(m2(one.area_cm2)),
            *_areas(one.area_cm2, say),
            *_areas(one.eligible_cm2, say),
            Cell(grouped(one.estimate_kg)),
        )
        for one in report.parcels
    )
    table = Table(
        columns=(
            Column(say("序号", "no."), "right"),
            Column(say("地块编号", "parcel")),
            Column(say("村", "village"), share=2),
            Column(say("林分类型", "stand type"), share=3),
            Column(say("面积（m²）", "area, m²"), "right"),
            *_area_columns(say, say("面积", "area")),
            *_area_columns(say, say("可计入", "eligible")),
            Column(say("估算量 kg CO2e", "estimate, kg CO2e"), "right"),
        ),
        rows=rows,
        total=(
            Cell(""),
            Cell(say("合计", "all"), strong=True),
            Cell(""),
            Cell(""),
            Cell(m2(report.area_cm2), strong=True),
            *_areas(report.area_cm2, say, strong=True),
            *_areas(report.eligible_cm2, say, strong=True),
            Cell(grouped(sum(one.estimate_kg for one in report.parcels)), strong=True),
        ),
        caption=say("各地块及其份额", "The parcels and their shares"),
        dense=True,
    )
    note = Paragraph(
        say(
            "估算量按“层均值 × 可计入面积”分摊到地块，以最大余数法取整到千克，合计与估算量完全相等。"
            "面积为椭球面测地面积，合计由原始 cm² 相加后取整。",
            "The estimate is shared out by stratum mean times eligible area, in whole kilograms by largest "
            "remainder: the shares add up to it exactly. Areas are geodesic; totals are added in cm² and "
            "rounded afterwards.",
        ),
        "quiet",
    )
    return Section("parcels", say("附表：地块清单", "Annex: the parcels"), (note, table))


def _no_village(parcel: LandParcel, say: Speaker) -> str:
    return say("受保护", "protected") if parcel.masked else say("未记录", "not recorded")


# ---- what became of it -------------------------------------------------------------------------------------


def _outcome_section(report: Report, say: Speaker) -> Section:
    outcome, title = report.outcome, say("核查结论", "Verification")
    if outcome is None:
        none = say("还没有核查声明。", "There is no verification statement yet.")
        return Section("outcome", title, (Paragraph(none),))
    attested = outcome.attested_sha256 == report.attestation_sha256
    rows = [
        (say("核查机构", "verifier"), Cell(outcome.verifier, strong=True)),
        *(
            [(say("第二核查机构", "second verifier"), Cell(outcome.second_verifier))]
            if outcome.second_verifier
            else []
        ),
        (say("声明标识", "statement"), Cell(outcome.statement, code=True)),
        (say("声明所在日志条目", "log entry of the statement"), Cell(str(outcome.entry))),
        (
            say("签署数量", "quantity signed"),
            Cell(
                f"{grouped(outcome.verified_kg)} kg CO2e = {grouped(_tonnes(outcome.verified_kg), 3)} tCO2e",
                strong=True,
                tone="good",
            ),
        ),
        (say("估算量", "estimate"), Cell(f"{grouped(report.estimate_kg)} kg CO2e")),
        (say("核查扣减", "taken off by the verifier"), Cell(f"{grouped(outcome.deduction_kg)} kg CO2e")),
        (say("核查发现", "findings"), say.either(outcome.findings)),
        (
            say("参数认定", "parameters attested"),
            Cell(say("已对本次运行的参数签署认定", "attested for this run"), tone="good")
            if attested
            else Cell(say("没有认定", "not attested"), tone="bad" if report.attested else ""),
        ),
    ]
    return Section("outcome", title, (Facts(tuple(rows)),))


def _attestation_section(report: Report, say: Speaker) -> Section:
    title = say("须认定的参数", "Parameters to attest")
    if not report.attested:
        return Section(
            "attestation", title, (Paragraph(say("所有参数均可靠。", "Every parameter is sure.")),)
        )
    outcome = report.outcome
    who = (
        say("尚无核查机构认定。", "No verifier has attested them yet.")
        if outcome is None or outcome.attested_sha256 != report.attestation_sha256
        else say(
            "{verifier} 已在声明中对下列各行签署认定。",
            "{verifier} has attested the rows below in its statement.",
            verifier=outcome.verifier,
        )
    )
    sources = once([source(say, one.source) for one in report.attested], same_as_above(say))
    table = Table(
        columns=(
            Column(say("参数表", "table"), share=2),
            Column(say("行", "row"), share=3),
            Column(say("标记", "mark"), "center"),
            Column(say("来源", "source"), share=5),
        ),
        rows=tuple(
            cells(
                (
                    _table_name(one.table, say),
                    _row_name(one.table, one.code, say),
                    Cell(one.mark, strong=True, tone="bad" if one.mark == "A" else "warn"),
                    where,
                )
            )
            for one, where in zip(report.attested, sources, strict=True)
        ),
        caption=say("须由核查机构认定的行", "Rows that a verifier answers for"),
    )
    digest = Facts(((say("认定摘要", "digest of these rows"), Cell(report.attestation_sha256, code=True)),))
    return Section("attestation", title, (Paragraph(who), table, digest))


def _table_name(table: str, say: Speaker) -> str:
    kind, _, programme = table.partition(":")
    if kind == "programme":
        return say("方案 {code}", "programme {code}", code=programme)
    return word(say, TABLES, table)


def _row_name(table: str, code: str, say: Speaker) -> str:
    if table in ("stand_types", "linear_biomass"):
        return stand_type(say, code)
    return word(say, PARAMETERS, code)


# ---- what to beware of -------------------------------------------------------------------------------------


def _warnings_section(report: Report, say: Speaker) -> Section:
    blocks: list[Block] = [
        Table(
            columns=(
                Column(say("复算", "done again by this report"), share=4),
                Column(say("应为", "should be"), "right", 2),
                Column(say("得到", "is"), "right", 2),
                Column(say("结果", "result")),
            ),
            rows=tuple(
                cells(
                    (
                        word(say, CHECKS, one.name),
                        Cell(one.expected, code=True),
                        Cell(one.found, code=True),
                        Cell(say("相符", "agrees"), tone="good")
                        if one.holds
                        else Cell(say("不符", "differs"), tone="bad", strong=True),
                    )
                )
                for one in report.checks
            ),
            caption=say("加总复核", "Sums"),
        )
    ]
    warnings = tuple(_warnings(report, say))
    none = (Cell(say("没有需要特别说明的情况。", "Nothing in particular.")),)
    blocks.append(Bullets(warnings or none))
    return Section("warnings", say("复核与提示", "Checks and warnings"), tuple(blocks))


def _warnings(report: Report, say: Speaker) -> Iterator[Cell]:
    share = report.least_valid_share
    if share is not None and share < 1:
        yield Cell(
            say(
                "有效面积比例最低的地块为 {share} %；没有数据的像元不填补，只会少算。",
                "The least share of a parcel's land with raster data is {share} %. Pixels without data are "
                "left out, never filled, which errs on the low side.",
                share=grouped(share * 100, 3),
            )
        )
    if report.area_cm2 != report.eligible_cm2:
        yield Cell(
            say(
                "{area} 的土地不计入：两期土地覆盖不都是森林，或属于他人已主张的边缘。",
                "{area} of the land are not eligible: not forest in both land covers, or slivers claimed "
                "before.",
                area=say.area(report.area_cm2 - report.eligible_cm2),
            )
        )
    if report.plots is not None and report.plots.outside:
        yield Cell(
            say(
                "样地文件中有 {n} 个样地不在本项目土地上，未采用。",
                "{n} plots of the file do not stand on this land and were not used.",
                n=grouped(len(report.plots.outside)),
            )
        )
    if report.findings is None:
        yield Cell(say("样地一致性检查：未记录。", "Checks of the plots: not recorded."), tone="quiet")
    for finding in report.findings or ():
        plot = say("样地 {plot}：", "plot {plot}: ", plot=finding.plot) if finding.plot else ""
        yield Cell(f"{plot}{_finding(finding, say)}", tone=_FINDING_TONES.get(finding.level, "warn"))
    if report.project_emissions_kg == 0 and report.leakage_kg == 0:
        yield Cell(
            say(
                "业主申报本期项目排放与泄漏均为零。",
                "The owner states that there were neither project emissions nor leakage.",
            )
        )


_FINDING_TONES: Final[Mapping[str, Tone]] = {"error": "bad", "outlier": "warn"}


def _finding(finding: Finding, say: Speaker) -> str:
    """What is odd, by how much, and what the owner says to it."""
    said = f"{word(say, LEVELS, finding.level)} · {word(say, FINDINGS, finding.code)}"
    if finding.value:
        said += f" ({finding.value}{f'; {finding.limit}' if finding.limit else ''})"
    if finding.level == "outlier":
        said += say("；业主说明：", "; the owner's answer: ") + (finding.answer or say("无", "none"))
    return said


UNCHECKED: Final = (
    (
        "样地和树木的实地测量：采用业主提交的文件，登记系统没有到现场复测。",
        "The measurements at the plots: they are the owner's file; the registry measured nothing itself.",
    ),
    (
        "遥感产品的误差模型：按产品提供者的说明采用。",
        "The error models of the rasters: taken as their makers state them.",
    ),
    (
        "生物量参数本身的误差：公式 E-U1 只含样地之间的抽样误差。",
        "Errors of the biomass factors: E-U1 has the sampling error between plots alone.",
    ),
    (
        "项目排放与泄漏：业主申报，未经计算核对。",
        "Project emissions and leakage: stated by the owner, not computed.",
    ),
    (
        "权属证明与决议的真伪：由审核机构查验，不在计算之内。",
        "Titles and resolutions: a reviewer looked at them; no computation can.",
    ),
    (
        "其他机制的重复主张：只与已申报的外部主张比对。",
        "Claims under other mechanisms: compared only with those that were declared.",
    ),
    (
        "未计入的碳库（枯死木、枯落物、土壤、木产品）是否减少。",
        "Whether pools left out (dead wood, litter, soil, wood products) have shrunk.",
    ),
)


def _unchecked_section(say: Speaker) -> Section:
    return Section(
        "unchecked",
        say("本报告没有核对的内容", "What this report has not checked"),
        (Bullets(tuple(Cell(say(*one)) for one in UNCHECKED)),),
    )


def _recompute_section(report: Report, say: Speaker) -> Section:
    rows = [
        (
            say("在登记系统上", "at the registry"),
            Cell(f"tanhui recompute {report.run}", code=True),
        ),
        (
            say("在任何机器上", "on any machine"),
            Cell(f"tanhui export run {report.run} --bundle run.zip", code=True),
        ),
        ("", Cell("tanhui recompute run.zip", code=True)),
        (say("日志公钥", "key of the log"), Cell(report.log_vkey, code=True)),
        (
            say("计算所用软件", "software that computed it"),
            Cell(
                say("、", ", ").join(
                    f"{SOFTWARE.get(name, name)} {version}" for name, version in report.software.items()
                )
            )
            if report.software
            else say.unknown,
        ),
        (say("记录版本", "version of the record"), Cell(str(report.record_version))),
    ]
    text = say(
        "任何人都可以用运行记录和原始文件重新计算：每个文件先与其摘要核对，千克数必须完全相同，不同之处逐项列出。",
        "Anybody can compute the run again from its record and files: each file is held against its digest "
        "first, the kilograms have to be the same exactly, and whatever differs is named.",
    )
    return Section(
        "recompute", say("如何重新计算", "How to compute it again"), (Paragraph(text), Facts(tuple(rows)))
    )


def _signatures_section(say: Speaker) -> Section:
    return Section(
        "signatures",
        say("签署", "Signatures"),
        (
            Paragraph(
                say(
                    "手写签名与盖章不改变日志中的事实；以日志条目及其签名为准。",
                    "Signing this paper changes no fact of the log; the entries and their signatures decide.",
                ),
                "quiet",
            ),
            Signatures(
                (say("编制", "prepared by"), say("复核", "checked by"), say("核查机构", "verifier")),
                (
                    say("姓名", "name"),
                    say("签字（盖章）", "signature (seal)"),
                    say("日期", "date"),
                ),
            ),
        ),
    )
