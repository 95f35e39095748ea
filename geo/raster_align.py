"""Which share of each cell of one grid a land cover on another calls eligible: exact areas, no resampling.

A land cover of 10 or 30 m and a biomass map of 100 m share no cells. What an estimate needs of the cover is
one number for each cell of the map, E of E-R1: the eligible part of its ground. Where both grids have their
axes in common the area of each piece is a product of a width and a height, so sums along rows and columns
give the exact share; else each cell is laid over the cover as a polygon.

Ground of which the cover says nothing is not eligible; a cell of which it says nothing at all has no value.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from geo.confined import Progress
from geo.coverage import cover_parcels
from geo.crs import pixel_area_m2
from geo.errors import RasterDoesNotCover, RasterTooLarge
from geo.pixels import sample_parcels
from geo.raster import Grid, RasterSource

RULE: Final = "eligible_share/1"
"""Names what is done here; a change of it is another rule."""
NODATA: Final = -1.0
MAX_CELLS: Final = 1 << 27
MAX_POLYGON_CELLS: Final = 1 << 22
ALIGNING: Final = "aligning"
_PIECE_CELLS: Final = 1 << 22
_POLYGONS: Final = 20_000
_ROUNDING: Final = 1e-9

Floats = NDArray[np.float64]


def eligible_share(
    cover: RasterSource,
    classes: Collection[int],
    target: Grid,
    *,
    band: int = 1,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """The eligible share of each cell of `target` (rows, columns), `NODATA` where the cover says nothing.

    Raises RasterTooLarge when the target has too many cells, RasterDoesNotCover when the two nowhere meet.
    """
    same = _axes_in_common(cover.grid, target)
    most = MAX_CELLS if same else MAX_POLYGON_CELLS
    if target.width * target.height > most:
        count = target.width * target.height
        raise RasterTooLarge(name=cover.name, count=count, what="cells to align", limit=most)
    shares = np.full((target.height, target.width), NODATA, np.float32)
    chosen = np.array(sorted(classes), dtype=np.int64)
    pieces = _by_axes if same else _by_polygons
    for rows, columns, found in pieces(cover, band, chosen, target):
        shares[rows, columns] = found
        if progress is not None:
            progress(ALIGNING, rows.stop, target.height)
    if not (shares != NODATA).any():
        raise RasterDoesNotCover(covered_share=0.0, parcel=cover.name)
    return shares


Piece = tuple[slice, slice, NDArray[np.float32]]


def _axes_in_common(one: Grid, other: Grid) -> bool:
    """One system, or degrees either way: WGS 84 and CGCS2000 are taken as one, as everywhere here."""
    return one.crs == other.crs or (one.is_geographic and other.is_geographic)


def _finished(eligible: Floats, known: Floats, whole: Floats) -> NDArray[np.float32]:
    """Shares of areas, free of what rounding leaves beside 0 and 1."""
    share = np.clip(eligible / whole, 0.0, 1.0)
    share[share < _ROUNDING] = 0.0
    share[known / whole < _ROUNDING] = NODATA
    return share.astype(np.float32)


# ---- axes in common ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Edges:
    """Where the edges of target cells lie along an axis of the cover: the cell of the cover that each is in,
    counted from `first`, and how far into it (0 to 1). Edges outside are moved to the border.
    """

    first: int
    count: int
    cell: NDArray[np.int64]
    into: Floats

    @classmethod
    def of(cls, at: Floats, cells: int) -> "_Edges":
        inside = np.clip(at, 0.0, float(cells))
        first = min(int(inside[0]), cells - 1)
        last = max(math.ceil(inside[-1]), first + 1)
        cell = np.minimum(inside.astype(np.int64), last - 1)
        return cls(first, last - first, cell - first, inside - cell)


def _by_axes(cover: RasterSource, band: int, chosen: NDArray[np.int64], target: Grid) -> Iterator[Piece]:
    grid = cover.grid
    ratio = max(target.dx / grid.dx, 1e-9) * max(target.dy / grid.dy, 1e-9)
    side = int(np.clip(math.sqrt(_PIECE_CELLS / max(ratio, 1.0)), 1, 2_048))
    for top in range(0, target.height, side):
        rows = slice(top, min(top + side, target.height))
        y = target.y0 - target.dy * np.arange(rows.start, rows.stop + 1, dtype=np.float64)
        down = _Edges.of((grid.y0 - y) / grid.dy, grid.height)
        for left in range(0, target.width, side):
            columns = slice(left, min(left + side, target.width))
            x = target.x0 + target.dx * np.arange(columns.start, columns.stop + 1, dtype=np.float64)
            across = _Edges.of((x - grid.x0) / grid.dx, grid.width)
            window = cover.read(down.first, across.first, down.count, across.count, band)
            known = window.valid.astype(np.float64)
            eligible = known * np.isin(window.values, chosen)
            whole = _strips(y, grid.is_geographic)[:, None] * (target.dx / grid.dx)
            areas = [_areas(one, down, across, grid) for one in (eligible, known)]
            yield rows, columns, _finished(areas[0], areas[1], whole)


def _areas(held: Floats, down: _Edges, across: _Edges, grid: Grid) -> Floats:
    """The area of `held` (rows, columns of the cover) in each target cell: widths of the cover's cells times
    the measure of `_strips`.
    """
    until = np.zeros((held.shape[0], held.shape[1] + 1))
    np.cumsum(held, axis=1, out=until[:, 1:])
    widths = np.diff(until[:, across.cell] + held[:, across.cell] * across.into, axis=1)
    tops: Floats = grid.y0 - grid.dy * (down.first + np.arange(down.count + 1)).astype(np.float64)
    heights = _strips(tops, grid.is_geographic)
    above = np.zeros((held.shape[0] + 1, widths.shape[1]))
    np.cumsum(widths * heights[:, None], axis=0, out=above[1:])
    start = tops[down.cell]
    part = _between(start, start - grid.dy * down.into, grid.is_geographic)
    found: Floats = np.diff(above[down.cell] + widths[down.cell] * part[:, None], axis=0)
    return found


def _strips(y: Floats, geographic: bool) -> Floats:
    """The measure of each strip between neighbours of `y`, from north to south."""
    return _between(y[:-1], y[1:], geographic)


def _between(north: Floats, south: Floats, geographic: bool) -> Floats:
    """Heights, or on the ellipsoid the area of a strip one degree wide (E-A2)."""
    if not geographic:
        return north - south
    return pixel_area_m2((north + south) / 2, north - south, 1.0)


# ---- another system ----------------------------------------------------------------------------------------


def _by_polygons(cover: RasterSource, band: int, chosen: NDArray[np.int64], target: Grid) -> Iterator[Piece]:
    to_degrees = pyproj.Transformer.from_crs(target.crs, "EPSG:4490", always_xy=True)
    rows_at_once = max(1, _POLYGONS // target.width)
    for top in range(0, target.height, rows_at_once):
        rows = slice(top, min(top + rows_at_once, target.height))
        cells = _cell_polygons(target, rows, to_degrees)
        table = sample_parcels(cover_parcels(cells, cover.grid), {"cover": cover}, band=band)
        valid = table.valid["cover"]
        eligible = valid & np.isin(table.values["cover"], chosen)
        sums = [table.sums(np.where(one, table.weight_m2, 0.0)) for one in (eligible, valid)]
        shape = (rows.stop - rows.start, target.width)
        found = _finished(sums[0], sums[1], np.asarray(table.area_m2, dtype=np.float64))
        yield rows, slice(0, target.width), found.reshape(shape)


def _cell_polygons(target: Grid, rows: slice, to_degrees: pyproj.Transformer) -> list[shapely.Polygon]:
    """The cells of some rows in EPSG:4490, corners and middles of edges."""
    row, column = np.meshgrid(np.arange(rows.start, rows.stop), np.arange(target.width), indexing="ij")
    right = np.array([0, 0, 0, 0.5, 1, 1, 1, 0.5, 0])
    down = np.array([0, 0.5, 1, 1, 1, 0.5, 0, 0, 0])
    x = target.x0 + target.dx * (column.reshape(-1, 1) + right)
    y = target.y0 - target.dy * (row.reshape(-1, 1) + down)
    lon, lat = to_degrees.transform(x, y)
    cells: list[shapely.Polygon] = np.asarray(shapely.polygons(np.stack([lon, lat], axis=-1))).tolist()
    return cells
