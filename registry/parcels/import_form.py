"""The form of an import, as the API and the page take it."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Form
from pydantic import Field, TypeAdapter, ValidationError

from geo.datum import Datum
from registry.parcels.examining import Declaration
from registry.web.api import PlainForm, request_invalid

TEXTS: Final = TypeAdapter(dict[str, str | int | float])
OWNERS: Final = TypeAdapter(dict[str, str])
DIGESTS: Final = TypeAdapter(
    dict[Annotated[str, Field(pattern=r"^[1-9]\d{0,6}$")], Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
)


@dataclass(frozen=True, slots=True)
class ImportForm:
    """Everything but the file. Where a field is a JSON object, it is its text."""

    programme: str
    owners: str | None = None
    crs: str | None = None
    encoding: str | None = None
    layer: str | None = None
    datum: Datum = Datum.AS_STATED
    swapped: bool = False
    mapping: str | None = None
    values: str | None = None
    accept_repairs: str | None = None
    dry_run: bool = False
    outlines: bool = False

    def declaration(self) -> Declaration:
        values: dict[str, Any] = _object(TEXTS, "values", self.values) or {}
        repairs: dict[str, Any] = _object(DIGESTS, "accept_repairs", self.accept_repairs) or {}
        return Declaration(
            programme=self.programme,
            crs=self.crs or None,
            encoding=self.encoding or None,
            layer=self.layer or None,
            datum=self.datum,
            swapped=self.swapped,
            repairs={int(row): sha256 for row, sha256 in repairs.items()},
            values={name: str(value) for name, value in values.items()},
            owners=_object(OWNERS, "owners", self.owners),
        )


def _object(adapter: TypeAdapter[Any], name: str, given: str | None) -> dict[str, Any] | None:
    """A field of the form that is a JSON object."""
    if not given:
        return None
    try:
        found: dict[str, Any] = adapter.validate_json(given, strict=True)
    except ValidationError as invalid:
        faults = invalid.errors(include_url=False, include_input=False)
        raise request_invalid([{**fault, "loc": (name, *fault["loc"])} for fault in faults]) from invalid
    return found


def import_form(
    programme: Annotated[PlainForm, Form(description="whose tolerances hold, for example ZJ-PH.1")],
    owners: Annotated[
        str | None, Form(description="an operator's import: JSON object, village to its collective's id")
    ] = None,
    crs: Annotated[
        PlainForm | None, Form(description="declared coordinate system where the file has none")
    ] = None,
    encoding: Annotated[PlainForm | None, Form(description="declared encoding of the attributes")] = None,
    layer: Annotated[PlainForm | None, Form(description="which layer, where there are several")] = None,
    datum: Annotated[Datum, Form(description="what degrees are in: GCJ-02 and BD-09 are converted")] = (
        Datum.AS_STATED
    ),
    swapped: Annotated[bool, Form(description="the axes of the file are exchanged")] = False,
    mapping: Annotated[PlainForm | None, Form(description="a saved field mapping, or a built-in one")] = None,
    values: Annotated[
        str | None, Form(description="fields that the whole file shares and has no column for: JSON object")
    ] = None,
    accept_repairs: Annotated[
        str | None, Form(description="proposed outlines that are accepted: JSON object, row to digest")
    ] = None,
    dry_run: Annotated[bool, Form(description="only say what would come of it; nothing is kept")] = False,
    outlines: Annotated[bool, Form(description="overlaps and proposals as GeoJSON, too")] = False,
) -> ImportForm:
    return ImportForm(
        programme=programme, owners=owners, crs=crs, encoding=encoding, layer=layer, datum=datum,
        swapped=swapped, mapping=mapping, values=values, accept_repairs=accept_repairs, dry_run=dry_run,
        outlines=outlines,
    )  # fmt: skip
