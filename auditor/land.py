"""What became of land after it was found eligible: suspensions, successions, tenure, and whose claim a unit
grew under. From the entries alone; whether outlines and areas agree is asked where the outlines are
(`registry.transparency.land`).
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from auditor.books import Books
from auditor.entries import Entry, Taken
from auditor.findings import Report
from auditor.history import History, ToldClaim, ToldSuccession, credited_units, told_succession
from registry.programmes.rules import MILLION, Terms

CHINA_HOURS: Final = timedelta(hours=8)
DEAD_PERIODS: Final = ("rejected", "voided")

OWN_STEPS: Final = frozenset({"enrol", "supersede", "succeed", "renew_tenure"})
"""Steps of a parcel that no other entry takes along."""
CLAIM_STEPS: Final = {"activate": ("enrol",), "end": ("close", "supersede")}
"""The steps of a parcel in whose entries claims begin and end."""


def judge_land(history: History, entry: Entry, books: Books, report: Report) -> None:
    """I7 and I8 of the steps of parcels, claims and successions, and of what an issuance credits."""
    for step in entry.steps:
        _check_place(step, entry, report)
    found = JUDGED.get((entry.machine, entry.action))
    if found is not None:
        found(history, entry, report)


def _check_place(step: Taken, entry: Entry, report: Report) -> None:
    """I8: land changes hands in entries about that land."""
    own = (step.machine, step.subject) == (entry.machine, entry.subject)
    if step.machine == "parcel" and (step.action in OWN_STEPS or step.action.startswith("reinstate")):
        report.expect("I8", own, _place(entry), f"it takes along the step {step.action} of {step.subject}")
    if step.machine == "claim" and step.action in CLAIM_STEPS:
        fits = entry.machine == "parcel" and entry.action in CLAIM_STEPS[step.action]
        report.expect("I8", fits, _place(entry), f"the claim {step.subject} takes the step {step.action}")


def _place(entry: Entry) -> str:
    return f"entry {entry.index} {entry.machine} {entry.action} {entry.subject}"


# ---- parcels -----------------------------------------------------------------------------------------------


def _reinstated(history: History, entry: Entry, report: Report) -> None:
    """I8: a parcel comes back as what it was when it was suspended."""
    was = history.land[entry.subject].suspended_from
    report.expect(
        "I8", entry.action == f"reinstate_{was}", _place(entry), f"it was {was or 'never suspended'} before"
    )


def _renewed(history: History, entry: Entry, report: Report) -> None:
    """I8: a renewal follows the current version and has its ground."""
    facts: dict[str, Any] = entry.facts
    now = history.land[entry.subject].version
    follows = (facts["renews"], facts["version"]) == (now, now + 1)
    report.expect("I8", follows, _place(entry), f"version {facts['version']} follows version {now}")
    area_cm2 = history.areas_cm2[entry.subject, facts["renews"]]
    report.expect(
        "I7", facts["area_cm2"] == area_cm2, _place(entry),
        f"it has {facts['area_cm2']} cm2, the version that it renews {area_cm2}",
    )  # fmt: skip


def _enrolled(history: History, entry: Entry, report: Report) -> None:
    """I8: a parcel is enrolled as its project was registered, as an act added it, or as a succession carries
    its predecessors' claims on.
    """
    facts: dict[str, Any] = entry.facts
    project = history.projects[facts["project"]]
    parcel = (entry.subject, facts["version"])
    if "succession" in facts:
        _check_carried(history, entry, report)
    elif facts["number"] in project.joining:
        joined = project.joining[facts["number"]]
        same = (*parcel, facts["from_on"], facts["to_on"]) == joined
        report.expect("I8", same, _place(entry), f"number {facts['number']} was given to {joined}")
    else:
        report.expect(
            "I8", project.parcels.get(facts["number"]) == parcel, _place(entry),
            f"the project has no such parcel with number {facts['number']}",
        )  # fmt: skip


def _check_carried(history: History, entry: Entry, report: Report) -> None:
    """Carried claims begin on the day on which the old ones end, and reach no further: same project and
    programme, the same pools, the same end.
    """
    facts: dict[str, Any] = entry.facts
    told = history.successions[facts["succession"]]
    heirs = {parcel for parcel, _ in told.successors}
    report.expect(
        "I8", told.status == "approved" and entry.subject in heirs, _place(entry),
        "no approved succession makes it a successor",
    )  # fmt: skip
    report.expect(
        "I8", facts["from_on"] == told.from_on, _place(entry),
        f"its claims begin on {facts['from_on']}, those of its predecessors end on {told.from_on}",
    )  # fmt: skip
    new = {pool for _, pool, _ in facts["claims"]}
    report.expect(
        "I8", new == {claim.pool for claim in told.carried}, _place(entry),
        f"it claims {sorted(new)}, which is not what its predecessors claimed",
    )  # fmt: skip
    asked = (facts["project"], facts["programme"], facts["to_on"])
    for claim in told.carried:
        held = (claim.project, claim.programme, claim.to_on)
        report.expect("I8", asked == held, _place(entry), f"its claims are {asked}, the old ones were {held}")
    numbers = history.projects[facts["project"]].parcels
    report.expect(
        "I8", facts["number"] not in numbers, _place(entry), f"number {facts['number']} is another parcel's"
    )


def _superseded(history: History, entry: Entry, report: Report) -> None:
    """I8: an approved succession names the parcel, and its running claims end with it."""
    facts: dict[str, Any] = entry.facts
    told = history.successions.get(facts["succession"])
    named = told is not None and entry.subject in {parcel for parcel, _, _ in told.predecessors}
    if told is None or not named or told.status != "approved":
        report.find("I8", _place(entry), "no approved succession supersedes it")
        return
    running = {name for name in history.claims_of[entry.subject] if history.claims[name].ended_index is None}
    ended = {step.subject for step in entry.steps if step.machine == "claim"}
    report.expect(
        "I8", ended == running, _place(entry), f"it ends the claims {sorted(ended)}; {sorted(running)} run"
    )
    report.expect(
        "I8", facts["ended_on"] == told.from_on, _place(entry),
        f"its claims end on {facts['ended_on']}, the successors begin on {told.from_on}",
    )  # fmt: skip


def _succeeded(history: History, entry: Entry, report: Report) -> None:
    """I8: the successor is the one that was approved, after all of its predecessors were superseded."""
    facts: dict[str, Any] = entry.facts
    told = history.successions.get(facts["succession"])
    if told is None or told.status != "approved":
        report.find("I8", _place(entry), "it follows no approved succession")
        return
    same = (entry.subject, facts["area_cm2"]) in told.successors
    said = (facts["organisation"], facts["kind"], facts["from_on"])
    report.expect(
        "I8", same and said == (told.organisation, told.kind, told.from_on), _place(entry),
        "it is not the successor that was approved",
    )  # fmt: skip
    inherited = [[old, cm2, ppm] for old, new, cm2, ppm in told.parts if new == entry.subject]
    report.expect(
        "I7", facts["predecessors"] == inherited, _place(entry), "its parts are not the approved ones"
    )
    left = [parcel for parcel, _, _ in told.predecessors if history.land[parcel].state != "superseded"]
    report.expect("I8", not left, _place(entry), f"{left} are not superseded")


# ---- successions -------------------------------------------------------------------------------------------


def _approved(history: History, entry: Entry, report: Report) -> None:
    """I7 and I8 of an approval: what was proposed, of parcels that can be succeeded, whose areas and parts
    add up, from a day that no monitoring period holds.
    """
    proposed, told = history.successions[entry.subject], told_succession(entry.facts)
    where = _place(entry)
    report.expect("I8", _same(proposed, told), where, "it is not what was proposed")
    for parcel, version, area_cm2 in told.predecessors:
        land = history.land[parcel]
        fit = land.state in ("eligible", "enrolled") and land.version == version
        report.expect("I8", fit, where, f"{parcel} is {land.state} in version {land.version}")
        owned = history.owners[parcel] == told.organisation
        report.expect("I9", owned, where, f"{parcel} is not the land of {told.organisation}")
        known = history.areas_cm2[parcel, version]
        report.expect("I7", area_cm2 == known, where, f"{parcel} has {known} cm2, not {area_cm2}")
    fault = _areas_fault(told, entry.facts, history.programmes[told.programme])
    report.expect("I7", fault is None, where, fault)
    for parcel, total in _shares(told):
        report.expect("I7", total == MILLION, where, f"the shares of {parcel} add up to {total} ppm")
    if told.project is not None:
        _check_day(history, told.project, told.from_on, where, report)


def _same(proposed: ToldSuccession, told: ToldSuccession) -> bool:
    """Whether an approval is of what was proposed. A tenure renewed in between changes a version only."""
    return (
        proposed.organisation == told.organisation
        and (proposed.kind, proposed.programme, proposed.project, proposed.from_on)
        == (told.kind, told.programme, told.project, told.from_on)
        and [(parcel, cm2) for parcel, _, cm2 in proposed.predecessors]
        == [(parcel, cm2) for parcel, _, cm2 in told.predecessors]
        and proposed.successors == told.successors
        and proposed.parts == told.parts
    )


def _areas_fault(told: ToldSuccession, facts: Mapping[str, Any], terms: Terms) -> str | None:
    """Why the areas do not reconcile, or None."""
    old = sum(cm2 for _, _, cm2 in told.predecessors)
    new = sum(cm2 for _, cm2 in told.successors)
    if told.kind == "boundary":
        due = old + facts["added_cm2"] - facts["lost_cm2"]
        fits = abs(new - due) <= terms.overlap_ignored_cm2
        return None if fits else f"{new} cm2 are stated, the old outline and its changes give {due}"
    most = max(terms.overlap_ignored_cm2, old * terms.sliver_share_ppm // MILLION)
    return None if abs(new - old) <= most else f"{new} cm2 follow {old} cm2; {most} cm2 are tolerated"


def _shares(told: ToldSuccession) -> Iterator[tuple[str, int]]:
    """Each predecessor's shares, added up; a negative one spoils the sum."""
    for parcel, _, _ in told.predecessors:
        shares = [ppm for old, _, _, ppm in told.parts if old == parcel]
        yield parcel, sum(shares) if min(shares, default=-1) >= 0 else -1


def _check_day(history: History, project: str, from_on: str, where: str, report: Report) -> None:
    """I8: no living monitoring period has the day inside it, and no measured one ends after it."""
    for name, period in history.periods.items():
        if period.project != project or period.status in DEAD_PERIODS:
            continue
        inside = period.from_on < from_on < period.to_on
        measured = period.status != "open" and from_on < period.to_on
        report.expect("I8", not inside and not measured, where, f"the period {name} holds {from_on}")


# ---- projects and issuances --------------------------------------------------------------------------------


def _joined(history: History, entry: Entry, report: Report) -> None:
    """I8: a parcel joins from a day that is not over and lies in no period, to the crediting's end, under
    a number that nobody had.
    """
    facts: dict[str, Any] = entry.facts
    project, from_on = history.projects[entry.subject], facts["from_on"]
    today = (datetime.fromtimestamp(entry.at_ms / 1000, UTC) + CHINA_HOURS).date().isoformat()
    ends = [
        period.to_on
        for period in history.periods.values()
        if period.project == entry.subject and period.status not in DEAD_PERIODS
    ]
    earliest = max([today, *ends])
    report.expect(
        "I8", earliest <= from_on, _place(entry), f"it joins on {from_on}, the earliest is {earliest}"
    )
    report.expect(
        "I8", facts["to_on"] == project.crediting_to, _place(entry), "its claims outlast the crediting period"
    )
    taken = facts["number"] in project.parcels or facts["number"] in project.joining
    report.expect("I8", not taken, _place(entry), f"number {facts['number']} is another parcel's")


def _credited(history: History, entry: Entry, report: Report) -> None:
    """I7 and I8 of an issuance: every parcel that gets units has claims of the project over the whole period
    in each pool, and is not suspended.
    """
    facts: dict[str, Any] = entry.facts
    project, period = history.projects.get(facts["project"]), history.periods.get(facts["period"])
    if project is None or period is None:
        return  # which is found where its basis is judged
    for number, units in sorted(credited_units(facts).items()):
        if not units or number not in project.parcels:
            continue  # a number that the project has not is found where the homes are judged
        parcel, _ = project.parcels[number]
        claims = [history.claims[name] for name in history.claims_of.get(parcel, ())]
        for pool in facts["pools"].split(","):
            held = any(
                _holds(claim, facts["project"], pool, period.from_on, period.to_on) for claim in claims
            )
            report.expect(
                "I7", held, f"{_place(entry)} parcel {number}", f"no claim on its {pool} covers the period"
            )
        land = history.land.get(parcel)
        report.expect(
            "I8", land is None or land.state != "suspended", f"{_place(entry)} parcel {number}",
            "units are issued for it while it is suspended",
        )  # fmt: skip


def _holds(claim: ToldClaim, project: str, pool: str, from_on: str, to_on: str) -> bool:
    end = claim.to_on if claim.ended_on is None else claim.ended_on
    return (claim.project, claim.pool) == (project, pool) and claim.from_on <= from_on and to_on <= end


JUDGED: Final[Mapping[tuple[str, str], Callable[[History, Entry, Report], None]]] = {
    ("parcel", "reinstate_eligible"): _reinstated,
    ("parcel", "reinstate_enrolled"): _reinstated,
    ("parcel", "renew_tenure"): _renewed,
    ("parcel", "enrol"): _enrolled,
    ("parcel", "supersede"): _superseded,
    ("parcel", "succeed"): _succeeded,
    ("succession", "approve"): _approved,
    ("project", "add_parcel"): _joined,
    ("issuance", "approve"): _credited,
}
"""Every act that is judged here."""
