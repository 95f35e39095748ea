"""What a run is computed from: plain values and digests, which a record spells and `recompute` reads again.

`RunInputs` is everything that decides the result. Its digest names the run: the same inputs give the same
kilograms.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any, Final, TypeVar

from ledger.canonical import JsonValue, encode
from registry.estimates.methods import MethodVersion, RiskMode, method_version
from registry.estimates.rasters import FOREST_CLASSES
from registry.estimates.rules import ProductUnknown, RasterDatesWrong, RecordMalformed
from registry.programmes.rules import Terms

RASTERS: Final[Mapping[str, str]] = {
    "agb_start": "agb",
    "agb_start_sd": "agb_sd",
    "agb_end": "agb",
    "agb_end_sd": "agb_sd",
    "land_cover_start": "land_cover",
    "land_cover_end": "land_cover",
}
"""The rasters of a run and the kind that each must be."""

TERMS_USED: Final = (
    "risk_mode",
    "buffer_ppm",
    "withheld_ppm",
    "baseline_ppm",
    "plausible_kg_ha_year",
    "refused_kg_ha_year",
)


@dataclass(frozen=True, slots=True)
class ParcelInput:
    """A parcel of the project under a claim that covers the period.

    `geometry_sha256` is the digest of the canonical outline, `credited_cm2` the ground that its claim is
    credited with, `volume_m3_ha` the tabulated stand volume as a decimal text, None where the table has
    none.
    """

    number: int
    parcel: str
    version: int
    geometry_sha256: str
    area_cm2: int
    credited_cm2: int
    stand_type: str
    volume_m3_ha: str | None


@dataclass(frozen=True, slots=True)
class RasterInput:
    name: str
    sha256: str
    product: str
    taken_on: str


@dataclass(frozen=True, slots=True)
class PlotsInput:
    sha256: str
    measurement: str


@dataclass(frozen=True, slots=True)
class TermsInput:
    """The programme's figures that an estimate applies; `assumed` names those of them that no published
    rule sets.
    """

    programme: str
    risk_mode: str
    buffer_ppm: int
    withheld_ppm: int
    baseline_ppm: int
    plausible_kg_ha_year: int
    refused_kg_ha_year: int
    assumed: tuple[str, ...]

    @classmethod
    def of(cls, programme: str, terms: Terms) -> "TermsInput":
        assumed = tuple(name for name in TERMS_USED if name in terms.assumed)
        return cls(
            programme=programme,
            risk_mode=terms.risk_mode,
            buffer_ppm=terms.buffer_ppm,
            withheld_ppm=terms.withheld_ppm,
            baseline_ppm=terms.baseline_ppm,
            plausible_kg_ha_year=terms.plausible_kg_ha_year,
            refused_kg_ha_year=terms.refused_kg_ha_year,
            assumed=assumed,
        )

    @property
    def risk_ppm(self) -> int:
        """The share held against reversal: deducted here in mode `deduct`, taken from the units as buffer
        otherwise.
        """
        return self.withheld_ppm if self.risk_mode == RiskMode.DEDUCT else self.buffer_ppm


@dataclass(frozen=True, slots=True)
class RunInputs:
    """Everything that decides a run. Emissions and leakage are the owner's statements for the period, kg
    CO2e.
    """

    project: str
    period: str
    from_on: str
    to_on: str
    pools: str
    method: str
    method_sha256: str
    parameter_tables: Mapping[str, str]
    terms: TermsInput
    rasters: tuple[RasterInput, ...]
    plots: PlotsInput | None
    project_emissions_kg: int
    leakage_kg: int
    parcels: tuple[ParcelInput, ...]

    @property
    def from_date(self) -> date:
        return date.fromisoformat(self.from_on)

    @property
    def to_date(self) -> date:
        return date.fromisoformat(self.to_on)

    @property
    def days(self) -> int:
        return (self.to_date - self.from_date).days

    def raster(self, name: str) -> RasterInput:
        return next(raster for raster in self.rasters if raster.name == name)

    @property
    def file_digests(self) -> dict[str, str]:
        """Digest by the name of the input, for every file but the outlines."""
        plots = {} if self.plots is None else {"plots": self.plots.sha256}
        return {raster.name: raster.sha256 for raster in self.rasters} | plots

    def to_json(self) -> dict[str, JsonValue]:
        document: dict[str, Any] = asdict(self)
        document["parameter_tables"] = dict(self.parameter_tables)
        for key in ("rasters", "parcels"):
            document[key] = list(document[key])
        document["terms"]["assumed"] = list(self.terms.assumed)
        return document

    def digest(self) -> str:
        return hashlib.sha256(encode(self.to_json())).hexdigest()

    @classmethod
    def from_json(cls, document: object) -> "RunInputs":
        """Read what `to_json` wrote, strictly (`RecordMalformed`)."""
        try:
            read = cls._read(_exactly(RunInputs, document))
            complete = {raster.name for raster in read.rasters} == set(RASTERS) and read.days > 0
        except (TypeError, ValueError) as fault:
            raise RecordMalformed(reason="its inputs are of other types") from fault
        if not complete:
            raise RecordMalformed(reason="its rasters or its period are not those of a run")
        return read

    @classmethod
    def _read(cls, values: dict[str, Any]) -> "RunInputs":
        plots = values["plots"]
        terms = _exactly(TermsInput, values["terms"])
        return cls(
            **values
            | {
                "terms": TermsInput(**terms | {"assumed": tuple(terms["assumed"])}),
                "rasters": tuple(_read(RasterInput, one) for one in values["rasters"]),
                "plots": None if plots is None else _read(PlotsInput, plots),
                "parcels": tuple(_read(ParcelInput, one) for one in values["parcels"]),
            }
        )


T = TypeVar("T")


def _exactly(kind: type[Any], document: object) -> dict[str, Any]:
    """The fields of a dataclass in a JSON object: all of them, no others."""
    names = {field.name for field in fields(kind)}
    if not isinstance(document, dict) or set(document) != names:
        raise RecordMalformed(reason=f"the fields of {kind.__name__} are {', '.join(sorted(names))}")
    return document


def _read(kind: type[T], document: object) -> T:
    return kind(**_exactly(kind, document))


def method_inputs(method: str) -> dict[str, Any]:
    """The fields of `RunInputs` that this code's version of a method fills. Raises `UnknownMethod`."""
    version: MethodVersion = method_version(method)
    return {
        "method": version.id,
        "method_sha256": version.digest(),
        "parameter_tables": version.parameters.digests(),
    }


def forest_classes(inputs: RunInputs) -> dict[str, tuple[int, ...]]:
    """Forest classes of the two land covers (`ProductUnknown`)."""
    names = ("land_cover_start", "land_cover_end")
    for name in names:
        if inputs.raster(name).product not in FOREST_CLASSES:
            raise ProductUnknown(product=inputs.raster(name).product, known=", ".join(sorted(FOREST_CLASSES)))
    return {name: FOREST_CLASSES[inputs.raster(name).product] for name in names}


def check_raster_dates(inputs: RunInputs) -> None:
    """The densities of the start come before those of the end, and have the dates of their errors.

    One land cover may serve both ends, where its product shows no change.
    """
    start, end = inputs.raster("agb_start").taken_on, inputs.raster("agb_end").taken_on
    same = (
        start == inputs.raster("agb_start_sd").taken_on
        and end == inputs.raster("agb_end_sd").taken_on
        and inputs.raster("land_cover_start").taken_on <= inputs.raster("land_cover_end").taken_on
    )
    if start >= end or not same:
        raise RasterDatesWrong(start_on=start, end_on=end)
