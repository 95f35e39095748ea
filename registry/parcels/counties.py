"""Outlines of counties, and what they and the neighbours say of where a batch of land lies.

The outlines are the operator's to load (`tanhui land counties`); none are shipped, and without them only
neighbours and words speak. They are evidence: nothing is ever refused for lying beyond a county's line.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import shapely
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from geo.crs import Floats, LocalFrame, Polygonal
from geo.datum import Datum, judge_datum, may_be_shifted, on_mainland
from geo.errors import DatumSuspected
from geo.polygon import from_wkb, neighbouring_cells, to_wkb
from geo.vector import examine, read_parcels
from registry.errors import RegistryRefusal
from registry.parcels.ground import in_chunks, live_neighbours
from registry.parcels.models import CountyOutline, ParcelCell
from registry.parcels.report import RowRefused

REACH_CELLS: Final = 3  # 1.5 km: more than BD-09 moves anything in China
_ROWS_ASKED: Final = 1_000
_ROWS_WEIGHED: Final = 200
_CELLS_OF_A_ROW: Final = 64
_CELLS_LOADED: Final = 300


class OutsideCounty(RowRefused):
    """A warning: county lines are drawn too coarsely to refuse land by them."""

    code: ClassVar[str] = "outside_county"
    template: ClassVar[str] = (
        "The row gives county {county} ({name}) and lies {distance_m} m outside of its outline."
    )


class CountiesRefused(RegistryRefusal):
    """`rows` lists what is wrong with each row of a file of county outlines."""

    code: ClassVar[str] = "counties_refused"
    template: ClassVar[str] = "{count} rows of the file of county outlines were refused; nothing was taken."


# ---- loading -----------------------------------------------------------------------------------------------


def read_counties(
    path: Path, *, code_field: str, name_field: str, source: str, now: datetime
) -> list[CountyOutline]:
    """The outlines in a file, one row each, or `CountiesRefused` with every row that is wrong.

    A code has six digits and stands once; it may be a number. Row 0 says which column is missing.
    Raises what `read_parcels` raises for a file that cannot be read.
    """
    file = read_parcels(path)
    missing = [
        {"row": 0, "field": field, "code": "column_missing"}
        for field in (code_field, name_field)
        if not any(field in row.attributes for row in file.rows)
    ]
    if missing:
        raise CountiesRefused(count=len(file.rows), rows=missing)
    land, faults = examine(file)
    outlines = {row.number: row.geometry for row in land}
    wrong: list[dict[str, object]] = [
        {"row": fault.row, "field": fault.field, "code": fault.code} for fault in faults
    ]
    found: dict[str, CountyOutline] = {}
    for row in file.rows:
        code, name = _text(row.attributes, code_field), _text(row.attributes, name_field)
        if len(code) != 6 or not code.isascii() or not code.isdigit() or code in found:
            wrong.append({"row": row.number, "field": code_field, "code": "code_repeated_or_malformed"})
        elif not name or len(name) > 100:
            wrong.append({"row": row.number, "field": name_field, "code": "name_missing_or_long"})
        elif row.number in outlines:
            wkb = to_wkb(outlines[row.number])
            found[code] = CountyOutline(code=code, name=name, wkb=wkb, source=source, updated_at=now)
    if wrong or not found:
        raise CountiesRefused(count=len(wrong), rows=wrong)
    return list(found.values())


def _text(attributes: Mapping[str, Any], field: str) -> str:
    value = attributes.get(field)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def save_counties(session: Session, counties: Sequence[CountyOutline]) -> tuple[int, int]:
    """Keep the outlines; those of known codes take the place of the old. Answers new and replaced."""
    codes = [county.code for county in counties]
    known = session.scalars(sa.select(CountyOutline.code).where(CountyOutline.code.in_(codes))).all()
    for county in counties:
        session.merge(county)
    return len(codes) - len(known), len(known)


def county_outlines(session: Session, codes: Collection[str]) -> dict[str, tuple[str, Polygonal]]:
    """Names and outlines of the counties that are known, by code."""
    if not codes:
        return {}
    rows = session.execute(
        sa.select(CountyOutline.code, CountyOutline.name, CountyOutline.wkb).where(
            CountyOutline.code.in_(sorted(codes))
        )
    )
    return {code: (name, from_wkb(wkb)) for code, name, wkb in rows}


# ---- a batch -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """The good rows of a file: outlines of record (ISO WKB), the cells of each, its county code."""

    wkb: Sequence[bytes]
    cells: Sequence[Sequence[int]]
    county_of: Sequence[str | None]


@dataclass(frozen=True, slots=True)
class LandEvidence:
    """What is known around some rows of a batch: their outlines and county codes, live parcels within 1.5 km
    of them, outlines of their counties.
    """

    shapes: list[Polygonal]
    county_of: list[str | None]
    registered: list[Polygonal]
    counties: dict[str, Polygonal]


def check_datum(
    session: Session,
    batch: Batch,
    *,
    crs: str,
    datum: Datum,
    hints: Sequence[str],
    except_parcels: Collection[str] = (),
) -> DatumSuspected | None:
    """The refusal of a whole file whose degrees look like those of a web map; None where nothing does.

    Asked only of degrees (and Web Mercator) inside mainland China for which the uploader did not say the
    datum. `except_parcels` are not evidence: drafts of the same file that were submitted meanwhile.
    """
    if datum is not Datum.AS_STATED or not may_be_shifted(crs):
        return None
    around = gather_evidence(session, batch, except_parcels)
    if not around.shapes or not all(on_mainland(shape) for shape in around.shapes):
        return None
    return judge_datum(
        around.shapes,
        registered=around.registered,
        counties=around.counties,
        county_of=around.county_of,
        hints=hints,
    ).refusal()


def gather_evidence(session: Session, batch: Batch, except_parcels: Collection[str] = ()) -> LandEvidence:
    """What is registered around a batch, cheaply: of at most 1,000 rows, evenly spread, it is asked whether
    anything is near, and of at most 200 of these, and 300 cells, the parcels are loaded.
    """
    asked = _spread(np.arange(len(batch.wkb)), _ROWS_ASKED)
    around = {int(n): _around(batch.cells[int(n)]) for n in asked}
    occupied = _occupied(session, around.values())
    beside = [n for n, reach in around.items() if not occupied.isdisjoint(reach)]
    chosen = [int(n) for n in _spread(np.array(beside, dtype=np.int64), _ROWS_WEIGHED)]
    registered = live_neighbours(session, _cells_of(chosen, around, occupied), except_parcels)
    rows = sorted({*chosen, *(int(n) for n in _spread(asked, max(_ROWS_WEIGHED - len(chosen), 0)))})
    county_of = [batch.county_of[n] for n in rows]
    known = county_outlines(session, {code for code in county_of if code})
    return LandEvidence(
        shapes=[from_wkb(batch.wkb[n]) for n in rows],
        county_of=county_of,
        registered=[outline for _, outline in registered.values()],
        counties={code: outline for code, (_, outline) in known.items()},
    )


def _around(cells: Sequence[int]) -> list[int]:
    """The cells within 1.5 km of a row's, of at most 64 of its own."""
    own = _spread(np.asarray(cells, dtype=np.int64), _CELLS_OF_A_ROW)
    near: list[int] = neighbouring_cells(own, REACH_CELLS).tolist()
    return near


def _occupied(session: Session, around: Iterable[list[int]]) -> set[int]:
    """Which of the cells hold a parcel."""
    found: set[int] = set()
    for some in in_chunks(sorted({cell for reach in around for cell in reach})):
        wanted = sa.select(ParcelCell.cell).where(ParcelCell.cell.in_(some)).distinct()
        found.update(session.scalars(wanted))
    return found


def _cells_of(rows: Sequence[int], around: Mapping[int, list[int]], occupied: set[int]) -> set[int]:
    """The occupied cells around rows, row after row until there are 300."""
    wanted: set[int] = set()
    for n in rows:
        wanted.update(occupied.intersection(around[n]))
        if len(wanted) >= _CELLS_LOADED:
            break
    return wanted


def _spread(values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    if len(values) <= count:
        return values
    return values[np.linspace(0, len(values) - 1, count).round().astype(np.int64)] if count else values[:0]


# ---- rows outside their county -----------------------------------------------------------------------------


def outside_county(session: Session, batch: Batch) -> list[tuple[int, OutsideCounty]]:
    """The rows, by their place in the batch, that do not touch the outline of the county they give. Counties
    without an outline say nothing.
    """
    known = county_outlines(session, {code for code in batch.county_of if code})
    return sorted(_outside(batch, known), key=lambda one: one[0])


def _outside(batch: Batch, known: Mapping[str, tuple[str, Polygonal]]) -> Iterator[tuple[int, OutsideCounty]]:
    codes = np.array([code or "" for code in batch.county_of], dtype=np.str_)
    for code, (name, outline) in known.items():
        rows = np.flatnonzero(codes == code)
        shapes = shapely.from_wkb([batch.wkb[int(n)] for n in rows])
        shapely.prepare(outline)
        away = np.flatnonzero(~shapely.intersects(outline, shapes))
        for at, distance_m in zip(away, _distances_m(outline, shapes[away]), strict=True):
            yield int(rows[at]), OutsideCounty(county=code, name=name, distance_m=round(float(distance_m)))


def _distances_m(outline: Polygonal, shapes: NDArray[np.object_]) -> Floats:
    """About how far shapes lie from a county's outline, in metres."""
    scale = np.array(LocalFrame.around(outline).metres_per_degree())
    county = shapely.transform(outline, lambda xy: xy * scale)
    shapely.prepare(county)
    apart: Floats = shapely.distance(county, shapely.transform(shapes, lambda xy: xy * scale))
    return apart
