"""A parcel in review, and photographs made for the purpose."""

from pathlib import Path

import pytest

from tests.registry.land import Land
from tests.registry.people import People


@pytest.fixture
def land(people: People, tmp_path: Path) -> Land:
    return Land(people, tmp_path)
