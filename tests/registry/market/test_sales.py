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

PRICE = 7341


@pytest.fixture
def listing(issued: Story) -> str:
    command = OpenListing(project=issued.project_id, units=30, price_fen=PRICE)
    return str(issued.do("operator", "listing.open", command).answer["listing"])


def load(story: Story, listing: str) -> Listing:
    with story.installation.database.read() as session:
        row = session.get_one(Listing, listing)
        session.expunge(row)
        return row


def test_the_buyer_gets_the_tail_and_pays_in_the_same_entry(issued: Story, listing: str) -> None:
    issued.pay_in("firm", 10 * PRICE)
    outcome = issued.do("firm", "trade.buy", Buy(listing=listing, units=10))

    assert len(outcome.entries) == 1
    assert (issued.units("firm"), issued.units("operator"), issued.cash("firm")) == (10, 48, 0)
    with issued.installation.database.read() as session:
        account = f"units:{issued['firm'].organisation}:{issued.programme}"
        assert [str(b.units) for b in free_blocks(session, account, issued.project_id)] == ["69-78"]
    row = load(issued, listing)
    assert (row.status, row.units_left) == ("partly_filled", 20)
    villages = sum(issued.cash(village) for village in issued.villages)
    reserves = sum(
        issued.balance(f"reserve:{r}:{issued['operator'].organisation}") for r in ("tax", "insurance")
    )
    assert villages + reserves == 10 * PRICE


def test_a_listing_is_filled_by_several_and_then_gone(issued: Story, listing: str) -> None:
    for buyer, units in (("firm", 12), ("rival", 10), ("firm", 8)):
        issued.pay_in(buyer, units * PRICE)
        issued.do(buyer, "trade.buy", Buy(listing=listing, units=units))
    assert (issued.units("firm"), issued.units("rival"), issued.units("operator")) == (20, 10, 48)
    assert (load(issued, listing).status, load(issued, listing).pending) == ("filled", None)
    with pytest.raises(TransitionRefused):
        issued.do("firm", "trade.buy", Buy(listing=listing, units=1))


def test_a_cancelled_listing_frees_what_is_left(issued: Story, listing: str) -> None:
    issued.pay_in("firm", 5 * PRICE)
    issued.do("firm", "trade.buy", Buy(listing=listing, units=5))
    issued.do("operator", "listing.cancel", CancelListing(listing=listing))
    assert issued.units("operator") == 73


def test_parallel_buyers_never_get_more_than_is_listed(issued: Story, listing: str) -> None:
    buyers = ["firm", "rival", "third", "firm", "rival"]
    for buyer in buyers:
        issued.pay_in(buyer, 8 * PRICE)
    office = issued.installation.office
    futures = [
        office.send(issued[buyer], "trade.buy", Buy(listing=listing, units=8), request_id())
        for buyer in buyers
    ]
    wait(futures)
    refusals = [future.exception() for future in futures if future.exception() is not None]
    assert len(refusals) == 2
    assert all(isinstance(refusal, SoldOut) for refusal in refusals)
    assert sum(issued.units(buyer) for buyer in ("firm", "rival", "third")) == 24
    assert load(issued, listing).units_left == 6


def test_what_the_market_refuses(issued: Story, listing: str) -> None:
    with pytest.raises(InsufficientBalance):
        issued.do("firm", "trade.buy", Buy(listing=listing, units=1))
    with pytest.raises(SoldOut) as refused:
        issued.do("firm", "trade.buy", Buy(listing=listing, units=31))
    assert refused.value.facts["available"] == 30
    with pytest.raises(InsufficientUnits):
        issued.do(
            "operator", "listing.open", OpenListing(project=issued.project_id, units=49, price_fen=PRICE)
        )
    with pytest.raises(NotFound):
        issued.do("firm", "listing.open", OpenListing(project=issued.project_id, units=1, price_fen=PRICE))
    with pytest.raises(NotAuthorised):
        issued.do("bank", "trade.buy", Buy(listing=listing, units=1))
    assert issued.units("operator") == 48
