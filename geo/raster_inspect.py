"""A stranger's raster, looked at by a confined child process before it is anybody's input.

The child has a GDAL with one driver, a limit on memory and time, no network and no environment of ours. It
opens the file, sees whether it is a raster of measured values, reads every cell of one band once
(`raster_scan`) and says what it found. What a damaged or hostile file does to a decoder is done there.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from geo import confined, raster_worker
from geo.confined import Bounds, Progress
from geo.errors import RasterBandMissing, RasterBandUnnamed, RasterIsPicture
from geo.raster import Grid, RasterSource, check_start, opened_locked
from geo.raster_scan import Expected, Scan, scan

LIMITS: Final = Bounds(seconds=900, memory_mib=2048, file_bytes=1 << 20)
"""What a file may cost: the largest raster that is read at all takes a few minutes."""
_CACHE_MIB: Final = 512
_COLOURS: Final = frozenset({"red", "green", "blue", "cyan", "magenta", "yellow", "black", "hue"})
_COLOUR_TYPES: Final = ("uint8", "uint16")


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file is, and what its band holds. `unit_stated` is what the file itself says, "" for nothing."""

    grid: Grid
    bands: int
    band: int
    dtype: str
    nodata: float | None
    scale: float
    offset: float
    block_rows: int
    block_columns: int
    compression: str
    unit_stated: str
    scan: Scan

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Inspection":
        return cls(**{**plain, "grid": Grid(**plain["grid"]), "scan": Scan(**plain["scan"])})


def inspect(
    path: str | os.PathLike[str],
    *,
    band: int | None = None,
    expected: Expected | None = None,
    limits: Bounds = LIMITS,
    progress: Progress | None = None,
) -> Inspection:
    """Inspect a file in a child process. `band` may be left out where there is only one.

    Raises what `RasterSource.open` and `raster_scan.scan` raise, RasterIsPicture, RasterBandUnnamed,
    RasterBandMissing, ReaderStopped.
    """
    file = Path(path).resolve()
    check_start(file)  # needs no child
    wanted = None if expected is None else asdict(expected)
    with tempfile.TemporaryDirectory(prefix="tanhui-raster-") as name:
        folder = Path(name)
        task = {"path": str(file), "folder": name, "band": band, "expected": wanted, "limits": asdict(limits)}
        env = confined.environment(
            name, GDAL_SKIP=_other_drivers(), GDAL_CACHEMAX=str(_CACHE_MIB), GDAL_PAM_ENABLED="NO"
        )
        confined.run(raster_worker.__file__, [json.dumps(task)], folder, env, limits, progress)
        return Inspection.from_json(confined.result(folder))


@lru_cache(maxsize=1)
def _other_drivers() -> str:
    """Every driver of rasterio's GDAL but the one that is needed; the child checks that they are off."""
    return confined.printed(raster_worker.__file__, raster_worker.LIST_DRIVERS)


def inspect_here(
    path: str | os.PathLike[str],
    *,
    band: int | None = None,
    expected: Expected | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """The same in this process: what the child does, and for files of our own making."""
    with RasterSource.open(path) as source:
        with opened_locked(source.path) as data:
            _require_values(source.name, data)
            chosen = _chosen(source, band)
            rows, columns = data.block_shapes[chosen - 1]
            layout: dict[str, Any] = {
                "dtype": str(data.dtypes[chosen - 1]),
                "nodata": source.nodata,
                "scale": float(data.scales[chosen - 1]),
                "offset": float(data.offsets[chosen - 1]),
                "block_rows": int(rows),
                "block_columns": int(columns),
                "compression": str(data.profile.get("compress", "none")).lower(),
                "unit_stated": (data.units[chosen - 1] or "").strip()[:80],
            }
        found = scan(source, chosen, expected, progress)
        return Inspection(grid=source.grid, bands=source.bands, band=chosen, scan=found, **layout)


def _require_values(name: str, data: Any) -> None:
    """A photograph or a rendered map shows colours, and colours are no values (RasterIsPicture)."""
    meanings = [interpretation.name for interpretation in data.colorinterp]
    if any(meaning in _COLOURS for meaning in meanings) and str(data.dtypes[0]) in _COLOUR_TYPES:
        raise RasterIsPicture(name=name, interpretation=", ".join(meanings[:4]))


def _chosen(source: RasterSource, band: int | None) -> int:
    if band is None and source.bands > 1:
        raise RasterBandUnnamed(name=source.name, bands=source.bands)
    chosen = 1 if band is None else band
    if not 1 <= chosen <= source.bands:
        raise RasterBandMissing(name=source.name, bands=source.bands, band=chosen)
    return chosen
