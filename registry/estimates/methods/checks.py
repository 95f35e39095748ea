"""Guards at the head of every equation: a value that is not finite or not in its range never reaches the
arithmetic.
"""

import math
from collections.abc import Iterable

from registry.estimates.methods.errors import NotFinite, OutOfRange


def finite(**values: float) -> None:
    """Refuse NaN and the infinities; the names are those of the arguments."""
    for field, value in values.items():
        if not math.isfinite(value):
            raise NotFinite(field=field, value=str(value))


def positive(**values: float) -> None:
    finite(**values)
    for field, value in values.items():
        if value <= 0:
            raise OutOfRange(field=field, value=float(value), rule="> 0")


def not_negative(**values: float) -> None:
    finite(**values)
    for field, value in values.items():
        if value < 0:
            raise OutOfRange(field=field, value=float(value), rule=">= 0")


def share(**values: float) -> None:
    finite(**values)
    for field, value in values.items():
        if not 0 <= value <= 1:
            raise OutOfRange(field=field, value=float(value), rule=">= 0, <= 1")


def total(values: Iterable[float]) -> float:
    """The correctly rounded sum: it depends neither on the order of the values nor on the machine."""
    return math.fsum(values)
