"""The sections of a report that say what became of the run, what to beware of, and how to check it."""

from collections.abc import Iterator, Mapping
from typing import Final

from registry.estimates.reports.blocks import (
    Block,
    Bullets,
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
    once,
    tonnes,
)
from registry.estimates.reports.facts import Finding, Report
from registry.estimates.reports.sheet import same_as_above
from registry.estimates.reports.stocks import stock_warnings
from registry.estimates.reports.words import (
    CHECKS,
    FINDINGS,
    LEVELS,
    PARAMETERS,
    SOFTWARE,
    TABLES,
    source,
    stand_type,
    word,
)


def outcome_section(report: Report, say: Speaker) -> Section:
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
                f"{grouped(outcome.verified_kg)} kg CO2e = {grouped(tonnes(outcome.verified_kg), 3)} tCO2e",
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


def attestation_section(report: Report, say: Speaker) -> Section:
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
            "{verifier}已在声明中对下列各行签署认定。",
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
    return Section("attestation", title, (Paragraph(who), table, *_bound(report, say)))


def _bound(report: Report, say: Speaker) -> Iterator[Block]:
    """What the log binds of the attestation and of the override of assumptions, and what it does not."""
    assumed = sum(one.mark == "A" for one in report.attested)
    stated = None if report.outcome is None else report.outcome.attested_sha256
    rows = [
        (
            say("认定摘要（本次运行）", "digest of these rows (this run)"),
            Cell(report.attestation_sha256, code=True),
        ),
        (
            say("声明中的认定摘要", "digest in the statement"),
            Cell(stated, code=True) if stated else Cell(say("无", "none"), tone="quiet"),
        ),
        (
            say("标为 P / A 的行数", "rows marked P / A"),
            Cell(f"{grouped(len(report.attested) - assumed)} / {grouped(assumed)}"),
        ),
    ]
    yield Facts(tuple(rows))
    if stated is None:
        return
    yield Paragraph(
        say(
            "日志条目含有上述摘要；它由各行的表、代码、标记和来源算出，因此哪些行被认定、哪些是假定（A），事后不能改动。",
            "The log's entry holds this digest, made of table, code, mark and source of each row: which rows "
            "were attested, and which of them are assumptions (A), cannot be changed afterwards.",
        ),
        "quiet",
    )
    if assumed:
        yield Paragraph(
            say(
                "对假定参数的专门放行由核查机构提交声明时勾选：现行版本不勾选不予受理，"
                "但日志没有单独记下这一勾选，也没有记下理由；早期版本的声明可能没有经过这一步。",
                "The express override of assumptions is chosen with the statement: this version takes none "
                "without it, but the log does not record the choice by itself, and no reason. A statement "
                "made under an earlier version may not have passed that step.",
            ),
            "warn",
        )


def _table_name(table: str, say: Speaker) -> str:
    kind, _, programme = table.partition(":")
    if kind == "programme":
        return say("方案 {code}", "programme {code}", code=programme)
    return word(say, TABLES, table)


def _row_name(table: str, code: str, say: Speaker) -> str:
    if table in ("stand_types", "linear_biomass"):
        return stand_type(say, code)
    return word(say, PARAMETERS, code)


def warnings_section(report: Report, say: Speaker) -> Section:
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
                "{area}的土地不计入：两期土地覆盖不都是森林，或属于他人已主张的边缘。",
                "{area} of the land are not eligible: not forest in both land covers, or slivers claimed "
                "before.",
                area=say.area(report.area_cm2 - report.eligible_cm2),
            )
        )
    yield from stock_warnings(report, say)
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
    elif not report.findings and report.plots is not None:
        yield Cell(say("样地一致性检查：没有异常。", "Checks of the plots: nothing odd was found."))
    design = None if report.plots is None else report.plots.design
    for finding in (*(report.findings or ()), *(() if design is None else design.findings or ())):
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


_OF_STRATA: Final = ("plot_of_design_missing", "plot_of_other_stratum")
"""Findings whose value and limit are stand types."""


def _finding(finding: Finding, say: Speaker) -> str:
    """What is odd, by how much, and what the owner says to it."""
    said = f"{word(say, LEVELS, finding.level)} · {word(say, FINDINGS, finding.code)}"
    value, limit = (
        stand_type(say, text) if text and finding.code in _OF_STRATA else text
        for text in (finding.value, finding.limit)
    )
    if value:
        said += f" ({value}{f'; {limit}' if limit else ''})"
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


def unchecked_section(say: Speaker) -> Section:
    return Section(
        "unchecked",
        say("本报告没有核对的内容", "What this report has not checked"),
        (Bullets(tuple(Cell(say(*one)) for one in UNCHECKED)),),
    )


def recompute_section(report: Report, say: Speaker) -> Section:
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
