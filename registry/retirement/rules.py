"""The life of a retirement (RULES 1.9), and why one is refused. There is no way back from `retired`."""

from typing import ClassVar, Final

from registry.errors import RegistryRefusal
from registry.machine import Machine, Needs, Role, step

HOLDERS: Final = (Role.ENTERPRISE, Role.INDIVIDUAL, Role.OPERATOR, Role.COLLECTIVE)

RETIREMENT: Final = Machine(
    "retirement",
    "none",
    {
        ("none", "request"): step("requested", *HOLDERS),
        ("requested", "withdraw"): step("withdrawn", *HOLDERS),
        # an individual has no second person: nobody else stands behind the account
        ("requested", "confirm"): step(
            "confirmed", *HOLDERS, needs=Needs.TWO_PERSONS, alone=(Role.INDIVIDUAL,)
        ),
        # what the system does because of the confirmation, in the same transaction
        ("confirmed", "retire"): step("retired", Role.SYSTEM),
    },
)


class RetirementRefused(RegistryRefusal):
    """The root of this room's refusals."""

    code: ClassVar[str] = "retirement_refused"
    template: ClassVar[str] = "The retirement was refused."


class ClaimPeriodInvalid(RetirementRefused):
    code: ClassVar[str] = "claim_period_invalid"
    template: ClassVar[str] = "The claim period {claim_from} to {claim_to} holds no day."


class NotRetired(RetirementRefused):
    code: ClassVar[str] = "not_retired"
    template: ClassVar[str] = (
        "The retirement {retirement} is {status}; a certificate is written of retired units."
    )


class CertificateErased(RetirementRefused):
    """What the certificate said was deleted; the units stay retired."""

    code: ClassVar[str] = "certificate_erased"
    template: ClassVar[str] = "The records of certificate {number} were erased; it cannot be written again."
