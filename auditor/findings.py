"""What an audit says: for every check how often it was made, and where it failed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

CHECKS: Final = {
    "L1": "the checkpoint is signed by the log's key and its root is that of the entries",
    "L2": "every tile and entry bundle is the one the entries give",
    "L3": "every entry is canonical, signed by registered keys, and follows from the log before it",
    "I1": "per batch: issued = held + locked + buffer + retired + cancelled, at every size",
    "I2": "unit numbers of a project run on without gap or overlap, and are never used again",
    "I3": "every range counts end - start + 1 units, whole and at least one",
    "I4": "no ground, period and pool is claimed twice",
    "I5": "verified kilograms = units issued and the change of the residue; the residue is less than a unit",
    "I6": "the buffer is at least the programme's share, rounded up",
    "I7": "every unit has one home parcel, and parcels add up to the batch",
    "I8": "every step is of its machine's table and leaves the state the log implies",
    "I9": "every step has the role, mandate and signatures it needs",
    "I10": "options are covered, and no more is delivered than was contracted and issued",
    "I11": "money balances in every entry, splits add up to the sale, no account is overdrawn",
    "I12": "every checkpoint extends the one before it",
    "I13": "the tables are what the log implies",
    "I14": "certificates say what the log says",
    "I15": "a request id is in the log once",
    "C1": "names, outlines and documents open their commitments; areas are the outlines'",
}

NEED_MORE_THAN_THE_LOG: Final = ("I4", "I13", "I14", "C1")
"""Checks that also need the database and the certificates."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction: which check, where, and what was seen."""

    check: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.check} {self.where}: {self.what}"

    def to_json(self) -> dict[str, str]:
        return {"check": self.check, "where": self.where, "what": self.what}


@dataclass(slots=True)
class Report:
    """The outcome of an audit. `made` counts checks; a check that was not made is not passed either."""

    size: int = 0
    behind: bool = False
    """The database had committed more than was published."""
    made: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: list[Finding] = field(default_factory=list)
    """What could not be checked, and is no contradiction: an erased outline, a certificate not written."""

    @property
    def passed(self) -> bool:
        return not self.findings

    def count(self, check: str, times: int = 1) -> None:
        self.made[check] = self.made.get(check, 0) + times

    def find(self, check: str, where: str, what: object) -> None:
        self.findings.append(Finding(check, where, str(what)))

    def note(self, check: str, where: str, what: str) -> None:
        self.notes.append(Finding(check, where, what))

    def expect(self, check: str, condition: bool, where: str, what: object) -> None:
        """Count a check, and keep a finding when it does not hold."""
        self.count(check)
        if not condition:
            self.find(check, where, what)

    def lines(self) -> Iterator[tuple[str, str, int, str]]:
        """For each check: id, what it says, how often it was made, and `ok`, `FAILED` or why it was not
        made.
        """
        failed = {finding.check for finding in self.findings}
        for check, meaning in CHECKS.items():
            made = self.made.get(check, 0)
            verdict = (
                "FAILED" if check in failed else "ok" if made else self.skipped.get(check, "nothing to check")
            )
            yield check, meaning, made, verdict

    def to_json(self) -> dict[str, Any]:
        """For programs: `checks` is the table, `findings` and `notes` as they are printed."""
        return {
            "passed": self.passed,
            "size": self.size,
            "checks": [
                {"check": check, "meaning": meaning, "made": made, "verdict": verdict}
                for check, meaning, made, verdict in self.lines()
            ],
            "findings": [finding.to_json() for finding in self.findings],
            "notes": [note.to_json() for note in self.notes],
        }
