"""A collective's word on whether everybody may see the outline of its parcel."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from registry.accounts.service import NotFound
from registry.parcels.models import Parcel
from registry.parcels.public import ParcelPublic, ParcelVisibility, set_masked
from registry.web.api import (
    READ_PROBLEMS,
    Acting,
    Body,
    Known,
    Reading,
    Running,
    access,
    inlined,
    problem_responses,
    validated,
)

router = APIRouter(tags=["parcels"])


class Visibility(BaseModel):
    """Whether a parcel is hidden from everybody but those concerned with it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    masked: bool


def _visibility(content: Body) -> Visibility:
    return validated(Visibility, content)


@router.put(
    "/parcels/{parcel}/visibility",
    summary="Hide my parcel from the public, or show it; a draft too, before it is submitted",
    responses=problem_responses(400, 401, 403, 404, 413, 415, 422, 500),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": inlined(Visibility.model_json_schema())}},
        }
    },
)
def set_visibility(
    parcel: str, running: Running, by: Acting, wanted: Annotated[Visibility, Depends(_visibility)]
) -> dict[str, Any]:
    """Working data: nothing is logged, and the parcel's state does not change. The access log tells who did
    it.
    """
    now = running.clock.now()
    with running.database.write() as session:
        set_masked(session, by.mandate, parcel, wanted.masked, now)
    access.info("visibility: %s masked=%s by %s", parcel, wanted.masked, by.prefix)
    return {"parcel": parcel, "masked": wanted.masked}


@router.get(
    "/parcels/{parcel}/visibility", summary="Whether a parcel is hidden, and why", responses=READ_PROBLEMS
)
def visibility(parcel: str, known: Known, session: Reading) -> dict[str, Any]:
    """`reason` is `asked` when the collective said so, else `default`."""
    row = session.get(Parcel, parcel)
    mine = row is not None and known.mandate.organisation in (row.organisation_id, row.operator_id)
    if row is None or not (known.official or mine):
        raise NotFound(kind="parcel", id=parcel[:100])
    shown, said = session.get(ParcelPublic, parcel), session.get(ParcelVisibility, parcel)
    return {
        "parcel": parcel,
        "masked": True if shown is None else shown.masked,
        "reason": "default" if said is None else "asked",
        "said_at": None if said is None else said.said_at.isoformat(),
    }
