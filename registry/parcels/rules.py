"""The life of a parcel (RULES 1.1), what a reviewer may say, and when land is fit."""

from typing import Any, ClassVar, Final, Literal

from registry.errors import RegistryRefusal
from registry.machine import Machine, Needs, Role, step

_WITH_REGISTRY: Final[Any] = {"needs": Needs.TWO_ORGANISATIONS, "confirmers": (Role.REGISTRY_ADMIN,)}

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
        ("eligible", "suspend"): step("suspended", Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS),
        ("enrolled", "suspend"): step("suspended", Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS),
        # back to what it was: the service picks, the audit holds it against the state before
        ("suspended", "reinstate_eligible"): step("eligible", Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS),
        ("suspended", "reinstate_enrolled"): step("enrolled", Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS),
        ("eligible", "renew_tenure"): step("eligible", Role.COLLECTIVE, **_WITH_REGISTRY),
        ("enrolled", "renew_tenure"): step("enrolled", Role.COLLECTIVE, **_WITH_REGISTRY),
        ("suspended", "renew_tenure"): step("suspended", Role.COLLECTIVE, **_WITH_REGISTRY),
        # what an approved succession does
        ("eligible", "supersede"): step("superseded", Role.SYSTEM),
        ("enrolled", "supersede"): step("superseded", Role.SYSTEM),
        ("draft", "succeed"): step("eligible", Role.SYSTEM),
        ("eligible", "close"): step("closed", Role.REGISTRY_ADMIN),
        ("enrolled", "close"): step("closed", Role.REGISTRY_ADMIN),
        ("suspended", "close"): step("closed", Role.REGISTRY_ADMIN),
    },
)

LIVE: Final = ("submitted", "in_review", "eligible", "enrolled", "suspended")
"""States in which a parcel's ground is somebody's."""

GONE: Final = ("rejected", "superseded", "closed")
"""States that a parcel never leaves."""

MILLION: Final = 1_000_000

ReviewReason = Literal[
    "boundary_wrong", "area_differs", "tenure_unproven", "resolution_missing", "overlap_unexplained",
    "land_use_unfit", "stand_type_wrong", "data_incomplete", "duplicate",
]  # fmt: skip
OverlapReason = Literal[
    "neighbour_withdraws", "neighbour_to_be_corrected", "survey_accuracy", "boundary_agreed"
]
"""How an overlap found in review is explained. It explains only why review goes on: a land claim on the same
ground is refused.
"""

SuspensionReason = Literal["dispute", "tenure_lapse", "open_reversal", "evidence_doubt"]
ReinstatementReason = Literal[
    "dispute_settled", "tenure_renewed", "reversal_compensated", "evidence_accepted", "suspended_wrongly"
]
Obligation = Literal[
    "keep_forest_cover", "report_losses", "replace_reversed_units", "keep_records", "admit_inspection"
]
"""What stays owed for a parcel's issued units after the parcel is closed."""


class ParcelRefused(RegistryRefusal):
    """The root of this room's refusals."""

    code: ClassVar[str] = "parcel_refused"
    template: ClassVar[str] = "The parcel was refused."


class DraftSubmitted(ParcelRefused):
    code: ClassVar[str] = "draft_submitted"
    template: ClassVar[str] = "The draft {draft} was submitted already."


class WrongDraft(ParcelRefused):
    code: ClassVar[str] = "draft_of_another_parcel"
    template: ClassVar[str] = "The draft {draft} belongs to another parcel than {parcel}."


class NotAnOperator(ParcelRefused):
    code: ClassVar[str] = "not_an_operator"
    template: ClassVar[str] = (
        "The organisation {organisation} is no operator; parcels cannot be entrusted to it."
    )


class NotReviewer(ParcelRefused):
    code: ClassVar[str] = "not_the_reviewer"
    template: ClassVar[str] = (
        "The review of parcel {parcel} was accepted by {reviewer}; only that organisation goes on with it."
    )


class NotIndependent(ParcelRefused):
    """A reviewer has an interest (RULES 1.1, R-16)."""

    code: ClassVar[str] = "not_independent"
    template: ClassVar[str] = "The organisation {organisation} is not independent of {party} ({reason})."


class AreaDiffers(ParcelRefused):
    """The outline and the certificate name different areas (R-02)."""

    code: ClassVar[str] = "area_differs"
    template: ClassVar[str] = (
        "The outline of parcel {parcel} has {area_mu} mu, its certificate {declared_mu} mu: they differ by "
        "{differs_ppm} parts per million, {tolerance_ppm} are tolerated."
    )


class OverlapUnexplained(ParcelRefused):
    code: ClassVar[str] = "overlap_unexplained"
    template: ClassVar[str] = (
        "Parcel {parcel} lies on the ground of {count} other parcels; say by overlap_reason "
        "why review may go on."
    )


class NothingToExplain(ParcelRefused):
    code: ClassVar[str] = "nothing_to_explain"
    template: ClassVar[str] = "Parcel {parcel} lies on no other parcel's ground; there is nothing to explain."


class GroundErased(ParcelRefused):
    """The outline was erased, so nothing more can be decided about this land."""

    code: ClassVar[str] = "ground_erased"
    template: ClassVar[str] = (
        "The outline of parcel {parcel} was erased; nothing can be decided about its ground."
    )


class TenureNotLonger(ParcelRefused):
    """A renewal proves a right that lasts longer than the one it follows, and still runs."""

    code: ClassVar[str] = "tenure_not_longer"
    template: ClassVar[str] = (
        "The right to parcel {parcel} lasts until {until}; a renewal until {renewed} is no longer one."
    )


class MomentInvalid(ParcelRefused):
    code: ClassVar[str] = "moment_invalid"
    template: ClassVar[str] = "{value} is neither a date nor an instant with a time zone."


class ParcelSuspended(ParcelRefused):
    """While a parcel is suspended, nothing is issued for it and it takes part in nothing new."""

    code: ClassVar[str] = "parcel_suspended"
    template: ClassVar[str] = "Parcel {parcel} is suspended ({reason}); reinstate it first."


class ImportRefused(ParcelRefused):
    """Rows are wrong, so none was taken. `rows` lists every one."""

    code: ClassVar[str] = "import_refused"
    template: ClassVar[str] = "{count} faults were found in the file; nothing was imported."


class OwnerUnstated(ParcelRefused):
    code: ClassVar[str] = "owner_unstated"
    template: ClassVar[str] = (
        "An import by {role} has to say which collective owns the parcels of each village."
    )


class MappingUnreadable(ParcelRefused):
    code: ClassVar[str] = "mapping_unreadable"
    template: ClassVar[str] = "The field mapping {name} cannot be used: {reason}."


def area_difference_ppm(area_cm2: int, declared_cm2: int) -> int:
    """By how much the outline differs from the certificate, in parts per million of the certificate, rounded
    up.
    """
    return -(-abs(area_cm2 - declared_cm2) * MILLION // declared_cm2)


def mu_of_cm2(area_cm2: int) -> str:
    """Mu with four decimals, as text: 1 mu is 2000/3 m2 (rounded half up)."""
    ten_thousandths = (6 * area_cm2 + 2_000) // 4_000
    return f"{ten_thousandths // 10_000}.{ten_thousandths % 10_000:04d}"
