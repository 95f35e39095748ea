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

KG = {1: 40_205, 2: 30_118, 3: 17_089}
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


def test_an_oversubscribed_offer_is_shared_and_the_rest_refunded(story: Story) -> None:
    story.issued(KG)
    offer = opened(story)
    assert story.units("operator") == 78 - 30
    mine, theirs = placed(story, offer, "firm", 40), placed(story, offer, "rival", 20)
    assert (story.cash("firm"), story.cash("rival")) == (0, 0)
    finish(story, offer)

    assert (story.units("firm"), story.units("rival"), story.units("operator")) == (20, 10, 48)
    assert (story.cash("firm"), story.cash("rival")) == (20 * PRICE, 10 * PRICE)  # refunded
    assert [load(story, s).status for s in (mine, theirs)] == ["fulfilled", "fulfilled"]
    villages = sum(story.cash(village) for village in story.villages)
    reserves = sum(
        story.balance(f"reserve:{r}:{story['operator'].organisation}") for r in ("tax", "insurance")
    )
    assert villages + reserves == 30 * PRICE
    assert story.cash("operator") == 0


def test_an_offer_that_is_not_sold_out_frees_the_rest(story: Story) -> None:
    story.issued(KG)
    offer = opened(story)
    placed(story, offer, "firm", 7)
    finish(story, offer)
    assert (story.units("firm"), story.units("operator")) == (7, 71)


def test_who_gets_nothing_gets_the_money_back(story: Story) -> None:
    story.issued(KG)
    offer = opened(story, 1)
    first, second = placed(story, offer, "firm", 5), placed(story, offer, "rival", 5)
    finish(story, offer)
    assert (load(story, first).allocated_units, load(story, second).status) == (1, "refunded")
    assert (story.cash("firm"), story.cash("rival")) == (4 * PRICE, 5 * PRICE)


def test_an_offer_of_two_parcels_blocks_and_of_a_named_range(story: Story) -> None:
    story.issued(KG)
    offer = opened(story, 10, Selection(by="range", start=31, end=40))
    placed(story, offer, "firm", 10)
    finish(story, offer)
    assert (story.units("firm"), story.units("operator")) == (10, 68)


def test_a_subscription_is_cancelled_before_closing_only(story: Story) -> None:
    story.issued(KG)
    offer = opened(story)
    mine, theirs = placed(story, offer, "firm", 5), placed(story, offer, "rival", 5)
    story.do("firm", "subscription.cancel", OneSubscription(subscription=mine))
    assert story.cash("firm") == 5 * PRICE
    story.do("operator", "offer.close", OneOffer(offer=offer))
    with pytest.raises(OfferClosed):
        story.do("rival", "subscription.cancel", OneSubscription(subscription=theirs))
    with pytest.raises(OfferClosed):
        placed(story, offer, "third", 1)


def test_a_withdrawn_offer_frees_units_and_money(story: Story) -> None:
    story.issued(KG)
    offer = opened(story)
    mine = placed(story, offer, "firm", 5)
    story.do("operator", "offer.withdraw", OneOffer(offer=offer))
    assert (story.units("operator"), story.cash("firm")) == (78, 5 * PRICE)
    assert load(story, mine).status == "refunded"
    with pytest.raises(TransitionRefused):
        story.do("operator", "offer.allocate", OneOffer(offer=offer))


def test_what_is_not_there_is_neither_offered_nor_paid(story: Story) -> None:
    story.issued(KG)
    with pytest.raises(InsufficientUnits):
        opened(story, 79)  # 87 were issued, 9 of them to the buffer
    offer = opened(story)
    with pytest.raises(InsufficientBalance):
        story.do("firm", "subscription.place", PlaceSubscription(offer=offer, units=1))
    with pytest.raises(OwnUnits):
        story.do("operator", "subscription.place", PlaceSubscription(offer=offer, units=1))
    story.advance(days=400)
    with pytest.raises(OfferClosed):
        placed(story, offer, "firm", 1)
