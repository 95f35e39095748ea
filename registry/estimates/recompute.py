"""The same kilograms again, from a record and files found by their digests, on any machine.

1. The method and the parameter tables of this code are those of the record.
2. Every file and every outline that the record names is there, byte for byte.
3. The run is computed anew, by the code that computed it first.
4. Kilograms are compared exactly, other figures to nine digits.

Whatever differs is named; only when nothing does are the kilograms confirmed.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from geo.crs import Polygonal
from geo.errors import GeoRefusal
from geo.polygon import canonical, digest, from_wkb, to_wkb
from ledger.canonical import JsonValue
from registry.estimates.inputs import RunInputs, method_inputs
from registry.estimates.methods.errors import UnknownMethod
from registry.estimates.rasters import file_sha256
from registry.estimates.run import compute, software
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


def recompute(record_json: str, resolve: Resolve) -> Recomputed:
    """Compute a run again from its record alone. Raises `RecordMalformed`, and what `compute` raises."""
    record = RunRecord(record_json)
    inputs = record.inputs
    differences = [*_of_method(inputs), *_of_record(record, inputs)]
    files, missing = _files(inputs, resolve)
    outlines, unknown = _outlines(inputs, resolve)
    differences += missing + unknown
    if missing or unknown or any(one.name == "method" and one.found is None for one in differences):
        return Recomputed(None, record.estimate_kg, tuple(differences))
    again = compute(inputs, [outlines[parcel.geometry_sha256] for parcel in inputs.parcels], files)
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


def _of_method(inputs: RunInputs) -> Iterator[Difference]:
    try:
        ours = method_inputs(inputs.method)
    except UnknownMethod:
        yield Difference("method", inputs.method, None)
        return
    if ours["method_sha256"] != inputs.method_sha256:
        yield Difference("method", inputs.method_sha256, ours["method_sha256"])
    for table in sorted({*inputs.parameter_tables, *ours["parameter_tables"]}):
        expected, found = inputs.parameter_tables.get(table), ours["parameter_tables"].get(table)
        if expected != found:
            yield Difference(f"parameter_tables.{table}", str(expected), found)


def _of_record(record: RunRecord, inputs: RunInputs) -> Iterator[Difference]:
    """A record whose inputs were changed after it was made does not carry their digest."""
    stated = str(record.document.get("inputs_sha256"))
    if stated != inputs.digest():
        yield Difference("inputs_sha256", stated, inputs.digest())


def _of_software(record: RunRecord) -> list[Difference]:
    """Libraries of another version, the likely cause when everything else is the same."""
    then = record.document.get("software")
    recorded = then if isinstance(then, dict) else {}
    return [
        Difference(f"software.{name}", str(recorded.get(name)), str(version))
        for name, version in software().items()
        if recorded.get(name) != version
    ]


def _files(inputs: RunInputs, resolve: Resolve) -> tuple[dict[str, Path], list[Difference]]:
    files: dict[str, Path] = {}
    missing: list[Difference] = []
    for name, sha256 in inputs.file_digests.items():
        path = resolve(sha256)
        found = None if path is None else file_sha256(path)
        if path is None or found != sha256:
            missing.append(Difference(name, sha256, found))
        else:
            files[name] = path
    return files, missing


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
            yield from _compared(one, other, f"{name}.{number}")
    elif recorded != again and not _close(recorded, again):
        yield Difference(name, _shown(recorded), _shown(again))


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
