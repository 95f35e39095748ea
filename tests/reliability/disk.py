"""A disk that can lose power: what was synced stays, of the rest anything may have arrived.

Contents and names are two things. A sync of a file keeps its contents, a sync of a folder its names; what was
not synced is a list of changes, of which a crash keeps some.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from tests.reliability.calls import Call

ALL_SUBSETS_UP_TO = 4


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at a place of a file."""

    file: int
    at: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """Another length."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Name:
    """A name for a file (None: for a folder), and the one that it had before."""

    path: str
    file: int | None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Unname:
    """A name less."""

    path: str


Change: TypeAlias = Write | Cut | Name | Unname


@dataclass(slots=True)
class Image:
    """Files and folders by name."""

    contents: dict[int, bytes] = field(default_factory=dict)
    names: dict[str, int | None] = field(default_factory=dict)

    def copy(self) -> "Image":
        return Image(dict(self.contents), dict(self.names))

    def apply(self, change: Change) -> None:
        match change:
            case Write(file, at, data):
                old = self.contents.get(file, b"").ljust(at, b"\0")
                self.contents[file] = old[:at] + data + old[at + len(data) :]
            case Cut(file, size):
                self.contents[file] = self.contents.get(file, b"")[:size].ljust(size, b"\0")
            case Name(path, file_or_folder, before):
                if before is not None:
                    self.names.pop(before, None)
                self.names[path] = file_or_folder
            case Unname(path):
                self.names.pop(path, None)

    def files(self) -> dict[str, bytes]:
        """What somebody finds: a file whose folder has no name is not there."""
        return {
            path: self.contents.get(file, b"")
            for path, file in self.names.items()
            if file is not None and self._reachable(path)
        }

    def _reachable(self, path: str) -> bool:
        parents = [str(p) for p in PurePosixPath(path).parents][:-1]
        return all(parent in self.names for parent in parents)

    def write_to(self, folder: Path) -> None:
        for path, file in sorted(self.names.items()):
            if self._reachable(path) and file is None:
                (folder / path).mkdir(parents=True, exist_ok=True)
        for path, data in self.files().items():
            (folder / path).write_bytes(data)

    def digest(self) -> bytes:
        """Alike for images in which a start finds the same. The index of the WAL is always made anew."""
        summed = hashlib.sha256()
        for path, data in sorted(self.files().items()):
            if not path.endswith("-shm"):
                summed.update(path.encode() + b"\0" + hashlib.sha256(data).digest())
        return summed.digest()


class Disk:
    """Follows the calls of a process below one folder."""

    def __init__(self, root: Path, *, below: Path | None = None) -> None:
        """The disk holds what lies in `root` now; calls name it as `below` (else as `root`)."""
        self._prefix = str(below or root) + "/"
        self._numbers = itertools.count(1)
        self._places: dict[int, int] = {}
        self.durable = Image()
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_dir():
                self.durable.names[name] = None
            else:
                file = self.durable.names[name] = next(self._numbers)
                self.durable.contents[file] = path.read_bytes()
        self.names = dict(self.durable.names)
        self.pending: list[Change] = []

    def follow(self, call: Call) -> bool:
        """Take one call in; whether it changed anything on this disk."""
        match call.name:
            case "openat":
                return self._open(call)
            case "write" | "pwrite64":
                return self._write(call)
            case "ftruncate":
                return self._cut(call)
            case "fsync" | "fdatasync":
                return self._sync(call)
            case "rename" | "unlink" | "mkdir" | "rmdir":
                return self._rename(call)
        paths = [call.path, *(text.decode(errors="replace") for text in call.texts)]
        assert not any(path.startswith(self._prefix) for path in paths), f"{call.name} is not simulated"
        return False

    def crashes(self, *, mixed: bool) -> Iterator[Image]:
        """What a start may find when the power goes now, or in the midst of the last write.

        All of what was not synced, or nothing; `mixed` also parts of it, in which later changes came first.
        """
        for kept in subsets(self.pending) if mixed else (self.pending, ()):
            yield self._with(kept)
        if self.pending and isinstance(last := self.pending[-1], Write):
            for half in tears(last):
                yield self._with([*self.pending[:-1], *half])
                if mixed:
                    yield self._with(half)

    def _with(self, changes: Sequence[Change]) -> Image:
        image = self.durable.copy()
        for change in changes:
            image.apply(change)
        return image

    # -- calls

    def _local(self, path: str) -> str | None:
        return path.removeprefix(self._prefix) if path.startswith(self._prefix) else None

    def _open(self, call: Call) -> bool:
        name, flags = self._local(call.texts[0].decode()), call.words[0]
        self._places[call.result] = 0
        if name is None or not any(flag in flags for flag in ("O_CREAT", "O_TRUNC")):
            return False
        file = self.names.get(name)
        if file is None:
            self._change(Name(name, next(self._numbers)))
            return True
        if "O_TRUNC" in flags:
            self._change(Cut(file, 0))
            return True
        return False

    def _write(self, call: Call) -> bool:
        file = self._file(call)
        if file is None:
            return False
        assert call.fd is not None
        data = call.texts[0][: call.result]
        at = int(call.words[-1]) if call.name == "pwrite64" else self._places.get(call.fd, 0)
        if call.name == "write":
            self._places[call.fd] = at + len(data)
        self._change(Write(file, at, data))
        return True

    def _cut(self, call: Call) -> bool:
        file = self._file(call)
        if file is None:
            return False
        self._change(Cut(file, int(call.words[-1])))
        return True

    def _file(self, call: Call) -> int | None:
        name = self._local(call.path)
        return None if name is None else self.names.get(name)

    def _rename(self, call: Call) -> bool:
        found = [self._local(text.decode()) for text in call.texts]
        paths = [path for path in found if path is not None]
        if not paths:
            return False
        assert len(paths) == len(found), "a rename out of the home or into it is not simulated"
        match call.name:
            case "rename":
                self._change(Name(paths[1], self.names[paths[0]], paths[0]))
            case "mkdir":
                self._change(Name(paths[0], None))
            case _:
                self._change(Unname(paths[0]))
        return True

    def _sync(self, call: Call) -> bool:
        name = self._local(call.path)
        if name is None and call.path + "/" != self._prefix:
            return False
        file = None if name is None else self.names.get(name)
        kept = []
        for change in self.pending:
            if self._synced(change, file, name or "."):
                self.durable.apply(change)
            else:
                kept.append(change)
        self.pending = kept
        return True

    @staticmethod
    def _synced(change: Change, file: int | None, folder: str) -> bool:
        if isinstance(change, Write | Cut):
            return change.file == file
        return file is None and str(PurePosixPath(change.path).parent) == folder

    def _change(self, change: Change) -> None:
        self.pending.append(change)
        match change:
            case Name(path, file, before):
                if before is not None:
                    self.names.pop(before)
                self.names[path] = file
            case Unname(path):
                self.names.pop(path)


def subsets(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Of few changes every choice. Of many: all, none, contents or names alone, and, for the first and the
    last ones, all but that one and that one alone. (All up to one is what an earlier crash left.)
    """
    if len(changes) <= ALL_SUBSETS_UP_TO:
        for count in range(len(changes), -1, -1):
            yield from itertools.combinations(changes, count)
        return
    yield changes
    yield ()
    yield [change for change in changes if isinstance(change, Write | Cut)]
    yield [change for change in changes if not isinstance(change, Write | Cut)]
    for n in (0, 1, *range(len(changes) - 3, len(changes))):
        yield [*changes[:n], *changes[n + 1 :]]
        yield changes[n : n + 1]


def tears(write: Write) -> Iterator[list[Change]]:
    """The write torn in its middle: the rest is missing, is zeros, or alone is there."""
    middle = len(write.data) // 2
    yield [replace(write, data=write.data[:middle])]
    yield [replace(write, data=write.data[:middle].ljust(len(write.data), b"\0"))]
    yield [replace(write, at=write.at + middle, data=write.data[middle:])]
