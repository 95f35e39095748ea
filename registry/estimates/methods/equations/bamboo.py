"""Bamboo: E-F6, E-F7."""

from dataclasses import dataclass
from typing import Annotated, Final

from registry.estimates.methods import bamboo
from registry.estimates.methods.bamboo import BambooProject, CulmClass
from registry.estimates.methods.constants import C_TO_CO2
from registry.estimates.methods.equations.declare import Equation
from registry.estimates.methods.parameters import bamboo_parameters
from registry.estimates.methods.quantities import (
    CarbonDensity,
    Hectares,
    Many,
    Quantity,
    Share,
    Tonnes,
    Years,
    YearsElapsed,
)


@dataclass(frozen=True, slots=True)
class CulmStand:
    """E-F6 for a stand whose plot is one for all of it."""

    culm_agb_kg: tuple[float, ...]
    agb_t_ha: float
    carbon_tc_ha: float
    stock_tco2e: float


def _culms(
    *,
    area_ha: Hectares,
    plot_area_ha: Annotated[float, Quantity("ha", above=0, high=100)],
    classes: Annotated[list[CulmClass], Many(0, 10_000)],
    root_shoot: Share,
    carbon_fraction: Share,
) -> CulmStand:
    plot = bamboo.culm_plot(
        plot_area_ha=plot_area_ha,
        classes=classes,
        root_shoot=root_shoot,
        carbon_fraction=carbon_fraction,
        model=bamboo_parameters().culm_model,
    )
    stock = plot.carbon_tc_ha * area_ha * C_TO_CO2
    return CulmStand(plot.culm_agb_kg, plot.agb_t_ha, plot.carbon_tc_ha, stock)


def _saturation(
    *,
    area_ha: Hectares,
    c0_tc_ha: CarbonDensity,
    c1_tc_ha: CarbonDensity,
    c_stable_tc_ha: CarbonDensity,
    harvest_t_dm: Tonnes,
    carbon_fraction: Share,
    product_share: Share,
    processing_efficiency: Share,
    half_life_years: Years,
    horizon_years: YearsElapsed,
    include_hbp: bool = False,
) -> BambooProject:
    stand = bamboo.saturated_tco2e(
        area_ha=area_ha, c0_tc_ha=c0_tc_ha, c1_tc_ha=c1_tc_ha, c_stable_tc_ha=c_stable_tc_ha
    )
    return bamboo.bamboo_project(
        stand=stand,
        harvest_t_dm=harvest_t_dm,
        carbon_fraction=carbon_fraction,
        product_share=product_share,
        processing_efficiency=processing_efficiency,
        half_life_years=half_life_years,
        horizon_years=horizon_years,
        include_hbp=include_hbp,
    )


EQUATIONS: Final = (
    Equation(
        "E-F6",
        "毛竹林",
        "Moso bamboo by its culms",
        "M = 747.787 D^2.771 (0.148 du/(0.028 + du))^5.555 + 3.772 kg; C = sum M / 1000 / area (1 + R) CF",
        "clause 2.5; Zhou Guomo 2006, D from 5 to 16 cm",
        (_culms,),
        ("bamboo",),
    ),
    Equation(
        "E-F7",
        "毛竹林碳饱和与竹产品",
        "Saturation of bamboo, and its products",
        "min((C1 - C0) A, max(0, C_stable - C0) A) 44/12 + products in use after the horizon, if switched on",
        "clause 2.6; D7; half-lives of IPCC 2019 vol. 4, ch. 12",
        (_saturation,),
        ("bamboo", "bamboo_products"),
    ),
)
