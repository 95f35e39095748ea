"""The same kilograms again, from a record and files found by their digests, on any machine.

1. The method and the parameter tables of this code are those of the record.
2. Every file and every outline that the record names is there, byte for byte, and the record says of them
   what they are.
3. The run is computed anew, by the code that computed it first.
4. Kilograms are compared exactly, other figures to nine digits.

Whatever differs is named, as exactly as it can be told: a raster, the outline of a parcel, a row of a
parameter table, a plot, a field of the record. Only when nothing differs are the kilograms confirmed.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from geo.crs import Polygonal, area_m2
from geo.errors import GeoRefusal
from geo.polygon import canonical, digest, from_wkb, to_wkb
from geo.raster import RasterSource
from geo.work import Progress
from ledger.canonical import JsonValue
from registry.estimates.ground import CM2_PER_M2, Cover
from registry.estimates.input_files import READERS, file_sha256
from registry.estimates.inputs import RunInputs, method_inputs
from registry.estimates.methods import MethodRefusal, method_version
from registry.estimates.methods.errors import UnknownMethod
from registry.estimates.parameter_rows import differing_rows, table_document, table_sha256
from registry.estimates.plain import plain
from registry.estimates.proof import plot_digest
from registry.estimates.run import compute, fresh_cover, software
from registry.estimates.run_record import RunRecord

Resolve = Callable[[str], Path | None]
"""The file whose SHA-256 is the given one. An outline's file is the well-known binary of its canonical
form.
"""

_DIGITS: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Difference:
    """An input or figure that is not what the record says; `found` is None where there is nothing."""

    name: str
    expected: str
    found: str | None


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What came out: kilograms (None where a file is missing), and all that differs from the record."""

    kg: int | None
    recorded_kg: int
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        return self.kg == self.recorded_kg and not self.differences


def recompute(
    record_json: str,
    resolve: Resolve,
    *,
    tables: Mapping[str, object] | None = None,
    cover: Cover = fresh_cover,
    progress: Progress | None = None,
) -> Recomputed:
    """Compute a run again from its record alone. Raises `RecordMalformed`, and what `compute` raises.

    `tables` are parameter tables that came with the record, as documents: with them a changed row is named.
    """
    record = RunRecord(record_json)
    inputs = record.inputs
    differences = [*_of_method(record), *_of_tables(record, tables or {}), *_of_record(record)]
    files, missing = _files(record, resolve)
    outlines, unknown = _outlines(inputs, resolve)
    differences += missing + unknown
    if missing or unknown or any(one.name == "method" and one.found is None for one in differences):
        return Recomputed(None, record.estimate_kg, tuple(differences))
    differences += [*_of_grids(inputs, files), *_of_areas(inputs, outlines)]
    again = compute(
        inputs, [outlines[parcel.geometry_sha256] for parcel in inputs.parcels], files, cover, progress
    )
    changed = list(_compared(record.document, again.document))
    if changed:
        changed += _of_software(record)
    return Recomputed(again.estimate_kg, record.estimate_kg, tuple(differences + changed))


def folder(*paths: Path) -> Resolve:
    """Files of folders by the digest of their bytes, whatever their names."""
    known: dict[str, Path] = {}
    for path in paths:
        for file in sorted(path.rglob("*")):
            sha256 = file_sha256(file) if file.is_file() else None
            if sha256 is not None:
                known.setdefault(sha256, file)
    return known.get


def write_outlines(outlines: Mapping[str, Polygonal], into: Path) -> None:
    """Write outlines as files that `folder` finds by digest; what a bundle holds."""
    into.mkdir(parents=True, exist_ok=True)
    for sha256, outline in outlines.items():
        (into / f"{sha256}.wkb").write_bytes(to_wkb(canonical(outline)))


# ---- inputs ------------------------------------------------------------------------------------------------


def _of_method(record: RunRecord) -> Iterator[Difference]:
    """Another method, or another version of its code; fields of it where the record spells them."""
    inputs = record.inputs
    try:
        ours = method_version(inputs.method)
    except UnknownMethod:
        yield Difference("method", inputs.method, None)
        return
    if ours.digest() != inputs.method_sha256:
        yield Difference("method", inputs.method_sha256, ours.digest())
    recorded, known = record.document.get("method"), ours.record()
    if isinstance(recorded, dict):
        for name in sorted({*recorded, *known} - {"parameter_tables"}):
            if recorded.get(name) != known.get(name):
                yield Difference(f"method.{name}", str(recorded.get(name)), str(known.get(name)))


def _of_tables(record: RunRecord, brought: Mapping[str, object]) -> Iterator[Difference]:
    """Tables that this code or the record's company has in another form, with their rows where both forms are
    at hand.
    """
    recorded = record.inputs.parameter_tables
    try:
        ours = method_inputs(record.inputs.method)["parameter_tables"]
    except UnknownMethod:
        ours = {}
    for table in sorted({*recorded, *ours}):
        expected, found = recorded.get(table), ours.get(table)
        if found is not None and expected != found:
            yield Difference(f"parameter_tables.{table}", str(expected), found)
            if table in brought and table_sha256(brought[table]) == expected:
                yield from _of_rows(table, brought[table], table_document(table))
    for table, document in sorted(brought.items()):
        found = table_sha256(document)
        if found != recorded.get(table):
            yield Difference(f"method/tables/{table}.json", str(recorded.get(table)), found)
            if ours.get(table) == recorded.get(table) is not None:
                yield from _of_rows(table, table_document(table), document)


def _of_rows(table: str, expected: object, found: object) -> Iterator[Difference]:
    for name, one, other in differing_rows(table, expected, found):
        yield Difference(f"parameter_tables.{name}", one, other)


def _of_record(record: RunRecord) -> Iterator[Difference]:
    """A record whose inputs were changed after it was made does not carry their digests."""
    stated, found = str(record.document.get("inputs_sha256")), record.inputs.digest()
    if stated == found:
        return
    yield Difference("inputs_sha256", stated, found)
    kept = record.document.get("inputs_parts_sha256")
    if isinstance(kept, dict):
        for name, digest_ in record.inputs.part_digests().items():
            if kept.get(name) != digest_:
                yield Difference(f"inputs.{name}", str(kept.get(name)), digest_)


def _of_grids(inputs: RunInputs, files: Mapping[str, Path]) -> Iterator[Difference]:
    """A raster that does not lie where its statement says."""
    for raster in inputs.rasters:
        if raster.grid is None:
            continue
        with RasterSource.open(files[raster.name]) as source:
            found = {name: plain(value) for name, value in source.grid.as_dict().items()}
        for name in sorted({*raster.grid, *found}):
            if raster.grid.get(name) != found.get(name):
                yield Difference(
                    f"rasters.{raster.name}.grid.{name}", str(raster.grid.get(name)), str(found.get(name))
                )


def _of_areas(inputs: RunInputs, outlines: Mapping[str, Polygonal]) -> Iterator[Difference]:
    """An area that is not its outline's on the ellipsoid, beyond what libraries differ by; records of the
    first release may hold areas that were brought along.
    """
    for parcel in inputs.parcels if inputs.record_version > 1 else ():
        found = area_m2(outlines[parcel.geometry_sha256]) * CM2_PER_M2
        if not math.isclose(parcel.area_cm2, found, rel_tol=_DIGITS, abs_tol=CM2_PER_M2):
            yield Difference(f"parcels.{parcel.number}.area_cm2", str(parcel.area_cm2), str(round(found)))


def _of_software(record: RunRecord) -> list[Difference]:
    """Libraries of another version, the likely cause when everything else is the same."""
    then = record.document.get("software")
    recorded = then if isinstance(then, dict) else {}
    return [
        Difference(f"software.{name}", str(recorded.get(name)), str(version))
        for name, version in software(record.version).items()
        if recorded.get(name) != version
    ]


def _files(record: RunRecord, resolve: Resolve) -> tuple[dict[str, Path], list[Difference]]:
    files: dict[str, Path] = {}
    missing: list[Difference] = []
    for name, sha256 in record.inputs.file_digests.items():
        path = resolve(sha256)
        found = None if path is None else file_sha256(path)
        if path is None or found != sha256:
            missing.append(Difference(name, sha256, found))
            missing += _of_plots(record, path) if name == "plots" and path is not None else []
        else:
            files[name] = path
    return files, missing


def _of_plots(record: RunRecord, path: Path) -> list[Difference]:
    """The plots of a changed file whose rows are not those that the record was made from."""
    evidence, plots = record.document.get("evidence"), record.inputs.plots
    used = evidence.get("plots") if isinstance(evidence, dict) else None
    if not isinstance(used, list) or plots is None:
        return []
    try:
        rows = READERS[plots.measurement](path.read_bytes())
    except MethodRefusal:
        return []  # no plots at all: the file itself is named
    found = {plot.plot_id: plot_digest(plot) for plot in rows}
    recorded = {str(one.get("plot_id")): str(one.get("row_sha256")) for one in used if isinstance(one, dict)}
    return [
        Difference(f"plots.{plot}", sha256, found.get(plot))
        for plot, sha256 in recorded.items()
        if found.get(plot) != sha256
    ]


def _outlines(inputs: RunInputs, resolve: Resolve) -> tuple[dict[str, Polygonal], list[Difference]]:
    outlines: dict[str, Polygonal] = {}
    missing: list[Difference] = []
    for parcel in inputs.parcels:
        expected = parcel.geometry_sha256
        outline, found = _outline(resolve(expected))
        if outline is None or found != expected:
            missing.append(Difference(f"parcels.{parcel.number}.geometry", expected, found))
        else:
            outlines[expected] = outline
    return outlines, missing


def _outline(path: Path | None) -> tuple[Polygonal | None, str | None]:
    if path is None:
        return None, None
    try:
        outline = canonical(from_wkb(path.read_bytes()))
    except (OSError, GeoRefusal):
        return None, file_sha256(path)
    return outline, digest(outline)


# ---- results -----------------------------------------------------------------------------------------------


def _compared(recorded: JsonValue, again: JsonValue, name: str = "") -> Iterator[Difference]:
    """Where two records differ, down to the figure; the software's versions are no result."""
    if isinstance(recorded, dict) and isinstance(again, dict):
        for key in sorted({*recorded, *again} - ({"software"} if not name else set())):
            yield from _compared(recorded.get(key), again.get(key), f"{name}.{key}" if name else key)
    elif isinstance(recorded, list) and isinstance(again, list) and len(recorded) == len(again):
        for number, (one, other) in enumerate(zip(recorded, again, strict=True)):
            yield from _compared(one, other, f"{name}.{_called(one, number)}")
    elif recorded != again and not _close(recorded, again):
        yield Difference(name, _shown(recorded), _shown(again))


def _called(item: JsonValue, number: int) -> str:
    """What a list calls its item: a parcel by its number, a line of the chain by its name."""
    if not isinstance(item, dict):
        return str(number)
    return next(
        (str(item[name]) for name in ("number", "line", "plot_id", "name") if name in item), str(number)
    )


def _close(recorded: JsonValue, again: JsonValue) -> bool:
    """Two decimal texts that are the same to nine digits. Whole numbers (kilograms, cm2) are never close."""
    if not isinstance(recorded, str) or not isinstance(again, str):
        return False
    try:
        return math.isclose(float(recorded), float(again), rel_tol=_DIGITS, abs_tol=_DIGITS)
    except ValueError:
        return False


def _shown(value: JsonValue) -> str:
    return str(value)[:120]
