"""Whoever holds the server and the log's key writes what looks like entries, and changes tables to match.

The forged entries hash into the tree, the checkpoint over them is signed, the tables follow them. The audit
finds them because the log itself says who may do what.
"""

import uuid
from dataclasses import dataclass, replace
from typing import Any

import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.commitment import commit
from ledger.effects import Transition
from ledger.entry import Payload
from ledger.envelope import Envelope, encode_leaf
from ledger.keys import SigningKey
from ledger.log import LedgerTransaction
from ledger.replay import UnknownKey
from ledger.tiles import entries_path
from registry.accounts.models import Organisation
from registry.accounts.service import AccountsDirectory, EndMandate, RecordDeposit, RegisterPerson
from registry.acts import ROOT
from registry.catalogue import PROJECTIONS
from registry.database import Base
from registry.installation import publish
from registry.machine import Mandate, Role
from registry.programmes.service import programme_file
from registry.projections import project, record_of
from registry.transparency.audit import audit
from tests.registry.people import People, request_id
from tests.registry.transparency.tampering import drop_guards


@dataclass(slots=True)
class Forger:
    """The server's owner: its database, its log key, and the keys in server custody."""

    people: People

    def key(self, mandate: Mandate) -> SigningKey:
        installation = self.people.installation
        keyring = installation.office.keyring
        if mandate.person in ("root", "system"):
            return keyring.get(mandate.person)
        with installation.database.read() as session:
            keyid = AccountsDirectory().server_key(session, mandate.person)
        assert keyid is not None
        return keyring.get(keyid)

    def write(
        self, payload: Payload, *keys: SigningKey, checked: bool = True, projected: bool = True
    ) -> None:
        """Append, project, seal and publish without any of the office's questions."""
        installation = self.people.installation
        leaf = encode_leaf(2_000_000_000_000, Envelope(payload.to_bytes()).sign(*keys))
        with installation.database.write() as session:
            ledger = LedgerTransaction(session)
            entry = ledger.append(leaf, check_signatures=checked)
            if projected:
                project(session, entry, PROJECTIONS)
            ledger.seal(installation.signer)
        publish(installation.database, installation.tiles)

    def findings(self) -> list[str]:
        return [str(finding) for finding in audit(self.people.installation.home).findings]

    def caught(self, check: str) -> bool:
        found = self.findings()
        return any(finding.startswith(f"{check} ") for finding in found)


@pytest.fixture
def forger(people: People) -> Forger:
    return Forger(people)


def says(by: Mandate, machine: str, action: str, before: str, after: str, **more: Any) -> Payload:
    return Payload(
        **{
            "type": "act", "id": str(uuid.uuid4()), "by": by.person, "role": by.role.value, "mandate": by.id,
            "machine": machine, "subject": request_id(), "action": action, "before": before, "after": after,
        }
        | more
    )  # fmt: skip


def registers(by: Mandate, **more: Any) -> Payload:
    profile = {"profile": "0" * 64}
    return says(by, "person", "register", "none", "registered", commitments=profile, **more)


def test_the_forgers_tools_make_an_entry_that_is_in_order(forger: Forger) -> None:
    """So what is found below is the forgery and not the tool."""
    admin = forger.people.member(Role.REGISTRY_ADMIN, "registry A")
    second = forger.people.colleague(admin)
    forger.write(registers(admin), forger.key(admin), forger.key(second))
    assert [finding for finding in forger.findings() if not finding.startswith("C1")] == []


def test_an_act_needs_its_role(forger: Forger) -> None:
    firm = forger.people.member(Role.ENTERPRISE, "firm A")
    forger.write(registers(firm), forger.key(firm))
    assert forger.caught("I9")


def test_a_role_is_what_the_mandate_gives(forger: Forger) -> None:
    firm = forger.people.member(Role.ENTERPRISE, "firm A")
    forger.write(registers(replace(firm, role=Role.REGISTRY_ADMIN)), forger.key(firm))
    assert forger.caught("I9")


@pytest.mark.parametrize("mandate", ["root", "system", "invented"])
def test_a_mandate_is_of_the_person_who_signed(forger: Forger, mandate: str) -> None:
    firm = forger.people.member(Role.ENTERPRISE, "firm A")
    forger.write(registers(replace(firm, id=mandate, role=Role.ROOT)), forger.key(firm))
    assert forger.caught("I9")


def test_nobody_acts_under_the_name_of_another(forger: Forger) -> None:
    admin = forger.people.member(Role.REGISTRY_ADMIN, "registry A")
    firm = forger.people.member(Role.ENTERPRISE, "firm A")
    forger.write(registers(admin), forger.key(firm))
    assert forger.caught("I9")


def test_the_system_key_does_what_the_system_does(forger: Forger) -> None:
    forger.write(registers(ROOT), forger.key(Mandate("system", "system", "registry", Role.SYSTEM)))
    assert forger.caught("I9")


def test_more_signatures_than_a_step_has_are_not_in_order(forger: Forger) -> None:
    admin = forger.people.member(Role.REGISTRY_ADMIN, "registry A")
    firm = forger.people.member(Role.ENTERPRISE, "firm A")
    forger.write(registers(admin), forger.key(admin), forger.key(firm))
    assert forger.caught("I9")


def test_a_mandate_that_has_ended_is_of_no_use(forger: Forger) -> None:
    admin = forger.people.member(Role.REGISTRY_ADMIN, "registry A")
    forger.people.do(forger.people.installation.root, "mandate.end", EndMandate(mandate=admin.id))
    forger.write(registers(admin), forger.key(admin))
    assert forger.caught("I9")


def test_two_persons_are_two_persons(forger: Forger) -> None:
    people = forger.people
    admin, other = (people.member(Role.REGISTRY_ADMIN, f"registry {n}") for n in "AB")
    colleague = people.colleague(admin)
    published = people.together(admin, colleague, "programme.publish", programme_file())
    programme = str(published.answer["programme"])
    payload = says(admin, "programme", "withdraw", "published", "withdrawn", subject=programme)
    forger.write(payload, forger.key(admin), forger.key(other))  # of another organisation
    assert forger.caught("I9")


def test_one_person_is_not_two(forger: Forger) -> None:
    people = forger.people
    admin = people.member(Role.REGISTRY_ADMIN, "registry A")
    colleague = people.colleague(admin)
    published = people.together(admin, colleague, "programme.publish", programme_file())
    programme = str(published.answer["programme"])
    payload = says(admin, "programme", "withdraw", "published", "withdrawn", subject=programme)
    forger.write(payload, forger.key(admin))
    assert forger.caught("I9")


def test_a_step_that_an_entry_causes_is_one_its_signers_may_take(forger: Forger) -> None:
    """A bank's clerk ends the mandate of somebody at the registry, inside a deposit."""
    admin, bank = (forger.people.member(role, role) for role in (Role.REGISTRY_ADMIN, Role.BANK))
    ends = Transition("mandate", admin.id, "end", "active", "ended")
    firm = bank.organisation
    facts: Any = {"bank": firm, "organisation": firm, "amount_fen": 1, "reference": "x"}
    payload = says(bank, "deposit", "record", "none", "recorded", facts=facts, effects=(ends,))
    forger.write(payload, forger.key(bank))
    assert any("causes mandate end" in finding for finding in forger.findings())


def test_a_mandate_ends_by_an_entry_of_its_own_and_beside_no_other(forger: Forger) -> None:
    """Even the root, who may end it: who looks for the end looks at entries of mandates."""
    bank = forger.people.member(Role.BANK, "bank A")
    ends = Transition("mandate", bank.id, "end", "active", "ended")
    forger.write(registers(ROOT, effects=(ends,)), forger.key(ROOT))
    assert any("causes mandate end" in finding for finding in forger.findings())


def test_a_step_is_in_its_table(forger: Forger) -> None:
    admin = forger.people.member(Role.REGISTRY_ADMIN, "registry A")
    forger.write(says(admin, "mandate", "renew", "active", "active", subject=admin.id), forger.key(admin))
    assert forger.caught("I8")


def test_a_subject_begins_at_the_beginning(forger: Forger) -> None:
    """The end of a mandate that was never given; its table would be content."""
    admin = forger.people.member(Role.REGISTRY_ADMIN, "registry A")
    payload = says(admin, "mandate", "end", "active", "ended")
    forger.write(payload, forger.key(admin), projected=False)
    assert forger.caught("L3")


def test_nobody_is_made_root_in_the_log(forger: Forger) -> None:
    admin = forger.people.member(Role.REGISTRY_ADMIN, "registry A")
    facts: Any = {"person": admin.person, "organisation": admin.organisation, "role": "root"}
    payload = says(admin, "mandate", "grant", "none", "active", facts=facts)
    forger.write(payload, forger.key(admin))
    assert forger.caught("I9")


def test_a_firm_that_names_its_member_an_individual_is_found(forger: Forger) -> None:
    """An individual signs alone where a firm needs two persons."""
    admin = forger.people.member(Role.REGISTRY_ADMIN, "registry A")
    firm = forger.people.member(Role.ENTERPRISE, "firm A")
    second = forger.people.colleague(admin)
    facts: Any = {"person": firm.person, "organisation": firm.organisation, "role": "individual"}
    payload = says(admin, "mandate", "grant", "none", "active", facts=facts)
    forger.write(payload, forger.key(admin), forger.key(second))
    assert forger.caught("I9")


@pytest.mark.parametrize("role", ["emperor", 5])
def test_a_role_that_does_not_exist_is_found_and_not_stumbled_over(forger: Forger, role: Any) -> None:
    admin = forger.people.member(Role.REGISTRY_ADMIN, "registry A")
    facts: Any = {"person": admin.person, "organisation": admin.organisation, "role": role}
    payload = says(admin, "mandate", "grant", "none", "active", facts=facts)
    forger.write(payload, forger.key(admin))
    assert forger.caught("I9")


@pytest.mark.parametrize("person", ["root", "system", "nobody"])
def test_no_key_is_added_to_the_installations_own_or_to_nobody(forger: Forger, person: str) -> None:
    admin, key = forger.people.member(Role.REGISTRY_ADMIN, "registry A"), SigningKey.generate()
    forger.write(adds(admin, key, person), forger.key(admin))
    assert forger.caught("I9")


def test_a_key_that_vouches_for_itself_does_not_follow_from_the_log(forger: Forger) -> None:
    """The ledger takes no such entry, whoever asks; the auditor's own verdict is in `tests/auditor`."""
    key = SigningKey.generate()
    with pytest.raises(UnknownKey):
        forger.write(adds(ROOT, key, "root"), key, checked=False)


def adds(by: Mandate, key: SigningKey, person: str) -> Payload:
    facts: Any = {
        "keys": [
            {"public": key.public_bytes.hex(), "person": person, "custody": "client", "suite": "ed25519"}
        ]
    }
    return says(by, "key", "add", "none", "active", type="key.add", subject=key.keyid, facts=facts)


# ---- tables and files --------------------------------------------------------------------------------------


def test_a_record_is_not_changed_together_with_its_key_and_its_commitment(forger: Forger) -> None:
    organisation = forger.people.organisation(Role.COLLECTIVE, "村集体甲")
    key = b"k" * 32
    with forger.people.installation.database.write() as session:
        row = session.get_one(Organisation, organisation)
        row.name, row.commitment_key = "村集体乙", key
        row.commitment = commit(key, record_of(Organisation, {"name": row.name, "uscc": None}))
    assert forger.caught("I13")


@pytest.mark.seconds
def test_a_row_more_or_less_is_found_in_every_table(forger: Forger) -> None:
    people = forger.people
    bank = people.member(Role.BANK, "bank A")
    deposit = RecordDeposit(organisation=bank.organisation, amount_fen=5, reference="x")
    people.do(bank, "deposit.record", deposit)
    drop_guards(people.installation)
    tried = 0
    for table in [*tables.metadata.sorted_tables, *Base.metadata.sorted_tables]:
        if table.name in ("checkpoint", "log", "posting", "head"):
            continue  # append-only, or with one row; in the audit's other tests
        if all(column.info["truth"] == "working" for column in table.columns):
            continue
        tried += _doubled_and_deleted(forger, table)
    assert tried >= 10
    assert forger.findings() == []


def _doubled_and_deleted(forger: Forger, table: sa.Table) -> int:
    """A copy of a row under another key, then the row gone; each is found, each is undone."""
    key = list(table.primary_key)[-1]
    with forger.people.installation.database.engine.connect() as connection:
        row = connection.execute(sa.select(table).limit(1)).mappings().first()
    if row is None or not isinstance(row[key.name], str):
        return 0
    unique = [one for one in table.constraints if isinstance(one, sa.UniqueConstraint)]
    copy = {**row, key.name: "copy", **{list(one.columns)[-1].name: "copy" for one in unique}}
    _unguarded(forger, sa.insert(table).values(copy))
    assert forger.findings(), f"a row more in {table.name}"
    _unguarded(forger, sa.delete(table).where(key == "copy"))
    _unguarded(forger, sa.delete(table).where(key == row[key.name]))
    assert forger.findings(), f"a row less in {table.name}"
    _unguarded(forger, sa.insert(table).values(dict(row)))
    return 2


def _unguarded(forger: Forger, statement: Any) -> None:
    with forger.people.installation.database.engine.connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:
            connection.exec_driver_sql("rollback")
            connection.exec_driver_sql("pragma foreign_keys=off")
            connection.exec_driver_sql("begin")
        else:
            connection.exec_driver_sql("set session_replication_role = replica")
        connection.execute(statement)
        connection.commit()
        connection.exec_driver_sql(
            "pragma foreign_keys=on" if sqlite else "set session_replication_role = origin"
        )
        connection.commit()


def test_the_time_of_an_entry_is_bound_by_the_tree(forger: Forger) -> None:
    forger.people.do(forger.people.installation.root, "person.register", RegisterPerson(name="A"))
    path = forger.people.installation.home.log / entries_path(0, 2)
    original = path.read_bytes()
    at = original.index(b'{"at":') + len(b'{"at":')
    path.write_bytes(original[:at] + b"2" + original[at + 1 :])
    assert forger.caught("L2")
