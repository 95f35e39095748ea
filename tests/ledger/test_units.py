"""Ranges of numbered units, and the mistakes of other registries that cannot be made with them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import (
    NotWholeUnits,
    UnitsApart,
    UnitsMiscounted,
    UnitsOutside,
    UnitsRefused,
    UnitsReversed,
    UnitsShort,
)
from ledger.units import MAX_UNIT, UnitRange, whole_units

ranges = st.builds(lambda start, more: UnitRange(start, start + more), st.integers(1, 60), st.integers(0, 60))


def members(units: UnitRange) -> set[int]:
    return set(range(units.start, units.end + 1))


# ---- mistakes of others ----------------------------------------------------------------------------------


def test_splitting_a_thousand_at_250_gives_250_and_750() -> None:
    """D1: others made ranges of 251 and 749 for these quantities."""
    head, rest = UnitRange(1, 1000).split(250)
    assert (head, rest) == (UnitRange(1, 250), UnitRange(251, 1000))
    assert (head.count, rest.count) == (250, 750)
    assert UnitRange(1, 1000).head(250) == head
    assert UnitRange(1, 1000).tail(750) == rest


def test_splitting_a_thousand_at_999_leaves_one_unit_and_not_an_empty_range() -> None:
    """D1: others made [1001..1000] with quantity 1."""
    assert UnitRange(1, 1000).split(999) == (UnitRange(1, 999), UnitRange(1000, 1000))
    with pytest.raises(UnitsReversed):
        UnitRange(1001, 1000)
    with pytest.raises(UnitsOutside):
        UnitRange(1, 1000).split(1000)


@pytest.mark.parametrize(
    "counts", [[1500, -500], [1000, 0], [999.5, 0.5], [True, 999], ["1000"], [500, 501], [999]]
)
def test_parts_whose_counts_only_add_up_are_refused(counts: list[int]) -> None:
    """D5: others accepted 1500 and -500 over a range of 1000."""
    with pytest.raises(UnitsRefused):
        UnitRange(1, 1000).split_counts(counts)


def test_children_are_compared_by_their_ranges_and_not_by_their_counts() -> None:
    """D5: counts that add up over ranges that overlap or leave a gap."""
    parent = UnitRange(1, 1000)
    assert not parent.partitioned_by([UnitRange(1, 500), UnitRange(1, 500)])
    assert not parent.partitioned_by([UnitRange(1, 500), UnitRange(502, 1001)])
    assert not parent.partitioned_by([UnitRange(1, 600), UnitRange(600, 1000)])
    assert not parent.partitioned_by([UnitRange(1, 400), UnitRange(402, 1000)])
    assert not parent.partitioned_by([UnitRange(1, 999)])
    assert not parent.partitioned_by([UnitRange(2, 1000)])
    assert not parent.partitioned_by([])
    assert parent.partitioned_by([UnitRange(501, 1000), UnitRange(1, 500)])


def test_a_serial_an_end_and_a_count_that_disagree_are_refused() -> None:
    """D6: 1233022 to 1234022 in the serial, 1234023 as the end, 1000 as the count."""
    for end, count in ((1234022, 1000), (1234023, 1000), (1234023, 1001)):
        with pytest.raises(UnitsMiscounted):
            UnitRange.stated(1233022, end, count)
    assert UnitRange.stated(1233022, 1234022, 1001).count == 1001


def test_units_1_to_29251_are_29251_units() -> None:
    """D19: a help page elsewhere counts 29250."""
    assert UnitRange(1, 29251).count == 29251
    with pytest.raises(UnitsMiscounted):
        UnitRange.stated(1, 29251, 29250)


# ---- what a quantity is ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, -1, True, False, 1.0, 1.5, "1", None, MAX_UNIT + 1, 10**40, b"1"])
def test_what_is_not_a_whole_positive_number_of_63_bits_is_refused(value: int) -> None:
    with pytest.raises(NotWholeUnits):
        whole_units(value)
    with pytest.raises(NotWholeUnits):
        UnitRange(value, value)
    with pytest.raises(NotWholeUnits):
        UnitRange(1, value)
    with pytest.raises(NotWholeUnits):
        UnitRange(1, 10).head(value)
    with pytest.raises(NotWholeUnits):
        UnitRange(1, 10).tail(value)
    with pytest.raises(NotWholeUnits):
        UnitRange(1, 10).split(value)
    with pytest.raises(NotWholeUnits):
        UnitRange.after(5, value)


@pytest.mark.parametrize("last", [-1, False, 0.0, "0", MAX_UNIT])
def test_numbers_run_on_after_a_whole_number_only(last: int) -> None:
    with pytest.raises(NotWholeUnits):
        UnitRange.after(last, 1)


def test_the_largest_number_has_63_bits() -> None:
    whole = UnitRange(1, MAX_UNIT)
    assert whole.count == MAX_UNIT
    assert whole.tail(1) == UnitRange(MAX_UNIT, MAX_UNIT)
    with pytest.raises(NotWholeUnits):
        UnitRange.after(MAX_UNIT - 1, 2)


def test_numbers_run_on_without_gap() -> None:
    first = UnitRange.after(0, 73)
    assert first == UnitRange(1, 73)
    assert UnitRange.after(first.end, 14) == UnitRange(74, 87)
    assert str(UnitRange.after(first.end, 14)) == "74-87"


def test_no_more_is_taken_than_there_is() -> None:
    with pytest.raises(UnitsShort):
        UnitRange(5, 9).tail(6)
    with pytest.raises(UnitsShort):
        UnitRange(5, 9).head(6)
    assert UnitRange(5, 9).tail(5) == UnitRange(5, 9)


def test_a_stated_count_is_an_integer() -> None:
    for count in (True, 1.0, "1"):
        with pytest.raises(UnitsMiscounted):
            UnitRange.stated(1, 1, count)  # type: ignore[arg-type]


# ---- laws ------------------------------------------------------------------------------------------------


@given(ranges, st.data())
def test_any_split_partitions_its_parent(parent: UnitRange, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(parent.start, max(parent.start, parent.end - 1)), unique=True))
    cuts = sorted(cut for cut in cuts if cut < parent.end)
    parts = parent.split(*cuts)
    assert parent.partitioned_by(parts)
    assert sorted(n for part in parts for n in members(part)) == sorted(members(parent))
    assert [part.end for part in parts] == [*cuts, parent.end]
    assert parent.split_counts([part.count for part in parts]) == parts


@given(ranges, st.lists(st.integers(-5, 130), min_size=1, max_size=4))
def test_cuts_that_would_leave_an_empty_part_are_refused(parent: UnitRange, cuts: list[int]) -> None:
    ends = [parent.start - 1, *cuts, parent.end]
    if any(one >= two for one, two in pairwise(ends)):
        with pytest.raises(UnitsRefused):
            parent.split(*cuts)
    else:
        assert parent.partitioned_by(parent.split(*cuts))


@given(ranges, ranges)
def test_relations_of_two_ranges_are_those_of_their_sets(one: UnitRange, two: UnitRange) -> None:
    common = members(one) & members(two)
    assert one.overlaps(two) == two.overlaps(one) == bool(common)
    assert one.contains(two) == (members(two) <= members(one))
    intersection = one.intersection(two)
    assert (members(intersection) if intersection else set()) == common
    union = members(one) | members(two)
    touching = not common and max(union) - min(union) + 1 == len(union)
    assert one.adjacent(two) == two.adjacent(one) == touching
    if touching:
        assert members(one.merge(two)) == members(two.merge(one)) == union
    else:
        with pytest.raises(UnitsApart):
            one.merge(two)


@given(ranges, ranges)
def test_a_named_part_is_cut_out_whole(parent: UnitRange, inner: UnitRange) -> None:
    if parent.contains(inner):
        parts = parent.split_around(inner)
        assert inner in parts
        assert len(parts) <= 3
        assert parent.partitioned_by(parts)
    else:
        with pytest.raises(UnitsOutside):
            parent.split_around(inner)


@given(ranges, st.lists(ranges, max_size=4))
def test_a_partition_is_disjoint_and_complete(parent: UnitRange, children: list[UnitRange]) -> None:
    listed = sorted(n for child in children for n in members(child))
    assert parent.partitioned_by(children) == (listed == sorted(members(parent)))


@given(ranges, st.integers(1, 130))
def test_a_range_contains_its_units(units: UnitRange, number: int) -> None:
    assert units.contains(number) == (number in members(units))
    assert len(members(units)) == units.count


@given(ranges, st.integers(1, 61))
def test_head_and_tail_are_the_ends(units: UnitRange, count: int) -> None:
    if count < units.count:
        assert units.split(units.head(count).end)[0] == units.head(count)
        assert units.partitioned_by([units.head(units.count - count), units.tail(count)])


@given(st.lists(ranges))
def test_ranges_are_ordered_by_start(some: list[UnitRange]) -> None:
    assert sorted(some) == sorted(some, key=lambda units: (units.start, units.end))
