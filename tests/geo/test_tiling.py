"""Tiles: what they show of an outline covers it, tile by tile, within what the zoom can tell."""

from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Point, Polygon, box

from geo.outline import tile_position
from geo.tiling import BUFFER, EXTENT, SIMPLE_UNITS, Tile, cut, encode

PLACE = (118.8, 28.9)


def tiles_over(bounds: tuple[float, float, float, float], zoom: int) -> list[Tile]:
    (west, north), (east, south) = tile_position(bounds[0], bounds[3]), tile_position(bounds[2], bounds[1])
    side = 2**zoom
    columns = range(int(west * side), int(east * side) + 1)
    rows = range(int(north * side), int(south * side) + 1)
    return [Tile(zoom, x, y) for x in columns for y in rows]


@settings(max_examples=40)
@given(
    st.lists(st.floats(0.2, 1.0), min_size=5, max_size=24),
    st.floats(0.0005, 0.05),
    st.floats(0.0, 0.5),
    st.integers(9, 15),
)
def test_the_pieces_of_an_outline_cover_it_within_what_the_zoom_can_tell(
    radii: list[float], size: float, hole: float, zoom: int
) -> None:
    turn = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)]) * np.array(radii)[:, None] * size + PLACE
    outline: Any = shapely.make_valid(Polygon(ring).difference(Point(PLACE).buffer(hole * size * 0.2)))
    if outline.geom_type not in ("Polygon", "MultiPolygon") or outline.is_empty:
        return
    pieces = []
    over = tiles_over(outline.bounds, zoom)
    if len(over) > 60:
        return
    for tile in over:
        (piece,) = cut(tile, [outline])
        if piece is not None:
            assert piece.is_valid and not piece.is_empty
            low, high = -BUFFER, EXTENT + BUFFER
            assert box(low, low, high, high).covers(piece)
            pieces.append(shapely.transform(piece, tile.to_degrees))
    tolerance = (SIMPLE_UNITS + 3) * Tile(zoom, 0, 0).unit_degrees
    joined = shapely.union_all([piece.buffer(tolerance) for piece in pieces])
    assert joined.buffer(1e-12).covers(outline)
    assert outline.buffer(2 * tolerance).covers(shapely.union_all(pieces))


@pytest.mark.parametrize("zoom", [0, 5, 9, 12])
def test_land_too_small_for_the_zoom_is_a_dot_in_one_tile(zoom: int) -> None:
    outline = box(118.8, 28.9, 118.80001, 28.90001)
    found = [piece for tile in tiles_over((118, 28, 119.5, 29.5), zoom) for piece in cut(tile, [outline])]
    dots = [piece for piece in found if piece is not None]
    assert len(dots) == 1 and dots[0].area == (2 * SIMPLE_UNITS) ** 2


def test_a_strip_too_thin_to_draw_is_a_band_across_its_tiles() -> None:
    strip = box(118.0, 28.9, 119.0, 28.90001)
    for tile in tiles_over(strip.bounds, 9):
        (piece,) = cut(tile, [strip])
        assert piece is not None and piece.is_valid and 0 < piece.area < 8 * EXTENT


def test_shells_turn_as_the_format_wants_and_holes_the_other_way() -> None:
    """A positive area by the surveyor's formula with y downward, 4.3.4.4 of the specification."""
    ring: Any = Point(PLACE).buffer(0.02).difference(Point(PLACE).buffer(0.01))
    x, y = tile_position(*PLACE)
    tile = Tile(11, int(x * 2**11), int(y * 2**11))
    (piece,) = cut(tile, [ring])
    assert piece.exterior.is_ccw and not piece.interiors[0].is_ccw
    content = encode([(piece, {"code": "甲-1", "masked": False, "area_mu": 1.5})])
    (said,) = mapbox_vector_tile.decode(content, default_options={"y_coord_down": True})["parcels"][
        "features"
    ]
    assert said["properties"] == {"code": "甲-1", "masked": False, "area_mu": 1.5}
    assert shapely.geometry.shape(said["geometry"]).equals(piece)


def test_a_tile_without_anything_in_it_shows_nothing() -> None:
    assert cut(Tile(12, 0, 0), [box(118.8, 28.9, 118.9, 29.0)]) == [None]
    assert cut(Tile(12, 0, 0), []) == []


def test_counts_and_dots_lie_where_they_were_put() -> None:
    content = encode((), [((100, 200), {"parcels": 7})], [([(1, 2), (3, 4)], {"status": "enrolled"})])
    layers = mapbox_vector_tile.decode(content, default_options={"y_coord_down": True})
    (place,) = layers["places"]["features"]
    (dots,) = layers["dots"]["features"]
    assert (place["geometry"]["coordinates"], place["properties"]) == ([100, 200], {"parcels": 7})
    assert dots["geometry"]["coordinates"] == [[1, 2], [3, 4]]
    assert dots["properties"] == {"status": "enrolled"}


@given(st.integers(0, 16), st.floats(73, 135), st.floats(18, 54))
def test_units_and_degrees_are_two_spellings_of_a_place(zoom: int, lon: float, lat: float) -> None:
    x, y = tile_position(lon, lat)
    tile = Tile(zoom, int(x * 2**zoom), int(y * 2**zoom))
    units = tile.to_units(np.array([[lon, lat]]))
    assert (units >= -1e-6).all() and (units <= EXTENT + 1e-6).all()
    np.testing.assert_allclose(tile.to_degrees(units), [[lon, lat]], atol=1e-9)
    west, south, east, north = tile.bounds
    assert west - 1e-9 <= lon <= east + 1e-9 and south - 1e-9 <= lat <= north + 1e-9
