"""State machines as tables, and who may take a step.

A `Machine` is one mapping from (state, action) to a `Step`. The same table is followed by the services,
walked by the tests, checked again by the audit from the log alone, and drawn in the documentation. Rules:
`1P` one signature, `2P` two persons of one organisation, `2O` persons of two organisations; the required
persons sign the same payload.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from registry.errors import RegistryRefusal


class Role(StrEnum):
    """In which capacity somebody acts. `root` and `system` are the installation's own."""

    COLLECTIVE = "collective"
    OPERATOR = "operator"
    VERIFIER = "verifier"
    REGISTRY_ADMIN = "registry_admin"
    ISSUER = "issuer"
    ENTERPRISE = "enterprise"
    INDIVIDUAL = "individual"
    BANK = "bank"
    INSURER = "insurer"
    REGULATOR = "regulator"
    AUDITOR = "auditor"
    ROOT = "root"
    SYSTEM = "system"


class Needs(StrEnum):
    ONE = "1P"
    TWO_PERSONS = "2P"
    TWO_ORGANISATIONS = "2O"


@dataclass(frozen=True, slots=True)
class Step:
    """Where an action leads, which roles may begin it, and who must sign beside the initiator.

    Roles in `alone` need nobody beside them, whatever the others need.
    """

    after: str
    roles: frozenset[Role]
    needs: Needs = Needs.ONE
    confirmers: frozenset[Role] = frozenset()
    alone: frozenset[Role] = frozenset()

    def needs_of(self, role: Role) -> Needs:
        return Needs.ONE if role in self.alone else self.needs


def step(
    after: str,
    *roles: Role,
    needs: Needs = Needs.ONE,
    confirmers: Sequence[Role] = (),
    alone: Sequence[Role] = (),
) -> Step:
    """A step; under 2P and 2O the confirmers have the initiator's roles unless others are named."""
    single = frozenset(alone)
    return Step(after, frozenset(roles), needs, frozenset(confirmers or roles) - single, single)


@dataclass(frozen=True, slots=True)
class Machine:
    """A state machine: its name in entries, the state before the first entry, and every allowed step."""

    name: str
    initial: str
    steps: Mapping[tuple[str, str], Step]

    def step(self, state: str, action: str, subject: str) -> Step:
        """The step that `action` takes from `state`, else `TransitionRefused`."""
        found = self.steps.get((state, action))
        if found is None:
            raise TransitionRefused(machine=self.name, subject=subject, state=state, action=action)
        return found

    @property
    def states(self) -> frozenset[str]:
        return frozenset({self.initial, *(s for s, _ in self.steps), *(s.after for s in self.steps.values())})

    @property
    def terminal(self) -> frozenset[str]:
        return self.states - {state for state, _ in self.steps}


@dataclass(frozen=True, slots=True)
class Mandate:
    """A person acts in a role for an organisation."""

    id: str
    person: str
    organisation: str
    role: Role


@dataclass(frozen=True, slots=True)
class Signer:
    """A person who signed, with every mandate that person holds at that place of the log."""

    person: str
    mandates: tuple[Mandate, ...]


MEMBERSHIP: Final = frozenset({"organisation", "person", "key", "mandate"})
"""Machines whose steps change who may act. No entry takes such a step beside its own, so that whoever reads
the entries of these machines knows who may; only a rotation makes its new key active.
"""


class TransitionRefused(RegistryRefusal):
    code: ClassVar[str] = "transition_refused"
    template: ClassVar[str] = "{machine} {subject} is {state}; the act {action} is not possible there."


class NotAuthorised(RegistryRefusal):
    code: ClassVar[str] = "not_authorised"
    template: ClassVar[str] = "The act {action} on {machine} needs {needed}."


class ConfirmationMissing(RegistryRefusal):
    """Not a refusal of the act: another person must sign the same payload before it is logged."""

    code: ClassVar[str] = "confirmation_missing"
    template: ClassVar[str] = "The act {action} on {machine} also needs the signature of {needed}."


def check_authority(
    machine: str, action: str, rule: Step, by: Mandate, initiator: str, signers: Sequence[Signer]
) -> None:
    """Hold an act's signatures against its step (invariant I9).

    Raises `NotAuthorised` when somebody signed who may not, `ConfirmationMissing` when only a second
    signature is missing. `by` is the mandate the payload names, `initiator` the person it names.
    """
    facts = {"machine": machine, "action": action}
    if by.person != initiator or by.role not in rule.roles:
        raise NotAuthorised(needed=" / ".join(sorted(rule.roles)), **facts)
    own = [signer for signer in signers if signer.person == initiator]
    others = [signer for signer in signers if signer.person != initiator]
    if not any(by in signer.mandates for signer in own):
        raise NotAuthorised(needed="the initiator's signature and mandate", **facts)
    if rule.needs_of(by.role) is Needs.ONE:
        if len(signers) != 1:
            raise NotAuthorised(needed="exactly one signature", **facts)
        return
    needed = f"{rule.needs.value}: {' / '.join(sorted(rule.confirmers))}"
    if len(own) == 1 and not others:  # a second key of the same person is no second person
        raise ConfirmationMissing(needed=needed, **facts)
    pair = len(own) == len(others) == 1
    if not pair or not any(_confirms(rule, by, mandate) for mandate in others[0].mandates):
        raise NotAuthorised(needed=needed, **facts)


def check_carried(machine: str, action: str, rule: Step, signers: Sequence[Signer]) -> None:
    """Hold the signatures of an entry against a step that it causes beside its own (invariant I9).

    Nobody causes with one signature what they may not do: a signer has a role of the step, and where the step
    needs two persons or two organisations two of the signers are such. Who may act is changed by nobody that
    way. Raises `NotAuthorised`.
    """
    if machine in MEMBERSHIP and (machine, action) != ("key", "succeed"):
        raise NotAuthorised(machine=machine, action=action, needed="an entry of its own")
    for signer in signers:
        for mandate in signer.mandates:
            if mandate.role in rule.roles and (
                rule.needs_of(mandate.role) is Needs.ONE
                or any(
                    _confirms(rule, mandate, other)
                    for second in signers
                    if second.person != signer.person
                    for other in second.mandates
                )
            ):
                return
    needed = f"{rule.needs.value}: {' / '.join(sorted(rule.roles | rule.confirmers))}"
    raise NotAuthorised(machine=machine, action=action, needed=needed)


def _confirms(rule: Step, by: Mandate, mandate: Mandate) -> bool:
    same = mandate.organisation == by.organisation
    wanted = rule.needs is Needs.TWO_PERSONS
    return mandate.role in rule.confirmers and same == wanted
