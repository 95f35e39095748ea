"""kill -9 at random moments under load: nothing that was answered is lost, nothing is there twice."""

import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ledger.tiles import TileDirectory
from tests.reliability.acting import Ground
from tests.reliability.conftest import Grounds
from tests.reliability.figures import Figures
from tests.reliability.judging import Verdict, judge
from tests.reliability.nursery import Child, Nursery, heard

ROUNDS_A_HOME = 10


def round_of_killing(nursery: Nursery, ground: Ground, moments: random.Random, processes: int) -> list[Child]:
    """Start, let them write a while, kill; with two, the second is killed a little later."""
    folder = ground.home.path.parent
    children = [nursery.start(ground, folder) for _ in range(processes)]
    children[0].await_lines(moments.randrange(1, 90))
    for child in children:
        time.sleep(moments.uniform(0, 0.03))
        assert child.kill() == -9, child.complaint()
    return children


def campaign(nursery: Nursery, grounds: Grounds, go: Path, rounds: int, seed: int) -> Verdict:
    moments, verdict = random.Random(seed), Verdict()
    ground, saved = grounds(), list[bytes]()
    for number in range(1, rounds + 1):
        children = round_of_killing(nursery, ground, moments, processes=2 if number % 3 == 0 else 1)
        left = TileDirectory(ground.home.log).checkpoint_bytes()  # as any client might have seen it
        assert left is not None
        saved.append(left)
        last = number % ROUNDS_A_HOME == 0 or number == rounds
        judge(ground, heard(*children), verdict, go=go, audited=last, saved=_some(saved, last))
        if last and number < rounds:
            ground, saved = grounds(), []
    return verdict


def _some(saved: Sequence[bytes], last: bool) -> Sequence[bytes]:
    """The newest checkpoint that was seen, and at the end each of them."""
    return saved if last else saved[-1:]


def tell(figures: Figures, name: str, verdict: Verdict) -> None:
    figures.tell(
        name,
        rounds=verdict.rounds,
        sent=verdict.sent,
        acknowledged=verdict.acknowledged,
        lost=verdict.lost,
        doubled=verdict.doubled,
        stored_but_not_answered=verdict.stored_unanswered,
        audits=verdict.audited,
    )


@pytest.mark.seconds
def test_ten_kills_under_load_lose_nothing_and_double_nothing(
    nursery: Nursery, grounds: Grounds, go_oracle: Path, figures: Figures
) -> None:
    verdict = campaign(nursery, grounds, go_oracle, 10, seed=10)
    tell(figures, "kill", verdict)
    assert (verdict.rounds, verdict.lost, verdict.doubled) == (10, 0, 0)
    assert verdict.acknowledged > 50


@pytest.mark.slow
@pytest.mark.parametrize("part", [1, 2, 3, 4, 5])
def test_a_hundred_of_five_hundred_kills_lose_nothing_and_double_nothing(
    nursery: Nursery, grounds: Grounds, dialect: str, go_oracle: Path, figures: Figures, part: int
) -> None:
    verdict = campaign(nursery, grounds, go_oracle, 100, seed=part)
    tell(figures, f"kill on {dialect} {part}", verdict)
    assert (verdict.rounds, verdict.lost, verdict.doubled) == (100, 0, 0)
    assert verdict.acknowledged > 500
