"""What a start repairs by itself, and what it only looks at (LEDGER 4.4, "On start").

The database is the one durable thing: the head is checked against its frontier and its last checkpoint, and
every published file that is missing is made again from the committed entries.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from ledger import log as ledger_log
from ledger.checkpoint import peek_checkpoint
from ledger.log import LedgerTransaction
from ledger.tiles import TILE_WIDTH, TileDirectory, entries_path, tile_path
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


def published_files(size: int) -> Iterator[str]:
    """The names of the tiles and bundles that a log of `size` entries needs; the checkpoint is not among
    them.
    """
    level, count = 0, size
    while count:
        for n in range(-(-count // TILE_WIDTH)):
            width = min(TILE_WIDTH, count - n * TILE_WIDTH)
            yield tile_path(level, n, width)
            if level == 0:
                yield entries_path(n, width)
        level, count = level + 1, count // TILE_WIDTH


def remove_stale(folder: Path, pattern: str) -> int:
    """Delete half-written files that a crash left in a folder; answers how many."""
    removed = 0
    for path in folder.glob(pattern):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()
                removed += 1
    return removed
