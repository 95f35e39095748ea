"""A parcel file as examined: what `geo` says of its rows, in the shape that the import works on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import shapely

from geo.crs import areas_m2
from geo.datum import Datum
from geo.polygon import Overlap, OverlapKind, OverlapRule, cells, overlap, to_wkb
from geo.repair import Repair
from geo.vector import ParcelFile, RowFault, examine, read_parcels
from registry.parcels.ground import CM2_PER_M2

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Declared:
    crs: str | int | None = None
    encoding: str | None = None
    layer: str | None = None
    datum: Datum = Datum.AS_STATED
    swapped: bool = False
    repairs: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Examination:
    crs: str
    datum: Datum
    swapped: bool
    encoding: str
    encoding_source: str
    layer: str
    kind: str
    hints: Sequence[str]
    count: int
    attributes: Sequence[Mapping[str, Any]]
    numbers: Sequence[int]
    wkb: Sequence[bytes]
    areas_cm2: Sequence[int]
    cells: Sequence[Sequence[int]]
    source_wkb: Sequence[bytes | None]
    faults: Sequence[RowFault]
    overlaps: Sequence[tuple[int, int, Overlap]]
    repaired: Mapping[int, Repair] = field(default_factory=dict)


def examine_file(
    path: Path, declared: Declared, *, rule: OverlapRule | None, progress: Progress | None = None
) -> Examination:
    file = read_parcels(path, crs=declared.crs, layer=declared.layer, encoding=declared.encoding)
    return examine_parcels(file, declared, rule=rule)


def examine_parcels(file: ParcelFile, declared: Declared, *, rule: OverlapRule | None) -> Examination:
    land, faults = examine(file)
    outlines = [row.geometry for row in land]
    found = []
    if outlines and rule is not None:
        tree = shapely.STRtree(outlines)
        later, earlier = tree.query(outlines, predicate="intersects")
        for a, b in sorted((int(a), int(b)) for a, b in zip(later, earlier, strict=True) if b < a):
            shared = overlap(outlines[a], outlines[b], rule)
            if shared.kind is not OverlapKind.NONE:
                found.append((land[a].number, land[b].number, shared))
    return Examination(
        crs=file.crs,
        datum=declared.datum,
        swapped=declared.swapped,
        encoding=file.encoding,
        encoding_source=file.encoding_source,
        layer=file.layer,
        kind=file.kind,
        hints=(),
        count=len(file.rows),
        attributes=[row.attributes for row in file.rows],
        numbers=[row.number for row in land],
        wkb=[to_wkb(outline) for outline in outlines],
        areas_cm2=(areas_m2(outlines) * CM2_PER_M2).round().astype(int).tolist() if outlines else [],
        cells=[cells(outline) for outline in outlines],
        source_wkb=[None if row.geometry is None else shapely.to_wkb(row.geometry) for row in file.rows],
        faults=faults,
        overlaps=found,
    )
