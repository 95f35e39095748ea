"""Rows of the accounts room."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from registry.database import Base, Committed, UtcInstant, committed, logged, working
from registry.projections import Subject


class Organisation(Subject, Committed, Base):
    """A legal person. Its kind is the role its people act in; its name is committed, not logged."""

    __tablename__ = "organisation"

    kind: Mapped[str] = logged(sa.String(20), index=True)
    county: Mapped[str] = logged(sa.String(6))
    name: Mapped[str | None] = committed(sa.String(200))
    uscc: Mapped[str | None] = committed(sa.String(18))


class Person(Subject, Committed, Base):
    """A natural person: a random id in the log, everything else committed."""

    __tablename__ = "person"

    name: Mapped[str | None] = committed(sa.String(200))


class MandateRow(Subject, Base):
    """A person's mandate to act for an organisation in a role."""

    __tablename__ = "mandate"

    person_id: Mapped[str] = logged(sa.ForeignKey("person.id"), index=True)
    organisation_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    role: Mapped[str] = logged(sa.String(20))


class Deposit(Subject, Base):
    """Money that the custodian bank reports as received for an organisation."""

    __tablename__ = "deposit"
    __table_args__ = (sa.UniqueConstraint("bank_id", "reference"),)

    bank_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"))
    organisation_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    amount_fen: Mapped[int] = logged(sa.BigInteger)
    reference: Mapped[str] = logged(sa.String(80))


class ApiKey(Base):
    """A program's key: `prefix.secret`, of which only the hash is kept. It acts under one mandate."""

    __tablename__ = "api_key"

    prefix: Mapped[str] = working(sa.String(16), primary_key=True)
    secret_sha256: Mapped[str] = working(sa.String(64))
    mandate_id: Mapped[str] = working(sa.ForeignKey("mandate.id"), index=True)
    scope: Mapped[str] = working(sa.String(20))
    created_at: Mapped[datetime] = working(UtcInstant)
    expires_at: Mapped[datetime | None] = working(UtcInstant, nullable=True)
    revoked_at: Mapped[datetime | None] = working(UtcInstant, nullable=True)
