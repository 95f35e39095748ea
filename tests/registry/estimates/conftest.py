"""A forest to estimate."""

from tests.registry.forest import forest

__all__ = ["forest"]
