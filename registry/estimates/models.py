"""Rows of the estimates room."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from registry.database import Base, Committed, committed, logged, working
from registry.projections import Subject


class Raster(Base):
    """A registered raster file in the home's raster folder, named by its digest."""

    __tablename__ = "raster"

    sha256: Mapped[str] = working(sa.String(64), primary_key=True)
    kind: Mapped[str] = working(sa.String(40))
    unit: Mapped[str] = working(sa.String(20))
    taken_on: Mapped[str] = working(sa.String(10))
    file_name: Mapped[str] = working(sa.String(200))


class EstimateRun(Subject, Committed, Base):
    """One immutable run. `record` is everything a stranger needs to compute it again, as canonical JSON
    text.
    """

    __tablename__ = "estimate_run"

    period_id: Mapped[str] = logged(sa.ForeignKey("monitoring_period.id"), index=True)
    method: Mapped[str] = logged(sa.String(80))
    parameters_sha256: Mapped[str] = logged(sa.String(64))
    inputs_sha256: Mapped[str] = logged(sa.String(64))
    tier: Mapped[str] = logged(sa.String(20))
    estimate_kg: Mapped[int] = logged(sa.BigInteger)
    uncertainty_ppm: Mapped[int] = logged(sa.BigInteger)
    record: Mapped[str | None] = committed(sa.Text)


class RunParcel(Base):
    """A run's share for one parcel, in kilograms; the shares add up to the run's estimate."""

    __tablename__ = "run_parcel"

    run_id: Mapped[str] = logged(sa.ForeignKey("estimate_run.id"), primary_key=True)
    number: Mapped[int] = logged(sa.Integer, primary_key=True)
    estimate_kg: Mapped[int] = logged(sa.BigInteger)
