"""Sales: a listed range, bought in parts, units against payment in one entry."""

from concurrent.futures import wait

import pytest

from ledger.books import InsufficientBalance
from registry.accounts.service import NotFound
from registry.issuance.rules import InsufficientUnits
from registry.issuance.units import free_blocks
from registry.machine import NotAuthorised, TransitionRefused
from registry.market.models import Listing
from registry.market.rules import SoldOut
from registry.market.sales import Buy, CancelListing, OpenListing
from tests.registry.people import request_id
from tests.registry.story import Story

KG = {1: 40_205, 2: 30_118, 3: 17_089}
PRICE = 7341


@pytest.fixture
def listing(story: Story) -> str:
    story.issued(KG)
    command = OpenListing(project=story.project_id, units=30, price_fen=PRICE)
    return str(story.do("operator", "listing.open", command).answer["listing"])


def load(story: Story, listing: str) -> Listing:
    with story.installation.database.read() as session:
        row = session.get_one(Listing, listing)
        session.expunge(row)
        return row


def test_the_buyer_gets_the_tail_and_pays_in_the_same_entry(story: Story, listing: str) -> None:
    story.pay_in("firm", 10 * PRICE)
    outcome = story.do("firm", "trade.buy", Buy(listing=listing, units=10))

    assert len(outcome.entries) == 1
    assert (story.units("firm"), story.units("operator"), story.cash("firm")) == (10, 48, 0)
    with story.installation.database.read() as session:
        account = f"units:{story['firm'].organisation}:{story.programme}"
        assert [str(b.units) for b in free_blocks(session, account, story.project_id)] == ["69-78"]
    row = load(story, listing)
    assert (row.status, row.units_left) == ("partly_filled", 20)
    villages = sum(story.cash(village) for village in story.villages)
    reserves = sum(
        story.balance(f"reserve:{r}:{story['operator'].organisation}") for r in ("tax", "insurance")
    )
    assert villages + reserves == 10 * PRICE


def test_a_listing_is_filled_by_several_and_then_gone(story: Story, listing: str) -> None:
    for buyer, units in (("firm", 12), ("rival", 10), ("firm", 8)):
        story.pay_in(buyer, units * PRICE)
        story.do(buyer, "trade.buy", Buy(listing=listing, units=units))
    assert (story.units("firm"), story.units("rival"), story.units("operator")) == (20, 10, 48)
    assert (load(story, listing).status, load(story, listing).pending) == ("filled", None)
    with pytest.raises(TransitionRefused):
        story.do("firm", "trade.buy", Buy(listing=listing, units=1))


def test_a_cancelled_listing_frees_what_is_left(story: Story, listing: str) -> None:
    story.pay_in("firm", 5 * PRICE)
    story.do("firm", "trade.buy", Buy(listing=listing, units=5))
    story.do("operator", "listing.cancel", CancelListing(listing=listing))
    assert story.units("operator") == 73


def test_parallel_buyers_never_get_more_than_is_listed(story: Story, listing: str) -> None:
    buyers = ["firm", "rival", "third", "firm", "rival"]
    for buyer in buyers:
        story.pay_in(buyer, 8 * PRICE)
    office = story.installation.office
    futures = [
        office.send(story[buyer], "trade.buy", Buy(listing=listing, units=8), request_id())
        for buyer in buyers
    ]
    wait(futures)
    refusals = [future.exception() for future in futures if future.exception() is not None]
    assert len(refusals) == 2
    assert all(isinstance(refusal, SoldOut) for refusal in refusals)
    assert sum(story.units(buyer) for buyer in ("firm", "rival", "third")) == 24
    assert load(story, listing).units_left == 6


def test_what_the_market_refuses(story: Story, listing: str) -> None:
    with pytest.raises(InsufficientBalance):
        story.do("firm", "trade.buy", Buy(listing=listing, units=1))
    with pytest.raises(SoldOut) as refused:
        story.do("firm", "trade.buy", Buy(listing=listing, units=31))
    assert refused.value.facts["available"] == 30
    with pytest.raises(InsufficientUnits):
        story.do("operator", "listing.open", OpenListing(project=story.project_id, units=49, price_fen=PRICE))
    with pytest.raises(NotFound):
        story.do("firm", "listing.open", OpenListing(project=story.project_id, units=1, price_fen=PRICE))
    with pytest.raises(NotAuthorised):
        story.do("bank", "trade.buy", Buy(listing=listing, units=1))
    assert story.units("operator") == 48
