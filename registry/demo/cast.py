"""The people of the demo: invented organisations, each with the persons and keys its acts need."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger.envelope import Envelope
from ledger.keys import SigningKey
from registry.installation import Installation
from registry.machine import Mandate, Role
from registry.members import register_organisation, register_person
from registry.office import Command, Outcome

CITY = "330800"


def request_id() -> str:
    return str(uuid.uuid4())


@dataclass(slots=True)
class Member:
    """An organisation and its persons. `key` is held by the member itself when the registry does not keep
    it.
    """

    name: str
    organisation: str
    persons: list[Mandate]
    key: SigningKey | None = None

    @property
    def first(self) -> Mandate:
        return self.persons[0]

    @property
    def second(self) -> Mandate:
        return self.persons[1]


@dataclass(slots=True)
class Cast:
    """Everybody, and how they act: every act goes through the office, as it would over HTTP."""

    installation: Installation
    members: dict[str, Member] = field(default_factory=dict)

    def join(
        self, name: str, role: Role, county: str = CITY, *, persons: int = 1, own_key: bool = False
    ) -> Member:
        """Register an organisation with so many persons; with `own_key` the first one's key stays with the
        member.
        """
        organisation = register_organisation(self.installation, name, role, county)
        key = SigningKey.generate() if own_key else None
        public_key = key.public_bytes.hex() if key is not None else None
        mandates = [register_person(self.installation, organisation, role, f"{name} 1", public_key)]
        mandates += [
            register_person(self.installation, organisation, role, f"{name} {n}")
            for n in range(2, persons + 1)
        ]
        member = self.members[name] = Member(name, organisation, mandates, key)
        return member

    def do(self, actor: Member, act: str, command: Command) -> dict[str, Any]:
        """One act, signed by the server for the member, or by the member over the prepared payload."""
        office, request = self.installation.office, request_id()
        if actor.key is None:
            return _done(office.execute(actor.first, act, command, request))
        prepared = office.prepare(actor.first, act, command, request)
        assert prepared.payload is not None
        envelope = Envelope(prepared.payload).sign(actor.key)
        return _done(office.submit(actor.first.person, request, envelope))

    def together(self, first: Mandate, second: Mandate, act: str, command: Command) -> dict[str, Any]:
        """One act that two persons sign."""
        return self.all_together([(first, second, act, command)])[0]

    def two_persons(self, actor: Member, act: str, command: Command) -> dict[str, Any]:
        return self.together(actor.first, actor.second, act, command)

    def all_together(self, acts: Sequence[tuple[Mandate, Mandate, str, Command]]) -> list[dict[str, Any]]:
        """Many acts of two signatures each, in two groups."""
        office = self.installation.office
        waiting = [office.send(first, act, command, request_id()) for first, _, act, command in acts]
        requests = [future.result().request_id for future in waiting]
        confirmed = [
            office.send_confirmation(second, request)
            for (_, second, _, _), request in zip(acts, requests, strict=True)
        ]
        return [_done(future.result()) for future in confirmed]

    def all(self, actor: Mandate, act: str, commands: Iterable[Command]) -> list[dict[str, Any]]:
        """Many acts of one person, in one group."""
        office = self.installation.office
        futures = [office.send(actor, act, command, request_id()) for command in commands]
        return [_done(future.result()) for future in futures]


def _done(outcome: Outcome) -> dict[str, Any]:
    assert outcome.status == "done", f"the act still waits for {outcome.needed}"
    return dict(outcome.answer)
