"""Rows that the projects room's entries imply."""

from typing import Final

from sqlalchemy.orm import Session

from registry.accounts.models import MandateRow
from registry.parcels.projection import keep_step
from registry.projections import Recorded, begin, follow
from registry.projects.models import (
    DisputeDecision,
    LandClaim,
    MonitoringPeriod,
    OutsideClaim,
    Project,
    ProjectParcel,
    Succession,
)

_KEPT_OF_A_CLAIM: Final = ("project_id", "pool", "from_on", "to_on", "credited_cm2")


def project(session: Session, recorded: Recorded) -> None:
    if recorded.action == "submit":
        _submitted(session, recorded)
        return
    row = follow(session, Project, recorded)
    match recorded.action:
        case "publish":
            row.published_on = recorded.facts["published_on"]
        case "validate":
            row.validator_id = _actor_organisation(session, recorded)
        case "register":
            row.number = recorded.facts["number"]


def _submitted(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    begin(
        session,
        Project,
        recorded,
        programme_id=facts["programme"],
        owner_id=facts["owner"],
        county=facts["county"],
        method=facts["method"],
        crediting_from=facts["crediting_from"],
        crediting_to=facts["crediting_to"],
        benefit_rule=facts["benefit_rule"],
        commitment=recorded.entry.payload.commitments["names"],
    )
    session.flush()
    session.add_all(
        ProjectParcel(project_id=recorded.subject, number=number, parcel_id=parcel, parcel_version=version)
        for number, parcel, version in facts["parcels"]
    )


def claim(session: Session, recorded: Recorded) -> None:
    """Claims begin in the entry that enrols their parcel, and end in the one that closes or supersedes it."""
    facts = recorded.facts
    if recorded.action != "activate":
        row = follow(session, LandClaim, recorded)
        row.to_on = facts["ended_on"]
        columns = {name: getattr(row, name) for name in _KEPT_OF_A_CLAIM}
        keep_step(session, recorded, row.parcel_id, row.parcel_version, **columns)
        return
    pool, credited_cm2 = next(
        (pool, cm2) for claim, pool, cm2 in facts["claims"] if claim == recorded.subject
    )
    columns = {
        "project_id": facts["project"],
        "pool": pool,
        "from_on": facts["from_on"],
        "to_on": facts["to_on"],
        "credited_cm2": credited_cm2,
    }
    parcel = recorded.entry.payload.subject
    _number(session, facts["project"], facts["number"], parcel, facts["version"])
    begin(
        session,
        LandClaim,
        recorded,
        parcel_id=parcel,
        parcel_version=facts["version"],
        programme_id=facts["programme"],
        claimed_index=recorded.index,
        **columns,
    )
    keep_step(session, recorded, parcel, facts["version"], **columns)


def _number(session: Session, project: str, number: int, parcel: str, version: int) -> None:
    """A parcel that joined an active project gets its number with its first claim."""
    if session.get(ProjectParcel, (project, number)) is None:
        session.add(
            ProjectParcel(project_id=project, number=number, parcel_id=parcel, parcel_version=version)
        )
        session.flush()


def outside_claim(session: Session, recorded: Recorded) -> None:
    if recorded.action != "declare":
        follow(session, OutsideClaim, recorded)
        return
    facts = recorded.facts
    begin(
        session,
        OutsideClaim,
        recorded,
        registry_code=facts["registry"],
        foreign_id=facts["foreign_id"],
        pools=",".join(facts["pools"]),
        from_on=facts["from_on"],
        to_on=facts["to_on"],
        organisation_id=facts["organisation"],
        parcel_id=facts["parcel"],
        parcel_version=facts["version"],
        area_cm2=facts["area_cm2"],
        evidence_sha256=facts["evidence_sha256"],
        declared_index=recorded.index,
        commitment=recorded.entry.payload.commitments["ground"],
    )


def dispute(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    begin(
        session,
        DisputeDecision,
        recorded,
        first=facts["first"],
        second=facts["second"],
        programme_id=facts["programme"],
        reason=recorded.entry.payload.reason_code,
        document_sha256=facts["document_sha256"],
    )


def succession(session: Session, recorded: Recorded) -> None:
    if recorded.action != "propose":
        follow(session, Succession, recorded)
        return
    facts = recorded.facts
    begin(
        session,
        Succession,
        recorded,
        organisation_id=facts["organisation"],
        kind=facts["kind"],
        programme_id=facts["programme"],
        project_id=facts["project"],
        from_on=facts["from_on"],
        predecessors=facts["predecessors"],
        successors=facts["successors"],
        parts=facts["parts"],
        evidence_sha256=facts["evidence_sha256"],
        resolution_sha256=facts["resolution_sha256"],
    )


def period(session: Session, recorded: Recorded) -> None:
    """Periods take their run from the entry that records it, and their verifier from the one who accepts
    them.
    """
    if recorded.action == "open":
        facts = recorded.facts
        begin(
            session,
            MonitoringPeriod,
            recorded,
            project_id=facts["project"],
            pools=facts["pools"],
            from_on=facts["from_on"],
            to_on=facts["to_on"],
        )
        return
    row = follow(session, MonitoringPeriod, recorded)
    if recorded.action == "estimate":
        row.run_id = recorded.entry.payload.subject
    elif recorded.action == "accept":
        row.verifier_id = _actor_organisation(session, recorded)


def _actor_organisation(session: Session, recorded: Recorded) -> str:
    return session.get_one(MandateRow, recorded.entry.payload.mandate).organisation_id
