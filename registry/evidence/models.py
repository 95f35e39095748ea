"""Rows of the evidence room. Positions are whole 1e-7 degrees: what is committed holds no floats."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from registry.database import Base, Committed, UtcInstant, committed, logged, working
from registry.projections import Subject


class EvidenceUpload(Base):
    """A file that an organisation brought, and what was read from it. Nobody relies on it before it is
    filed.
    """

    __tablename__ = "evidence_upload"

    organisation_id: Mapped[str] = working(sa.ForeignKey("organisation.id"), primary_key=True)
    sha256: Mapped[str] = working(sa.String(64), primary_key=True)
    name: Mapped[str] = working(sa.String(100))
    media_type: Mapped[str] = working(sa.String(40))
    size_bytes: Mapped[int] = working(sa.BigInteger)
    taken_at: Mapped[str | None] = working(sa.String(40), nullable=True)
    lon_e7: Mapped[int | None] = working(sa.BigInteger, nullable=True)
    lat_e7: Mapped[int | None] = working(sa.BigInteger, nullable=True)
    filed: Mapped[bool] = working(sa.Boolean)
    uploaded_at: Mapped[datetime] = working(UtcInstant)


class EvidenceFile(Subject, Committed, Base):
    """A file beside a parcel. Its digest is in the log; where and when it was taken is committed.

    `taken_at`, `lon_e7`, `lat_e7` are what the file's EXIF says; `stated_…` what the device said when the
    picture was taken, which survives programs that strip EXIF. `accuracy_m` is the device's own.
    """

    __tablename__ = "evidence_file"

    parcel_id: Mapped[str] = logged(sa.ForeignKey("parcel.id"), index=True)
    organisation_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"))
    kind: Mapped[str] = logged(sa.String(20))
    sha256: Mapped[str] = logged(sa.String(64), index=True)
    media_type: Mapped[str] = logged(sa.String(40))
    size_bytes: Mapped[int] = logged(sa.BigInteger)
    name: Mapped[str | None] = committed(sa.String(100))
    note: Mapped[str | None] = committed(sa.String(500))
    taken_at: Mapped[str | None] = committed(sa.String(40))
    lon_e7: Mapped[int | None] = committed(sa.BigInteger)
    lat_e7: Mapped[int | None] = committed(sa.BigInteger)
    stated_at: Mapped[str | None] = committed(sa.String(40))
    stated_lon_e7: Mapped[int | None] = committed(sa.BigInteger)
    stated_lat_e7: Mapped[int | None] = committed(sa.BigInteger)
    accuracy_m: Mapped[int | None] = committed(sa.Integer)
