"""The child process that opens rasters of strangers. Run as a script by `raster_inspect.inspect`, never
imported for its work by the process that starts it.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":  # isolated mode puts neither this folder nor the working directory on the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from geo.confined import RESULT, Bounds, answer, confine, teller

LIST_DRIVERS: Final = "drivers"
"""Argument in place of a task: print the drivers to turn off, as GDAL_SKIP wants them."""
ALLOWED_DRIVERS: Final = frozenset({"GTiff", "MEM"})


def other_drivers() -> list[str]:
    """Drivers of this process's GDAL that nothing here needs, by name."""
    from rasterio.env import Env

    with Env() as env:
        return sorted(set(env.drivers()) - ALLOWED_DRIVERS)


def work(task: dict[str, Any], folder: Path) -> None:
    from geo.raster_inspect import inspect_here
    from geo.raster_scan import Expected

    if left := other_drivers():
        raise RuntimeError(f"drivers that should be off are on: {left}")
    expected = None if task["expected"] is None else Expected(**task["expected"])
    found = inspect_here(task["path"], band=task["band"], expected=expected, progress=teller(folder))
    (folder / RESULT).write_text(json.dumps(found.to_json()), encoding="utf-8")


def main(argument: str) -> None:
    if argument == LIST_DRIVERS:
        sys.stdout.write(",".join(other_drivers()))
        return
    task = json.loads(argument)
    bounds = Bounds(**task["limits"])
    confine(bounds)
    folder = Path(task["folder"])
    answer(folder, bounds, lambda: work(task, folder))


if __name__ == "__main__":
    main(*sys.argv[1:2])
