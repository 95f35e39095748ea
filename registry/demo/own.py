"""Files of the user's own, made complete for the demo.

People who try the demo with their own land seldom have every column and every raster. What is missing is
filled in with stated assumptions, written beside the originals in the demo's folder, and named in the first
line of progress.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from geo.crs import area_m2, mu
from geo.raster import RasterSource, write_geotiff
from geo.vector import FeatureRow, LandRow, ParcelFile, examine, read_parcels, write_zipped_shapefile
from registry.demo.files import LAND_COVER, Files
from registry.estimates.input_files import FOREST_CLASSES
from registry.estimates.methods import read_plots
from registry.parcels.mapping import FieldMap, columns_of, load_mapping
from registry.parcels.report import RowProblem
from registry.parcels.rules import ImportRefused

ASSUMED_SD_SHARE: Final = 0.3
VILLAGE, COUNTY, UNTIL = "甲村", "330802", "2060-12-31"
STORE_CRS: Final = "EPSG:4490"
NODATA: Final = -9999.0


@dataclass(frozen=True, slots=True)
class Completed:
    """The complete files, and what was assumed."""

    files: Files
    assumed: tuple[str, ...]


def complete(files: Files, folder: Path) -> Completed:
    """Fill what the files lack. Raises `ImportRefused` for outlines that no assumption can mend."""
    parcels, villages, columns = _complete_parcels(files.parcels, _stand_type(files.plots), folder)
    sds = [_assumed_sd(path, folder) for path in (files.agb_start, files.agb_end)]
    covers = [_assumed_cover(path, folder) for path in (files.agb_start, files.agb_end)]
    completed = replace(
        files,
        parcels=parcels,
        villages=villages,
        agb_start_sd=sds[0],
        agb_end_sd=sds[1],
        land_cover_start=covers[0],
        land_cover_end=covers[1],
        agb_product="own-file",
    )
    return Completed(
        completed, (*columns, f"{ASSUMED_SD_SHARE:.0%} raster error", "forest wherever biomass is")
    )


def _stand_type(plots: Path) -> str:
    """The stand type most plots stand in: the parcels' own, where their file has none."""
    types = [plot.stratum for plot in read_plots(plots.read_bytes())]
    return max(sorted(set(types)), key=types.count)


def _complete_parcels(
    path: Path, stand_type: str, folder: Path
) -> tuple[Path, dict[str, str], tuple[str, ...]]:
    """The parcels with every column the import needs; the county of each village; the columns that were
    added.
    """
    file, mapping = read_parcels(path), load_mapping()
    rows = _good_rows(file)
    present, _ = columns_of(mapping, file.rows[0].attributes)
    words = {code: word for word, code in mapping.codes["stand_types"].items()}
    filled = [
        FeatureRow(row.number, row.geometry, _attributes(row, mapping, present, words[stand_type]))
        for row in rows
    ]
    target = folder / "parcels-completed.zip"
    write_zipped_shapefile(target, filled, STORE_CRS, "gbk", ldid=True)
    heading = {name: field.headings[0] for name, field in mapping.fields.items()}
    villages = {
        str(row.attributes[heading["village"]]): str(row.attributes[heading["county"]]) for row in filled
    }
    added = tuple(
        heading[name] for name in mapping.fields if name not in present and mapping.fields[name].required
    )
    return target, villages, added


def _good_rows(file: ParcelFile) -> list[LandRow]:
    rows, faults = examine(file)
    if faults:
        problems = [
            RowProblem(fault.row, fault.field, fault.value, fault.code, fault.template, fault.facts)
            for fault in faults
        ]
        raise ImportRefused(count=len(problems), rows=[problem.to_json() for problem in problems])
    return rows


def _attributes(
    row: LandRow, mapping: FieldMap, present: Mapping[str, str], stand_type: str
) -> dict[str, str | int | float | None]:
    assumed: dict[str, str | int | float | None] = {
        "county": COUNTY,
        "village": VILLAGE,
        "compartment": "1",
        "subcompartment": str(row.number),
        "stand_type": stand_type,
        "declared_area": round(mu(area_m2(row.geometry)), 2),
        "tenure_kind": "集体",
        "certificate": f"demo-{row.number}",
        "tenure_until": UNTIL,
    }
    return {
        mapping.fields[name].headings[0]: row.attributes[present[name]] if name in present else value
        for name, value in assumed.items()
    }


def _assumed_sd(path: Path, folder: Path) -> Path:
    """A raster of deviations: a share of each density."""
    target = folder / f"assumed-sd-{path.stem}.tif"
    with RasterSource.open(path) as source:
        window = source.read(0, 0, source.grid.height, source.grid.width)
        values = np.where(window.valid, window.values * ASSUMED_SD_SHARE, NODATA).astype(np.float32)
        write_geotiff(target, values, source.grid, NODATA)
    return target


def _assumed_cover(path: Path, folder: Path) -> Path:
    """A land cover on the raster's grid: forest where there is biomass."""
    target = folder / f"assumed-cover-{path.stem}.tif"
    forest = FOREST_CLASSES[LAND_COVER][0]
    with RasterSource.open(path) as source:
        window = source.read(0, 0, source.grid.height, source.grid.width)
        classes = np.where(window.valid & (window.values > 0), forest, 1).astype(np.uint8)
        write_geotiff(target, classes, source.grid)
    return target
