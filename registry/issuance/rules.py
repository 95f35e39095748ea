"""The life of an issuance (RULES 1.4)."""

from typing import Final

from registry.machine import Machine, Needs, Role, step

ISSUANCE: Final = Machine(
    "issuance",
    "none",
    {
        ("none", "propose"): step("proposed", Role.OPERATOR, Role.REGISTRY_ADMIN),
        # The payload of the approval is what was proposed, recomputed: proposer and issuer both sign it.
        ("proposed", "approve"): step(
            "issued",
            Role.OPERATOR,
            Role.REGISTRY_ADMIN,
            needs=Needs.TWO_ORGANISATIONS,
            confirmers=(Role.ISSUER,),
        ),
        ("proposed", "reject"): step("rejected", Role.ISSUER),
        ("proposed", "lapse"): step("lapsed", Role.SYSTEM),
    },
)
