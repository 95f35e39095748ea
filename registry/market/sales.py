"""Sell orders at a fixed price and the trades that fill them, units against payment in one entry
(RULES 1.8).
"""

from collections.abc import Sequence

from pydantic import Field
from sqlalchemy.orm import Session

from ledger.books import Block
from ledger.canonical import JsonValue
from ledger.effects import Transition, Void
from registry.accounts.service import NotFound
from registry.acts import Desk
from registry.issuance.draft import Draft
from registry.issuance.rules import LOCK_ORDER
from registry.issuance.units import Selection, choose, find_units, locked_blocks
from registry.market.models import Listing
from registry.market.options import MAX_PRICE_FEN, MAX_UNITS
from registry.market.rules import LISTING, TRADE, SoldOut
from registry.market.settlement import (
    divide,
    lock_units,
    pay_seller,
    post_units,
    require_buyer,
)
from registry.office import Act, Answer, Command
from registry.programmes.rules import units_account
from registry.projects.service import load_project, own_project


class OpenListing(Command):
    project: str
    units: int = Field(gt=0, le=MAX_UNITS)
    price_fen: int = Field(gt=0, le=MAX_PRICE_FEN, description="for one unit, VAT included")
    selection: Selection = Selection()


class CancelListing(Command):
    listing: str


class Buy(Command):
    listing: str
    units: int = Field(gt=0, le=MAX_UNITS)


def open_listing(desk: Desk, command: OpenListing) -> Answer:
    project = own_project(desk, command.project)
    draft = Draft(desk)
    account = units_account(project.owner_id, project.programme_id)
    blocks = draft.cut(find_units(desk.session, account, project.id, command.units, command.selection))
    pending = lock_units(draft, project, blocks, command.units, LOCK_ORDER, desk.request_id)
    facts: dict[str, JsonValue] = {
        "project": project.id,
        "seller": project.owner_id,
        "units": command.units,
        "price_fen": command.price_fen,
        "selection": command.selection.facts(),
        "pending": pending,
    }
    desk.act(LISTING, "open", desk.request_id, facts=facts, effects=draft.take())
    return {"listing": desk.request_id}


def cancel_listing(desk: Desk, command: CancelListing) -> Answer:
    listing = load_listing(desk.session, command.listing)
    own_project(desk, listing.project_id)
    effects = [Void(listing.pending)] if listing.pending is not None else []
    desk.act(LISTING, "cancel", listing.id, effects=effects)
    return {"listing": listing.id, "units_free": listing.units_left}


def buy(desk: Desk, command: Buy) -> Answer:
    """The buyer gets the tail of what is listed and pays in the same entry; the rest stays locked for the
    next.
    """
    listing = load_listing(desk.session, command.listing)
    project = load_project(desk.session, listing.project_id)
    buyer = desk.actor.organisation
    require_buyer(desk.session, project, buyer)
    action = "fill" if command.units == listing.units_left else "fill_part"
    step = LISTING.step(listing.status, action, listing.id)
    if command.units > listing.units_left:
        raise SoldOut(asked=command.units, listing=listing.id, available=listing.units_left)
    assert listing.pending is not None
    draft = Draft(desk)
    listed = locked_blocks(desk.session, listing.pending)
    sold, kept = _part(draft, listed, command.units)
    post_units(draft, listing.pending, project, buyer, sold, command.units)
    rest = listing.units_left - command.units
    pending = lock_units(draft, project, kept, rest, LOCK_ORDER, listing.id) if rest else ""
    proceeds = divide(desk.session, project, command.units * listing.price_fen)
    pay_seller(draft, project, buyer, proceeds)
    draft.add(Transition(LISTING.name, listing.id, action, listing.status, step.after))
    facts: dict[str, JsonValue] = {
        "project": project.id,
        "listing": listing.id,
        "buyer": buyer,
        "units": command.units,
        "amount_fen": proceeds.gross_fen,
        "pending": pending,
        "proceeds": proceeds.facts(),
    }
    desk.act(TRADE, "buy", desk.request_id, facts=facts, effects=draft.take())
    return {"trade": desk.request_id, "units": command.units, "amount_fen": proceeds.gross_fen}


ACTS = (
    Act("listing.open", OpenListing, open_listing),
    Act("listing.cancel", CancelListing, cancel_listing),
    Act("trade.buy", Buy, buy),
)


def _part(draft: Draft, listed: Sequence[Block], units: int) -> tuple[list[str], list[str]]:
    """The tail of the listed blocks that is sold, and the rest, as blocks of their own."""
    cuts = {cut.block.block: cut for cut in choose(listed, units, Selection())}
    sold: list[str] = []
    kept: list[str] = []
    for block in listed:
        cut = cuts.get(block.block)
        if cut is None:
            kept.append(block.block)
            continue
        for name, part in zip(draft.split(block, cut.parts), cut.parts, strict=True):
            (sold if part in cut.chosen else kept).append(name)
    return sold, kept


def load_listing(session: Session, listing: str) -> Listing:
    row = session.get(Listing, listing)
    if row is None:
        raise NotFound(kind="listing", id=listing)
    return row
