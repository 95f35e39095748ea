"""Where to measure: how many plots, how many in each stratum, and where they stand, before anybody walks.

Number: n = (t / (E mean) * sum w_h sd_h)^2 with t iterated twice (METHODOLOGY 2.10, after AR-CM-001); shares
by w_h sd_h (Neyman; Cochran, Sampling Techniques, 3rd ed. 1977, 5.5 and 5.9). Place: in every stratum a
square lattice with a random start and a random bearing, which come from a seed that is written down. The
count is met exactly by the spacing of the lattice, so nobody picks which of its points to keep. A point
counts where the whole circle of the plot lies on the stratum's parcels.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geo.crs import LocalFrame, Polygonal, areas_m2
from registry.estimates.methods.checks import finite, not_negative, positive, share
from registry.estimates.methods.constants import M2_PER_HA
from registry.estimates.methods.errors import OutOfRange, StratumTooSmall, TooManyPlots
from registry.estimates.methods.parameters import sha256_hex
from registry.estimates.methods.plot_checks import radius_m
from registry.estimates.methods.student import student_quantile
from registry.estimates.methods.uncertainty import MIN_PLOTS, RELIABILITY

MAX_PLOTS: Final = 20_000
DESIGN_VERSION: Final = "plots-design/1"
MARGIN: Final = 1.01
"""A circle keeps one hundredth of its radius from the border: what frames and digits may shift."""
_DIGITS: Final = 7  # of a degree: a centimetre
_STEPS: Final = 200
_MANY: Final = 1_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PilotStratum:
    """What is known or assumed of a stratum before the plots: hectares, mean and deviation between plots."""

    name: str
    area_ha: float
    mean_tc_ha: float
    sd_tc_ha: float


@dataclass(frozen=True, slots=True)
class Allocation:
    """How many plots by stratum; `by_formula` before every stratum got its least; t, and the error expected
    of them as a share of the mean.
    """

    plots: Mapping[str, int]
    by_formula: int
    t_value: float
    expected_error: float

    @property
    def total(self) -> int:
        return sum(self.plots.values())


@dataclass(frozen=True, slots=True)
class DesignStratum:
    """A stratum's parcels in EPSG:4490, with what crews call them."""

    name: str
    parcels: Mapping[str, Polygonal]


@dataclass(frozen=True, slots=True)
class PlannedPlot:
    """Where a plot is to stand: EPSG:4490, seven digits; the parcel that holds its centre."""

    plot_id: str
    stratum: str
    parcel: str
    lon_deg: float
    lat_deg: float


@dataclass(frozen=True, slots=True)
class Laid:
    """The lattice of a stratum, and what no plot can reach of it.

    `reachable_share` is the part of the ground on which a plot's centre may stand; `unreachable` the parcels
    that have no such ground.
    """

    stratum: str
    plots: tuple[PlannedPlot, ...]
    spacing_m: float
    bearing_deg: float
    reachable_share: float
    unreachable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Design:
    """A design, complete: the same seed and ground give the same digest."""

    seed: str
    plot_area_ha: float
    allocation: Allocation
    strata: tuple[Laid, ...]

    @property
    def plots(self) -> tuple[PlannedPlot, ...]:
        return tuple(plot for stratum in self.strata for plot in stratum.plots)

    def digest(self) -> str:
        """SHA-256 over the seed, the size of plots and every plot with its place."""
        return places_digest(self.seed, self.plot_area_ha, self.plots)


def places_digest(seed: str, plot_area_ha: float, plots: Sequence[PlannedPlot]) -> str:
    """The digest of a design: whoever has its seed, size and places can make it again."""
    places = [
        [plot.plot_id, plot.stratum, plot.parcel, f"{plot.lon_deg:.7f}", f"{plot.lat_deg:.7f}"]
        for plot in plots
    ]
    document = {
        "version": DESIGN_VERSION,
        "seed": seed,
        "plot_area_ha": repr(plot_area_ha),
        "plots": places,
    }
    return sha256_hex(document)


# ---- how many ----------------------------------------------------------------------------------------------


def plots_needed(
    strata: Sequence[PilotStratum],
    *,
    target_error: float,
    reliability: float = RELIABILITY,
    min_plots: int = MIN_PLOTS,
) -> Allocation:
    """The number of plots for a relative error of the mean at a reliability, and each stratum's part of it.

    `target_error` is a share (0.10 for 10 %). Strata that would get fewer than `min_plots` get that many on
    top, and where rounding left the target out of reach, single plots are added where they help most. The
    expected error is that of E-U1 if the plots turn out as the pilot did. Raises `OutOfRange` (no stratum,
    mean of zero, an error outside (0, 1)) and `TooManyPlots`.
    """
    if not strata:
        raise OutOfRange(field="strata", value=0, rule=">= 1")
    share(target_error=target_error)
    positive(target_error=target_error)
    for stratum in strata:
        positive(area_ha=stratum.area_ha)
        finite(mean_tc_ha=stratum.mean_tc_ha)
        not_negative(sd_tc_ha=stratum.sd_tc_ha)
    land = math.fsum(stratum.area_ha for stratum in strata)
    mean = abs(math.fsum(stratum.area_ha / land * stratum.mean_tc_ha for stratum in strata))
    positive(mean_tc_ha=mean)
    spreads = {stratum.name: stratum.area_ha / land * stratum.sd_tc_ha for stratum in strata}
    needed, t_value = 0, student_quantile(reliability, _MANY)
    for _ in range(3):
        needed = math.ceil((t_value / (target_error * mean) * math.fsum(spreads.values())) ** 2)
        if needed > MAX_PLOTS:
            raise TooManyPlots(plots=needed, most=MAX_PLOTS)
        t_value = student_quantile(reliability, max(needed, min_plots * len(strata)) - len(strata))
    plots = {name: max(count, min_plots) for name, count in allocate(needed, spreads, 0).items()}
    found = _expected(plots, needed, spreads, mean, reliability)
    while found.expected_error > target_error:
        helped = max(sorted(plots), key=lambda name: spreads[name] ** 2 / (plots[name] * (plots[name] + 1)))
        plots[helped] += 1
        found = _expected(plots, needed, spreads, mean, reliability)
    return found


def plots_given(
    strata: Sequence[PilotStratum],
    total: int,
    *,
    reliability: float = RELIABILITY,
    min_plots: int = MIN_PLOTS,
) -> Allocation:
    """A number of plots that somebody has decided on, shared out, and the error to expect of them."""
    land = math.fsum(stratum.area_ha for stratum in strata)
    mean = abs(math.fsum(stratum.area_ha / land * stratum.mean_tc_ha for stratum in strata))
    positive(mean_tc_ha=mean)
    if total > MAX_PLOTS:
        raise TooManyPlots(plots=total, most=MAX_PLOTS)
    spreads = {stratum.name: stratum.area_ha / land * stratum.sd_tc_ha for stratum in strata}
    return _expected(allocate(total, spreads, min_plots), total, spreads, mean, reliability)


def _expected(
    plots: Mapping[str, int], by_formula: int, spreads: Mapping[str, float], mean: float, reliability: float
) -> Allocation:
    """What E-U1 gives when the deviations are those of the pilot."""
    t_value = student_quantile(reliability, sum(plots.values()) - len(plots))
    error = math.sqrt(math.fsum(spreads[name] ** 2 / count for name, count in plots.items()))
    return Allocation(dict(plots), by_formula, t_value, t_value * error / mean)


def allocate(total: int, spreads: Mapping[str, float], min_plots: int = MIN_PLOTS) -> dict[str, int]:
    """Share out plots by w_h sd_h, at least `min_plots` to each stratum; the counts add up to the total.

    Strata that would get fewer get the least, and the others share what is left. What remains after rounding
    down goes to the largest remainders, the first name first among equals. Raises `OutOfRange` when the total
    is less than all the least together.
    """
    if total < min_plots * len(spreads):
        raise OutOfRange(field="plots", value=total, rule=f">= {min_plots * len(spreads)}")
    not_negative(**{f"spread of {name}": value for name, value in spreads.items()})
    counts = dict.fromkeys(spreads, min_plots)
    open_names = sorted(spreads)
    left = total
    while open_names:
        parts = _parts(left, {name: spreads[name] for name in open_names})
        low = [name for name in open_names if parts[name] < min_plots]
        if not low:
            counts |= _rounded(parts, left)
            break
        open_names = [name for name in open_names if name not in low]
        left -= min_plots * len(low)
    return counts


def _parts(total: int, spreads: Mapping[str, float]) -> dict[str, Decimal]:
    exact = {name: Decimal(value) for name, value in spreads.items()}
    whole = sum(exact.values(), Decimal(0))
    if whole == 0:
        return {name: Decimal(total) / len(exact) for name in exact}
    return {name: total * value / whole for name, value in exact.items()}


def _rounded(parts: Mapping[str, Decimal], total: int) -> dict[str, int]:
    counts = {name: int(part.to_integral_value(rounding=ROUND_FLOOR)) for name, part in parts.items()}
    order = sorted(parts, key=lambda name: (counts[name] - parts[name], name))
    for name in order[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


# ---- where -------------------------------------------------------------------------------------------------


def lay_out(
    strata: Sequence[DesignStratum], allocation: Allocation, *, plot_area_ha: float, seed: str
) -> Design:
    """Place the plots of every stratum.

    `seed` is any text; the streams of the strata come from its SHA-256 and their names, so adding a stratum
    moves no other. Raises `StratumTooSmall` when no circle fits, or too few beside each other.
    """
    positive(plot_area_ha=plot_area_ha)
    laid = tuple(
        _lay(stratum, allocation.plots[stratum.name], plot_area_ha, seed)
        for stratum in sorted(strata, key=lambda one: one.name)
    )
    return Design(seed, plot_area_ha, allocation, laid)


def _lay(stratum: DesignStratum, count: int, plot_area_ha: float, seed: str) -> Laid:
    names = sorted(stratum.parcels)
    outlines = [stratum.parcels[name] for name in names]
    west, south, east, north = shapely.total_bounds(outlines)
    frame = LocalFrame((west + east) / 2, (south + north) / 2)
    radius = radius_m(plot_area_ha)
    ground = shapely.union_all([frame.to_metres(outline) for outline in outlines])
    inner = shapely.buffer(ground, -radius * MARGIN, quad_segs=16)
    if inner.is_empty:
        raise StratumTooSmall(stratum=stratum.name, plots=count, room=0)
    stream = _stream(seed, stratum.name)
    start, bearing = stream.random_sample(2), float(stream.random_sample()) * math.pi / 2
    centres, spacing = _lattice(inner, count, start, bearing, radius, stratum.name)
    degrees = np.round(_to_degrees(frame, centres), _DIGITS)
    owner = _owners(outlines, degrees)
    width = max(3, len(str(count)))
    plots = tuple(
        PlannedPlot(f"{stratum.name}-{n + 1:0{width}d}", stratum.name, names[at], float(lon), float(lat))
        for n, ((lon, lat), at) in enumerate(zip(degrees, owner, strict=True))
    )
    metres = [frame.to_metres(outline) for outline in outlines]
    unreachable = tuple(
        name for name, outline in zip(names, metres, strict=True) if not shapely.intersects(outline, inner)
    )
    return Laid(
        stratum.name, plots, spacing, math.degrees(bearing), float(inner.area / ground.area), unreachable
    )


def _stream(seed: str, stratum: str) -> np.random.RandomState:
    """A frozen stream of the seed and a stratum (as in `montecarlo`)."""
    raw = hashlib.sha256(f"{DESIGN_VERSION}\n{seed}\n{stratum}".encode()).digest()
    return np.random.RandomState([int.from_bytes(raw[at : at + 4], "big") for at in range(0, 32, 4)])


def _lattice(
    inner: BaseGeometry, count: int, start: Floats, bearing: float, radius: float, name: str
) -> tuple[Floats, float]:
    """The points of the lattice whose spacing puts exactly `count` of them inside.

    As the spacing shrinks, points come in one by one; between a spacing with too few and one with enough,
    halving finds where the wanted one comes in. Plots must not overlap: two radii are the least spacing.
    """
    shapely.prepare(inner)
    least = 2 * radius
    tight = wide = max(math.sqrt(inner.area / count), least)
    while len(room := _inside(inner, tight, start, bearing)) < count:
        if tight == least:
            raise StratumTooSmall(stratum=name, plots=count, room=len(room))
        wide, tight = tight, max(tight / 1.25, least)
    while len(_inside(inner, wide, start, bearing)) >= count:
        tight, wide = wide, wide * 1.25
    for _ in range(_STEPS):
        middle = (tight + wide) / 2
        found = _inside(inner, middle, start, bearing)
        if len(found) == count:
            return found, middle
        if len(found) > count:
            tight = middle
        else:
            wide = middle
    raise StratumTooSmall(stratum=name, plots=count, room=len(room))


def _inside(inner: BaseGeometry, spacing: float, start: Floats, bearing: float) -> Floats:
    """Points of a lattice inside, in rows from south to north and west to east of the turned lattice."""
    turn = np.array([[math.cos(bearing), -math.sin(bearing)], [math.sin(bearing), math.cos(bearing)]])
    west, south, east, north = inner.bounds
    corners = np.array([[west, south], [west, north], [east, south], [east, north]])
    centre = np.array([(west + east) / 2, (south + north) / 2])
    turned = (corners - centre) @ turn / spacing - start
    low, high = np.floor(turned.min(axis=0)).astype(int), np.ceil(turned.max(axis=0)).astype(int)
    columns, rows = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1), indexing="xy")
    nodes = (np.column_stack([columns.ravel(), rows.ravel()]) + start) * spacing @ turn.T + centre
    found: Floats = nodes[shapely.contains_xy(inner, nodes[:, 0], nodes[:, 1])]
    return found


def _to_degrees(frame: LocalFrame, metres: Floats) -> Floats:
    origin = np.array([frame.lon_deg, frame.lat_deg])
    degrees: Floats = metres / np.array(frame.metres_per_degree()) + origin
    return degrees


def _owners(outlines: Sequence[Polygonal], degrees: Floats) -> list[int]:
    """Which parcel holds each centre; the first of two that share it on their border."""
    tree = shapely.STRtree(list(outlines))
    points, found = tree.query(shapely.points(degrees), predicate="intersects")
    owner = {int(point): int(at) for point, at in sorted(zip(points, found, strict=True), reverse=True)}
    return [owner[n] for n in range(len(degrees))]


def stratum_area_ha(parcels: Mapping[str, Polygonal]) -> float:
    """Ground of a stratum by geodesic areas (E-A1)."""
    return math.fsum(areas_m2(list(parcels.values()))) / M2_PER_HA
