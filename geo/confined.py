"""The child process that opens files of strangers: its limits, its environment, and how its parent waits.

A child is a script of this package, run in isolated mode in a folder of its own. It confines itself before
it looks at anything, works, and leaves `result.json` there: what it found, or why it refuses. Whoever starts
it waits no longer than it may take, passes its progress on, and raises its refusal here.
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from geo.errors import GeoRefusal, ReaderStopped

Progress = Callable[[str, int, int], None]
"""Told (step, done, total)."""

RESULT: Final = "result.json"
PROGRESS: Final = "progress"
_POLL_S: Final = 0.05
_OPEN_FILES: Final = 128


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a child may cost: processor seconds (one more on the wall), MiB of memory, bytes of one file that
    it writes.
    """

    seconds: int
    memory_mib: int
    file_bytes: int

    def stopped(self, reason: str) -> ReaderStopped:
        return ReaderStopped(reason=reason, seconds=self.seconds, memory_mib=self.memory_mib)


# --- in the child -------------------------------------------------------------------------------------------


def confine(bounds: Bounds) -> None:
    """Limits on memory, processor time, file size and open files; no core dumps; a network of its own if
    allowed.
    """
    for what, limit in (
        (resource.RLIMIT_AS, bounds.memory_mib << 20),
        (resource.RLIMIT_CPU, bounds.seconds),
        (resource.RLIMIT_FSIZE, bounds.file_bytes),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))
    _end_with_parent()
    _leave_network()


def _end_with_parent() -> None:
    """Whoever waits for the answer is gone when the starting process is; then nobody would stop this one."""
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    pr_set_pdeathsig = 1
    if prctl is not None:
        prctl(pr_set_pdeathsig, int(signal.SIGKILL), 0, 0, 0)


def _leave_network() -> None:
    """An empty network namespace where the kernel lets us; the drivers that could use a network are off
    anyway.
    """
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)
    clone_new_user, clone_new_net = 0x10000000, 0x40000000
    if unshare is not None and unshare(clone_new_net) != 0:
        unshare(clone_new_user | clone_new_net)


def spelled(problem: GeoRefusal | None) -> dict[str, Any] | None:
    """A refusal as it crosses from child to parent."""
    return None if problem is None else {"code": problem.code, "facts": problem.facts}


def answer(folder: Path, bounds: Bounds, work: Callable[[], object]) -> None:
    """Do the work; leave its refusal, or that memory ran out, in place of a result."""
    try:
        work()
    except GeoRefusal as refusal:
        _refused(folder, refusal)
    except MemoryError:
        _refused(folder, bounds.stopped("memory"))


def _refused(folder: Path, refusal: GeoRefusal) -> None:
    (folder / RESULT).write_text(json.dumps({"refused": spelled(refusal)}), encoding="utf-8")


def teller(folder: Path) -> Progress:
    """Progress of a child, written to where `run` looks for it."""
    file = (folder / PROGRESS).open("a", encoding="ascii", buffering=1)

    def tell(step: str, done: int, total: int) -> None:
        file.write(f"{step} {done} {total}\n")

    return tell


# --- in the parent ------------------------------------------------------------------------------------------


def environment(folder: str, **own: str) -> dict[str, str]:
    """Nothing of ours: no proxies, no credentials, no configuration but this and what the child is told."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    return kept | {
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "PROJ_NETWORK": "OFF",
        "OPENBLAS_NUM_THREADS": "1",
        "GDAL_NUM_THREADS": "1",
        "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
        "GDAL_HTTP_PROXY": "127.0.0.1:9",
        "GDAL_VRT_ENABLE_PYTHON": "NO",
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_DRIVER_PATH": "disable",
        **own,
    }


def printed(script: str, argument: str) -> str:
    """What a script of ours says of itself, asked of a process of its own; no file is opened for it."""
    command = [sys.executable, "-I", script, argument]
    said = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True)
    return said.stdout.strip()


def run(
    script: str,
    arguments: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    bounds: Bounds,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Run a child to its end and pass on what it says of its progress. Raises ReaderStopped."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-I", script, *arguments],
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    told = _Told(folder / PROGRESS, progress)
    try:
        while _still_running(process):
            told.pass_on()
            if stop is not None and stop.is_set():
                raise bounds.stopped("given_up")
            if time.monotonic() - started > bounds.seconds + 1:
                raise bounds.stopped("time")
    finally:
        process.kill()
        process.wait()
    told.pass_on()
    if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise bounds.stopped("time")
    if process.returncode != 0 or not (folder / RESULT).exists():
        raise bounds.stopped("died")


def _still_running(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(_POLL_S)
    except subprocess.TimeoutExpired:
        return True
    return False


class _Told:
    """The lines of progress that the child has written, passed on once each."""

    def __init__(self, path: Path, progress: Progress | None) -> None:
        self._path = path
        self._progress = progress
        self._at = 0

    def pass_on(self) -> None:
        if self._progress is None or not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            whole, _, _ = file.read(1 << 20).rpartition(b"\n")
        self._at += len(whole) + 1 if whole else 0
        for line in whole.decode("ascii", "replace").splitlines():
            step, done, total = line.split()
            self._progress(step, int(done), int(total))


def refusals() -> dict[str, type[GeoRefusal]]:
    """Every reason of this package by its code."""
    found: dict[str, type[GeoRefusal]] = {}
    waiting = [GeoRefusal]
    while waiting:
        kind = waiting.pop()
        found[kind.code] = kind
        waiting.extend(kind.__subclasses__())
    return found


def refusal_of(record: Mapping[str, Any]) -> GeoRefusal:
    """The refusal that a child spelled."""
    return refusals()[record["code"]](**record["facts"])


def result(folder: Path) -> dict[str, Any]:
    """What the child found; its refusal is raised."""
    head: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    if refused := head.get("refused"):
        raise refusal_of(refused)
    return head
