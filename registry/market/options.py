"""Options on units that do not exist yet: a bilateral contract, covered by a share of the conservative
estimate (RULES 1.6).

The seller offers to a named buyer, the buyer accepts with its election (`standing` or `elected`), pays the
premium, and so makes the contract active. `OptionDeliveries` carries contracts out in the entry that issues
the units: buyers who have elected, and whose cash reaches for the strike, get their units there; for the
others units are set aside until the window ends.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from ledger.canonical import JsonValue
from ledger.effects import Expire, Transition, Void
from registry.accounts.rules import cash_account
from registry.accounts.service import NotFound, load_organisation
from registry.acts import Desk
from registry.apportion import largest_remainder
from registry.clock import milliseconds
from registry.estimates.models import EstimateRun
from registry.issuance.deliveries import Delivered, Take
from registry.issuance.draft import Draft
from registry.issuance.plan import BatchPlan, IssuancePlan, days_by_year
from registry.issuance.units import locked_blocks
from registry.market.contracts import Wish, cover_units, share_out
from registry.market.models import Option
from registry.market.proceeds import Proceeds
from registry.market.rules import (
    OPTION,
    RUNNING,
    CoverExceeded,
    NothingToElect,
    PastDate,
    WindowClosed,
    WindowOpen,
)
from registry.market.settlement import (
    divide,
    pay_seller,
    post_units,
    project_terms,
    require_buyer,
)
from registry.office import Act, Answer, Command
from registry.programmes.rules import Terms, units_account
from registry.projects.models import MonitoringPeriod, Project
from registry.projects.rules import civil_date, day_ends_at
from registry.projects.service import load_project, own_project

MAX_UNITS: Final = 10**9
MAX_PRICE_FEN: Final = 10**6


class OfferOption(Command):
    project: str
    vintage: int = Field(ge=1990, le=2199)
    buyer: str
    units: int = Field(gt=0, le=MAX_UNITS)
    premium_fen: int = Field(
        gt=0, le=MAX_PRICE_FEN, description="for one unit, paid when the contract becomes active"
    )
    strike_fen: int = Field(ge=0, le=MAX_PRICE_FEN, description="for one unit, paid at delivery")
    window_to: date = Field(description="the last day on which the buyer may elect")


class AcceptOption(Command):
    option: str
    election: Literal["standing", "elected"] = "standing"


class OneOption(Command):
    option: str


def offer(desk: Desk, command: OfferOption) -> Answer:
    project = own_project(desk, command.project)
    load_organisation(desk.session, command.buyer)
    require_buyer(desk.session, project, command.buyer)
    if command.window_to < civil_date(desk.now):
        raise PastDate(date=command.window_to.isoformat())
    facts: dict[str, JsonValue] = {**command.model_dump(mode="json"), "seller": project.owner_id}
    desk.act(OPTION, "offer", desk.request_id, facts=facts)
    return {"option": desk.request_id}


def withdraw(desk: Desk, command: OneOption) -> Answer:
    option = _of_seller(desk, command.option)
    desk.act(OPTION, "withdraw", option.id)
    return {"option": option.id}


def accept(desk: Desk, command: AcceptOption) -> Answer:
    option = _of_buyer(desk, command.option)
    _require_open(desk, option)
    desk.act(OPTION, "accept", option.id, facts={"election": command.election})
    return {"option": option.id}


def activate(desk: Desk, command: OneOption) -> Answer:
    """The buyer pays the premium, which goes to the villages, and the promise is held against its cover
    (I10).
    """
    option = _of_buyer(desk, command.option)
    _require_open(desk, option)
    project = load_project(desk.session, option.project_id)
    require_buyer(desk.session, project, option.buyer_id)
    promised, cover = require_cover(desk.session, project, option)
    proceeds = divide(desk.session, project, option.units * option.premium_fen)
    draft = Draft(desk)
    pay_seller(draft, project, option.buyer_id, proceeds)
    facts: dict[str, JsonValue] = {
        "project": project.id,
        "vintage": option.vintage,
        "units": option.units,
        "promised_units": promised,
        "cover_units": cover,
        "proceeds": proceeds.facts(),
    }
    desk.act(OPTION, "activate", option.id, facts=facts, effects=draft.take())
    return {"option": option.id, "premium_fen": proceeds.gross_fen}


def elect(desk: Desk, command: OneOption) -> Answer:
    """The buyer's signed election inside the window: before issuance it waits, after it the strike pays for
    what was set aside.
    """
    option = _of_buyer(desk, command.option)
    _require_open(desk, option)
    if option.status == "set_aside":
        return _take(desk, option)
    if option.status != "active" or option.election != "elected":
        raise NothingToElect(option=option.id, status=option.status, election=option.election or "no")
    desk.act(OPTION, "elect", option.id)
    return {"option": option.id}


def _take(desk: Desk, option: Option) -> Answer:
    project = load_project(desk.session, option.project_id)
    assert option.pending is not None
    draft, units = Draft(desk), option.set_aside_units
    blocks = [block.block for block in locked_blocks(desk.session, option.pending)]
    post_units(draft, option.pending, project, option.buyer_id, blocks, units)
    proceeds = divide(desk.session, project, units * option.strike_fen)
    pay_seller(draft, project, option.buyer_id, proceeds)
    action = "take" if option.undelivered == 0 else "take_part"
    facts: dict[str, JsonValue] = {"project": project.id, "units": units, "proceeds": proceeds.facts()}
    desk.act(OPTION, action, option.id, facts=facts, effects=draft.take())
    return {"option": option.id, "units": units, "strike_fen": proceeds.gross_fen}


def expire(desk: Desk, command: OneOption) -> Answer:
    """The clock's act on units set aside that nobody took: they are the seller's again. Whoever notices may
    ask for it.
    """
    option = _load(desk.session, command.option)
    _require_ended(desk, option)
    OPTION.step(option.status, "expire", option.id)
    assert option.pending is not None
    held = desk.ledger.source.reservation(option.pending)
    assert held is not None
    # Contracts that were delivered before reservations had deadlines end with a void, as they were made.
    effect = Void(option.pending) if held.deadline_ms is None else Expire(option.pending)
    desk.consequence(OPTION, "expire", option.id, effects=[effect], reason_code="expired")
    return {"option": option.id}


def close_short(desk: Desk, command: OneOption) -> Answer:
    """After the window the seller pays back the premium for what was not delivered (E-T2 without
    interest).
    """
    option = _of_seller(desk, command.option)
    _require_ended(desk, option)
    refund = option.undelivered * option.premium_fen
    draft = Draft(desk)
    draft.pay(cash_account(option.seller_id), [(cash_account(option.buyer_id), refund)])
    facts: dict[str, JsonValue] = {"missing_units": option.undelivered, "refund_fen": refund}
    desk.act(OPTION, "close_short", option.id, facts=facts, effects=draft.take())
    return {"option": option.id, "refund_fen": refund}


ACTS = (
    Act("option.offer", OfferOption, offer),
    Act("option.withdraw", OneOption, withdraw),
    Act("option.accept", AcceptOption, accept),
    Act("option.activate", OneOption, activate),
    Act("option.elect", OneOption, elect),
    Act("option.expire", OneOption, expire),
    Act("option.close_short", OneOption, close_short),
)


# ---- cover -------------------------------------------------------------------------------------------------


def require_cover(session: Session, project: Project, option: Option) -> tuple[int, int]:
    """(units promised with this option, units that the estimate covers) of the vintage; raises
    `CoverExceeded`.
    """
    terms = project_terms(session, project)
    buffer_ppm = terms.buffer_ppm if terms.risk_mode == "buffer" else 0
    cover = cover_units(
        estimated_units(session, project, option.vintage, terms), buffer_ppm, terms.option_cover_ppm
    )
    running = session.scalars(
        sa.select(Option).where(
            Option.project_id == project.id, Option.vintage == option.vintage, Option.status.in_(RUNNING)
        )
    )
    promised = option.units + sum(other.undelivered for other in running if other.id != option.id)
    if promised > cover:
        raise CoverExceeded(promised=promised, vintage=option.vintage, cover=cover)
    return promised, cover


def estimated_units(session: Session, project: Project, vintage: int, terms: Terms) -> int:
    """Units of a year that the latest run of each period not issued yet lets expect, by days."""
    rows = session.execute(
        sa.select(MonitoringPeriod, EstimateRun.estimate_kg)
        .join(EstimateRun, EstimateRun.id == MonitoringPeriod.run_id)
        .where(
            MonitoringPeriod.project_id == project.id,
            MonitoringPeriod.status.not_in(("issued", "rejected", "voided")),
        )
    )
    expected = 0
    for period, estimate_kg in rows:
        days = days_by_year(date.fromisoformat(period.from_on), date.fromisoformat(period.to_on))
        units = largest_remainder(max(0, estimate_kg) // terms.unit_kg, list(days.values()))
        expected += dict(zip(days, units, strict=True)).get(vintage, 0)
    return expected


# ---- delivery ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OptionDeliveries:
    """The market's part in an issuance: what is deliverable is shared out once over all running contracts."""

    def deliver(self, draft: Draft, project: Project, plan: IssuancePlan) -> Delivered:
        delivery = _Delivery(draft, project, plan)
        for batch in plan.batches:
            delivery.of_batch(batch)
        return Delivered(tuple(delivery.takes), tuple(delivery.facts))


@dataclass(slots=True)
class _Delivery:
    draft: Draft
    project: Project
    plan: IssuancePlan
    takes: list[Take] = field(default_factory=list)
    facts: list[JsonValue] = field(default_factory=list)
    spent: dict[str, int] = field(default_factory=dict)

    def of_batch(self, batch: BatchPlan) -> None:
        contracts = self._running(batch.vintage)
        wishes = [Wish(o.id, o.undelivered, o.accepted_index or 0) for o in contracts]
        parts = share_out(batch.project_units, wishes)
        for option in contracts:
            if parts[option.id]:
                self._deliver(option, parts[option.id])

    def _running(self, vintage: int) -> Sequence[Option]:
        today = civil_date(self.draft.desk.now).isoformat()
        return self.draft.desk.session.scalars(
            sa.select(Option)
            .where(
                Option.project_id == self.project.id,
                Option.vintage == vintage,
                Option.status.in_(RUNNING),
                Option.window_to >= today,
            )
            .order_by(Option.accepted_index, Option.id)
        ).all()

    def _deliver(self, option: Option, units: int) -> None:
        strike_fen = units * option.strike_fen
        if self._elected(option) and self._affordable(option.buyer_id, strike_fen):
            self._settle(option, units, strike_fen)
        else:
            self._set_aside(option, units)

    @staticmethod
    def _elected(option: Option) -> bool:
        return option.election == "standing" or option.status != "active"

    def _affordable(self, buyer: str, strike_fen: int) -> bool:
        cash = self.draft.desk.ledger.source.account(cash_account(buyer))
        return cash is not None and cash.available - self.spent.get(buyer, 0) >= strike_fen

    def _settle(self, option: Option, units: int, strike_fen: int) -> None:
        account = self.draft.units_account(option.buyer_id, self.project.programme_id)
        proceeds: Proceeds | None = None
        if strike_fen:
            proceeds = divide(self.draft.desk.session, self.project, strike_fen, self.plan.parcel_units)
            pay_seller(self.draft, self.project, option.buyer_id, proceeds)
            self.spent[option.buyer_id] = self.spent.get(option.buyer_id, 0) + strike_fen
        action = "deliver" if units == option.undelivered else "deliver_part"
        self._step(option, action)
        self.takes.append(Take(option.vintage, account, units, option.id))
        self.facts.append(
            {
                "option": option.id,
                "vintage": option.vintage,
                "units": units,
                "pending": "",
                "proceeds": proceeds.facts() if proceeds is not None else {},
            }
        )

    def _set_aside(self, option: Option, units: int) -> None:
        owner = units_account(self.project.owner_id, self.project.programme_id)
        pending = self.draft.name()
        self._step(option, "set_aside")
        ends_ms = milliseconds(day_ends_at(date.fromisoformat(option.window_to)))
        self.takes.append(Take(option.vintage, owner, units, option.id, pending, ends_ms))
        self.facts.append(
            {
                "option": option.id,
                "vintage": option.vintage,
                "units": units,
                "pending": pending,
                "proceeds": {},
            }
        )

    def _step(self, option: Option, action: str) -> None:
        after = OPTION.step(option.status, action, option.id).after
        self.draft.add(Transition(OPTION.name, option.id, action, option.status, after))


@dataclass(frozen=True, slots=True)
class OptionInterests:
    """The market's part in a verifier's independence (R-16): who bought options on a project has a
    stake in it.
    """

    def parties(self, session: Session, project: str) -> Iterable[str]:
        buyers = sa.select(Option.buyer_id).where(Option.project_id == project, Option.status != "cancelled")
        return session.scalars(buyers.distinct()).all()


# ---- reading -----------------------------------------------------------------------------------------------


def _load(session: Session, option: str) -> Option:
    row = session.get(Option, option)
    if row is None:
        raise NotFound(kind="option", id=option)
    return row


def _of_seller(desk: Desk, option: str) -> Option:
    row = _load(desk.session, option)
    if row.seller_id != desk.actor.organisation:
        raise NotFound(kind="option", id=option)
    return row


def _of_buyer(desk: Desk, option: str) -> Option:
    row = _load(desk.session, option)
    if row.buyer_id != desk.actor.organisation:
        raise NotFound(kind="option", id=option)
    return row


def _require_open(desk: Desk, option: Option) -> None:
    if civil_date(desk.now).isoformat() > option.window_to:
        raise WindowClosed(option=option.id, window_to=option.window_to)


def _require_ended(desk: Desk, option: Option) -> None:
    if civil_date(desk.now).isoformat() <= option.window_to:
        raise WindowOpen(option=option.id, window_to=option.window_to)
