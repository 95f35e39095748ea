"""Outlines that tests draw."""

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, box

QUZHOU = (118.87, 28.95)
GAUSS_KRUEGER_120E = "EPSG:4549"


def star(x: float, y: float, radii: list[float], turn: float = 0.0) -> Polygon:
    """A polygon seen whole from (x, y): always valid."""
    n = len(radii)
    return Polygon(
        [
            (x + r * math.cos(turn + 2 * math.pi * i / n), y + r * math.sin(turn + 2 * math.pi * i / n))
            for i, r in enumerate(radii)
        ]
    )


def stand(x: float, y: float, size: float, seed: int, *, hole: bool = False, parts: int = 1) -> Any:
    """A jagged outline of about `size` around (x, y), perhaps with a hole or in several parts."""
    rng = np.random.default_rng(seed)
    made = []
    for part in range(parts):
        cx = x + part * 2.5 * size
        outline = star(cx, y, list(rng.uniform(0.5 * size, size, 37)), float(rng.uniform(0, 6)))
        if hole:
            outline = Polygon(
                outline.exterior, [star(cx, y, list(rng.uniform(0.1 * size, 0.4 * size, 11))).exterior]
            )
        made.append(outline)
    return made[0] if parts == 1 else MultiPolygon(made)


def degrees_box(west: float, south: float, width_m: float, height_m: float) -> Polygon:
    """A box near Quzhou with sides of about this many metres."""
    return box(west, south, west + width_m / 97_500, south + height_m / 110_850)


@st.composite
def land(draw: st.DrawFn) -> Polygon | MultiPolygon:
    """A valid outline near Quzhou in degrees, 50 m to 2 km wide."""
    size = draw(st.floats(5e-4, 2e-2))
    x = QUZHOU[0] + draw(st.floats(-0.5, 0.5))
    y = QUZHOU[1] + draw(st.floats(-0.5, 0.5))
    seed = draw(st.integers(0, 2**32 - 1))
    result: Polygon | MultiPolygon = stand(
        x, y, size, seed, hole=draw(st.booleans()), parts=draw(st.integers(1, 3))
    )
    return result
