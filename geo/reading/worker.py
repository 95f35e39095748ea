"""The child process that opens files of strangers. Run as a script by `vector.read_parcels`, never imported
for its work by the process that starts it.

It gets a file and limits on its command line, confines itself, reads, and leaves `result.json` and
`result.wkb` in its folder. What it does not use it cannot be attacked through: archives are unpacked here
under names of our own, every format but one is read without GDAL, and GDAL sees nothing but an unpacked
shapefile, with every other driver off.
"""

import ctypes
import gc
import json
import resource
import signal
import sys
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":  # isolated mode puts neither this folder nor the working directory on the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from geo.errors import GeoRefusal, ReaderStopped
from geo.reading.formats import read
from geo.reading.rows import Read, Task
from geo.reading.shapefile import other_drivers

LIST_DRIVERS: Final = "drivers"
"""Argument in place of a task: print the drivers to turn off, as GDAL_SKIP wants them."""
EXAMINE: Final = "examine"
"""Argument after a task: examine the file as `order.json` in the folder says, and leave what `geo.examine`
loads.
"""


def confine(task: Task) -> None:
    """Limits on memory, processor time, file size and open files; no core dumps; a network of its own if
    allowed.
    """
    memory = task.memory_mib << 20
    for what, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, task.seconds),
        (resource.RLIMIT_FSIZE, 2 * task.max_unpacked_bytes),
        (resource.RLIMIT_NOFILE, 128),
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


def _refusal(problem: GeoRefusal | None) -> dict[str, Any] | None:
    return None if problem is None else {"code": problem.code, "facts": problem.facts}


def _write(folder: Path, found: Read) -> None:
    with (folder / "result.wkb").open("wb") as out:
        for row in found.rows:
            out.write(row.wkb or b"")
            out.write(row.drawn or b"")
    head = {
        "crs": found.crs,
        "layer": found.layer,
        "encoding": found.encoding,
        "encoding_source": found.encoding_source,
        "kind": found.kind,
        "hints": found.hints,
        "rows": [
            [row.attributes, len(row.wkb or b""), len(row.drawn or b""), _refusal(row.problem)]
            for row in found.rows
        ],
    }
    (folder / "result.json").write_text(json.dumps(head), encoding="utf-8")


def _examine(task: Task, folder: Path) -> None:
    from geo.examine import work

    work(folder, (folder / "order.json").read_text(encoding="utf-8"), lambda: read(task))


def main(argument: str, mode: str = "") -> None:
    if argument == LIST_DRIVERS:
        sys.stdout.write(",".join(other_drivers()))
        return
    gc.disable()  # it lives for one file, and looking for cycles took two thirds of reading GeoJSON
    task = Task(**json.loads(argument))
    confine(task)
    folder = Path(task.folder)
    try:
        if mode == EXAMINE:
            _examine(task, folder)
        else:
            _write(folder, read(task))
    except GeoRefusal as refusal:
        (folder / "result.json").write_text(json.dumps({"refused": _refusal(refusal)}), encoding="utf-8")
    except MemoryError:
        refused = ReaderStopped(reason="memory", seconds=task.seconds, memory_mib=task.memory_mib)
        (folder / "result.json").write_text(json.dumps({"refused": _refusal(refused)}), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
