"""Soil: E-S1, E-S2, E-S2b, and the area behind a published figure."""

from typing import Annotated, Final

from registry.estimates.methods import soil
from registry.estimates.methods.equations.declare import Equation
from registry.estimates.methods.library import data_table
from registry.estimates.methods.quantities import (
    Factor,
    Gas,
    Hectares,
    Many,
    Quantity,
    Share,
    Years,
    YearsElapsed,
    positive,
)
from registry.estimates.methods.soil import (
    AllCarbon,
    ImpliedArea,
    SoilArea,
    SoilChange,
    SoilStockChange,
    SoilUse,
    StrawCarbon,
)

StrawMass = Annotated[float, Quantity("kg/ha", low=0, high=12_000)]
StockReference = Annotated[float, positive("tC/ha")]
Slope = Annotated[float, Quantity("kgC per t of straw", low=0, high=1000)]
Intercept = Annotated[float, Quantity("kgC/ha/year", low=0, high=10_000)]
Areas = Annotated[list[SoilArea], Many(1, 1000)]


def _step(
    *,
    area_ha: Hectares,
    soc_ref_tc_ha: StockReference,
    baseline: SoilUse,
    project: SoilUse,
    years_elapsed: YearsElapsed,
    transition_years: Years = soil.TRANSITION_YEARS,
) -> SoilChange:
    return soil.soil_change(
        area_ha=area_ha,
        soc_ref_tc_ha=soc_ref_tc_ha,
        baseline=baseline,
        project=project,
        years_elapsed=years_elapsed,
        transition_years=transition_years,
    )


def _stocks(
    *,
    soc_ref_tc_ha: StockReference,
    flu: Factor,
    initial: Areas,
    final: Areas,
    transition_years: Years = soil.TRANSITION_YEARS,
) -> SoilStockChange:
    return soil.soil_stock_change(
        soc_ref_tc_ha=soc_ref_tc_ha, flu=flu, initial=initial, final=final, transition_years=transition_years
    )


def _straw(*, area_ha: Hectares, straw_kg_ha: StrawMass, slope: Slope, intercept: Intercept) -> StrawCarbon:
    return soil.straw_carbon(area_ha=area_ha, straw_kg_ha=straw_kg_ha, slope=slope, intercept=intercept)


def _all_carbon(
    *, area_ha: Hectares, straw_kg_ha: StrawMass, straw_carbon_fraction: Share, humification: Share
) -> AllCarbon:
    return soil.all_straw_carbon(
        area_ha=area_ha,
        straw_kg_ha=straw_kg_ha,
        straw_carbon_fraction=straw_carbon_fraction,
        humification=humification,
    )


def _inverse(
    *,
    target_tco2e: Gas,
    straw_kg_ha: StrawMass,
    soc_ref_tc_ha: StockReference,
    flu: Factor,
    fi_step: Annotated[float, Quantity("1", above=0, high=10)],
    straw_carbon_fraction: Share,
) -> ImpliedArea:
    south = data_table("straw_regression")
    return soil.implied_area(
        target_tco2e=target_tco2e,
        straw_kg_ha=straw_kg_ha,
        soc_ref_tc_ha=soc_ref_tc_ha,
        flu=flu,
        fi_step=fi_step,
        straw_carbon_fraction=straw_carbon_fraction,
        slope=south.value("south", "slope"),
        intercept=south.value("south", "intercept"),
    )


EQUATIONS: Final = (
    Equation(
        "E-S1",
        "土壤有机碳（IPCC 因子法）",
        "Soil carbon by factors of the IPCC",
        "SOC = SOC_ref FLU FMG FI; annual = (SOC_project - SOC_baseline)/20",
        "clause 4.2; IPCC 2006 vol. 4, eq. 2.25; rows of 2006 and of 2019 are never mixed",
        (_step, _stocks),
        ("soil_ipcc06", "soil_ipcc19"),
    ),
    Equation(
        "E-S2",
        "秸秆还田固碳（回归法）",
        "Soil carbon from straw by regression",
        "r = slope S + intercept kgC/ha/year, S in t/ha, 0 below 1 t/ha; total = r 44/12 A/1000",
        "clause 4.3; after Lu F. et al. 2009; S up to 12 t/ha",
        (_straw,),
        ("straw_regression",),
    ),
    Equation(
        "E-S2b",
        "秸秆全碳法（诊断）",
        "All carbon of the straw; for diagnosis",
        "A M fraction h 44/12/1000, h the humification",
        "clause 4.3; h = 1 is physically wrong",
        (_all_carbon,),
    ),
    Equation(
        "E-S2/E-S1/E-S2b inverse",
        "公布数字背后的面积",
        "The area behind a published figure",
        "target divided by the rate of each equation",
        "clause 4.3; E-S2 with the coefficients of the south, E-S1 over 20 years, E-S2b with h = 1",
        (_inverse,),
        ("straw_regression", "soil_ipcc06"),
    ),
)
