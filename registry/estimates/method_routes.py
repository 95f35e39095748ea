"""Methods, equations and calculations over HTTP, for everybody.

Ids hold slashes (`zj-ph-forest-management/1`, `E-U1/E-U2`), so the id is the rest of the path, as it is or
with `%2F`; a `+` in it stands for itself.
"""

import json
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from registry.accounts.service import NotFound
from registry.estimates.methods.catalogue import method_list, method_page
from registry.estimates.methods.equations.documents import calculate_sheet
from registry.estimates.methods.errors import UnknownMethod
from registry.turns import Turns
from registry.web.api import problem_responses, tagged
from registry.web.bodies import USUAL_BYTES
from registry.web.refusals import MediaTypeUnsupported

router = APIRouter(tags=["methods"])

LIMIT_ITEMS: Final = 256
"""Calculations of one request."""

CALCULATING: Final = Turns(at_once=1, standing=4)
"""Anybody may calculate, so it takes one processor at most, whoever asks."""

_MAX_AGE_S: Final = 300
_CALCULATION: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["name", "inputs"],
    "properties": {
        "name": {"type": "string"},
        "inputs": {
            "type": "object",
            "required": ["equation"],
            "properties": {"equation": {"type": "string"}},
        },
    },
}
_SEVERAL: Final = {"type": "array", "minItems": 1, "maxItems": LIMIT_ITEMS, "items": _CALCULATION}
_SHEET: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"oneOf": [_CALCULATION, _SEVERAL]}}},
    }
}


@router.get("/methods", summary="Methods of runs and equations", responses=problem_responses(400, 500))
def methods(request: Request) -> Response:
    """Each with its digest and how many of its parameter rows are sure, probable and assumed."""
    return _answer(request, {"items": method_list(), "next": None})


@router.get(
    "/methods/{method:path}",
    summary="Everything about one: equations, parameters with source and mark, digest",
    responses=problem_responses(400, 404, 500),
)
def one_method(request: Request, method: str) -> Response:
    """The id is the rest of the path: `/methods/zj-ph-forest-management/1`, `/methods/E-F1`."""
    try:
        return _answer(request, method_page(method))
    except UnknownMethod:
        raise NotFound(kind="method", id=method[:100]) from None


@router.post(
    "/methods/calculate",
    summary="Calculate with equations",
    responses=problem_responses(400, 413, 415, 422, 500, 503),
    openapi_extra=_SHEET,
)
async def calculate(request: Request) -> Response:
    """One calculation `{"name": …, "inputs": {"equation": …, …}}` or a list of them; answers
    `{"name": …, "outputs": {…}}` for each. Nothing is kept. A refusal says which calculation it is about.
    """
    found = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if found != "application/json":
        raise MediaTypeUnsupported(found=found or "untyped", expected="application/json")
    return _json(await run_in_threadpool(_calculated, await request.body()))


def _calculated(content: bytes) -> object:
    with CALCULATING.turn():
        return calculate_sheet(content, limit_bytes=USUAL_BYTES, limit_items=LIMIT_ITEMS)


def _answer(request: Request, document: object) -> Response:
    return tagged(request, _bytes(document), "application/json", _MAX_AGE_S)


def _json(document: object) -> Response:
    return Response(_bytes(document), media_type="application/json", headers={"Cache-Control": "no-store"})


def _bytes(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
