"""Field mappings: which column of a file is which field of a parcel, and what its words mean. A mapping is
data.

A field has the headings under which it may stand (the first one present counts), a kind, and, for kind
`code`, the table of words it translates. Numbers become decimal texts and areas whole cm2, because what is
committed holds no floats.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from registry.errors import RegistryRefusal
from registry.parcels.rules import MappingUnreadable

DATA: Final = Path(__file__).parent / "data"
DEFAULT: Final = "subcompartments-zh"

Value = str | int | float | None
Read = str | int

REQUIRED: Final = (
    "county", "village", "compartment", "subcompartment", "stand_type", "declared_area", "tenure_kind",
    "certificate", "tenure_until",
)  # fmt: skip
CM2_PER: Final = {"m2": Decimal(10_000), "mu": Decimal(20_000_000) / 3, "ha": Decimal(100_000_000)}
_COUNTY: Final = re.compile(r"\d{6}")
_DATE: Final = re.compile(r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?")
_MAX_TEXT: Final = 200


RESERVED: Final = ("key", "source")
"""Attributes of a parcel that the registry writes itself."""
KINDS: Final = {
    "county": "county",
    "stand_type": "code",
    "declared_area": "area",
    "tenure_kind": "code",
    "tenure_until": "date",
}
"""Fields whose kind is not free."""


class FieldRefused(RegistryRefusal):
    """What is wrong with one value of one row."""

    code: ClassVar[str] = "value_refused"
    template: ClassVar[str] = "The value was refused."


class ColumnMissing(FieldRefused):
    code: ClassVar[str] = "column_missing"
    template: ClassVar[str] = "The file has no column for {field}; it may be called {headings}."


class ValueMissing(FieldRefused):
    code: ClassVar[str] = "value_missing"
    template: ClassVar[str] = "The field {field} is empty."


class NotANumber(FieldRefused):
    code: ClassVar[str] = "not_a_number"
    template: ClassVar[str] = "{value} in the field {field} is not a number."


class OutOfBounds(FieldRefused):
    code: ClassVar[str] = "out_of_bounds"
    template: ClassVar[str] = "{value} in the field {field} is not between {minimum} and {maximum}."


class WordUnknown(FieldRefused):
    code: ClassVar[str] = "word_unknown"
    template: ClassVar[str] = "{value} in the field {field} is none of: {known}."


class NotADate(FieldRefused):
    code: ClassVar[str] = "not_a_date"
    template: ClassVar[str] = "{value} in the field {field} is not a date."


class NotACounty(FieldRefused):
    code: ClassVar[str] = "not_a_county"
    template: ClassVar[str] = "{value} in the field {field} is not a county code of six digits."


class TextTooLong(FieldRefused):
    code: ClassVar[str] = "text_too_long"
    template: ClassVar[str] = "The field {field} has more than {limit} characters."


class ValueUnused(FieldRefused):
    """A value for the whole file under a name that is no field."""

    code: ClassVar[str] = "value_unused"
    template: ClassVar[str] = "A value was given for {field}, which is no field of the mapping."


class ValueBesideColumn(FieldRefused):
    code: ClassVar[str] = "value_beside_column"
    template: ClassVar[str] = "A value was given for {field}, and the file has the column {heading}."


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class FieldMapping(_Strict):
    """One field: its headings and how its values are read."""

    headings: Annotated[list[Annotated[str, Field(min_length=1, max_length=60)]], Field(min_length=1)]
    kind: Literal["text", "county", "number", "area", "date", "code"]
    required: bool = True
    unit: Literal["m2", "mu", "ha"] | None = None
    codes: str | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None


class FieldMap(_Strict):
    """A whole mapping. Fields beyond the required ones become attributes of the parcel."""

    name: str
    about: Annotated[str, Field(max_length=1000)] = ""
    fields: Annotated[dict[FieldName, FieldMapping], Field(max_length=100)]
    codes: dict[str, Annotated[dict[str, str], Field(max_length=1000)]] = {}


@dataclass(frozen=True, slots=True)
class FieldFault:
    """A refused value, by the heading it stands under."""

    heading: str
    value: Value
    refusal: FieldRefused


def load_mapping(name: str | Path = DEFAULT) -> FieldMap:
    """A mapping of this package by name, or any by path (`MappingUnreadable`)."""
    path = name if isinstance(name, Path) else DATA / f"{name}.json"
    try:
        mapping = FieldMap.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as fault:
        raise MappingUnreadable(name=path.stem, reason=str(fault).splitlines()[0]) from fault
    faults = mapping_faults(mapping)
    if faults:
        raise MappingUnreadable(name=mapping.name, reason="; ".join(f"{at}: {what}" for at, what in faults))
    return mapping


def mapping_faults(mapping: FieldMap) -> list[tuple[str, str]]:
    """Everything that is wrong with a mapping of the right shape: the field, and what it is."""
    faults = [(field, "it is needed") for field in REQUIRED if field not in mapping.fields]
    whose: dict[str, str] = {}
    for field, how in mapping.fields.items():
        faults += [(field, fault) for fault in _field_faults(mapping, field, how)]
        for heading in how.headings:
            other = whose.setdefault(heading, field)
            if other != field:
                faults.append((field, f"the heading {heading} is that of {other} already"))
    return faults


def _field_faults(mapping: FieldMap, field: str, how: FieldMapping) -> Iterator[str]:
    if field in RESERVED:
        yield "the registry writes this name itself"
    if how.kind != KINDS.get(field, how.kind):
        yield f"its kind is {KINDS[field]}"
    if field in REQUIRED and not how.required:
        yield "it cannot be optional"
    if how.kind == "area" and how.unit is None:
        yield "an area needs its unit"
    if how.kind == "code" and not mapping.codes.get(how.codes or ""):
        yield f"there is no table of codes {how.codes}"
    if how.minimum is not None and how.maximum is not None and how.minimum > how.maximum:
        yield "the minimum is above the maximum"


def columns_of(
    mapping: FieldMap, headings: Collection[str], given: Collection[str] = ()
) -> tuple[dict[str, str], list[ColumnMissing]]:
    """Which heading of a file is which field, and which required fields have none and no value `given` for
    the whole file.
    """
    columns: dict[str, str] = {}
    missing = []
    for field, how in mapping.fields.items():
        heading = next((name for name in how.headings if name in headings), None)
        if heading is not None:
            columns[field] = heading
        elif how.required and field not in given:
            missing.append(ColumnMissing(field=field, headings=" / ".join(how.headings)))
    return columns, missing


def shared_values(
    mapping: FieldMap, columns: Mapping[str, str], given: Mapping[str, str]
) -> tuple[dict[str, Read], list[FieldFault]]:
    """The values that hold for the whole file, by field; they may be given under a field's name or any of its
    headings.
    """
    field_of = {heading: field for field, how in mapping.fields.items() for heading in how.headings}
    field_of |= {field: field for field in mapping.fields}
    values: dict[str, Read] = {}
    faults = []
    for name, text in given.items():
        field = field_of.get(name)
        if field is None:
            faults.append(FieldFault(name, text, ValueUnused(field=name)))
        elif field in columns:
            faults.append(FieldFault(name, text, ValueBesideColumn(field=name, heading=columns[field])))
        else:
            read = _read_or_refuse(mapping, mapping.fields[field], name, text)
            if isinstance(read, FieldRefused):
                faults.append(FieldFault(name, text, read))
            elif read is not None:
                values[field] = read
    return values, faults


def named_fields(mapping: FieldMap, given: Collection[str]) -> set[str]:
    """The fields that values were given for, under whatever name."""
    return {field for field, how in mapping.fields.items() if {field, *how.headings} & set(given)}


def read_rows(
    mapping: FieldMap, columns: Mapping[str, str], rows: Sequence[Mapping[str, Value]]
) -> tuple[list[dict[str, Read]], dict[int, list[FieldFault]]]:
    """The fields of every row, and the faults of those that have any, by the row's place in `rows`.

    Column by column, and each spelling of a value is read once: a county's table says little that is new.
    """
    fields: list[dict[str, Read]] = [{} for _ in rows]
    faults: dict[int, list[FieldFault]] = {}
    for field, heading in columns.items():
        how = mapping.fields[field]
        known: dict[tuple[type, Value], Read | FieldRefused | None] = {}
        for n, attributes in enumerate(rows):
            given = attributes.get(heading)
            spelled = (type(given), given)
            if spelled not in known:
                known[spelled] = _read_or_refuse(mapping, how, heading, given)
            read = known[spelled]
            if isinstance(read, FieldRefused):
                faults.setdefault(n, []).append(FieldFault(heading, given, read))
            elif read is not None:
                fields[n][field] = read
    return fields, faults


def read_row(
    mapping: FieldMap, columns: Mapping[str, str], attributes: Mapping[str, Value]
) -> tuple[dict[str, Read], list[FieldFault]]:
    """The fields of one row, and everything that is wrong with them."""
    (fields,), faults = read_rows(mapping, columns, [attributes])
    return fields, faults.get(0, [])


def _read_or_refuse(
    mapping: FieldMap, how: FieldMapping, heading: str, given: Value
) -> Read | FieldRefused | None:
    try:
        return _read(mapping, how, heading, given)
    except FieldRefused as refusal:
        return refusal


def _read(mapping: FieldMap, how: FieldMapping, heading: str, given: Value) -> Read | None:
    """A value as its field's kind reads it; None for an optional field that is empty."""
    text = "" if given is None else str(given).strip()
    if not text:
        if how.required:
            raise ValueMissing(field=heading)
        return None
    if len(text) > _MAX_TEXT:
        raise TextTooLong(field=heading, limit=_MAX_TEXT)
    return _read_text(mapping, how, heading, text)


def _read_text(mapping: FieldMap, how: FieldMapping, heading: str, text: str) -> Read:
    match how.kind:
        case "text":
            return text
        case "county":
            return _county(heading, text)
        case "number":
            return _plain(_number(how, heading, text))
        case "area":
            assert how.unit is not None, "load_mapping refuses an area without a unit"
            return _area_cm2(how, heading, text, CM2_PER[how.unit])
        case "date":
            return _date(heading, text)
        case "code":
            words = mapping.codes[how.codes or ""]
            if text not in words:
                raise WordUnknown(field=heading, value=text, known=" / ".join(words))
            return words[text]


def _county(heading: str, text: str) -> str:
    if not _COUNTY.fullmatch(text):
        raise NotACounty(field=heading, value=text)
    return text


def _number(how: FieldMapping, heading: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as fault:
        raise NotANumber(field=heading, value=text) from fault
    if not number.is_finite() or abs(number) > 10**12:
        raise NotANumber(field=heading, value=text)
    low, high = how.minimum, how.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        raise OutOfBounds(field=heading, value=text, minimum=str(low), maximum=str(high))
    return number


def _plain(number: Decimal) -> str:
    """One spelling: no exponent, no trailing zeros."""
    return f"{number.normalize():f}"


def _area_cm2(how: FieldMapping, heading: str, text: str, unit: Decimal) -> int:
    number = _number(how, heading, text)
    area = int((number * unit).to_integral_value(ROUND_HALF_UP))
    if not 0 < area < 2**53:
        raise OutOfBounds(field=heading, value=text, minimum="0", maximum=str(2**53))
    return area


def _date(heading: str, text: str) -> str:
    match = _DATE.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
    except ValueError as fault:
        raise NotADate(field=heading, value=text) from fault
