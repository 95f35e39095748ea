"""What tests have workers do: functions that a worker can import, and that leave traces of who did what."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from geo.errors import RasterBandMissing
from geo.raster import RasterSource

PATIENCE_S: Final = 240.0
"""Longer than anything takes where ten others want the same two cores; waited for only in need."""


def doubled(number: int) -> int:
    return 2 * number


def held(task: Callable[[Any], Any], folder: Path, item: Any) -> Any:
    """Do an item as soon as the file `go` is in the folder; who took one is written there before."""
    with (folder / f"taken-{os.getpid()}").open("a") as file:
        file.write("taken\n")
    end = time.monotonic() + PATIENCE_S
    while not (folder / "go").exists():
        if time.monotonic() > end:
            raise TimeoutError("nobody said go")
        time.sleep(0.02)
    return task(item)


def refused(trace: Path, number: int) -> int:
    """Refuse the number 3, and write down every time that somebody tries."""
    with trace.open("a") as file:
        file.write(f"{number}\n")
    if number == 3:
        raise RasterBandMissing(name="biomass.tif", bands=1, band=number)
    return number


def faulty(number: int) -> float:
    return 1 / number


class Unsendable(Exception):
    """It cannot be made again from what it is pickled to."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def unsendable(number: int) -> int:
    raise Unsendable("left", "right")


def suicide(number: int) -> int:
    """As a worker that the system ends because the machine has no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def name_of(raster: RasterSource) -> str:
    return raster.name
