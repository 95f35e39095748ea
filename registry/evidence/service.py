"""Services of the evidence room: take an upload in, file it with a parcel, and say who may see it."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import shapely
import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from geo.crs import LocalFrame
from geo.polygon import from_wkb
from registry.accounts.service import NotFound
from registry.acts import Desk
from registry.database import Committed, Database
from registry.evidence import photographs
from registry.evidence.models import EvidenceFile, EvidenceUpload
from registry.evidence.rules import (
    EVIDENCE,
    FAR_M,
    LIMITS,
    MOST_UNFILED,
    EvidenceKind,
    EvidenceKindUnknown,
    EvidenceTooLarge,
    EvidenceTwice,
    TooManyUnfiled,
    UploadUnknown,
    found_type,
    media_type_of,
)
from registry.files import FileStore
from registry.machine import Mandate, NotAuthorised, Role
from registry.office import Act, Answer, Command
from registry.parcels.models import Parcel
from registry.parcels.service import SHA256, current_version, load_parcel
from registry.turns import Turns

FILERS: Final = (Role.COLLECTIVE, Role.OPERATOR, Role.VERIFIER, Role.REGISTRY_ADMIN)
READING: Final = Turns(at_once=2, standing=8)
"""Images of strangers that are looked into, each by a process of its own."""
_E7: Final = 10_000_000
_INSTANT: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?(Z|[+-]\d{2}:\d{2})$"
_LON: Final = r"^-?(180(\.0{1,9})?|(1[0-7]\d|\d{1,2})(\.\d{1,9})?)$"
_LAT: Final = r"^-?(90(\.0{1,9})?|[0-8]?\d(\.\d{1,9})?)$"
_LONGEST_NAME: Final = 100


class FileEvidence(Command):
    """`lon`, `lat`, `accuracy_m` and `at` are what the device said when the picture was taken."""

    parcel: str
    sha256: str = Field(pattern=SHA256, description="a file that your organisation uploaded")
    kind: EvidenceKind
    note: str | None = Field(None, min_length=1, max_length=500)
    lon: str | None = Field(None, pattern=_LON, description="degrees, WGS 84")
    lat: str | None = Field(None, pattern=_LAT, description="degrees, WGS 84")
    accuracy_m: int | None = Field(None, ge=0, le=100_000)
    at: str | None = Field(None, pattern=_INSTANT, description="RFC 3339")


def take_upload(
    database: Database, store: FileStore, by: Mandate, path: Path, name: str, now: datetime
) -> EvidenceUpload:
    """Keep a file byte for byte and read where and when it was taken. The same file again changes nothing.

    Raises `NotAuthorised`, `EvidenceKindUnknown`, `EvidenceTooLarge`, `PhotographUnreadable`,
    `TooManyUnfiled`, `ServiceBusy`.
    """
    if by.role not in FILERS:
        raise NotAuthorised(machine=EVIDENCE.name, action="upload", needed=" / ".join(FILERS))
    media_type = _media_type(path)
    found = photographs.Particulars()
    if media_type.startswith("image/"):
        with READING.turn():
            found = photographs.read(path)
    with database.read() as session:
        _check_unfiled(session, by.organisation)
    with path.open("rb") as content:
        sha256, size_bytes = store.put(content)
    with database.write() as session:
        known = session.get(EvidenceUpload, (by.organisation, sha256))
        if known is not None:
            return known
        upload = EvidenceUpload(
            organisation_id=by.organisation,
            sha256=sha256,
            name=name[-_LONGEST_NAME:],
            media_type=media_type,
            size_bytes=size_bytes,
            taken_at=found.taken_at,
            lon_e7=found.lon_e7,
            lat_e7=found.lat_e7,
            filed=False,
            uploaded_at=now,
        )
        session.add(upload)
        return upload


def _media_type(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(16)
    media_type = media_type_of(start)
    if media_type is None:
        raise EvidenceKindUnknown(found=found_type(start))
    size_bytes = path.stat().st_size
    if size_bytes > LIMITS[media_type]:
        raise EvidenceTooLarge(size_bytes=size_bytes, media_type=media_type, limit_bytes=LIMITS[media_type])
    return media_type


def _check_unfiled(session: Session, organisation: str) -> None:
    count = session.scalar(
        sa.select(sa.func.count())
        .select_from(EvidenceUpload)
        .where(EvidenceUpload.organisation_id == organisation, EvidenceUpload.filed.is_(False))
    )
    if (count or 0) >= MOST_UNFILED:
        raise TooManyUnfiled(count=count)


def discard_upload(database: Database, store: FileStore, by: Mandate, sha256: str) -> None:
    """Forget an upload that was not filed (`UploadUnknown`)."""
    with database.write() as session:
        upload = session.get(EvidenceUpload, (by.organisation, sha256))
        if upload is None or upload.filed:
            raise UploadUnknown(sha256=sha256[:64])
        session.delete(upload)
        session.flush()
        if not named_anywhere(session, sha256):
            store.remove(sha256)


def named_anywhere(session: Session, sha256: str) -> bool:
    """Whether an upload, or evidence that was not erased, still names a file."""
    uploaded = sa.select(EvidenceUpload.sha256).where(EvidenceUpload.sha256 == sha256)
    filed = sa.select(EvidenceFile.sha256).where(
        EvidenceFile.sha256 == sha256, EvidenceFile.commitment_key.is_not(None)
    )
    return session.scalar(sa.union_all(uploaded, filed).limit(1)) is not None


def forget_evidence(session: Session, row: Committed) -> None:
    """What else is known of a file whose record is erased: its upload. `tanhui db vacuum` removes the
    file.
    """
    if not isinstance(row, EvidenceFile):
        return
    others = sa.select(EvidenceFile.sha256).where(
        EvidenceFile.organisation_id == row.organisation_id,
        EvidenceFile.id != row.id,
        EvidenceFile.commitment_key.is_not(None),
    )
    session.execute(
        sa.delete(EvidenceUpload).where(
            EvidenceUpload.organisation_id == row.organisation_id,
            EvidenceUpload.sha256 == row.sha256,
            EvidenceUpload.sha256.not_in(others),
        )
    )


def forgotten_evidence(session: Session) -> set[str]:
    """Digests of files whose every record was erased."""
    erased = session.scalars(sa.select(EvidenceFile.sha256).where(EvidenceFile.commitment_key.is_(None)))
    return {sha256 for sha256 in erased if not named_anywhere(session, sha256)}


def file_evidence(desk: Desk, command: FileEvidence) -> Answer:
    """An upload becomes evidence of a parcel: its digest is in the log, what it shows is committed."""
    parcel = load_parcel(desk.session, command.parcel)
    if not may_add(desk.actor, parcel):
        raise NotFound(kind="parcel", id=command.parcel)
    upload = desk.session.get(EvidenceUpload, (desk.actor.organisation, command.sha256))
    if upload is None:
        raise UploadUnknown(sha256=command.sha256)
    _check_once(desk.session, parcel.id, command.sha256)
    particulars = desk.commitment(
        "particulars",
        EvidenceFile,
        name=upload.name,
        note=command.note,
        taken_at=upload.taken_at,
        lon_e7=upload.lon_e7,
        lat_e7=upload.lat_e7,
        stated_at=command.at,
        stated_lon_e7=_e7(command.lon),
        stated_lat_e7=_e7(command.lat),
        accuracy_m=command.accuracy_m,
    )
    desk.act(
        EVIDENCE,
        "file",
        desk.request_id,
        facts={
            "parcel": parcel.id,
            "organisation": desk.actor.organisation,
            "kind": command.kind,
            "sha256": command.sha256,
            "media_type": upload.media_type,
            "size_bytes": upload.size_bytes,
        },
        commitments={"particulars": particulars},
    )
    particulars.reveal(load_evidence(desk.session, desk.request_id))
    upload.filed = True
    return {"evidence": desk.request_id, "parcel": parcel.id}


ACTS = (Act("evidence.file", FileEvidence, file_evidence),)


def _check_once(session: Session, parcel: str, sha256: str) -> None:
    before = session.scalar(
        sa.select(EvidenceFile.id).where(EvidenceFile.parcel_id == parcel, EvidenceFile.sha256 == sha256)
    )
    if before is not None:
        raise EvidenceTwice(parcel=parcel, evidence=before)


def _e7(degrees: str | None) -> int | None:
    return None if degrees is None else round(Decimal(degrees) * _E7)


# ---- who may, and reading ----------------------------------------------------------------------------------


def may_add(by: Mandate, parcel: Parcel) -> bool:
    """Its owner, its operator, whoever reviews it, and the registry."""
    if by.role is Role.REGISTRY_ADMIN:
        return True
    return by.organisation in (parcel.organisation_id, parcel.operator_id, parcel.reviewer_id)


def may_see(by: Mandate, official: bool, parcel: Parcel) -> bool:
    """Its owner, its operator, and officials, whose duty is to look."""
    return official or by.organisation in (parcel.organisation_id, parcel.operator_id)


def load_evidence(session: Session, evidence: str) -> EvidenceFile:
    row = session.get(EvidenceFile, evidence)
    if row is None:
        raise NotFound(kind="evidence", id=evidence)
    return row


def evidence_of(session: Session, parcel: str) -> Sequence[EvidenceFile]:
    """A parcel's evidence, in the order it was filed."""
    return session.scalars(
        sa.select(EvidenceFile)
        .where(EvidenceFile.parcel_id == parcel)
        .order_by(EvidenceFile.entry_index, EvidenceFile.id)
    ).all()


def metres_away(session: Session, row: EvidenceFile) -> int | None:
    """How far from the parcel's outline it was taken, whole metres, 0 inside; None if nobody knows.

    What the device said counts before what the file says.
    """
    lon, lat = row.stated_lon_e7, row.stated_lat_e7
    if lon is None or lat is None:
        lon, lat = row.lon_e7, row.lat_e7
    outline = current_version(session, load_parcel(session, row.parcel_id)).wkb
    if lon is None or lat is None or outline is None:
        return None
    ground = from_wkb(outline)
    frame = LocalFrame.around(ground)
    east, north = frame.metres_per_degree()
    x, y = (lon / _E7 - frame.lon_deg) * east, (lat / _E7 - frame.lat_deg) * north
    return round(shapely.distance(frame.to_metres(ground), shapely.Point(x, y)))


def is_far(metres: int | None) -> bool:
    return metres is not None and metres > FAR_M
