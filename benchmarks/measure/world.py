"""`python -m benchmarks.measure.world [FOLDER]`: made-up villages and rasters of one ground, from a seed.

**Parcels.** One wall of parcels (`benchmarks.land.world`) is laid over the whole raster and parted into
villages, the parcels around each kilometre square. A register of 2,000, 50,000 or 200,000 parcels is so many
villages drawn at random, the smaller ones part of the larger: neighbours share borders, villages lie
scattered as a province's do, and the order is that of registration, by chance. Kept in metres of the raster's
system and in the form of record (EPSG:4490).

**Rasters.** Above-ground biomass in t/ha, float32 in steps of 0.1, 512 px tiles, DEFLATE with the float
predictor, overviews (COG): 10,000 x 10,000 cells of 10 m, and their means over 30 m. Waves of three widths,
grain of each cell, some three per cent without a value in patches and single cells. Five rasters of one
grid, each with its own grain; `names` gives the same files under more names where twenty are asked for.

Everything is built once into a folder outside the checkout and held to digests of the numbers themselves, so
that two runs are of one world or say that they are not.
"""

import argparse
import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.land.world import EPSG
from benchmarks.land.world import outlines as wall
from geo import batch

Outlines = NDArray[np.object_]
Values = NDArray[np.float32]

FORMAT: Final = 1
CELL_M: Final = 10
COARSE: Final = 3
NODATA: Final = -9999.0
VILLAGE_M: Final = 1_000.0
_BRICK_M2: Final = 36_800.0
_ROOM: Final = 1.34
"""Side of the wall over side of the raster: the wall stands turned by 17 degrees."""
_STRIP: Final = 500
_WAVES: Final = ((4_000.0, 30.0), (800.0, 15.0), (150.0, 8.0))
"""Spacing of the lattice in metres and standard deviation in t/ha."""
_MEAN_T_HA: Final = 85.0
_GRAIN_T_HA: Final = 6.0
_GROWTH_T_HA: Final = 3.0
_GAP_SPACING_M: Final = 2_500.0
_GAP_LEVEL: Final = 1.3
_GAP_ALONE: Final = 0.001

PUBLISHED: Final = "81374ded6ed7dee4ec3a2bd353f7ef211259972a8de9dfddb760387a734c7850"
"""Digest of the world that the page's figures are of."""


class WorldDiffers(Exception):
    """The folder holds something else than what was built into it."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a world: cells along each side at 10 m, registers, rasters of each grid."""

    pixels: int = 10_000
    counts: tuple[int, ...] = (2_000, 50_000, 200_000)
    rasters: int = 5
    seed: int = 1


@dataclass(frozen=True, slots=True)
class World:
    """A folder that holds a world, checked when it was opened."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def digest(self) -> str:
        """Of all numbers of this world."""
        return str(self.manifest["digest"])

    @property
    def is_published(self) -> bool:
        return self.digest == PUBLISHED

    def metres(self, count: int) -> Outlines:
        """A register's outlines in metres of EPSG:4549, in order of registration."""
        return _load(self.folder / "metres.npz", count)

    def recorded(self, count: int) -> tuple[Outlines, list[str]]:
        """The same in the form of record (EPSG:4490), and the digest of each."""
        outlines = _load(self.folder / "recorded.npz", count)
        return outlines, [hashlib.sha256(one).hexdigest() for one in shapely.to_wkb(outlines)]

    def rasters(self, cell_m: int, count: int) -> list[Path]:
        """Paths of so many rasters of one grid; after the last file the same again under another name."""
        files = sorted(self.folder.glob(f"agb-{cell_m}m-*.tif"))
        for number in range(len(files), count):
            again = self.folder / f"again-{cell_m}m-{number:02}.tif"
            if not again.exists():
                os.link(files[number % len(files)], again)
            files.append(again)
        return files[:count]


def folder_by_default() -> Path:
    return Path(tempfile.gettempdir()) / "tanhui-measure"


def world(folder: Path | None = None, extent: Extent | None = None, *, check: bool = True) -> World:
    """Open the world in a folder, building it first where there is none (WorldDiffers).

    Building takes some three minutes of one core and 2.5 GiB for the standard extent. Opening reads all
    files, which also brings them into the page cache; `check=False` is for processes that another one started
    after that.
    """
    target, wanted = folder or folder_by_default(), extent or Extent()
    stated = target / "manifest.json"
    if not stated.exists():
        _build(target, wanted)
    manifest = json.loads(stated.read_text())
    if manifest["format"] != FORMAT or manifest["extent"] != json.loads(json.dumps(asdict(wanted))):
        raise WorldDiffers(f"{target} holds a world of another extent; delete it or name another folder")
    for name, sha256 in manifest["files"].items() if check else ():
        if _sha256(target / name) != sha256:
            raise WorldDiffers(f"{name} in {target} is not what was built; delete the folder")
    return World(target, manifest)


def _build(folder: Path, extent: Extent) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    numbers: dict[str, str] = {}
    outlines, corner = _villages(extent)
    numbers["metres"] = _keep(folder / "metres.npz", outlines, extent)
    recorded = batch.record(list(outlines), EPSG)
    if recorded.refused:
        raise WorldDiffers(f"{len(recorded.refused)} outlines cannot be recorded")
    numbers["recorded"] = _keep(folder / "recorded.npz", recorded.outlines, extent)
    for number in range(extent.rasters):
        fine = field(extent, number)
        for cell_m, values in ((CELL_M, fine), (CELL_M * COARSE, coarsened(fine))):
            name = f"agb-{cell_m}m-{number:02}.tif"
            numbers[name] = hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()
            _write_cog(folder / name, values, corner, cell_m)
    files = {path.name: _sha256(path) for path in sorted(folder.iterdir()) if path.suffix in (".npz", ".tif")}
    whole = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()
    manifest = {
        "format": FORMAT,
        "extent": asdict(extent),
        "digest": whole,
        "numbers": numbers,
        "files": files,
        "facts": _facts(outlines),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- villages ----------------------------------------------------------------------------------------------


def _villages(extent: Extent) -> tuple[Outlines, tuple[float, float]]:
    """The largest register, village after village, and the raster's north-west corner."""
    side_m = extent.pixels * CELL_M
    every = wall(round((_ROOM * side_m) ** 2 / _BRICK_M2), extent.seed)
    west, south, east, north = shapely.total_bounds(every)
    x0 = float(round((west + east - side_m) / 2, -1))
    y0 = float(round((south + north + side_m) / 2, -1))
    bounds = shapely.bounds(every)
    inside = (bounds[:, :2] > (x0, y0 - side_m)).all(axis=1) & (bounds[:, 2:] < (x0 + side_m, y0)).all(axis=1)
    some = every[inside]
    if len(some) < max(extent.counts):
        raise WorldDiffers(f"{len(some)} parcels lie on the raster, {max(extent.counts)} are asked for")
    square = np.floor(shapely.get_coordinates(shapely.centroid(some)) / VILLAGE_M).astype(np.int64)
    _, village = np.unique(square, axis=0, return_inverse=True)
    rank = np.random.default_rng([extent.seed, 1]).permutation(int(village.max()) + 1)
    order = np.argsort(rank[village.ravel()], kind="stable")
    return some[order[: max(extent.counts)]], (x0, y0)


def _keep(path: Path, outlines: Outlines, extent: Extent) -> str:
    """Write outlines with the order of each register; answers the digest of their WKB."""
    binary = shapely.to_wkb(outlines)
    joined = b"".join(binary)
    orders = {
        f"order_{count}": np.random.default_rng([extent.seed, 2, count]).permutation(count)
        for count in extent.counts
    }
    np.savez(
        path,
        allow_pickle=False,
        wkb=np.frombuffer(joined, np.uint8),
        ends=np.cumsum([len(one) for one in binary]),
        **orders,
    )
    digest = hashlib.sha256(joined)
    for name in sorted(orders):
        digest.update(orders[name].astype("<i8").tobytes())
    return digest.hexdigest()


def _load(path: Path, count: int) -> Outlines:
    with np.load(path, allow_pickle=False) as kept:
        order, ends = kept[f"order_{count}"], kept["ends"][:count]
        binary = _parted(kept["wkb"][: int(ends[-1])].tobytes(), ends)
    return np.asarray(shapely.from_wkb([binary[n] for n in order]), dtype=object)


def write_outlines(path: Path, outlines: Outlines) -> None:
    """Keep outlines for another process to read."""
    binary = shapely.to_wkb(outlines)
    joined = np.frombuffer(b"".join(binary), np.uint8)
    np.savez(path, allow_pickle=False, wkb=joined, ends=np.cumsum([len(one) for one in binary]))


def read_outlines(path: Path) -> Outlines:
    """What `write_outlines` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        binary = _parted(kept["wkb"].tobytes(), kept["ends"])
    return np.asarray(shapely.from_wkb(binary), dtype=object)


def _parted(blob: bytes, ends: NDArray[Any]) -> list[bytes]:
    starts = np.concatenate([[0], ends[:-1]]).tolist()
    return [blob[a:z] for a, z in zip(starts, ends.tolist(), strict=True)]


def _facts(outlines: Outlines) -> dict[str, float]:
    """What the parcels are like."""
    area_ha = shapely.area(outlines) / 10_000
    parts = shapely.get_num_geometries(outlines)
    rings = shapely.get_num_interior_rings(shapely.get_parts(outlines))
    return {
        "area_ha": float(area_ha.sum()),
        "median_ha": float(np.median(area_ha)),
        "least_ha": float(area_ha.min()),
        "most_ha": float(area_ha.max()),
        "vertices": float(shapely.get_num_coordinates(outlines).mean()),
        "with_holes": float((rings > 0).sum() / len(outlines)),
        "in_two_parts": float((parts > 1).mean()),
    }


# ---- rasters -----------------------------------------------------------------------------------------------


def field(extent: Extent, number: int) -> Values:
    """Biomass of every cell of 10 m in t/ha, nodata where there is no value."""
    ground = np.random.default_rng([extent.seed, 3])
    side_m = extent.pixels * CELL_M
    waves = [(spacing, _lattice(ground, side_m, spacing) * sd) for spacing, sd in _WAVES]
    gaps = _lattice(ground, side_m, _GAP_SPACING_M)
    grain = np.random.default_rng([extent.seed, 4, number])
    values = np.empty((extent.pixels, extent.pixels), np.float32)
    for first in range(0, extent.pixels, _STRIP):
        rows = np.arange(first, min(first + _STRIP, extent.pixels))
        strip = np.full((len(rows), extent.pixels), _MEAN_T_HA + _GROWTH_T_HA * number, np.float32)
        for spacing, lattice in waves:
            strip += _between(lattice, rows, extent.pixels, spacing)
        strip += grain.standard_normal(strip.shape, np.float32) * np.float32(_GRAIN_T_HA)
        steps = np.clip(np.rint(strip.astype(np.float64) * 10), 0, 6_000)
        missing = _between(gaps, rows, extent.pixels, _GAP_SPACING_M) > _GAP_LEVEL
        missing |= grain.random(strip.shape, np.float32) < _GAP_ALONE
        values[first : first + len(rows)] = np.where(missing, NODATA, steps / 10)
    return values


def _lattice(rng: np.random.Generator, side_m: float, spacing: float) -> NDArray[np.float64]:
    points = int(side_m / spacing) + 2
    return rng.standard_normal((points, points))


def _between(lattice: NDArray[np.float64], rows: NDArray[Any], width: int, spacing: float) -> Values:
    """Straight between the lattice's points, at the middles of the cells of some rows."""
    at_row, at_column = ((index + 0.5) * CELL_M / spacing for index in (rows, np.arange(width)))
    i, j = at_row.astype(np.int64), at_column.astype(np.int64)
    down, right = (at_row - i)[:, None], (at_column - j).astype(np.float32)
    line = (lattice[i] * (1 - down) + lattice[i + 1] * down).astype(np.float32)
    return line[:, j] * (1 - right) + line[:, j + 1] * right


def coarsened(fine: Values) -> Values:
    """Means of what has a value in each square of nine cells, in steps of 0.1."""
    side = len(fine) // COARSE
    result = np.empty((side, side), np.float32)
    for first in range(0, side, _STRIP):
        last = min(first + _STRIP, side)
        nine = fine[first * COARSE : last * COARSE, : side * COARSE].astype(np.float64)
        nine = nine.reshape(last - first, COARSE, side, COARSE)
        known = nine != NODATA
        count = known.sum(axis=(1, 3))
        total = np.where(known, nine, 0.0).sum(axis=(1, 3))
        mean = np.rint(total / np.maximum(count, 1) * 10) / 10
        result[first:last] = np.where(count > 0, mean, NODATA)
    return result


def _write_cog(path: Path, values: Values, corner: tuple[float, float], cell_m: int) -> None:
    import rasterio
    from rasterio.shutil import copy
    from rasterio.transform import Affine

    plain = path.with_suffix(".plain")
    profile = {
        "driver": "GTiff",
        "width": values.shape[1],
        "height": values.shape[0],
        "count": 1,
        "dtype": "float32",
        "crs": f"EPSG:{EPSG}",
        "transform": Affine(cell_m, 0.0, corner[0], 0.0, -cell_m, corner[1]),
        "nodata": NODATA,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
    }
    with rasterio.Env(GDAL_PAM_ENABLED="NO"):
        with rasterio.open(plain, "w", **profile) as out:
            out.write(values, 1)
        copy(
            plain,
            path,
            driver="COG",
            compress="DEFLATE",
            predictor="FLOATING_POINT",
            blocksize=512,
            overview_resampling="NEAREST",
            num_threads=2,
        )
    plain.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measure.world", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="default: tanhui-measure among temporary files")
    made = world(parser.parse_args().folder)
    print(f"{made.folder}: {'the published world' if made.is_published else made.digest}")
    print(json.dumps(made.manifest["facts"]))


if __name__ == "__main__":
    main()
