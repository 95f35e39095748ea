"""Monitoring periods: half-open, inside the crediting period, no overlap, no gap unless stated."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.accounts.service import NotFound
from registry.machine import Role, TransitionRefused
from registry.projects.rules import (
    PERIOD,
    DateRange,
    PeriodEmptyOrTooLong,
    PeriodLeavesGap,
    PeriodOutside,
    PeriodOverlaps,
    PeriodRefused,
    ProjectInactive,
    add_years,
    check_monitoring,
)
from registry.projects.service import NamePeriod, project_periods
from registry.transparency.audit import audit
from tests.registry.land import CREDITING, Land, ground

CREDITED = DateRange(*CREDITING)


def check(period: tuple[str, str], *held: tuple[str, str], gap: bool = False) -> None:
    known = [(f"m{n}", DateRange(*dates)) for n, dates in enumerate(held)]
    check_monitoring(DateRange(*period), CREDITED, known, 5, gap)


def test_periods_follow_each_other_from_the_first_day() -> None:
    check(("2020-01-01", "2025-01-01"))
    check(("2025-01-01", "2026-07-01"), ("2020-01-01", "2025-01-01"))
    check(("2035-01-01", "2040-01-01"), ("2020-01-01", "2025-01-01"), ("2025-01-01", "2035-01-01"))


@pytest.mark.parametrize(
    ("period", "refusal"),
    [
        (("2025-01-01", "2025-01-01"), PeriodEmptyOrTooLong),
        (("2025-01-02", "2025-01-01"), PeriodEmptyOrTooLong),
        (("2025-01-01", "2030-01-02"), PeriodEmptyOrTooLong),
        (("2019-12-31", "2020-06-01"), PeriodOutside),
        (("2036-01-01", "2040-01-02"), PeriodOutside),
        (("2024-12-31", "2026-01-01"), PeriodOverlaps),
        (("2021-01-01", "2022-01-01"), PeriodOverlaps),
        (("2025-01-02", "2026-01-01"), PeriodLeavesGap),
    ],
)
def test_other_dates_are_refused(period: tuple[str, str], refusal: type[PeriodRefused]) -> None:
    with pytest.raises(refusal):
        check(period, ("2020-01-01", "2025-01-01"))


def test_the_first_period_begins_with_the_crediting() -> None:
    with pytest.raises(PeriodLeavesGap) as refusal:
        check(("2020-02-01", "2021-01-01"))
    assert refusal.value.facts["expected"] == "2020-01-01"


def test_a_gap_with_a_stated_reason_is_possible_and_can_be_filled() -> None:
    check(("2026-01-01", "2027-01-01"), ("2020-01-01", "2025-01-01"), gap=True)
    check(("2025-01-01", "2026-01-01"), ("2020-01-01", "2025-01-01"), ("2026-01-01", "2027-01-01"))


DAYS = st.dates(date(2019, 6, 1), date(2040, 6, 1))


@given(asked=st.lists(st.tuples(DAYS, st.integers(-5, 2200), st.booleans()), max_size=30))
def test_whatever_is_asked_what_is_held_never_overlaps(asked: list[tuple[date, int, bool]]) -> None:
    held: list[DateRange] = []
    for start, days, gap in asked:
        period = DateRange(start.isoformat(), (start + timedelta(days=days)).isoformat())
        try:
            check_monitoring(period, CREDITED, [("m", one) for one in held], 5, gap)
        except PeriodRefused:
            continue
        held.append(period)
    held.sort()
    assert all(first.to_on <= second.from_on for first, second in pairwise(held))
    assert all(CREDITED.contains(one) and one.from_on < one.to_on for one in held)
    for one in held:
        assert date.fromisoformat(one.to_on) <= add_years(date.fromisoformat(one.from_on), 5)


@given(
    a=st.tuples(DAYS, st.integers(0, 900)),
    b=st.tuples(DAYS, st.integers(0, 900)),
)
def test_ranges_meet_exactly_when_they_have_a_day_in_common(a: tuple[date, int], b: tuple[date, int]) -> None:
    days = [{start + timedelta(days=n) for n in range(length)} for start, length in (a, b)]
    ranges = [
        DateRange(start.isoformat(), (start + timedelta(days=length)).isoformat()) for start, length in (a, b)
    ]
    assert ranges[0].meets(ranges[1]) == bool(days[0] & days[1]) == ranges[1].meets(ranges[0])


def test_the_owner_opens_periods_of_an_active_project(land: Land) -> None:
    parcels = land.eligible(land.village, ground(0, 0))
    project = land.submitted(land.village.first, parcels)
    with pytest.raises(ProjectInactive):
        land.open_period(land.village.first, project, "2020-01-01", "2025-01-01")
    land.validated(project)
    land.register(project)
    stranger = land.people.member(Role.COLLECTIVE, "乙村")
    with pytest.raises(NotFound):
        land.open_period(stranger, project, "2020-01-01", "2025-01-01")

    first = land.open_period(land.village.first, project, "2020-01-01", "2025-01-01")
    with pytest.raises(PeriodOverlaps):
        land.open_period(land.village.first, project, "2020-01-01", "2025-01-01")
    second = land.open_period(
        land.village.first, project, "2026-01-01", "2027-01-01", gap_reason="not_monitored"
    )
    with land.people.installation.database.read() as session:
        periods = project_periods(session, project)
        assert [(one.id, one.status, one.pools) for one in periods] == [
            (first, "open", "forest-biomass"),
            (second, "open", "forest-biomass"),
        ]
    with pytest.raises(TransitionRefused):
        land.people.do(land.village.first, "period.submit", NamePeriod(period=first))
    assert audit(land.people.installation.home).findings == []


def test_a_period_ends_issued_or_rejected() -> None:
    assert {"issued", "rejected"} <= PERIOD.terminal
