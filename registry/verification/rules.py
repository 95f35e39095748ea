"""What a verifier may sign (RULES 1.3; METHODOLOGY D1, D2, R-15 to R-17), decided on plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from registry.errors import RegistryRefusal
from registry.estimates.rules import MAX_UNCERTAINTY_PPM, TIER_VERIFIED
from registry.machine import Machine, Needs, Role, step
from registry.programmes.rules import MILLION

STATEMENT: Final = Machine(
    "statement",
    "none",
    {
        ("none", "sign"): step("signed", Role.VERIFIER),
        # an unusually high removal is signed by verifiers of two organisations
        ("none", "sign_jointly"): step("signed", Role.VERIFIER, needs=Needs.TWO_ORGANISATIONS),
    },
)


class VerificationRefused(RegistryRefusal):
    """The root of this room's refusals."""

    code: ClassVar[str] = "verification_refused"
    template: ClassVar[str] = "The verification was refused."


class UnverifiedQuantity(VerificationRefused):
    """Only what plots prove, well enough, and a verifier signed may be issued (D1, R-15)."""

    code: ClassVar[str] = "unverified_quantity"
    template: ClassVar[str] = "The quantity of the monitoring period {period} is not verified: {reason}."


class NotTheVerifier(VerificationRefused):
    code: ClassVar[str] = "not_the_verifier"
    template: ClassVar[str] = (
        "The verification of the monitoring period {period} was accepted by {verifier}; only that "
        "organisation goes on with it."
    )


class MoreThanEstimated(VerificationRefused):
    code: ClassVar[str] = "verified_beyond_estimate"
    template: ClassVar[str] = (
        "{verified_kg} kg is more than the estimate of {estimate_kg} kg by over {tolerance_ppm} parts per "
        "million."
    )


class ReasonMissing(VerificationRefused):
    code: ClassVar[str] = "verification_reason_missing"
    template: ClassVar[str] = (
        "{verified_kg} kg differs from the estimate of {estimate_kg} kg; more than {tolerance_ppm} parts per "
        "million less, or anything more, needs a reason."
    )


class ParametersUnattested(VerificationRefused):
    """D2: rows that are not sure need the verifier's signature too. `rows` names them."""

    code: ClassVar[str] = "parameters_unattested"
    template: ClassVar[str] = (
        "The estimate uses {count} parameters that are not sure; the verifier has to attest them: {rows}."
    )


class AssumptionsNotOverridden(VerificationRefused):
    """METHODOLOGY 0: rows that are assumptions (`A`) need an override of their own, beside the attestation
    that all unsure rows need. `rows` names them.
    """

    code: ClassVar[str] = "assumptions_not_overridden"
    template: ClassVar[str] = (
        "The estimate rests on {count} parameters that are assumptions; the verifier has to override them "
        "expressly: {rows}."
    )


class SecondVerifierNeeded(VerificationRefused):
    code: ClassVar[str] = "second_verifier_needed"
    template: ClassVar[str] = (
        "The removal of {rate_kg_ha_year} kg per hectare and year is unusually high; a second verifier of "
        "another organisation has to sign too."
    )


class SecondVerifierUnneeded(VerificationRefused):
    code: ClassVar[str] = "second_verifier_unneeded"
    template: ClassVar[str] = "The monitoring period {period} needs one verifier only."


class NotTheSecondVerifier(VerificationRefused):
    code: ClassVar[str] = "not_the_second_verifier"
    template: ClassVar[str] = "The second signature has to come from a verifier of {organisation}."


@dataclass(frozen=True, slots=True)
class Proven:
    """What a run proved by plots, sure enough to be signed (D1, R-15). No screening or forecast becomes one.

    Made by `proven` alone. A verifier's signature over it makes a `Verified`.
    """

    period: str
    run: str
    estimate_kg: int
    uncertainty_ppm: int

    def __post_init__(self) -> None:
        if self.estimate_kg < 0:
            raise UnverifiedQuantity(period=self.period, reason="it is a loss")
        if not 0 <= self.uncertainty_ppm <= MAX_UNCERTAINTY_PPM:
            percent = self.uncertainty_ppm / 10_000
            reason = f"its uncertainty is {percent:g} %, measure more plots"
            raise UnverifiedQuantity(period=self.period, reason=reason)


@dataclass(frozen=True, slots=True)
class Verified:
    """A quantity over a verifier's signature: the only thing that issuance accepts (D1).

    Made by `registry.verification.service.verified_quantity` alone, from the statement's rows. `parcels`
    maps a parcel's number in the project to kilograms; they add up to `kg`.
    """

    period: str
    project: str
    statement: str
    run: str
    verifier: str
    kg: int
    deduction_kg: int
    parcels: Mapping[int, int]

    def __post_init__(self) -> None:
        if (
            self.kg < 0
            or any(kg < 0 for kg in self.parcels.values())
            or sum(self.parcels.values()) != self.kg
        ):
            raise UnverifiedQuantity(period=self.period, reason="its shares do not add up")


def proven(period: str, run: str, tier: str, uncertainty_ppm: int | None, estimate_kg: int) -> Proven:
    """D1 and R-15: a run that plots prove, with an uncertainty of at most 30 % (`UnverifiedQuantity`)."""
    if tier != TIER_VERIFIED:
        raise UnverifiedQuantity(period=period, reason=f"the run is of the tier {tier}")
    if uncertainty_ppm is None:
        raise UnverifiedQuantity(period=period, reason="its uncertainty is undefined")
    return Proven(period, run, estimate_kg, uncertainty_ppm)


def signed_kg(run: Proven, verified_kg: int | None, deduction_kg: int) -> int:
    """What the verifier signs: its own quantity, else the estimate less the deduction."""
    return max(run.estimate_kg - deduction_kg, 0) if verified_kg is None else verified_kg


def check_difference(run: Proven, verified_kg: int, tolerance_ppm: int, reason_code: str) -> None:
    """A verifier may sign less; more only within the programme's figure. More, or much less, has a reason.

    Raises `MoreThanEstimated`, `ReasonMissing`.
    """
    facts = {"verified_kg": verified_kg, "estimate_kg": run.estimate_kg, "tolerance_ppm": tolerance_ppm}
    allowed = run.estimate_kg * tolerance_ppm
    difference = (verified_kg - run.estimate_kg) * MILLION
    if difference > allowed:
        raise MoreThanEstimated(**facts)
    if not reason_code and (difference > 0 or -difference > allowed):
        raise ReasonMissing(**facts)


def check_attested(rows: Sequence[str], assumed: Sequence[str], *, attested: bool, overridden: bool) -> None:
    """D2: every row that is not sure is attested, and those that are assumptions are overridden as well.

    Raises `ParametersUnattested`, `AssumptionsNotOverridden`.
    """
    if rows and not attested:
        raise ParametersUnattested(count=len(rows), rows=list(rows))
    if assumed and not overridden:
        raise AssumptionsNotOverridden(count=len(assumed), rows=list(assumed))
