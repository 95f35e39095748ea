"""Proceeds: vector V25 of the methodology to the fen, and lines that always add up."""

from hypothesis import given
from hypothesis import strategies as st

from registry.market.proceeds import Rates, Share, recover_advance, split_payment

QUZHOU = Rates(60_000, 120_000, 30_000, 0, 1_000_000)


def yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def test_v25_the_split_of_a_sale_at_the_price_of_anji() -> None:
    shares = [Share(1, "upper", 913), Share(2, "lower", 640), Share(3, "middle", 447)]
    split = split_payment(2000 * 7341, Rates(60_000, 120_000, 30_000, 20_000, 800_000), shares)

    assert yuan(split.gross_fen) == "146820.00"
    assert yuan(split.vat_fen) == "8310.57"
    assert yuan(split.surcharge_fen) == "997.27"
    assert yuan(split.insurance_fen) == "4404.60"
    assert yuan(split.fee_fen) == "2936.40"
    assert yuan(split.distributable_fen) == "130171.16"
    assert yuan(split.village_fen) == "104136.93"
    assert yuan(split.operator_fen) == "26034.23"
    recovered, now = recover_advance(5_000_000, split.village_fen)
    assert (yuan(recovered), yuan(now)) == ("50000.00", "54136.93")
    assert [yuan(fen) for fen in split.parcels_fen] == ["47538.51", "33323.82", "23274.60"]
    assert dict(split.villages) == {"upper": 4_753_851, "lower": 3_332_382, "middle": 2_327_460}


def test_a_village_gets_the_sum_of_its_parcels() -> None:
    split = split_payment(1000, QUZHOU, [Share(1, "upper", 1), Share(2, "lower", 1), Share(3, "upper", 1)])
    assert dict(split.villages) == {
        "upper": split.parcels_fen[0] + split.parcels_fen[2],
        "lower": split.parcels_fen[1],
    }
    assert split.operator_fen == 0


@given(
    st.integers(0, 10**12),
    st.tuples(*[st.integers(0, 300_000)] * 4, st.integers(0, 1_000_000)),
    st.lists(st.tuples(st.integers(1, 10**9), st.sampled_from("abc")), min_size=1, max_size=20),
)
def test_no_fen_is_lost_or_made(gross: int, ppm: tuple[int, ...], owners: list[tuple[int, str]]) -> None:
    shares = [Share(n, owner, weight) for n, (weight, owner) in enumerate(owners, 1)]
    split = split_payment(gross, Rates(*ppm), shares)
    villages = sum(fen for _, fen in split.villages)
    assert villages == split.village_fen
    assert split.tax_fen + split.insurance_fen + split.fee_fen + split.operator_fen + villages == gross
    assert all(fen >= 0 for _, fen in split.villages)
