"""Rows of the parcels room."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from registry.database import Base, Committed, UtcInstant, committed, logged, working
from registry.projections import Subject


class ParcelDraft(Base):
    """A parcel before it is submitted: nobody relies on it, nothing of it is logged.

    `source_wkb` is the outline as it was uploaded, in the file's system `source_crs`; what was done to it
    stands in `attributes["source"]`.
    """

    __tablename__ = "parcel_draft"

    id: Mapped[str] = working(sa.String(36), primary_key=True)
    organisation_id: Mapped[str] = working(sa.ForeignKey("organisation.id"), index=True)
    import_id: Mapped[str] = working(sa.String(36), index=True)
    row_number: Mapped[int] = working(sa.Integer)
    wkb: Mapped[bytes] = working(sa.LargeBinary)
    area_cm2: Mapped[int] = working(sa.BigInteger)
    county: Mapped[str] = working(sa.String(6))
    code: Mapped[str] = working(sa.String(80))
    village: Mapped[str] = working(sa.String(200))
    stand_type: Mapped[str] = working(sa.String(40))
    tenure: Mapped[dict[str, Any]] = working(sa.JSON)
    attributes: Mapped[dict[str, Any]] = working(sa.JSON)
    source_sha256: Mapped[str] = working(sa.String(64))
    submitted: Mapped[bool] = working(sa.Boolean)
    created_at: Mapped[datetime] = working(UtcInstant)
    source_wkb: Mapped[bytes | None] = working(sa.LargeBinary, nullable=True)
    source_crs: Mapped[str | None] = working(sa.Text, nullable=True)


class Parcel(Subject, Base):
    """Land under one tenure. Its ground and names are in its versions.

    `operator_id` is the operator whom the collective lets enrol it in a project, None if the collective does
    that itself.
    """

    __tablename__ = "parcel"

    organisation_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    county: Mapped[str] = logged(sa.String(6), index=True)
    code: Mapped[str] = logged(sa.String(80), index=True)
    version: Mapped[int] = logged(sa.Integer)
    reviewer_id: Mapped[str | None] = logged(sa.ForeignKey("organisation.id"), nullable=True)
    operator_id: Mapped[str | None] = logged(sa.ForeignKey("organisation.id"), nullable=True)


class ParcelVersion(Committed, Base):
    """What a parcel was at one submission: geometry (ISO WKB, EPSG:4490, canonical) and names, all
    committed.
    """

    __tablename__ = "parcel_version"

    parcel_id: Mapped[str] = logged(sa.ForeignKey("parcel.id"), primary_key=True)
    version: Mapped[int] = logged(sa.Integer, primary_key=True)
    area_cm2: Mapped[int] = logged(sa.BigInteger)
    stand_type: Mapped[str] = logged(sa.String(40))
    source_sha256: Mapped[str] = logged(sa.String(64))
    evidence_sha256: Mapped[str] = logged(sa.String(64))
    resolution_sha256: Mapped[str] = logged(sa.String(64))
    wkb: Mapped[bytes | None] = committed(sa.LargeBinary)
    village: Mapped[str | None] = committed(sa.String(200))
    tenure: Mapped[dict[str, Any] | None] = committed(sa.JSON)
    attributes: Mapped[dict[str, Any] | None] = committed(sa.JSON)

    @property
    def area_m2(self) -> float:
        return self.area_cm2 / 10_000


class ParcelStep(Base):
    """One recorded step of a parcel, or of a claim on it, as it was when it was taken; never changed.

    `n` is its place among the steps of its entry, `version` the parcel's version after it (a claim's own).
    The columns from `project_id` to `credited_cm2` are a claim's; `to_on` is the end that the claim had after
    the step.
    """

    __tablename__ = "parcel_step"

    parcel_id: Mapped[str] = logged(sa.ForeignKey("parcel.id"), primary_key=True)
    entry_index: Mapped[int] = logged(sa.BigInteger, primary_key=True, autoincrement=False)
    n: Mapped[int] = logged(sa.Integer, primary_key=True, autoincrement=False)
    machine: Mapped[str] = logged(sa.String(40))
    subject: Mapped[str] = logged(sa.String(200))
    action: Mapped[str] = logged(sa.String(40))
    before: Mapped[str] = logged(sa.String(40))
    after: Mapped[str] = logged(sa.String(40))
    version: Mapped[int] = logged(sa.Integer)
    at_ms: Mapped[int] = logged(sa.BigInteger, index=True)
    reason_code: Mapped[str] = logged(sa.String(40))
    project_id: Mapped[str | None] = logged(sa.String(36), nullable=True)
    pool: Mapped[str | None] = logged(sa.String(40), nullable=True)
    from_on: Mapped[str | None] = logged(sa.String(10), nullable=True)
    to_on: Mapped[str | None] = logged(sa.String(10), nullable=True)
    credited_cm2: Mapped[int | None] = logged(sa.BigInteger, nullable=True)
    obligations: Mapped[list[str] | None] = logged(sa.JSON(none_as_null=True), nullable=True)
    """What a closing leaves owed."""


class ParcelLineage(Base):
    """A parcel that took over ground of another, and its share of that one's credits and duties.

    `from_on` is the successor's first day; the shares of one predecessor add up to a million.
    """

    __tablename__ = "parcel_lineage"

    predecessor_id: Mapped[str] = logged(sa.ForeignKey("parcel.id"), primary_key=True)
    successor_id: Mapped[str] = logged(sa.ForeignKey("parcel.id"), primary_key=True, index=True)
    kind: Mapped[str] = logged(sa.String(20))
    share_ppm: Mapped[int] = logged(sa.Integer)
    shared_cm2: Mapped[int] = logged(sa.BigInteger)
    from_on: Mapped[str] = logged(sa.String(10))
    entry_index: Mapped[int] = logged(sa.BigInteger)


class ParcelCell(Base):
    """Which 512 m cells a parcel's newest version touches. An index, made from the geometry."""

    __tablename__ = "parcel_cell"

    cell: Mapped[int] = working(sa.BigInteger, primary_key=True, autoincrement=False)
    parcel_id: Mapped[str] = working(sa.ForeignKey("parcel.id"), primary_key=True, index=True)


class CountyOutline(Base):
    """The outline of a county by its code of six digits (ISO WKB, EPSG:4490, canonical), and who made it."""

    __tablename__ = "county_outline"

    code: Mapped[str] = working(sa.String(6), primary_key=True)
    name: Mapped[str] = working(sa.String(100))
    wkb: Mapped[bytes] = working(sa.LargeBinary)
    source: Mapped[str] = working(sa.Text)
    updated_at: Mapped[datetime] = working(UtcInstant)
