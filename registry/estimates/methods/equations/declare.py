"""What an equation says of itself, read off the signature of the function that evaluates it.

A form of an equation is a function whose keyword arguments are the published argument names, annotated with
their `Quantity`, and whose result is one dataclass or a tuple of them, whose fields are the outputs.
"""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final, Literal

from registry.estimates.methods.quantities import Many, Quantity, unit_of
from registry.estimates.methods.tables import sha256_hex

Outputs = dict[str, object]
Form = Callable[..., Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Input:
    """An argument: `kind` is number, whole number, yes or no, text, one of, list or object; `rule` its range.

    `fields` are those of an object, or of the objects in a list.
    """

    name: str
    kind: str
    unit: str | None
    rule: str
    required: bool
    fields: tuple["Input", ...] = ()

    def document(self) -> dict[str, object]:
        own: dict[str, object] = {"name": self.name, "kind": self.kind, "required": self.required}
        if self.unit is not None:
            own["unit"] = self.unit
        if self.rule:
            own["range"] = self.rule
        if self.fields:
            own["fields"] = [field.document() for field in self.fields]
        return own


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """A result: `unit` is None for words and yes or no."""

    name: str
    kind: str
    unit: str | None

    def document(self) -> dict[str, object]:
        own: dict[str, object] = {"name": self.name, "kind": self.kind}
        return own if self.unit is None else own | {"unit": self.unit}


@dataclasses.dataclass(frozen=True, slots=True)
class Equation:
    """An equation as it can be asked for by name. `tables` are the parameter tables that belong to it.

    `version` is raised whenever the arithmetic changes a result.
    """

    id: str
    title_zh: str
    title: str
    formula: str
    source: str
    forms: tuple[Form, ...]
    tables: tuple[str, ...] = ()
    version: str = "1"

    def form_for(self, names: typing.Collection[str]) -> Form:
        """The form that knows most of the given names; the first one of several."""
        return max(self.forms, key=lambda form: len(set(names) & set(parameters_of(form))))

    @property
    def inputs(self) -> tuple[tuple[Input, ...], ...]:
        """The arguments of each form."""
        return tuple(inputs_of(form) for form in self.forms)

    @property
    def outputs(self) -> tuple[tuple[Output, ...], ...]:
        """The results of each form."""
        return tuple(outputs_of(form) for form in self.forms)

    def document(self) -> dict[str, object]:
        """The equation as plain values; what its digest is of."""
        return {
            "id": self.id,
            "version": self.version,
            "title": {"zh": self.title_zh, "en": self.title},
            "formula": self.formula,
            "source": self.source,
            "forms": [
                {
                    "inputs": [one.document() for one in inputs],
                    "outputs": [one.document() for one in outputs],
                }
                for inputs, outputs in zip(self.inputs, self.outputs, strict=True)
            ],
            "tables": list(self.tables),
        }

    def record(self, tables: Mapping[str, str]) -> dict[str, object]:
        """What the equation says of itself, and the digests of its tables."""
        return self.document() | {"parameter_tables": {name: tables[name] for name in self.tables}}

    def digest(self, tables: Mapping[str, str]) -> str:
        """SHA-256 of the canonical JSON of `record()`, hex."""
        return sha256_hex(self.record(tables))


# ---- inputs ------------------------------------------------------------------------------------------------


@cache
def parameters_of(form: Form) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(form).parameters


@cache
def hints_of(described: Any) -> Mapping[str, Any]:
    """The annotations of a form or of an item's class, units and ranges included."""
    return typing.get_type_hints(described, include_extras=True)


@cache
def inputs_of(form: Form) -> tuple[Input, ...]:
    hints = hints_of(form)
    return tuple(
        _input(name, hints[name], one.default is inspect.Parameter.empty)
        for name, one in parameters_of(form).items()
    )


def bare(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type itself, without `None` and `Annotated`, and what was annotated."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(one for one in typing.get_args(hint) if one is not types.NoneType)
    if typing.get_origin(hint) is typing.Annotated:
        kind, *notes = typing.get_args(hint)
        inner, more = bare(kind)
        return inner, (*notes, *more)
    return hint, ()


def note(notes: tuple[Any, ...], kind: type[Any]) -> Any:
    """The annotation of a kind, or None."""
    return next((one for one in notes if isinstance(one, kind)), None)


def required_fields(item: Any) -> set[str]:
    return {
        field.name
        for field in dataclasses.fields(item)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }


def _fields(item: Any) -> tuple[Input, ...]:
    hints, needed = hints_of(item), required_fields(item)
    return tuple(_input(name, hints[name], name in needed) for name in hints)


_KINDS: Final[Mapping[Any, str]] = {float: "number", int: "whole number", bool: "yes or no", str: "text"}


def _input(name: str, hint: Any, required: bool) -> Input:
    kind, notes = bare(hint)
    quantity: Quantity | None = note(notes, Quantity)
    unit, rule = (None, "") if quantity is None else (quantity.unit, quantity.rule)
    if typing.get_origin(kind) is Literal:
        return Input(name, "one of", None, " | ".join(map(str, typing.get_args(kind))), required)
    if dataclasses.is_dataclass(kind):
        return Input(name, "object", None, "", required, _fields(kind))
    if kind in _KINDS:
        return Input(name, _KINDS[kind], unit, rule, required)
    item = _input(name, typing.get_args(kind)[0], True)
    many: Many = note(notes, Many) or Many()
    rules = ", each ".join(filter(None, (many.rule, item.rule)))
    return Input(name, f"list of {_several(item.kind)}", item.unit, rules, required, item.fields)


def _several(kind: str) -> str:
    return f"lists{kind.removeprefix('list')}" if kind.startswith("list of ") else f"{kind}s"


# ---- outputs -----------------------------------------------------------------------------------------------


@cache
def outputs_of(form: Form) -> tuple[Output, ...]:
    hint = hints_of(form)["return"]
    kinds = typing.get_args(hint) if typing.get_origin(hint) is tuple else (hint,)
    return tuple(
        _output(published(field), hints_of(kind)[field.name])
        for kind in kinds
        for field in dataclasses.fields(kind)
    )


def published(field: "dataclasses.Field[Any]") -> str:
    """The name under which a field of a result is published."""
    return str(field.metadata.get("output", field.name))


def _output(name: str, hint: Any) -> Output:
    kind, _ = bare(hint)
    if typing.get_origin(kind) is tuple:
        item = _output(name, typing.get_args(kind)[0])
        return Output(name, f"list of {_several(item.kind)}", item.unit)
    if name.endswith("_cny"):
        return Output(name, "money", "CNY")
    if kind is bool:
        return Output(name, "yes or no", None)
    if kind is str or typing.get_origin(kind) is Literal or not issubclass(kind, float | int | Decimal):
        return Output(name, "word", None)
    return Output(name, "number", unit_of(name))
