"""The sections of a report that say what went in: rasters, plots, land cover, method and parameters."""

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
    once,
    percent,
)
from registry.estimates.reports.facts import MethodSheet, ParameterRow, PlotsUsed, RasterUsed, Report
from registry.estimates.reports.words import (
    BIOMASS,
    BIOMASS_EQUATIONS,
    ERROR_FIELDS,
    ERROR_MODELS,
    ESTIMATORS,
    LAND_CLASSES,
    MEASUREMENTS,
    PARAMETERS,
    RASTERS,
    TABLES,
    UNITS,
    source,
    stand_type,
    word,
)

DENSITIES = ("agb_start", "agb_end")
MARK_TONES: dict[str, Tone] = {"P": "warn", "A": "bad"}


# ---- inputs ------------------------------------------------------------------------------------------------


def inputs_section(report: Report, say: Speaker) -> Section:
    blocks: list[Block] = [
        Table(
            columns=(
                Column(say("栅格", "raster"), share=3),
                Column(say("产品", "product"), share=2),
                Column(say("日期", "date")),
                Column(say("单位", "unit")),
                Column(say("波段", "band"), "right"),
                Column(say("坐标系，像元", "frame, pixel"), share=3),
                Column(say("误差模型", "error model"), share=3),
                Column(say("许可", "licence"), share=2),
            ),
            rows=tuple(
                _raster_row(one, {raster.name for raster in report.rasters}, say) for one in report.rasters
            ),
            caption=say("栅格", "Rasters"),
        ),
        Table(
            columns=(Column(say("文件", "file"), share=1), Column("SHA-256", share=2)),
            rows=tuple(_digests(report, say)),
            caption=say("各文件的摘要", "Digests of the files"),
        ),
        Facts(tuple(_plot_rows(report, say))),
    ]
    return Section("inputs", say("输入数据", "What went in"), tuple(blocks))


def _raster_row(raster: RasterUsed, names: set[str], say: Speaker) -> tuple[Cell, ...]:
    frame = " ".join(part for part in (raster.crs, raster.resolution) if part)
    return cells(
        (
            word(say, RASTERS, raster.name),
            Cell(raster.product, code=True),
            raster.taken_on,
            say.unknown if raster.unit is None else word(say, UNITS, raster.unit),
            say.unknown if raster.band is None else str(raster.band),
            Cell(frame, code=True) if frame else say.unknown,
            _error_model(raster, names, say),
            _licence(raster, say),
        )
    )


def _error_model(raster: RasterUsed, names: set[str], say: Speaker) -> Cell:
    """How a pixel's error is known, and, where it is, how errors go together. The run's own raster of
    deviations speaks for a density that states none.
    """
    model = raster.error_model
    if not model:
        return say.unknown
    kind = model.get("kind", "")
    if kind == "none" and raster.name not in DENSITIES:
        return Cell("—", tone="quiet")
    if kind == "none" and f"{raster.name}_sd" in names:
        return Cell(say("标准差栅格（另列）", "a raster of standard deviations, listed too"))
    told = [word(say, ERROR_MODELS, kind)]
    for name, value in sorted(model.items()):
        if name not in ERROR_FIELDS or kind == "none":
            continue
        share = name.startswith("rho_") or name in ("ppm", "relative_ppm")
        told.append(f"{word(say, ERROR_FIELDS, name)} {ratio(int(value)) if share else value[:16]}")
    return Cell(say("；", "; ").join(told))


def _licence(raster: RasterUsed, say: Speaker) -> Cell:
    """Who made it and under which terms, in its maker's words."""
    parts = [part for part in (raster.licence, raster.attribution) if part]
    return Cell(" · ".join(parts), code=True) if parts else say.unknown


def ratio(ppm: int) -> str:
    """Parts per million as a decimal share."""
    text = f"{Decimal(ppm).scaleb(-6):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _digests(report: Report, say: Speaker) -> Iterator[tuple[Cell, ...]]:
    for raster in report.rasters:
        yield Cell(word(say, RASTERS, raster.name)), Cell(raster.sha256, code=True)
    if report.plots is not None:
        yield Cell(say("样地文件", "plot file")), Cell(report.plots.sha256, code=True)
    yield Cell(say("全部输入", "all inputs together")), Cell(report.inputs_sha256, code=True)
    yield Cell(say("运行记录", "the run's record")), Cell(report.record_sha256, code=True)


def _plot_rows(report: Report, say: Speaker) -> Iterator[tuple[str, Cell]]:
    plots = report.plots
    if plots is None:
        yield say("样地", "plots"), Cell(say("未使用", "none used"))
    else:
        yield say("样地调查方式", "how plots were measured"), Cell(word(say, MEASUREMENTS, plots.measurement))
        yield (
            say("样地数", "number of plots"),
            Cell(
                say(
                    "文件中 {all} 个；位于本项目土地上并采用 {used} 个；不在本项目土地上 {out} 个",
                    "{all} in the file; {used} stand on this land and were used; {out} stand elsewhere",
                    all=say.figure(plots.in_file, 0).text,
                    used=say.figure(plots.used, 0).text,
                    out=grouped(len(plots.outside)),
                )
            ),
        )
        yield say("样地文件名", "file name"), say.either(plots.file_name, code=True)
        yield from _design_rows(plots, say)
    for cover in report.land_covers:
        yield (
            word(say, RASTERS, cover.name) + say("：森林类别", ": classes of forest"),
            say.unknown
            if cover.classes is None
            else Cell(
                f"{cover.product} "
                + say("、", ", ").join(
                    f"{one} {say(*LAND_CLASSES.get((cover.product, one), ('森林', 'forest')))}"
                    for one in cover.classes
                )
            ),
        )


def _design_rows(plots: PlotsUsed, say: Speaker) -> Iterator[tuple[str, Cell]]:
    """By which design the places were drawn, and whether anybody could have chosen its seed."""
    design, label = plots.design, say("样地设计", "design of the plots")
    if design is None:
        none = say(
            "未随样地文件提交；样地位置是否随机抽取，无从核对",
            "none was brought with the file; nobody can tell whether the places were drawn",
        )
        yield label, Cell(none, tone="warn")
        return
    yield label, Cell(design.sha256, code=True)
    if design.kind is None or design.seed is None:
        yield say("设计种子", "seed of the design"), say.unknown
        return
    said = (
        say(
            "日志检查点之根：先于设计公布，任何人不能挑选",
            "root of a checkpoint of the log: published before the design, nobody's choice",
        )
        if design.kind == "log"
        else say("由设计者给定：不能排除挑选", "given by the designer: a choice cannot be ruled out")
    )
    yield say("设计种子", "seed of the design"), Cell(said, tone="" if design.kind == "log" else "warn")
    if design.origin is not None and design.size is not None:
        checkpoint = say("检查点（日志，条目数）", "checkpoint (log, entries)")
        yield checkpoint, Cell(f"{design.origin} {design.size}", code=True)
    yield say("种子内容", "the seed itself"), Cell(design.seed, code=True)
    if design.places is not None and design.findings is not None:
        yield (
            say("与设计的比较", "beside the design"),
            Cell(
                say(
                    "设计 {n} 个样地；偏离、缺少或增加 {odd} 处（见“复核与提示”）",
                    "{n} places designed; {odd} moved, missing or added (see checks and warnings)",
                    n=grouped(design.places),
                    odd=grouped(len(design.findings)),
                ),
                tone="warn" if design.findings else "good",
            ),
        )


# ---- the method --------------------------------------------------------------------------------------------


def method_section(report: Report, say: Speaker) -> Section:
    sheet = report.method
    blocks: list[Block] = [Facts(tuple(_sheet_facts(sheet, say)))]
    if not sheet.known:
        blocks.append(
            Callout(
                say("此版本软件没有这一方法版本", "This software has another version of the method"),
                say(
                    "运行所用的方法摘要与本软件的不同，因此不列出参数值。请用与运行相同版本的软件出具报告。",
                    "The digest of the run's method is not that of this software, so no parameter values are "
                    "shown. A version of the software with that method prints them.",
                ),
                "warn",
            )
        )
    blocks.append(_tables(sheet, say))
    blocks.append(
        Table(
            columns=(
                Column(say("公式", "equation")),
                Column(say("作用", "what it is for"), share=2),
                Column(say("算式", "equation"), share=4),
            ),
            rows=tuple(cells((one, what, formula)) for one, what, formula in _equations(report, say)),
            caption=say("所用公式", "Equations used"),
        )
    )
    if sheet.rows:
        blocks += _parameters(report, say)
    return Section("method", say("方法表", "Method sheet"), tuple(blocks))


def _sheet_facts(sheet: MethodSheet, say: Speaker) -> Iterator[tuple[str, Cell]]:
    yield say("方法版本", "method version"), Cell(sheet.id, code=True)
    yield say("方法摘要", "digest of the method"), Cell(sheet.sha256, code=True)
    yield say("代码版本", "version of the code"), say.either(sheet.code_version)
    biomass = sheet.biomass
    yield (
        say("生物量公式", "biomass equation"),
        say.unknown if biomass is None else Cell(f"{biomass} {word(say, BIOMASS, biomass)}"),
    )
    estimator = sheet.estimator
    yield (
        say("变化量估计", "estimator of change"),
        say.unknown if estimator is None else Cell(word(say, ESTIMATORS, estimator)),
    )
    rule = sheet.deduction_rule
    yield (
        say("扣减规则", "deduction rule"),
        say.unknown if rule is None else Cell(f"{word(say, PARAMETERS, rule)}"),
    )


def _tables(sheet: MethodSheet, say: Speaker) -> Table:
    return Table(
        columns=(
            Column(say("参数表", "parameter table"), share=2),
            Column(say("版本", "version")),
            Column("SHA-256", share=5),
        ),
        rows=tuple(
            cells(
                (
                    word(say, TABLES, one.name),
                    say.unknown if one.version is None else one.version,
                    Cell(one.sha256, code=True),
                )
            )
            for one in sheet.tables
        ),
        caption=say("参数表及其摘要", "Parameter tables and their digests"),
    )


def _equations(report: Report, say: Speaker) -> Iterator[tuple[str, str, str]]:
    """The equations that lead to the figure, with what they compute."""
    biomass = report.method.biomass
    yield (
        "E-A1",
        say("地块面积", "area of a parcel"),
        say("CGCS2000 椭球面上的测地面积", "geodesic, on the ellipsoid of CGCS2000"),
    )
    yield (
        "E-R1",
        say("栅格储量与可计入面积", "stock by raster, eligible ground"),
        "AGB = Σ w × m × agb;  C = AGB × (1 + R) × CF",
    )
    yield (
        "E-R2",
        say("栅格变化量及误差", "change by raster, with error"),
        "SE² = (1 − ρ) × Σ (w × s)² + ρ × (Σ w × s)²;  U = z × SE / |T| × 100 %",
    )
    if report.change is not None:
        if biomass is not None:
            yield biomass, word(say, BIOMASS, biomass), BIOMASS_EQUATIONS.get(biomass, "—")
        yield (
            "E-U1",
            say("分层均值及不确定性", "stratified mean and uncertainty"),
            "SE = √ Σ (W² × SD² / n);  U = t × SE / |x| × 100 %",
        )
    yield "E-U2", say("不确定性扣减", "deduction for uncertainty"), _steps(report.method, say)
    yield (
        "E-C1",
        say("计入量计算链", "chain of crediting"),
        "ΔP × (1 − DR) − ΔB − PE − LK",
    )


def _steps(sheet: MethodSheet, say: Speaker) -> str:
    if not sheet.deduction_steps:
        return say.unknown.text
    parts = []
    for step in sheet.deduction_steps:
        value = f"{step.share_of_u} × U" if step.rate is None else f"{grouped(step.rate * 100, 0)} %"
        bound = say("其余", "else") if step.up_to_pct is None else f"U ≤ {step.up_to_pct} %"
        parts.append(f"{bound}: {value}")
    last = sheet.deduction_steps[-1].up_to_pct
    if last is not None:
        parts.append(f"U > {last} %: " + say("不得签发", "nothing is issued"))
    return ";  ".join(parts)


def _parameters(report: Report, say: Speaker) -> Iterator[Block]:
    """Every number used, with value, unit, source and mark; what is not sure stands out."""
    rows = report.method.rows
    stands = tuple(row for row in rows if row.table == "stand_types")
    if stands:
        yield _stand_factors(stands, say)
    yield Table(
        columns=(
            Column(say("参数", "parameter"), share=4),
            Column(say("值", "value"), "right"),
            Column(say("单位", "unit"), share=2),
            Column(say("来源", "source"), share=5),
            Column(say("标记", "mark"), "center"),
        ),
        rows=(
            *_parameter_rows([row for row in rows if row.table != "stand_types"], say),
            *_programme_rows(report, say),
        ),
        caption=say("所用其他参数与方案条款", "Other parameters used, and terms of the programme"),
    )
    yield Paragraph(
        say(
            "标记：S 可靠（读自原文或标准常数）；P 很可能（专家记忆，未核对原文）；A 假定。"
            "标为 P 或 A 的参数用于签发之前，须由核查机构签署认定（D2）。",
            "Marks: S sure (read in a source, or a standard constant); P probable (recollected, print not "
            "opened); A assumed. Before issuance a verifier has to attest the rows marked P or A (D2).",
        ),
        "quiet",
    )


def _stand_factors(rows: tuple[ParameterRow, ...], say: Speaker) -> Table:
    """The biomass factors: a row for each stand type, a column for each factor."""
    names = list(dict.fromkeys(row.name for row in rows))
    units = {row.name: row.unit for row in rows}
    by_code: dict[str, dict[str, ParameterRow]] = {}
    for row in rows:
        by_code.setdefault(row.code, {})[row.name] = row
    made = []
    first = [next(iter(found.values())) for found in by_code.values()]
    sources = once([source(say, one.source) for one in first], same_as_above(say))
    for (code, found), one, where in zip(by_code.items(), first, sources, strict=True):
        values = (Cell(found[name].value) if name in found else say.unknown for name in names)
        mark = Cell(one.mark, strong=True, tone=MARK_TONES.get(one.mark, ""))
        made.append((Cell(stand_type(say, code)), *values, Cell(where), mark))
    return Table(
        columns=(
            Column(say("林分类型", "stand type"), share=3),
            *(
                Column(
                    say(
                        "{what}（{unit}）",
                        "{what} ({unit})",
                        what=word(say, PARAMETERS, name),
                        unit=word(say, UNITS, units[name]),
                    ),
                    "right",
                    2,
                )
                for name in names
            ),
            Column(say("来源", "source"), share=5),
            Column(say("标记", "mark"), "center"),
        ),
        rows=tuple(made),
        caption=say("所用林分参数", "Factors of the stand types used"),
    )


def same_as_above(say: Speaker) -> str:
    return say("同上", "as above")


def _parameter_rows(rows: list[ParameterRow], say: Speaker) -> Iterator[tuple[Cell, ...]]:
    sources = once([source(say, row.source) for row in rows], same_as_above(say))
    for row, where in zip(rows, sources, strict=True):
        yield _parameter_row(row, where, say)


def _parameter_row(row: ParameterRow, where: str, say: Speaker) -> tuple[Cell, ...]:
    tone = MARK_TONES.get(row.mark, "")
    return cells(
        (
            _parameter_name(row, say),
            row.value,
            word(say, UNITS, row.unit),
            where,
            Cell(row.mark, strong=True, tone=tone),
        )
    )


def _parameter_name(row: ParameterRow, say: Speaker) -> str:
    if row.table in ("stand_types", "linear_biomass"):
        return say(
            "{what}：{stand}",
            "{what}: {stand}",
            what=word(say, PARAMETERS, row.name),
            stand=stand_type(say, row.code),
        )
    what = word(say, PARAMETERS, row.code)
    return f"{what} {row.name}" if row.name else what


def _programme_rows(report: Report, say: Speaker) -> Iterator[tuple[Cell, ...]]:
    terms = report.terms
    per_year = say("kg CO2e/公顷/年", "kg CO2e/ha/year")
    shares = {"buffer_ppm": terms.buffer_ppm, "withheld_ppm": terms.withheld_ppm}
    shares["baseline_ppm"] = terms.baseline_ppm
    rates = {
        "plausible_kg_ha_year": terms.plausible_kg_ha_year,
        "refused_kg_ha_year": terms.refused_kg_ha_year,
    }
    for code, value, unit in (
        *((code, percent(ppm), say("比例", "share")) for code, ppm in shares.items()),
        *((code, grouped(kg), per_year) for code, kg in rates.items()),
    ):
        assumed = code in terms.assumed
        red: Tone = "bad" if assumed else ""
        baseline: Tone = red if code == "baseline_ppm" else ""
        yield cells(
            (
                Cell(word(say, PARAMETERS, code), tone=baseline),
                Cell(value, tone=baseline),
                unit,
                say("方案条款 {code}", "terms of the programme {code}", code=report.subject.programme),
                Cell("A", strong=True, tone=red) if assumed else Cell("S", strong=True),
            )
        )
