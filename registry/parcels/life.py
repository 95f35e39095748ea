"""A parcel after it was found eligible: suspended and reinstated, its tenure renewed; and what it was at any
moment.

What happened is read from `parcel_step`, which has one row for every recorded step of a parcel and of the
claims on it. A question about a moment takes the steps up to then and nothing that came later, so the answer
is what would have been answered at that moment.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, Final

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from registry.accounts.service import NotFound
from registry.acts import Desk
from registry.clock import milliseconds
from registry.office import ONE_LINE, Act, Answer, Command
from registry.parcels.ground import index_ground, load_ground
from registry.parcels.models import Parcel, ParcelLineage, ParcelStep, ParcelVersion
from registry.parcels.rules import (
    PARCEL,
    MomentInvalid,
    ParcelSuspended,
    ReinstatementReason,
    SuspensionReason,
    TenureNotLonger,
)
from registry.parcels.service import SHA256, current_version, load_parcel, load_version

CHINA: Final = timezone(timedelta(hours=8))
ONE_MS: Final = timedelta(milliseconds=1)


class SuspendParcel(Command):
    parcel: str
    reason: SuspensionReason


class ReinstateParcel(Command):
    parcel: str
    reason: ReinstatementReason


class RenewTenure(Command):
    """`until` is the last day of the renewed right; the ground stays what it is."""

    parcel: str
    until: date
    evidence_sha256: str = Field(pattern=SHA256, description="the document that proves the renewed right")
    certificate: str | None = Field(
        None, min_length=1, max_length=200, pattern=ONE_LINE, description="if it has another number now"
    )


def suspend_parcel(desk: Desk, command: SuspendParcel) -> Answer:
    """Until it is reinstated or closed the parcel joins no project and nothing is issued for it; units that
    were issued stay what they are.
    """
    parcel = load_parcel(desk.session, command.parcel)
    desk.act(PARCEL, "suspend", parcel.id, facts={"version": parcel.version}, reason_code=command.reason)
    return {"parcel": parcel.id}


def reinstate_parcel(desk: Desk, command: ReinstateParcel) -> Answer:
    """Back to what the parcel was when it was suspended."""
    parcel = load_parcel(desk.session, command.parcel)
    before = state_before_suspension(desk.session, parcel.id)
    action = "reinstate_enrolled" if before == "enrolled" else "reinstate_eligible"
    desk.act(PARCEL, action, parcel.id, facts={"version": parcel.version}, reason_code=command.reason)
    return {"parcel": parcel.id, "status": before}


def renew_tenure(desk: Desk, command: RenewTenure) -> Answer:
    """The collective proves a longer right and the registry confirms it: a new version on the same ground."""
    parcel = load_parcel(desk.session, command.parcel)
    if parcel.organisation_id != desk.actor.organisation:
        raise NotFound(kind="parcel", id=command.parcel)
    old = current_version(desk.session, parcel)
    ground = load_ground(old)
    tenure = _renewed(parcel.id, old, command, civil_day(desk.now))
    opened = desk.commitment(
        "version", ParcelVersion, wkb=old.wkb, village=old.village, tenure=tenure, attributes=old.attributes
    )
    desk.act(
        PARCEL,
        "renew_tenure",
        parcel.id,
        facts={
            "version": old.version + 1,
            "renews": old.version,
            "area_cm2": old.area_cm2,
            "stand_type": old.stand_type,
            "source_sha256": old.source_sha256,
            "evidence_sha256": command.evidence_sha256,
            "resolution_sha256": old.resolution_sha256,
        },
        commitments={"version": opened},
    )
    opened.reveal(load_version(desk.session, parcel.id, old.version + 1))
    index_ground(desk.session, parcel.id, ground)
    return {"parcel": parcel.id, "version": old.version + 1, "until": tenure["until"]}


ACTS = (
    Act("parcel.suspend", SuspendParcel, suspend_parcel),
    Act("parcel.reinstate", ReinstateParcel, reinstate_parcel),
    Act("parcel.renew_tenure", RenewTenure, renew_tenure),
)


def _renewed(parcel: str, old: ParcelVersion, command: RenewTenure, today: date) -> dict[str, Any]:
    """The tenure with its new term (`TenureNotLonger`)."""
    tenure = dict(old.tenure or {})
    until = command.until.isoformat()
    if until <= str(tenure["until"]) or command.until < today:
        raise TenureNotLonger(parcel=parcel, until=tenure["until"], renewed=until)
    return tenure | {"until": until} | ({"certificate": command.certificate} if command.certificate else {})


# ---- suspension --------------------------------------------------------------------------------------------


def state_before_suspension(session: Session, parcel: str) -> str:
    """What the parcel was when it was suspended last; `eligible` if it never was."""
    found = session.scalars(
        sa.select(ParcelStep.before)
        .where(ParcelStep.parcel_id == parcel, ParcelStep.action == "suspend")
        .order_by(ParcelStep.entry_index.desc())
        .limit(1)
    ).one_or_none()
    return found or "eligible"


def require_running(session: Session, parcels: Collection[str]) -> None:
    """That none of these parcels is suspended (`ParcelSuspended` names the first that is)."""
    rows = session.scalars(sa.select(Parcel).where(Parcel.id.in_(parcels), Parcel.status == "suspended"))
    suspended = sorted(row.id for row in rows)
    if suspended:
        reason = session.scalars(
            sa.select(ParcelStep.reason_code)
            .where(ParcelStep.parcel_id == suspended[0], ParcelStep.action == "suspend")
            .order_by(ParcelStep.entry_index.desc())
            .limit(1)
        ).one()
        raise ParcelSuspended(parcel=suspended[0], reason=reason, parcels=suspended)


# ---- lineage -----------------------------------------------------------------------------------------------


def successors(session: Session, parcel: str) -> list[ParcelLineage]:
    """Who took over ground of the parcel, and who of those, each generation after the one before it."""
    return list(_kin(session, parcel, ParcelLineage.predecessor_id, "successor_id"))


def ancestors(session: Session, parcel: str) -> list[ParcelLineage]:
    """Whose ground the parcel took over, and whose those did."""
    return list(_kin(session, parcel, ParcelLineage.successor_id, "predecessor_id"))


def _kin(session: Session, parcel: str, side: Any, other: str) -> Iterable[ParcelLineage]:
    generation, known = [parcel], {parcel}
    order = (ParcelLineage.predecessor_id, ParcelLineage.successor_id)
    while generation:
        rows = session.scalars(sa.select(ParcelLineage).where(side.in_(generation)).order_by(*order)).all()
        yield from rows
        generation = sorted({getattr(row, other) for row in rows} - known)
        known.update(generation)


def lineage_view(row: ParcelLineage) -> dict[str, Any]:
    return {
        "predecessor": row.predecessor_id,
        "successor": row.successor_id,
        "kind": row.kind,
        "share_ppm": row.share_ppm,
        "shared_cm2": row.shared_cm2,
        "from_on": row.from_on,
        "entry": row.entry_index,
    }


# ---- time --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KnownClaim:
    """A claim on a parcel as it was known at a moment."""

    id: str
    status: str
    project: str
    pool: str
    version: int
    from_on: str
    to_on: str
    credited_cm2: int


@dataclass(frozen=True, slots=True)
class ParcelThen:
    """A parcel as it was known at a moment. `entry` is its last step up to then."""

    status: str
    version: ParcelVersion
    entry: int
    at_ms: int
    claims: tuple[KnownClaim, ...]


def moment_ms(text: str) -> int:
    """The last millisecond that belongs to a date in China, or an instant itself (`MomentInvalid`)."""
    try:
        if len(text) == len("2025-01-01"):
            day = date.fromisoformat(day_of(text))
            after = datetime.combine(day, time(), CHINA) + timedelta(days=1)
            return milliseconds(after.astimezone(UTC) - ONE_MS)
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise MomentInvalid(value=text[:40])
        return milliseconds(instant.astimezone(UTC))
    except (ValueError, OverflowError) as fault:
        raise MomentInvalid(value=text[:40]) from fault


def day_of(text: str) -> str:
    """A date in its one spelling (`MomentInvalid`)."""
    try:
        day = date.fromisoformat(text)
    except ValueError as fault:
        raise MomentInvalid(value=text[:40]) from fault
    if day.isoformat() != text:
        raise MomentInvalid(value=text[:40])
    return text


def civil_day(now: datetime) -> date:
    """The date of an instant in China."""
    return now.astimezone(CHINA).date()


def steps_of_parcel(session: Session, parcel: str, until_ms: int | None = None) -> Sequence[ParcelStep]:
    """Every step of the parcel and of its claims, oldest first; up to an instant if one is given."""
    wanted = sa.select(ParcelStep).where(ParcelStep.parcel_id == parcel)
    if until_ms is not None:
        wanted = wanted.where(ParcelStep.at_ms <= until_ms)
    return session.scalars(wanted.order_by(ParcelStep.entry_index, ParcelStep.n)).all()


def parcel_then(session: Session, parcel: str, at_ms: int) -> ParcelThen:
    """The parcel as it was known at an instant (`NotFound` before its first step)."""
    steps = steps_of_parcel(session, parcel, at_ms)
    own = [step for step in steps if step.machine == PARCEL.name]
    if not own:
        raise NotFound(kind="parcel", id=parcel)
    return ParcelThen(
        status=own[-1].after,
        version=load_version(session, parcel, own[-1].version),
        entry=own[-1].entry_index,
        at_ms=own[-1].at_ms,
        claims=tuple(_known_claims(steps)),
    )


def _known_claims(steps: Sequence[ParcelStep]) -> Iterable[KnownClaim]:
    """Each claim by its last step."""
    last = {step.subject: step for step in steps if step.machine != PARCEL.name}
    for name, step in last.items():
        assert step.project_id is not None and step.pool is not None
        assert step.from_on is not None and step.to_on is not None and step.credited_cm2 is not None
        yield KnownClaim(
            name, step.after, step.project_id, step.pool, step.version, step.from_on, step.to_on,
            step.credited_cm2,
        )  # fmt: skip


def step_view(step: ParcelStep) -> dict[str, Any]:
    """A step as the history tells it."""
    view: dict[str, Any] = {
        "entry": step.entry_index,
        "at": datetime.fromtimestamp(step.at_ms / 1000, UTC).isoformat(),
        "machine": step.machine,
        "subject": step.subject,
        "action": step.action,
        "before": step.before,
        "after": step.after,
        "version": step.version,
        "reason_code": step.reason_code,
    }
    if step.obligations is not None:
        view["obligations"] = step.obligations
    if step.project_id is not None:
        view |= {
            "project": step.project_id,
            "pool": step.pool,
            "from_on": step.from_on,
            "to_on": step.to_on,
            "credited_cm2": step.credited_cm2,
        }
    return view


# ---- tenure ------------------------------------------------------------------------------------------------


def tenure_ending_before(day: str) -> sa.ColumnElement[bool]:
    """Holds for parcels whose right, as their current version says, ends before a day. The term is committed,
    not logged: it is read from the record, and an erased record says nothing.
    """
    return sa.exists().where(
        ParcelVersion.parcel_id == Parcel.id,
        ParcelVersion.version == Parcel.version,
        ParcelVersion.tenure["until"].as_string() < day,
    )
