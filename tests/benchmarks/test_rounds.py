"""The rules of a run: ratios to V beside the measurement, and a run in which V moved counts for nothing."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from benchmarks.__main__ import with_table
from benchmarks.ledger import report
from benchmarks.ledger.report import Goal, figure
from benchmarks.ledger.rounds import Run, Spread, VerifyRate, percentile


def said(rates: Iterable[float]) -> Callable[[], float]:
    """A verification rate that says these in turn."""
    return iter(rates).__next__


def taken(value: float, **seen: float) -> Any:
    return lambda: (value, seen)


def test_a_ratio_is_that_of_a_rate_to_v_right_before_and_right_after_it() -> None:
    run = Run(said([100, 140, 100]))
    run.begin_round()
    run.take("append", taken(60))
    run.take("prove", taken(1200))
    assert run.ratios("append") == Spread(0.5, 0.5, 0.5)
    assert run.ratios("prove").median == 10


def test_medians_and_ranges_are_over_the_rounds() -> None:
    run = Run(lambda: 100.0)
    for rate, other in ((10, 5), (40, 10), (20, 20)):
        run.begin_round()
        run.take("ours", taken(rate, p99_ms=rate / 10))
        run.take("theirs", taken(other))
    assert run.rates("ours") == Spread(10, 20, 40)
    assert run.seen("ours", "p99_ms") == Spread(1, 2, 4)
    assert run.against("ours", "theirs") == Spread(1, 2, 4)


@pytest.mark.parametrize(
    ("first", "last", "discarded"), [(100, 114, False), (100, 86, False), (100, 116, True), (100, 84, True)]
)
def test_a_run_counts_for_nothing_when_v_moved_by_more_than_15_percent(
    first: float, last: float, discarded: bool
) -> None:
    run = Run(said([first, first, 300, 300, last, last]))
    for _ in range(3):
        run.begin_round()
        run.take("sync", taken(1))
    assert run.discarded is discarded
    assert ("To be discarded" in report.table(run, "about")) is discarded
    assert run.to_json()["discarded"] is discarded


def test_one_slow_reading_does_not_move_v() -> None:
    run = Run(said([100, 100, 10, 100, 100, 100]))
    run.begin_round()
    run.take("sync", taken(1))
    run.take("sync", taken(1))
    run.begin_round()
    run.take("sync", taken(1))
    run.take("sync", taken(1))
    assert not run.discarded


def test_the_reference_really_verifies() -> None:
    rate = VerifyRate(20)
    assert rate() > 100
    rate._signature = bytes(64)
    with pytest.raises(InvalidSignature):
        rate()


def test_a_goal_is_missed_met_or_reached() -> None:
    gain, cost = Goal(0.6, 0.9), Goal(15, 3, least=True)
    assert [gain.met(Spread(0, x, 9)) for x in (0.59, 0.6, 0.9)] == ["**missed**", "must", "aim"]
    assert [cost.met(Spread(0, x, 99)) for x in (15.1, 15, 3)] == ["**missed**", "must", "aim"]


def test_what_was_not_measured_is_said_and_not_left_out() -> None:
    run = Run(lambda: 100.0, absent={"postgresql": "it cannot run here"})
    run.begin_round()
    run.take("append sqlite 64", taken(61, p50_ms=1, p99_ms=2, cpu_us=3))
    text = report.table(run, "about")
    assert "| signed appends, SQLite, group 64 | 0.6 V | 0.9 V | 0.610 V | 0.610 to 0.610 | must |" in text
    assert "| signed appends, PostgreSQL, group 256 | 0.45 V | 0.75 V | | | not measured | |" in text
    assert "Not measured here: postgresql: it cannot run here" in text


def test_figures_have_three_digits_that_count() -> None:
    assert [figure(x) for x in (12345.6, 99.96, 9.876, 0.61234)] == ["12,346", "100.0", "9.88", "0.612"]


def test_a_percentile_is_a_value_that_was_seen() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.99)) == (51, 100, 7)


def test_a_table_replaces_itself_and_nothing_else() -> None:
    page = "a\n<!-- table: one -->\nold\n<!-- end -->\nb\n<!-- table: two -->\nstays\n<!-- end -->\n"
    assert with_table(page, "one", "new") == page.replace("old", "new")
    with pytest.raises(ValueError, match="three"):
        with_table(page, "three", "new")
