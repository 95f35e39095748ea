"""What is odd about plots: duplicates, too few, wrong days, trees that shrink, plots that stand out.

Nothing is dropped here, and nothing is corrected. An `error` is what a run refuses; a `warning` is recorded;
an `outlier` stands out of its stratum and is to be corrected, or kept with the owner's reason, which the plot
file holds (`explanation`) and the run's record repeats. Bounds that no document sets are marked as assumed.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from registry.estimates.methods.constants import C_TO_CO2, M2_PER_HA
from registry.estimates.methods.errors import MethodRefusal, PlotOutsidePeriod
from registry.estimates.methods.parameters import ParameterSet, default_parameters
from registry.estimates.methods.plots import (
    CulmPair,
    MeasuredTree,
    PlotChange,
    PlotRecord,
    TreePair,
    check_dates,
    plot_change,
)
from registry.estimates.methods.version import Biomass

Level = Literal["error", "warning", "outlier"]

USUAL_AREA_HA: Final = (0.04, 0.06)
"""METHODOLOGY 2.10: plots of 0.04 to 0.06 ha."""
STEMS_PER_HA: Final = (50.0, 10_000.0)
"""Assumed: from a few seed trees to a dense young stand; Moso bamboo stays below, too."""
DBH_GROWTH_CM_YEAR: Final = 3.0
"""Assumed: above any tree of the region over several years."""
DBH_ERROR_CM: Final = 0.2
"""Assumed: what two careful tape readings of a tree that did not grow may differ by."""
SLENDERNESS: Final = (20.0, 250.0)
"""Height over diameter, both in metres; assumed: open-grown giants to drawn-up saplings."""
ROBUST_Z: Final = 3.5
"""Iglewicz and Hoaglin, How to detect and handle outliers, 1993: modified z-scores above 3.5."""
FEWEST_FOR_OUTLIERS: Final = 8
"""Assumed: with fewer plots median and deviation say too little about each of them."""
_MAD_TO_SD: Final = 1.482602218505602
_MEAN_DEVIATION_TO_SD: Final = 1.2533141373155001
_DAYS_PER_YEAR: Final = 365.25
_M_PER_DEGREE: Final = 111_195.0
_NARROW: Final = 0.5
"""Cosine of the latitude up to which plots in one place are all found: far north of any."""
_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
"""Letters that are drawn as nothing."""
_FEWEST_LETTERS: Final = 2
_Placed = tuple[float, float, str, float]
"""Latitude, longitude, name and radius (m) of a plot."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is odd: a code, how bad, which plot (None: the whole file), which field, the value as
    text, what was expected, and for an outlier the owner's answer.
    """

    code: str
    level: Level
    plot: str | None
    field: str
    value: str
    limit: str
    answer: str | None = None

    @property
    def open(self) -> bool:
        """Whether somebody still has to do something about it before a run can be trusted."""
        return self.level == "error" or (self.level == "outlier" and not says_something(self.answer))

    def to_json(self) -> dict[str, str | None]:
        return {
            "code": self.code,
            "level": self.level,
            "plot": self.plot,
            "field": self.field,
            "value": self.value,
            "limit": self.limit,
            "answer": self.answer,
        }


def check_plots(
    plots: Sequence[PlotRecord],
    *,
    biomass: Biomass | None = None,
    parameters: ParameterSet | None = None,
    strata_ha: Mapping[str, float] | None = None,
    from_on: date | None = None,
    to_on: date | None = None,
) -> tuple[Finding, ...]:
    """Everything odd about the plots, errors first, then by plot.

    `biomass` is the method's equation (default: what the measurements are made for), `strata_ha` the hectares
    of each stratum of the project (default: the strata that the file names), the two dates the period's ends.
    """
    tables = parameters or default_parameters()
    found = [*_duplicates(plots), *_same_places(plots), *_strata(plots, strata_ha, tables)]
    if from_on is not None and to_on is not None:
        found += _period(plots, from_on, to_on, tables)
    for plot in plots:
        found += [*_place(plot), *_area(plot), *_stems(plot), *_trees(plot, tables)]
    changes, refused = _changes(plots, biomass, tables)
    found += refused
    found += [*_growth(plots, changes, tables), *_outliers(plots, changes)]
    order: dict[str, int] = {"error": 0, "outlier": 1, "warning": 2}
    return tuple(sorted(found, key=lambda one: (order[one.level], one.plot or "", one.code, one.value)))


def says_something(answer: str | None) -> bool:
    """Whether an explanation has two letters or digits that can be seen; a dash or a blank has none."""
    seen = [letter for letter in answer or "" if letter.isalnum() and letter not in _FILLERS]
    return len(seen) >= _FEWEST_LETTERS


def usual_biomass(plot: PlotRecord) -> Biomass:
    """The equation that a plot's measurements are made for."""
    if isinstance(plot.measurement, TreePair):
        return Biomass.TREES
    return Biomass.CULMS if isinstance(plot.measurement, CulmPair) else Biomass.VOLUME


# ---- the plots together ------------------------------------------------------------------------------------


def _duplicates(plots: Sequence[PlotRecord]) -> Iterator[Finding]:
    for plot_id, times in Counter(plot.plot_id for plot in plots).items():
        if times > 1:
            yield Finding("plot_duplicated", "error", plot_id, "plot_id", str(times), "1")


def _same_places(plots: Sequence[PlotRecord]) -> Iterator[Finding]:
    """Two plots closer than the radius of the larger: one of the two was typed wrongly, or counted twice.

    Each plot is named once, with the first of those before it that it lies on: a file may have thousands in
    one place. Plots are looked for in squares as wide as the largest radius, so that many cost no more each.
    """
    placed = sorted(
        (plot.lat_deg, plot.lon_deg, plot.plot_id, radius_m(plot.area_ha))
        for plot in plots
        if plot.lat_deg is not None and plot.lon_deg is not None
    )
    side_m = max((radius for *_, radius in placed), default=1.0)
    squares: dict[tuple[int, int], list[_Placed]] = {}
    for one in placed:
        row, column = int(one[0] * _M_PER_DEGREE // side_m), int(one[1] * _NARROW * _M_PER_DEGREE // side_m)
        near = (squares.get((row - 1 + n // 3, column - 1 + n % 3), ()) for n in range(9))
        if found := next(filter(None, (_lies_on(one, other) for square in near for other in square)), None):
            yield found
        squares.setdefault((row, column), []).append(one)


def _lies_on(one: _Placed, other: _Placed) -> Finding | None:
    lat, lon, plot_id, radius = one
    other_lat, other_lon, other_id, other_radius = other
    east = (other_lon - lon) * math.cos(math.radians(other_lat))
    distance, limit = math.hypot(other_lat - lat, east) * _M_PER_DEGREE, max(radius, other_radius)
    if distance >= limit or plot_id == other_id:
        return None
    first, second = sorted((plot_id, other_id))
    said = f"{distance:.1f} m, {first}"
    return Finding("plots_same_place", "error", second, "lon_deg", said, f">= {limit:.1f} m")


def radius_m(area_ha: float) -> float:
    """Radius of a round plot."""
    return math.sqrt(area_ha * M2_PER_HA / math.pi)


def _strata(
    plots: Sequence[PlotRecord], strata_ha: Mapping[str, float] | None, tables: ParameterSet
) -> Iterator[Finding]:
    counts = Counter(plot.stratum for plot in plots)
    needed = tables.whole_setting("min_plots_per_stratum")
    for stratum in sorted(strata_ha if strata_ha is not None else counts):
        if counts[stratum] < needed:
            yield Finding(
                "plots_too_few", "error", None, "stratum", f"{stratum}: {counts[stratum]}", f">= {needed}"
            )
    if strata_ha is not None:
        for plot in plots:
            if plot.stratum not in strata_ha:
                known = ", ".join(sorted(strata_ha))
                yield Finding("plot_outside_strata", "error", plot.plot_id, "stratum", plot.stratum, known)


def _period(
    plots: Sequence[PlotRecord], from_on: date, to_on: date, tables: ParameterSet
) -> Iterator[Finding]:
    days = tables.whole_setting("max_plot_date_offset_days")
    for plot in plots:
        try:
            check_dates([plot], from_on, to_on, tolerance_days=days)
        except PlotOutsidePeriod as refusal:
            facts = refusal.facts
            yield Finding(
                "plot_outside_period", "error", plot.plot_id, "measured_on", str(facts["measured_on"]),
                f"{facts['expected_on']} ± {days} d",
            )  # fmt: skip


# ---- one plot ----------------------------------------------------------------------------------------------


def _place(plot: PlotRecord) -> Iterator[Finding]:
    if plot.lon_deg is None or plot.lat_deg is None:
        yield Finding("plot_unplaced", "error", plot.plot_id, "lon_deg", "", "")


def _area(plot: PlotRecord) -> Iterator[Finding]:
    low, high = USUAL_AREA_HA
    if not low <= plot.area_ha <= high:
        yield Finding(
            "plot_area_unusual", "warning", plot.plot_id, "area_ha", f"{plot.area_ha:g}", f"{low:g}-{high:g}"
        )


def _stems(plot: PlotRecord) -> Iterator[Finding]:
    """Living stems per hectare at each visit; none at all is a felled plot, and worth knowing."""
    counted = _counts(plot)
    for field, stems in zip(("measured1_on", "measured2_on"), counted, strict=True) if counted else ():
        per_ha = stems / plot.area_ha
        low, high = STEMS_PER_HA
        if stems == 0:
            yield Finding("plot_without_stems", "warning", plot.plot_id, field, "0", "")
        elif not low <= per_ha <= high:
            limit = f"{low:g}-{high:g}"
            yield Finding("stem_density_unusual", "warning", plot.plot_id, field, f"{per_ha:.0f}", limit)


def _counts(plot: PlotRecord) -> tuple[int, int] | None:
    measured = plot.measurement
    if isinstance(measured, TreePair):
        return len(measured.trees1), len(measured.trees2)
    if isinstance(measured, CulmPair):
        return sum(one.culms for one in measured.culms1), sum(one.culms for one in measured.culms2)
    return None


def _trees(plot: PlotRecord, tables: ParameterSet) -> Iterator[Finding]:
    measured = plot.measurement
    if not isinstance(measured, TreePair):
        return
    smallest = tables.setting("min_dbh_cm")
    both = (*measured.trees1, *measured.trees2)
    thin = sum(tree.dbh_cm < smallest for tree in both)
    if thin:
        yield Finding("trees_too_thin", "warning", plot.plot_id, "dbh_cm", str(thin), f">= {smallest:g} cm")
    for tree in both:
        yield from _slenderness(plot, tree)
    yield from _remeasured(plot, measured, smallest)


def _slenderness(plot: PlotRecord, tree: MeasuredTree) -> Iterator[Finding]:
    if tree.height_m is None or tree.dbh_cm <= 0:
        return
    ratio = tree.height_m / tree.dbh_cm * 100
    low, high = SLENDERNESS
    if not low <= ratio <= high:
        what = f"{tree.tree_id or tree.species}: {tree.height_m:g} m, {tree.dbh_cm:g} cm"
        yield Finding("tree_shape_unusual", "warning", plot.plot_id, "height_m", what, f"{low:g}-{high:g}")


def _remeasured(plot: PlotRecord, pair: TreePair, smallest_cm: float) -> Iterator[Finding]:
    """Trees by their numbers: who shrank, grew too fast, became another species, is gone, or is new."""
    before = {tree.tree_id: tree for tree in pair.trees1 if tree.tree_id is not None}
    after = {tree.tree_id: tree for tree in pair.trees2 if tree.tree_id is not None}
    if not before or not after:
        return
    most_cm = DBH_GROWTH_CM_YEAR * (plot.measured2_on - plot.measured1_on).days / _DAYS_PER_YEAR
    for tag, tree in sorted(after.items(), key=lambda one: str(one[0])):
        earlier = before.get(tag)
        if earlier is not None:
            yield from _tree_change(plot, earlier, tree, most_cm)
        elif tree.dbh_cm > smallest_cm + most_cm:
            what = f"{tag}: {tree.dbh_cm:g} cm"
            limit = f"<= {smallest_cm + most_cm:.1f} cm"
            yield Finding("tree_appeared", "warning", plot.plot_id, "tree_id", what, limit)
    gone = sorted(str(tag) for tag in before if tag not in after)
    if gone:
        yield Finding("trees_gone", "warning", plot.plot_id, "tree_id", ", ".join(gone)[:200], "")


def _tree_change(
    plot: PlotRecord, before: MeasuredTree, after: MeasuredTree, most_cm: float
) -> Iterator[Finding]:
    grown = after.dbh_cm - before.dbh_cm
    what = f"{after.tree_id}: {before.dbh_cm:g} -> {after.dbh_cm:g} cm"
    if grown < -DBH_ERROR_CM:
        yield Finding("tree_shrank", "warning", plot.plot_id, "dbh_cm", what, f">= -{DBH_ERROR_CM:g} cm")
    elif grown > most_cm:
        yield Finding("tree_grew_too_fast", "warning", plot.plot_id, "dbh_cm", what, f"<= {most_cm:.1f} cm")
    if before.species != after.species:
        what = f"{after.tree_id}: {before.species} -> {after.species}"
        yield Finding("tree_changed_species", "warning", plot.plot_id, "species", what, before.species)


# ---- changes -----------------------------------------------------------------------------------------------


def _changes(
    plots: Iterable[PlotRecord], biomass: Biomass | None, tables: ParameterSet
) -> tuple[dict[str, PlotChange], list[Finding]]:
    changes: dict[str, PlotChange] = {}
    refused: list[Finding] = []
    for plot in plots:
        try:
            changes[plot.plot_id] = plot_change(plot, biomass or usual_biomass(plot), tables)
        except MethodRefusal as refusal:
            refused.append(
                Finding("plot_not_computed", "error", plot.plot_id, "measurement", refusal.code, "")
            )
    return changes, refused


def _growth(
    plots: Sequence[PlotRecord], changes: Mapping[str, PlotChange], tables: ParameterSet
) -> Iterator[Finding]:
    """R-17 for a single plot, and plots that lost carbon."""
    limit = tables.setting("refuse_above_tco2e_ha_year")
    for plot in plots:
        change = changes.get(plot.plot_id)
        if change is None:
            continue
        years = (plot.measured2_on - plot.measured1_on).days / _DAYS_PER_YEAR
        rate = change.delta_tc_ha * C_TO_CO2 / years
        said = f"{rate:.2f} tCO2e/ha/year"
        if rate > limit:
            yield Finding("growth_implausible", "warning", plot.plot_id, "change", said, f"<= {limit:g}")
        elif rate < 0:
            yield Finding("plot_lost_carbon", "warning", plot.plot_id, "change", said, ">= 0")


def _outliers(plots: Sequence[PlotRecord], changes: Mapping[str, PlotChange]) -> Iterator[Finding]:
    by_stratum: dict[str, list[PlotRecord]] = {}
    for plot in plots:
        if plot.plot_id in changes:
            by_stratum.setdefault(plot.stratum, []).append(plot)
    for members in by_stratum.values():
        scores = robust_z([changes[plot.plot_id].delta_tc_ha for plot in members])
        for plot, score in zip(members, scores, strict=True):
            if abs(score) > ROBUST_Z:
                said = f"{changes[plot.plot_id].delta_tc_ha:.2f} tC/ha, z = {score:.1f}"
                yield Finding(
                    "plot_stands_out", "outlier", plot.plot_id, "change", said, f"|z| <= {ROBUST_Z:g}",
                    plot.explanation,
                )  # fmt: skip


def robust_z(values: Sequence[float]) -> list[float]:
    """How far each value lies from the median, in standard deviations estimated by the median deviation.

    Where more than half of the values are the same, the mean deviation takes its place; too few values, or
    all alike, score 0.
    """
    if len(values) < FEWEST_FOR_OUTLIERS:
        return [0.0] * len(values)
    middle = statistics.median(values)
    deviations = [abs(value - middle) for value in values]
    spread = (
        statistics.median(deviations) * _MAD_TO_SD or statistics.fmean(deviations) * _MEAN_DEVIATION_TO_SD
    )
    if spread == 0:
        return [0.0] * len(values)
    return [(value - middle) / spread for value in values]
