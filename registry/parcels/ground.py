"""Whose ground a polygon lies on: the parcels near it, and what it shares with them.

Neighbours are found by 512 m cells of the national grid (`ParcelCell`); the answer is exact (`geo.polygon`).
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import numpy as np
import shapely
import sqlalchemy as sa
from sqlalchemy.orm import Session

from geo.crs import area_m2
from geo.pairs import against
from geo.polygon import (
    Overlap,
    OverlapKind,
    OverlapRule,
    Polygonal,
    cells,
    from_wkb,
    judge_together,
    polygonal,
)
from registry.parcels.models import Parcel, ParcelCell, ParcelVersion
from registry.parcels.public import publish_outline
from registry.parcels.rules import LIVE, MILLION, GroundErased, mu_of_cm2
from registry.programmes.rules import Terms

CM2_PER_M2: Final = 10_000
_CELLS_PER_QUERY: Final = 5_000
_V = TypeVar("_V", int, str)


@dataclass(frozen=True, slots=True)
class GroundOverlap:
    """What a candidate shares with one live parcel."""

    parcel: str
    status: str
    overlap: Overlap

    @property
    def area_cm2(self) -> int:
        return round(self.overlap.area_m2 * CM2_PER_M2)

    def facts(self) -> dict[str, str | int | float]:
        return {"parcel": self.parcel, "status": self.status, **overlap_facts(self.overlap)}


def overlap_facts(overlap: Overlap) -> dict[str, str | int | float]:
    """An overlap as a refusal or a report names it: m2, mu, share of the candidate and of the neighbour, and
    the rule.
    """
    return {
        "kind": overlap.kind.value,
        "overlap_m2": round(overlap.area_m2, 2),
        "overlap_mu": mu_of_cm2(round(overlap.area_m2 * CM2_PER_M2)),
        "candidate_share": round(overlap.candidate_share, 6),
        "neighbour_share": round(overlap.neighbour_share, 6),
        "rule": overlap.rule,
    }


MOST_DRAWN_VERTICES: Final = 2_000
"""Of all outlines in one answer; what has more is told by its figures."""
_DRAWN_GRID_DEG: Final = 1e-8
"""About a millimetre: no outline was measured better."""


@dataclass(slots=True)
class Outlines:
    """Draws the ground that overlaps cover, for those who may see it, until an answer is full."""

    left: int = field(default=MOST_DRAWN_VERTICES)

    def facts(self, shared: Polygonal | None) -> dict[str, Any]:
        """`overlap`: GeoJSON of the ground (RFC 7946: longitude before latitude, degrees of CGCS2000, which
        stand for those of WGS 84; shells anticlockwise). Where it has more vertices than this answer has
        room for it is null, and `overlap_left_out` says how many it has.
        """
        count = 0 if shared is None else int(shapely.get_num_coordinates(shared))
        if shared is None or count > self.left:
            return {"overlap": None, "overlap_left_out": count}
        self.left -= count
        return {"overlap": geojson(shared)}


def geojson(outline: Polygonal) -> dict[str, Any]:
    """A polygon as the object of RFC 7946."""
    rounded = shapely.set_precision(outline, _DRAWN_GRID_DEG, mode="pointwise")
    turned = shapely.orient_polygons(rounded, exterior_cw=False)
    drawn: dict[str, Any] = json.loads(shapely.to_geojson(turned))
    return drawn


def overlap_rule(terms: Terms) -> OverlapRule:
    """The programme's figures as the geometry's rule."""
    return OverlapRule(
        name=terms.overlap_rule,
        none_at_most_m2=terms.overlap_ignored_cm2 / CM2_PER_M2,
        erosion_m=terms.sliver_erosion_mm / 1000,
        sliver_share_at_most=terms.sliver_share_ppm / MILLION,
    )


def area_cm2(geometry: Polygonal) -> int:
    """Ground area in whole cm2 (0.0001 m2), the registry's whole number of an area."""
    return round(area_m2(geometry) * CM2_PER_M2)


def load_ground(version: ParcelVersion) -> Polygonal:
    """The outline of a parcel's version (`GroundErased`)."""
    if version.wkb is None:
        raise GroundErased(parcel=version.parcel_id)
    return from_wkb(version.wkb)


def live_neighbours(
    session: Session, touched: Iterable[int], except_parcels: Collection[str] = ()
) -> dict[str, tuple[str, Polygonal]]:
    """Live parcels in the touched cells: status and outline by parcel id, ascending."""
    found: dict[str, tuple[str, Polygonal]] = {}
    for some in in_chunks(sorted(set(touched))):
        rows = session.execute(_LIVE_PARCELS, {"cells": some}).all()
        kept = [(id_, status, wkb) for id_, status, wkb in rows if wkb and id_ not in except_parcels]
        outlines = outlines_of([wkb for _, _, wkb in kept])
        found.update(
            {id_: (status, outline) for (id_, status, _), outline in zip(kept, outlines, strict=True)}
        )
    return dict(sorted(found.items()))


_LIVE_PARCELS: Final = (
    sa.select(Parcel.id, Parcel.status, ParcelVersion.wkb)
    .join(
        ParcelVersion,
        sa.and_(ParcelVersion.parcel_id == Parcel.id, ParcelVersion.version == Parcel.version),
    )
    .where(
        Parcel.id.in_(
            sa.select(ParcelCell.parcel_id).where(ParcelCell.cell.in_(sa.bindparam("cells", expanding=True)))
        ),
        Parcel.status.in_(LIVE),
        ParcelVersion.wkb.is_not(None),
    )
)


def outlines_of(stored: Sequence[bytes]) -> list[Polygonal]:
    """`from_wkb` of each, read together."""
    try:
        read = shapely.from_wkb(np.array([*stored, None], dtype=object))[:-1]
    except (shapely.errors.GEOSException, ValueError):
        return [from_wkb(wkb) for wkb in stored]  # says what is wrong with which
    kind = shapely.get_type_id(read)
    if not ((kind == _POLYGON) | (kind == _MULTIPOLYGON)).all() or shapely.is_empty(read).any():
        return [polygonal(outline) for outline in read]
    outlines: list[Polygonal] = read.tolist()
    return outlines


_POLYGON: Final = 3
_MULTIPOLYGON: Final = 6


def in_chunks(values: list[_V]) -> Iterator[list[_V]]:
    """Databases bound the number of values in one question."""
    for start in range(0, len(values), _CELLS_PER_QUERY):
        yield values[start : start + _CELLS_PER_QUERY]


def overlaps_with_live_parcels(
    session: Session, geometry: Polygonal, rule: OverlapRule, except_parcels: Collection[str] = ()
) -> list[GroundOverlap]:
    """What a polygon shares with each live parcel, slivers included; who shares nothing is left out."""
    near = live_neighbours(session, cells(geometry), except_parcels)
    found = against(geometry, [outline for _, outline in near.values()], rule)
    judged = judge_together([overlap for _, overlap in found], rule)
    who = [(parcel, status) for parcel, (status, _) in near.items()]
    return [
        GroundOverlap(*who[place], overlap)
        for (place, _), overlap in zip(found, judged, strict=True)
        if overlap.kind is not OverlapKind.NONE
    ]


def index_ground(session: Session, parcel: str, geometry: Polygonal) -> None:
    """Make a parcel findable by its newest outline."""
    session.execute(sa.delete(ParcelCell).where(ParcelCell.parcel_id == parcel))
    session.execute(sa.insert(ParcelCell), [{"cell": cell, "parcel_id": parcel} for cell in cells(geometry)])
    publish_outline(session, parcel)
