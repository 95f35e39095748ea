"""Rows that the evidence room's entries imply."""

from sqlalchemy.orm import Session

from registry.evidence.models import EvidenceFile
from registry.projections import Recorded, begin


def evidence(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    begin(
        session,
        EvidenceFile,
        recorded,
        parcel_id=facts["parcel"],
        organisation_id=facts["organisation"],
        kind=facts["kind"],
        sha256=facts["sha256"],
        media_type=facts["media_type"],
        size_bytes=facts["size_bytes"],
        commitment=recorded.entry.payload.commitments["particulars"],
    )
