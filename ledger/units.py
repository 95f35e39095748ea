"""Ranges of numbered units. The only code that does arithmetic on them.

A range is inclusive at both ends, `[start, end]`, numbers run from 1 to 2^63 - 1, and a range has at least
one unit. What others got wrong and cannot be written here: a child one unit too long, an empty child, counts
that add up over ranges that do not, a count stated beside a range that has another one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ledger.errors import (
    NotWholeUnits,
    UnitsApart,
    UnitsMiscounted,
    UnitsOutside,
    UnitsReversed,
    UnitsShort,
)

MAX_UNIT: Final = 2**63 - 1


def whole_units(value: object) -> int:
    """`value` if it is a whole number from 1 to 2^63 - 1, not a bool, text or float; else `NotWholeUnits`."""
    if type(value) is not int or not 1 <= value <= MAX_UNIT:
        raise NotWholeUnits(value=repr(value)[:40], maximum=MAX_UNIT)
    return value


@dataclass(frozen=True, slots=True, order=True)
class UnitRange:
    """The units `start` to `end`, both included. Ordered by start, then end."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if whole_units(self.end) < whole_units(self.start):
            raise UnitsReversed(start=self.start, end=self.end)

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"

    @classmethod
    def after(cls, last: int, count: int) -> "UnitRange":
        """The `count` numbers that run on after `last` (0 when none was given out yet)."""
        if last == 0 and type(last) is int:
            return cls(1, whole_units(count))
        return cls(whole_units(last) + 1, last + whole_units(count))

    @classmethod
    def stated(cls, start: int, end: int, count: int) -> "UnitRange":
        """A range that came with a count: all three must agree, else `UnitsMiscounted`."""
        units = cls(start, end)
        if type(count) is not int or count != units.count:
            raise UnitsMiscounted(units=str(units), available=units.count, stated=repr(count)[:40])
        return units

    @property
    def count(self) -> int:
        return self.end - self.start + 1

    def head(self, count: int) -> "UnitRange":
        """The `count` lowest units."""
        return UnitRange(self.start, self.start + self._at_most(count) - 1)

    def tail(self, count: int) -> "UnitRange":
        """The `count` highest units: what a receiver gets by default."""
        return UnitRange(self.end - self._at_most(count) + 1, self.end)

    def _at_most(self, count: int) -> int:
        if whole_units(count) > self.count:
            raise UnitsShort(units=str(self), available=self.count, asked=count)
        return count

    def split(self, *last_units: int) -> tuple["UnitRange", ...]:
        """Cut after each of `last_units` (the last unit of each part but the final one), in ascending order.

        `UnitRange(1, 1000).split(250)` is 1-250 and 251-1000. Raises `UnitsOutside` for a cut that would
        leave an empty part.
        """
        parts: list[UnitRange] = []
        start = self.start
        for last in last_units:
            if not start <= whole_units(last) < self.end:
                raise UnitsOutside(asked=f"a cut after {last}", units=f"{start}-{self.end}")
            parts.append(UnitRange(start, last))
            start = last + 1
        return (*parts, UnitRange(start, self.end))

    def split_counts(self, counts: Sequence[int]) -> tuple["UnitRange", ...]:
        """Consecutive parts of these counts, lowest first.

        They must add up to the whole, else `UnitsMiscounted`.
        """
        if sum(whole_units(count) for count in counts) != self.count:
            raise UnitsMiscounted(units=str(self), available=self.count, stated=sum(counts))
        parts: list[UnitRange] = []
        start = self.start
        for count in counts:
            parts.append(UnitRange(start, start + count - 1))
            start += count
        return tuple(parts)

    def split_around(self, inner: "UnitRange") -> tuple["UnitRange", ...]:
        """The one to three parts of this range of which `inner` is one, lowest first."""
        if not self.contains(inner):
            raise UnitsOutside(asked=str(inner), units=str(self))
        cuts = [inner.start - 1] if inner.start > self.start else []
        if inner.end < self.end:
            cuts.append(inner.end)
        return self.split(*cuts)

    def contains(self, other: "UnitRange | int") -> bool:
        """Whether every unit of `other` (a range or one unit number) is a unit of this range."""
        if isinstance(other, UnitRange):
            return self.start <= other.start and other.end <= self.end
        return self.start <= whole_units(other) <= self.end

    def overlaps(self, other: "UnitRange") -> bool:
        return self.start <= other.end and other.start <= self.end

    def intersection(self, other: "UnitRange") -> "UnitRange | None":
        if not self.overlaps(other):
            return None
        return UnitRange(max(self.start, other.start), min(self.end, other.end))

    def adjacent(self, other: "UnitRange") -> bool:
        """Whether the two follow one another without gap or overlap, in either order."""
        return self.end + 1 == other.start or other.end + 1 == self.start

    def merge(self, other: "UnitRange") -> "UnitRange":
        """The union of two adjacent ranges. Raises `UnitsApart`."""
        if not self.adjacent(other):
            raise UnitsApart(first=str(self), second=str(other))
        return UnitRange(min(self.start, other.start), max(self.end, other.end))

    def partitioned_by(self, children: Iterable["UnitRange"]) -> bool:
        """Whether `children`, in any order, are disjoint and together exactly this range."""
        parts = sorted(children)
        return (
            bool(parts)
            and parts[0].start == self.start
            and parts[-1].end == self.end
            and all(one.end + 1 == two.start for one, two in pairwise(parts))
        )
