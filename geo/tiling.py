"""Vector tiles (Mapbox Vector Tile 2.1, Web Mercator): outlines cut to a tile, simplified for its zoom, in
whole units of the tile.

A tile has `EXTENT` units a side and shows `BUFFER` of them beyond each edge, so that what lies across an edge
is drawn on both sides of it. The encoding is mapbox-vector-tile's; what it would do one vertex at a time
(projecting, cutting, rounding, turning rings) is done here for all outlines at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.crs import Polygonal
from geo.outline import MAX_LATITUDE, Bounds

EXTENT: Final = 4096
BUFFER: Final = 64
SIMPLE_UNITS: Final = 4.0
"""Half a pixel on the screen, where a tile has 512: by so much an outline may be simplified."""

_FRAME: Final = shapely.box(-BUFFER, -BUFFER, EXTENT + BUFFER, EXTENT + BUFFER)

Properties = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: `x` columns eastward and `y` rows southward of 2^zoom."""

    zoom: int
    x: int
    y: int

    @property
    def bounds(self) -> Bounds:
        """The degrees that it shows, without its buffer."""
        return self._bounds(0.0)

    @property
    def buffered(self) -> Bounds:
        return self._bounds(BUFFER / EXTENT)

    def _bounds(self, more: float) -> Bounds:
        side = 2.0**self.zoom
        west, east = ((self.x + step) / side * 360.0 - 180.0 for step in (-more, 1 + more))
        north, south = (_latitude((self.y + step) / side) for step in (-more, 1 + more))
        return west, south, east, north

    @property
    def unit_degrees(self) -> float:
        """Degrees of longitude of one unit."""
        return float(360.0 / 2.0**self.zoom / EXTENT)

    def to_units(self, lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        """Degrees, one place a row, to units east and south of the tile's corner."""
        side = 2.0**self.zoom
        sine = np.sin(np.radians(np.clip(lonlat[:, 1], -MAX_LATITUDE, MAX_LATITUDE)))
        across = lonlat[:, 0] / 360.0 + 0.5
        down = 0.5 - np.log((1 + sine) / (1 - sine)) / (4 * np.pi)
        return np.column_stack([(across * side - self.x) * EXTENT, (down * side - self.y) * EXTENT])

    def to_degrees(self, units: NDArray[np.float64]) -> NDArray[np.float64]:
        side = 2.0**self.zoom
        lon = ((units[:, 0] / EXTENT + self.x) / side - 0.5) * 360.0
        down = (units[:, 1] / EXTENT + self.y) / side
        lat = np.degrees(2 * np.arctan(np.exp(np.pi * (1 - 2 * down))) - np.pi / 2)
        return np.column_stack([lon, lat])


def _latitude(down: float) -> float:
    return float(np.degrees(2 * np.arctan(np.exp(np.pi * (1 - 2 * min(max(down, 0.0), 1.0)))) - np.pi / 2))


def cut(tile: Tile, outlines: Sequence[Polygonal]) -> list[Any]:
    """What a tile shows of each outline, in its units: polygons with whole coordinates, None where it shows
    nothing of one. Land too small for the zoom is a dot of a pixel in the tile of its middle.
    """
    if len(outlines) == 0:
        return []
    flat = shapely.transform(np.array(outlines, dtype=object), tile.to_units)
    simple = shapely.simplify(flat, SIMPLE_UNITS)
    low, _, high, _ = _FRAME.bounds
    broken = ~shapely.is_valid(simple)
    simple[broken] = shapely.make_valid(simple[broken])
    west, north, east, south = shapely.bounds(simple).T
    across = (west < low) | (north < low) | (east > high) | (south > high)
    simple[across] = shapely.intersection(simple[across], _FRAME)
    turned = shapely.orient_polygons(_rounded(simple), exterior_cw=False)
    kinds = np.where(shapely.is_empty(turned), -1, shapely.get_type_id(turned))
    drawn = np.isin(kinds, (_POLYGON, _MULTIPOLYGON)) & ~_tiny(flat)
    return [
        piece if keeps else _rest(piece, whole)
        for piece, keeps, whole in zip(turned, drawn.tolist(), flat, strict=True)
    ]


def _tiny(outlines: NDArray[Any]) -> NDArray[np.bool_]:
    """Which outlines are smaller than a dot."""
    west, north, east, south = shapely.bounds(outlines).T
    return np.asarray(np.maximum(east - west, south - north) <= 2 * SIMPLE_UNITS)


def _rounded(outlines: NDArray[Any]) -> NDArray[Any]:
    """Outlines with whole coordinates, still valid. Rounding alone nearly always does; only the others are
    worth the way that always does.
    """
    rounded = shapely.transform(outlines, np.round)
    valid = shapely.is_valid(rounded)
    rounded[valid] = shapely.remove_repeated_points(rounded[valid], 0.0)
    rounded[~valid] = shapely.set_precision(outlines[~valid], 1.0, mode="valid_output")
    return np.asarray(rounded)


_POLYGON: Final = 3
_MULTIPOLYGON: Final = 6


def _rest(piece: Any, whole: Any) -> Any:
    """What a tile shows of land that rounding leaves no area of, or only with lines and points beside it: a
    dot in the tile of its middle where it is tiny, a band where it is long and thin, None outside.
    """
    west, north, east, south = whole.bounds
    if max(east - west, south - north) <= 2 * SIMPLE_UNITS:
        x, y = round((west + east) / 2), round((north + south) / 2)
        half = int(SIMPLE_UNITS)
        dot = shapely.box(x - half, y - half, x + half, y + half)
        inside = 0 <= x < EXTENT and 0 <= y < EXTENT
        return shapely.orient_polygons(dot, exterior_cw=False) if inside else None
    areas = _areas(piece)
    if not areas:
        band = shapely.intersection(shapely.buffer(whole, SIMPLE_UNITS / 2), _FRAME)
        areas = _areas(shapely.set_precision(band, 1.0, mode="valid_output"))
    joined = areas[0] if len(areas) == 1 else shapely.MultiPolygon(areas)
    return shapely.orient_polygons(joined, exterior_cw=False) if areas else None


def _areas(piece: Any) -> list[Any]:
    parts = shapely.get_parts(shapely.get_parts(piece))
    return [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]


def encode(
    outlines: Sequence[tuple[Any, Properties]] = (),
    places: Sequence[tuple[tuple[int, int], Properties]] = (),
    dots: Sequence[tuple[Sequence[tuple[int, int]], Properties]] = (),
) -> bytes:
    """A tile with the layers `parcels` (cut outlines), `places` (positions in units) and `dots` (many
    positions that have their properties in common), each left out when it is empty.
    """
    import mapbox_vector_tile

    layers = []
    if outlines:
        features = [{"geometry": piece, "properties": dict(said)} for piece, said in outlines]
        layers.append({"name": "parcels", "features": features})
    if places:
        points = [{"geometry": shapely.Point(at), "properties": dict(said)} for at, said in places]
        layers.append({"name": "places", "features": points})
    if dots:
        clouds = [{"geometry": shapely.MultiPoint(some), "properties": dict(said)} for some, said in dots]
        layers.append({"name": "dots", "features": clouds})
    options = {"extents": EXTENT, "y_coord_down": True, "check_winding_order": False}
    content: bytes = mapbox_vector_tile.encode(layers, default_options=options)
    return content
