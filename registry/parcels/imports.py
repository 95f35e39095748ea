"""Import of parcel files: all rows become drafts, or none does and every wrong row is listed.

A file is examined outside any transaction (`examine_file`: reading, fields, outlines, and the rows against
each other), then taken in within one (`take_in`: owners, ground of registered parcels, drafts). The same file
from the same organisation is taken in once; again it answers what it answered.
"""

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import shapely
import sqlalchemy as sa
from sqlalchemy.orm import Session

from geo.crs import areas_m2
from geo.polygon import OverlapKind, OverlapRule, Polygonal, cells, overlap, to_wkb
from geo.vector import ParcelFile, examine, read_parcels
from registry.accounts.service import load_organisation
from registry.database import Database
from registry.machine import Mandate, NotAuthorised, Role
from registry.parcels.ground import CM2_PER_M2, live_neighbours, meeting, overlap_facts, overlap_rule
from registry.parcels.mapping import FieldMap, Read, columns_of, load_mapping, read_row
from registry.parcels.models import ParcelDraft
from registry.parcels.report import (
    AreaDiffersFromCertificate,
    ImportReport,
    LiesOnParcel,
    NoRows,
    ParcelTooSmall,
    RowProblem,
    RowRepeated,
    RowsOverlap,
    RowsShareSliver,
    TenureOver,
    VillageWithoutOwner,
)
from registry.parcels.rules import OwnerUnstated, area_difference_ppm, mu_of_cm2
from registry.programmes.rules import Terms
from registry.programmes.service import published_programme, terms_of

NAMESPACE: Final = uuid.UUID("0c8f1d4e-51f0-5b83-9a64-3f1de2c75b10")
IMPORTERS: Final = (Role.COLLECTIVE, Role.OPERATOR)


@dataclass(frozen=True, slots=True)
class ExaminedRow:
    """A row without faults: canonical outline in EPSG:4490 and its fields."""

    number: int
    geometry: Polygonal
    area_cm2: int
    fields: Mapping[str, Read]

    @property
    def key(self) -> str:
        """How plots and people name it: county, village, compartment, number."""
        return "-".join(
            str(self.fields[name]) for name in ("county", "village", "compartment", "subcompartment")
        )


@dataclass(frozen=True, slots=True)
class Examined:
    """A file as examined: good rows, everything that is wrong, and what is only worth saying."""

    sha256: str
    crs: str
    encoding: str
    encoding_source: str
    layer: str
    mapping: str
    count: int
    rows: list[ExaminedRow]
    problems: list[RowProblem]
    warnings: list[RowProblem]


# ---- the whole way -----------------------------------------------------------------------------------------


def import_file(
    database: Database,
    importer: Mandate,
    path: Path,
    mapping: FieldMap | None = None,
    dry_run: bool = False,
    *,
    programme: str,
    now: datetime,
    owners: Mapping[str, str] | None = None,
    crs: str | int | None = None,
    encoding: str | None = None,
) -> ImportReport:
    """Import a parcel file in transactions of its own; the slow part (reading) holds none. See
    `import_parcels`.
    """
    with database.read() as session:
        terms = terms_of(published_programme(session, programme))
    examined = examine_file(path, terms, mapping or load_mapping(), now.date(), crs=crs, encoding=encoding)
    with database.write() as session:
        return take_in(session, importer, examined, terms, now, owners, dry_run)


def import_parcels(
    session: Session,
    importer: Mandate,
    path: Path,
    mapping: FieldMap | None = None,
    dry_run: bool = False,
    *,
    programme: str,
    now: datetime,
    owners: Mapping[str, str] | None = None,
    crs: str | int | None = None,
    encoding: str | None = None,
) -> ImportReport:
    """Make drafts of all rows of a file, or of none.

    A collective imports its own land; an operator says by `owners` (village: organisation id) whose each
    village's land is, and each collective signs for its own afterwards. `programme` gives the tolerances,
    `crs` declares the system of a file that states none. Raises what `geo.vector.read_parcels` raises for a
    file that cannot be read, `NotAuthorised`, `OwnerUnstated`.
    """
    terms = terms_of(published_programme(session, programme))
    examined = examine_file(path, terms, mapping or load_mapping(), now.date(), crs=crs, encoding=encoding)
    return take_in(session, importer, examined, terms, now, owners, dry_run)


# ---- examining ---------------------------------------------------------------------------------------------


def examine_file(
    path: Path,
    terms: Terms,
    mapping: FieldMap,
    today: date,
    *,
    crs: str | int | None = None,
    encoding: str | None = None,
) -> Examined:
    """Read a file and hold its rows against the mapping, the programme's terms and each other."""
    digest = _digest(path)
    return examine_rows(read_parcels(path, crs=crs, encoding=encoding), digest, terms, mapping, today)


def examine_rows(file: ParcelFile, sha256: str, terms: Terms, mapping: FieldMap, today: date) -> Examined:
    """Hold the rows of a file that was read against the mapping, the programme's terms and each other."""
    rows, problems = _rows(file, mapping)
    if not file.rows:
        problems.append(RowProblem.of(0, NoRows(), "file"))
    warnings: list[RowProblem] = []
    for row in rows:
        problems += _row_problems(row, terms, today)
        warnings += _area_warnings(row, terms)
    problems += _repeated(rows)
    for problem in _overlapping(rows, overlap_rule(terms)):
        (problems if problem.code == RowsOverlap.code else warnings).append(problem)
    return Examined(
        sha256=sha256,
        crs=file.crs,
        encoding=file.encoding,
        encoding_source=file.encoding_source,
        layer=file.layer,
        mapping=mapping.name,
        count=len(file.rows),
        rows=rows,
        problems=sorted(problems, key=lambda problem: problem.row),
        warnings=sorted(warnings, key=lambda warning: warning.row),
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rows(file: ParcelFile, mapping: FieldMap) -> tuple[list[ExaminedRow], list[RowProblem]]:
    """Rows whose fields and outline are both good, and what is wrong with the others."""
    land, faults = examine(file)
    problems = [
        RowProblem(fault.row, fault.field, fault.value, fault.code, fault.template, fault.facts)
        for fault in faults
    ]
    columns, missing = columns_of(mapping, file.rows[0].attributes if file.rows else {})
    if file.rows:
        problems += [RowProblem.of(0, one, str(one.facts["field"])) for one in missing]
    outlines = {row.number: row.geometry for row in land}
    areas_cm2 = (areas_m2(list(outlines.values())) * CM2_PER_M2).round().astype(int).tolist()
    area = dict(zip(outlines, areas_cm2, strict=True))
    good = []
    for row in file.rows:
        fields, wrong = read_row(mapping, columns, row.attributes)
        problems += [RowProblem.of(row.number, one.refusal, one.heading, one.value) for one in wrong]
        if not wrong and not missing and row.number in outlines:
            good.append(ExaminedRow(row.number, outlines[row.number], area[row.number], fields))
    return good, problems


def _row_problems(row: ExaminedRow, terms: Terms, today: date) -> Iterator[RowProblem]:
    if row.area_cm2 < terms.min_parcel_cm2:
        small = ParcelTooSmall(
            area_m2=round(row.area_cm2 / CM2_PER_M2, 2), minimum_m2=terms.min_parcel_cm2 // CM2_PER_M2
        )
        yield RowProblem.of(row.number, small)
    until = str(row.fields["tenure_until"])
    if until < today.isoformat():
        yield RowProblem.of(row.number, TenureOver(until=until), "tenure_until", until)


def _area_warnings(row: ExaminedRow, terms: Terms) -> Iterator[RowProblem]:
    declared = int(row.fields["declared_area"])
    differs = area_difference_ppm(row.area_cm2, declared)
    if differs > terms.certificate_area_tolerance_ppm:
        shown = mu_of_cm2(declared)
        warning = AreaDiffersFromCertificate(
            area_mu=mu_of_cm2(row.area_cm2), declared_mu=shown, differs_ppm=differs
        )
        yield RowProblem.of(row.number, warning, "declared_area", shown)


def _repeated(rows: Sequence[ExaminedRow]) -> Iterator[RowProblem]:
    by_key = sorted(rows, key=lambda row: (row.key, row.number))
    for first, second in pairwise(by_key):
        if first.key == second.key:
            yield RowProblem.of(
                second.number, RowRepeated(key=second.key, other=first.number), "key", second.key
            )


def _overlapping(rows: Sequence[ExaminedRow], rule: OverlapRule) -> Iterator[RowProblem]:
    """What rows of one file share with each other; the later row is named, with the earlier."""
    if not rows:
        return
    outlines = [row.geometry for row in rows]
    tree = shapely.STRtree(outlines)
    later, earlier = tree.query(outlines, predicate="intersects")
    for a, b in sorted((int(a), int(b)) for a, b in zip(later, earlier, strict=True) if b < a):
        found = overlap(outlines[a], outlines[b], rule)
        if found.kind is OverlapKind.NONE:
            continue
        kind = RowsOverlap if found.kind is OverlapKind.REFUSED else RowsShareSliver
        refusal = kind(other=rows[b].number, other_key=rows[b].key, **overlap_facts(found))
        yield RowProblem.of(rows[a].number, refusal)


# ---- taking in ---------------------------------------------------------------------------------------------


def take_in(
    session: Session,
    importer: Mandate,
    examined: Examined,
    terms: Terms,
    now: datetime,
    owners: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """Make drafts of an examined file; with problems, or in a dry run, write nothing."""
    if importer.role not in IMPORTERS:
        raise NotAuthorised(machine="parcel", action="import", needed=" / ".join(IMPORTERS))
    import_id = str(uuid.uuid5(NAMESPACE, f"{importer.organisation}/{examined.sha256}"))
    known = _drafts_of(session, import_id)
    owner_of, ownerless = _owners(session, importer, examined.rows, owners)
    problems = sorted(examined.problems + ownerless, key=lambda problem: problem.row)
    warnings = examined.warnings + _on_live_ground(session, examined.rows, overlap_rule(terms), known)
    taken = not problems and not dry_run
    drafts = known
    if taken and not known:
        made = [_draft(row, owner_of[row.number], import_id, examined.sha256, now) for row in examined.rows]
        session.add_all(made)
        session.flush()
        drafts = [draft.id for draft in made]
    return ImportReport(
        import_id=import_id,
        source_sha256=examined.sha256,
        crs=examined.crs,
        encoding=examined.encoding,
        encoding_source=examined.encoding_source,
        layer=examined.layer,
        mapping=examined.mapping,
        rows=examined.count,
        area_cm2=sum(row.area_cm2 for row in examined.rows),
        dry_run=dry_run,
        taken=taken,
        repeated=bool(known),
        drafts=drafts,
        problems=problems,
        warnings=sorted(warnings, key=lambda warning: warning.row),
    )


def _drafts_of(session: Session, import_id: str) -> list[str]:
    wanted = sa.select(ParcelDraft.id).where(ParcelDraft.import_id == import_id)
    return list(session.scalars(wanted.order_by(ParcelDraft.row_number)))


def _owners(
    session: Session, importer: Mandate, rows: Sequence[ExaminedRow], owners: Mapping[str, str] | None
) -> tuple[dict[int, str], list[RowProblem]]:
    """The owner of each row's parcel, and the rows that have none."""
    if importer.role is Role.COLLECTIVE:
        return {row.number: importer.organisation for row in rows}, []
    if owners is None:
        raise OwnerUnstated(role=importer.role.value)
    for organisation in sorted(set(owners.values())):
        if load_organisation(session, organisation).kind != Role.COLLECTIVE:
            raise OwnerUnstated(role=importer.role.value)
    found, ownerless = {}, []
    for row in rows:
        village = str(row.fields["village"])
        if village in owners:
            found[row.number] = owners[village]
        else:
            refusal = VillageWithoutOwner(village=village)
            ownerless.append(RowProblem.of(row.number, refusal, "village", village))
    return found, ownerless


def _on_live_ground(
    session: Session, rows: Sequence[ExaminedRow], rule: OverlapRule, own: Sequence[str]
) -> list[RowProblem]:
    """Overlap check at submission: what the drafts share with parcels that are somebody's already."""
    touched = {cell for row in rows for cell in cells(row.geometry)}
    live = live_neighbours(session, touched, except_parcels=frozenset(own))
    if not live:
        return []
    ids = list(live)
    tree = shapely.STRtree([live[id_][1] for id_ in ids])
    found = []
    for row in rows:
        near = [ids[int(n)] for n in sorted(tree.query(row.geometry))]
        met = meeting(row.geometry, [live[id_][1] for id_ in near])
        for id_ in (id_ for id_, meets in zip(near, met, strict=True) if meets):
            status, outline = live[id_]
            shared = overlap(row.geometry, outline, rule)
            if shared.kind is not OverlapKind.NONE:
                warning = LiesOnParcel(parcel=id_, status=status, **overlap_facts(shared))
                found.append(RowProblem.of(row.number, warning))
    return found


_TENURE: Final = {
    "tenure_kind": "kind",
    "certificate": "certificate",
    "tenure_until": "until",
    "declared_area": "declared_cm2",
}
_OWN_COLUMNS: Final = ("county", "village", "stand_type")


def _draft(row: ExaminedRow, organisation: str, import_id: str, sha256: str, now: datetime) -> ParcelDraft:
    fields = row.fields
    attributes = {
        name: value for name, value in fields.items() if name not in _TENURE and name not in _OWN_COLUMNS
    }
    return ParcelDraft(
        id=str(uuid.uuid5(uuid.UUID(import_id), str(row.number))),
        organisation_id=organisation,
        import_id=import_id,
        row_number=row.number,
        wkb=to_wkb(row.geometry),
        area_cm2=row.area_cm2,
        county=fields["county"],
        code=row.key[:80],
        village=fields["village"],
        stand_type=fields["stand_type"],
        tenure={name: fields[source] for source, name in _TENURE.items()},
        attributes={**attributes, "key": row.key},
        source_sha256=sha256,
        submitted=False,
        created_at=now,
    )


def discard_import(session: Session, importer: Mandate, import_id: str) -> int:
    """Drop the drafts of an own import that were not submitted; answers how many."""
    drafts = list(
        session.scalars(
            sa.select(ParcelDraft).where(ParcelDraft.import_id == import_id, ParcelDraft.submitted.is_(False))
        )
    )
    own = str(uuid.uuid5(NAMESPACE, f"{importer.organisation}/{drafts[0].source_sha256}")) if drafts else None
    if own != import_id:
        return 0
    for draft in drafts:
        session.delete(draft)
    return len(drafts)
