"""Cases about ground that two want (DESIGN, "Refusals"): opened by a claim that was refused, decided by the
registry.

The refusal rolls back what was asked, so its case is written afterwards, in a transaction of its own
(`registry.aftermath`). One pair of parcels under one programme is one case, however often it is seen. What
the registry decides is logged; nothing follows from it by itself: whoever loses ends the claim, corrects the
boundary, or gives up.
"""

import uuid
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from registry.accounts.service import NotFound
from registry.acts import Desk
from registry.machine import Mandate, Role
from registry.office import Act, Answer, Command
from registry.parcels.models import Parcel
from registry.parcels.service import SHA256
from registry.projects.models import DisputeCase, DisputeDecision
from registry.projects.rules import DISPUTE, ClaimRefused

JUDGES = frozenset({Role.REGISTRY_ADMIN, Role.REGULATOR, Role.AUDITOR})
"""Roles that see every case; only the registry decides."""


class DecideDispute(Command):
    """`first`: who holds the ground keeps it; `second`: it is whose claim was refused; `none`: no dispute."""

    dispute: str
    decision: Literal["first", "second", "none"]
    reason: Literal[
        "tenure_proven", "boundary_surveyed", "agreed", "court_decided", "outside_claim_shown", "no_overlap"
    ]
    document_sha256: str = Field(pattern=SHA256, description="the document that the decision rests on")


ACTIONS = {"first": "decide_first", "second": "decide_second", "none": "dismiss"}


def decide(desk: Desk, command: DecideDispute) -> Answer:
    case = load_case(desk.session, command.dispute)
    desk.act(
        DISPUTE,
        ACTIONS[command.decision],
        case.id,
        facts={
            "first": case.first,
            "second": case.second,
            "programme": case.programme_id,
            "document_sha256": command.document_sha256,
        },
        reason_code=command.reason,
    )
    return {"dispute": case.id, "decision": command.decision}


ACTS = (Act("dispute.decide", DecideDispute, decide),)


# ---- what a refused claim leaves behind --------------------------------------------------------------------


def keep_cases(session: Session, refusal: ClaimRefused, now: datetime) -> None:
    """Open a case for each overlap with another's ground that the refusal names, or bring it up to date."""
    overlaps: Any = refusal.facts["overlaps"]
    for one in overlaps:
        seen = _seen(session, one, now)
        if seen is not None:
            _keep(session, seen)


def _seen(session: Session, one: dict[str, Any], now: datetime) -> dict[str, Any] | None:
    """The columns of a case as an overlap shows it; None where both are one collective's."""
    second = session.get(Parcel, one["candidate"])
    first = session.get(Parcel, one["parcel"]) if one["parcel"] else None
    if second is None or (first is None and not one["outside"]):
        return None
    if not one["outside"] and first is not None and first.organisation_id == second.organisation_id:
        return None
    name = one["claim"] if one["outside"] else one["parcel"]
    return {
        "pair": "/".join(sorted((name, second.id))),
        "programme_id": one["wanted_under"],
        "first": name,
        "outside": one["outside"],
        "second": second.id,
        "first_holder": None if first is None else first.organisation_id,
        "first_operator": None if first is None else first.operator_id,
        "second_holder": second.organisation_id,
        "second_operator": second.operator_id,
        "overlap_cm2": round(one["overlap_m2"] * 10_000),
        "overlap": one.get("overlap"),
        "rule": one["rule"],
        "last_seen_at": now,
    }


def _keep(session: Session, seen: dict[str, Any]) -> None:
    """One row for a pair and programme, also when two processes meet it at once."""
    if _brought_up_to_date(session, seen):
        return
    made = {"id": str(uuid.uuid4()), "first_seen_at": seen["last_seen_at"], "times_seen": 1}
    try:
        with session.begin_nested():
            session.execute(sa.insert(DisputeCase), [{**seen, **made}])
    except sa.exc.IntegrityError:
        _brought_up_to_date(session, seen)


def _brought_up_to_date(session: Session, seen: dict[str, Any]) -> bool:
    """Whether the pair has a case already; who was first stays first."""
    known = session.scalar(
        sa.select(DisputeCase)
        .where(DisputeCase.pair == seen["pair"], DisputeCase.programme_id == seen["programme_id"])
        .with_for_update()
    )
    if known is None:
        return False
    known.times_seen += 1
    known.last_seen_at = max(known.last_seen_at, seen["last_seen_at"])
    known.overlap_cm2, known.rule = seen["overlap_cm2"], seen["rule"]
    if seen["overlap"] is not None:  # not every refusal draws it
        known.overlap = seen["overlap"]
    return True


# ---- reading -----------------------------------------------------------------------------------------------


def load_case(session: Session, id_: str) -> DisputeCase:
    row = session.get(DisputeCase, id_)
    if row is None:
        raise NotFound(kind="dispute", id=id_)
    return row


def seen_by(reader: Mandate) -> sa.Select[Any]:
    """The cases that a reader may see: all, or those it is a party to."""
    wanted = sa.select(DisputeCase)
    if reader.role in JUDGES:
        return wanted
    mine = reader.organisation
    parties = (
        DisputeCase.first_holder,
        DisputeCase.first_operator,
        DisputeCase.second_holder,
        DisputeCase.second_operator,
    )
    return wanted.where(sa.or_(*(party == mine for party in parties)))


def decision_of(session: Session, case: str) -> DisputeDecision | None:
    return session.get(DisputeDecision, case)
