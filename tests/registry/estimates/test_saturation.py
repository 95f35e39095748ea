"""Bamboo's later periods know what was credited before, from the runs that say so."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.orm import Session

from ledger.canonical import encode
from registry.estimates.models import EstimateRun
from registry.estimates.rules import EarlierPeriodUnsettled, RecordErased
from registry.estimates.saturation import saturation_before
from registry.projects.models import MonitoringPeriod, Project
from tests.registry.forest import Forest

BAMBOO = "zj-ph-bamboo-management/1"
DIGESTS = ("method_sha256", "parameters_sha256", "inputs_sha256", "attestation_sha256", "commitment")
SAID = {"start_tc_ha": "20.5", "raw_tco2e": "120.25", "creditable_tco2e": "100.5"}


@dataclass
class Past:
    """A bamboo project with an earlier period, as its rows would be; nothing of it is kept."""

    session: Session
    project: Project
    period: MonitoringPeriod

    def earlier(self, status: str, record: str | None) -> None:
        now = self.period
        run = EstimateRun(
            id="run-0",
            status="recorded",
            entry_index=1,
            period_id="period-0",
            method=BAMBOO,
            tier="verified",
            estimate_kg=0,
            loss_kg=0,
            rate_kg_ha_year=0,
            second_verifier=False,
            rows_to_attest=[],
            record=record,
            **dict.fromkeys(DIGESTS, ""),
        )
        period = MonitoringPeriod(
            id="period-0", status=status, entry_index=1, project_id=now.project_id, pools=now.pools,
            from_on="2015-01-01", to_on=now.from_on, run_id="run-0", verifier_id=None,
        )  # fmt: skip
        self.session.add(period)
        self.session.flush()
        self.session.add(run)
        self.session.flush()

    def told(self) -> Any:
        return saturation_before(self.session, self.project, self.period)


@pytest.fixture
def past(forest: Forest) -> Any:
    with forest.land.people.installation.database.read() as session:
        period = session.get_one(MonitoringPeriod, forest.period)
        project = session.get_one(Project, period.project_id)
        session.expunge(project)
        project.method = BAMBOO
        yield Past(session, project, period)
        session.rollback()


def record_of(evidence: dict[str, Any]) -> str:
    return encode({"version": 2, "evidence": evidence}).decode()


def test_the_first_period_has_nothing_behind_it(past: Past) -> None:
    assert past.told() is None


def test_a_later_period_knows_start_change_and_credit(past: Past) -> None:
    past.earlier("issued", record_of({"saturation": dict(SAID)}))
    told = past.told()
    assert (told.start_tc_ha, told.raw_tco2e, told.credited_tco2e) == ("20.5", "120.25", "100.5")
    assert told.runs == ("run-0",)


def test_trees_have_no_level(past: Past) -> None:
    past.earlier("issued", None)
    past.project.method = "zj-ph-forest-management/1"
    assert past.told() is None


def test_an_earlier_period_that_is_open_is_settled_first(past: Past) -> None:
    past.earlier("estimated", record_of({"saturation": dict(SAID)}))
    with pytest.raises(EarlierPeriodUnsettled):
        past.told()


def test_a_period_that_was_rejected_credits_nothing(past: Past) -> None:
    past.earlier("rejected", record_of({"saturation": dict(SAID)}))
    assert past.told() is None


def test_an_erased_record_cannot_be_counted(past: Past) -> None:
    past.earlier("issued", None)
    with pytest.raises(RecordErased):
        past.told()
