"""Rows of the projects room. Dates are ISO texts `YYYY-MM-DD`: they stand so in the log."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from registry.database import Base, Committed, UtcInstant, committed, logged, working
from registry.projections import Subject


class Project(Subject, Committed, Base):
    """Parcels that are credited together, under one programme and one method."""

    __tablename__ = "project"

    programme_id: Mapped[str] = logged(sa.ForeignKey("programme.id"), index=True)
    owner_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    county: Mapped[str] = logged(sa.String(6))
    number: Mapped[int | None] = logged(sa.Integer, nullable=True, unique=True)
    method: Mapped[str] = logged(sa.String(80))
    crediting_from: Mapped[str] = logged(sa.String(10))
    crediting_to: Mapped[str] = logged(sa.String(10))
    benefit_rule: Mapped[str] = logged(sa.String(40))
    published_on: Mapped[str | None] = logged(sa.String(10), nullable=True)
    validator_id: Mapped[str | None] = logged(sa.ForeignKey("organisation.id"), nullable=True)
    name: Mapped[str | None] = committed(sa.String(200))


class ProjectParcel(Base):
    """A parcel of a project. `number` is its place in the project, as entries name it; the claim follows at
    registration.
    """

    __tablename__ = "project_parcel"

    project_id: Mapped[str] = logged(sa.ForeignKey("project.id"), primary_key=True)
    number: Mapped[int] = logged(sa.Integer, primary_key=True)
    parcel_id: Mapped[str] = logged(sa.ForeignKey("parcel.id"), index=True)
    parcel_version: Mapped[int] = logged(sa.Integer)


class LandClaim(Subject, Base):
    """(ground x period x pool), claimed once whatever the programme. `credited_cm2` leaves out slivers of
    earlier claims.
    """

    __tablename__ = "land_claim"

    parcel_id: Mapped[str] = logged(sa.ForeignKey("parcel.id"), index=True)
    parcel_version: Mapped[int] = logged(sa.Integer)
    project_id: Mapped[str] = logged(sa.ForeignKey("project.id"), index=True)
    programme_id: Mapped[str] = logged(sa.ForeignKey("programme.id"))
    pool: Mapped[str] = logged(sa.String(40))
    from_on: Mapped[str] = logged(sa.String(10))
    to_on: Mapped[str] = logged(sa.String(10))
    credited_cm2: Mapped[int] = logged(sa.BigInteger)
    claimed_index: Mapped[int] = logged(sa.BigInteger)


class Succession(Subject, Base):
    """Parcels that take the place of others from a day on: a split, a merge, or a boundary surveyed again.

    `predecessors`: [parcel, version, area_cm2]; `successors`: [draft, area_cm2]; `parts`: [predecessor,
    successor, shared_cm2, share_ppm]. `project_id` is None where the predecessors are in no project.
    """

    __tablename__ = "succession"

    organisation_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    kind: Mapped[str] = logged(sa.String(20))
    programme_id: Mapped[str] = logged(sa.ForeignKey("programme.id"))
    project_id: Mapped[str | None] = logged(sa.String(36), nullable=True)
    from_on: Mapped[str] = logged(sa.String(10))
    predecessors: Mapped[list[Any]] = logged(sa.JSON)
    successors: Mapped[list[Any]] = logged(sa.JSON)
    parts: Mapped[list[Any]] = logged(sa.JSON)
    evidence_sha256: Mapped[str] = logged(sa.String(64))
    resolution_sha256: Mapped[str] = logged(sa.String(64))


class ClaimCell(Base):
    """Which 512 m cells a claim's ground touches. An index: made from the geometry, rebuilt at will."""

    __tablename__ = "claim_cell"

    cell: Mapped[int] = working(sa.BigInteger, primary_key=True, autoincrement=False)
    claim_id: Mapped[str] = working(sa.ForeignKey("land_claim.id"), primary_key=True)


class OutsideClaim(Subject, Committed, Base):
    """Ground that is credited in another registry, as somebody declared it here with a document.

    `registry_code` is one of `rules.OutsideRegistry`, `foreign_id` the number that it gave; `pools` comma
    separated. `parcel_id` and `parcel_version` where it was declared of a parcel's outline, else None: a
    drawn one. The outline (ISO WKB, EPSG:4490) is committed.
    """

    __tablename__ = "outside_claim"

    registry_code: Mapped[str] = logged(sa.String(20))
    foreign_id: Mapped[str] = logged(sa.String(80))
    pools: Mapped[str] = logged(sa.String(80))
    from_on: Mapped[str] = logged(sa.String(10))
    to_on: Mapped[str] = logged(sa.String(10))
    organisation_id: Mapped[str] = logged(sa.String(200), index=True)
    parcel_id: Mapped[str | None] = logged(sa.ForeignKey("parcel.id"), nullable=True, index=True)
    parcel_version: Mapped[int | None] = logged(sa.Integer, nullable=True)
    area_cm2: Mapped[int] = logged(sa.BigInteger)
    evidence_sha256: Mapped[str] = logged(sa.String(64))
    declared_index: Mapped[int] = logged(sa.BigInteger)
    wkb: Mapped[bytes | None] = committed(sa.LargeBinary)


class OutsideClaimCell(Base):
    """Which 512 m cells an outside claim's ground touches. An index, as `ClaimCell`."""

    __tablename__ = "outside_claim_cell"

    cell: Mapped[int] = working(sa.BigInteger, primary_key=True, autoincrement=False)
    outside_claim_id: Mapped[str] = working(sa.ForeignKey("outside_claim.id"), primary_key=True)


class DisputeCase(Base):
    """Two that want the same ground, as a refused claim showed it.

    `first` holds the ground: a parcel's id, or an outside claim's (`outside`); `second` is the parcel that
    was refused. One case for a pair and programme: seen again, it is brought up to date. Whether and how it
    was decided is in the log (`DisputeDecision`).
    """

    __tablename__ = "dispute_case"
    __table_args__ = (sa.UniqueConstraint("pair", "programme_id", name="uq_dispute_case_pair"),)

    id: Mapped[str] = working(sa.String(36), primary_key=True)
    pair: Mapped[str] = working(sa.String(80))
    programme_id: Mapped[str] = working(sa.ForeignKey("programme.id"))
    first: Mapped[str] = working(sa.String(200))
    outside: Mapped[bool] = working(sa.Boolean)
    second: Mapped[str] = working(sa.ForeignKey("parcel.id"))
    first_holder: Mapped[str | None] = working(sa.String(200), nullable=True, index=True)
    first_operator: Mapped[str | None] = working(sa.String(200), nullable=True)
    second_holder: Mapped[str] = working(sa.String(200), index=True)
    second_operator: Mapped[str | None] = working(sa.String(200), nullable=True)
    overlap_cm2: Mapped[int] = working(sa.BigInteger)
    overlap: Mapped[dict[str, Any] | None] = working(sa.JSON, nullable=True)
    rule: Mapped[str] = working(sa.String(80))
    first_seen_at: Mapped[datetime] = working(UtcInstant)
    last_seen_at: Mapped[datetime] = working(UtcInstant)
    times_seen: Mapped[int] = working(sa.Integer)


class DisputeDecision(Subject, Base):
    """What the registry decided about a case, whose id it has."""

    __tablename__ = "dispute_decision"

    first: Mapped[str] = logged(sa.String(200))
    second: Mapped[str] = logged(sa.ForeignKey("parcel.id"))
    programme_id: Mapped[str] = logged(sa.ForeignKey("programme.id"))
    reason: Mapped[str] = logged(sa.String(40))
    document_sha256: Mapped[str] = logged(sa.String(64))


class Objection(Base):
    """What somebody objects to a published project, and what the registry answered. Anybody may object."""

    __tablename__ = "objection"

    id: Mapped[str] = working(sa.String(36), primary_key=True)
    project_id: Mapped[str] = working(sa.ForeignKey("project.id"), index=True)
    text: Mapped[str] = working(sa.Text)
    contact: Mapped[str] = working(sa.String(200))
    lodged_at: Mapped[datetime] = working(UtcInstant)
    answer: Mapped[str | None] = working(sa.Text, nullable=True)
    answered_by: Mapped[str | None] = working(sa.String(200), nullable=True)
    answered_at: Mapped[datetime | None] = working(UtcInstant, nullable=True)


class MonitoringPeriod(Subject, Base):
    """The dates between two measurements, half-open, and the run and statement that hold for them."""

    __tablename__ = "monitoring_period"

    project_id: Mapped[str] = logged(sa.ForeignKey("project.id"), index=True)
    pools: Mapped[str] = logged(sa.String(80))
    from_on: Mapped[str] = logged(sa.String(10))
    to_on: Mapped[str] = logged(sa.String(10))
    run_id: Mapped[str | None] = logged(sa.String(36), nullable=True)
    verifier_id: Mapped[str | None] = logged(sa.ForeignKey("organisation.id"), nullable=True)
