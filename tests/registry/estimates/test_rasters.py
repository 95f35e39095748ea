"""Input files are checked when they come, and kept under the digest of their bytes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geo.errors import RasterCrsMissing, RasterNotGeotiff
from registry.estimates.input_files import (
    UNITS,
    RasterClaim,
    list_plot_files,
    list_rasters,
    record_raster,
    register_plots,
    register_raster,
    store_raster,
    stored_file,
)
from registry.estimates.methods.errors import BadPlotFile
from registry.estimates.models import PlotFile, RasterStatement
from registry.estimates.rules import ProductUnknown, RegisteredOtherwise
from registry.installation import Installation
from tests.registry.forest import HEADER, plots_text, write

ON, TODAY = date(2020, 1, 1), date(2025, 3, 3)


def register(installation: Installation, path: Path, **changed: Any) -> RasterStatement:
    with installation.database.write() as session:
        return register_raster(session, installation.home, path, claim(**changed), today=TODAY)


def claim(**changed: Any) -> RasterClaim:
    said: dict[str, Any] = {"kind": "agb", "product": "invented", "taken_on": ON, "licence": "CC0-1.0"}
    kind = changed.get("kind", "agb")
    return RasterClaim(**said | {"unit": UNITS[kind]} | changed)


def plots(installation: Installation, path: Path, text: str, **changed: Any) -> PlotFile:
    path.write_text(text, encoding="utf-8")
    with installation.database.write() as session:
        return register_plots(session, installation.home, path, **changed)


def kept(installation: Installation) -> int:
    with installation.database.read() as session:
        return len(list_rasters(session)) + len(list_plot_files(session))


def test_a_raster_is_kept_under_its_digest(installation: Installation, tmp_path: Path) -> None:
    path = write(tmp_path / "density.tif", 50.0)
    row = register(installation, path)
    stored = stored_file(installation.home, row.sha256)
    assert stored is not None
    assert stored.read_bytes() == path.read_bytes()
    assert (row.kind, row.unit, row.file.file_name) == ("agb", "t/ha", "density.tif")
    assert register(installation, path).sha256 == row.sha256
    assert kept(installation) == 1


def test_a_raster_is_stored_without_a_transaction_and_counts_once_it_is_recorded(
    installation: Installation, tmp_path: Path
) -> None:
    path = write(tmp_path / "density.tif", 50.0)
    with installation.database.write():  # somebody else's, which a copy must not wait for
        stored = store_raster(installation.home, path, claim(), today=TODAY)
    assert kept(installation) == 0
    with installation.database.write() as session:
        assert record_raster(session, stored).sha256 == stored.sha256
    assert kept(installation) == 1
    file = stored_file(installation.home, stored.sha256)
    assert file is not None
    assert file.read_bytes() == path.read_bytes()


@pytest.mark.seconds
def test_several_store_the_same_file_at_once(installation: Installation, tmp_path: Path) -> None:
    path = write(tmp_path / "density.tif", 50.0)

    def store(_: int) -> str:
        return store_raster(installation.home, path, claim(), today=TODAY).sha256

    with ThreadPoolExecutor(8) as pool:
        (sha256,) = set(pool.map(store, range(32)))
    (file,) = installation.home.rasters.iterdir()
    assert file.name == f"{sha256}.tif"
    assert file.read_bytes() == path.read_bytes()


def test_the_same_bytes_are_not_two_things(installation: Installation, tmp_path: Path) -> None:
    path = write(tmp_path / "density.tif", 50.0)
    register(installation, path)
    with pytest.raises(RegisteredOtherwise):
        register(installation, path, kind="agb_sd")


def test_a_file_that_is_no_geotiff_is_refused(installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "density.tif"
    path.write_bytes(b"this is not a raster")
    with pytest.raises(RasterNotGeotiff):
        register(installation, path)
    assert kept(installation) == 0
    assert not list(installation.home.rasters.iterdir())


def test_a_raster_without_a_coordinate_system_is_refused(
    installation: Installation, tmp_path: Path, test_data: Path
) -> None:
    with pytest.raises(RasterCrsMissing):
        register(installation, test_data / "rasters" / "nouragues" / "nouragues_map_pred.tif")
    assert kept(installation) == 0


def test_a_land_cover_needs_a_product_whose_classes_are_known(
    installation: Installation, tmp_path: Path
) -> None:
    path = write(tmp_path / "cover.tif", np.float32(2).item())
    with pytest.raises(ProductUnknown):
        register(installation, path, kind="land_cover", product="somebody's")
    assert kept(installation) == 0


def test_plots_are_kept_under_their_digest(installation: Installation, tmp_path: Path) -> None:
    row = plots(installation, tmp_path / "plots.csv", plots_text())
    assert (row.plots, row.measurement) == (6, "volume")
    assert stored_file(installation.home, row.sha256) is not None
    with pytest.raises((RegisteredOtherwise, BadPlotFile)):
        plots(installation, tmp_path / "plots.csv", plots_text(), measurement="trees")


def test_every_fault_of_a_plot_file_is_listed_and_nothing_is_kept(
    installation: Installation, tmp_path: Path
) -> None:
    bad = f"{HEADER}\nP1,marble,118.8,29,0.06,2020-01-01,-5,2024-12-01,60\n"
    with pytest.raises(BadPlotFile) as refused:
        plots(installation, tmp_path / "plots.csv", bad)
    assert refused.value.facts["count"] == 2
    assert kept(installation) == 0
