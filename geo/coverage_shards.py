"""Files of kept shares: a shard is a coverage of some parcels with their digests, in one file that never
changes; beside it lie small files that strike parcels out.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyproj
from numpy.typing import NDArray

from geo.coverage import PER_PARCEL, Coverage, array_names
from geo.coverage_build import Segments
from geo.errors import CoverageUnreadable
from geo.kept import Kept
from geo.ragged import Ints, runs, starts
from geo.raster import Grid
from geo.work import Workers

Digests = NDArray[np.uint8]

FORMAT: Final = 2
SHARD: Final = ".shares"
GONE: Final = ".gone"
MOST_PARCELS: Final = 1 << 18
"""Parcels of one shard, some 250 MB."""


def grid_digest(grid: Grid) -> str:
    """Of a grid and of what brings outlines to it: another PROJ may give other last digits."""
    told = {"grid": grid.as_dict(), "format": FORMAT, "proj": pyproj.proj_version_str}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]


def digests_of(keys: Sequence[str]) -> Digests:
    """Hex digests as bytes (n, 32) (ValueError)."""
    raw = bytes.fromhex("".join(keys))
    if any(len(key) != 64 for key in keys):
        raise ValueError("a key is the SHA-256 of an outline, in hex")
    return np.frombuffer(raw, dtype=np.uint8).reshape(len(keys), 32)


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """A file of kept parcels: their digests, and which are struck out."""

    path: Path
    kept: Kept
    grid: Grid
    keys: Digests
    gone: NDArray[np.bool_]

    @classmethod
    def open(cls, path: Path, grid: Grid | None) -> "Shard":
        """Raises FileNotFoundError, CoverageUnreadable."""
        kept = Kept(path)
        try:
            own = Grid(**kept.facts["grid"])
        except (KeyError, TypeError) as error:
            raise CoverageUnreadable(reason="no grid") from error
        if kept.facts.get("format") != FORMAT or grid not in (None, own):
            raise CoverageUnreadable(reason="of another grid or format")
        keys = kept.array("keys")
        gone = np.zeros(len(keys), dtype=np.bool_)
        for struck in path.parent.glob(f"{path.stem}.*{GONE}"):
            gone[Kept(struck).array("rows")] = True
        return cls(path, kept, own, keys, gone)

    def whole(self, grid: Grid, workers: Workers) -> Coverage:
        """The shard as it is."""
        arrays: dict[str, Any] = {name: self.kept.array(name, workers) for name in array_names()}
        return Coverage(grid=grid, **arrays)

    def array(self, name: str) -> NDArray[Any]:
        return self.kept.array(name)

    def segments(self, some: Ints, workers: Workers) -> Segments:
        """All segments, of which only `some` may be used."""
        cells, runs_ = self.array("segment_cells"), self.array("segment_runs")
        wide = {"cell_offset": cells, "cell_share": cells, "run_offset": runs_, "run_length": runs_}
        for name, begin in wide.items():
            if 2 * len(some) > len(begin):
                self.kept.array(name, workers)
            else:
                self.kept.check_rows(name, begin[some], begin[some + 1])
        return Segments(
            self.array("segment_parcel"),
            self.array("segment_block"),
            cells,
            runs_,
            *(self.kept.unchecked(name) for name in wide),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Fresh:
    """What was just built, as if it were read."""

    coverage: Coverage
    keys: Digests

    @property
    def gone(self) -> NDArray[np.bool_]:
        return np.zeros(len(self.keys), dtype=np.bool_)

    def array(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = getattr(self.coverage, name)
        return array

    def segments(self, some: Ints, workers: Workers) -> Segments:
        return self.coverage.segments


def words(keys: Digests) -> NDArray[Any]:
    """Each digest as one value that can be compared."""
    return np.ascontiguousarray(keys).view("S32").reshape(-1)


def found_in(shards: Sequence[Shard | Fresh], asked: Digests) -> tuple[Ints, Ints]:
    """In which shard and row each parcel is kept, the first of several; -1 where it is not."""
    alive = [np.flatnonzero(~shard.gone) for shard in shards]
    keys = np.concatenate(
        [np.zeros((0, 32), np.uint8), *(s.keys[a] for s, a in zip(shards, alive, strict=True))]
    )
    number = np.repeat(np.arange(len(shards)), [len(some) for some in alive])
    row = np.concatenate([np.zeros(0, np.int64), *alive])
    source, place = np.full(len(asked), -1), np.full(len(asked), -1)
    heads = _heads(keys)
    order = np.argsort(heads, kind="stable")
    heads, wanted = heads[order], _heads(asked)
    at, open_ = np.searchsorted(heads, wanted), np.arange(len(asked))
    while len(open_):  # past others that begin alike, which nobody has seen yet
        open_ = open_[at[open_] < len(heads)]
        open_ = open_[heads[at[open_]] == wanted[open_]]
        candidate = order[at[open_]]
        same = (keys[candidate] == asked[open_]).all(axis=1)
        source[open_[same]], place[open_[same]] = number[candidate[same]], row[candidate[same]]
        open_ = open_[~same]
        at[open_] += 1
    return source, place


def _heads(keys: Digests) -> NDArray[np.uint64]:
    """The first eight bytes of each digest, as a number."""
    return np.ascontiguousarray(keys[:, :8]).view(np.uint64).reshape(-1)


def first_of_each(asked: Digests, rows: Ints) -> Ints:
    """The rows with each parcel once, in their order."""
    _, first = np.unique(words(asked[rows]), return_index=True)
    return rows[np.sort(first)]


def segments_of(segment_parcel: NDArray[np.int32], rows: Ints) -> tuple[Ints, Ints]:
    """The segments of some parcels, in the order of the rows, and to which of the rows each belongs."""
    order = np.argsort(segment_parcel, kind="stable")
    count = np.bincount(segment_parcel, minlength=int(rows.max()) + 1)
    begin = starts(count)
    return order[runs(begin[rows], count[rows])], np.repeat(np.arange(len(rows)), count[rows])


def groups(shards: Sequence[Shard]) -> Iterator[list[Shard]]:
    """Shards that together are not too large, in their order."""
    group: list[Shard] = []
    parcels = 0
    for shard in shards:
        if group and parcels + len(shard.keys) > MOST_PARCELS:
            yield group
            group, parcels = [], 0
        group.append(shard)
        parcels += len(shard.keys)
    if group:
        yield group


def of_parcel(coverage: Coverage, parcel: int) -> list[bytes]:
    """Everything that a coverage says of one parcel."""
    told = [getattr(coverage, name)[parcel].tobytes() for name in PER_PARCEL]
    for segment in np.flatnonzero(coverage.segment_parcel == parcel):
        cells = slice(*coverage.segment_cells[segment : segment + 2])
        runs_ = slice(*coverage.segment_runs[segment : segment + 2])
        told += [coverage.segment_block[segment].tobytes()]
        told += [getattr(coverage, name)[cells].tobytes() for name in ("cell_offset", "cell_share")]
        told += [getattr(coverage, name)[runs_].tobytes() for name in ("run_offset", "run_length")]
    return told


def unlink(path: Path) -> None:
    """Remove a shard, and what was struck out of it."""
    path.unlink(missing_ok=True)
    for struck in path.parent.glob(f"{path.stem}.*{GONE}"):
        struck.unlink(missing_ok=True)
