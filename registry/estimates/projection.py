"""Rows that the estimates room's entries imply."""

from sqlalchemy.orm import Session

from registry.estimates.models import EstimateRun, RunParcel
from registry.projections import Recorded, begin, follow


def run(session: Session, recorded: Recorded) -> None:
    """A run is recorded once; a later one supersedes it and leaves its figures alone."""
    if recorded.action != "record":
        follow(session, EstimateRun, recorded)
        return
    facts = recorded.facts
    begin(
        session,
        EstimateRun,
        recorded,
        period_id=facts["period"],
        method=facts["method"],
        method_sha256=facts["method_sha256"],
        parameters_sha256=facts["parameters_sha256"],
        inputs_sha256=facts["inputs_sha256"],
        plots_sha256=facts["plots_sha256"],
        tier=facts["tier"],
        estimate_kg=facts["estimate_kg"],
        loss_kg=facts["loss_kg"],
        uncertainty_ppm=facts["uncertainty_ppm"],
        rate_kg_ha_year=facts["rate_kg_ha_year"],
        second_verifier=facts["second_verifier"],
        rows_to_attest=facts["rows_to_attest"],
        attestation_sha256=facts["attestation_sha256"],
        commitment=recorded.entry.payload.commitments["record"],
    )
    session.flush()
    session.add_all(
        RunParcel(run_id=recorded.subject, number=number, estimate_kg=kg) for number, kg in facts["parcels"]
    )
