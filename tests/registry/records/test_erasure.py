"""A record is erased: its values are gone, the log still verifies, and nobody finds them by trying."""

import hashlib
import itertools
from pathlib import Path

import pytest
import sqlalchemy as sa

from ledger.canonical import encode
from ledger.commitment import commit
from ledger.entry import parse_payload
from ledger.envelope import decode_leaf
from ledger.log import leaves
from registry.accounts.models import Organisation, Person
from registry.accounts.service import RegisterOrganisation, RegisterPerson
from registry.database import Committed
from registry.machine import Mandate, NotAuthorised, Role
from registry.office import Request, RequestIdReused
from registry.records.rules import EntryUnknown, RecordUnknown
from registry.records.service import EraseRecord
from registry.settings import Home
from registry.transparency.audit import audit
from registry.vacuum import vacuum
from tests.registry.people import People, request_id

NAME = "某甲-一个不会再出现的名字"


@pytest.fixture
def registrar(people: People) -> Mandate:
    return people.member(Role.REGISTRY_ADMIN, "registry")


@pytest.fixture
def second(people: People, registrar: Mandate) -> Mandate:
    return people.colleague(registrar)


def commitment_of(people: People, model: type[Person] | type[Organisation], row: str) -> str:
    with people.installation.database.read() as session:
        found = session.get_one(model, row)
        assert isinstance(found, Committed)
        return found.commitment


def registered(people: People, name: str = NAME, request: str | None = None) -> str:
    outcome = people.do(people.installation.root, "person.register", RegisterPerson(name=name), request)
    return str(outcome.answer["person"])


def findings(home: Home) -> list[str]:
    return [str(finding) for finding in audit(home).findings]


def test_two_persons_of_the_registry_erase_a_record_and_the_audit_notes_it(
    people: People, registrar: Mandate, second: Mandate
) -> None:
    person = registered(people)
    command = EraseRecord(commitment=commitment_of(people, Person, person))
    people.together(registrar, second, "record.erase", command)
    with people.installation.database.read() as session:
        row = session.get_one(Person, person)
        assert (row.name, row.commitment_key, row.commitment) == (None, None, command.commitment)
    report = audit(people.installation.home)
    assert report.findings == []
    assert [note.what for note in report.notes] == ["the record was erased"]


def test_nobody_erases_alone_or_what_is_not_there(
    people: People, registrar: Mandate, second: Mandate
) -> None:
    command = EraseRecord(commitment=commitment_of(people, Person, registered(people)))
    with pytest.raises(NotAuthorised):
        people.do(people.installation.root, "record.erase", command)
    outcome = people.installation.office.execute(registrar, "record.erase", command, request_id())
    assert outcome.status == "awaiting"
    people.installation.office.confirm(second, outcome.request_id)
    for gone in (command, EraseRecord(commitment="0" * 64)):
        with pytest.raises(RecordUnknown):
            people.do(registrar, "record.erase", gone)


def test_the_entry_that_commits_is_named_or_found(
    people: People, registrar: Mandate, second: Mandate
) -> None:
    person = registered(people)
    command = EraseRecord(commitment=commitment_of(people, Person, person), index=0)
    with pytest.raises(EntryUnknown):
        people.do(registrar, "record.erase", command)
    outcome = people.together(registrar, second, "record.erase", EraseRecord(commitment=command.commitment))
    with people.installation.database.read() as session:
        index = int(str(outcome.answer["committed_in"]))
        (leaf,) = leaves(session, index, index + 1)
    assert parse_payload(decode_leaf(leaf)[1].payload).id == person


def test_the_request_no_longer_tells_what_was_asked(
    people: People, registrar: Mandate, second: Mandate
) -> None:
    request = request_id()
    person = registered(people, request=request)
    people.together(
        registrar, second, "record.erase", EraseRecord(commitment=commitment_of(people, Person, person))
    )
    with people.installation.database.read() as session:
        kept = session.get_one(Request, request)
        assert (kept.command, kept.payload, kept.salt, kept.digest) == (None, None, None, "erased")
        assert set(kept.answer or {}) == {"entries"}
    with pytest.raises(RequestIdReused):
        registered(people, request=request)


def test_what_an_individual_asked_for_goes_with_the_account(
    people: People, registrar: Mandate, second: Mandate
) -> None:
    """Requests that wait hold their command in clear."""
    account = people.organisation(Role.INDIVIDUAL, NAME)
    individual = people.person(account, Role.INDIVIDUAL, NAME)
    waiting = request_id()
    with people.installation.database.write() as session:
        session.add(
            Request(
                id=waiting, act="retirement.request", digest="x" * 64, person=individual.person, mandate={},
                command={"beneficiary": NAME}, salt=b"", payload=b"", signatures=[], status="prepared",
                needed="", answer=None, created_at=people.installation.clock.now(),
            )
        )  # fmt: skip
    people.together(
        registrar, second, "record.erase",
        EraseRecord(commitment=commitment_of(people, Organisation, account)),
    )  # fmt: skip
    with people.installation.database.read() as session:
        assert session.get(Request, waiting) is None


def test_the_logged_commitment_is_not_opened_by_trying_every_name(
    people: People, registrar: Mandate, second: Mandate
) -> None:
    """Every name that there is, and every digest without the key: a small space, tried whole."""
    space = ["".join(letters) for letters in itertools.product("甲乙丙丁戊己庚辛", repeat=3)]
    person = registered(people, name="丙丁戊")
    logged = commitment_of(people, Person, person)
    with people.installation.database.read() as session:
        key = session.get_one(Person, person).commitment_key
    assert key is not None
    assert [name for name in space if commit(key, {"name": name}) == logged] == ["丙丁戊"]

    people.together(registrar, second, "record.erase", EraseRecord(commitment=logged))
    with people.installation.database.read() as session:
        kept = {bytes(32), b"\xff" * 32, person.encode()[:32], logged.encode()[:32]}
        digests = {row.digest for row in session.scalars(sa.select(Request))}
    tried = {commit(guess, {"name": name}) for guess in kept for name in space}
    assert logged not in tried
    assert not digests & _plain_digests(people, space)


def _plain_digests(people: People, space: list[str]) -> set[str]:
    """What the digest of the registering request would be for each name."""
    root = people.installation.root
    return {
        hashlib.sha256(
            encode(
                {
                    "act": "person.register",
                    "command": RegisterPerson(name=name).model_dump(mode="json"),
                    "person": root.person,
                    "mandate": root.id,
                }
            )
        ).hexdigest()
        for name in space
    }


def test_the_bytes_are_gone_from_the_files_after_vacuum(
    people: People, registrar: Mandate, second: Mandate
) -> None:
    home = people.installation.home
    for n in range(40):  # around it, so that its page is one of many
        people.organisation(Role.ENTERPRISE, f"firm {n}")
    person = registered(people)
    with people.installation.database.read() as session:
        key = session.get_one(Person, person).commitment_key
    assert key is not None
    secrets = [NAME.encode(), NAME.encode("unicode_escape"), key]
    command = EraseRecord(commitment=commitment_of(people, Person, person))
    people.together(registrar, second, "record.erase", command)
    assert vacuum(home) == []
    if people.installation.database.engine.dialect.name == "sqlite":
        for path in [*Path(str(people.installation.database.engine.url.database)).parent.glob("*.db*")]:
            assert not [s for s in secrets if s in path.read_bytes()], path
    registered(people, "somebody else")  # the registry goes on
    assert findings(home) == []


def test_a_record_that_somebody_emptied_without_an_entry_is_found(people: People) -> None:
    person = registered(people)
    with people.installation.database.write() as session:
        row = session.get_one(Person, person)
        row.name = row.commitment_key = None
    assert findings(people.installation.home) == [
        f"C1 person {person} columns name, commitment_key: it was emptied and no entry erased it"
    ]


def test_a_record_that_was_erased_and_still_holds_its_values_is_found(
    people: People, registrar: Mandate, second: Mandate
) -> None:
    person = registered(people)
    command = EraseRecord(commitment=commitment_of(people, Person, person))
    with people.installation.database.read() as session:
        key = session.get_one(Person, person).commitment_key
    people.together(registrar, second, "record.erase", command)
    with people.installation.database.write() as session:
        row = session.get_one(Person, person)
        row.name, row.commitment_key = NAME, key
    assert findings(people.installation.home) == [
        f"C1 person {person} columns name, commitment_key: it was erased and still holds its values"
    ]


def test_an_organisation_is_erased_like_a_person(people: People, registrar: Mandate, second: Mandate) -> None:
    command = RegisterOrganisation(name=NAME, kind=Role.ENTERPRISE, county="330802")
    firm = str(people.do(people.installation.root, "organisation.register", command).answer["organisation"])
    people.together(
        registrar, second, "record.erase", EraseRecord(commitment=commitment_of(people, Organisation, firm))
    )
    with people.installation.database.read() as session:
        row = session.get_one(Organisation, firm)
        assert (row.name, row.uscc, row.kind) == (None, None, "enterprise")
    assert findings(people.installation.home) == []
