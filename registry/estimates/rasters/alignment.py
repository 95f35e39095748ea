"""Land covers brought onto the grid of a biomass map, as a recorded step: the eligible share of each cell."""

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from geo.confined import Progress
from geo.raster import Grid, RasterSource, write_geotiff
from geo.raster_align import NODATA, RULE, eligible_share
from registry.estimates.file_store import checked, raster_path
from registry.estimates.models import RasterStatement
from registry.estimates.rasters.rules import RasterClaim
from registry.estimates.rasters.store import StoredRaster, store_raster
from registry.estimates.rules import RasterKindWrong
from registry.settings import Home


def align_raster(
    home: Home,
    cover: RasterStatement,
    target: RasterStatement,
    *,
    today: date,
    progress: Progress | None = None,
) -> StoredRaster:
    """Make and store the raster of eligible shares of `cover` on the grid of `target`; nothing is recorded.

    It is of the cover's product, day and licence, and its lineage says from which file by which rule. Raises
    `RasterKindWrong`, `StoredFileChanged`, and what `raster_align.eligible_share` raises.
    """
    if cover.kind != "land_cover" or cover.forest_classes is None:
        raise RasterKindWrong(
            sha256=cover.sha256, kind=cover.kind, unit=cover.unit, expected="land_cover", name="land cover"
        )
    grid = Grid(**target.file.grid)
    path = checked(raster_path(home, cover.sha256), cover.sha256)
    with RasterSource.open(path) as source:
        shares = eligible_share(source, cover.forest_classes, grid, band=cover.band, progress=progress)
    lineage = _lineage(cover, target, grid)
    with TemporaryDirectory(prefix="tanhui-align-") as folder:
        file = Path(folder) / f"eligible-{cover.sha256[:12]}-{target.sha256[:12]}.tif"
        write_geotiff(file, shares, grid, NODATA, compress="zstd", block=512)
        return store_raster(home, file, _claim(cover), today=today, lineage=lineage, progress=progress)


def _claim(cover: RasterStatement) -> RasterClaim:
    return RasterClaim(
        kind="eligible_share",
        product=cover.product,
        taken_on=date.fromisoformat(cover.taken_on),
        licence=cover.licence,
        licence_note=cover.licence_note,
        attribution=cover.attribution,
        source=cover.source,
    )


def _lineage(cover: RasterStatement, target: RasterStatement, grid: Grid) -> dict[str, Any]:
    """What anybody needs to make the same raster again; numbers that are not whole as texts."""
    spelled = {
        name: repr(value) if isinstance(value, float) else value for name, value in grid.as_dict().items()
    }
    return {
        "rule": RULE,
        "sources": [cover.sha256],
        "version": cover.version,
        "band": cover.band,
        "classes": list(cover.forest_classes or ()),
        "target": target.sha256,
        "grid": spelled,
    }
