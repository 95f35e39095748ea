"""Money in yuan: exact fractions, rounded to the fen once at each named line, halves away from zero."""

from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from typing import Final

FEN: Final = Decimal("0.01")
_WIDE: Final = Context(prec=400, rounding=ROUND_HALF_UP)


def fraction(value: float | int | Decimal) -> Fraction:
    """A number as its shortest decimal spells it: 73.41 is 7341/100, whatever it is in binary."""
    return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)


def in_fen(amount: Fraction) -> int:
    """Whole fen of an amount in yuan, halves away from zero."""
    fen = abs(amount) * 100
    whole = (2 * fen.numerator + fen.denominator) // (2 * fen.denominator)
    return whole if amount >= 0 else -whole


def of_fen(fen: int) -> Decimal:
    """Yuan of whole fen."""
    return Decimal(fen).scaleb(-2)


def rounded(amount: Fraction) -> Decimal:
    """An amount as a named line states it: yuan with two decimals."""
    return of_fen(in_fen(amount))


def yuan(amount: Decimal) -> str:
    """An amount of whole fen as text with two decimals, `-12000.00`."""
    with localcontext(_WIDE):
        return f"{amount.quantize(FEN):f}"
