"""What a stranger may read without a key: totals, the map, entries and their proofs, certificates."""

import base64
import json
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from ledger.envelope import decode_leaf
from ledger.tiles import TileDirectory
from registry.accounts.models import Organisation
from registry.accounts.service import NotFound
from registry.machine import Role
from registry.receipts import prove
from registry.retirement.certificates import write_certificate
from registry.retirement.models import Certificate, Retirement
from registry.transparency.overview import (
    entries,
    feature_collection,
    leaf_of,
    summary,
)
from registry.transparency.trace import trace
from registry.web.api import (
    LARGEST_PAGE,
    Before,
    Caller,
    Limit,
    Reading,
    Running,
    Visitor,
    problem_responses,
    tagged,
)

router = APIRouter(tags=["public"])

PUBLIC_PROBLEMS: Final = problem_responses(400, 404, 422, 500)
ANYBODY: Final = {"Access-Control-Allow-Origin": "*"}
FILES: Final = {
    ".pdf": "application/pdf",
    ".tlog-proof": "text/plain; charset=utf-8",
    ".entry": "application/octet-stream",
    ".statement.json": "application/json",
}


@router.get("/public/summary", summary="Where all units are, and totals", responses=PUBLIC_PROBLEMS)
def read_summary(session: Reading) -> dict[str, Any]:
    return summary(session).to_json()


@router.get(
    "/public/parcels.geojson",
    summary="Generalised outlines of all parcels (GeoJSON, CRS84)",
    response_class=Response,
    responses={200: {"content": {"application/geo+json": {}}}, **PUBLIC_PROBLEMS},
)
def parcels_geojson(request: Request, session: Reading) -> Response:
    return tagged(request, feature_collection(session), "application/geo+json", max_age=30)


@router.get(
    "/public/serials/{serial}",
    summary="Everything a serial rests on: parcels, run, verifier, issuing entry, holders",
    responses=PUBLIC_PROBLEMS,
)
def read_serial(serial: str, session: Reading) -> dict[str, Any]:
    return trace(session, serial).to_json()


@router.get("/public/entries", summary="Entries of the log, newest first", responses=PUBLIC_PROBLEMS)
def list_entries(
    session: Reading,
    before: Before = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    shown = entries(session, before, min(limit, LARGEST_PAGE))
    following = shown[-1].index if shown and shown[-1].index > 0 else None
    return {"items": [entry.to_json() for entry in shown], "next": following}


@router.get(
    "/log/entries/{index}", summary="One entry: its envelope as it was signed", responses=PUBLIC_PROBLEMS
)
def read_entry(index: int, session: Reading) -> dict[str, Any]:
    """`leaf` (base64) is what the tree hashes; the rest repeats it to be read."""
    leaf = _leaf(session, index)
    at_ms, envelope = decode_leaf(leaf)
    plain = json.loads(leaf)
    return {
        "index": index,
        "at_ms": at_ms,
        "payload": json.loads(envelope.payload),
        "envelope": {name: plain[name] for name in ("payload", "payloadType", "signatures")},
        "leaf": base64.b64encode(leaf).decode(),
    }


@router.get(
    "/log/entries/{index}/leaf",
    summary="The bytes of one entry, as the tree hashes them",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, **PUBLIC_PROBLEMS},
)
def read_leaf(index: int, session: Reading) -> Response:
    return Response(_leaf(session, index), media_type="application/octet-stream", headers=ANYBODY)


@router.get(
    "/log/proof/{index}",
    summary="Proof that an entry is in the log (c2sp.org/tlog-proof)",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **PUBLIC_PROBLEMS},
)
def proof(index: int, running: Running, session: Reading) -> Response:
    _leaf(session, index)
    content = prove(session, index, running.tiles)
    return Response(content, media_type="text/plain; charset=utf-8", headers=ANYBODY)


@router.get(
    "/public/certificates/{file}",
    summary="A file of a retirement certificate: .pdf, .tlog-proof, .entry or .statement.json",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in FILES.values()}}, **PUBLIC_PROBLEMS},
)
def certificate(file: str, running: Running, visitor: Visitor, session: Reading) -> Response:
    """Public, except what a private person retired: that is for the holder's key and for officials."""
    suffix = next((one for one in FILES if file.endswith(one)), None)
    number = file.removesuffix(suffix or "")
    row = session.get(Certificate, number) if suffix is not None else None
    if suffix is None or row is None or not _may_have(session, row, visitor):
        raise NotFound(kind="certificate", id=file[:100])
    path = running.home.certificates / f"{row.number}{suffix}"
    if not path.is_file():
        vkey = running.home.vkey.read_text().strip()
        write_certificate(session, running.home, row.retirement_id, TileDirectory(running.home.log), vkey)
    return FileResponse(_within(path, running.home.certificates), media_type=FILES[suffix], headers=ANYBODY)


def _may_have(session: Reading, row: Certificate, visitor: Caller | None) -> bool:
    owner = session.scalar(
        sa.select(Organisation)
        .join(Retirement, Retirement.organisation_id == Organisation.id)
        .where(Retirement.id == row.retirement_id)
    )
    if owner is None or owner.kind != Role.INDIVIDUAL.value:
        return owner is not None
    return visitor is not None and (visitor.official or visitor.mandate.organisation == owner.id)


def _within(path: Path, folder: Path) -> Path:
    if path.resolve().parent != folder.resolve():
        raise NotFound(kind="certificate", id=path.name)
    return path


def _leaf(session: Reading, index: int) -> bytes:
    leaf = leaf_of(session, index) if 0 <= index < 2**53 else None
    if leaf is None:
        raise NotFound(kind="entry", id=str(index))
    return leaf
