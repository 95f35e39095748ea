"""The whole life of a credit, as the audit finds it."""

import pytest

from tests.registry.story import Story, dialect, issued, sold, story
from tests.registry.transparency.life import Life, live

__all__ = ["dialect", "issued", "life", "sold", "story"]


@pytest.fixture
def life(story: Story) -> Life:
    return live(story)
