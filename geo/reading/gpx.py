"""GPX 1.0 and 1.1: a track or route walked around a parcel becomes its outline, in WGS 84 degrees.

The closing rule. The points of all segments are joined in their order. What nobody walked are the gaps: from
the end of each segment to the start of the next, and from the last point back to the first. Together they may
be 5 % of the walked length and 50 m, whichever is less. If each of several segments closes by this rule by
itself, each is a part of its own instead. A track that does not close is refused with its gap; nothing is
ever cut off its ends. What was walked is kept beside the outline as it is.
"""

from typing import Final

import numpy as np

from geo.errors import (
    CoordinatesOutOfRange,
    GeometryUnreadable,
    GeoRefusal,
    NotGpx,
    TooManyFeatures,
    TrackNotClosed,
    TrackTooShort,
)
from geo.reading.hints import datum_hints
from geo.reading.markup import Element, Markup, walk
from geo.reading.packing import Points, lines_wkb, multipolygon_wkb, polygon_wkb
from geo.reading.rows import Attribute, Read, Row, Task, row_of

MAX_GAP_SHARE: Final = 0.05
MAX_GAP_M: Final = 50.0
MIN_POINTS: Final = 4
_TEXTS: Final = ("name", "desc", "cmt", "src", "number", "type")


def read_gpx(markup: Markup, task: Task) -> Read:
    """Read tracks and routes; waypoints are left out. Raises MarkupRefused, NotGpx, TooManyFeatures."""
    rows: list[Row] = []
    for found in walk(markup, frozenset({"trk", "rte"})):
        if len(rows) == task.max_features:
            raise TooManyFeatures(count=len(rows) + 1, limit=task.max_features)
        rows.append(_track(found.element))
    if not rows:
        raise NotGpx(reason="no_track", detail="it holds neither a track nor a route")
    hints = datum_hints([markup.attributes.get("creator", "")])
    return Read(rows, "OGC:CRS84", "gpx", markup.encoding, markup.encoding_source, "gpx", hints=hints)


def _track(element: Element) -> Row:
    if element.name == "trk":
        groups = [points for segment in element.all("trkseg") if (points := segment.all("trkpt"))]
    else:
        groups = [points for points in (element.all("rtept"),) if points]
    attributes = _attributes(element, groups)
    try:
        segments = [_points(group) for group in groups]
        drawn = lines_wkb(segments) if segments else None
    except GeoRefusal as problem:
        return Row(attributes, None, problem)
    try:
        return row_of(attributes, _outline(segments), drawn)
    except GeoRefusal as problem:
        return Row(attributes, None, problem, drawn)


def _attributes(element: Element, groups: list[list[Element]]) -> dict[str, Attribute]:
    """What the track says of itself, when it was begun and ended, and how many points it has."""
    attributes: dict[str, Attribute] = {name: element.said(name) for name in _TEXTS}
    points = [point for group in groups for point in group]
    attributes["first_at"] = points[0].said("time") if points else None
    attributes["last_at"] = points[-1].said("time") if points else None
    attributes["points"] = len(points)
    attributes["segments"] = len(groups)
    return attributes


def _points(group: list[Element]) -> Points:
    try:
        pairs = [(point.attributes["lon"], point.attributes["lat"]) for point in group]
        if any("_" in text for pair in pairs for text in pair):
            raise GeometryUnreadable(reason="a point whose lat or lon is not a number")
        points = np.array(pairs, dtype=np.float64)
    except KeyError as error:
        raise GeometryUnreadable(reason="a point without lat and lon") from error
    except ValueError as error:
        raise GeometryUnreadable(reason="a point whose lat or lon is not a number") from error
    outside = ~((np.abs(points[:, 0]) <= 180.0) & (np.abs(points[:, 1]) <= 90.0))
    if outside.any():
        lon, lat = pairs[int(np.argmax(outside))]
        raise CoordinatesOutOfRange(x=lon[:40], y=lat[:40])
    return points


# --- closing ------------------------------------------------------------------------------------------------


def _outline(segments: list[Points]) -> bytes:
    count = sum(len(segment) for segment in segments)
    if count < MIN_POINTS:
        raise TrackTooShort(points=count, needed=MIN_POINTS)
    if len(segments) > 1 and all(_closes([segment]) for segment in segments):
        return multipolygon_wkb([polygon_wkb([_ring(segment)]) for segment in segments])
    gap, walked = _gap_m(segments), _walked_m(segments)
    if gap > _limit_m(walked):
        raise TrackNotClosed(gap_m=round(gap), length_m=round(walked), limit_m=int(_limit_m(walked)))
    return polygon_wkb([_ring(np.concatenate(segments))])


def _closes(segments: list[Points]) -> bool:
    enough = sum(len(segment) for segment in segments) >= MIN_POINTS
    return enough and _gap_m(segments) <= _limit_m(_walked_m(segments))


def _limit_m(walked_m: float) -> float:
    return min(MAX_GAP_SHARE * walked_m, MAX_GAP_M)


def _gap_m(segments: list[Points]) -> float:
    """Metres that nobody walked: between segments, and from the end to the beginning."""
    ends = [(a[-1], b[0]) for a, b in zip(segments, [*segments[1:], segments[0]], strict=True)]
    return sum(_length_m(np.array(pair)) for pair in ends)


def _walked_m(segments: list[Points]) -> float:
    return sum(_length_m(segment) for segment in segments)


def _length_m(points: Points) -> float:
    """Along geodesics of the ellipsoid."""
    from geo.crs import GEOD

    return float(GEOD.line_length(points[:, 0], points[:, 1])) if len(points) > 1 else 0.0


def _ring(points: Points) -> Points:
    closed = bool((points[0] == points[-1]).all())
    return points if closed else np.concatenate([points, points[:1]])
