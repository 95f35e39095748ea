"""Many polygons as one flat array of vertices and the places where rings, parts and rows begin.

What `crs` and `polygon` do to one outline at a time, `batch` does to these arrays. Rows are polygons or
multipolygons; a part is one polygon; the first ring of a part is its shell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from struct import Struct
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.crs import Coordinates

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Shapes = NDArray[np.object_]

_POLYGON: Final = 3
_MULTIPOLYGON: Final = 6
_HEAD: Final = Struct("<BII")
_COUNT: Final = Struct("<I")


@dataclass(frozen=True, slots=True)
class Ragged:
    """Vertices (n, 2), and the first vertex of each ring, the first ring of each part and the first part of
    each row, each list closed by its end. Rings are closed and not empty.
    """

    xy: Coordinates
    rings: Ints
    parts: Ints
    rows: Ints

    @property
    def count(self) -> int:
        return len(self.rows) - 1

    def ring_of_vertex(self) -> Ints:
        return owners(self.rings)

    def row_of_ring(self) -> Ints:
        return np.repeat(owners(self.rows), np.diff(self.parts))

    def row_of_vertex(self) -> Ints:
        return np.repeat(self.row_of_ring(), np.diff(self.rings))

    def is_shell(self) -> Flags:
        """Of each ring."""
        found = np.zeros(len(self.rings) - 1, dtype=bool)
        found[self.parts[:-1]] = True
        return found

    def vertices(self) -> Ints:
        """Of each row, closing ones counted."""
        return np.diff(self.rings[self.parts[self.rows]])

    def take(self, wanted: Flags) -> "Ragged":
        """The rows that are wanted, in their order."""
        if wanted.all():
            return self
        parts = np.repeat(wanted, np.diff(self.rows))
        rings = np.repeat(parts, np.diff(self.parts))
        vertices = np.repeat(rings, np.diff(self.rings))
        return Ragged(
            self.xy[vertices],
            starts(np.diff(self.rings)[rings]),
            starts(np.diff(self.parts)[parts]),
            starts(np.diff(self.rows)[wanted]),
        )


def starts(counts: Ints) -> Ints:
    """Where each of several runs begins that follow each other, and the end."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def owners(begins: Ints) -> Ints:
    """To which run each element belongs."""
    return np.repeat(np.arange(len(begins) - 1), np.diff(begins))


def runs(first: Ints, counts: Ints) -> Ints:
    """first[0], first[0] + 1, ... (counts[0] of them), first[1], ..."""
    begins = np.cumsum(counts) - counts
    each: Ints = np.arange(int(counts.sum())) + np.repeat(first - begins, counts)
    return each


def shapes_of(given: Sequence[object]) -> Shapes:
    """Geometries as an array of objects."""
    array = np.empty(len(given), dtype=object)
    array[:] = list(given)
    return array


def ragged_of(shapes: Shapes) -> tuple[Ragged, Flags]:
    """The polygons and multipolygons among the shapes, and which those are: what has no area, no vertex in a
    ring or no ring in a part is left out.
    """
    plain = _plain(shapes)
    kept = shapes[plain]
    parts_in = np.maximum(shapely.get_num_geometries(kept), 1).astype(np.int64)
    holes = shapely.get_num_interior_rings(kept)
    compound = (holes > 0) | (parts_in > 1) | (shapely.get_type_id(kept) == _MULTIPOLYGON)
    rows = starts(parts_in)
    rings_in = np.ones(int(rows[-1]), dtype=np.int64)
    pieces = shapely.get_parts(kept[compound])
    compound_parts = runs(rows[:-1][compound], parts_in[compound])
    rings_in[compound_parts] = shapely.get_num_interior_rings(pieces) + 1
    parts = starts(rings_in)
    length = np.zeros(int(parts[-1]), dtype=np.int64)
    length[parts[rows[:-1]]] = shapely.get_num_coordinates(kept)
    length[runs(parts[compound_parts], rings_in[compound_parts])] = shapely.get_num_coordinates(
        shapely.get_rings(pieces)
    )
    return Ragged(shapely.get_coordinates(kept), starts(length), parts, rows), plain


def _plain(shapes: Shapes) -> Flags:
    kind = shapely.get_type_id(shapes)
    plain = ((kind == _POLYGON) | (kind == _MULTIPOLYGON)) & ~shapely.is_empty(shapes)
    compound = np.flatnonzero(
        plain & ((kind == _MULTIPOLYGON) | (shapely.get_num_interior_rings(shapes) > 0))
    )
    pieces, owner = shapely.get_parts(shapes[compound], return_index=True)
    rings, part = shapely.get_rings(pieces, return_index=True)
    plain[compound[owner[part[shapely.get_num_coordinates(rings) == 0]]]] = False
    plain[compound[owner[shapely.is_empty(pieces)]]] = False
    return np.asarray(plain, dtype=bool)


def wkb_of(ragged: Ragged) -> list[bytes]:
    """Well-known binary of each row, little endian; a single part is a Polygon."""
    if len(ragged.xy) == 0:  # a view of nothing has no bytes
        return []
    raw = np.ascontiguousarray(ragged.xy).data.cast("B")
    rings, parts, rows = (ragged.rings * 16).tolist(), ragged.parts.tolist(), ragged.rows.tolist()
    lengths = [_COUNT.pack(n) for n in np.diff(ragged.rings).tolist()]
    found = []
    for first, last in pairwise(rows):
        pieces: list[bytes | memoryview] = []
        if last - first > 1:
            pieces.append(_HEAD.pack(1, _MULTIPOLYGON, last - first))
        for part in range(first, last):
            ring, end = parts[part], parts[part + 1]
            pieces.append(_HEAD.pack(1, _POLYGON, end - ring))
            for one in range(ring, end):
                pieces += (lengths[one], raw[rings[one] : rings[one + 1]])
        found.append(b"".join(pieces))
    return found
