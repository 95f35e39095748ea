"""Outlines as they were uploaded: kept beside each version of a parcel, and forgotten with its record."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from registry.database import Committed
from registry.parcels.import_models import ParcelImport, ParcelSource
from registry.parcels.models import Parcel, ParcelCell, ParcelDraft, ParcelVersion


def keep_source(session: Session, draft: ParcelDraft, parcel: str, version: int) -> None:
    """Keep the uploaded outline of the draft that became this version; drafts made otherwise have none."""
    if draft.source_wkb is None or draft.source_crs is None:
        return
    session.add(
        ParcelSource(
            parcel_id=parcel,
            version=version,
            import_id=draft.import_id,
            row_number=draft.row_number,
            wkb=draft.source_wkb,
            crs=draft.source_crs,
        )
    )


def forgotten_files(session: Session) -> set[str]:
    """Digests of uploads that are no longer kept for anybody."""
    kept = sa.select(ParcelImport.sha256).where(ParcelImport.kept)
    wanted = sa.select(ParcelImport.sha256).where(ParcelImport.kept.is_(False))
    return set(session.scalars(wanted.where(ParcelImport.sha256.not_in(kept))))


def forget_land(session: Session, row: Committed) -> None:
    """What else holds the outline of a version whose record is erased, before the record itself is emptied:
    the outline as uploaded, every draft of the owner with that outline, the file and what was reported of it.

    A file that holds the outline is served no more from here on; `tanhui db vacuum` takes it off the disk.
    """
    if not isinstance(row, ParcelVersion):
        return
    parcel = session.get_one(Parcel, row.parcel_id)
    imports = _forget_drafts(session, parcel.organisation_id, row) | _forget_source(session, row)
    session.execute(
        sa.update(ParcelImport)
        .where(sa.or_(ParcelImport.id.in_(imports), ParcelImport.sha256 == row.source_sha256))
        .values(kept=False, report=None)
    )
    session.execute(
        sa.update(ParcelImport)
        .where(ParcelImport.organisation_id == parcel.organisation_id, ParcelImport.status != "taken")
        .values(report=None)
    )
    if row.version == parcel.version:
        session.execute(sa.delete(ParcelCell).where(ParcelCell.parcel_id == parcel.id))


def _forget_drafts(session: Session, organisation: str, row: ParcelVersion) -> set[str]:
    """The imports that the drafts came of."""
    drafts = session.scalars(
        sa.select(ParcelDraft).where(
            ParcelDraft.organisation_id == organisation,
            sa.or_(ParcelDraft.wkb == row.wkb, ParcelDraft.id == row.parcel_id)
            if row.version == 1
            else ParcelDraft.wkb == row.wkb,
        )
    ).all()
    for draft in drafts:
        session.delete(draft)
    return {draft.import_id for draft in drafts}


def _forget_source(session: Session, row: ParcelVersion) -> set[str]:
    source = session.get(ParcelSource, (row.parcel_id, row.version))
    if source is None:
        return set()
    session.delete(source)
    return {source.import_id}
