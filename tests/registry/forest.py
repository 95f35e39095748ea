"""An invented forest for the tests' stories: rasters and plots over the land of `tests.registry.land`."""

import copy
import itertools
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray
from shapely import Point

from geo.crs import Polygonal
from geo.raster import Grid, write_geotiff
from registry.estimates.input_files import UNITS, RasterClaim, RasterKind, register_plots, register_raster
from registry.estimates.service import EstimatePeriod, Prepared, RunRasters, prepare_run
from registry.installation import Installation
from registry.office import Outcome
from registry.projects.service import NamePeriod, SubmitProject
from registry.settings import Home
from registry.verification.service import AcceptPeriod, VerifyPeriod
from tests.postgres import Cluster
from tests.registry.land import CREDITING, Land, ground
from tests.registry.people import People

GRID = Grid("EPSG:4490", 118.798, 29.012, 0.0003, 0.0003, 120, 50)
METHOD = "zj-ph-forest-management/1"
PERIOD = ("2020-01-01", "2025-01-01")
START_ON, END_ON = date(2020, 1, 1), date(2024, 12, 31)
FOREST, WATER = 2, 5
OUTLINES = (ground(0, 0, 400, 300), ground(400, 0, 300, 300), ground(1000, 0, 350, 300))
"""Three parcels of which two are neighbours."""
CHANGES_M3_HA = (30.0, 34.0, 38.0, 32.0, 36.0, 31.0)
HEADER = "plot_id,stand_type,lon,lat,area_ha,date1,volume1_m3_ha,date2,volume2_m3_ha"

Array = NDArray[np.float32]


def write(path: Path, values: float | Array, nodata: float | None = -9999.0, grid: Grid = GRID) -> Path:
    array = np.full((grid.height, grid.width), values, np.float32) if isinstance(values, float) else values
    write_geotiff(path, array, grid, nodata)
    return path


def write_classes(path: Path, classes: int | NDArray[np.uint8], grid: Grid = GRID) -> Path:
    shape = (grid.height, grid.width)
    array = np.full(shape, classes, np.uint8) if isinstance(classes, int) else classes
    write_geotiff(path, array, grid, 0)
    return path


def plots_text(
    outlines: Sequence[Polygonal] = OUTLINES,
    changes: Sequence[float] = CHANGES_M3_HA,
    visits: tuple[str, str] = ("2020-01-10", "2024-12-10"),
    stand_type: str = "chinese_fir",
) -> str:
    """Two plots in each outline."""
    lines = [HEADER]
    for n, change in enumerate(changes):
        outline = outlines[n % len(outlines)]
        west, south, east, north = outline.bounds
        at = Point(west + (east - west) * (0.3 + 0.4 * (n >= len(outlines))), (south + north) / 2)
        row = (f"P{n + 1}", stand_type, at.x, at.y, 0.06, visits[0], 60.0, visits[1], 60.0 + change)
        lines.append(",".join(str(value) for value in row))
    return "\n".join(lines) + "\n"


@dataclass
class Forest:
    """A project of three parcels of one village, its rasters and plots, and the way to a verified period."""

    land: Land
    folder: Path
    method: str = METHOD
    rasters: dict[str, str] = field(default_factory=dict)
    project: str = ""
    period: str = ""

    @property
    def owner(self) -> Any:
        return self.land.village.first

    def register_raster(self, path: Path, kind: RasterKind, on: date) -> str:
        installation = self.land.people.installation
        product = "CLCD" if kind == "land_cover" else "invented"
        with installation.database.write() as session:
            claim = RasterClaim(kind, product, on, unit=UNITS[kind], licence="CC0-1.0")
            return register_raster(session, installation.home, path, claim, today=NOW.date()).sha256

    def register_rasters(self) -> RunRasters:
        """Density 50 and 66 t/ha everywhere; all of it forest."""
        if not self.rasters:
            at = self.folder
            self.rasters = {
                "agb_start": self.register_raster(write(at / "s.tif", 50.0), "agb", START_ON),
                "agb_start_sd": self.register_raster(write(at / "ssd.tif", 6.0), "agb_sd", START_ON),
                "agb_end": self.register_raster(write(at / "e.tif", 66.0), "agb", END_ON),
                "agb_end_sd": self.register_raster(write(at / "esd.tif", 7.0), "agb_sd", END_ON),
                "land_cover_start": self.register_raster(
                    write_classes(at / "ls.tif", FOREST), "land_cover", START_ON
                ),
                "land_cover_end": self.register_raster(
                    write_classes(at / "le.tif", _almost_forest()), "land_cover", END_ON
                ),
            }
        return RunRasters(**self.rasters)

    def register_plots(self, text: str) -> str:
        installation = self.land.people.installation
        path = self.folder / "plots.csv"
        path.write_text(text, encoding="utf-8")
        with installation.database.write() as session:
            return register_plots(session, installation.home, path).sha256

    def opened(self) -> str:
        """An open monitoring period of an active project."""
        if not self.period:
            land = self.land
            parcels = land.eligible(land.village, *OUTLINES)
            command = SubmitProject(
                programme=land.programme,
                county="330802",
                name="示范项目",
                parcels=parcels,
                crediting_from=CREDITING[0],
                crediting_to=CREDITING[1],
                method=self.method,
            )
            self.project = str(land.people.do(self.owner, "project.submit", command).answer["project"])
            land.validated(self.project)
            land.register(self.project)
            self.period = land.open_period(self.owner, self.project, *PERIOD)
        return self.period

    def command(self, plots: str | None = None, **changed: Any) -> EstimatePeriod:
        sha256 = None if plots is None else self.register_plots(plots)
        return EstimatePeriod(period=self.opened(), rasters=self.register_rasters(), plots=sha256, **changed)

    def prepare(self, command: EstimatePeriod) -> Prepared:
        installation = self.land.people.installation
        return prepare_run(installation.database, installation.home, self.owner.organisation, command)

    def estimate(self, plots: str | None = None, **changed: Any) -> Outcome:
        command = self.command(plots, **changed)
        self.prepare(command)
        return self.land.people.do(self.owner, "period.estimate", command)

    def verifying(self, plots: str | None = None) -> Outcome:
        """An estimate that the verifier has accepted to verify."""
        outcome = self.estimate(plots_text() if plots is None else plots)
        self.submit()
        self.accept()
        return outcome

    def submit(self) -> None:
        self.land.people.do(self.owner, "period.submit", NamePeriod(period=self.period))

    def accept(self) -> None:
        self.land.people.do(self.land.verifier, "period.accept", AcceptPeriod(period=self.period))

    def verify(self, **changed: Any) -> Outcome:
        command = self.verify_command(**changed)
        return self.land.people.do(self.land.verifier, "period.verify", command)

    def verify_command(self, **changed: Any) -> VerifyPeriod:
        given: dict[str, Any] = {
            "findings": "现场核查无误",
            "attest_parameters": True,
            "override_assumptions": True,
        } | changed
        return VerifyPeriod(period=self.period, **given)


def _almost_forest() -> NDArray[np.uint8]:
    """Forest but for a pond in the third parcel."""
    classes = np.full((GRID.height, GRID.width), FOREST, np.uint8)
    west, _, _, north = OUTLINES[2].bounds
    row, column = int((GRID.y0 - north) / GRID.dy) + 3, int((west - GRID.x0) / GRID.dx) + 3
    classes[row : row + 2, column : column + 2] = WATER
    return classes


# ---- the fixture -------------------------------------------------------------------------------------------

NOW = datetime(2025, 3, 3, 1, 0, tzinfo=UTC)
TEMPLATE, PREPARED = "migrated", "forest"

_prepared: dict[str, tuple[Path, Forest]] = {}
_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def forest(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Forest]:
    """A forest with an open period and registered rasters: a copy of its own for each test, on both
    databases.
    """
    dialect = request.param
    if dialect not in _prepared:
        _prepared[dialect] = _prepare(request, dialect)
    path, told = _prepared[dialect]
    shutil.copytree(path, tmp_path / "home")
    url = None if dialect == "sqlite" else _copy_database(request, PREPARED, f"forest{next(_numbers)}")
    installation = Installation.open(Home.at(tmp_path / "home", url))
    land = copy.copy(told.land)
    land.people, land.folder = People(installation), tmp_path
    yield replace(told, land=land, folder=tmp_path, rasters=dict(told.rasters))
    installation.close()
    if url is not None:
        _drop_database(request, url)


def _prepare(request: pytest.FixtureRequest, dialect: str) -> tuple[Path, Forest]:
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    folder = factory.mktemp(f"forest-{dialect}")
    url = None if dialect == "sqlite" else _copy_database(request, TEMPLATE, PREPARED)
    installation = Installation.create(Home.at(folder / "home", url), "tanhui.test/log", simulated_at=NOW)
    told = Forest(Land(People(installation), folder), folder)
    told.opened()
    told.register_rasters()
    installation.close()
    return folder / "home", told


def _copy_database(request: pytest.FixtureRequest, template: str, name: str) -> str:
    cluster: Cluster = request.getfixturevalue("postgres_template")
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute(f"create database {name} template {template}")
    return cluster.url(name)


def _drop_database(request: pytest.FixtureRequest, url: str) -> None:
    cluster: Cluster = request.getfixturevalue("postgres_template")
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute(f"drop database {sa.make_url(url).database} with (force)")
