"""What a start repairs by itself, and what it only looks at (LEDGER 4.4, "On start").

The database is the one durable thing: the head is checked against its frontier and its last checkpoint, and
every published file that is missing is made again from the committed entries. What was written for entries
that the database lost before their checkpoint was public goes: nobody was told of them.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from ledger import log as ledger_log
from ledger.checkpoint import peek_checkpoint
from ledger.log import LedgerTransaction
from ledger.tiles import (
    MAX_LEVEL,
    TILE_HEIGHT,
    TILE_WIDTH,
    TileDirectory,
    TilePath,
    entries_path,
    tile_path,
)
from registry.anchor import root_in
from registry.database import Database

STALE_SECONDS: Final = 86_400
"""Nobody writes one file for a day: what is older was left by a crash."""


def check_head(database: Database) -> None:
    """The frontier's root is the head's, and the last signed checkpoint says the same; else `LogCorrupt`."""
    with database.write() as session:
        LedgerTransaction(session)


def publish_lost(database: Database, tiles: TileDirectory) -> int:
    """Make published files again that are not there any more; answers how many.

    Only for a history that is this database's: what else is wrong, `publish` refuses.
    """
    with tiles.publishing(), database.read() as session:
        public, note = tiles.published(), ledger_log.last_checkpoint(session)
        if public is None or note is None or public.size > peek_checkpoint(note).size:
            return 0
        lost = sum(not (tiles.path / name).is_file() for name in published_files(public.size))
        if lost and root_in(session, public.size) == public.root:
            tiles.publish(lambda start, end: ledger_log.leaves(session, start, end), 0, public.size)
        return lost


def drop_unheard(database: Database, tiles: TileDirectory) -> int:
    """Remove files of entries that are not committed; answers how many.

    Files are written after the commit and before the checkpoint that speaks of them. A disk that loses a
    synced commit between the two leaves files that no checkpoint covers and that the next entries would
    contradict. A log of which more is public than is committed is left alone: `publish` refuses it.
    """
    with tiles.publishing(), database.read() as session:
        note = ledger_log.last_checkpoint(session)
        size = 0 if note is None else peek_checkpoint(note).size
        if tiles.published_size() > size:
            return 0
        beyond = list(_files_beyond(tiles, size))
        for path in beyond:
            path.unlink()
        return len(beyond)


def _files_beyond(tiles: TileDirectory, size: int) -> Iterator[Path]:
    """Tiles and bundles wider than a log of `size` entries has them."""
    for level in (None, *range(MAX_LEVEL + 1)):
        complete, width = divmod(size >> TILE_HEIGHT * (level or 0), TILE_WIDTH)
        for n in count(complete):
            full = tiles.path / str(TilePath(level, n, TILE_WIDTH))
            partials = Path(f"{full}.p")
            if not full.exists() and not partials.is_dir():
                break
            if full.exists():
                yield full
            least = width if n == complete else 0
            yield from (path for path in partials.glob("*") if path.name.isdigit() and int(path.name) > least)


def published_files(size: int) -> Iterator[str]:
    """The names of the tiles and bundles that a log of `size` entries needs; the checkpoint is not among
    them.
    """
    level, there = 0, size
    while there:
        for n in range(-(-there // TILE_WIDTH)):
            width = min(TILE_WIDTH, there - n * TILE_WIDTH)
            yield tile_path(level, n, width)
            if level == 0:
                yield entries_path(n, width)
        level, there = level + 1, there // TILE_WIDTH


def remove_stale(folder: Path, pattern: str) -> int:
    """Delete half-written files that a crash left in a folder; answers how many."""
    removed = 0
    for path in folder.glob(pattern):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()
                removed += 1
    return removed
