"""A whole life through every act of the last rooms, then the audit from the published log."""

from datetime import date

from registry.installation import Installation
from registry.market.options import AcceptOption, OfferOption, OneOption
from registry.market.sales import Buy, CancelListing, OpenListing
from registry.market.subscriptions import OneOffer, OpenOffer, PlaceSubscription
from registry.retirement.certificates import write_certificate
from registry.retirement.service import OneRetirement, RequestRetirement
from registry.transparency.audit import audit
from tests.registry.story import KG, Story


def option(story: Story, buyer: str, units: int, election: str) -> str:
    offer = OfferOption(
        project=story.project_id,
        vintage=2023,
        buyer=story[buyer].organisation,
        units=units,
        premium_fen=800,
        strike_fen=5500,
        window_to=date(2026, 1, 31),
    )
    made = str(story.do("operator", "option.offer", offer).answer["option"])
    story.do(buyer, "option.accept", AcceptOption.model_validate({"option": made, "election": election}))
    story.pay_in(buyer, units * 6300)
    story.do(buyer, "option.activate", OneOption(option=made))
    return made


def subscribe(story: Story) -> None:
    terms = OpenOffer(project=story.project_id, units=12, price_fen=6000, closes_on=date(2025, 12, 31))
    offer = str(story.do("operator", "offer.open", terms).answer["offer"])
    for buyer, units in (("firm", 10), ("third", 7)):
        story.pay_in(buyer, units * 6000)
        story.do(buyer, "subscription.place", PlaceSubscription(offer=offer, units=units))
    for act in ("offer.close", "offer.allocate", "offer.settle"):
        story.do("operator", act, OneOffer(offer=offer))


def sell(story: Story) -> None:
    terms = OpenListing(project=story.project_id, units=8, price_fen=7341)
    listing = str(story.do("operator", "listing.open", terms).answer["listing"])
    story.pay_in("firm", 5 * 7341)
    story.do("firm", "trade.buy", Buy(listing=listing, units=5))
    story.do("operator", "listing.cancel", CancelListing(listing=listing))


def retire(story: Story) -> str:
    wish = RequestRetirement(
        project=story.project_id,
        units=24,
        beneficiary="浙江示例纺织有限公司",
        claim_from=date(2024, 1, 1),
        claim_to=date(2025, 1, 1),
    )
    retirement = str(story.do("firm", "retirement.request", wish).answer["retirement"])
    story.both("firm", "firm 2", "retirement.confirm", OneRetirement(retirement=retirement))
    installation = story.installation
    with installation.database.read() as session:
        write_certificate(session, installation.home, retirement, installation.tiles, installation.vkey)
    return retirement


def test_the_audit_passes_on_a_whole_life(story: Story) -> None:
    story.estimated(KG)
    option(story, "firm", 20, "standing")
    later = option(story, "rival", 10, "elected")
    story.verify()
    story.propose()
    story.approve()
    story.do("rival", "option.elect", OneOption(option=later))
    subscribe(story)
    sell(story)
    retire(story)

    installation: Installation = story.installation
    report = audit(installation.home)
    assert [str(finding) for finding in report.findings] == []
    for check in ("I1", "I2", "I3", "I8", "I9", "I11", "I12", "I13", "I15"):
        assert report.made[check] > 0, check
    assert story.balance(f"retired:{story.programme}") == 24
