"""Rows of what is kept of files: imports, saved field mappings, outlines as they were uploaded."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from registry.database import Base, UtcInstant, working


class ParcelImport(Base):
    """One file of one organisation. Its id follows from both, so the same file is the same import.

    `status` is queued, running, taken, refused, failed or discarded; `kept` says that the file itself is kept
    (`registry.files`), by `sha256`. `declared` is what the uploader said about the file.
    """

    __tablename__ = "parcel_import"

    id: Mapped[str] = working(sa.String(36), primary_key=True)
    organisation_id: Mapped[str] = working(sa.ForeignKey("organisation.id"), index=True)
    person: Mapped[str] = working(sa.String(36))
    file_name: Mapped[str] = working(sa.String(100))
    sha256: Mapped[str] = working(sa.String(64), index=True)
    size_bytes: Mapped[int] = working(sa.BigInteger)
    programme: Mapped[str] = working(sa.String(60))
    declared: Mapped[dict[str, Any]] = working(sa.JSON)
    status: Mapped[str] = working(sa.String(20))
    kept: Mapped[bool] = working(sa.Boolean)
    report: Mapped[dict[str, Any] | None] = working(sa.JSON, nullable=True)
    created_at: Mapped[datetime] = working(UtcInstant)
    finished_at: Mapped[datetime | None] = working(UtcInstant, nullable=True)


class SavedMapping(Base):
    """A field mapping that an organisation saved; `revision` counts its changes."""

    __tablename__ = "field_mapping"

    organisation_id: Mapped[str] = working(sa.ForeignKey("organisation.id"), primary_key=True)
    name: Mapped[str] = working(sa.String(60), primary_key=True)
    body: Mapped[dict[str, Any]] = working(sa.JSON)
    revision: Mapped[int] = working(sa.Integer)
    updated_at: Mapped[datetime] = working(UtcInstant)


class ParcelSource(Base):
    """The outline of a parcel's version as it was uploaded: ISO WKB in the file's system.

    The version's committed attributes hold its digest and what was done to it. It goes when the version's
    record is erased.
    """

    __tablename__ = "parcel_source"

    parcel_id: Mapped[str] = working(sa.ForeignKey("parcel.id"), primary_key=True)
    version: Mapped[int] = working(sa.Integer, primary_key=True)
    import_id: Mapped[str] = working(sa.String(36), index=True)
    row_number: Mapped[int] = working(sa.Integer)
    wkb: Mapped[bytes] = working(sa.LargeBinary)
    crs: Mapped[str] = working(sa.Text)
