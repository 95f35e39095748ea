"""Issuances held against what was verified: I5, I6, I7, and I9 where it is about who verifies.

From the entries alone. Every approved issuance is planned again from the verifier's statement, the
programme's terms and what was issued before; then the blocks the entry opens must be those of the plan. No
other act makes units, changes a residue, or takes units out of a buffer except to cancel them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from auditor.books import Books
from auditor.effects import MergeBlocks, OpenBlock, Post, Transfer
from auditor.entries import Entry
from auditor.findings import Report
from auditor.history import (
    History,
    ToldPeriod,
    ToldProject,
    ToldStatement,
    credited_units,
    issued_batches,
)
from registry.apportion import MILLION, rounded_up
from registry.issuance.plan import BatchPlan, plan_issuance
from registry.programmes.rules import Terms, buffer_account, residue_account

UNIT_ACTS: Final = frozenset(
    {
        ("option", "take"),
        ("option", "take_part"),
        ("trade", "buy"),
        ("subscription", "fulfil"),
        ("retirement", "retire"),
    }
)
"""Acts that hand issued units to another account."""
GUARDED: Final = ("residue:", "buffer:", "retired:")
"""Accounts that only certain acts may change."""


@dataclass(frozen=True, slots=True)
class Case:
    """One approved issuance, and what was said before it."""

    index: int
    issuance: str
    facts: Mapping[str, Any]
    opened: Sequence[OpenBlock]
    project: ToldProject
    period: ToldPeriod
    statement: ToldStatement
    terms: Terms

    @property
    def where(self) -> str:
        return f"entry {self.index} issuance {self.issuance}"

    @property
    def buffer_ppm(self) -> int:
        return self.terms.buffer_ppm if self.terms.risk_mode == "buffer" else 0


def judge_issuance(history: History, entry: Entry, books: Books, report: Report) -> None:
    """I5, I6, I7 and I9 of an approved issuance."""
    if (entry.machine, entry.action) != ("issuance", "approve"):
        return
    case = _case(history, entry, report)
    if case is None:
        return
    _check_basis(history, case, report)
    _check_quantity(history, case, books, report)
    _check_buffer(case, report)
    _check_homes(history, case, report)
    _check_plan(history, case, report)


def _case(history: History, entry: Entry, report: Report) -> Case | None:
    facts: dict[str, Any] = entry.facts
    statement = history.statements.get(facts["statement"])
    period = history.periods.get(facts["period"])
    project = history.projects.get(facts["project"])
    report.count("I5")
    if statement is None or period is None or project is None:
        where = f"entry {entry.index} issuance {entry.subject}"
        report.find("I5", where, "no verifier's statement on this period and project came before it")
        return None
    return Case(
        index=entry.index,
        issuance=entry.subject,
        facts=facts,
        opened=[effect for effect in entry.effects if isinstance(effect, OpenBlock)],
        project=project,
        period=period,
        statement=statement,
        terms=history.programmes[project.programme],
    )


def _check_basis(history: History, case: Case, report: Report) -> None:
    """That the statement is of this period, was not issued before, and its signer has no stake in it."""
    facts = case.facts
    same = case.statement.period == facts["period"] and case.period.project == facts["project"]
    report.expect(
        "I5", same and case.period.pools == facts["pools"], case.where, "its statement is of another period"
    )
    key = (facts["project"], facts["period"], facts["pools"])
    before = history.issued.get(key) or history.issued_statements.get(facts["statement"])
    report.expect("I5", before is None, case.where, f"the period was issued before, by {before}")
    proposer = history.proposals.get(case.issuance)
    report.expect(
        "I9",
        proposer is not None and proposer != case.statement.verifier,
        case.where,
        f"it was proposed by {proposer or 'nobody'}, who verified it",
    )


def _check_quantity(history: History, case: Case, books: Books, report: Report) -> None:
    """I5: the equation, and the residue as facts, as carried over, and as in the books."""
    facts, unit_kg = case.facts, case.terms.unit_kg
    verified, units = facts["verified_kg"], facts["units"]
    before, after = facts["residue_before_kg"], facts["residue_after_kg"]
    carried = history.residue_kg.get(facts["project"], 0)
    account = books.accounts.get(residue_account(facts["project"]))
    booked = account.balance if account is not None else 0
    opened = sum(block.units.count for block in case.opened if block.series == facts["project"])
    for holds, what in (
        (verified == case.statement.verified_kg, f"{verified} kg; signed were {case.statement.verified_kg}"),
        (facts["unit_kg"] == unit_kg, f"a unit of {facts['unit_kg']} kg; the programme's is {unit_kg}"),
        (
            verified == unit_kg * units + after - before,
            f"{verified} kg are not {unit_kg} x {units} units + {after} - {before} kg of residue",
        ),
        (0 <= after < unit_kg, f"a residue of {after} kg"),
        (before == carried, f"it begins with a residue of {before} kg; {carried} were left"),
        (after == booked, f"it leaves a residue of {after} kg; the books hold {booked}"),
        (
            units == opened == sum(block.units.count for block in case.opened),
            f"{units} units are stated, {opened} made",
        ),
    ):
        report.expect("I5", holds, case.where, what)


def _check_buffer(case: Case, report: Report) -> None:
    """I6: the share of the terms, rounded up, and in the buffer's account."""
    facts = case.facts
    least = rounded_up(facts["units"] * case.buffer_ppm, MILLION)
    account = buffer_account(facts["project"])
    withheld = sum(block.units.count for block in case.opened if block.account == account)
    report.expect(
        "I6",
        withheld >= least,
        case.where,
        f"{withheld} of {facts['units']} units are in the buffer; {least} are due",
    )
    stated = facts["buffer_units"]
    report.expect(
        "I6", stated == withheld, case.where, f"a buffer of {stated} is stated, {withheld} are in it"
    )


def _check_homes(history: History, case: Case, report: Report) -> None:
    """I7: batches run on, and in each of them the home ranges are a partition that the blocks keep to."""
    facts = case.facts
    project: str = facts["project"]
    parcels: list[int] = facts["parcels"]
    number, last = history.last_batch.get(project, 0), history.last_number.get(project, 0)
    report.expect(
        "I7", set(parcels) <= set(case.project.parcels) and len(set(parcels)) == len(parcels), case.where,
        "it names parcels that the project has not",
    )  # fmt: skip
    names = set()
    for batch in issued_batches(dict(facts)):
        number, first = number + 1, last + 1
        last = batch.units.end
        name = f"{case.issuance}.{batch.vintage}"
        names.add(name)
        where = f"{case.where} batch {batch.number}"
        runs_on = (batch.number, batch.units.start) == (number, first)
        report.expect("I7", runs_on, where, f"batch {number} would begin at unit {first}")
        report.expect(
            "I7", _partitioned(batch, parcels), where, "its home parcels do not add up to its units"
        )
        fault = _blocks_fault(batch, [block for block in case.opened if block.batch == name], project)
        report.expect("I7", fault is None, where, fault)
    strange = sorted({block.batch for block in case.opened} - names)
    report.expect("I7", not strange, case.where, f"blocks of unknown batches {strange}")


def _partitioned(batch: BatchPlan, parcels: Sequence[int]) -> bool:
    counts = (*batch.homes, *batch.buffer_homes)
    if not len(batch.homes) == len(batch.buffer_homes) == len(parcels) or min(counts, default=0) < 0:
        return False
    if sum(counts) != batch.units.count:
        return False
    return batch.units.partitioned_by([part.units for part in batch.home_parts(parcels)])


def _blocks_fault(batch: BatchPlan, blocks: Sequence[OpenBlock], project: str) -> str | None:
    """Why the opened blocks are not the batch, or None."""
    if not batch.units.partitioned_by([block.units for block in blocks]):
        return "its blocks are not its units"
    kept = [block.units for block in blocks if block.account == buffer_account(project)]
    if batch.buffer_range is None:
        return "units without a buffer's home are in the buffer" if kept else None
    if not batch.buffer_range.partitioned_by(kept):
        return "the buffer's blocks are not the buffer's units"
    return None


def _check_plan(history: History, case: Case, report: Report) -> None:
    """I7: years and parcels get what their days and their verified kilograms give them."""
    facts = case.facts
    project: str = facts["project"]
    plan = plan_issuance(
        case.statement.parcels,
        date.fromisoformat(case.period.from_on),
        date.fromisoformat(case.period.to_on),
        total_kg=case.statement.verified_kg,
        unit_kg=case.terms.unit_kg,
        buffer_ppm=case.buffer_ppm,
        residue_kg=history.residue_kg.get(project, 0),
        last_number=history.last_number.get(project, 0),
        last_batch=history.last_batch.get(project, 0),
    )
    stated = credited_units(dict(facts))
    for parcel, units in plan.parcel_units.items():
        report.expect(
            "I7", stated[parcel] == units, f"{case.where} parcel {parcel}",
            f"{stated[parcel]} units; its verified kilograms give {units}",
        )  # fmt: skip
    planned = plan.facts()
    same = planned["batches"] == facts["batches"] and planned["parcels"] == facts["parcels"]
    report.expect("I7", same, case.where, "years or home parcels are not those of the verified kilograms")


# ---- statements --------------------------------------------------------------------------------------------


def judge_statement(history: History, entry: Entry, books: Books, report: Report) -> None:
    """I5 and I9 of a verifier's statement: its shares add up, and its signer is nobody of the project's."""
    if entry.machine != "statement":
        return
    facts: dict[str, Any] = entry.facts
    where = f"entry {entry.index} statement {entry.subject}"
    shares = [kg for _, kg in facts["parcels"]]
    report.expect(
        "I5", sum(shares) == facts["verified_kg"] and min(shares, default=0) >= 0, where,
        f"the parcels' {sum(shares)} kg are not the {facts['verified_kg']} kg that were signed",
    )  # fmt: skip
    period = history.periods[facts["period"]]
    report.expect(
        "I5", period.run == facts["run"], where, f"it is of run {facts['run']}; the period's is {period.run}"
    )
    signer = history.organisation(entry)
    report.expect("I9", facts["verifier"] == signer, where, f"{signer} signed for {facts['verifier']}")
    second = facts["second_verifier"]
    report.expect("I9", second != signer, where, f"{signer} is both verifiers")
    if second:
        others = set(entry.persons) - {entry.by}
        report.expect(
            "I9", bool(others & history.people_of(second)), where, f"nobody of {second} signed with {signer}"
        )
    for verifier in (signer, *((second,) if second else ())):
        stake = _stake(history, verifier, history.parties(period.project))
        report.expect("I9", stake is None, where, f"{verifier} is not independent: {stake}")


def judge_reviews(history: History, entry: Entry, books: Books, report: Report) -> None:
    """I9 of reviews: who accepts a parcel or validates a project has no stake in it."""
    facts: dict[str, Any] = entry.facts
    match entry.machine, entry.action:
        case "parcel", "accept":
            operator = history.operators[entry.subject, facts["version"]]
            parties = {history.owners[entry.subject], *((operator,) if operator else ())}
        case "project", "validate":
            parties = history.parties(entry.subject)
        case _:
            return
    reviewer = history.organisation(entry)
    stake = _stake(history, reviewer, parties)
    where = f"entry {entry.index} {entry.machine} {entry.subject}"
    report.expect("I9", stake is None, where, f"{reviewer} is not independent: {stake}")


def _stake(history: History, verifier: str, parties: set[str]) -> str | None:
    """Why a verifier is not independent of the parties, or None."""
    if verifier in parties:
        return "it is a party of the project"
    own = history.people_of(verifier)
    for party in sorted(parties):
        shared = own & history.people_of(party)
        if shared:
            return f"{min(shared)} also acts for {party}"
    return None


# ---- where units and residues may change -------------------------------------------------------------------


def judge_sources(history: History, entry: Entry, books: Books, report: Report) -> None:
    """I5, I6 and I8: units and residues come from issuances only, a buffer is only cancelled from, and units
    move only by acts that hand them over.
    """
    for effect in entry.effects:
        kind = type(effect)
        if kind is Transfer or kind is Post:
            _check_moves(effect, entry, report)  # type: ignore[arg-type]
        elif kind is OpenBlock:
            made = (entry.machine, entry.action) == ("issuance", "approve")
            report.expect("I5", made, _place(entry), "it makes units, and is no issuance")
        elif kind is MergeBlocks:
            _check_merge(history, effect, entry, books, report)  # type: ignore[arg-type]


def _check_merge(history: History, effect: MergeBlocks, entry: Entry, books: Books, report: Report) -> None:
    """Blocks are merged by their holder, and by nothing else."""
    account = books.block(effect.block).account
    asked = (entry.machine, entry.action) == ("merge", "merge")
    report.expect("I8", asked, _place(entry), "it merges blocks, and nobody asked for that")
    holder = history.organisation(entry)
    own = account.startswith(f"units:{holder}:")
    report.expect("I9", own, _place(entry), f"{holder} merges blocks in {account}")


def _check_moves(effect: Transfer | Post, entry: Entry, report: Report) -> None:
    act = (entry.machine, entry.action)
    for account, _asset, amount in effect.postings:
        if not account.startswith(GUARDED):
            continue
        kind = account.split(":", 1)[0]
        if kind == "residue":
            report.expect(
                "I5", act == ("issuance", "approve"), _place(entry),
                f"it changes {account}, and is no issuance",
            )  # fmt: skip
        if kind == "buffer" and amount < 0:
            credited = {posting.account for posting in effect.postings if posting.amount > 0}
            cancelled = all(name.startswith("cancelled:") for name in credited)
            report.expect("I6", cancelled, _place(entry), f"units leave {account}, and are not cancelled")
        if kind == "retired":
            report.expect(
                "I8", act == ("retirement", "retire"), _place(entry), "it retires units, and is no retirement"
            )
    if effect.moves:
        report.expect("I8", act in UNIT_ACTS, _place(entry), "it moves units, and hands over none")


def _place(entry: Entry) -> str:
    return f"entry {entry.index} {entry.machine} {entry.action}"
