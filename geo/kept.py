"""Arrays kept in a file that is never believed unseen.

A file is a cache: it may be deleted at any time and made again. It is written beside its place and moved
there when it is complete, so that a reader finds all of it or none, whoever was killed on the way. It ends
with a table of its arrays and the digests of its pages of 1 MiB; nothing of a page is used before the page
has its digest, and reading a few rows of a large file costs the digests of the pages that hold them.

Layout: the arrays, each from a multiple of 64 bytes on; the table as JSON; its SHA-256 (32 bytes); its length
(8 bytes, little endian); eight bytes that name the format.
"""

import contextlib
import fcntl
import hashlib
import json
import mmap
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from geo.errors import CoverageUnreadable
from geo.work import Threads, Workers, threads_of

__all__ = ["PARTIAL", "Kept", "keep", "remove_abandoned"]

PARTIAL: Final = ".partial"
_NAME: Final = b"TANHUI02"
_PAGE: Final = 1 << 20
_ALIGN: Final = 64
_TAIL: Final = 32 + 8 + len(_NAME)
_KINDS: Final = frozenset("biuf")


def keep(path: str | os.PathLike[str], facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays and what is to be known of them (JSON) to `path`, replacing it when complete."""
    with _partial(Path(path)) as out:
        table: dict[str, Any] = {"facts": dict(facts), "arrays": _write(out, arrays)}
        out.flush()
        table["pages"] = _digests(out, out.tell())
        text = json.dumps(table, sort_keys=True).encode()
        out.write(text + hashlib.sha256(text).digest() + len(text).to_bytes(8, "little") + _NAME)


@contextlib.contextmanager
def _partial(target: Path) -> Iterator[BinaryIO]:
    """A file beside the target, which takes its place in the end. It is locked while its writer lives."""
    while True:
        partial = target.with_name(f"{target.name}.{secrets.token_hex(4)}{PARTIAL}")
        with partial.open("w+b") as out:
            fcntl.flock(out, fcntl.LOCK_SH)
            if os.fstat(out.fileno()).st_nlink == 0:  # taken for abandoned before it was locked
                continue
            try:
                yield out
                out.flush()
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
            return


def remove_abandoned(folder: Path) -> None:
    """Remove what writers began that live no more."""
    for partial in folder.glob(f"*{PARTIAL}"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), partial.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            partial.unlink()


def _write(out: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
    """Where each array begins, its type and its shape."""
    places: dict[str, list[Any]] = {}
    for name, array in arrays.items():
        out.write(bytes(-out.tell() % _ALIGN))
        places[name] = [out.tell(), array.dtype.str, list(array.shape)]
        out.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b"")
    return places


def _digests(out: BinaryIO, length: int) -> list[str]:
    if length == 0:
        return []
    with mmap.mmap(out.fileno(), length, access=mmap.ACCESS_READ) as data:
        return [_digest(data, page) for page in range(-(-length // _PAGE))]


def _digest(data: mmap.mmap, page: int, end: int | None = None) -> str:
    whole = memoryview(data)
    try:
        last = len(whole) if end is None else end
        return hashlib.sha256(whole[page * _PAGE : min((page + 1) * _PAGE, last)]).hexdigest()
    finally:
        whole.release()


class Kept:
    """A file of arrays. What is taken out of it was checked first (CoverageUnreadable)."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Read the table. Raises FileNotFoundError when there is no file, CoverageUnreadable when it is not
        whole.
        """
        self.path = Path(path)
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _TAIL:
                raise CoverageUnreadable(reason="truncated")
            # a copy on write: compiled loops take arrays that may be written; nothing reaches the file
            self._data = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
        tail = self._data[-_TAIL:]
        length = int.from_bytes(tail[32:40], "little")
        if tail[40:] != _NAME or length > size - _TAIL:
            raise CoverageUnreadable(reason="truncated or of another format")
        self._end = size - _TAIL - length
        text = self._data[self._end : self._end + length]
        if hashlib.sha256(text).digest() != tail[:32]:
            raise CoverageUnreadable(reason="damaged table")
        table = json.loads(text)
        self.facts: dict[str, Any] = table["facts"]
        self.size_bytes = size
        self._places: dict[str, list[Any]] = table["arrays"]
        self._pages: list[str] = table["pages"]
        self._seen = np.zeros(len(self._pages), dtype=np.bool_)

    def array(self, name: str, workers: Workers | None = None) -> NDArray[Any]:
        """A whole array, as a view of the file."""
        array = self.unchecked(name)
        begin = self._places[name][0]
        self._check(np.arange(begin // _PAGE, -(-(begin + array.nbytes) // _PAGE)), workers)
        return array

    def check_rows(self, name: str, first: NDArray[np.int64], last: NDArray[np.int64]) -> None:
        """See to the pages that hold rows first..last of each of several stretches of an array."""
        begin, kind, shape = self._places[name]
        width = np.dtype(kind).itemsize * int(np.prod(shape[1:], dtype=np.int64))
        some = last > first
        wanted = np.zeros(len(self._pages) + 1, dtype=np.int64)
        np.add.at(wanted, (begin + first[some] * width) // _PAGE, 1)
        np.add.at(wanted, (begin + last[some] * width - 1) // _PAGE + 1, -1)
        self._check(np.flatnonzero(np.cumsum(wanted)[:-1]), None)

    def unchecked(self, name: str) -> NDArray[Any]:
        """An array of which only rows that `check_rows` has seen may be used."""
        try:
            begin, kind, shape = self._places[name]
            dtype = np.dtype(kind)
            count = int(np.prod(shape, dtype=np.int64))
            if dtype.kind not in _KINDS or begin + count * dtype.itemsize > self._end:
                raise CoverageUnreadable(reason=f"array {name}")
        except (KeyError, TypeError, ValueError) as error:
            raise CoverageUnreadable(reason=f"array {name}") from error
        return np.frombuffer(self._data, dtype, count, begin).reshape(shape)

    def _check(self, pages: NDArray[np.int64], workers: Workers | None) -> None:
        todo = [int(page) for page in pages if not self._seen[page]]
        here = Threads(1) if workers is None else threads_of(workers)
        for page, digest in zip(todo, here.map(self._page_digest, todo), strict=True):
            if digest != self._pages[page]:
                raise CoverageUnreadable(reason=f"damaged near byte {page * _PAGE}")
            self._seen[page] = True

    def _page_digest(self, page: int) -> str:
        return _digest(self._data, page, self._end)
