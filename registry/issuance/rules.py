"""The life of an issuance (RULES 1.4), and why one is refused."""

from typing import ClassVar, Final

from ledger.effects import Lock
from registry.errors import RegistryRefusal
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

HOLDERS: Final = (Role.ENTERPRISE, Role.INDIVIDUAL, Role.OPERATOR, Role.COLLECTIVE)

MERGE: Final = Machine("merge", "none", {("none", "merge"): step("merged", *HOLDERS)})
"""A holder's request to merge blocks; what becomes of the blocks is its effect."""

LOCK_OPTION: Final = Lock.OPTION.value
LOCK_ORDER: Final = Lock.ORDER.value
LOCK_RETIRE: Final = Lock.RETIRE.value


class IssuanceRefused(RegistryRefusal):
    """The root of this room's refusals."""

    code: ClassVar[str] = "issuance_refused"
    template: ClassVar[str] = "The issuance was refused."


class AlreadyIssued(IssuanceRefused):
    """One issuance per project, period and pools; this one was made."""

    code: ClassVar[str] = "already_issued"
    template: ClassVar[str] = "The monitoring period {period} was issued already."


class ProjectNotActive(IssuanceRefused):
    code: ClassVar[str] = "project_not_active"
    template: ClassVar[str] = "The project {project} is {status}; only active projects are issued to."


class NetLoss(IssuanceRefused):
    """A loss never makes a negative batch or residue: it opens a reversal."""

    code: ClassVar[str] = "net_loss"
    template: ClassVar[str] = (
        "The period lost carbon ({verified_kg} kg): nothing is issued, a reversal has to be reported."
    )


class PeriodEmpty(IssuanceRefused):
    code: ClassVar[str] = "period_empty"
    template: ClassVar[str] = "The dates {from_on} to {to_on} hold no day."


class IssuanceLapsed(IssuanceRefused):
    code: ClassVar[str] = "issuance_lapsed"
    template: ClassVar[str] = (
        "The issuance {issuance} was proposed more than {days} days ago; propose it again."
    )


class IssuanceNotLapsed(IssuanceRefused):
    code: ClassVar[str] = "issuance_not_lapsed"
    template: ClassVar[str] = (
        "The issuance {issuance} may still be approved until {days} days after its proposal."
    )


class GroundContested(IssuanceRefused):
    """The land claim does not hold for the ground and the dates of these units."""

    code: ClassVar[str] = "ground_contested"
    template: ClassVar[str] = (
        "Parcel {parcel} has no undisputed claim on its ground from {from_on} to {to_on}: {reason}."
    )


class InsufficientUnits(IssuanceRefused):
    """Fewer units are held free than are asked for."""

    code: ClassVar[str] = "insufficient_units"
    template: ClassVar[str] = "{asked} units are asked for; {available} of that selection are held free."


class SelectionInvalid(IssuanceRefused):
    code: ClassVar[str] = "selection_invalid"
    template: ClassVar[str] = "The selection of units cannot be used: {reason}."
