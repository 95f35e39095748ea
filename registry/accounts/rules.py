"""State machines of the accounts room, and the names of its ledger accounts."""

from typing import Final

from registry.machine import Machine, Needs, Role, Step, step

OWN_ROLES: Final = frozenset({Role.ROOT, Role.SYSTEM})
"""Roles of the installation itself. No organisation is of such a kind and no mandate gives them."""

LOG: Final = Machine(
    "log",
    "none",
    {
        ("none", "open"): step("open", Role.ROOT),
        ("open", "state"): step("open", Role.SYSTEM),
        ("open", "add_key"): step("open", Role.ROOT),
        ("open", "end_key"): step("open", Role.ROOT),
        ("open", "close"): step("closed", Role.ROOT),
    },
)


def admitted(after: str) -> Step:
    """A step of the root alone, or of two persons of the registry.

    Whoever enrols members decides who can sign for two persons and two organisations, so no single person
    of the registry may.
    """
    return step(after, Role.ROOT, Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS, alone=(Role.ROOT,))


ORGANISATION: Final = Machine("organisation", "none", {("none", "register"): admitted("registered")})

PERSON: Final = Machine("person", "none", {("none", "register"): admitted("registered")})

OTHERS: Final = frozenset(Role) - {Role.REGISTRY_ADMIN}
KEY: Final = Machine(
    "key",
    "none",
    {
        ("none", "add"): admitted("active"),
        ("none", "succeed"): step("active", *Role),
        ("active", "rotate"): step("rotated", *Role),
        ("active", "revoke"): step(
            "revoked", *Role, needs=Needs.TWO_PERSONS, confirmers=(Role.REGISTRY_ADMIN,), alone=(*OTHERS,)
        ),
    },
)
"""Whose key it is decides who may revoke it: `revocation` says which half of that step counts."""


def revocation(*, own: bool) -> Step:
    """Everybody revokes a key of their own, with any key in force, also with that very one; another person's
    key the root, or two persons of the registry.
    """
    return step("revoked", *Role) if own else admitted("revoked")


MANDATE: Final = Machine(
    "mandate", "none", {("none", "grant"): admitted("active"), ("active", "end"): admitted("ended")}
)

DEPOSIT: Final = Machine(
    "deposit",
    "none",
    {
        ("none", "record"): step("recorded", Role.BANK),
        ("recorded", "reverse"): step("reversed", Role.BANK),
    },
)

MONEY: Final = "CNY-fen"
BANK_ACCOUNT: Final = "bank:CNY"


def may_give(role: Role, kind: str) -> bool:
    """Whether somebody may act in this role for an organisation of this kind.

    An individual signs alone where organisations need two persons, so none of these names its members so.
    """
    return role not in OWN_ROLES and (role is not Role.INDIVIDUAL or kind == Role.INDIVIDUAL)


def cash_account(organisation: str) -> str:
    """The organisation's money account: a mirror of its account with the custodian."""
    return f"cash:{organisation}"
