"""Vector tiles of public land for the map, `/tiles/parcels/{z}/{x}/{y}.mvt`, and what they are (TileJSON).

A tile has one layer of three, so that none grows with the register: `parcels`, outlines cut to the tile,
where there are few; `dots`, a point for each parcel, where outlines would be smaller than points; `places`,
points that say how many parcels lie about them, where there are more than one can tell apart.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from geo.outline import (
    PLACE_ZOOM,
    key_ranges,
    place_range,
    place_square,
)
from geo.polygon import from_wkb
from geo.tiling import EXTENT, Tile, cut, encode
from registry.accounts.service import NotFound
from registry.parcels.models import Parcel
from registry.parcels.public import ENDED, ParcelPublic
from registry.transparency.features import in_box, in_ranges, parcel_bounds
from registry.web.api import Reading, Running, tagged

router = APIRouter(prefix="/tiles", include_in_schema=False)

MAX_ZOOM: Final = 16
MVT: Final = "application/vnd.mapbox-vector-tile"
ANYBODY: Final = {"Access-Control-Allow-Origin": "*"}
MOST_OUTLINES: Final = 2_500
"""Outlines in a tile."""
MOST_DOTS: Final = 20_000
"""Dots in a tile; where there are more it counts them."""
DOT_UNITS: Final = 4
"""Dots are apart by half a pixel at least."""
MOST_BYTES: Final = 450_000
PLACES_DEEPER: Final = 4
"""Counts are by squares of a sixteenth of the tile's side."""
MAX_AGE_S: Final = 30
KEPT_S: Final = 30.0
KEPT_TILES: Final = 512


@dataclass(slots=True)
class Recent:
    """Answers kept for seconds: whoever opens the page asks for the tiles that count a province."""

    seconds: float = KEPT_S
    most: int = KEPT_TILES
    _kept: "OrderedDict[Hashable, tuple[float, Any]]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Hashable, make: Callable[[], Any], now: float | None = None) -> Any:
        now = time.monotonic() if now is None else now
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and now - kept[0] < self.seconds:
            return kept[1]
        made = make()
        with self._lock:
            self._kept[key] = (now, made)
            self._kept.move_to_end(key)
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)
        return made


@router.get("/parcels.json")
def description(request: Request, running: Running, session: Reading) -> Response:
    """TileJSON 3.0, with how many parcels are in which state, so that the page knows what it will see."""
    said = recently(request).get("tilejson", lambda: describe(session))
    base = str(request.base_url).rstrip("/")
    content = orjson.dumps({**said, "tiles": [f"{base}/tiles/parcels/{{z}}/{{x}}/{{y}}.mvt"]})
    return _public(tagged(request, content, "application/json", MAX_AGE_S))


@router.get("/parcels/{z}/{x}/{y}.mvt")
def tile(z: int, x: int, y: int, request: Request, session: Reading) -> Response:
    if not 0 <= z <= MAX_ZOOM or not (0 <= x < 1 << z and 0 <= y < 1 << z):
        raise NotFound(kind="tile", id=f"{z}/{x}/{y}"[:100])
    content = recently(request).get((z, x, y), lambda: draw(session, Tile(z, x, y)))
    if not content:
        return _public(Response(status_code=204, headers={"Cache-Control": f"public, max-age={MAX_AGE_S}"}))
    return _public(tagged(request, content, MVT, MAX_AGE_S))


def _public(answer: Response) -> Response:
    answer.headers.update(ANYBODY)
    return answer


def recently(request: Request) -> Recent:
    state = request.app.state
    if not hasattr(state, "recent_tiles"):
        state.recent_tiles = Recent()
    found: Recent = state.recent_tiles
    return found


def describe(session: Session) -> dict[str, Any]:
    """What is in the tiles: bounds, states with their counts, counties."""
    counted = dict(
        session.execute(
            sa.select(Parcel.status, sa.func.count())
            .join(ParcelPublic, ParcelPublic.parcel_id == Parcel.id)
            .where(Parcel.status.not_in(ENDED))
            .group_by(Parcel.status)
        ).all()
    )
    bounds = parcel_bounds(session)
    counties = session.scalars(sa.select(ParcelPublic.county).distinct().order_by(ParcelPublic.county)).all()
    return {
        "tilejson": "3.0.0",
        "minzoom": 0,
        "maxzoom": MAX_ZOOM,
        **({} if bounds is None else {"bounds": list(bounds)}),
        "vector_layers": [
            {
                "id": "parcels",
                "fields": {
                    "id": "String", "code": "String", "county": "String", "village": "String",
                    "area_mu": "Number", "status": "String", "masked": "Boolean",
                },
            },
            {"id": "dots", "fields": {"status": "String"}},
            {"id": "places", "fields": {"parcels": "Number"}},
        ],
        "parcels": sum(counted.values()),
        "statuses": counted,
        "counties": list(counties),
    }  # fmt: skip


def draw(session: Session, asked: Tile) -> bytes:
    """The bytes of a tile, none when nothing is in it. Parcels that left the register are not drawn."""
    low, high = place_range(asked.zoom, asked.x, asked.y)
    inside = sa.select(sa.literal(1)).where(ParcelPublic.place.between(low, high)).limit(MOST_DOTS + 1)
    count = session.scalar(sa.select(sa.func.count()).select_from(inside.subquery())) or 0
    if count <= MOST_OUTLINES:
        content = _outlines(session, asked)
        if content is not None and len(content) <= MOST_BYTES:
            return content
    if count <= MOST_DOTS:
        return _dots(session, asked, low, high)
    return _places(session, asked, low, high)


def _outlines(session: Session, asked: Tile) -> bytes | None:
    """The tile with outlines; None where they are too many after all."""
    box = asked.buffered
    statement = sa.select(
        ParcelPublic.parcel_id, ParcelPublic.code, ParcelPublic.county, ParcelPublic.village,
        ParcelPublic.area_mu, ParcelPublic.masked, ParcelPublic.wkb, Parcel.status,
    ).join(Parcel, Parcel.id == ParcelPublic.parcel_id)  # fmt: skip
    ranges = key_ranges(box)
    if ranges is not None:
        near = (
            sa.select(ParcelPublic.parcel_id)
            .where(in_ranges(ranges), in_box(box))
            .limit(2 * MOST_OUTLINES + 1)
            .cte("near")
            .prefix_with("MATERIALIZED")
        )
        statement = statement.where(ParcelPublic.parcel_id.in_(sa.select(near.c.parcel_id)))
    else:
        statement = statement.where(in_box(box))
    statement = statement.where(Parcel.status.not_in(ENDED))
    rows = session.execute(statement.limit(2 * MOST_OUTLINES + 1)).all()
    if len(rows) > 2 * MOST_OUTLINES:
        return None
    rows = sorted(rows, key=lambda row: (not row.masked, row.parcel_id))  # squares below what is seen
    pieces = cut(asked, [from_wkb(row.wkb) for row in rows])
    features = [
        (
            piece,
            {
                "id": row.parcel_id,
                "code": row.code,
                "county": row.county,
                **({} if row.village is None else {"village": row.village}),
                "area_mu": float(row.area_mu),
                "status": row.status,
                "masked": row.masked,
            },
        )
        for piece, row in zip(pieces, rows, strict=True)
        if piece is not None
    ]
    return encode(features) if features else b""


def _dots(session: Session, asked: Tile, low: int, high: int) -> bytes:
    """The tile with a point in the middle of each parcel's box, or of the square that hides it."""
    found: dict[str, set[tuple[int, int]]] = {}
    rows = session.execute(
        sa.select(ParcelPublic.west, ParcelPublic.south, ParcelPublic.east, ParcelPublic.north, Parcel.status)
        .join(Parcel, Parcel.id == ParcelPublic.parcel_id)
        .where(ParcelPublic.place.between(low, high), Parcel.status.not_in(ENDED))
    ).all()
    if not rows:
        return b""
    boxes = np.array([row[:4] for row in rows])
    middles = asked.to_units((boxes[:, :2] + boxes[:, 2:]) / 2)
    whole = (np.floor(middles / DOT_UNITS) * DOT_UNITS).astype(int).tolist()
    for (x, y), row in zip(whole, rows, strict=True):
        found.setdefault(row.status, set()).add((x, y))
    return encode(dots=[(sorted(found[status]), {"status": status}) for status in sorted(found)])


def _places(session: Session, asked: Tile, low: int, high: int) -> bytes:
    """The tile with counts, each at the middle of the square that it counts."""
    zoom = min(asked.zoom + PLACES_DEEPER, PLACE_ZOOM)
    shift = 2 * (PLACE_ZOOM - zoom)
    square = ParcelPublic.place.bitwise_rshift(shift)
    counted = session.execute(
        sa.select(square.label("square"), sa.func.count())
        .where(ParcelPublic.place.between(low, high))
        .group_by(sa.text("square"))
        .order_by(sa.text("square"))
    )
    side = EXTENT >> (zoom - asked.zoom)
    places = []
    for key, parcels in counted:
        column, row = place_square(key, zoom)
        x, y = column - (asked.x << (zoom - asked.zoom)), row - (asked.y << (zoom - asked.zoom))
        places.append(((x * side + side // 2, y * side + side // 2), {"parcels": parcels}))
    return encode((), places) if places else b""
