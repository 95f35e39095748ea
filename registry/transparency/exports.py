"""Parcels as a file for GIS programs, as far as the caller may see them.

Everybody gets public outlines; the owner of a parcel, the operator it is entrusted to and officials get the
outline of record. The column `outline` says which it is, because a file outlives the question it answers.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask

from geo.export import ExportRow, Field, Format, write
from geo.polygon import from_wkb
from registry.machine import Mandate
from registry.parcels.models import Parcel, ParcelVersion
from registry.parcels.rules import mu_of_cm2
from registry.transparency.features import (
    MOST,
    PROPERTIES,
    Feature,
    ParameterMalformed,
    Question,
    parcel_page_only,
    parse_question,
)
from registry.turns import Turns
from registry.web.api import OFFICIALS, Now, Reading, Visitor, access, decode_cursor, problem_responses

router = APIRouter(tags=["parcels"])

EXPORTS: Final = Turns(at_once=2, standing=6)
"""Files that are written for somebody, who may be anybody."""

FIELDS: Final = (
    Field("id", "text"),
    Field("code", "text"),
    Field("county", "text"),
    Field("village", "text"),
    Field("stand_type", "text"),
    Field("area_mu", "number"),
    Field("status", "text"),
    Field("version", "integer"),
    Field("outline", "text"),
    Field("since", "text"),
    Field("until", "text"),
)
EXACT, SIMPLIFIED, HIDDEN = "exact", "simplified", "hidden"


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose outlines of record may be seen: everybody's, those of one organisation, or nobody's. `mine` keeps
    to these.
    """

    everything: bool = False
    organisation: str | None = None
    mine: bool = False

    @classmethod
    def of(cls, mandate: Mandate | None, mine: bool = False) -> "Sight":
        if mandate is None:
            return cls(mine=mine)
        return cls(mandate.role in OFFICIALS, mandate.organisation, mine)


_TEXT: Final = {"type": "string"}
_PARAMETERS: Final = [
    {
        "name": name,
        "in": "query",
        "required": name == "format",
        "schema": {"type": "string", "enum": [kind.value for kind in Format]} if name == "format" else _TEXT,
        "description": about,
    }
    for name, about in (
        ("format", "the file's format"),
        ("bbox", "west,south,east,north in degrees"),
        ("datetime", "an instant or an interval (RFC 3339): parcels on the register then"),
        ("mine", "`true`: only parcels whose outline of record the key may see"),
        *((name, "equal to this") for name in PROPERTIES),
    )
]


@router.get(
    "/parcels/export",
    summary="Parcels as GeoPackage, GeoParquet or GeoJSON, each as exactly as the caller may see it",
    response_class=Response,
    responses={
        200: {"content": {kind.media_type: {} for kind in Format}},
        **problem_responses(400, 401, 422, 500, 503),
    },
    openapi_extra={"parameters": _PARAMETERS},
)
def export(request: Request, now: Now, visitor: Visitor, session: Reading) -> Response:
    asked = request.query_params.multi_items()
    given = dict(asked)
    kind = parse_format(given.get("format", ""))
    question = parse_question(asked, PROPERTIES, ("format", "mine", "lang"), paged=False)
    mandate = None if visitor is None else visitor.mandate
    sight = Sight.of(mandate, _mine(given.get("mine", "false")))
    with EXPORTS.turn():
        folder = tempfile.TemporaryDirectory(prefix="tanhui-export-")
        try:
            path = Path(folder.name) / f"parcels{kind.suffix}"
            rows = write(path, kind, FIELDS, export_rows(session, question, sight), made_at=now)
        except BaseException:
            folder.cleanup()
            raise
    if visitor is not None:
        access.info("export: %d parcels by %s", rows, visitor.prefix)
    private = {"Cache-Control": "no-store"} if visitor else {"Access-Control-Allow-Origin": "*"}
    return FileResponse(
        path,
        media_type=kind.media_type,
        filename=path.name,
        headers=private,
        background=BackgroundTask(folder.cleanup),
    )


def parse_format(text: str) -> Format:
    try:
        return Format(text)
    except ValueError as fault:
        known = ", ".join(kind.value for kind in Format)
        raise ParameterMalformed(
            name="format", value=text[:80] or "missing", expected=f"one of these is expected: {known}"
        ) from fault


def _mine(text: str) -> bool:
    if text not in ("true", "false"):
        raise ParameterMalformed(name="mine", value=text[:80], expected="true or false is expected")
    return text == "true"


def export_rows(session: Session, question: Question, sight: Sight) -> Iterator[ExportRow]:
    """The parcels asked for, page by page."""
    question = replace(question, limit=MOST)
    while True:
        page = parcel_page_only(session, question)
        versions = _seen(session, [feature.id for feature in page.features], sight)
        for feature in page.features:
            version = versions.get(feature.id)
            if version is not None:
                yield _exact(feature, version)
            elif not sight.mine:
                yield _public(feature)
        if page.following is None:
            return
        question = replace(question, after=decode_cursor(page.following))


def _seen(session: Session, parcels: Sequence[str], sight: Sight) -> dict[str, Any]:
    """The newest versions of those among the parcels that may be seen as they are."""
    if not sight.everything and sight.organisation is None:
        return {}
    wanted = (
        sa.select(Parcel.id, ParcelVersion.wkb, ParcelVersion.village, ParcelVersion.area_cm2)
        .join(
            ParcelVersion,
            sa.and_(ParcelVersion.parcel_id == Parcel.id, ParcelVersion.version == Parcel.version),
        )
        .where(Parcel.id.in_(parcels), ParcelVersion.wkb.is_not(None))
    )
    if not sight.everything:
        mine = sight.organisation
        wanted = wanted.where(sa.or_(Parcel.organisation_id == mine, Parcel.operator_id == mine))
    return {row.id: row for row in session.execute(wanted)}


def _exact(feature: Feature, version: Any) -> ExportRow:
    said = {"village": version.village, "area_mu": float(mu_of_cm2(version.area_cm2)), "outline": EXACT}
    return ExportRow(from_wkb(version.wkb), {"id": feature.id, **feature.properties, **said})


def _public(feature: Feature) -> ExportRow:
    assert feature.outline is not None, "a parcel that is public has an outline"
    outline = HIDDEN if feature.properties["masked"] else SIMPLIFIED
    return ExportRow(feature.outline, {"id": feature.id, **feature.properties, "outline": outline})
