"""Land, and the generated table of three villages."""

from pathlib import Path

import pytest

from fixtures.quzhou import QuzhouInput, generate
from tests.registry.land import Land
from tests.registry.people import People
from tests.registry.story import dialect, issued, story

__all__ = ["dialect", "issued", "land", "quzhou", "story"]


@pytest.fixture
def land(people: People, tmp_path: Path) -> Land:
    return Land(people, tmp_path)


@pytest.fixture(scope="session")
def quzhou(tmp_path_factory: pytest.TempPathFactory) -> QuzhouInput:
    return generate(tmp_path_factory.mktemp("quzhou"))
