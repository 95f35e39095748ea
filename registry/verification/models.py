"""Rows of the verification room."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from registry.database import Base, Committed, committed, logged
from registry.projections import Subject


class Statement(Subject, Committed, Base):
    """A verifier's statement on one period: its own quantity, over its own signature."""

    __tablename__ = "verification_statement"

    period_id: Mapped[str] = logged(sa.ForeignKey("monitoring_period.id"), unique=True)
    run_id: Mapped[str] = logged(sa.ForeignKey("estimate_run.id"))
    verifier_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    person_id: Mapped[str] = logged(sa.String(200))
    verified_kg: Mapped[int] = logged(sa.BigInteger)
    deduction_kg: Mapped[int] = logged(sa.BigInteger)
    findings: Mapped[str | None] = committed(sa.Text)
