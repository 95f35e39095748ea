"""Sheets of calculations: strict JSON in, results as plain values out.

A calculation is `{"name": …, "inputs": {"equation": …, …}}`, as the published vectors are; their `expected`
and `tolerance` are let through and not looked at. A refusal carries, beside its own facts, which calculation
it is about: `item` (from 1) and `item_name`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from geo.errors import GeoRefusal
from registry.errors import RegistryRefusal
from registry.estimates.methods.equations import calculate
from registry.estimates.methods.errors import (
    MissingInput,
    NotFinite,
    SheetEmpty,
    SheetKeyTwice,
    SheetNotJson,
    SheetTooLarge,
    TooManyCalculations,
    UnknownInput,
    WrongType,
)

LIMIT_BYTES: Final = 10 * 1024 * 1024
LIMIT_ITEMS: Final = 10_000
_KNOWN: Final = frozenset({"name", "inputs", "expected", "tolerance"})
_SHOWN: Final = 80


def calculate_sheet(
    raw: bytes,
    *,
    limit_bytes: int = LIMIT_BYTES,
    limit_items: int = LIMIT_ITEMS,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, object] | list[dict[str, object]]:
    """The results of a sheet: one object for one calculation, a list for a list, in its order.

    Nothing is answered when one calculation is refused. Raises `SheetTooLarge`, `SheetNotJson`,
    `SheetKeyTwice`, `NotFinite` (NaN and the infinities, which JSON has not), `SheetEmpty`,
    `TooManyCalculations`, and what `calculate` raises.
    """
    if len(raw) > limit_bytes:
        raise SheetTooLarge(limit_bytes=limit_bytes)
    sheet = read_sheet(raw)
    if not isinstance(sheet, list):
        return _calculated(sheet, 1)
    if not sheet:
        raise SheetEmpty()
    if len(sheet) > limit_items:
        raise TooManyCalculations(count=len(sheet), limit=limit_items)
    results: list[dict[str, object]] = []
    for number, one in enumerate(sheet, 1):
        results.append(_calculated(one, number))
        if progress is not None:
            progress("calculations", number, len(sheet))
    return results


def read_sheet(raw: bytes) -> Any:
    """JSON as its standard has it: no key twice, no NaN, UTF-8."""
    try:
        sheet = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_constant)
        _check_text(raw, sheet)
        return sheet
    except UnicodeDecodeError:
        raise SheetNotJson(reason="it is not UTF-8") from None
    except RecursionError:
        raise SheetNotJson(reason="it is nested too deeply") from None
    except ValueError as fault:
        raise SheetNotJson(reason=str(fault)[:_SHOWN]) from None


def _check_text(raw: bytes, sheet: object) -> None:
    """Half a pair of UTF-16 (`\\ud800`) is no character, and no answer could hold it (`SheetNotJson`)."""
    if b"\\u" not in raw:
        return
    try:
        json.dumps(sheet, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise SheetNotJson(reason="it has half a surrogate pair") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise SheetKeyTwice(key=key[:_SHOWN])
        found[key] = value
    return found


def _constant(name: str) -> Any:
    raise NotFinite(field="JSON", value=name)


def _calculated(calculation: object, number: int) -> dict[str, object]:
    name = calculation.get("name") if isinstance(calculation, dict) else None
    try:
        return _one(calculation)
    except (RegistryRefusal, GeoRefusal) as refusal:
        refusal.facts |= {"item": number, "item_name": name[:_SHOWN] if isinstance(name, str) else None}
        raise


def _one(calculation: object) -> dict[str, object]:
    if not isinstance(calculation, dict):
        raise WrongType(field="calculation", expected="object", value=str(calculation)[:_SHOWN])
    for key in calculation:
        if key not in _KNOWN:
            raise UnknownInput(equation="calculation", field=key[:_SHOWN])
    name = _needed(calculation, "name", str)
    inputs: Mapping[str, object] = dict(_needed(calculation, "inputs", dict))
    equation = _needed(inputs, "equation", str, "inputs.")
    given = {key: value for key, value in inputs.items() if key != "equation"}
    return {"name": name, "outputs": calculate(equation, given)}


def _needed(values: Mapping[str, Any], field: str, kind: type[Any], path: str = "") -> Any:
    if field not in values:
        raise MissingInput(equation="calculation", field=path + field)
    value = values[field]
    if not isinstance(value, kind):
        raise WrongType(field=path + field, expected=kind.__name__, value=str(value)[:_SHOWN])
    return value
