"""What a worker on another machine does with one item of work, and what it sees to before.

An item travels as bytes that only the worker makes objects of: a scheduler in between opens no file and needs
no memory for anything but the bytes. The same numbers are promised wherever an item is done, so a worker says
first what it computes with (`computing_with`), and opens only files whose digest it was told.
"""

import hashlib
import importlib.util
import os
import pickle
import platform
import socket
import traceback
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from geo.errors import ClusterDiffers, WorkerFileDiffers, WorkerFileMissing

__all__ = [
    "Frames",
    "compare",
    "computing_with",
    "do_item",
    "host_name",
    "packages_of",
    "packed",
    "require_same",
    "unpacked",
]

Frames = list[NDArray[np.uint8]]
"""One value as bytes: its pickle, then the arrays in it, which are not copied on the way out."""

_LIBRARIES: Final = ("numpy", "shapely", "pyproj", "numba", "llvmlite", "rasterio", "distributed")
_APART_BYTES: Final = 1 << 16
_MISSING: Final = "missing"


def host_name() -> str:
    """Where this is, as refusals name it: host and process."""
    return f"{socket.gethostname()} (process {os.getpid()})"


# --- values on the way --------------------------------------------------------------------------------------


def packed(value: object) -> Frames:
    """A value that can be pickled, as bytes; arrays of 64 KiB and more stay apart."""
    apart: list[pickle.PickleBuffer] = []

    def within(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < _APART_BYTES:
            return True
        apart.append(buffer)
        return False

    head = pickle.dumps(value, protocol=5, buffer_callback=within)
    return [np.frombuffer(frame, np.uint8) for frame in (memoryview(head), *(one.raw() for one in apart))]


def unpacked(frames: Frames) -> Any:
    """What was packed. Its arrays can be written to, as those of a task in the same process."""
    apart = [frame if frame.flags.writeable else frame.copy() for frame in frames[1:]]
    return pickle.loads(frames[0].data, buffers=apart)  # noqa: S301 (within the cluster)


# --- an item ------------------------------------------------------------------------------------------------


def do_item(frames: Frames, expected: Mapping[str, str]) -> Frames:
    """On a worker: unpack a task and its item, do it, and pack what came of it: (True, result) or (False,
    error).

    What a task refuses is an answer as any other, so that nobody tries it again. `expected` is what the
    client computes with; a worker that computes with something else refuses (`ClusterDiffers`).
    """
    try:
        require_like(expected)
        task, item = unpacked(frames)
        return packed((True, task(item)))
    except Exception as error:
        return packed((False, _sendable(error)))


def _sendable(error: Exception) -> Exception:
    """The error as it can travel. What is no refusal is a fault, and takes its trace along as a note."""
    if not hasattr(error, "facts"):
        error.add_note(f"On the worker {host_name()}:\n{''.join(traceback.format_exception(error))}")
    error.__cause__ = error.__context__ = None
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):  # noqa: S301 (its own)
            return error
    except Exception:  # noqa: S110 (which error it is then is of no interest)
        pass
    return _told(error)


def _told(error: Exception) -> RuntimeError:
    told = RuntimeError(f"{type(error).__name__}: {error}")
    for note in getattr(error, "__notes__", ()):
        told.add_note(note)
    return told


# --- what a machine computes with ---------------------------------------------------------------------------


def require_like(expected: Mapping[str, str]) -> None:
    """Refuse to compute here what was asked for by a machine that computes otherwise (`ClusterDiffers`)."""
    packages = tuple(name.removeprefix("code of ") for name in expected if name.startswith("code of "))
    compare(host_name(), computing_with(packages), expected)


def compare(host: str, theirs: Mapping[str, str], ours: Mapping[str, str]) -> None:
    """The first thing in which a machine differs from this one (`ClusterDiffers`)."""
    for what, own in ours.items():
        if (other := theirs.get(what, _MISSING)) != own:
            raise ClusterDiffers(host=host, what=what, theirs=other, ours=own)


@cache
def computing_with(packages: tuple[str, ...] = ("geo",)) -> Mapping[str, str]:
    """All that the last bit of a number can depend on: interpreter, libraries, the code of packages, and what
    this processor's sines and roots are.

    Numpy and the C library choose functions by the processor, so the same versions do not yet mean the same
    numbers; a digest of some thousand of them does.
    """
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: _version(name) for name in _LIBRARIES},
        "geos": shapely.geos_version_string,
        "proj": pyproj.proj_version_str,
        **{f"code of {package}": _code(package) for package in packages},
        "arithmetic": _arithmetic(),
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return _MISSING


def _code(package: str) -> str:
    """A digest of the modules of a package, by their names."""
    found = importlib.util.find_spec(package)
    if found is None:
        return _MISSING
    digest = hashlib.sha256()
    for folder in found.submodule_search_locations or ():
        for file in sorted(Path(folder).rglob("*.py")):
            inside = file.relative_to(folder).as_posix()
            digest.update(f"{inside} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _arithmetic() -> str:
    """A digest of numbers through every library of functions that an estimate goes through."""
    from geo.crs import areas_m2, from_store

    x = np.linspace(0.01, 1.5, 1_999)
    numbers: list[NDArray[Any]] = [f(x) for f in (np.sin, np.cos, np.tan, np.exp, np.log, np.sqrt)]
    numbers += [np.arctanh(x / 2), np.arctan2(x, x[::-1]), np.hypot(x, x[::-1]), x ** x[::-1], np.cumsum(x)]
    corners = np.column_stack([118 + np.cos(x * 4), 29 + np.sin(x * 4) / 2])
    outline = shapely.Polygon(corners[:1_500])
    moved = [shapely.get_coordinates(from_store(outline, crs)) for crs in ("EPSG:4549", "EPSG:32650")]
    digest = hashlib.sha256()
    for array in (*numbers, areas_m2([outline]), *moved):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def packages_of(task: Callable[..., Any]) -> tuple[str, ...]:
    """The packages whose code a task is of: this one, and the one that it was written in."""
    while isinstance(task, partial):
        task = task.func
    return tuple(sorted({"geo", task.__module__.partition(".")[0]}))


# --- files --------------------------------------------------------------------------------------------------


def require_same(path: str | os.PathLike[str], sha256: str) -> None:
    """The file of this name on this machine has this digest, else `WorkerFileMissing` or `WorkerFileDiffers`.

    It is read through once in a process, and again when its size or time has changed.
    """
    try:
        seen = Path(path).stat()
        found = _digest(Path(path), seen.st_size, seen.st_mtime_ns, seen.st_ino)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise WorkerFileMissing(host=host_name(), path=str(path), reason=reason) from None
    if found != sha256:
        raise WorkerFileDiffers(host=host_name(), path=str(path), expected=sha256, found=found)


@lru_cache(maxsize=1024)
def _digest(path: Path, size_bytes: int, modified_ns: int, inode: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
