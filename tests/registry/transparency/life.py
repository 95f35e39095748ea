"""One life of a credit with every act that makes or moves units and money, certificate included."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from registry.installation import Installation
from registry.machine import Mandate
from registry.market.options import AcceptOption, OfferOption, OneOption
from registry.market.sales import Buy, OpenListing
from registry.market.subscriptions import OneOffer, OpenOffer, PlaceSubscription
from registry.retirement.certificates import write_certificate
from registry.retirement.service import OneRetirement, RequestRetirement
from registry.settings import Home
from tests.registry.story import Story

KG = {1: 40_205, 2: 30_118, 3: 17_089}
PRICE_FEN = 6000


@dataclass(frozen=True, slots=True)
class Life:
    """A finished story: options delivered and taken, an offer settled, a listing half sold, units retired."""

    story: Story
    options: tuple[str, str]
    listing: str
    retirement: str
    certificate: str

    @property
    def installation(self) -> Installation:
        return self.story.installation

    @property
    def home(self) -> Home:
        return self.story.installation.home

    def __getitem__(self, name: str) -> Mandate:
        return self.story[name]


def live(story: Story) -> Life:
    """Tell the whole life: 87 units, 20 and 10 of them promised, 18 subscribed, 12 sold, 15 retired."""
    story.estimated(KG)
    options = _option(story, "firm", 20, "standing"), _option(story, "rival", 10, "elected")
    story.pay_in("firm", 20 * 5500)
    story.verify()
    story.propose()
    story.approve()
    story.pay_in("rival", 10 * 5500)
    story.do("rival", "option.elect", OneOption(option=options[1]))
    _offer(story)
    listing = _sale(story)
    retirement, certificate = _retirement(story)
    return Life(story, options, listing, retirement, certificate)


def _option(story: Story, buyer: str, units: int, election: str) -> str:
    offered = OfferOption(
        project=story.project_id,
        vintage=2023,
        buyer=story[buyer].organisation,
        units=units,
        premium_fen=800,
        strike_fen=5500,
        window_to=date(2026, 1, 31),
    )
    option = str(story.do("operator", "option.offer", offered).answer["option"])
    accepted = AcceptOption.model_validate({"option": option, "election": election})
    story.do(buyer, "option.accept", accepted)
    story.pay_in(buyer, units * 800)
    story.do(buyer, "option.activate", OneOption(option=option))
    return option


def _offer(story: Story) -> None:
    opened = OpenOffer(project=story.project_id, units=18, price_fen=PRICE_FEN, closes_on=date(2025, 12, 31))
    offer = str(story.do("operator", "offer.open", opened).answer["offer"])
    for buyer, units in (("third", 10), ("firm", 17)):
        story.pay_in(buyer, units * PRICE_FEN)
        story.do(buyer, "subscription.place", PlaceSubscription(offer=offer, units=units))
    for act in ("offer.close", "offer.allocate", "offer.settle"):
        story.do("operator", act, OneOffer(offer=offer))


def _sale(story: Story) -> str:
    opened = OpenListing(project=story.project_id, units=20, price_fen=PRICE_FEN)
    listing = str(story.do("operator", "listing.open", opened).answer["listing"])
    story.pay_in("firm", 12 * PRICE_FEN)
    story.do("firm", "trade.buy", Buy(listing=listing, units=12))
    return listing


def _retirement(story: Story) -> tuple[str, str]:
    asked = RequestRetirement(
        project=story.project_id,
        units=15,
        beneficiary="浙江示例纺织有限公司",
        beneficiary_code="91330800MA2DEMA017",
        text="抵消本公司 2024 年范围一排放。",
        jurisdiction="CN-ZJ",
        claim_from=date(2024, 1, 1),
        claim_to=date(2025, 1, 1),
    )
    retirement = str(story.do("firm", "retirement.request", asked).answer["retirement"])
    named = OneRetirement(retirement=retirement)
    answer: dict[str, Any] = story.both("firm", "firm 2", "retirement.confirm", named).answer
    installation = story.installation
    with installation.database.read() as session:
        write_certificate(session, installation.home, retirement, installation.tiles, installation.vkey)
    return retirement, str(answer["certificate"])
