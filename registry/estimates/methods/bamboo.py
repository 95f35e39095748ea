"""Moso bamboo: the culms of a plot (E-F6), the level at which a stand stops growing, and products (E-F7).

A stand under steady management keeps its ages: culms leave as fast as they come. What was gained up to that
level is credited once; harvested products are a pool of their own and off unless a rule set switches them on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from registry.estimates.methods.checks import finite, not_negative, positive, share, total
from registry.estimates.methods.constants import C_TO_CO2, KG_PER_T
from registry.estimates.methods.errors import OutOfRange
from registry.estimates.methods.parameters import MOSO_BAMBOO, CulmModel, ParameterSet, in_range
from registry.estimates.methods.quantities import ONE, Quantity


@dataclass(frozen=True, slots=True)
class CulmClass:
    """Culms of a plot that are alike: diameter at breast height in cm, age in du (度, two years each), how
    many.
    """

    dbh_cm: Annotated[float, Quantity("cm", low=5, high=16)]
    du: Annotated[int, Quantity("du", low=1, high=4)]
    culms: Annotated[int, Quantity(ONE, low=0, high=1_000_000)]


@dataclass(frozen=True, slots=True)
class CulmPlot:
    """What E-F6 says about one plot: a culm of each class, kg; dry matter and carbon of the stand."""

    culm_agb_kg: tuple[float, ...]
    agb_t_ha: float
    carbon_tc_ha: float


def culm_agb_kg(dbh_cm: float, du: int, model: CulmModel) -> float:
    """Above-ground dry matter of one culm, kg (E-F6). Raises `OutOfRange` outside what the model was fitted
    for.
    """
    finite(dbh_cm=dbh_cm, du=du)
    in_range("dbh_cm", dbh_cm, model.min_dbh_cm, model.max_dbh_cm)
    in_range("du", du, 1, model.max_du)
    return float(model.a * dbh_cm**model.b * (model.p * du / (model.q + du)) ** model.c + model.d)


def culm_plot(
    *,
    plot_area_ha: float,
    classes: Sequence[CulmClass],
    root_shoot: float,
    carbon_fraction: float,
    model: CulmModel,
) -> CulmPlot:
    """Carbon of a plot from its living culms, roots included (E-F6); a plot without culms holds none."""
    positive(plot_area_ha=plot_area_ha)
    share(root_shoot=root_shoot, carbon_fraction=carbon_fraction)
    for one in classes:
        not_negative(culms=one.culms)
    each = tuple(culm_agb_kg(one.dbh_cm, one.du, model) for one in classes)
    plot_kg = total(one.culms * mass for one, mass in zip(classes, each, strict=True))
    agb = plot_kg / KG_PER_T / plot_area_ha
    return CulmPlot(each, agb, agb * (1 + root_shoot) * carbon_fraction)


def culm_carbon_tc_ha(classes: Sequence[CulmClass], plot_area_ha: float, parameters: ParameterSet) -> float:
    """Carbon of a culm plot by a method's own parameters, tC/ha. Raises `OutOfRange`, `UnknownStandType`."""
    factors = parameters.roots_and_carbon(MOSO_BAMBOO)
    return culm_plot(
        plot_area_ha=plot_area_ha,
        classes=classes,
        root_shoot=factors.root_shoot,
        carbon_fraction=factors.carbon_fraction,
        model=parameters.culm_model,
    ).carbon_tc_ha


@dataclass(frozen=True, slots=True)
class Saturation:
    """A stand's change since the project began, the most that is credited of it, and what is; tCO2e."""

    raw_delta_tco2e: float
    cap_tco2e: float
    stand_delta_tco2e: float


def saturated_tco2e(*, area_ha: float, c0_tc_ha: float, c1_tc_ha: float, c_stable_tc_ha: float) -> Saturation:
    """The creditable change of a bamboo stand since the start of the project (E-F7).

    `c0` is the stock at the project's start, `c1` now. A stand that began above the level gains nothing; a
    loss is a loss in full. What a period is credited is this less what was credited before.
    """
    positive(area_ha=area_ha)
    not_negative(c0_tc_ha=c0_tc_ha, c1_tc_ha=c1_tc_ha, c_stable_tc_ha=c_stable_tc_ha)
    raw = (c1_tc_ha - c0_tc_ha) * area_ha * C_TO_CO2
    cap = max(0.0, c_stable_tc_ha - c0_tc_ha) * area_ha * C_TO_CO2
    return Saturation(raw, cap, min(raw, cap))


@dataclass(frozen=True, slots=True)
class BambooProject:
    """Stand and products of a bamboo project since its start (E-F7), tCO2e."""

    raw_delta_tco2e: float
    cap_tco2e: float
    stand_delta_tco2e: float
    fraction_remaining: float
    hbp_tco2e: float
    total_tco2e: float


def fraction_in_use(horizon_years: float, half_life_years: float) -> float:
    """Share of products still in use after the horizon, by first-order decay (IPCC 2019, vol. 4, ch. 12)."""
    not_negative(horizon_years=horizon_years)
    positive(half_life_years=half_life_years)
    return math.exp(-math.log(2) * horizon_years / half_life_years)


def bamboo_project(
    *,
    stand: Saturation,
    harvest_t_dm: float,
    carbon_fraction: float,
    product_share: float,
    processing_efficiency: float,
    half_life_years: float,
    horizon_years: float,
    include_hbp: bool,
) -> BambooProject:
    """The stand with its harvested products, which count only when `include_hbp` (E-F7, D7)."""
    not_negative(harvest_t_dm=harvest_t_dm)
    share(
        carbon_fraction=carbon_fraction,
        product_share=product_share,
        processing_efficiency=processing_efficiency,
    )
    left = fraction_in_use(horizon_years, half_life_years)
    made = harvest_t_dm * carbon_fraction * product_share * processing_efficiency
    products = made * left * C_TO_CO2 if include_hbp else 0.0
    if not math.isfinite(stand.stand_delta_tco2e + products):
        raise OutOfRange(field="harvest_t_dm", value=harvest_t_dm, rule="<= 1e12")
    return BambooProject(
        stand.raw_delta_tco2e,
        stand.cap_tco2e,
        stand.stand_delta_tco2e,
        left,
        products,
        stand.stand_delta_tco2e + products,
    )
