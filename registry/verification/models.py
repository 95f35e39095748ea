"""Rows of the verification room."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from registry.database import Base, Committed, committed, logged
from registry.projections import Subject


class Statement(Subject, Committed, Base):
    """A verifier's statement on one period: its own quantity, over its own signature.

    `verified_kg` is what may be issued; `deduction_kg` is what the verifier took off its finding to arrive
    there. The attestation digest binds the parameter rows that the verifier answers for (METHODOLOGY D2),
    None where all are sure.
    """

    __tablename__ = "verification_statement"

    period_id: Mapped[str] = logged(sa.ForeignKey("monitoring_period.id"), unique=True)
    run_id: Mapped[str] = logged(sa.ForeignKey("estimate_run.id"))
    verifier_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    second_verifier_id: Mapped[str | None] = logged(sa.ForeignKey("organisation.id"), nullable=True)
    person_id: Mapped[str] = logged(sa.String(200))
    verified_kg: Mapped[int] = logged(sa.BigInteger)
    deduction_kg: Mapped[int] = logged(sa.BigInteger)
    attested_sha256: Mapped[str | None] = logged(sa.String(64), nullable=True)
    findings: Mapped[str | None] = committed(sa.Text)


class StatementParcel(Base):
    """A statement's share for one parcel of the project, in kilograms; the shares add up to its quantity."""

    __tablename__ = "statement_parcel"

    statement_id: Mapped[str] = logged(sa.ForeignKey("verification_statement.id"), primary_key=True)
    number: Mapped[int] = logged(sa.Integer, primary_key=True, autoincrement=False)
    verified_kg: Mapped[int] = logged(sa.BigInteger)
