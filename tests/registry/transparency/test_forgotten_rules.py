"""A registry that forgets one of its own rules about land writes signed entries, with tables to match. The
audit finds each, by the check whose rule was forgotten.
"""

from datetime import date
from typing import Any

import pytest

from auditor.history import ToldParcel
from ledger.effects import Transition
from registry.acts import SYSTEM
from registry.issuance import service as issuing
from registry.parcels import life
from registry.projects import service as projects
from registry.projects import succession
from registry.projects.rules import DateRange
from registry.projects.service import AddParcel
from tests.registry.life import (
    approve,
    draft,
    eligible,
    part,
    proposal,
    propose,
    reinstate,
    split,
    suspend,
)
from tests.registry.story import KG, Story
from tests.registry.transparency.forging import forge, found, written
from tests.registry.transparency.telling import Telling, approval, failed, making

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"])


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let a function of a module say something else."""

    def put(module: Any, name: str, answer: Any = None) -> None:
        monkeypatch.setattr(module, name, answer if callable(answer) else lambda *_, **__: answer)

    return put


def test_a_parcel_reinstated_as_what_it_was_not_is_found_as_i8(story: Story, forget: Any) -> None:
    suspend(story, story.parcels[0])
    forget(life, "state_before_suspension", "eligible")
    reinstate(story, story.parcels[0])
    checks = found(story)
    assert set(checks) == {"I8"}
    assert checks["I8"][0].what == "it was enrolled before"


def test_units_issued_for_a_suspended_parcel_are_found_as_i8(story: Story, forget: Any) -> None:
    story.proposed(KG)
    suspend(story, story.parcels[0])
    forget(issuing, "require_not_suspended")
    story.approve()
    checks = found(story)
    assert set(checks) == {"I8"}
    assert checks["I8"][0].what == "units are issued for it while it is suspended"


def test_a_parcel_that_joins_for_days_that_are_over_is_found_as_i8(story: Story, forget: Any) -> None:
    alone = eligible(story, "middle", part(1, 1.5, n=2))
    forget(projects, "check_joining")
    join = AddParcel(project=story.project_id, parcel=alone, from_on="2024-01-01")
    story.both("operator", "registry", "project.add_parcel", join)
    checks = found(story)
    assert set(checks) == {"I8"}
    assert "it joins on 2024-01-01, the earliest is 2025-" in checks["I8"][0].what


def test_a_parcel_superseded_without_an_approval_is_found_as_i8(story: Story) -> None:
    facts = {"succession": "none", "ended_on": "2024-01-01", "successors": []}
    forge(story, written(story, SYSTEM, "parcel", "supersede", story.parcels[0], facts), SYSTEM)
    assert "no approved succession supersedes it" in str(found(story)["I8"][0])


def test_claims_carried_beyond_their_end_are_found_as_i8(story: Story, forget: Any) -> None:
    forget(succession, "_check_dates", DateRange("2024-01-01", "2050-01-01"))
    split(story)
    checks = found(story)
    assert set(checks) == {"I8"}
    assert "2050-01-01" in checks["I8"][0].what


def test_a_split_within_a_measured_period_is_found_as_i8(issued: Story, forget: Any) -> None:
    forget(succession, "project_periods", [])
    split(issued, from_on="2023-07-01")
    checks = found(issued)
    assert "I8" in checks
    assert f"the period {issued.period} holds 2023-07-01" in {one.what for one in checks["I8"]}


def test_shares_that_do_not_add_up_are_found_as_i7(story: Story, forget: Any) -> None:
    forget(succession, "largest_remainder", (250_000, 750_001))
    forget(succession, "_check_shape")
    split(story)
    checks = found(story)
    assert set(checks) == {"I7"}
    assert "add up to 1000001 ppm" in checks["I7"][0].what


def test_parts_that_leave_ground_out_are_found_as_i7(story: Story, forget: Any) -> None:
    forget(succession, "_check_kept")
    forget(succession, "_check_sums")
    heirs = [draft(story, "upper", part(0, 0.25)), draft(story, "upper", part(0.5, 1))]
    approve(story, propose(story, proposal(story, "split", story.parcels[:1], heirs)))
    checks = found(story)
    assert set(checks) == {"I7"}
    assert "are tolerated" in checks["I7"][0].what


def test_parts_that_claim_the_same_ground_are_found_as_i4(story: Story, forget: Any) -> None:
    """Their areas add up all the same: what one has twice another lacks."""
    for name in ("_check_kept", "_check_apart"):
        forget(succession, name)
    forget(projects, "refuse_all")
    heirs = [draft(story, "upper", part(0, 0.6)), draft(story, "upper", part(0.4, 0.8))]
    approve(story, propose(story, proposal(story, "split", story.parcels[:1], heirs)))
    checks = found(story)
    assert set(checks) == {"I4"}
    assert any(heirs[0] in one.what for one in checks["I4"])


def test_shared_ground_that_is_not_the_outlines_is_found_as_c1(story: Story, forget: Any) -> None:
    right = succession._cm2
    forget(succession, "_cm2", lambda ground: right(ground) + (50 if ground is not None else 0))
    split(story)
    assert set(found(story)) == {"C1"}


# ---- judged without a registry -----------------------------------------------------------------------------


def test_units_for_a_parcel_whose_claim_ended_before_are_found_as_i7(dialect: str) -> None:
    telling = Telling()
    telling.verified({1: 5_000, 2: 5_000})
    telling.history.claims["claim 2"].ended_on = date(2023, 12, 31).isoformat()
    plan = telling.plan()
    report = telling.see("issuance", "approve", "issuance", approval(plan), making(plan))
    assert failed(report) == {"I7"}
    assert report.findings[0].where.endswith("parcel 2")


def test_a_claim_that_another_entry_takes_along_is_found_as_i8(dialect: str) -> None:
    telling = Telling()
    telling.history.land["parcel 1"] = ToldParcel("enrolled", 1)
    effect = Transition("claim", "claim 1", "end", "active", "ended")
    report = telling.see("parcel", "suspend", "parcel 1", {"ended_on": "2024-01-01"}, [effect])
    assert failed(report) == {"I8"}
