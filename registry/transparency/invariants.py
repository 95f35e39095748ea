"""The rules that the log must keep, checked entry by entry while it is replayed.

Each checker sees every entry after the ledger accepted it. They need the entries only: no database, no
geometry.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

from ledger.books import Books
from ledger.effects import Limit, OpenBlock, Pend, Post, SplitBlock, Transfer, Void
from ledger.keys import keyid
from ledger.replay import Entry, LedgerState
from ledger.units import UnitRange
from registry.accounts.rules import may_give
from registry.acts import ROOT, SYSTEM
from registry.errors import RegistryRefusal
from registry.machine import Machine, Mandate, Role, Signer, Step, check_authority, check_carried
from registry.projections import steps_of
from registry.transparency.findings import Report


class Checker(Protocol):
    def see(self, entry: Entry, state: LedgerState, report: Report) -> None: ...

    def finish(self, state: LedgerState, report: Report) -> None: ...


@dataclass(slots=True)
class Steps:
    """I8 and I9: every step is in its machine's table, by somebody who may, with the signatures it needs."""

    machines: Mapping[str, Machine]
    mandates: dict[str, Mandate] = field(default_factory=dict)
    entered: set[tuple[str, str]] = field(default_factory=set)
    kinds: dict[str, str] = field(default_factory=dict)
    """What kind each organisation is, as its registration says."""

    def see(self, entry: Entry, state: LedgerState, report: Report) -> None:
        where = f"entry {entry.index}"
        signers = [self._signer(state.actor_key(s.keyid).person) for s in entry.envelope.signatures]
        for n, step in enumerate(steps_of(entry)):
            report.count("I8")
            machine = self.machines.get(step.machine)
            rule = machine.steps.get((step.before, step.action)) if machine else None
            if machine is None or rule is None or rule.after != step.after:
                report.find(
                    "I8", where, f"{step.machine} {step.action}: {step.before} to {step.after} is no step"
                )
                continue
            subject = (step.machine, step.subject)
            if subject not in self.entered and step.before != machine.initial:
                report.find("I8", where, f"{step.machine} {step.subject} begins at {step.before}")
            self.entered.add(subject)
            if n == 0:
                self._authority(entry, machine, signers, report)
            else:
                self._carried(where, machine, step.action, rule, signers, report)
        self._follow_mandates(entry, report)
        self._check_keys(entry, state, report)

    def _authority(self, entry: Entry, machine: Machine, signers: Sequence[Signer], report: Report) -> None:
        report.count("I9")
        payload = entry.payload
        rule = machine.steps[payload.before, payload.action]
        own = {mandate.id: mandate for mandate in (ROOT, SYSTEM)}
        by = own.get(payload.mandate) or self.mandates.get(payload.mandate)
        if by is None or by.role.value != payload.role:
            report.find(
                "I9", f"entry {entry.index}", f"there is no mandate {payload.mandate} as {payload.role}"
            )
            return
        try:
            check_authority(machine.name, payload.action, rule, by, payload.by, signers)
        except RegistryRefusal as refusal:
            report.find("I9", f"entry {entry.index}", refusal)

    def _carried(
        self,
        where: str,
        machine: Machine,
        action: str,
        rule: Step,
        signers: Sequence[Signer],
        report: Report,
    ) -> None:
        """A step that an entry causes is one that its signers may take."""
        report.count("I9")
        try:
            check_carried(machine.name, action, rule, signers)
        except RegistryRefusal as refusal:
            report.find("I9", f"{where} causes {machine.name} {action}", refusal)

    def _signer(self, person: str) -> Signer:
        own = tuple(m for m in (ROOT, SYSTEM) if m.person == person)
        return Signer(person, own or tuple(m for m in self.mandates.values() if m.person == person))

    def _follow_mandates(self, entry: Entry, report: Report) -> None:
        payload = entry.payload
        facts: Any = payload.facts
        if payload.machine == "organisation":
            self.kinds[payload.subject] = str(facts["kind"])
        if payload.machine != "mandate":
            return
        if payload.before == "none":
            role, kind = facts["role"], self.kinds.get(str(facts["organisation"]), "")
            if role not in {known.value for known in Role} or not may_give(Role(role), kind):
                report.find(
                    "I9", f"entry {entry.index}", f"an organisation of kind {kind} gives no role {role}"
                )
                return
            self.mandates[payload.subject] = Mandate(
                payload.subject, facts["person"], facts["organisation"], Role(role)
            )
        else:
            self.mandates.pop(payload.subject, None)

    def _check_keys(self, entry: Entry, state: LedgerState, report: Report) -> None:
        """A key is added to a registered person and under its own id; root and system have theirs from
        genesis.
        """
        if entry.payload.type != "key.add":
            return
        facts: Any = entry.payload.facts
        keys = [keyid(bytes.fromhex(key["public"])) for key in facts["keys"]]
        report.expect(
            "I9",
            keys == [entry.payload.subject] and entry.payload.machine == "key",
            f"entry {entry.index}",
            "it adds another key than it names",
        )
        for key in facts["keys"]:
            known = state.subject_state("person", key["person"]) is not None
            report.expect(
                "I9", known, f"entry {entry.index}", f"a key for {key['person']}, who is not registered"
            )

    def finish(self, state: LedgerState, report: Report) -> None:
        pass


PLACES = {
    "units": "held",
    "clearing": "held",
    "buffer": "buffer",
    "retired": "retired",
    "cancelled": "cancelled",
}


@dataclass(slots=True)
class Conservation:
    """I1, I2 and I3: whatever happens to a batch, its units are somewhere, once."""

    issued: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    where: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    tally: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))

    def see(self, entry: Entry, state: LedgerState, report: Report) -> None:
        touched: set[str] = set()
        for effect in entry.payload.effects:
            if isinstance(effect, OpenBlock):
                self.issued[effect.batch] += effect.units.count
            touched |= _touched_blocks(effect, state.books)
        batches = {self._move(name, state.books, report, entry.index) for name in touched}
        for batch in batches:
            total = sum(self.tally[batch].values())
            report.expect(
                "I1", total == self.issued[batch], f"entry {entry.index} batch {batch}",
                f"{self.issued[batch]} units issued, {dict(self.tally[batch])} are accounted for",
            )  # fmt: skip

    def _move(self, name: str, books: Books, report: Report, index: int) -> str:
        block = books.block(name)
        if name in self.where:
            batch, place, count = self.where.pop(name)
            self.tally[batch][place] -= count
        if block.live:
            place = PLACES.get(block.account.split(":", 1)[0], "nowhere")
            place = "locked" if block.pending is not None else place
            report.expect("I3", block.units.count >= 1, f"entry {index} block {name}", "an empty range")
            report.expect(
                "I1", place != "nowhere", f"entry {index} block {name}", f"it is in {block.account}"
            )
            self.where[name] = (block.batch, place, block.units.count)
            self.tally[block.batch][place] += block.units.count
        return block.batch

    def finish(self, state: LedgerState, report: Report) -> None:
        by_series: dict[str, list[UnitRange]] = defaultdict(list)
        for block in state.books.blocks.values():
            if block.live:
                by_series[block.series].append(block.units)
        for series, ranges in by_series.items():
            ranges.sort()
            whole = UnitRange(1, state.books.last_number(series))
            report.expect("I2", whole.partitioned_by(ranges), f"series {series}", "gaps or overlaps")
        for series, last in state.books.series.items():
            held = sum(units.count for units in by_series[series])
            report.expect(
                "I2", held == last, f"series {series}", f"{last} numbers issued, {held} in live blocks"
            )


def _touched_blocks(effect: Any, books: Books) -> set[str]:
    match effect:
        case OpenBlock(block=name):
            return {name}
        case SplitBlock(block=name, children=children):
            return {name, *(child.block for child in children)}
        case Pend(blocks=blocks):
            return set(blocks)
        case Transfer(moves=moves):
            return {move.block for move in moves}
        case Post(pending=pending) | Void(pending=pending):
            return set(books.reservation(pending).blocks)
    return set()


@dataclass(slots=True)
class Money:
    """I11: floors hold at every size. That postings sum to zero was already refused by the books
    themselves.
    """

    def see(self, entry: Entry, state: LedgerState, report: Report) -> None:
        for effect in entry.payload.effects:
            if isinstance(effect, Transfer | Post | Pend):
                for posting in effect.postings:
                    account = state.books.account(posting.account)
                    fine = account.limit is Limit.NONE or account.available >= 0
                    report.expect("I11", fine, f"entry {entry.index} {account.account}", "it is overdrawn")

    def finish(self, state: LedgerState, report: Report) -> None:
        totals: dict[str, int] = defaultdict(int)
        for account in state.books.accounts.values():
            totals[account.asset] += account.balance
        for asset, total in totals.items():
            report.expect("I11", total == 0, f"asset {asset}", f"all accounts together hold {total}")


@dataclass(slots=True)
class RequestIds:
    """I15: ids are unique; the ledger refuses a second one, so here they are only counted."""

    seen: set[str] = field(default_factory=set)

    def see(self, entry: Entry, state: LedgerState, report: Report) -> None:
        new = entry.payload.id not in self.seen
        report.expect("I15", new, f"entry {entry.index}", f"request id {entry.payload.id} came before")
        self.seen.add(entry.payload.id)

    def finish(self, state: LedgerState, report: Report) -> None:
        pass


def sizes_grow(sizes: Iterable[int]) -> bool:
    return all(before < after for before, after in pairwise(sizes))
