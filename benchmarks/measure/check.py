"""What is timed must be right: sums held against exactextract for all parcels, and against the exact
intersections of polygon and cell for some of every kind.
"""

from math import ceil, floor
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.ledger.rounds import ResultWrong
from benchmarks.measure.world import Outlines

Sums = NDArray[np.float64]

BOUND: Final = 1e-7
"""Largest relative difference of a sum."""
COUNT_BOUND: Final = 2e-6
"""Largest difference of a count of cells, relative: exactextract adds shares kept in 24 bits."""
LEAST: Final = 0.1
OF_EACH_KIND: Final = 60


def worst(one: Sums, other: Sums) -> float:
    """The largest relative difference of any sum; infinite where the parcels are not the same.

    Both are (rasters, parcels, 2), sum and count in cells. A sum below 0.1 (a thousandth of a cell that holds
    100 t/ha) is judged as if it were 0.1: shares below 1e-7 are nobody's ground.
    """
    if one.shape != other.shape:
        return float("inf")
    left, right = (np.nan_to_num(sums[..., 0], nan=0.0) for sums in (one, other))
    scale = np.maximum(np.maximum(np.abs(left), np.abs(right)), LEAST)
    return float((np.abs(left - right) / scale).max(initial=0.0))


def worst_count(one: Sums, other: Sums) -> float:
    """The largest difference of the cells with a value, relative to all of them."""
    whole = np.maximum(np.maximum(one[..., 1], other[..., 1]), 1.0)
    return float((np.abs(one[..., 1] - other[..., 1]) / whole).max(initial=0.0))


def require(what: str, difference: float, bound: float = BOUND) -> float:
    """The difference, if it is within its bound (ResultWrong)."""
    if not difference <= bound:
        raise ResultWrong(f"{what}: differ by {difference:.2e}, allowed are {bound:.0e}")
    return difference


def of_every_kind(outlines: Outlines, each: int = OF_EACH_KIND) -> NDArray[np.int64]:
    """Numbers of some outlines with holes, some in parts and some plain."""
    parts = shapely.get_num_geometries(outlines) > 1
    rings = np.zeros(len(outlines), dtype=np.int64)
    every, owner = shapely.get_parts(outlines, return_index=True)
    np.add.at(rings, owner, shapely.get_num_interior_rings(every))
    kinds = (rings > 0, parts, (rings == 0) & ~parts)
    return np.sort(np.concatenate([np.flatnonzero(kind)[:each] for kind in kinds]))


def exact(outlines: Outlines, raster: Path) -> Sums:
    """Sum and count of each outline (n, 2) by the intersection with every cell, in float64."""
    import rasterio

    with rasterio.open(raster) as data:
        return np.array([_one(outline, data) for outline in outlines])


def _one(outline: Any, data: Any) -> tuple[float, float]:
    from rasterio.windows import Window

    cell = data.transform.a
    x0, y0 = data.transform.c, data.transform.f
    west, south, east, north = outline.bounds
    first, last = max(floor((west - x0) / cell), 0), min(ceil((east - x0) / cell), data.width)
    top, bottom = max(floor((y0 - north) / cell), 0), min(ceil((y0 - south) / cell), data.height)
    values = data.read(1, window=Window(first, top, last - first, bottom - top)).astype(np.float64)
    x, y = np.meshgrid(x0 + cell * np.arange(first, last), y0 - cell * np.arange(top, bottom))
    cells = shapely.box(x, y - cell, x + cell, y)
    shapely.prepare(outline)
    share = shapely.contains(outline, cells).astype(np.float64)
    cut = (share == 0) & shapely.intersects(outline, cells)
    share[cut] = shapely.area(shapely.intersection(outline, cells[cut])) / cell**2
    known = values != data.nodata
    return float((share * np.where(known, values, 0.0)).sum()), float(share[known].sum())
