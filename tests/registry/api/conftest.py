"""One life over HTTP on each database, shared by the tests of this folder, which only add to it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from registry.installation import Installation
from registry.settings import Home
from tests.postgres import Cluster
from tests.registry.api.life import Life, begin, lived

NOW = datetime(2025, 3, 3, 1, 0, tzinfo=UTC)
IN_A_BROWSER = ("test_browser.py", "test_import_page.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A page sees the same answers from either database: PostgreSQL behind one is left to the slow tests."""
    pages = {Path(__file__).with_name(name) for name in IN_A_BROWSER}
    for item in items:
        if item.path in pages and "postgresql" in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="package", params=["sqlite", "postgresql"])
def life(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """A served registry in which everything has happened once."""
    folder = tmp_path_factory.mktemp("api")
    url = postgres_for(request, "served") if request.param == "postgresql" else None
    home = Home.at(folder / "home", url)
    installation = Installation.create(home, "tanhui.test/log", simulated_at=NOW)
    begun = begin(folder, home, url, installation)
    try:
        yield lived(begun)
    finally:
        begun.served.stop()


def postgres_for(request: pytest.FixtureRequest, name: str) -> str:
    """A migrated database of this name."""
    cluster: Cluster = request.getfixturevalue("postgres_template")
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute(SQL("drop database if exists {} with (force)").format(Identifier(name)))
        connection.execute(SQL("create database {} template migrated").format(Identifier(name)))
    return cluster.url(name)
