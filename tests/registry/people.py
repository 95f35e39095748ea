"""Invented people for the tests' stories: every step through the real office, with real keys."""

import uuid
from dataclasses import dataclass

from registry.accounts.service import AddKey, GrantMandate, RegisterOrganisation, RegisterPerson
from registry.installation import Installation
from registry.machine import Mandate, Role
from registry.office import Command, Outcome


def request_id() -> str:
    return str(uuid.uuid4())


@dataclass(slots=True)
class People:
    """Registers organisations and persons, and lets them act."""

    installation: Installation

    def organisation(self, kind: Role, name: str, county: str = "330802") -> str:
        command = RegisterOrganisation(name=name, kind=kind, county=county)
        return self._made("organisation.register", command, "organisation")

    def person(self, organisation: str, role: Role, name: str = "person") -> Mandate:
        """A new person with a key in server custody and a mandate."""
        person = self._made("person.register", RegisterPerson(name=name), "person")
        key = self.installation.office.keyring.create()
        add = AddKey(person=person, public_key=key.public_bytes.hex(), custody="server")
        self._made("key.add", add, "key")
        grant = GrantMandate(person=person, organisation=organisation, role=role)
        return Mandate(self._made("mandate.grant", grant, "mandate"), person, organisation, role)

    def member(self, kind: Role, name: str, county: str = "330802") -> Mandate:
        """A new organisation and one person who acts for it in its own role."""
        return self.person(self.organisation(kind, name, county), kind, f"{name} person 1")

    def colleague(self, mandate: Mandate) -> Mandate:
        """A second person of the same organisation and role, for acts of two persons."""
        return self.person(mandate.organisation, mandate.role, "person 2")

    def do(self, actor: Mandate, act: str, command: Command, request: str | None = None) -> Outcome:
        """One act by one person, done."""
        outcome = self.installation.office.execute(actor, act, command, request or request_id())
        assert outcome.status == "done", f"{act} awaits {outcome.needed}"
        return outcome

    def together(
        self, first: Mandate, second: Mandate, act: str, command: Command, request: str | None = None
    ) -> Outcome:
        """An act that two persons sign."""
        office = self.installation.office
        awaiting = office.execute(first, act, command, request or request_id())
        assert awaiting.status == "awaiting", f"{act} did not ask for a second signature"
        outcome = office.confirm(second, awaiting.request_id)
        assert outcome.status == "done", outcome
        return outcome

    def _made(self, act: str, command: Command, what: str) -> str:
        return str(self.do(self.installation.root, act, command).answer[what])
