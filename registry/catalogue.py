"""Every room's machines, projections and acts in one place. What an earlier room triggers in a later one is
wired here too.
"""

from collections.abc import Mapping

from registry.accounts import keys as accounts_keys
from registry.accounts import projection as accounts
from registry.accounts import rules as accounts_rules
from registry.accounts import service as accounts_service
from registry.aftermath import Keeper
from registry.errors import RegistryRefusal
from registry.estimates import projection as estimates
from registry.estimates import rules as estimates_rules
from registry.estimates import service as estimates_service
from registry.evidence import projection as evidence
from registry.evidence import rules as evidence_rules
from registry.evidence import service as evidence_service
from registry.issuance import merging
from registry.issuance import projection as issuance
from registry.issuance import rules as issuance_rules
from registry.issuance import service as issuance_service
from registry.machine import Machine
from registry.market import options as market_options
from registry.market import projection as market
from registry.market import rules as market_rules
from registry.market import sales as market_sales
from registry.market import subscriptions as market_subscriptions
from registry.office import Act
from registry.parcels import life as parcels_life
from registry.parcels import projection as parcels
from registry.parcels import rules as parcels_rules
from registry.parcels import service as parcels_service
from registry.parcels import sources as parcels_sources
from registry.programmes import projection as programmes
from registry.programmes import rules as programmes_rules
from registry.programmes import service as programmes_service
from registry.projections import Projections
from registry.projects import disputes, outside
from registry.projects import projection as projects
from registry.projects import rules as projects_rules
from registry.projects import service as projects_service
from registry.projects import succession as projects_succession
from registry.records import projection as records
from registry.records import rules as records_rules
from registry.records import service as records_service
from registry.retirement import projection as retirement
from registry.retirement import rules as retirement_rules
from registry.retirement import service as retirement_service
from registry.verification import projection as verification
from registry.verification import rules as verification_rules
from registry.verification import service as verification_service

MACHINES: Mapping[str, Machine] = {
    machine.name: machine
    for machine in (
        accounts_rules.LOG,
        accounts_rules.ORGANISATION,
        accounts_rules.PERSON,
        accounts_rules.KEY,
        accounts_rules.MANDATE,
        accounts_rules.DEPOSIT,
        programmes_rules.PROGRAMME,
        parcels_rules.PARCEL,
        evidence_rules.EVIDENCE,
        projects_rules.PROJECT,
        projects_rules.CLAIM,
        projects_rules.SUCCESSION,
        projects_rules.PERIOD,
        projects_rules.OUTSIDE_CLAIM,
        projects_rules.DISPUTE,
        estimates_rules.RUN,
        verification_rules.STATEMENT,
        issuance_rules.ISSUANCE,
        issuance_rules.MERGE,
        records_rules.ENTRY,
        records_rules.RECORD,
        *market_rules.MACHINES,
        retirement_rules.RETIREMENT,
    )
}

PROJECTIONS: Projections = {
    "log": records.log,
    "entry": records.entry,
    "record": records.record,
    "merge": accounts.nothing,
    "key": accounts.nothing,
    "organisation": accounts.organisation,
    "person": accounts.person,
    "mandate": accounts.mandate,
    "deposit": accounts.deposit,
    "programme": programmes.programme,
    "parcel": parcels.parcel,
    "evidence": evidence.evidence,
    "project": projects.project,
    "claim": projects.claim,
    "succession": projects.succession,
    "period": projects.period,
    "outside_claim": projects.outside_claim,
    "dispute": projects.dispute,
    "run": estimates.run,
    "statement": verification.statement,
    "issuance": issuance.issuance,
    "option": market.option,
    "offer": market.offer,
    "subscription": market.subscription,
    "listing": market.listing,
    "trade": market.trade,
    "retirement": retirement.retirement,
}

FORGET = (parcels_sources.forget_land, evidence_service.forget_evidence)
"""What each room does when a record of its own is erased."""

ACTS: Mapping[str, Act] = {
    act.name: act
    for room in (
        accounts_service.ACTS,
        accounts_keys.ACTS,
        programmes_service.ACTS,
        parcels_service.ACTS,
        parcels_life.ACTS,
        evidence_service.ACTS,
        projects_service.ACTS,
        projects_succession.ACTS,
        outside.ACTS,
        disputes.ACTS,
        estimates_service.ACTS,
        verification_service.acts(market_options.OptionInterests()),
        issuance_service.acts(market_options.OptionDeliveries()),
        merging.ACTS,
        records_service.acts(FORGET),
        market_options.ACTS,
        market_subscriptions.ACTS,
        market_sales.ACTS,
        retirement_service.ACTS,
    )
    for act in room
}

KEEPERS: Mapping[type[RegistryRefusal], Keeper] = {
    projects_rules.ClaimRefused: disputes.keep_cases,
}
"""What is kept of refusals after they took everything back."""
