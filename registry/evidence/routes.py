"""Evidence over HTTP: bring a file, file it with a parcel, look at what is filed."""

import logging
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, File, Response, UploadFile
from fastapi.responses import FileResponse

from registry.accounts.service import NotFound
from registry.evidence.models import EvidenceFile, EvidenceUpload
from registry.evidence.rules import ENDINGS
from registry.evidence.service import (
    FileEvidence,
    discard_upload,
    evidence_of,
    is_far,
    load_evidence,
    may_see,
    metres_away,
    take_upload,
)
from registry.files import FileStore
from registry.parcels.models import Parcel
from registry.parcels.service import load_parcel
from registry.web.api import (
    READ_PROBLEMS,
    Acting,
    ActRoute,
    Caller,
    Known,
    Reading,
    Running,
    add_acts,
    problem_responses,
)
from registry.web.uploads import safe_name, uploaded

router = APIRouter(tags=["evidence"])
access = logging.getLogger("tanhui.access")

UNTRUSTED = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-store",
}
"""What a stranger's file is served with: it may run nothing and stays in no cache."""

add_acts(
    router,
    ActRoute("evidence.file", FileEvidence, "/parcels/{parcel}/evidence", "File an upload with a parcel"),
)


@router.post(
    "/evidence-files",
    summary="Bring a photograph or scan; it belongs to no parcel until it is filed",
    status_code=201,
    responses=problem_responses(400, 401, 403, 409, 413, 422, 500, 503),
)
def bring(
    running: Running, by: Acting, file: Annotated[UploadFile, File(description="JPEG, PNG, WebP, TIFF, PDF")]
) -> dict[str, Any]:
    """Kept byte for byte. Answers its digest, and what its EXIF says about place and time."""
    with uploaded(file) as path:
        upload = take_upload(
            running.database,
            FileStore(running.home.files),
            by.mandate,
            path,
            safe_name(file.filename or ""),
            running.clock.now(),
        )
    return _upload_view(upload)


@router.delete(
    "/evidence-files/{sha256}",
    summary="Forget an upload that was not filed",
    status_code=204,
    responses=problem_responses(401, 403, 404, 500),
)
def forget(sha256: str, running: Running, by: Acting) -> Response:
    discard_upload(running.database, FileStore(running.home.files), by.mandate, sha256)
    return Response(status_code=204)


@router.get(
    "/parcels/{parcel}/evidence", summary="Photographs and scans beside a parcel", responses=READ_PROBLEMS
)
def listed(parcel: str, known: Known, session: Reading) -> dict[str, Any]:
    _seen(session, known, parcel)
    return {"items": [_view(session, row) for row in evidence_of(session, parcel)]}


@router.get(
    "/evidence/{evidence}/content",
    summary="A photograph or scan as it was brought",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in ENDINGS}}, **READ_PROBLEMS},
)
def content(evidence: str, running: Running, known: Known, session: Reading) -> FileResponse:
    row = load_evidence(session, evidence)
    parcel = load_parcel(session, row.parcel_id)
    if not may_see(known.mandate, known.official, parcel) or row.commitment_key is None:
        access.warning("evidence refused: %s for %s", evidence, known.prefix)
        raise NotFound(kind="evidence", id=evidence)
    access.info("evidence read: %s by %s", evidence, known.prefix)
    return FileResponse(
        FileStore(running.home.files).path(row.sha256),
        media_type=row.media_type,
        headers=UNTRUSTED,
        filename=f"{row.id}{ENDINGS[row.media_type]}",
    )


def _seen(session: Reading, known: Caller, parcel: str) -> Parcel:
    row = load_parcel(session, parcel)
    if not may_see(known.mandate, known.official, row):
        raise NotFound(kind="parcel", id=parcel)
    return row


def _upload_view(upload: EvidenceUpload) -> dict[str, Any]:
    return {
        "sha256": upload.sha256,
        "media_type": upload.media_type,
        "size_bytes": upload.size_bytes,
        "name": upload.name,
        "taken_at": upload.taken_at,
        "position": _position(upload.lon_e7, upload.lat_e7),
        "filed": upload.filed,
    }


def _view(session: Reading, row: EvidenceFile) -> Mapping[str, Any]:
    metres = metres_away(session, row)
    return {
        "id": row.id,
        "parcel": row.parcel_id,
        "organisation": row.organisation_id,
        "kind": row.kind,
        "sha256": row.sha256,
        "media_type": row.media_type,
        "size_bytes": row.size_bytes,
        "name": row.name,
        "note": row.note,
        "taken_at": row.taken_at,
        "position": _position(row.lon_e7, row.lat_e7),
        "stated_at": row.stated_at,
        "stated_position": _position(row.stated_lon_e7, row.stated_lat_e7),
        "accuracy_m": row.accuracy_m,
        "metres_from_parcel": metres,
        "far": is_far(metres),
        "erased": row.commitment_key is None,
        "entry": row.entry_index,
        "content": f"/api/v1/evidence/{row.id}/content",
    }


def _position(lon_e7: int | None, lat_e7: int | None) -> dict[str, float] | None:
    """Degrees of WGS 84."""
    return None if lon_e7 is None or lat_e7 is None else {"lon": lon_e7 / 1e7, "lat": lat_e7 / 1e7}
