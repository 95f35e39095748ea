"""The map drawn by the server: where parcels lie, how big they are, nothing from elsewhere."""

import re
from xml.etree import ElementTree as ET

import pytest
from pyproj import Geod

from registry.documents.mapping import ParcelOutline, parcel_map_svg

SVG = "{http://www.w3.org/2000/svg}"


def square(code: str, east: float, north: float, side: float = 0.01, label: str = "") -> ParcelOutline:
    corners = ((0.0, 0.0), (side, 0.0), (side, side), (0.0, side), (0.0, 0.0))
    ring = tuple((round((east + x) * 1e7), round((north + y) * 1e7)) for x, y in corners)
    return ParcelOutline(code, (ring,), label)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def parcels(svg: str) -> dict[str, ET.Element]:
    found = {}
    for path in ET.fromstring(svg).iter(f"{SVG}path"):
        title = path.find(f"{SVG}title")
        if title is not None:
            found[title.text or ""] = path
    return found


def points(path: ET.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path.get("d", ""))]


def test_parcels_lie_as_on_the_ground() -> None:
    svg = parcel_map_svg([square("west", 118.47, 28.95), square("east", 118.52, 28.97)], {"west"}, 700, 400)
    west, east = (points(parcels(svg)[code]) for code in ("west", "east"))
    assert max(x for x, _ in west) < min(x for x, _ in east)
    assert min(y for _, y in west) > max(y for _, y in east)  # further north is higher up
    assert all(0 <= x <= 700 and 0 <= y <= 400 for x, y in west + east)


def test_highlighted_parcels_differ_from_the_others() -> None:
    svg = parcel_map_svg([square("a", 118.5, 28.9), square("b", 118.52, 28.9)], {"a"}, 700, 400)
    found = parcels(svg)
    assert found["a"].get("fill") != found["b"].get("fill")


def test_the_scale_bar_is_as_long_as_it_says() -> None:
    svg = parcel_map_svg([square("a", 118.47, 28.95), square("b", 118.53, 28.95)], {"a"}, 700, 400)
    (label,) = [text for text in texts(svg) if re.fullmatch(r"\d+ k?m", text)]
    metres = int(label.split()[0]) * (1000 if label.endswith("km") else 1)
    (bar,) = re.findall(r'd="M([\d.]+),[\d.]+V[\d.]+H([\d.]+)V', svg)
    a, b = (points(parcels(svg)[code])[0] for code in ("a", "b"))
    _, _, truth = Geod(ellps="GRS80").inv(118.47, 28.95, 118.53, 28.95)
    metres_per_pixel = truth / (b[0] - a[0])
    assert (float(bar[1]) - float(bar[0])) * metres_per_pixel == pytest.approx(metres, rel=0.002)


def test_ticks_are_round_degrees_and_stand_where_they_say() -> None:
    svg = parcel_map_svg([square("a", 118.4975, 28.95, side=0.005)], {"a"}, 700, 400)
    ticks = [text for text in texts(svg) if "°" in text]
    assert "118.500°E" in ticks or "118.50°E" in ticks or "118.5°E" in ticks
    assert any(text.endswith("°N") for text in ticks)
    root = ET.fromstring(svg)
    (tick,) = [one for one in root.iter(f"{SVG}text") if (one.text or "").startswith("118.500")]
    ring = points(parcels(svg)["a"])
    middle = (min(x for x, _ in ring) + max(x for x, _ in ring)) / 2
    assert float(tick.get("x", "")) == pytest.approx(middle, abs=0.02)


def test_no_tick_is_cut_off_at_the_edge() -> None:
    for east in range(12):
        svg = parcel_map_svg([square("a", 118.4 + east * 0.0137, 28.95)], {"a"}, 700, 400)
        for text in ET.fromstring(svg).iter(f"{SVG}text"):
            half = 0.6 * 9 * len(text.text or "") / (2 if text.get("text-anchor") == "middle" else 1)
            assert float(text.get("x", "")) - half >= 0
            assert text.get("text-anchor") == "end" or float(text.get("x", "")) + half <= 700


def test_holes_stay_open() -> None:
    whole, hole = square("a", 118.5, 28.9), square("a", 118.502, 28.902, side=0.004)
    svg = parcel_map_svg([ParcelOutline("a", whole.rings + hole.rings)], {"a"}, 700, 400)
    path = parcels(svg)["a"]
    assert path.get("fill-rule") == "evenodd"
    assert (path.get("d") or "").count("M") == 2


def test_a_label_is_written_where_it_fits_and_left_out_where_not() -> None:
    big, small = square("a", 118.5, 28.9, label="17"), square("b", 118.53, 28.9, side=0.00005, label="18")
    written = texts(parcel_map_svg([big, small], {"a", "b"}, 700, 400))
    assert "17" in written
    assert "18" not in written


def test_names_cannot_become_markup_and_nothing_is_fetched() -> None:
    name = '"><script>alert(1)</script>&'
    svg = parcel_map_svg([square(name, 118.5, 28.9, label="<b>")], {name}, 700, 400)
    root = ET.fromstring(svg)  # it is still one well-formed document
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg",
        "rect",
        "path",
        "title",
        "text",
    }
    assert name in parcels(svg)
    assert "href" not in svg
    assert svg.count("http") == 1  # the name space of SVG


def test_the_same_outlines_give_the_same_bytes() -> None:
    outlines = [square("a", 118.5, 28.9), square("b", 118.51, 28.91)]
    assert parcel_map_svg(outlines, {"a"}, 640, 360) == parcel_map_svg(outlines, {"a"}, 640, 360)


def test_a_single_point_and_no_parcel_at_all_are_still_maps() -> None:
    point = ParcelOutline("a", (((1_185_000_000, 289_000_000),) * 4,))
    for outlines in ([point], []):
        ET.fromstring(parcel_map_svg(outlines, {"a"}, 700, 400))


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        parcel_map_svg([square("a", 118.5, 28.9)], {"a"}, 100, 100)
    with pytest.raises(ValueError, match="without positions"):
        parcel_map_svg([ParcelOutline("a", ((),))], {"a"}, 700, 400)
