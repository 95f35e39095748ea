"""Issuance through the real acts: two organisations, exactly once, everything in one entry."""

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import date
from pathlib import Path
from typing import get_type_hints

import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.replay import LedgerState
from registry.accounts.service import NotFound
from registry.installation import Installation
from registry.issuance import service
from registry.issuance.models import Batch, HomeRange, Issuance
from registry.issuance.rules import AlreadyIssued, IssuanceLapsed, IssuanceNotLapsed
from registry.issuance.service import ApproveIssuance, LapseIssuance, ProposeIssuance, RejectIssuance
from registry.issuance.units import find_serial, free_blocks, serials_of
from registry.machine import NotAuthorised, TransitionRefused
from registry.projects.models import MonitoringPeriod, Project
from registry.verification.rules import UnverifiedQuantity, Verified
from tests.registry.people import request_id
from tests.registry.story import KG, Story


def issued_count(story: Story) -> int:
    with story.installation.database.read() as session:
        return session.query(Issuance).filter(Issuance.status == "issued").count()


def log_size(story: Story) -> int:
    with story.installation.database.read() as session:
        return int(session.execute(sa.select(tables.head.c.size)).scalar_one())


def test_an_issuance_makes_units_buffer_and_residue_in_one_entry(story: Story) -> None:
    outcome = story.issued(KG)

    assert (outcome.answer["units"], outcome.answer["buffer_units"], outcome.answer["residue_kg"]) == (
        87,
        9,
        412,
    )
    assert len(outcome.entries) == 1
    assert story.units("operator") == 78
    assert story.balance(f"buffer:{story.project_id}") == 9
    assert story.balance(f"residue:{story.project_id}") == 412
    assert story.balance(f"issuance:{story.programme}") == -87
    with story.installation.database.read() as session:
        assert session.get_one(MonitoringPeriod, story.period).status == "issued"
        homes = session.scalars(sa.select(HomeRange).order_by(HomeRange.start_number)).all()
        assert [(h.parcel_number, h.start_number, h.end_number, h.buffer) for h in homes] == [
            (1, 1, 36, False), (2, 37, 63, False), (3, 64, 78, False),
            (1, 79, 82, True), (2, 83, 85, True), (3, 86, 87, True),
        ]  # fmt: skip


def test_units_have_serials_that_lead_back_to_their_batch(story: Story) -> None:
    story.issued(KG)
    with story.installation.database.read() as session:
        project = session.get_one(Project, story.project_id)
        account = f"units:{story['operator'].organisation}:{story.programme}"
        (serial,) = serials_of(session, project, free_blocks(session, account, project.id))
        assert str(serial).startswith("QZP1-330802-RN-00001-2023-001-1-78-")
        found = find_serial(session, str(serial))
        assert found is not None
        assert (found[0].id, found[1].vintage, found[2]) == (project.id, 2023, serial)


def test_a_period_over_two_years_makes_two_batches(story: Story) -> None:
    story.issued({1: 10_000, 2: 10_000, 3: 10_500}, from_on=date(2023, 1, 1), to_on=date(2025, 1, 1))
    with story.installation.database.read() as session:
        batches = session.scalars(sa.select(Batch).order_by(Batch.number)).all()
        assert [(b.vintage, b.number, b.start_number, b.end_number) for b in batches] == [
            (2023, 1, 1, 15), (2024, 2, 16, 30),
        ]  # fmt: skip


def test_the_residue_is_carried_into_the_next_period(story: Story) -> None:
    story.issued({1: 1_900, 2: 0, 3: 0})
    outcome = story.issued({1: 200, 2: 0, 3: 0}, from_on=date(2024, 1, 1), to_on=date(2025, 1, 1))
    assert (outcome.answer["units"], outcome.answer["residue_kg"]) == (1, 100)
    assert story.balance(f"residue:{story.project_id}") == 100


def test_a_period_too_small_for_a_unit_is_issued_without_a_batch(story: Story) -> None:
    outcome = story.issued({1: 300, 2: 100, 3: 12})
    assert (outcome.answer["units"], outcome.answer["batches"]) == (0, [])
    assert story.balance(f"residue:{story.project_id}") == 412
    with story.installation.database.read() as session:
        assert session.get_one(MonitoringPeriod, story.period).status == "issued"


# ---- exactly once ------------------------------------------------------------------------------------------


def test_a_second_issuance_of_the_period_is_refused_with_its_code(story: Story) -> None:
    story.issued(KG)
    size = log_size(story)
    with pytest.raises(AlreadyIssued) as refused:
        story.do("operator", "issuance.propose", ProposeIssuance(period=story.period))
    assert refused.value.code == "already_issued"
    with pytest.raises(AlreadyIssued):
        story.approve()
    assert log_size(story) == size


def test_the_same_request_id_returns_the_first_answer(story: Story) -> None:
    story.proposed(KG)
    request = request_id()
    first = story.approve(request)
    size = log_size(story)
    office = story.installation.office
    again = office.execute(
        story["operator"], "issuance.approve", ApproveIssuance(issuance=story.issuance), request
    )
    confirmed = office.confirm(story["issuer"], request)

    assert again.replayed
    assert again.answer == confirmed.answer == first.answer
    assert log_size(story) == size


def approvals(story: Story, count: int) -> list[str]:
    """Requests, each signed by the operator and waiting for the issuer, over different proposals of
    one period.
    """
    period, requests = story.verified(KG), []
    for _ in range(count):
        proposed = story.do("operator", "issuance.propose", ProposeIssuance(period=period))
        command = ApproveIssuance(issuance=str(proposed.answer["issuance"]))
        requests.append(request_id())
        awaiting = story.installation.office.execute(
            story["operator"], "issuance.approve", command, requests[-1]
        )
        assert awaiting.status == "awaiting"
    return requests


def test_of_parallel_approvals_one_issues_and_the_others_are_refused(story: Story) -> None:
    office = story.installation.office
    futures = [office.send_confirmation(story["issuer"], request) for request in approvals(story, 6)]
    wait(futures)
    refusals = [future.exception() for future in futures if future.exception() is not None]

    assert len(refusals) == 5
    assert all(isinstance(refusal, AlreadyIssued) for refusal in refusals)
    assert issued_count(story) == 1
    assert story.balance(f"issuance:{story.programme}") == -87


def test_two_servers_on_one_database_issue_once(story: Story) -> None:
    requests = approvals(story, 4)
    second = Installation.open(story.installation.home)
    offices = [story.installation.office, second.office]

    def confirm(n: int) -> str:
        try:
            return offices[n % 2].confirm(story["issuer"], requests[n]).status
        except AlreadyIssued as refused:
            return refused.code

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(confirm, range(4)))
    second.close()

    assert sorted(answers) == ["already_issued"] * 3 + ["done"]
    assert issued_count(story) == 1


def test_the_database_itself_refuses_a_second_issuance(story: Story) -> None:
    story.issued(KG)
    with (
        pytest.raises(sa.exc.IntegrityError),
        story.installation.database.write() as session,
    ):
        row = session.get_one(Issuance, story.issuance)
        copied = {column.key: getattr(row, column.key) for column in sa.inspect(Issuance).columns}
        session.add(Issuance(**{**copied, "id": request_id()}))


# ---- who may, and when -------------------------------------------------------------------------------------


def test_issuance_knows_no_estimate() -> None:
    """What it issues it can only have from verification, whose `Verified` a verifier signed (D1)."""
    sources = {
        path.name: path.read_text(encoding="utf-8") for path in Path(service.__file__).parent.glob("*.py")
    }
    assert [name for name, source in sources.items() if "registry.estimates" in source] == []
    assert get_type_hints(service.Case)["verified"] is Verified


def test_an_unverified_quantity_is_not_issued(story: Story) -> None:
    story.estimated(KG)
    with pytest.raises(UnverifiedQuantity) as refused:
        story.do("operator", "issuance.propose", ProposeIssuance(period=story.period))
    assert refused.value.code == "unverified_quantity"


def test_only_the_owner_or_the_registry_proposes(story: Story) -> None:
    period = story.verified(KG)
    other = story.people.member(story["operator"].role, "another operator")
    with pytest.raises(NotFound):
        story.people.do(other, "issuance.propose", ProposeIssuance(period=period))


def test_the_proposer_does_not_approve_alone(story: Story) -> None:
    story.proposed(KG)
    command, request = ApproveIssuance(issuance=story.issuance), request_id()
    awaiting = story.installation.office.execute(story["operator"], "issuance.approve", command, request)
    assert awaiting.status == "awaiting"
    with pytest.raises(NotAuthorised):
        story.installation.office.confirm(story["operator 2"], request)
    assert issued_count(story) == 0


def test_the_issuer_rejects_with_a_reason(story: Story) -> None:
    story.proposed(KG)
    story.do(
        "issuer", "issuance.reject", RejectIssuance(issuance=story.issuance, reason_code="figures_unclear")
    )
    with pytest.raises(TransitionRefused):
        story.approve()


def test_a_proposal_lapses(story: Story) -> None:
    story.proposed(KG)
    with pytest.raises(IssuanceNotLapsed):
        story.do("operator", "issuance.lapse", LapseIssuance(issuance=story.issuance))
    story.advance(days=30)
    with pytest.raises(IssuanceLapsed):
        story.approve()
    story.do("operator", "issuance.lapse", LapseIssuance(issuance=story.issuance))
    with story.installation.database.read() as session:
        assert session.get_one(Issuance, story.issuance).status == "lapsed"


def test_the_log_with_an_issuance_replays_from_its_tiles(story: Story) -> None:
    story.issued(KG)
    tiles = story.installation.tiles
    state = LedgerState()
    for leaf in tiles.read_entries(0, tiles.published_size()):
        state.apply(leaf)
    assert state.books.last_number(story.project_id) == 87
