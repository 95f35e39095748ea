"""Rows that the parcels room's entries imply."""

from typing import Any, Final

from sqlalchemy.orm import Session

from registry.accounts.models import MandateRow
from registry.parcels.models import Parcel, ParcelLineage, ParcelStep, ParcelVersion
from registry.projections import Recorded, begin, follow

NEW_VERSIONS: Final = ("submit", "succeed", "renew_tenure")
"""Steps that give a parcel its first or its next version."""


def parcel(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    match recorded.action:
        case "submit" if facts["version"] == 1:
            _born(session, recorded)
        case "submit":
            row = follow(session, Parcel, recorded)
            row.county, row.code = facts["county"], facts["code"]
            row.version, row.operator_id, row.reviewer_id = facts["version"], facts["operator"], None
        case "succeed":
            _born(session, recorded)
        case "renew_tenure":
            follow(session, Parcel, recorded).version = facts["version"]
        case "accept":
            reviewer = session.get_one(MandateRow, recorded.entry.payload.mandate).organisation_id
            follow(session, Parcel, recorded).reviewer_id = reviewer
        case _:
            follow(session, Parcel, recorded)
    if recorded.action in NEW_VERSIONS:
        _add_version(session, recorded)
    if recorded.action == "succeed":
        _add_lineage(session, recorded)
    version = session.get_one(Parcel, recorded.subject).version
    keep_step(session, recorded, recorded.subject, version, obligations=facts.get("obligations"))


def keep_step(session: Session, recorded: Recorded, parcel_id: str, version: int, **more: Any) -> None:
    """A row for what happened to a parcel; `more` has the columns that not every step has."""
    session.add(
        ParcelStep(
            parcel_id=parcel_id,
            entry_index=recorded.index,
            n=recorded.place,
            machine=recorded.machine,
            subject=recorded.subject,
            action=recorded.action,
            before=recorded.before,
            after=recorded.after,
            version=version,
            at_ms=recorded.entry.at_ms,
            reason_code=recorded.entry.payload.reason_code,
            **more,
        )
    )


def _born(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    begin(
        session,
        Parcel,
        recorded,
        organisation_id=facts["organisation"],
        county=facts["county"],
        code=facts["code"],
        version=1,
        operator_id=facts["operator"],
    )
    session.flush()


def _add_version(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    session.add(
        ParcelVersion(
            parcel_id=recorded.subject,
            version=facts["version"],
            area_cm2=facts["area_cm2"],
            stand_type=facts["stand_type"],
            source_sha256=facts["source_sha256"],
            evidence_sha256=facts["evidence_sha256"],
            resolution_sha256=facts["resolution_sha256"],
            commitment=recorded.entry.payload.commitments["version"],
        )
    )


def _add_lineage(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    session.add_all(
        ParcelLineage(
            predecessor_id=predecessor,
            successor_id=recorded.subject,
            kind=facts["kind"],
            share_ppm=share_ppm,
            shared_cm2=shared_cm2,
            from_on=facts["from_on"],
            entry_index=recorded.index,
        )
        for predecessor, shared_cm2, share_ppm in facts["predecessors"]
    )
