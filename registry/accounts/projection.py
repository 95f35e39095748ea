"""Rows that the accounts room's entries imply."""

from sqlalchemy.orm import Session

from registry.accounts.models import Deposit, MandateRow, Organisation, Person
from registry.projections import Recorded, begin, follow


def organisation(session: Session, recorded: Recorded) -> None:
    begin(
        session,
        Organisation,
        recorded,
        kind=recorded.facts["kind"],
        county=recorded.facts["county"],
        commitment=recorded.entry.payload.commitments["profile"],
    )


def person(session: Session, recorded: Recorded) -> None:
    begin(
        session,
        Person,
        recorded,
        commitment=recorded.entry.payload.commitments["profile"],
    )


def mandate(session: Session, recorded: Recorded) -> None:
    if recorded.before != "none":
        follow(session, MandateRow, recorded)
        return
    begin(
        session,
        MandateRow,
        recorded,
        person_id=recorded.facts["person"],
        organisation_id=recorded.facts["organisation"],
        role=recorded.facts["role"],
    )


def deposit(session: Session, recorded: Recorded) -> None:
    if recorded.before != "none":
        follow(session, Deposit, recorded)
        return
    begin(
        session,
        Deposit,
        recorded,
        bank_id=recorded.facts["bank"],
        organisation_id=recorded.facts["organisation"],
        amount_fen=recorded.facts["amount_fen"],
        reference=recorded.facts["reference"],
    )


def nothing(session: Session, recorded: Recorded) -> None:
    """Entries of `log` and `key`: the ledger's own tables say all of it, also where keys end."""
