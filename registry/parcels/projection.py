"""Rows that the parcels room's entries imply."""

from typing import Any

from sqlalchemy.orm import Session

from registry.accounts.models import MandateRow
from registry.parcels.models import Parcel, ParcelStep, ParcelVersion
from registry.projections import Recorded, begin, follow


def parcel(session: Session, recorded: Recorded) -> None:
    if recorded.action == "submit":
        _submitted(session, recorded)
        keep_step(session, recorded, recorded.subject, recorded.facts["version"])
        return
    row = follow(session, Parcel, recorded)
    if recorded.action == "accept":
        row.reviewer_id = session.get_one(MandateRow, recorded.entry.payload.mandate).organisation_id
    keep_step(session, recorded, row.id, row.version)


def keep_step(session: Session, recorded: Recorded, parcel_id: str, version: int, **claim: Any) -> None:
    """A row for what happened to a parcel; `claim` has the columns of a step of a claim on it."""
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
            **claim,
        )
    )


def _submitted(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    if facts["version"] == 1:
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
    else:
        row = follow(session, Parcel, recorded)
        row.county, row.code = facts["county"], facts["code"]
        row.version, row.operator_id, row.reviewer_id = facts["version"], facts["operator"], None
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
