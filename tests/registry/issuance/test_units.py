"""Which units are chosen: the tail by default, or a range, a parcel, first in first out."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.books import Block
from ledger.units import UnitRange
from registry.issuance.rules import InsufficientUnits, SelectionInvalid
from registry.issuance.units import Cut, Selection, choose, joined_ranges


def block(name: str, start: int, end: int, batch: str = "b1") -> Block:
    return Block(name, "project", batch, UnitRange(start, end), "CO2E:P", "units:owner:P")


HELD = [block("low", 1, 50), block("high", 61, 80)]


def chosen(cuts: tuple[Cut, ...]) -> list[str]:
    return [str(units) for cut in cuts for units in sorted(cut.chosen)]


def test_the_receiver_gets_the_tail_and_the_holder_keeps_the_head() -> None:
    (cut,) = choose(HELD, 5, Selection())
    assert (cut.block.block, [str(part) for part in cut.parts]) == ("high", ["61-75", "76-80"])
    assert chosen((cut,)) == ["76-80"]


def test_a_long_tail_reaches_into_the_next_lower_block() -> None:
    assert chosen(choose(HELD, 25, Selection())) == ["46-50", "61-80"]


def test_first_in_first_out_takes_the_lowest_numbers() -> None:
    assert chosen(choose(HELD, 55, Selection(by="fifo"))) == ["1-50", "61-65"]


def test_a_named_range_is_taken_exactly() -> None:
    (cut,) = choose(HELD, 10, Selection(by="range", start=11, end=20))
    assert [str(part) for part in cut.parts] == ["1-10", "11-20", "21-50"]


def test_a_range_that_is_not_all_held_is_refused() -> None:
    with pytest.raises(InsufficientUnits) as refused:
        choose(HELD, 20, Selection(by="range", start=46, end=65))
    assert refused.value.facts == {"asked": 20, "available": 10}


def test_a_range_and_a_count_that_disagree_are_refused() -> None:
    with pytest.raises(SelectionInvalid):
        choose(HELD, 9, Selection(by="range", start=11, end=20))


def test_a_parcel_gives_its_own_units_lowest_first() -> None:
    homes = [UnitRange(40, 55), UnitRange(70, 72)]
    assert chosen(choose(HELD, 12, Selection(by="parcel", parcel=3), homes)) == ["40-50", "70-70"]


def test_more_than_is_held_is_refused() -> None:
    with pytest.raises(InsufficientUnits) as refused:
        choose(HELD, 71, Selection())
    assert refused.value.facts == {"asked": 71, "available": 70}


@pytest.mark.parametrize(
    "selection",
    [
        Selection(by="range", start=5),
        Selection(by="range", start=9, end=5),
        Selection(by="parcel"),
        Selection(start=1, end=2),
        Selection(by="fifo", parcel=1),
    ],
)
def test_a_selection_that_contradicts_itself_is_refused(selection: Selection) -> None:
    with pytest.raises(SelectionInvalid):
        choose(HELD, 1, selection)


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.integers(1, 300),
    st.sampled_from(["tail", "fifo"]),
)
def test_exactly_what_was_asked_is_chosen_and_every_block_is_partitioned(
    sizes: list[int], asked: int, by: Literal["tail", "fifo"]
) -> None:
    last, blocks = 0, []
    for n, size in enumerate(sizes):
        units = UnitRange.after(last, size)
        last = units.end + 1  # a gap: somebody else's unit
        blocks.append(block(f"b{n}", units.start, units.end))
    if asked > sum(sizes):
        with pytest.raises(InsufficientUnits):
            choose(blocks, asked, Selection(by=by))
        return
    cuts = choose(blocks, asked, Selection(by=by))
    assert sum(units.count for cut in cuts for units in cut.chosen) == asked
    assert all(cut.block.units.partitioned_by(cut.parts) and cut.chosen <= set(cut.parts) for cut in cuts)


def test_what_adjoins_in_a_batch_is_one_range() -> None:
    blocks = [block("b", 11, 20), block("a", 1, 10), block("c", 21, 30, "b2"), block("d", 32, 33, "b2")]
    assert [(batch, str(units)) for batch, units in joined_ranges(blocks)] == [
        ("b1", "1-20"), ("b2", "21-30"), ("b2", "32-33"),
    ]  # fmt: skip
