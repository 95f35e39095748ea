"""Registered rasters as STAC: what catalogues and GIS programs ask to know of a file, in their own words.

The only module that imports pystac, with its first use. An item says where a raster lies, of which day it is,
what its numbers mean and its bytes are; whatever STAC has no word for is a property `tanhui:…`. A static
catalogue names everything by relative paths, so that its folder can be moved or served as it is.
"""

import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyproj

from geo.raster import Grid
from registry.estimates.models import RasterStatement

if TYPE_CHECKING:
    import pystac

Files = Literal["none", "copy", "link"]
"""What a static catalogue does about the files: leaves them to the API, copies them, or makes hard links."""

CATALOGUE: Final = "tanhui-rasters"
COG_TYPE: Final = "image/tiff; application=geotiff"
_SHA256_MULTIHASH: Final = "1220"
"""Multihash: sha2-256 (0x12), 32 bytes (0x20)."""
_EDGE_POINTS: Final = 21
_DIGITS: Final = 7
_SPDX_OTHER: Final = "other"


def item_of(row: RasterStatement, href: str) -> "pystac.Item":
    """One raster as a STAC item whose asset is found at `href`."""
    import pystac
    from pystac.extensions.file import FileExtension
    from pystac.extensions.projection import ProjectionExtension
    from pystac.extensions.raster import RasterBand, RasterExtension, Statistics

    grid = Grid(**row.file.grid)
    ring = footprint(grid)
    item = pystac.Item(
        id=row.sha256,
        geometry={"type": "Polygon", "coordinates": [ring]},
        bbox=_box(ring),
        datetime=datetime.combine(date.fromisoformat(row.taken_on), time(), UTC),
        properties=_properties(row),
    )
    asset = pystac.Asset(href=href, title=row.file.file_name, media_type=COG_TYPE, roles=["data"])
    item.add_asset("data", asset)
    projection = ProjectionExtension.ext(item, add_if_missing=True)
    projection.apply(
        code=_code(grid),
        wkt2=None if _code(grid) else pyproj.CRS(grid.crs).to_wkt("WKT2_2019"),
        bbox=[grid.x0, grid.y0 - grid.dy * grid.height, grid.x0 + grid.dx * grid.width, grid.y0],
        shape=[grid.height, grid.width],
        transform=[grid.dx, 0.0, grid.x0, 0.0, -grid.dy, grid.y0],
    )
    file = FileExtension.ext(asset, add_if_missing=True)
    file.apply(checksum=_SHA256_MULTIHASH + row.sha256, size=row.file.size_bytes)
    facts = row.facts
    if facts is None:
        RasterExtension.ext(asset, add_if_missing=True).apply([RasterBand.create(unit=row.unit)])
        return item
    counted = facts["statistics"]
    statistics = Statistics.create(
        minimum=counted["minimum"],
        maximum=counted["maximum"],
        mean=counted["mean"],
        valid_percent=100 * counted["valid_cells"] / counted["cells"],
    )
    read = RasterBand.create(
        nodata=_number(facts["nodata"]),
        data_type=facts["dtype"],
        scale=float(facts["scale"]),
        offset=float(facts["offset"]),
        unit=row.unit,
        statistics=statistics,
    )
    bands = [RasterBand.create(data_type=facts["dtype"]) for _ in range(facts["bands"])]
    bands[row.band - 1] = read
    RasterExtension.ext(asset, add_if_missing=True).apply(bands)
    return item


def item_json(row: RasterStatement, href: str, others: str) -> dict[str, Any]:
    """The item alone; `others` is where those of other rasters are found, with `{sha256}` in it."""
    item = item_of(row, href)
    _link_lineage(item, row, others)
    found: dict[str, Any] = item.to_dict(include_self_link=False)
    return found


def write_catalogue(
    rows: Sequence[RasterStatement],
    folder: Path,
    files: Files,
    source: Callable[[str], Path],
    address: str | None = None,
) -> list[Path]:
    """Write `catalog.json` and one item for each raster into `folder`; the paths that were written.

    `source` gives the home's file of a digest. Files are copied or linked beside their items, or are left at
    `address`, the API's, where there is one.
    """
    import pystac

    catalogue = pystac.Catalog(CATALOGUE, "Rasters that estimates of carbon sinks are computed from.")
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for row in rows:
        name = f"{row.sha256}.tif"
        href = f"./{name}" if files != "none" else f"{address or ''}/api/v1/rasters/{row.sha256}/file"
        item = item_of(row, href)
        _link_lineage(item, row, "../{sha256}/{sha256}.json")
        _link(item, pystac.RelType.ROOT, "../catalog.json")
        _link(item, pystac.RelType.PARENT, "../catalog.json")
        own = folder / row.sha256
        own.mkdir(exist_ok=True)
        if files != "none":
            _lay(source(row.sha256), own / name, files)
            written.append(own / name)
        written.append(_write(own / f"{row.sha256}.json", item.to_dict(include_self_link=False)))
        link = pystac.Link(pystac.RelType.ITEM, f"./{row.sha256}/{row.sha256}.json", "application/json")
        catalogue.add_link(link)
    plain = catalogue.to_dict(include_self_link=False)
    plain["links"] = [
        {"rel": "root", "href": "./catalog.json", "type": "application/json"},
        *(link for link in plain["links"] if link["rel"] == "item"),
    ]
    return [_write(folder / "catalog.json", plain), *written]


# ---- parts of an item --------------------------------------------------------------------------------------


def footprint(grid: Grid) -> list[list[float]]:
    """The outline of a grid in longitude and latitude, anticlockwise, with points along its edges."""
    x1, y1 = grid.x0 + grid.dx * grid.width, grid.y0 - grid.dy * grid.height
    along = np.linspace(0.0, 1.0, 2 if grid.is_geographic else _EDGE_POINTS)[:-1]
    corners = [(grid.x0, grid.y0), (grid.x0, y1), (x1, y1), (x1, grid.y0), (grid.x0, grid.y0)]
    x, y = (
        np.concatenate([a[axis] + (b[axis] - a[axis]) * along for a, b in pairwise(corners)])
        for axis in (0, 1)
    )
    lon, lat = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
    points = [[round(float(a), _DIGITS), round(float(b), _DIGITS)] for a, b in zip(lon, lat, strict=True)]
    return [*points, points[0]]


def _box(ring: list[list[float]]) -> list[float]:
    lon, lat = zip(*ring, strict=True)
    return [min(lon), min(lat), max(lon), max(lat)]


def _properties(row: RasterStatement) -> dict[str, Any]:
    """STAC's common metadata, and what it has no word for under a prefix of our own."""
    licence = row.licence
    own = {
        "kind": row.kind,
        "product": row.product,
        "unit": row.unit,
        "band": row.band,
        "version": row.version,
        "error_model": row.error_model,
        "forest_classes": row.forest_classes,
        "lineage": row.lineage,
        "values_sha256": row.values_sha256,
        "licence": "unknown" if licence is None else licence,
        "licence_note": row.licence_note,
        "attribution": row.attribution,
        "source": row.source,
    }
    standard = licence is not None and not licence.startswith("LicenseRef-")
    return {
        "title": f"{row.product}, {row.taken_on}",
        "license": licence if standard else _SPDX_OTHER,
        **({} if row.attribution is None else {"providers": [_provider(row.attribution)]}),
        **{f"tanhui:{name}": value for name, value in own.items() if value is not None},
    }


def _provider(attribution: str) -> dict[str, Any]:
    return {"name": attribution, "roles": ["licensor"]}


def _code(grid: Grid) -> str | None:
    return grid.crs if grid.crs.startswith("EPSG:") else None


def _number(text: str | None) -> Any:
    """A nodata as the raster extension spells it: `nan` is a word there."""
    if text is None:
        return None
    value = float(text)
    return "nan" if math.isnan(value) else value


def _link_lineage(item: "pystac.Item", row: RasterStatement, href: str) -> None:
    """Links to the rasters that this one was made from, and to that of its deviations."""
    import pystac

    sources = [] if row.lineage is None else row.lineage.get("sources", [])
    for sha256 in sources:
        _link(item, pystac.RelType.DERIVED_FROM, href.format(sha256=sha256))
    if (sd := row.error_model.get("sd_sha256")) is not None:
        _link(item, "related", href.format(sha256=sd))


def _link(item: "pystac.Item", rel: str, href: str) -> None:
    import pystac

    item.add_link(pystac.Link(rel, href, "application/json"))


# ---- files -------------------------------------------------------------------------------------------------


def _lay(source: Path, target: Path, files: Files) -> None:
    """A copy or, on the same disk, a hard link; the name appears when it is whole."""
    partial = target.with_name(f".{target.name}.part")
    partial.unlink(missing_ok=True)
    if files == "link":
        os.link(source, partial)
    else:
        shutil.copyfile(source, partial)
    partial.replace(target)


def _write(path: Path, document: dict[str, Any]) -> Path:
    partial = path.with_name(f".{path.name}.part")
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
    return path
