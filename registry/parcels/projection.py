"""Rows that the parcels room's entries imply."""

from sqlalchemy.orm import Session

from registry.accounts.models import MandateRow
from registry.parcels.models import Parcel, ParcelVersion
from registry.projections import Recorded, begin, follow


def parcel(session: Session, recorded: Recorded) -> None:
    if recorded.action == "submit":
        _submitted(session, recorded)
        return
    row = follow(session, Parcel, recorded)
    if recorded.action == "accept":
        row.reviewer_id = session.get_one(MandateRow, recorded.entry.payload.mandate).organisation_id


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
