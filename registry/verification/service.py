"""Services of the verification room: accept a period, sign a quantity for it, return it or reject it.

What an option's buyer or another party of a later room has at stake is asked through `Interests`, which
`catalogue.py` fills.
"""

from collections.abc import Iterable
from functools import partial
from typing import Final, Protocol

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from ledger.canonical import JsonValue
from ledger.effects import Transition
from registry.accounts.service import NotFound
from registry.acts import Desk, Mode
from registry.apportion import largest_remainder
from registry.estimates.models import EstimateRun
from registry.estimates.service import load_run, rows_assumed, run_parcels
from registry.machine import Role
from registry.office import Act, Answer, Command
from registry.parcels.independence import check_independent
from registry.programmes.service import load_programme, terms_of
from registry.projects.models import MonitoringPeriod
from registry.projects.rules import PERIOD
from registry.projects.service import load_period, load_project, parties_of_project
from registry.verification.models import Statement, StatementParcel
from registry.verification.rules import (
    STATEMENT,
    NotTheSecondVerifier,
    NotTheVerifier,
    Proven,
    SecondVerifierNeeded,
    SecondVerifierUnneeded,
    UnverifiedQuantity,
    Verified,
    check_attested,
    check_difference,
    proven,
    signed_kg,
)

MAX_KG: Final = 10**15
REASON: Final = r"^([a-z][a-z0-9_]{0,39})?$"
CODED: Final = r"^[a-z][a-z0-9_]{0,39}$"


class Interests(Protocol):
    """Who has a stake in a project beyond its land: what later rooms know (R-16)."""

    def parties(self, session: Session, project: str) -> Iterable[str]:
        """Organisations with an interest in the project's credits, such as buyers of options."""
        ...


class NoInterests:
    """Nobody beyond the land's own parties; for an installation without a market."""

    def parties(self, session: Session, project: str) -> Iterable[str]:
        return ()


class AcceptPeriod(Command):
    period: str


class VerifyPeriod(Command):
    """The verifier's own quantity; without `verified_kg` it is the estimate less the deduction."""

    period: str
    verified_kg: int | None = Field(
        None, ge=0, le=MAX_KG, description="what may be issued, after the deduction"
    )
    deduction_kg: int = Field(0, ge=0, le=MAX_KG, description="what the verifier took off its finding")
    reason_code: str = Field("", pattern=REASON, description="why it differs from the estimate")
    findings: str = Field(min_length=1, max_length=20_000)
    attest_parameters: bool = Field(
        False, description="the verifier answers for the parameters used that are not sure"
    )
    override_assumptions: bool = Field(
        False, description="the verifier accepts expressly the parameters used that are assumptions"
    )
    second_verifier: str | None = Field(
        None, description="the organisation that signs too where the removal is unusually high"
    )


class ReturnPeriod(Command):
    period: str
    reason_code: str = Field(pattern=CODED)


class RejectPeriod(Command):
    period: str
    reason_code: str = Field(pattern=CODED)


def accept_period(desk: Desk, command: AcceptPeriod, *, interests: Interests) -> Answer:
    """A verifier takes the verification on; it has no stake in the project, nor has any of its people
    (R-16).
    """
    period = load_period(desk.session, command.period)
    PERIOD.step(period.status, "accept", period.id)
    _require_independent(desk.session, desk.actor.organisation, period, interests)
    desk.act(PERIOD, "accept", period.id, facts={"run": period.run_id, "verifier": desk.actor.organisation})
    return {"period": period.id}


def verify_period(desk: Desk, command: VerifyPeriod, *, interests: Interests) -> Answer:
    """The verifier's statement: its quantity, shared out over the parcels as the run is, and the period's
    step.
    """
    period = _own_verification(desk, command.period)
    PERIOD.step(period.status, "verify", period.id)
    _require_independent(desk.session, desk.actor.organisation, period, interests)
    run = current_run(desk.session, period)
    estimate = _proven(period, run)
    kg = signed_kg(estimate, command.verified_kg, command.deduction_kg)
    terms = terms_of(load_programme(desk.session, load_project(desk.session, period.project_id).programme_id))
    check_difference(estimate, kg, terms.verifier_reason_ppm, command.reason_code)
    _require_attested(run, command)
    action = _signing_action(desk, command, period, run, interests)
    shares = _shares(desk.session, run, kg)
    opened = desk.commitment("findings", Statement, findings=command.findings)
    facts: dict[str, JsonValue] = {
        "period": period.id,
        "run": run.id,
        "verifier": desk.actor.organisation,
        "second_verifier": command.second_verifier,
        "verified_kg": kg,
        "deduction_kg": command.deduction_kg,
        "estimate_kg": estimate.estimate_kg,
        "attested_sha256": run.attestation_sha256 if run.rows_to_attest else None,
        "parameters_sha256": run.parameters_sha256,
        "parcels": [[number, share] for number, share in shares],
    }
    desk.act(
        STATEMENT,
        action,
        desk.request_id,
        facts=facts,
        commitments={"findings": opened},
        effects=[Transition(PERIOD.name, period.id, "verify", "verifying", "verified")],
        reason_code=command.reason_code,
    )
    opened.reveal(desk.session.get_one(Statement, desk.request_id))
    return {"statement": desk.request_id, "verified_kg": kg, "deduction_kg": command.deduction_kg}


def return_period(desk: Desk, command: ReturnPeriod) -> Answer:
    """Back to the owner, who may estimate again; the run stays."""
    period = _own_verification(desk, command.period)
    desk.act(PERIOD, "return", period.id, facts={"run": period.run_id}, reason_code=command.reason_code)
    return {"period": period.id}


def reject_period(desk: Desk, command: RejectPeriod) -> Answer:
    period = _own_verification(desk, command.period)
    desk.act(PERIOD, "reject", period.id, facts={"run": period.run_id}, reason_code=command.reason_code)
    return {"period": period.id}


def acts(interests: Interests) -> tuple[Act, ...]:
    """The room's acts; `interests` says who else has a stake in a project."""
    return (
        Act("period.accept", AcceptPeriod, partial(accept_period, interests=interests)),
        Act("period.verify", VerifyPeriod, partial(verify_period, interests=interests)),
        Act("period.return", ReturnPeriod, return_period),
        Act("period.reject", RejectPeriod, reject_period),
    )


# ---- deciding ----------------------------------------------------------------------------------------------


def _require_independent(
    session: Session, organisation: str, period: MonitoringPeriod, interests: Interests
) -> None:
    """R-16: not the owner, a collective whose land it is, an operator, the project's validator, nor a
    buyer.
    """
    project = load_project(session, period.project_id)
    parties = {
        project.owner_id,
        *parties_of_project(session, project.id),
        *interests.parties(session, project.id),
    }
    if project.validator_id is not None:
        parties.add(project.validator_id)
    check_independent(session, organisation, parties)


def _own_verification(desk: Desk, period: str) -> MonitoringPeriod:
    row = load_period(desk.session, period)
    if row.verifier_id is not None and row.verifier_id != desk.actor.organisation:
        raise NotTheVerifier(period=period, verifier=row.verifier_id)
    return row


def _proven(period: MonitoringPeriod, run: EstimateRun) -> Proven:
    return proven(period.id, run.id, run.tier, run.uncertainty_ppm, run.estimate_kg)


def _require_attested(run: EstimateRun, command: VerifyPeriod) -> None:
    check_attested(
        run.rows_to_attest,
        rows_assumed(run),
        attested=command.attest_parameters,
        overridden=command.override_assumptions,
    )


def _signing_action(
    desk: Desk, command: VerifyPeriod, period: MonitoringPeriod, run: EstimateRun, interests: Interests
) -> str:
    """`sign`, or `sign_jointly` where R-17 asks for a second verifier, who must be as independent as the
    first.
    """
    second = command.second_verifier
    if not run.second_verifier:
        if second is not None:
            raise SecondVerifierUnneeded(period=period.id)
        return "sign"
    if second is None or second == desk.actor.organisation:
        raise SecondVerifierNeeded(rate_kg_ha_year=run.rate_kg_ha_year)
    _require_independent(desk.session, second, period, interests)
    for person in _signers(desk) - {desk.actor.person}:
        held = desk.directory.mandates(desk.session, person)
        if not any(one.organisation == second and one.role is Role.VERIFIER for one in held):
            raise NotTheSecondVerifier(organisation=second)
    return "sign_jointly"


def _signers(desk: Desk) -> set[str]:
    """Persons whose signatures are on the act so far."""
    if desk.mode is Mode.PREPARE:
        return set()
    keys = (desk.ledger.source.actor_key(signature.keyid) for signature in desk.collected)
    return {key.person for key in keys if key is not None} | set(desk.server_signers)


def _shares(session: Session, run: EstimateRun, kg: int) -> list[tuple[int, int]]:
    """The signed quantity over the parcels in proportion to the run's, adding up exactly."""
    parcels = run_parcels(session, run.id)
    parts = largest_remainder(kg, [parcel.estimate_kg for parcel in parcels])
    return [(parcel.number, part) for parcel, part in zip(parcels, parts, strict=True)]


# ---- reading -----------------------------------------------------------------------------------------------


def current_run(session: Session, period: MonitoringPeriod) -> EstimateRun:
    """The run that the period points to (`UnverifiedQuantity` without one)."""
    if period.run_id is None:
        raise UnverifiedQuantity(period=period.id, reason="there is no estimate")
    return load_run(session, period.run_id)


def load_statement(session: Session, statement: str) -> Statement:
    row = session.get(Statement, statement)
    if row is None:
        raise NotFound(kind="statement", id=statement)
    return row


def statement_of_period(session: Session, period: str) -> Statement | None:
    return session.scalars(sa.select(Statement).where(Statement.period_id == period)).one_or_none()


def verified_parcels(session: Session, statement: Statement) -> dict[int, int]:
    """Verified kilograms by parcel number, adding up to the statement's."""
    rows = session.scalars(
        sa.select(StatementParcel)
        .where(StatementParcel.statement_id == statement.id)
        .order_by(StatementParcel.number)
    )
    return {row.number: row.verified_kg for row in rows}


def verified_quantity(session: Session, period: str) -> Verified:
    """The verified quantity of a period, from its statement (`UnverifiedQuantity` where there is none)."""
    row = load_period(session, period)
    statement = statement_of_period(session, period)
    if statement is None or row.status not in ("verified", "issued"):
        raise UnverifiedQuantity(period=period, reason=f"it is {row.status}")
    _proven(row, load_run(session, statement.run_id))  # at every door: what was signed is of the right tier
    return Verified(
        period=period,
        project=row.project_id,
        statement=statement.id,
        run=statement.run_id,
        verifier=statement.verifier_id,
        kg=statement.verified_kg,
        deduction_kg=statement.deduction_kg,
        parcels=verified_parcels(session, statement),
    )
