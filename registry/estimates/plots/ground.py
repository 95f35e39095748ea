"""Where plots stand, and what the rasters say there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from shapely import STRtree
from shapely.geometry import Point, Polygon

from geo.coverage import cover_parcels
from geo.crs import LocalFrame, Polygonal
from geo.raster import RasterSource
from registry.estimates.ground import sampled
from registry.estimates.ground_change import DENSITIES, M2_PER_HA, Sums
from registry.estimates.inputs import ParcelInput, RunInputs
from registry.estimates.methods import PlotRecord
from registry.estimates.rules import PlotStratumDiffers, PlotUnplaced

_DISC_VERTICES: Final = 32


@dataclass(frozen=True, slots=True)
class PlacedPlots:
    """Plots on the run's parcels, and the ids of those that stand elsewhere."""

    inside: tuple[PlotRecord, ...]
    outside: tuple[str, ...]


def place(
    plots: Sequence[PlotRecord], parcels: Sequence[ParcelInput], outlines: Sequence[Polygonal]
) -> PlacedPlots:
    """Which plots stand on the run's parcels: their coordinates decide, not what the crew wrote down.

    Raises `PlotUnplaced` and `PlotStratumDiffers`.
    """
    tree = STRtree(list(outlines))
    inside: list[PlotRecord] = []
    outside: list[str] = []
    for plot in plots:
        if plot.lon_deg is None or plot.lat_deg is None:
            raise PlotUnplaced(plot=plot.plot_id)
        found = sorted(int(n) for n in tree.query(Point(plot.lon_deg, plot.lat_deg), predicate="intersects"))
        if not found:
            outside.append(plot.plot_id)
            continue
        types = {parcels[n].stand_type for n in found}
        if plot.stratum not in types:
            parcel = parcels[found[0]]
            raise PlotStratumDiffers(
                plot=plot.plot_id, stratum=plot.stratum, parcel=parcel.parcel, stand_type=parcel.stand_type
            )
        inside.append(plot)
    return PlacedPlots(tuple(inside), tuple(outside))


def change_at_plots(
    inputs: RunInputs, plots: Sequence[PlotRecord], rasters: Mapping[str, RasterSource]
) -> dict[str, float]:
    """Raster change at each plot, t/ha over a disc of the plot's area; plots without data are left out.

    Discs are not kept: nobody measures the same plot twice on a grid.
    """
    coverage = cover_parcels([_disc(plot) for plot in plots], rasters["agb_start"].grid)
    table = sampled(coverage, inputs, {name: rasters[name] for name in DENSITIES})
    seen = table.all_valid(*DENSITIES)
    sums = Sums(table, table.weight_m2, seen, seen)
    hectares = sums.ground(seen)
    delta = sums.values(seen, "agb_end") - sums.values(seen, "agb_start")
    return {plot.plot_id: float(delta[n] / hectares[n]) for n, plot in enumerate(plots) if hectares[n] > 0}


def _disc(plot: PlotRecord) -> Polygon:
    assert plot.lon_deg is not None and plot.lat_deg is not None
    east, north = LocalFrame(plot.lon_deg, plot.lat_deg).metres_per_degree()
    turns = np.linspace(0, 2 * np.pi, _DISC_VERTICES, endpoint=False)
    shape = _DISC_VERTICES / 2 * np.sin(2 * np.pi / _DISC_VERTICES)
    radius = np.sqrt(plot.area_ha * M2_PER_HA / shape)
    x = plot.lon_deg + radius * np.cos(turns) / east
    y = plot.lat_deg + radius * np.sin(turns) / north
    return Polygon(np.column_stack([x, y]))
