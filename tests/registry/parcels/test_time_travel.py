"""What a parcel was at any moment is what was answered at that moment."""

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo.polygon import from_wkb
from registry.accounts.service import NotFound
from registry.clock import milliseconds
from registry.parcels.life import RenewTenure, moment_ms, parcel_then
from registry.parcels.models import Parcel
from registry.parcels.rules import MomentInvalid
from registry.parcels.service import current_version
from registry.projects.service import AddParcel, CloseParcel, project_claims
from tests.registry.life import approve as approve_succession
from tests.registry.life import draft, eligible, part, proposal, propose, reinstate, suspend
from tests.registry.story import Story

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"])


def now_known(story: Story, parcel: str) -> dict[str, Any]:
    """What the tables say of a parcel right now, from other rows than time travel reads."""
    with story.installation.database.read() as session:
        row = session.get_one(Parcel, parcel)
        version = current_version(session, row)
        claims = {
            claim.id: (claim.status, claim.from_on, claim.to_on, claim.credited_cm2)
            for claim in project_claims(session, story.project_id)
            if claim.parcel_id == parcel
        }
        return {
            "status": row.status,
            "version": version.version,
            "tenure": version.tenure,
            "wkb": version.wkb,
            "claims": claims,
        }


def then_known(story: Story, parcel: str, at_ms: int) -> dict[str, Any]:
    with story.installation.database.read() as session:
        then = parcel_then(session, parcel, at_ms)
        return {
            "status": then.status,
            "version": then.version.version,
            "tenure": then.version.tenure,
            "wkb": then.version.wkb,
            "claims": {
                claim.id: (claim.status, claim.from_on, claim.to_on, claim.credited_cm2)
                for claim in then.claims
            },
        }


class Life:
    """One parcel, and what may happen to it in any order; what does not fit its state is left out."""

    def __init__(self, story: Story, n: int) -> None:
        self.story, self.renewals = story, 0
        self.parcel = eligible(story, "upper", part(1, 1.5, n=10 + n))
        self.known: list[tuple[int, dict[str, Any]]] = []

    def take(self, step: str) -> None:
        status = now_known(self.story, self.parcel)["status"]
        fits = {
            "suspend": status in ("eligible", "enrolled"),
            "reinstate": status == "suspended",
            "renew": status in ("eligible", "enrolled", "suspended"),
            "join": status == "eligible",
            "close": status in ("eligible", "enrolled", "suspended"),
            "succeed": status in ("eligible", "enrolled"),
        }
        if fits[step]:
            getattr(self, step)()
            self.look()

    def look(self) -> None:
        at_ms = milliseconds(self.story.installation.clock.now())
        self.known.append((at_ms, now_known(self.story, self.parcel)))
        self.story.advance(hours=7)

    def suspend(self) -> None:
        suspend(self.story, self.parcel)

    def reinstate(self) -> None:
        reinstate(self.story, self.parcel)

    def renew(self) -> None:
        self.renewals += 1
        until = date(2060 + self.renewals, 12, 31)
        renewal = RenewTenure(parcel=self.parcel, until=until, evidence_sha256="d" * 64)
        self.story.both("upper", "registry", "parcel.renew_tenure", renewal)

    def join(self) -> None:
        join = AddParcel(project=self.story.project_id, parcel=self.parcel, from_on="2035-01-01")
        self.story.both("operator", "registry", "project.add_parcel", join)

    def close(self) -> None:
        close = CloseParcel(parcel=self.parcel, ended_on="2036-01-01", reason="owner_request")
        self.story.do("registry", "parcel.close", close)

    def succeed(self) -> None:
        with self.story.installation.database.read() as session:
            version = current_version(session, session.get_one(Parcel, self.parcel))
            assert version.wkb is not None
            ground = from_wkb(version.wkb)
        heir = draft(self.story, "upper", ground)
        command = proposal(self.story, "boundary", [self.parcel], [heir], "2036-01-01")
        approve_succession(self.story, propose(self.story, command))


STEPS = st.sampled_from(["suspend", "reinstate", "renew", "join", "close", "succeed"])


def test_as_of_any_step_of_a_random_life_answers_what_was_known_then(story: Story) -> None:
    lives = iter(range(1000))

    @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(STEPS, min_size=3, max_size=6))
    def holds(steps: list[str]) -> None:
        life = Life(story, next(lives))
        born_ms = milliseconds(story.installation.clock.now())
        life.look()
        for step in steps:
            life.take(step)
        for at_ms, known in life.known:
            assert then_known(story, life.parcel, at_ms) == known
            assert then_known(story, life.parcel, at_ms + 1) == known
        with pytest.raises(NotFound):
            then_known(story, life.parcel, born_ms - 1)

    holds()


def test_a_date_is_the_whole_civil_day_in_china(dialect: str) -> None:
    end = datetime(2025, 3, 3, 16, 0, tzinfo=UTC)  # midnight in China
    assert moment_ms("2025-03-03") == milliseconds(end) - 1
    assert moment_ms("2025-03-03T16:00:00Z") == milliseconds(end)
    assert moment_ms("2025-03-04T00:00:00+08:00") == milliseconds(end)
    for wrong in (
        "2025-02-30",
        "yesterday",
        "2025-03-03T16:00:00",
        "",
        "9999-12-31T23:59:00-10:00",
        "9999-12-31",
        "2025-W10-1",
        "x" * 900,
    ):
        with pytest.raises(MomentInvalid):
            moment_ms(wrong)


def test_the_claim_that_ended_since_is_shown_as_it_ran_then(issued: Story) -> None:
    parcel = issued.parcels[0]
    before = milliseconds(issued.advance(days=1))
    issued.advance(days=1)
    close = CloseParcel(parcel=parcel, ended_on="2024-06-01", reason="owner_request")
    issued.do("registry", "parcel.close", close)
    with issued.installation.database.read() as session:
        (then,) = parcel_then(session, parcel, before).claims
        (now,) = parcel_then(
            session, parcel, before + int(timedelta(days=2) / timedelta(milliseconds=1))
        ).claims
    assert (then.status, then.to_on) == ("active", "2043-01-01")
    assert (now.status, now.to_on) == ("ended", "2024-06-01")
    assert asdict(then) | {"status": "ended", "to_on": "2024-06-01"} == asdict(now)
