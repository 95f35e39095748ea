"""Units, residue, years, parcels and buffer of an issuance."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import encode
from ledger.units import UnitRange
from registry.apportion import NothingToShareBy, largest_remainder, rounded_half_up
from registry.issuance.plan import BatchPlan, IssuancePlan, days_by_year, plan_issuance
from registry.issuance.rules import NetLoss, PeriodEmpty

YEAR = (date(2025, 1, 1), date(2026, 1, 1))


def plan(kg: dict[int, int], dates: tuple[date, date] = YEAR, **changed: Any) -> IssuancePlan:
    terms: dict[str, Any] = {
        "total_kg": sum(kg.values()), "unit_kg": 1000, "buffer_ppm": 150_000,
        "residue_kg": 0, "last_number": 0, "last_batch": 0,
    }  # fmt: skip
    return plan_issuance(kg, *dates, **(terms | changed))


def test_the_worked_example_of_the_rules() -> None:
    issued = plan({1: 40_205, 2: 30_118, 3: 17_089})

    assert (issued.units, issued.residue_after_kg, issued.buffer_units) == (87, 412, 14)
    assert issued.parcel_units == {1: 40, 2: 30, 3: 17}
    (batch,) = issued.batches
    assert batch.homes == (34, 25, 14)
    assert batch.buffer_homes == (6, 5, 3)
    assert (batch.project_range, batch.buffer_range) == (UnitRange(1, 73), UnitRange(74, 87))
    assert [(home.parcel, str(home.units), home.buffer) for home in batch.home_parts(issued.parcels)] == [
        (1, "1-34", False), (2, "35-59", False), (3, "60-73", False),
        (1, "74-79", True), (2, "80-84", True), (3, "85-87", True),
    ]  # fmt: skip


def test_the_residue_of_earlier_periods_fills_a_unit() -> None:
    issued = plan({1: 600}, residue_kg=412)
    assert (issued.units, issued.residue_after_kg) == (1, 12)


def test_a_period_too_small_for_one_unit_has_no_batch_and_keeps_its_kilograms() -> None:
    issued = plan({1: 300}, residue_kg=412)
    assert (issued.units, issued.buffer_units, issued.residue_after_kg, issued.batches) == (0, 0, 712, ())


def test_a_programme_that_deducts_keeps_no_buffer() -> None:
    (batch,) = plan({1: 5_000}, buffer_ppm=0).batches
    assert (batch.buffer_units, batch.buffer_range) == (0, None)


def test_the_buffer_share_rounds_up_even_to_everything() -> None:
    (batch,) = plan({1: 1_000}).batches
    assert (batch.project_units, batch.buffer_units, batch.project_range) == (0, 1, None)


def test_years_share_by_days_and_the_earlier_year_goes_first() -> None:
    issued = plan({1: 3_000}, (date(2025, 7, 2), date(2026, 7, 2)))
    assert days_by_year(date(2025, 7, 2), date(2026, 7, 2)) == {2025: 183, 2026: 182}
    assert [(b.vintage, b.number, str(b.units)) for b in issued.batches] == [
        (2025, 1, "1-2"),
        (2026, 2, "3-3"),
    ]


def test_a_tie_between_years_goes_to_the_earlier() -> None:
    issued = plan({1: 1_000}, (date(2025, 12, 31), date(2026, 1, 2)))
    assert [b.vintage for b in issued.batches] == [2025]


def test_numbers_and_batches_run_on() -> None:
    (batch,) = plan({1: 2_000}, last_number=87, last_batch=4).batches
    assert (batch.number, batch.units) == (5, UnitRange(88, 89))


def test_a_parcel_that_lost_carbon_is_no_units_home() -> None:
    issued = plan({1: 9_000, 2: -2_000})
    assert issued.parcel_units == {1: 7, 2: 0}


def test_a_loss_never_makes_a_negative_batch() -> None:
    with pytest.raises(NetLoss):
        plan({1: -1})


def test_a_period_without_days_is_refused() -> None:
    with pytest.raises(PeriodEmpty):
        plan({1: 1_000}, (date(2025, 1, 1), date(2025, 1, 1)))


kilograms = st.dictionaries(st.integers(1, 40), st.integers(0, 300_000), min_size=1, max_size=12)
days = st.tuples(st.dates(date(2000, 1, 1), date(2040, 1, 1)), st.integers(1, 1900))


@given(kilograms, days, st.integers(0, 500_000), st.integers(0, 999), st.integers(0, 10**6))
def test_every_plan_adds_up(
    kg: dict[int, int], when: tuple[date, int], buffer_ppm: int, residue_kg: int, last: int
) -> None:
    to_on = date.fromordinal(when[0].toordinal() + when[1])
    if residue_kg + sum(kg.values()) >= 1000 and not any(kg.values()):
        return
    issued = plan(kg, (when[0], to_on), buffer_ppm=buffer_ppm, residue_kg=residue_kg, last_number=last)

    assert (
        issued.verified_kg == 1000 * issued.units + issued.residue_after_kg - issued.residue_before_kg
    )  # I5
    assert 0 <= issued.residue_after_kg < 1000
    assert issued.buffer_units * 1_000_000 >= buffer_ppm * issued.units  # I6
    assert (issued.buffer_units - 1) * 1_000_000 < buffer_ppm * issued.units or issued.buffer_units == 0
    homes = [home for batch in issued.batches for home in batch.home_parts(issued.parcels)]
    if issued.units:
        assert UnitRange.after(last, issued.units).partitioned_by([home.units for home in homes])  # I2, I7
        assert UnitRange.after(last, issued.units).partitioned_by([batch.units for batch in issued.batches])
    assert sum(home.units.count for home in homes if home.buffer) == issued.buffer_units
    assert sum(issued.parcel_units.values()) == issued.units
    for batch in issued.batches:
        assert batch.buffer_units == sum(h.units.count for h in batch.home_parts(issued.parcels) if h.buffer)
        assert BatchPlan.from_json(batch.to_json()) == batch


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_largest_remainder_stays_within_one_of_the_exact_share(total: int, weights: list[int]) -> None:
    if not any(weights):
        return
    parts = largest_remainder(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)


def test_nothing_is_shared_by_no_weight() -> None:
    assert largest_remainder(0, [0, 0]) == (0, 0)
    with pytest.raises(NothingToShareBy):
        largest_remainder(1, [0, 0])


def test_halves_round_up() -> None:
    assert [rounded_half_up(n, 2) for n in (1, 2, 3)] == [1, 1, 2]


def test_the_largest_plan_fits_into_an_entry() -> None:
    """500 parcels (the most a project has) over five calendar years, in a payload of at most 32 KiB."""
    issued = plan({n: 40_000 + 317 * n for n in range(1, 501)}, (date(2021, 7, 1), date(2026, 7, 1)))
    assert len(issued.batches) == 6
    assert len(encode(issued.facts())) < 28 * 1024
