"""What everybody may see of a parcel: its outline simplified, or hidden in a square of kilometres.

`parcel_public` has one row for each parcel that was ever submitted and whose outline is kept. It is made from
the parcel's newest version and can be made again at any time (`refresh_public`); its state is read from
`parcel`, so that nothing has to follow. What is public is read from here and from nowhere else: a place that
never sees the exact outline cannot show it.

A parcel is masked when its collective asked for that (`set_masked`), and without being asked when a household
holds it: a household's ground is a person's. Working data: nothing of it is logged.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Mapped, Mapper, Session

from geo.crs import Polygonal
from geo.outline import coarse_mu, hidden, shown
from geo.polygon import from_wkb, to_wkb
from registry.accounts.service import NotFound
from registry.database import Base, UtcInstant, working
from registry.machine import Mandate
from registry.parcels.models import Parcel, ParcelDraft, ParcelStep, ParcelVersion
from registry.parcels.rules import mu_of_cm2

ENDED: Final = ("rejected", "closed", "superseded")
"""States after which a parcel is no longer on the register."""
_BATCH_ROWS: Final = 500


class ParcelVisibility(Base):
    """What a collective said about its parcel, or about the draft that becomes it; kept when rows are made
    anew.
    """

    __tablename__ = "parcel_visibility"

    parcel_id: Mapped[str] = working(sa.String(200), primary_key=True)
    masked: Mapped[bool] = working(sa.Boolean)
    person_id: Mapped[str] = working(sa.String(200))
    said_at: Mapped[datetime] = working(UtcInstant)


class ParcelPublic(Base):
    """A parcel as everybody may see it (EPSG:4490).

    `box` and `place` are the numbers it is found by (`geo.outline`), `area_mu` is text: exact to four
    decimals, or one significant digit. A masked one has no village. `since_ms` is its first submission.
    """

    __tablename__ = "parcel_public"
    __table_args__ = (sa.Index("ix_parcel_public_place", "place", "parcel_id"),)

    parcel_id: Mapped[str] = working(sa.ForeignKey("parcel.id"), primary_key=True)
    version: Mapped[int] = working(sa.Integer)
    masked: Mapped[bool] = working(sa.Boolean)
    code: Mapped[str] = working(sa.String(80), index=True)
    county: Mapped[str] = working(sa.String(6), index=True)
    village: Mapped[str | None] = working(sa.String(200), index=True, nullable=True)
    stand_type: Mapped[str] = working(sa.String(40), index=True)
    area_mu: Mapped[str] = working(sa.String(20))
    since_ms: Mapped[int] = working(sa.BigInteger)
    west: Mapped[float] = working(sa.Double)
    south: Mapped[float] = working(sa.Double)
    east: Mapped[float] = working(sa.Double)
    north: Mapped[float] = working(sa.Double)
    box: Mapped[int] = working(sa.BigInteger, index=True)
    place: Mapped[int] = working(sa.BigInteger)
    wkb: Mapped[bytes] = working(sa.LargeBinary)


# ---- making rows -------------------------------------------------------------------------------------------


def publish_outline(session: Session, parcel: str) -> None:
    """Make what is public of one parcel anew from its newest version; without an outline nothing is."""
    session.flush()
    _make(session, [parcel])


def refresh_public(session: Session) -> int:
    """Make the rows that are missing or of an older version, and drop those without a version; answers how
    many were made. For a home that comes from an older program or from a backup.
    """
    current = sa.and_(ParcelPublic.parcel_id == Parcel.id, ParcelPublic.version == Parcel.version)
    stale = ~sa.exists().where(Parcel.id == ParcelPublic.parcel_id, ParcelPublic.version == Parcel.version)
    session.execute(sa.delete(ParcelPublic).where(stale))
    wanted = (
        sa.select(Parcel.id)
        .join(ParcelVersion, _newest())
        .outerjoin(ParcelPublic, current)
        .where(ParcelVersion.wkb.is_not(None), ParcelPublic.parcel_id.is_(None))
        .order_by(Parcel.id)
    )
    return sum(_make(session, batch) for batch in _batches(session.scalars(wanted).all()))


def rebuild_public(session: Session) -> int:
    """Make every row anew."""
    session.execute(sa.delete(ParcelPublic))
    return refresh_public(session)


def _newest() -> sa.ColumnElement[bool]:
    return sa.and_(ParcelVersion.parcel_id == Parcel.id, ParcelVersion.version == Parcel.version)


def _batches(names: Sequence[str]) -> Iterator[list[str]]:
    source = iter(names)
    while batch := list(islice(source, _BATCH_ROWS)):
        yield batch


def _make(session: Session, parcels: Sequence[str]) -> int:
    session.execute(sa.delete(ParcelPublic).where(ParcelPublic.parcel_id.in_(parcels)))
    since = (
        sa.select(sa.func.min(ParcelStep.at_ms))
        .where(ParcelStep.parcel_id == Parcel.id, ParcelStep.machine == "parcel")
        .scalar_subquery()
    )
    found = session.execute(
        sa.select(
            Parcel.id, Parcel.version, Parcel.code, Parcel.county, ParcelVersion.village,
            ParcelVersion.stand_type, ParcelVersion.area_cm2, ParcelVersion.tenure, ParcelVersion.wkb,
            ParcelVisibility.masked, since.label("since_ms"),
        )
        .join(ParcelVersion, _newest())
        .outerjoin(ParcelVisibility, ParcelVisibility.parcel_id == Parcel.id)
        .where(Parcel.id.in_(parcels), ParcelVersion.wkb.is_not(None))
    ).all()  # fmt: skip
    rows = list(public_rows([dict(row._mapping) for row in found]))
    if rows:
        session.execute(sa.insert(ParcelPublic.__table__), rows)  # type: ignore[arg-type]
    return len(rows)


def public_rows(versions: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of `parcel_public` for newest versions: pure, so that the migration makes the same ones."""
    masked = [masks(one["masked"], one["tenure"]) for one in versions]
    made = shown([from_wkb(one["wkb"]) for one in versions], masked)
    for version, hide, one in zip(versions, masked, made, strict=True):
        west, south, east, north = one.bounds
        yield {
            "parcel_id": version["id"],
            "version": version["version"],
            "masked": hide,
            "code": version["code"],
            "county": version["county"],
            "village": None if hide else version["village"],
            "stand_type": version["stand_type"],
            "area_mu": str(coarse_mu(version["area_cm2"])) if hide else mu_of_cm2(version["area_cm2"]),
            "since_ms": version["since_ms"] or 0,
            "west": west,
            "south": south,
            "east": east,
            "north": north,
            "box": one.box,
            "place": one.place,
            "wkb": to_wkb(one.outline),
        }


def masks(said: bool | None, tenure: Mapping[str, Any] | None) -> bool:
    """Whether a parcel is masked: as its collective said, else if a household holds it, or nobody knows who
    does.
    """
    return said if said is not None else tenure is None or tenure.get("kind") == "household"


@event.listens_for(ParcelVersion, "after_update")
def _forget_erased(_mapper: Mapper[Any], connection: sa.Connection, version: ParcelVersion) -> None:
    """An outline that is erased is erased here too, whoever does it."""
    if version.wkb is None:
        connection.execute(
            sa.delete(ParcelPublic).where(
                ParcelPublic.parcel_id == version.parcel_id, ParcelPublic.version == version.version
            )
        )


# ---- masking -----------------------------------------------------------------------------------------------


def set_masked(session: Session, by: Mandate, parcel: str, masked: bool, now: datetime) -> None:
    """The owning collective's word on its parcel, or on a draft of its own before that becomes a parcel
    (`NotFound`).
    """
    owner = session.scalar(sa.select(Parcel.organisation_id).where(Parcel.id == parcel)) or session.scalar(
        sa.select(ParcelDraft.organisation_id).where(ParcelDraft.id == parcel)
    )
    if owner is None or owner != by.organisation:
        raise NotFound(kind="parcel", id=parcel[:100])
    row = session.get(ParcelVisibility, parcel)
    if row is None:
        row = ParcelVisibility(parcel_id=parcel)
        session.add(row)
    row.masked, row.person_id, row.said_at = masked, by.person, now
    publish_outline(session, parcel)


def masked_among(session: Session, versions: Collection[ParcelVersion]) -> set[str]:
    """Which of these versions' parcels are masked, by id."""
    names = {version.parcel_id for version in versions}
    said = {
        row.parcel_id: row.masked
        for batch in _batches(sorted(names))
        for row in session.scalars(sa.select(ParcelVisibility).where(ParcelVisibility.parcel_id.in_(batch)))
    }
    return {one.parcel_id for one in versions if masks(said.get(one.parcel_id), one.tenure)}


def seen_outlines(
    session: Session, parcels: Collection[str], organisation: str
) -> dict[str, Polygonal | None]:
    """What an organisation may see of those among the parcels that are not its own nor entrusted to it: the
    public outline, None of a masked one.
    """
    wanted = (
        sa.select(Parcel.id, ParcelPublic.masked, ParcelPublic.wkb)
        .outerjoin(ParcelPublic, ParcelPublic.parcel_id == Parcel.id)
        .where(
            Parcel.organisation_id != organisation,
            sa.func.coalesce(Parcel.operator_id, "") != organisation,
        )
    )
    return {
        row.id: None if row.masked is not False else from_wkb(row.wkb)
        for batch in _batches(sorted(parcels))
        for row in session.execute(wanted.where(Parcel.id.in_(batch)))
    }


def public_outline(version: ParcelVersion, masked: bool) -> Polygonal | None:
    """What may be public of one version's outline; None when it was erased. For papers that speak of older
    versions.
    """
    if version.wkb is None:
        return None
    outline = from_wkb(version.wkb)
    return hidden(outline) if masked else next(shown([outline], [False])).outline
