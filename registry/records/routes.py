"""Remarks on entries and erasures over HTTP."""

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter

from registry.records.models import Annotation, Erasure, StateEntry
from registry.records.service import AnnotateEntry, EraseRecord
from registry.web.api import PAGE_SIZE, READ_PROBLEMS, ActRoute, Known, Limit, Reading, add_acts

router = APIRouter(tags=["records"])

add_acts(
    router,
    ActRoute("entry.annotate", AnnotateEntry, "/annotations", "Remark on an entry"),
    ActRoute("record.erase", EraseRecord, "/records/{commitment}/erase", "Delete a record kept off the log"),
)


@router.get(
    "/log/entries/{index}/annotations", summary="What was remarked on an entry", responses=READ_PROBLEMS
)
def annotations(index: int, session: Reading) -> dict[str, Any]:
    """Oldest first. `text` is null where there is none or it was erased."""
    wanted = sa.select(Annotation).where(Annotation.annotated_index == index)
    return {
        "entry": index,
        "annotations": [
            {"entry": row.entry_index, "reason": row.reason_code, "text": row.text}
            for row in session.scalars(wanted.order_by(Annotation.entry_index))
        ],
    }


@router.get("/log/states", summary="States of the books that the log declares", responses=READ_PROBLEMS)
def states(session: Reading, limit: Limit = PAGE_SIZE) -> dict[str, Any]:
    """Newest first: counts and digest of accounts, live blocks and open reservations."""
    rows = session.scalars(sa.select(StateEntry).order_by(StateEntry.entry_index.desc()).limit(limit))
    return {
        "states": [
            {
                "entry": row.entry_index,
                "accounts": row.accounts,
                "blocks": row.blocks,
                "pendings": row.pendings,
                "sha256": row.sha256,
            }
            for row in rows
        ]
    }


@router.get("/records/erased", summary="Records that were erased", responses=READ_PROBLEMS)
def erased(known: Known, session: Reading, limit: Limit = PAGE_SIZE) -> dict[str, Any]:
    rows = session.scalars(sa.select(Erasure).order_by(Erasure.entry_index.desc()).limit(limit))
    return {
        "erased": [
            {"commitment": row.commitment, "committed_in": row.committed_index, "entry": row.entry_index}
            for row in rows
        ]
    }
