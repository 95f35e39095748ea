"""What a later room takes out of an issuance while it is made.

An option contract is delivered in the entry that issues its units. The market comes after issuance, so
issuance declares what it needs and the catalogue fills it in.
"""

from dataclasses import dataclass
from typing import Protocol

from ledger.canonical import JsonValue
from registry.issuance.draft import Draft
from registry.issuance.plan import IssuancePlan
from registry.projects.models import Project


@dataclass(frozen=True, slots=True)
class Take:
    """Units of one vintage's project part that go to `account`, from the tail.

    With a `reservation` they stay the account's, locked under that name for `ref` until `deadline_ms`.
    """

    vintage: int
    account: str
    units: int
    ref: str
    reservation: str | None = None
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """What is taken, and what the entry says of it."""

    takes: tuple[Take, ...] = ()
    facts: tuple[JsonValue, ...] = ()


class Deliveries(Protocol):
    def deliver(self, draft: Draft, project: Project, plan: IssuancePlan) -> Delivered:
        """Decide what is delivered out of a plan; money and steps of contracts go into the draft."""
        ...
