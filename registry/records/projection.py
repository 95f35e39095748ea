"""Rows that entries about the log imply."""

from sqlalchemy.orm import Session

from registry.projections import Recorded
from registry.records.models import Annotation, Erasure, StateEntry


def log(session: Session, recorded: Recorded) -> None:
    """Of the entries of the log itself only `state` has a row; keys are in the ledger's own tables."""
    if recorded.action != "state":
        return
    facts = recorded.facts
    session.add(
        StateEntry(
            entry_index=recorded.index,
            at_ms=recorded.entry.at_ms,
            accounts=facts["accounts"],
            blocks=facts["blocks"],
            pendings=facts["pendings"],
            sha256=facts["sha256"],
        )
    )


def entry(session: Session, recorded: Recorded) -> None:
    payload = recorded.entry.payload
    session.add(
        Annotation(
            entry_index=recorded.index,
            annotated_index=recorded.facts["index"],
            reason_code=payload.reason_code,
            commitment=payload.commitments["text"],
        )
    )


def record(session: Session, recorded: Recorded) -> None:
    session.add(
        Erasure(
            commitment=recorded.subject,
            committed_index=recorded.facts["index"],
            entry_index=recorded.index,
        )
    )
