"""The published files against the entries: every tile and bundle that lies there, to the byte."""

from collections.abc import Sequence
from pathlib import Path

from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import LedgerRefusal
from ledger.merkle import Frontier, leaf_hash
from ledger.note import NoteVerifier
from ledger.tiles import (
    CHECKPOINT,
    TILE_WIDTH,
    TileDirectory,
    encode_entry_bundle,
    entries_path,
    parse_path,
    tile_path,
)
from registry.transparency.findings import Report


def read_checkpoint(folder: Path, vkey: str, report: Report) -> Checkpoint | None:
    """The published checkpoint, when the log's key signed it."""
    report.count("L1")
    try:
        note = (folder / CHECKPOINT).read_bytes()
        return open_checkpoint(note, NoteVerifier.parse(vkey))
    except FileNotFoundError:
        report.find("L1", CHECKPOINT, "it is missing")
    except LedgerRefusal as refusal:
        report.find("L1", CHECKPOINT, refusal)
    return None


def read_leaves(folder: Path, size: int, report: Report) -> list[bytes] | None:
    """Every entry, from the bundles."""
    try:
        return list(TileDirectory(folder).read_entries(0, size, size))
    except LedgerRefusal as refusal:
        report.find("L2", "tile/entries", refusal)
        return None


def check_root(leaves: Sequence[bytes], checkpoint: Checkpoint, report: Report) -> list[bytes]:
    """Compare the root, and return the leaf hashes."""
    frontier, hashes = Frontier(), []
    for leaf in leaves:
        hashes.append(leaf_hash(leaf))
        frontier.append(hashes[-1])
    report.expect("L1", frontier.root() == checkpoint.root, CHECKPOINT, "the entries have another root")
    return hashes


def check_files(folder: Path, leaves: Sequence[bytes], hashes: Sequence[bytes], report: Report) -> None:
    """Hold every file below the log's folder against the entries; files that are missing or do not belong
    are found too.
    """
    levels = _levels(hashes)
    needed = _needed_files(len(leaves))
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        needed.discard(name)
        if name != CHECKPOINT and not name.startswith("."):
            report.expect(
                "L2", path.read_bytes() == _expected(name, leaves, levels), name, "not what the entries give"
            )
    for name in sorted(needed):
        report.find("L2", name, "it is missing")


def _levels(hashes: Sequence[bytes]) -> list[list[bytes]]:
    """The tile levels: level k+1 has the root of each full tile of level k."""
    levels = [list(hashes)]
    while len(levels[-1]) >= TILE_WIDTH:
        below = levels[-1]
        above = []
        for start in range(0, len(below) - TILE_WIDTH + 1, TILE_WIDTH):
            frontier = Frontier()
            for node in below[start : start + TILE_WIDTH]:
                frontier.append(node)
            above.append(frontier.root())
        levels.append(above)
    return levels


def _needed_files(size: int) -> set[str]:
    needed: set[str] = set()
    level, count = 0, size
    while count:
        for n in range(-(-count // TILE_WIDTH)):
            width = min(TILE_WIDTH, count - n * TILE_WIDTH)
            needed.add(tile_path(level, n, width))
            if level == 0:
                needed.add(entries_path(n, width))
        level, count = level + 1, count // TILE_WIDTH
    return needed


def _expected(name: str, leaves: Sequence[bytes], levels: Sequence[Sequence[bytes]]) -> bytes | None:
    """The bytes a file of this name has; None for a name that has no place in this log."""
    try:
        path = parse_path(name)
    except LedgerRefusal:
        return None
    start = path.n * TILE_WIDTH
    if path.level is None:
        part = leaves[start : start + path.width]
        return encode_entry_bundle(part) if len(part) == path.width else None
    row = levels[path.level] if path.level < len(levels) else []
    hashes = row[start : start + path.width]
    return b"".join(hashes) if len(hashes) == path.width else None
