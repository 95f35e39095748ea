"""`tanhui estimate --dask`: the same bytes as here, while workers of a real cluster die at work."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from geo.errors import ClusterAddressRefused
from geo.raster import Grid, write_geotiff
from geo.vector import write_geojson
from registry.cli import app
from tests.geo.shapes import stand
from tests.machines import CHECKOUT, Machines
from tests.registry.forest import FOREST, Forest, plots_text

PATIENCE_S = 120


@pytest.fixture
def machines() -> Iterator[Machines]:
    with Machines() as running:
        yield running


def started(*arguments: str) -> "subprocess.Popen[str]":
    """The command as a process of its own, outside of any home."""
    return subprocess.Popen(
        [sys.executable, "-m", "registry.cli", "estimate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
    )


def told(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, faults = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, faults
    found: dict[str, Any] = json.loads(out)
    return found


def province(folder: Path, grid: Grid, count: int) -> Sequence[str]:
    """Scattered parcels, a density with gaps, its deviations and a land cover, as arguments of the
    command.
    """
    rng = np.random.default_rng(11)
    shape = (grid.height, grid.width)
    cell = rng.random((256, 256), dtype=np.float32)
    noise = np.tile(cell, (-(-grid.height // 256), -(-grid.width // 256)))[: grid.height, : grid.width]
    agb = np.where(noise < 0.02, -9999, 40 + 60 * noise).astype(np.float32)
    for name, array in (
        ("agb", agb),
        ("sd", (4 + 8 * noise[:, ::-1]).astype(np.float32)),
        ("cover", np.where(noise[::-1] < 0.3, 1, FOREST).astype(np.uint8)),
    ):
        assert array.shape == shape
        nodata = -9999 if name == "agb" else None
        write_geotiff(folder / f"{name}.tif", array, grid, nodata, compress="none", block=512)
    x = rng.uniform(0.02, 0.98, count) * grid.width * grid.dx + grid.x0
    y = grid.y0 - rng.uniform(0.02, 0.98, count) * grid.height * grid.dy
    kinds = ("杉木", "马尾松")
    outlines = [stand(float(x[n]), float(y[n]), 0.0008, n) for n in range(count)]
    land = folder / "land.geojson"
    land.write_text(write_geojson([(one, {"优势树种": kinds[n % 2]}) for n, one in enumerate(outlines)]))
    return [
        "--parcels", str(land), "--agb", str(folder / "agb.tif"), "--sd", str(folder / "sd.tif"),
        "--land-cover", str(folder / "cover.tif"), "--forest", str(FOREST), "--json",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_screening_gives_the_same_file_although_the_only_worker_is_killed_at_work(
    machines: Machines, tmp_path: Path
) -> None:
    """Another worker comes when the first is dead, and begins again what that one had begun."""
    arguments = province(tmp_path, Grid("EPSG:4490", 118.8, 29.0, 0.0003, 0.0003, 900, 700), 60)
    here = started(*arguments, "--workers", "1", "--out", str(tmp_path / "here.csv"))
    trace = tmp_path / "trace"
    doomed = machines.doomed_worker("rasters", trace)
    there = started(*arguments, "--dask", machines.address, "--out", str(tmp_path / "there.csv"))
    doomed.wait(PATIENCE_S)
    assert trace.read_text().startswith("rasters-")
    machines.worker()
    assert told(there) == told(here)
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    assert len((tmp_path / "here.csv").read_bytes().splitlines()) == 61


@pytest.mark.slow
def test_a_province_of_many_items_gives_the_same_file_while_workers_die_in_each_step(
    machines: Machines, tmp_path: Path
) -> None:
    """81 blocks and 2,500 parcels: several items of every step, done by three workers of which two are
    killed.
    """
    arguments = province(tmp_path, Grid("EPSG:4490", 118.0, 30.0, 0.0003, 0.0003, 4_300, 4_300), 2_500)
    results = []
    for threads in ("1", "2"):
        out = tmp_path / f"threads{threads}.parquet"
        results.append((told(started(*arguments, "--workers", threads, "--out", str(out))), out.read_bytes()))
    machines.worker()
    doomed = [machines.doomed_worker(step, tmp_path / step) for step in ("coverage", "errors")]
    machines.wait_for(3)
    out = tmp_path / "there.parquet"
    results.append(
        (told(started(*arguments, "--dask", machines.address, "--out", str(out))), out.read_bytes())
    )
    assert any(worker.poll() is not None for worker in doomed), "one of them was killed at work"
    assert results[0][0]["parcels"] == 2_500
    assert results[0] == results[1] == results[2]


@pytest.mark.slow
def test_the_run_of_a_period_has_the_same_record(
    machines: Machines, forest: Forest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shares are made by a cluster that lost a worker with them; the record is compared by its bytes."""
    installation = forest.land.people.installation
    monkeypatch.setenv("TANHUI_DATABASE_URL", installation.home.database_url)
    plots = forest.register_plots(plots_text())
    rasters = [part for name, sha256 in forest.rasters.items() for part in ("--raster", f"{name}={sha256}")]
    common = [
        "--period", forest.opened(), *rasters, "--plots", plots, "--home", str(installation.home.path),
        "--dry-run", "--json",
    ]  # fmt: skip
    trace = tmp_path / "trace"
    doomed = machines.doomed_worker("coverage", trace)
    there = started(*common, "--dask", machines.address)
    doomed.wait(PATIENCE_S)
    assert trace.read_text().startswith("coverage-")
    machines.worker()
    found = told(there)
    installation.home.coverage.rename(tmp_path / "shares")
    assert told(started(*common, "--workers", "2")) == found
    assert found["record"]["results"]["tier"] == "verified"


def test_a_cluster_that_is_not_there_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    arguments = province(tmp_path, Grid("EPSG:4490", 118.8, 29.0, 0.0003, 0.0003, 64, 64), 1)
    out = ("--out", str(tmp_path / "stocks.csv"))
    done = CliRunner().invoke(app, ["estimate", *arguments, "--dask", "tcp://192.0.2.1:8786", *out])
    assert isinstance(done.exception, ClusterAddressRefused)
    assert not (tmp_path / "stocks.csv").exists()
