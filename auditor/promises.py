"""Options held against the estimates that cover them and the units that fulfil them: I10.

From the entries alone: what was promised at each activation is counted again, what an issuance delivers is
shared out again, and what is delivered must be units of the vintage that this entry makes or hands over.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from auditor.books import Books
from auditor.effects import OpenBlock, Pend, Post, Transition
from auditor.entries import Entry
from auditor.findings import Report
from auditor.history import History, ToldOption, issued_batches
from registry.apportion import largest_remainder
from registry.issuance.plan import days_by_year
from registry.issuance.rules import LOCK_OPTION
from registry.market.contracts import Wish, cover_units, share_out
from registry.market.rules import RUNNING
from registry.programmes.rules import units_account
from registry.projects.rules import civil_date

CAUSED = ("deliver", "deliver_part", "set_aside")
"""Steps of an option that only an approved issuance takes."""
NOT_EXPECTED = ("issued", "rejected", "voided")
"""States of a period whose estimate covers no promise any more."""


def judge_options(history: History, entry: Entry, books: Books, report: Report) -> None:
    """I10 of every entry that takes a step of an option, and of every approved issuance."""
    match entry.machine, entry.action:
        case "option", "activate":
            _check_activation(history, entry, report)
        case "option", "take" | "take_part":
            _check_take(history, entry, books, report)
        case "option", "close_short":
            _check_closing(history, entry, report)
    delivers = (entry.machine, entry.action) == ("issuance", "approve")
    if delivers:
        _check_deliveries(history, entry, report)
    for option, _ in caused_steps(entry):
        report.expect(
            "I10", delivers, f"entry {entry.index} option {option}", "it is delivered outside an issuance"
        )


def caused_steps(entry: Entry) -> Iterator[tuple[str, str]]:
    """(option, action) for every delivery step the entry takes, its own included."""
    if entry.machine == "option" and entry.action in CAUSED:
        yield entry.subject, entry.action
    for effect in entry.effects:
        if isinstance(effect, Transition) and effect.machine == "option" and effect.action in CAUSED:
            yield effect.subject, effect.action


# ---- promised ----------------------------------------------------------------------------------------------


def _check_activation(history: History, entry: Entry, report: Report) -> None:
    facts: dict[str, Any] = entry.facts
    option = history.options[entry.subject]
    where = f"entry {entry.index} option {entry.subject}"
    others = [
        other.undelivered
        for name, other in history.options.items()
        if name != entry.subject
        and (other.project, other.vintage) == (option.project, option.vintage)
        and other.status in RUNNING
    ]
    promised, cover = option.units + sum(others), covered_units(history, option.project, option.vintage)
    stated = (facts["promised_units"], facts["cover_units"])
    report.expect(
        "I10", promised <= cover, where, f"{promised} units are promised, the estimate covers {cover}"
    )
    report.expect(
        "I10", stated == (promised, cover), where,
        f"it states {stated[0]} promised of {stated[1]}; the log gives {promised} of {cover}",
    )  # fmt: skip


def covered_units(history: History, project: str, vintage: int) -> int:
    """Units of a year that may be promised on the estimates of periods that are not issued yet."""
    terms = history.terms(project)
    expected = 0
    for period in history.periods.values():
        if period.project != project or period.run is None or period.status in NOT_EXPECTED:
            continue
        days = days_by_year(date.fromisoformat(period.from_on), date.fromisoformat(period.to_on))
        _, estimate_kg = history.runs[period.run]
        units = largest_remainder(max(0, estimate_kg) // terms.unit_kg, list(days.values()))
        expected += dict(zip(days, units, strict=True)).get(vintage, 0)
    buffer_ppm = terms.buffer_ppm if terms.risk_mode == "buffer" else 0
    return cover_units(expected, buffer_ppm, terms.option_cover_ppm)


# ---- delivered ---------------------------------------------------------------------------------------------


def _check_deliveries(history: History, entry: Entry, report: Report) -> None:
    facts: dict[str, Any] = entry.facts
    lines: list[dict[str, Any]] = facts["deliveries"]
    where = f"entry {entry.index} issuance {entry.subject}"
    steps = dict(caused_steps(entry))
    told = [line["option"] for line in lines]
    report.expect(
        "I10", sorted(steps) == sorted(told), where, f"it delivers {sorted(steps)} and states {sorted(told)}"
    )
    shared = _shared_out(history, entry)
    stated = {line["option"]: line["units"] for line in lines}
    report.expect("I10", shared == stated, where, f"it delivers {stated}; shared out are {shared}")
    for line in lines:
        at = f"{where} option {line['option']}"
        option = history.options.get(line["option"])
        report.expect("I10", option is not None, at, "there is no such option")
        if option is not None:
            fault = _delivery_fault(history, option, line, facts["project"], steps.get(line["option"]))
            report.expect("I10", fault is None, at, fault)
    _check_receivers(history, entry, lines, report)


def _delivery_fault(
    history: History, option: ToldOption, line: Mapping[str, Any], project: str, action: str | None
) -> str | None:
    """Why a line is not a delivery of this option, or None."""
    units: int = line["units"]
    if option.status not in RUNNING:
        return f"the option is {option.status}"
    if (option.project, option.vintage) != (project, line["vintage"]):
        return f"it is an option on {option.vintage} of {option.project}"
    if not 1 <= units <= option.undelivered:
        return f"{units} units are delivered; {option.undelivered} are owed"
    wanted = "set_aside" if line["pending"] else "deliver" if units == option.undelivered else "deliver_part"
    return None if action == wanted else f"the step is {action}; {wanted} fits"


def _shared_out(history: History, entry: Entry) -> dict[str, int]:
    """What each running option gets of what the issuance makes, by the rule."""
    facts: dict[str, Any] = entry.facts
    today = civil_date(datetime.fromtimestamp(entry.at_ms / 1000, UTC)).isoformat()
    shared: dict[str, int] = {}
    for batch in issued_batches(facts):
        wishes = [
            Wish(name, option.undelivered, option.accepted_index)
            for name, option in history.options.items()
            if (option.project, option.vintage) == (facts["project"], batch.vintage)
            and option.status in RUNNING
            and option.window_to >= today
        ]
        shared |= {name: units for name, units in share_out(batch.project_units, wishes).items() if units}
    return shared


def _check_receivers(history: History, entry: Entry, lines: list[dict[str, Any]], report: Report) -> None:
    """That the blocks of the vintage are in the buyer's account, or set aside for this option."""
    facts: dict[str, Any] = entry.facts
    programme = history.projects[facts["project"]].programme
    opened = {effect.block: effect for effect in entry.effects if isinstance(effect, OpenBlock)}
    locks = {effect.pending: effect for effect in entry.effects if isinstance(effect, Pend)}
    due: dict[tuple[str, str], int] = defaultdict(int)
    for line in lines:
        batch = f"{entry.subject}.{line['vintage']}"
        if line["pending"]:
            lock = locks.get(line["pending"])
            fits = lock is not None and (lock.lock, lock.ref) == (LOCK_OPTION, line["option"])
            held = [opened[name] for name in lock.blocks if name in opened] if lock is not None else []
            units = sum(block.units.count for block in held if block.batch == batch)
            report.expect(
                "I10", fits and units == line["units"], f"entry {entry.index} option {line['option']}",
                f"{line['units']} units of {line['vintage']} are stated, {units} are set aside",
            )  # fmt: skip
        elif (option := history.options.get(line["option"])) is not None:
            due[units_account(option.buyer, programme), batch] += line["units"]
    for (account, batch), units in due.items():
        made = sum(
            block.units.count for block in opened.values() if (block.account, block.batch) == (account, batch)
        )
        report.expect(
            "I10", made == units, f"entry {entry.index} {account}",
            f"{units} units of batch {batch} are delivered, {made} are made there",
        )  # fmt: skip


def _check_take(history: History, entry: Entry, books: Books, report: Report) -> None:
    """Units that were set aside go to the buyer: those units, and all of them."""
    facts: dict[str, Any] = entry.facts
    option = history.options[entry.subject]
    where = f"entry {entry.index} option {entry.subject}"
    account = units_account(option.buyer, history.projects[option.project].programme)
    posts = [e for e in entry.effects if isinstance(e, Post) and e.pending == option.pending]
    moved = [books.block(move.block) for post in posts for move in post.moves if move.to == account]
    of_vintage = sum(
        block.units.count
        for block in moved
        if (told := history.batches.get(block.batch)) is not None
        and (told.project, told.plan.vintage) == (option.project, option.vintage)
    )
    report.expect(
        "I10", of_vintage == facts["units"] == option.set_aside, where,
        f"{option.set_aside} units were set aside, {facts['units']} are stated, {of_vintage} are handed over",
    )  # fmt: skip
    whole = entry.action == "take"
    report.expect(
        "I10", whole == (option.undelivered == 0), where, f"{option.undelivered} units are still owed"
    )


def _check_closing(history: History, entry: Entry, report: Report) -> None:
    facts: dict[str, Any] = entry.facts
    owed = history.options[entry.subject].undelivered
    report.expect(
        "I10", facts["missing_units"] == owed, f"entry {entry.index} option {entry.subject}",
        f"{facts['missing_units']} units are called missing; {owed} are owed",
    )  # fmt: skip
