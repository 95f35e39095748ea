"""Rows that the programmes room's entries imply."""

from sqlalchemy.orm import Session

from registry.programmes.models import Programme
from registry.projections import Recorded, follow


def programme(session: Session, recorded: Recorded) -> None:
    if recorded.action != "publish":
        follow(session, Programme, recorded)
        return
    session.add(
        Programme(
            id=recorded.subject,
            status=recorded.after,
            entry_index=recorded.index,
            code=recorded.facts["code"],
            version=recorded.facts["version"],
            terms=recorded.facts["terms"],
            commitment=recorded.entry.payload.commitments["names"],
        )
    )
