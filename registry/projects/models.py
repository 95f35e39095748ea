"""Rows of the projects room. Dates are ISO texts `YYYY-MM-DD`: they stand so in the log."""

from datetime import datetime

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


class ClaimCell(Base):
    """Which 512 m cells a claim's ground touches. An index: made from the geometry, rebuilt at will."""

    __tablename__ = "claim_cell"

    cell: Mapped[int] = working(sa.BigInteger, primary_key=True, autoincrement=False)
    claim_id: Mapped[str] = working(sa.ForeignKey("land_claim.id"), primary_key=True)


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
