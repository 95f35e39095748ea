"""What an issuance makes of a verified quantity: units, residue, years, home parcels, buffer (RULES 1.4 and
2). Pure.

    units  = floor((residue + verified kg) / unit kg), the buffer included;  buffer = ceil(share x units)

Units are shared among calendar years by days and among parcels by their verified kilograms, the buffer among
both, always by largest remainder. Home parcels and buffer are found once for the issuance; each year then
takes its part of what the years before it left, so years and parcels both add up exactly. In a batch the
project's part comes first and the buffer's last, and in each part the parcels follow one another by number,
so counts alone say which unit grew where.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ledger.canonical import JsonValue
from ledger.units import UnitRange
from registry.apportion import MILLION, largest_remainder, rounded_up
from registry.issuance.rules import NetLoss, PeriodEmpty


@dataclass(frozen=True, slots=True)
class HomePart:
    """Units that grew on one parcel; `parcel` is its number in the project."""

    parcel: int
    units: UnitRange
    buffer: bool


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """The units of one calendar year; `homes` and `buffer_homes` count units, in the order of the plan's
    parcels.
    """

    vintage: int
    number: int
    units: UnitRange
    homes: tuple[int, ...]
    buffer_homes: tuple[int, ...]

    @property
    def buffer_units(self) -> int:
        return sum(self.buffer_homes)

    @property
    def project_units(self) -> int:
        return sum(self.homes)

    @property
    def project_range(self) -> UnitRange | None:
        return self.units.head(self.project_units) if self.project_units else None

    @property
    def buffer_range(self) -> UnitRange | None:
        return self.units.tail(self.buffer_units) if self.buffer_units else None

    def home_parts(self, parcels: Sequence[int]) -> Iterator[HomePart]:
        """Which units grew where, lowest numbers first."""
        counted = [(parcel, count, False) for parcel, count in zip(parcels, self.homes, strict=True) if count]
        counted += [
            (parcel, count, True) for parcel, count in zip(parcels, self.buffer_homes, strict=True) if count
        ]
        ranges = self.units.split_counts([count for _, count, _ in counted])
        for (parcel, _, buffer), units in zip(counted, ranges, strict=True):
            yield HomePart(parcel, units, buffer)

    def to_json(self) -> dict[str, JsonValue]:
        return {
            "vintage": self.vintage,
            "number": self.number,
            "start": self.units.start,
            "end": self.units.end,
            "buffer": self.buffer_units,
            "homes": list(self.homes),
            "buffer_homes": list(self.buffer_homes),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "BatchPlan":
        return cls(
            value["vintage"],
            value["number"],
            UnitRange(value["start"], value["end"]),
            tuple(value["homes"]),
            tuple(value["buffer_homes"]),
        )


@dataclass(frozen=True, slots=True)
class IssuancePlan:
    """One issuance. `parcels` are numbers in the project, `parcel_units` what each was credited, buffer
    included.
    """

    verified_kg: int
    unit_kg: int
    residue_before_kg: int
    residue_after_kg: int
    units: int
    buffer_units: int
    parcels: tuple[int, ...]
    batches: tuple[BatchPlan, ...]

    @property
    def parcel_units(self) -> dict[int, int]:
        credited = dict.fromkeys(self.parcels, 0)
        for batch in self.batches:
            for n, parcel in enumerate(self.parcels):
                credited[parcel] += batch.homes[n] + batch.buffer_homes[n]
        return credited

    def facts(self) -> dict[str, JsonValue]:
        """What both signers sign: quantity, ranges, parcels, buffer, residue."""
        return {
            "verified_kg": self.verified_kg,
            "unit_kg": self.unit_kg,
            "units": self.units,
            "buffer_units": self.buffer_units,
            "residue_before_kg": self.residue_before_kg,
            "residue_after_kg": self.residue_after_kg,
            "parcels": list(self.parcels),
            "batches": [batch.to_json() for batch in self.batches],
        }


def plan_issuance(
    verified_kg: Mapping[int, int],
    from_on: date,
    to_on: date,
    *,
    total_kg: int,
    unit_kg: int,
    buffer_ppm: int,
    residue_kg: int,
    last_number: int,
    last_batch: int,
) -> IssuancePlan:
    """The issuance of `total_kg` verified kilograms over [from_on, to_on), found on parcels as `verified_kg`
    says.

    A parcel that lost carbon is no unit's home. Numbers run on after `last_number`, batches after
    `last_batch`. Raises `NetLoss`, `PeriodEmpty`. A quantity below one unit gives a plan without batches.
    """
    if total_kg < 0:
        raise NetLoss(verified_kg=total_kg)
    units, residue_after_kg = divmod(residue_kg + total_kg, unit_kg)
    buffer_units = rounded_up(units * buffer_ppm, MILLION)
    parcels = tuple(sorted(verified_kg))
    credited = largest_remainder(units, [max(0, verified_kg[parcel]) for parcel in parcels])
    withheld = largest_remainder(buffer_units, credited)
    return IssuancePlan(
        verified_kg=total_kg,
        unit_kg=unit_kg,
        residue_before_kg=residue_kg,
        residue_after_kg=residue_after_kg,
        units=units,
        buffer_units=buffer_units,
        parcels=parcels,
        batches=_batches(credited, withheld, days_by_year(from_on, to_on), last_number, last_batch),
    )


def _batches(
    credited: Sequence[int],
    withheld: Sequence[int],
    days: Mapping[int, int],
    last_number: int,
    last_batch: int,
) -> tuple[BatchPlan, ...]:
    by_year = largest_remainder(sum(credited), list(days.values()))
    buffer_by_year = largest_remainder(sum(withheld), by_year)
    free = [all_of - kept for all_of, kept in zip(credited, withheld, strict=True)]
    kept = list(withheld)
    batches: list[BatchPlan] = []
    for year, count, buffered in zip(days, by_year, buffer_by_year, strict=True):
        if count == 0:
            continue
        homes, buffer_homes = _take(free, count - buffered), _take(kept, buffered)
        units = UnitRange.after(last_number, count)
        last_number = units.end
        batches.append(BatchPlan(year, last_batch + len(batches) + 1, units, homes, buffer_homes))
    return tuple(batches)


def _take(left: list[int], count: int) -> tuple[int, ...]:
    """`count` out of what is left, in proportion; `left` is reduced."""
    taken = largest_remainder(count, left)
    for n, part in enumerate(taken):
        left[n] -= part
    return taken


def days_by_year(from_on: date, to_on: date) -> dict[int, int]:
    """How many days of [from_on, to_on) each calendar year has, earlier years first. Raises `PeriodEmpty`."""
    if from_on >= to_on:
        raise PeriodEmpty(from_on=from_on.isoformat(), to_on=to_on.isoformat())
    return {
        year: (min(to_on, date(year + 1, 1, 1)) - max(from_on, date(year, 1, 1))).days
        for year in range(from_on.year, to_on.year + 1)
        if max(from_on, date(year, 1, 1)) < min(to_on, date(year + 1, 1, 1))
    }
