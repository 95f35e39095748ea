"""Whose ground many outlines lie on: `ground` for a whole file at once.

The registered neighbours of all outlines are read by the cells that any of them touches, made into geometries
in one go and compared by `geo.pairs`; nothing here is done outline by outline.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from geo import pairs
from geo.polygon import OverlapRule, Polygonal
from registry.parcels.ground import _LIVE_PARCELS, GroundOverlap, in_chunks
from registry.parcels.models import ParcelCell

_ROWS_AT_ONCE: Final = 20_000
_PARCELS_PER_QUESTION: Final = 5_000


@dataclass(frozen=True, slots=True)
class LiveGround:
    """Live parcels, ascending by id: ids, statuses and outlines."""

    parcels: list[str]
    statuses: list[str]
    outlines: list[Polygonal]


def live_ground(session: Session, touched: Iterable[int], except_parcels: Collection[str] = ()) -> LiveGround:
    """`ground.live_neighbours` of any number of cells."""
    found: dict[str, tuple[str, bytes]] = {}
    for some in in_chunks(np.unique(np.fromiter(touched, dtype=np.int64)).tolist()):
        for id_, status, wkb in session.execute(_LIVE_PARCELS, {"cells": some}):
            if wkb and id_ not in except_parcels:
                found[id_] = (status, wkb)
    parcels = sorted(found)
    wkbs = np.empty(len(parcels), dtype=object)
    wkbs[:] = [found[id_][1] for id_ in parcels]
    return LiveGround(parcels, [found[id_][0] for id_ in parcels], list(shapely.from_wkb(wkbs)))


def overlaps_of_many(
    session: Session,
    outlines: Sequence[bytes],
    cells: Sequence[Sequence[int] | NDArray[np.int64]],
    rule: OverlapRule,
    except_parcels: Collection[str] = (),
) -> list[tuple[int, GroundOverlap]]:
    """What canonical outlines (WKB) share with live parcels: the place of the outline, and the overlap as
    `geo.polygon.overlap` judges the pair; ascending by place and parcel. Raises TooMuchOverlap.
    """
    if not outlines:
        return []
    touched = np.concatenate([np.asarray(some, dtype=np.int64) for some in cells])
    live = live_ground(session, touched.tolist(), except_parcels)
    if not live.parcels:
        return []
    wkbs = np.empty(len(outlines), dtype=object)
    wkbs[:] = outlines
    found = pairs.between(list(shapely.from_wkb(wkbs)), live.outlines, rule)
    return [
        (place, GroundOverlap(live.parcels[at], live.statuses[at], overlap)) for place, at, overlap in found
    ]


def index_many(session: Session, cells: Mapping[str, Sequence[int]]) -> None:
    """Make parcels findable by the cells of their newest outlines, given by parcel."""
    for parcels in _portions(list(cells)):
        session.execute(sa.delete(ParcelCell).where(ParcelCell.parcel_id.in_(parcels)))
    rows = [{"cell": int(cell), "parcel_id": parcel} for parcel, touched in cells.items() for cell in touched]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        session.execute(sa.insert(ParcelCell), rows[start : start + _ROWS_AT_ONCE])


def _portions(parcels: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(parcels), _PARCELS_PER_QUESTION):
        yield parcels[start : start + _PARCELS_PER_QUESTION]
