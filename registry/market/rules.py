"""The lives of options, offers, subscriptions, listings and trades (RULES 1.6 to 1.8), and why the market
refuses.
"""

from typing import ClassVar, Final

from registry.errors import RegistryRefusal
from registry.machine import Machine, Role, step

SELLERS: Final = (Role.OPERATOR, Role.COLLECTIVE)
BUYERS: Final = (Role.ENTERPRISE, Role.INDIVIDUAL)
ISSUING: Final = (Role.OPERATOR, Role.REGISTRY_ADMIN)
"""Who signs the issuance that delivers an option."""

OPTION: Final = Machine(
    "option",
    "none",
    {
        ("none", "offer"): step("offered", *SELLERS),
        ("offered", "withdraw"): step("cancelled", *SELLERS),
        ("offered", "accept"): step("accepted", *BUYERS),
        ("accepted", "activate"): step("active", *BUYERS),
        ("active", "elect"): step("exercised", *BUYERS),
        # caused by an approved issuance, in its entry
        **{
            (state, action): step(after, *ISSUING)
            for state in ("active", "exercised", "partially_delivered")
            for action, after in (
                ("deliver", "delivered"),
                ("deliver_part", "partially_delivered"),
                ("set_aside", "set_aside"),
            )
        },
        # units that were set aside: the buyer pays and takes them inside the window, or they go back
        ("set_aside", "take"): step("delivered", *BUYERS),
        ("set_aside", "take_part"): step("partially_delivered", *BUYERS),
        ("set_aside", "expire"): step("expired", Role.SYSTEM),
        **{
            (state, "close_short"): step("closed_short", *SELLERS)
            for state in ("active", "exercised", "partially_delivered")
        },
    },
)
RUNNING: Final = ("active", "exercised", "partially_delivered")
"""States of an option in which units are still owed."""

OFFER: Final = Machine(
    "offer",
    "none",
    {
        ("none", "open"): step("open", *SELLERS),
        ("open", "withdraw"): step("withdrawn", *SELLERS),
        ("open", "close"): step("closed", *SELLERS),
        ("closed", "allocate"): step("allocated", *SELLERS),
        ("allocated", "settle"): step("settled", *SELLERS),
    },
)

SUBSCRIPTION: Final = Machine(
    "subscription",
    "none",
    {
        # Placing it reserves the whole price, so there is no time between wish and payment.
        ("none", "place"): step("confirmed", *BUYERS),
        ("confirmed", "cancel"): step("cancelled", *BUYERS),
        ("confirmed", "allocate"): step("allocated", Role.SYSTEM),
        ("confirmed", "refund"): step("refunded", Role.SYSTEM),
        ("allocated", "fulfil"): step("fulfilled", Role.SYSTEM),
    },
)

LISTING: Final = Machine(
    "listing",
    "none",
    {
        ("none", "open"): step("open", *SELLERS),
        # caused by a trade, in its entry
        ("open", "fill_part"): step("partly_filled", *BUYERS),
        ("partly_filled", "fill_part"): step("partly_filled", *BUYERS),
        ("open", "fill"): step("filled", *BUYERS),
        ("partly_filled", "fill"): step("filled", *BUYERS),
        ("open", "cancel"): step("cancelled", *SELLERS),
        ("partly_filled", "cancel"): step("cancelled", *SELLERS),
    },
)

# Matching, payment and settlement of a fixed-price purchase are one entry.
TRADE: Final = Machine("trade", "none", {("none", "buy"): step("settled", *BUYERS)})

MACHINES: Final = (OPTION, OFFER, SUBSCRIPTION, LISTING, TRADE)


class MarketRefused(RegistryRefusal):
    """The root of this room's refusals."""

    code: ClassVar[str] = "market_refused"
    template: ClassVar[str] = "The market does not carry this out."


class CoverExceeded(MarketRefused):
    """Invariant I10: promises stay below the programme's share of the conservative estimate."""

    code: ClassVar[str] = "option_cover_exceeded"
    template: ClassVar[str] = (
        "{promised} units of vintage {vintage} would be promised; the estimate covers {cover}."
    )


class WindowClosed(MarketRefused):
    code: ClassVar[str] = "option_window_closed"
    template: ClassVar[str] = "The window of option {option} ended on {window_to}."


class WindowOpen(MarketRefused):
    code: ClassVar[str] = "option_window_open"
    template: ClassVar[str] = "The window of option {option} is open until {window_to}."


class NothingToElect(MarketRefused):
    code: ClassVar[str] = "option_nothing_to_elect"
    template: ClassVar[str] = (
        "Option {option} is {status} with {election} election; there is nothing to elect."
    )


class OfferClosed(MarketRefused):
    code: ClassVar[str] = "offer_closed"
    template: ClassVar[str] = (
        "Offer {offer} takes no subscriptions: it is {status} and closes on {closes_on}."
    )


class SoldOut(MarketRefused):
    code: ClassVar[str] = "listing_short"
    template: ClassVar[str] = "{asked} units are asked for; listing {listing} has {available} left."


class InterestedParty(MarketRefused):
    """Who verifies a project does not buy from it (R-16)."""

    code: ClassVar[str] = "interested_party"
    template: ClassVar[str] = "{organisation} verified or validated the project and cannot buy from it."


class OwnUnits(MarketRefused):
    code: ClassVar[str] = "own_units"
    template: ClassVar[str] = "{organisation} is the seller and cannot be the buyer."


class PastDate(MarketRefused):
    code: ClassVar[str] = "date_past"
    template: ClassVar[str] = "{date} is past."
