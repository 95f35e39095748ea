"""Offers and subscriptions (认购): paid wishes for a part of what is offered at a fixed price (RULES 1.7).

Opening an offer locks its units; placing a subscription reserves its whole price. After closing, the offer is
allocated once: each subscription gets its units locked, or its money back. Settling hands units and money
over, one entry for each subscription; money reserved for units that were not allocated is free again in the
same entry.
"""

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from ledger.canonical import JsonValue
from ledger.effects import Void
from registry.accounts.service import NotFound
from registry.acts import Desk
from registry.issuance.draft import Draft
from registry.issuance.rules import LOCK_ORDER
from registry.issuance.units import Selection, find_units, locked_blocks
from registry.market.contracts import Wish, fill, share_out
from registry.market.models import Offer, Subscription
from registry.market.options import MAX_PRICE_FEN, MAX_UNITS
from registry.market.rules import OFFER, SUBSCRIPTION, OfferClosed, PastDate
from registry.market.settlement import (
    divide,
    lock_units,
    post_money,
    post_units,
    require_buyer,
    reserve_money,
)
from registry.office import Act, Answer, Command
from registry.programmes.rules import units_account
from registry.projects.models import Project
from registry.projects.rules import civil_date
from registry.projects.service import load_project, own_project


class OpenOffer(Command):
    project: str
    units: int = Field(gt=0, le=MAX_UNITS)
    price_fen: int = Field(gt=0, le=MAX_PRICE_FEN, description="for one unit, VAT included")
    closes_on: date = Field(description="the last day on which subscriptions are taken")
    selection: Selection = Selection()


class OneOffer(Command):
    offer: str


class PlaceSubscription(Command):
    offer: str
    units: int = Field(gt=0, le=MAX_UNITS)


class OneSubscription(Command):
    subscription: str


def open_offer(desk: Desk, command: OpenOffer) -> Answer:
    project = own_project(desk, command.project)
    if command.closes_on < civil_date(desk.now):
        raise PastDate(date=command.closes_on.isoformat())
    draft = Draft(desk)
    account = units_account(project.owner_id, project.programme_id)
    cuts = find_units(desk.session, account, project.id, command.units, command.selection)
    blocks = draft.cut(cuts)
    pending = lock_units(draft, project, blocks, command.units, LOCK_ORDER, desk.request_id)
    facts: dict[str, JsonValue] = {
        "project": project.id,
        "seller": project.owner_id,
        "units": command.units,
        "price_fen": command.price_fen,
        "closes_on": command.closes_on.isoformat(),
        "selection": command.selection.facts(),
        "pending": pending,
    }
    desk.act(OFFER, "open", desk.request_id, facts=facts, effects=draft.take())
    return {"offer": desk.request_id}


def place(desk: Desk, command: PlaceSubscription) -> Answer:
    """Pays: the whole price is reserved from the buyer's cash, so the subscription is confirmed at once."""
    offer = load_offer(desk.session, command.offer)
    if offer.status != "open" or civil_date(desk.now).isoformat() > offer.closes_on:
        raise OfferClosed(offer=offer.id, status=offer.status, closes_on=offer.closes_on)
    project = load_project(desk.session, offer.project_id)
    buyer = desk.actor.organisation
    require_buyer(desk.session, project, buyer)
    draft, amount = Draft(desk), command.units * offer.price_fen
    pending = reserve_money(draft, project, buyer, amount, "subscription", desk.request_id)
    facts: dict[str, JsonValue] = {
        "offer": offer.id,
        "buyer": buyer,
        "units": command.units,
        "amount_fen": amount,
        "pending": pending,
    }
    desk.act(SUBSCRIPTION, "place", desk.request_id, facts=facts, effects=draft.take())
    return {"subscription": desk.request_id, "amount_fen": amount}


def cancel(desk: Desk, command: OneSubscription) -> Answer:
    """Before the offer closes the buyer may take the money back."""
    subscription = load_subscription(desk.session, command.subscription)
    if subscription.buyer_id != desk.actor.organisation:
        raise NotFound(kind="subscription", id=command.subscription)
    offer = load_offer(desk.session, subscription.offer_id)
    if offer.status != "open":
        raise OfferClosed(offer=offer.id, status=offer.status, closes_on=offer.closes_on)
    desk.act(SUBSCRIPTION, "cancel", subscription.id, effects=[Void(subscription.pending)])
    return {"subscription": subscription.id}


def close(desk: Desk, command: OneOffer) -> Answer:
    offer, _ = _of_seller(desk, command.offer)
    desk.act(OFFER, "close", offer.id)
    return {"offer": offer.id}


def withdraw(desk: Desk, command: OneOffer) -> Answer:
    """The units are free again and every subscription gets its money back."""
    offer, _ = _of_seller(desk, command.offer)
    wishes = _subscriptions(desk.session, offer, "confirmed")
    desk.act(OFFER, "withdraw", offer.id, effects=[Void(offer.pending)])
    for subscription in wishes:
        _refund(desk, subscription)
    return {"offer": offer.id, "refunded": [subscription.id for subscription in wishes]}


def allocate(desk: Desk, command: OneOffer) -> Answer:
    """Share the units out once: pro rata when there are too few (RULES 1.7). What is not subscribed is free
    again.
    """
    offer, project = _of_seller(desk, command.offer)
    wishes = _subscriptions(desk.session, offer, "confirmed")
    parts = share_out(offer.units, [Wish(s.id, s.units, s.confirmed_index) for s in wishes])
    draft = Draft(desk)
    draft.add(Void(offer.pending))
    served = [subscription for subscription in wishes if parts[subscription.id]]
    blocks = _cut_for(desk.session, draft, offer, [parts[s.id] for s in served])
    allocation: list[JsonValue] = [[subscription.id, parts[subscription.id]] for subscription in wishes]
    desk.act(OFFER, "allocate", offer.id, facts={"allocation": allocation}, effects=draft.take())
    for subscription, names in zip(served, blocks, strict=True):
        _lock_for(desk, draft, project, subscription, names, parts[subscription.id])
    for subscription in wishes:
        if not parts[subscription.id]:
            _refund(desk, subscription)
    return {"offer": offer.id, "allocation": allocation}


def settle(desk: Desk, command: OneOffer) -> Answer:
    """Units against money, in one entry for each subscription."""
    offer, project = _of_seller(desk, command.offer)
    allocated = _subscriptions(desk.session, offer, "allocated")
    desk.act(OFFER, "settle", offer.id)
    draft = Draft(desk)
    for subscription in allocated:
        _fulfil(desk, draft, project, offer, subscription)
    return {"offer": offer.id, "fulfilled": [subscription.id for subscription in allocated]}


ACTS = (
    Act("offer.open", OpenOffer, open_offer),
    Act("offer.withdraw", OneOffer, withdraw),
    Act("offer.close", OneOffer, close),
    Act("offer.allocate", OneOffer, allocate),
    Act("offer.settle", OneOffer, settle),
    Act("subscription.place", PlaceSubscription, place),
    Act("subscription.cancel", OneSubscription, cancel),
)


# ---- what the system does because of it --------------------------------------------------------------------


def _cut_for(session: Session, draft: Draft, offer: Offer, counts: Sequence[int]) -> list[list[str]]:
    """Blocks for each count in turn, from the lowest number of the offer's units: each block is split
    once.
    """
    free = locked_blocks(session, offer.pending)
    chosen: list[list[str]] = [[] for _ in counts]
    for block, sizes in zip(free, fill([block.units.count for block in free], counts), strict=True):
        names = draft.split(block, block.units.split_counts([size for _, size in sizes]))
        for name, (receiver, _) in zip(names, sizes, strict=True):
            if receiver is not None:
                chosen[receiver].append(name)
    return chosen


def _lock_for(
    desk: Desk, draft: Draft, project: Project, subscription: Subscription, blocks: Sequence[str], units: int
) -> None:
    pending = lock_units(draft, project, blocks, units, LOCK_ORDER, subscription.id)
    facts: dict[str, JsonValue] = {"units": units, "pending": pending}
    desk.consequence(SUBSCRIPTION, "allocate", subscription.id, facts=facts, effects=draft.take())


def _refund(desk: Desk, subscription: Subscription) -> None:
    desk.consequence(SUBSCRIPTION, "refund", subscription.id, effects=[Void(subscription.pending)])


def _fulfil(desk: Desk, draft: Draft, project: Project, offer: Offer, subscription: Subscription) -> None:
    units, pending, buyer = subscription.allocated_units, subscription.units_pending, subscription.buyer_id
    assert units is not None and pending is not None
    blocks = [block.block for block in locked_blocks(desk.session, pending)]
    post_units(draft, pending, project, buyer, blocks, units)
    proceeds = divide(desk.session, project, units * offer.price_fen)
    post_money(draft, subscription.pending, project, buyer, proceeds)
    facts: dict[str, JsonValue] = {
        "project": project.id,
        "units": units,
        "refund_fen": subscription.amount_fen - proceeds.gross_fen,
        "proceeds": proceeds.facts(),
    }
    desk.consequence(SUBSCRIPTION, "fulfil", subscription.id, facts=facts, effects=draft.take())


# ---- reading -----------------------------------------------------------------------------------------------


def load_offer(session: Session, offer: str) -> Offer:
    row = session.get(Offer, offer)
    if row is None:
        raise NotFound(kind="offer", id=offer)
    return row


def load_subscription(session: Session, subscription: str) -> Subscription:
    row = session.get(Subscription, subscription)
    if row is None:
        raise NotFound(kind="subscription", id=subscription)
    return row


def _of_seller(desk: Desk, offer: str) -> tuple[Offer, Project]:
    row = load_offer(desk.session, offer)
    return row, own_project(desk, row.project_id)


def _subscriptions(session: Session, offer: Offer, status: str) -> Sequence[Subscription]:
    return session.scalars(
        sa.select(Subscription)
        .where(Subscription.offer_id == offer.id, Subscription.status == status)
        .order_by(Subscription.confirmed_index, Subscription.id)
    ).all()
