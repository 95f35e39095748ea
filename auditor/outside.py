"""Claims in outside registries, by who declared them: I9.

A declaration takes ground from everybody else here. A collective or an operator makes it of its own parcels,
whose outlines review has seen; only the registry draws other ground. What they hold is judged with the
outlines, where these are (`registry.transparency.land`).
"""

from auditor.books import Books
from auditor.entries import Entry
from auditor.findings import Report
from auditor.history import History
from registry.machine import Role


def judge_outside(history: History, entry: Entry, _books: Books, report: Report) -> None:
    """I9: whose ground it is declared of."""
    if entry.machine != "outside_claim" or entry.action != "declare":
        return
    where = f"entry {entry.index} outside_claim {entry.subject}"
    facts, actor = entry.facts, history.organisation(entry)
    own = facts["organisation"] == actor
    report.expect("I9", own, where, "it names another organisation than its signer's")
    if entry.role == Role.REGISTRY_ADMIN.value:
        return
    parcel, version = facts["parcel"], facts["version"]
    parties = {history.owners.get(parcel), history.operators.get((parcel, version))} - {None}
    report.expect("I9", actor in parties, where, "it is declared of ground that is not its signer's")
