"""Values under parcels, taken out of a raster once: what is measured again reads no raster.

A band under a coverage is packed in the order of its segments, edge cells first, as the file stores it (a
scaled uint16 stays two bytes). New factors, another mask, a stratum or the draws of a Monte Carlo simulation
then cost a pass over the values under the parcels. The sums are those of `zonal`, bit for bit: the same
compiled loop adds the same numbers in the same order.

`PackedStore` keeps them in files beside the kept shares (`geo.kept`: believed after their digests only), by
the digests of grid, parcels, raster and band. All of it is a cache with a limit: what was not used for
longest goes first.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geo.coverage import Coverage
from geo.coverage_build import row_areas_m2
from geo.coverage_shards import Digests, digests_of, grid_digest, words
from geo.errors import CoverageUnreadable
from geo.kept import Kept, keep, remove_abandoned
from geo.ragged import Ints
from geo.raster import RasterBand, RasterSource
from geo.spans import NO_SHARES, Blocks, Span, numbers_of, reduce_segments, shares_in, spans_of
from geo.work import Progress, Workers, threads_of, workers_of
from geo.zonal import ZonalSums, sums_of_segments

__all__ = [
    "Packed",
    "PackedMask",
    "PackedStore",
    "pack",
    "packed_sums",
    "parcel_of_values",
    "values_of_segments",
]

Flags8 = NDArray[np.uint8]

_ENDING: Final = ".values"
_LIMIT_BYTES: Final = 8 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A band under the parcels of a coverage: stored numbers, and (of a band with an internal mask) flags, 0
    where there is no value; of each segment its edge cells, then its runs, from `begin` on (s + 1).
    """

    name: str
    band: int
    stored: RasterBand
    values: NDArray[Any]
    usable: Flags8
    begin: Ints

    @property
    def size_bytes(self) -> int:
        return self.values.nbytes + self.usable.nbytes


def values_of_segments(coverage: Coverage) -> Ints:
    """Where the packed values of each segment begin (s + 1)."""
    whole = np.concatenate([[0], np.cumsum(coverage.run_length, dtype=np.int64)])
    begin: Ints = coverage.segment_cells + whole[coverage.segment_runs]
    return begin


# --- packing ------------------------------------------------------------------------------------------------


def pack(
    coverage: Coverage,
    source: RasterSource,
    *,
    band: int = 1,
    workers: Workers | int = 1,
    progress: Progress | None = None,
) -> Packed:
    """Take a band out of a raster, reading each touched block once (RasterGridMismatch, RasterBandMissing,
    RasterUnreadable).
    """
    coverage.grid.require(source.grid, source.name)
    stored = source.band(band)
    hands = workers_of(workers)
    begin = values_of_segments(coverage)
    values = np.empty(int(begin[-1]), dtype=stored.dtype)
    usable = np.empty(len(values) if stored.masked else 0, dtype=np.uint8)
    items = [
        (span, source, band, begin[span.first : span.first + len(span.segments.block) + 1])
        for span in spans_of(coverage, hands)
    ]
    results = hands.map(_pack_span, items, step="values", progress=progress)
    for (_, _, _, place), (some, flags) in zip(items, results, strict=True):
        values[place[0] : place[-1]] = some
        if stored.masked:
            usable[place[0] : place[-1]] = flags
    return Packed(source.name, band, stored, values, usable, begin)


def _pack_span(item: tuple[Span, RasterSource, int, Ints]) -> tuple[NDArray[Any], Flags8]:
    """The task that workers do: the values under a few blocks."""
    span, source, band, place = item
    s, blocks, begin = span.segments, Blocks(span.grid), place - place[0]
    values = np.empty(int(begin[-1]), dtype=source.band(band).dtype)
    flags = np.empty(len(values) if source.band(band).masked else 0, dtype=np.uint8)
    for at, block in enumerate(span.blocks.tolist()):
        stretch = (int(span.block_segments[at]), int(span.block_segments[at + 1]))
        cells = (*stretch, s.cells, s.runs, begin, s.cell_offset, s.run_offset, s.run_length)
        read, usable = blocks.read(block, source, band)
        _packing(read, cells, values)
        if len(usable):
            _packing(usable, cells, flags)
    return values, flags


def _packing(values: NDArray[Any], cells: Any, out: NDArray[Any]) -> None:
    from geo.zonal_kernels import pack_block  # loads the compiler

    given: Any = (values, *cells, out)
    pack_block(*given)


# --- sums ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class PackedMask:
    """What part of a cell is asked about, as `zonal.Mask`, from packed values of its raster."""

    packed: Packed
    classes: tuple[int, ...] | None

    def shares(self) -> NDArray[np.float32]:
        """For each packed cell."""
        return shares_in(self.packed.stored, self.classes, self.packed.values, self.packed.usable)


def packed_sums(
    coverage: Coverage,
    packed: Packed,
    *,
    masks: Sequence[PackedMask | NDArray[np.float32]] = (),
    spread: bool = False,
    workers: Workers | int = 1,
) -> ZonalSums:
    """`zonal.zonal_sums` from packed values, the same bit for bit. A mask may be an array of shares, 0 to 1,
    for each packed cell; of several the least counts.
    """
    if len(packed.begin) != len(coverage.segment_parcel) + 1:
        raise ValueError("values under another coverage")
    mask = _least(masks, len(packed.values))
    rows = np.empty((1 + spread, len(coverage.segment_parcel), 3))
    threads = threads_of(workers_of(workers))
    stretches = np.linspace(0, len(coverage.blocks), 8 * threads.count + 1).astype(int).tolist()
    for _ in threads.map(
        lambda one: _reduce(coverage, packed, mask, rows, *one),
        list(pairwise(stretches)),
    ):
        pass
    return sums_of_segments(coverage, packed.name, packed.band, rows, masked=bool(masks))


def _least(masks: Sequence[PackedMask | NDArray[np.float32]], count: int) -> NDArray[np.float32]:
    shares = [one.shares() if isinstance(one, PackedMask) else one for one in masks]
    if any(len(one) != count for one in shares):
        raise ValueError("a mask has a share for each packed cell")
    return np.minimum.reduce(shares).astype(np.float32, copy=False) if shares else NO_SHARES


def _reduce(
    coverage: Coverage,
    packed: Packed,
    mask: NDArray[np.float32],
    rows: NDArray[np.float64],
    first: int,
    last: int,
) -> None:
    """Some blocks: each segment is written once."""
    numbers = numbers_of(packed.stored)
    areas = row_areas_m2(coverage.grid)
    for at in range(first, last):
        row, _, height, _ = coverage.block_window(int(coverage.blocks[at]))
        stretch = (int(coverage.block_segments[at]), int(coverage.block_segments[at + 1]))
        reduce_segments(
            packed.values,
            packed.usable,
            mask,
            packed.begin,
            numbers,
            stretch,
            coverage.segments,
            areas[row : row + height],
            rows,
        )


def parcel_of_values(coverage: Coverage) -> NDArray[np.int32]:
    """The parcel of each packed cell."""
    return np.repeat(coverage.segment_parcel, np.diff(values_of_segments(coverage)))


# --- keeping ------------------------------------------------------------------------------------------------


class PackedStore:
    """Packed values in a folder, by grid, parcels, raster and band. At most so many bytes are kept."""

    def __init__(self, folder: str | os.PathLike[str], limit_bytes: int = _LIMIT_BYTES) -> None:
        self.folder = Path(folder)
        self.limit_bytes = limit_bytes
        self.damaged: list[str] = []

    def values(
        self,
        coverage: Coverage,
        keys: Sequence[str],
        source: RasterSource,
        *,
        band: int = 1,
        workers: Workers | int = 1,
        progress: Progress | None = None,
    ) -> Packed:
        """The packed values of a band; taken out of the raster when they are not kept. `keys` are those of
        the parcels of the coverage, in its order. Raises what `pack` does.
        """
        coverage.grid.require(source.grid, source.name)
        stored, hands = source.band(band), workers_of(workers)
        name = _name(coverage, keys, source, band)
        path = self.folder / name
        found = self._kept(path, source.name, band, stored, values_of_segments(coverage), hands)
        if found is None:
            found = pack(coverage, source, band=band, workers=hands, progress=progress)
            self.folder.mkdir(parents=True, exist_ok=True)
            arrays = {"keys": digests_of(keys), "values": found.values, "usable": found.usable}
            keep(path, {"stored": asdict(stored)}, arrays)
            self.trim()
        return found

    def _kept(
        self, path: Path, name: str, band: int, stored: RasterBand, begin: Ints, workers: Workers
    ) -> Packed | None:
        try:
            kept = Kept(path)
            values, usable = kept.array("values", workers), kept.array("usable", workers)
            if kept.facts.get("stored") != asdict(stored) or len(values) != begin[-1]:
                raise CoverageUnreadable(reason="of another band")
        except FileNotFoundError:
            return None
        except CoverageUnreadable:
            self.damaged.append(path.name)
            path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return Packed(name, band, stored, values, usable, begin)

    def trim(self) -> None:
        """Remove what was not used for longest, down to the limit, and what dead writers left."""
        remove_abandoned(self.folder)
        total = 0
        for _, size, path in sorted(_used(self.folder), reverse=True):
            total += size
            if total > self.limit_bytes:
                path.unlink(missing_ok=True)

    def keep_only(self, keys: Sequence[str]) -> int:
        """Remove the values of every set of parcels in which there are others; how many files."""
        remove_abandoned(self.folder)
        asked = digests_of(keys)
        strange = [path for path in self.folder.glob(f"*{_ENDING}") if not _all_among(path, asked)]
        for path in strange:
            path.unlink(missing_ok=True)
        return len(strange)


def _all_among(path: Path, asked: Digests) -> bool:
    try:
        return bool(np.isin(words(Kept(path).array("keys")), words(asked)).all())
    except (CoverageUnreadable, FileNotFoundError):
        return False


def _used(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """When each file was used last, and its size."""
    for path in folder.glob(f"*{_ENDING}"):
        with contextlib.suppress(FileNotFoundError):
            seen = path.stat()
            yield seen.st_mtime_ns, seen.st_size, path


def _name(coverage: Coverage, keys: Sequence[str], source: RasterSource, band: int) -> str:
    if len(keys) != coverage.parcels:
        raise ValueError(f"{coverage.parcels} parcels with {len(keys)} keys")
    parcels = hashlib.sha256(digests_of(keys).tobytes()).hexdigest()
    told = "\n".join([grid_digest(coverage.grid), parcels, source.sha256, str(band)])
    return hashlib.sha256(told.encode()).hexdigest()[:40] + _ENDING
