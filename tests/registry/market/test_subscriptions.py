"""Offers and subscriptions: money reserved, units shared fairly, the rest refunded to the fen."""

from datetime import date

import pytest

from ledger.books import InsufficientBalance
from registry.issuance.rules import InsufficientUnits
from registry.issuance.units import Selection
from registry.machine import TransitionRefused
from registry.market.models import Subscription
from registry.market.rules import OfferClosed, OwnUnits
from registry.market.subscriptions import OneOffer, OneSubscription, OpenOffer, PlaceSubscription
from tests.registry.story import Story

PRICE = 6000


def opened(story: Story, units: int = 30, selection: Selection | None = None) -> str:
    command = OpenOffer(
        project=story.project_id,
        units=units,
        price_fen=PRICE,
        closes_on=date(2025, 12, 31),
        selection=selection or Selection(),
    )
    return str(story.do("operator", "offer.open", command).answer["offer"])


def placed(story: Story, offer: str, buyer: str, units: int) -> str:
    story.pay_in(buyer, units * PRICE)
    command = PlaceSubscription(offer=offer, units=units)
    return str(story.do(buyer, "subscription.place", command).answer["subscription"])


def load(story: Story, subscription: str) -> Subscription:
    with story.installation.database.read() as session:
        row = session.get_one(Subscription, subscription)
        session.expunge(row)
        return row


def finish(story: Story, offer: str) -> None:
    for act in ("offer.close", "offer.allocate", "offer.settle"):
        story.do("operator", act, OneOffer(offer=offer))


def test_an_oversubscribed_offer_is_shared_and_the_rest_refunded(issued: Story) -> None:
    offer = opened(issued)
    assert issued.units("operator") == 78 - 30
    mine, theirs = placed(issued, offer, "firm", 40), placed(issued, offer, "rival", 20)
    assert (issued.cash("firm"), issued.cash("rival")) == (0, 0)
    finish(issued, offer)

    assert (issued.units("firm"), issued.units("rival"), issued.units("operator")) == (20, 10, 48)
    assert (issued.cash("firm"), issued.cash("rival")) == (20 * PRICE, 10 * PRICE)  # refunded
    assert [load(issued, s).status for s in (mine, theirs)] == ["fulfilled", "fulfilled"]
    villages = sum(issued.cash(village) for village in issued.villages)
    reserves = sum(
        issued.balance(f"reserve:{r}:{issued['operator'].organisation}") for r in ("tax", "insurance")
    )
    assert villages + reserves == 30 * PRICE
    assert issued.cash("operator") == 0


def test_an_offer_that_is_not_sold_out_frees_the_rest(issued: Story) -> None:
    offer = opened(issued)
    placed(issued, offer, "firm", 7)
    finish(issued, offer)
    assert (issued.units("firm"), issued.units("operator")) == (7, 71)


def test_who_gets_nothing_gets_the_money_back(issued: Story) -> None:
    offer = opened(issued, 1)
    first, second = placed(issued, offer, "firm", 5), placed(issued, offer, "rival", 5)
    finish(issued, offer)
    assert (load(issued, first).allocated_units, load(issued, second).status) == (1, "refunded")
    assert (issued.cash("firm"), issued.cash("rival")) == (4 * PRICE, 5 * PRICE)


def test_an_offer_of_two_parcels_blocks_and_of_a_named_range(issued: Story) -> None:
    offer = opened(issued, 10, Selection(by="range", start=31, end=40))
    placed(issued, offer, "firm", 10)
    finish(issued, offer)
    assert (issued.units("firm"), issued.units("operator")) == (10, 68)


def test_a_subscription_is_cancelled_before_closing_only(issued: Story) -> None:
    offer = opened(issued)
    mine, theirs = placed(issued, offer, "firm", 5), placed(issued, offer, "rival", 5)
    issued.do("firm", "subscription.cancel", OneSubscription(subscription=mine))
    assert issued.cash("firm") == 5 * PRICE
    issued.do("operator", "offer.close", OneOffer(offer=offer))
    with pytest.raises(OfferClosed):
        issued.do("rival", "subscription.cancel", OneSubscription(subscription=theirs))
    with pytest.raises(OfferClosed):
        placed(issued, offer, "third", 1)


def test_a_withdrawn_offer_frees_units_and_money(issued: Story) -> None:
    offer = opened(issued)
    mine = placed(issued, offer, "firm", 5)
    issued.do("operator", "offer.withdraw", OneOffer(offer=offer))
    assert (issued.units("operator"), issued.cash("firm")) == (78, 5 * PRICE)
    assert load(issued, mine).status == "refunded"
    with pytest.raises(TransitionRefused):
        issued.do("operator", "offer.allocate", OneOffer(offer=offer))


def test_what_is_not_there_is_neither_offered_nor_paid(issued: Story) -> None:
    with pytest.raises(InsufficientUnits):
        opened(issued, 79)  # 87 were issued, 9 of them to the buffer
    offer = opened(issued)
    with pytest.raises(InsufficientBalance):
        issued.do("firm", "subscription.place", PlaceSubscription(offer=offer, units=1))
    with pytest.raises(OwnUnits):
        issued.do("operator", "subscription.place", PlaceSubscription(offer=offer, units=1))
    issued.advance(days=400)
    with pytest.raises(OfferClosed):
        placed(issued, offer, "firm", 1)
