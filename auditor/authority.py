"""I8 and I9: every step is in its machine's table, by somebody who may, with the signatures it needs.

Who may is decided by the same pure function and the same tables as in the registry (`registry.machine`);
whose signatures and mandates these are given comes from the log alone. A verdict is remembered until a
mandate changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from auditor.entries import Entry, Taken
from auditor.findings import Report
from auditor.machines import MACHINES, OWN
from auditor.register import Register
from registry.accounts.rules import may_give, revocation
from registry.errors import RegistryRefusal
from registry.machine import Machine, Mandate, Role, Signer, Step, check_authority, check_carried

MOST_REMEMBERED: Final = 4096
_ROLES: Final = frozenset(role.value for role in Role)


@dataclass(slots=True)
class Authority:
    """The mandates so far, and what each entry may do under them."""

    register: Register
    machines: Mapping[str, Machine] = field(default_factory=lambda: MACHINES)
    mandates: dict[str, Mandate] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    """What kind each organisation is, as its registration says."""
    _by_person: dict[str, tuple[Mandate, ...]] = field(default_factory=dict)
    _fine: set[tuple[Any, ...]] = field(default_factory=set)

    def see(
        self, entry: Entry, firsts: Sequence[bool], known_persons: Mapping[str, bool], report: Report
    ) -> None:
        """Judge an entry. `firsts` says of each step whether its subject is new, `known_persons` of each
        person that the entry adds a key for whether he or she is registered.
        """
        steps = entry.steps
        made = len(steps)
        report.count("I8", made)
        report.count("I9", made)
        verdict = (steps[0][0], *steps[0][2:], firsts, entry.role, entry.mandate, entry.by, entry.persons)
        if made > 1 or verdict not in self._fine:
            found = len(report.findings)
            self._judge(entry, firsts, report)
            if made == 1 and len(report.findings) == found:
                if len(self._fine) >= MOST_REMEMBERED:
                    self._fine.clear()
                if entry.machine != "key":  # there it is the subject that decides
                    self._fine.add(verdict)
        if entry.machine in ("organisation", "mandate"):
            self._follow(entry, report)
        if entry.type == "key.add":  # a rotated key's person is the one before
            _check_keys(entry, known_persons, report)

    def _judge(self, entry: Entry, firsts: Sequence[bool], report: Report) -> None:
        where = f"entry {entry.index}"
        signers = [self._signer(person) for person in entry.persons]
        if entry.type == "key.rotate":  # by two keys of one person
            signers = signers[:1]
        for n, (step, first) in enumerate(zip(entry.steps, firsts, strict=True)):
            machine = self.machines.get(step.machine)
            rule = machine.steps.get((step.before, step.action)) if machine else None
            if machine is None or rule is None or rule.after != step.after:
                report.find(
                    "I8", where, f"{step.machine} {step.action}: {step.before} to {step.after} is no step"
                )
                continue
            if first and step.before != machine.initial:
                report.find("I8", where, f"{step.machine} {step.subject} begins at {step.before}")
            if n == 0:
                self._own(entry, machine, rule, signers, report)
            else:
                _caused(where, step, rule, signers, report)

    def _own(
        self, entry: Entry, machine: Machine, rule: Step, signers: Sequence[Signer], report: Report
    ) -> None:
        by = OWN.get(entry.mandate) or self.mandates.get(entry.mandate)
        if entry.type == "key.revoke":
            _note_suspicion(entry, report)
            rule = revocation(own=self.register.keys[entry.subject].person == entry.by)
        if by is None or by.role.value != entry.role:
            report.find("I9", f"entry {entry.index}", f"there is no mandate {entry.mandate} as {entry.role}")
            return
        try:
            check_authority(machine.name, entry.action, rule, by, entry.by, signers)
        except RegistryRefusal as refusal:
            report.find("I9", f"entry {entry.index}", refusal)

    def _signer(self, person: str) -> Signer:
        own = tuple(mandate for mandate in OWN.values() if mandate.person == person)
        return Signer(person, own or self._by_person.get(person, ()))

    def _follow(self, entry: Entry, report: Report) -> None:
        facts = entry.facts
        if entry.machine == "organisation":
            self.kinds[entry.subject] = str(facts.get("kind"))
            return
        self._fine.clear()
        gone = self.mandates.pop(entry.subject, None)
        if gone is not None:
            rest = [mandate for mandate in self._by_person[gone.person] if mandate.id != gone.id]
            self._by_person[gone.person] = tuple(rest)
        if entry.before != "none":
            return
        role, kind = facts.get("role"), self.kinds.get(str(facts.get("organisation")), "")
        if role not in _ROLES or not may_give(Role(role), kind):
            report.find("I9", f"entry {entry.index}", f"an organisation of kind {kind} gives no role {role}")
            return
        given = Mandate(entry.subject, str(facts["person"]), str(facts["organisation"]), Role(role))
        self.mandates[entry.subject] = given
        self._by_person[given.person] = (*self._by_person.get(given.person, ()), given)


def _note_suspicion(entry: Entry, report: Report) -> None:
    """What a compromised key signed stays, and is to be looked at."""
    since = entry.facts["suspect_from"]
    if since is not None:
        report.note(
            "I9",
            f"entry {entry.index}",
            f"what the key {entry.subject} signed from entry {since} on is under review: it was compromised",
        )


def _caused(where: str, step: Taken, rule: Step, signers: Sequence[Signer], report: Report) -> None:
    """A step that an entry causes is one that its signers may take."""
    try:
        check_carried(step.machine, step.action, rule, signers)
    except RegistryRefusal as refusal:
        report.find("I9", f"{where} causes {step.machine} {step.action}", refusal)


def _check_keys(entry: Entry, known_persons: Mapping[str, bool], report: Report) -> None:
    """A key is added to a registered person; root and system have theirs from the first entry."""
    for person, known in known_persons.items():
        report.expect("I9", known, f"entry {entry.index}", f"a key for {person}, who is not registered")
