"""From volumes, trees and ages to carbon: E-F1, E-F2, E-F3 and E-F4.

The equations use + - * / only (E-F3 and E-F4 also a power), so E-F1 and E-F2 give the same bits on every
machine.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Final

from registry.estimates.methods.checks import finite, not_negative, positive, share, total
from registry.estimates.methods.constants import C_TO_CO2, KG_PER_T, MU_PER_HA
from registry.estimates.methods.errors import OutOfRange
from registry.estimates.methods.parameters import BiomassFactors, Growth, SpeciesShare, check_shares
from registry.estimates.methods.quantities import Quantity, WoodDensity

MIN_DBH_CM: Final = 5.0
MIN_LINEAR_VOLUME_M3_HA: Final = 10.0


@dataclass(frozen=True, slots=True)
class VolumeStockChange:
    """Stock change of a stand by E-F1; `_t_ha` dry matter, `_tc` carbon, `_tco2e` CO2, of the whole area."""

    agb1_t_ha: float
    agb2_t_ha: float
    bgb2_t_ha: float
    carbon1_tc: float
    carbon2_tc: float
    delta_tc: float
    delta_tco2e: float
    annual_tco2e: float
    annual_tco2e_per_mu: float


def above_ground_t_ha(volume_m3_ha: float, factors: BiomassFactors) -> float:
    """Above-ground dry matter of a stand, t/ha (E-F1)."""
    not_negative(volume_m3_ha=volume_m3_ha)
    return volume_m3_ha * factors.wood_density * factors.bef


def volume_carbon_tc_ha(volume_m3_ha: float, factors: BiomassFactors) -> float:
    """Carbon of the living trees of a stand, tC/ha, roots included (E-F1; IPCC 2006 vol. 4, eq. 2.8)."""
    agb = above_ground_t_ha(volume_m3_ha, factors)
    return (agb + agb * factors.root_shoot) * factors.carbon_fraction


def mixed_volume_carbon_tc_ha(volume_m3_ha: float, species: Sequence[SpeciesShare]) -> float:
    """E-F1 summed over the species of a mixed stand; their volume shares add up to 1 or `SharesNotWhole`."""
    check_shares(tuple(species))
    return total(volume_carbon_tc_ha(volume_m3_ha * one.volume_share, one.factors) for one in species)


def volume_stock_change(
    *, area_ha: float, v1_m3_ha: float, v2_m3_ha: float, years: float, factors: BiomassFactors
) -> VolumeStockChange:
    """Stock change from the stand volumes of two dates, `years` apart (E-F1)."""
    positive(area_ha=area_ha, years=years)
    not_negative(v1_m3_ha=v1_m3_ha, v2_m3_ha=v2_m3_ha)
    agb2 = above_ground_t_ha(v2_m3_ha, factors)
    carbon1 = volume_carbon_tc_ha(v1_m3_ha, factors) * area_ha
    carbon2 = volume_carbon_tc_ha(v2_m3_ha, factors) * area_ha
    delta_tco2e = (carbon2 - carbon1) * C_TO_CO2
    annual = delta_tco2e / years
    return VolumeStockChange(
        agb1_t_ha=above_ground_t_ha(v1_m3_ha, factors),
        agb2_t_ha=agb2,
        bgb2_t_ha=agb2 * factors.root_shoot,
        carbon1_tc=carbon1,
        carbon2_tc=carbon2,
        delta_tc=carbon2 - carbon1,
        delta_tco2e=delta_tco2e,
        annual_tco2e=annual,
        annual_tco2e_per_mu=annual / (area_ha * MU_PER_HA),
    )


@dataclass(frozen=True, slots=True)
class LinearStockChange:
    """Stock change of a stand by E-F2; biomass includes the roots."""

    biomass1_t_ha: float
    biomass2_t_ha: float
    agb2_t_ha: float
    delta_tc: float
    delta_tco2e: float
    annual_tco2e: float
    ratio_to_volume_method: float | None = field(metadata={"output": "ratio_to_E_F1"})
    """The change over what E-F1 gives for the same volumes; None without an E-F1 row or when that is zero."""


def linear_biomass_t_ha(volume_m3_ha: float, a: float, b: float) -> float:
    """Total living dry matter of a stand, roots included, t/ha (E-F2; Fang et al. 2001).

    Raises `OutOfRange` below 10 m3/ha, where the intercept would create carbon on bare land.
    """
    finite(volume_m3_ha=volume_m3_ha, a=a, b=b)
    if volume_m3_ha < MIN_LINEAR_VOLUME_M3_HA:
        raise OutOfRange(field="volume_m3_ha", value=volume_m3_ha, rule=f">= {MIN_LINEAR_VOLUME_M3_HA:g}")
    return a * volume_m3_ha + b


def linear_stock_change(
    *,
    area_ha: float,
    v1_m3_ha: float,
    v2_m3_ha: float,
    years: float,
    a: float,
    b: float,
    root_shoot: float,
    carbon_fraction: float,
    reference: BiomassFactors | None = None,
) -> LinearStockChange:
    """Stock change by the linear biomass equation (E-F2); `reference` is the E-F1 row of the same stand
    type.
    """
    positive(area_ha=area_ha, years=years)
    share(root_shoot=root_shoot, carbon_fraction=carbon_fraction)
    biomass1 = linear_biomass_t_ha(v1_m3_ha, a, b)
    biomass2 = linear_biomass_t_ha(v2_m3_ha, a, b)
    delta_tc = (biomass2 - biomass1) * carbon_fraction * area_ha
    ratio: float | None = None
    if reference is not None:
        by_volume = volume_stock_change(
            area_ha=area_ha, v1_m3_ha=v1_m3_ha, v2_m3_ha=v2_m3_ha, years=years, factors=reference
        ).delta_tc
        ratio = delta_tc / by_volume if by_volume else None
    return LinearStockChange(
        biomass1_t_ha=biomass1,
        biomass2_t_ha=biomass2,
        agb2_t_ha=biomass2 / (1 + root_shoot),
        delta_tc=delta_tc,
        delta_tco2e=delta_tc * C_TO_CO2,
        annual_tco2e=delta_tc * C_TO_CO2 / years,
        ratio_to_volume_method=ratio,
    )


@dataclass(frozen=True, slots=True)
class Tree:
    """A living tree: diameter at breast height in cm, basic wood density in t/m3."""

    dbh_cm: Annotated[float, Quantity("cm", low=5, high=300)]
    wood_density: WoodDensity


@dataclass(frozen=True, slots=True)
class TreePlot:
    """What E-F3 says about one plot at one date."""

    tree_agb_kg: tuple[float, ...]
    plot_agb_kg: float
    agb_t_ha: float
    carbon_tc_ha: float
    co2_t_ha: float


def tree_agb_kg(tree: Tree) -> float:
    """Above-ground dry matter of one tree, kg (E-F3; Zeng 2018, Forest Research 7(1)).

    Raises `OutOfRange` for a diameter under 5 cm, for which the model was not fitted.
    """
    positive(wood_density=tree.wood_density)
    finite(dbh_cm=tree.dbh_cm)
    if tree.dbh_cm < MIN_DBH_CM:
        raise OutOfRange(field="dbh_cm", value=tree.dbh_cm, rule=f">= {MIN_DBH_CM:g}")
    return float(0.3 * tree.wood_density * tree.dbh_cm ** (7 / 3))


def tree_plot(
    *, plot_area_ha: float, trees: Sequence[Tree], root_shoot: float, carbon_fraction: float
) -> TreePlot:
    """Carbon of a plot from its living trees (E-F3); a plot without trees holds none."""
    positive(plot_area_ha=plot_area_ha)
    share(root_shoot=root_shoot, carbon_fraction=carbon_fraction)
    each = tuple(tree_agb_kg(tree) for tree in trees)
    plot_kg = total(each)
    agb = plot_kg / KG_PER_T / plot_area_ha
    carbon = agb * (1 + root_shoot) * carbon_fraction
    return TreePlot(each, plot_kg, agb, carbon, carbon * C_TO_CO2)


def check_ages(ages: Sequence[float]) -> None:
    """At least one age, none negative, rising; or `OutOfRange`."""
    if not ages:
        raise OutOfRange(field="ages", value=0, rule=">= 1")
    for index, age in enumerate(ages):
        not_negative(**{f"ages[{index}]": age})
        if index and age <= ages[index - 1]:
            raise OutOfRange(field=f"ages[{index}]", value=age, rule=f"> {ages[index - 1]:g}")


@dataclass(frozen=True, slots=True)
class GrowthCurve:
    """A forecast: volume and stock at each age, and the stock change between consecutive ages. Never
    issued.
    """

    volume_m3_ha: tuple[float, ...]
    stock_tco2e: tuple[float, ...]
    delta_tco2e: tuple[float, ...]


def growth_curve(
    *, area_ha: float, ages: Sequence[float], site_factor: float, growth: Growth, factors: BiomassFactors
) -> GrowthCurve:
    """Richards curve of stand volume over age, then E-F1 (E-F4); `ages` in years since planting, rising."""
    positive(area_ha=area_ha, site_factor=site_factor)
    check_ages(ages)
    volumes = tuple(
        site_factor * growth.asymptote_m3_ha * (1 - math.exp(-growth.k * age)) ** growth.c for age in ages
    )
    stocks = tuple(volume_carbon_tc_ha(volume, factors) * area_ha * C_TO_CO2 for volume in volumes)
    deltas = tuple(later - earlier for earlier, later in pairwise(stocks))
    return GrowthCurve(volumes, stocks, deltas)
