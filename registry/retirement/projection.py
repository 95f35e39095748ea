"""Rows that the retirement room's entries imply."""

from sqlalchemy.orm import Session

from registry.projections import Recorded, begin, follow
from registry.retirement.models import Certificate, RetiredRange, Retirement


def retirement(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    if recorded.action == "request":
        begin(
            session,
            Retirement,
            recorded,
            project_id=facts["project_id"],
            organisation_id=facts["holder"],
            units=facts["units"],
            claim_from=facts["claim_from"],
            claim_to=facts["claim_to"],
            pending=facts["pending"],
            commitment=recorded.entry.payload.commitments["request"],
        )
        return
    row = follow(session, Retirement, recorded)
    if recorded.action == "retire":
        _retire(session, recorded, row)


def _retire(session: Session, recorded: Recorded, row: Retirement) -> None:
    facts = recorded.facts
    row.retired_index = recorded.index
    session.add_all(
        RetiredRange(
            project_id=row.project_id,
            start_number=start,
            end_number=end,
            batch_id=batch,
            retirement_id=row.id,
        )
        for batch, start, end in facts["ranges"]
    )
    session.add(
        Certificate(
            number=facts["certificate"],
            version=facts["version"],
            retirement_id=row.id,
            entry_index=recorded.index,
            commitment=recorded.entry.payload.commitments["certificate"],
        )
    )
