"""What a parcel file was found to be: its rows by the mapping, by the programme's terms, and by each other.

The first half of an import, outside any transaction: reading and outlines in the confined child
(`geo.examine`), then the fields. What is registered is asked afterwards (`imports.judge`).
"""

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from geo.crs import far_from_meridian
from geo.datum import Datum
from geo.examine import Declared, Examination, OutlineFault, Progress, examine_file, examine_parcels
from geo.polygon import OverlapKind
from geo.vector import ParcelFile
from registry.parcels.ground import CM2_PER_M2, overlap_facts, overlap_rule
from registry.parcels.mapping import (
    FieldMap,
    Read,
    columns_of,
    named_fields,
    read_rows,
    shared_values,
)
from registry.parcels.report import (
    AreaDiffersFromCertificate,
    NoRows,
    ParcelTooSmall,
    RepairUnknown,
    RowProblem,
    RowRepeated,
    RowsOverlap,
    RowsShareSliver,
    TenureOver,
)
from registry.parcels.rules import area_difference_ppm, mu_of_cm2
from registry.programmes.rules import Terms

NAMESPACE: Final = uuid.UUID("0c8f1d4e-51f0-5b83-9a64-3f1de2c75b10")
UNKNOWN_KEY: Final = "—"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the uploader says about a file.

    `programme` gives the tolerances; `crs`, `encoding`, `layer`, `datum` and `swapped` say how it is read;
    `values` are fields that the whole file shares and has no columns for, `repairs` the digests of proposed
    outlines that are accepted, by row; `owners` says for an operator whose each village's land is (village:
    organisation id).
    """

    programme: str
    crs: str | int | None = None
    encoding: str | None = None
    layer: str | None = None
    datum: Datum = Datum.AS_STATED
    swapped: bool = False
    repairs: Mapping[int, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, str] | None = None

    def of_file(self) -> Declared:
        """What of it concerns reading and outlines."""
        return Declared(self.crs, self.encoding, self.layer, self.datum, self.swapped, self.repairs)

    def to_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came: its own name, digest and size."""

    name: str
    sha256: str
    size_bytes: int

    @classmethod
    def of(cls, path: Path) -> "Upload":
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(path.name[-100:], digest, path.stat().st_size)

    def import_id(self, organisation: str) -> str:
        """The id of this file's import by an organisation."""
        return str(uuid.uuid5(NAMESPACE, f"{organisation}/{self.sha256}"))


@dataclass(frozen=True, slots=True)
class ExaminedRow:
    """A row without faults: canonical outline in EPSG:4490 (ISO WKB), its cells, its fields, its key, the
    outline as it was uploaded, and the change in area (ppm) of a repair that was accepted.
    """

    number: int
    wkb: bytes
    area_cm2: int
    cells: Sequence[int]
    fields: Mapping[str, Read]
    key: str
    source_wkb: bytes | None
    repair_ppm: int | None


def key_of(fields: Mapping[str, Read]) -> str:
    """How plots and people name a row: county, village, compartment, number."""
    names = ("county", "village", "compartment", "subcompartment")
    return "-".join(str(fields[name]) for name in names) if set(names) <= fields.keys() else UNKNOWN_KEY


@dataclass(frozen=True, slots=True)
class Examined:
    """A file as examined: good rows, everything that is wrong, and what is only worth saying."""

    upload: Upload
    declared: Declaration
    file: Examination
    mapping: FieldMap
    columns: Mapping[str, str]
    rows: list[ExaminedRow]
    problems: list[RowProblem]
    warnings: list[RowProblem]

    @property
    def headings(self) -> list[str]:
        return list(self.file.attributes[0]) if self.file.attributes else []


# ---- examining ---------------------------------------------------------------------------------------------


def examine_upload(
    path: Path,
    upload: Upload,
    declared: Declaration,
    terms: Terms,
    mapping: FieldMap,
    today: date,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Examined:
    """Read a file and hold its rows against the mapping, the programme's terms and each other."""
    file = examine_file(path, declared.of_file(), rule=overlap_rule(terms), progress=progress, stop=stop)
    return examine_fields(file, upload, declared, terms, mapping, today)


def examine_rows(
    file: ParcelFile, upload: Upload, declared: Declaration, terms: Terms, mapping: FieldMap, today: date
) -> Examined:
    """As `examine_upload`, of rows that were read before."""
    examination = examine_parcels(file, declared.of_file(), rule=overlap_rule(terms))
    return examine_fields(examination, upload, declared, terms, mapping, today)


def examine_fields(
    file: Examination, upload: Upload, declared: Declaration, terms: Terms, mapping: FieldMap, today: date
) -> Examined:
    """Hold the fields of examined rows against the mapping and the programme's terms."""
    problems = [_of_fault(fault) for fault in file.faults]
    if not file.count:
        problems.append(RowProblem.of(0, NoRows(), "file"))
    columns, fields, wrong = _fields(file, mapping, declared.values)
    problems += wrong
    rows = list(_good_rows(file, fields, wrong))
    warnings = [
        RowProblem.of(file.numbers[n], refusal) for n, refusal in far_from_meridian(file.crs, file.bounds)
    ]
    for row in rows:
        problems += _row_problems(row, terms, today)
        warnings += _area_warnings(row, terms)
    problems += _repeated(rows)
    problems += _unknown_repairs(file, declared)
    for problem in _overlapping(file, fields):
        (problems if problem.code == RowsOverlap.code else warnings).append(problem)
    return Examined(
        upload=upload,
        declared=declared,
        file=file,
        mapping=mapping,
        columns=columns,
        rows=rows,
        problems=sorted(problems, key=lambda problem: problem.row),
        warnings=sorted(warnings, key=lambda warning: warning.row),
    )


def _of_fault(fault: OutlineFault) -> RowProblem:
    return RowProblem(
        fault.row, fault.field, fault.value, fault.code, fault.template, fault.facts, fault.repair
    )


def _fields(
    file: Examination, mapping: FieldMap, given: Mapping[str, str]
) -> tuple[dict[str, str], list[dict[str, Read]], list[RowProblem]]:
    """Columns by field, the fields of every row of the file, and what is wrong with them."""
    if not file.count:
        return {}, [], []
    headings = list(file.attributes[0])
    columns, missing = columns_of(mapping, headings, named_fields(mapping, given))
    problems = [RowProblem.of(0, one, str(one.facts["field"])) for one in missing]
    shared, wrong = shared_values(mapping, columns, given)
    problems += [RowProblem.of(0, one.refusal, one.heading, one.value) for one in wrong]
    fields, faults = read_rows(mapping, columns, file.attributes)
    for n, listed in faults.items():
        problems += [RowProblem.of(n + 1, one.refusal, one.heading, one.value) for one in listed]
    if shared:
        for own in fields:
            own.update(shared)
    return columns, fields, problems


def _good_rows(
    file: Examination,
    fields: Sequence[Mapping[str, Read]],
    problems: Sequence[RowProblem],
) -> Iterator[ExaminedRow]:
    """Rows whose fields and outline are both good."""
    bad = {problem.row for problem in problems}
    if 0 in bad:
        return
    for number, wkb, area_cm2, cells in zip(file.numbers, file.wkb, file.areas_cm2, file.cells, strict=True):
        if number not in bad:
            own, repair = fields[number - 1], file.repaired.get(number)
            yield ExaminedRow(
                number, wkb, area_cm2, cells.tolist(), own, key_of(own), file.source_wkb[number - 1],
                None if repair is None else repair.change_ppm,
            )  # fmt: skip


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
    by_key = sorted((row.key, row.number) for row in rows)
    for (key, first), (other, second) in pairwise(by_key):
        if key == other:
            yield RowProblem.of(second, RowRepeated(key=key, other=first), "key", key)


def _unknown_repairs(file: Examination, declared: Declaration) -> Iterator[RowProblem]:
    """Digests that were accepted for rows that have no such proposal."""
    for number, sha256 in sorted(declared.repairs.items()):
        if number not in file.repaired:
            yield RowProblem.of(number, RepairUnknown(sha256=sha256), "accept_repairs", sha256)


def _overlapping(file: Examination, fields: Sequence[Mapping[str, Read]]) -> Iterator[RowProblem]:
    """What rows of one file share with each other; the later row is named, with the earlier."""
    for later, earlier, found in file.overlaps:
        if found.kind is not OverlapKind.NONE:
            kind = RowsOverlap if found.kind is OverlapKind.REFUSED else RowsShareSliver
            other_key = key_of(fields[earlier - 1])
            refusal = kind(other=int(earlier), other_key=other_key, **overlap_facts(found))
            yield RowProblem.of(int(later), refusal, shared=found.geometry)
