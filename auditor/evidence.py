"""Evidence, by who filed it: I9.

A file beside a parcel is what a review rests on. Its owner, its operator, whoever reviews it and the registry
add one, each under its own name.
"""

from auditor.books import Books
from auditor.entries import Entry
from auditor.findings import Report
from auditor.history import History
from registry.machine import Role


def judge_evidence(history: History, entry: Entry, _books: Books, report: Report) -> None:
    """I9: whose parcel it is filed with, and in whose name."""
    if entry.machine != "evidence":
        return
    where = f"entry {entry.index} evidence {entry.subject}"
    facts, actor = entry.facts, history.organisation(entry)
    own = facts["organisation"] == actor
    report.expect("I9", own, where, "it names another organisation than its signer's")
    parcel = history.land[facts["parcel"]]
    if entry.role == Role.REGISTRY_ADMIN.value:
        return
    operator = history.operators.get((facts["parcel"], parcel.version))
    parties = {history.owners[facts["parcel"]], operator, parcel.reviewer} - {None, ""}
    report.expect("I9", actor in parties, where, "it is filed with a parcel that is not its signer's")
