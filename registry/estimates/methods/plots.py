"""Sample plots, and the stratified mean change per hectare that they prove (E-U1).

Plots are permanent and re-measured, so the estimate works on the change of each plot; the error of the change
is then that between the changes, not the sum of the errors of two inventories.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from registry.estimates.methods.bamboo import CulmClass, culm_carbon_tc_ha
from registry.estimates.methods.checks import not_negative, positive, total
from registry.estimates.methods.errors import (
    DuplicatedPlot,
    MixedMeasurements,
    OutOfRange,
    PlotOutsidePeriod,
    PlotOutsideStrata,
    TooFewPlots,
)
from registry.estimates.methods.forest import (
    Tree,
    linear_biomass_t_ha,
    tree_plot,
    volume_carbon_tc_ha,
)
from registry.estimates.methods.parameters import ParameterSet, default_parameters, in_range
from registry.estimates.methods.uncertainty import MeanChange, Stratum, stratified_mean
from registry.estimates.methods.version import Biomass


@dataclass(frozen=True, slots=True)
class VolumePair:
    """Stand volume over bark at the two dates, m3/ha."""

    v1_m3_ha: float
    v2_m3_ha: float


@dataclass(frozen=True, slots=True)
class MeasuredTree:
    """A living tree of a plot: its stand type code (which gives the wood density) and its diameter.

    The number on its tag and its height are for checks; no equation here uses them.
    """

    species: str
    dbh_cm: float
    tree_id: str | None = None
    height_m: float | None = None


@dataclass(frozen=True, slots=True)
class TreePair:
    """The living trees at the two dates; an empty list means that the plot was visited and held none."""

    trees1: tuple[MeasuredTree, ...]
    trees2: tuple[MeasuredTree, ...]


@dataclass(frozen=True, slots=True)
class CulmPair:
    """The living culms of a bamboo plot at the two dates; an empty list as in `TreePair`."""

    culms1: tuple[CulmClass, ...]
    culms2: tuple[CulmClass, ...]


@dataclass(frozen=True, slots=True)
class PlotRecord:
    """One permanent plot, measured at two dates; `stratum` is a stand type code.

    `parcel_key` is the sub-compartment that the crew wrote down; where the plot lies is for `geo` to say.
    `explanation` is the owner's reason for keeping a plot that stands out (`plot_checks`).
    """

    plot_id: str
    stratum: str
    area_ha: float
    measured1_on: date
    measured2_on: date
    measurement: VolumePair | TreePair | CulmPair
    lon_deg: float | None = None
    lat_deg: float | None = None
    parcel_key: str | None = None
    explanation: str | None = None


@dataclass(frozen=True, slots=True)
class PlotChange:
    """Carbon of a plot at the two dates and its change, tC/ha."""

    plot_id: str
    stratum: str
    carbon1_tc_ha: float
    carbon2_tc_ha: float
    delta_tc_ha: float


@dataclass(frozen=True, slots=True)
class PlotEstimate:
    """Stratified change proven by plots: the mean with its error, and what it was made of."""

    biomass: Biomass
    strata: tuple[Stratum, ...]
    plots: tuple[PlotChange, ...]
    change: MeanChange


def plot_change(record: PlotRecord, biomass: Biomass, parameters: ParameterSet) -> PlotChange:
    """Carbon of one plot at its two dates by the method's biomass equation.

    Under E-F2 a plot with less than 10 m3/ha at either date is computed by E-F1 at both. Raises
    `MixedMeasurements` when the plot holds volumes where trees are needed or the reverse, `UnknownStandType`,
    `OutOfRange`.
    """
    _check_values(record, parameters)
    if biomass is Biomass.CULMS:
        carbon1, carbon2 = _carbon_of_culms(record, parameters)
    elif biomass is Biomass.TREES:
        carbon1, carbon2 = _carbon_of_trees(record, parameters)
    else:
        carbon1, carbon2 = _carbon_of_volumes(record, biomass, parameters)
    return PlotChange(record.plot_id, record.stratum, carbon1, carbon2, carbon2 - carbon1)


def _check_values(record: PlotRecord, parameters: ParameterSet) -> None:
    positive(area_ha=record.area_ha)
    setting = parameters.setting
    in_range("area_ha", record.area_ha, setting("min_plot_area_ha"), setting("max_plot_area_ha"))
    if record.measured2_on <= record.measured1_on:
        raise OutOfRange(
            field="measured2_on",
            value=record.measured2_on.isoformat(),
            rule=f"> {record.measured1_on.isoformat()}",
        )
    if isinstance(record.measurement, VolumePair):
        pair = record.measurement
        not_negative(v1_m3_ha=pair.v1_m3_ha, v2_m3_ha=pair.v2_m3_ha)
        in_range("v1_m3_ha", pair.v1_m3_ha, 0, setting("max_volume_m3_ha"))
        in_range("v2_m3_ha", pair.v2_m3_ha, 0, setting("max_volume_m3_ha"))


def _carbon_of_volumes(record: PlotRecord, biomass: Biomass, parameters: ParameterSet) -> tuple[float, float]:
    pair = record.measurement
    if not isinstance(pair, VolumePair):
        raise MixedMeasurements(plot=record.plot_id, equation=biomass.value)
    factors = parameters.stand_types.row(record.stratum).factors
    volumes = (pair.v1_m3_ha, pair.v2_m3_ha)
    if biomass is Biomass.LINEAR and min(volumes) >= parameters.setting("min_linear_volume_m3_ha"):
        line = parameters.linear_biomass.row(record.stratum)
        first, second = (linear_biomass_t_ha(volume, line.a, line.b) for volume in volumes)
        return first * factors.carbon_fraction, second * factors.carbon_fraction
    return volume_carbon_tc_ha(volumes[0], factors), volume_carbon_tc_ha(volumes[1], factors)


def _carbon_of_trees(record: PlotRecord, parameters: ParameterSet) -> tuple[float, float]:
    pair = record.measurement
    if not isinstance(pair, TreePair):
        raise MixedMeasurements(plot=record.plot_id, equation=Biomass.TREES.value)
    factors = parameters.stand_types.row(record.stratum).factors

    def carbon(measured: tuple[MeasuredTree, ...]) -> float:
        for tree in measured:
            not_negative(dbh_cm=tree.dbh_cm)
            in_range("dbh_cm", tree.dbh_cm, 0, parameters.setting("max_dbh_cm"))
        trees = [
            Tree(tree.dbh_cm, parameters.stand_types.row(tree.species).factors.wood_density)
            for tree in measured
            if tree.dbh_cm >= parameters.setting("min_dbh_cm")
        ]
        return tree_plot(
            plot_area_ha=record.area_ha,
            trees=trees,
            root_shoot=factors.root_shoot,
            carbon_fraction=factors.carbon_fraction,
        ).carbon_tc_ha

    return carbon(pair.trees1), carbon(pair.trees2)


def _carbon_of_culms(record: PlotRecord, parameters: ParameterSet) -> tuple[float, float]:
    pair = record.measurement
    if not isinstance(pair, CulmPair):
        raise MixedMeasurements(plot=record.plot_id, equation=Biomass.CULMS.value)
    parameters.roots_and_carbon(record.stratum)
    thinnest = parameters.culm_model.min_dbh_cm

    def carbon(measured: tuple[CulmClass, ...]) -> float:
        for culm in measured:
            not_negative(dbh_cm=culm.dbh_cm)
        culms = [culm for culm in measured if culm.dbh_cm >= thinnest]
        return culm_carbon_tc_ha(culms, record.area_ha, parameters)

    return carbon(pair.culms1), carbon(pair.culms2)


def check_dates(
    plots: Sequence[PlotRecord], from_on: date, to_on: date, *, tolerance_days: int | None = None
) -> None:
    """Refuse plots that were not measured near the two ends of the monitoring period `[from_on, to_on)`.

    Growth outside the period must not be credited in it. The default tolerance is a setting. Raises
    `PlotOutsidePeriod`.
    """
    if tolerance_days is None:
        tolerance_days = default_parameters().whole_setting("max_plot_date_offset_days")
    tolerance = timedelta(days=tolerance_days)
    for plot in plots:
        for measured_on, expected_on in ((plot.measured1_on, from_on), (plot.measured2_on, to_on)):
            if abs(measured_on - expected_on) > tolerance:
                raise PlotOutsidePeriod(
                    plot=plot.plot_id,
                    measured_on=measured_on.isoformat(),
                    expected_on=expected_on.isoformat(),
                    tolerance_days=tolerance_days,
                )


def plots_by_stratum(
    plots: Sequence[PlotRecord], strata_area_ha: Mapping[str, float], min_plots: int
) -> dict[str, list[PlotRecord]]:
    """The plots of each stratum with land, strata in the order of their codes.

    Raises `DuplicatedPlot`, `PlotOutsideStrata`, and `TooFewPlots` also for a stratum that has land but no
    plot.
    """
    groups: dict[str, list[PlotRecord]] = {stratum: [] for stratum in sorted(strata_area_ha)}
    seen: set[str] = set()
    for plot in plots:
        if plot.plot_id in seen:
            raise DuplicatedPlot(plot=plot.plot_id)
        seen.add(plot.plot_id)
        if plot.stratum not in groups:
            raise PlotOutsideStrata(plot=plot.plot_id, stratum=plot.stratum)
        groups[plot.stratum].append(plot)
    for stratum, members in groups.items():
        if len(members) < min_plots:
            raise TooFewPlots(stratum=stratum, plots=len(members), needed=min_plots)
    return groups


def estimate_change(
    plots: Sequence[PlotRecord],
    strata_area_ha: Mapping[str, float],
    *,
    biomass: Biomass = Biomass.VOLUME,
    parameters: ParameterSet | None = None,
) -> PlotEstimate:
    """Stratified mean change per hectare from permanent plots, with its error (E-U1).

    `strata_area_ha` gives the credited hectares of each stratum, keyed by stand type code. The result depends
    on neither the order of the plots nor the machine. Refusals as in `plots_by_stratum` and `plot_change`.
    """
    tables = parameters or default_parameters()
    groups = plots_by_stratum(plots, strata_area_ha, tables.whole_setting("min_plots_per_stratum"))
    changes: list[PlotChange] = []
    strata: list[Stratum] = []
    for code, members in groups.items():
        positive(area_ha=strata_area_ha[code])
        tables.roots_and_carbon(code)
        of_stratum = [
            plot_change(plot, biomass, tables) for plot in sorted(members, key=lambda plot: plot.plot_id)
        ]
        mean, sd = mean_and_sd([change.delta_tc_ha for change in of_stratum])
        strata.append(Stratum(strata_area_ha[code], len(of_stratum), mean, sd, code))
        changes.extend(of_stratum)
    change = stratified_mean(
        strata=strata,
        reliability=tables.setting("reliability"),
        min_plots=tables.whole_setting("min_plots_per_stratum"),
    )
    return PlotEstimate(biomass, tuple(strata), tuple(changes), change)


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (divisor n - 1) of at least two values."""
    mean = statistics.fmean(values)
    return mean, math.sqrt(total((value - mean) ** 2 for value in values) / (len(values) - 1))
