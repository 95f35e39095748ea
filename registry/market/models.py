"""Rows of the market room. Prices are fen for one unit; dates are ISO texts as they stand in the log."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from registry.database import Base, logged
from registry.projections import Subject


class Option(Subject, Base):
    """A contract on units that do not exist yet. `pending` holds units set aside for a buyer who has not
    elected.
    """

    __tablename__ = "option_contract"

    project_id: Mapped[str] = logged(sa.ForeignKey("project.id"), index=True)
    vintage: Mapped[int] = logged(sa.Integer)
    seller_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    buyer_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    units: Mapped[int] = logged(sa.BigInteger)
    premium_fen: Mapped[int] = logged(sa.BigInteger)
    strike_fen: Mapped[int] = logged(sa.BigInteger)
    window_to: Mapped[str] = logged(sa.String(10))
    election: Mapped[str | None] = logged(sa.String(10), nullable=True)
    accepted_index: Mapped[int | None] = logged(sa.BigInteger, nullable=True)
    delivered_units: Mapped[int] = logged(sa.BigInteger)
    set_aside_units: Mapped[int] = logged(sa.BigInteger)
    pending: Mapped[str | None] = logged(sa.String(200), nullable=True)

    @property
    def undelivered(self) -> int:
        return self.units - self.delivered_units - self.set_aside_units


class Offer(Subject, Base):
    """Units offered for subscription at a fixed price; locked under `pending` until they are allocated."""

    __tablename__ = "offer"

    project_id: Mapped[str] = logged(sa.ForeignKey("project.id"), index=True)
    seller_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    units: Mapped[int] = logged(sa.BigInteger)
    price_fen: Mapped[int] = logged(sa.BigInteger)
    closes_on: Mapped[str] = logged(sa.String(10))
    pending: Mapped[str] = logged(sa.String(200))


class Subscription(Subject, Base):
    """A paid wish for a part of an offer: its money is reserved under `pending`, its units later under
    `units_pending`.
    """

    __tablename__ = "subscription"

    offer_id: Mapped[str] = logged(sa.ForeignKey("offer.id"), index=True)
    buyer_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    units: Mapped[int] = logged(sa.BigInteger)
    amount_fen: Mapped[int] = logged(sa.BigInteger)
    confirmed_index: Mapped[int] = logged(sa.BigInteger)
    pending: Mapped[str] = logged(sa.String(200))
    allocated_units: Mapped[int | None] = logged(sa.BigInteger, nullable=True)
    units_pending: Mapped[str | None] = logged(sa.String(200), nullable=True)


class Listing(Subject, Base):
    """A sell order at a fixed price (RULES 1.8); what is left of its units is locked under `pending`."""

    __tablename__ = "listing"

    project_id: Mapped[str] = logged(sa.ForeignKey("project.id"), index=True)
    seller_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    units: Mapped[int] = logged(sa.BigInteger)
    units_left: Mapped[int] = logged(sa.BigInteger)
    price_fen: Mapped[int] = logged(sa.BigInteger)
    pending: Mapped[str | None] = logged(sa.String(200), nullable=True)


class Trade(Subject, Base):
    """Units bought from a listing, settled against payment in one entry."""

    __tablename__ = "trade"

    listing_id: Mapped[str] = logged(sa.ForeignKey("listing.id"), index=True)
    buyer_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    units: Mapped[int] = logged(sa.BigInteger)
    amount_fen: Mapped[int] = logged(sa.BigInteger)


class ProceedsLine(Base):
    """One line of a payment's split: `line` is village, tax, insurance, fee or operator. Lines of a `source`
    add up to it.
    """

    __tablename__ = "proceeds_line"

    source: Mapped[str] = logged(sa.String(200), primary_key=True)
    n: Mapped[int] = logged(sa.Integer, primary_key=True)
    entry_index: Mapped[int] = logged(sa.BigInteger, index=True)
    kind: Mapped[str] = logged(sa.String(20))
    line: Mapped[str] = logged(sa.String(20))
    project_id: Mapped[str] = logged(sa.ForeignKey("project.id"), index=True)
    organisation_id: Mapped[str] = logged(sa.ForeignKey("organisation.id"), index=True)
    amount_fen: Mapped[int] = logged(sa.BigInteger)
