"""Land for projects."""

from pathlib import Path

import pytest

from tests.registry.land import Land
from tests.registry.people import People
from tests.registry.story import dialect, issued, story

__all__ = ["dialect", "issued", "land", "story"]


@pytest.fixture
def land(people: People, tmp_path: Path) -> Land:
    return Land(people, tmp_path)
