"""Options and subscriptions: vectors V26, V29, V29b of the methodology, and fair shares."""

from hypothesis import given
from hypothesis import strategies as st

from registry.market.contracts import Wish, cover_units, fill, option_outcome, share_out, shortfall


def yuan(fen: int) -> str:
    sign, whole = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{whole // 100}.{whole % 100:02d}"


def test_v29_an_option_is_exercised() -> None:
    outcome = option_outcome(1500, 800, 5500, 1500, elected=True, spot_fen=6850)
    assert yuan(outcome.premium_fen) == "12000.00"
    assert yuan(outcome.exercise_fen) == "82500.00"
    assert yuan(outcome.seller_gross_fen) == "94500.00"
    assert (outcome.units_to_buyer, outcome.units_released) == (1500, 0)
    assert yuan(outcome.buyer_gain_fen) == "8250.00"


def test_v29b_an_option_is_abandoned_and_the_premium_stays() -> None:
    outcome = option_outcome(1500, 800, 5500, 1500, elected=False, spot_fen=4100)
    assert yuan(outcome.premium_fen) == yuan(outcome.seller_gross_fen) == "12000.00"
    assert yuan(outcome.exercise_fen) == "0.00"
    assert (outcome.units_to_buyer, outcome.units_released) == (0, 1500)
    assert yuan(outcome.buyer_gain_fen) == "-12000.00"


def test_v26_a_delivery_falls_short() -> None:
    short = shortfall(2000, 1640, 250, cap_ppm=100_000, prepaid_fen=4500, interest_ppm=31_000, days=200)
    assert (short.own, short.made_good, short.delivered) == (1640, 200, 1840)
    assert (short.missing, short.surplus) == (160, 0)
    assert yuan(short.principal_fen) == "7200.00"
    assert yuan(short.interest_fen) == "122.30"
    assert yuan(short.refund_fen) == "7322.30"


def test_promises_are_half_of_what_the_estimate_leaves_after_the_buffer() -> None:
    assert cover_units(87, 150_000, 500_000) == 36  # floor((87 - 14) / 2)
    assert cover_units(0, 150_000, 500_000) == 0


def test_enough_for_all_gives_everybody_their_wish() -> None:
    assert share_out(100, [Wish("b", 30, 2), Wish("a", 20, 1)]) == {"a": 20, "b": 30}


def test_too_little_is_shared_pro_rata_with_the_largest_remainder_first() -> None:
    assert share_out(10, [Wish("a", 10, 1), Wish("b", 20, 2), Wish("c", 7, 3)]) == {"a": 3, "b": 5, "c": 2}


def test_a_tie_goes_to_the_earlier_confirmation_then_to_the_id() -> None:
    assert share_out(1, [Wish("a", 5, 9), Wish("z", 5, 3)]) == {"a": 0, "z": 1}
    assert share_out(1, [Wish("z", 5, 3), Wish("a", 5, 3)]) == {"a": 1, "z": 0}


@given(st.integers(0, 10_000), st.lists(st.tuples(st.integers(1, 500), st.integers(1, 9)), max_size=30))
def test_shares_never_exceed_wish_or_supply(available: int, wanted: list[tuple[int, int]]) -> None:
    wishes = [Wish(f"w{n}", units, order) for n, (units, order) in enumerate(wanted)]
    parts = share_out(available, wishes)
    assert sum(parts.values()) == min(available, sum(wish.units for wish in wishes))
    assert all(parts[wish.id] <= wish.units for wish in wishes)
    assert parts == share_out(available, list(reversed(wishes)))


def test_blocks_are_filled_in_turn_and_the_rest_is_left_over() -> None:
    assert fill([10, 5, 5], [7, 0, 6]) == [[(0, 7), (2, 3)], [(2, 3), (None, 2)], [(None, 5)]]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8), st.lists(st.integers(0, 30), max_size=6))
def test_filling_gives_everybody_their_count(sizes: list[int], counts: list[int]) -> None:
    if sum(counts) > sum(sizes):
        return
    filled = fill(sizes, counts)
    assert [sum(part for _, part in parts) for parts in filled] == sizes
    for receiver, count in enumerate(counts):
        assert sum(part for parts in filled for who, part in parts if who == receiver) == count
