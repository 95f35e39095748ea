"""Rows of the issuance room."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from registry.database import Base, logged
from registry.projections import Subject


class Issuance(Subject, Base):
    """One issuance. `issued_key` (project, period, pools) is set when it is approved, and unique: it is made
    once.
    """

    __tablename__ = "issuance"

    project_id: Mapped[str] = logged(sa.ForeignKey("project.id"), index=True)
    period_id: Mapped[str] = logged(sa.ForeignKey("monitoring_period.id"))
    pools: Mapped[str] = logged(sa.String(80))
    statement_id: Mapped[str] = logged(sa.ForeignKey("verification_statement.id"))
    verified_kg: Mapped[int] = logged(sa.BigInteger)
    units: Mapped[int] = logged(sa.BigInteger)
    buffer_units: Mapped[int] = logged(sa.BigInteger)
    residue_before_kg: Mapped[int] = logged(sa.BigInteger)
    residue_after_kg: Mapped[int] = logged(sa.BigInteger)
    proposed_by: Mapped[str] = logged(sa.String(200))
    proposed_ms: Mapped[int] = logged(sa.BigInteger)
    issued_index: Mapped[int | None] = logged(sa.BigInteger, nullable=True)
    issued_key: Mapped[str | None] = logged(sa.String(200), nullable=True, unique=True)


class Batch(Base):
    """The units of one issuance and one calendar year: a contiguous range, project part first, buffer part
    last.
    """

    __tablename__ = "batch"

    id: Mapped[str] = logged(sa.String(80), primary_key=True)
    issuance_id: Mapped[str] = logged(sa.ForeignKey("issuance.id"), index=True)
    project_id: Mapped[str] = logged(sa.ForeignKey("project.id"), index=True)
    number: Mapped[int] = logged(sa.Integer)
    vintage: Mapped[int] = logged(sa.Integer)
    start_number: Mapped[int] = logged(sa.BigInteger)
    end_number: Mapped[int] = logged(sa.BigInteger)
    buffer_units: Mapped[int] = logged(sa.BigInteger)


class HomeRange(Base):
    """Which parcel a range of units grew on. Ranges of a project do not overlap and leave no gap."""

    __tablename__ = "home_range"

    project_id: Mapped[str] = logged(sa.ForeignKey("project.id"), primary_key=True)
    start_number: Mapped[int] = logged(sa.BigInteger, primary_key=True, autoincrement=False)
    end_number: Mapped[int] = logged(sa.BigInteger)
    batch_id: Mapped[str] = logged(sa.ForeignKey("batch.id"), index=True)
    parcel_number: Mapped[int] = logged(sa.Integer)
    buffer: Mapped[bool] = logged(sa.Boolean)
