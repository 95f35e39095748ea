"""Rows of the retirement room."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from registry.database import Base, Committed, committed, logged
from registry.projections import Subject


class Retirement(Subject, Committed, Base):
    """A request to take units out of circulation for a beneficiary. The units are locked under `pending`
    until they retire.
    """

    __tablename__ = "retirement"

    project_id: Mapped[str] = logged(sa.ForeignKey("project.id"), index=True)
    organisation_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    units: Mapped[int] = logged(sa.BigInteger)
    claim_from: Mapped[str] = logged(sa.String(10))
    claim_to: Mapped[str] = logged(sa.String(10))
    pending: Mapped[str] = logged(sa.String(200))
    retired_index: Mapped[int | None] = logged(sa.BigInteger, nullable=True)
    beneficiary: Mapped[str | None] = committed(sa.String(200))
    beneficiary_code: Mapped[str | None] = committed(sa.String(18))
    purpose: Mapped[str | None] = committed(sa.String(40))
    text: Mapped[str | None] = committed(sa.String(500))
    jurisdiction: Mapped[str | None] = committed(sa.String(80))


class RetiredRange(Base):
    """Units that were retired, by the numbers of their project."""

    __tablename__ = "retired_range"

    project_id: Mapped[str] = logged(sa.ForeignKey("project.id"), primary_key=True)
    start_number: Mapped[int] = logged(sa.BigInteger, primary_key=True, autoincrement=False)
    end_number: Mapped[int] = logged(sa.BigInteger)
    batch_id: Mapped[str] = logged(sa.ForeignKey("batch.id"))
    retirement_id: Mapped[str] = logged(sa.ForeignKey("retirement.id"), index=True)


class Certificate(Committed, Base):
    """A certificate of a retirement. `records` is its statement with the keys of its commitments, as
    canonical JSON text.
    """

    __tablename__ = "certificate"

    number: Mapped[str] = logged(sa.String(64), primary_key=True)
    version: Mapped[int] = logged(sa.Integer)
    retirement_id: Mapped[str] = logged(sa.ForeignKey("retirement.id"), index=True)
    entry_index: Mapped[int] = logged(sa.BigInteger)
    records: Mapped[str | None] = committed(sa.Text)
