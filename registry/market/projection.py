"""Rows that the market room's entries imply. Steps that another entry causes find their facts in that
entry.
"""

from typing import Any

from sqlalchemy.orm import Session

from registry.market.models import Listing, Offer, Option, ProceedsLine, Subscription, Trade
from registry.projections import Recorded, begin, follow
from registry.projects.models import Project


def option(session: Session, recorded: Recorded) -> None:
    if recorded.action == "offer":
        _offer_option(session, recorded)
        return
    row = follow(session, Option, recorded)
    facts = recorded.facts
    match recorded.action:
        case "accept":
            row.election = facts["election"]
            row.accepted_index = recorded.index
        case "activate":
            _proceeds(session, recorded, "premium", row.project_id, facts["proceeds"])
        case "deliver" | "deliver_part" | "set_aside":
            delivery = next(d for d in facts["deliveries"] if d["option"] == row.id)
            _deliver(session, recorded, row, delivery)
        case "take" | "take_part":
            row.delivered_units += row.set_aside_units
            row.set_aside_units, row.pending = 0, None
            _proceeds(session, recorded, "strike", row.project_id, facts["proceeds"])
        case "expire":
            row.set_aside_units, row.pending = 0, None


def _offer_option(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    begin(
        session,
        Option,
        recorded,
        project_id=facts["project"],
        vintage=facts["vintage"],
        seller_id=facts["seller"],
        buyer_id=facts["buyer"],
        units=facts["units"],
        premium_fen=facts["premium_fen"],
        strike_fen=facts["strike_fen"],
        window_to=facts["window_to"],
        delivered_units=0,
        set_aside_units=0,
    )


def _deliver(session: Session, recorded: Recorded, row: Option, delivery: dict[str, Any]) -> None:
    if recorded.action == "set_aside":
        row.set_aside_units, row.pending = delivery["units"], delivery["pending"]
        return
    row.delivered_units += delivery["units"]
    if delivery["proceeds"]:
        _proceeds(session, recorded, "strike", row.project_id, delivery["proceeds"])


def offer(session: Session, recorded: Recorded) -> None:
    if recorded.action != "open":
        follow(session, Offer, recorded)
        return
    facts = recorded.facts
    begin(
        session,
        Offer,
        recorded,
        project_id=facts["project"],
        seller_id=facts["seller"],
        units=facts["units"],
        price_fen=facts["price_fen"],
        closes_on=facts["closes_on"],
        pending=facts["pending"],
    )


def subscription(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    if recorded.action == "place":
        begin(
            session,
            Subscription,
            recorded,
            offer_id=facts["offer"],
            buyer_id=facts["buyer"],
            units=facts["units"],
            amount_fen=facts["amount_fen"],
            confirmed_index=recorded.index,
            pending=facts["pending"],
        )
        return
    row = follow(session, Subscription, recorded)
    if recorded.action == "allocate":
        row.allocated_units, row.units_pending = facts["units"], facts["pending"]
    elif recorded.action == "fulfil":
        _proceeds(session, recorded, "subscription", facts["project"], facts["proceeds"])


def listing(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    if recorded.action == "open":
        begin(
            session,
            Listing,
            recorded,
            project_id=facts["project"],
            seller_id=facts["seller"],
            units=facts["units"],
            units_left=facts["units"],
            price_fen=facts["price_fen"],
            pending=facts["pending"],
        )
        return
    row = follow(session, Listing, recorded)
    if recorded.action == "cancel":
        row.pending = None
    else:  # a trade, whose facts these are
        row.units_left -= facts["units"]
        row.pending = facts["pending"] or None


def trade(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    begin(
        session,
        Trade,
        recorded,
        listing_id=facts["listing"],
        buyer_id=facts["buyer"],
        units=facts["units"],
        amount_fen=facts["amount_fen"],
    )
    _proceeds(session, recorded, "sale", facts["project"], facts["proceeds"])


def _proceeds(
    session: Session, recorded: Recorded, kind: str, project: str, proceeds: dict[str, Any]
) -> None:
    """One row for each line of a payment's split, none for lines of zero."""
    owner = session.get_one(Project, project).owner_id
    lines = [
        ("tax", owner, proceeds["vat_fen"] + proceeds["surcharge_fen"]),
        ("insurance", owner, proceeds["insurance_fen"]),
        ("fee", owner, proceeds["fee_fen"]),
        ("operator", owner, proceeds["operator_fen"]),
        *(("village", organisation, fen) for organisation, fen in proceeds["villages"]),
    ]
    session.add_all(
        ProceedsLine(
            source=f"{recorded.index}.{recorded.subject}",
            n=n,
            entry_index=recorded.index,
            kind=kind,
            line=line,
            project_id=project,
            organisation_id=organisation,
            amount_fen=fen,
        )
        for n, (line, organisation, fen) in enumerate(lines)
        if fen
    )
