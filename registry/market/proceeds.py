"""What becomes of a payment: taxes and insurance are reserved, the rest goes to the villages, to the fen
(E-T1). Pure.

All amounts are whole fen and every line is rounded half up (METHODOLOGY 6.6); what a line does not take stays
in the sum, so the lines always add up to the payment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.canonical import JsonValue
from registry.apportion import MILLION, largest_remainder, rounded_half_up


@dataclass(frozen=True, slots=True)
class Rates:
    """Parts per million: VAT inside the price, surcharge of the VAT, insurance and fee of the price, the
    village's share.
    """

    vat_ppm: int
    surcharge_ppm: int
    insurance_ppm: int
    fee_ppm: int
    village_ppm: int


@dataclass(frozen=True, slots=True)
class Share:
    """A parcel's part in the proceeds: who owns it, and its weight (credited units; square centimetres before
    issuance).
    """

    parcel: int
    organisation: str
    weight: int


@dataclass(frozen=True, slots=True)
class Proceeds:
    """A payment and where each fen of it goes. `villages` are organisations with their sums, in order of
    their first parcel.
    """

    gross_fen: int
    vat_fen: int
    surcharge_fen: int
    insurance_fen: int
    fee_fen: int
    operator_fen: int
    parcels_fen: tuple[int, ...]
    villages: tuple[tuple[str, int], ...]

    @property
    def tax_fen(self) -> int:
        return self.vat_fen + self.surcharge_fen

    @property
    def village_fen(self) -> int:
        return sum(self.parcels_fen)

    @property
    def distributable_fen(self) -> int:
        return self.village_fen + self.operator_fen

    def facts(self) -> dict[str, JsonValue]:
        """What stands in the entry; the parcels' sums follow from the villages' rule and are not repeated
        there.
        """
        return {
            "gross_fen": self.gross_fen,
            "vat_fen": self.vat_fen,
            "surcharge_fen": self.surcharge_fen,
            "insurance_fen": self.insurance_fen,
            "fee_fen": self.fee_fen,
            "operator_fen": self.operator_fen,
            "villages": [[organisation, fen] for organisation, fen in self.villages],
        }


def split_payment(gross_fen: int, rates: Rates, shares: Sequence[Share]) -> Proceeds:
    """E-T1 for one payment. `shares` in order of parcel number: ties among parcels go to the lower number.

    Raises `NothingToShareBy` when no parcel has a weight.
    """
    vat = rounded_half_up(gross_fen * rates.vat_ppm, MILLION + rates.vat_ppm)
    surcharge = rounded_half_up(vat * rates.surcharge_ppm, MILLION)
    insurance = rounded_half_up(gross_fen * rates.insurance_ppm, MILLION)
    fee = rounded_half_up(gross_fen * rates.fee_ppm, MILLION)
    distributable = gross_fen - vat - surcharge - insurance - fee
    village = rounded_half_up(distributable * rates.village_ppm, MILLION)
    parcels = largest_remainder(village, [share.weight for share in shares])
    sums: dict[str, int] = {}
    for share, fen in zip(shares, parcels, strict=True):
        sums[share.organisation] = sums.get(share.organisation, 0) + fen
    return Proceeds(
        gross_fen, vat, surcharge, insurance, fee, distributable - village, parcels, tuple(sums.items())
    )


def recover_advance(advance_fen: int, village_fen: int) -> tuple[int, int]:
    """What of the villages' sum pays back an advance, and what is paid out now."""
    recovered = min(advance_fen, village_fen)
    return recovered, village_fen - recovered
