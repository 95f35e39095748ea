"""Quantiles of Student's distribution, by inverting the regularised incomplete beta function (E-U1).

Source: NIST Digital Library of Mathematical Functions, 8.17 (the function, its symmetry 8.17.4 and its
continued fraction 8.17.22). Written here so that the installed product needs no statistics library.
"""

import math
from typing import Final

from registry.estimates.methods.checks import finite
from registry.estimates.methods.errors import OutOfRange

_TINY: Final = 1e-300
_STEPS: Final = 20_000
_MAX_DF: Final = 1_000_000


def _continued_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of DLMF 8.17.22, evaluated forwards by Lentz's method."""
    c = 1.0
    d = 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            d = 1.0 + term * d
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = 1.0 + term / c
            c = c if abs(c) > _TINY else _TINY
            change = c * d
            value *= change
        if abs(change - 1.0) < 4e-16:
            break
    return value


def incomplete_beta(a: float, b: float, x: float, one_minus_x: float | None = None) -> float:
    """Regularised incomplete beta function I_x(a, b) for a, b > 0 and 0 <= x <= 1.

    `one_minus_x` may be given when it is known more precisely than `1 - x`.
    """
    finite(a=a, b=b, x=x)
    if a <= 0 or b <= 0:
        raise OutOfRange(field="a" if a <= 0 else "b", value=a if a <= 0 else b, rule="> 0")
    if not 0 <= x <= 1:
        raise OutOfRange(field="x", value=x, rule=">= 0, <= 1")
    y = 1.0 - x if one_minus_x is None else one_minus_x
    if x == 0 or y == 0:
        return 0.0 if x == 0 else 1.0
    log_front = a * math.log(x) + b * math.log(y) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log_front)
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _continued_fraction(a, b, x) / a
    return 1.0 - front * _continued_fraction(b, a, y) / b


def two_sided_tail(t: float, df: int) -> float:
    """Probability that |T| > t for Student's T with `df` degrees of freedom."""
    square = t * t
    return incomplete_beta(df / 2, 0.5, df / (df + square), square / (df + square))


def student_quantile(reliability: float, df: int) -> float:
    """The t with P(|T| <= t) = `reliability` (a share, 0 < reliability < 1), to 1e-9 or better.

    Raises `OutOfRange` for a reliability outside (0, 1) or fewer than one degree of freedom.
    """
    finite(reliability=reliability)
    if not 0 < reliability < 1:
        raise OutOfRange(field="reliability", value=reliability, rule="> 0, < 1")
    if not 1 <= df <= _MAX_DF:
        raise OutOfRange(field="df", value=df, rule=f">= 1, <= {_MAX_DF}")
    tail = 1.0 - reliability
    low, high = 0.0, 1.0
    while two_sided_tail(high, df) > tail:
        low, high = high, 2.0 * high
    while True:
        middle = (low + high) / 2.0
        if middle in (low, high):
            return middle
        if two_sided_tail(middle, df) > tail:
            low = middle
        else:
            high = middle
