"""Rows that the programmes room's entries imply."""

from sqlalchemy.orm import Session

from registry.programmes.models import Programme
from registry.projections import Recorded, begin, follow


def programme(session: Session, recorded: Recorded) -> None:
    if recorded.action != "publish":
        follow(session, Programme, recorded)
        return
    begin(
        session,
        Programme,
        recorded,
        code=recorded.facts["code"],
        version=recorded.facts["version"],
        terms=recorded.facts["terms"],
        commitment=recorded.entry.payload.commitments["names"],
    )
