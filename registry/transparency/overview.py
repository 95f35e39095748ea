"""What everybody may read, as queries: where the units are, the parcels' outlines, the newest entries.

Nothing here names a private person, and outlines are generalised: a map for everybody shows where, not to
the metre.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import shapely
import sqlalchemy as sa
from sqlalchemy.orm import Session

from auditor.holdings import PLACES
from geo.crs import Polygonal, parts_of
from geo.polygon import from_wkb
from ledger import tables
from ledger.entry import Payload, parse_payload
from ledger.envelope import decode_leaf
from registry.clock import from_milliseconds
from registry.documents.mapping import ParcelOutline, Ring
from registry.market.models import ProceedsLine
from registry.parcels.models import Parcel, ParcelVersion
from registry.parcels.public import ParcelPublic
from registry.parcels.rules import mu_of_cm2
from registry.programmes.models import Programme
from registry.projects.models import Project

STATES: Final = ("held", "locked", "buffer", "retired", "cancelled")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log as it is shown."""

    index: int
    at: datetime
    payload: Payload
    signatures: int

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "at": self.at.isoformat(timespec="milliseconds"),
            "type": self.payload.type,
            "id": self.payload.id,
            "machine": self.payload.machine,
            "subject": self.payload.subject,
            "action": self.payload.action,
            "before": self.payload.before,
            "after": self.payload.after,
            "role": self.payload.role,
            "signatures": self.signatures,
            "proof": f"/api/v1/log/proof/{self.index}",
        }


STANDING: Final = Parcel.status != "superseded"
"""A superseded parcel's ground is shown and counted as its successors'."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals over everything; units by state and programme, areas in cm2, money in fen. Ground is counted
    once.
    """

    units: Mapping[str, Mapping[str, int]]
    parcels: Mapping[str, int]
    area_cm2: int
    projects: int
    village_fen: int
    log_size: int

    @property
    def totals(self) -> dict[str, int]:
        return {state: sum(one.get(state, 0) for one in self.units.values()) for state in STATES}

    @property
    def issued(self) -> int:
        return sum(self.totals.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "units": self.totals,
            "issued": self.issued,
            "by_programme": {programme: dict(states) for programme, states in self.units.items()},
            "parcels": sum(self.parcels.values()) - self.parcels.get("superseded", 0),
            "parcels_by_status": dict(self.parcels),
            "area_mu": mu_of_cm2(self.area_cm2),
            "projects": self.projects,
            "village_proceeds_fen": self.village_fen,
            "log_size": self.log_size,
        }


def summary(session: Session) -> Summary:
    """Where everything is now, from the ledger's and the rooms' tables."""
    parcels = session.execute(sa.select(Parcel.status, sa.func.count()).group_by(Parcel.status)).all()
    area = session.scalar(
        sa.select(sa.func.sum(ParcelVersion.area_cm2)).join(
            Parcel,
            sa.and_(Parcel.id == ParcelVersion.parcel_id, Parcel.version == ParcelVersion.version, STANDING),
        )
    )
    village = session.scalar(
        sa.select(sa.func.sum(ProceedsLine.amount_fen)).where(ProceedsLine.line == "village")
    )
    return Summary(
        units=units_by_state(session),
        parcels={row[0]: row[1] for row in parcels},
        area_cm2=int(area or 0),
        projects=session.scalar(sa.select(sa.func.count()).select_from(Project)) or 0,
        village_fen=int(village or 0),
        log_size=log_size(session),
    )


def units_by_state(session: Session) -> dict[str, dict[str, int]]:
    """Units by asset's programme and by state: held, locked, buffer, retired, cancelled."""
    block = tables.block.c
    place = sa.func.substr(block.account, 1, _colon(session, block.account)).label("place")
    locked = block.pending.is_not(None).label("locked")
    rows = session.execute(
        sa.select(block.asset, place, locked, sa.func.sum(block.end_number - block.start_number + 1))
        .where(block.live.is_(True))
        .group_by(block.asset, place, locked)
    )
    found: dict[str, dict[str, int]] = {}
    for asset, where, is_locked, count in rows:
        state = "locked" if is_locked else PLACES[where]
        of_asset = found.setdefault(programme_of(asset), dict.fromkeys(STATES, 0))
        of_asset[state] += int(count)
    return dict(sorted(found.items()))


def _colon(session: Session, text: Any) -> Any:
    """How many characters stand before the first colon."""
    position = (
        sa.func.instr(text, ":") if session.get_bind().dialect.name == "sqlite" else sa.func.strpos(text, ":")
    )
    return position - 1


def programme_of(asset: str) -> str:
    """The programme of an asset's name."""
    return asset.split(":", 1)[-1]


def log_size(session: Session) -> int:
    return int(session.execute(sa.select(tables.head.c.size)).scalar_one())


def entries(session: Session, before: int | None, limit: int) -> list[Entry]:
    """The newest entries whose index is below `before`, newest first."""
    wanted = sa.select(tables.log.c.idx, tables.log.c.leaf)
    if before is not None:
        wanted = wanted.where(tables.log.c.idx < before)
    rows = session.execute(wanted.order_by(tables.log.c.idx.desc()).limit(limit))
    return [_entry(index, leaf) for index, leaf in rows]


def leaf_of(session: Session, index: int) -> bytes | None:
    """The bytes of one entry."""
    return session.execute(sa.select(tables.log.c.leaf).where(tables.log.c.idx == index)).scalar_one_or_none()


def _entry(index: int, leaf: bytes) -> Entry:
    at_ms, envelope = decode_leaf(leaf)
    return Entry(index, from_milliseconds(at_ms), parse_payload(envelope.payload), len(envelope.signatures))


# ---- parcels -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PublicParcel:
    """A parcel as everybody may see it: its outline simplified, or the square that hides it (EPSG:4490)."""

    id: str
    code: str
    county: str
    village: str | None
    stand_type: str
    area_mu: str
    status: str
    masked: bool
    outline: Polygonal

    def for_map(self) -> ParcelOutline:
        return ParcelOutline(self.code, tuple(_ring(ring) for ring in _rings(self.outline)))


def public_parcels(session: Session, limit: int | None = None) -> list[PublicParcel]:
    """Every standing parcel whose outline is still kept, by code; `limit` of them at most."""
    rows = session.execute(
        sa.select(ParcelPublic, Parcel.status)
        .join(Parcel, sa.and_(Parcel.id == ParcelPublic.parcel_id, STANDING))
        .order_by(ParcelPublic.code, ParcelPublic.parcel_id)
        .limit(limit)
    ).all()
    return [public_parcel(row, status) for row, status in rows]


def public_parcel(row: ParcelPublic, status: str) -> PublicParcel:
    return PublicParcel(
        row.parcel_id, row.code, row.county, row.village, row.stand_type, row.area_mu, status, row.masked,
        from_wkb(row.wkb),
    )  # fmt: skip


def feature_collection(session: Session) -> bytes:
    """Every standing public parcel as GeoJSON, by code. For a part of them there is `/ogc`."""
    rows = session.execute(
        sa.select(
            ParcelPublic.code, ParcelPublic.county, ParcelPublic.village, ParcelPublic.area_mu,
            ParcelPublic.masked, ParcelPublic.wkb, Parcel.status,
        )
        .join(Parcel, sa.and_(Parcel.id == ParcelPublic.parcel_id, STANDING))
        .order_by(ParcelPublic.code, ParcelPublic.parcel_id)
    ).all()  # fmt: skip
    outlines = shapely.to_geojson(shapely.from_wkb([row.wkb for row in rows]))
    features = [
        {
            "type": "Feature",
            "geometry": orjson.Fragment(outline),
            "properties": {
                "code": row.code,
                "county": row.county,
                "village": row.village,
                "area_mu": float(row.area_mu),
                "status": row.status,
                "masked": row.masked,
            },
        }
        for row, outline in zip(rows, outlines, strict=True)
    ]
    return orjson.dumps({"type": "FeatureCollection", "features": features})


def _rings(outline: Polygonal) -> list[Any]:
    return [ring for part in parts_of(outline) for ring in (part.exterior, *part.interiors)]


def _ring(ring: Any) -> Ring:
    scale = 10_000_000
    return tuple((round(x * scale), round(y * scale)) for x, y in list(ring.coords)[:-1])


@dataclass(frozen=True, slots=True)
class Village:
    """The parcels of one village, or those of a county whose village is not shown; a place's name, not a
    person's.
    """

    county: str
    name: str | None
    parcels: int
    area_mu: float
    enrolled: int


def villages(session: Session) -> list[Village]:
    """Parcels by village, those without a village shown last in their county."""
    name, county = ParcelPublic.village, ParcelPublic.county
    rows = session.execute(
        sa.select(
            county,
            name,
            sa.func.count(),
            sa.func.sum(sa.cast(ParcelPublic.area_mu, sa.Double)),
            sa.func.sum(sa.case((Parcel.status == "enrolled", 1), else_=0)),
        )
        .join(Parcel, sa.and_(Parcel.id == ParcelPublic.parcel_id, STANDING))
        .group_by(county, name)
        .order_by(county, name.is_(None), name)
    )
    return [Village(row[0], row[1], row[2], float(row[3]), int(row[4])) for row in rows]


def programmes(session: Session) -> list[Programme]:
    return list(session.scalars(sa.select(Programme).order_by(Programme.id)))
