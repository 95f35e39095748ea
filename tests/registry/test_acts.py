"""How an act becomes an entry: signatures, preparation, repetition, refusal."""

from concurrent.futures import wait
from typing import Any

import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.envelope import Envelope, decode_leaf
from ledger.errors import LedgerRefusal
from ledger.keys import SigningKey
from ledger.replay import LedgerState
from registry.accounts.models import Organisation, Person
from registry.accounts.service import (
    AddKey,
    DepositRecorded,
    GrantMandate,
    RecordDeposit,
    RegisterOrganisation,
    RegisterPerson,
)
from registry.acts import PayloadMoved
from registry.anchor import DatabaseBehind
from registry.installation import Installation
from registry.keyring import KeyNotHeld
from registry.machine import Mandate, NotAuthorised, Role
from registry.office import RequestIdMalformed, RequestIdReused
from registry.projections import opens_commitment
from tests.registry.people import People, request_id


def log_size(installation: Installation) -> int:
    with installation.database.read() as session:
        return int(session.execute(sa.select(tables.head.c.size)).scalar_one())


def test_every_act_is_one_entry_and_is_public_when_it_is_answered(people: People) -> None:
    outcome = people.do(people.installation.root, "person.register", RegisterPerson(name="person A"))

    assert outcome.entries == [1]  # after genesis
    assert people.installation.tiles.published_size() == 2


def test_the_log_replays_from_its_tiles_with_every_signature(people: People) -> None:
    people.member(Role.ENTERPRISE, "firm A")
    tiles = people.installation.tiles
    state = LedgerState()
    for leaf in tiles.read_entries(0, tiles.published_size()):
        state.apply(leaf)
    assert state.size == log_size(people.installation) == 5


def test_names_are_not_in_the_log_but_open_their_commitment(people: People) -> None:
    organisation = people.organisation(Role.COLLECTIVE, "村集体甲")
    tiles = people.installation.tiles
    leaves = tiles.read_entries(0, tiles.published_size())
    everything = b"".join(decode_leaf(leaf)[1].payload for leaf in leaves)
    with people.installation.database.read() as session:
        row = session.get_one(Organisation, organisation)
        assert row.name == "村集体甲"
        assert opens_commitment(row)
        row.name = "村集体乙"
        assert not opens_commitment(row)
        session.expunge(row)
    assert "村集体甲".encode() not in everything
    assert "村集体甲".encode().hex().encode() not in everything


def test_the_same_request_gets_the_same_answer_and_one_entry(people: People) -> None:
    office, root = people.installation.office, people.installation.root
    request = request_id()
    first = office.execute(root, "person.register", RegisterPerson(name="person A"), request)
    again = office.execute(root, "person.register", RegisterPerson(name="person A"), request)

    assert again.answer == first.answer
    assert again.replayed and not first.replayed
    assert log_size(people.installation) == 2


def test_the_same_request_id_with_another_content_is_refused(people: People) -> None:
    request = request_id()
    people.do(people.installation.root, "person.register", RegisterPerson(name="person A"), request)
    with pytest.raises(RequestIdReused):
        people.do(people.installation.root, "person.register", RegisterPerson(name="person B"), request)


def test_a_request_id_is_a_uuid(people: People) -> None:
    with pytest.raises(RequestIdMalformed):
        people.do(people.installation.root, "person.register", RegisterPerson(name="A"), "once")


def test_twenty_parallel_copies_of_a_request_leave_one_entry(people: People) -> None:
    office, root, request = people.installation.office, people.installation.root, request_id()
    copies = [
        office.send(root, "person.register", RegisterPerson(name="person A"), request) for _ in range(20)
    ]
    wait(copies)
    assert {copy.result().answer["person"] for copy in copies} == {request}
    assert log_size(people.installation) == 2


def test_a_refused_act_leaves_nothing_and_does_not_spoil_its_group(people: People) -> None:
    office, root = people.installation.office, people.installation.root
    bank = people.member(Role.BANK, "bank A")
    before = log_size(people.installation)
    missing = RecordDeposit(organisation="nobody", amount_fen=5, reference="s1")
    futures = [
        office.send(root, "person.register", RegisterPerson(name="person A"), request_id()),
        office.send(bank, "deposit.record", missing, request_id()),
        office.send(root, "person.register", RegisterPerson(name="person B"), request_id()),
    ]
    wait(futures)
    assert futures[1].exception() is not None
    assert log_size(people.installation) == before + 2


def test_a_role_without_the_right_is_refused(people: People) -> None:
    firm = people.member(Role.ENTERPRISE, "firm A")
    with pytest.raises(NotAuthorised):
        people.do(
            firm, "deposit.record", RecordDeposit(organisation=firm.organisation, amount_fen=5, reference="x")
        )


def test_a_claimed_mandate_that_the_log_does_not_know_is_refused(people: People) -> None:
    firm = people.member(Role.ENTERPRISE, "firm A")
    forged = Mandate("invented", firm.person, firm.organisation, Role.BANK)
    with pytest.raises(NotAuthorised):
        people.do(
            forged,
            "deposit.record",
            RecordDeposit(organisation=firm.organisation, amount_fen=5, reference="x"),
        )


# ---- keys that their holder keeps
# --------------------------------------------------------------------------------


def client_bank(people: People) -> tuple[Mandate, SigningKey]:
    """A bank clerk whose key the registry never sees."""
    key = SigningKey.generate()
    bank = people.organisation(Role.BANK, "bank A")
    root = people.installation.root
    person = str(people.do(root, "person.register", RegisterPerson(name="clerk")).answer["person"])
    people.do(root, "key.add", AddKey(person=person, public_key=key.public_bytes.hex(), custody="client"))
    mandate = people.do(root, "mandate.grant", GrantMandate(person=person, organisation=bank, role=Role.BANK))
    return Mandate(str(mandate.answer["mandate"]), person, bank, Role.BANK), key


def deposit(people: People) -> RecordDeposit:
    firm = people.organisation(Role.ENTERPRISE, "firm A")
    return RecordDeposit(organisation=firm, amount_fen=12_345, reference="2025-03")


def test_a_prepared_payload_is_logged_when_its_signed_envelope_comes_back(people: People) -> None:
    clerk, key = client_bank(people)
    command, request = deposit(people), request_id()
    office = people.installation.office
    before = log_size(people.installation)

    prepared = office.prepare(clerk, "deposit.record", command, request)
    assert prepared.payload is not None
    assert log_size(people.installation) == before
    outcome = office.submit(clerk.person, request, Envelope(prepared.payload).sign(key))

    assert outcome.status == "done"
    assert log_size(people.installation) == before + 1


def test_the_server_does_not_sign_for_a_key_it_does_not_hold(people: People) -> None:
    clerk, _ = client_bank(people)
    with pytest.raises(KeyNotHeld):
        people.do(clerk, "deposit.record", deposit(people))


def test_an_envelope_over_another_payload_is_refused(people: People) -> None:
    clerk, key = client_bank(people)
    request = request_id()
    office = people.installation.office
    prepared = office.prepare(clerk, "deposit.record", deposit(people), request)
    assert prepared.payload is not None
    changed = prepared.payload.replace(b"12345", b"99999")
    with pytest.raises(PayloadMoved):
        office.submit(clerk.person, request, Envelope(changed).sign(key))


def test_a_signature_by_a_wrong_key_is_refused(people: People) -> None:
    clerk, _ = client_bank(people)
    request = request_id()
    office = people.installation.office
    prepared = office.prepare(clerk, "deposit.record", deposit(people), request)
    assert prepared.payload is not None
    before = log_size(people.installation)
    with pytest.raises(LedgerRefusal):
        office.submit(clerk.person, request, Envelope(prepared.payload).sign(SigningKey.generate()))
    assert log_size(people.installation) == before


# ---- money and the tables' own guards
# ----------------------------------------------------------------------------


def test_a_deposit_is_money_of_the_organisation(people: People) -> None:
    bank = people.member(Role.BANK, "bank A")
    command = deposit(people)
    people.do(bank, "deposit.record", command)
    with people.installation.database.read() as session:
        row = session.execute(
            sa.select(tables.account).where(tables.account.c.account == f"cash:{command.organisation}")
        ).one()
    assert (row.credits_posted, row.debits_posted) == (12_345, 0)


@pytest.mark.parametrize("table", ["log", "posting", "checkpoint"])
@pytest.mark.parametrize("verb", ["update {0} set {1} = {1}", "delete from {0}"])
def test_the_database_refuses_to_change_what_is_append_only(people: People, table: str, verb: str) -> None:
    people.do(people.member(Role.BANK, "bank A"), "deposit.record", deposit(people))
    column = tables.metadata.tables[table].columns.keys()[-1]
    with (
        pytest.raises(sa.exc.DBAPIError, match="append-only"),
        people.installation.database.write() as session,
    ):
        session.execute(sa.text(verb.format(table, column)))


def test_postgresql_refuses_to_truncate_what_is_append_only(people: People) -> None:
    if people.installation.database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no TRUNCATE")
    with (
        pytest.raises(sa.exc.DBAPIError, match="append-only"),
        people.installation.database.write() as session,
    ):
        session.execute(sa.text("truncate log"))


def test_a_database_older_than_the_published_log_does_not_start(people: People, monkeypatch: Any) -> None:
    installation = people.installation
    people.do(installation.root, "person.register", RegisterPerson(name="person A"))
    installation.writer.close()
    with installation.database.write() as session:
        for table in ("log", "checkpoint"):
            _drop_guards(session, table)
        session.execute(sa.delete(tables.checkpoint).where(tables.checkpoint.c.size == 2))
        session.execute(sa.delete(tables.log).where(tables.log.c.idx == 1))
    with pytest.raises(DatabaseBehind):
        Installation.open(installation.home)


def _drop_guards(session: Any, table: str) -> None:
    if session.get_bind().dialect.name == "sqlite":
        session.execute(sa.text(f"drop trigger {table}_no_delete"))
    else:
        session.execute(sa.text(f"drop trigger {table}_no_change on {table}"))


def test_what_a_crash_left_unpublished_is_published_at_the_next_start(people: People) -> None:
    installation = people.installation
    people.organisation(Role.BANK, "bank A")
    published = {p: p.read_bytes() for p in installation.home.log.rglob("*") if p.is_file()}
    installation.writer._publish = lambda: None  # the process dies between commit and publication
    person = people.do(installation.root, "person.register", RegisterPerson(name="person A")).answer["person"]
    assert {p: p.read_bytes() for p in installation.home.log.rglob("*") if p.is_file()} == published

    Installation.open(installation.home).close()

    assert installation.tiles.published_size() == 3
    with installation.database.read() as session:
        assert session.get(Person, str(person)) is not None


def test_organisations_need_a_county_code(people: People) -> None:
    with pytest.raises(ValueError, match="county"):
        RegisterOrganisation(name="x", kind=Role.BANK, county="Quzhou")


def test_a_line_of_a_bank_statement_counts_once(people: People) -> None:
    bank, other = people.member(Role.BANK, "bank A"), people.member(Role.BANK, "bank B")
    command = deposit(people)
    people.do(bank, "deposit.record", command)
    with pytest.raises(DepositRecorded):
        people.do(bank, "deposit.record", command)
    people.do(other, "deposit.record", command)  # another bank's references are its own
