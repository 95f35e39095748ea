"""Shades and colours by thresholds."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from registry.estimates.methods.errors import OutOfRange

FARM_SHADES: Final = ("light_green", "mid_green", "deep_green")
ORCHARD_COLOURS: Final = ("red", "yellow", "light_green", "deep_green")
INDUSTRY_COLOURS: Final = ("deep_green", "light_green", "yellow", "red")


def rising(value: float, thresholds: Sequence[float], words: tuple[str, ...]) -> str:
    """The word after the last threshold that the value reaches; a value at a threshold has reached it."""
    _check(thresholds, words)
    return words[sum(value >= threshold for threshold in thresholds)]


def falling(value: float, thresholds: Sequence[float], words: tuple[str, ...]) -> str:
    """The word of the first threshold that the value does not exceed."""
    _check(thresholds, words)
    return words[sum(value > threshold for threshold in thresholds)]


def _check(thresholds: Sequence[float], words: tuple[str, ...]) -> None:
    if len(thresholds) != len(words) - 1:
        raise OutOfRange(field="ratio_thresholds", value=len(thresholds), rule=f"{len(words) - 1} numbers")
    if any(later <= earlier for earlier, later in pairwise(thresholds)):
        raise OutOfRange(field="ratio_thresholds", value=list(thresholds), rule="rising")
