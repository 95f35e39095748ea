"""A second opinion on E-R2: the errors of a raster change, drawn by parts instead of summed by formula.

Errors that all pixels share and those of each pixel are drawn apart; within a part the pixels' own add up to
one normal error, so nothing is drawn per pixel. Streams and bounds as in `montecarlo`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from registry.estimates.methods.checks import finite, not_negative, share
from registry.estimates.methods.montecarlo import (
    DRAWS,
    STANDARD_ERRORS,
    Check,
    Floats,
    relative_error_of_sd,
    stream_of,
)
from registry.estimates.methods.raster import ChangeSums


@dataclass(frozen=True, slots=True)
class RasterOpinion:
    """E-R2 by drawing: the standard error of the summed change, beside that of the formula."""

    draws: int
    delta_t: float
    se_t: float
    check: Check

    @property
    def agrees(self) -> bool:
        return self.check.agrees


def raster_opinion(
    parts: Sequence[ChangeSums], *, rho_space: float, se_t: float, seed_sha256: str, draws: int = DRAWS
) -> RasterOpinion:
    """Draw the errors of a raster change: one that all pixels share, and each part's own.

    Errors that correlate by `rho_space` are sqrt(rho) times a common error plus sqrt(1 - rho) times one of
    the pixel's own. The common one moves a part by its `error_t`; the pixels' own add up, within a part, to
    one error of variance `error_squared_t2`, so nothing is drawn per pixel. `se_t` is what E-R2 says.
    """
    share(rho_space=rho_space)
    not_negative(se_t=se_t)
    for part in parts:
        finite(delta_t=part.delta_t)
        not_negative(error_t=part.error_t, error_squared_t2=part.error_squared_t2)
    stream = stream_of(seed_sha256, 2)
    common = stream.standard_normal(draws)
    total = np.zeros(draws)
    for part in parts:
        own = stream.standard_normal(draws) * math.sqrt(part.error_squared_t2 * (1 - rho_space))
        total += part.delta_t + math.sqrt(rho_space) * part.error_t * common + own
    spread = float(total.std())
    allowed = STANDARD_ERRORS * relative_error_of_sd(total) * se_t + 1e-9 * se_t
    return RasterOpinion(draws, float(total.mean()), spread, Check(se_t, spread, allowed))


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
