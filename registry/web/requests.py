"""Requests under way: those of mine, those that wait for my signature, and how I give it."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from ledger.entry import Payload, parse_payload
from ledger.envelope import Envelope, decode_leaf
from ledger.log import leaves, ledger_source
from registry.catalogue import MACHINES
from registry.machine import Mandate, NotAuthorised, Role, Signer, check_authority
from registry.office import Outcome, Request, RequestUnknown
from registry.web.api import (
    ACT_PROBLEMS,
    READ_PROBLEMS,
    ActAnswer,
    Acting,
    Body,
    Caller,
    Known,
    Reading,
    Running,
    act_answer,
    outcome_response,
)

router = APIRouter(tags=["requests"])


@router.get("/requests", summary="Requests that wait for my signature, or mine", responses=READ_PROBLEMS)
def requests(known: Known, session: Reading, status: str = "awaiting") -> dict[str, Any]:
    """`awaiting`: those that I may confirm. Any other status: my own, newest first, 200 at most."""
    if status == "awaiting":
        waiting = session.scalars(
            sa.select(Request).where(Request.status == "awaiting").order_by(Request.created_at, Request.id)
        )
        found = [row for row in waiting if may_confirm(row, known.mandate)]
    else:
        own = sa.select(Request).where(Request.person == known.mandate.person, Request.status == status)
        found = list(session.scalars(own.order_by(Request.created_at.desc(), Request.id).limit(200)))
    return {"items": [_view(row) for row in found], "next": None}


@router.get("/requests/{request_id}", summary="A request and what came of it", responses=READ_PROBLEMS)
def request(request_id: str, known: Known, session: Reading) -> dict[str, Any]:
    return dict(_view(_seen(session, known, request_id)))


@router.post(
    "/requests/{request_id}/envelope",
    operation_id="request.envelope",
    summary="Bring a DSSE envelope over a request's payload, signed with a key of my own",
    status_code=201,
    response_model=ActAnswer,
    responses={202: {"model": ActAnswer}, **ACT_PROBLEMS},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DsseEnvelope"}}},
        }
    },
)
def envelope(request_id: str, running: Running, by: Acting, content: Body) -> Response:
    with running.database.read() as session:
        _seen(session, by, request_id)
    outcome = running.office.submit(by.mandate.person, request_id, Envelope.from_json(content))
    return outcome_response(running, outcome)


@router.post(
    "/requests/{request_id}/confirmation",
    operation_id="request.confirmation",
    summary="Confirm another person's request with a key in the registry's custody",
    status_code=201,
    response_model=ActAnswer,
    responses={202: {"model": ActAnswer}, **ACT_PROBLEMS},
)
def confirmation(request_id: str, running: Running, by: Acting) -> Response:
    with running.database.read() as session:
        _seen(session, by, request_id)
    return outcome_response(running, running.office.confirm(by.mandate, request_id))


# ---- who sees a request ------------------------------------------------------------------------------------


def _seen(session: Session, known: Caller, request_id: str) -> Request:
    """A request that concerns the caller: its own, one it may confirm, or one that is done
    and bears its signature. To others it does not exist.
    """
    row = session.get(Request, request_id)
    if row is not None:
        if row.person == known.mandate.person:
            return row
        if row.status == "awaiting" and may_confirm(row, known.mandate):
            return row
        if row.status == "done" and known.mandate.person in signers_of(session, row):
            return row
    raise RequestUnknown(request_id=request_id[:80])


def signers_of(session: Session, row: Request) -> set[str]:
    """Who signed the entry that came of a request, as the log says."""
    indexes: list[int] = (row.answer or {}).get("entries", [])[:1]
    source = ledger_source(session)
    found: set[str] = set()
    for index in indexes:
        for leaf in leaves(session, index, index + 1):
            keys = (source.actor_key(signature.keyid) for signature in decode_leaf(leaf)[1].signatures)
            found |= {key.person for key in keys if key is not None}
    return found


def may_confirm(row: Request, mandate: Mandate) -> bool:
    """Whether this mandate's signature is what an awaiting request lacks."""
    if row.payload is None or row.person == mandate.person:
        return False
    payload = parse_payload(row.payload)
    rule = MACHINES[payload.machine].step(payload.before, payload.action, payload.subject)
    by = Mandate(payload.mandate, payload.by, row.mandate["organisation"], Role(payload.role))
    signers = [Signer(by.person, (by,)), Signer(mandate.person, (mandate,))]
    try:
        check_authority(payload.machine, payload.action, rule, by, payload.by, signers)
    except NotAuthorised:
        return False
    return True


def _view(row: Request) -> Mapping[str, Any]:
    outcome = Outcome(row.id, row.status, dict(row.answer or {}), row.payload, row.needed)
    view: dict[str, Any] = {
        "act": row.act,
        "person": row.person,
        "organisation": row.mandate["organisation"],
        "created_at": row.created_at.isoformat(),
        **act_answer(outcome).model_dump(exclude_none=True),
    }
    if row.payload is not None:
        view["says"] = _says(parse_payload(row.payload))
    return view


def _says(payload: Payload) -> Mapping[str, Any]:
    """The payload in words that a person can compare; what counts are its bytes."""
    return {
        "machine": payload.machine,
        "subject": payload.subject,
        "action": payload.action,
        "before": payload.before,
        "after": payload.after,
        "role": payload.role,
        "facts": payload.facts,
        "commitments": payload.commitments,
        "effects": len(payload.effects),
    }
