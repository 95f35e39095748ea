"""Two that want the same ground: the refusal opens a case, the registry decides it, others do not see it."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from registry.accounts.service import NotFound
from registry.app import create_app
from registry.machine import Mandate, Role, TransitionRefused
from registry.members import issue_api_key
from registry.projects.disputes import DecideDispute
from registry.projects.models import DisputeCase, DisputeDecision
from registry.projects.rules import ClaimRefused
from registry.transparency.audit import audit
from tests.registry.land import Land, Pair, ground
from tests.registry.projects.test_outside import declared


@pytest.fixture
def neighbours(land: Land) -> Pair:
    return land.pair(Role.COLLECTIVE, "乙村")


def rivals(land: Land, neighbours: Pair) -> tuple[str, list[str]]:
    """A project of the neighbours over the village's registered parcel, and both parcels."""
    first = land.eligible(land.village, ground(0, 0))
    land.registered(land.village.first, first)
    second = land.eligible(neighbours, ground(60, 0), overlap_reason="neighbour_withdraws")
    project = land.submitted(neighbours.first, second)
    land.validated(project)
    return project, [*first, *second]


def refuse(land: Land, project: str) -> None:
    with pytest.raises(ClaimRefused):
        land.register(project)


def cases(land: Land) -> list[DisputeCase]:
    with land.people.installation.database.read() as session:
        found = list(session.scalars(sa.select(DisputeCase)))
        session.expunge_all()
        return found


def test_a_refused_claim_on_anothers_ground_opens_one_case_however_often(
    land: Land, neighbours: Pair
) -> None:
    project, (first, second) = rivals(land, neighbours)
    assert cases(land) == []
    for _ in range(3):
        refuse(land, project)
    (case,) = cases(land)
    assert (case.first, case.second, case.times_seen) == (first, second, 3)
    assert (case.first_holder, case.second_holder) == (land.village.organisation, neighbours.organisation)
    assert case.overlap_cm2 == pytest.approx(40 * 100 * 10_000, rel=1e-3)
    assert case.overlap is not None
    assert case.programme_id == land.programme


def test_who_wants_its_own_ground_twice_has_no_dispute(land: Land) -> None:
    land.registered(land.village.first, land.eligible(land.village, ground(0, 0)))
    again = land.eligible(land.village, ground(0, 0), overlap_reason="neighbour_withdraws")
    project = land.submitted(land.village.first, again)
    land.validated(project)
    refuse(land, project)
    assert cases(land) == []


def test_a_claim_of_another_registry_opens_a_case_too(land: Land) -> None:
    outside = declared(land, outline=ground(0, 0))
    project = land.submitted(land.village.first, land.eligible(land.village, ground(0, 0)))
    land.validated(project)
    refuse(land, project)
    (case,) = cases(land)
    assert (case.first, case.outside, case.first_holder) == (outside, True, None)


def test_cases_met_at_once_are_one(land: Land, neighbours: Pair) -> None:
    """The refusals go out of one group's transaction, and of several."""
    project, _ = rivals(land, neighbours)

    def attempt(_: int) -> None:
        refuse(land, project)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(attempt, range(8)))
    (case,) = cases(land)
    assert case.times_seen == 8


def test_the_registry_decides_once_and_in_the_log(land: Land, neighbours: Pair) -> None:
    project, (first, second) = rivals(land, neighbours)
    refuse(land, project)
    (case,) = cases(land)
    decide = DecideDispute(
        dispute=case.id, decision="first", reason="tenure_proven", document_sha256="a" * 64
    )
    land.people.together(land.registry.first, land.registry.second, "dispute.decide", decide)
    with land.people.installation.database.read() as session:
        decision = session.get_one(DisputeDecision, case.id)
        assert (decision.status, decision.first, decision.second) == ("decided_first", first, second)
    with pytest.raises(TransitionRefused):
        land.people.together(
            land.registry.first,
            land.registry.second,
            "dispute.decide",
            decide.model_copy(update={"decision": "second"}),
        )
    with pytest.raises(sa.exc.DBAPIError), land.people.installation.database.write() as session:
        session.execute(sa.update(DisputeDecision).values(status="decided_second"))  # appended, never changed
    unknown = decide.model_copy(update={"dispute": str(uuid.uuid4())})
    with pytest.raises(NotFound):
        land.people.together(land.registry.first, land.registry.second, "dispute.decide", unknown)
    refuse(land, project)
    assert len(cases(land)) == 1
    assert audit(land.people.installation.home).findings == []


def test_parties_see_their_cases_and_others_do_not(land: Land, neighbours: Pair) -> None:
    project, _ = rivals(land, neighbours)
    refuse(land, project)
    (case,) = cases(land)
    stranger = land.people.member(Role.COLLECTIVE, "丙村")
    with TestClient(create_app(land.people.installation)) as client:

        def asked(by: Mandate, path: str) -> Any:
            return client.get(f"/api/v1/{path}", headers=_key(land, by))

        for party in (land.village.first, neighbours.first, land.registry.first):
            assert [one["id"] for one in asked(party, "disputes").json()["items"]] == [case.id]
            seen = asked(party, f"disputes/{case.id}").json()
            assert (seen["status"], seen["overlap"]["type"]) == ("open", "Polygon")
        for other in (stranger, land.verifier):
            assert asked(other, "disputes").json()["items"] == []
            assert asked(other, f"disputes/{case.id}").status_code == 404
        unseen = asked(stranger, f"disputes/{case.id}").json()
        unknown = asked(stranger, f"disputes/{uuid.uuid4()}").json()
        assert (unseen["code"], unseen["title"]) == (unknown["code"], unknown["title"])

        answer = client.post(
            f"/api/v1/projects/{project}/registration",
            headers=_key(land, land.registry.first) | {"Idempotency-Key": str(uuid.uuid4())},
        )
        assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
        (error,) = answer.json()["errors"]
        assert error["overlap"]["type"] == "Polygon"
        assert {"parcel", "overlap_m2", "overlap_mu", "candidate_share", "neighbour_share"} <= error.keys()
    assert cases(land)[0].times_seen == 2


def test_outside_claims_are_shown_to_whom_they_concern(land: Land) -> None:
    (mine,) = land.eligible(land.village, ground(0, 0))
    outside = declared(land, land.village.first, parcel=mine)
    stranger = land.people.member(Role.COLLECTIVE, "丙村")
    with TestClient(create_app(land.people.installation)) as client:

        def asked(by: Mandate, path: str) -> Any:
            return client.get(f"/api/v1/outside-claims{path}", headers=_key(land, by))

        seen = asked(land.village.first, f"/{outside}").json()
        assert (seen["registry"], seen["parcel"], seen["outline"]["type"]) == ("ccer", mine, "Polygon")
        assert [one["id"] for one in asked(land.verifier, "").json()["items"]] == [outside]
        assert asked(stranger, "").json()["items"] == []
        assert asked(stranger, f"/{outside}").status_code == 404


def _key(land: Land, by: Mandate) -> dict[str, str]:
    return {"Authorization": f"Bearer {issue_api_key(land.people.installation, by)}"}
