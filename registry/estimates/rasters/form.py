"""What is said of a raster, as requests spell it: fields of a form, and changes in JSON."""

import re
from datetime import date
from typing import Annotated, Any, Final

from fastapi import Form
from pydantic import Field, TypeAdapter, ValidationError

from registry.estimates.rasters.rules import (
    ErrorKind,
    ErrorModel,
    LandCoverClassesWrong,
    RasterClaim,
    RasterKind,
)
from registry.office import Command
from registry.web.api import PlainForm, request_invalid

_LINE: Final = r"^[^\x00-\x1f\x7f]+$"
_CLASSES: Final = r"^[0-9]{1,5}(,[0-9]{1,5}){0,255}$"
ERRORS: Final = "how wrong a cell may be, a JSON object such as {example}"
EXAMPLE: Final = '{"kind": "relative_ppm", "ppm": 250000}'


class ErrorWords(Command):
    """The error model: `per_pixel` with `sd_sha256`, `relative_ppm` with `ppm`, `absolute` with `kg_ha`."""

    kind: ErrorKind
    sd_sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="the raster of deviations")
    ppm: int | None = Field(None, description="millionths of the value")
    kg_ha: int | None = Field(None, description="kg of dry matter per hectare")
    rho_space_ppm: int | None = Field(None, description="correlation between cells; 300000 unless stated")
    rho_time_ppm: int | None = Field(None, description="correlation between dates; 0 unless proven")
    source: str | None = Field(None, max_length=500, pattern=_LINE, description="who vouches for these")

    def model(self) -> ErrorModel:
        return ErrorModel(**self.model_dump())


class RasterCorrection(Command):
    """What is to be said of a raster from now on, and why. A field that is left out stays as it is."""

    reason: str = Field(min_length=1, max_length=500, pattern=_LINE)
    kind: RasterKind | None = None
    unit: str | None = Field(None, max_length=40)
    band: int | None = Field(None, ge=1, le=64)
    product: str | None = Field(None, min_length=1, max_length=80, pattern=_LINE)
    taken_on: Annotated[date, Field(strict=False)] | None = None
    licence: str | None = Field(None, max_length=80)
    licence_note: str | None = Field(None, max_length=500, pattern=_LINE)
    attribution: str | None = Field(None, max_length=500, pattern=_LINE)
    source: str | None = Field(None, max_length=500, pattern=_LINE)
    error_model: ErrorWords | None = None
    forest_classes: list[int] | None = Field(None, max_length=256)

    def changes(self) -> dict[str, Any]:
        """As fields of `RasterClaim`."""
        said = {
            name: getattr(self, name)
            for name in sorted(self.model_fields_set - {"reason"})
            if getattr(self, name) is not None
        }
        if self.error_model is not None:
            said["error_model"] = self.error_model.model()
        if self.forest_classes is not None:
            said["forest_classes"] = tuple(self.forest_classes)
        return said


def raster_form(
    kind: Annotated[RasterKind, Form()],
    product: Annotated[str, Form(min_length=1, max_length=80, pattern=_LINE)],
    taken_on: Annotated[date, Form()],
    licence: Annotated[
        str, Form(max_length=80, description="SPDX id, or LicenseRef-NAME with `licence_note`")
    ],
    unit: Annotated[
        str | None, Form(max_length=40, description="needed for densities: t/ha of dry matter")
    ] = None,
    band: Annotated[int | None, Form(ge=1, le=64, description="needed where there are several")] = None,
    licence_note: Annotated[PlainForm | None, Form(description="what an own licence allows")] = None,
    attribution: Annotated[PlainForm | None, Form(description="whom the licence wants named")] = None,
    source: Annotated[PlainForm | None, Form(description="where the file comes from")] = None,
    error_model: Annotated[str | None, Form(description=ERRORS.format(example=EXAMPLE))] = None,
    forest_classes: Annotated[
        str | None, Form(pattern=_CLASSES, description="classes of a land cover that are forest: `111,112`")
    ] = None,
) -> RasterClaim:
    """What is said of the file that comes with it."""
    return RasterClaim(
        kind=kind,
        product=product,
        taken_on=taken_on,
        unit=unit or None,
        band=band,
        licence=licence,
        licence_note=licence_note or None,
        attribution=attribution or None,
        source=source or None,
        error_model=ErrorModel() if not error_model else error_model_of(error_model),
        forest_classes=None if forest_classes is None else classes_of(forest_classes),
    )


def classes_of(text: str) -> tuple[int, ...]:
    """Class numbers between commas (`LandCoverClassesWrong`)."""
    if not re.fullmatch(_CLASSES, text):
        raise LandCoverClassesWrong(classes=text[:40], product="a land cover", known="numbers such as 10,95")
    return tuple(int(number) for number in text.split(","))


def error_model_of(text: str) -> ErrorModel:
    try:
        return TypeAdapter(ErrorWords).validate_json(text, strict=True).model()
    except ValidationError as invalid:
        faults = invalid.errors(include_url=False, include_input=False)
        located = [{**fault, "loc": ("error_model", *fault["loc"])} for fault in faults]
        raise request_invalid(located) from invalid
