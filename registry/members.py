"""Enrol members from the installation's command line: the root's acts, in the order they need."""

import re
import uuid
from typing import Final

import sqlalchemy as sa

from ledger.keys import check_public_key
from registry.accounts.models import Organisation
from registry.accounts.service import (
    AddKey,
    GrantMandate,
    NotFound,
    RegisterOrganisation,
    RegisterPerson,
    create_api_key,
)
from registry.installation import Installation
from registry.machine import Mandate, Role
from registry.office import Command

_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


def enrol(
    installation: Installation,
    organisation: str,
    kind: Role,
    person: str,
    county: str,
    public_key: str | None = None,
) -> dict[str, str]:
    """Register what is new among organisation, person, key and mandate; answers their ids and an API key.

    Everything is looked at before the first act, because the acts are entries that nobody takes back. Raises
    pydantic's `ValidationError`, `NotFound` for an id that no organisation has, and what the acts refuse.
    """
    _require_acceptable(organisation, kind, person, county, public_key)
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


def _require_acceptable(
    organisation: str, kind: Role, person: str, county: str, public_key: str | None
) -> None:
    RegisterOrganisation(name=organisation, kind=kind, county=county)
    RegisterPerson(name=person)
    if public_key is not None:
        AddKey(person=person, public_key=public_key, custody="client")
        check_public_key(bytes.fromhex(public_key))


def _known(installation: Installation, organisation: str) -> str | None:
    """The id of a registered organisation; None for a name. What looks like an id is not taken for a name."""
    with installation.database.read() as session:
        found = session.scalar(sa.select(Organisation.id).where(Organisation.id == organisation))
    if found is None and _ID.fullmatch(organisation):
        raise NotFound(kind="organisation", id=organisation)
    return found


def _made(installation: Installation, act: str, command: Command, what: str) -> str:
    outcome = installation.office.execute(installation.root, act, command, str(uuid.uuid4()))
    return str(outcome.answer[what])
