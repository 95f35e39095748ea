"""Carbon in soil: E-S1 by factors of the IPCC, E-S2 straw by regression, E-S2b for diagnosis.

Only one of E-S1 and E-S2 is counted for the same straw. Performance accounts, never units (D8).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from registry.estimates.methods.checks import not_negative, positive, share, total
from registry.estimates.methods.constants import C_TO_CO2, KG_PER_T, MU_PER_HA
from registry.estimates.methods.quantities import Factor, Hectares

TRANSITION_YEARS: Final = 20.0
"""IPCC 2006 vol. 4, 2.3.3: the time in which soil carbon reaches its new level."""


@dataclass(frozen=True, slots=True)
class SoilUse:
    """Factors of land use, tillage and input of IPCC 2006 or 2019; never rows of both."""

    flu: Factor
    fmg: Factor
    fi: Factor


@dataclass(frozen=True, slots=True)
class SoilArea:
    """Part of the land under one tillage and input, hectares."""

    area_ha: Hectares
    fmg: Factor
    fi: Factor


@dataclass(frozen=True, slots=True)
class SoilChange:
    """E-S1: soil carbon of 0 to 30 cm before and at its new level, tC/ha, and the gain on the way."""

    soc_baseline_tc_ha: float
    soc_project_equilibrium_tc_ha: float
    annual_tc_ha: float
    annual_tco2e: float
    period_tco2e: float


def soil_carbon_tc_ha(soc_ref_tc_ha: float, use: SoilUse) -> float:
    """Soil carbon at equilibrium, tC/ha (IPCC 2006 vol. 4, eq. 2.25)."""
    positive(soc_ref_tc_ha=soc_ref_tc_ha, flu=use.flu, fmg=use.fmg, fi=use.fi)
    return soc_ref_tc_ha * use.flu * use.fmg * use.fi


def soil_change(
    *,
    area_ha: float,
    soc_ref_tc_ha: float,
    baseline: SoilUse,
    project: SoilUse,
    years_elapsed: float,
    transition_years: float = TRANSITION_YEARS,
) -> SoilChange:
    """The step from one use of the soil to another, spread over the transition (E-S1)."""
    positive(area_ha=area_ha, transition_years=transition_years)
    not_negative(years_elapsed=years_elapsed)
    before = soil_carbon_tc_ha(soc_ref_tc_ha, baseline)
    after = soil_carbon_tc_ha(soc_ref_tc_ha, project)
    annual_tc_ha = (after - before) / transition_years
    annual = annual_tc_ha * area_ha * C_TO_CO2
    return SoilChange(before, after, annual_tc_ha, annual, annual * min(years_elapsed, transition_years))


@dataclass(frozen=True, slots=True)
class SoilStockChange:
    """E-S1 over several areas with one land use: stock before and after, and the change per year."""

    initial_tc: float
    final_tc: float
    annual_tc: float
    annual_tco2: float


def soil_stock_change(
    *,
    soc_ref_tc_ha: float,
    flu: float,
    initial: Sequence[SoilArea],
    final: Sequence[SoilArea],
    transition_years: float = TRANSITION_YEARS,
) -> SoilStockChange:
    """The stock of the same land under two patterns of management (IPCC 2006 vol. 4, 5.2.3.4)."""
    positive(transition_years=transition_years)

    def stock(areas: Sequence[SoilArea]) -> float:
        return total(
            one.area_ha * soil_carbon_tc_ha(soc_ref_tc_ha, SoilUse(flu, one.fmg, one.fi)) for one in areas
        )

    before, after = stock(initial), stock(final)
    annual = (after - before) / transition_years
    return SoilStockChange(before, after, annual, annual * C_TO_CO2)


@dataclass(frozen=True, slots=True)
class StrawCarbon:
    """E-S2: carbon that a hectare's straw leaves in the soil in a year, and CO2 of the whole area."""

    rate_kgc_ha: float
    rate_kgco2_ha: float
    total_tco2e: float


def straw_rate_kgc_ha(straw_kg_ha: float, slope: float, intercept: float) -> float:
    """Soil carbon from straw, kgC/ha/year; nothing under 1 t of straw, where the intercept alone would count.

    `slope` in kgC per t of straw, `intercept` in kgC/ha/year.
    """
    not_negative(straw_kg_ha=straw_kg_ha)
    straw_t_ha = straw_kg_ha / KG_PER_T
    return slope * straw_t_ha + intercept if straw_t_ha >= 1 else 0.0


def straw_carbon(*, area_ha: float, straw_kg_ha: float, slope: float, intercept: float) -> StrawCarbon:
    """Soil carbon from straw that is returned (E-S2)."""
    positive(area_ha=area_ha)
    rate = straw_rate_kgc_ha(straw_kg_ha, slope, intercept)
    return StrawCarbon(rate, rate * C_TO_CO2, rate * C_TO_CO2 * area_ha / KG_PER_T)


@dataclass(frozen=True, slots=True)
class AllCarbon:
    """E-S2b: the straw's own carbon, as far as it turns into humus. For diagnosis."""

    total_tco2e: float


def all_straw_carbon(
    *, area_ha: float, straw_kg_ha: float, straw_carbon_fraction: float, humification: float
) -> AllCarbon:
    """E-S2b. A humification of 1 is physically wrong; 0.15 to 0.25 is realistic."""
    positive(area_ha=area_ha)
    not_negative(straw_kg_ha=straw_kg_ha)
    share(straw_carbon_fraction=straw_carbon_fraction, humification=humification)
    carbon_kg = area_ha * straw_kg_ha * straw_carbon_fraction * humification
    return AllCarbon(carbon_kg * C_TO_CO2 / KG_PER_T)


@dataclass(frozen=True, slots=True)
class ImpliedArea:
    """The area that a published total would need under each of the three equations."""

    area_regression_ha: float
    area_ipcc_fi_ha: float
    area_all_carbon_ha: float
    area_regression_mu: float
    area_ipcc_fi_mu: float
    area_all_carbon_mu: float


def implied_area(
    *,
    target_tco2e: float,
    straw_kg_ha: float,
    soc_ref_tc_ha: float,
    flu: float,
    fi_step: float,
    straw_carbon_fraction: float,
    slope: float,
    intercept: float,
) -> ImpliedArea:
    """E-S2, E-S1 and E-S2b solved for the area; `fi_step` is the step of the input factor."""
    positive(fi_step=fi_step)
    rates = (
        straw_carbon(area_ha=1, straw_kg_ha=straw_kg_ha, slope=slope, intercept=intercept).total_tco2e,
        soc_ref_tc_ha * flu * fi_step / TRANSITION_YEARS * C_TO_CO2,
        all_straw_carbon(
            area_ha=1,
            straw_kg_ha=straw_kg_ha,
            straw_carbon_fraction=straw_carbon_fraction,
            humification=1,
        ).total_tco2e,
    )
    by_regression, by_factor, by_all = (target_tco2e / rate for rate in rates)
    return ImpliedArea(
        by_regression,
        by_factor,
        by_all,
        by_regression * MU_PER_HA,
        by_factor * MU_PER_HA,
        by_all * MU_PER_HA,
    )
