"""Accounts that meet the sink trade: E-I1 of a firm, E-P1 of a person. They grade and mint no units (D8)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from registry.estimates.methods.checks import not_negative, positive
from registry.estimates.methods.errors import OutOfRange
from registry.estimates.methods.labels import INDUSTRY_COLOURS, falling


@dataclass(frozen=True, slots=True)
class IndustryAccount:
    """E-I1. Offsets reduce the residual that is shown, never the intensity or the label."""

    total_tco2: float
    intensity_tco2_t: float
    intensity_after_tco2_t: float
    total_after_tco2: float
    residual_after_offsets_tco2e: float
    intensity_after_rounded_4dp: float
    benchmark_ratio: float
    label: str


def industry_account(
    *,
    energy_tco2: float,
    process_tco2: float,
    output_t: float,
    abatement_tco2: float,
    retired_offsets_tco2e: float,
    benchmark_tco2_t: float,
    ratio_thresholds: Sequence[float],
) -> IndustryAccount:
    """The emissions of a firm per tonne of product against the benchmark of its sector (E-I1)."""
    not_negative(energy_tco2=energy_tco2, process_tco2=process_tco2, abatement_tco2=abatement_tco2)
    not_negative(retired_offsets_tco2e=retired_offsets_tco2e)
    positive(output_t=output_t, benchmark_tco2_t=benchmark_tco2_t)
    emitted = energy_tco2 + process_tco2
    if abatement_tco2 > emitted:
        raise OutOfRange(field="abatement_tco2", value=abatement_tco2, rule=f"<= {emitted:g}")
    left = emitted - abatement_tco2
    ratio = left / output_t / benchmark_tco2_t
    places = Decimal(repr(left / output_t)).quantize(Decimal("0.0001"), ROUND_HALF_UP)
    return IndustryAccount(
        total_tco2=emitted,
        intensity_tco2_t=emitted / output_t,
        intensity_after_tco2_t=left / output_t,
        total_after_tco2=left,
        residual_after_offsets_tco2e=left - retired_offsets_tco2e,
        intensity_after_rounded_4dp=float(places),
        benchmark_ratio=ratio,
        label=falling(ratio, ratio_thresholds, INDUSTRY_COLOURS),
    )


@dataclass(frozen=True, slots=True)
class PersonalAccount:
    """E-P1. Points are no units: a sponsor retires units for them."""

    reduction_g: float
    reduction_kg: float
    points: float
    sink_kg_redeemable: float
    sink_kg_whole: int


def personal_account(
    *, vouchers_avoided: int, g_per_voucher: float, points_per_g: float, points_per_kg_sink: float
) -> PersonalAccount:
    """Points of a person's avoided paper vouchers, and the whole kilograms they redeem (E-P1)."""
    not_negative(vouchers_avoided=vouchers_avoided, g_per_voucher=g_per_voucher, points_per_g=points_per_g)
    positive(points_per_kg_sink=points_per_kg_sink)
    grams = vouchers_avoided * g_per_voucher
    points = grams * points_per_g
    sink_kg = points / points_per_kg_sink
    return PersonalAccount(grams, grams / 1000, points, sink_kg, math.floor(sink_kg))
