"""What the tests do with a story's land after it was found eligible: drafts of its parts, and what becomes of
them.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from shapely import box

from geo.crs import Polygonal, area_m2
from geo.polygon import canonical, to_wkb
from registry.office import Outcome
from registry.parcels.life import ReinstateParcel, SuspendParcel
from registry.parcels.models import Parcel, ParcelDraft
from registry.parcels.service import AcceptParcel, FindEligible, SubmitParcel
from registry.projects.service import project_claims
from registry.projects.succession import NameSuccession, ProposeSuccession
from registry.transparency.audit import audit
from tests.registry.story import DIGEST, SIDE_DEGREES, Story

WEST, SOUTH = 118.9, 28.95


def part(from_share: float, to_share: float, n: int = 0, **beyond: float) -> Polygonal:
    """A part of the n-th village's square, cut along meridians; `beyond` moves sides by degrees."""
    west = WEST + 2 * n * SIDE_DEGREES
    return canonical(
        box(
            west + from_share * SIDE_DEGREES,
            SOUTH,
            west + to_share * SIDE_DEGREES + beyond.get("east", 0.0),
            SOUTH + SIDE_DEGREES + beyond.get("north", 0.0),
        )
    )


def draft(story: Story, village: str, ground: Polygonal, **changed: Any) -> str:
    """A draft of a village, as an import would leave it."""
    area_cm2 = round(area_m2(ground) * 10_000)
    tenure = {"until": "2060-12-31", "declared_cm2": area_cm2, "certificate": "a new one"}
    id_ = str(uuid.uuid4())
    with story.installation.database.write() as session:
        session.add(
            ParcelDraft(
                id=id_,
                organisation_id=story[village].organisation,
                import_id=str(uuid.uuid4()),
                row_number=1,
                wkb=to_wkb(ground),
                area_cm2=area_cm2,
                county="330802",
                code="1",
                village=f"{village}村",
                stand_type="cunninghamia",
                tenure=tenure | changed,
                attributes={"compartment": "12", "subcompartment": id_[:4]},
                source_sha256=DIGEST,
                submitted=False,
                created_at=story.installation.clock.now(),
            )
        )
    return id_


def proposal(
    story: Story,
    kind: str,
    predecessors: Sequence[str],
    heirs: Sequence[str],
    from_on: str = "2024-01-01",
    **more: Any,
) -> ProposeSuccession:
    return ProposeSuccession(
        kind=kind,  # type: ignore[arg-type] # a test's text
        programme=story.programme,
        predecessors=list(predecessors),
        successors=list(heirs),
        from_on=from_on,
        evidence_sha256=DIGEST,
        resolution_sha256="c" * 64,
        **more,
    )


def propose(story: Story, command: ProposeSuccession, village: str = "upper") -> str:
    outcome = story.both(village, f"{village} 2", "succession.propose", command)
    return str(outcome.answer["succession"])


def approve(story: Story, succession: str) -> Outcome:
    return story.both("registry", "registry 2", "succession.approve", NameSuccession(succession=succession))


def split(story: Story, at: float = 0.25, from_on: str = "2024-01-01", **more: Any) -> list[str]:
    """The upper village's parcel in two, west and east."""
    heirs = [draft(story, "upper", part(0, at)), draft(story, "upper", part(at, 1))]
    approve(story, propose(story, proposal(story, "split", story.parcels[:1], heirs, from_on, **more)))
    return heirs


def suspend(story: Story, parcel: str) -> None:
    story.both("registry", "registry 2", "parcel.suspend", SuspendParcel(parcel=parcel, reason="dispute"))


def reinstate(story: Story, parcel: str) -> None:
    command = ReinstateParcel(parcel=parcel, reason="dispute_settled")
    story.both("registry", "registry 2", "parcel.reinstate", command)


def state(story: Story, parcel: str) -> str:
    with story.installation.database.read() as session:
        return session.get_one(Parcel, parcel).status


def claims_of(story: Story, parcel: str) -> list[tuple[str, str, str]]:
    with story.installation.database.read() as session:
        return [
            (claim.status, claim.from_on, claim.to_on)
            for claim in project_claims(session, story.project_id)
            if claim.parcel_id == parcel
        ]


def green(story: Story) -> None:
    assert audit(story.installation.home).findings == []


def eligible(story: Story, village: str, ground: Polygonal) -> str:
    """A reviewed parcel in no project, entrusted to the operator."""
    new = draft(story, village, ground)
    submit = SubmitParcel(
        draft=new,
        evidence_sha256=DIGEST,
        resolution_sha256=DIGEST,
        operator=story["operator"].organisation,
    )
    story.both(village, f"{village} 2", "parcel.submit", submit)
    story.do("reviewer", "parcel.accept", AcceptParcel(parcel=new))
    found = FindEligible(parcel=new, programme=story.programme)
    story.both("reviewer", "registry", "parcel.find_eligible", found)
    return new
