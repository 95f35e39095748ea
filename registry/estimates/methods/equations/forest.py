"""Trees: E-F1 to E-F4."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Final

from registry.estimates.methods import allometry, forest, plausible, tiers
from registry.estimates.methods.allometry import BiomassCurve, GroupPlot, GroupTree
from registry.estimates.methods.constants import C_TO_CO2
from registry.estimates.methods.equations.declare import Equation
from registry.estimates.methods.errors import MissingInput
from registry.estimates.methods.forest import (
    GrowthCurve,
    LinearStockChange,
    Tree,
    TreePlot,
    VolumeStockChange,
)
from registry.estimates.methods.library import data_table
from registry.estimates.methods.parameters import BiomassFactors, Growth, SpeciesShare, default_parameters
from registry.estimates.methods.plausible import Plausible
from registry.estimates.methods.quantities import (
    CarbonDensity,
    Factor,
    Hectares,
    Many,
    Quantity,
    Share,
    Volume,
    WoodDensity,
    Years,
    positive,
)
from registry.estimates.methods.tiers import ForecastBand, ForecastStand

SiteFactor = Annotated[float, Quantity("1", above=0, high=10)]
Age = Annotated[float, Quantity("years", low=0, high=1000)]
Ages = Annotated[list[Age], Many(1, 1000)]
Asymptote = Annotated[float, Quantity("m3/ha", above=0, high=1e5)]
PerYear = Annotated[float, Quantity("1/year", above=0, high=100)]
Slope = Annotated[float, Quantity("t/m3", low=0, high=100)]
Intercept = Annotated[float, Quantity("t/ha", low=-10_000, high=10_000)]
PlotArea = Annotated[float, Quantity("ha", above=0, high=100)]
Trees = Annotated[list[Tree], Many(0, 10_000)]


def _of_row(equation: str, row: Any, given: Mapping[str, float | None]) -> dict[str, float]:
    """Values as given; those that are not come from the row of the stand type."""
    values: dict[str, float] = {}
    for field, value in given.items():
        if value is None and row is None:
            raise MissingInput(equation=equation, field=field)
        values[field] = getattr(row, field) if value is None else value
    return values


def _factors_row(stand_type: str | None) -> BiomassFactors | None:
    return default_parameters().stand_types.row(stand_type).factors if stand_type else None


def _by_volume(
    *,
    area_ha: Hectares,
    v1_m3_ha: Volume,
    v2_m3_ha: Volume,
    years: Years,
    stand_type: str | None = None,
    wood_density: WoodDensity | None = None,
    bef: Factor | None = None,
    root_shoot: Share | None = None,
    carbon_fraction: Share | None = None,
) -> VolumeStockChange:
    given = {
        "wood_density": wood_density,
        "bef": bef,
        "root_shoot": root_shoot,
        "carbon_fraction": carbon_fraction,
    }
    factors = BiomassFactors(**_of_row("E-F1", _factors_row(stand_type), given))
    return forest.volume_stock_change(
        area_ha=area_ha, v1_m3_ha=v1_m3_ha, v2_m3_ha=v2_m3_ha, years=years, factors=factors
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Species:
    """A species of a mixed stand by its stand type, and its share of the volume."""

    stand_type: str
    volume_share: Share


@dataclasses.dataclass(frozen=True, slots=True)
class MixedStock:
    carbon_tc_ha: float
    stock_tco2e: float


def _mixed(
    *, area_ha: Hectares, volume_m3_ha: Volume, species: Annotated[list[Species], Many(1, 100)]
) -> MixedStock:
    rows = default_parameters().stand_types
    parts = [SpeciesShare(rows.row(one.stand_type).factors, one.volume_share) for one in species]
    carbon = forest.mixed_volume_carbon_tc_ha(volume_m3_ha, parts)
    return MixedStock(carbon, carbon * area_ha * C_TO_CO2)


def _linear(
    *,
    area_ha: Hectares,
    v1_m3_ha: Volume,
    v2_m3_ha: Volume,
    years: Years,
    stand_type: str | None = None,
    a: Slope | None = None,
    b: Intercept | None = None,
    root_shoot: Share | None = None,
    carbon_fraction: Share | None = None,
) -> LinearStockChange:
    reference = _factors_row(stand_type)
    line: Any = None
    if stand_type and (a is None or b is None):
        line = default_parameters().linear_biomass.row(stand_type)
    values = _of_row("E-F2", line, {"a": a, "b": b}) | _of_row(
        "E-F2", reference, {"root_shoot": root_shoot, "carbon_fraction": carbon_fraction}
    )
    return forest.linear_stock_change(
        area_ha=area_ha, v1_m3_ha=v1_m3_ha, v2_m3_ha=v2_m3_ha, years=years, reference=reference, **values
    )


def _trees(*, plot_area_ha: PlotArea, trees: Trees, root_shoot: Share, carbon_fraction: Share) -> TreePlot:
    return forest.tree_plot(
        plot_area_ha=plot_area_ha, trees=trees, root_shoot=root_shoot, carbon_fraction=carbon_fraction
    )


def _group(
    *,
    group: str,
    plot_area_ha: PlotArea,
    trees: Annotated[list[GroupTree], Many(0, 10_000)],
    carbon_fraction: Share,
) -> GroupPlot:
    return allometry.group_plot(
        group=group, plot_area_ha=plot_area_ha, trees=trees, carbon_fraction=carbon_fraction
    )


def _growth(
    *,
    area_ha: Hectares,
    ages: Ages,
    site_factor: SiteFactor = 1.0,
    stand_type: str | None = None,
    asymptote_m3_ha: Asymptote | None = None,
    k: PerYear | None = None,
    c: Factor | None = None,
    wood_density: WoodDensity | None = None,
    bef: Factor | None = None,
    root_shoot: Share | None = None,
    carbon_fraction: Share | None = None,
) -> GrowthCurve:
    given = {
        "wood_density": wood_density,
        "bef": bef,
        "root_shoot": root_shoot,
        "carbon_fraction": carbon_fraction,
    }
    factors = BiomassFactors(**_of_row("E-F4", _factors_row(stand_type), given))
    row = default_parameters().stand_types.row(stand_type).growth if stand_type else None
    curve = Growth(**_of_row("E-F4", row, {"asymptote_m3_ha": asymptote_m3_ha, "k": k, "c": c}))
    return forest.growth_curve(
        area_ha=area_ha, ages=ages, site_factor=site_factor, growth=curve, factors=factors
    )


def _forecast(
    *,
    stands: Annotated[list[ForecastStand], Many(1, 1000)],
    after_years: Annotated[list[Age], Many(1, 100)],
) -> ForecastBand:
    return tiers.forecast_project(stands, after_years)


def _logistic(
    *,
    area_ha: Hectares,
    ages: Ages,
    stand_type: str | None = None,
    w: Annotated[float, positive("t/ha")] | None = None,
    q: Factor | None = None,
    a: PerYear | None = None,
    carbon_fraction: Share = 0.5,
) -> BiomassCurve:
    table = data_table("logistic_biomass")
    values: dict[str, float] = {}
    for field, value in {"w": w, "q": q, "a": a}.items():
        if value is None and stand_type is None:
            raise MissingInput(equation="E-F4/logistic", field=field)
        values[field] = table.value(str(stand_type), field) if value is None else value
    return allometry.logistic_curve(area_ha=area_ha, ages=ages, carbon_fraction=carbon_fraction, **values)


def _density(
    *,
    stand_type: str,
    tc_ha: CarbonDensity,
    age_years: Annotated[float, Quantity("years", low=0, high=1000)] | None = None,
) -> Plausible:
    age_class = None if age_years is None else plausible.age_class_of(stand_type, age_years)
    return plausible.plausible_density(stand_type, age_class, tc_ha)


EQUATIONS: Final = (
    Equation(
        "E-F1",
        "蓄积量法（生物量扩展因子）",
        "Stand volume with biomass expansion factor",
        "C = V D BEF (1 + R) CF A; dCO2 = (C2 - C1) 44/12",
        "clause 2.1; IPCC 2006 vol. 4, eq. 2.8; AR-CM-001",
        (_by_volume,),
        ("stand_types",),
    ),
    Equation(
        "E-F1/mixed",
        "蓄积量法（混交林）",
        "Stand volume of a mixed stand",
        "C = sum over species of V share D BEF (1 + R) CF; shares add up to 1",
        "clause 2.1; shares by volume",
        (_mixed,),
        ("stand_types",),
    ),
    Equation(
        "E-F2",
        "生物量—蓄积线性方程",
        "Linear biomass over volume",
        "B = a V + b, roots included; C = B CF A; not below 10 m3/ha",
        "clause 2.2; Fang et al. 2001, coefficients of Li Y. et al. 2016",
        (_linear,),
        ("linear_biomass", "stand_types"),
    ),
    Equation(
        "E-F3",
        "单木异速生长方程",
        "Single trees",
        "AGB = 0.3 rho DBH^(7/3) kg; C = sum AGB / 1000 / area (1 + R) CF",
        "clause 2.3; Zeng 2018, Forest Research: Open Access 7(1)",
        (_trees,),
    ),
    Equation(
        "E-F3/group",
        "浙江公益林树种组单木模型",
        "Single trees by species group of Zhejiang; not for issuance",
        "stem a H^b D^c + crown a D^b L^c + root a H^b D^c, kg",
        "clause 2.3; Yuan W. et al. 2009, not re-read: no method version uses it",
        (_group,),
        ("allometry",),
    ),
    Equation(
        "E-F4",
        "蓄积生长曲线（事前预测）",
        "Growth curve of stand volume; ex ante only",
        "V(t) = site A (1 - exp(-k t))^c, then E-F1",
        "clause 2.4; Richards; never issued",
        (_growth,),
        ("stand_types",),
    ),
    Equation(
        "E-F4/forecast",
        "项目事前预测（立地上下限）",
        "Forecast of a project with the band of the site; ex ante only",
        "sum over stands of stock(age + t) - stock(age) by E-F4, sites 0.8, 1.0 and 1.3",
        "clause 2.4; options are sized on the poor site; never issued",
        (_forecast,),
        ("stand_types", "estimation_rules"),
    ),
    Equation(
        "E-F4/logistic",
        "总生物量逻辑斯蒂曲线（事前预测）",
        "Growth curve of total biomass; ex ante only",
        "B(t) = w / (1 + q exp(-a t)) t/ha; C = B CF",
        "clause 2.4; Xu Bing et al. 2010; never issued",
        (_logistic,),
        ("logistic_biomass",),
    ),
    Equation(
        "density/plausible",
        "碳密度合理性",
        "Whether a carbon density is an ordinary one; a warning, no refusal",
        "half of the lowest to twice the highest mean of the stand type, or of its age class",
        "clause 3.4; means of Li Y. et al. 2016, tables 3 to 5",
        (_density,),
        ("reference_densities", "plausible_density", "age_classes"),
    ),
)
