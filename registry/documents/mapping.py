"""Parcel outlines as a map in SVG: for the certificate, and for pages without WebGL.

Plain text with no external resource, no script and no locale: the same outlines give the same bytes.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

Position = tuple[int, int]
"""Longitude and latitude in units of 1e-7 degree (EPSG:4490)."""
Ring = tuple[Position, ...]

DEGREE: Final = 10_000_000

# GRS 80, the ellipsoid of CGCS2000 (EPSG:4490): semi-major axis in metres and squared eccentricity.
SEMI_MAJOR_M: Final = 6_378_137.0
ECCENTRICITY_2: Final = 0.006_694_380_022_901

FONT: Final = "Noto Sans SC"
INK, PALE, GREEN, GREY = "#24332c", "#dfe5e1", "#1f5c43", "#7c8b83"
LEFT, RIGHT, TOP, BOTTOM = 58.0, 26.0, 12.0, 24.0
LABEL_SIZE: Final = 9.0


@dataclass(frozen=True, slots=True)
class ParcelOutline:
    """One parcel: `rings` of all its polygons, holes included (drawn by the even-odd rule); `label` is
    written inside where it fits."""

    code: str
    rings: tuple[Ring, ...]
    label: str = ""


@dataclass(frozen=True, slots=True)
class _Frame:
    """From positions to pixels: equirectangular around the middle of the outlines, north up."""

    middle: tuple[float, float]
    metres_per_unit: tuple[float, float]
    metres_per_pixel: float
    centre: tuple[float, float]
    plot: tuple[float, float, float, float]

    def x(self, longitude: float) -> float:
        return self.centre[0] + (longitude - self.middle[0]) * self.metres_per_unit[0] / self.metres_per_pixel

    def y(self, latitude: float) -> float:
        return self.centre[1] - (latitude - self.middle[1]) * self.metres_per_unit[1] / self.metres_per_pixel

    def longitude(self, x: float) -> float:
        return self.middle[0] + (x - self.centre[0]) * self.metres_per_pixel / self.metres_per_unit[0]

    def latitude(self, y: float) -> float:
        return self.middle[1] - (y - self.centre[1]) * self.metres_per_pixel / self.metres_per_unit[1]


def parcel_map_svg(
    outlines: Sequence[ParcelOutline], highlighted: Collection[str], width: int, height: int
) -> str:
    """A map of `outlines` in `width` × `height` pixels; parcels whose code is in `highlighted` are filled,
    the others pale. With a scale bar, a north arrow and ticks in decimal degrees. Raises `ValueError` for a
    size under 200 × 150 or an outline without positions.
    """
    if width < 200 or height < 150:
        raise ValueError(f"a map of {width} × {height} pixels cannot be read")
    if any(not ring for outline in outlines for ring in outline.rings):
        raise ValueError("an outline has a ring without positions")
    parts = [
        _head(width, height),
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    positions = [position for outline in outlines for ring in outline.rings for position in ring]
    if positions:
        frame = _frame(positions, width, height)
        parts += _graticule(frame)
        parts += [
            _parcel(frame, outline, chosen=False) for outline in outlines if outline.code not in highlighted
        ]
        parts += [_parcel(frame, outline, chosen=True) for outline in outlines if outline.code in highlighted]
        parts += [label for outline in outlines if (label := _label(frame, outline))]
        parts += [_border(frame), _scale_bar(frame), _north_arrow(frame)]
    parts.append("</svg>")
    return "\n".join(part for part in parts if part) + "\n"


def _head(width: int, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="地块图 parcel map" font-family={quoteattr(FONT)} '
        f'font-size="{_number(LABEL_SIZE)}">'
    )


def _frame(positions: Sequence[Position], width: int, height: int) -> _Frame:
    west, east = min(one[0] for one in positions), max(one[0] for one in positions)
    south, north = min(one[1] for one in positions), max(one[1] for one in positions)
    middle = ((west + east) / 2, (south + north) / 2)
    metres_per_unit = _metres_per_unit(middle[1] / DEGREE)
    plot = (LEFT, TOP, width - RIGHT, height - BOTTOM)
    across, down = plot[2] - plot[0], plot[3] - plot[1]
    scale = max(
        (east - west) * metres_per_unit[0] / (across * 0.9),
        (north - south) * metres_per_unit[1] / (down * 0.82),
        0.01,
    )
    centre = ((plot[0] + plot[2]) / 2, (plot[1] + plot[3]) / 2)
    return _Frame(middle, metres_per_unit, scale, centre, plot)


def _metres_per_unit(latitude: float) -> tuple[float, float]:
    """Length of 1e-7 degree along the parallel and along the meridian (Snyder 1987, eqs. 4-18 and 4-20
    ff.).
    """
    phi = math.radians(latitude)
    share = 1 - ECCENTRICITY_2 * math.sin(phi) ** 2
    along_parallel = SEMI_MAJOR_M * math.cos(phi) / math.sqrt(share)
    along_meridian = SEMI_MAJOR_M * (1 - ECCENTRICITY_2) / share**1.5
    unit = math.pi / 180 / DEGREE
    return along_parallel * unit, along_meridian * unit


def _parcel(frame: _Frame, outline: ParcelOutline, chosen: bool) -> str:
    path = " ".join(
        "M" + "L".join(f"{_number(frame.x(lon))},{_number(frame.y(lat))}" for lon, lat in ring) + "Z"
        for ring in outline.rings
    )
    fill, stroke = (GREEN, INK) if chosen else (PALE, GREY)
    opacity = "0.55" if chosen else "1"
    return (
        f'<path d="{path}" fill="{fill}" fill-opacity="{opacity}" fill-rule="evenodd" stroke="{stroke}" '
        f'stroke-width="0.6" stroke-linejoin="round"><title>{escape(outline.code)}</title></path>'
    )


def _label(frame: _Frame, outline: ParcelOutline) -> str:
    """The label in the middle of the largest ring, if that ring is big enough to hold it."""
    if not outline.label or not outline.rings:
        return ""
    ring = max(outline.rings, key=lambda one: abs(_double_area(one)))
    xs, ys = [frame.x(lon) for lon, _ in ring], [frame.y(lat) for _, lat in ring]
    if max(xs) - min(xs) < 0.62 * LABEL_SIZE * len(outline.label) + 3 or max(ys) - min(ys) < LABEL_SIZE + 2:
        return ""
    x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    text = (
        f'<text x="{_number(x)}" y="{_number(y + LABEL_SIZE * 0.35)}" text-anchor="middle" {{style}}>'
        f"{escape(outline.label)}</text>"
    )
    halo = (
        'stroke="#ffffff" stroke-width="2.4" stroke-opacity="0.75" stroke-linejoin="round" aria-hidden="true"'
    )
    return text.replace("{style}", halo, 1) + text.replace("{style}", f'fill="{INK}"', 1)


def _double_area(ring: Ring) -> int:
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:] + ring[:1], strict=True))


def _graticule(frame: _Frame) -> list[str]:
    left, top, right, bottom = frame.plot
    parts = []
    for at, text in _ticks(frame.longitude(left), frame.longitude(right), "E", "W", 5):
        x = _number(frame.x(at))
        parts.append(f'<path d="M{x},{_number(top)}V{_number(bottom)}" stroke="{PALE}" stroke-width="0.5"/>')
        parts.append(
            f'<text x="{x}" y="{_number(bottom + LABEL_SIZE + 5)}" text-anchor="middle" '
            f'fill="{GREY}">{text}</text>'
        )
    for at, text in _ticks(frame.latitude(bottom), frame.latitude(top), "N", "S", 4):
        y = frame.y(at)
        parts.append(
            f'<path d="M{_number(left)},{_number(y)}H{_number(right)}" stroke="{PALE}" stroke-width="0.5"/>'
        )
        parts.append(
            f'<text x="{_number(left - 5)}" y="{_number(y + LABEL_SIZE * 0.35)}" text-anchor="end" '
            f'fill="{GREY}">{text}</text>'
        )
    return parts


def _ticks(low: float, high: float, positive: str, negative: str, most: int) -> list[tuple[int, str]]:
    """Round positions between `low` and `high` (1e-7 degree) with their text, `most` of them or fewer."""
    step, decimals = _tick_step((high - low) / most)
    first = math.ceil(low / step)
    last = math.floor(high / step)
    return [
        (number * step, f"{_degrees(abs(number * step), decimals)}°{positive if number >= 0 else negative}")
        for number in range(first, last + 1)
    ]


def _tick_step(least: float) -> tuple[int, int]:
    """The smallest step of 1, 2 or 5 × 10^k that is not under `least`, and the decimals it needs."""
    for exponent in range(10):
        for leading in (1, 2, 5):
            step = int(leading * 10**exponent)
            if step >= least:
                return step, max(0, 7 - exponent)
    return 100 * DEGREE, 0


def _degrees(units: int, decimals: int) -> str:
    whole, rest = divmod(units, DEGREE)
    return f"{whole}.{f'{rest:07d}'[:decimals]}" if decimals else str(whole)


def _border(frame: _Frame) -> str:
    left, top, right, bottom = frame.plot
    return (
        f'<rect x="{_number(left)}" y="{_number(top)}" width="{_number(right - left)}" '
        f'height="{_number(bottom - top)}" fill="none" stroke="{INK}" stroke-width="0.8"/>'
    )


def _scale_bar(frame: _Frame) -> str:
    left, _, right, bottom = frame.plot
    longest = (right - left) / 4 * frame.metres_per_pixel
    metres = max(
        1,
        next(
            leading * 10**exponent
            for exponent in range(7, -1, -1)
            for leading in (5, 2, 1)
            if leading * 10**exponent <= longest or (exponent == 0 and leading == 1)
        ),
    )
    length = metres / frame.metres_per_pixel
    text = f"{metres // 1000} km" if metres >= 1000 else f"{metres} m"
    x, y = left + 10, bottom - 10
    return (
        f'<rect x="{_number(x - 5)}" y="{_number(y - 19)}" width="{_number(length + 10)}" height="24" '
        f'fill="#ffffff" fill-opacity="0.8"/>'
        f'<path d="M{_number(x)},{_number(y - 4)}V{_number(y)}H{_number(x + length)}V{_number(y - 4)}" '
        f'fill="none" stroke="{INK}" stroke-width="1.2"/>'
        f'<text x="{_number(x + length / 2)}" y="{_number(y - 7)}" text-anchor="middle" '
        f'fill="{INK}">{text}</text>'
    )


def _north_arrow(frame: _Frame) -> str:
    _, top, right, _ = frame.plot
    x, y = right - 18, top + 8
    return (
        f'<path d="M{_number(x)},{_number(y)}l6,20l-6,-4.5z" fill="{INK}"/>'
        f'<path d="M{_number(x)},{_number(y)}l-6,20l6,-4.5z" fill="#ffffff" stroke="{INK}" '
        f'stroke-width="0.7"/>'
        f'<text x="{_number(x)}" y="{_number(y + 31)}" text-anchor="middle" fill="{INK}">N</text>'
    )


def _number(value: float) -> str:
    """Two decimals at most, a full stop whatever the locale, no negative zero."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
