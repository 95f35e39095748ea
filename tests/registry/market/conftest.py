"""These stories begin with an active project."""

from tests.registry.story import story

__all__ = ["story"]
