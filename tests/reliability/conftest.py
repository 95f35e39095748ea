"""Homes to spoil, processes to kill, and a place for the figures."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from registry.settings import Home
from tests.conftest import TEMPLATE, not_tested
from tests.postgres import Cluster
from tests.reliability.acting import Ground, break_ground
from tests.reliability.figures import Figures
from tests.reliability.nursery import Nursery, nursery_open

Grounds = Callable[[], Ground]

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with nursery_open() as nursery:
        yield nursery


@pytest.fixture(scope="session")
def strace() -> str:
    """The path of strace; skips loudly where there is none."""
    path = shutil.which("strace")
    if path is None:
        not_tested("no strace on PATH (on Debian: apt-get install strace)")
    return path


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """A run of the slow tests keeps its figures."""
    return Figures(kept=request.config.getoption("-m") == "slow")


@pytest.fixture(scope="session")
def sqlite_ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return break_ground(Home.at(tmp_path_factory.mktemp("ground") / "home"))


@pytest.fixture
def on_sqlite(sqlite_ground: Ground, tmp_path: Path) -> Grounds:
    """Copies of one small installation, each in a folder of its own."""

    def another() -> Ground:
        path = tmp_path / f"ground{next(_numbers)}" / "home"
        shutil.copytree(sqlite_ground.home.path, path)
        return replace(sqlite_ground, home=Home.at(path))

    return another


@pytest.fixture(scope="session")
def postgres_ground(postgres_template: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    create_database(postgres_template, TEMPLATE, "reliability")
    home = Home.at(tmp_path_factory.mktemp("ground") / "home", postgres_template.url("reliability"))
    return break_ground(home)


@pytest.fixture
def on_postgres(postgres_ground: Ground, postgres_template: Cluster, tmp_path: Path) -> Iterator[Grounds]:
    made: list[str] = []

    def another() -> Ground:
        name = f"reliability{next(_numbers)}"
        create_database(postgres_template, "reliability", name)
        made.append(name)
        path = tmp_path / name / "home"
        shutil.copytree(postgres_ground.home.path, path)
        return replace(postgres_ground, home=Home.at(path, postgres_template.url(name)))

    yield another
    with psycopg.connect(postgres_template.conninfo(), autocommit=True) as connection:
        for name in made:
            connection.execute(f"drop database {name} with (force)".encode())


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def grounds(request: pytest.FixtureRequest, dialect: str) -> Grounds:
    """Copies of one small installation, on each database."""
    name = "on_sqlite" if dialect == "sqlite" else "on_postgres"
    found: Grounds = request.getfixturevalue(name)
    return found


def create_database(cluster: Cluster, template: str, name: str) -> None:
    """A copy of the template, also where the tests of a module came in two portions."""
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)".encode())
        connection.execute(f"create database {name} template {template}".encode())
