"""A made-up register: parcels that share jagged borders, some with holes, some in two parts, from a seed.

The ground is a wall of bricks, bent: rows of different height, in each row parcels of different width, so
that corners meet the middle of a neighbour's side as they do in a cadastre. A border is drawn once and both
sides get its vertices, to the millimetre; parcels therefore touch and never overlap. Sizes are log-normal,
0.2 to 90 ha around a median of 2.6 ha, with about fifty vertices each. The same count and seed give the same
coordinates.
"""

from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

Outlines = NDArray[np.object_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EPSG: Final = 4549
"""CGCS2000, Gauss-Krueger of 120E without zone prefix: metres."""
CENTRE_M: Final = (410_000.0, 3_200_000.0)
HOLE_SHARE: Final = 0.04
TWO_PART_SHARE: Final = 0.03
_BORDER_STEP_MM: Final = 14_000
_CLEAR_MM: Final = 5_000
_JAG_M: Final = 2.5
_WALL_POINTS: Final = 8
_HOLE_POINTS: Final = 9
_ROW_KEY: Final = 1 << 40


def outlines(count: int, seed: int = 1) -> Outlines:
    """`count` valid polygons in metres of EPSG:4549 on the grid of 1 mm, in random order; about four seconds
    and 200 MiB for each 100,000.
    """
    rng = np.random.default_rng(seed)
    pairs = round(count * TWO_PART_SHARE)
    columns = max(4, int(np.ceil(np.sqrt(count + pairs))))
    rows = max(2, int(np.ceil((count + pairs) / columns)))
    bricks = _bricks(rows, columns, rng)
    kept = rng.permutation(_with_two_parts(bricks, rows, columns, pairs, rng))
    return kept[:count]


def moved(some: Outlines, east_m: float, north_m: float = 0.0) -> Outlines:
    """The same outlines somewhere else."""
    step = np.array([east_m, north_m])
    return np.asarray(shapely.transform(some, lambda xy: np.round(xy + step, 3)), dtype=object)


def grown(some: Outlines, by_m: float) -> Outlines:
    """Outlines wider by so much on every side: what another surveyor's drawing of a border looks like."""
    return np.asarray(
        shapely.set_precision(shapely.buffer(some, by_m, join_style="mitre"), 0.001), dtype=object
    )


# ---- the wall ----------------------------------------------------------------------------------------------


def _bricks(rows: int, columns: int, rng: np.random.Generator) -> Outlines:
    """One polygon for each brick, row by row."""
    width = np.clip(rng.lognormal(np.log(165.0), 0.6, (rows, columns)), 45.0, 1500.0)
    height = np.clip(rng.lognormal(np.log(165.0), 0.5, rows), 45.0, 800.0)
    wall = np.concatenate([np.zeros((rows, 1)), np.cumsum(width, axis=1)], axis=1)
    level = np.concatenate([[0.0], np.cumsum(height)])
    tilt = rng.uniform(-4.0, 4.0, wall.shape)
    foot, head = _millimetres(wall + tilt), _millimetres(wall - tilt)
    borders, foot_at, head_at = _borders(foot, head, level, rng)
    posts = _posts(borders[foot_at], borders[head_at], rng)
    pool = np.concatenate([borders, posts])
    index, starts = _shells(foot_at, head_at, len(borders), rows, columns)
    return _drawn(pool[index], starts, wall, level, rng)


def _millimetres(metres: Floats) -> Ints:
    return np.asarray(np.round(metres * 1000.0), dtype=np.int64)


def _borders(foot: Ints, head: Ints, level: Floats, rng: np.random.Generator) -> tuple[Floats, Ints, Ints]:
    """The points of all horizontal borders, one border after the other from west to east; and where the foot
    and the head of each wall (rows, columns + 1) stand among them.

    Border n is the floor of row n and the ceiling of row n - 1.
    """
    rows = len(foot)
    row = np.arange(rows)[:, None]
    foot_key = row * _ROW_KEY + foot
    head_key = (row + 1) * _ROW_KEY + head
    foot_key = _snapped(foot_key, np.sort(head_key.ravel()))
    corners = np.unique(np.concatenate([foot_key.ravel(), head_key.ravel()]))
    lowest, highest = corners % _ROW_KEY, corners // _ROW_KEY
    longest = int(lowest[lowest < _ROW_KEY // 2].max())
    grid = np.arange(_BORDER_STEP_MM, longest, _BORDER_STEP_MM)
    between = (np.arange(int(highest.max()) + 1)[:, None] * _ROW_KEY + grid).ravel()
    after = np.searchsorted(corners, between)
    after_key = corners[np.minimum(after, len(corners) - 1)]
    before_key = corners[np.maximum(after - 1, 0)]
    clear = (np.abs(after_key - between) > _CLEAR_MM) & (np.abs(between - before_key) > _CLEAR_MM)
    keys = np.sort(np.concatenate([corners, between[clear]]))
    border = (keys + _ROW_KEY // 2) // _ROW_KEY
    x = (keys - border * _ROW_KEY) / 1000.0
    y = level[border] + rng.uniform(-_JAG_M, _JAG_M, len(keys))
    return np.column_stack([x, y]), np.searchsorted(keys, foot_key), np.searchsorted(keys, head_key)


def _snapped(keys: Ints, onto: Ints) -> Ints:
    """Corners that nearly meet another row's corner meet it."""
    after = np.searchsorted(onto, keys)
    for at in (np.minimum(after, len(onto) - 1), np.maximum(after - 1, 0)):
        keys = np.where(np.abs(onto[at] - keys) <= 2 * _CLEAR_MM, onto[at], keys)
    return keys


def _posts(feet: Floats, heads: Floats, rng: np.random.Generator) -> Floats:
    """Points between the foot and the head of each wall, upwards, wall after wall."""
    share = (np.arange(1, _WALL_POINTS + 1) / (_WALL_POINTS + 1))[:, None]
    points = feet[..., None, :] + (heads - feet)[..., None, :] * share
    apart = (heads - feet)[..., 1:] / (_WALL_POINTS + 1)
    points[..., 0] += rng.uniform(-1.0, 1.0, points.shape[:-1]) * np.minimum(_JAG_M, 0.25 * apart)
    return points.reshape(-1, 2)


def _shells(foot_at: Ints, head_at: Ints, first_post: int, rows: int, columns: int) -> tuple[Ints, Ints]:
    """Indices into the pool of points, and where each shell begins: floor, right wall up, ceiling, left wall
    down, and the first point again.
    """
    wall = np.arange(rows * (columns + 1)).reshape(rows, columns + 1)
    post = first_post + wall * _WALL_POINTS
    left, right = np.s_[:, :-1], np.s_[:, 1:]
    fixed = np.full((rows, columns), _WALL_POINTS)
    start = np.stack(
        [foot_at[left], post[right], head_at[right], post[left] + _WALL_POINTS - 1, foot_at[left]], axis=-1
    )
    count = np.stack(
        [
            foot_at[right] - foot_at[left] + 1,
            fixed,
            head_at[right] - head_at[left] + 1,
            fixed,
            np.ones_like(fixed),
        ],
        axis=-1,
    )
    step = np.broadcast_to(np.array([1, 1, -1, -1, 1]), start.shape)
    flat = count.ravel()
    begins = np.cumsum(flat) - flat
    within = np.arange(int(flat.sum())) - np.repeat(begins, flat)
    index = np.repeat(start.ravel(), flat) + np.repeat(step.ravel(), flat) * within
    starts = np.concatenate([[0], np.cumsum(count.sum(axis=-1).ravel())])
    return index, starts


def _drawn(shells: Floats, starts: Ints, wall: Floats, level: Floats, rng: np.random.Generator) -> Outlines:
    """Polygons of the shells, some with a hole in their middle."""
    number = len(starts) - 1
    holed = np.flatnonzero(rng.random(number) < HOLE_SHARE)
    row, column = np.divmod(holed, wall.shape[1] - 1)
    middle = np.column_stack(
        [(wall[row, column] + wall[row, column + 1]) / 2, (level[row] + level[row + 1]) / 2]
    )
    least = np.minimum(wall[row, column + 1] - wall[row, column], level[row + 1] - level[row])
    turn = np.arange(_HOLE_POINTS) * 2 * np.pi / _HOLE_POINTS
    radius = least[:, None] * rng.uniform(0.1, 0.3, (len(holed), _HOLE_POINTS))
    ring = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1) + middle[:, None, :]
    ring = np.concatenate([ring, ring[:, :1]], axis=1)
    polygons = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, _bent(shells), (starts, np.arange(number + 1))
    )
    lakes = np.asarray(shapely.linearrings(_bent(ring.reshape(-1, 2)).reshape(ring.shape)), dtype=object)
    polygons[holed] = shapely.polygons(shapely.get_exterior_ring(polygons[holed]), lakes[:, None])
    return np.asarray(polygons, dtype=object)


def _bent(xy: Floats) -> Floats:
    """From the wall to the ground: two slow waves, a turn and a shift, on the grid of 1 mm."""
    x, y = xy.T
    wavy_x = x + 300.0 * np.sin(y / 4000.0)
    wavy_y = y + 200.0 * np.sin(wavy_x / 3000.0)
    turn = np.radians(17.0)
    cosine, sine = np.cos(turn), np.sin(turn)
    east = CENTRE_M[0] + wavy_x * cosine - wavy_y * sine
    north = CENTRE_M[1] + wavy_x * sine + wavy_y * cosine
    return np.column_stack([np.round(east, 3), np.round(north, 3)])


def _with_two_parts(
    bricks: Outlines, rows: int, columns: int, pairs: int, rng: np.random.Generator
) -> Outlines:
    """Bricks of which some are one parcel with the next but one of their row."""
    brick = np.arange(rows * columns).reshape(rows, columns)
    able = brick[:, : columns - 2][:, ::4].ravel()
    first = rng.choice(able, min(pairs, len(able)), replace=False)
    both = shapely.multipolygons(np.column_stack([bricks[first], bricks[first + 2]]))
    alone = np.delete(bricks, np.concatenate([first, first + 2]))
    return np.concatenate([alone, both])
