"""Equations by name: what `tanhui method calc` offers.

declare.py           what an equation says of itself: statement, source, inputs, outputs, tables
reading.py           values by name, read as strictly as declared
documents.py         sheets of JSON in, results out
land.py forest.py bamboo.py statistics.py crediting.py soil.py farm.py accounts.py trade.py
                     the equations by family; each hands over to the pure function that computes it
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from registry.estimates.methods.equations import (
    accounts,
    bamboo,
    crediting,
    farm,
    forest,
    land,
    pools,
    soil,
    statistics,
    trade,
)
from registry.estimates.methods.equations.declare import Equation, Outputs
from registry.estimates.methods.equations.reading import evaluate
from registry.estimates.methods.errors import UnknownEquation

EQUATIONS: Final[Mapping[str, Equation]] = MappingProxyType(
    {
        one.id: one
        for family in (
            land, forest, bamboo, pools, statistics, crediting, soil, farm, accounts, trade,
        )
        for one in family.EQUATIONS
    }
)  # fmt: skip


def equation(name: str) -> Equation:
    """The equation of a name, or `UnknownEquation`."""
    found = EQUATIONS.get(name)
    if found is None:
        raise UnknownEquation(equation=name[:80])
    return found


def calculate(name: str, inputs: Mapping[str, object]) -> Outputs:
    """Run an equation on values by their published names and return every output by its published name.

    Numbers are JSON numbers, never text. Raises `UnknownEquation`, `MissingInput`, `UnknownInput`,
    `WrongUnit` (a known quantity under another unit, such as `v1_m3_mu`), `WrongType`, `NotFinite`,
    `OutOfRange`, `ResultNotFinite`, and what the equation refuses.
    """
    return evaluate(equation(name), inputs)
