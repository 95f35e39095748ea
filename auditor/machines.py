"""Every state machine, from the rooms' rules alone: the vocabulary that registry and auditor share."""

from collections.abc import Mapping
from typing import Final

from registry.accounts import rules as accounts
from registry.estimates import rules as estimates
from registry.evidence import rules as evidence
from registry.issuance import rules as issuance
from registry.machine import Machine, Mandate, Role
from registry.market import rules as market
from registry.parcels import rules as parcels
from registry.programmes import rules as programmes
from registry.projects import rules as projects
from registry.records import rules as records
from registry.retirement import rules as retirement
from registry.verification import rules as verification

ROOMS: Final = (
    accounts, programmes, parcels, evidence, projects, estimates, verification, issuance, market, retirement,
    records,
)  # fmt: skip
MACHINES: Final[Mapping[str, Machine]] = {
    machine.name: machine for room in ROOMS for machine in vars(room).values() if isinstance(machine, Machine)
}
ROOT: Final = Mandate("root", "root", "registry", Role.ROOT)
SYSTEM: Final = Mandate("system", "system", "registry", Role.SYSTEM)
OWN: Final[Mapping[str, Mandate]] = {mandate.id: mandate for mandate in (ROOT, SYSTEM)}
"""The installation's own mandates, which no entry gives."""
