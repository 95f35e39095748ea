"""Arithmetic of options and subscriptions: who gets how many units, and what is paid for them. Pure, whole
units and fen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from registry.apportion import MILLION, largest_remainder, rounded_half_up, rounded_up

DAYS_A_YEAR: Final = 365


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody who waits for `units`. Earlier `order` first (the index of the entry that confirmed it), then
    by id.
    """

    id: str
    units: int
    order: int


def share_out(available: int, wishes: Sequence[Wish]) -> dict[str, int]:
    """Units for each wish by id: all of it when there is enough, else pro rata.

    Pro rata is floor, then largest remainder, ties by earlier confirmation, then id (RULES 1.6, 1.7). Nobody
    gets more than wished.
    """
    wanted = sum(wish.units for wish in wishes)
    ordered = sorted(wishes, key=lambda wish: (wish.order, wish.id))
    parts = largest_remainder(min(available, wanted), [wish.units for wish in ordered])
    return {wish.id: part for wish, part in zip(ordered, parts, strict=True)}


def fill(sizes: Sequence[int], counts: Sequence[int]) -> list[list[tuple[int | None, int]]]:
    """Fill `counts` in turn out of containers of these `sizes`: for each container who gets how much of it.

    The part with None is left over. Counts together are at most the sizes together.
    """
    left = [(receiver, count) for receiver, count in enumerate(counts) if count]
    left.reverse()
    filled: list[list[tuple[int | None, int]]] = []
    for size in sizes:
        parts: list[tuple[int | None, int]] = []
        room = size
        while room and left:
            receiver, count = left.pop()
            part = min(room, count)
            parts.append((receiver, part))
            room -= part
            if count > part:
                left.append((receiver, count - part))
        if room:
            parts.append((None, room))
        filled.append(parts)
    return filled


def cover_units(estimate_units: int, buffer_ppm: int, cover_ppm: int) -> int:
    """How many units may be promised on an estimate: floor(cover x (estimate - buffer)) (invariant I10)."""
    return (estimate_units - rounded_up(estimate_units * buffer_ppm, MILLION)) * cover_ppm // MILLION


@dataclass(frozen=True, slots=True)
class OptionOutcome:
    """E-T0: what an option comes to. `buyer_gain_fen` is information only."""

    premium_fen: int
    exercise_fen: int
    units_to_buyer: int
    units_released: int
    buyer_gain_fen: int

    @property
    def seller_gross_fen(self) -> int:
        return self.premium_fen + self.exercise_fen


def option_outcome(
    contracted: int, premium_fen: int, strike_fen: int, deliverable: int, *, elected: bool, spot_fen: int
) -> OptionOutcome:
    """E-T0 with prices per unit in fen. The premium stays with the seller in every case."""
    premium = contracted * premium_fen
    if not elected:
        return OptionOutcome(premium, 0, 0, deliverable, -premium)
    return OptionOutcome(
        premium, deliverable * strike_fen, deliverable, 0, deliverable * (spot_fen - strike_fen) - premium
    )


@dataclass(frozen=True, slots=True)
class Shortfall:
    """E-T2: what was delivered of a contract, from where, and what is paid back for the rest."""

    own: int
    made_good: int
    missing: int
    surplus: int
    principal_fen: int
    interest_fen: int

    @property
    def delivered(self) -> int:
        return self.own + self.made_good

    @property
    def refund_fen(self) -> int:
        return self.principal_fen + self.interest_fen


def shortfall(
    contracted: int, issued: int, pool: int, *, cap_ppm: int, prepaid_fen: int, interest_ppm: int, days: int
) -> Shortfall:
    """E-T2. The pool makes good at most `cap_ppm` of the contract; buffer units are never part of it."""
    own = min(contracted, issued)
    made_good = min(contracted - own, pool, contracted * cap_ppm // MILLION)
    missing = contracted - own - made_good
    principal = missing * prepaid_fen
    interest = rounded_half_up(principal * interest_ppm * days, MILLION * DAYS_A_YEAR)
    return Shortfall(own, made_good, missing, max(0, issued - contracted), principal, interest)
