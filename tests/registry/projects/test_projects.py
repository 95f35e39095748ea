"""A project on its way to registration: whose land, which dates, how long in public, and who judges."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.accounts.service import NotFound
from registry.clock import SimulatedClock
from registry.estimates.methods import DEFAULT_METHOD
from registry.machine import Mandate, NotAuthorised, Role, TransitionRefused
from registry.parcels.rules import NotIndependent
from registry.programmes import methods
from registry.programmes.rules import ProgrammeNotPublished
from registry.programmes.service import WithdrawProgramme, programme_file
from registry.projects.models import Project
from registry.projects.rules import (
    PROJECT,
    CreditingPeriodRefused,
    DateInvalid,
    DateRange,
    MethodNotInProgramme,
    NotPublished,
    ObjectionsOpen,
    ParcelNamedTwice,
    ParcelsUnfit,
    PublicationRunning,
    TenureTooShort,
    check_crediting,
    civil_date,
    notice_ends_on,
)
from registry.projects.service import (
    CloseParcel,
    NameProject,
    RejectProject,
    answer_objection,
    list_objections,
    load_project,
    lodge_objection,
    parties_of_project,
    project_parcels,
)
from registry.transparency.audit import audit
from tests.registry.land import Land, ground, some_id

TERMS = programme_file().terms


def project_of(land: Land, project: str) -> Project:
    with land.people.installation.database.read() as session:
        row = load_project(session, project)
        session.expunge(row)
        return row


def wait(land: Land, **time: int) -> None:
    clock = land.people.installation.clock
    assert isinstance(clock, SimulatedClock)
    clock.advance(clock.now() + timedelta(**time))


@pytest.fixture
def operator(land: Land) -> Mandate:
    return land.people.member(Role.OPERATOR, "两山公司")


def test_a_project_becomes_active_and_the_audit_agrees(land: Land) -> None:
    project = land.registered(land.village.first, land.eligible(land.village, ground(0, 0)))
    row = project_of(land, project)
    assert (row.status, row.number, row.published_on) == ("active", 1, "2025-03-03")
    assert (row.owner_id, row.validator_id) == (land.village.organisation, land.validator.organisation)
    assert row.name == "示范项目"
    assert audit(land.people.installation.home).findings == []


def test_parcels_are_numbered_in_the_order_given(land: Land) -> None:
    parcels = land.eligible(land.village, ground(0, 0), ground(200, 0), ground(400, 0))
    project = land.submitted(land.village.first, [parcels[2], parcels[0], parcels[1]])
    with land.people.installation.database.read() as session:
        listed = [(one.number, one.parcel_id) for one in project_parcels(session, project)]
    assert listed == [(1, parcels[2]), (2, parcels[0]), (3, parcels[1])]


def test_an_operator_enrols_what_was_entrusted_to_it_and_nothing_else(land: Land, operator: Mandate) -> None:
    entrusted = land.eligible(land.village, ground(0, 0), operator=operator.organisation)
    kept = land.eligible(land.village, ground(200, 0))
    with pytest.raises(NotFound):
        land.submitted(operator, [*entrusted, *kept])
    with pytest.raises(NotFound):
        land.submitted(land.people.member(Role.OPERATOR, "另一公司"), entrusted)
    with pytest.raises(NotFound):
        land.submitted(land.people.member(Role.COLLECTIVE, "乙村"), kept)
    project = land.submitted(operator, entrusted)
    with land.people.installation.database.read() as session:
        assert parties_of_project(session, project) == sorted(
            [operator.organisation, land.village.organisation]
        )


def test_only_owners_submit_projects(land: Land) -> None:
    parcels = land.eligible(land.village, ground(0, 0))
    with pytest.raises(NotAuthorised):
        land.submitted(land.registry.first, parcels)


def test_a_project_is_measured_by_a_method_of_its_programme(land: Land) -> None:
    parcels = land.eligible(land.village, ground(0, 0))
    with pytest.raises(MethodNotInProgramme) as refused:
        land.submitted(land.village.first, parcels, method="zj-ph-forest-management-ratio/2")
    assert refused.value.facts["accepted"] == DEFAULT_METHOD
    land.submitted(land.village.first, parcels)


def test_nothing_new_begins_under_a_method_superseded_since_its_programme_was_published(
    land: Land, monkeypatch: pytest.MonkeyPatch
) -> None:
    parcels = land.eligible(land.village, ground(0, 0))
    successor = f"{DEFAULT_METHOD[:-1]}2"
    with monkeypatch.context() as later:
        later.setattr(methods, "OFFERED", {**methods.OFFERED, DEFAULT_METHOD: successor})
        with pytest.raises(methods.MethodSuperseded) as refused:
            land.submitted(land.village.first, parcels)
    assert refused.value.facts == {"method": DEFAULT_METHOD, "superseded_by": successor}
    land.submitted(land.village.first, parcels)


def test_only_eligible_parcels_and_each_once(land: Land) -> None:
    (fit,) = land.eligible(land.village, ground(0, 0))
    unfit = land.submit(land.village, land.drafts(land.village, ground(200, 0))[0])
    with pytest.raises(ParcelsUnfit) as refusal:
        land.submitted(land.village.first, [fit, unfit])
    assert refusal.value.facts["parcels"] == [{"parcel": unfit, "status": "submitted"}]
    with pytest.raises(ParcelNamedTwice):
        land.submitted(land.village.first, [fit, fit])


def test_the_right_to_the_land_must_outlast_the_crediting(land: Land) -> None:
    """R-03: the last day of the right is the last day of crediting, or later."""
    enough = land.drafts(land.village, ground(0, 0), 期限至="2039-12-31")[0]
    short = land.drafts(land.village, ground(200, 0), 期限至="2039-12-30")[0]
    fit, unfit = (land.review(land.submit(land.village, draft)) for draft in (enough, short))
    land.submitted(land.village.first, [fit])
    with pytest.raises(TenureTooShort) as refusal:
        land.submitted(land.village.first, [unfit])
    assert refusal.value.facts["parcels"] == [{"parcel": unfit, "until": "2039-12-30"}]


@pytest.mark.parametrize(
    ("from_on", "to_on"),
    [
        ("2020-01-01", "2024-12-31"),
        ("2020-01-01", "2040-01-02"),
        ("2012-11-07", "2020-01-01"),
        ("2040-01-01", "2020-01-01"),
    ],
)
def test_a_crediting_period_has_five_to_twenty_years(from_on: str, to_on: str) -> None:
    with pytest.raises(CreditingPeriodRefused):
        check_crediting(DateRange(from_on, to_on), TERMS)


def test_the_shortest_and_the_longest_crediting_period_are_possible() -> None:
    check_crediting(DateRange("2020-01-01", "2025-01-01"), TERMS)
    check_crediting(DateRange("2020-02-29", "2040-02-29"), TERMS)
    check_crediting(DateRange("2012-11-08", "2032-11-08"), TERMS)


@pytest.mark.parametrize("text", ["2020-13-01", "2021-02-29", "0000-01-01"])
def test_a_date_that_no_calendar_has_is_refused(text: str) -> None:
    with pytest.raises(DateInvalid):
        check_crediting(DateRange(text, "2040-01-01"), TERMS)


def test_validation_waits_for_twenty_working_days(land: Land) -> None:
    """Published on Monday 3 March 2025: the twentieth working day after it is Monday 31 March."""
    project = land.submitted(land.village.first, land.eligible(land.village, ground(0, 0)))
    named = NameProject(project=project)
    land.people.do(land.registry.first, "project.publish", named)
    wait(land, days=28)
    with pytest.raises(PublicationRunning) as refusal:
        land.people.do(land.validator, "project.validate", named)
    assert refusal.value.facts["ends_on"] == "2025-03-31"
    wait(land, days=1)
    land.people.do(land.validator, "project.validate", named)


@given(start=st.dates(date(2020, 1, 1), date(2030, 1, 1)), days=st.integers(0, 60))
def test_a_notice_has_exactly_its_working_days(start: date, days: int) -> None:
    end = notice_ends_on(start, days)
    counted = [start + timedelta(days=n + 1) for n in range((end - start).days)]
    assert sum(day.isoweekday() <= 5 for day in counted) == days
    assert days == 0 or end.isoweekday() <= 5


def test_the_civil_date_is_chinas() -> None:
    assert civil_date(datetime(2025, 3, 3, 15, 59, tzinfo=UTC)) == date(2025, 3, 3)
    assert civil_date(datetime(2025, 3, 3, 16, 0, tzinfo=UTC)) == date(2025, 3, 4)


def test_a_project_is_validated_by_nobody_with_an_interest(land: Land) -> None:
    project = land.submitted(land.village.first, land.eligible(land.village, ground(0, 0)))
    named = NameProject(project=project)
    land.people.do(land.registry.first, "project.publish", named)
    wait(land, days=40)
    insider = land.people.person(land.village.organisation, Role.VERIFIER)
    with pytest.raises(NotIndependent):
        land.people.do(insider, "project.validate", named)
    with pytest.raises(NotAuthorised):
        land.people.do(land.registry.first, "project.validate", named)


def test_objections_are_kept_and_answered_before_validation(land: Land) -> None:
    project = land.submitted(land.village.first, land.eligible(land.village, ground(0, 0)))
    named, database = NameProject(project=project), land.people.installation.database
    now = land.people.installation.clock.now()
    with database.write() as session, pytest.raises(NotPublished):
        lodge_objection(session, project, some_id(), "too early", "villager A", now)
    land.people.do(land.registry.first, "project.publish", named)
    id_ = some_id()
    with database.write() as session:
        lodge_objection(session, project, id_, "边界有争议", "villager A", now)
    wait(land, days=40)
    with pytest.raises(ObjectionsOpen):
        land.people.do(land.validator, "project.validate", named)
    with database.write() as session, pytest.raises(NotAuthorised):
        answer_objection(session, land.village.first, id_, "no", now)
    with database.write() as session:
        answer_objection(session, land.registry.first, id_, "已核实", now)
    with database.write() as session, pytest.raises(NotFound):
        answer_objection(session, land.registry.first, id_, "changed", now)
    land.people.do(land.validator, "project.validate", named)
    with database.read() as session:
        assert [one.answer for one in list_objections(session, project)] == ["已核实"]


def test_a_withdrawn_programme_registers_nothing_more(land: Land) -> None:
    project = land.submitted(land.village.first, land.eligible(land.village, ground(0, 0)))
    land.validated(project)
    command = WithdrawProgramme(programme=land.programme)
    land.people.together(land.registry.first, land.registry.second, "programme.withdraw", command)
    with pytest.raises(ProgrammeNotPublished):
        land.register(project)


def test_a_parcel_that_moved_on_keeps_its_project_from_registration(land: Land) -> None:
    (parcel,) = land.eligible(land.village, ground(0, 0))
    project = land.submitted(land.village.first, [parcel])
    land.validated(project)
    close = CloseParcel(parcel=parcel, ended_on="2025-06-01", reason="owner_request")
    land.people.do(land.registry.first, "parcel.close", close)
    with pytest.raises(ParcelsUnfit):
        land.register(project)


def test_a_project_is_not_registered_before_it_is_validated_or_twice(land: Land) -> None:
    project = land.submitted(land.village.first, land.eligible(land.village, ground(0, 0)))
    with pytest.raises(TransitionRefused):
        land.register(project)
    land.validated(project)
    land.register(project)
    with pytest.raises(TransitionRefused):
        land.register(project)


@pytest.mark.parametrize(("act", "by"), [("project.withdraw", "owner"), ("project.reject", "registry")])
def test_a_project_that_ended_early_stays_ended(land: Land, act: str, by: str) -> None:
    project = land.submitted(land.village.first, land.eligible(land.village, ground(0, 0)))
    land.people.do(land.registry.first, "project.publish", NameProject(project=project))
    command: Any = (
        NameProject(project=project) if by == "owner" else RejectProject(project=project, reason="duplicate")
    )
    actor = land.village.first if by == "owner" else land.registry.first
    land.people.do(actor, act, command)
    with pytest.raises(TransitionRefused):
        land.people.do(land.validator, "project.validate", NameProject(project=project))


def test_nobody_else_withdraws_my_project(land: Land, operator: Mandate) -> None:
    project = land.submitted(land.village.first, land.eligible(land.village, ground(0, 0)))
    with pytest.raises(NotFound):
        land.people.do(operator, "project.withdraw", NameProject(project=project))


def test_terminal_states_of_a_project_are_terminal() -> None:
    assert PROJECT.terminal == {"rejected", "withdrawn"}
    assert {action for state, action in PROJECT.steps if state == "active"} == {"add_parcel"}
