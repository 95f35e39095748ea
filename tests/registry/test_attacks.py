"""What somebody tries who may not: others' signatures, requests and mandates, and text that breaks things."""

import uuid
from dataclasses import replace
from typing import Any

import pydantic
import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.canonical import MAX_INTEGER
from ledger.effects import Transition
from ledger.envelope import PAYLOAD_TYPE, Envelope, Signature, pae
from ledger.errors import LedgerRefusal, MalformedEnvelope
from ledger.keys import SigningKey
from registry.accounts.models import Organisation, Person
from registry.accounts.rules import PERSON
from registry.accounts.service import (
    AccountsDirectory,
    AddKey,
    EndMandate,
    GrantMandate,
    NotFound,
    RecordDeposit,
    RegisterOrganisation,
    RegisterPerson,
    RoleRefused,
)
from registry.acts import CONSEQUENCE_NAMESPACE, SYSTEM, Desk, PayloadMoved
from registry.installation import Installation
from registry.keyring import KeyNotHeld
from registry.machine import Machine, Mandate, Needs, NotAuthorised, Role, Signer, check_carried, step
from registry.office import (
    Act,
    Answer,
    Command,
    RequestIdMalformed,
    RequestIdReused,
    RequestUnknown,
    TextRefused,
)
from registry.transparency.audit import audit
from tests.registry.people import People, request_id

PACT = Machine(
    "person",  # known to the projections; its rows are persons
    "none",
    {
        ("none", "register"): step("registered", Role.OPERATOR, needs=Needs.TWO_PERSONS),
        ("none", "agree"): step(
            "registered", Role.OPERATOR, needs=Needs.TWO_ORGANISATIONS, confirmers=[Role.VERIFIER]
        ),
    },
)


class Agree(Command):
    text: str = ""
    words: int = 0


def _pact(action: str) -> Any:
    def serve(desk: Desk, command: Agree) -> Answer:
        profile = desk.commitment("profile", Person, name=command.text or "x")
        facts: Any = {"words": "w" * command.words}
        desk.act(PACT, action, desk.request_id, facts=facts, commitments={"profile": profile})
        return {"secret": "of the parties"}

    return serve


@pytest.fixture
def acts(people: People, monkeypatch: pytest.MonkeyPatch) -> People:
    """The office with an act of two persons and one of two organisations."""
    office = people.installation.office
    own = {
        "pact.2P": Act("pact.2P", Agree, _pact("register")),
        "pact.2O": Act("pact.2O", Agree, _pact("agree")),
    }
    monkeypatch.setattr(office, "acts", {**office.acts, **own})
    return people


def log_size(installation: Installation) -> int:
    with installation.database.read() as session:
        return int(session.execute(sa.select(tables.head.c.size)).scalar_one())


def with_own_key(people: People, mandate: Mandate) -> SigningKey:
    """A further key of the person that only they hold."""
    key = SigningKey.generate()
    add = AddKey(person=mandate.person, public_key=key.public_bytes.hex(), custody="client")
    people.do(people.installation.root, "key.add", add)
    return key


# ---- two persons -------------------------------------------------------------------------------------------


def test_two_keys_of_one_person_are_not_two_persons(acts: People) -> None:
    operator = acts.member(Role.OPERATOR, "operator A")
    colleague = acts.colleague(operator)
    first, second = with_own_key(acts, operator), with_own_key(acts, operator)
    office, request, before = acts.installation.office, request_id(), log_size(acts.installation)

    prepared = office.prepare(operator, "pact.2P", Agree(), request)
    assert prepared.payload is not None
    envelope = Envelope(prepared.payload)
    with pytest.raises(NotAuthorised):
        office.submit(operator.person, request, envelope.sign(first, second))
    assert office.submit(operator.person, request, envelope.sign(first)).status == "awaiting"
    with pytest.raises(NotAuthorised):
        office.submit(operator.person, request, envelope.sign(second))
    with pytest.raises(RequestUnknown):
        office.confirm(operator, request)
    assert log_size(acts.installation) == before

    assert office.confirm(colleague, request).status == "done"  # the attempts have not spoilt it
    assert log_size(acts.installation) == before + 1


def test_a_confirmer_is_of_the_right_organisation_and_role(acts: People) -> None:
    operator = acts.member(Role.OPERATOR, "operator A")
    stranger = acts.member(Role.OPERATOR, "operator B")
    verifier = acts.member(Role.VERIFIER, "verifier A")
    colleague = acts.colleague(operator)
    office, before = acts.installation.office, log_size(acts.installation)

    two_persons = office.execute(operator, "pact.2P", Agree(), request_id()).request_id
    two_organisations = office.execute(operator, "pact.2O", Agree(), request_id()).request_id
    for wrong, request in (
        (stranger, two_persons),
        (verifier, two_persons),
        (stranger, two_organisations),
        (colleague, two_organisations),
        (acts.installation.root, two_persons),
        (acts.installation.root, two_organisations),
    ):
        with pytest.raises(NotAuthorised):
            office.confirm(wrong, request)
    assert log_size(acts.installation) == before
    assert office.confirm(colleague, two_persons).status == "done"
    assert office.confirm(verifier, two_organisations).status == "done"


def test_confirming_twice_is_one_entry_and_a_third_person_learns_nothing(acts: People) -> None:
    operator = acts.member(Role.OPERATOR, "operator A")
    colleague, third = acts.colleague(operator), acts.colleague(operator)
    office = acts.installation.office
    request = office.execute(operator, "pact.2P", Agree(), request_id()).request_id
    done = office.confirm(colleague, request)
    again = office.confirm(colleague, request)
    assert again.replayed and again.answer == done.answer
    assert office.confirm(operator, request).answer == done.answer

    for nosy in (third, acts.member(Role.ENTERPRISE, "firm A")):
        with pytest.raises(RequestUnknown):
            office.confirm(nosy, request)
        with pytest.raises(RequestUnknown):
            office.submit(nosy.person, request, Envelope(b"{}").sign(with_own_key(acts, nosy)))


def test_the_initiator_may_bring_both_signatures(acts: People) -> None:
    operator = acts.member(Role.OPERATOR, "operator A")
    colleague = acts.colleague(operator)
    keys = with_own_key(acts, operator), with_own_key(acts, colleague)
    office, request = acts.installation.office, request_id()
    prepared = office.prepare(operator, "pact.2P", Agree(), request)
    assert prepared.payload is not None
    outcome = office.submit(operator.person, request, Envelope(prepared.payload).sign(*keys))
    assert outcome.status == "done"
    assert office.confirm(colleague, request).answer == outcome.answer


def test_a_confirmer_signs_before_the_initiator_in_vain(acts: People) -> None:
    operator = acts.member(Role.OPERATOR, "operator A")
    colleague = acts.colleague(operator)
    key = with_own_key(acts, colleague)
    office, request = acts.installation.office, request_id()
    prepared = office.prepare(operator, "pact.2P", Agree(), request)
    assert prepared.payload is not None
    with pytest.raises(RequestUnknown):
        office.submit(colleague.person, request, Envelope(prepared.payload).sign(key))
    with pytest.raises(RequestUnknown):
        office.confirm(colleague, request)


# ---- signatures and requests of others ---------------------------------------------------------------------


def test_a_signature_is_of_no_use_on_another_request(acts: People) -> None:
    """Same people, same words: the payload holds the request's id."""
    operator = acts.member(Role.OPERATOR, "operator A")
    colleague = acts.colleague(operator)
    key = with_own_key(acts, colleague)
    office = acts.installation.office
    first = office.execute(operator, "pact.2P", Agree(), request_id())
    second = office.execute(operator, "pact.2P", Agree(), request_id())
    assert first.payload is not None and second.payload is not None
    signed = Envelope(first.payload).sign(key)
    office.submit(colleague.person, first.request_id, signed)
    with pytest.raises(PayloadMoved):
        office.submit(operator.person, second.request_id, signed)
    moved = Envelope(second.payload, PAYLOAD_TYPE, signed.signatures)
    with pytest.raises(LedgerRefusal):
        office.submit(colleague.person, second.request_id, moved)


def test_nobody_submits_to_somebody_elses_request(acts: People) -> None:
    operator = acts.member(Role.OPERATOR, "operator A")
    nosy = acts.member(Role.OPERATOR, "operator B")
    own, theirs = with_own_key(acts, nosy), with_own_key(acts, operator)
    office, request = acts.installation.office, request_id()
    prepared = office.prepare(operator, "pact.2P", Agree(), request)
    assert prepared.payload is not None
    envelope = Envelope(prepared.payload)
    for signed in (envelope.sign(own), envelope.sign(theirs), Envelope(b"{}").sign(own)):
        with pytest.raises(RequestUnknown):
            office.submit(nosy.person, request, signed)
    office.submit(operator.person, request, envelope.sign(theirs))
    for signed in (envelope.sign(theirs), envelope, Envelope(b"{}").sign(own)):
        with pytest.raises(RequestUnknown):
            office.submit(nosy.person, request, signed)
    with pytest.raises(NotAuthorised):
        office.submit(nosy.person, request, envelope.sign(own))


def test_a_request_that_does_not_exist_and_one_that_is_not_yours_are_alike(acts: People) -> None:
    operator = acts.member(Role.OPERATOR, "operator A")
    nosy = acts.member(Role.ENTERPRISE, "firm A")
    office = acts.installation.office
    done = acts.do(acts.installation.root, "person.register", RegisterPerson(name="person A"))
    prepared = office.prepare(operator, "pact.2P", Agree(), request_id())
    refusals = []
    for request in (done.request_id, prepared.request_id, request_id()):
        with pytest.raises(RequestUnknown) as refused:
            office.confirm(nosy, request)
        refusals.append((refused.value.code, refused.value.facts.keys()))
    assert refusals[0] == refusals[1] == refusals[2]


def test_a_request_id_of_somebody_else_gives_no_answer(acts: People) -> None:
    root = acts.installation.root
    person = RegisterPerson(name="person A")
    done = acts.do(root, "person.register", person)
    admin = acts.member(Role.REGISTRY_ADMIN, "registry A")
    for nosy in (admin, acts.colleague(admin)):
        with pytest.raises(RequestIdReused) as refused:
            acts.do(nosy, "person.register", person, done.request_id)
        assert refused.value.facts == {"request_id": done.request_id}


def test_a_request_id_that_is_none_is_refused_everywhere(people: People) -> None:
    office, root, person = people.installation.office, people.installation.root, RegisterPerson(name="A")
    for wrong in ("", "x", "\x00", "\ud800", "1" * 10_000, str(uuid.uuid4()).upper()):
        with pytest.raises(RequestIdMalformed):
            office.execute(root, "person.register", person, wrong)
        with pytest.raises(RequestIdMalformed):
            office.prepare(root, "person.register", person, wrong)
        with pytest.raises(RequestIdMalformed):
            office.submit(root.person, wrong, Envelope(b"{}"))
        with pytest.raises(RequestIdMalformed):
            office.confirm(root, wrong)


def test_nobody_takes_the_ids_of_what_follows_from_a_request_of_others(acts: People) -> None:
    """A consequence's id does not follow from the request's id, which others can know."""
    seen: list[str] = []

    def serve(desk: Desk, command: Agree) -> Answer:
        system = Machine("person", "none", {("none", "note"): step("noted", Role.SYSTEM)})
        profile = {"profile": _profile(desk)}
        desk.act(PERSON, "register", desk.request_id, commitments=profile)
        seen.append(desk.consequence(system, "note", "n", commitments=profile).payload.id)
        return {}

    office, request = acts.installation.office, request_id()
    office.acts = {**office.acts, "x": Act("x", Agree, serve)}
    office.execute(acts.installation.root, "x", Agree(), request)
    assert seen != [str(uuid.uuid5(CONSEQUENCE_NAMESPACE, f"{request}/1"))]


def test_no_service_ends_a_mandate_beside_another_act(acts: People) -> None:
    bank = acts.member(Role.BANK, "bank A")
    ends = Transition("mandate", bank.id, "end", "active", "ended")

    def serve(desk: Desk, command: Agree) -> Answer:
        profile = {"profile": _profile(desk)}
        desk.act(PERSON, "register", desk.request_id, commitments=profile, effects=[ends])
        return {}

    office, before = acts.installation.office, log_size(acts.installation)
    office.acts = {**office.acts, "x": Act("x", Agree, serve)}
    with pytest.raises(NotAuthorised, match="an entry of its own"):
        office.execute(acts.installation.root, "x", Agree(), request_id())
    assert log_size(acts.installation) == before


def _profile(desk: Desk) -> Any:
    return desk.commitment("profile", Person, name="x")


# ---- mandates and keys -------------------------------------------------------------------------------------


def test_a_mandate_is_what_the_log_says_and_not_what_is_claimed(people: People) -> None:
    bank, firm = people.member(Role.BANK, "bank A"), people.member(Role.ENTERPRISE, "firm A")
    command = RecordDeposit(organisation=firm.organisation, amount_fen=5, reference="x")
    claimed = Mandate(firm.id, firm.person, firm.organisation, Role.BANK)
    for forged in (
        claimed,
        replace(claimed, organisation=bank.organisation),
        replace(claimed, id=bank.id),
        replace(claimed, id=bank.id, organisation=bank.organisation),
        replace(claimed, id="root"),
        replace(claimed, person="root"),
        replace(claimed, person="system"),
    ):
        with pytest.raises((NotAuthorised, KeyNotHeld)):
            people.do(forged, "deposit.record", command)
    people.do(bank, "deposit.record", command)


def test_the_systems_key_is_for_what_the_system_does(people: People) -> None:
    before = log_size(people.installation)
    for forged in (SYSTEM, Mandate("system", "system", "registry", Role.ROOT)):
        with pytest.raises((NotAuthorised, KeyNotHeld)):
            people.do(forged, "person.register", RegisterPerson(name="A"))
    for person in ("root", "system"):
        key = SigningKey.generate().public_bytes.hex()
        with pytest.raises(NotFound):
            people.do(
                people.installation.root, "key.add", AddKey(person=person, public_key=key, custody="client")
            )
    assert log_size(people.installation) == before


def test_nobody_is_made_root_or_system(people: People) -> None:
    admin = people.member(Role.REGISTRY_ADMIN, "registry A")
    for role in (Role.ROOT, Role.SYSTEM):
        _refused_role(people, admin, role)


def _refused_role(people: People, admin: Mandate, role: Role) -> None:
    with pytest.raises(RoleRefused):
        people.do(admin, "organisation.register", RegisterOrganisation(name="A", kind=role, county="330802"))
    with pytest.raises(RoleRefused):
        grant = GrantMandate(person=admin.person, organisation=admin.organisation, role=role)
        people.do(admin, "mandate.grant", grant)


def test_a_mandate_that_has_ended_is_of_no_use(acts: People) -> None:
    operator, bank = acts.member(Role.OPERATOR, "operator A"), acts.member(Role.BANK, "bank A")
    colleague, root = acts.colleague(operator), acts.installation.root
    key = with_own_key(acts, operator)
    office = acts.installation.office
    waiting = office.execute(operator, "pact.2P", Agree(), request_id()).request_id
    prepared = office.prepare(operator, "pact.2P", Agree(), request_id())
    deposit = RecordDeposit(organisation=operator.organisation, amount_fen=5, reference="x")
    acts.do(bank, "deposit.record", deposit)

    for ended in (operator, bank):
        acts.do(root, "mandate.end", EndMandate(mandate=ended.id))
    with pytest.raises(NotAuthorised):
        acts.do(bank, "deposit.record", deposit.model_copy(update={"reference": "y"}))
    with pytest.raises(NotAuthorised):
        office.confirm(colleague, waiting)  # its initiator has left
    assert prepared.payload is not None
    with pytest.raises(NotAuthorised):
        office.submit(operator.person, prepared.request_id, Envelope(prepared.payload).sign(key))
    with acts.installation.database.read() as session:
        assert AccountsDirectory().mandates(session, operator.person) == ()


def test_a_mandate_ends_once_and_is_not_ended_by_those_it_is_for(people: People) -> None:
    firm = people.member(Role.ENTERPRISE, "firm A")
    end = EndMandate(mandate=firm.id)
    with pytest.raises(NotAuthorised):
        people.do(firm, "mandate.end", end)
    people.do(people.installation.root, "mandate.end", end)
    with pytest.raises(Exception, match="ended"):
        people.do(people.installation.root, "mandate.end", end)
    with pytest.raises(NotFound):
        people.do(people.installation.root, "mandate.end", EndMandate(mandate=request_id()))
    assert audit(people.installation.home).findings == []


def test_the_server_is_said_to_hold_only_keys_that_it_holds(people: People) -> None:
    firm = people.member(Role.ENTERPRISE, "firm A")
    key = SigningKey.generate().public_bytes.hex()
    with pytest.raises(KeyNotHeld):
        people.do(
            people.installation.root, "key.add", AddKey(person=firm.person, public_key=key, custody="server")
        )


def test_a_key_is_of_one_person_for_good(people: People) -> None:
    one, other = people.member(Role.ENTERPRISE, "firm A"), people.member(Role.ENTERPRISE, "firm B")
    key = with_own_key(people, one)
    add = AddKey(person=other.person, public_key=key.public_bytes.hex(), custody="client")
    with pytest.raises(Exception, match="active"):
        people.do(people.installation.root, "key.add", add)


# ---- text, size, numbers -----------------------------------------------------------------------------------


def test_text_that_cannot_be_kept_is_refused_by_name(people: People) -> None:
    before = log_size(people.installation)
    for text in ("a\x00b", "\x1b[31m", "a\x7f", "a\u202egpj", "\u2066a", "a\uffff"):
        _refused_text(people, text)
    assert log_size(people.installation) == before


def _refused_text(people: People, text: str) -> None:
    with pytest.raises(TextRefused) as refused:
        people.do(people.installation.root, "person.register", RegisterPerson(name=text))
    assert refused.value.facts["field"] == "person.register.name"
    with pytest.raises(TextRefused):
        people.do(
            people.installation.root, "key.add", AddKey(person=text, public_key="0" * 64, custody="client")
        )


NAMES = ["'; drop table log; --", "𠮷野家", "Ω≈ç√∫", "名\u3000字", "e\u0301", "🌲", "\\u0000", "%s %(a)s :x"]


def test_half_a_character_is_refused(people: People) -> None:
    with pytest.raises(pydantic.ValidationError):
        RegisterPerson(name="a\ud800")


def test_any_other_name_is_kept_as_it_is(people: People) -> None:
    kept = {people.organisation(Role.COLLECTIVE, name): name for name in NAMES}
    with people.installation.database.read() as session:
        assert kept == {row.id: row.name for row in session.scalars(sa.select(Organisation))}
    assert audit(people.installation.home).findings == []


def test_what_is_too_large_is_refused_before_anybody_signs_it(acts: People) -> None:
    operator = acts.member(Role.OPERATOR, "operator A")
    before = log_size(acts.installation)
    office = acts.installation.office
    with pytest.raises(MalformedEnvelope, match="32768"):
        office.prepare(operator, "pact.2P", Agree(words=32_768), request_id())
    with pytest.raises(MalformedEnvelope):
        office.execute(operator, "pact.2P", Agree(words=32_768), request_id())
    assert office.prepare(operator, "pact.2P", Agree(words=32_000), request_id()).status == "prepared"
    assert log_size(acts.installation) == before


@pytest.mark.parametrize("amount", [0, -1, 2**53, 2**63, 2**64, 1.0, True, "5"])
def test_an_amount_is_a_whole_number_that_an_entry_can_state(amount: Any) -> None:
    with pytest.raises(pydantic.ValidationError):
        RecordDeposit(organisation="o", amount_fen=amount, reference="x")


def test_sums_stay_within_what_an_entry_can_state(people: People) -> None:
    bank = people.member(Role.BANK, "bank A")
    firm = people.organisation(Role.ENTERPRISE, "firm A")
    people.do(bank, "deposit.record", RecordDeposit(organisation=firm, amount_fen=MAX_INTEGER, reference="1"))
    with pytest.raises(LedgerRefusal, match="2\\^53"):
        people.do(bank, "deposit.record", RecordDeposit(organisation=firm, amount_fen=1, reference="2"))
    assert audit(people.installation.home).findings == []


def test_a_number_beyond_an_entrys_range_in_any_command_is_refused(acts: People) -> None:
    operator = acts.member(Role.OPERATOR, "operator A")
    with pytest.raises(LedgerRefusal):
        acts.do(operator, "pact.2P", Agree(words=-(2**53)))


def test_signatures_have_one_form(acts: People) -> None:
    operator = acts.member(Role.OPERATOR, "operator A")
    key = with_own_key(acts, operator)
    office, request = acts.installation.office, request_id()
    prepared = office.prepare(operator, "pact.2P", Agree(), request)
    assert prepared.payload is not None
    good = key.sign(pae(PAYLOAD_TYPE, prepared.payload))
    order = 2**252 + 27742317777372353535851937790883648493
    other = good[:32] + ((int.from_bytes(good[32:], "little") + order) % 2**256).to_bytes(32, "little")
    with pytest.raises(LedgerRefusal):
        office.submit(
            operator.person, request, Envelope(prepared.payload, PAYLOAD_TYPE, (Signature(key.keyid, other),))
        )


def test_an_entry_that_causes_steps_is_signed_by_those_who_may_take_them() -> None:
    """As a table: see the audit for the same in a log."""
    issuer = Mandate("i", "p1", "o1", Role.ISSUER)
    operator = Mandate("o", "p2", "o2", Role.OPERATOR)
    one = step("issued", Role.ISSUER)
    both = step("issued", Role.OPERATOR, needs=Needs.TWO_ORGANISATIONS, confirmers=[Role.ISSUER])
    pair = [Signer("p1", (issuer,)), Signer("p2", (operator,))]
    check_carried("period", "issue", one, pair)
    check_carried("period", "issue", both, pair)
    for rule, signers in ((one, pair[1:]), (both, pair[:1]), (both, pair[1:]), (one, [])):
        with pytest.raises(NotAuthorised):
            check_carried("period", "issue", rule, signers)
    assert Transition("period", "p", "issue", "verified", "issued").to_json()
