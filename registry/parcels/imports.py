"""Import of parcel files: all rows become drafts, or none does and every wrong row is listed.

A file is examined outside any transaction (`examining`), held against what is registered (`judge`), and taken
in within one transaction (`take_in`). The file itself is kept as it came. The same file from the same
organisation is taken in once; again it answers what it answered.
"""

import hashlib
import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from geo.examine import Progress
from geo.polygon import OverlapKind, OverlapRule, Polygonal, from_wkb, intersection
from registry.accounts.service import load_organisation
from registry.database import Database, lock_named
from registry.files import FileStore
from registry.machine import Mandate, NotAuthorised, Role
from registry.parcels.bulk_ground import overlaps_of_many
from registry.parcels.bulk_rows import insert_many
from registry.parcels.counties import Batch, check_datum, outside_county
from registry.parcels.examining import Declaration, Examined, ExaminedRow, Upload, examine_upload
from registry.parcels.ground import GroundOverlap, overlap_facts, overlap_rule
from registry.parcels.headings import propose_columns
from registry.parcels.import_models import ParcelImport
from registry.parcels.mapping import (
    FieldMap,
    load_mapping,
)
from registry.parcels.models import Parcel, ParcelDraft
from registry.parcels.public import seen_outlines
from registry.parcels.report import (
    ImportReport,
    LiesOnParcel,
    RowProblem,
    VillageWithoutOwner,
)
from registry.parcels.rules import OwnerUnstated
from registry.programmes.rules import Terms
from registry.programmes.service import published_programme, terms_of

IMPORTERS: Final = (Role.COLLECTIVE, Role.OPERATOR)
GROUND, DRAFTS = "ground", "drafts"
"""Steps of an import after those of `geo.examine`."""
access = logging.getLogger("tanhui.access")
MOST_DRAWN: Final = 1_000
"""Outlines that a page draws of a file."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An examined file held against what is registered: whose each row is, and all that is to be said."""

    owner_of: Mapping[int, str]
    problems: list[RowProblem]
    warnings: list[RowProblem]


# ---- the whole way -----------------------------------------------------------------------------------------


def import_file(
    database: Database,
    files: FileStore,
    importer: Mandate,
    path: Path,
    declared: Declaration,
    *,
    now: datetime,
    mapping: FieldMap | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> ImportReport:
    """Make drafts of all rows of a file, or of none; a dry run keeps nothing.

    A collective imports its own land; an operator says whose each village's land is, and each collective
    signs for its own afterwards. `progress` is told a step, how much of it is done, and of how much. Raises
    what `geo.vector.read_parcels` raises for a file that cannot be read, `NotAuthorised`, `OwnerUnstated`.
    """
    upload = Upload.of(path)
    with database.read() as session:
        check_importer(session, importer, declared)
        terms = terms_of(published_programme(session, declared.programme))
        known = None if dry_run else answered_before(session, importer, upload)
    if known is not None:
        return known
    examined = examine_upload(
        path, upload, declared, terms, mapping or load_mapping(), now.date(), progress, stop
    )
    tell = progress or _silent
    tell(GROUND, 0, 1)
    with database.read() as session:
        judged = judge(session, importer, examined, terms)
    on_others = sum(one.code == LiesOnParcel.code for one in judged.warnings)
    if on_others:  # who draws over others' land again and again learns where it lies: that is seen here
        access.info("import: %d overlaps with registered land by %s", on_others, importer.organisation)
    tell(GROUND, 1, 1)
    if judged.problems or dry_run:
        return report_of(importer, examined, judged, dry_run=dry_run)
    with path.open("rb") as content:
        files.put(content)
    tell(DRAFTS, 0, examined.file.count)
    with database.write() as session:
        report = take_in(session, importer, examined, judged, now, kept=True)
    tell(DRAFTS, examined.file.count, examined.file.count)
    return report


def _silent(step: str, done: int, total: int) -> None:
    """For whom nobody waits."""


def check_importer(session: Session, importer: Mandate, declared: Declaration) -> None:
    """Refuse at once who may not import, or an operator that does not say whose the land is."""
    if importer.role not in IMPORTERS:
        raise NotAuthorised(machine="parcel", action="import", needed=" / ".join(IMPORTERS))
    if importer.role is Role.COLLECTIVE:
        return
    for organisation in sorted(set((declared.owners or {"": ""}).values())):
        if not organisation or load_organisation(session, organisation).kind != Role.COLLECTIVE:
            raise OwnerUnstated(role=importer.role.value)


def answered_before(session: Session, importer: Mandate, upload: Upload) -> ImportReport | None:
    """The report of the same file of the same organisation, if it was taken in."""
    import_id = upload.import_id(importer.organisation)
    row = session.get(ParcelImport, import_id)
    if row is None or row.status != "taken" or row.report is None:
        return None
    return ImportReport.from_json(row.report).repeating(drafts_of(session, import_id))


def drafts_of(session: Session, import_id: str) -> list[str]:
    """Ids of an import's drafts in the file's order."""
    wanted = sa.select(ParcelDraft.id).where(ParcelDraft.import_id == import_id)
    return list(session.scalars(wanted.order_by(ParcelDraft.row_number)))


# ---- judging -----------------------------------------------------------------------------------------------


def judge(session: Session, importer: Mandate, examined: Examined, terms: Terms) -> Judged:
    """Hold an examined file against what is registered."""
    own = drafts_of(session, examined.upload.import_id(importer.organisation))
    owner_of, ownerless = _owners(importer, examined)
    suspected, outside = _where_it_lies(session, examined, own)
    warnings = examined.warnings + outside
    warnings += _on_live_ground(session, importer, examined.rows, overlap_rule(terms), own)
    return Judged(
        owner_of,
        sorted(examined.problems + ownerless + suspected, key=lambda problem: problem.row),
        sorted(warnings, key=lambda warning: warning.row),
    )


def _where_it_lies(
    session: Session, examined: Examined, own: Sequence[str]
) -> tuple[list[RowProblem], list[RowProblem]]:
    """What neighbours and counties say of the place: coordinates of a web map, land outside of its county."""
    file, rows = examined.file, examined.rows
    batch = Batch([row.wkb for row in rows], [row.cells for row in rows], [_county(row) for row in rows])
    suspected = check_datum(
        session, batch, crs=file.crs, datum=file.datum, hints=file.hints, except_parcels=frozenset(own)
    )
    outside = outside_county(session, batch)
    return (
        [] if suspected is None else [RowProblem.of(0, suspected, "datum", str(file.datum))],
        [RowProblem.of(rows[n].number, refusal, "county", _county(rows[n])) for n, refusal in outside],
    )


def _county(row: ExaminedRow) -> str:
    return str(row.fields["county"])


def _owners(importer: Mandate, examined: Examined) -> tuple[dict[int, str], list[RowProblem]]:
    """The owner of each row's parcel, and the rows that have none."""
    if importer.role is Role.COLLECTIVE:
        return {row.number: importer.organisation for row in examined.rows}, []
    owners = examined.declared.owners or {}
    found, ownerless = {}, []
    for row in examined.rows:
        village = str(row.fields["village"])
        if village in owners:
            found[row.number] = owners[village]
        else:
            refusal = VillageWithoutOwner(village=village)
            ownerless.append(RowProblem.of(row.number, refusal, "village", village))
    return found, ownerless


def _on_live_ground(
    session: Session, importer: Mandate, rows: Sequence[ExaminedRow], rule: OverlapRule, own: Sequence[str]
) -> list[RowProblem]:
    """Overlap check at submission: what the drafts share with parcels that are somebody's already.

    Nobody has looked at a draft: whoever draws one may draw it around a whole valley. So it shows exactly
    only ground that the importer may see; of other parcels what everybody may see, and of masked ones none.
    """
    shared = overlaps_of_many(
        session, [row.wkb for row in rows], [row.cells for row in rows], rule, frozenset(own)
    )
    shared = [(at, found) for at, found in shared if found.overlap.kind is not OverlapKind.NONE]
    seen = seen_outlines(session, {found.parcel for _, found in shared}, importer.organisation)
    return [
        RowProblem.of(
            rows[at].number,
            LiesOnParcel(parcel=found.parcel, status=found.status, **overlap_facts(found.overlap)),
            shared=_shown(rows[at], found, seen),
        )
        for at, found in shared
    ]


def _shown(row: ExaminedRow, found: GroundOverlap, seen: Mapping[str, Polygonal | None]) -> Polygonal | None:
    """The ground of an overlap as far as its parcel may be seen."""
    if found.parcel not in seen:
        return found.overlap.geometry
    public = seen[found.parcel]
    return None if public is None else intersection(from_wkb(row.wkb), public)


# ---- taking in ---------------------------------------------------------------------------------------------


def take_in(
    session: Session, importer: Mandate, examined: Examined, judged: Judged, now: datetime, kept: bool = False
) -> ImportReport:
    """Make drafts of an examined file without problems, once: whoever comes second with the same file is
    answered what the first was. `kept` says that the file itself lies in the file store.
    """
    upload = examined.upload
    import_id = upload.import_id(importer.organisation)
    lock_named(session, import_id)
    known = answered_before(session, importer, upload)
    if known is not None:
        return known
    _insert_drafts(session, examined, judged, import_id, now)
    drafts = drafts_of(session, import_id)
    report = report_of(importer, examined, judged, drafts=drafts)
    row = session.get(ParcelImport, import_id) or ParcelImport(
        id=import_id,
        organisation_id=importer.organisation,
        person=importer.person,
        file_name=upload.name,
        sha256=upload.sha256,
        size_bytes=upload.size_bytes,
        created_at=now,
    )
    row.programme, row.declared = examined.declared.programme, examined.declared.to_json()
    row.status, row.kept, row.report, row.finished_at = "taken", kept, report.to_json(), now
    session.add(row)
    return report


def report_of(
    importer: Mandate,
    examined: Examined,
    judged: Judged,
    *,
    dry_run: bool = False,
    drafts: Sequence[str] = (),
) -> ImportReport:
    file, headings = examined.file, examined.headings
    missing = any(problem.code == "column_missing" for problem in judged.problems)
    return ImportReport(
        import_id=examined.upload.import_id(importer.organisation),
        file=examined.upload.name,
        source_sha256=examined.upload.sha256,
        kind=file.kind,
        crs=file.crs,
        datum=str(file.datum),
        swapped=file.swapped,
        encoding=file.encoding,
        encoding_source=file.encoding_source,
        layer=file.layer,
        mapping=examined.mapping.name,
        rows=file.count,
        area_cm2=sum(row.area_cm2 for row in examined.rows),
        dry_run=dry_run,
        taken=not judged.problems and not dry_run,
        repeated=False,
        headings=headings,
        columns=dict(examined.columns),
        proposed=propose_columns(examined.mapping, headings, examined.columns) if missing else {},
        drafts=list(drafts),
        problems=judged.problems,
        warnings=judged.warnings,
        drawn=dict(zip(map(int, file.numbers[:MOST_DRAWN]), file.wkb[:MOST_DRAWN], strict=True)),
    )


_TENURE: Final = {
    "tenure_kind": "kind",
    "certificate": "certificate",
    "tenure_until": "until",
    "declared_area": "declared_cm2",
}
_OWN_COLUMNS: Final = ("county", "village", "stand_type")
_BATCH: Final = 5_000


def _insert_drafts(
    session: Session, examined: Examined, judged: Judged, import_id: str, now: datetime
) -> None:
    """One row for each that is not there yet: drafts of before were kept because they were submitted."""
    ids = _draft_ids(import_id, [row.number for row in examined.rows])
    there = set(drafts_of(session, import_id))
    if session.get(ParcelImport, import_id) is not None:
        there |= _parcels_of(session, ids)
    new = [(row, id_) for row, id_ in zip(examined.rows, ids, strict=True) if id_ not in there]
    for start in range(0, len(new), _BATCH):
        batch = [
            _draft(row, id_, judged.owner_of[row.number], import_id, examined, now)
            for row, id_ in new[start : start + _BATCH]
        ]
        insert_many(session, ParcelDraft, batch)


def _parcels_of(session: Session, drafts: Sequence[str]) -> set[str]:
    """Which of these drafts became parcels, though the drafts themselves are gone."""
    found: set[str] = set()
    for start in range(0, len(drafts), _BATCH):
        some = drafts[start : start + _BATCH]
        found |= set(session.scalars(sa.select(Parcel.id).where(Parcel.id.in_(some))))
    return found


def _draft_ids(import_id: str, numbers: Sequence[int]) -> list[str]:
    """The ids of an import's rows: UUIDs of version 5 in the name space of the import."""
    space = uuid.UUID(import_id).bytes
    digests = (hashlib.sha1(space + str(number).encode(), usedforsecurity=False) for number in numbers)
    return [str(uuid.UUID(bytes=digest.digest()[:16], version=5)) for digest in digests]


def _draft(
    row: ExaminedRow, id_: str, organisation: str, import_id: str, examined: Examined, now: datetime
) -> dict[str, Any]:
    fields, file = row.fields, examined.file
    attributes: dict[str, Any] = {
        name: value for name, value in fields.items() if name not in _TENURE and name not in _OWN_COLUMNS
    }
    attributes["key"] = row.key
    if row.source_wkb is not None:
        attributes["source"] = {
            "geometry_sha256": hashlib.sha256(row.source_wkb).hexdigest(),
            "crs": file.crs,
            "datum": str(file.datum),
            "swapped": file.swapped,
            "repair_ppm": row.repair_ppm,
        }
    return {
        "id": id_,
        "organisation_id": organisation,
        "import_id": import_id,
        "row_number": row.number,
        "wkb": row.wkb,
        "area_cm2": row.area_cm2,
        "county": fields["county"],
        "code": row.key[:80],
        "village": fields["village"],
        "stand_type": fields["stand_type"],
        "tenure": {name: fields[source] for source, name in _TENURE.items()},
        "attributes": attributes,
        "source_sha256": examined.upload.sha256,
        "submitted": False,
        "created_at": now,
        "source_wkb": row.source_wkb,
        "source_crs": file.crs,
    }


def discard_import(session: Session, importer: Mandate, import_id: str) -> int:
    """Drop the drafts of an own import that were not submitted; answers how many. The file is kept for as
    long as a draft of it was submitted.
    """
    row = session.get(ParcelImport, import_id)
    if row is None or row.organisation_id != importer.organisation:
        return 0
    waiting = ParcelDraft.import_id == import_id
    dropped = session.execute(sa.delete(ParcelDraft).where(waiting, ParcelDraft.submitted.is_(False)))
    row.status, row.report = "discarded", None
    row.kept = row.kept and bool(drafts_of(session, import_id))
    return int(dropped.rowcount)  # type: ignore[attr-defined]
