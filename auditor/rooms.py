"""The rules of the later rooms as one checker: each entry is judged by what was told before it, then
followed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from auditor.books import Books
from auditor.carbon import judge_issuance, judge_reviews, judge_sources, judge_statement
from auditor.effects import Contradiction
from auditor.entries import Entry
from auditor.evidence import judge_evidence
from auditor.findings import Report
from auditor.history import History
from auditor.land import judge_land
from auditor.outside import judge_outside
from auditor.promises import judge_options
from auditor.splits import judge_money
from ledger.errors import LedgerRefusal
from registry.errors import RegistryRefusal

Judge = Callable[[History, Entry, Books, Report], None]

JUDGES: Final[Mapping[Judge, str]] = {
    judge_reviews: "I9",
    judge_statement: "I5",
    judge_issuance: "I5",
    judge_sources: "I5",
    judge_options: "I10",
    judge_money: "I11",
    judge_land: "I8",
    judge_outside: "I9",
    judge_evidence: "I9",
}
"""Every judge, and the check that fails when the facts it needs are missing or of another shape."""

OF_MACHINES: Final[Mapping[Judge, frozenset[str]]] = {
    judge_reviews: frozenset({"parcel", "project"}),
    judge_statement: frozenset({"statement"}),
    judge_issuance: frozenset({"issuance"}),
    judge_options: frozenset({"option", "issuance"}),
    judge_land: frozenset({"parcel", "project", "succession", "issuance"}),
    judge_outside: frozenset({"outside_claim"}),
    judge_evidence: frozenset({"evidence"}),
}
"""Judges that look at entries of these machines, and at entries that take several steps."""

UNREADABLE: Final = (
    KeyError, TypeError, ValueError, AttributeError, RegistryRefusal, LedgerRefusal, Contradiction
)  # fmt: skip


@dataclass(slots=True)
class Rooms:
    """I5 to I7, I10, I11, and what I8 and I9 say about units, verifiers and payers. `history` is what the log
    told.
    """

    judges: Mapping[Judge, str] = field(default_factory=lambda: JUDGES)
    history: History = field(default_factory=History)
    _by_machine: dict[str, list[tuple[Judge, str]]] = field(default_factory=dict)

    def see(self, entry: Entry, books: Books, report: Report) -> None:
        history = self.history
        for judge, check in self._judges_of(entry):
            try:
                judge(history, entry, books, report)
            except UNREADABLE as fault:
                _unreadable(entry, check, fault, report)
        try:
            history.follow(entry)
        except UNREADABLE as fault:
            _unreadable(entry, "L3", fault, report)

    def _judges_of(self, entry: Entry) -> list[tuple[Judge, str]]:
        if len(entry.steps) > 1:
            return list(self.judges.items())
        found = self._by_machine.get(entry.machine)
        if found is None:
            found = [
                (judge, check)
                for judge, check in self.judges.items()
                if judge not in OF_MACHINES or entry.machine in OF_MACHINES[judge]
            ]
            self._by_machine[entry.machine] = found
        return found


def _unreadable(entry: Entry, check: str, fault: Exception, report: Report) -> None:
    report.find(
        check,
        f"entry {entry.index} {entry.machine} {entry.action}",
        f"its facts do not fit what came before: {type(fault).__name__}: {fault}",
    )
