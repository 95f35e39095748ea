"""Rasters: the only module that imports rasterio, with the first file that is opened or written. Windows,
coordinate system and nodata become plain arrays.

A raster is one GeoTIFF and nothing beside it: the driver is named, so that a file which is really a list of
other files (VRT) is not followed, and sidecars which would change values, mask or georeference are refused.
"""

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import pyproj
from numpy.typing import NDArray

from geo.crs import crs_text, parse_crs
from geo.errors import (
    CrsUnknown,
    FileUnreadable,
    RasterBandMissing,
    RasterCrsMissing,
    RasterCrsUnsupported,
    RasterGridMismatch,
    RasterMisplaced,
    RasterNotGeotiff,
    RasterRotated,
    RasterSidecar,
    RasterTooLarge,
    RasterTypeUnsupported,
    RasterUnreadable,
)

MAX_PIXELS: Final = 1 << 31
MAX_BANDS: Final = 64
MAX_TILE: Final = 4096
MAX_STRIP_PIXELS: Final = 1 << 24
MAX_BLOCK_BYTES: Final = 1 << 28
GRID_TOLERANCE_CELLS: Final = 1e-6
BLOCK: Final = 512
_DEGREES: Final = (540.0, 120.0)
_METRES: Final = 1e9
_SMALLEST_CELL: Final = 1e-9
"""How far a grid may reach, east and north, and how small its cells may be: far beyond what occurs."""

DTYPES: Final = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
NEGATIVE_ZERO: Final = 65_534
"""The stored number of a normalised file that stands for -0.0."""
DECODE_TAG: Final = "TANHUI_DECODE"
FILL_TAG: Final = "TANHUI_FILL"
"""Tags of a normalised file: "float32" says that its scaled uint16 stand for single-precision numbers; the
other is what the source has in cells without a value.
"""

_MAGIC: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_BLOCK_CACHE_BYTES: Final = 64 << 20
_SIDECARS: Final = (".aux.xml", ".ovr", ".msk")
_LOCKED: Final = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "GDAL_GEOREF_SOURCES": "INTERNAL",
}


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the cells of a raster lie: `crs` in its one spelling, north-west corner, cell size (positive),
    cells.

    Units are those of the system, degrees or metres; x is east and y is north.
    """

    crs: str
    x0: float
    y0: float
    dx: float
    dy: float
    width: int
    height: int

    @property
    def is_geographic(self) -> bool:
        return bool(pyproj.CRS(self.crs).is_geographic)

    def difference(self, other: "Grid") -> str | None:
        """What sets another grid apart by more than 1e-6 of a cell, or None when they are the same."""
        if self.crs != other.crs:
            return f"{_name(self.crs)} and {_name(other.crs)}"
        if (self.width, self.height) != (other.width, other.height):
            return f"{self.width} x {self.height} and {other.width} x {other.height} cells"
        corners = (
            ((self.x0 - other.x0) / self.dx, "west edge"),
            ((self.y0 - other.y0) / self.dy, "north edge"),
            ((self.dx - other.dx) * self.width / self.dx, "cell width"),
            ((self.dy - other.dy) * self.height / self.dy, "cell height"),
        )
        return next((what for cells, what in corners if not abs(cells) <= GRID_TOLERANCE_CELLS), None)

    def require(self, other: "Grid", name: str) -> None:
        """Refuse a raster `name` on another grid (RasterGridMismatch); nothing is resampled on the way."""
        if (difference := self.difference(other)) is not None:
            raise RasterGridMismatch(name=name, difference=difference)

    def as_dict(self) -> dict[str, str | float | int]:
        return asdict(self)


def _name(crs: str) -> str:
    return crs if len(crs) < 40 else pyproj.CRS(crs).name


@dataclass(frozen=True, slots=True)
class RasterFacts:
    """What identifies a raster in a run record."""

    name: str
    sha256: str
    size_bytes: int
    grid: Grid
    bands: int
    dtype: str
    nodata: float | None


@dataclass(frozen=True, slots=True)
class RasterBand:
    """How a band stores its values: type, finite nodata or None, scale and offset, whether an internal mask
    says more, and whether the file is a normalised one (`decoded`).
    """

    dtype: str
    nodata: float | None
    scale: float
    offset: float
    masked: bool
    decoded: bool


@dataclass(frozen=True, slots=True)
class RasterWindow:
    """Values and validity of a window, both of shape (rows, columns)."""

    values: NDArray[Any]
    valid: NDArray[np.bool_]


class RasterSource:
    """One opened GeoTIFF. Reading is safe from any thread: handles are lent, one to each reader at a time,
    and closed with the source.

    Pickled it is a path and the digest of the file: another process opens its own, and refuses another file.
    """

    def __init__(self, path: Path, grid: Grid, bands: int, dtype: str, nodata: float | None) -> None:
        self.path = path
        self.grid = grid
        self.bands = bands
        self.dtype = dtype
        self.nodata = nodata
        self._tables: dict[int, NDArray[np.float32] | None] = {}
        self._bands: dict[int, RasterBand] = {}
        self._handles: list[Any] = []
        self._free: list[Any] = []
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened_elsewhere, (str(self.path), self.sha256)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open a GeoTIFF of this machine's file system.

        1. The first bytes are those of a TIFF; no sidecar lies beside it.
        2. The GTiff driver, and no other, opens it.
        3. It is not too large, has a known system in degrees or metres, and is not rotated.

        Raises FileUnreadable, RasterNotGeotiff, RasterSidecar, RasterTooLarge, RasterCrsMissing,
        RasterCrsUnsupported, RasterRotated, RasterMisplaced.
        """
        file = Path(path).resolve()
        check_start(file)
        with opened_locked(file) as data:
            _check_size(file.name, data)
            grid = _grid_of(file.name, data)
            dtype = str(data.dtypes[0])
            return cls(
                file, grid, int(data.count), dtype, None if data.nodata is None else float(data.nodata)
            )

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def sha256(self) -> str:
        """Digest of the file's bytes."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def facts(self) -> RasterFacts:
        size = self.path.stat().st_size
        return RasterFacts(self.name, self.sha256, size, self.grid, self.bands, self.dtype, self.nodata)

    def read(self, row: int, column: int, height: int, width: int, band: int = 1) -> RasterWindow:
        """The window that starts at (row, column) and lies inside the raster.

        Not valid are nodata, not-a-number, infinities, and what an internal mask leaves out; 0 is a value.
        Scale and offset of the band are applied. Raises RasterBandMissing, RasterUnreadable.
        """
        window = self.read_raw(row, column, height, width, band)
        table = self.decode_table(band)
        if table is not None:
            return RasterWindow(table[window.values], window.valid)
        kept = self.band(band)
        if (kept.scale, kept.offset) == (1.0, 0.0):
            return window
        return RasterWindow(window.values.astype(np.float64) * kept.scale + kept.offset, window.valid)

    def read_raw(self, row: int, column: int, height: int, width: int, band: int = 1) -> RasterWindow:
        """As `read`, with the numbers that the file stores, before scale, offset and table."""
        kept = self.band(band)
        values = np.empty((height, width), dtype=kept.dtype)
        mask = self.read_block(row, column, band, values)
        valid = _is_value(values, kept.nodata)
        if mask is not None:
            valid &= mask > 0
        return RasterWindow(values, valid)

    def read_block(self, row: int, column: int, band: int, out: NDArray[Any]) -> NDArray[np.uint8] | None:
        """Fill `out` (rows, columns), of the band's type, with the stored numbers that start at (row,
        column); answers the internal mask (0: no value) of a band that has one. Nothing else is looked at.
        """
        from rasterio.errors import RasterioError
        from rasterio.windows import Window

        kept = self.band(band)
        window = Window(column, row, out.shape[1], out.shape[0])
        try:
            with self._lent() as handle:
                handle.read(band, window=window, out=out)
                mask: NDArray[np.uint8] | None = (
                    handle.read_masks(band, window=window) if kept.masked else None
                )
        except RasterioError as error:
            raise RasterUnreadable(name=self.name, reason=str(error)[:120]) from error
        return mask

    def band(self, band: int = 1) -> RasterBand:
        """How a band is stored (RasterBandMissing)."""
        if not 1 <= band <= self.bands:
            raise RasterBandMissing(name=self.name, bands=self.bands, band=band)
        if band not in self._bands:
            self._bands[band] = self._band(band - 1)
        return self._bands[band]

    def _band(self, at: int) -> RasterBand:
        from rasterio.enums import MaskFlags

        with self._lent() as handle:
            nodata = handle.nodatavals[at]
            dtype = handle.dtypes[at]
            return RasterBand(
                dtype=dtype,
                nodata=float(nodata) if nodata is not None and np.isfinite(nodata) else None,
                scale=float(handle.scales[at]),
                offset=float(handle.offsets[at]),
                masked=MaskFlags.per_dataset in handle.mask_flag_enums[at],
                decoded=handle.tags().get(DECODE_TAG) == "float32" and dtype == "uint16",
            )

    def decode_table(self, band: int = 1) -> NDArray[np.float32] | None:
        """The number that each of the 65,536 stored ones stands for in a normalised file; None for others."""
        if band not in self._tables:
            self._tables[band] = self._decode_table(band)
        return self._tables[band]

    def _decode_table(self, band: int) -> NDArray[np.float32] | None:
        kept = self.band(band)
        if not kept.decoded:
            return None
        table = decoded(np.arange(1 << 16), kept.scale)
        with self._lent() as handle:
            fill = handle.tags().get(FILL_TAG)
        if kept.nodata is not None and fill is not None:
            table[int(kept.nodata)] = np.float32(fill)
        return table

    @contextmanager
    def _lent(self) -> Iterator[Any]:
        """A handle that nobody else has until it is given back."""
        with self._lock:
            handle = self._free.pop() if self._free else None
        if handle is None:
            handle = self._another()
        try:
            yield handle
        finally:
            with self._lock:
                if not handle.closed:
                    self._free.append(handle)

    def _another(self) -> Any:
        import rasterio
        from rasterio.env import set_gdal_config

        # decoded blocks that GDAL keeps, for the whole process: by default a twentieth of the machine
        set_gdal_config("GDAL_CACHEMAX", _BLOCK_CACHE_BYTES)
        with rasterio.Env(**_LOCKED):
            handle = rasterio.open(self.path, driver="GTiff", sharing=False)
        with self._lock:
            self._handles.append(handle)
        return handle

    def close(self) -> None:
        """Close all handles. A later read opens again."""
        with self._lock:
            for handle in self._handles:
                handle.close()
            self._handles.clear()
            self._free.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _opened_elsewhere(path: str, sha256: str) -> RasterSource:
    """The raster of another process, opened once in each process that is handed it (WorkerFileMissing,
    WorkerFileDiffers).
    """
    from geo.elsewhere import require_same

    require_same(path, sha256)
    return _opened_once(path, sha256)


@lru_cache(maxsize=64)
def _opened_once(path: str, sha256: str) -> RasterSource:
    source = RasterSource.open(path)
    source.__dict__["sha256"] = sha256
    return source


def decoded(stored: NDArray[np.integer[Any]], scale: float) -> NDArray[np.float32]:
    """The single-precision numbers that scaled whole numbers stand for: one product, rounded once."""
    numbers: NDArray[np.float32] = (stored * scale).astype(np.float32)
    numbers[stored == NEGATIVE_ZERO] = -0.0
    return numbers


def _is_value(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """True where a cell holds a number that is not nodata."""
    if values.dtype.kind == "f":
        valid: NDArray[np.bool_] = np.isfinite(values)
    else:
        valid = np.ones(values.shape, dtype=np.bool_)
    if nodata is not None and np.isfinite(nodata):
        valid &= values != values.dtype.type(nodata) if values.dtype.kind == "f" else values != nodata
    return valid


@contextmanager
def opened_locked(file: Path) -> Iterator[Any]:
    """A file opened by the GTiff driver and no other; what leads elsewhere is off (RasterNotGeotiff)."""
    import rasterio
    from rasterio.errors import RasterioIOError

    try:
        with rasterio.Env(**_LOCKED), rasterio.open(file, driver="GTiff", sharing=False) as data:
            yield data
    except RasterioIOError as error:
        raise RasterNotGeotiff(name=file.name) from error


def check_start(file: Path) -> None:
    """What is seen without a decoder: the first bytes are those of a TIFF, and no sidecar lies beside it."""
    _check_magic(file)
    _check_sidecars(file)


def _check_magic(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise FileUnreadable(reason=error.strerror or type(error).__name__) from error
    if start not in _MAGIC:
        raise RasterNotGeotiff(name=file.name)


def _check_sidecars(file: Path) -> None:
    for ending in _SIDECARS:
        for sidecar in (file.with_name(file.name + ending), file.with_suffix(ending)):
            if sidecar.exists():
                raise RasterSidecar(name=file.name, sidecar=sidecar.name)


def _check_size(name: str, data: Any) -> None:
    for count, limit, what in (
        (data.width * data.height, MAX_PIXELS, "pixels"),
        (data.count, MAX_BANDS, "bands"),
    ):
        if count > limit:
            raise RasterTooLarge(name=name, count=int(count), what=what, limit=limit)
    for dtype in data.dtypes:
        if dtype not in DTYPES:
            raise RasterTypeUnsupported(name=name, dtype=str(dtype))
    together = data.count if str(data.profile.get("interleave", "")).lower() == "pixel" else 1
    for (rows, columns), dtype in zip(data.block_shapes, data.dtypes, strict=True):
        count = rows * columns * np.dtype(dtype).itemsize * together
        if count > MAX_BLOCK_BYTES:
            raise RasterTooLarge(name=name, count=int(count), what="bytes of a tile", limit=MAX_BLOCK_BYTES)
        if rows * columns > MAX_STRIP_PIXELS or (columns != data.width and max(rows, columns) > MAX_TILE):
            raise RasterTooLarge(name=name, count=int(max(rows, columns)), what="tile", limit=MAX_TILE)


def _grid_of(name: str, data: Any) -> Grid:
    from rasterio.transform import Affine

    if data.crs is None or data.transform == Affine.identity():
        raise RasterCrsMissing(name=name)
    crs = _system_of(name, data.crs)
    if crs.is_projected and any(axis.unit_conversion_factor != 1.0 for axis in crs.axis_info):
        raise RasterCrsUnsupported(name=name, crs=crs.name)
    t = data.transform
    if t.b != 0 or t.d != 0 or t.a <= 0 or t.e >= 0:
        raise RasterRotated(name=name)
    grid = Grid(crs_text(crs), t.c, t.f, t.a, -t.e, int(data.width), int(data.height))
    _require_placed(name, grid, geographic=crs.is_geographic)
    return grid


def _require_placed(name: str, grid: Grid, *, geographic: bool) -> None:
    """Numbers, and such as occur on Earth; a GeoTIFF may hold any (RasterMisplaced)."""
    x_most, y_most = _DEGREES if geographic else (_METRES, _METRES)
    for what, value, most in (
        ("cell width", grid.dx, x_most),
        ("cell height", grid.dy, y_most),
        ("west edge", grid.x0, x_most),
        ("north edge", grid.y0, y_most),
        ("east edge", grid.x0 + grid.dx * grid.width, x_most),
        ("south edge", grid.y0 - grid.dy * grid.height, y_most),
    ):
        least = _SMALLEST_CELL if what.startswith("cell") else -most
        if not least <= value <= most:
            raise RasterMisplaced(name=name, what=what, value=f"{value:.6g}")


def _system_of(name: str, said: Any) -> pyproj.CRS:
    """The system as the file spells it, or by the number that it has beyond doubt: some, as Web Mercator, can
    only be spelled with an extension of GDAL's own.
    """
    try:
        return parse_crs(said.to_wkt())
    except CrsUnknown as error:
        number = said.to_epsg(confidence_threshold=100)
        if number is None:
            raise RasterCrsUnsupported(name=name, crs=str(error.facts["crs"])) from error
        return parse_crs(number)


def write_geotiff(
    path: str | os.PathLike[str],
    array: NDArray[Any],
    grid: Grid,
    nodata: float | None = None,
    *,
    compress: str = "deflate",
    block: int = 256,
) -> None:
    """Write (rows, columns) or (bands, rows, columns) as a tiled GeoTIFF, replacing `path` when it is
    complete.

    The same input gives the same bytes with the same GDAL. `nodata` is stated, never guessed.
    """
    import rasterio
    from rasterio.transform import Affine

    bands = array[np.newaxis] if array.ndim == 2 else array
    if bands.shape[1:] != (grid.height, grid.width):
        shape = f"array of {bands.shape[2]} x {bands.shape[1]}"
        raise RasterGridMismatch(name=Path(path).name, difference=shape)
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    predictor = {"f": 3, "i": 2, "u": 2}.get(bands.dtype.kind, 1) if compress != "none" else 1
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": bands.shape[0],
        "dtype": bands.dtype,
        "crs": rasterio.CRS.from_user_input(grid.crs),
        "transform": Affine(grid.dx, 0.0, grid.x0, 0.0, -grid.dy, grid.y0),
        "nodata": nodata,
        "tiled": True,
        "blockxsize": block,
        "blockysize": block,
        "compress": compress,
        "predictor": predictor,
    }
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.open(partial, "w", **profile) as out:
        out.write(bands)
    partial.replace(target)


def gdal_version() -> str:
    """The version of the library that reads rasters here."""
    from rasterio import __gdal_version__

    return str(__gdal_version__)
