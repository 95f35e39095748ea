"""What a number of an equation is: its unit, and the range in which it is taken.

The declaration is the check: whoever reads an input holds it against this, so what is printed about an
equation cannot differ from what it accepts.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from registry.estimates.methods.checks import finite
from registry.estimates.methods.errors import OutOfRange

LARGEST: Final = 1e12
"""No quantity of a sheet is larger, so that no product of a few of them leaves the range of floats."""

ONE: Final = "1"
"""The unit of shares, ratios and counts."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A unit, and a range: more than `above`, at least `low`, at most `high`."""

    unit: str
    above: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def rule(self) -> str:
        """The range in signs, `>= 0, <= 1`; empty where any number is taken."""
        parts = [f"> {self.above:g}"] if self.above is not None else []
        parts += [f">= {self.low:g}"] if self.low is not None else []
        parts += [f"<= {self.high:g}"] if self.high is not None else []
        return ", ".join(parts)

    def check(self, field: str, value: float) -> None:
        """Raises `NotFinite`, `OutOfRange`."""
        finite(**{field: value})
        fits = (
            (self.above is None or value > self.above)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
        )
        if not fits:
            raise OutOfRange(field=field, value=value, rule=self.rule)


@dataclass(frozen=True, slots=True)
class Many:
    """How many items a list may have."""

    least: int = 1
    most: int = 1000

    @property
    def rule(self) -> str:
        return f"{self.least} items" if self.least == self.most else f"{self.least} to {self.most} items"

    def check(self, field: str, count: int) -> None:
        """Raises `OutOfRange`."""
        if not self.least <= count <= self.most:
            raise OutOfRange(field=field, value=count, rule=self.rule)


def positive(unit: str) -> Quantity:
    return Quantity(unit, above=0, high=LARGEST)


def not_negative(unit: str) -> Quantity:
    return Quantity(unit, low=0, high=LARGEST)


def any_sign(unit: str) -> Quantity:
    return Quantity(unit, low=-LARGEST, high=LARGEST)


Share = Annotated[float, Quantity(ONE, low=0, high=1)]
Ratio = Annotated[float, not_negative(ONE)]
Factor = Annotated[float, positive(ONE)]
Hectares = Annotated[float, positive("ha")]
Mu = Annotated[float, positive("mu")]
Years = Annotated[float, Quantity("years", above=0, high=1000)]
YearsElapsed = Annotated[float, Quantity("years", low=0, high=1000)]
Days = Annotated[float, Quantity("days", low=0, high=36_600)]
Volume = Annotated[float, Quantity("m3/ha", low=0, high=1e5)]
DryMatterDensity = Annotated[float, not_negative("t/ha")]
CarbonDensity = Annotated[float, not_negative("tC/ha")]
CarbonChange = Annotated[float, any_sign("tC/ha")]
WoodDensity = Annotated[float, Quantity("t/m3", above=0, high=2)]
Gas = Annotated[float, not_negative("tCO2e")]
GasChange = Annotated[float, any_sign("tCO2e")]
Kilograms = Annotated[float, not_negative("kg")]
KilogramsPerHectare = Annotated[float, not_negative("kg/ha")]
Tonnes = Annotated[float, not_negative("t")]
Percent = Annotated[float, not_negative("%")]
Warming = Annotated[float, Quantity("kg CO2e/kg", low=0, high=100_000)]
"""A global warming potential over a hundred years."""
Money = Annotated[float, not_negative("CNY")]
Price = Annotated[float, not_negative("CNY/t")]

_ENDINGS: Final = (
    ("_tco2e_per_mu", "tCO2e/mu"),
    ("_tco2e_t", "tCO2e/t"),
    ("_tco2_t", "tCO2/t"),
    ("_kgco2_ha", "kgCO2/ha"),
    ("_kgc_ha", "kgC/ha"),
    ("_m3_ha", "m3/ha"),
    ("_kg_ha", "kg/ha"),
    ("_tc_ha", "tC/ha"),
    ("_t_ha", "t/ha"),
    ("_tco2e", "tCO2e"),
    ("_tco2", "tCO2"),
    ("_tc", "tC"),
    ("_kg_redeemable", "kg"),
    ("_kg_whole", "kg"),
    ("_cny", "CNY"),
    ("_pct", "%"),
    ("_m2", "m2"),
    ("_ha", "ha"),
    ("_mu", "mu"),
    ("_kg", "kg"),
    ("_t", "t"),
    ("_g", "g"),
    ("_m", "m"),
)

_OF_NAMES: Final = {"mean_delta_tc_ha": "tC/ha", "pixel_delta_sd": "t/ha", "sink_kg_redeemable": "kg"}


def unit_of(name: str) -> str:
    """The unit that the published name of an output ends in; `1` for ratios, counts and words."""
    if name in _OF_NAMES:
        return _OF_NAMES[name]
    return next((unit for ending, unit in _ENDINGS if name.endswith(ending)), ONE)
