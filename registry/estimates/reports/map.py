"""The map of a report: parcels coloured by stand type, the plots on them, scale, north and graticule, as SVG.

Plain text with no external resource, no script and no locale: the same facts give the same bytes. Colours
differ in lightness too, so that the map survives a printer without colour.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from xml.sax.saxutils import escape, quoteattr

import shapely
from shapely.geometry import Point, Polygon

from geo.crs import Polygonal
from registry.documents.mapping import DEGREE, ECCENTRICITY_2, SEMI_MAJOR_M, Position, Ring
from registry.estimates.reports.facts import LandParcel, PlotPlace

FONT: Final = "'Noto Sans SC', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"
INK, PALE, GREY = "#24332c", "#dfe5e1", "#5f6d66"
WIDTH: Final = 760.0
TALLEST, LOWEST = 820.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 14.0, 10.0, 26.0
SMALL, USUAL = 10.0, 12.0
LEGEND_ROW: Final = 20.0
STRIP: Final = 44.0
"""Room below the parcels for scale and north, so that they lie on nobody's land."""
PLOT_RADIUS: Final = 2.6
SWATCHES: Final = (
    "#1f6b4a", "#b9d98c", "#d9a441", "#7fb2c9", "#8d6aa8", "#e8d9a0", "#5c7d2e", "#c96f4a", "#a9c7b5",
    "#49638f", "#cfa6bd", "#8a7a55", "#5aa59b", "#e3b58e", "#6d4c41", "#9fb7d9", "#c2c25b", "#94556a",
)  # fmt: skip
"""One for each stand type of table 3.1, in the order in which they are first needed."""


@dataclass(frozen=True, slots=True)
class MapWords:
    """The words on the map, in the reader's language."""

    title: str
    stand_types: Mapping[str, str]
    plot: str


@dataclass(frozen=True, slots=True)
class _Frame:
    """From positions (1e-7 degree) to pixels: equirectangular around the middle of the parcels, north up."""

    middle: tuple[float, float]
    metres_per_unit: tuple[float, float]
    metres_per_pixel: float
    right: float
    bottom: float

    @property
    def centre(self) -> tuple[float, float]:
        return (LEFT + self.right) / 2, (TOP + self.bottom - STRIP) / 2

    def x(self, longitude: float) -> float:
        return self.centre[0] + (longitude - self.middle[0]) * self.metres_per_unit[0] / self.metres_per_pixel

    def y(self, latitude: float) -> float:
        return self.centre[1] - (latitude - self.middle[1]) * self.metres_per_unit[1] / self.metres_per_pixel

    def longitude(self, x: float) -> float:
        return self.middle[0] + (x - self.centre[0]) * self.metres_per_pixel / self.metres_per_unit[0]

    def latitude(self, y: float) -> float:
        return self.middle[1] - (y - self.centre[1]) * self.metres_per_pixel / self.metres_per_unit[1]


def colours(stand_types: Sequence[str]) -> dict[str, str]:
    """The colour of each stand type on the map and beside its name."""
    return {code: SWATCHES[n % len(SWATCHES)] for n, code in enumerate(stand_types)}


def report_map_svg(parcels: Sequence[LandParcel], plots: Sequence[PlotPlace], words: MapWords) -> str | None:
    """The map, or None where no outline may be drawn."""
    drawn = [parcel for parcel in parcels if parcel.rings]
    positions = [position for parcel in drawn for ring in parcel.rings or () for position in ring]
    if not positions:
        return None
    frame, swatches = _frame(positions), colours(list(words.stand_types))
    places = [(frame.x(one.lon_deg * DEGREE), frame.y(one.lat_deg * DEGREE)) for one in plots]
    rows = math.ceil((len(words.stand_types) + bool(plots)) / _columns(words))
    height = frame.bottom + BOTTOM + rows * LEGEND_ROW + 8
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_number(WIDTH)} {_number(height)}" '
            f'width="{_number(WIDTH)}" height="{_number(height)}" role="img" '
            f"aria-label={quoteattr(words.title)} "
            f'font-family="{FONT}" font-size="{_number(SMALL)}">'
        ),
        f'<rect width="{_number(WIDTH)}" height="{_number(height)}" fill="#ffffff"/>',
        *_graticule(frame),
        *(_parcel(frame, parcel, swatches.get(parcel.stand_type, PALE)) for parcel in drawn),
        *(_plot(x, y) for x, y in places),
        *(_label(frame, parcel, places) for parcel in drawn),
        _border(frame),
        _scale_bar(frame),
        _north_arrow(frame),
        *_legend(frame, words, swatches, with_plots=bool(plots)),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


# ---- the frame ---------------------------------------------------------------------------------------------


def _frame(positions: Sequence[Position]) -> _Frame:
    west, east = min(one[0] for one in positions), max(one[0] for one in positions)
    south, north = min(one[1] for one in positions), max(one[1] for one in positions)
    middle = ((west + east) / 2, (south + north) / 2)
    unit = _metres_per_unit(middle[1] / DEGREE)
    across, down = max((east - west) * unit[0], 1.0) * 1.06, max((north - south) * unit[1], 1.0) * 1.06
    right = WIDTH - RIGHT
    tall = min(max((right - LEFT) * down / across, LOWEST), TALLEST)
    scale = max(across / (right - LEFT), down / tall)
    return _Frame(middle, unit, scale, right, TOP + tall + STRIP)


def _metres_per_unit(latitude: float) -> tuple[float, float]:
    """Length of 1e-7 degree along the parallel and the meridian (Snyder 1987, eqs. 4-18 and 4-20 ff.)."""
    phi = math.radians(latitude)
    share = 1 - ECCENTRICITY_2 * math.sin(phi) ** 2
    parallel = SEMI_MAJOR_M * math.cos(phi) / math.sqrt(share)
    meridian = SEMI_MAJOR_M * (1 - ECCENTRICITY_2) / share**1.5
    unit = math.pi / 180 / DEGREE
    return parallel * unit, meridian * unit


def _graticule(frame: _Frame) -> list[str]:
    parts = []
    for at, text in _ticks(frame.longitude(LEFT), frame.longitude(frame.right), "E", "W", 5):
        x = _number(frame.x(at))
        parts.append(f'<path d="M{x},{TOP}V{_number(frame.bottom)}" stroke="{PALE}" stroke-width="0.6"/>')
        parts.append(_text(frame.x(at), frame.bottom + SMALL + 5, text, "middle", GREY))
    for at, text in _ticks(frame.latitude(frame.bottom), frame.latitude(TOP), "N", "S", 5):
        y = _number(frame.y(at))
        parts.append(f'<path d="M{LEFT},{y}H{_number(frame.right)}" stroke="{PALE}" stroke-width="0.6"/>')
        parts.append(_text(LEFT - 5, frame.y(at) + SMALL * 0.35, text, "end", GREY))
    return parts


def _ticks(low: float, high: float, positive: str, negative: str, most: int) -> list[tuple[int, str]]:
    """Round positions between `low` and `high` (1e-7 degree) with their text, `most` of them or fewer."""
    step, decimals = _step((high - low) / most)
    return [
        (n * step, f"{abs(n * step) / DEGREE:.{decimals}f}°{positive if n >= 0 else negative}")
        for n in range(math.ceil(low / step), math.floor(high / step) + 1)
    ]


def _step(least: float) -> tuple[int, int]:
    """The smallest step of 1, 2 or 5 × 10^k that is not under `least`, and the decimals it needs."""
    for exponent in range(10):
        for leading in (1, 2, 5):
            if leading * 10**exponent >= least:
                return leading * 10**exponent, max(0, 7 - exponent)
    return 100 * DEGREE, 0


# ---- what is drawn -----------------------------------------------------------------------------------------


def _parcel(frame: _Frame, parcel: LandParcel, colour: str) -> str:
    path = " ".join(
        "M" + "L".join(f"{_number(frame.x(lon))},{_number(frame.y(lat))}" for lon, lat in ring) + "Z"
        for ring in parcel.rings or ()
    )
    return (
        f'<path d="{path}" fill="{colour}" fill-opacity="0.82" fill-rule="evenodd" stroke="{INK}" '
        f'stroke-width="0.5" stroke-linejoin="round"><title>{escape(f"{parcel.number} {parcel.code}")}'
        "</title></path>"
    )


def _plot(x: float, y: float) -> str:
    return (
        f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{PLOT_RADIUS}" fill="#ffffff" stroke="#111111" '
        'stroke-width="1.1"/>'
    )


def _label(frame: _Frame, parcel: LandParcel, plots: Sequence[tuple[float, float]]) -> str:
    """The parcel's number at the widest place inside it, if it fits; beside a plot, not on it."""
    ground = _ground(frame, parcel.rings or ())
    text = str(parcel.number)
    half = 0.31 * SMALL * len(text) + 1
    widest = shapely.maximum_inscribed_circle(ground, tolerance=0.5)
    if widest.is_empty or widest.length < math.hypot(half, SMALL * 0.4):
        return ""
    x, y = widest.coords[0]
    for step in (0.0, -9.0, 9.0, -14.0, 14.0):
        if all(abs(px - x) > half + 4 or abs(py - y - step) > SMALL * 0.4 + 4 for px, py in plots):
            y += step if ground.contains(Point(x, y + step)) else 0.0
            break
    at, low = _number(x), _number(y + SMALL * 0.35)
    halo = (
        f'<text x="{at}" y="{low}" text-anchor="middle" stroke="#ffffff" stroke-width="2.6" '
        f'stroke-opacity="0.85" stroke-linejoin="round" aria-hidden="true">{text}</text>'
    )
    return halo + _text(x, y + SMALL * 0.35, text, "middle", INK)


def _ground(frame: _Frame, rings: Sequence[Ring]) -> Polygonal:
    """The parcel on the map, its holes left out: rings inside of others, by the even-odd rule."""
    ground: Any = Polygon()
    for ring in rings:
        outline = Polygon([(frame.x(lon), frame.y(lat)) for lon, lat in ring])
        ground = ground.symmetric_difference(outline if outline.is_valid else outline.buffer(0))
    return cast("Polygonal", ground)


def _border(frame: _Frame) -> str:
    return (
        f'<rect x="{LEFT}" y="{TOP}" width="{_number(frame.right - LEFT)}" '
        f'height="{_number(frame.bottom - TOP)}" fill="none" stroke="{INK}" stroke-width="0.9"/>'
    )


def _scale_bar(frame: _Frame) -> str:
    longest = (frame.right - LEFT) / 4 * frame.metres_per_pixel
    metres = max(
        [
            leading * 10**exponent
            for exponent in range(8)
            for leading in (1, 2, 5)
            if leading * 10**exponent <= longest
        ],
        default=1,
    )
    length = metres / frame.metres_per_pixel
    text = f"{metres // 1000} km" if metres >= 1000 else f"{metres} m"
    x, y = LEFT + 12, frame.bottom - 12
    return (
        f'<rect x="{_number(x - 6)}" y="{_number(y - 21)}" width="{_number(length + 12)}" height="27" '
        'fill="#ffffff" fill-opacity="0.88"/>'
        f'<path d="M{_number(x)},{_number(y - 5)}V{_number(y)}H{_number(x + length)}V{_number(y - 5)}" '
        f'fill="none" stroke="{INK}" stroke-width="1.3"/>' + _text(x + length / 2, y - 8, text, "middle", INK)
    )


def _north_arrow(frame: _Frame) -> str:
    x, y = frame.right - 20, frame.bottom - STRIP + 4
    return (
        f'<rect x="{_number(x - 12)}" y="{_number(y - 4)}" width="24" height="42" fill="#ffffff" '
        'fill-opacity="0.88"/>'
        f'<path d="M{_number(x)},{_number(y)}l6,20l-6,-4.5z" fill="{INK}"/>'
        f'<path d="M{_number(x)},{_number(y)}l-6,20l6,-4.5z" fill="#ffffff" stroke="{INK}" '
        'stroke-width="0.7"/>' + _text(x, y + 33, "N", "middle", INK)
    )


def _legend(frame: _Frame, words: MapWords, swatches: Mapping[str, str], *, with_plots: bool) -> list[str]:
    parts = []
    columns = _columns(words)
    column = (frame.right - LEFT) / columns
    entries: list[tuple[str | None, str]] = [
        (swatches[code], label) for code, label in words.stand_types.items()
    ]
    entries += [(None, words.plot)] if with_plots else []
    for n, (colour, label) in enumerate(entries):
        x = LEFT + n % columns * column
        y = frame.bottom + BOTTOM + n // columns * LEGEND_ROW + 12
        if colour is None:
            parts.append(_plot(x + 8, y - 4))
        else:
            parts.append(
                f'<rect x="{_number(x)}" y="{_number(y - 10)}" width="16" height="12" fill="{colour}" '
                f'fill-opacity="0.82" stroke="{INK}" stroke-width="0.5"/>'
            )
        parts.append(_text(x + 22, y, label, "start", INK, USUAL))
    return parts


def _columns(words: MapWords) -> int:
    """As many columns of the legend as its longest name leaves room for; Chinese letters take two places."""
    widths = [sum(1 + (ord(one) > 0x2E7F) for one in name) for name in words.stand_types.values()]
    return max(1, min(5, int((WIDTH - LEFT - RIGHT) / (max(widths, default=1) * USUAL * 0.56 + 36))))


def _text(x: float, y: float, text: str, anchor: str, fill: str, size: float = SMALL) -> str:
    return (
        f'<text x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}" fill="{fill}" '
        f'font-size="{_number(size)}">{escape(text)}</text>'
    )


def _number(value: float) -> str:
    """Two decimals at most, a full stop whatever the locale, no negative zero."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
