"""A whole parcel file examined: read, brought to the form of record, checked, measured, and its rows held
against each other, all in the confined child process (`reading.worker`).

The file is a stranger's and so are its coordinates: an outline can be made to cost GEOS hours or gigabytes.
So everything that looks at them happens in the child, within its limits of time and memory; this process
starts it, passes its progress on and loads arrays.
"""

import json
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo import batch, confined, pairs
from geo.confined import Progress, refusal_of
from geo.crs import Floats, Polygonal, crs_text
from geo.datum import Datum, check_datum_fits
from geo.errors import GeometryBeyondRepair, GeometryInvalid, GeoRefusal
from geo.polygon import Overlap, OverlapKind, OverlapRule, to_wkb
from geo.ragged import Ints, Shapes, starts
from geo.reading import worker
from geo.reading.rows import Attribute, Read, Task
from geo.repair import Repair, judge_repair
from geo.vector import (
    Limits,
    ParcelFile,
    RowFault,
    _environment,
    _fault,
    _kind,
    _system,
)

__all__ = [
    "EXAMINE_LIMITS",
    "Declared",
    "Examination",
    "OutlineFault",
    "Progress",
    "examine_file",
    "examine_parcels",
]

EXAMINE_LIMITS: Final = Limits(seconds=120, memory_mib=4096)
"""What a file may cost that is examined, not only read: 200,000 parcels of fifty vertices take half of it."""

READING: Final = "reading"
OUTLINES: Final = "outlines"
OVERLAPS: Final = "overlaps"
STEPS: Final = (READING, OUTLINES, OVERLAPS)
"""What `progress` speaks of, in this order."""

_REPAIR_WORK: Final = 60_000_000
_REPAIR_EACH: Final = 10_000
"""Proposals are made while the squares of the outlines' vertices, and this for each, stay within the work: a
quarter of a minute. A file with more invalid outlines than that is not repaired row by row."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What the uploader says about the file.

    `repairs`: for a row's number the SHA-256 of the proposed outline that is accepted in place of the drawn
    one.
    """

    crs: str | int | None = None
    encoding: str | None = None
    layer: str | None = None
    datum: Datum = Datum.AS_STATED
    swapped: bool = False
    repairs: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutlineFault(RowFault):
    """What is wrong with one outline, and a proposal if it is that it is not valid."""

    repair: Repair | None = None


@dataclass(frozen=True, slots=True)
class Examination:
    """A file as examined. Rows count from 1 in the file's order; every row is among the good ones or has a
    fault.

    `crs` to `count` say how the file was read, `attributes` are those of every row, `source_wkb` every row's
    geometry as it was drawn, in the file's system (None where it has none). Of the good rows, in their order:
    `numbers`, the canonical outline in EPSG:4490 as WKB, its area, its 512 m cells, its bounds (n, 4).
    `repaired` are the proposals that were accepted and taken, by row; `overlaps` what good rows share with
    each other: the later row, the earlier row, and the overlap of the later with the earlier.
    """

    crs: str
    datum: Datum
    swapped: bool
    encoding: str
    encoding_source: str
    layer: str
    kind: str
    hints: tuple[str, ...]
    count: int
    attributes: list[dict[str, Attribute]]
    source_wkb: list[bytes | None]
    numbers: list[int]
    wkb: list[bytes]
    areas_cm2: list[int]
    cells: list[Ints]
    bounds: Floats
    faults: list[OutlineFault]
    repaired: dict[int, Repair]
    overlaps: list[tuple[int, int, Overlap]]


def examine_file(
    path: str | os.PathLike[str],
    declared: Declared,
    *,
    rule: OverlapRule | None,
    limits: Limits = EXAMINE_LIMITS,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Examination:
    """Examine a file in a child process; without a `rule`, rows are not held against each other. It is given
    up when `stop` is set (ReaderStopped).

    `progress` is told a step (`STEPS`), how much of it is done, and of how much. Raises what
    `vector.read_parcels` raises, DatumConflict, TooMuchOverlap.
    """
    file = Path(path).resolve()
    kind = _kind(file, limits)
    with tempfile.TemporaryDirectory(prefix="tanhui-examine-") as name:
        folder = Path(name)
        task = Task(
            path=str(file),
            kind=kind,
            folder=name,
            layer=declared.layer,
            encoding=declared.encoding,
            max_features=limits.features,
            max_unpacked_bytes=limits.unpacked_bytes,
            seconds=limits.seconds * batch.THREADS,  # of processor time
            memory_mib=limits.memory_mib,
            crs_declared=declared.crs is not None,
        )
        _run(task, _order(declared, rule), limits, progress, stop)
        return _load(folder, declared)


def examine_parcels(file: ParcelFile, declared: Declared, *, rule: OverlapRule | None) -> Examination:
    """Examine rows that were read before, in this process: for files that are no stranger's."""
    check_datum_fits(file.crs, declared.datum)
    shapes = [row.geometry for row in file.rows]
    problems = {at: row.problem for at, row in enumerate(file.rows) if row.problem is not None}
    outlines = _outlines(shapes, problems, file.crs, declared, rule, None)
    drawn = [row.geometry if row.drawn is None else row.drawn for row in file.rows]
    return Examination(
        crs=file.crs,
        datum=declared.datum,
        swapped=declared.swapped,
        encoding=file.encoding,
        encoding_source=file.encoding_source,
        layer=file.layer,
        kind=file.kind,
        hints=file.hints,
        count=len(file.rows),
        attributes=[dict(row.attributes) for row in file.rows],
        source_wkb=shapely.to_wkb(_objects(drawn), byte_order=1, output_dimension=2).tolist(),
        **_of_outlines(outlines),
    )


# --- the work -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Outlines:
    """What the outlines of a file came to; rows are counted from 0 here."""

    rows: Ints
    wkb: list[bytes]
    areas_cm2: Ints
    cells: Ints
    starts: Ints
    bounds: Floats
    faults: list[OutlineFault]
    repaired: dict[int, Repair]
    overlaps: list[tuple[int, int, Overlap]]


def _outlines(
    shapes: Sequence[BaseGeometry | None],
    problems: Mapping[int, GeoRefusal],
    crs: str,
    declared: Declared,
    rule: OverlapRule | None,
    progress: Progress | None,
) -> _Outlines:
    """All that is asked of outlines. `problems` are those that reading had with rows."""
    recorded = batch.record(
        shapes, crs, datum=declared.datum, swapped=declared.swapped, progress=_told(progress, OUTLINES)
    )
    refused = {**recorded.refused, **problems}
    repairs, why = _repairs(recorded.invalid, declared)
    refused |= {
        row: GeometryBeyondRepair(**refused[row].facts, why=word)
        for row, word in why.items()
        if isinstance(refused[row], GeometryInvalid)
    }
    taken = {row: one for row, one in repairs.items() if declared.repairs.get(row + 1) == one.sha256}
    if taken:
        recorded = _with_repairs(recorded, taken)
    rows = np.flatnonzero(shapely.is_geometry(recorded.outlines))
    outlines = recorded.outlines[rows]
    faults = [
        _outline_fault(row + 1, refusal, repairs.get(row))
        for row, refusal in sorted(refused.items())
        if row not in taken
    ]
    found = [] if rule is None else pairs.among(list(outlines), rule, progress=_told(progress, OVERLAPS))
    return _Outlines(
        rows=rows,
        wkb=[one for one in recorded.wkb if one is not None],
        areas_cm2=recorded.areas_cm2[rows],
        cells=recorded.cells,
        starts=starts(np.diff(recorded.starts)[rows]),
        bounds=shapely.bounds(outlines).reshape(-1, 4),
        faults=faults,
        repaired=taken,
        overlaps=[(int(rows[later]), int(rows[earlier]), one) for later, earlier, one in found],
    )


def _told(progress: Progress | None, step: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(step, done, total)


def _outline_fault(number: int, refusal: GeoRefusal, repair: Repair | None) -> OutlineFault:
    fault = _fault(number, refusal)
    return OutlineFault(fault.row, fault.field, fault.value, fault.code, fault.template, fault.facts, repair)


def _repairs(
    invalid: Mapping[int, Polygonal], declared: Declared
) -> tuple[dict[int, Repair], dict[int, str]]:
    """Proposals for invalid outlines, and why there is none for the others; those that were accepted before
    come first, then the file's order.
    """
    accepted = {number - 1 for number in declared.repairs}
    found: dict[int, Repair] = {}
    why = dict.fromkeys(invalid, "not_tried")
    work = _REPAIR_WORK
    for row in sorted(invalid, key=lambda row: (row not in accepted, row)):
        work -= int(shapely.get_num_coordinates(invalid[row])) ** 2 + _REPAIR_EACH
        if work < 0:
            break
        judged = judge_repair(invalid[row])
        if isinstance(judged, Repair):
            found[row] = judged
            del why[row]
        else:
            why[row] = judged.value
    return found, why


def _with_repairs(recorded: batch.Recorded, taken: Mapping[int, Repair]) -> batch.Recorded:
    """The rows with the proposed outlines in place of the drawn ones."""
    order = sorted(taken)
    mended = batch.record([taken[row].geometry for row in order], "EPSG:4490")
    assert not mended.refused, "a proposal is valid and in the form of record"
    outlines, wkb, areas = recorded.outlines.copy(), list(recorded.wkb), recorded.areas_cm2.copy()
    cells = np.split(recorded.cells, recorded.starts[1:-1])
    for at, row in enumerate(order):
        outlines[row], wkb[row], areas[row] = mended.outlines[at], mended.wkb[at], mended.areas_cm2[at]
        cells[row] = np.array(mended.cells_of(at), dtype=np.int64)
    return replace(
        recorded,
        outlines=outlines,
        wkb=wkb,
        areas_cm2=areas,
        cells=np.concatenate(cells),
        starts=starts(np.array([len(one) for one in cells], dtype=np.int64)),
    )


def _of_outlines(found: _Outlines) -> dict[str, Any]:
    """The fields of an examination that speak of outlines."""
    begin = found.starts.tolist()
    return {
        "numbers": (found.rows + 1).tolist(),
        "wkb": found.wkb,
        "areas_cm2": found.areas_cm2.tolist(),
        "cells": [found.cells[a:b] for a, b in pairwise(begin)],
        "bounds": found.bounds,
        "faults": found.faults,
        "repaired": {row + 1: repair for row, repair in found.repaired.items()},
        "overlaps": [(later + 1, earlier + 1, one) for later, earlier, one in found.overlaps],
    }


# --- in the child -------------------------------------------------------------------------------------------


def work(folder: Path, order: str, read: Callable[[], Read]) -> None:
    """The child's part: read, examine, and leave the result in the folder. Raises refusals of the file."""
    wanted = json.loads(order)
    declared = _declared(wanted["declared"])
    rule = None if wanted["rule"] is None else OverlapRule(**wanted["rule"])
    with (folder / "progress").open("w", encoding="ascii", buffering=1) as lines:

        def progress(step: str, done: int, total: int) -> None:
            lines.write(f"{step} {done} {total}\n")

        progress(READING, 0, 1)
        file = read()
        system = _system(file.crs, declared.crs)
        check_datum_fits(system, declared.datum)
        crs = crs_text(system)
        progress(READING, 1, 1)
        problems = {at: row.problem for at, row in enumerate(file.rows) if row.problem is not None}
        _keep_source(folder, file)
        head = {
            "crs": crs,
            "layer": file.layer,
            "encoding": file.encoding,
            "encoding_source": file.encoding_source,
            "kind": file.kind,
            "hints": file.hints,
            "count": len(file.rows),
        }
        (folder / "attributes.json").write_bytes(_attributes(file))
        shapes = list(shapely.from_wkb(_objects([row.wkb for row in file.rows])))
        del file
        found = _outlines(shapes, problems, crs, declared, rule, progress)
    _keep(folder, head, found)


def _declared(plain: dict[str, Any]) -> Declared:
    repairs = {int(number): sha256 for number, sha256 in plain.pop("repairs").items()}
    return Declared(**{**plain, "datum": Datum(plain["datum"])}, repairs=repairs)


def _objects(values: Sequence[object]) -> Shapes:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _attributes(file: Read) -> bytes:
    """The attributes of all rows, by column where every row has the same ones, and has any."""
    rows = [row.attributes for row in file.rows]
    names = list(rows[0]) if rows else []
    if names and all(list(row) == names for row in rows):
        plain: object = {"names": names, "columns": [[row[name] for row in rows] for name in names]}
    else:
        plain = {"rows": rows}
    return _dumped(plain)


def _dumped(plain: object) -> bytes:
    import orjson

    try:
        return orjson.dumps(plain)
    except (TypeError, orjson.JSONEncodeError):  # whole numbers beyond 64 bits, halves of surrogate pairs
        return json.dumps(plain).encode("ascii")


def _keep_source(folder: Path, file: Read) -> None:
    """Every row's geometry as it was drawn, one after the other."""
    drawn = [row.wkb if row.drawn is None else row.drawn for row in file.rows]
    with (folder / "source.wkb").open("wb") as out:
        out.writelines(one for one in drawn if one is not None)
    lengths = np.array([0 if one is None else len(one) for one in drawn], dtype=np.int64)
    np.save(folder / "source.npy", lengths)


def _keep(folder: Path, head: dict[str, Any], found: _Outlines) -> None:
    repairs = [fault.repair for fault in found.faults] + list(found.repaired.values())
    pieces = {
        "outlines": found.wkb,
        "overlaps": [_wkb(one.geometry) for _, _, one in found.overlaps],
        "repairs": [
            _wkb(shape)
            for one in repairs
            if one is not None
            for shape in (one.geometry, one.added, one.removed)
        ],
    }
    arrays: dict[str, Any] = {
        "rows": found.rows,
        "areas_cm2": found.areas_cm2,
        "cells": found.cells,
        "starts": found.starts,
        "bounds": found.bounds,
        "overlapping": np.array([(a, b) for a, b, _ in found.overlaps], dtype=np.int64).reshape(-1, 2),
        "overlap_figures": np.array(
            [(one.area_m2, one.candidate_share, one.neighbour_share) for _, _, one in found.overlaps],
            dtype=np.float64,
        ).reshape(-1, 3),
    }
    for name, listed in pieces.items():
        with (folder / f"{name}.wkb").open("wb") as out:
            out.writelines(listed)
        arrays[name] = np.array([len(one) for one in listed], dtype=np.int64)
    np.savez(folder / "arrays.npz", **arrays)
    head |= {
        "overlap_kinds": [one.kind.value for _, _, one in found.overlaps],
        "overlap_rule": found.overlaps[0][2].rule if found.overlaps else "",
        "faults": [
            {**{name: getattr(fault, name) for name in _FAULT}, "repair": _plain_repair(fault.repair)}
            for fault in found.faults
        ],
        "repaired": {str(row): _plain_repair(one) for row, one in found.repaired.items()},
    }
    (folder / "result.json").write_bytes(_dumped(head))


_FAULT: Final = ("row", "field", "value", "code", "template", "facts")
_REPAIR: Final = (
    "lon", "lat", "reason", "places", "sha256", "area_before_m2", "area_after_m2", "change_ppm",
)  # fmt: skip


def _plain_repair(repair: Repair | None) -> dict[str, Any] | None:
    """A proposal without its shapes, which are kept beside it."""
    return None if repair is None else {name: getattr(repair, name) for name in _REPAIR}


def _wkb(shape: Polygonal | None) -> bytes:
    return b"" if shape is None else to_wkb(shape)


# --- in the parent ------------------------------------------------------------------------------------------


def _order(declared: Declared, rule: OverlapRule | None) -> str:
    plain = asdict(declared)
    plain["repairs"] = {str(number): sha256 for number, sha256 in declared.repairs.items()}
    return json.dumps({"declared": plain, "rule": None if rule is None else asdict(rule)})


def _run(
    task: Task, order: str, limits: Limits, progress: Progress | None, stop: threading.Event | None = None
) -> None:
    """Run the child and pass on what it says of its progress."""
    kept = {name: os.environ[name] for name in ("NUMBA_CACHE_DIR",) if name in os.environ}
    folder = Path(task.folder)
    (folder / "order.json").write_text(order, encoding="utf-8")
    confined.run(
        worker.__file__, [json.dumps(asdict(task)), worker.EXAMINE], folder, _environment(task.folder) | kept,
        limits.bounds, progress, stop,
    )  # fmt: skip


def _load(folder: Path, declared: Declared) -> Examination:
    import orjson

    head = _plain(folder / "result.json", orjson.loads)
    if refused := head.get("refused"):
        raise refusal_of(refused)
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        found = _loaded(folder, head, dict(arrays))
    lengths = np.load(folder / "source.npy", allow_pickle=False)
    return Examination(
        crs=head["crs"],
        datum=declared.datum,
        swapped=declared.swapped,
        encoding=head["encoding"],
        encoding_source=head["encoding_source"],
        layer=head["layer"],
        kind=head["kind"],
        hints=tuple(head["hints"]),
        count=head["count"],
        attributes=_rows_of(_plain(folder / "attributes.json", orjson.loads)),
        source_wkb=[one or None for one in _slices(folder / "source.wkb", lengths)],
        **_of_outlines(found),
    )


def _plain(path: Path, loads: Callable[[bytes], Any]) -> dict[str, Any]:
    data = path.read_bytes()
    try:
        plain: dict[str, Any] = loads(data)
    except ValueError:
        plain = json.loads(data)
    return plain


def _rows_of(plain: dict[str, Any]) -> list[dict[str, Attribute]]:
    if "rows" in plain:
        return list(plain["rows"])
    names = plain["names"]
    return [dict(zip(names, values, strict=True)) for values in zip(*plain["columns"], strict=True)]


def _slices(path: Path, lengths: Ints) -> list[bytes]:
    data = path.read_bytes()
    begin = starts(lengths).tolist()
    return [data[a:b] for a, b in pairwise(begin)]


def _shapes(path: Path, lengths: Ints) -> Shapes:
    """Geometries, None for those of no bytes."""
    return np.asarray(
        shapely.from_wkb(_objects([one or None for one in _slices(path, lengths)])), dtype=object
    )


def _loaded(folder: Path, head: dict[str, Any], arrays: dict[str, Any]) -> _Outlines:
    shared = _shapes(folder / "overlaps.wkb", arrays["overlaps"])
    overlaps = [
        (later, earlier, Overlap(OverlapKind(kind), area, share, other_share, geometry, head["overlap_rule"]))
        for (later, earlier), kind, (area, share, other_share), geometry in zip(
            arrays["overlapping"].tolist(),
            head["overlap_kinds"],
            arrays["overlap_figures"].tolist(),
            shared,
            strict=True,
        )
    ]
    shapes = iter(_shapes(folder / "repairs.wkb", arrays["repairs"]).reshape(-1, 3))
    faults = [
        OutlineFault(**{**fault, "repair": _repair(fault["repair"], shapes)}) for fault in head["faults"]
    ]
    repaired = {int(row): _repair(one, shapes) for row, one in head["repaired"].items()}
    return _Outlines(
        rows=arrays["rows"],
        wkb=_slices(folder / "outlines.wkb", arrays["outlines"]),
        areas_cm2=arrays["areas_cm2"],
        cells=arrays["cells"],
        starts=arrays["starts"],
        bounds=arrays["bounds"],
        faults=faults,
        repaired={row: one for row, one in repaired.items() if one is not None},
        overlaps=overlaps,
    )


def _repair(plain: dict[str, Any] | None, shapes: Any) -> Repair | None:
    if plain is None:
        return None
    geometry, added, removed = next(shapes)
    places = tuple((x, y) for x, y in plain["places"])
    return Repair(**{**plain, "places": places}, geometry=geometry, added=added, removed=removed)
