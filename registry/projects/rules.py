"""The life of a project, of a land claim and of a monitoring period (RULES 1.2, 1.3)."""

from typing import Final

from registry.machine import Machine, Needs, Role, step

OWNERS: Final = (Role.OPERATOR, Role.COLLECTIVE)

PROJECT: Final = Machine(
    "project",
    "draft",
    {
        ("draft", "submit"): step("submitted", *OWNERS),
        ("submitted", "publish"): step("published", Role.REGISTRY_ADMIN),
        ("published", "validate"): step("validated", Role.VERIFIER),
        ("published", "reject"): step("rejected", Role.REGISTRY_ADMIN),
        ("submitted", "withdraw"): step("withdrawn", *OWNERS),
        ("published", "withdraw"): step("withdrawn", *OWNERS),
        ("validated", "withdraw"): step("withdrawn", *OWNERS),
        ("validated", "register"): step("registered", Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS),
        ("registered", "activate"): step("active", Role.SYSTEM),
    },
)

CLAIM: Final = Machine(
    "claim",
    "none",
    {
        ("none", "activate"): step("active", Role.SYSTEM),
        ("active", "end"): step("ended", Role.SYSTEM),
    },
)

PERIOD: Final = Machine(
    "period",
    "none",
    {
        ("none", "open"): step("open", *OWNERS),
        ("open", "estimate"): step("estimated", *OWNERS),
        ("estimated", "estimate"): step("estimated", *OWNERS),
        ("returned", "estimate"): step("estimated", *OWNERS),
        ("estimated", "submit"): step("submitted", *OWNERS),
        ("submitted", "accept"): step("verifying", Role.VERIFIER),
        ("verifying", "return"): step("returned", Role.VERIFIER),
        ("verifying", "reject"): step("rejected", Role.VERIFIER),
        ("verifying", "verify"): step("verified", Role.VERIFIER),
        # caused by an approved issuance, in its entry
        ("verified", "issue"): step("issued", Role.ISSUER),
    },
)
