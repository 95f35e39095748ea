"""Shares of cells kept on disk, parcel by parcel, so that each is computed once for a grid.

A parcel is known by the digest of its canonical outline, a grid by a digest of its description and of what
computes on it. Of each grid there are shards: a coverage of some parcels with their digests, one file each,
that never changes. What is missing is built and added as a new shard; what is forgotten is struck out by a
small file beside the shard, and gone with the next `compact`, which joins shards.

All of it is a cache: any file may be deleted at any time. Files appear complete or not at all, stand alone,
and are believed page by page only after their digests (`geo.kept`); one that is damaged is removed, and its
parcels are built again. So several processes may use a store at once: at worst two build the same parcels,
which gives the same bits. Only forgetting and joining take a lock, and readers do not wait for it.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from geo.coverage import PER_PARCEL, Coverage, assembled_coverage, cover_parcels
from geo.coverage_build import assemble
from geo.coverage_shards import (
    FORMAT,
    GONE,
    MOST_PARCELS,
    SHARD,
    Digests,
    Fresh,
    Shard,
    digests_of,
    first_of_each,
    found_in,
    grid_digest,
    groups,
    of_parcel,
    segments_of,
    unlink,
    words,
)
from geo.crs import Polygonal
from geo.errors import CoverageNotClosed, CoverageUnreadable
from geo.kept import keep, remove_abandoned
from geo.ragged import Ints
from geo.raster import Grid
from geo.work import Progress, Threads, Workers, workers_of

__all__ = ["CoverageStore", "Outlines", "StoreFacts", "Verified", "digests_of", "grid_digest"]

Outlines = Sequence[Polygonal] | Callable[[Ints], Sequence[Polygonal]]
"""Outlines of EPSG:4490, or who gives those of some positions: only missing ones are asked for."""

_MANY_SHARDS: Final = 64
_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What a store holds: grids, shards, parcels by grid (counted once for each shard), bytes."""

    grids: int
    shards: int
    parcels: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Verified:
    """How many kept parcels were computed anew, and the digests of those that differed."""

    checked: int
    wrong: tuple[str, ...]


class _Again(Exception):
    """The files are not those that were listed: begin again."""


@dataclass(frozen=True, slots=True, eq=False)
class _Built:
    """What was missing, and at which positions it was asked for."""

    coverage: Coverage
    rows: Ints


class CoverageStore:
    """Kept shares of cells in a folder. `damaged` are the files that were found damaged and removed."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.damaged: list[str] = []

    def coverage(
        self,
        outlines: Outlines,
        keys: Sequence[str],
        grid: Grid,
        *,
        workers: Workers | int = 1,
        progress: Progress | None = None,
    ) -> Coverage:
        """The coverage of parcels in the order asked, bit for bit that of `cover_parcels`; what is missing is
        built and kept. `keys` are the digests of the canonical outlines (`polygon.digest`), in their order.

        Raises what `cover_parcels` does.
        """
        if not callable(outlines) and len(outlines) != len(keys):
            raise ValueError(f"{len(outlines)} outlines with {len(keys)} keys")
        asked, hands = digests_of(keys), workers_of(workers)
        for _ in range(_TRIES):
            try:
                return self._coverage(outlines, asked, grid, hands, progress)
            except _Again:
                continue
        raise CoverageUnreadable(reason="files change faster than they are read")

    def _coverage(
        self, outlines: Outlines, asked: Digests, grid: Grid, workers: Workers, progress: Progress | None
    ) -> Coverage:
        shards = self._shards(grid)
        for shard in shards:
            if not shard.gone.any() and np.array_equal(shard.keys, asked):
                with self._reading(shard):
                    return shard.whole(grid, workers)
        source, row = found_in(shards, asked)
        missing = first_of_each(asked, np.flatnonzero(source < 0))
        built = [
            self._build(outlines, asked, some, grid, workers, progress)
            for some in np.split(missing, range(MOST_PARCELS, len(missing), MOST_PARCELS))
            if len(some)
        ]
        if built:
            self._tidy(grid, len(shards) + len(built))
        if len(built) == 1 and len(missing) == len(asked):
            return built[0].coverage
        more = [Fresh(one.coverage, asked[one.rows]) for one in built]
        if more:
            source, row = found_in([*shards, *more], asked)
        return self._joined([*shards, *more], source, row, grid, workers)

    def _build(
        self,
        outlines: Outlines,
        asked: Digests,
        rows: Ints,
        grid: Grid,
        workers: Workers,
        progress: Progress | None,
    ) -> "_Built":
        given = outlines(rows) if callable(outlines) else [outlines[int(row)] for row in rows]
        try:
            coverage = cover_parcels(given, grid, workers=workers, progress=progress)
        except CoverageNotClosed as broken:  # counted among those that were asked for
            at = int(str(broken.facts["parcel"]))
            raise CoverageNotClosed(parcel=int(rows[at]), difference=broken.facts["difference"]) from broken
        self._write(grid, asked[rows], coverage)
        return _Built(coverage, rows)

    def _write(self, grid: Grid, keys: Digests, coverage: Coverage) -> None:
        folder = self._folder(grid)
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"grid": grid.as_dict(), "format": FORMAT}
        path = folder / f"{secrets.token_hex(8)}{SHARD}"
        keep(path, facts, {"keys": keys, **coverage.arrays()})

    def _joined(
        self, sources: Sequence["Shard | Fresh"], source: Ints, row: Ints, grid: Grid, workers: Workers
    ) -> Coverage:
        """The parcels asked for, each from its source."""
        parts, chosen, parcel = [], [], []
        per_parcel = {name: np.empty(len(source)) for name in PER_PARCEL}
        for number, one in enumerate(sources):
            at = np.flatnonzero(source == number)
            if len(at) == 0:
                continue
            with self._reading(one):
                some, owner = segments_of(one.array("segment_parcel"), row[at])
                parts.append(one.segments(some, workers))
                chosen.append(some)
                parcel.append(at[owner].astype(np.int32))
                for name, numbers in per_parcel.items():
                    numbers[at] = one.array(name)[row[at]]
        return assembled_coverage(grid, per_parcel, assemble(parts, chosen, parcel, workers))

    # --- files ----------------------------------------------------------------------------------------------

    def _folder(self, grid: Grid) -> Path:
        return self.folder / grid_digest(grid)

    def _shards(self, grid: Grid) -> list["Shard"]:
        """All shards of a grid that can be opened; a damaged one is removed."""
        found = []
        for path in sorted(self._folder(grid).glob(f"*{SHARD}")):
            try:
                found.append(Shard.open(path, grid))
            except FileNotFoundError:  # joined with others meanwhile
                raise _Again from None
            except CoverageUnreadable:
                self._remove(path)
        return found

    @contextlib.contextmanager
    def _reading(self, shard: "Shard | Fresh") -> Iterator[None]:
        """Whatever turns out damaged is removed, and the work begins again."""
        try:
            yield
        except CoverageUnreadable:
            assert isinstance(shard, Shard)
            self._remove(shard.path)
            raise _Again from None

    def _remove(self, path: Path) -> None:
        self.damaged.append(path.name)
        unlink(path)

    @contextlib.contextmanager
    def _lock(self, folder: Path, *, wait: bool) -> Iterator[bool]:
        """Whether nobody else forgets or joins in this folder; without `wait` it may be False."""
        with (folder / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(one for one in self.folder.iterdir() if one.is_dir())

    # --- forgetting, joining, checking ----------------------------------------------------------------------

    def forget(self, keys: Sequence[str]) -> int:
        """Strike parcels out on all grids; how many were. Their numbers leave the disk with `compact`."""
        asked = digests_of(keys)
        count = 0
        for folder in self._folders():
            with self._lock(folder, wait=True):
                count += self._strike(folder, asked, others=False)
        return count

    def keep_only(self, keys: Sequence[str]) -> int:
        """Forget all other parcels on all grids and take their numbers off the disk; how many they were,
        counted on each grid.
        """
        asked = digests_of(keys)
        count = 0
        for folder in self._folders():
            with self._lock(folder, wait=True):
                count += self._strike(folder, asked, others=True)
                self._compact(folder)
        return count

    def _strike(self, folder: Path, asked: Digests, *, others: bool) -> int:
        """Strike out in all shards of a folder those that are asked for, or all others."""
        paths = sorted(folder.glob(f"*{SHARD}"))
        return sum(self._strike_in(path, asked, others=others) for path in paths)

    def _strike_in(self, path: Path, asked: Digests, *, others: bool) -> int:
        if (shard := self._opened(path)) is None:
            return 0
        named = np.isin(words(shard.keys), words(asked), invert=others)
        rows = np.flatnonzero(named & ~shard.gone)
        if len(rows):
            keep(path.with_name(f"{path.stem}.{secrets.token_hex(4)}{GONE}"), {}, {"rows": rows})
        return len(rows)

    def compact(self, grid: Grid | None = None) -> None:
        """Join small shards, leave out what is forgotten or kept twice, and remove what writers that died
        left. Without a grid: of all grids, and those that only another format or PROJ could use are removed.
        """
        for folder in self._folders() if grid is None else [self._folder(grid)]:
            if folder.is_dir():
                with self._lock(folder, wait=True):
                    self._compact(folder)

    def _tidy(self, grid: Grid, shards: int) -> None:
        if shards > _MANY_SHARDS:
            with self._lock(self._folder(grid), wait=False) as mine:
                if mine:
                    self._compact(self._folder(grid))

    def _compact(self, folder: Path) -> None:
        remove_abandoned(folder)
        while not self._all_joined(folder):  # a damaged one was removed
            pass

    def _all_joined(self, folder: Path) -> bool:
        paths = sorted(folder.glob(f"*{SHARD}"))
        shards = [shard for shard in map(self._opened, paths) if shard is not None]
        if shards and grid_digest(shards[0].grid) != folder.name:
            shutil.rmtree(folder)
            return True
        seen: set[bytes] = set()
        try:
            for together in groups(shards):
                self._join(together, seen)
        except _Again:
            return False
        return True

    def _opened(self, path: Path) -> Shard | None:
        """A shard, if it is sound and still there."""
        try:
            return Shard.open(path, None)
        except FileNotFoundError:
            return None
        except CoverageUnreadable:
            self._remove(path)
            return None

    def _join(self, shards: Sequence["Shard"], seen: set[bytes]) -> None:
        """One shard of several, with each parcel that was not seen before once."""
        keys = np.concatenate([shard.keys for shard in shards])
        alive = np.concatenate([~shard.gone for shard in shards])
        wanted = np.zeros(len(keys), dtype=np.bool_)
        for at in np.flatnonzero(alive).tolist():
            key = keys[at].tobytes()
            wanted[at] = key not in seen
            seen.add(key)
        if len(shards) == 1 and wanted.all():
            return
        source = np.repeat(np.arange(len(shards)), [len(shard.keys) for shard in shards])
        row = np.concatenate([np.arange(len(shard.keys)) for shard in shards])
        if wanted.any():
            grid = shards[0].grid
            joined = self._joined(shards, source[wanted], row[wanted], grid, Threads(1))
            self._write(grid, keys[wanted], joined)
        for shard in shards:
            unlink(shard.path)

    def verify(
        self, outlines: Outlines, keys: Sequence[str], grid: Grid, *, sample: int = 100, seed: int = 0
    ) -> Verified:
        """Compute some kept parcels anew; those that differ by a bit are struck out."""
        asked = digests_of(keys)
        source, _ = found_in(self._shards(grid), asked)
        kept = np.flatnonzero(source >= 0)
        rows = np.sort(np.random.default_rng(seed).permutation(kept)[:sample])
        given = outlines(rows) if callable(outlines) else [outlines[int(row)] for row in rows]
        names = [keys[int(row)] for row in rows]
        there = self.coverage(given, names, grid)
        anew = cover_parcels(given, grid)
        wrong = tuple(names[n] for n in range(len(names)) if of_parcel(there, n) != of_parcel(anew, n))
        self.forget(wrong)
        return Verified(len(names), wrong)

    def facts(self) -> StoreFacts:
        """What is kept, damaged files left out."""
        shards = []
        for folder in self._folders():
            for path in folder.glob(f"*{SHARD}"):
                try:
                    shards.append(Shard.open(path, None))
                except (CoverageUnreadable, FileNotFoundError):
                    continue
        return StoreFacts(
            grids=len({shard.path.parent for shard in shards}),
            shards=len(shards),
            parcels=sum(int(np.count_nonzero(~shard.gone)) for shard in shards),
            size_bytes=sum(shard.kept.size_bytes for shard in shards),
        )
