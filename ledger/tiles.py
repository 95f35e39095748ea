"""The published log as files (c2sp.org/tlog-tiles): tiles of hashes, bundles of entries, one checkpoint.

Everything below the directory is served as it lies. Files but the checkpoint never change: each is written
beside its place, synced, renamed into it, and the directory synced. All of it follows from the log and can be
made again from the entries; publishing the same twice writes nothing the second time. The checkpoint comes
last, and only when the tiles give its root and still give the root that was public before.
"""

import fcntl
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import Final, TypeAlias

from ledger.checkpoint import Checkpoint, peek_checkpoint
from ledger.durable import DurableFolder
from ledger.errors import MalformedTile, MalformedTree, PublishRefused, TileMissing
from ledger.merkle import HASH_BYTES, MAX_SIZE, NodeReader, leaf_hash, node_hash, root_from_nodes

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
MAX_LEVEL: Final = 63
MAX_ENTRY_BYTES: Final = 65_535
CHECKPOINT: Final = "checkpoint"
_CACHED_TILES: Final = 256
_CACHED_TOPS: Final = 8192
"""Full tiles of which the upper rows are remembered, 2 KB each: enough for two million entries."""
_TOP: Final = 3
"""The lowest row that is remembered of a full tile; the few hashes below it are made again from the file."""
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|[0-9]{1,2})/(?P<n>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[0-9]{1,3}))?"
)

LeafReader: TypeAlias = Callable[[int, int], Iterable[bytes]]


# ---- paths and contents ------------------------------------------------------------------------------------


def tile_path(level: int, n: int, width: int = TILE_WIDTH) -> str:
    """The path of a tile of hashes below the log's prefix."""
    if type(level) is not int or not 0 <= level <= MAX_LEVEL:
        raise MalformedTile(reason=f"level {level} is not from 0 to {MAX_LEVEL}")
    return f"tile/{level}/{_number_path(n, width)}"


def entries_path(n: int, width: int = TILE_WIDTH) -> str:
    """The path of an entry bundle below the log's prefix."""
    return f"tile/entries/{_number_path(n, width)}"


@dataclass(frozen=True, slots=True)
class TilePath:
    """A parsed path; `level` is None for an entry bundle."""

    level: int | None
    n: int
    width: int

    def __str__(self) -> str:
        if self.level is None:
            return entries_path(self.n, self.width)
        return tile_path(self.level, self.n, self.width)


def parse_path(path: str) -> TilePath:
    """The tile or bundle that `path` names, in its one spelling. Raises `MalformedTile`."""
    match = _PATH.fullmatch(path)
    if match is None or len(path) > 100 or not path.isascii():
        raise MalformedTile(reason="not the path of a tile")
    level = None if match["level"] == "entries" else int(match["level"])
    n = int(match["n"].replace("x", "").replace("/", ""))
    parsed = TilePath(level, n, TILE_WIDTH if match["width"] is None else int(match["width"]))
    if str(parsed) != path:
        raise MalformedTile(reason="another spelling of the same path")
    return parsed


def _number_path(n: int, width: int) -> str:
    if type(n) is not int or not 0 <= n <= MAX_SIZE:
        raise MalformedTile(reason="a tile number is whole and not negative")
    if type(width) is not int or not 1 <= width <= TILE_WIDTH:
        raise MalformedTile(reason=f"a tile is 1 to {TILE_WIDTH} wide")
    path = f"{n % 1000:03}"
    while n >= 1000:
        n //= 1000
        path = f"x{n % 1000:03}/{path}"
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def encode_entry_bundle(entries: Sequence[bytes]) -> bytes:
    """1 to 256 entries, each after its length in two bytes, big end first."""
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise MalformedTile(reason=f"a bundle has 1 to {TILE_WIDTH} entries")
    if any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise MalformedTile(reason=f"an entry of more than {MAX_ENTRY_BYTES} bytes")
    return b"".join(part for entry in entries for part in (len(entry).to_bytes(2, "big"), entry))


def decode_entry_bundle(data: bytes, width: int = TILE_WIDTH) -> list[bytes]:
    """The `width` entries of a bundle, which ends with the last of them. Raises `MalformedTile`."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        entries.append(data[start:at])
    if at != len(data) or len(entries) != width:
        raise MalformedTile(reason=f"the bundle has not exactly {width} entries")
    return entries


# ---- the directory -----------------------------------------------------------------------------------------


class TileDirectory:
    """A published log in a directory: reading for anybody, publishing for whoever holds the directory's lock.

    Entry positions are zero-based and `end` is excluded; sizes count entries.
    """

    def __init__(self, path: Path | str) -> None:
        self.path: Final = Path(path)
        self._files = DurableFolder(self.path)
        self._held = RLock()
        self._depth = 0
        self._full = lru_cache(maxsize=_CACHED_TILES)(self._load_full)
        self._tops = lru_cache(maxsize=_CACHED_TOPS)(self._load_tops)
        self._subtrees = lru_cache(maxsize=_CACHED_TILES)(self._load_subtrees)

    # -- reading

    def checkpoint_bytes(self) -> bytes | None:
        """The published checkpoint note, or None before the first."""
        try:
            return (self.path / CHECKPOINT).read_bytes()
        except FileNotFoundError:
            return None

    def published(self) -> Checkpoint | None:
        """What the published checkpoint says. Its signature is not checked here: it is our own file."""
        note = self.checkpoint_bytes()
        return None if note is None else peek_checkpoint(note)

    def published_size(self) -> int:
        checkpoint = self.published()
        return 0 if checkpoint is None else checkpoint.size

    def read_entries(self, start: int, end: int, size: int | None = None) -> Iterator[bytes]:
        """The raw entries from `start` to `end` (excluded) of the log at `size` (default: as published), in
        order.

        One bundle is in memory at a time. Raises `MalformedTree` beyond the size, `TileMissing`,
        `MalformedTile`.
        """
        limit = self.published_size() if size is None else size
        if not 0 <= start <= end <= limit:
            raise MalformedTree(reason=f"entries {start} to {end} are not among {limit}")
        return self._read_bundles(start, end, limit)

    def _read_bundles(self, start: int, end: int, size: int) -> Iterator[bytes]:
        for n in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
            first = n * TILE_WIDTH
            bundle = self._bundle(n, min(TILE_WIDTH, size - first))
            yield from bundle[max(start - first, 0) : end - first]

    def node(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree of the published log (see `ledger.merkle`)."""
        return self.nodes(self.published_size())(level, index)

    def nodes(self, size: int) -> NodeReader:
        """Subtree hashes of the log at `size`, for the proof builders of `ledger.merkle`."""

        def node(level: int, index: int) -> bytes:
            if (index + 1) << level > size:
                raise MalformedTree(reason=f"subtree {index} of level {level} is not complete at {size}")
            tile_level, height = divmod(level, TILE_HEIGHT)
            n, offset = divmod(index << height, TILE_WIDTH)
            width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * tile_level)) - n * TILE_WIDTH)
            if width < TILE_WIDTH:
                row = self._subtrees(tile_level, n, width)[height]
            elif height < _TOP:
                leaves = self._full(tile_level, n)[
                    offset * HASH_BYTES : (offset + (1 << height)) * HASH_BYTES
                ]
                return _rows(leaves)[height]
            else:
                row = self._tops(tile_level, n)[height - _TOP]
            at = (offset >> height) * HASH_BYTES
            return row[at : at + HASH_BYTES]

        return node

    def root(self, size: int) -> bytes:
        """The root that the tiles give for the first `size` entries."""
        return root_from_nodes(size, self.nodes(size))

    def _load_subtrees(self, level: int, n: int, width: int) -> tuple[bytes, ...]:
        """The rows of complete subtrees inside a tile, lowest first, each as joined hashes."""
        return _rows(self._tile(level, n, width))

    def _load_full(self, level: int, n: int) -> bytes:
        return self._tile(level, n, TILE_WIDTH)

    def _load_tops(self, level: int, n: int) -> tuple[bytes, ...]:
        """The upper rows of a full tile, from `_TOP` to its root. A full tile never changes."""
        return _rows(self._full(level, n))[_TOP:]

    def _tile(self, level: int, n: int, width: int) -> bytes:
        data, found = self._read_wide(TilePath(level, n, width))
        if len(data) != found * HASH_BYTES:
            raise MalformedTile(reason=f"{tile_path(level, n, found)} has {len(data)} bytes")
        return data[: width * HASH_BYTES]

    def _bundle(self, n: int, width: int) -> list[bytes]:
        data, found = self._read_wide(TilePath(None, n, width))
        return decode_entry_bundle(data, found)[:width]

    def _read_wide(self, wanted: TilePath) -> tuple[bytes, int]:
        """A file and its width: the one wanted, or the full one that has taken its place."""
        for width in dict.fromkeys((wanted.width, TILE_WIDTH)):
            with suppress(FileNotFoundError):
                path = TilePath(wanted.level, wanted.n, width)
                return (self.path / str(path)).read_bytes(), width
        raise TileMissing(path=str(wanted))

    # -- publishing

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Hold the directory against other threads and processes. May be entered again by its holder."""
        with self._held:
            if self._depth:
                yield
                return
            self._files.make(self.path)
            handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                self._depth = 1
                self._files.clear_staging()
                yield
            finally:
                self._depth = 0
                os.close(handle)  # releases the lock

    def publish(
        self, leaves: LeafReader | Sequence[bytes], old_size: int, new_size: int, *, repair: bool = False
    ) -> bytes:
        """Write the tiles and bundles by which the log at `new_size` differs from `old_size`; return their
        root.

        `leaves` gives raw entries for a range `(start, end)`, end excluded, or is the list of the new ones.
        With a list the entries before them in the same bundle are taken from the directory. Files that are
        there already stay; one with other content is refused (`PublishRefused`), or with `repair` replaced.
        The checkpoint is not touched. After a loss, `publish(reader, 0, size, repair=True)` makes everything
        again.
        """
        if not 0 <= old_size <= new_size <= MAX_SIZE:
            raise PublishRefused(reason=f"the log cannot go from {old_size} to {new_size} entries")
        with self.publishing():
            if new_size < self.published_size():
                raise PublishRefused(
                    reason=f"{self.published_size()} entries are public, {new_size} are fewer"
                )
            if repair:
                for remembered in (self._full, self._tops, self._subtrees):
                    remembered.cache_clear()
            reader = leaves if callable(leaves) else self._list_reader(leaves, old_size, new_size)
            for n in range(old_size // TILE_WIDTH, -(-new_size // TILE_WIDTH)):
                self._publish_bundle(reader, n, new_size, repair)
            self._publish_upper(old_size, new_size, repair)
            return self.root(new_size)

    def write_checkpoint(self, note: bytes) -> None:
        """Publish a checkpoint note, by rename, when the tiles give its root.

        Refused (`PublishRefused`): a smaller size than is public, another origin, tiles that do not give the
        new root, or no longer the old one. The same size and root again (with more witnesses) replaces the
        note.
        """
        new = peek_checkpoint(note)
        with self.publishing():
            old = self.published()
            if old is not None:
                if new.origin != old.origin:
                    raise PublishRefused(reason=f"the log is {old.origin}, not {new.origin}")
                if new.size < old.size:
                    raise PublishRefused(reason=f"{old.size} entries are public, {new.size} are fewer")
                # From the tiles of the new size: those of the old one may be other files.
                if root_from_nodes(old.size, self.nodes(new.size)) != old.root:
                    raise PublishRefused(reason="the tiles no longer give the root that is public")
            if self.root(new.size) != new.root:
                raise PublishRefused(reason=f"the tiles do not give the root at {new.size} entries")
            if note != self.checkpoint_bytes():
                self._files.write(CHECKPOINT, note)

    def prune_partials(self, start: int = 0) -> int:
        """Delete the partial files of tiles that are public in full; return how many. Readers fall back to
        the full.

        `start` is an entry position before which nothing is left to do.
        """
        removed = 0
        with self.publishing():
            size = self.published_size()
            for level in (None, *range(MAX_LEVEL + 1)):
                span = TILE_HEIGHT * (1 if level is None else level + 1)
                if size >> span == 0 and level is not None:
                    break
                for n in range(start >> span, size >> span):
                    removed += self._prune(TilePath(level, n, TILE_WIDTH))
        return removed

    def _prune(self, full: TilePath) -> int:
        folder = self.path / f"{full}.p"
        if not folder.is_dir() or not (self.path / str(full)).is_file():
            return 0
        names = list(folder.iterdir())
        for name in names:
            name.unlink()
        folder.rmdir()
        return len(names)

    def _list_reader(self, leaves: Sequence[bytes], old_size: int, new_size: int) -> LeafReader:
        if len(leaves) != new_size - old_size:
            raise PublishRefused(reason=f"{len(leaves)} entries do not lead from {old_size} to {new_size}")

        def read(start: int, end: int) -> Iterable[bytes]:
            if start < old_size:
                yield from self.read_entries(start, old_size, old_size)
            yield from leaves[max(start - old_size, 0) : end - old_size]

        return read

    def _publish_bundle(self, reader: LeafReader, n: int, size: int, repair: bool) -> None:
        first = n * TILE_WIDTH
        end = min(size, first + TILE_WIDTH)
        entries = list(reader(first, end))
        if len(entries) != end - first:
            raise PublishRefused(reason=f"entries {first} to {end} are not all there")
        self._write_once(entries_path(n, end - first), encode_entry_bundle(entries), repair)
        self._write_once(tile_path(0, n, end - first), b"".join(map(leaf_hash, entries)), repair)

    def _publish_upper(self, old_size: int, new_size: int, repair: bool) -> None:
        """Levels above 0: each hash is the root of a full tile below."""
        for level in range(1, MAX_LEVEL + 1):
            shift = TILE_HEIGHT * level
            old_count, count = old_size >> shift, new_size >> shift
            if count == 0:
                return
            if count == old_count:
                continue
            for n in range(old_count // TILE_WIDTH, -(-count // TILE_WIDTH)):
                first = n * TILE_WIDTH
                width = min(TILE_WIDTH, count - first)
                data = b"" if repair else self._known_prefix(level, n, old_count - first)
                for child in range(first + len(data) // HASH_BYTES, first + width):
                    data += self._tops(level - 1, child)[-1]
                self._write_once(tile_path(level, n, width), data, repair)

    def _known_prefix(self, level: int, n: int, width: int) -> bytes:
        """The tile as it was at the old size; nothing when it was empty or is lost."""
        if width <= 0:
            return b""
        try:
            return self._tile(level, n, width)
        except TileMissing:
            return b""

    # -- files

    def _write_once(self, name: str, data: bytes, repair: bool) -> None:
        """Write an immutable file; one that is there must be the same, or is replaced under `repair`."""
        try:
            present = (self.path / name).read_bytes()
        except FileNotFoundError:
            self._files.write(name, data)
            return
        if present != data:
            if not repair:
                raise PublishRefused(reason=f"the public file {name} has other content")
            self._files.write(name, data)


def _rows(row: bytes) -> tuple[bytes, ...]:
    """The rows of complete subtrees over joined hashes, lowest first."""
    rows = [row]
    while (count := len(row) // HASH_BYTES) > 1:
        pairs = range(0, (count - count % 2) * HASH_BYTES, 2 * HASH_BYTES)
        row = b"".join(
            node_hash(row[at : at + HASH_BYTES], row[at + HASH_BYTES : at + 2 * HASH_BYTES]) for at in pairs
        )
        rows.append(row)
    return tuple(rows)
