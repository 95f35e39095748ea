"""The made-up register as a county bureau hands it in: a zipped shapefile in GBK with the usual columns."""

import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely

from benchmarks.land.world import EPSG, Outlines
from geo import batch

COUNTY: Final = "330802"
SPECIES: Final = ("马尾松", "杉木", "柏木", "栎类", "木荷", "枫香")
AGES: Final = ("幼龄林", "中龄林", "近熟林", "成熟林")
VILLAGES: Final = 50
MEMBERS: Final = (".shp", ".shx", ".dbf", ".prj", ".cpg")


def columns(count: int, areas_cm2: Any, seed: int = 1) -> dict[str, Any]:
    """The columns of `count` parcels whose certificates state their true areas."""
    rng = np.random.default_rng(seed)
    number = np.arange(count)
    village = number * VILLAGES // max(count, 1)
    return {
        "县": np.full(count, COUNTY, dtype=object),
        "村": np.array([f"第{v}村" for v in village], dtype=object),
        "林班": np.array([f"{n // 100:04d}" for n in number], dtype=object),
        "小班": np.array([f"{n % 100:03d}" for n in number], dtype=object),
        "优势树种": rng.choice(SPECIES, count).astype(object),
        "起源": rng.choice(("天然", "人工"), count).astype(object),
        "龄组": rng.choice(AGES, count).astype(object),
        "郁闭度": np.round(rng.uniform(0.2, 0.9, count), 1),
        "蓄积": np.round(rng.uniform(20.0, 180.0, count), 1),
        "面积亩": np.round(np.asarray(areas_cm2) / 10_000 * 3 / 2000, 2),
        "权属": np.full(count, "集体", dtype=object),
        "林权证号": np.array([f"浙林证字{n:08d}" for n in number], dtype=object),
        "期限至": np.full(count, "2060-12-31", dtype=object),
    }


def write(path: Path, metres: Outlines, values: Mapping[str, Any]) -> None:
    """Outlines in metres of EPSG:4549 and their columns, as a zipped shapefile in GBK."""
    import pyogrio.raw

    with tempfile.TemporaryDirectory() as name:
        shp = Path(name) / "parcels.shp"
        pyogrio.raw.write(
            str(shp),
            geometry=np.asarray(shapely.to_wkb(metres), dtype=object),
            field_data=list(values.values()),
            fields=list(values),
            driver="ESRI Shapefile",
            geometry_type="Unknown",
            crs=f"EPSG:{EPSG}",
            encoding="GBK",
        )
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for member in MEMBERS:
                archive.write(shp.with_suffix(member), f"林地小班{member}")


def written(path: Path, metres: Outlines) -> Path:
    """The same, with the columns that fit the outlines."""
    areas = batch.record(list(metres), EPSG).areas_cm2
    write(path, metres, columns(len(metres), areas))
    return path
