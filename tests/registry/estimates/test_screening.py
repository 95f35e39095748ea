"""Stocks of many parcels from a raster: E-R1 with its error, the same however the work was cut."""

import csv
import hashlib
import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from geo.coverage_store import CoverageStore
from geo.crs import Polygonal, area_m2
from geo.errors import RasterGridMismatch
from geo.polygon import canonical, to_wkb
from geo.raster import Grid, RasterSource
from geo.vector import write_geojson
from geo.work import Threads
from geo.zonal import Mask
from registry.cli import app
from registry.estimates import screening
from registry.estimates.file_store import copy_path, file_sha256, raster_path
from registry.estimates.methods import default_parameters
from registry.estimates.methods.constants import C_TO_CO2
from registry.estimates.rasters.copies import normalise_raster, record_copy
from registry.estimates.rasters.store import load_raster, unbound
from registry.estimates.rules import ScreeningRowsFaulty, ScreeningWithoutParcels, StoredFileChanged
from registry.estimates.screening import Candidate, Density, StockRow, Tally, screen
from tests.registry.forest import GRID, NOW, Forest, plots_text, write, write_classes
from tests.registry.land import ground

OUTLINES = tuple(canonical(ground(300 * n, 40 * (n % 3), 280, 260)) for n in range(7))


def candidates(
    outlines: Sequence[Polygonal] = OUTLINES, stand_type: str | None = "chinese_fir"
) -> list[Candidate]:
    return [
        Candidate(f"p{n}", f"name {n}", "330802", stand_type, to_wkb(outline))
        for n, outline in enumerate(outlines)
    ]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    at = tmp_path_factory.mktemp("rasters")
    generator = np.random.default_rng(7)
    agb = generator.uniform(20, 90, (GRID.height, GRID.width)).astype(np.float32)
    agb[:, 10:12] = -9999
    cover = generator.integers(2, 4, (GRID.height, GRID.width)).astype(np.uint8)
    return {
        "agb": write(at / "agb.tif", agb),
        "flat": write(at / "flat.tif", 50.0),
        "sd": write(at / "sd.tif", 8.0),
        "cover": write_classes(at / "cover.tif", cover),
    }


def screened(
    density: Density, folder: Path, parcels: Sequence[Candidate] | None = None, workers: int = 1
) -> list[StockRow]:
    given_ = candidates() if parcels is None else parcels
    found = screen(
        given_,
        density,
        default_parameters(),
        CoverageStore(folder),
        total=len(given_),
        workers=Threads(workers),
    )
    return [row for row, _ in found]


def test_a_flat_forest_has_its_ground_times_its_density(files: dict[str, Path], tmp_path: Path) -> None:
    factors = default_parameters().stand_types.row("chinese_fir").factors
    with RasterSource.open(files["flat"]) as flat, RasterSource.open(files["sd"]) as sd:
        rows = screened(Density(flat, deviations=sd, rho_space=1.0), tmp_path)
    for row, outline in zip(rows, OUTLINES, strict=True):
        hectares = area_m2(outline) / 10_000
        stock = hectares * 50 * (1 + factors.root_shoot) * factors.carbon_fraction * C_TO_CO2
        assert (row.status, row.tier) == ("ok", "screening")
        assert row.stock_tco2e == pytest.approx(stock, rel=1e-6)
        assert row.uncertainty_pct == pytest.approx(1.645 * 8 / 50 * 100, rel=1e-6)  # errors all go together
        assert row.valid_area_share == pytest.approx(1)


def test_errors_that_know_nothing_of_each_other_shrink(files: dict[str, Path], tmp_path: Path) -> None:
    with RasterSource.open(files["flat"]) as flat, RasterSource.open(files["sd"]) as sd:
        alone = screened(Density(flat, deviations=sd, rho_space=0.0), tmp_path)
        some = screened(Density(flat, deviations=sd, rho_space=0.3), tmp_path)
        by_share = screened(Density(flat, relative_ppm=160_000, rho_space=0.3), tmp_path)
        untold = screened(Density(flat), tmp_path)
    cell_m2 = 0.0003**2 * (math.pi / 180 * 6_371_000) ** 2 * math.cos(math.radians(29))
    cells = area_m2(OUTLINES[0]) / cell_m2
    assert alone[0].uncertainty_pct == pytest.approx(1.645 * 16 / math.sqrt(cells), rel=0.1)
    assert (some[0].uncertainty_pct or 0) > 3 * (alone[0].uncertainty_pct or 0)
    assert by_share[0].uncertainty_pct == pytest.approx(some[0].uncertainty_pct)
    assert untold[0].uncertainty_pct is None
    assert untold[0].stock_se_tco2e is None


def test_what_cannot_be_known_is_said_and_not_filled(files: dict[str, Path], tmp_path: Path) -> None:
    far = canonical(ground(200_000, 0, 100, 100))
    with RasterSource.open(files["agb"]) as agb, RasterSource.open(files["cover"]) as cover:
        density = Density(agb, relative_ppm=200_000, covers=(Mask(cover, (2,)),))
        rows = screened(density, tmp_path, candidates([*OUTLINES, far]))
        none = screened(replace(density, covers=(Mask(cover, (9,)),)), tmp_path, candidates()[1:2])
        unknown = screened(density, tmp_path, candidates(stand_type="cactus")[3:4])
    assert rows[0].status == "insufficient_coverage"
    assert rows[0].valid_area_share < 0.95
    assert rows[-1].status == "outside_raster"
    assert 0 < rows[3].eligible_ha < rows[3].area_ha
    assert (none[0].status, none[0].stock_tco2e) == ("no_forest", 0.0)
    assert (unknown[0].status, unknown[0].stock_tco2e) == ("stand_type_unknown", None)
    assert unknown[0].agb_t > 0


@settings(max_examples=12, deadline=None)
@given(order=st.permutations(range(len(OUTLINES))), piece=st.integers(1, 8), workers=st.integers(1, 3))
def test_however_the_work_is_cut_every_parcel_gets_the_same_bits(
    files: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    order: list[int],
    piece: int,
    workers: int,
) -> None:
    store = tmp_path_factory.mktemp("store")
    given_ = candidates()
    with (
        RasterSource.open(files["agb"]) as agb,
        RasterSource.open(files["sd"]) as sd,
        RasterSource.open(files["cover"]) as cover,
        pytest.MonkeyPatch.context() as patch,
    ):
        density = Density(agb, deviations=sd, covers=(Mask(cover, (2,)),))
        whole = screened(density, store)
        patch.setattr(screening, "PIECE", piece)
        cut = screened(density, store, [given_[n] for n in order], workers)
    assert sorted(cut, key=lambda row: row.parcel) == whole


def test_a_land_cover_on_another_grid_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    moved = Grid(GRID.crs, GRID.x0 + GRID.dx / 3, GRID.y0, GRID.dx, GRID.dy, GRID.width, GRID.height)
    path = write_classes(tmp_path / "moved.tif", 2, grid=moved)
    with (
        RasterSource.open(files["agb"]) as agb,
        RasterSource.open(path) as cover,
        pytest.raises(RasterGridMismatch),
    ):
        screened(Density(agb, covers=(Mask(cover, (2,)),)), tmp_path)


def test_nothing_to_screen_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    with RasterSource.open(files["agb"]) as agb, pytest.raises(ScreeningWithoutParcels):
        screened(Density(agb), tmp_path, [])


def test_the_digest_is_of_the_rows_in_their_order(files: dict[str, Path], tmp_path: Path) -> None:
    with RasterSource.open(files["agb"]) as agb:
        rows = screened(Density(agb), tmp_path)
    one, two = Tally(), Tally()
    for row in rows:
        one.add(row)
    for row in rows[::-1]:
        two.add(row)
    assert one.to_json()["rows_sha256"] != two.to_json()["rows_sha256"]
    assert one.to_json()["stock_tco2e"] == two.to_json()["stock_tco2e"]


# ---- the command -------------------------------------------------------------------------------------------


def tell(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["estimate", *arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


@pytest.fixture
def land_file(tmp_path: Path) -> Path:
    path = tmp_path / "land.geojson"
    kinds = ("杉木", "马尾松")
    path.write_text(write_geojson([(one, {"优势树种": kinds[n % 2]}) for n, one in enumerate(OUTLINES)]))
    return path


def test_a_file_of_parcels_is_screened_without_any_home(
    files: dict[str, Path], land_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = {
        ending: tell(
            "--parcels", str(land_file), "--agb", str(files["agb"]), "--sd", str(files["sd"]),
            "--land-cover", str(files["cover"]), "--forest", "2", "--out", f"stocks{ending}",
        )
        for ending in (".csv", ".parquet", ".gpkg")
    }  # fmt: skip
    assert not (tmp_path / "tanhui-data").exists()
    assert len({one["rows_sha256"] for one in told.values()}) == 1
    assert told[".csv"]["rasters"]["agb"] == hashlib.sha256(files["agb"].read_bytes()).hexdigest()
    with (tmp_path / "stocks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["tier"] for row in rows} == {"screening"}
    assert [row["stand_type"] for row in rows[:2]] == ["chinese_fir", "masson_pine"]
    assert json.loads((tmp_path / "stocks.csv-metadata.json").read_text())["tier"] == "screening"
    table = pq.read_table(tmp_path / "stocks.parquet")
    assert pq.ParquetFile(tmp_path / "stocks.parquet").metadata.metadata[b"tanhui_tier"] == b"screening"
    assert set(table.column("tier").to_pylist()) == {"screening"}
    assert table.column("stock_tco2e").to_pylist() == [float(row["stock_tco2e"]) for row in rows]
    with sqlite3.connect(tmp_path / "stocks.gpkg") as database:
        (said,) = database.execute("select description from gpkg_contents").fetchone()
        assert "tanhui_tier: screening" in said


def test_faulty_outlines_are_named_and_nothing_is_written(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "land.geojson"
    crossed = {
        "type": "Polygon",
        "coordinates": [[[118.8, 29.02], [118.81, 29.03], [118.81, 29.02], [118.8, 29.03], [118.8, 29.02]]],
    }
    path.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [{"type": "Feature", "properties": {}, "geometry": crossed}],
            }
        )
    )
    with pytest.raises(ScreeningRowsFaulty) as refused:
        tell("--parcels", str(path), "--agb", str(files["agb"]), "--out", str(tmp_path / "stocks.csv"))
    assert refused.value.facts["row"] == 1
    assert not (tmp_path / "stocks.csv").exists()


def test_the_register_is_screened_by_digests(
    forest: Forest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = forest.land.people.installation
    monkeypatch.setenv("TANHUI_DATABASE_URL", installation.home.database_url)
    told = tell(
        "--register", "--home", str(installation.home.path), "--agb", forest.rasters["agb_start"],
        "--sd", forest.rasters["agb_start_sd"], "--land-cover", forest.rasters["land_cover_start"],
        "--out", str(tmp_path / "stocks.csv"),
    )  # fmt: skip
    assert told["by_status"] == {"ok": 3}
    assert told["rasters"]["agb"] == forest.rasters["agb_start"]
    assert installation.home.coverage.exists()


def test_the_register_is_screened_from_copies_that_are_sound_with_the_same_rows(
    forest: Forest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = forest.land.people.installation
    home, agb = installation.home, forest.rasters["agb_start"]
    monkeypatch.setenv("TANHUI_DATABASE_URL", home.database_url)

    def rows(out: str) -> bytes:
        tell(
            "--register", "--home", str(home.path), "--agb", agb, "--sd", forest.rasters["agb_start_sd"],
            "--land-cover", forest.rasters["land_cover_start"], "--out", str(tmp_path / out),
        )  # fmt: skip
        return (tmp_path / out).read_bytes()

    plain = rows("plain.csv")
    with installation.database.read() as session:
        named = [unbound(session, load_raster(session, one)) for one in forest.rasters.values()]
    made = {row.sha256: normalise_raster(home, row) for row in named}
    with installation.database.write() as session:
        for one in made.values():
            record_copy(session, one, NOW)
    assert rows("copies.csv") == plain
    copy = copy_path(home, agb, 1)
    write(copy, 90.0)
    assert rows("damaged.csv") == plain  # its bytes are not those that were recorded
    with installation.database.write() as session:
        record_copy(session, replace(made[agb], target_sha256=file_sha256(copy) or ""), NOW)
    assert rows("other.csv") != plain  # so copies are what is read
    copy.unlink()
    write(raster_path(home, agb), 90.0)
    with pytest.raises(StoredFileChanged):
        rows("changed.csv")


def test_shares_are_made_ahead_of_estimates_and_told_of(
    forest: Forest, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = forest.land.people.installation
    monkeypatch.setenv("TANHUI_DATABASE_URL", installation.home.database_url)

    def said(*arguments: str) -> dict[str, Any]:
        line = ["land", "coverage", *arguments, "--home", str(installation.home.path), "--json"]
        done = CliRunner().invoke(app, line, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        found: dict[str, Any] = json.loads(done.output)
        return found

    assert said() == {"grids": 0, "parcels": 0, "size_bytes": 0}
    made = said(forest.rasters["agb_start"], "--workers", "2")
    assert (made["covered"], made["grids"], made["parcels"]) == (3, 1, 3)
    assert said(str(raster_path(installation.home, forest.rasters["agb_start"]))) == made
    shards = sorted(installation.home.coverage.rglob("*.shares"))
    forest.estimate(plots_text())
    assert sorted(installation.home.coverage.rglob("*.shares")) == shards  # nothing was left to make
