"""Published logs of any length, made fast: signed deposits as leaves and tiles, without a database.

The first entries come from a real installation (genesis, members, their keys); the deposits that follow are
signed by several keys in all processes that there are. Files are written without sync, since nobody relies on
them after the run.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from benchmarks.ledger.world import RECEIVERS, World, found
from ledger import log as ledger_log
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.envelope import decode_leaf, encode_leaf
from ledger.merkle import Frontier, leaf_hash, node_hash
from ledger.note import Signer
from ledger.tiles import CHECKPOINT, TILE_WIDTH, encode_entry_bundle, entries_path, tile_path

CHUNK: Final = 2_000
"""Deposits that one process signs at a time."""


@dataclass(frozen=True, slots=True)
class PublishedLog:
    """A folder with `log/` and `log.vkey`, as a stranger would have it."""

    folder: Path
    size: int

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def vkey(self) -> str:
        return (self.folder / "log.vkey").read_text().strip()


class TileWriter:
    """Writes tiles of a growing tree, and bundles if it is given entries; `finish` the open ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: list[list[bytes]] = []
        self._done: list[int] = []
        self._entries: list[bytes] = []
        self._bundles = 0
        self.frontier = Frontier()

    def add(self, leaf: bytes) -> None:
        self._entries.append(leaf)
        if len(self._entries) == TILE_WIDTH:
            self._write_bundle()
        self.add_hash(leaf_hash(leaf))

    def add_hash(self, digest: bytes) -> None:
        self.frontier.append(digest)
        self._grow(0, digest)

    def finish(self) -> None:
        if self._entries:
            self._write_bundle()
        for level, row in enumerate(self._rows):
            if row:
                self._write(tile_path(level, self._done[level], len(row)), b"".join(row))

    def _grow(self, level: int, digest: bytes) -> None:
        if level == len(self._rows):
            self._rows.append([])
            self._done.append(0)
        row = self._rows[level]
        row.append(digest)
        if len(row) == TILE_WIDTH:
            self._write(tile_path(level, self._done[level], TILE_WIDTH), b"".join(row))
            self._done[level] += 1
            self._rows[level] = []
            while len(row) > 1:
                row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
            self._grow(level + 1, row[0])

    def _write_bundle(self) -> None:
        name = entries_path(self._bundles, len(self._entries))
        self._write(name, encode_entry_bundle(self._entries))
        self._bundles += 1
        self._entries = []

    def _write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def signed_log(folder: Path, deposits: int, *, members: int = RECEIVERS) -> PublishedLog:
    """A log of an installation with `deposits` deposits, published in `folder`."""
    installation, world = found(folder / "source", members=members)
    with installation.database.read() as session:
        first = list(ledger_log.leaves(session, 0, installation.tiles.published_size()))
    signer = installation.signer
    installation.close()
    tiles = TileWriter(folder / "log")
    for leaf in first:
        tiles.add(leaf)
    for leaf in deposit_leaves(world, deposits, decode_leaf(first[-1])[0]):
        tiles.add(leaf)
    tiles.finish()
    write_head(folder / "log", tiles.frontier, signer)
    (folder / "log.vkey").write_text(signer.verifier.vkey + "\n")
    return PublishedLog(folder, tiles.frontier.size)


def write_head(folder: Path, frontier: Frontier, signer: Signer) -> None:
    head = Checkpoint(signer.verifier.name, frontier.size, frontier.root())
    (folder / CHECKPOINT).write_bytes(sign_checkpoint(head, [signer]))


def deposit_leaves(world: World, count: int, at_ms: int) -> Iterator[bytes]:
    """The leaves of deposits 0 to `count`, in order, one a millisecond."""
    starts = range(0, count, CHUNK)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("fork")) as pool:
        sign = partial(_signed_chunk, world, count, at_ms)
        # A few chunks ahead, not all: a million leaves would not be a small process any more.
        for at in range(0, len(starts), 8):
            for leaves in pool.map(sign, starts[at : at + 8]):
                yield from leaves


def _signed_chunk(world: World, count: int, at_ms: int, start: int) -> list[bytes]:
    signed = world.envelopes(start, min(CHUNK, count - start))
    return [encode_leaf(at_ms + n, envelope) for n, (_, envelope) in enumerate(signed, start)]


def hash_tree(folder: Path, size: int) -> bytes:
    """The tiles of a tree over `size` made-up leaf hashes; its root."""
    tiles = TileWriter(folder)
    for n in range(size):
        tiles.add_hash(leaf_hash(n.to_bytes(8, "big")))
    tiles.finish()
    return tiles.frontier.root()
