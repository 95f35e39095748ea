"""The life of a parcel (RULES 1.1)."""

from typing import Final

from registry.machine import Machine, Needs, Role, step

PARCEL: Final = Machine(
    "parcel",
    "draft",
    {
        ("draft", "submit"): step("submitted", Role.COLLECTIVE, needs=Needs.TWO_PERSONS),
        ("submitted", "accept"): step("in_review", Role.VERIFIER),
        ("in_review", "return"): step("returned", Role.VERIFIER),
        ("returned", "submit"): step("submitted", Role.COLLECTIVE, needs=Needs.TWO_PERSONS),
        ("in_review", "find_eligible"): step(
            "eligible", Role.VERIFIER, needs=Needs.TWO_ORGANISATIONS, confirmers=(Role.REGISTRY_ADMIN,)
        ),
        ("in_review", "reject"): step(
            "rejected", Role.VERIFIER, needs=Needs.TWO_ORGANISATIONS, confirmers=(Role.REGISTRY_ADMIN,)
        ),
        ("eligible", "enrol"): step("enrolled", Role.SYSTEM),
        ("eligible", "close"): step("closed", Role.REGISTRY_ADMIN),
        ("enrolled", "close"): step("closed", Role.REGISTRY_ADMIN),
    },
)
