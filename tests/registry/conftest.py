"""A real installation per test, on both databases, at a simulated instant."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry.installation import Installation
from registry.settings import Home
from tests.registry.people import People

START = datetime(2025, 3, 3, 1, 0, tzinfo=UTC)


@pytest.fixture
def installation(tmp_path: Path, database_url: str) -> Iterator[Installation]:
    home = Home.at(tmp_path / "home", database_url)
    installation = Installation.create(home, "tanhui.test/log", simulated_at=START)
    yield installation
    installation.close()


@pytest.fixture
def people(installation: Installation) -> People:
    return People(installation)
