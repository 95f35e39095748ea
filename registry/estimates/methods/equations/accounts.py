"""Firms and persons: E-I1, E-P1."""

from typing import Annotated, Final

from registry.estimates.methods import accounts
from registry.estimates.methods.accounts import IndustryAccount, PersonalAccount
from registry.estimates.methods.equations.declare import Equation
from registry.estimates.methods.quantities import Gas, Many, Quantity, Ratio, not_negative, positive

Carbon = Annotated[float, not_negative("tCO2")]
Product = Annotated[float, positive("t")]
Intensity = Annotated[float, positive("tCO2/t")]
Count = Annotated[int, Quantity("1", low=0, high=10**9)]
Grams = Annotated[float, Quantity("g", low=0, high=1e6)]
PerGram = Annotated[float, Quantity("points/g", low=0, high=1e6)]
PerKilogram = Annotated[float, Quantity("points/kg", above=0, high=1e9)]


def _industry(
    *,
    energy_tco2: Carbon,
    process_tco2: Carbon,
    output_t: Product,
    abatement_tco2: Carbon,
    retired_offsets_tco2e: Gas,
    benchmark_tco2_t: Intensity,
    ratio_thresholds: Annotated[list[Ratio], Many(3, 3)],
) -> IndustryAccount:
    return accounts.industry_account(
        energy_tco2=energy_tco2,
        process_tco2=process_tco2,
        output_t=output_t,
        abatement_tco2=abatement_tco2,
        retired_offsets_tco2e=retired_offsets_tco2e,
        benchmark_tco2_t=benchmark_tco2_t,
        ratio_thresholds=ratio_thresholds,
    )


def _person(
    *, vouchers_avoided: Count, g_per_voucher: Grams, points_per_g: PerGram, points_per_kg_sink: PerKilogram
) -> PersonalAccount:
    return accounts.personal_account(
        vouchers_avoided=vouchers_avoided,
        g_per_voucher=g_per_voucher,
        points_per_g=points_per_g,
        points_per_kg_sink=points_per_kg_sink,
    )


EQUATIONS: Final = (
    Equation(
        "E-I1",
        "工业碳账户",
        "Industrial account and its label",
        "intensity = (energy + process - abatement)/output; label by its ratio to the benchmark",
        "clause 5.1; a performance account, never units; offsets change neither intensity nor label",
        (_industry,),
        ("label_thresholds",),
    ),
    Equation(
        "E-P1",
        "个人碳账户",
        "Personal account and its points",
        "points = vouchers g_per_voucher points_per_g; sink kg = points / points_per_kg_sink",
        "clause 5.2; points are no units",
        (_person,),
        ("personal_points", "label_thresholds"),
    ),
)
