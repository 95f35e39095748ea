"""Every room's machines, projections and acts in one place. What an earlier room triggers in a later one is
wired here too.
"""

from collections.abc import Mapping

from registry.accounts import projection as accounts
from registry.accounts import rules as accounts_rules
from registry.accounts import service as accounts_service
from registry.machine import Machine
from registry.office import Act
from registry.projections import Projections

MACHINES: Mapping[str, Machine] = {
    machine.name: machine
    for machine in (
        accounts_rules.LOG,
        accounts_rules.ORGANISATION,
        accounts_rules.PERSON,
        accounts_rules.KEY,
        accounts_rules.MANDATE,
        accounts_rules.DEPOSIT,
    )
}

PROJECTIONS: Projections = {
    "log": accounts.nothing,
    "key": accounts.nothing,
    "organisation": accounts.organisation,
    "person": accounts.person,
    "mandate": accounts.mandate,
    "deposit": accounts.deposit,
}

ACTS: Mapping[str, Act] = {act.name: act for room in (accounts_service.ACTS,) for act in room}
