"""Keys that begin and end: of persons, of the installation, and of the log itself. The verdict depends on
positions in the log alone.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.actor_keys import KeyEnded, UnknownKey
from ledger.checkpoint import open_checkpoint, peek_checkpoint, sign_checkpoint
from ledger.client import FolderFiles, LogClient, LogWrong, read_head
from ledger.effects import Transition
from ledger.entry import MalformedPayload
from ledger.envelope import PAYLOAD_TYPE, Envelope, Signature, decode_leaf, pae
from ledger.errors import SignerUnknown
from ledger.keys import SigningKey
from ledger.log import last_checkpoint, leaves, log_keys
from ledger.log_keys import LogClosed, LogKeyNotHeld, LogKeyRefused, endorse, in_force
from ledger.note import NoteSigner, NoteVerifier, Signer, parse_note, parse_vkeys
from ledger.replay import LedgerState, ReplayRefusal, payload_of
from registry.accounts.keys import (
    AddLogKey,
    EndLogKey,
    LogKeysOverlap,
    RevocationRefused,
    RevokeKey,
    RotateKey,
    RotationRefused,
)
from registry.accounts.rules import PERSON
from registry.accounts.service import AddKey, NotFound, RecordDeposit, RegisterPerson
from registry.acts import SYSTEM, Desk
from registry.installation import HomeTaken, Installation
from registry.keyring import KeyRing
from registry.log_rotation import NothingToFinish, begin_rotation, close_log, finish_rotation
from registry.machine import Mandate, NotAuthorised, Role, TransitionRefused
from registry.office import Act, Answer, Command
from registry.projections import UnknownMachine
from registry.settings import Home
from registry.transparency.audit import audit
from tests.registry.people import People, request_id
from tests.registry.test_cli import Line, line

__all__ = ["line"]


def key_of(people: People, person: str) -> str:
    with people.installation.database.read() as session:
        key = tables.actor_key.c
        wanted = sa.select(key.keyid).where(key.person == person, key.ended_idx.is_(None))
        return str(session.scalars(wanted.order_by(key.idx.desc())).first())


def log_of(installation: Installation) -> list[bytes]:
    with installation.database.read() as session:
        return list(leaves(session, 0, 10_000))


def deposit(people: People, bank: Mandate, reference: str) -> int:
    command = RecordDeposit(
        organisation=bank.organisation, amount_fen=100, reference=reference.replace(" ", "-")
    )
    return people.do(bank, "deposit.record", command).entries[0]


def signed(key: SigningKey, payload: bytes) -> Signature:
    return Signature(key.keyid, key.sign(pae(PAYLOAD_TYPE, payload)))


def enveloped(payload: bytes, *keys: SigningKey) -> Envelope:
    signatures = sorted((signed(key, payload) for key in keys), key=lambda s: s.keyid)
    return Envelope(payload, PAYLOAD_TYPE, tuple(signatures))


@pytest.fixture
def bank(people: People) -> Mandate:
    return people.member(Role.BANK, "bank A")


@pytest.fixture
def passes(installation: Installation) -> Iterator[Callable[[], None]]:
    """The whole audit, tables and checkpoints included, finds nothing; asked once more at the end."""

    def check() -> None:
        report = audit(installation.home)
        assert report.passed, [str(finding) for finding in report.findings]

    yield check
    check()


# ---- persons -----------------------------------------------------------------------------------------------


def test_a_rotated_key_signs_no_more_and_its_successor_does(
    people: People, bank: Mandate, passes: Callable[[], None]
) -> None:
    old = key_of(people, bank.person)
    before = deposit(people, bank, "one")
    outcome = people.do(bank, "key.rotate", RotateKey(key=old, custody="server"))
    new = str(outcome.answer["key"])
    after = deposit(people, bank, "two")
    log = log_of(people.installation)
    signers = [[s.keyid for s in decode_leaf(log[i])[1].signatures] for i in (before, after)]
    assert signers == [[old], [new]] and key_of(people, bank.person) == new
    assert {s.keyid for s in decode_leaf(log[outcome.entries[0]])[1].signatures} == {old, new}
    with pytest.raises(KeyEnded):
        people.do(bank, "key.rotate", RotateKey(key=old, custody="server"))


def test_the_same_signature_is_good_before_its_key_ended_and_not_after(people: People, bank: Mandate) -> None:
    """Replay judges by position: an entry of the old key, moved behind the rotation, does not follow."""
    old = key_of(people, bank.person)
    index = deposit(people, bank, "one")
    people.do(bank, "key.revoke", RevokeKey(key=old, reason="lost"))
    log = log_of(people.installation)
    state = LedgerState()
    for leaf in log:
        state.apply(leaf)
    assert state.keys[old].ended_index == len(log) - 1
    moved = LedgerState()
    for at, leaf in enumerate(log):
        if at != index:
            moved.apply(leaf)
    at_ms, envelope = decode_leaf(log[index])
    assert at_ms <= moved.last_at_ms
    with pytest.raises(KeyEnded):
        moved.follow(moved.last_at_ms, envelope, payload_of(envelope), ())


def test_who_holds_keys_rotates_with_an_envelope_of_both_signatures(
    people: People, bank: Mandate, passes: Callable[[], None]
) -> None:
    office = people.installation.office
    mine, next_one, stranger = SigningKey.generate(), SigningKey.generate(), SigningKey.generate()
    root = people.installation.root
    own = AddKey(person=bank.person, public_key=mine.public_bytes.hex(), custody="client")
    people.do(root, "key.add", own)
    rotate = RotateKey(key=mine.keyid, custody="client", public_key=next_one.public_bytes.hex())
    request = request_id()
    payload = office.prepare(bank, "key.rotate", rotate, request).payload
    assert payload is not None
    for keys in ([mine], [next_one], [mine, stranger], [mine, next_one, stranger]):
        with pytest.raises((ReplayRefusal, UnknownKey)):
            office.submit(bank.person, request, enveloped(payload, *keys))
    assert office.submit(bank.person, request, enveloped(payload, mine, next_one)).status == "done"
    command = RecordDeposit(organisation=bank.organisation, amount_fen=5, reference="own")
    request = request_id()
    payload = office.prepare(bank, "deposit.record", command, request).payload
    assert payload is not None
    with pytest.raises(KeyEnded):
        office.submit(bank.person, request, enveloped(payload, mine))
    assert office.submit(bank.person, request, enveloped(payload, next_one)).status == "done"


def test_a_person_takes_a_key_out_of_the_registrys_custody(
    people: People, bank: Mandate, passes: Callable[[], None]
) -> None:
    """The registry signs for the key that it held; the person signs with the one that replaces it."""
    office, mine = people.installation.office, SigningKey.generate()
    rotate = RotateKey(
        key=key_of(people, bank.person), custody="webcrypto", public_key=mine.public_bytes.hex()
    )
    request = request_id()
    payload = office.prepare(bank, "key.rotate", rotate, request).payload
    assert payload is not None
    assert office.submit(bank.person, request, enveloped(payload, mine)).status == "done"
    with pytest.raises(KeyEnded):
        deposit(people, bank, "by the server")
    back = RotateKey(key=mine.keyid, custody="server")
    with pytest.raises(RotationRefused):
        office.execute(bank, "key.rotate", back, request_id())


def test_nobody_rotates_the_key_of_another(people: People, bank: Mandate) -> None:
    other = people.colleague(bank)
    for actor in (other, people.installation.root):
        with pytest.raises(NotFound):
            people.do(actor, "key.rotate", RotateKey(key=key_of(people, bank.person), custody="server"))


def test_a_key_revokes_itself_and_its_person_gets_another_from_the_root(
    people: People, bank: Mandate, passes: Callable[[], None]
) -> None:
    key = key_of(people, bank.person)
    outcome = people.do(bank, "key.revoke", RevokeKey(key=key, reason="compromised", suspect_from=3))
    entry = decode_leaf(log_of(people.installation)[outcome.entries[0]])[1]
    assert [s.keyid for s in entry.signatures] == [key]
    with pytest.raises(KeyEnded):
        deposit(people, bank, "after")
    new = people.installation.office.keyring.create()
    again = AddKey(person=bank.person, public_key=new.public_bytes.hex(), custody="server")
    people.do(people.installation.root, "key.add", again)
    deposit(people, bank, "with the new key")


def test_others_keys_are_revoked_by_the_root_or_by_two_of_the_registry(
    people: People, bank: Mandate, passes: Callable[[], None]
) -> None:
    admin = people.member(Role.REGISTRY_ADMIN, "registry")
    second, third = people.colleague(admin), people.colleague(bank)
    revoke = RevokeKey(key=key_of(people, bank.person), reason="left")
    with pytest.raises(NotFound):
        people.do(third, "key.revoke", revoke)
    people.together(admin, second, "key.revoke", revoke)
    people.do(
        people.installation.root, "key.revoke", RevokeKey(key=key_of(people, third.person), reason="lost")
    )
    people.do(admin, "key.revoke", RevokeKey(key=key_of(people, admin.person), reason="superseded"))
    assert key_of(people, admin.person) == "None"


def test_what_is_suspect_is_said_of_a_compromise_alone(people: People, bank: Mandate) -> None:
    key = key_of(people, bank.person)
    for reason, suspect_from in (("lost", 2), ("compromised", None), ("compromised", 10_000)):
        with pytest.raises(RevocationRefused):
            people.do(bank, "key.revoke", RevokeKey(key=key, reason=reason, suspect_from=suspect_from))


def test_the_installations_own_keys_are_rotated_and_never_revoked(
    people: People, bank: Mandate, passes: Callable[[], None]
) -> None:
    root = people.installation.root
    key = key_of(people, "root")
    with pytest.raises(RevocationRefused):
        people.do(root, "key.revoke", RevokeKey(key=key, reason="lost"))
    people.do(root, "key.rotate", RotateKey(key=key, custody="server"))
    assert key_of(people, "root") != key
    system = key_of(people, "system")
    people.do(SYSTEM, "key.rotate", RotateKey(key=system, custody="server"))
    people.installation.close()
    again = Installation.open(people.installation.home, state_every=1)
    People(again).do(root, "person.register", RegisterPerson(name="person Z"))
    signers = {s.keyid for leaf in log_of(again)[-2:] for s in decode_leaf(leaf)[1].signatures}
    assert signers == {key_of(people, "root"), key_of(people, "system")} and system not in signers
    again.close()


class Mischief(Command):
    machine: str
    subject: str
    action: str
    before: str
    after: str


def mischief(desk: Desk, command: Mischief) -> Answer:
    """A service with a mistake: it carries a step that its actor may not take, or that is none."""
    step = Transition(command.machine, command.subject, command.action, command.before, command.after)
    desk.act(PERSON, "register", desk.request_id, effects=[step])
    return {}


@pytest.mark.parametrize(
    ("step", "refusal"),
    [
        (("deposit", "D-1", "record", "none", "recorded"), NotAuthorised),  # the bank's alone
        (("deposit", "D-1", "reverse", "none", "reversed"), TransitionRefused),
        (("deposit", "D-1", "record", "none", "settled"), TransitionRefused),
        (("mandate", "M-1", "end", "active", "ended"), TransitionRefused),  # there is no such mandate
        (("dragon", "D-1", "fly", "none", "gone"), UnknownMachine),
        (("key", "00", "succeed", "none", "active"), MalformedPayload),  # only a rotation does that
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_carried_step_that_the_tables_do_not_allow_is_refused_before_it_is_signed(
    people: People, step: tuple[str, ...], refusal: type[Exception]
) -> None:
    office, before = people.installation.office, len(log_of(people.installation))
    office.acts = {**office.acts, "mischief.do": Act("mischief.do", Mischief, mischief)}
    machine, subject, action, old, new = step
    command = Mischief(machine=machine, subject=subject, action=action, before=old, after=new)
    with pytest.raises(refusal):
        office.execute(people.installation.root, "mischief.do", command, request_id())
    assert len(log_of(people.installation)) == before


# ---- a making that was interrupted -------------------------------------------------------------------------


def test_an_installation_whose_making_stopped_is_made_to_the_end(tmp_path: Path, database_url: str) -> None:
    home = Home.at(tmp_path / "half", database_url)
    made = Installation.create(home, "tanhui.test/half")
    vkey, log = made.vkey, log_of(made)
    made.close()
    home.vkey.unlink()  # as if the machine had stopped just before
    shutil.rmtree(home.log)
    with pytest.raises(HomeTaken):  # another name, or other keys, is another installation
        Installation.create(home, "tanhui.test/other")
    again = Installation.create(home, "tanhui.test/half")
    assert (again.vkey, log_of(again)) == (vkey, log)
    People(again).do(again.root, "person.register", RegisterPerson(name="person A"))
    again.close()
    assert audit(home).passed
    home.vkey.unlink()
    with pytest.raises(HomeTaken):  # it has lived since: its key file has to come from a backup
        Installation.create(home, "tanhui.test/half")


def test_keys_without_a_log_are_taken_up_again(tmp_path: Path, database_url: str) -> None:
    home = Home.at(tmp_path / "half", database_url)
    ring = KeyRing(home.keys)
    key = ring.create("log")
    made = Installation.create(home, "tanhui.test/half")
    assert made.vkey == NoteSigner("tanhui.test/half", key).vkey
    made.close()


def test_the_first_entry_names_hash_and_suite_and_others_are_refused(installation: Installation) -> None:
    (genesis,) = log_of(installation)
    at_ms, envelope = decode_leaf(genesis)
    payload = payload_of(envelope)
    assert (payload.facts["hash"], payload.facts["suite"]) == ("sha256", "ed25519")
    assert envelope.payload_type.endswith(".v1+json")
    checked = [signature.keyid for signature in envelope.signatures]
    for name in ("hash", "suite"):
        other = replace(payload, facts=payload.facts | {name: "md5"})
        with pytest.raises(MalformedPayload):
            LedgerState().follow(at_ms, envelope, other, checked)
    keys: Any = payload.facts["keys"]
    facts: Any = {**payload.facts, "keys": [{**key, "suite": "sm2"} for key in keys]}
    with pytest.raises(MalformedPayload):
        LedgerState().follow(at_ms, envelope, replace(payload, facts=facts), checked)


# ---- the log -----------------------------------------------------------------------------------------------


def newest_note(installation: Installation) -> bytes:
    with installation.database.read() as session:
        note = last_checkpoint(session)
    assert note is not None
    assert note == (installation.home.log / "checkpoint").read_bytes()
    return note


def reads(installation: Installation, *vkeys: str) -> None:
    verifiers = [NoteVerifier.parse(vkey) for vkey in vkeys]
    LogClient(FolderFiles(installation.home.log), verifiers).verify()


def test_a_log_key_is_rotated_over_an_overlap_and_old_new_and_both_keys_follow(
    people: People, bank: Mandate, passes: Callable[[], None]
) -> None:
    installation = people.installation
    (old,) = installation.vkey.split()
    with pytest.raises(NothingToFinish):
        finish_rotation(installation)
    new = begin_rotation(installation)
    deposit(people, bank, "in the overlap")
    lines = parse_note(newest_note(installation)).signatures
    assert [line.key_id for line in lines] == [NoteVerifier.parse(vkey).key_id for vkey in (old, new)]
    for vkeys in ((old,), (new,), (old, new)):
        reads(installation, *vkeys)
    passes()
    with pytest.raises(LogKeysOverlap):
        begin_rotation(installation)
    assert finish_rotation(installation) == [old]
    deposit(people, bank, "after")
    note = newest_note(installation)
    with pytest.raises(SignerUnknown):
        open_checkpoint(note, NoteVerifier.parse(old))
    assert len(parse_note(note).signatures) == 1
    for vkeys in ((old,), (new,), (old, new)):  # the old key alone follows its own endorsement
        reads(installation, *vkeys)
    assert parse_vkeys(installation.home.vkey.read_text())[-1].vkey == new
    installation.close()
    again = Installation.open(installation.home)
    People(again).do(again.root, "person.register", RegisterPerson(name="person Z"))
    third = begin_rotation(again)
    finish_rotation(again)
    reads(again, old)
    assert again.vkey.split() == [old, new, third]
    again.close()


def test_a_checkpoint_by_an_ended_key_is_refused_by_client_and_audit(people: People, bank: Mandate) -> None:
    installation = people.installation
    (old,) = installation.vkey.split()
    old_signer = installation.signer
    new = begin_rotation(installation)
    new_signer = installation.signer
    deposit(people, bank, "one")
    overlap = newest_note(installation)
    finish_rotation(installation)
    good, file = newest_note(installation), installation.home.log / "checkpoint"
    head = peek_checkpoint(good)
    stranger = NoteSigner(head.origin, SigningKey.generate())
    for signers in ([old_signer], [stranger], [old_signer, stranger]):
        file.write_bytes(sign_checkpoint(head, signers))
        for vkeys in ((old,), (new,), (old, new)):
            with pytest.raises(LogWrong):
                reads(installation, *vkeys)
        assert not audit(installation.home).passed
    file.write_bytes(good)
    reads(installation, old)
    assert audit(installation.home).passed
    # In the overlap each of the two has to have signed.
    overlapped = peek_checkpoint(overlap)
    with installation.database.read() as session:
        wanted = in_force(log_keys(session), overlapped.size)
    assert [one.vkey for one in wanted] == [old, new]
    with installation.database.write() as session:
        if session.get_bind().dialect.name == "sqlite":
            session.execute(sa.text("drop trigger checkpoint_no_update"))
        else:
            session.execute(sa.text("alter table checkpoint disable trigger user"))
        half = sign_checkpoint(overlapped, [new_signer])
        session.execute(
            sa.update(tables.checkpoint).where(tables.checkpoint.c.size == overlapped.size).values(note=half)
        )
    assert any(finding.check == "I12" for finding in audit(installation.home).findings)


def test_nobody_is_led_to_a_key_that_the_old_one_did_not_endorse(people: People) -> None:
    """Whoever makes up a whole log around the old verifier key still cannot sign for it."""
    installation = people.installation
    (old,) = installation.vkey.split()
    thief = NoteSigner(NoteVerifier.parse(old).name, SigningKey.generate())
    genuine = endorse(thief.verifier, installation.signer)
    forged = endorse(thief.verifier, thief)
    assert genuine != forged
    new = begin_rotation(installation)
    finish_rotation(installation)
    log = log_of(installation)
    added = next(leaf for leaf in log if b'"' in leaf and new.encode() in decode_leaf(leaf)[1].payload)
    state = LedgerState()
    for leaf in log[: log.index(added)]:
        state.apply(leaf)
    at_ms, envelope = decode_leaf(added)
    payload = payload_of(envelope)
    payload.facts["endorsement"] = forged
    with pytest.raises(LogKeyRefused):
        state.follow(at_ms, envelope, payload, [s.keyid for s in envelope.signatures])


def test_the_last_key_stays_and_nobody_but_the_root_changes_keys(people: People, bank: Mandate) -> None:
    installation = people.installation
    (old,) = installation.vkey.split()
    with pytest.raises(LogKeyRefused):
        people.do(installation.root, "log.end_key", EndLogKey(vkey=old))
    stranger = NoteSigner(NoteVerifier.parse(old).name, SigningKey.generate())
    with pytest.raises(LogKeyNotHeld):
        people.do(installation.root, "log.add_key", AddLogKey(vkey=stranger.vkey))
    with pytest.raises(NotAuthorised):
        people.do(bank, "log.add_key", AddLogKey(vkey=stranger.vkey))
    deposit(people, bank, "nothing happened")


@pytest.mark.seconds
def test_another_process_rotates_and_the_running_one_follows(people: People, bank: Mandate) -> None:
    """A server that signed with a stale key would publish what everybody refuses."""
    installation = people.installation
    for arguments in (["rotate-key"], ["rotate-key", "--finish"]):
        program = [sys.executable, "-m", "registry.cli", "log", *arguments]
        where = {
            "TANHUI_HOME": str(installation.home.path),
            "TANHUI_DATABASE_URL": installation.home.database_url,
        }
        subprocess.run(program, env=os.environ | where, check=True, capture_output=True, timeout=120)
        deposit(people, bank, "-".join(arguments))
        reads(installation, *installation.vkey.split())
    note = parse_note(newest_note(installation))
    assert [line.key_id for line in note.signatures] == [
        NoteVerifier.parse(installation.vkey.split()[1]).key_id
    ]
    assert audit(installation.home).passed


def test_without_a_key_in_force_nothing_is_signed_and_the_reason_is_said(
    people: People, bank: Mandate
) -> None:
    installation = people.installation
    new = NoteVerifier.parse(begin_rotation(installation))
    installation.close()
    file = installation.home.keys / f"log-{new.key_id.hex()}.pem"
    kept = file.read_bytes()
    file.unlink()
    again = Installation.open(installation.home)
    with pytest.raises(LogKeyNotHeld):
        deposit(People(again), bank, "one")
    file.write_bytes(kept)  # the operator brings it back; the writer was never stopped
    deposit(People(again), bank, "one")
    again.close()


def test_nothing_follows_a_closed_log(people: People, bank: Mandate, passes: Callable[[], None]) -> None:
    installation = people.installation
    successor = NoteSigner("tanhui.test/log2", SigningKey.generate())
    with pytest.raises(LogKeyNotHeld):
        people.do(
            installation.root,
            "log.add_key",
            AddLogKey(vkey=NoteSigner("tanhui.test/log", SigningKey.generate()).vkey),
        )
    close_log(installation, "tanhui.test/log2", successor.vkey)
    with pytest.raises(LogClosed):
        deposit(people, bank, "after")
    reads(installation, installation.vkey)
    installation.close()
    again = Installation.open(installation.home)
    with pytest.raises(LogClosed):
        deposit(People(again), bank, "after the start")
    again.close()


# ---- a key somewhere else ----------------------------------------------------------------------------------

HSM = """
import sys
from ledger.keys import SigningKey
key = SigningKey.from_seed(bytes(range(32)))
print(key.public_bytes.hex(), flush=True)
for line in sys.stdin:
    print(key.sign(bytes.fromhex(line)).hex(), flush=True)
"""


class Hsm:
    """A key in another process, spoken to over a pipe: the one interface is `ledger.note.Signer`."""

    def __init__(self, name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HSM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.verifier = NoteVerifier(name, bytes.fromhex(self._answer()))

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def sign_text(self, text: str) -> bytes:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode().hex() + "\n")
        self._process.stdin.flush()
        return bytes.fromhex(self._answer())

    def signer(self, verifier: NoteVerifier) -> Signer | None:
        return self if verifier == self.verifier else None

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


def test_a_log_key_may_lie_in_another_process(installation: Installation) -> None:
    installation.close()
    hsm = Hsm("tanhui.test/log")
    running = Installation.open(installation.home, services=[hsm])
    people = People(running)
    people.do(running.root, "log.add_key", AddLogKey(vkey=hsm.verifier.vkey))
    finish_rotation(running)
    people.do(running.root, "person.register", RegisterPerson(name="person A"))
    assert open_checkpoint(newest_note(running), hsm.verifier).size == len(log_of(running))
    assert not list(running.home.keys.glob("log-*"))
    assert audit(running.home).passed
    running.close()
    hsm.close()
    alone = Installation.open(running.home)
    with pytest.raises(LogKeyNotHeld):
        People(alone).do(alone.root, "person.register", RegisterPerson(name="person B"))
    alone.close()


# ---- other programs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_go_and_tlog_scales_read_the_overlap_with_either_key(
    people: People, bank: Mandate, go_oracle: Path
) -> None:
    reader = pytest.importorskip("tlog_scales.reader", reason="tlog-scales is not installed")
    backend = pytest.importorskip("tlog_scales.backend", reason="tlog-scales is not installed")
    signing = pytest.importorskip("tlog_scales.signing", reason="tlog-scales is not installed")
    installation = people.installation
    (old,) = installation.vkey.split()
    (first := installation.home.path / "first").write_bytes(newest_note(installation))
    new = begin_rotation(installation)
    deposit(people, bank, "one")

    def go(vkey: str, *since: Path) -> int:
        program = [str(go_oracle), str(installation.home.log), vkey, *map(str, since)]
        return subprocess.run(program, capture_output=True, timeout=60, check=False).returncode

    def scales(vkey: str) -> bool:
        checkpoint = reader.TilesReader(backend.LocalBackend(installation.home.log)).get_checkpoint()
        try:
            return checkpoint.verify(signing.Vkey.from_string(vkey)) is not False
        except Exception:
            return False

    assert go(old, first) == go(new) == 0 and scales(old) and scales(new)
    finish_rotation(installation)
    assert go(new) == 0 and scales(new)
    assert go(old) != 0 and not scales(old)


# ---- from the command line ---------------------------------------------------------------------------------


def test_the_command_line_rotates_follows_and_closes(line: Line, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    assert line("db", "create", "--home", home)[0] == 0
    old = (tmp_path / "home" / "log.vkey").read_text().strip()
    assert line("log", "rotate-key", "--finish", "--home", home)[0] != 0
    assert line("log", "rotate-key", "--home", home)[0] == 0
    assert line("log", "rotate-key", "--home", home)[0] != 0
    assert line("log", "rotate-key", "--finish", "--home", home)[0] == 0
    log = str(tmp_path / "home" / "log")
    for key in (old, str(tmp_path / "home" / "log.vkey")):
        status, said = line("log", "verify", log, "--vkey", key)
        assert status == 0, said
    assert line("audit", home)[0] == 0
    assert line("audit", "--log", log, "--vkey", old)[0] == 0
    successor = NoteSigner("next.example/log", SigningKey.generate()).vkey
    closing = ("log", "close", "--next-origin", "next.example/log", "--next-vkey", successor)
    assert line(*closing, "--home", home)[0] == 0
    assert line(*closing, "--home", home)[0] != 0
    assert line("audit", home)[0] == 0


def test_a_saved_checkpoint_of_the_old_key_is_continued_under_the_new(people: People, bank: Mandate) -> None:
    installation = people.installation
    saved = newest_note(installation)
    old = NoteVerifier.parse(installation.vkey)
    begin_rotation(installation)
    finish_rotation(installation)
    deposit(people, bank, "one")
    client = LogClient(FolderFiles(installation.home.log), parse_vkeys(installation.vkey))
    assert client.verify(since=read_head(saved, old)).since_size == peek_checkpoint(saved).size
