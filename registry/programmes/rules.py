"""Programmes: what a unit is, how much is withheld, which tolerances hold. Versioned data, published once."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

from registry.documents.serials import FORMAT_VERSION
from registry.errors import RegistryRefusal
from registry.machine import Machine, Needs, Role, step

PROGRAMME: Final = Machine(
    "programme",
    "none",
    {
        ("none", "publish"): step("published", Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS),
        ("published", "withdraw"): step("withdrawn", Role.REGISTRY_ADMIN, needs=Needs.TWO_PERSONS),
    },
)

MILLION: Final = 1_000_000

Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**53 - 1)]
Share = Annotated[int, Field(ge=0, le=MILLION)]
"""A share in parts per million of the whole."""
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,40}$")]
MethodId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._@/-]{1,80}$")]
IsoDate = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


@dataclass(frozen=True, slots=True)
class Terms:
    """The figures of a programme version, exactly as its entry holds them.

    Ends of names are units: `_kg`, `_cm2`, `_mm`, `_ppm` (parts per million), `_days`, `_years`.
    `serial_registry` is what serials begin with: three letters and the format version, as `QZP1`.
    `publication_days` are working days (Monday to Friday; the yearly holiday calendar is not known here, so
    it errs on the short side by the holidays). A parcel overlap up to `overlap_ignored_cm2` is none; a sliver
    is gone when eroded by `sliver_erosion_mm` and is, with all slivers of the parcel, at most
    `sliver_share_ppm` of the smaller parcel. Against reversal, mode `buffer` issues `buffer_ppm` of the units
    to the project's buffer; mode `deduct` withholds `withheld_ppm` of the net removal for good. `methods`
    are the method versions that a project may be submitted with. `assumed`
    names the figures that no published rule sets.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    unit_kg: Positive
    serial_registry: Annotated[str, Field(pattern=rf"^[A-Z]{{3}}{FORMAT_VERSION}$")]
    unit_kind: Annotated[str, Field(pattern="^(RN|EN)$")]
    pools: Annotated[tuple[Code, ...], Field(min_length=1)]
    risk_mode: Annotated[str, Field(pattern="^(buffer|deduct)$")]
    buffer_ppm: Share
    withheld_ppm: Share
    methods: Annotated[tuple[MethodId, ...], Field(min_length=1)]
    baseline_ppm: Share
    overlap_rule: Code
    overlap_ignored_cm2: Count
    sliver_erosion_mm: Count
    sliver_share_ppm: Share
    certificate_area_tolerance_ppm: Share
    min_parcel_cm2: Positive
    publication_days: Count
    earliest_start: IsoDate
    crediting_years_min: Positive
    crediting_years_max: Positive
    period_years_max: Positive
    plausible_kg_ha_year: Positive
    refused_kg_ha_year: Positive
    verifier_reason_ppm: Share
    option_cover_ppm: Share
    issuance_lapse_days: Positive
    vat_ppm: Share
    surcharge_ppm: Share
    insurance_ppm: Share
    fee_ppm: Share
    village_ppm: Share
    assumed: tuple[Code, ...] = ()


class ProgrammeRefused(RegistryRefusal):
    """The root of this room's refusals."""

    code: ClassVar[str] = "programme_refused"
    template: ClassVar[str] = "The programme was refused."


class TermsContradict(ProgrammeRefused):
    code: ClassVar[str] = "programme_terms_contradict"
    template: ClassVar[str] = "The programme's terms contradict each other: {reason}."


class ProgrammeNotPublished(ProgrammeRefused):
    code: ClassVar[str] = "programme_not_published"
    template: ClassVar[str] = "The programme {programme} is {status}; nothing new begins under it."


def check_terms(terms: Terms) -> None:
    """Hold the figures of one version against each other (`TermsContradict`)."""
    contradictions = {
        "crediting_years_min exceeds crediting_years_max": terms.crediting_years_min
        > terms.crediting_years_max,
        "period_years_max exceeds crediting_years_max": terms.period_years_max > terms.crediting_years_max,
        "plausible_kg_ha_year exceeds refused_kg_ha_year": terms.plausible_kg_ha_year
        > terms.refused_kg_ha_year,
        "a pool is named twice": len(set(terms.pools)) != len(terms.pools),
        "a method is named twice": len(set(terms.methods)) != len(terms.methods),
        "risk mode deduct has no buffer": terms.risk_mode == "deduct" and terms.buffer_ppm > 0,
        "risk mode deduct withholds a share": terms.risk_mode == "deduct" and terms.withheld_ppm == 0,
        "risk mode buffer withholds nothing": terms.risk_mode == "buffer" and terms.withheld_ppm > 0,
        "assumed names a figure that is none": not set(terms.assumed) <= set(Terms.__dataclass_fields__),
    }
    for reason, holds in contradictions.items():
        if holds:
            raise TermsContradict(reason=reason)


# ---- names of ledger accounts and assets -------------------------------------------------------------------


def unit_asset(programme: str) -> str:
    return f"CO2E:{programme}"


def residue_asset(programme: str) -> str:
    return f"CO2E-residue-kg:{programme}"


def issuance_account(programme: str) -> str:
    """The source of every unit; its balance is minus what was issued."""
    return f"issuance:{programme}"


def residue_source(programme: str) -> str:
    return f"residue-source:{programme}"


def retired_account(programme: str) -> str:
    return f"retired:{programme}"


def cancelled_account(programme: str) -> str:
    return f"cancelled:{programme}"


def clearing_account(programme: str) -> str:
    """The receiver of reserved units while it is not known who gets them."""
    return f"clearing:{programme}"


def units_account(organisation: str, programme: str) -> str:
    """The organisation's holdings under a programme."""
    return f"units:{organisation}:{programme}"


def buffer_account(project: str) -> str:
    return f"buffer:{project}"


def residue_account(project: str) -> str:
    return f"residue:{project}"
