"""What must be known of every entry for ever, kept on disk: request ids, and the states of subjects.

A `Spill` is an exact mapping from bytes to text that holds its newest keys in memory and the others in a
temporary SQLite file, written in sorted runs. A bit table of fixed size (Bloom) says of most new keys that
they are not on the disk, so that a new id or a new subject costs no search. Memory is bounded; the file grows
by some 40 to 100 bytes a key and disappears with the process.
"""

import sqlite3
from typing import Final

HOT_KEYS: Final = 1 << 14
"""Keys in memory before they are written out together."""
_FILTER_BITS: Final = 1 << 26
_MASK: Final = _FILTER_BITS - 1
_PAGES_KB: Final = 2048


class Spill:
    """An exact mapping whose memory does not grow with its keys."""

    __slots__ = ("_bits", "_file", "_hot", "_limit", "_rows")

    def __init__(self, limit: int = HOT_KEYS) -> None:
        self._hot: dict[bytes, str] = {}
        self._limit = limit
        self._rows = 0
        self._bits = bytearray()
        self._file: sqlite3.Connection | None = None

    def get(self, key: bytes) -> str | None:
        """What was last put under the key, None when nothing was."""
        found = self._hot.get(key)
        if found is not None or self._file is None:
            return found
        bits, one = self._bits, hash(key)
        two = one >> 26
        if not (bits[(one & _MASK) >> 3] & (1 << (one & 7)) and bits[(two & _MASK) >> 3] & (1 << (two & 7))):
            return None
        row = self._file.execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, key: bytes, value: str = "") -> None:
        hot = self._hot
        hot[key] = value
        if len(hot) > self._limit:
            self._write()

    def _write(self) -> None:
        if self._file is None:
            self._file = _temporary()
            self._bits = bytearray(_FILTER_BITS >> 3)
        bits, rows = self._bits, sorted(self._hot.items())
        for key, _ in rows:
            one = hash(key)
            two = one >> 26
            bits[(one & _MASK) >> 3] |= 1 << (one & 7)
            bits[(two & _MASK) >> 3] |= 1 << (two & 7)
        self._file.executemany("INSERT OR REPLACE INTO kept (key, value) VALUES (?, ?)", rows)
        self._hot = {}

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _temporary() -> sqlite3.Connection:
    """A database in a file that SQLite itself deletes; nothing in it must survive."""
    connection = sqlite3.connect("", isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_PAGES_KB}", "temp_store=FILE"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE kept (key BLOB PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    return connection
