"""What may be said of a raster: kinds, units, licences, error models, classes. Pure decisions, refusals."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, ClassVar, Final, Literal

from geo.raster_scan import Expected
from registry.estimates.rules import EstimateRefused, ProductUnknown, RasterOfTheFuture

RasterKind = Literal["agb", "agb_sd", "land_cover", "eligible_share"]
ErrorKind = Literal["none", "per_pixel", "relative_ppm", "absolute"]

UNITS: Final[Mapping[str, str]] = {
    "agb": "t/ha",
    "agb_sd": "t/ha",
    "land_cover": "class",
    "eligible_share": "1",
}
"""The unit of each kind: dry matter above ground, its standard deviation for one pixel, a class number, the
share of a cell's ground that is eligible.
"""
DENSITIES: Final = ("agb", "agb_sd")
_SPELLINGS: Final[Mapping[str, frozenset[str]]] = {
    "t/ha": frozenset(
        f"{mass}{of}{per}"
        for mass in ("t", "Mg", "tonnes", "tonne")
        for of in ("", " d.m.", " dm", " DM", " dry matter")
        for per in ("/ha", " ha-1", " ha^-1", "·ha-1", " per ha", "/hectare")
    ),
    "class": frozenset({"class", "classes", "category"}),
    "1": frozenset({"1", "share", "fraction"}),
}
"""Other ways to write the same unit. No figure is converted: carbon or CO2e in place of dry matter would
need the carbon fraction of every stand, which is the method's to apply.
"""
_PER_PIXEL: Final = re.compile(r"(?i)((/|per[ _-]?)(px|pix|pixel|cell)|[_ -](px|pixel))([_ .-]|$)")
_OF_CO2: Final = re.compile(r"(?i)co2")

EXPECTED: Final[Mapping[str, Expected]] = {
    "agb": Expected(0.0, 2_000.0),
    "agb_sd": Expected(0.0, 2_000.0),
    "land_cover": Expected(0.0, 65_535.0, whole=True),
    "eligible_share": Expected(0.0, 1.0),
}
"""What a cell can hold; no forest measured has 2,000 t/ha above ground over a hectare."""

FOREST_CLASSES: Final[Mapping[str, tuple[int, ...]]] = {"CLCD": (2,), "ESA-WorldCover": (10, 95)}
"""Classes that are forest, by land-cover product (METHODOLOGY 2.9); everything else is not eligible."""

LICENCES: Final[Mapping[str, bool]] = {
    "CC0-1.0": False,
    "CC-BY-3.0": True,
    "CC-BY-3.0-IGO": True,
    "CC-BY-4.0": True,
    "CC-BY-SA-4.0": True,
    "CC-BY-NC-4.0": True,
    "CC-BY-NC-SA-4.0": True,
    "CDLA-Permissive-2.0": False,
    "DL-DE-BY-2.0": True,
    "DL-DE-ZERO-2.0": False,
    "etalab-2.0": True,
    "GPL-2.0-only": False,
    "GPL-3.0-only": False,
    "MIT": False,
    "ODbL-1.0": True,
    "ODC-By-1.0": True,
    "OGL-UK-3.0": True,
    "PDDL-1.0": False,
}
"""Licences known by their SPDX id, and whether they ask that the author be named. Any other licence is a
`LicenseRef-NAME` with a note that says what it allows.
"""
_OWN_LICENCE: Final = re.compile(r"LicenseRef-[A-Za-z0-9.-]{1,60}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

DEFAULT_RHO_SPACE_PPM: Final = 300_000
DEFAULT_RHO_TIME_PPM: Final = 0
"""E-R2 [A]: higher values of the second need proof."""
MAX_PPM: Final = 1_000_000
MAX_RELATIVE_PPM: Final = 5_000_000
MAX_ABSOLUTE_KG_HA: Final = 2_000_000
LENGTHS: Final[Mapping[str, int]] = {
    "product": 80, "licence_note": 500, "attribution": 500, "source": 500, "reason": 500,
}  # fmt: skip


class RasterUnitWrong(EstimateRefused):
    code: ClassVar[str] = "raster_unit_wrong"
    template: ClassVar[str] = (
        "A raster of kind {kind} is in {expected}; {unit} was said, and nothing is converted."
    )


class RasterNotDensity(EstimateRefused):
    code: ClassVar[str] = "raster_not_density"
    template: ClassVar[str] = (
        "The raster counts {unit}, an amount for each cell; one of kind {kind} is a density in {expected}."
    )


class RasterUnitContradicted(EstimateRefused):
    """`where` is one of: file, name."""

    code: ClassVar[str] = "raster_unit_contradicted"
    template: ClassVar[str] = "The raster was said to be in {unit}, but its {where} says {stated}."


class LandCoverClassesWrong(EstimateRefused):
    code: ClassVar[str] = "land_cover_classes_wrong"
    template: ClassVar[str] = (
        "The classes {classes} cannot be the forest of {product}; forest there is {known}."
    )


class RasterLicenceUnknown(EstimateRefused):
    code: ClassVar[str] = "raster_licence_unknown"
    template: ClassVar[str] = (
        "The licence {licence} is none of: {known}; any other is a LicenseRef-NAME with a note about it."
    )


class RasterLicenceUnexplained(EstimateRefused):
    code: ClassVar[str] = "raster_licence_unexplained"
    template: ClassVar[str] = "The licence {licence} is nobody's standard; a note has to say what it allows."


class RasterAttributionMissing(EstimateRefused):
    code: ClassVar[str] = "raster_attribution_missing"
    template: ClassVar[str] = (
        "The licence {licence} asks that the author be named; the attribution is missing."
    )


class RasterErrorModelWrong(EstimateRefused):
    """`reason` is one of: kind, figures, deviation, correlation, unproven, grid."""

    code: ClassVar[str] = "raster_error_model_wrong"
    template: ClassVar[str] = (
        "The error model {model} cannot be used for this raster ({reason}): per_pixel takes sd_sha256, the "
        "digest of a registered agb_sd, relative_ppm takes ppm, absolute takes kg_ha; correlations that "
        "favour the estimate take a source."
    )


class RasterTextWrong(EstimateRefused):
    code: ClassVar[str] = "raster_text_wrong"
    template: ClassVar[str] = "The field {field} needs 1 to {most} characters in one line."


class RasterNothingCorrected(EstimateRefused):
    code: ClassVar[str] = "raster_nothing_corrected"
    template: ClassVar[str] = "The correction says nothing of the raster {sha256} that is not said already."


class RasterStatementMoved(EstimateRefused):
    code: ClassVar[str] = "raster_statement_moved"
    template: ClassVar[str] = (
        "The raster {sha256} was corrected in the meantime: it is at version {found}, not {expected}."
    )


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """How wrong one cell may be, and how the errors of cells go together.

    per_pixel names the raster of standard deviations; relative_ppm is a share of the value; absolute is kg of
    dry matter per hectare. A correlation that is None is E-R2's default, an assumption.
    """

    kind: ErrorKind = "none"
    sd_sha256: str | None = None
    ppm: int | None = None
    kg_ha: int | None = None
    rho_space_ppm: int | None = None
    rho_time_ppm: int | None = None
    source: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Whole numbers and texts; `assumed` names the correlations that nobody stated."""
        assumed = [name for name in ("rho_space_ppm", "rho_time_ppm") if getattr(self, name) is None]
        figures = {"sd_sha256": self.sd_sha256, "ppm": self.ppm, "kg_ha": self.kg_ha, "source": self.source}
        return {
            "kind": self.kind,
            **{name: value for name, value in figures.items() if value is not None},
            "rho_space_ppm": DEFAULT_RHO_SPACE_PPM if self.rho_space_ppm is None else self.rho_space_ppm,
            "rho_time_ppm": DEFAULT_RHO_TIME_PPM if self.rho_time_ppm is None else self.rho_time_ppm,
            "assumed": assumed,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "ErrorModel":
        assumed = plain.get("assumed", ())
        given = {name: value for name, value in plain.items() if name != "assumed" and name not in assumed}
        return cls(**given)


@dataclass(frozen=True, slots=True)
class RasterClaim:
    """What somebody says a file is. `unit` may be left out where a kind has no other; `band` where there is
    one; `licence` only for files of an older program.
    """

    kind: RasterKind
    product: str
    taken_on: date
    unit: str | None = None
    band: int | None = None
    licence: str | None = None
    licence_note: str | None = None
    attribution: str | None = None
    source: str | None = None
    error_model: ErrorModel = ErrorModel()
    forest_classes: tuple[int, ...] | None = None


def check_claim(claim: RasterClaim, today: date) -> RasterClaim:
    """The claim in its one spelling: the unit's usual name, the product's forest classes.

    Raises the refusals above, `ProductUnknown`, `RasterOfTheFuture`.
    """
    if claim.taken_on > today:
        raise RasterOfTheFuture(taken_on=claim.taken_on.isoformat())
    for name in ("product", "licence_note", "attribution", "source"):
        check_text(name, getattr(claim, name))
    unit = _unit(claim)
    _check_licence(claim)
    _check_error_model(claim)
    return replace(claim, unit=unit, forest_classes=_forest_classes(claim))


def check_text(field: str, value: str | None) -> None:
    """One line of plain text, or nothing (`RasterTextWrong`)."""
    most = LENGTHS[field]
    if value is not None and (not value.strip() or len(value) > most or _CONTROL.search(value)):
        raise RasterTextWrong(field=field, most=most)


def _unit(claim: RasterClaim) -> str:
    expected = UNITS[claim.kind]
    if claim.unit is None and claim.kind not in DENSITIES:
        return expected
    said = " ".join((claim.unit or "").split())
    if said in _SPELLINGS[expected]:
        return expected
    shown = (said or "nothing")[:40]
    if claim.kind in DENSITIES and _PER_PIXEL.search(said):
        raise RasterNotDensity(unit=shown, kind=claim.kind, expected=expected)
    raise RasterUnitWrong(unit=shown, kind=claim.kind, expected=expected)


def check_stated_unit(claim: RasterClaim, stated: str, file_name: str) -> None:
    """Refuse a density whose file, or whose file's name, says that it is something else."""
    if claim.kind not in DENSITIES:
        return
    said = " ".join(stated.split())
    if said and said not in _SPELLINGS[UNITS[claim.kind]]:
        raise RasterUnitContradicted(unit=UNITS[claim.kind], where="file", stated=said[:40])
    found = _PER_PIXEL.search(file_name) or _OF_CO2.search(file_name)
    if found is not None:
        raise RasterUnitContradicted(unit=UNITS[claim.kind], where="name", stated=file_name[:100])


def _check_licence(claim: RasterClaim) -> None:
    licence = claim.licence
    if licence is None:
        return
    if _OWN_LICENCE.fullmatch(licence):
        if claim.licence_note is None:
            raise RasterLicenceUnexplained(licence=licence)
        return
    if licence not in LICENCES:
        raise RasterLicenceUnknown(licence=licence[:80], known=", ".join(sorted(LICENCES)))
    if LICENCES[licence] and claim.attribution is None:
        raise RasterAttributionMissing(licence=licence)


def _forest_classes(claim: RasterClaim) -> tuple[int, ...] | None:
    """The product's own, or fewer of them; for other products those that are declared."""
    if claim.kind != "land_cover":
        return None
    known, declared = FOREST_CLASSES.get(claim.product), claim.forest_classes
    if not declared:
        if known is None:
            raise ProductUnknown(product=claim.product[:80], known=", ".join(sorted(FOREST_CLASSES)))
        return known
    chosen = tuple(sorted(set(declared)))
    beyond = not set(chosen) <= set(range(65_536) if known is None else known)
    if beyond or len(chosen) > 256:
        shown = ", ".join(map(str, chosen[:20]))
        listed = "0 to 65535" if known is None else ", ".join(map(str, known))
        raise LandCoverClassesWrong(classes=shown, product=claim.product, known=listed)
    return chosen


def _check_error_model(claim: RasterClaim) -> None:
    model = claim.error_model

    def refuse(reason: str) -> None:
        raise RasterErrorModelWrong(model=model.kind, reason=reason)

    if model.kind != "none" and claim.kind != "agb":
        refuse("kind")
    if _figures(model) != model.kind:
        refuse("figures")
    correlations = [rho for rho in (model.rho_space_ppm, model.rho_time_ppm) if rho is not None]
    if any(not 0 <= rho <= MAX_PPM for rho in correlations):
        refuse("correlation")
    if model.source is None and _favourable(model):
        refuse("unproven")
    check_text("source", model.source)


def _favourable(model: ErrorModel) -> bool:
    """Errors that cancel more than E-R2 assumes make an estimate look surer; somebody has to vouch for it."""
    space, time = model.rho_space_ppm, model.rho_time_ppm
    return (space is not None and space < DEFAULT_RHO_SPACE_PPM) or (
        time is not None and time > DEFAULT_RHO_TIME_PPM
    )


def _figures(model: ErrorModel) -> ErrorKind | None:
    """The kind that a model's figures are those of, None when they are nobody's."""
    given = [name for name in ("sd_sha256", "ppm", "kg_ha") if getattr(model, name) is not None]
    if not given:
        return "none"
    if len(given) > 1:
        return None
    if model.sd_sha256 is not None:
        return "per_pixel" if _DIGEST.fullmatch(model.sd_sha256) else None
    if model.ppm is not None:
        return "relative_ppm" if 1 <= model.ppm <= MAX_RELATIVE_PPM else None
    return "absolute" if model.kg_ha and 1 <= model.kg_ha <= MAX_ABSOLUTE_KG_HA else None
