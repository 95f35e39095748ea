"""Sharing whole numbers out, so that the parts always add up to the whole.

Below every room: units among years and parcels, kilograms among parcels and fen among villages follow the one
rule.
"""

from collections.abc import Sequence
from typing import ClassVar

from registry.errors import RegistryRefusal

MILLION = 1_000_000


class NothingToShareBy(RegistryRefusal):
    """Weights that are negative, or all zero while something is to be shared."""

    code: ClassVar[str] = "nothing_to_share_by"
    template: ClassVar[str] = "{total} cannot be shared out: there is no weight to share by."


def largest_remainder(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """`total` in parts proportional to `weights`: floors, then one each to the largest remainders.

    Ties go to the lower index (METHODOLOGY 6.6), so callers put the preferred part first. No part exceeds its
    exact share rounded up. Raises `NothingToShareBy`.
    """
    weight = sum(weights)
    if total < 0 or any(part < 0 for part in weights) or (weight == 0 and total):
        raise NothingToShareBy(total=total)
    if weight == 0:
        return (0,) * len(weights)
    parts = [total * part // weight for part in weights]
    by_remainder = sorted(range(len(weights)), key=lambda n: (-(total * weights[n] % weight), n))
    for n in by_remainder[: total - sum(parts)]:
        parts[n] += 1
    return tuple(parts)


def rounded_half_up(numerator: int, denominator: int) -> int:
    """The fraction as a whole number, halves up; for numbers that are not negative."""
    return (2 * numerator + denominator) // (2 * denominator)


def rounded_up(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
