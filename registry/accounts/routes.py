"""Organisations, persons, keys, mandates and deposits over HTTP."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from ledger import tables
from registry.accounts.keys import AddLogKey, CloseLog, EndLogKey, RevokeKey, RotateKey
from registry.accounts.models import Deposit, Organisation
from registry.accounts.service import (
    AddKey,
    EndMandate,
    GrantMandate,
    NotFound,
    RecordDeposit,
    RegisterOrganisation,
    RegisterPerson,
    ReverseDeposit,
    load_organisation,
)
from registry.web.api import (
    PAGE_SIZE,
    READ_PROBLEMS,
    ActRoute,
    Before,
    Cursor,
    Known,
    Limit,
    Reading,
    add_acts,
    page_of,
)

router = APIRouter(tags=["accounts"])

add_acts(
    router,
    ActRoute("organisation.register", RegisterOrganisation, "/organisations", "Register an organisation"),
    ActRoute("person.register", RegisterPerson, "/persons", "Register a person"),
    ActRoute("key.add", AddKey, "/persons/{person}/keys", "Register a person's signing key"),
    ActRoute("key.rotate", RotateKey, "/keys/{key}/rotate", "Replace one of my signing keys"),
    ActRoute("key.revoke", RevokeKey, "/keys/{key}/revoke", "Revoke a signing key"),
    ActRoute("mandate.grant", GrantMandate, "/mandates", "Give a person a mandate for an organisation"),
    ActRoute("mandate.end", EndMandate, "/mandates/{mandate}/end", "End a mandate"),
    ActRoute("deposit.record", RecordDeposit, "/deposits", "Record money that the custodian received"),
    ActRoute(
        "deposit.reverse",
        ReverseDeposit,
        "/deposits/{deposit}/reversal",
        "Take back a deposit that was recorded wrongly",
    ),
    ActRoute("log.add_key", AddLogKey, "/log-keys", "Announce a new key of the log (root)"),
    ActRoute("log.end_key", EndLogKey, "/log-keys/end", "End an old key of the log (root)"),
    ActRoute("log.close", CloseLog, "/log-close", "Close the log and name its successor (root)"),
)


@router.get("/me", summary="Whom my key acts for", responses=READ_PROBLEMS)
def me(known: Known, session: Reading) -> dict[str, Any]:
    mandate = known.mandate
    organisation = load_organisation(session, mandate.organisation)
    return {
        "person": mandate.person,
        "mandate": mandate.id,
        "role": mandate.role.value,
        "scope": known.scope,
        "organisation": {"id": organisation.id, "kind": organisation.kind, "name": organisation.name},
    }


@router.get("/organisations", summary="Registered organisations", responses=READ_PROBLEMS)
def list_organisations(
    request: Request, known: Known, session: Reading, cursor: Cursor = None, limit: Limit = PAGE_SIZE
) -> Response:
    wanted = sa.select(Organisation)
    return page_of(request, session, wanted, Organisation.id, _organisation_view, cursor, limit)


@router.get("/deposits", summary="Deposits of my organisation", responses=READ_PROBLEMS)
def list_deposits(
    request: Request, known: Known, session: Reading, cursor: Cursor = None, limit: Limit = PAGE_SIZE
) -> Response:
    wanted = sa.select(Deposit)
    if not known.official:
        wanted = wanted.where(Deposit.organisation_id == known.mandate.organisation)
    return page_of(request, session, wanted, Deposit.id, _deposit_view, cursor, limit)


@router.get("/holdings", summary="Accounts of my organisation: units and money", responses=READ_PROBLEMS)
def holdings(known: Known, session: Reading) -> dict[str, Any]:
    """Every account with what is free and what is reserved; numbered ones with their ranges."""
    account = tables.account.c
    rows = session.execute(
        sa.select(tables.account).where(account.owner == known.mandate.organisation).order_by(account.account)
    ).mappings()
    return {
        "organisation": known.mandate.organisation,
        "accounts": [
            _account_view(row) | ({"ranges": _ranges(session, row["account"])} if row["numbered"] else {})
            for row in rows
        ],
    }


def _ranges(session: Reading, account: str) -> list[dict[str, Any]]:
    block = tables.block.c
    rows = session.execute(
        sa.select(tables.block)
        .where(block.account == account, block.live)
        .order_by(block.series, block.start_number)
    ).mappings()
    return [
        {
            "project": row["series"],
            "batch": row["batch"],
            "from": row["start_number"],
            "to": row["end_number"],
            "units": row["end_number"] - row["start_number"] + 1,
            "locked": row["pending"] is not None,
        }
        for row in rows
    ]


@router.get(
    "/accounts/{account}/statement", summary="Every posting of one of my accounts", responses=READ_PROBLEMS
)
def statement(
    account: str, known: Known, session: Reading, before: Before = None, limit: Limit = PAGE_SIZE
) -> dict[str, Any]:
    """Newest first; `before` is the `next` of the page before."""
    found = (
        session.execute(sa.select(tables.account).where(tables.account.c.account == account))
        .mappings()
        .one_or_none()
    )
    if found is None or not (known.official or found["owner"] == known.mandate.organisation):
        raise NotFound(kind="account", id=account)
    posting = tables.posting.c
    wanted = sa.select(tables.posting).where(posting.account == account)
    if before is not None:
        wanted = wanted.where(posting.idx < before)
    indexes = wanted.with_only_columns(posting.idx).distinct().order_by(posting.idx.desc()).limit(limit + 1)
    shown = list(session.scalars(indexes))
    more, shown = len(shown) > limit, shown[:limit]
    rows = session.execute(
        sa.select(tables.posting)
        .where(posting.account == account, posting.idx.in_(shown))
        .order_by(posting.idx.desc(), posting.n)
    ).mappings()
    lines = [{"entry": row["idx"], "amount": row["amount"], "asset": row["asset"]} for row in rows]
    return _account_view(found) | {"lines": lines, "next": shown[-1] if more else None}


def _organisation_view(row: Organisation) -> Mapping[str, Any]:
    """An individual's name is nobody's business here."""
    name = None if row.kind == "individual" else row.name
    return {"id": row.id, "kind": row.kind, "county": row.county, "name": name, "entry": row.entry_index}


def _deposit_view(row: Deposit) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "organisation": row.organisation_id,
        "amount_fen": row.amount_fen,
        "reference": row.reference,
        "entry": row.entry_index,
    }


def _account_view(row: Any) -> dict[str, Any]:
    return {
        "account": row["account"],
        "asset": row["asset"],
        "balance": row["credits_posted"] - row["debits_posted"],
        "reserved": row["debits_pending"],
        "incoming": row["credits_pending"],
    }
