"""The child process that opens files of strangers. Run as a script by `vector.read_parcels`, never imported
for its work by the process that starts it.

It gets a file and limits on its command line, confines itself, reads, and leaves `result.json` and
`result.wkb` in its folder. What it does not use it cannot be attacked through: archives are unpacked here
under names of our own, every format but one is read without GDAL, and GDAL sees nothing but an unpacked
shapefile, with every other driver off.
"""

import gc
import json
import sys
from pathlib import Path
from typing import Final

if __name__ == "__main__":  # isolated mode puts neither this folder nor the working directory on the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from geo.confined import Bounds, answer, confine, spelled
from geo.reading.formats import read
from geo.reading.rows import Read, Task
from geo.reading.shapefile import other_drivers

LIST_DRIVERS: Final = "drivers"
"""Argument in place of a task: print the drivers to turn off, as GDAL_SKIP wants them."""
EXAMINE: Final = "examine"
"""Argument after a task: examine the file as `order.json` in the folder says, and leave what `geo.examine`
loads.
"""


def bounds_of(task: Task) -> Bounds:
    return Bounds(task.seconds, task.memory_mib, 2 * task.max_unpacked_bytes)


def _read(task: Task, folder: Path) -> None:
    _write(folder, read(task))


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
            [row.attributes, len(row.wkb or b""), len(row.drawn or b""), spelled(row.problem)]
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
    confine(bounds_of(task))
    folder = Path(task.folder)
    work = _examine if mode == EXAMINE else _read
    answer(folder, bounds_of(task), lambda: work(task, folder))


if __name__ == "__main__":
    main(*sys.argv[1:3])
