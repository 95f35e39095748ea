"""Outlines as everybody may see them, and how they are found: simplified, or hidden in a square.

Everything is in degrees of EPSG:4490, longitude before latitude. Nothing here is precise, on purpose: a map
for everybody shows where land lies, and the outline that decides stays with those whose land it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from geo.crs import Polygonal

GENERALISED_DEGREES: Final = 0.0002
"""About 20 m: an outline may differ by so much from the one that decides."""
SHOWN_DIGITS: Final = 4
"""Decimals of a degree that are shown: about 10 m."""
HIDING_DEGREES: Final = 0.01
"""About a kilometre: the step of the grid behind which a masked parcel lies."""

Bounds = tuple[float, float, float, float]
"""West, south, east, north."""


def generalised(outlines: Sequence[Polygonal]) -> list[Polygonal]:
    """Outlines simplified and rounded; one that would vanish becomes a small square around its place."""
    simple = shapely.set_precision(
        shapely.simplify(np.array(outlines, dtype=object), GENERALISED_DEGREES),
        10**-SHOWN_DIGITS,
        mode="valid_output",
    )
    kept = (shapely.get_type_id(simple) % 3 == 0) & ~shapely.is_empty(simple)  # 3 polygon, 6 multipolygon
    return [
        one if keeps else _around(outline) for one, keeps, outline in zip(simple, kept, outlines, strict=True)
    ]


def _around(outline: Polygonal) -> Polygonal:
    step = 10**-SHOWN_DIGITS
    middle = outline.representative_point()
    x, y = round(middle.x, SHOWN_DIGITS), round(middle.y, SHOWN_DIGITS)
    square: Polygonal = shapely.set_precision(
        shapely.box(x - step, y - step, x + step, y + step), step, mode="valid_output"
    )
    return square


def hidden(outline: Polygonal) -> Polygonal:
    """A square of whole grid steps that holds an outline and tells neither its form nor its size.

    Its middle is the corner of the grid nearest to the middle of the outline's box, and it reaches one step
    to each side: whoever sees it knows the parcel's middle to a kilometre each way, also when the parcel lies
    across a line of the grid. Land that is wider than a step gets more of them.
    """
    west, south, east, north = (value / HIDING_DEGREES for value in outline.bounds)
    x, y = round((west + east) / 2), round((south + north) / 2)
    reach = max(1, int(np.ceil(max(x - west, east - x, y - south, north - y) - 1e-9)))
    left, low, right, high = (
        round(v * HIDING_DEGREES, 2) for v in (x - reach, y - reach, x + reach, y + reach)
    )
    return shapely.box(left, low, right, high)


# ---- how a box is found ------------------------------------------------------------------------------------

LEVELS: Final = tuple(0.004 * 4**level for level in range(9))
"""Sides of the squares that boxes are filed by, in degrees: 400 m to more than the world."""
_BITS: Final = 20
_MOST_COLUMNS: Final = 64
_MOST_DEGREES: Final = 4.0


def box_key(bounds: Bounds) -> int:
    """The one number a box is filed under: the smallest level whose squares are as large as the box, and the
    square that its south-western corner lies in. The box then reaches into the next squares at most.
    """
    west, south, east, north = bounds
    size = max(east - west, north - south)
    level = next(level for level, side in enumerate(LEVELS) if side >= size)
    return _key(level, *_square(level, west, south))


def _square(level: int, lon: float, lat: float) -> tuple[int, int]:
    side = LEVELS[level]
    return int((lon + 180.0) // side), int((lat + 90.0) // side)


def _key(level: int, column: int, row: int) -> int:
    return (level << 2 * _BITS) | (max(column, 0) << _BITS) | max(row, 0)


def key_ranges(bounds: Bounds) -> list[tuple[int, int]] | None:
    """Ranges (both ends included) that hold the key of every box that meets `bounds`, and of others near it
    or north and south of it; None when the bounds are so large that looking at every box costs no more.
    """
    west, south, east, north = bounds
    if east - west > _MOST_DEGREES:
        return None
    ranges: list[tuple[int, int]] = []
    for level in range(len(LEVELS)):
        (first, low), (last, high) = _square(level, west, south), _square(level, east, north)
        if last - first >= _MOST_COLUMNS:
            ranges.append((_key(level, first - 1, 0), _key(level, last + 1, 0) - 1))
            continue
        ranges += [
            (_key(level, column, low - 1), _key(level, column, high)) for column in range(first - 1, last + 1)
        ]
    return ranges


# ---- where a box is, for counting --------------------------------------------------------------------------

PLACE_ZOOM: Final = 20
"""Places are counted by tiles of this zoom or of any lower one."""
MAX_LATITUDE: Final = 85.05112877980659


def place_key(bounds: Bounds) -> int:
    """Where the middle of a box lies: the number of its Web Mercator tile at zoom 20, with the bits of row
    and column in turn, so that all places in a tile of any zoom are one range (`place_range`).
    """
    west, south, east, north = bounds
    x, y = tile_position((west + east) / 2, (south + north) / 2)
    most = (1 << PLACE_ZOOM) - 1
    column, row = (min(max(int(v * (most + 1)), 0), most) for v in (x, y))
    return _spread(column) | (_spread(row) << 1)


def place_range(zoom: int, x: int, y: int) -> tuple[int, int]:
    """The places in a tile, both ends included."""
    shift = 2 * (PLACE_ZOOM - zoom)
    first = (_spread(x) | (_spread(y) << 1)) << shift
    return first, first + (1 << shift) - 1


def place_square(key: int, zoom: int) -> tuple[int, int]:
    """Column and row of the tile of `zoom` whose number is `key`."""
    return _gathered(key, zoom), _gathered(key >> 1, zoom)


def tile_position(lon: float, lat: float) -> tuple[float, float]:
    """A place in the square of the Web Mercator world, 0 to 1 eastward and southward."""
    sine = np.sin(np.radians(np.clip(lat, -MAX_LATITUDE, MAX_LATITUDE)))
    return lon / 360.0 + 0.5, float(0.5 - np.log((1 + sine) / (1 - sine)) / (4 * np.pi))


def _spread(value: int) -> int:
    return sum(((value >> bit) & 1) << (2 * bit) for bit in range(PLACE_ZOOM))


def _gathered(value: int, bits: int) -> int:
    return sum(((value >> (2 * bit)) & 1) << bit for bit in range(bits))


# ---- rows --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """An outline as everybody may see it, its box, and the two numbers it is found by."""

    outline: Polygonal
    bounds: Bounds
    box: int
    place: int

    @classmethod
    def of(cls, outline: Polygonal) -> "Shown":
        west, south, east, north = outline.bounds
        bounds = (west, south, east, north)
        return cls(outline, bounds, box_key(bounds), place_key(bounds))


def shown(outlines: Sequence[Polygonal], masked: Sequence[bool]) -> Iterator[Shown]:
    """What everybody may see of each outline; nothing of it is kept where the outline is masked."""
    if len(outlines) == 0:
        return
    for outline, simple, hide in zip(outlines, generalised(outlines), masked, strict=True):
        yield Shown.of(hidden(outline) if hide else simple)


def coarse_mu(area_cm2: int) -> int:
    """Mu to one significant digit: what is said of a masked parcel's size, at least 1."""
    area = max(1, round(6 * area_cm2 / 4e7))
    step = 10 ** (len(str(area)) - 1)
    return int(max(1, (area + step // 2) // step * step))
