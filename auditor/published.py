"""The files of a published log under one signed root, one bundle at a time (L1, L2).

Every bundle is held to its tile of leaf hashes before anybody judges what is in it, every tile to the hashes
that the entries give, and at the end the entries to the signed root. Kept in memory: one open tile a level.
The leaf hashes go to a temporary file, so that an entry that is read a second time is the same entry.
"""

import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from auditor.effects import Contradiction
from auditor.findings import Report
from ledger.client import FolderFiles, Head, LogClient, LogWrong
from ledger.errors import LedgerRefusal
from ledger.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    consistency_proof,
    inclusion_proof,
    root_from_nodes,
    verify_consistency,
    verify_inclusion,
)
from ledger.tiles import CHECKPOINT, TILE_HEIGHT, TILE_WIDTH, TilePath, encode_entry_bundle, parse_path

_AT: Final = re.compile(rb'\{"at":([0-9]{1,16}),')
Place = tuple[int | None, int]
"""A tile: level (None for a bundle) and number."""


class Tree:
    """The right edge of a growing Merkle tree; whole subtrees may be added at once (RFC 6962, 2.1)."""

    __slots__ = ("_edge", "size")

    def __init__(self) -> None:
        self._edge: list[tuple[int, bytes]] = []
        self.size = 0

    def add(self, node: bytes, level: int = 0) -> None:
        """Add the root over the next 2^level leaves; the size must be a multiple of that."""
        self.size += 1 << level
        edge = self._edge
        while edge and edge[-1][0] == level:
            node = sha256(b"\x01" + edge.pop()[1] + node).digest()
            level += 1
        edge.append((level, node))

    def root(self) -> bytes:
        if not self._edge:
            return EMPTY_ROOT
        value = self._edge[-1][1]
        for _, left in reversed(self._edge[:-1]):
            value = sha256(b"\x01" + left + value).digest()
        return value


def entry_time(leaf: bytes) -> int:
    """The time a leaf begins with, in milliseconds since 1970; 0 for what is no leaf."""
    match = _AT.match(leaf)
    return 0 if match is None else int(match[1])


def subtree(row: Sequence[bytes]) -> bytes:
    """The root over 1, 2, 4 … 256 hashes."""
    while len(row) > 1:
        row = [sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(0, len(row), 2)]
    return row[0]


@dataclass(slots=True)
class Sizes:
    """Sizes, in order, whose roots somebody wants to see."""

    wanted: Iterator[int]
    tell: Callable[[int, bytes], None]
    next: int = -1

    def __post_init__(self) -> None:
        self.advance()

    def advance(self) -> None:
        self.next = next(self.wanted, -1)


def no_sizes() -> Sizes:
    return Sizes(iter(()), lambda _size, _root: None)


class Published:
    """One walk over the log that `head` signs."""

    def __init__(
        self, client: LogClient, head: Head, report: Report, lying: "Lying | None" = None,
        sizes: Sizes | None = None,
    ) -> None:  # fmt: skip
        self.size: Final = head.checkpoint.size
        self.tree: Final = Tree()
        self._client = client
        self._root = head.checkpoint.root
        self._report = report
        self._lying = lying
        self._sizes = no_sizes() if sizes is None else sizes
        self._open: list[list[bytes]] = []
        self._done: list[int] = []
        self._hashes = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._recalled: tuple[int, list[bytes]] = (-1, [])

    def close(self) -> None:
        self._hashes.close()

    def bundles(self, end: int) -> Iterator[tuple[int, list[bytes]]]:
        """The entries before `end`, a bundle at a time, each held to its tile: (index of the first, entries).

        Raises `LogWrong` with the place, `OSError` when a file cannot be fetched.
        """
        for n in range(-(-end // TILE_WIDTH)):
            first = n * TILE_WIDTH
            entries = self._client.bundle(n, self.size)
            hashes = [sha256(b"\x00" + entry).digest() for entry in entries]
            self._compare(0, n, hashes)
            if self._lying is not None:
                self._lying.compare_bundle(n, entries, self._report)
            self._report.count("L2")
            self._hashes.write(b"".join(hashes))
            self._grow(hashes[: max(0, end - first)])
            yield first, entries[: end - first]

    def finish(self) -> None:
        """The walk reached the end of the log: tiles that are open, the root, files that do not belong."""
        for level, row in enumerate(self._open):
            if row and level:
                self._compare(level, self._done[level], row)
        self._report.expect("L1", self.tree.root() == self._root, CHECKPOINT, "the entries have another root")
        self._report.expect("I12", self.tree.root() == self._root, CHECKPOINT, "it is not on the history")
        if self._lying is not None:
            self._lying.finish(self._report)

    def stop(self, before_ms: int | None = None) -> None:
        """The walk stops before the end of the log: prove that what it saw is the beginning of it, and where
        it stopped at an instant, that the next entry is not of before.
        """
        old, nodes = self.tree.size, self._client.nodes(self.size)
        try:
            proof = consistency_proof(old, self.size, nodes)
            verify_consistency(old, self.size, proof, self.tree.root(), self._root)
            if before_ms is not None:
                beyond = self._client.bundle(old // TILE_WIDTH, self.size)[old % TILE_WIDTH]
                path = inclusion_proof(old, self.size, nodes)
                verify_inclusion(old, self.size, sha256(b"\x00" + beyond).digest(), path, self._root)
                if entry_time(beyond) < before_ms:
                    raise LogWrong(place=f"entry {old}", reason="it is of an earlier time than shown before")
        except LogWrong:
            raise
        except LedgerRefusal as refusal:
            raise LogWrong(place=CHECKPOINT, reason=str(refusal).removesuffix(".")) from refusal
        self._report.count("L1")
        self._report.count("I12")

    def recall(self, index: int) -> bytes:
        """The leaf of an entry that was walked over before, as it was then."""
        n, at = divmod(index, TILE_WIDTH)
        if self._recalled[0] != n:
            self._recalled = (n, self._client.bundle(n, self.size))
        leaf = self._recalled[1][at]
        self._hashes.seek(index * HASH_BYTES)
        known = self._hashes.read(HASH_BYTES)
        self._hashes.seek(0, 2)
        if sha256(b"\x00" + leaf).digest() != known:
            raise Contradiction(f"entry {index} is not the entry it was before")
        return leaf

    # -- the tree

    def _grow(self, hashes: list[bytes]) -> None:
        first, sizes = self.tree.size, self._sizes
        if len(hashes) == TILE_WIDTH and not first < sizes.next <= first + TILE_WIDTH:
            node = subtree(hashes)
            self.tree.add(node, TILE_HEIGHT)
            self._above(1, node)
            return
        for node in hashes:
            self.tree.add(node)
            if self.tree.size == sizes.next:
                sizes.tell(self.tree.size, self.tree.root())
                sizes.advance()
        if len(hashes) == TILE_WIDTH:
            self._above(1, subtree(hashes))

    def _above(self, level: int, node: bytes) -> None:
        while len(self._open) <= level:
            self._open.append([])
            self._done.append(0)
        row = self._open[level]
        row.append(node)
        if len(row) == TILE_WIDTH:
            self._compare(level, self._done[level], row)
            self._done[level] += 1
            self._open[level] = []
            self._above(level + 1, subtree(row))

    def _compare(self, level: int, n: int, row: Sequence[bytes]) -> None:
        data = b"".join(row)
        self._report.count("L2")
        if self._client.tile(level, n, len(row)) != data:
            raise self._unlike(level, n, len(row))
        if self._lying is not None:
            self._lying.compare_tile(level, n, data, self._report)

    def _unlike(self, level: int, n: int, width: int) -> LogWrong:
        """A tile and what is below it differ. When the tiles lead to the signed root it is the entries."""
        tile, bundle = str(TilePath(level, n, width)), str(TilePath(None, n, width))
        sound = root_from_nodes(self.size, self._client.nodes(self.size)) == self._root
        if sound and level == 0:
            return LogWrong(place=bundle, reason="its entries are not those of the signed tree")
        return LogWrong(place=tile, reason="it does not have the hashes that the entries give")


class Lying:
    """Every file that lies in a log's folder, the partial ones of earlier sizes included.

    They are listed before the checkpoint is read, so that what is published meanwhile is not held against an
    older checkpoint. A file that is gone by now was pruned when its full tile came.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._widths: dict[Place, list[int]] = defaultdict(list)
        self._strange: list[str] = []
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            if name == CHECKPOINT or name.startswith("."):
                continue
            try:
                parsed = parse_path(name)
            except LedgerRefusal:
                self._strange.append(name)
            else:
                self._widths[parsed.level, parsed.n].append(parsed.width)

    @classmethod
    def of(cls, files: object) -> "Lying | None":
        return cls(files.path) if isinstance(files, FolderFiles) else None

    def sizes(self) -> set[int]:
        """The sizes at which the log was published, as far as partial bundles of them still lie there."""
        return {
            n * TILE_WIDTH + width
            for (level, n), widths in self._widths.items()
            for width in widths
            if level is None and width < TILE_WIDTH
        }

    def needs(self) -> int:
        """The size of the smallest log that has all these files."""
        return max(
            (
                (n * TILE_WIDTH + max(widths)) << (TILE_HEIGHT * (level or 0))
                for (level, n), widths in self._widths.items()
            ),
            default=0,
        )

    def compare_bundle(self, n: int, entries: Sequence[bytes], report: Report) -> None:
        for width in self._widths.pop((None, n), ()):
            expected = encode_entry_bundle(entries[:width]) if width <= len(entries) else None
            self._compare(TilePath(None, n, width), expected, report)

    def compare_tile(self, level: int, n: int, data: bytes, report: Report) -> None:
        for width in self._widths.pop((level, n), ()):
            expected = data[: width * HASH_BYTES] if width * HASH_BYTES <= len(data) else None
            self._compare(TilePath(level, n, width), expected, report)

    def _compare(self, path: TilePath, expected: bytes | None, report: Report) -> None:
        try:
            found = (self._folder / str(path)).read_bytes()
        except FileNotFoundError:
            return
        report.expect("L2", found == expected, str(path), "not what the entries give")

    def finish(self, report: Report) -> None:
        """What no entry gives."""
        rest = [str(TilePath(level, n, width)) for (level, n), ws in self._widths.items() for width in ws]
        for name in sorted([*rest, *self._strange]):
            report.expect("L2", not (self._folder / name).exists(), name, "not what the entries give")
