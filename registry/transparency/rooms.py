"""The rules of the later rooms as one checker: each entry is judged by what was told before it, then
followed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ledger.errors import LedgerRefusal
from ledger.replay import Entry, LedgerState
from registry.errors import RegistryRefusal
from registry.transparency.carbon import judge_issuance, judge_reviews, judge_sources, judge_statement
from registry.transparency.findings import Report
from registry.transparency.history import History
from registry.transparency.promises import judge_options
from registry.transparency.splits import judge_money

Judge = Callable[[History, Entry, LedgerState, Report], None]

JUDGES: Final[Mapping[Judge, str]] = {
    judge_reviews: "I9",
    judge_statement: "I5",
    judge_issuance: "I5",
    judge_sources: "I5",
    judge_options: "I10",
    judge_money: "I11",
}
"""Every judge, and the check that fails when the facts it needs are missing or of another shape."""

UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, RegistryRefusal, LedgerRefusal)


@dataclass(slots=True)
class Rooms:
    """I5 to I7, I10, I11, and what I8 and I9 say about units, verifiers and payers. `history` is what the log
    told.
    """

    judges: Mapping[Judge, str] = field(default_factory=lambda: JUDGES)
    history: History = field(default_factory=History)

    def see(self, entry: Entry, state: LedgerState, report: Report) -> None:
        for judge, check in self.judges.items():
            try:
                judge(self.history, entry, state, report)
            except UNREADABLE as fault:
                _unreadable(entry, check, fault, report)
        try:
            self.history.follow(entry)
        except UNREADABLE as fault:
            _unreadable(entry, "L3", fault, report)

    def finish(self, state: LedgerState, report: Report) -> None:
        pass


def _unreadable(entry: Entry, check: str, fault: Exception, report: Report) -> None:
    payload = entry.payload
    report.find(
        check,
        f"entry {entry.index} {payload.machine} {payload.action}",
        f"its facts do not fit what came before: {type(fault).__name__}: {fault}",
    )
