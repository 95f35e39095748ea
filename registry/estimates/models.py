"""Rows of the estimates room. Files lie in the home under their digests; rows say what they are."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, relationship

from registry.database import Base, Committed, UtcInstant, committed, logged, working
from registry.projections import Subject


class Raster(Base):
    """A registered raster file in the home's raster folder, named by its digest."""

    __tablename__ = "raster"

    sha256: Mapped[str] = working(sa.String(64), primary_key=True)
    file_name: Mapped[str] = working(sa.String(200))
    size_bytes: Mapped[int] = working(sa.BigInteger)
    grid: Mapped[dict[str, Any]] = working(sa.JSON)


class RasterStatement(Base):
    """What somebody says a raster file is. Never changed: a correction is the next version, with its reason.

    `licence` is an SPDX id or a `LicenseRef-`, None where nobody said (files of the first releases).
    `error_model` and `lineage` hold whole numbers and texts only, so that a record can spell them. `facts`
    are what reading every cell found, None for a file that was registered before that was done, as is
    `values_sha256`. `forest_classes` are those of a land cover that count as forest.
    """

    __tablename__ = "raster_statement"

    sha256: Mapped[str] = working(sa.ForeignKey("raster.sha256"), primary_key=True)
    version: Mapped[int] = working(sa.Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = working(sa.String(40))
    unit: Mapped[str] = working(sa.String(20))
    band: Mapped[int] = working(sa.Integer)
    product: Mapped[str] = working(sa.String(80))
    taken_on: Mapped[str] = working(sa.String(10))
    licence: Mapped[str | None] = working(sa.String(80), nullable=True)
    licence_note: Mapped[str | None] = working(sa.String(500), nullable=True)
    attribution: Mapped[str | None] = working(sa.String(500), nullable=True)
    source: Mapped[str | None] = working(sa.String(500), nullable=True)
    error_model: Mapped[dict[str, Any]] = working(sa.JSON)
    forest_classes: Mapped[list[int] | None] = working(sa.JSON(none_as_null=True), nullable=True)
    lineage: Mapped[dict[str, Any] | None] = working(sa.JSON(none_as_null=True), nullable=True)
    facts: Mapped[dict[str, Any] | None] = working(sa.JSON(none_as_null=True), nullable=True)
    values_sha256: Mapped[str | None] = working(sa.String(64), nullable=True)
    organisation_id: Mapped[str | None] = working(sa.ForeignKey("organisation.id"), nullable=True)
    person_id: Mapped[str | None] = working(sa.String(200), nullable=True)
    stated_at: Mapped[datetime | None] = working(UtcInstant, nullable=True)
    reason: Mapped[str | None] = working(sa.String(500), nullable=True)

    file: Mapped[Raster] = relationship(lazy="joined", innerjoin=True)


class RasterCopy(Base):
    """One band of a raster in the encoding that is read fastest, proven to hold the same values. A cache."""

    __tablename__ = "raster_copy"

    sha256: Mapped[str] = working(sa.ForeignKey("raster.sha256"), primary_key=True)
    band: Mapped[int] = working(sa.Integer, primary_key=True, autoincrement=False)
    copy_sha256: Mapped[str] = working(sa.String(64))
    values_sha256: Mapped[str] = working(sa.String(64))
    encoding: Mapped[dict[str, Any]] = working(sa.JSON)
    size_bytes: Mapped[int] = working(sa.BigInteger)
    made_at: Mapped[datetime] = working(UtcInstant)


class PlotFile(Base):
    """A registered file of sample plots in the home's plot folder, named by its digest.

    `design` is the design that the plots keep to, as its `design.json`; None where nobody brought one.
    """

    __tablename__ = "plot_file"

    sha256: Mapped[str] = working(sa.String(64), primary_key=True)
    measurement: Mapped[str] = working(sa.String(10))
    plots: Mapped[int] = working(sa.Integer)
    file_name: Mapped[str] = working(sa.String(200))
    design_sha256: Mapped[str | None] = working(sa.String(64), nullable=True)
    design: Mapped[dict[str, Any] | None] = working(sa.JSON(none_as_null=True), nullable=True)


class PreparedRun(Base):
    """A computed run record that waits to be recorded. A cache: made again from its inputs."""

    __tablename__ = "prepared_run"

    inputs_sha256: Mapped[str] = working(sa.String(64), primary_key=True)
    record: Mapped[str] = working(sa.Text)


class EstimateRun(Subject, Committed, Base):
    """One immutable run.

    `record` is everything a stranger needs to compute it again, as canonical JSON text. `rows_to_attest`
    names the parameter rows used that are not sure, `attestation_sha256` is their digest. `uncertainty_ppm`
    is None where it is undefined. `second_verifier`: the removal is so high that a second verifier has to
    sign (R-17).
    """

    __tablename__ = "estimate_run"

    period_id: Mapped[str] = logged(sa.ForeignKey("monitoring_period.id"), index=True)
    method: Mapped[str] = logged(sa.String(80))
    method_sha256: Mapped[str] = logged(sa.String(64))
    parameters_sha256: Mapped[str] = logged(sa.String(64))
    inputs_sha256: Mapped[str] = logged(sa.String(64))
    plots_sha256: Mapped[str | None] = logged(sa.String(64), nullable=True)
    tier: Mapped[str] = logged(sa.String(20))
    estimate_kg: Mapped[int] = logged(sa.BigInteger)
    loss_kg: Mapped[int] = logged(sa.BigInteger)
    uncertainty_ppm: Mapped[int | None] = logged(sa.BigInteger, nullable=True)
    rate_kg_ha_year: Mapped[int] = logged(sa.BigInteger)
    second_verifier: Mapped[bool] = logged(sa.Boolean)
    rows_to_attest: Mapped[list[str]] = logged(sa.JSON)
    attestation_sha256: Mapped[str] = logged(sa.String(64))
    record: Mapped[str | None] = committed(sa.Text)


class RunParcel(Base):
    """A run's share for one parcel, in kilograms; the shares add up to the run's estimate."""

    __tablename__ = "run_parcel"

    run_id: Mapped[str] = logged(sa.ForeignKey("estimate_run.id"), primary_key=True)
    number: Mapped[int] = logged(sa.Integer, primary_key=True, autoincrement=False)
    estimate_kg: Mapped[int] = logged(sa.BigInteger)
