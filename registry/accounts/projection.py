"""Rows that the accounts room's entries imply."""

from sqlalchemy.orm import Session

from registry.accounts.models import Deposit, MandateRow, Organisation, Person
from registry.projections import Recorded, follow


def organisation(session: Session, recorded: Recorded) -> None:
    session.add(
        Organisation(
            id=recorded.subject,
            status=recorded.after,
            entry_index=recorded.index,
            kind=recorded.facts["kind"],
            county=recorded.facts["county"],
            commitment=recorded.entry.payload.commitments["profile"],
        )
    )


def person(session: Session, recorded: Recorded) -> None:
    session.add(
        Person(
            id=recorded.subject,
            status=recorded.after,
            entry_index=recorded.index,
            commitment=recorded.entry.payload.commitments["profile"],
        )
    )


def mandate(session: Session, recorded: Recorded) -> None:
    if recorded.before != "none":
        follow(session, MandateRow, recorded)
        return
    session.add(
        MandateRow(
            id=recorded.subject,
            status=recorded.after,
            entry_index=recorded.index,
            person_id=recorded.facts["person"],
            organisation_id=recorded.facts["organisation"],
            role=recorded.facts["role"],
        )
    )


def deposit(session: Session, recorded: Recorded) -> None:
    session.add(
        Deposit(
            id=recorded.subject,
            status=recorded.after,
            entry_index=recorded.index,
            bank_id=recorded.facts["bank"],
            organisation_id=recorded.facts["organisation"],
            amount_fen=recorded.facts["amount_fen"],
            reference=recorded.facts["reference"],
        )
    )


def nothing(session: Session, recorded: Recorded) -> None:
    """Entries of `log` and `key`: the ledger's own tables say all of it."""
