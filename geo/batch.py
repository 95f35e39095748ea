"""Many outlines at once: what `crs` and `polygon` do to one polygon, on arrays, with the same answers.

Bytes, refusals, areas in cm2 and cells are those of the one-by-one functions. A row that is in any way out of
the ordinary is handed to those functions, so that a refusal has one place where it is decided; what the
arrays decide is only that a row is ordinary. Rows are worked on in chunks by threads, as numpy, PROJ and GEOS
leave the interpreter lock.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo import crs as frames
from geo import datum as datums
from geo import polygon
from geo.crs import (
    DENSIFY_STEP_DEG,
    ECCENTRICITY,
    MAX_DENSIFIED_VERTICES,
    SEMI_MINOR_M,
    Coordinates,
    CrsInput,
    Floats,
    Polygonal,
)
from geo.datum import Datum
from geo.errors import GeometryInvalid, GeoRefusal, TooManyVertices
from geo.polygon import CELL_M, DECIMALS, MAX_CELLS, MAX_RINGS, MAX_VERTICES
from geo.ragged import Flags, Ints, Ragged, Shapes, owners, ragged_of, runs, shapes_of, starts, wkb_of

CM2_PER_M2: Final = 10_000
CHUNK_ROWS: Final = 4_096
CHUNK_VERTICES: Final = 400_000
THREADS: Final = 2

Progress = Callable[[int, int], None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Rows in the record's form.

    Outlines and WKB (None where refused), whole cm2 (0 where refused), the 512 m cells of row i in
    `cells[starts[i]:starts[i + 1]]`, the refusals by row, and the form of record of those that are refused
    for being invalid, as a repair begins with it.
    """

    outlines: Shapes
    wkb: list[bytes | None]
    areas_cm2: Ints
    cells: Ints
    starts: Ints
    refused: dict[int, GeoRefusal]
    invalid: dict[int, Polygonal]

    def cells_of(self, row: int) -> list[int]:
        found: list[int] = self.cells[self.starts[row] : self.starts[row + 1]].tolist()
        return found


def record(
    shapes: Sequence[BaseGeometry | None],
    source_crs: CrsInput,
    *,
    datum: Datum = Datum.AS_STATED,
    swapped: bool = False,
    progress: Progress | None = None,
) -> Recorded:
    """Bring polygons of one system to the form of record, check them and measure them.

    Of each row: at most MAX_VERTICES vertices as drawn, `crs.to_store` (`swapped` as there),
    `datum.to_wgs84`, `polygon.canonical`, `polygon.check_valid`, area, `polygon.cells`. Raises CrsUnknown and
    DatumShiftUnknown for the system; what is wrong with a row is in `refused`. `progress` is told how many
    rows are done, and of how many.
    """
    way = _Way(source_crs, frames._step(frames._srs(source_crs)), datum, swapped)
    return _joined(_in_chunks(shapes_of(shapes), partial(_record, way=way), progress))


def canonical(shapes: Sequence[BaseGeometry | None]) -> tuple[Shapes, dict[int, GeoRefusal]]:
    """`polygon.canonical` of each: outlines (None where refused), and the refusals by row."""
    batch = _Batch(shapes_of(shapes))
    ragged, rows = _ordinary_rows(batch)
    right = ~_rows_with(ragged, _out_of_degrees(ragged.xy))
    _take_form(batch, *_canonical(*_kept(ragged, rows, right)))
    batch.finish(lambda shape: polygon.canonical(polygon.polygonal(shape)))
    return batch.outlines, batch.refused


def areas_cm2(outlines: Sequence[Polygonal]) -> Ints:
    """Ground areas of outlines of EPSG:4490 in whole cm2: `crs.areas_m2`, rounded."""
    array = shapes_of(outlines)
    ragged, plain = ragged_of(array)
    return _areas_cm2(ragged, array) if plain.all() else _rounded(frames.areas_m2(outlines))


def cells(outlines: Sequence[Polygonal]) -> tuple[Ints, Ints]:
    """`polygon.cells` of each: those of row i are `cells[starts[i]:starts[i + 1]]`. Raises TooManyCells."""
    chunks = _in_chunks(shapes_of(outlines), _cells_of_chunk, None)
    return _flat([one for chunk in chunks for one in chunk])


# --- rows and chunks ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Way:
    """How the rows of a file come to the store."""

    crs: CrsInput
    step: frames._Step
    datum: Datum
    swapped: bool

    def one(self, shape: BaseGeometry | None) -> Polygonal:
        """One row by the one-by-one functions."""
        outline = polygon.polygonal(shape)
        count = int(shapely.get_num_coordinates(outline))
        if count > MAX_VERTICES:
            raise TooManyVertices(count=count, limit=MAX_VERTICES)
        stored = frames.to_store(outline, self.crs, swapped=self.swapped)
        return polygon.canonical(datums.to_wgs84(stored, self.datum))


@dataclass(slots=True)
class _Batch:
    """The rows of a chunk, filled as they are decided."""

    shapes: Shapes
    outlines: Shapes = field(init=False)
    wkb: list[bytes | None] = field(init=False)
    refused: dict[int, GeoRefusal] = field(default_factory=dict)
    invalid: dict[int, Polygonal] = field(default_factory=dict)
    areas_cm2: Ints = field(init=False)
    cells: list[Ints] = field(init=False)

    def __post_init__(self) -> None:
        self.outlines = np.full(len(self.shapes), None, dtype=object)
        self.wkb = [None] * len(self.shapes)
        self.areas_cm2 = np.zeros(len(self.shapes), dtype=np.int64)
        self.cells = [_NO_CELLS] * len(self.shapes)

    def refuse(self, row: int, refusal: GeoRefusal) -> None:
        self.refused[row] = refusal
        self.outlines[row], self.wkb[row] = None, None

    def finish(self, one: Callable[[Any], Polygonal]) -> None:
        """Decide the rows that are still open, one by one."""
        for row in np.flatnonzero(~_there(self.outlines)).tolist():
            if row in self.refused:
                continue
            try:
                outline = one(self.shapes[row])
            except GeoRefusal as refusal:
                self.refuse(row, refusal)
            else:
                self.outlines[row], self.wkb[row] = outline, polygon.to_wkb(outline)


_NO_CELLS: Final = np.zeros(0, dtype=np.int64)


def _there(outlines: Shapes) -> Flags:
    return np.asarray(shapely.is_geometry(outlines), dtype=bool)


def _in_chunks(shapes: Shapes, work: Callable[[Shapes], _T], progress: Progress | None) -> list[_T]:
    """What the work gives for each chunk of rows, in their order."""
    bounds = list(_chunks(shapely.get_num_coordinates(shapes).astype(np.int64)))
    done = []
    with ThreadPoolExecutor(THREADS) as pool:
        results = pool.map(lambda at: work(shapes[slice(*at)]), bounds)
        for (_, last), found in zip(bounds, results, strict=True):
            done.append(found)
            if progress is not None:
                progress(last, len(shapes))
    return done


def _chunks(vertices: Ints) -> Iterator[tuple[int, int]]:
    """First and last row of chunks of at most CHUNK_ROWS rows and, one row apart, CHUNK_VERTICES vertices."""
    total = starts(vertices)
    first = 0
    while first < len(vertices):
        last = int(np.searchsorted(total, total[first] + CHUNK_VERTICES, side="right")) - 1
        last = min(max(last, first + 1), first + CHUNK_ROWS)
        yield first, last
        first = last


def _joined(chunks: Sequence[_Batch]) -> Recorded:
    refused: dict[int, GeoRefusal] = {}
    invalid: dict[int, Polygonal] = {}
    begins = starts(np.array([len(chunk.shapes) for chunk in chunks], dtype=np.int64)).tolist()
    for begin, chunk in zip(begins[:-1], chunks, strict=True):
        refused |= {begin + row: refusal for row, refusal in sorted(chunk.refused.items())}
        invalid |= {begin + row: outline for row, outline in chunk.invalid.items()}
    found, where = _flat([one for chunk in chunks for one in chunk.cells])
    none = np.zeros(0, dtype=object)
    return Recorded(
        outlines=np.concatenate([none, *(chunk.outlines for chunk in chunks)]),
        wkb=[one for chunk in chunks for one in chunk.wkb],
        areas_cm2=np.concatenate([_NO_CELLS, *(chunk.areas_cm2 for chunk in chunks)]),
        cells=found,
        starts=where,
        refused=refused,
        invalid=invalid,
    )


def _flat(listed: list[Ints]) -> tuple[Ints, Ints]:
    counts = np.array([len(one) for one in listed], dtype=np.int64)
    return np.concatenate([_NO_CELLS, *listed]), starts(counts)


def _record(shapes: Shapes, way: _Way) -> _Batch:
    """One chunk."""
    batch = _Batch(shapes)
    ragged, rows = _to_store(batch, *_ordinary_rows(batch), way)
    _take_form(batch, *_canonical(ragged, rows))
    batch.finish(way.one)
    _check_valid(batch)
    good = np.flatnonzero(_there(batch.outlines))
    ragged, _ = ragged_of(batch.outlines[good])
    batch.areas_cm2[good] = _areas_cm2(ragged, batch.outlines[good])
    for row, found in zip(good.tolist(), _cells(ragged, batch.outlines[good]), strict=True):
        if isinstance(found, GeoRefusal):
            batch.refuse(row, found)
        else:
            batch.cells[row] = found
    return batch


def _ordinary_rows(batch: _Batch) -> tuple[Ragged, Ints]:
    """The rows that are polygons within the limits of vertices and rings."""
    ragged, plain = ragged_of(batch.shapes)
    rings = np.diff(ragged.parts[ragged.rows])
    return _kept(ragged, np.flatnonzero(plain), (ragged.vertices() <= MAX_VERTICES) & (rings <= MAX_RINGS))


def _kept(ragged: Ragged, rows: Ints, wanted: Flags) -> tuple[Ragged, Ints]:
    return ragged.take(wanted), rows[wanted]


def _rows_with(ragged: Ragged, vertices: Flags) -> Flags:
    """Rows that have at least one of the vertices."""
    found = np.zeros(ragged.count, dtype=bool)
    if vertices.any():
        found[ragged.row_of_vertex()[vertices]] = True
    return found


def _take_form(batch: _Batch, ragged: Ragged, rows: Ints) -> None:
    """Enter the outlines of rows that are in canonical form."""
    written = wkb_of(ragged)
    batch.outlines[rows] = shapely.from_wkb(written)
    for row, wkb in zip(rows.tolist(), written, strict=True):
        batch.wkb[row] = wkb


def _check_valid(batch: _Batch) -> None:
    """`polygon.check_valid` of outlines in canonical form: asked of those that may not be valid, or flat."""
    there = np.flatnonzero(_there(batch.outlines))
    outlines = batch.outlines[there]
    doubtful = ~shapely.is_valid(outlines) | (shapely.area(outlines) <= _FLAT_DEG2)
    doubtful |= (np.abs(shapely.bounds(outlines)[:, [1, 3]]) > _POLAR_DEG).any(axis=1)
    for row in there[doubtful].tolist():
        outline = batch.outlines[row]
        try:
            polygon.check_valid(outline)
        except GeometryInvalid as refusal:
            batch.refuse(row, refusal)
            batch.invalid[row] = outline
        except GeoRefusal as refusal:
            batch.refuse(row, refusal)


_FLAT_DEG2: Final = 1e-9
_POLAR_DEG: Final = 85.0
"""What has more square degrees (1 m2 at latitude 85), and is no nearer to a pole, has an area for certain."""


# --- frames -------------------------------------------------------------------------------------------------


def _out_of_degrees(xy: Coordinates) -> Flags:
    inside: Flags = (np.abs(xy[:, 0]) <= 180.0) & (np.abs(xy[:, 1]) <= 90.0)  # False for nan
    return ~inside


def _to_store(batch: _Batch, ragged: Ragged, rows: Ints, way: _Way) -> tuple[Ragged, Ints]:
    """`crs.to_store` of the rows where nothing is to be refused, and the datum's change."""
    step = way.step
    if way.swapped:
        ragged = Ragged(np.ascontiguousarray(ragged.xy[:, ::-1]), ragged.rings, ragged.parts, ragged.rows)
    ragged, rows = _kept(ragged, rows, ~_rows_with(ragged, _out_of_source(ragged.xy, step)))
    if step.forward is not None:
        degrees = step.forward(ragged.xy)
        wrong = _rows_with(ragged, _out_of_place(ragged.xy, degrees, step))
        if step.step is None:
            ragged = Ragged(degrees, ragged.rings, ragged.parts, ragged.rows)
            ragged, rows = _kept(ragged, rows, ~wrong)
        else:
            kept = np.repeat(~wrong, ragged.vertices()) if wrong.any() else slice(None)
            ragged, rows = _kept(ragged, rows, ~wrong)
            ragged, rows = _densified(batch, ragged, rows, step, degrees[kept])
    if way.datum in datums.SHIFTED:
        ragged, rows = _to_wgs84(ragged, rows, way.datum)
    return _kept(ragged, rows, ~_rows_with(ragged, _out_of_degrees(ragged.xy)))


def _out_of_source(xy: Coordinates, step: frames._Step) -> Flags:
    """Vertices that `crs._check_source` would look at twice."""
    bad: Flags = np.array(~np.isfinite(xy).all(axis=1))
    if step.step is None and step.forward is None:
        bad |= _out_of_degrees(xy)
        bad |= xy[:, 1] >= frames._WEST_OF_CHINA[0]  # may be latitude before longitude
    if step.false_easting is not None:
        bad |= np.abs(xy[:, 0] - step.false_easting) > frames._MAX_EASTING_FROM_MERIDIAN_M
    return bad


def _out_of_place(xy: Coordinates, degrees: Coordinates, step: frames._Step) -> Flags:
    """Vertices that `crs._check_place` would refuse."""
    bad = _out_of_degrees(degrees)
    if step.step is not None:
        assert step.back is not None
        asked = np.flatnonzero(~_sure_to_come_back(xy, step))
        if len(asked):
            again = step.back(degrees[asked])
            bad[asked] |= ~(np.abs(again - xy[asked]).max(axis=1) <= step.step * 1e-4)
    return bad


def _sure_to_come_back(xy: Coordinates, step: frames._Step) -> Flags:
    """Transverse Mercator in metres, near its meridian and between the poles: there and back ends within a
    micrometre, ten thousand times nearer than is asked.
    """
    if step.false_easting is None or step.step != frames.DENSIFY_STEP_M:
        return np.zeros(len(xy), dtype=bool)
    return (np.abs(xy[:, 0] - step.false_easting) <= _NEAR_MERIDIAN_M) & (np.abs(xy[:, 1]) <= _NEAR_EQUATOR_M)


_NEAR_MERIDIAN_M: Final = 500_000.0
_NEAR_EQUATOR_M: Final = 9_000_000.0


def _densified(
    batch: _Batch, ragged: Ragged, rows: Ints, step: frames._Step, degrees: Coordinates
) -> tuple[Ragged, Ints]:
    """Rows with their edges cut, in degrees. `degrees` are those of the vertices as drawn."""
    assert step.step is not None
    assert step.forward is not None
    pieces = _pieces(ragged, step.step)
    if not (pieces > 1.0).any():
        return Ragged(degrees, ragged.rings, ragged.parts, ragged.rows), rows
    edges = starts(np.diff(ragged.rings) - 1)
    too_long = np.add.reduceat(pieces, edges[:-1]) > MAX_DENSIFIED_VERTICES
    row_edges = np.bincount(np.repeat(ragged.row_of_ring(), np.diff(edges)), pieces, ragged.count)
    rings_in = np.diff(ragged.parts[ragged.rows])
    too_many = row_edges + rings_in > MAX_VERTICES
    open_rows = np.zeros(ragged.count, dtype=bool)
    open_rows[ragged.row_of_ring()[too_long]] = True
    for at in np.flatnonzero(too_many & ~open_rows).tolist():
        # as `polygon.canonical` says it of the cut outline, which need not be made for that
        batch.refuse(
            int(rows[at]), TooManyVertices(count=int(row_edges[at] + rings_in[at]), limit=MAX_VERTICES)
        )
    wanted = ~(too_many | open_rows)
    kept = np.repeat(np.repeat(wanted, rings_in), np.diff(edges))
    ragged, rows = _kept(ragged, rows, wanted)
    cut = _cut(ragged, pieces[kept])
    return Ragged(step.forward(cut.xy), cut.rings, cut.parts, cut.rows), rows


def _edges(ragged: Ragged) -> Ints:
    """The vertex at which each edge begins."""
    last = np.zeros(len(ragged.xy), dtype=bool)
    last[ragged.rings[1:] - 1] = True
    return np.flatnonzero(~last)


def _pieces(ragged: Ragged, step: float) -> Floats:
    """Into how many pieces each edge is cut, as `crs.densify` counts them."""
    at = _edges(ragged)
    way = ragged.xy[at + 1] - ragged.xy[at]
    found: Floats = np.ones(len(at))
    long = np.flatnonzero(np.einsum("ij,ij->i", way, way) > (0.999 * step) ** 2)
    found[long] = np.maximum(np.ceil(np.hypot(*way[long].T) / step), 1.0)
    return found


def _cut(ragged: Ragged, pieces: Floats) -> Ragged:
    """Each edge cut into its pieces, at the very points that `crs.densify` gives."""
    edges = np.diff(ragged.rings) - 1
    if not (pieces > 1.0).any():
        return ragged
    count = pieces.astype(np.int64)
    at = _edges(ragged)
    begin = np.cumsum(count) - count  # of each edge's points, closing vertices left out
    points = np.empty((int(count.sum()), 2))
    points[begin] = ragged.xy[at]
    long = np.flatnonzero(count > 1)
    start, end, number = ragged.xy[at[long]], ragged.xy[at[long] + 1], count[long]
    edge = np.repeat(np.arange(len(long)), number - 1)
    k = runs(np.ones_like(number), number - 1)
    turned = (start[:, 0] > end[:, 0]) | ((start[:, 0] == end[:, 0]) & (start[:, 1] > end[:, 1]))
    low = np.where(turned[:, None], end, start)
    high = np.where(turned[:, None], start, end)
    share = np.where(turned[edge], number[edge] - k, k) / number[edge]
    points[begin[long][edge] + k] = low[edge] + (high - low)[edge] * share[:, None]
    rings = starts(np.add.reduceat(count, starts(edges)[:-1]) + 1)
    xy = np.empty((int(rings[-1]), 2))
    closing = np.zeros(len(xy), dtype=bool)
    closing[rings[1:] - 1] = True
    xy[~closing] = points
    xy[closing] = ragged.xy[ragged.rings[1:] - 1]
    return Ragged(xy, rings, ragged.parts, ragged.rows)


def _to_wgs84(ragged: Ragged, rows: Ints, datum: Datum) -> tuple[Ragged, Ints]:
    """`datum.to_wgs84` of the rows that stay small when they are cut, ring by ring: each ring is iterated
    until its own worst vertex stands still, so that it ends where it would have ended alone.
    """
    pieces = _pieces(ragged, datums._CUT_DEG[datum])
    row_of_edge = np.repeat(ragged.row_of_ring(), np.diff(ragged.rings) - 1)
    small = np.bincount(row_of_edge, pieces, ragged.count) <= MAX_VERTICES
    ragged, rows = _kept(ragged, rows, small)
    cut = _cut(ragged, pieces[small[row_of_edge]])
    xy = np.array(cut.xy)
    inside = datums._inside(xy)
    ring = cut.ring_of_vertex()
    open_vertices = np.flatnonzero(inside)
    for _ in range(datums._MOST_STEPS):
        if len(open_vertices) == 0:
            break
        place = xy[open_vertices]
        forward = place + datums._gcj_shift(place)
        error = (datums._baidu(forward) if datum is Datum.BD09 else forward) - cut.xy[open_vertices]
        xy[open_vertices] = place - error
        far = np.zeros(len(cut.rings) - 1, dtype=bool)
        far[ring[open_vertices[(np.abs(error) > datums._CONVERGED_DEG).any(axis=1)]]] = True
        open_vertices = open_vertices[far[ring[open_vertices]]]
    return Ragged(xy, cut.rings, cut.parts, cut.rows), rows


# --- the one form -------------------------------------------------------------------------------------------

_SIGN_UNSURE: Final = 1e-10
"""Share of the summed terms below which the order of summing might change the sign of a ring's area."""


@dataclass(frozen=True, slots=True)
class _Rings:
    """Rings without their closing vertex, rounded, no vertex twice in a row: all vertices, the first vertex
    and the number of each ring, and of those of three vertices and more: where the smallest vertex stands,
    whether the ring is to be turned, and whether that cannot be told here.
    """

    xy: Coordinates
    begin: Ints
    length: Ints
    smallest: Ints
    turned: Flags
    unsure: Flags


def _canonical(ragged: Ragged, rows: Ints) -> tuple[Ragged, Ints]:
    """`polygon.canonical` of rows of degrees within its limits, and the rows for which it could be said."""
    rings = _rings(ragged)
    part, row = owners(ragged.parts), ragged.row_of_ring()
    alive = rings.length >= 3
    stays = alive & alive[ragged.parts[:-1]][part]
    ordinary = np.zeros(ragged.count, dtype=bool)
    ordinary[row[stays]] = True
    ordinary[row[stays & rings.unsure]] = False
    order = _ring_order(ragged, rings, np.flatnonzero(stays), ordinary)
    order = order[ordinary[row[order]]]
    length = rings.length[order]
    begin, smallest = rings.begin[order], rings.smallest[order]
    step = np.where(rings.turned[order], -1, 1)
    within = runs(np.zeros_like(length), length + 1)
    each = np.repeat(np.arange(len(order)), length + 1)
    at = begin[each] + (smallest[each] + step[each] * within) % length[each]
    parts = part[order]
    first_of_part = np.append(True, parts[1:] != parts[:-1])[: len(parts)]
    per_part = np.diff(np.append(np.flatnonzero(first_of_part), len(parts)))
    per_row = np.bincount(row[order][first_of_part], minlength=ragged.count)[ordinary]
    return Ragged(rings.xy[at], starts(length + 1), starts(per_part), starts(per_row)), rows[ordinary]


def _rings(ragged: Ragged) -> _Rings:
    xy, length = _without_repeats(ragged)
    begin = starts(length)
    alive = length >= 3
    smallest, turned = np.zeros_like(length), np.zeros(len(length), dtype=bool)
    unsure = np.zeros(len(length), dtype=bool)
    if alive.any():
        points = xy if alive.all() else xy[np.repeat(alive, length)]
        place, twice, terms = _ring_sums(points, starts(length[alive]))
        smallest[alive] = place
        turned[alive] = (twice > 0) != ragged.is_shell()[alive]
        unsure[alive] = np.abs(twice) <= _SIGN_UNSURE * terms
    return _Rings(xy, begin[:-1], length, smallest, turned, unsure)


def _without_repeats(ragged: Ragged) -> tuple[Coordinates, Ints]:
    """Rounded vertices without the closing ones and without those equal to the one before; how many are left
    in each ring.
    """
    at = _edges(ragged)
    xy = np.round(ragged.xy[at], DECIMALS) + 0.0  # + 0.0 makes -0.0 into 0.0
    length = np.diff(ragged.rings) - 1
    begin = starts(length)
    before = np.arange(len(xy)) - 1
    some = length > 0
    before[begin[:-1][some]] = begin[1:][some] - 1
    new = (xy != xy[before]).any(axis=1)
    if new.all():
        return xy, length
    return xy[new], np.bincount(np.repeat(np.arange(len(length)), length)[new], minlength=len(length))


def _ring_sums(xy: Coordinates, begin: Ints) -> tuple[Ints, Floats, Floats]:
    """Of rings, none empty: the place of the smallest vertex, twice the signed area, and the sum of what was
    added for it regardless of sign.
    """
    head, length = begin[:-1], np.diff(begin)
    x, y = xy.T
    leftmost = x == np.repeat(np.minimum.reduceat(x, head), length)
    lowest = np.minimum.reduceat(np.where(leftmost, y, np.inf), head)
    smallest = np.flatnonzero(leftmost & (y == np.repeat(lowest, length)))
    smallest = smallest[np.searchsorted(smallest, head)]
    after = np.arange(1, len(xy) + 1)
    after[begin[1:] - 1] = head
    x, y = (xy - np.repeat(xy[smallest], length, axis=0)).T
    term = x * y[after] - x[after] * y
    return smallest - head, np.add.reduceat(term, head), np.add.reduceat(np.abs(term), head)


def _ring_order(ragged: Ragged, rings: _Rings, ring: Ints, ordinary: Flags) -> Ints:
    """The rings in the order of record: rows as they are, in a row the parts by their shells, in a part the
    shell and then the holes, all by their smallest vertex. Where two are alike in that, the row is not
    ordinary.
    """
    part, row = owners(ragged.parts)[ring], ragged.row_of_ring()[ring]
    x, y = rings.xy[rings.begin[ring] + rings.smallest[ring]].T
    hole = ~ragged.is_shell()[ring]
    shells = np.flatnonzero(~hole)
    by_shell = shells[np.lexsort((y[shells], x[shells], row[shells]))]
    rank = np.zeros(len(ragged.parts) - 1, dtype=np.int64)
    rank[part[by_shell]] = np.arange(len(by_shell))
    order = np.lexsort((y, x, hole, rank[part]))
    for some, group in ((by_shell, row), (order[hole[order]], part)):
        first, second = some[:-1], some[1:]
        alike = (group[first] == group[second]) & (x[first] == x[second]) & (y[first] == y[second])
        ordinary[row[first[alike]]] = False
    return ring[order]


# --- areas --------------------------------------------------------------------------------------------------

_FAST_HEIGHT_RAD: Final = 3e-4
_NOISE: Final = 4 * 2.0**-52
"""Of F (`crs.areas_m2`) in one evaluation, with room: F is below 2, each evaluation rounds a few times."""


def _rounded(areas_m2: Floats) -> Ints:
    return np.asarray((areas_m2 * CM2_PER_M2).round(), dtype=np.int64)


def _areas_cm2(ragged: Ragged, outlines: Shapes) -> Ints:
    """`crs.areas_m2` in whole cm2.

    F is taken as its Taylor polynomial around each ring's first latitude, good to 1e-12 within 2 km north and
    south. Where that, and the rounding in the exact sum, leaves a doubt about the whole number, and for
    higher outlines, the exact sum is taken.
    """
    if ragged.count == 0:
        return np.zeros(0, dtype=np.int64)
    at = _edges(ragged)
    rad = np.radians(ragged.xy)
    head = ragged.rings[:-1]
    edges = starts(np.diff(ragged.rings) - 1)[:-1]
    length = np.diff(ragged.rings) - 1
    height = rad[:, 1] - np.repeat(rad[head, 1], length + 1)
    too_high = np.maximum.reduceat(np.abs(height), head) > _FAST_HEIGHT_RAD
    turn = rad[at + 1, 0] - rad[at, 0]
    mean = _mean_zone(rad[head, 1], length, height[at], height[at + 1])
    scale = SEMI_MINOR_M**2 / 2
    area = np.abs(np.add.reduceat(mean * turn, edges)) * scale
    doubt = _NOISE * np.add.reduceat(np.abs(turn), edges) * scale + 1e-12 * area
    row = ragged.row_of_ring()
    total = np.bincount(row, np.where(ragged.is_shell(), area, -area), ragged.count) * CM2_PER_M2
    doubt_cm2 = np.bincount(row, doubt, ragged.count) * CM2_PER_M2
    open_rows = np.abs(total - np.floor(total) - 0.5) <= doubt_cm2
    open_rows[row[too_high]] = True
    found = np.asarray(total.round(), dtype=np.int64)
    if open_rows.any():
        found[open_rows] = _rounded(frames.areas_m2(list(outlines[open_rows])))
    return found


def _mean_zone(lat_rad: Floats, length: Ints, from_rad: Floats, to_rad: Floats) -> Floats:
    """Mean of F over each edge, less F at the latitude of its ring; edges run between heights above it.

    F' = 2 cos / u^2 with u = 1 - e^2 sin^2; its derivatives are written out, the third for a sphere.
    """
    sine, cosine = np.sin(lat_rad), np.cos(lat_rad)
    e2 = ECCENTRICITY**2
    u = 1 - e2 * sine**2
    first = 2 * cosine / u**2
    second = -2 * sine / u**2 + 8 * e2 * sine * cosine**2 / u**3
    third = (
        -2 * cosine / u**2
        - 8 * e2 * sine**2 * cosine / u**3
        + 8 * e2 * (cosine**3 - 2 * sine**2 * cosine) / u**3
        + 48 * e2**2 * sine**2 * cosine**3 / u**4
    )
    a, b, c, d = (np.repeat(one, length) for one in (first, second / 2, third / 6, sine / 12))
    middle, half2 = (from_rad + to_rad) / 2, ((to_rad - from_rad) / 2) ** 2
    middle2 = middle**2
    found: Floats = (
        a * middle
        + b * (middle2 + half2 / 3)
        + c * middle * (middle2 + half2)
        + d * (middle2 * (middle2 + 2 * half2) + half2**2 / 5)
    )
    return found


# --- cells --------------------------------------------------------------------------------------------------

_ALBERS: Final = frames._apply(frames._ALBERS_STEP)
_MARGIN_M: Final = polygon._CELL_MARGIN_M
_SMALL_DEG: Final = 0.02
_BENT_M: Final = 0.5
"""A parallel of that length, up to latitude 60, leaves its chord by less in the national frame."""
_MANY_BOXES: Final = 64
_MANY_PIECES: Final = 20_000
_SURELY_M: Final = 1e-6


def _cells_of_chunk(shapes: Shapes) -> list[Ints]:
    ragged, plain = ragged_of(shapes)
    if not plain.all():
        return [np.array(polygon.cells(shape), dtype=np.int64) for shape in shapes]
    found = []
    for one in _cells(ragged, shapes):
        if isinstance(one, GeoRefusal):
            raise one
        found.append(one)
    return found


def _cells(ragged: Ragged, outlines: Shapes) -> list[Ints | GeoRefusal]:
    """The cells of each row, or why there are none."""
    found: list[Ints | GeoRefusal] = [_NO_CELLS] * ragged.count
    within, cell = _one_cell(shapely.bounds(outlines).reshape(-1, 4))
    for row in np.flatnonzero(within).tolist():
        found[row] = cell[row : row + 1]
    rows = np.flatnonzero(~within)
    ragged = ragged.take(~within)
    pieces = _pieces(ragged, DENSIFY_STEP_DEG)
    row_of_edge = np.repeat(ragged.row_of_ring(), np.diff(ragged.rings) - 1)
    few = np.bincount(row_of_edge, pieces, ragged.count) <= _MANY_PIECES
    slow = rows[~few]
    cut = _cut(ragged.take(few), pieces[few[row_of_edge]])
    rows = rows[few]
    many, ids, begin = _touched(Ragged(_ALBERS(cut.xy), cut.rings, cut.parts, cut.rows))
    for at in np.flatnonzero(~many).tolist():
        found[int(rows[at])] = ids[begin[at] : begin[at + 1]]
    for row in [*slow.tolist(), *rows[many].tolist()]:
        try:
            found[row] = np.array(polygon.cells(outlines[row]), dtype=np.int64)
        except GeoRefusal as refusal:
            found[row] = refusal
    return found


def _one_cell(degrees: Floats) -> tuple[Flags, Ints]:
    """Which boxes of degrees (west, south, east, north) lie in one cell for certain, and in which."""
    west, south, east, north = degrees.T
    small = (east - west <= _SMALL_DEG) & (north - south <= _SMALL_DEG) & (south >= 0.0) & (north <= 60.0)
    corners = np.stack([west, south, east, south, east, north, west, north], axis=-1).reshape(-1, 2)
    metres = _ALBERS(corners).reshape(-1, 4, 2)
    low = np.floor((metres.min(axis=1) - _BENT_M - _MARGIN_M) / CELL_M)
    high = np.floor((metres.max(axis=1) + _BENT_M + _MARGIN_M) / CELL_M)
    within = small & (low == high).all(axis=1)
    low = np.where(within[:, None], low, 0.0)
    return within, _cell_ids(low[:, 0], low[:, 1])


def _cell_ids(column: Floats, row: Floats) -> Ints:
    ids = (row.astype(np.int64) + polygon._CELL_OFFSET) * polygon._CELL_STRIDE
    return ids + column.astype(np.int64) + polygon._CELL_OFFSET


def _touched(ragged: Ragged) -> tuple[Flags, Ints, Ints]:
    """Of rows in the national frame: those that are too large to be judged here, and for the others the
    cells, row i's in `ids[begin[i]:begin[i + 1]]`, ascending.
    """
    if ragged.count == 0:
        return np.zeros(0, dtype=bool), _NO_CELLS, np.zeros(1, dtype=np.int64)
    part_row = owners(ragged.rows)
    low, high = _shell_boxes(ragged)
    with np.errstate(invalid="ignore"):
        first = np.floor((low - _MARGIN_M) / CELL_M)
        last = np.floor((high + _MARGIN_M) / CELL_M)
        count = last - first + 1
        boxes = count[:, 0] * count[:, 1]
    many = np.zeros(ragged.count, dtype=bool)
    many[part_row[~(boxes <= _MANY_BOXES)]] = True  # also what is not finite
    part = np.flatnonzero(~many[part_row])
    each = np.repeat(part, boxes[part].astype(np.int64))
    within = runs(np.zeros(len(part), dtype=np.int64), boxes[part].astype(np.int64))
    column = first[each, 0] + within % count[each, 0]
    row = first[each, 1] + within // count[each, 0]
    hit = np.ones(len(each), dtype=bool)
    asked = ~_surely_touched(low, high, first, last)[each]
    hit[asked] = _intersects(ragged, each[asked], column[asked], row[asked])
    keys = np.unique(np.column_stack([part_row[each[hit]], _cell_ids(column[hit], row[hit])]), axis=0)
    begin = starts(np.bincount(keys[:, 0], minlength=ragged.count))
    many |= np.diff(begin) > MAX_CELLS
    return many, keys[:, 1].copy(), begin


def _shell_boxes(ragged: Ragged) -> tuple[Floats, Floats]:
    """Lower left and upper right of each part."""
    shell = ragged.is_shell()
    xy = ragged.xy[np.repeat(shell, np.diff(ragged.rings))]
    head = starts(np.diff(ragged.rings)[shell])[:-1]
    return np.minimum.reduceat(xy, head, axis=0), np.maximum.reduceat(xy, head, axis=0)


def _surely_touched(low: Floats, high: Floats, first: Floats, last: Floats) -> Flags:
    """Parts that touch each cell of their box, as they lie in one line of cells and are of one piece."""
    line = (first == last).any(axis=1)
    line &= ((first + 1) * CELL_M + _MARGIN_M - low > _SURELY_M).all(axis=1)
    line &= (high - (last * CELL_M - _MARGIN_M) > _SURELY_M).all(axis=1)
    return np.asarray(line, dtype=bool)


def _intersects(ragged: Ragged, part: Ints, column: Floats, row: Floats) -> Flags:
    """Whether parts touch cells widened by the margin, pair by pair; parts ascending."""
    asked = np.unique(part)
    wanted = np.zeros(len(ragged.parts) - 1, dtype=bool)
    wanted[asked] = True
    pieces = Ragged(ragged.xy, ragged.rings, ragged.parts, np.arange(len(ragged.parts)))
    polygons = np.asarray(shapely.from_wkb(wkb_of(pieces.take(wanted))), dtype=object)
    shapely.prepare(polygons)
    x, y, m = column * CELL_M, row * CELL_M, _MARGIN_M
    boxes = shapely.box(x - m, y - m, x + CELL_M + m, y + CELL_M + m)
    return np.asarray(shapely.intersects(polygons[np.searchsorted(asked, part)], boxes), dtype=bool)
