"""Propose, approve, reject an issuance.

The approval recomputes the plan from the rows as they stand under the write lock; proposer and issuer sign
that payload. Units, residue, the period's last step and the deliveries of options are effects of that one
entry.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from ledger.canonical import JsonValue
from ledger.effects import OpenBlock, Pend, Posting, Transfer, Transition
from ledger.units import UnitRange
from registry.accounts.service import NotFound
from registry.acts import Desk
from registry.issuance.claims import require_ground, require_not_suspended
from registry.issuance.deliveries import Deliveries, Take
from registry.issuance.draft import Draft
from registry.issuance.models import Batch, Issuance
from registry.issuance.plan import BatchPlan, IssuancePlan, plan_issuance
from registry.issuance.rules import (
    ISSUANCE,
    LOCK_OPTION,
    AlreadyIssued,
    IssuanceLapsed,
    IssuanceNotLapsed,
    ProjectNotActive,
)
from registry.machine import Role
from registry.office import Act, Answer, Command
from registry.programmes.rules import (
    Terms,
    clearing_account,
    issuance_account,
    residue_account,
    residue_asset,
    residue_source,
    unit_asset,
)
from registry.programmes.service import load_programme, terms_of
from registry.projects.models import MonitoringPeriod, Project
from registry.projects.rules import PERIOD, civil_date
from registry.projects.service import load_period
from registry.verification.rules import Verified
from registry.verification.service import verified_quantity


class ProposeIssuance(Command):
    period: str


class ApproveIssuance(Command):
    issuance: str


class RejectIssuance(Command):
    issuance: str
    reason_code: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")


class LapseIssuance(Command):
    issuance: str


@dataclass(frozen=True, slots=True)
class Case:
    """Everything an issuance is decided on. Only a signed quantity gets here."""

    period: MonitoringPeriod
    project: Project
    terms: Terms
    verified: Verified


def propose(desk: Desk, command: ProposeIssuance) -> Answer:
    case = _load_case(desk.session, command.period)
    _require_side(desk, case.project)
    plan = _plan(desk, case)
    require_not_suspended(desk.session, case.project, _credited(plan))
    desk.act(ISSUANCE, "propose", desk.request_id, facts=_facts(case, plan, desk.actor.organisation))
    return {"issuance": desk.request_id, "units": plan.units, "buffer_units": plan.buffer_units}


def approve(desk: Desk, command: ApproveIssuance, *, deliveries: Deliveries) -> Answer:
    issuance = load_issuance(desk.session, command.issuance)
    if issuance.proposed_by != desk.actor.organisation:
        raise NotFound(kind="issuance", id=command.issuance)
    if issuance.status == "issued":
        raise AlreadyIssued(period=issuance.period_id)
    case = _load_case(desk.session, issuance.period_id)
    if desk.now >= lapses_at(issuance, case.terms):
        raise IssuanceLapsed(issuance=issuance.id, days=case.terms.issuance_lapse_days)
    plan = _plan(desk, case)
    credited = _credited(plan)
    require_not_suspended(desk.session, case.project, credited)
    today = civil_date(desk.now).isoformat()
    require_ground(desk.session, case.project, case.period, credited, today, outlines=True)

    draft = Draft(desk)
    draft.add(Transition(PERIOD.name, case.period.id, "issue", "verified", "issued"))
    _move_residue(draft, case.project, plan)
    delivered = deliveries.deliver(draft, case.project, plan)
    _open_blocks(draft, issuance.id, case.project, plan, delivered.takes)
    facts = _facts(case, plan, issuance.proposed_by) | {"deliveries": list(delivered.facts)}
    desk.act(ISSUANCE, "approve", issuance.id, facts=facts, effects=draft.take())
    return {
        "issuance": issuance.id,
        "units": plan.units,
        "buffer_units": plan.buffer_units,
        "residue_kg": plan.residue_after_kg,
        "batches": [batch_id(issuance.id, batch.vintage) for batch in plan.batches],
    }


def reject(desk: Desk, command: RejectIssuance) -> Answer:
    issuance = load_issuance(desk.session, command.issuance)
    desk.act(ISSUANCE, "reject", issuance.id, reason_code=command.reason_code)
    return {"issuance": issuance.id}


def lapse(desk: Desk, command: LapseIssuance) -> Answer:
    """The clock's act on a proposal that nobody approved in time; whoever notices may ask for it."""
    issuance = load_issuance(desk.session, command.issuance)
    project = desk.session.get_one(Project, issuance.project_id)
    terms = terms_of(load_programme(desk.session, project.programme_id))
    if desk.now < lapses_at(issuance, terms):
        raise IssuanceNotLapsed(issuance=issuance.id, days=terms.issuance_lapse_days)
    desk.consequence(ISSUANCE, "lapse", issuance.id)
    return {"issuance": issuance.id}


def acts(deliveries: Deliveries) -> tuple[Act, ...]:
    """The room's acts; `deliveries` is what the market takes out of an issuance."""
    return (
        Act("issuance.propose", ProposeIssuance, propose),
        Act("issuance.approve", ApproveIssuance, partial(approve, deliveries=deliveries)),
        Act("issuance.reject", RejectIssuance, reject),
        Act("issuance.lapse", LapseIssuance, lapse),
    )


# ---- deciding ----------------------------------------------------------------------------------------------


def _load_case(session: Session, period_id: str) -> Case:
    """Raises `AlreadyIssued`, `UnverifiedQuantity`, `ProjectNotActive`."""
    period = load_period(session, period_id)
    if period.status == "issued":
        raise AlreadyIssued(period=period.id)
    project = session.get_one(Project, period.project_id)
    if project.status != "active":
        raise ProjectNotActive(project=project.id, status=project.status)
    terms = terms_of(load_programme(session, project.programme_id))
    return Case(period, project, terms, verified_quantity(session, period.id))


def _require_side(desk: Desk, project: Project) -> None:
    """Proposed by the project's owner or by the registry."""
    if desk.actor.role is not Role.REGISTRY_ADMIN and desk.actor.organisation != project.owner_id:
        raise NotFound(kind="project", id=project.id)


def _plan(desk: Desk, case: Case) -> IssuancePlan:
    session, source = desk.session, desk.ledger.source
    residue = source.account(residue_account(case.project.id))
    last_batch = session.scalar(
        sa.select(sa.func.max(Batch.number)).where(Batch.project_id == case.project.id)
    )
    return plan_issuance(
        case.verified.parcels,
        date.fromisoformat(case.period.from_on),
        date.fromisoformat(case.period.to_on),
        total_kg=case.verified.kg,
        unit_kg=case.terms.unit_kg,
        buffer_ppm=case.terms.buffer_ppm if case.terms.risk_mode == "buffer" else 0,
        residue_kg=residue.balance if residue is not None else 0,
        last_number=source.last_number(case.project.id),
        last_batch=last_batch or 0,
    )


def _credited(plan: IssuancePlan) -> list[int]:
    """Numbers of the parcels that get units."""
    return [parcel for parcel, units in plan.parcel_units.items() if units]


def _facts(case: Case, plan: IssuancePlan, proposed_by: str) -> dict[str, JsonValue]:
    return plan.facts() | {
        "project": case.project.id,
        "period": case.period.id,
        "pools": case.period.pools,
        "statement": case.verified.statement,
        "proposed_by": proposed_by,
    }


# ---- effects -----------------------------------------------------------------------------------------------


def _open_blocks(
    draft: Draft, issuance: str, project: Project, plan: IssuancePlan, takes: Sequence[Take]
) -> None:
    programme = project.programme_id
    owner = draft.units_account(project.owner_id, programme) if plan.units else ""
    buffer = draft.buffer_account(project.id, programme) if plan.buffer_units else ""
    for batch in plan.batches:
        for units, take in _project_parts(batch, takes):
            block = draft.name()
            account = take.account if take is not None else owner
            draft.add(_block(block, issuance, batch, units, account, project))
            if take is not None and take.reservation is not None:
                draft.add(_set_aside(take, block, programme))
        if batch.buffer_range is not None:
            draft.add(_block(draft.name(), issuance, batch, batch.buffer_range, buffer, project))


def _project_parts(batch: BatchPlan, takes: Sequence[Take]) -> Iterator[tuple[UnitRange, Take | None]]:
    """The project part of a batch: the owner keeps the head, takes follow in their order."""
    own = [take for take in takes if take.vintage == batch.vintage]
    if batch.project_range is None:
        return
    rest = batch.project_units - sum(take.units for take in own)
    parts: list[tuple[int, Take | None]] = [(rest, None)] if rest else []
    parts += [(take.units, take) for take in own]
    ranges = batch.project_range.split_counts([count for count, _ in parts])
    yield from ((units, take) for units, (_, take) in zip(ranges, parts, strict=True))


def _block(
    name: str, issuance: str, batch: BatchPlan, units: UnitRange, account: str, project: Project
) -> OpenBlock:
    return OpenBlock(
        block=name,
        series=project.id,
        batch=batch_id(issuance, batch.vintage),
        units=units,
        asset=unit_asset(project.programme_id),
        account=account,
        source=issuance_account(project.programme_id),
    )


def _set_aside(take: Take, block: str, programme: str) -> Pend:
    assert take.reservation is not None
    asset = unit_asset(programme)
    postings = (
        Posting(take.account, asset, -take.units),
        Posting(clearing_account(programme), asset, take.units),
    )
    return Pend(take.reservation, postings, (block,), LOCK_OPTION, take.ref, take.deadline_ms)


def _move_residue(draft: Draft, project: Project, plan: IssuancePlan) -> None:
    """The residue's change (invariant I5): verified kg = unit kg x units + this."""
    change = plan.residue_after_kg - plan.residue_before_kg
    if change:
        account = draft.residue_account(project.id, project.programme_id)
        asset = residue_asset(project.programme_id)
        source = Posting(residue_source(project.programme_id), asset, -change)
        draft.add(Transfer(draft.name(), (source, Posting(account, asset, change))))


# ---- reading -----------------------------------------------------------------------------------------------


def load_issuance(session: Session, issuance: str) -> Issuance:
    row = session.get(Issuance, issuance)
    if row is None:
        raise NotFound(kind="issuance", id=issuance)
    return row


def batch_id(issuance: str, vintage: int) -> str:
    return f"{issuance}.{vintage}"


def lapses_at(issuance: Issuance, terms: Terms) -> datetime:
    proposed_at = datetime.fromtimestamp(issuance.proposed_ms / 1000, UTC)
    return proposed_at + timedelta(days=terms.issuance_lapse_days)
