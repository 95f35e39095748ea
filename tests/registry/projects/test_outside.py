"""Ground that another registry credits is claimed here too (R-07), as soon as somebody says so."""

import json
from typing import Any

import pytest
import shapely
import sqlalchemy as sa

from geo.errors import CoordinatesOutOfRange, GeometryEmpty, GeometryInvalid, GeometryNotPolygonal
from geo.polygon import Polygonal
from registry.accounts.service import NotFound
from registry.issuance.claims import require_ground
from registry.machine import Mandate, NotAuthorised, Role, TransitionRefused
from registry.parcels.rules import GroundErased
from registry.projects.models import LandClaim, OutsideClaim
from registry.projects.outside import DeclareOutsideClaim, WithdrawOutsideClaim, read_outline
from registry.projects.rules import (
    ClaimedOutside,
    OutlineNotOwn,
    OutlineUnreadable,
    OutsideDatesRefused,
    OutsideGroundUnstated,
)
from registry.projects.service import load_period, load_project
from registry.records.service import EraseRecord
from registry.transparency.audit import audit
from tests.registry.land import Land, ground


def declared(land: Land, by: Mandate | None = None, outline: Polygonal | None = None, **changed: Any) -> str:
    """An outside claim under the national scheme, by default drawn by the registry."""
    asked: dict[str, Any] = {
        "registry": "ccer",
        "foreign_id": "CCER-2024-017",
        "pools": ["forest-biomass"],
        "from_on": "2018-01-01",
        "to_on": "2038-01-01",
        "evidence_sha256": "d" * 64,
    }
    if outline is not None:
        asked["outline"] = shapely.to_geojson(outline)
    command = DeclareOutsideClaim(**(asked | changed))
    outcome = land.people.do(by or land.registry.first, "outside_claim.declare", command)
    return str(outcome.answer["outside_claim"])


def waiting(
    land: Land, *outlines: Polygonal, crediting: tuple[str, str] = ("2020-01-01", "2040-01-01")
) -> str:
    """A validated project on some ground."""
    parcels = land.eligible(land.village, *outlines)
    project = land.submitted(land.village.first, parcels, crediting=crediting)
    land.validated(project)
    return project


def test_ground_that_another_registry_credits_is_refused_until_it_is_withdrawn(land: Land) -> None:
    outside = declared(land, outline=ground(50, 0))
    project = waiting(land, ground(0, 0))
    with pytest.raises(ClaimedOutside) as refusal:
        land.register(project)
    facts = refusal.value.facts
    assert (facts["claim"], facts["programme"], facts["project"]) == (outside, "ccer", "CCER-2024-017")
    assert facts["candidate_share"] == pytest.approx(0.5, abs=1e-3)

    withdraw = WithdrawOutsideClaim(outside_claim=outside, reason="cancelled_there")
    with pytest.raises(NotAuthorised):
        land.people.do(land.village.first, "outside_claim.withdraw", withdraw)
    land.people.together(land.registry.first, land.registry.second, "outside_claim.withdraw", withdraw)
    land.register(project)
    with pytest.raises(TransitionRefused):
        land.people.together(land.registry.first, land.registry.second, "outside_claim.withdraw", withdraw)
    assert audit(land.people.installation.home).findings == []


def test_an_owner_declares_it_of_its_own_parcels_only(land: Land) -> None:
    (mine,) = land.eligible(land.village, ground(0, 0))
    other = land.pair(Role.COLLECTIVE, "乙村")
    declared(land, land.village.first, parcel=mine)
    with pytest.raises(NotFound):
        declared(land, other.first, parcel=mine)
    with pytest.raises(OutlineNotOwn):
        declared(land, other.first, ground(0, 0))
    with pytest.raises(NotAuthorised):
        declared(land, land.verifier, parcel=mine)
    project = land.submitted(land.village.first, [mine])
    land.validated(project)
    with pytest.raises(ClaimedOutside) as refusal:
        land.register(project)
    assert refusal.value.facts["parcel"] == mine


def test_it_holds_its_pools_and_its_days_and_waits_as_another_programme_does(land: Land) -> None:
    """Also for days behind its own, until these are over; another pool is free."""
    declared(land, outline=ground(0, 0), pools=["soil"])
    declared(land, outline=ground(300, 0), from_on="2010-01-01", to_on="2020-01-01")
    declared(land, outline=ground(600, 0), from_on="2010-01-01", to_on="2030-01-01")
    land.register(waiting(land, ground(0, 0), ground(300, 0)))
    later = waiting(land, ground(600, 0), crediting=("2030-01-01", "2050-01-01"))
    with pytest.raises(ClaimedOutside):
        land.register(later)


def test_declared_of_a_running_claim_it_stops_the_next_check(land: Land) -> None:
    """What is found out later is not credited twice either."""
    project = waiting(land, ground(0, 0))
    land.register(project)
    period = land.open_period(land.village.first, project, "2020-01-01", "2025-01-01")
    declared(land, outline=ground(0, 0))
    with land.people.installation.database.write() as session, pytest.raises(ClaimedOutside) as refusal:
        require_ground(
            session, load_project(session, project), load_period(session, period), [1], "2025-03-03",
            outlines=False,
        )  # fmt: skip
    assert "overlap" not in refusal.value.facts
    assert audit(land.people.installation.home).findings == []  # when it was claimed it was free


def test_the_audit_finds_an_outside_claim_that_enrolment_did_not_see(land: Land) -> None:
    """By the outline alone: the index and the decision are not asked."""
    outside = declared(land, outline=ground(300, 0))
    land.register(waiting(land, ground(0, 0)))
    with land.people.installation.database.write() as session:
        row = session.get_one(OutsideClaim, outside)
        row.wkb = shapely.to_wkb(ground(20, 0), byte_order=1)
    found = {finding.check for finding in audit(land.people.installation.home).findings}
    assert {"C1", "I4"} <= found


def test_what_is_no_outside_claim_is_refused(land: Land) -> None:
    with pytest.raises(OutsideDatesRefused):
        declared(land, outline=ground(0, 0), from_on="2020-01-01", to_on="2020-01-01")
    with pytest.raises(OutsideGroundUnstated):
        declared(land)
    with land.people.installation.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(OutsideClaim)) == 0


def test_an_erased_neighbour_that_does_not_compete_hinders_nobody(land: Land) -> None:
    """Whose days never met the candidate's; one whose days do still does."""
    past = declared(land, outline=ground(0, 0), from_on="2000-01-01", to_on="2010-01-01")
    present = declared(land, outline=ground(300, 0))
    with land.people.installation.database.read() as session:
        commitments = [session.get_one(OutsideClaim, one).commitment for one in (past, present)]
    for commitment in commitments:
        land.people.together(
            land.registry.first, land.registry.second, "record.erase", EraseRecord(commitment=commitment)
        )
    land.register(waiting(land, ground(0, 0)))
    with pytest.raises(GroundErased):
        land.register(waiting(land, ground(300, 0)))
    with land.people.installation.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(LandClaim)) == 1


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("{}", OutlineUnreadable),
        ("[1]", OutlineUnreadable),
        ("no JSON", OutlineUnreadable),
        ('{"type": "Polygon"}', OutlineUnreadable),
        ('{"type": "Point", "coordinates": [118, 29]}', GeometryNotPolygonal),
        ('{"type": "Polygon", "coordinates": []}', GeometryEmpty),
        (
            '{"type": "Polygon", "coordinates": [[[118,29],[119,30],[119,29],[118,30],[118,29]]]}',
            GeometryInvalid,
        ),
        (
            '{"type": "Polygon", "coordinates": [[[218,29],[219,29],[219,30],[218,29]]]}',
            CoordinatesOutOfRange,
        ),
    ],
)
def test_what_is_no_outline_is_refused(text: str, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        read_outline(text)


def test_an_outline_comes_as_it_was_drawn() -> None:
    drawn = read_outline(json.dumps(shapely.geometry.mapping(ground(0, 0))))
    assert drawn.equals(ground(0, 0))
