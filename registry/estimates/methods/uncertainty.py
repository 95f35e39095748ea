"""How sure an estimate is (E-U1) and what is given up for it (E-U2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, localcontext
from typing import Annotated, Final, Literal

from registry.estimates.methods.checks import finite, not_negative, positive, total
from registry.estimates.methods.constants import C_TO_CO2
from registry.estimates.methods.errors import OutOfRange, TooFewPlots, UncertaintyUndefined
from registry.estimates.methods.parameters import DeductionRule
from registry.estimates.methods.quantities import (
    ONE,
    CarbonChange,
    CarbonDensity,
    Hectares,
    Percent,
    Quantity,
    any_sign,
)
from registry.estimates.methods.raster import relative_uncertainty_pct
from registry.estimates.methods.student import student_quantile

MIN_PLOTS: Final = 3
RELIABILITY: Final = 0.90

EXACT: Final = Context(prec=2000, traps=[Inexact])
"""Wide enough for every product and sum of a crediting chain; rounding in it is a fault, not a result."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """A stratum's area, its number of plots, and mean and sample standard deviation between them, tC/ha."""

    area_ha: Hectares
    n: Annotated[int, Quantity(ONE, low=0, high=1_000_000)]
    mean: CarbonChange
    sd: CarbonDensity
    name: str | None = None


@dataclass(frozen=True, slots=True)
class MeanChange:
    """Mean change (or stock) per hectare over all strata, with its error, and the total of the area in CO2.

    `uncertainty_pct` is the half width of the interval over |mean|; None when the mean is zero and its error
    is not.
    """

    area_ha: float
    df: int
    t_value: float
    mean_delta_tc_ha: float
    se_tc_ha: float
    uncertainty_pct: float | None
    delta_tco2e: float


def mean_change(
    *, area_ha: float, mean_tc_ha: float, se_tc_ha: float, df: int, reliability: float = RELIABILITY
) -> MeanChange:
    """A mean per hectare and its standard error, dressed as E-U1 says; shared by all estimators."""
    positive(area_ha=area_ha)
    finite(mean_tc_ha=mean_tc_ha)
    not_negative(se_tc_ha=se_tc_ha)
    t_value = student_quantile(reliability, df)
    return MeanChange(
        area_ha=area_ha,
        df=df,
        t_value=t_value,
        mean_delta_tc_ha=mean_tc_ha,
        se_tc_ha=se_tc_ha,
        uncertainty_pct=relative_uncertainty_pct(t_value * se_tc_ha, mean_tc_ha),
        delta_tco2e=mean_tc_ha * area_ha * C_TO_CO2,
    )


def stratified_mean(
    *, strata: Sequence[Stratum], reliability: float = RELIABILITY, min_plots: int = MIN_PLOTS
) -> MeanChange:
    """Stratified mean and its error from the summaries of the strata (E-U1; Cochran 1977, 5.3).

    Raises `TooFewPlots` for a stratum with fewer than `min_plots` plots and `OutOfRange` for no stratum, an
    area that is not positive or a negative standard deviation.
    """
    if not strata:
        raise OutOfRange(field="strata", value=0, rule=">= 1")
    for index, stratum in enumerate(strata):
        positive(area_ha=stratum.area_ha)
        finite(mean=stratum.mean)
        not_negative(sd=stratum.sd)
        if stratum.n < max(min_plots, 2):
            raise TooFewPlots(
                stratum=stratum.name or str(index + 1), plots=stratum.n, needed=max(min_plots, 2)
            )
    area = total(stratum.area_ha for stratum in strata)
    return mean_change(
        area_ha=area,
        mean_tc_ha=total(stratum.area_ha * stratum.mean for stratum in strata) / area,
        se_tc_ha=math.sqrt(total((s.area_ha / area * s.sd) ** 2 / s.n for s in strata)),
        df=sum(stratum.n for stratum in strata) - len(strata),
        reliability=reliability,
    )


@dataclass(frozen=True, slots=True)
class Deduction:
    """Rate given up for uncertainty and what is left of a quantity; both None when nothing may be issued."""

    deduction_rate: Decimal | None
    adjusted_tco2e: Decimal | None
    status: Literal["ok", "reject_more_plots"]


def exact(value: float | int | Decimal, field: str = "value") -> Decimal:
    """A number as the decimal that its shortest representation spells: 0.06 is six hundredths.

    Chains of such decimals are exact, so a floor at the end never depends on binary noise. Raises
    `NotFinite`.
    """
    if isinstance(value, Decimal):
        if not value.is_finite():
            finite(**{field: math.nan if value.is_nan() else math.inf})
        return value
    finite(**{field: value})
    return Decimal(repr(float(value))) if isinstance(value, float) else Decimal(int(value))


def deduction_rate(uncertainty_pct: float | Decimal | None, rule: DeductionRule) -> Decimal | None:
    """The rate of E-U2 for an uncertainty in per cent; None: too uncertain, or undefined, to issue anything.

    Upper bounds are inclusive. A rate never exceeds 1. Raises `OutOfRange` for a negative uncertainty.
    """
    if uncertainty_pct is None:
        return None
    percent = exact(uncertainty_pct, "uncertainty_pct")
    if percent < 0:
        raise OutOfRange(field="uncertainty_pct", value=float(percent), rule=">= 0")
    for step in rule.steps:
        if step.up_to_pct is None or percent <= step.up_to_pct:
            with localcontext(EXACT):
                proportional = percent * (step.share_of_u or Decimal(0)) * Decimal("0.01")
            return min(proportional, Decimal(1)) if step.rate is None else step.rate
    return None


def adjusted(quantity: Decimal, rate: Decimal) -> Decimal:
    """A gain shrinks by the rate, a loss grows by it."""
    with localcontext(EXACT):
        return quantity * (1 - rate) if quantity >= 0 else quantity * (1 + rate)


def deduct(quantity_tco2e: float | Decimal, uncertainty_pct: float | None, rule: DeductionRule) -> Deduction:
    """Apply E-U2 to a quantity."""
    quantity = exact(quantity_tco2e, "quantity_tco2e")
    rate = deduction_rate(uncertainty_pct, rule)
    if rate is None:
        return Deduction(None, None, "reject_more_plots")
    return Deduction(rate, adjusted(quantity, rate), "ok")


@dataclass(frozen=True, slots=True)
class Term:
    """A quantity and its relative uncertainty in per cent."""

    value: Annotated[float, any_sign("any, the same for all terms")]
    uncertainty_pct: Percent


def uncertainty_of_sum_pct(terms: Sequence[Term]) -> float:
    """Relative uncertainty of a sum of independent terms (IPCC 2006 vol. 1, eq. 3.2).

    A difference of two inventories is the sum of the later and minus the earlier. Raises
    `UncertaintyUndefined`.
    """
    for term in terms:
        finite(value=term.value)
        not_negative(uncertainty_pct=term.uncertainty_pct)
    half_width = math.hypot(*(term.uncertainty_pct / 100 * term.value for term in terms))
    percent = relative_uncertainty_pct(half_width, total(term.value for term in terms))
    if percent is None:
        raise UncertaintyUndefined()
    return percent


def uncertainty_of_product_pct(uncertainties_pct: Sequence[float]) -> float:
    """Relative uncertainty of a product of independent factors (IPCC 2006 vol. 1, eq. 3.1)."""
    for value in uncertainties_pct:
        not_negative(uncertainty_pct=value)
    return math.hypot(*uncertainties_pct)
