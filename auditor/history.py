"""What the entries said so far about land, quantities and contracts, read from the entries alone.

It keeps what the rules of the later rooms are judged by: grounds, periods, statements, contracts and prices,
without a database, so that an error in a projection cannot hide itself here.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter

from auditor.effects import Contradiction
from auditor.entries import Entry, Taken
from registry.issuance.plan import BatchPlan
from registry.programmes.rules import Terms

TERMS: Final = TypeAdapter(Terms)


def no_recall(index: int) -> bytes:
    """For histories that are told without a log."""
    raise Contradiction(f"entry {index} cannot be read again")


@dataclass(frozen=True, slots=True)
class HeldMandate:
    """Who acts for whom. `running` until it is revoked."""

    person: str
    organisation: str
    running: bool = True


@dataclass(slots=True)
class ToldProject:
    """`parcels`: number in the project → (parcel, version)."""

    programme: str
    owner: str
    county: str
    parcels: dict[int, tuple[str, int]]
    validator: str | None = None
    number: int | None = None
    crediting_to: str = ""
    joining: dict[int, tuple[str, int, str, str]] = field(default_factory=dict)
    """Numbers that an act added: parcel, version, first day, end."""


@dataclass(slots=True)
class ToldParcel:
    """A parcel's state and current version; `suspended_from` is its state before its last suspension,
    `reviewer` the organisation that took the review of this submission on.
    """

    state: str
    version: int
    suspended_from: str = ""
    reviewer: str = ""


@dataclass(slots=True)
class ToldSuccession:
    """What takes the place of what, as it was proposed; `status` follows its entries.

    `predecessors`: parcel, version, cm2. `successors`: parcel, cm2. `parts`: predecessor, successor, shared
    cm2, share in parts per million; those of the approval as soon as there is one.
    """

    organisation: str
    kind: str
    programme: str
    project: str | None
    from_on: str
    predecessors: tuple[tuple[str, int, int], ...]
    successors: tuple[tuple[str, int], ...]
    parts: tuple[tuple[str, str, int, int], ...]
    status: str = "proposed"
    carried: tuple["ToldClaim", ...] = ()
    """Claims of the predecessors that ended with them."""


@dataclass(slots=True)
class ToldPeriod:
    project: str
    pools: str
    from_on: str
    to_on: str
    status: str
    run: str | None = None


@dataclass(frozen=True, slots=True)
class ToldStatement:
    """A verifier's quantity; `parcels`: number in the project → kilograms."""

    index: int
    period: str
    verifier: str
    verified_kg: int
    parcels: dict[int, int]


@dataclass(slots=True)
class ToldClaim:
    """A claim on a parcel's ground over [from_on, to_on). `ended_index` and `ended_on` when it was ended."""

    parcel: str
    version: int
    project: str
    programme: str
    pool: str
    from_on: str
    to_on: str
    credited_cm2: int
    index: int
    at_ms: int
    ended_index: int | None = None
    ended_on: str | None = None


@dataclass(slots=True)
class ToldOutside:
    """A claim in another registry, from the entry that declared it to the one that withdrew it."""

    registry: str
    pools: tuple[str, ...]
    from_on: str
    to_on: str
    area_cm2: int
    index: int
    withdrawn_index: int | None = None


@dataclass(slots=True)
class ToldOption:
    project: str
    vintage: int
    seller: str
    buyer: str
    units: int
    premium_fen: int
    strike_fen: int
    window_to: str
    status: str
    election: str = ""
    accepted_index: int = 0
    delivered: int = 0
    set_aside: int = 0
    pending: str = ""

    @property
    def undelivered(self) -> int:
        return self.units - self.delivered - self.set_aside


@dataclass(frozen=True, slots=True)
class ToldBatch:
    project: str
    issuance: str
    plan: BatchPlan


@dataclass(frozen=True, slots=True)
class ToldOffer:
    """An offer or a listing: what is sold at a fixed price."""

    project: str
    seller: str
    price_fen: int


@dataclass(frozen=True, slots=True)
class ToldSubscription:
    offer: str
    buyer: str


@dataclass(slots=True)
class History:
    """Everything told before the entry that is being judged."""

    recall: Callable[[int], bytes] = no_recall
    """Reads the leaf of an earlier entry again."""
    mandates: dict[str, HeldMandate] = field(default_factory=dict)
    programmes: dict[str, Terms] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    operators: dict[tuple[str, int], str | None] = field(default_factory=dict)
    areas_cm2: dict[tuple[str, int], int] = field(default_factory=dict)
    projects: dict[str, ToldProject] = field(default_factory=dict)
    periods: dict[str, ToldPeriod] = field(default_factory=dict)
    runs: dict[str, tuple[str, int]] = field(default_factory=dict)
    statements: dict[str, ToldStatement] = field(default_factory=dict)
    claims: dict[str, ToldClaim] = field(default_factory=dict)
    claims_of: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Claims by parcel."""
    land: dict[str, ToldParcel] = field(default_factory=dict)
    renewals: dict[tuple[str, int], int] = field(default_factory=dict)
    """Versions that only renew a tenure → the version whose ground they have."""
    successions: dict[str, ToldSuccession] = field(default_factory=dict)
    outside: dict[str, ToldOutside] = field(default_factory=dict)
    proposals: dict[str, str] = field(default_factory=dict)
    issued: dict[tuple[str, str, str], str] = field(default_factory=dict)
    issued_statements: dict[str, str] = field(default_factory=dict)
    issuances: dict[str, tuple[int, str]] = field(default_factory=dict)
    residue_kg: dict[str, int] = field(default_factory=dict)
    last_number: dict[str, int] = field(default_factory=dict)
    last_batch: dict[str, int] = field(default_factory=dict)
    credited: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    batches: dict[str, ToldBatch] = field(default_factory=dict)
    options: dict[str, ToldOption] = field(default_factory=dict)
    offers: dict[str, ToldOffer] = field(default_factory=dict)
    subscriptions: dict[str, ToldSubscription] = field(default_factory=dict)

    # -- reading

    def organisation(self, entry: Entry) -> str:
        """The organisation the entry's initiator acted for; empty for the installation's own."""
        held = self.mandates.get(entry.mandate)
        return held.organisation if held is not None else ""

    def people_of(self, organisation: str) -> set[str]:
        """Persons with a running mandate of the organisation."""
        return {
            held.person
            for held in self.mandates.values()
            if held.running and held.organisation == organisation
        }

    def terms(self, project: str) -> Terms:
        return self.programmes[self.projects[project].programme]

    def parties(self, project: str) -> set[str]:
        """Organisations with a stake in a project: owner, collectives, operators, validator, option buyers
        (R-16).
        """
        told = self.projects[project]
        found = {told.owner, told.validator or told.owner}
        for parcel, version in told.parcels.values():
            found.add(self.owners[parcel])
            found.add(self.operators.get((parcel, version)) or told.owner)
        found |= {
            option.buyer
            for option in self.options.values()
            if option.project == project and option.status not in ("offered", "cancelled")
        }
        return found

    # -- following

    def follow(self, entry: Entry) -> None:
        """Take in an entry. Raises KeyError, TypeError or ValueError when its facts are not those of its
        act.
        """
        for step in entry.steps:
            reader = _READERS.get(step.machine)
            if reader is not None:
                reader(self, step, entry)


def _mandate(history: History, step: Taken, entry: Entry) -> None:
    if step.before == "none":
        facts = entry.facts
        history.mandates[step.subject] = HeldMandate(facts["person"], facts["organisation"])
        return
    held = history.mandates[step.subject]
    history.mandates[step.subject] = HeldMandate(held.person, held.organisation, running=False)


def _programme(history: History, step: Taken, entry: Entry) -> None:
    if step.action == "publish":
        history.programmes[step.subject] = TERMS.validate_json(json.dumps(entry.facts["terms"]))


def _parcel(history: History, step: Taken, entry: Entry) -> None:
    facts, parcel = entry.facts, step.subject
    match step.action:
        case "submit" | "succeed":
            history.owners.setdefault(parcel, facts["organisation"])
            history.operators[parcel, facts["version"]] = facts["operator"]
            history.areas_cm2[parcel, facts["version"]] = facts["area_cm2"]
            history.land[parcel] = ToldParcel(step.after, facts["version"])
        case "renew_tenure":
            old, new = facts["renews"], facts["version"]
            history.operators[parcel, new] = history.operators[parcel, old]
            history.areas_cm2[parcel, new] = facts["area_cm2"]
            history.renewals[parcel, new] = old
            history.land[parcel].version = new
        case "accept":
            history.land[parcel].reviewer = history.organisation(entry)
        case "suspend":
            history.land[parcel].suspended_from = step.before
        case "supersede":
            told = history.successions[facts["succession"]]
            ended = {effect.subject for effect in entry.steps if effect.machine == "claim"}
            told.carried += tuple(history.claims[name] for name in sorted(ended))
    if parcel in history.land:
        history.land[parcel].state = step.after


def _succession(history: History, step: Taken, entry: Entry) -> None:
    if step.action == "propose":
        history.successions[step.subject] = told_succession(entry.facts)
    told = history.successions[step.subject]
    told.status = step.after
    if step.action == "approve":
        told.predecessors = tuple((parcel, n, cm2) for parcel, n, cm2 in entry.facts["predecessors"])
        told.parts = told_succession(entry.facts).parts


def told_succession(facts: dict[str, Any]) -> ToldSuccession:
    """A succession as the facts of its proposal or its approval say it."""
    return ToldSuccession(
        organisation=facts["organisation"],
        kind=facts["kind"],
        programme=facts["programme"],
        project=facts["project"],
        from_on=facts["from_on"],
        predecessors=tuple((parcel, version, cm2) for parcel, version, cm2 in facts["predecessors"]),
        successors=tuple((parcel, cm2) for parcel, cm2 in facts["successors"]),
        parts=tuple((old, new, cm2, ppm) for old, new, cm2, ppm in facts["parts"]),
    )


def _claim(history: History, step: Taken, entry: Entry) -> None:
    facts = entry.facts
    if step.action == "end":
        claim = history.claims[step.subject]
        claim.ended_index, claim.ended_on = entry.index, facts["ended_on"]
        return
    ((pool, credited_cm2),) = [(pool, cm2) for name, pool, cm2 in facts["claims"] if name == step.subject]
    history.claims[step.subject] = ToldClaim(
        parcel=entry.subject,
        version=facts["version"],
        project=facts["project"],
        programme=facts["programme"],
        pool=pool,
        from_on=facts["from_on"],
        to_on=facts["to_on"],
        credited_cm2=credited_cm2,
        index=entry.index,
        at_ms=entry.at_ms,
    )
    history.claims_of[entry.subject].append(step.subject)
    told = history.projects[facts["project"]]
    told.parcels.setdefault(facts["number"], (entry.subject, facts["version"]))
    told.joining.pop(facts["number"], None)


def _outside_claim(history: History, step: Taken, entry: Entry) -> None:
    facts = entry.facts
    if step.action == "withdraw":
        history.outside[step.subject].withdrawn_index = entry.index
        return
    history.outside[step.subject] = ToldOutside(
        registry=facts["registry"],
        pools=tuple(facts["pools"]),
        from_on=facts["from_on"],
        to_on=facts["to_on"],
        area_cm2=facts["area_cm2"],
        index=entry.index,
    )


def _project(history: History, step: Taken, entry: Entry) -> None:
    facts = entry.facts
    match step.action:
        case "submit":
            parcels = {number: (parcel, version) for number, parcel, version in facts["parcels"]}
            history.projects[step.subject] = ToldProject(
                facts["programme"],
                facts["owner"],
                facts["county"],
                parcels,
                crediting_to=facts["crediting_to"],
            )
        case "validate":
            history.projects[step.subject].validator = history.organisation(entry)
        case "register":
            history.projects[step.subject].number = facts["number"]
        case "add_parcel":
            joining = (facts["parcel"], facts["version"], facts["from_on"], facts["to_on"])
            history.projects[step.subject].joining[facts["number"]] = joining


def _period(history: History, step: Taken, entry: Entry) -> None:
    if step.action == "open":
        facts = entry.facts
        history.periods[step.subject] = ToldPeriod(
            facts["project"], facts["pools"], facts["from_on"], facts["to_on"], step.after
        )
        return
    period = history.periods[step.subject]
    period.status = step.after
    if step.action == "estimate":
        period.run = entry.subject


def _run(history: History, step: Taken, entry: Entry) -> None:
    if step.action == "record":
        history.runs[step.subject] = (entry.facts["period"], entry.facts["estimate_kg"])


def _statement(history: History, step: Taken, entry: Entry) -> None:
    facts = entry.facts
    history.statements[step.subject] = ToldStatement(
        index=entry.index,
        period=facts["period"],
        verifier=history.organisation(entry),
        verified_kg=facts["verified_kg"],
        parcels=dict(facts["parcels"]),
    )


def _issuance(history: History, step: Taken, entry: Entry) -> None:
    facts = entry.facts
    if step.action == "propose":
        history.proposals[step.subject] = history.organisation(entry)
    if step.action != "approve":
        return
    project = facts["project"]
    history.issued[project, facts["period"], facts["pools"]] = step.subject
    history.issued_statements[facts["statement"]] = step.subject
    history.issuances[step.subject] = (entry.index, facts["statement"])
    history.residue_kg[project] = facts["residue_after_kg"]
    for batch in issued_batches(facts):
        history.last_number[project] = batch.units.end
        history.last_batch[project] = batch.number
        history.batches[f"{step.subject}.{batch.vintage}"] = ToldBatch(project, step.subject, batch)
    history.credited[project].update(credited_units(facts))


def _option(history: History, step: Taken, entry: Entry) -> None:
    facts = entry.facts
    if step.action == "offer":
        history.options[step.subject] = ToldOption(
            project=facts["project"],
            vintage=facts["vintage"],
            seller=facts["seller"],
            buyer=facts["buyer"],
            units=facts["units"],
            premium_fen=facts["premium_fen"],
            strike_fen=facts["strike_fen"],
            window_to=facts["window_to"],
            status=step.after,
        )
        return
    option = history.options[step.subject]
    option.status = step.after
    match step.action:
        case "accept":
            option.election, option.accepted_index = facts["election"], entry.index
        case "deliver" | "deliver_part" | "set_aside":
            for line in facts["deliveries"]:
                if line["option"] == step.subject:
                    _deliver(option, step.action, line)
        case "take" | "take_part":
            option.delivered += option.set_aside
            option.set_aside, option.pending = 0, ""
        case "expire":
            option.set_aside, option.pending = 0, ""


def _deliver(option: ToldOption, action: str, line: dict[str, Any]) -> None:
    if action == "set_aside":
        option.set_aside, option.pending = line["units"], line["pending"]
    else:
        option.delivered += line["units"]


def _offer(history: History, step: Taken, entry: Entry) -> None:
    if step.action == "open":
        facts = entry.facts
        history.offers[step.subject] = ToldOffer(facts["project"], facts["seller"], facts["price_fen"])


def _subscription(history: History, step: Taken, entry: Entry) -> None:
    if step.action == "place":
        history.subscriptions[step.subject] = ToldSubscription(entry.facts["offer"], entry.facts["buyer"])


_READERS = {
    "mandate": _mandate,
    "programme": _programme,
    "parcel": _parcel,
    "claim": _claim,
    "outside_claim": _outside_claim,
    "succession": _succession,
    "project": _project,
    "period": _period,
    "run": _run,
    "statement": _statement,
    "issuance": _issuance,
    "option": _option,
    "offer": _offer,
    "listing": _offer,
    "subscription": _subscription,
}


# ---- what an approved issuance says ------------------------------------------------------------------------


def issued_batches(facts: dict[str, Any]) -> Iterator[BatchPlan]:
    """The batches of an issuance's facts. Raises KeyError, TypeError or a refusal when they are none."""
    return (BatchPlan.from_json(batch) for batch in facts["batches"])


def credited_units(facts: dict[str, Any]) -> Counter[int]:
    """Units by parcel number, buffer included."""
    credited: Counter[int] = Counter()
    for batch in issued_batches(facts):
        for parcel, own, kept in zip(facts["parcels"], batch.homes, batch.buffer_homes, strict=True):
            credited[parcel] += own + kept
    return credited
