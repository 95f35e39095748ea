"""Enrol members from the installation's command line: the root's acts, in the order they need."""

import uuid

import sqlalchemy as sa

from registry.accounts.models import Organisation
from registry.accounts.service import (
    AddKey,
    GrantMandate,
    RegisterOrganisation,
    RegisterPerson,
    create_api_key,
)
from registry.installation import Installation
from registry.machine import Mandate, Role
from registry.office import Command


def enrol(
    installation: Installation,
    organisation: str,
    kind: Role,
    person: str,
    county: str,
    public_key: str | None = None,
) -> dict[str, str]:
    """Register what is new among organisation, person, key and mandate; answers their ids and an API key."""
    organisation_id = _known(installation, organisation) or register_organisation(
        installation, organisation, kind, county
    )
    mandate = register_person(installation, organisation_id, kind, person, public_key)
    api_key = issue_api_key(installation, mandate)
    return {
        "organisation": organisation_id,
        "person": mandate.person,
        "mandate": mandate.id,
        "api_key": api_key,
    }


def register_organisation(installation: Installation, name: str, kind: Role, county: str) -> str:
    command = RegisterOrganisation(name=name, kind=kind, county=county)
    return _made(installation, "organisation.register", command, "organisation")


def register_person(
    installation: Installation, organisation: str, role: Role, name: str, public_key: str | None = None
) -> Mandate:
    """A person with a key (their own, or one in server custody) and a mandate for the organisation."""
    person = _made(installation, "person.register", RegisterPerson(name=name), "person")
    custody = "client" if public_key else "server"
    public_key = public_key or installation.office.keyring.create().public_bytes.hex()
    _made(installation, "key.add", AddKey(person=person, public_key=public_key, custody=custody), "key")
    grant = GrantMandate(person=person, organisation=organisation, role=role)
    return Mandate(_made(installation, "mandate.grant", grant, "mandate"), person, organisation, role)


def issue_api_key(installation: Installation, mandate: Mandate) -> str:
    with installation.database.write() as session:
        return create_api_key(session, mandate.id, installation.clock.now())


def _known(installation: Installation, organisation: str) -> str | None:
    with installation.database.read() as session:
        return session.scalar(sa.select(Organisation.id).where(Organisation.id == organisation))


def _made(installation: Installation, act: str, command: Command, what: str) -> str:
    outcome = installation.office.execute(installation.root, act, command, str(uuid.uuid4()))
    return str(outcome.answer[what])
