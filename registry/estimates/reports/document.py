"""A report in words: `compose` turns the facts into the document that both renderers place."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from registry.estimates.reports.blocks import (
    Block,
    Cell,
    Document,
    Facts,
    Figure,
    Figures,
    Paragraph,
    Section,
    Signatures,
    Speaker,
    Tone,
    grouped,
    ha,
    mu,
    percent,
    tonnes,
)
from registry.estimates.reports.chain import chain_section
from registry.estimates.reports.facts import Report
from registry.estimates.reports.land import land_section, parcels_section
from registry.estimates.reports.measurement import (
    screening_section,
    strata_section,
    uncertainty_section,
)
from registry.estimates.reports.outcome import (
    attestation_section,
    outcome_section,
    recompute_section,
    unchecked_section,
    warnings_section,
)
from registry.estimates.reports.sheet import inputs_section, method_section
from registry.estimates.reports.words import (
    STAMPS,
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
            land_section(report, say),
            chain_section(report, say),
            outcome_section(report, say),
            strata_section(report, say),
            uncertainty_section(report, say),
            screening_section(report, say),
            inputs_section(report, say),
            method_section(report, say),
            attestation_section(report, say),
            warnings_section(report, say),
            unchecked_section(say),
            recompute_section(report, say),
            parcels_section(report, say),
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
                Cell(
                    say(
                        "{first} 至 {last}（含首尾）",
                        "{first} to {last} (both included)",
                        first=subject.crediting_from.isoformat(),
                        last=(subject.crediting_to - timedelta(days=1)).isoformat(),
                    )
                ),
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
        say("可签发估算量", "issuable by this estimate")
        if tone == ""
        else say("估算量（不得签发）", "estimate, not for issuance"),
        f"{grouped(report.line('issuable').tco2e or tonnes(report.estimate_kg), 3)}",
        f"tCO2e · {grouped(report.estimate_kg)} kg",
        tone,
    )
    if report.outcome is not None:
        yield Figure(
            say("核查机构签署", "signed by the verifier"),
            grouped(tonnes(report.outcome.verified_kg), 3),
            f"tCO2e · {grouped(report.outcome.verified_kg)} kg",
            "good",
        )
    yield Figure(
        say("不确定性 U（90 %）", "uncertainty U (90 %)"),
        say("没有定义", "undefined") if u is None else f"± {percent(u)}",
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


def _signatures_section(say: Speaker) -> Section:
    return Section(
        "signatures",
        say("签署", "Signatures"),
        (
            Signatures(
                (say("编制", "prepared by"), say("复核", "checked by"), say("核查机构", "verifier")),
                (say("姓名", "name"), say("签字（盖章）", "signature (seal)"), say("日期", "date")),
            ),
            Paragraph(
                say(
                    "手写签名与盖章不改变日志中的事实；以日志条目及其签名为准。",
                    "Signing this paper changes no fact of the log; the entries and their signatures decide.",
                ),
                "quiet",
            ),
        ),
    )
