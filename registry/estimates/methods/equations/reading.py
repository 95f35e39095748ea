"""Values by their names, read as strictly as an equation declares them, and its results by theirs.

Nothing missing, nothing unknown, nothing that is not finite, nothing outside its range.
"""

import dataclasses
import decimal
import math
import typing
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal, TypeVar

from registry.estimates.methods.equations.declare import (
    Equation,
    Outputs,
    bare,
    hints_of,
    note,
    parameters_of,
    published,
    required_fields,
)
from registry.estimates.methods.errors import (
    MissingInput,
    NotFinite,
    OutOfRange,
    ResultNotFinite,
    UnknownInput,
    WrongType,
    WrongUnit,
)
from registry.estimates.methods.money import yuan
from registry.estimates.methods.quantities import Many, Quantity

T = TypeVar("T")

_SHOWN: Final = 80
"""Characters of a value that a refusal repeats."""


def evaluate(equation: Equation, inputs: Mapping[str, object]) -> Outputs:
    """The outputs of an equation for inputs by their names; refusals as in `calculate`."""
    form = equation.form_for(inputs)
    known = {name: hints_of(form)[name] for name in parameters_of(form)}
    required = {name for name, one in parameters_of(form).items() if one.default is one.empty}
    arguments = _read_fields(equation.id, "", known, required, inputs)
    try:
        results = form(**arguments)
    except (OverflowError, ZeroDivisionError, decimal.DecimalException):
        raise ResultNotFinite(equation=equation.id, field="") from None
    return _outputs(equation.id, results if isinstance(results, tuple) else (results,))


# ---- inputs ------------------------------------------------------------------------------------------------


def _read_fields(
    equation: str, path: str, known: Mapping[str, Any], required: set[str], values: Mapping[str, object]
) -> dict[str, object]:
    for name in values:
        if name not in known:
            expected = _same_quantity(str(name), known)
            if expected is not None:
                raise WrongUnit(field=path + name, expected=path + expected)
            raise UnknownInput(equation=equation, field=path + name[:_SHOWN])
    for name in known:
        if name in required and name not in values:
            raise MissingInput(equation=equation, field=path + name)
    return {name: _read(equation, path + name, known[name], value) for name, value in values.items()}


_UNIT_WORDS: Final = frozenset(
    (
        "m3", "m2", "ha", "mu", "km2", "t", "kg", "g", "tc", "tco2e", "tco2", "kgc", "kgco2", "pct", "share",
        "fraction", "rate", "cm", "mm", "m", "km", "deg", "rad", "years", "months", "days", "day", "l", "kwh",
        "mwh", "cny", "fen",
    )
)  # fmt: skip


def _stem(name: str) -> str:
    words = name.lower().split("_")
    while len(words) > 1 and words[-1] in _UNIT_WORDS:
        words.pop()
    return "_".join(words)


def _same_quantity(name: str, known: Mapping[str, object]) -> str | None:
    stem = _stem(name)
    return next((other for other in known if _stem(other) == stem and _stem(other) != other), None)


def _optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def _read(equation: str, path: str, hint: Any, value: object) -> object:
    if value is None and _optional(hint):
        return None
    kind, notes = bare(hint)
    if typing.get_origin(kind) is Literal:
        return _one_of(path, typing.get_args(kind), value)
    if kind in (float, int):
        return _read_number(path, kind, note(notes, Quantity), value)
    if kind is bool or kind is str:
        return _typed(path, kind, value)
    if dataclasses.is_dataclass(kind):
        return _read_value(equation, path, kind, _typed(path, dict, value))
    items = _typed(path, list, value)
    many: Many = note(notes, Many) or Many()
    many.check(path, len(items))
    item = typing.get_args(kind)[0]
    return [_read(equation, f"{path}[{i}]", item, one) for i, one in enumerate(items)]


def _one_of(path: str, words: tuple[Any, ...], value: object) -> object:
    if not isinstance(value, str) or value not in words:
        raise OutOfRange(field=path, value=str(value)[:_SHOWN], rule=" | ".join(map(str, words)))
    return value


def _typed(path: str, kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise WrongType(field=path, expected=kind.__name__, value=str(value)[:_SHOWN])
    return value


def _read_number(path: str, kind: object, quantity: Quantity | None, value: object) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType(field=path, expected="number", value=str(value)[:_SHOWN])
    try:
        number = float(value)
    except OverflowError:
        raise NotFinite(field=path, value="a whole number of too many digits") from None
    if not math.isfinite(number):
        raise NotFinite(field=path, value=str(value))
    if kind is int and number != int(number):
        raise WrongType(field=path, expected="whole number", value=str(value))
    if quantity is not None:
        quantity.check(path, number)
    return int(value) if kind is int else number


def _read_value(equation: str, path: str, kind: Any, values: Mapping[str, object]) -> object:
    return kind(**_read_fields(equation, path + ".", hints_of(kind), required_fields(kind), values))


# ---- outputs -----------------------------------------------------------------------------------------------


def _outputs(equation: str, results: tuple[Any, ...]) -> Outputs:
    """The fields of result values by their published names: decimals as numbers, money as text."""
    out: Outputs = {}
    for result in results:
        for field in dataclasses.fields(result):
            name = published(field)
            out[name] = _plain(equation, name, getattr(result, field.name))
    return out


def _plain(equation: str, name: str, value: object) -> object:
    if isinstance(value, tuple | list):
        return [_plain(equation, name, one) for one in value]
    if isinstance(value, Decimal):
        value = yuan(value) if name.endswith("_cny") else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ResultNotFinite(equation=equation, field=name)
    return value
