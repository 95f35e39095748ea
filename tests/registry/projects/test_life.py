"""Parcels that are split, merged, surveyed again, suspended, renewed and closed, in an active project."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from ledger.units import UnitRange
from registry.accounts.service import NotFound
from registry.documents.serials import Serial, UnitKind
from registry.issuance.models import Batch
from registry.machine import TransitionRefused
from registry.office import Outcome
from registry.parcels.life import (
    RenewTenure,
    ancestors,
    steps_of_parcel,
    successors,
    tenure_ending_before,
)
from registry.parcels.models import Parcel, ParcelVersion
from registry.parcels.public import ParcelPublic, set_masked
from registry.parcels.rules import AreaDiffers, ParcelSuspended, TenureNotLonger
from registry.projects.models import Succession
from registry.projects.rules import (
    AddedGroundTaken,
    ClaimEndRefused,
    DateInvalid,
    GroundNotKept,
    JoiningRefused,
    ParcelNamedTwice,
    ParcelsUnfit,
    PredecessorsDiffer,
    PredecessorUnfit,
    SharesDoNotAdd,
    SuccessionInPeriod,
    SuccessionShape,
    SuccessorsOverlap,
    TenureTooShort,
)
from registry.projects.service import AddParcel, CloseParcel, project_claims, project_parcels
from registry.projects.succession import RefuseSuccession
from registry.transparency.overview import public_parcels, summary
from registry.transparency.trace import trace
from tests.registry.life import (
    approve,
    claims_of,
    draft,
    eligible,
    green,
    part,
    proposal,
    propose,
    reinstate,
    split,
    state,
    suspend,
)
from tests.registry.story import KG, SIDE_DEGREES, Story

# ---- split, merge, boundary --------------------------------------------------------------------------------


def test_a_parcel_is_split_after_its_first_issued_period_and_the_next_one_credits_the_parts(
    issued: Story,
) -> None:
    story = issued
    old = story.parcels[0]
    west, east = split(story)
    assert [state(story, one) for one in (old, west, east)] == ["superseded", "enrolled", "enrolled"]
    assert claims_of(story, old) == [("ended", "2023-01-01", "2024-01-01")]
    assert claims_of(story, west) == claims_of(story, east) == [("active", "2024-01-01", "2043-01-01")]
    with story.installation.database.read() as session:
        numbers = {one.number: one.parcel_id for one in project_parcels(session, story.project_id)}
        areas = [session.get_one(ParcelVersion, (one, 1)).area_cm2 for one in (west, east, old)]
        credited = {
            claim.parcel_id: claim.credited_cm2 for claim in project_claims(session, story.project_id)
        }
    assert [numbers[4], numbers[5]] == [west, east]
    assert areas[0] + areas[1] == pytest.approx(areas[2], abs=1)
    assert credited[west] + credited[east] <= credited[old] + 1

    story.issued(
        {2: 30_000, 3: 17_000, 4: 10_000, 5: 30_000}, from_on=date(2024, 1, 1), to_on=date(2025, 1, 1)
    )
    with story.installation.database.read() as session:
        (home,) = trace(session, first_serial(story)).homes
        assert (home.parcel, home.number, home.status) == (old, 1, "superseded")
        shares = {one.parcel: one.share_ppm for one in home.successors}
        assert sum(shares.values()) == 1_000_000
        assert shares[west] == pytest.approx(250_000, abs=2)
        assert [one.predecessor_id for one in ancestors(session, west)] == [old]
    green(story)


def first_serial(story: Story) -> str:
    """The serial of the very first unit: its home is parcel 1."""
    with story.installation.database.read() as session:
        batch = session.scalars(sa.select(Batch).order_by(Batch.number)).first()
        assert batch is not None
        units = UnitRange(1, 1)
        return str(Serial("QZP", "330802", UnitKind.REMOVAL_NATURE, 1, batch.vintage, batch.number, units))


def test_the_parts_become_one_parcel_again_and_lineage_leads_through_both_generations(
    issued: Story,
) -> None:
    old = issued.parcels[0]
    halves = split(issued, at=0.5)
    whole = draft(issued, "upper", part(0, 1))
    approve(issued, propose(issued, proposal(issued, "merge", halves, [whole], "2025-01-01")))
    assert [state(issued, one) for one in (*halves, whole)] == ["superseded", "superseded", "enrolled"]
    assert claims_of(issued, halves[0]) == [("ended", "2024-01-01", "2025-01-01")]
    assert claims_of(issued, whole) == [("active", "2025-01-01", "2043-01-01")]
    with issued.installation.database.read() as session:
        assert [one.predecessor_id for one in ancestors(session, whole)] == [*sorted(halves), old, old]
        after = successors(session, old)
        assert [one.successor_id for one in after] == [*sorted(halves), whole, whole]
        assert sum(one.share_ppm for one in after if one.predecessor_id == old) == 1_000_000
        assert all(one.share_ppm == 1_000_000 for one in after if one.successor_id == whole)
    green(issued)


def test_a_boundary_surveyed_again_says_what_it_adds_and_what_it_loses(issued: Story) -> None:
    (old, *_) = issued.parcels
    north = SIDE_DEGREES / 50
    new = draft(issued, "upper", part(0, 0.98, north=north))
    command = proposal(issued, "boundary", [old], [new])
    succession = propose(issued, command)
    with issued.installation.database.read() as session:
        row = session.get_one(Succession, succession)
        assert [(one, two, ppm) for one, two, _, ppm in row.parts] == [(old, new, 1_000_000)]
    approve(issued, succession)
    assert (state(issued, old), state(issued, new)) == ("superseded", "enrolled")
    green(issued)


def test_what_a_new_boundary_adds_is_nobody_elses(issued: Story) -> None:
    onto_lower = draft(issued, "upper", part(0, 2.1))
    with pytest.raises(AddedGroundTaken) as refused:
        propose(issued, proposal(issued, "boundary", issued.parcels[:1], [onto_lower]))
    assert refused.value.facts["parcel"] == issued.parcels[1]


def test_shares_of_a_split_are_declared_where_area_is_not_the_rule(issued: Story) -> None:
    west, east = split(issued, shares_ppm=[900_000, 100_000])
    with issued.installation.database.read() as session:
        shares = {one.successor_id: one.share_ppm for one in successors(session, issued.parcels[0])}
    assert shares == {west: 900_000, east: 100_000}


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_what_a_collective_hid_stays_hidden_of_the_parts(issued: Story) -> None:
    with issued.installation.database.write() as session:
        set_masked(session, issued["upper"], issued.parcels[0], True, issued.installation.clock.now())
    heirs = split(issued)
    with issued.installation.database.read() as session:
        assert all(session.get_one(ParcelPublic, one).masked for one in heirs)
        assert not session.get_one(ParcelPublic, issued.parcels[1]).masked


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_succession_that_does_not_fit_is_refused_by_name(issued: Story) -> None:
    story, (old, other, _) = issued, issued.parcels
    west, east = draft(story, "upper", part(0, 0.5)), draft(story, "upper", part(0.5, 1))
    short, over = draft(story, "upper", part(0.6, 1)), draft(story, "upper", part(0.4, 1))
    foreign = draft(story, "lower", part(0.5, 1))
    larger = draft(story, "upper", part(0.5, 1), declared_cm2=10**9)
    ending = draft(story, "upper", part(0.5, 1), until="2030-12-31")
    for refusal, asked in (
        (SuccessionShape, proposal(story, "split", [old], [west])),
        (SuccessionShape, proposal(story, "merge", [old], [west])),
        (ParcelNamedTwice, proposal(story, "split", [old], [west, west])),
        (SharesDoNotAdd, proposal(story, "split", [old], [west, east], shares_ppm=[1, 2])),
        (GroundNotKept, proposal(story, "split", [old], [west, short])),
        (SuccessorsOverlap, proposal(story, "split", [old], [west, over])),
        (AreaDiffers, proposal(story, "split", [old], [west, larger])),
        (TenureTooShort, proposal(story, "split", [old], [west, ending])),
        (NotFound, proposal(story, "split", [old], [west, foreign])),
        (NotFound, proposal(story, "split", [other], [west, east])),
        (SuccessionInPeriod, proposal(story, "split", [old], [west, east], "2023-07-01")),
        (ClaimEndRefused, proposal(story, "split", [old], [west, east], "2043-01-01")),
        (DateInvalid, proposal(story, "split", [old], [west, east], "2024-02-30")),
    ):
        with pytest.raises(refusal):
            propose(story, asked)
    suspend(story, old)
    with pytest.raises(PredecessorUnfit):
        propose(story, proposal(story, "split", [old], [west, east]))


def test_an_approval_asks_again_what_the_proposal_asked(issued: Story) -> None:
    """Between the two a period was measured on the parcel as it was."""
    heirs = [draft(issued, "upper", part(0, 0.5)), draft(issued, "upper", part(0.5, 1))]
    succession = propose(issued, proposal(issued, "split", issued.parcels[:1], heirs))
    issued.estimated(KG, from_on=date(2024, 1, 1), to_on=date(2025, 1, 1))
    with pytest.raises(SuccessionInPeriod) as refused:
        approve(issued, succession)
    assert refused.value.facts["period"] == issued.period
    issued.do(
        "registry", "succession.refuse", RefuseSuccession(succession=succession, reason="ground_differs")
    )
    with pytest.raises(TransitionRefused):
        approve(issued, succession)
    assert state(issued, issued.parcels[0]) == "enrolled"


def test_parcels_that_differ_do_not_become_one(issued: Story) -> None:
    """One is in the project, the other is not."""
    alone = eligible(issued, "upper", part(1, 1.5))
    whole = draft(issued, "upper", part(0, 1.5))
    with pytest.raises(PredecessorsDiffer) as refused:
        propose(issued, proposal(issued, "merge", [issued.parcels[0], alone], [whole]))
    assert refused.value.facts["what"] == "state"


def test_land_in_no_project_is_split_too(issued: Story) -> None:
    alone = eligible(issued, "upper", part(1, 1.5))
    with issued.installation.database.read() as session:
        before = summary(session)
    heirs = [draft(issued, "upper", part(1, 1.2)), draft(issued, "upper", part(1.2, 1.5))]
    approve(issued, propose(issued, proposal(issued, "split", [alone], heirs, "2025-06-01")))
    assert [state(issued, one) for one in (alone, *heirs)] == ["superseded", "eligible", "eligible"]
    with issued.installation.database.read() as session:
        after = summary(session)
        assert {one.id for one in public_parcels(session)} == {*issued.parcels, *heirs}
    assert after.to_json()["parcels"] == before.to_json()["parcels"] + 1
    assert after.area_cm2 == pytest.approx(before.area_cm2, abs=2)  # ground is counted once
    green(issued)


def test_a_parcel_does_not_grow_by_a_sliver_at_every_split(issued: Story) -> None:
    """A fifth of a metre along one side: each time within the rule, the third time together not."""
    one, strip_m2 = eligible(issued, "upper", part(1, 1.5)), 0.195 * 333
    for grown in (1, 2, 3):
        east = grown * 2e-6  # degrees
        heirs = [draft(issued, "upper", part(1, 1.2)), draft(issued, "upper", part(1.2, 1.5, east=east))]
        command = proposal(issued, "split", [one], heirs, "2025-06-01")
        if grown == 3:
            break
        approve(issued, propose(issued, command))
        one = draft(issued, "upper", part(1, 1.5, east=east))
        approve(issued, propose(issued, proposal(issued, "merge", heirs, [one], "2025-06-01")))
    with pytest.raises(GroundNotKept) as refusal:
        propose(issued, command)
    assert refusal.value.facts["added_m2"] == pytest.approx(3 * strip_m2, rel=0.02)
    green(issued)


# ---- joining -----------------------------------------------------------------------------------------------


def test_a_parcel_joins_an_active_project_from_a_day_that_is_not_over(issued: Story) -> None:
    alone = eligible(issued, "middle", part(1, 1.5, n=2))
    today = issued.installation.clock.now().date()

    def join(from_on: str) -> Outcome:
        command = AddParcel(project=issued.project_id, parcel=alone, from_on=from_on)
        return issued.both("operator", "registry", "project.add_parcel", command)

    for never in ("2024-01-01", "2043-01-01"):
        with pytest.raises(JoiningRefused):
            join(never)
    issued.estimated(KG, from_on=date(2024, 1, 1), to_on=date(2026, 1, 1))
    with pytest.raises(JoiningRefused):  # inside the open period
        join((today + timedelta(days=3)).isoformat())
    assert join("2026-01-01").answer["number"] == 4
    assert claims_of(issued, alone) == [("active", "2026-01-01", "2043-01-01")]
    assert state(issued, alone) == "enrolled"
    with pytest.raises(ParcelsUnfit):
        join("2026-01-01")
    green(issued)


# ---- suspension, tenure, closing ---------------------------------------------------------------------------


def test_nothing_is_issued_for_a_suspended_parcel_until_it_is_reinstated(story: Story) -> None:
    parcel = story.parcels[0]
    story.proposed(KG)
    suspend(story, parcel)
    assert state(story, parcel) == "suspended"
    with pytest.raises(ParcelSuspended) as refused:
        story.approve()
    assert refused.value.facts["parcel"] == parcel
    assert refused.value.facts["reason"] == "dispute"
    reinstate(story, parcel)
    assert state(story, parcel) == "enrolled"
    story.approve()
    green(story)


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_suspended_parcel_comes_back_as_what_it_was_and_joins_nothing_meanwhile(issued: Story) -> None:
    alone = eligible(issued, "middle", part(1, 1.5, n=2))
    suspend(issued, alone)
    join = AddParcel(project=issued.project_id, parcel=alone, from_on="2026-01-01")
    with pytest.raises(ParcelsUnfit):
        issued.both("operator", "registry", "project.add_parcel", join)
    with pytest.raises(TransitionRefused):
        suspend(issued, alone)
    reinstate(issued, alone)
    assert state(issued, alone) == "eligible"
    with pytest.raises(TransitionRefused):
        reinstate(issued, alone)
    green(issued)


def renew(story: Story, parcel: str, until: date, village: str = "upper") -> Outcome:
    command = RenewTenure(parcel=parcel, until=until, evidence_sha256="d" * 64, certificate="the renewed one")
    return story.both(village, "registry", "parcel.renew_tenure", command)


def test_a_renewed_tenure_is_a_new_version_on_the_same_ground(issued: Story) -> None:
    parcel = issued.parcels[0]
    for late in (date(2060, 12, 31), date(2040, 1, 1)):
        with pytest.raises(TenureNotLonger):
            renew(issued, parcel, late)
    with pytest.raises(NotFound):
        renew(issued, parcel, date(2070, 1, 1), "lower")
    assert renew(issued, parcel, date(2070, 1, 1)).answer["version"] == 2
    with issued.installation.database.read() as session:
        one, two = (session.get_one(ParcelVersion, (parcel, n)) for n in (1, 2))
        assert one.tenure is not None
        assert two.tenure == one.tenure | {"until": "2070-01-01", "certificate": "the renewed one"}
        assert one.wkb == two.wkb
        assert session.get_one(Parcel, parcel).status == "enrolled"
        ending = sa.select(Parcel.id).where(tenure_ending_before("2061-01-01"))
        assert set(session.scalars(ending)) == set(issued.parcels[1:])
    green(issued)


def test_a_suspended_parcel_is_closed_with_what_stays_owed(issued: Story) -> None:
    parcel = issued.parcels[0]
    suspend(issued, parcel)
    close = CloseParcel(
        parcel=parcel,
        ended_on="2024-06-01",
        reason="tenure_end",
        obligations=["report_losses", "keep_forest_cover"],
    )
    issued.do("registry", "parcel.close", close)
    assert state(issued, parcel) == "closed"
    assert claims_of(issued, parcel) == [("ended", "2023-01-01", "2024-06-01")]
    with issued.installation.database.read() as session:
        own = [step for step in steps_of_parcel(session, parcel) if step.machine == "parcel"]
        assert own[-1].obligations == ["keep_forest_cover", "report_losses"]
    green(issued)
