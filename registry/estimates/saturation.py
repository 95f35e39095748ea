"""What a bamboo project has behind it: its stock at the start, its change since, what was credited (E-F7)."""

import math
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from registry.estimates.inputs import SaturationInput
from registry.estimates.methods import method_version
from registry.estimates.methods.version import Biomass
from registry.estimates.models import EstimateRun
from registry.estimates.plain import plain
from registry.estimates.rules import EarlierPeriodUnsettled, RecordErased, RecordMalformed
from registry.estimates.run_record import RunRecord
from registry.projects.models import MonitoringPeriod, Project
from registry.projects.rules import DEAD_PERIODS

SETTLED: Final = ("verified", "issued")


def saturation_before(session: Session, project: Project, period: MonitoringPeriod) -> SaturationInput | None:
    """The earlier periods' part of E-F7; None for the first period, and where the method knows no saturation.

    Raises `EarlierPeriodUnsettled`, and `RecordErased` where an earlier run can no longer be read.
    """
    if method_version(project.method).biomass is not Biomass.CULMS:
        return None
    wanted = (
        sa.select(MonitoringPeriod)
        .where(MonitoringPeriod.project_id == project.id, MonitoringPeriod.from_on < period.from_on)
        .where(MonitoringPeriod.status.not_in(DEAD_PERIODS), MonitoringPeriod.pools == period.pools)
        .order_by(MonitoringPeriod.from_on)
    )
    told: list[tuple[str, dict[str, Any]]] = []
    for earlier in session.scalars(wanted):
        if earlier.status not in SETTLED or earlier.run_id is None:
            raise EarlierPeriodUnsettled(period=earlier.id, status=earlier.status)
        told.append((earlier.run_id, _saturation_of(session, earlier.run_id)))
    if not told:
        return None
    return SaturationInput(
        start_tc_ha=str(told[0][1]["start_tc_ha"]),
        raw_tco2e=str(told[-1][1]["raw_tco2e"]),
        credited_tco2e=str(plain(math.fsum(float(one["creditable_tco2e"]) for _, one in told))),
        runs=tuple(run for run, _ in told),
    )


def _saturation_of(session: Session, run: str) -> dict[str, Any]:
    row = session.get_one(EstimateRun, run)
    if row.record is None:
        raise RecordErased(run=run)
    evidence = RunRecord(row.record).document.get("evidence")
    found = evidence.get("saturation") if isinstance(evidence, dict) else None
    if not isinstance(found, dict):
        raise RecordMalformed(reason="a run of bamboo says nothing of the level at which the stand is full")
    return found
