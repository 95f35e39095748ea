"""The log a second time: what every entry must be for the next one to follow from it (L3).

`Replay.see` takes the entries in order. It holds spelling, signatures, times, request ids, states and books
to the log before the entry, and then lets every checker look on. It answers None when the entry does not
follow; nothing after it can be judged then.
"""

from collections.abc import Callable, Mapping
from typing import Final

from auditor.authority import Authority
from auditor.books import Books
from auditor.digest import check_state
from auditor.effects import Contradiction
from auditor.entries import Entry, read_entry
from auditor.findings import Report
from auditor.history import History, no_recall
from auditor.holdings import Holdings
from auditor.register import Register
from auditor.rooms import JUDGES, Judge, Rooms
from auditor.signatures import Signatures
from auditor.spill import Spill
from ledger.errors import LedgerRefusal
from ledger.merkle import leaf_hash

Recall = Callable[[int], bytes]
"""The leaf of an earlier entry, already held to the log's root."""

KNOWN: Final = ""
PLAIN: Final = frozenset({"act", "genesis", "key.add"})
"""Types of entries that say nothing about other entries."""


class Replay:
    """Everything that the entries so far imply, and the checkers that looked on."""

    def __init__(
        self,
        report: Report,
        judges: Mapping[Judge, str] = JUDGES,
        recall: Recall = no_recall,
        threads: int = 1,
    ) -> None:
        self.report: Final = report
        self.register: Final = Register()
        self.books: Final = Books()
        self.authority: Final = Authority(self.register)
        self.holdings: Final = Holdings()
        self.rooms: Final = Rooms(judges, History(recall=recall))
        self.size = 0
        self.at_ms = 0
        self.signatures: Final = Signatures(threads)
        self._recall = recall
        self._seen = Spill()

    @property
    def history(self) -> History:
        return self.rooms.history

    def see(self, leaf: bytes) -> Entry | None:
        """Take the next entry; None, and a finding of L3, when it does not follow."""
        report, index = self.report, self.size
        report.count("L3")
        report.count("I15")
        try:
            entry = read_entry(index, leaf)
            firsts = self._follow(entry)
            self.authority.see(entry, firsts, self._persons(entry), report)
        except (Contradiction, LedgerRefusal) as fault:
            report.find("L3", f"entry {index}", fault)
            return None
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            report.find("L3", f"entry {index}", f"its facts are of another shape: {fault!r}")
            return None
        self.holdings.see(entry, self.books, report)
        self.rooms.see(entry, self.books, report)
        self.size = index + 1
        self.at_ms = entry.at_ms
        return entry

    def settle(self) -> bool:
        """Whether every signature so far is known to be good, after waiting for those under way."""
        fault = self.signatures.settle()
        if fault is not None:
            self.report.find("L3", f"entry {fault[0]}", fault[1])
        return fault is None

    def finish(self) -> None:
        """What holds at the end only."""
        self.holdings.finish(self.books, self.report)

    def close(self) -> None:
        self.signatures.close()
        self._seen.close()

    # -- one entry

    def _follow(self, entry: Entry) -> tuple[bool, ...]:
        self._check_place(entry)
        self.register.before(entry)
        self.register.check(entry, self.signatures)
        firsts = self._step(entry)
        self.register.after(entry)
        self.books.apply(entry.effects, entry.at_ms)
        if entry.type == "genesis":
            for keyid in self.register.keys:  # they are active without a step of theirs
                self._seen.put(f"key\n{keyid}".encode(), "active")
        if entry.type not in PLAIN:
            self._check_kind(entry)
        return firsts

    def _check_place(self, entry: Entry) -> None:
        if entry.at_ms < self.at_ms:
            raise Contradiction(f"time falls from {self.at_ms} to {entry.at_ms}")
        if (entry.type == "genesis") != (self.size == 0):
            raise Contradiction("genesis is the first entry and no other")
        if self.register.closed:
            raise Contradiction("the log was closed, and another follows it")
        request = entry.id.encode()
        if self._seen.get(request) is not None:
            self.report.find("I15", f"entry {entry.index}", f"request id {entry.id} came before")
            raise Contradiction(f"the request id {entry.id} is in the log already")
        self._seen.put(request, KNOWN)

    def _step(self, entry: Entry) -> tuple[bool, ...]:
        """Move the subjects on; answers for each step whether its subject is new."""
        seen, firsts = self._seen, []
        for machine, subject, action, before, after in entry.steps:
            key = f"{machine}\n{subject}".encode()
            actual = seen.get(key)
            if actual is not None and actual != before:
                raise Contradiction(
                    f"{machine} {subject} is {actual}, not {before}: the act {action} does not apply"
                )
            seen.put(key, after)
            firsts.append(actual is None)
        return tuple(firsts)

    def _persons(self, entry: Entry) -> dict[str, bool]:
        if entry.type not in ("key.add", "key.rotate"):
            return {}
        persons = [str(key["person"]) for key in entry.facts["keys"]]
        return {person: self._seen.get(f"person\n{person}".encode()) is not None for person in persons}

    def _check_kind(self, entry: Entry) -> None:
        """What entries of the later kinds say about the log before them."""
        quiet = not entry.effects and not entry.commitments
        match entry.type:
            case "state":
                check_state(entry, self.books)
            case "annotation":
                self._check_named(entry.index, entry.facts)
                quiet = not entry.effects and entry.subject == str(entry.facts["index"])
            case "correct":
                self._check_named(entry.index, entry.facts["corrects"])
                return
            case "erase":
                self._check_erased(entry)
            case _:
                return
        if not quiet:
            raise Contradiction(f"an entry of type {entry.type} does something, or is of another subject")

    def _check_named(self, index: int, named: Mapping[str, object]) -> None:
        before = named["index"]
        if named.keys() != {"index", "leaf"} or type(before) is not int or not 0 <= before < index:
            raise Contradiction("the entry that it names did not come before it")
        if leaf_hash(self._recall(before)).hex() != named["leaf"]:
            raise Contradiction(f"entry {before} has another leaf hash than is said")

    def _check_erased(self, entry: Entry) -> None:
        before, commitment = entry.facts["index"], entry.facts["commitment"]
        if entry.facts.keys() != {"commitment", "index"} or commitment != entry.subject:
            raise Contradiction("it does not name the commitment that was erased")
        if type(before) is not int or not 0 <= before < entry.index:
            raise Contradiction("the entry that it names did not come before it")
        if commitment not in read_entry(before, self._recall(before)).commitments.values():
            raise Contradiction(f"entry {before} has no such commitment")
