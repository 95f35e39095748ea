"""What became of a run, for its report: the verifier's statement, and the units issued for it."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from registry.estimates.models import EstimateRun
from registry.estimates.reports.facts import Outcome
from registry.estimates.reports.loading import organisation_name
from registry.issuance.models import Issuance
from registry.programmes.service import load_programme, terms_of
from registry.projects.service import load_period, load_project
from registry.verification.models import Statement


class IssuedOutcomes:
    """Answers `registry.estimates.reports.loading.Outcomes` from the statement and the issuance."""

    def of_run(self, session: Session, run: EstimateRun) -> Outcome | None:
        statement = session.scalar(sa.select(Statement).where(Statement.run_id == run.id))
        if statement is None:
            return None
        project = load_project(session, load_period(session, run.period_id).project_id)
        issued = session.scalar(
            sa.select(Issuance).where(Issuance.statement_id == statement.id, Issuance.status == "issued")
        )
        second = statement.second_verifier_id
        return Outcome(
            statement=statement.id,
            entry=statement.entry_index,
            verifier=organisation_name(session, statement.verifier_id),
            second_verifier=None if second is None else organisation_name(session, second),
            verified_kg=statement.verified_kg,
            deduction_kg=statement.deduction_kg,
            findings=statement.findings,
            attested_sha256=statement.attested_sha256,
            unit_kg=terms_of(load_programme(session, project.programme_id)).unit_kg,
            issued_entry=None if issued is None else issued.issued_index,
            units=None if issued is None else issued.units,
            buffer_units=None if issued is None else issued.buffer_units,
            residue_before_kg=None if issued is None else issued.residue_before_kg,
            residue_after_kg=None if issued is None else issued.residue_after_kg,
        )
