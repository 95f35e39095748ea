"""Steps 7 and 8 of the demo: subscription, sale, and a retirement with its certificate."""

import uuid
from datetime import date, timedelta

from registry.accounts.service import RecordDeposit
from registry.demo.cast import Member
from registry.demo.story import CountyProject, Story
from registry.installation import publish
from registry.issuance.units import Selection
from registry.market.options import AcceptOption, OfferOption, OneOption
from registry.market.sales import Buy, OpenListing
from registry.market.subscriptions import OneOffer, OpenOffer, PlaceSubscription
from registry.projects.rules import civil_date
from registry.retirement.certificates import write_certificate
from registry.retirement.service import OneRetirement, RequestRetirement

OPTION_UNITS, PREMIUM_FEN, STRIKE_FEN = 400, 800, 5_500
OFFER_UNITS, OFFER_FEN = 300, 6_800
LISTING_UNITS, LISTING_FEN = 500, 7_341
RETIRED_UNITS = 120
YUAN = 100


def yuan(fen: int) -> str:
    """Whole fen as yuan with two places."""
    return f"¥{fen // YUAN:,}.{fen % YUAN:02d}"


def pay_in(story: Story, member: Member, fen: int) -> None:
    """Money of a member, as the custodian bank reports it."""
    reference = f"receipt-{uuid.uuid4()}"
    command = RecordDeposit(organisation=member.organisation, amount_fen=fen, reference=reference)
    story.cast.do(story.member("银行"), "deposit.record", command)


def pre_purchase(story: Story, project: CountyProject) -> str:
    """A firm buys an option on a year's credits before anything is verified."""
    operator, firm = story.member("两山公司"), story.member("企业甲")
    pay_in(story, firm, 10_000_000)
    units = min(OPTION_UNITS, project.run_kg // 1000 // 20)
    offer = OfferOption(
        project=project.project,
        vintage=story.files.period_to.year - 1,
        buyer=firm.organisation,
        units=units,
        premium_fen=PREMIUM_FEN,
        strike_fen=STRIKE_FEN,
        window_to=civil_date(story.installation.clock.now()) + timedelta(days=365),
    )
    option = project.option = str(story.cast.do(operator, "option.offer", offer)["option"])
    story.cast.do(firm, "option.accept", AcceptOption(option=option, election="standing"))
    paid = story.cast.do(firm, "option.activate", OneOption(option=option))
    return (
        f"企业甲 pre-purchases {units} t of {offer.vintage}: premium {yuan(paid['premium_fen'])} paid, "
        f"strike {yuan(STRIKE_FEN)}/t at delivery"
    )


def trade(story: Story) -> str:
    """One subscription to credits of the first project, and one sale from the last."""
    offered, asked = subscribe(story, story.projects[0])
    units, fen = sell(story, story.projects[-1])
    return f"{offered} t subscribed by two ({asked} t asked for), {units} t sold for {yuan(fen)}"


def subscribe(story: Story, project: CountyProject) -> tuple[int, int]:
    """An open offer, oversubscribed by a firm and a person; answers units offered and units asked for."""
    operator = story.member("两山公司")
    clock = civil_date(story.installation.clock.now())
    units = min(OFFER_UNITS, _free(project) // 4)
    opened = OpenOffer(
        project=project.project, units=units, price_fen=OFFER_FEN, closes_on=clock + timedelta(days=10)
    )
    offer = str(story.cast.do(operator, "offer.open", opened)["offer"])
    asked = 0
    for name, share in (("企业乙", 2), ("个人丙", 3)):
        member = story.member(name)
        wanted = max(1, units // share + 40)
        pay_in(story, member, wanted * OFFER_FEN)
        story.cast.do(member, "subscription.place", PlaceSubscription(offer=offer, units=wanted))
        asked += wanted
    for act in ("offer.close", "offer.allocate", "offer.settle"):
        story.cast.do(operator, act, OneOffer(offer=offer))
    return units, asked


def sell(story: Story, project: CountyProject) -> tuple[int, int]:
    """A fixed-price listing, bought whole; answers units and fen."""
    operator, firm = story.member("两山公司"), story.member("企业乙")
    units = min(LISTING_UNITS, _free(project) // 4)
    listing = OpenListing(project=project.project, units=units, price_fen=LISTING_FEN)
    opened = str(story.cast.do(operator, "listing.open", listing)["listing"])
    pay_in(story, firm, units * LISTING_FEN)
    story.cast.do(firm, "trade.buy", Buy(listing=opened, units=units))
    return units, units * LISTING_FEN


def _free(project: CountyProject) -> int:
    units, buffer = int(project.answer["units"]), int(project.answer["buffer_units"])
    return units - buffer


def retire(story: Story, project: CountyProject) -> str:
    """A firm retires part of what its option delivered, for a named beneficiary, and gets its certificate."""
    firm = story.member("企业甲")
    units = min(RETIRED_UNITS, project.run_kg // 1000 // 60)
    request = RequestRetirement(
        project=project.project,
        units=units,
        selection=Selection(),
        beneficiary="企业甲（示例）",
        purpose="voluntary",
        text="抵消企业甲 2024 年度差旅排放",
        claim_from=date(2024, 1, 1),
        claim_to=date(2025, 1, 1),
    )
    retirement = str(story.cast.do(firm, "retirement.request", request)["retirement"])
    story.cast.two_persons(firm, "retirement.confirm", OneRetirement(retirement=retirement))
    installation = story.installation
    publish(installation.database, installation.tiles)
    with installation.database.read() as session:
        paths = write_certificate(
            session, installation.home, retirement, installation.tiles, installation.vkey
        )
    story.certificates += [path for path in paths if path.suffix == ".pdf"]
    number = story.certificates[-1].stem
    return f"{units} t retired for 企业甲（示例）: certificate {number} with its proof, parcels and map"
