"""Rows that the verification room's entries imply."""

from sqlalchemy.orm import Session

from registry.projections import Recorded, begin
from registry.verification.models import Statement, StatementParcel


def statement(session: Session, recorded: Recorded) -> None:
    """A statement is signed once and stays."""
    facts = recorded.facts
    begin(
        session,
        Statement,
        recorded,
        period_id=facts["period"],
        run_id=facts["run"],
        verifier_id=facts["verifier"],
        second_verifier_id=facts["second_verifier"],
        person_id=recorded.entry.payload.by,
        verified_kg=facts["verified_kg"],
        deduction_kg=facts["deduction_kg"],
        attested_sha256=facts["attested_sha256"],
        commitment=recorded.entry.payload.commitments["findings"],
    )
    session.flush()
    session.add_all(
        StatementParcel(statement_id=recorded.subject, number=number, verified_kg=kg)
        for number, kg in facts["parcels"]
    )
