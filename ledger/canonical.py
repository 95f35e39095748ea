"""One byte form for each value: RFC 8785 (JCS) over a restricted schema.

Values are texts, whole numbers of magnitude at most 2^53 - 1, true, false, null, lists, and objects whose
keys lie in the Basic Multilingual Plane. There are no floats. Within these bounds `orjson` writes exactly
what RFC 8785 asks for; sorting by code point and by UTF-16 unit differ only outside that plane. The standard
library reads, because it tells us of every number.
"""

import json
from typing import Final, NoReturn, TypeAlias

import orjson

from ledger.errors import NotCanonical

JsonValue: TypeAlias = "str | int | bool | list[JsonValue] | dict[str, JsonValue] | None"

MAX_INTEGER: Final = 2**53 - 1
_MAX_DIGITS: Final = len(str(MAX_INTEGER)) + 1
_MAX_BMP: Final = "\uffff"


def encode(value: JsonValue) -> bytes:
    """The canonical UTF-8 bytes of `value`. Raises `NotCanonical`."""
    try:
        data = _dump(value)  # first, because it ends with what holds itself
        _check(value)
        return data
    except RecursionError:
        raise NotCanonical(reason="nested too deeply") from None


def decode(data: bytes) -> JsonValue:
    """The value that canonical bytes spell.

    Strict by re-encoding: duplicate keys, white space, another order, another escape, "-0" and lone
    surrogates all give other bytes than they came in. Raises `NotCanonical`.
    """
    try:
        text = data.decode("utf-8")
        value: JsonValue = _decoder.decode(text)
        again = _dump(value)
    except UnicodeDecodeError:
        raise NotCanonical(reason="not UTF-8") from None
    except RecursionError:
        raise NotCanonical(reason="nested too deeply") from None
    except json.JSONDecodeError as fault:
        raise NotCanonical(reason=f"not JSON at character {fault.pos}") from None
    if again != data:
        raise NotCanonical(reason="another spelling of the same value")
    if not text.isascii() and max(text) > _MAX_BMP:
        _check(value)
    return value


def _dump(value: JsonValue) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as fault:
        raise NotCanonical(reason=str(fault)) from None


def _check(value: object) -> None:
    """Refuse what the encoder would take and the schema does not."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            _check_keys(item)
            waiting += [inner for inner in item.values() if type(inner) is not str]
        elif isinstance(item, list):
            waiting += [inner for inner in item if type(inner) is not str]
        elif isinstance(item, int):
            if not -MAX_INTEGER <= item <= MAX_INTEGER:
                raise NotCanonical(reason="a whole number beyond 2^53 - 1")
        elif item is not None and not isinstance(item, str):
            raise NotCanonical(reason=f"a value of type {type(item).__name__}")


def _check_keys(item: dict[object, object]) -> None:
    try:
        keys = "".join(item)  # type: ignore[arg-type]
    except TypeError:
        raise NotCanonical(reason="a key that is not a text") from None
    if not keys.isascii() and max(keys) > _MAX_BMP:
        raise NotCanonical(reason="a key outside the Basic Multilingual Plane")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS or not -MAX_INTEGER <= (number := int(digits)) <= MAX_INTEGER:
        raise NotCanonical(reason="a whole number beyond 2^53 - 1")
    return number


def _refuse_number(text: str) -> NoReturn:
    raise NotCanonical(reason=f"the number {text[:40]} is not whole")


_decoder: Final = json.JSONDecoder(
    parse_int=_integer, parse_float=_refuse_number, parse_constant=_refuse_number
)
