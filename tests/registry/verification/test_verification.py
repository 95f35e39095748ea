"""A verifier from another organisation signs its own quantity; nothing else can be issued."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from registry.estimates.models import EstimateRun
from registry.estimates.service import rows_assumed
from registry.machine import Mandate, NotAuthorised, Role, TransitionRefused
from registry.parcels.rules import NotIndependent
from registry.projects.service import load_period, load_project
from registry.verification.models import Statement
from registry.verification.rules import (
    AssumptionsNotOverridden,
    MoreThanEstimated,
    NotTheSecondVerifier,
    NotTheVerifier,
    ParametersUnattested,
    ReasonMissing,
    SecondVerifierNeeded,
    SecondVerifierUnneeded,
    UnverifiedQuantity,
    Verified,
)
from registry.verification.service import (
    AcceptPeriod,
    RejectPeriod,
    ReturnPeriod,
    _require_independent,
    verified_parcels,
    verified_quantity,
)
from tests.registry.forest import Forest, plots_text

HIGH = (120.0, 122.0, 124.0, 121.0, 123.0, 119.0)
"""Growth of some 24 m3/ha a year: 14 t of CO2 after the baseline."""
UNSURE = (5.0, 90.0, 10.0, 60.0, 1.0, 70.0)


def status(forest: Forest) -> str:
    with forest.land.people.installation.database.read() as session:
        return load_period(session, forest.period).status


def quantity(forest: Forest) -> Verified:
    with forest.land.people.installation.database.read() as session:
        return verified_quantity(session, forest.period)


def do(forest: Forest, actor: Mandate, act: str, command: Any) -> None:
    forest.land.people.do(actor, act, command)


def test_a_verifier_signs_the_estimate_and_it_becomes_a_verified_quantity(forest: Forest) -> None:
    estimate = forest.verifying().answer["estimate_kg"]
    forest.verify()
    verified = quantity(forest)
    assert status(forest) == "verified"
    assert verified.kg == estimate
    assert verified.verifier == forest.land.verifier.organisation
    assert sum(verified.parcels.values()) == verified.kg
    assert sorted(verified.parcels) == [1, 2, 3]


def test_before_it_is_signed_there_is_no_verified_quantity(forest: Forest) -> None:
    forest.opened()
    with pytest.raises(UnverifiedQuantity):
        quantity(forest)
    forest.verifying()
    with pytest.raises(UnverifiedQuantity):
        quantity(forest)


def test_a_verifier_may_sign_less(forest: Forest) -> None:
    estimate = int(str(forest.verifying().answer["estimate_kg"]))
    forest.verify(verified_kg=1_001, deduction_kg=7, reason_code="plots_remeasured")
    verified = quantity(forest)
    assert (verified.kg, verified.deduction_kg) == (1_001, 7)
    assert sum(verified.parcels.values()) == 1_001 < estimate


def test_a_deduction_is_taken_off_the_estimate(forest: Forest) -> None:
    estimate = int(str(forest.verifying().answer["estimate_kg"]))
    forest.verify(deduction_kg=10)
    assert quantity(forest).kg == estimate - 10


def test_much_less_needs_a_reason(forest: Forest) -> None:
    forest.verifying()
    with pytest.raises(ReasonMissing):
        forest.verify(verified_kg=1)


def test_more_needs_a_reason_and_stays_within_the_programmes_figure(forest: Forest) -> None:
    estimate = int(str(forest.verifying().answer["estimate_kg"]))
    with pytest.raises(ReasonMissing):
        forest.verify(verified_kg=estimate + 1)
    with pytest.raises(MoreThanEstimated):
        forest.verify(verified_kg=estimate + estimate * 5 // 100 + 1, reason_code="own_finding")
    forest.verify(verified_kg=estimate + 1, reason_code="own_finding")
    assert quantity(forest).kg == estimate + 1


def test_parameters_that_are_not_sure_need_the_verifiers_attestation(forest: Forest) -> None:
    forest.verifying()
    with pytest.raises(ParametersUnattested) as refused:
        forest.verify(attest_parameters=False)
    assert "programme:ZJ-PH.1.baseline_ppm" in refused.value.facts["rows"]  # type: ignore[operator]
    forest.verify()
    with forest.land.people.installation.database.read() as session:
        statement = session.scalars(sa.select(Statement)).one()
        assert statement.attested_sha256 is not None
        assert statement.findings == "现场核查无误"


def test_assumptions_need_an_override_beside_the_attestation(forest: Forest) -> None:
    """[P] rows are attested; [A] rows are attested and overridden, each refused by its own code."""
    forest.verifying()
    with pytest.raises(AssumptionsNotOverridden) as refused:
        forest.verify(override_assumptions=False)
    rows: Any = refused.value.facts["rows"]
    assert refused.value.code == "assumptions_not_overridden"
    assert "programme:ZJ-PH.1.baseline_ppm" in rows and "estimation_rules.min_plots_per_stratum" in rows
    assert not [row for row in rows if row.startswith(("stand_types.", "deduction_rules."))]  # [P] rows
    with pytest.raises(ParametersUnattested):  # an override alone is no attestation
        forest.verify(attest_parameters=False)
    with forest.land.people.installation.database.read() as session:
        assert session.scalars(sa.select(Statement)).all() == []


def test_where_the_record_is_erased_every_unsure_row_counts_as_an_assumption(forest: Forest) -> None:
    forest.verifying()
    with forest.land.people.installation.database.read() as session:
        run = session.get_one(EstimateRun, load_period(session, forest.period).run_id)
        kept = set(rows_assumed(run))
        assert kept < set(run.rows_to_attest)
        session.expunge(run)
        run.record = None
        assert set(rows_assumed(run)) == set(run.rows_to_attest)


def test_a_screening_number_cannot_be_verified(forest: Forest) -> None:
    forest.estimate()
    forest.submit()
    forest.accept()
    with pytest.raises(UnverifiedQuantity):
        forest.verify()
    assert status(forest) == "verifying"


def test_an_estimate_that_is_too_uncertain_cannot_be_verified(forest: Forest) -> None:
    answer = forest.verifying(plots_text(changes=UNSURE)).answer
    assert int(str(answer["uncertainty_ppm"])) > 300_000
    assert answer["estimate_kg"] == 0
    with pytest.raises(UnverifiedQuantity):
        forest.verify()


def test_a_statement_is_signed_once(forest: Forest) -> None:
    forest.verifying()
    forest.verify()
    with pytest.raises(TransitionRefused):
        forest.verify()


# ---- who may verify ----------------------------------------------------------------------------------------


def test_the_owner_cannot_verify_its_own_project(forest: Forest) -> None:
    forest.estimate(plots_text())
    forest.submit()
    own = forest.land.people.person(forest.owner.organisation, Role.VERIFIER)
    with pytest.raises(NotIndependent):
        do(forest, own, "period.accept", AcceptPeriod(period=forest.period))


def test_the_validator_of_a_project_cannot_verify_it(forest: Forest) -> None:
    forest.estimate(plots_text())
    forest.submit()
    with forest.land.people.installation.database.read() as session:
        assert load_project(session, forest.project).validator_id == forest.land.validator.organisation
    with pytest.raises(NotIndependent):
        do(forest, forest.land.validator, "period.accept", AcceptPeriod(period=forest.period))


def test_only_a_verifier_accepts(forest: Forest) -> None:
    forest.estimate(plots_text())
    forest.submit()
    firm = forest.land.people.member(Role.ENTERPRISE, "firm")
    with pytest.raises(NotAuthorised):
        do(forest, firm, "period.accept", AcceptPeriod(period=forest.period))


def test_another_verifier_does_not_sign_what_it_did_not_accept(forest: Forest) -> None:
    forest.verifying()
    other = forest.land.people.member(Role.VERIFIER, "核查机构乙")
    with pytest.raises(NotTheVerifier):
        do(forest, other, "period.verify", forest.verify_command())


# ---- back and out ------------------------------------------------------------------------------------------


def test_a_returned_period_is_estimated_again_and_verified(forest: Forest) -> None:
    forest.verifying()
    verifier = forest.land.verifier
    do(forest, verifier, "period.return", ReturnPeriod(period=forest.period, reason_code="plots_missing"))
    assert status(forest) == "returned"
    forest.estimate(plots_text(), leakage_kg=500)
    forest.submit()
    forest.accept()
    forest.verify()
    assert status(forest) == "verified"


def test_a_rejected_period_is_not_verified(forest: Forest) -> None:
    forest.verifying()
    verifier = forest.land.verifier
    do(forest, verifier, "period.reject", RejectPeriod(period=forest.period, reason_code="not_additional"))
    with pytest.raises(TransitionRefused):
        forest.verify()
    assert status(forest) == "rejected"


# ---- the plausibility gate ---------------------------------------------------------------------------------


def test_an_unusually_high_removal_takes_two_verifiers_of_two_organisations(forest: Forest) -> None:
    people = forest.land.people
    forest.verifying(plots_text(changes=HIGH))
    with pytest.raises(SecondVerifierNeeded):
        forest.verify()
    second = people.member(Role.VERIFIER, "核查机构乙")
    command = forest.verify_command(second_verifier=second.organisation)
    people.together(forest.land.verifier, second, "period.verify", command)
    assert status(forest) == "verified"
    with people.installation.database.read() as session:
        statement = session.scalars(sa.select(Statement)).one()
        assert statement.second_verifier_id == second.organisation
        assert sum(verified_parcels(session, statement).values()) == statement.verified_kg


def test_the_second_signature_is_the_named_verifiers(forest: Forest) -> None:
    people = forest.land.people
    forest.verifying(plots_text(changes=HIGH))
    named = people.member(Role.VERIFIER, "核查机构乙")
    other = people.member(Role.VERIFIER, "核查机构丙")
    command = forest.verify_command(second_verifier=named.organisation)
    with pytest.raises(NotTheSecondVerifier):
        people.together(forest.land.verifier, other, "period.verify", command)
    assert status(forest) == "verifying"


def test_the_second_verifier_is_independent_too(forest: Forest) -> None:
    forest.verifying(plots_text(changes=HIGH))
    with pytest.raises(NotIndependent):
        forest.verify(second_verifier=forest.land.validator.organisation)


def test_an_ordinary_removal_takes_one_verifier(forest: Forest) -> None:
    forest.verifying()
    other = forest.land.people.member(Role.VERIFIER, "核查机构乙")
    with pytest.raises(SecondVerifierUnneeded):
        forest.verify(second_verifier=other.organisation)


class Buyers:
    """A market in which the named organisations hold options."""

    def __init__(self, *organisations: str) -> None:
        self.organisations = organisations

    def parties(self, session: Session, project: str) -> tuple[str, ...]:
        return self.organisations


def test_who_bought_an_option_cannot_verify(forest: Forest) -> None:
    verifier = forest.land.verifier.organisation
    with forest.land.people.installation.database.read() as session:
        period = load_period(session, forest.opened())
        _require_independent(session, verifier, period, Buyers())
        with pytest.raises(NotIndependent):
            _require_independent(session, verifier, period, Buyers("somebody", verifier))
