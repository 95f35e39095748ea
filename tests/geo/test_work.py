"""Items are done by any number of workers; the results come in their order."""

import threading
import time
from functools import partial

import pytest

from geo.work import Threads, Workers, workers_of


def slow_square(number: int) -> int:
    time.sleep(0.002 * ((7 * number) % 3))
    return number * number


def failing(limit: int, number: int) -> int:
    if number >= limit:
        raise ValueError(f"item {number}")
    return number


@pytest.mark.parametrize("count", [1, 2, 4])
def test_results_come_in_the_order_of_the_items(count: int) -> None:
    workers: Workers = Threads(count)
    assert list(workers.map(slow_square, range(40))) == [n * n for n in range(40)]
    assert list(workers.map(slow_square, [])) == []


@pytest.mark.parametrize("count", [1, 3])
def test_the_first_item_that_fails_is_the_one_that_is_told(count: int) -> None:
    done: list[int] = []
    with pytest.raises(ValueError, match="item 5"):
        done.extend(Threads(count).map(partial(failing, 5), range(1000)))
    assert threading.active_count() < 10


def test_progress_is_told_from_nothing_to_everything() -> None:
    told: list[tuple[str, int, int]] = []
    results = Threads(2).map(slow_square, range(5), step="read", progress=lambda *one: told.append(one))
    assert list(results) == [0, 1, 4, 9, 16]
    assert told == [("read", done, 5) for done in range(6)]


def test_work_is_not_begun_far_ahead_of_who_takes_the_results() -> None:
    begun: list[int] = []
    results = Threads(2).map(begun.append, range(1000))
    next(results)
    time.sleep(0.05)
    assert len(begun) <= 16


def test_workers_are_a_number_or_themselves() -> None:
    own = Threads(3)
    assert workers_of(own) is own
    assert workers_of(2) == Threads(2)
    assert workers_of(None).map(slow_square, [2]).__next__() == 4
    with pytest.raises(ValueError, match="0 workers"):
        Threads(0)
