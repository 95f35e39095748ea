"""Pools and debits beside the living trees: E-F10, and those of 2.7 and 2.8."""

from typing import Annotated, Final

from registry.estimates.methods import pools
from registry.estimates.methods.equations.declare import Equation
from registry.estimates.methods.pools import (
    BaselineShare,
    FireGas,
    ForestSoil,
    LayerCarbon,
    PoolCarbon,
    Roots,
)
from registry.estimates.methods.quantities import (
    CarbonDensity,
    DryMatterDensity,
    Factor,
    GasChange,
    Hectares,
    Share,
    Warming,
    Years,
    YearsElapsed,
    not_negative,
)

GramsPerKilogram = Annotated[float, not_negative("g/kg")]


def _fire(
    *,
    area_ha: Hectares,
    fuel_t_ha: DryMatterDensity,
    combustion_factor: Share,
    gef_ch4_g_kg: GramsPerKilogram,
    gef_n2o_g_kg: GramsPerKilogram,
    gwp_ch4: Warming,
    gwp_n2o: Warming,
) -> FireGas:
    return pools.fire_gas(
        area_ha=area_ha,
        fuel_t_ha=fuel_t_ha,
        combustion_factor=combustion_factor,
        gef_ch4_g_kg=gef_ch4_g_kg,
        gef_n2o_g_kg=gef_n2o_g_kg,
        gwp_ch4=gwp_ch4,
        gwp_n2o=gwp_n2o,
    )


def _dead_wood(*, area_ha: Hectares, agb_t_ha: DryMatterDensity, dead_wood_share: Share) -> PoolCarbon:
    return pools.dead_wood(area_ha=area_ha, agb_t_ha=agb_t_ha, dead_wood_share=dead_wood_share)


def _litter(*, area_ha: Hectares, litter_tc_ha: CarbonDensity, years: YearsElapsed) -> LayerCarbon:
    return pools.litter(area_ha=area_ha, litter_tc_ha=litter_tc_ha, years=years)


def _shrubs(
    *,
    area_ha: Hectares,
    forest_biomass_t_ha: DryMatterDensity,
    crown_cover_share: Share,
    carbon_fraction: Share,
    shrub_to_forest: Share = 0.10,
    min_crown_cover_share: Share = 0.05,
) -> PoolCarbon:
    return pools.shrub_baseline(
        area_ha=area_ha,
        forest_biomass_t_ha=forest_biomass_t_ha,
        crown_cover_share=crown_cover_share,
        carbon_fraction=carbon_fraction,
        shrub_to_forest=shrub_to_forest,
        min_crown_cover_share=min_crown_cover_share,
    )


def _soil(
    *,
    area_ha: Hectares,
    soc_ref_tc_ha: CarbonDensity,
    flu_before: Factor,
    years_elapsed: YearsElapsed,
    transition_years: Years = 20.0,
    cap_tc_ha_year: CarbonDensity = 0.8,
) -> ForestSoil:
    return pools.forest_soil(
        area_ha=area_ha,
        soc_ref_tc_ha=soc_ref_tc_ha,
        flu_before=flu_before,
        years_elapsed=years_elapsed,
        transition_years=transition_years,
        cap_tc_ha_year=cap_tc_ha_year,
    )


def _roots(*, agb_t_ha: DryMatterDensity) -> Roots:
    return pools.cairns_roots(agb_t_ha)


def _baseline(*, delta_project_tco2e: GasChange, share_of_change: Share = 0.30) -> BaselineShare:
    return pools.baseline_share(delta_project_tco2e=delta_project_tco2e, share_of_change=share_of_change)


EQUATIONS: Final = (
    Equation(
        "E-F10",
        "火烧非二氧化碳排放",
        "Gases of a fire beside CO2",
        "CH4 = A fuel Cf G_ch4 1e-3 t, N2O alike; PE = CH4 GWP_ch4 + N2O GWP_n2o",
        "clause 2.8; IPCC 2006 vol. 4, eq. 2.27, tables 2.5 and 2.6",
        (_fire,),
        ("fire", "gwp"),
    ),
    Equation(
        "pool/dead-wood",
        "枯死木",
        "Dead wood",
        "DW = share AGB; C = DW 0.5",
        "clause 2.7; shares of AR-CM by region",
        (_dead_wood,),
        ("pools",),
    ),
    Equation(
        "pool/litter",
        "枯落物",
        "Litter of a new stand",
        "C = table value min(years/20, 1)",
        "clause 2.7; table 3.4",
        (_litter,),
        ("pools", "reference_densities"),
    ),
    Equation(
        "pool/shrubs",
        "灌木基线",
        "Shrubs before the project",
        "B = 0.10 B_forest crown cover; 0 below 5 % cover",
        "clause 2.8; CDM AR-TOOL14",
        (_shrubs,),
        ("pools", "bamboo_and_economic_forest"),
    ),
    Equation(
        "pool/soil",
        "造林土壤有机碳",
        "Soil under new forest",
        "min(SOC_ref (1 - FLU_before)/20, 0.8) tC/ha/year",
        "clause 2.7; E-S1 with the cap of CDM AR-TOOL16",
        (_soil,),
        ("pools", "soil_ipcc06", "soil_ipcc19"),
    ),
    Equation(
        "pool/roots",
        "地下生物量（Cairns）",
        "Roots where R is not known",
        "BGB = exp(-1.085 + 0.9256 ln AGB)",
        "clause 2.3; Cairns et al. 1997",
        (_roots,),
        ("tier1",),
    ),
    Equation(
        "baseline/share",
        "基线份额",
        "Baseline as a share of the project's change; a placeholder",
        "dB = 0.30 max(dP, 0)",
        "clause 2.8; without evidence, to be shown as such",
        (_baseline,),
        ("pools",),
    ),
)
