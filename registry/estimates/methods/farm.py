"""Debits and savings of farms: E-S3 nitrous oxide, E-S6 methane of rice, E-S4 manure, E-S5 fertiliser, and
the accounts E-S7 and E-S8 that show them.

Performance accounts: they grade and reward, and never mint units (D8). Straw in flooded paddy is netted
against its methane (D9).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from registry.estimates.methods.checks import finite, not_negative, positive, share
from registry.estimates.methods.constants import C_TO_CO2, KG_PER_T, MU_PER_HA, N_TO_N2O
from registry.estimates.methods.labels import FARM_SHADES, ORCHARD_COLOURS, rising

SF_ORGANIC_EXPONENT: Final = 0.59
"""IPCC 2006 vol. 4, eq. 5.3."""


def nitrous_oxide_tco2e(nitrogen_kg: float, factor: float, gwp_n2o: float) -> float:
    """CO2e of the N2O that nitrogen gives off, directly and indirectly; `factor` in kg N2O-N per kg N."""
    not_negative(nitrogen_kg=nitrogen_kg, factor=factor, gwp_n2o=gwp_n2o)
    return nitrogen_kg * factor * N_TO_N2O * gwp_n2o / KG_PER_T


@dataclass(frozen=True, slots=True)
class FertiliserGas:
    """N2O of nitrogen that is spread as fertiliser."""

    n2o_tco2e: float


def fertiliser_gas(
    *,
    nitrogen_kg: float,
    ef1: float,
    frac_gas: float,
    ef4: float,
    frac_leach: float,
    ef5: float,
    gwp_n2o: float,
) -> FertiliserGas:
    """Direct N2O, and what volatilised and leached nitrogen gives off elsewhere (IPCC 2019, ch. 11)."""
    share(frac_gas=frac_gas, frac_leach=frac_leach)
    factor = ef1 + frac_gas * ef4 + frac_leach * ef5
    return FertiliserGas(nitrous_oxide_tco2e(nitrogen_kg, factor, gwp_n2o))


@dataclass(frozen=True, slots=True)
class StrawGas:
    """N2O of the nitrogen in straw."""

    straw_n_kg: float
    n2o_tco2e: float


def straw_gas(
    *,
    area_ha: float,
    straw_kg_ha: float,
    dry_matter: float,
    straw_n_fraction: float,
    ef1: float,
    frac_leach: float,
    ef5: float,
    gwp_n2o: float,
) -> StrawGas:
    """E-S3: residues give off N2O directly and by leaching, not by volatilisation."""
    positive(area_ha=area_ha)
    not_negative(straw_kg_ha=straw_kg_ha)
    share(dry_matter=dry_matter, straw_n_fraction=straw_n_fraction, frac_leach=frac_leach)
    nitrogen_kg = area_ha * straw_kg_ha * dry_matter * straw_n_fraction
    return StrawGas(nitrogen_kg, nitrous_oxide_tco2e(nitrogen_kg, ef1 + frac_leach * ef5, gwp_n2o))


@dataclass(frozen=True, slots=True)
class RiceGas:
    """Methane that straw adds to flooded rice in one season."""

    sf_organic: float
    extra_ch4_kg: float
    ch4_tco2e: float


def rice_gas(
    *,
    area_ha: float,
    straw_kg_ha: float,
    dry_matter: float,
    efc_kg_ha_day: float,
    sf_water: float,
    sf_preseason: float,
    cfoa: float,
    days: float,
    gwp_ch4: float,
) -> RiceGas:
    """E-S6, the extra over a field without straw (IPCC 2006 vol. 4, eqs. 5.2 and 5.3); one application a
    season.
    """
    positive(area_ha=area_ha)
    not_negative(straw_kg_ha=straw_kg_ha, efc_kg_ha_day=efc_kg_ha_day, days=days, gwp_ch4=gwp_ch4)
    not_negative(sf_water=sf_water, sf_preseason=sf_preseason, cfoa=cfoa)
    share(dry_matter=dry_matter)
    applied_t_ha = straw_kg_ha * dry_matter / KG_PER_T
    scaling = (1 + applied_t_ha * cfoa) ** SF_ORGANIC_EXPONENT
    methane_kg = efc_kg_ha_day * sf_water * sf_preseason * (scaling - 1) * days * area_ha
    return RiceGas(scaling, methane_kg, methane_kg * gwp_ch4 / KG_PER_T)


@dataclass(frozen=True, slots=True)
class Net:
    """What is left of a gain after its debits."""

    net_tco2e: float


def net_of(soc_gain_tco2e: float, *debits_tco2e: float) -> Net:
    """D9: the soil's gain less what the same straw gives off."""
    finite(soc_gain_tco2e=soc_gain_tco2e)
    return Net(soc_gain_tco2e - math.fsum(debits_tco2e))


@dataclass(frozen=True, slots=True)
class ManureMethane:
    """Methane of stored manure before and after, and what is saved."""

    baseline_ch4_kg: float
    project_ch4_kg: float
    avoided_tco2e: float
    net_tco2e: float


def manure_methane(
    *,
    head: float,
    vs_kg_day: float,
    bo_m3_kg: float,
    mcf_baseline: float,
    mcf_project: float,
    project_energy_tco2e: float,
    gwp_ch4: float,
    days: float,
    ch4_density_kg_m3: float,
) -> ManureMethane:
    """E-S4 (IPCC 2006 vol. 4, eq. 10.23): volatile solids, their largest methane yield, and the system's
    share of it.
    """
    not_negative(head=head, vs_kg_day=vs_kg_day, bo_m3_kg=bo_m3_kg, days=days, gwp_ch4=gwp_ch4)
    share(mcf_baseline=mcf_baseline, mcf_project=mcf_project)
    full_kg = head * vs_kg_day * days * bo_m3_kg * ch4_density_kg_m3
    before, after = full_kg * mcf_baseline, full_kg * mcf_project
    avoided = (before - after) * gwp_ch4 / KG_PER_T
    return ManureMethane(before, after, avoided, avoided - project_energy_tco2e)


@dataclass(frozen=True, slots=True)
class FertiliserSubstitution:
    """Organic for synthetic nitrogen: what is not made, and the N2O of both."""

    organic_n_kg: float
    synthetic_n_avoided_kg: float
    manufacture_avoided_tco2e: float
    synthetic_n2o_tco2e: float
    organic_n2o_tco2e: float
    net_tco2e: float


def fertiliser_substitution(
    *,
    organic_fertiliser_t: float,
    n_fraction: float,
    nfrv: float,
    manufacture_ef_kgco2e_kgn: float,
    ef1_synthetic: float,
    ef1_organic: float,
    frac_gasf: float,
    frac_gasm: float,
    ef4: float,
    frac_leach: float,
    ef5: float,
    gwp_n2o: float,
) -> FertiliserSubstitution:
    """E-S5. `nfrv` is what a kilogram of organic nitrogen replaces; phosphorus and potassium earn nothing."""
    not_negative(
        organic_fertiliser_t=organic_fertiliser_t, manufacture_ef_kgco2e_kgn=manufacture_ef_kgco2e_kgn
    )
    share(n_fraction=n_fraction)
    organic = organic_fertiliser_t * KG_PER_T * n_fraction
    avoided = organic * nfrv
    indirect = {"ef4": ef4, "frac_leach": frac_leach, "ef5": ef5, "gwp_n2o": gwp_n2o}
    made = avoided * manufacture_ef_kgco2e_kgn / KG_PER_T
    synthetic = fertiliser_gas(
        nitrogen_kg=avoided, ef1=ef1_synthetic, frac_gas=frac_gasf, **indirect
    ).n2o_tco2e
    spread = fertiliser_gas(nitrogen_kg=organic, ef1=ef1_organic, frac_gas=frac_gasm, **indirect).n2o_tco2e
    return FertiliserSubstitution(organic, avoided, made, synthetic, spread, made + synthetic - spread)


@dataclass(frozen=True, slots=True)
class FarmAccount:
    """E-S7; a farm without emissions has no ratio, and the best shade if it fixed anything."""

    total_tco2e: float
    neutralisation_ratio: float | None
    shade: str


def farm_account(
    *,
    straw_tco2e: float,
    soil_tco2e: float,
    manure_tco2e: float,
    farm_emission_tco2e: float,
    ratio_thresholds: Sequence[float],
) -> FarmAccount:
    """What straw, soil and manure neutralise, over what the farm emits (E-S7)."""
    finite(straw_tco2e=straw_tco2e, soil_tco2e=soil_tco2e, manure_tco2e=manure_tco2e)
    sum_tco2e = straw_tco2e + soil_tco2e + manure_tco2e
    ratio, shade = _graded(sum_tco2e, farm_emission_tco2e, ratio_thresholds, FARM_SHADES)
    return FarmAccount(sum_tco2e, ratio, shade)


def _graded(
    gain: float, emission: float, thresholds: Sequence[float], words: tuple[str, ...]
) -> tuple[float | None, str]:
    not_negative(emission_tco2e=emission)
    ratio = gain / emission if emission else None
    shown = (math.inf if gain > 0 else 0.0) if ratio is None else ratio
    return ratio, rising(shown, thresholds, words)


@dataclass(frozen=True, slots=True)
class OrchardAccount:
    """E-S8, the account of a pomelo orchard for one year."""

    eligible: bool
    area_ha: float
    fixation_tco2e: float
    n2o_tco2e: float
    manufacture_tco2e: float
    diesel_tco2e: float
    electricity_tco2e: float
    emission_tco2e: float
    net_tco2e: float
    fix_to_emission_ratio: float | None
    colour: str
    organic_fertiliser_reward_t: int


def orchard_account(
    *,
    area_mu: float,
    min_area_mu: float,
    biomass_gain_tc_ha: float,
    soc_gain_tc_ha: float,
    synthetic_n_kg: float,
    ef1: float,
    frac_gas: float,
    ef4: float,
    frac_leach: float,
    ef5: float,
    manufacture_ef_kgco2e_kgn: float,
    diesel_l: float,
    diesel_ef_kg_l: float,
    electricity_kwh: float,
    grid_ef_kg_kwh: float,
    gwp_n2o: float,
    ratio_thresholds: Sequence[float],
) -> OrchardAccount:
    """Fixation less emissions, a colour, and a tonne of fertiliser for each whole tonne net (E-S8)."""
    positive(area_mu=area_mu)
    not_negative(diesel_l=diesel_l, electricity_kwh=electricity_kwh)
    area_ha = area_mu / MU_PER_HA
    fixation = (biomass_gain_tc_ha + soc_gain_tc_ha) * area_ha * C_TO_CO2
    n2o = fertiliser_gas(
        nitrogen_kg=synthetic_n_kg,
        ef1=ef1,
        frac_gas=frac_gas,
        ef4=ef4,
        frac_leach=frac_leach,
        ef5=ef5,
        gwp_n2o=gwp_n2o,
    ).n2o_tco2e
    made = synthetic_n_kg * manufacture_ef_kgco2e_kgn / KG_PER_T
    diesel = diesel_l * diesel_ef_kg_l / KG_PER_T
    electricity = electricity_kwh * grid_ef_kg_kwh / KG_PER_T
    emission = n2o + made + diesel + electricity
    ratio, colour = _graded(fixation, emission, ratio_thresholds, ORCHARD_COLOURS)
    net = fixation - emission
    return OrchardAccount(
        eligible=area_mu >= min_area_mu,
        area_ha=area_ha,
        fixation_tco2e=fixation,
        n2o_tco2e=n2o,
        manufacture_tco2e=made,
        diesel_tco2e=diesel,
        electricity_tco2e=electricity,
        emission_tco2e=emission,
        net_tco2e=net,
        fix_to_emission_ratio=ratio,
        colour=colour,
        organic_fertiliser_reward_t=math.floor(max(net, 0.0)),
    )
