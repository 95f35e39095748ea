"""The sections of a report about its land: by stand type, on the map, and parcel by parcel."""

from registry.estimates.reports.blocks import (
    Block,
    Cell,
    Column,
    Paragraph,
    Picture,
    Section,
    Speaker,
    Table,
    grouped,
    ha,
    m2,
    mu,
)
from registry.estimates.reports.facts import LandParcel, PlotPlace, Report
from registry.estimates.reports.map import MapWords, colours, report_map_svg
from registry.estimates.reports.words import (
    stand_type,
)


def land_section(report: Report, say: Speaker) -> Section:
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


def parcels_section(report: Report, say: Speaker) -> Section:
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
            Column(say("村", "village"), share=1),
            Column(say("林分类型", "stand type")),
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
