"""What a run is computed from: plain values and digests, which a record spells and `recompute` reads again.

`RunInputs` is everything that decides the result. Its digest names the run: the same inputs give the same
kilograms. Inputs of version 1, as the first release wrote them, are read and spelled without what version 2
added; what was added is None in them.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Final, TypeVar

from ledger.canonical import JsonValue, encode
from registry.estimates.input_files import FOREST_CLASSES
from registry.estimates.inputs_checks import nonsense
from registry.estimates.methods import MethodVersion, RiskMode, method_version
from registry.estimates.plain import plain
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

ERRORS_OF: Final[Mapping[str, str]] = {"agb_start": "agb_start_sd", "agb_end": "agb_end_sd"}
"""The raster of standard deviations of each density."""

LAND_COVERS: Final = ("land_cover_start", "land_cover_end")
ELIGIBLE_SHARE: Final = "eligible_share"
"""The kind that may stand for a land cover: of each cell, the share that is forest."""

WITHOUT_RASTER: Final = ("relative_ppm", "absolute")
"""Error models that say a pixel's error without a raster of deviations."""

NEWEST: Final = 2
"""The version of records that are written now."""

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
    """A raster file and what its statement said of it when the run was computed.

    `statement` counts the statements about the file: a correction makes the next one. `error_model` says how
    a pixel's error is known and how errors go together (correlations in parts per million). `forest_classes`
    are those of a land cover. `values_sha256` is of the decoded values, the same for every encoding of them.
    `grid` has its numbers as texts.
    """

    name: str
    sha256: str
    product: str
    taken_on: str
    statement: int | None = None
    kind: str | None = None
    unit: str | None = None
    band: int | None = None
    licence: str | None = None
    error_model: Mapping[str, JsonValue] | None = None
    forest_classes: tuple[int, ...] | None = None
    values_sha256: str | None = None
    grid: Mapping[str, JsonValue] | None = None

    @property
    def error_kind(self) -> str | None:
        return None if self.error_model is None else str(self.error_model.get("kind"))


@dataclass(frozen=True, slots=True)
class PlotsInput:
    """A file of plots, and which version of the reader of that kind of file understood it.

    `design_sha256` is the digest of the design that the plots were laid out by, where one was given.
    """

    sha256: str
    measurement: str
    reader: str | None = None
    design_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class SaturationInput:
    """What a bamboo project has behind it when a later period is estimated (E-F7); decimal texts.

    `start_tc_ha` is the stock at the first measurement of the first period, `raw_tco2e` the change since
    then, `credited_tco2e` what was credited of it; `runs` are the runs that say so, the first first.
    """

    start_tc_ha: str
    raw_tco2e: str
    credited_tco2e: str
    runs: tuple[str, ...]


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
    saturation: SaturationInput | None = None
    record_version: int = NEWEST

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

    def has_raster(self, name: str) -> bool:
        return any(raster.name == name for raster in self.rasters)

    @property
    def file_digests(self) -> dict[str, str]:
        """Digest by the name of the input, for every file but the outlines."""
        plots = {} if self.plots is None else {"plots": self.plots.sha256}
        return {raster.name: raster.sha256 for raster in self.rasters} | plots

    def to_json(self) -> dict[str, JsonValue]:
        document = _spelled(self, self.record_version)
        document["parameter_tables"] = dict(self.parameter_tables)
        document["terms"] = plain(self.terms)
        document["rasters"] = [_spelled(raster, self.record_version) for raster in self.rasters]
        document["plots"] = None if self.plots is None else _spelled(self.plots, self.record_version)
        document["parcels"] = [_spelled(parcel, self.record_version) for parcel in self.parcels]
        return document

    def digest(self) -> str:
        return hashlib.sha256(encode(self.to_json())).hexdigest()

    def part_digests(self) -> dict[str, str]:
        """Of every field, and of every raster by its name, so that a changed one can be named."""
        document = self.to_json()
        rasters = {f"rasters.{raster.name}": _spelled(raster, self.record_version) for raster in self.rasters}
        parts = {name: value for name, value in document.items() if name != "rasters"} | rasters
        return {name: hashlib.sha256(encode(value)).hexdigest() for name, value in sorted(parts.items())}

    @classmethod
    def from_json(cls, document: object, version: int = NEWEST) -> "RunInputs":
        """Read what `to_json` wrote, strictly (`RecordMalformed`)."""
        try:
            read = cls._read(_exactly(RunInputs, document, version), version)
            complete = _complete(read.rasters) and read.days > 0
            wrong = nonsense(read)
        except (TypeError, ValueError, AttributeError) as fault:
            raise RecordMalformed(reason="its inputs are of other types") from fault
        if not complete:
            raise RecordMalformed(reason="its rasters or its period are not those of a run")
        if wrong is not None:
            raise RecordMalformed(reason=f"of its inputs cannot be: {wrong}")
        return read

    @classmethod
    def _read(cls, values: dict[str, Any], version: int) -> "RunInputs":
        plots = values["plots"]
        terms = _exactly(TermsInput, values["terms"], version)
        return cls(
            **values
            | {
                "terms": TermsInput(**terms | {"assumed": tuple(terms["assumed"])}),
                "rasters": tuple(_read_raster(one, version) for one in values["rasters"]),
                "plots": None if plots is None else _read(PlotsInput, plots, version),
                "parcels": tuple(_read(ParcelInput, one, version) for one in values["parcels"]),
                "saturation": _read_saturation(values.get("saturation"), version),
            },
            record_version=version,
        )


_SINCE_2: Final[Mapping[type[Any], frozenset[str]]] = {
    RasterInput: frozenset(
        {
            "statement",
            "kind",
            "unit",
            "band",
            "licence",
            "error_model",
            "forest_classes",
            "values_sha256",
            "grid",
        }
    ),
    PlotsInput: frozenset({"reader", "design_sha256"}),
    RunInputs: frozenset({"saturation"}),
}
_UNSPELLED: Final = frozenset({"record_version"})


T = TypeVar("T")


def _names(kind: type[Any], version: int) -> Iterator[str]:
    """The fields that inputs of a version spell."""
    later = _SINCE_2.get(kind, frozenset()) if version == 1 else frozenset[str]()
    return (field.name for field in fields(kind) if field.name not in later | _UNSPELLED)


def _spelled(value: Any, version: int) -> dict[str, JsonValue]:
    nested = {"terms", "rasters", "plots", "parcels", "parameter_tables"}
    return {
        name: None if name in nested else plain(getattr(value, name)) for name in _names(type(value), version)
    }


def _exactly(kind: type[Any], document: object, version: int) -> dict[str, Any]:
    """The fields of a dataclass in a JSON object: all of them, no others."""
    names = set(_names(kind, version))
    if not isinstance(document, dict) or set(document) != names:
        raise RecordMalformed(reason=f"the fields of {kind.__name__} are {', '.join(sorted(names))}")
    return document


def _read(kind: type[T], document: object, version: int) -> T:
    return kind(**_exactly(kind, document, version))


def _read_saturation(document: object, version: int) -> SaturationInput | None:
    if document is None:
        return None
    values = _exactly(SaturationInput, document, version)
    return SaturationInput(**values | {"runs": tuple(values["runs"])})


def _read_raster(document: object, version: int) -> RasterInput:
    values = _exactly(RasterInput, document, version)
    classes = values.get("forest_classes")
    return RasterInput(**values | {"forest_classes": None if classes is None else tuple(classes)})


def _complete(rasters: tuple[RasterInput, ...]) -> bool:
    """Each raster of a run once; deviations may be missing where the error model needs none."""
    by_name = {raster.name: raster for raster in rasters}
    optional = {
        error for name, error in ERRORS_OF.items() if name in by_name and _needs_no_raster(by_name[name])
    }
    return len(by_name) == len(rasters) and set(RASTERS) - optional <= set(by_name) <= set(RASTERS)


def _needs_no_raster(density: RasterInput) -> bool:
    return density.error_kind in WITHOUT_RASTER


def method_inputs(method: str) -> dict[str, Any]:
    """The fields of `RunInputs` that this code's version of a method fills. Raises `UnknownMethod`."""
    version: MethodVersion = method_version(method)
    return {
        "method": version.id,
        "method_sha256": version.digest(),
        "parameter_tables": version.parameters.digests(),
    }


def forest_classes(inputs: RunInputs) -> dict[str, tuple[int, ...] | None]:
    """Forest classes of the two land covers, None for one that is the share of forest itself
    (`ProductUnknown`).
    """
    return {name: _classes_of(inputs.raster(name)) for name in LAND_COVERS}


def _classes_of(cover: RasterInput) -> tuple[int, ...] | None:
    if cover.kind == ELIGIBLE_SHARE:
        return None
    classes = cover.forest_classes or FOREST_CLASSES.get(cover.product)
    if classes is None:
        raise ProductUnknown(product=cover.product, known=", ".join(sorted(FOREST_CLASSES)))
    return classes


def check_raster_dates(inputs: RunInputs) -> None:
    """The densities of the start come before those of the end, and have the dates of their errors.

    One land cover may serve both ends, where its product shows no change.
    """
    dates = {raster.name: raster.taken_on for raster in inputs.rasters}
    start, end = dates["agb_start"], dates["agb_end"]
    errors = all(dates.get(error, dates[name]) == dates[name] for name, error in ERRORS_OF.items())
    if start >= end or not errors or dates["land_cover_start"] > dates["land_cover_end"]:
        raise RasterDatesWrong(start_on=start, end_on=end)
