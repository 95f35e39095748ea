"""Single trees by species group (E-F3), and total biomass over age by a logistic curve (E-F4).

The group models were not re-read against print: no method version uses them, so no unit can rest on them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from registry.estimates.methods.checks import not_negative, positive, share, total
from registry.estimates.methods.constants import C_TO_CO2, KG_PER_T
from registry.estimates.methods.forest import MIN_DBH_CM, check_ages
from registry.estimates.methods.library import data_table
from registry.estimates.methods.parameters import in_range
from registry.estimates.methods.quantities import Quantity

MAX_DBH_CM: Final = 300.0

Diameter = Annotated[float, Quantity("cm", low=MIN_DBH_CM, high=MAX_DBH_CM)]
Height = Annotated[float, Quantity("m", above=0, high=120)]


@dataclass(frozen=True, slots=True)
class GroupTree:
    """A living tree: diameter at breast height in cm, height and crown length in m."""

    dbh_cm: Diameter
    height_m: Height
    crown_length_m: Height


@dataclass(frozen=True, slots=True)
class GroupPlot:
    """Dry matter of each tree by its parts, and the stand's, roots included."""

    stem_kg: tuple[float, ...]
    crown_kg: tuple[float, ...]
    root_kg: tuple[float, ...]
    biomass_t_ha: float
    carbon_tc_ha: float
    co2_t_ha: float


def tree_parts_kg(group: str, tree: GroupTree) -> tuple[float, float, float]:
    """Stem, crown and root of a tree, kg, by the model of its group.

    Raises `UnknownStandType`, `OutOfRange`.
    """
    in_range("dbh_cm", tree.dbh_cm, MIN_DBH_CM, MAX_DBH_CM)
    positive(height_m=tree.height_m, crown_length_m=tree.crown_length_m)
    in_range("crown_length_m", tree.crown_length_m, 0, tree.height_m)
    table = data_table("allometry")

    def c(column: str) -> float:
        return table.value(group, column)

    d, h, crown = tree.dbh_cm, tree.height_m, tree.crown_length_m
    return (
        float(c("stem_a") * h ** c("stem_h") * d ** c("stem_d")),
        float(c("crown_a") * d ** c("crown_d") * crown ** c("crown_l")),
        float(c("root_a") * h ** c("root_h") * d ** c("root_d")),
    )


def group_plot(
    *, group: str, plot_area_ha: float, trees: Sequence[GroupTree], carbon_fraction: float
) -> GroupPlot:
    """Carbon of a plot by the models of a species group (E-F3; Yuan W. et al. 2009)."""
    positive(plot_area_ha=plot_area_ha)
    share(carbon_fraction=carbon_fraction)
    parts = [tree_parts_kg(group, tree) for tree in trees]
    biomass = total(sum(one) for one in parts) / KG_PER_T / plot_area_ha
    stems, crowns, roots = (tuple(one[i] for one in parts) for i in range(3))
    carbon = biomass * carbon_fraction
    return GroupPlot(stems, crowns, roots, biomass, carbon, carbon * C_TO_CO2)


@dataclass(frozen=True, slots=True)
class BiomassCurve:
    """A forecast by the logistic curve, roots included. Never issued."""

    biomass_t_ha: tuple[float, ...]
    carbon_tc_ha: tuple[float, ...]
    stock_tco2e: tuple[float, ...]


def logistic_curve(
    *, area_ha: float, ages: Sequence[float], w: float, q: float, a: float, carbon_fraction: float
) -> BiomassCurve:
    """Total biomass `w / (1 + q exp(-a t))`, t/ha over years, and its carbon (E-F4; Xu Bing et al. 2010)."""
    positive(area_ha=area_ha, w=w, q=q, a=a)
    share(carbon_fraction=carbon_fraction)
    not_negative(**{f"ages[{i}]": age for i, age in enumerate(ages)})
    check_ages(ages)
    biomass = tuple(w / (1 + q * math.exp(-a * age)) for age in ages)
    carbon = tuple(one * carbon_fraction for one in biomass)
    return BiomassCurve(biomass, carbon, tuple(one * area_ha * C_TO_CO2 for one in carbon))
