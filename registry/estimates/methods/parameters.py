"""Parameter tables: versioned data files whose rows carry their source and a mark of confidence.

A table's digest is the SHA-256 of its canonical JSON (keys sorted, no spaces, UTF-8), decimals being strings
as they were printed, so the digest does not depend on how a machine writes a float.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeVar, cast

from registry.estimates.methods.checks import positive, share, total
from registry.estimates.methods.errors import BadParameterTable, OutOfRange, SharesNotWhole, UnknownStandType

_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class Mark(StrEnum):
    """How far a parameter may be trusted; issuance needs an attestation for the rows that are not `SURE`."""

    SURE = "S"
    PROBABLE = "P"
    ASSUMED = "A"


def canonical_json(document: object) -> bytes:
    """One byte form for a document of strings, integers, booleans, nulls, lists and string-keyed mappings.

    Same bytes as RFC 8785 as long as keys are ASCII and no number is a float; a float raises `TypeError`.
    """
    _refuse_floats(document)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _refuse_floats(document: object) -> None:
    if isinstance(document, float):
        raise TypeError("floats have no canonical form here; write decimals as strings")
    if isinstance(document, Mapping):
        for value in document.values():
            _refuse_floats(value)
    elif isinstance(document, list | tuple):
        for value in document:
            _refuse_floats(value)


def sha256_hex(document: object) -> str:
    return hashlib.sha256(canonical_json(document)).hexdigest()


@dataclass(frozen=True, slots=True)
class BiomassFactors:
    """From stand volume to carbon: density t/m3, AGB / stem biomass, roots / AGB, carbon / dry matter."""

    wood_density: float
    bef: float
    root_shoot: float
    carbon_fraction: float

    def __post_init__(self) -> None:
        positive(wood_density=self.wood_density, bef=self.bef)
        share(root_shoot=self.root_shoot, carbon_fraction=self.carbon_fraction)


@dataclass(frozen=True, slots=True)
class Growth:
    """Richards curve of stand volume, m3/ha over years since planting."""

    asymptote_m3_ha: float
    k: float
    c: float

    def __post_init__(self) -> None:
        positive(asymptote_m3_ha=self.asymptote_m3_ha, k=self.k, c=self.c)


@dataclass(frozen=True, slots=True)
class StandType:
    """A row of table 3.1."""

    code: str
    name_zh: str
    factors: BiomassFactors
    growth: Growth
    source: str
    mark: Mark
    growth_source: str
    growth_mark: Mark


@dataclass(frozen=True, slots=True)
class LinearBiomass:
    """A row of table 3.2: total live biomass `a * V + b`, t/ha from m3/ha."""

    code: str
    a: float
    b: float
    source: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class DeductionStep:
    """Up to and including `up_to_pct` (None: without end) the rate is `rate`, or `share_of_u` of the
    uncertainty.
    """

    up_to_pct: Decimal | None
    rate: Decimal | None
    share_of_u: Decimal | None


@dataclass(frozen=True, slots=True)
class DeductionRule:
    """Which share of an estimate is given up for its uncertainty (E-U2)."""

    code: str
    steps: tuple[DeductionStep, ...]
    source: str
    mark: Mark

    @property
    def limit_pct(self) -> Decimal | None:
        """The uncertainty above which nothing may be issued; None when the rule has no such limit."""
        return self.steps[-1].up_to_pct


@dataclass(frozen=True, slots=True)
class Setting:
    """One number that an estimate applies, with its unit."""

    code: str
    value: Decimal
    unit: str
    source: str
    mark: Mark


class _Row(Protocol):
    @property
    def code(self) -> str: ...
    @property
    def mark(self) -> Mark: ...


Row = TypeVar("Row", bound=_Row)


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """A parameter table as it was read; `digest_hex` is of the whole document, sources and marks included."""

    name: str
    version: str
    rows: Mapping[str, Row]
    digest_hex: str

    def row(self, code: str) -> Row:
        """The row of a code, or `UnknownStandType`."""
        try:
            return self.rows[code]
        except KeyError:
            raise UnknownStandType(table=self.name, stand_type=code) from None

    def digest(self) -> str:
        return self.digest_hex


class _Fields:
    """Strict reading of one row: every value has its type, and none is left over."""

    def __init__(self, table: str, row: object) -> None:
        self.table = table
        if not isinstance(row, dict):
            raise BadParameterTable(table=table, field="rows")
        self.values = dict(row)

    def fault(self, field: str) -> BadParameterTable:
        return BadParameterTable(table=self.table, field=field)

    def text(self, field: str) -> str:
        value = self.values.pop(field, None)
        if not isinstance(value, str) or not value:
            raise self.fault(field)
        return value

    def decimal(self, field: str) -> Decimal:
        value = self.text(field)
        if not _DECIMAL.fullmatch(value):
            raise self.fault(field)
        return Decimal(value)

    def optional_decimal(self, field: str) -> Decimal | None:
        if self.values.get(field) is None:
            self.values.pop(field, None)
            return None
        return self.decimal(field)

    def number(self, field: str) -> float:
        return float(self.decimal(field))

    def mark(self, field: str = "mark") -> Mark:
        value = self.text(field)
        if value not in set(Mark):
            raise self.fault(field)
        return Mark(value)

    def rows(self, field: str) -> list[object]:
        value = self.values.pop(field, None)
        if not isinstance(value, list) or not value:
            raise self.fault(field)
        return cast("list[object]", value)

    def end(self) -> None:
        for field in self.values:
            raise self.fault(str(field))


def _stand_type(fields: _Fields) -> StandType:
    return StandType(
        code=fields.text("code"),
        name_zh=fields.text("name_zh"),
        factors=BiomassFactors(
            wood_density=fields.number("wood_density"),
            bef=fields.number("bef"),
            root_shoot=fields.number("root_shoot"),
            carbon_fraction=fields.number("carbon_fraction"),
        ),
        growth=Growth(fields.number("asymptote_m3_ha"), fields.number("k"), fields.number("c")),
        source=fields.text("source"),
        mark=fields.mark(),
        growth_source=fields.text("growth_source"),
        growth_mark=fields.mark("growth_mark"),
    )


def _linear(fields: _Fields) -> LinearBiomass:
    return LinearBiomass(
        code=fields.text("code"),
        a=fields.number("a"),
        b=fields.number("b"),
        source=fields.text("source"),
        mark=fields.mark(),
    )


def _deduction_step(table: str, row: object) -> DeductionStep:
    fields = _Fields(table, row)
    step = DeductionStep(
        fields.optional_decimal("up_to_pct"),
        fields.optional_decimal("rate"),
        fields.optional_decimal("share_of_u"),
    )
    fields.end()
    if (step.rate is None) == (step.share_of_u is None):
        raise fields.fault("rate")
    return step


def _deduction(fields: _Fields) -> DeductionRule:
    steps = tuple(_deduction_step(fields.table, row) for row in fields.rows("steps"))
    bounds = [step.up_to_pct for step in steps]
    known = [bound for bound in bounds if bound is not None]
    if None in bounds[:-1] or known != sorted(set(known)):
        raise fields.fault("up_to_pct")
    return DeductionRule(fields.text("code"), steps, fields.text("source"), fields.mark())


def _setting(fields: _Fields) -> Setting:
    return Setting(
        fields.text("code"),
        fields.decimal("value"),
        fields.text("unit"),
        fields.text("source"),
        fields.mark(),
    )


def _read(name: str, raw: bytes, row_of: Callable[[_Fields], Row]) -> Table[Row]:
    try:
        document = json.loads(raw)
    except ValueError:
        raise BadParameterTable(table=name, field="json") from None
    fields = _Fields(name, document)
    if fields.text("table") != name:
        raise fields.fault("table")
    version = fields.text("version")
    fields.values.pop("units", None)
    rows: dict[str, Row] = {}
    for raw_row in fields.rows("rows"):
        row_fields = _Fields(name, raw_row)
        row = row_of(row_fields)
        row_fields.end()
        if row.code in rows:
            raise fields.fault(row.code)
        rows[row.code] = row
    fields.end()
    return Table(name, version, MappingProxyType(rows), sha256_hex(document))


def read_stand_types(raw: bytes) -> Table[StandType]:
    """Table 3.1 from its JSON document. Raises `BadParameterTable`."""
    return _read("stand_types", raw, _stand_type)


def read_linear_biomass(raw: bytes) -> Table[LinearBiomass]:
    """Table 3.2 from its JSON document. Raises `BadParameterTable`."""
    return _read("linear_biomass", raw, _linear)


def read_deduction_rules(raw: bytes) -> Table[DeductionRule]:
    """The deduction rules of E-U2 from their JSON document. Raises `BadParameterTable`."""
    return _read("deduction_rules", raw, _deduction)


def read_settings(raw: bytes) -> Table[Setting]:
    """The settings of an estimate from their JSON document. Raises `BadParameterTable`."""
    return _read("estimation_rules", raw, _setting)


@dataclass(frozen=True, slots=True)
class RowUse:
    """A row that an estimate used and that is not sure: it needs a verifier's attestation before issuance."""

    table: str
    code: str
    mark: Mark
    source: str


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """The four tables that a method version computes with."""

    stand_types: Table[StandType]
    linear_biomass: Table[LinearBiomass]
    deduction_rules: Table[DeductionRule]
    settings: Table[Setting]

    def digests(self) -> dict[str, str]:
        """Digest by table name, for the run record."""
        return {table.name: table.digest() for table in self._tables()}

    def digest(self) -> str:
        return sha256_hex(self.digests())

    def _tables(
        self,
    ) -> tuple[Table[StandType], Table[LinearBiomass], Table[DeductionRule], Table[Setting]]:
        return self.stand_types, self.linear_biomass, self.deduction_rules, self.settings

    def setting(self, code: str) -> float:
        return float(self.settings.rows[code].value)

    def whole_setting(self, code: str) -> int:
        value = self.settings.rows[code].value
        if value != value.to_integral_value():
            raise BadParameterTable(table=self.settings.name, field=code)
        return int(value)

    def stand_type_named(self, name: str) -> StandType:
        """A stand type by its code or its Chinese name (`chinese_fir`, `杉木`), or `UnknownStandType`."""
        for row in self.stand_types.rows.values():
            if name == row.name_zh:
                return row
        return self.stand_types.row(name)


def _packaged(name: str) -> bytes:
    return (files("registry.estimates.methods") / "data" / name).read_bytes()


@cache
def default_parameters() -> ParameterSet:
    """The parameter set that ships with this version of the code."""
    return ParameterSet(
        read_stand_types(_packaged("stand_types.json")),
        read_linear_biomass(_packaged("linear_biomass.json")),
        read_deduction_rules(_packaged("deduction_rules.json")),
        read_settings(_packaged("estimation_rules.json")),
    )


@dataclass(frozen=True, slots=True)
class SpeciesShare:
    """A species' share of the stand volume (0 to 1)."""

    factors: BiomassFactors
    volume_share: float


def check_shares(species: tuple[SpeciesShare, ...]) -> None:
    """Volume shares of a mixed stand are shares and add up to 1 within 1e-6 (E-F1)."""
    for one in species:
        share(volume_share=one.volume_share)
    whole = total(one.volume_share for one in species)
    if abs(whole - 1) > 1e-6:
        raise SharesNotWhole(total=whole)


def in_range(field: str, value: float, low: float, high: float) -> float:
    """The value, or `OutOfRange` when it lies outside [low, high]."""
    if not low <= value <= high:
        raise OutOfRange(field=field, value=value, rule=f">= {low:g}, <= {high:g}")
    return value
