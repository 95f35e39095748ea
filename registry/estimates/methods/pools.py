"""Pools and debits beside the living trees: dead wood, litter, shrubs, soil under new forest (2.7, 2.8),
roots by Cairns, and the gases of a fire (E-F10). All off unless a rule set switches them on.
"""

import math
from dataclasses import dataclass
from typing import Final

from registry.estimates.methods.checks import not_negative, positive, share
from registry.estimates.methods.constants import C_TO_CO2

DEAD_WOOD_CARBON_FRACTION: Final = 0.5
LITTER_YEARS: Final = 20.0


@dataclass(frozen=True, slots=True)
class PoolCarbon:
    """Dry matter and carbon of a pool, per hectare, and the CO2 of its carbon on the whole area."""

    biomass_t_ha: float
    carbon_tc_ha: float
    stock_tco2e: float


def dead_wood(*, area_ha: float, agb_t_ha: float, dead_wood_share: float) -> PoolCarbon:
    """Dead wood as a share of the living above-ground dry matter (2.7)."""
    positive(area_ha=area_ha)
    not_negative(agb_t_ha=agb_t_ha)
    share(dead_wood_share=dead_wood_share)
    return _pool(area_ha, agb_t_ha * dead_wood_share, DEAD_WOOD_CARBON_FRACTION)


def shrub_baseline(
    *,
    area_ha: float,
    forest_biomass_t_ha: float,
    crown_cover_share: float,
    carbon_fraction: float,
    shrub_to_forest: float,
    min_crown_cover_share: float,
) -> PoolCarbon:
    """Shrubs before the project, by their crown cover; none under the least cover (2.8; CDM AR-TOOL14)."""
    positive(area_ha=area_ha)
    not_negative(forest_biomass_t_ha=forest_biomass_t_ha)
    share(
        crown_cover_share=crown_cover_share, carbon_fraction=carbon_fraction, shrub_to_forest=shrub_to_forest
    )
    counted = crown_cover_share if crown_cover_share >= min_crown_cover_share else 0.0
    return _pool(area_ha, shrub_to_forest * forest_biomass_t_ha * counted, carbon_fraction)


def _pool(area_ha: float, biomass_t_ha: float, carbon_fraction: float) -> PoolCarbon:
    carbon = biomass_t_ha * carbon_fraction
    return PoolCarbon(biomass_t_ha, carbon, carbon * area_ha * C_TO_CO2)


@dataclass(frozen=True, slots=True)
class LayerCarbon:
    """Carbon of a layer, per hectare, and the CO2 of it on the whole area."""

    carbon_tc_ha: float
    stock_tco2e: float


def litter(*, area_ha: float, litter_tc_ha: float, years: float) -> LayerCarbon:
    """Litter of a new stand, growing linearly to its table value over twenty years (2.7)."""
    positive(area_ha=area_ha)
    not_negative(litter_tc_ha=litter_tc_ha, years=years)
    carbon = litter_tc_ha * min(years / LITTER_YEARS, 1.0)
    return LayerCarbon(carbon, carbon * area_ha * C_TO_CO2)


@dataclass(frozen=True, slots=True)
class ForestSoil:
    """The gain of soil carbon under new forest."""

    annual_tc_ha: float
    period_tco2e: float


def forest_soil(
    *,
    area_ha: float,
    soc_ref_tc_ha: float,
    flu_before: float,
    years_elapsed: float,
    transition_years: float,
    cap_tc_ha_year: float,
) -> ForestSoil:
    """Soil from an earlier use to forest, with a cap per year (2.7; CDM AR-TOOL16)."""
    positive(area_ha=area_ha, soc_ref_tc_ha=soc_ref_tc_ha, transition_years=transition_years)
    not_negative(flu_before=flu_before, years_elapsed=years_elapsed, cap_tc_ha_year=cap_tc_ha_year)
    annual = min(soc_ref_tc_ha * (1 - flu_before) / transition_years, cap_tc_ha_year)
    return ForestSoil(annual, annual * area_ha * C_TO_CO2 * min(years_elapsed, transition_years))


@dataclass(frozen=True, slots=True)
class Roots:
    """Below-ground dry matter, t/ha."""

    bgb_t_ha: float
    root_shoot: float | None


def cairns_roots(agb_t_ha: float) -> Roots:
    """`exp(-1.085 + 0.9256 ln AGB)` (Cairns et al. 1997), for stands whose R is not known."""
    not_negative(agb_t_ha=agb_t_ha)
    if agb_t_ha == 0:
        return Roots(0.0, None)
    bgb = math.exp(-1.085 + 0.9256 * math.log(agb_t_ha))
    return Roots(bgb, bgb / agb_t_ha)


@dataclass(frozen=True, slots=True)
class BaselineShare:
    """Growth expected without the project, tCO2e."""

    delta_baseline_tco2e: float


def baseline_share(*, delta_project_tco2e: float, share_of_change: float) -> BaselineShare:
    """A share of the project's gain, for want of a matched class or control plots; none of a loss (2.8)."""
    share(share_of_change=share_of_change)
    return BaselineShare(max(delta_project_tco2e, 0.0) * share_of_change)


@dataclass(frozen=True, slots=True)
class FireGas:
    """What a fire gives off beside CO2, and its CO2e."""

    ch4_t: float
    n2o_t: float
    project_emission_tco2e: float


def fire_gas(
    *,
    area_ha: float,
    fuel_t_ha: float,
    combustion_factor: float,
    gef_ch4_g_kg: float,
    gef_n2o_g_kg: float,
    gwp_ch4: float,
    gwp_n2o: float,
) -> FireGas:
    """CH4 and N2O of burnt biomass (E-F10; IPCC 2006 vol. 4, eq. 2.27). The CO2 is in the stock's loss."""
    not_negative(area_ha=area_ha, fuel_t_ha=fuel_t_ha, gef_ch4_g_kg=gef_ch4_g_kg, gef_n2o_g_kg=gef_n2o_g_kg)
    share(combustion_factor=combustion_factor)
    burnt_kt = area_ha * fuel_t_ha * combustion_factor * 1e-3
    ch4, n2o = burnt_kt * gef_ch4_g_kg, burnt_kt * gef_n2o_g_kg
    return FireGas(ch4, n2o, ch4 * gwp_ch4 + n2o * gwp_n2o)
