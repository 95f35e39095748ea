"""Chapters of the shared story."""

from tests.registry.story import dialect, issued, sold, story

__all__ = ["dialect", "issued", "sold", "story"]
