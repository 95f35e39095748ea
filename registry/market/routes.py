"""The market over HTTP: options, offers and their subscriptions, listings and trades, proceeds."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from registry.accounts.service import NotFound
from registry.market.models import Listing, Offer, Option, ProceedsLine, Subscription, Trade
from registry.market.options import AcceptOption, OfferOption, OneOption
from registry.market.sales import Buy, CancelListing, OpenListing
from registry.market.subscriptions import OneOffer, OneSubscription, OpenOffer, PlaceSubscription
from registry.web.api import (
    PAGE_SIZE,
    READ_PROBLEMS,
    ActRoute,
    Before,
    Caller,
    Cursor,
    Known,
    Limit,
    Reading,
    add_acts,
    page_of,
)

router = APIRouter(tags=["market"])

add_acts(
    router,
    ActRoute("option.offer", OfferOption, "/options", "Offer an option to a buyer"),
    ActRoute("option.withdraw", OneOption, "/options/{option}/withdrawal", "Withdraw an offered option"),
    ActRoute("option.accept", AcceptOption, "/options/{option}/acceptance", "Accept an option"),
    ActRoute("option.activate", OneOption, "/options/{option}/activation", "Pay the premium"),
    ActRoute("option.elect", OneOption, "/options/{option}/election", "Take up an option"),
    ActRoute("option.expire", OneOption, "/options/{option}/expiry", "Let an option expire after its window"),
    ActRoute(
        "option.close_short", OneOption, "/options/{option}/short-closure", "Close an option that fell short"
    ),
    ActRoute("offer.open", OpenOffer, "/offers", "Offer units for subscription"),
    ActRoute("offer.withdraw", OneOffer, "/offers/{offer}/withdrawal", "Withdraw an offer"),
    ActRoute("offer.close", OneOffer, "/offers/{offer}/closing", "Close an offer for subscription"),
    ActRoute("offer.allocate", OneOffer, "/offers/{offer}/allocation", "Allocate units to subscriptions"),
    ActRoute("offer.settle", OneOffer, "/offers/{offer}/settlement", "Deliver against payment"),
    ActRoute("subscription.place", PlaceSubscription, "/offers/{offer}/subscriptions", "Subscribe, paid"),
    ActRoute(
        "subscription.cancel",
        OneSubscription,
        "/subscriptions/{subscription}/cancellation",
        "Cancel a subscription",
    ),
    ActRoute("listing.open", OpenListing, "/listings", "List units for sale at a fixed price"),
    ActRoute("listing.cancel", CancelListing, "/listings/{listing}/cancellation", "Cancel a listing"),
    ActRoute("trade.buy", Buy, "/listings/{listing}/trades", "Buy from a listing"),
)


@router.get("/options", summary="Options of my organisation", responses=READ_PROBLEMS)
def options(
    request: Request, known: Known, session: Reading, cursor: Cursor = None, limit: Limit = PAGE_SIZE
) -> Response:
    wanted = _sides(sa.select(Option), known, Option.seller_id, Option.buyer_id)
    return page_of(request, session, wanted, Option.id, _option_view, cursor, limit)


@router.get("/options/{option}", summary="One option of my organisation", responses=READ_PROBLEMS)
def option(option: str, known: Known, session: Reading) -> dict[str, Any]:
    wanted = _sides(sa.select(Option).where(Option.id == option), known, Option.seller_id, Option.buyer_id)
    row = session.scalar(wanted)
    if row is None:
        raise NotFound(kind="option", id=option)
    return dict(_option_view(row))


@router.get("/offers", summary="Offers for subscription", responses=READ_PROBLEMS)
def offers(
    request: Request, known: Known, session: Reading, cursor: Cursor = None, limit: Limit = PAGE_SIZE
) -> Response:
    return page_of(request, session, sa.select(Offer), Offer.id, _offer_view, cursor, limit)


@router.get("/subscriptions", summary="Subscriptions I placed or sold", responses=READ_PROBLEMS)
def subscriptions(
    request: Request,
    known: Known,
    session: Reading,
    offer: str | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_SIZE,
) -> Response:
    wanted = sa.select(Subscription)
    if not known.official:
        mine = known.mandate.organisation
        sold = sa.select(Offer.id).where(Offer.seller_id == mine)
        wanted = wanted.where(sa.or_(Subscription.buyer_id == mine, Subscription.offer_id.in_(sold)))
    if offer is not None:
        wanted = wanted.where(Subscription.offer_id == offer)
    return page_of(request, session, wanted, Subscription.id, _subscription_view, cursor, limit)


@router.get("/listings", summary="Listings", responses=READ_PROBLEMS)
def listings(
    request: Request,
    known: Known,
    session: Reading,
    status: str | None = None,
    cursor: Cursor = None,
    limit: Limit = PAGE_SIZE,
) -> Response:
    wanted = sa.select(Listing)
    if status is not None:
        wanted = wanted.where(Listing.status == status)
    return page_of(request, session, wanted, Listing.id, _listing_view, cursor, limit)


@router.get("/trades", summary="Trades of my organisation", responses=READ_PROBLEMS)
def trades(
    request: Request, known: Known, session: Reading, cursor: Cursor = None, limit: Limit = PAGE_SIZE
) -> Response:
    wanted = sa.select(Trade)
    if not known.official:
        mine = known.mandate.organisation
        sold = sa.select(Listing.id).where(Listing.seller_id == mine)
        wanted = wanted.where(sa.or_(Trade.buyer_id == mine, Trade.listing_id.in_(sold)))
    return page_of(request, session, wanted, Trade.id, _trade_view, cursor, limit)


@router.get(
    "/proceeds", summary="What my organisation got out of payments, to the fen", responses=READ_PROBLEMS
)
def proceeds(
    known: Known,
    session: Reading,
    project: str | None = None,
    before: Before = None,
    limit: Limit = PAGE_SIZE,
) -> dict[str, Any]:
    """Newest first; `before` is the `next` of the page before. Lines of one entry are never parted."""
    wanted = sa.select(ProceedsLine)
    if not known.official:
        wanted = wanted.where(ProceedsLine.organisation_id == known.mandate.organisation)
    if project is not None:
        wanted = wanted.where(ProceedsLine.project_id == project)
    if before is not None:
        wanted = wanted.where(ProceedsLine.entry_index < before)
    indexes = list(
        session.scalars(
            wanted.with_only_columns(ProceedsLine.entry_index)
            .distinct()
            .order_by(ProceedsLine.entry_index.desc())
            .limit(limit + 1)
        )
    )
    shown = indexes[:limit]
    rows = session.scalars(
        wanted.where(ProceedsLine.entry_index.in_(shown)).order_by(
            ProceedsLine.entry_index.desc(), ProceedsLine.source, ProceedsLine.n
        )
    )
    return {
        "items": [_proceeds_view(row) for row in rows],
        "next": shown[-1] if len(indexes) > limit else None,
    }


def _sides(wanted: sa.Select[Any], known: Caller, seller: Any, buyer: Any) -> sa.Select[Any]:
    if known.official:
        return wanted
    return wanted.where(sa.or_(seller == known.mandate.organisation, buyer == known.mandate.organisation))


def _option_view(row: Option) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "project": row.project_id,
        "vintage": row.vintage,
        "seller": row.seller_id,
        "buyer": row.buyer_id,
        "units": row.units,
        "delivered_units": row.delivered_units,
        "set_aside_units": row.set_aside_units,
        "premium_fen": row.premium_fen,
        "strike_fen": row.strike_fen,
        "window_to": row.window_to,
        "election": row.election,
        "entry": row.entry_index,
    }


def _offer_view(row: Offer) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "project": row.project_id,
        "seller": row.seller_id,
        "units": row.units,
        "price_fen": row.price_fen,
        "closes_on": row.closes_on,
        "entry": row.entry_index,
    }


def _subscription_view(row: Subscription) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "offer": row.offer_id,
        "buyer": row.buyer_id,
        "units": row.units,
        "amount_fen": row.amount_fen,
        "allocated_units": row.allocated_units,
        "entry": row.entry_index,
    }


def _listing_view(row: Listing) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "project": row.project_id,
        "seller": row.seller_id,
        "units": row.units,
        "units_left": row.units_left,
        "price_fen": row.price_fen,
        "entry": row.entry_index,
    }


def _trade_view(row: Trade) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "listing": row.listing_id,
        "buyer": row.buyer_id,
        "units": row.units,
        "amount_fen": row.amount_fen,
        "entry": row.entry_index,
    }


def _proceeds_view(row: ProceedsLine) -> Mapping[str, Any]:
    return {
        "entry": row.entry_index,
        "source": row.source,
        "kind": row.kind,
        "line": row.line,
        "project": row.project_id,
        "organisation": row.organisation_id,
        "amount_fen": row.amount_fen,
    }
