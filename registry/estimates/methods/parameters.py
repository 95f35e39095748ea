"""The parameters that runs compute with: typed rows of the tables of a method version.

How a table is read and digested says `tables.py`; tables of equations that no run uses are in `library.py`.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Final

from registry.estimates.methods.checks import positive, share, total
from registry.estimates.methods.errors import BadParameterTable, OutOfRange, SharesNotWhole, UnknownStandType
from registry.estimates.methods.tables import (
    Fields,
    Mark,
    Table,
    canonical_json,
    packaged,
    read_table,
    sha256_hex,
)

__all__ = [
    "MOSO_BAMBOO",
    "BiomassFactors",
    "CulmModel",
    "DeductionRule",
    "DeductionStep",
    "Growth",
    "LinearBiomass",
    "Mark",
    "ParameterSet",
    "RootsAndCarbon",
    "RowUse",
    "Setting",
    "SpeciesShare",
    "StandType",
    "Table",
    "bamboo_parameters",
    "canonical_json",
    "check_shares",
    "default_parameters",
    "in_range",
    "read_bamboo",
    "read_deduction_rules",
    "read_linear_biomass",
    "read_settings",
    "read_stand_types",
    "sha256_hex",
]

MOSO_BAMBOO: Final = "moso_bamboo"


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


def _stand_type(fields: Fields) -> StandType:
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


def _linear(fields: Fields) -> LinearBiomass:
    return LinearBiomass(
        code=fields.text("code"),
        a=fields.number("a"),
        b=fields.number("b"),
        source=fields.text("source"),
        mark=fields.mark(),
    )


def _deduction_step(table: str, row: object) -> DeductionStep:
    fields = Fields(table, row)
    step = DeductionStep(
        fields.optional_decimal("up_to_pct"),
        fields.optional_decimal("rate"),
        fields.optional_decimal("share_of_u"),
    )
    fields.end()
    if (step.rate is None) == (step.share_of_u is None):
        raise fields.fault("rate")
    return step


def _deduction(fields: Fields) -> DeductionRule:
    steps = tuple(_deduction_step(fields.table, row) for row in fields.rows("steps"))
    bounds = [step.up_to_pct for step in steps]
    known = [bound for bound in bounds if bound is not None]
    if None in bounds[:-1] or known != sorted(set(known)):
        raise fields.fault("up_to_pct")
    return DeductionRule(fields.text("code"), steps, fields.text("source"), fields.mark())


def _setting(fields: Fields) -> Setting:
    return Setting(
        fields.text("code"),
        fields.decimal("value"),
        fields.text("unit"),
        fields.text("source"),
        fields.mark(),
    )


def read_stand_types(raw: bytes) -> Table[StandType]:
    """Table 3.1 from its JSON document. Raises `BadParameterTable`."""
    return read_table("stand_types", raw, _stand_type)


def read_linear_biomass(raw: bytes) -> Table[LinearBiomass]:
    """Table 3.2 from its JSON document. Raises `BadParameterTable`."""
    return read_table("linear_biomass", raw, _linear)


def read_deduction_rules(raw: bytes) -> Table[DeductionRule]:
    """The deduction rules of E-U2 from their JSON document. Raises `BadParameterTable`."""
    return read_table("deduction_rules", raw, _deduction)


def read_settings(raw: bytes) -> Table[Setting]:
    """The settings of an estimate from their JSON document. Raises `BadParameterTable`."""
    return read_table("estimation_rules", raw, _setting)


def read_bamboo(raw: bytes) -> Table[Setting]:
    """The parameters of Moso bamboo from their JSON document. Raises `BadParameterTable`."""
    return read_table("bamboo", raw, _setting)


@dataclass(frozen=True, slots=True)
class RootsAndCarbon:
    """Roots over above-ground dry matter, and carbon over dry matter."""

    root_shoot: float
    carbon_fraction: float


@dataclass(frozen=True, slots=True)
class CulmModel:
    """The coefficients of E-F6: `a * D^b * (p * du / (q + du))^c + d` kg, and what they were fitted for."""

    a: float
    b: float
    p: float
    q: float
    c: float
    d: float
    min_dbh_cm: float
    max_dbh_cm: float
    max_du: int


@dataclass(frozen=True, slots=True)
class RowUse:
    """A row that an estimate used and that is not sure: it needs a verifier's attestation before issuance."""

    table: str
    code: str
    mark: Mark
    source: str


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """The tables that a method version computes with; `bamboo` is those of bamboo alone."""

    stand_types: Table[StandType]
    linear_biomass: Table[LinearBiomass]
    deduction_rules: Table[DeductionRule]
    settings: Table[Setting]
    bamboo: Table[Setting] | None = None

    def digests(self) -> dict[str, str]:
        """Digest by table name, for the run record."""
        return {table.name: table.digest() for table in self.tables()}

    def digest(self) -> str:
        return sha256_hex(self.digests())

    def tables(self) -> tuple[Table[Any], ...]:
        bamboo = () if self.bamboo is None else (self.bamboo,)
        return self.stand_types, self.linear_biomass, self.deduction_rules, self.settings, *bamboo

    def setting(self, code: str) -> float:
        return float(self.settings.rows[code].value)

    def whole_setting(self, code: str) -> int:
        value = self.settings.rows[code].value
        if value != value.to_integral_value():
            raise BadParameterTable(table=self.settings.name, field=code)
        return int(value)

    def bamboo_setting(self, code: str) -> float:
        """A parameter of Moso bamboo; `UnknownStandType` in a set that has none."""
        if self.bamboo is None:
            raise UnknownStandType(table="bamboo", stand_type=code)
        return float(self.bamboo.row(code).value)

    @property
    def culm_model(self) -> CulmModel:
        value = self.bamboo_setting
        return CulmModel(
            a=value("culm_a"),
            b=value("culm_b"),
            p=value("culm_p"),
            q=value("culm_q"),
            c=value("culm_c"),
            d=value("culm_d"),
            min_dbh_cm=value("min_dbh_cm"),
            max_dbh_cm=value("max_dbh_cm"),
            max_du=int(value("max_du")),
        )

    def roots_and_carbon(self, stand_type: str) -> RootsAndCarbon:
        """What turns above-ground dry matter of a stand type into carbon, bamboo included where the set has
        it. Raises `UnknownStandType`.
        """
        if stand_type == MOSO_BAMBOO and self.bamboo is not None:
            return RootsAndCarbon(self.bamboo_setting("root_shoot"), self.bamboo_setting("carbon_fraction"))
        factors = self.stand_types.row(stand_type).factors
        return RootsAndCarbon(factors.root_shoot, factors.carbon_fraction)

    def stand_type_named(self, name: str) -> StandType:
        """A stand type by its code or its Chinese name (`chinese_fir`, `杉木`), or `UnknownStandType`."""
        for row in self.stand_types.rows.values():
            if name == row.name_zh:
                return row
        return self.stand_types.row(name)


@cache
def default_parameters() -> ParameterSet:
    """The parameter set that ships with this version of the code."""
    return ParameterSet(
        read_stand_types(packaged("stand_types.json")),
        read_linear_biomass(packaged("linear_biomass.json")),
        read_deduction_rules(packaged("deduction_rules.json")),
        read_settings(packaged("estimation_rules.json")),
    )


@cache
def bamboo_parameters() -> ParameterSet:
    """The same, with the parameters of Moso bamboo beside them."""
    forest = default_parameters()
    return ParameterSet(
        forest.stand_types,
        forest.linear_biomass,
        forest.deduction_rules,
        forest.settings,
        read_bamboo(packaged("bamboo.json")),
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
