"""Programmes over HTTP: what a unit is, and every figure that decides."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from registry.programmes.models import Programme
from registry.programmes.service import (
    PublishProgramme,
    WithdrawProgramme,
    list_programmes,
    load_programme,
)
from registry.web.api import READ_PROBLEMS, ActRoute, Reading, add_acts

router = APIRouter(tags=["programmes"])

add_acts(
    router,
    ActRoute("programme.publish", PublishProgramme, "/programmes", "Publish a version of a programme"),
    ActRoute(
        "programme.withdraw",
        WithdrawProgramme,
        "/programmes/{programme}/withdrawal",
        "Withdraw a programme: nothing new begins under it",
    ),
)


@router.get("/programmes", summary="All programmes (public)", responses=READ_PROBLEMS)
def programmes(session: Reading) -> dict[str, Any]:
    return {"items": [_view(row) for row in list_programmes(session)], "next": None}


@router.get(
    "/programmes/{programme}", summary="One programme with its terms (public)", responses=READ_PROBLEMS
)
def programme(programme: str, session: Reading) -> dict[str, Any]:
    row = load_programme(session, programme)
    return {**_view(row), "terms": row.terms}


def _view(row: Programme) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "code": row.code,
        "version": row.version,
        "status": row.status,
        "name_zh": row.name_zh,
        "name_en": row.name_en,
        "entry": row.entry_index,
    }
