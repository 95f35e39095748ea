"""Rasters as STAC: an item says what catalogues ask, by the schemas of STAC itself, and leads to the file."""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio.warp
from jsonschema import Draft7Validator
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import RasterExtension
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry, Resource

from geo.raster import Grid, write_geotiff
from geo.raster_inspect import inspect_here
from registry.estimates.file_store import raster_path
from registry.estimates.models import RasterStatement
from registry.estimates.rasters.rules import ErrorModel, RasterClaim
from registry.estimates.rasters.stac import footprint, item_json, write_catalogue
from registry.estimates.rasters.store import list_rasters, record_raster, store_raster
from registry.installation import Installation
from tests.registry.estimates.test_raster_statements import AGB, NOW, ON, ON_SQLITE, TODAY

pytestmark = ON_SQLITE

METRES = Grid("EPSG:4549", 380_000.0, 3_210_000.0, 10.0, 10.0, 40, 30)
DEGREES = Grid("EPSG:4490", 118.8, 29.0, 0.00025, 0.00025, 40, 30)


def bring(installation: Installation, path: Path, claim: RasterClaim, **options: Any) -> RasterStatement:
    stored = store_raster(installation.home, path, claim, today=TODAY, inspect=inspect_here, **options)
    with installation.database.write() as session:
        return record_raster(session, stored, None, NOW)


@pytest.fixture
def rows(installation: Installation, tmp_path: Path) -> Iterator[list[RasterStatement]]:
    """Densities in metres with deviations, and a share in degrees made from a land cover."""
    two = np.stack([np.full((30, 40), value, np.float32) for value in (7.0, 50.0)])
    two[1, 0, 0] = math.nan
    write_geotiff(tmp_path / "sd.tif", two[0], METRES, -9999.0)
    write_geotiff(tmp_path / "agb.tif", two, METRES, math.nan)
    write_geotiff(tmp_path / "share.tif", np.full((30, 40), 0.5, np.float32), DEGREES, -1.0)
    sd = bring(installation, tmp_path / "sd.tif", replace(AGB, kind="agb_sd"))
    named = ErrorModel("per_pixel", sd_sha256=sd.sha256)
    bring(
        installation,
        tmp_path / "agb.tif",
        replace(AGB, band=2, licence="CC-BY-4.0", attribution="某研究所", error_model=named),
    )
    share = RasterClaim(
        "eligible_share", "CLCD", ON, licence="LicenseRef-agreement", licence_note="for this project"
    )
    bring(installation, tmp_path / "share.tif", share, lineage={"sources": [sd.sha256], "rule": "invented"})
    with installation.database.read() as session:
        yield list_rasters(session)


def valid(plain: dict[str, Any]) -> None:
    """By the schemas that pystac brings along, and nothing from a network; extensions are read by classes."""
    kind = "item" if plain["type"] == "Feature" else "catalog"
    kept = get_local_schema_cache()
    schema = kept[
        f"https://schemas.stacspec.org/v{plain['stac_version']}/{kind}-spec/json-schema/{kind}.json"
    ]
    known = Registry().with_resources([(uri, Resource.from_contents(text)) for uri, text in kept.items()])
    assert [error.message for error in Draft7Validator(schema, registry=known).iter_errors(plain)] == []


def test_an_item_says_what_a_catalogue_asks(rows: list[RasterStatement]) -> None:
    agb = next(row for row in rows if row.kind == "agb")
    plain = item_json(agb, "/here", "/rasters/{sha256}/stac")
    valid(plain)
    item = pystac.Item.from_dict(json.loads(json.dumps(plain, allow_nan=False)))
    assert item.datetime is not None
    assert (item.id, item.datetime.date()) == (agb.sha256, ON)
    asset = item.assets["data"]
    projection = ProjectionExtension.ext(item)
    assert (projection.code, projection.shape) == ("EPSG:4549", [30, 40])
    assert projection.transform == [10.0, 0.0, 380_000.0, 0.0, -10.0, 3_210_000.0]
    first, second = RasterExtension.ext(asset).bands or []
    assert (second.unit, second.nodata, second.data_type) == ("t/ha", "nan", "float32")
    assert second.statistics is not None and second.statistics.valid_percent is not None
    assert (second.statistics.maximum, first.unit) == (50.0, None)
    assert second.statistics.valid_percent == pytest.approx(100 * 1199 / 1200)
    assert FileExtension.ext(asset).checksum == "1220" + agb.sha256
    assert (item.properties["license"], item.properties["tanhui:unit"]) == ("CC-BY-4.0", "t/ha")
    assert item.properties["tanhui:error_model"]["kind"] == "per_pixel"
    assert [link["href"] for link in plain["links"]] == [f"/rasters/{agb.error_model['sd_sha256']}/stac"]


def test_the_footprint_holds_the_cells(rows: list[RasterStatement]) -> None:
    ring = np.array(footprint(METRES))
    west, south, east, north = rasterio.warp.transform_bounds(
        "EPSG:4549", "EPSG:4326", 380_000, 3_209_700, 380_400, 3_210_000
    )
    assert (ring[:, 0].min(), ring[:, 0].max()) == pytest.approx((west, east), abs=1e-6)
    assert (ring[:, 1].min(), ring[:, 1].max()) == pytest.approx((south, north), abs=1e-6)
    signed = np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1])
    assert signed > 0  # anticlockwise, as GeoJSON wants it
    assert footprint(DEGREES)[0] == [118.8, 29.0]


@pytest.mark.parametrize("files", ["copy", "link"])
def test_a_static_catalogue_can_be_moved_and_read(
    installation: Installation, rows: list[RasterStatement], tmp_path: Path, files: Any
) -> None:
    def source(sha256: str) -> Path:
        return raster_path(installation.home, sha256)

    write_catalogue(rows, tmp_path / "made", files, source)
    (tmp_path / "made").rename(tmp_path / "moved")
    catalogue = pystac.Catalog.from_file(str(tmp_path / "moved" / "catalog.json"))
    valid(json.loads((tmp_path / "moved" / "catalog.json").read_text("utf-8")))
    items = list(catalogue.get_items())
    assert {item.id for item in items} == {row.sha256 for row in rows}
    for item in items:
        valid(json.loads(Path(item.get_self_href() or "").read_text("utf-8")))
        href = item.assets["data"].get_absolute_href()
        assert href is not None and item.get_root() is catalogue
        assert hashlib.sha256(Path(href).read_bytes()).hexdigest() == item.id
    share = next(item for item in items if item.properties["tanhui:kind"] == "eligible_share")
    (derived,) = share.get_links("derived_from")
    assert pystac.Item.from_file(derived.absolute_href).properties["tanhui:kind"] == "agb_sd"
    assert (share.properties["license"], share.properties["tanhui:licence"]) == (
        "other", "LicenseRef-agreement",
    )  # fmt: skip


def test_files_may_stay_where_the_api_is(rows: list[RasterStatement], tmp_path: Path) -> None:
    def nowhere(sha256: str) -> Path:
        raise AssertionError(sha256)

    written = write_catalogue(rows, tmp_path / "made", "none", nowhere, "https://registry.example")
    assert sorted(path.suffix for path in written) == [".json"] * 4
    item = json.loads(written[1].read_text("utf-8"))
    expected = f"https://registry.example/api/v1/rasters/{item['id']}/file"
    assert item["assets"]["data"]["href"] == expected
