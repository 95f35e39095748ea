"""`python -m benchmarks.measure.once TASK`: one method, once, in this process; its time and memory as JSON.

TASK is a JSON object with the fields of `Task`. Start of the process, imports, compiled loops and reading the
outlines are not timed; opening the rasters is. The sums are written beside the time, so that a figure can be
thrown away when they are wrong: `keep` receives an array (rasters, parcels, 2), sum of share x value and sum
of shares of the cells that have a value, both in cells, as exactextract counts them.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import machine
from benchmarks.measure import ours
from benchmarks.measure.world import read_outlines

PEER_CACHE_MB: Final = 4096
"""Block cache of GDAL for exactextract: all rasters of a call fit, which is the best case for it."""
READ_TOGETHER: Final = 8

Work = Callable[[], Any]
Finish = Callable[[Any], tuple[ours.Sums | None, dict[str, float]]]
"""From what the work answered: sums, and what else was seen."""
Method = Callable[["Task"], tuple[Work, Finish]]


@dataclass(frozen=True, slots=True)
class Task:
    """What to do: `rasters` are paths on one grid; `store` keeps coverage and packed values; `workers` and
    `cores` bound what may run at once; `outlines` and `keys` are files of `prepare`.
    """

    method: str
    rasters: tuple[str, ...]
    store: str
    recorded: str
    keys: str
    moved: str
    within: str
    blocks: str
    workers: int = 1
    cores: int = 0
    keep: str | None = None

    @property
    def paths(self) -> list[Path]:
        return [Path(one) for one in self.rasters]

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def run(task: Task) -> dict[str, Any]:
    """Time one method; answers wall and processor seconds, peak memory and the digest of the sums."""
    work, finish = METHODS[task.method](task)
    ready_mib = machine.peak_mib("self")
    wall, cpu = time.perf_counter(), time.process_time()
    raw = work()
    said: dict[str, Any] = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    said |= {"peak_mib": machine.peak_mib("self"), "ready_mib": ready_mib}
    sums, seen = finish(raw)
    said |= seen
    if sums is not None:
        said["sha256"] = hashlib.sha256(sums.astype("<f8").tobytes()).hexdigest()
        if task.keep is not None:
            np.save(task.keep, sums)
    return said


# ---- the bound ---------------------------------------------------------------------------------------------


def read_only(task: Task) -> tuple[Work, Finish]:
    """Read and decompress the blocks that the parcels touch, and nothing else: one handle for each thread,
    values into an array that is there already.
    """
    import rasterio
    from rasterio.windows import Window

    blocks = np.load(task.blocks)
    windows = [Window(int(c), int(r), int(w), int(h)) for r, c, h, w in blocks]
    pieces = [windows[n : n + READ_TOGETHER] for n in range(0, len(windows), READ_TOGETHER)]

    def piece(path: str, some: list[Any]) -> None:
        with rasterio.open(path, driver="GTiff", sharing=False) as data:
            room = np.empty((512, 512), data.dtypes[0])
            for one in some:
                data.read(1, window=one, out=room[: one.height, : one.width])

    def work() -> None:
        with ThreadPoolExecutor(task.workers) as pool:
            for path in task.rasters:
                list(pool.map(lambda some, path=path: piece(path, some), pieces))

    return work, lambda _: (None, {"blocks": len(blocks) * len(task.rasters)})


# ---- exactextract ------------------------------------------------------------------------------------------


def peer(strategy: str) -> Method:
    """exactextract over rasterio, sum and count of all rasters in one call."""

    def method(task: Task) -> tuple[Work, Finish]:
        import geopandas
        import rasterio
        from exactextract import exact_extract

        outlines = read_outlines(Path(task.moved))
        with rasterio.open(task.rasters[0]) as data:
            crs = data.crs
        frame = geopandas.GeoDataFrame({"id": range(len(outlines))}, geometry=outlines, crs=crs)

        def work() -> Any:
            return exact_extract(
                list(task.rasters), frame, ["sum", "count"], strategy=strategy, output="pandas"
            )

        def finish(found: Any) -> tuple[ours.Sums, dict[str, float]]:
            before = [f"{path.stem}_" for path in task.paths] if len(task.rasters) > 1 else [""]
            columns = [[f"{name}sum", f"{name}count"] for name in before]
            return np.stack([found[pair].to_numpy(dtype=np.float64) for pair in columns]), {}

        return work, finish

    return method


METHODS: Final[dict[str, Method]] = {
    "read": read_only,
    "first": ours.first,
    "repeat": ours.repeat,
    "packed": ours.packed,
    "packed-from-files": ours.packed_from_files,
    "exactextract-feature": peer("feature-sequential"),
    "exactextract-raster": peer("raster-sequential"),
}


def main(stated: dict[str, Any]) -> None:
    task = Task(**{**stated, "rasters": tuple(stated["rasters"])})
    if task.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task.cores])
    if task.method.startswith("exactextract"):
        os.environ["GDAL_CACHEMAX"] = str(PEER_CACHE_MB)  # read when GDAL is loaded, in megabytes
    print(json.dumps(run(task)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
