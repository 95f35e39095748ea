"""State machines of the accounts room, and the names of its ledger accounts."""

from typing import Final

from registry.machine import Machine, Role, step

ADMIN: Final = (Role.ROOT, Role.REGISTRY_ADMIN)

OWN_ROLES: Final = frozenset({Role.ROOT, Role.SYSTEM})
"""Roles of the installation itself. No organisation is of such a kind and no mandate gives them."""

LOG: Final = Machine("log", "none", {("none", "open"): step("open", Role.ROOT)})

ORGANISATION: Final = Machine("organisation", "none", {("none", "register"): step("registered", *ADMIN)})

PERSON: Final = Machine("person", "none", {("none", "register"): step("registered", *ADMIN)})

KEY: Final = Machine("key", "none", {("none", "add"): step("active", *ADMIN)})

MANDATE: Final = Machine(
    "mandate",
    "none",
    {
        ("none", "grant"): step("active", *ADMIN),
        ("active", "end"): step("ended", *ADMIN),
    },
)

DEPOSIT: Final = Machine("deposit", "none", {("none", "record"): step("recorded", Role.BANK)})

MONEY: Final = "CNY-fen"
BANK_ACCOUNT: Final = "bank:CNY"


def cash_account(organisation: str) -> str:
    """The organisation's money account: a mirror of its account with the custodian."""
    return f"cash:{organisation}"
