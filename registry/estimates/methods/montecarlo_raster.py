"""A second opinion on E-R2: the errors of a raster change, drawn by parts instead of summed by formula.

Errors that all pixels share and those of each pixel are drawn apart; within a part the pixels' own add up to
one normal error, so nothing is drawn per pixel. Streams and bounds as in `montecarlo`.

What the draws can notice is a wrong sum of the parts, or of the two kinds of error. That errors are normal,
that one correlation holds for all pixels, and the deviations themselves are taken as they were given.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from registry.estimates.methods.checks import finite, not_negative, positive, share
from registry.estimates.methods.constants import C_TO_CO2
from registry.estimates.methods.montecarlo import (
    DRAWS,
    FEWEST_DRAWS,
    MAX_RESAMPLED,
    STANDARD_ERRORS,
    Check,
    Floats,
    Json,
    figure_text,
    histogram_of,
    quantile_texts,
    quantiles_of,
    relative_error_of_sd,
    stream_of,
)
from registry.estimates.methods.raster import ChangeSums, relative_uncertainty_pct


@dataclass(frozen=True, slots=True)
class RasterOpinion:
    """E-R2 by drawing: mean, standard error and half width of the summed change, beside the formula's.

    `delta_t`, `se_t` and `half_width_t` are in the unit of the parts; quantiles and histogram in tCO2e, for
    parts in tonnes of carbon. `uncertainty_pct` is None when the mean is zero.
    """

    seed_sha256: str
    parts: int
    draws: int
    rho_space: float
    delta_t: float
    se_t: float
    half_width_t: float
    uncertainty_pct: float | None
    checks: Mapping[str, Check]
    change_quantiles_tco2e: Mapping[float, float]
    histogram_from_tco2e: float
    histogram_to_tco2e: float
    histogram: tuple[int, ...]

    @property
    def agrees(self) -> bool:
        return all(check.agrees for check in self.checks.values())

    def to_json(self) -> dict[str, Json | dict[str, dict[str, str]]]:
        """For the run's record: texts of six digits, so that every machine writes the same."""
        return {
            "rule": "errors drawn: one that all cells share, and each parcel's own; RandomState seeded by "
            "the inputs",
            "seed_sha256": self.seed_sha256,
            "parts": self.parts,
            "draws": self.draws,
            "rho_space": repr(self.rho_space),
            "agrees": self.agrees,
            "checks": {name: check.to_json() for name, check in self.checks.items()},
            "delta_tc": figure_text(self.delta_t),
            "se_tc": figure_text(self.se_t),
            "uncertainty_pct": None if self.uncertainty_pct is None else figure_text(self.uncertainty_pct),
            "change_quantiles_tco2e": quantile_texts(self.change_quantiles_tco2e),
            "histogram_tco2e": {
                "from": figure_text(self.histogram_from_tco2e),
                "to": figure_text(self.histogram_to_tco2e),
            },
            "histogram_counts": list(self.histogram),
        }


def raster_opinion(
    parts: Sequence[ChangeSums],
    *,
    rho_space: float,
    se_t: float,
    z_value: float,
    seed_sha256: str,
    draws: int = DRAWS,
) -> RasterOpinion:
    """Draw the errors of a raster change: one that all pixels share, and each part's own.

    Errors that correlate by `rho_space` are sqrt(rho) times a common error plus sqrt(1 - rho) times one of
    the pixel's own. The common one moves a part by its `error_t`; the pixels' own add up, within a part, to
    one error of variance `error_squared_t2`, so nothing is drawn per pixel. Every pixel is in one part.
    `se_t` is what E-R2 says, `z_value` what it multiplies it by. With very many parts there are fewer draws.
    """
    share(rho_space=rho_space)
    not_negative(se_t=se_t)
    positive(z_value=z_value)
    for part in parts:
        finite(delta_t=part.delta_t)
        not_negative(error_t=part.error_t, error_squared_t2=part.error_squared_t2)
    count = max(FEWEST_DRAWS, min(draws, MAX_RESAMPLED // max(len(parts), 1)))
    delta_t = math.fsum(part.delta_t for part in parts)
    total = delta_t + _drawn_errors(parts, rho_space, seed_sha256, count)
    spread, half = float(total.std()), _half_width(total, z_value)
    low, high, counts = histogram_of(total * C_TO_CO2)
    tiny = 1e-9 * (abs(delta_t) + se_t)
    root = math.sqrt(count)
    return RasterOpinion(
        seed_sha256=seed_sha256,
        parts=len(parts),
        draws=count,
        rho_space=rho_space,
        delta_t=float(total.mean()),
        se_t=spread,
        half_width_t=half,
        uncertainty_pct=relative_uncertainty_pct(half, float(total.mean())),
        checks={
            "mean_tc": Check(delta_t, float(total.mean()), STANDARD_ERRORS * spread / root + tiny),
            "se_tc": Check(se_t, spread, STANDARD_ERRORS * relative_error_of_sd(total) * se_t + tiny),
            "half_width_tc": Check(
                z_value * se_t, half, STANDARD_ERRORS * _error_of_half_width(z_value) / root * se_t + tiny
            ),
        },
        change_quantiles_tco2e=quantiles_of(total * C_TO_CO2),
        histogram_from_tco2e=low,
        histogram_to_tco2e=high,
        histogram=counts,
    )


def _drawn_errors(parts: Sequence[ChangeSums], rho_space: float, seed_sha256: str, count: int) -> Floats:
    stream = stream_of(seed_sha256, 2)
    common = stream.standard_normal(count)
    errors = np.zeros(count)
    for part in parts:
        own = stream.standard_normal(count) * math.sqrt(part.error_squared_t2 * (1 - rho_space))
        errors += math.sqrt(rho_space) * part.error_t * common + own
    return errors


def _half_width(values: Floats, z_value: float) -> float:
    """Half of what lies between the quantiles that `z_value` deviations of a normal error are at."""
    outside = math.erfc(z_value / math.sqrt(2)) / 2
    low, high = np.quantile(values, [outside, 1 - outside])
    return float(high - low) / 2


def _error_of_half_width(z_value: float) -> float:
    """Standard error of `_half_width` of normal draws, times the root of their number, in deviations: that
    of two quantiles p and 1 - p, sqrt(p (1 - 2 p) / 2) over the density at z (Stuart and Ord, 10.10).
    """
    outside = math.erfc(z_value / math.sqrt(2)) / 2
    density = math.exp(-z_value * z_value / 2) / math.sqrt(2 * math.pi)
    return math.sqrt(outside * (1 - 2 * outside) / 2) / density


@dataclass(frozen=True, slots=True)
class DateErrors:
    """Sums over the pixels of a part of w*sd1, w*sd2, (w*sd1)**2, (w*sd2)**2 and w*w*sd1*sd2 (t, t2)."""

    first_t: float
    second_t: float
    first_squared_t2: float
    second_squared_t2: float
    product_t2: float


def two_date_errors(
    parts: Sequence[DateErrors], *, rho_space: float, rho_time: float, seed_sha256: str, draws: int = DRAWS
) -> Floats:
    """Drawn errors of a change whose two dates err each for itself: pixels share errors by `rho_space`, the
    dates by `rho_time`.

    E-R2 takes the common error of a change as the sum of the pixels' own deviations, which is never less than
    this: both are the same where the two deviations are in one proportion everywhere (the triangle
    inequality).
    """
    share(rho_space=rho_space, rho_time=rho_time)
    stream = stream_of(seed_sha256, 3)
    first, second = _correlated(stream, rho_time, draws)
    errors = np.zeros(draws)
    for part in parts:
        errors += math.sqrt(rho_space) * (part.second_t * second - part.first_t * first)
        variance = (part.first_squared_t2 + part.second_squared_t2 - 2 * rho_time * part.product_t2) * (
            1 - rho_space
        )
        errors += stream.standard_normal(draws) * math.sqrt(max(variance, 0.0))
    return errors


def _correlated(stream: np.random.RandomState, rho: float, draws: int) -> tuple[Floats, Floats]:
    first = stream.standard_normal(draws)
    second = rho * first + math.sqrt(1 - rho * rho) * stream.standard_normal(draws)
    return first, second
