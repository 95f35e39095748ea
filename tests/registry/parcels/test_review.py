"""From draft to eligible: who may, what is checked, and what stays."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from ledger.envelope import decode_leaf
from registry.accounts.service import GrantMandate, NotFound
from registry.machine import Mandate, NotAuthorised, Role, TransitionRefused
from registry.parcels.bulk import send_many
from registry.parcels.models import Parcel, ParcelVersion
from registry.parcels.rules import (
    GONE,
    PARCEL,
    AreaDiffers,
    DraftSubmitted,
    NotAnOperator,
    NothingToExplain,
    NotIndependent,
    NotReviewer,
    OverlapUnexplained,
    WrongDraft,
)
from registry.parcels.service import (
    AcceptParcel,
    FindEligible,
    RejectParcel,
    ReturnParcel,
    SubmitParcel,
    list_parcels,
    load_parcel,
    load_version,
)
from registry.projections import opens_commitment
from registry.transparency.audit import audit
from tests.registry.land import Land, ground, row, some_id


def parcel_of(land: Land, parcel: str) -> Parcel:
    with land.people.installation.database.read() as session:
        row_ = load_parcel(session, parcel)
        session.expunge(row_)
        return row_


def test_a_parcel_goes_from_draft_to_eligible_and_the_audit_agrees(land: Land) -> None:
    (parcel,) = land.eligible(land.village, ground(0, 0))
    row_ = parcel_of(land, parcel)
    assert (row_.status, row_.version, row_.reviewer_id) == ("eligible", 1, land.verifier.organisation)
    assert audit(land.people.installation.home).findings == []


def test_outline_and_names_are_committed_and_not_in_the_log(land: Land) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    installation = land.people.installation
    tiles = installation.tiles
    payloads = [decode_leaf(leaf)[1].payload for leaf in tiles.read_entries(0, tiles.published_size())]
    assert sum(parcel.encode() in payload for payload in payloads) == 1
    with installation.database.read() as session:
        version = load_version(session, parcel, 1)
        assert opens_commitment(version)
        assert version.wkb is not None
        assert not any(version.wkb.hex().encode() in payload for payload in payloads)
        assert not any("甲村".encode() in payload for payload in payloads)
        version.village = "乙村"
        assert not opens_commitment(version)
        session.expunge(version)


def test_two_persons_of_the_collective_submit(land: Land) -> None:
    (draft,) = land.drafts(land.village, ground(0, 0))
    command = SubmitParcel(draft=draft, evidence_sha256="e" * 64, resolution_sha256="f" * 64)
    office = land.people.installation.office
    waiting = office.execute(land.village.first, "parcel.submit", command, some_id())
    assert waiting.status == "awaiting"
    stranger = land.people.member(Role.COLLECTIVE, "乙村")
    with pytest.raises(NotAuthorised):
        office.confirm(stranger, waiting.request_id)
    assert office.confirm(land.village.second, waiting.request_id).status == "done"


def test_evidence_and_resolution_are_needed() -> None:
    with pytest.raises(ValidationError):
        SubmitParcel.model_validate({"draft": "d", "evidence_sha256": "e" * 64})
    with pytest.raises(ValidationError):
        SubmitParcel(draft="d", evidence_sha256="none", resolution_sha256="f" * 64)


def test_anothers_draft_does_not_exist_for_me(land: Land) -> None:
    (draft,) = land.drafts(land.village, ground(0, 0))
    other = land.pair(Role.COLLECTIVE, "乙村")
    with pytest.raises(NotFound):
        land.submit(other, draft)


def test_a_draft_is_submitted_once(land: Land) -> None:
    (draft,) = land.drafts(land.village, ground(0, 0))
    land.submit(land.village, draft)
    with pytest.raises(DraftSubmitted):
        land.submit(land.village, draft)


def test_a_parcel_is_entrusted_to_operators_only(land: Land) -> None:
    (draft,) = land.drafts(land.village, ground(0, 0))
    with pytest.raises(NotAnOperator):
        land.submit(land.village, draft, operator=land.verifier.organisation)
    with pytest.raises(NotFound):
        land.submit(land.village, draft, operator="nobody")


def test_a_verifier_with_an_interest_cannot_take_the_review(land: Land) -> None:
    operator = land.people.member(Role.OPERATOR, "两山公司")
    (draft,) = land.drafts(land.village, ground(0, 0))
    parcel = land.submit(land.village, draft, operator=operator.organisation)
    people, root = land.people, land.people.installation.root
    for party in (land.village.organisation, operator.organisation):
        grant = GrantMandate(person=land.verifier.person, organisation=party, role=Role.OPERATOR)
        mandate = str(people.do(root, "mandate.grant", grant).answer["mandate"])
        with pytest.raises(NotIndependent) as refusal:
            people.do(land.verifier, "parcel.accept", AcceptParcel(parcel=parcel))
        assert refusal.value.facts["reason"] == "shared_person"
        with people.installation.database.write() as session:  # the person leaves the party again
            session.execute(sa.text("update mandate set status = 'ended' where id = :id"), {"id": mandate})
    people.do(land.verifier, "parcel.accept", AcceptParcel(parcel=parcel))


def test_a_verifier_cannot_review_land_of_its_own_organisation(land: Land) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    insider = land.people.person(land.village.organisation, Role.VERIFIER)
    with pytest.raises(NotIndependent):
        land.people.do(insider, "parcel.accept", AcceptParcel(parcel=parcel))


def test_only_who_took_the_review_goes_on_with_it(land: Land) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    land.people.do(land.verifier, "parcel.accept", AcceptParcel(parcel=parcel))
    with pytest.raises(NotReviewer):
        land.people.do(land.validator, "parcel.return", ReturnParcel(parcel=parcel, reason="boundary_wrong"))


def test_a_verifier_alone_or_with_a_colleague_finds_nothing_eligible(land: Land) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    land.people.do(land.verifier, "parcel.accept", AcceptParcel(parcel=parcel))
    command = FindEligible(parcel=parcel, programme=land.programme)
    office = land.people.installation.office
    waiting = office.execute(land.verifier, "parcel.find_eligible", command, some_id())
    assert waiting.status == "awaiting"
    for confirmer in (land.people.colleague(land.verifier), land.people.member(Role.OPERATOR, "operator")):
        with pytest.raises(NotAuthorised):
            office.confirm(confirmer, waiting.request_id)
    assert office.confirm(land.registry.second, waiting.request_id).status == "done"


def test_an_area_beside_the_certificate_is_not_eligible(land: Land) -> None:
    """R-02: five per cent."""
    within, beyond = ground(0, 0), ground(500, 0)
    exact_mu = row(1, within)[1]["面积亩"]
    near = land.drafts(land.village, within, 面积亩=exact_mu / 1.049)[0]
    far = land.drafts(land.village, beyond, 面积亩=exact_mu / 1.051)[0]
    land.review(land.submit(land.village, near))
    with pytest.raises(AreaDiffers) as refusal:
        land.review(land.submit(land.village, far))
    assert refusal.value.facts["differs_ppm"] == pytest.approx(51_000, abs=20)
    assert refusal.value.facts["area_mu"] == "14.9999"


def test_ground_of_another_live_parcel_must_be_explained(land: Land) -> None:
    other = land.pair(Role.COLLECTIVE, "乙村")
    held = land.submit(other, land.drafts(other, ground(0, 0))[0])
    parcel = land.submit(land.village, land.drafts(land.village, ground(80, 0))[0])
    with pytest.raises(OverlapUnexplained) as refusal:
        land.review(parcel)
    found: Any = refusal.value.facts["overlaps"]
    (named,) = found
    assert (named["parcel"], named["overlap_mu"]) == (held, "3.0000")
    command = FindEligible(parcel=parcel, programme=land.programme, overlap_reason="neighbour_withdraws")
    land.people.together(land.verifier, land.registry.first, "parcel.find_eligible", command)
    assert parcel_of(land, parcel).status == "eligible"


def test_there_is_nothing_to_explain_about_clean_ground_or_slivers(land: Land) -> None:
    other = land.pair(Role.COLLECTIVE, "乙村")
    land.submit(other, land.drafts(other, ground(0, 0))[0])
    (draft,) = land.drafts(land.village, ground(99.8, 0))
    with pytest.raises(NothingToExplain):
        land.review(land.submit(land.village, draft), "survey_accuracy")


def test_a_returned_parcel_gets_a_new_version_and_keeps_the_old(land: Land) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    people = land.people
    people.do(land.verifier, "parcel.accept", AcceptParcel(parcel=parcel))
    people.do(land.verifier, "parcel.return", ReturnParcel(parcel=parcel, reason="boundary_wrong"))
    (corrected,) = land.drafts(land.village, ground(0, 0, 120, 100))
    assert land.submit(land.village, corrected, parcel=parcel) == parcel
    row_ = parcel_of(land, parcel)
    assert (row_.status, row_.version, row_.reviewer_id) == ("submitted", 2, None)
    with people.installation.database.read() as session:
        versions = session.scalars(sa.select(ParcelVersion.area_cm2).order_by(ParcelVersion.version)).all()
    assert [round(area / 10**8, 2) for area in versions] == [1.0, 1.2]
    land.review(parcel)
    assert audit(people.installation.home).findings == []


def test_a_returned_parcel_takes_its_own_or_a_new_draft_only(land: Land) -> None:
    first, second = land.drafts(land.village, ground(0, 0), ground(200, 0))
    parcel, other = land.submit(land.village, first), land.submit(land.village, second)
    land.people.do(land.verifier, "parcel.accept", AcceptParcel(parcel=parcel))
    land.people.do(land.verifier, "parcel.return", ReturnParcel(parcel=parcel, reason="tenure_unproven"))
    with pytest.raises(WrongDraft):
        land.submit(land.village, other, parcel=parcel)
    assert land.submit(land.village, first, parcel=parcel) == parcel


def test_a_parcel_under_review_cannot_be_replaced(land: Land) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    (another,) = land.drafts(land.village, ground(0, 0, 120, 100))
    with pytest.raises(TransitionRefused):
        land.submit(land.village, another, parcel=parcel)


def test_a_rejected_parcel_stays_rejected_and_frees_its_ground(land: Land) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    people = land.people
    people.do(land.verifier, "parcel.accept", AcceptParcel(parcel=parcel))
    reject = RejectParcel(parcel=parcel, reason="land_use_unfit")
    people.together(land.verifier, land.registry.first, "parcel.reject", reject)
    with pytest.raises(TransitionRefused):
        people.do(land.verifier, "parcel.return", ReturnParcel(parcel=parcel, reason="boundary_wrong"))
    land.eligible(land.village, ground(10, 0))


def test_many_parcels_are_sent_in_one_batch_and_sent_again_without_harm(land: Land) -> None:
    drafts = land.drafts(land.village, *(ground(200 * n, 0) for n in range(20)))
    commands = {
        draft: SubmitParcel(draft=draft, evidence_sha256="e" * 64, resolution_sha256="f" * 64)
        for draft in [*drafts, some_id()]
    }
    batch, office = some_id(), land.people.installation.office
    first, second = land.village.first, land.village.second
    done = send_many(office, first, "parcel.submit", commands, batch, second)
    again = send_many(office, first, "parcel.submit", commands, batch, second)
    for result in (done, again):
        assert {o.status for o in result.outcomes.values()} == {"done"}
        assert set(result.outcomes) == set(drafts)
        assert [type(refusal) for refusal in result.refusals.values()] == [NotFound]
    with land.people.installation.database.read() as session:
        assert len(list_parcels(session, land.village.organisation, "submitted")) == 20


def test_no_step_leaves_a_terminal_state() -> None:
    assert PARCEL.terminal == set(GONE) == {"rejected", "superseded", "closed"}


@pytest.fixture
def everyone(land: Land) -> dict[Role, Mandate]:
    kinds = [role for role in Role if role not in (Role.ROOT, Role.SYSTEM)]
    return {role: land.people.member(role, role.value) for role in kinds}


def test_only_a_verifier_takes_a_review(land: Land, everyone: dict[Role, Mandate]) -> None:
    parcel = land.submit(land.village, land.drafts(land.village, ground(0, 0))[0])
    for role, mandate in everyone.items():
        if role is not Role.VERIFIER:
            with pytest.raises(NotAuthorised):
                land.people.do(mandate, "parcel.accept", AcceptParcel(parcel=parcel))
    land.people.do(everyone[Role.VERIFIER], "parcel.accept", AcceptParcel(parcel=parcel))


def test_rights_that_ended_before_today_are_not_taken(land: Land) -> None:
    today = land.people.installation.clock.now().astimezone(UTC)
    assert today > datetime(2025, 1, 1, tzinfo=UTC)
    report = land.bring(land.village.first, land.file([row(1, ground(0, 0), 期限至="2025-03-02")]))
    assert [problem.code for problem in report.problems] == ["tenure_over"]
