"""Costly work of strangers has few turns, and whoever would wait too long is told so at once."""

import threading

import pytest

from registry.turns import ServiceBusy, Turns


def test_some_work_some_wait_and_the_rest_come_again() -> None:
    turns = Turns(at_once=1, standing=1)
    begun, go_on, order = threading.Event(), threading.Event(), list[str]()

    def work(name: str, first: bool) -> None:
        with turns.turn():
            order.append(name)
            if first:
                begun.set()
                assert go_on.wait(30)

    first = threading.Thread(target=work, args=("first", True))
    first.start()
    assert begun.wait(30)
    second = threading.Thread(target=work, args=("second", False))
    second.start()
    while turns.callers < 2:
        pass
    assert order == ["first"]
    with pytest.raises(ServiceBusy) as busy, turns.turn():
        raise AssertionError("a third has a turn")
    assert busy.value.facts == {"waiting": 2, "retry_after_s": 10}
    go_on.set()
    first.join(30)
    second.join(30)
    assert (order, turns.callers) == (["first", "second"], 0)


def test_work_that_fails_gives_its_turn_back() -> None:
    turns = Turns(at_once=1, standing=0)
    for _ in range(3):
        with pytest.raises(ValueError, match="no image"), turns.turn():
            raise ValueError("no image")
    assert turns.callers == 0
