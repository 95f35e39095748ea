"""Nothing is public before a quorum of witnesses has signed it; what is committed waits, and says so."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from ledger import tables
from ledger.client import FolderFiles, LogClient
from ledger.note import NoteVerifier, parse_note
from ledger.policy import LogNotInPolicy, MalformedPolicy, Policy, read_policy
from ledger.verify import verify_entry
from registry.accounts.service import RegisterPerson
from registry.anchor import DatabaseBehind, HistoryForked
from registry.app import create_app
from registry.installation import Installation
from registry.receipts import prove
from registry.settings import Home
from registry.transparency.audit import audit
from registry.witness import WitnessMissing, open_witness, witness_app
from registry.writer import WriterStopped
from tests.registry.conftest import START
from tests.registry.people import request_id
from tests.registry.test_cli import Line, line
from tests.registry.witnesses import Process, Served

pytestmark = pytest.mark.seconds

__all__ = ["line"]


def register(installation: Installation, count: int = 1) -> None:
    for _ in range(count):
        command = RegisterPerson(name="A")
        installation.office.execute(installation.root, "person.register", command, request_id())


def committed(installation: Installation) -> int:
    with installation.database.read() as session:
        return int(session.scalar(sa.select(tables.head.c.size)) or 0)


def published(installation: Installation) -> int:
    return installation.tiles.published_size()


def note_of(installation: Installation) -> bytes:
    note = installation.tiles.checkpoint_bytes()
    assert note is not None
    return note


def cosigners(installation: Installation) -> list[str]:
    policy = read_policy(installation.home.policy)
    assert policy is not None
    return policy.cosigned_by(note_of(installation))


def eventually(holds: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def two_of_three(witnesses: list[Served], log: str) -> str:
    lines = [f"log {log}"]
    lines += [f"witness w{i} {w.vkeys[0]} {w.url}" for i, w in enumerate(witnesses)]
    return "\n".join([*lines, "group three 2 w0 w1 w2", "quorum three", ""])


@pytest.fixture
def witnesses(installation: Installation, tmp_path: Path) -> Iterator[list[Served]]:
    """Three witnesses, running."""
    known = [NoteVerifier.parse(vkey) for vkey in installation.vkey.split()]
    made = [Served.made(tmp_path / f"w{i}", f"witness.example/w{i}", known) for i in range(3)]
    for one in made:
        one.start()
    yield made
    for one in made:
        one.stop()


@pytest.fixture
def witnessed(installation: Installation, witnesses: list[Served]) -> Iterator[Installation]:
    """The installation, opened again with a policy of two of the three."""
    installation.close()
    installation.home.policy.write_text(two_of_three(witnesses, installation.vkey))
    opened = reopened(installation.home)
    yield opened
    opened.close()


def reopened(home: Home) -> Installation:
    opened = Installation.open(home)
    opened.publisher.pauses_s = (0.05,)
    return opened


# ---- a quorum ----------------------------------------------------------------------------------------------


def test_what_is_published_bears_a_quorum_of_cosignatures(witnessed: Installation) -> None:
    assert len(cosigners(witnessed)) >= 2, "the log as it was before the policy is cosigned at the start"
    register(witnessed, 3)
    assert published(witnessed) == committed(witnessed) and len(cosigners(witnessed)) >= 2
    policy = read_policy(witnessed.home.policy)
    files = FolderFiles(witnessed.home.log)
    log = NoteVerifier.parse(witnessed.vkey)
    assert LogClient(files, log, policy).verify().head.checkpoint.size == committed(witnessed)
    assert audit(witnessed.home).findings == []


def test_one_dead_witness_of_three_is_not_missed(witnessed: Installation, witnesses: list[Served]) -> None:
    for dead in witnesses:
        dead.stop()
        register(witnessed)
        assert published(witnessed) == committed(witnessed) and witnessed.publisher.held is None
        assert len(cosigners(witnessed)) == 2
        dead.start()


def test_with_two_dead_acts_are_taken_and_publication_waits_until_one_returns(
    witnessed: Installation, witnesses: list[Served], caplog: pytest.LogCaptureFixture
) -> None:
    before = published(witnessed)
    with TestClient(create_app(witnessed)) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        witnesses[0].stop()
        witnesses[1].stop()
        register(witnessed, 3)
        assert (published(witnessed), committed(witnessed)) == (before, before + 3)
        health = client.get("/healthz")
        said = health.json()
        assert (health.status_code, said["status"], said["published"]) == (200, "publication_held", before)
        assert said["since"] and set(said["missing"]) == {"w0", "w1"}
        assert "publication is held since" in caplog.text and "w0" in caplog.text

        witnesses[1].start()
        eventually(lambda: published(witnessed) == before + 3)  # nobody commits anything meanwhile
        eventually(lambda: client.get("/healthz").json() == {"status": "ok"})
    assert set(cosigners(witnessed)) == {"w1", "w2"}
    register(witnessed)
    assert published(witnessed) == before + 4
    assert audit(witnessed.home).findings == []


def test_what_is_held_when_the_registry_stops_is_published_after_its_next_start(
    witnessed: Installation, witnesses: list[Served]
) -> None:
    before = published(witnessed)
    witnesses[0].stop()
    witnesses[1].stop()
    register(witnessed, 2)
    witnessed.close()
    again = reopened(witnessed.home)
    try:
        assert again.publisher.held is not None and published(again) == before
        register(again)
        witnesses[0].start()
        eventually(lambda: published(again) == before + 3)
    finally:
        again.close()


def test_a_witness_that_says_nothing_delays_a_commit_once_and_by_the_budget_only(
    witnessed: Installation, witnesses: list[Served]
) -> None:
    for one in witnesses[:2]:
        one.stop()
    with _Silent(witnesses[0].port), _Silent(witnesses[1].port):
        witnessed.publisher.budget_s = 0.5
        began = time.monotonic()
        register(witnessed)
        assert 0.4 < time.monotonic() - began < 3
        began = time.monotonic()
        register(witnessed, 5)
        assert time.monotonic() - began < 0.5 * 5, "held: no commit waits any more"
        assert witnessed.publisher.held is not None
    witnesses[0].start()
    witnesses[1].start()
    eventually(lambda: published(witnessed) == committed(witnessed), 40)


class _Silent:
    """A port where somebody listens and never answers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_server(("127.0.0.1", port), backlog=64)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_failure: object) -> None:
        self._socket.close()


def test_processes_that_publish_side_by_side_do_not_contradict_each_other(
    witnessed: Installation,
) -> None:
    other = reopened(witnessed.home)
    try:
        sizes = [published(witnessed)]

        def act(installation: Installation) -> None:
            for _ in range(6):
                register(installation)
                sizes.append(published(installation))

        threads = [threading.Thread(target=act, args=(one,)) for one in (witnessed, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one in (witnessed, other):
            assert one.writer.failure is None and one.publisher.failure is None
        eventually(lambda: published(witnessed) == committed(witnessed))
    finally:
        other.close()


# ---- what witnesses know of us -----------------------------------------------------------------------------


def restored(installation: Installation, copy: Path) -> Home:
    """The home with tables and published log as they were when `copy` was taken."""
    home = installation.home
    shutil.rmtree(home.path)
    shutil.copytree(copy, home.path)
    return home


def test_a_registry_restored_whole_is_stopped_by_its_witnesses(tmp_path: Path) -> None:
    """Tables, published log, everything: only the witnesses know that there was more."""
    home = Home.at(tmp_path / "home")
    first = Installation.create(home, "tanhui.test/log", simulated_at=START)
    known = [NoteVerifier.parse(first.vkey)]
    made = [Served.made(tmp_path / f"w{i}", f"witness.example/w{i}", known) for i in range(3)]
    for one in made:
        one.start()
    first.close()
    home.policy.write_text(two_of_three(made, first.vkey))
    try:
        running = reopened(home)
        register(running, 2)
        running.close()
        shutil.copytree(home.path, tmp_path / "backup")
        running = reopened(home)
        register(running, 2)
        size = committed(running)
        running.close()

        restored(running, tmp_path / "backup")
        with pytest.raises(DatabaseBehind) as refused:
            Installation.open(home)
        assert refused.value.facts == {"published": size, "committed": size - 2}

        # While the witnesses are out of reach nobody can know. When they return, it ends.
        for one in made:
            one.stop()
        forked = reopened(home)
        register(forked, 2)
        assert forked.publisher.held is not None
        for one in made:
            one.start()
        eventually(lambda: forked.publisher.failure is not None)
        assert isinstance(forked.publisher.failure, HistoryForked)
        with pytest.raises(WriterStopped):
            register(forked)
        assert committed(forked) == size, "what came after the contradiction was not signed"
        with TestClient(create_app(forked)) as client:
            assert client.get("/healthz").status_code == 503
        forked.close()
    finally:
        for one in made:
            one.stop()


# ---- proofs and readers ------------------------------------------------------------------------------------


def test_proofs_lead_to_the_first_cosigned_checkpoint_for_ever(
    witnessed: Installation, witnesses: list[Served]
) -> None:
    start = published(witnessed)
    register(witnessed)
    witnesses[0].stop()
    witnesses[1].stop()
    register(witnessed, 3)
    witnesses[0].start()
    eventually(lambda: published(witnessed) == committed(witnessed))
    policy = read_policy(witnessed.home.policy)
    proofs = {}
    for index in (0, start, start + 1, start + 3):
        with witnessed.database.read() as session:
            proofs[index] = prove(session, index, witnessed.tiles)
        (leaf,) = witnessed.tiles.read_entries(index, index + 1)
        verified = verify_entry(proofs[index], leaf, witnessed.vkey, policy=policy)
        at_once = index <= start
        assert verified.index == index
        assert verified.size == max(start, index + 1) if at_once else start + 1 < verified.size <= start + 4
    register(witnessed, 2)
    for index, proof in proofs.items():
        with witnessed.database.read() as session:
            assert prove(session, index, witnessed.tiles) == proof


def test_go_and_tlog_scales_accept_a_cosigned_checkpoint(witnessed: Installation, go_oracle: Path) -> None:
    register(witnessed, 3)
    log = witnessed.home.log
    answer = subprocess.run(
        [str(go_oracle), str(log), witnessed.vkey], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.split()[0] == str(committed(witnessed))
    tlog = pytest.importorskip("tlog_scales.tlog", reason="tlog-scales, the second opinion, is not installed")
    signing = pytest.importorskip("tlog_scales.signing")
    theirs = tlog.Checkpoint.from_text(note_of(witnessed).decode())
    policy = read_policy(witnessed.home.policy)
    assert policy is not None
    for vkey in (witnessed.vkey, *(policy.witnesses[name].verifier.vkey for name in cosigners(witnessed))):
        theirs.verify(signing.Vkey.from_string(vkey))


def test_the_command_line_demands_the_quorum(witnessed: Installation, line: Line, tmp_path: Path) -> None:
    register(witnessed)
    home = witnessed.home
    status, said = line(
        "log", "verify", str(home.log), "--vkey", str(home.vkey), "--policy", str(home.policy)
    )
    assert status == 0 and "cosigned it" in said
    all_three = tmp_path / "all.policy"
    all_three.write_text(home.policy.read_text().replace("group three 2", "group three all"))
    note = note_of(witnessed)
    lines = parse_note(note).signatures
    bare = tmp_path / "log"
    shutil.copytree(home.log, bare)
    (bare / "checkpoint").write_bytes(
        parse_note(note).text.encode() + b"\n" + "".join(map(str, lines[:2])).encode()
    )
    status, said = line("log", "verify", str(bare), "--vkey", str(home.vkey), "--policy", str(all_three))
    assert (status, "cosignatures that the policy asks for" in said) == (1, True), said
    status, said = line("log", "verify", str(bare), "--vkey", str(home.vkey))
    assert status == 0


def test_a_policy_that_cannot_be_meant_stops_the_start(installation: Installation) -> None:
    installation.close()
    installation.home.policy.write_text("quorum\n")
    with pytest.raises(MalformedPolicy):
        Installation.open(installation.home)
    stranger = Policy.parse(b"quorum none\n")
    assert stranger.satisfied([])
    installation.home.policy.write_text(
        "log sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8\nquorum none\n"
    )
    with pytest.raises(LogNotInPolicy):
        Installation.open(installation.home)


# ---- the program -------------------------------------------------------------------------------------------


def test_a_witness_killed_under_way_goes_on_where_it_was(
    installation: Installation, line: Line, tmp_path: Path
) -> None:
    """A real process, killed between acts; the registry holds and resumes by itself."""
    folder = tmp_path / "w"
    status, said = line(
        "log", "witness", "init", "--dir", str(folder), "--name", "witness.example/w", "--ml-dsa"
    )
    keys = said.split()
    assert (status, len(keys)) == (0, 2)
    assert (folder / "witness.vkey").read_text().split() == keys
    assert line("log", "witness", "init", "--dir", str(folder), "--name", "other")[0] == 2
    process = Process(folder, str(installation.home.vkey))
    process.start()
    installation.close()
    installation.home.policy.write_text(
        f"witness w {keys[0]} {process.url}\nwitness q {keys[1]} {process.url}/\n"
        "group both all w q\nquorum both\n"
    )
    running = reopened(installation.home)
    try:
        for _ in range(2):
            register(running, 2)
            assert published(running) == committed(running)
            process.kill()
            register(running)
            assert published(running) == committed(running) - 1
            process.start()
            eventually(lambda: published(running) == committed(running))
        assert set(cosigners(running)) == {"w", "q"}
    finally:
        running.close()
        process.kill()


def test_what_is_no_request_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    Served.made(tmp_path / "w", "witness.example/w", [])
    with TestClient(witness_app(open_witness(tmp_path / "w", []))) as client:
        assert client.post("/add-checkpoint", content=b"x" * 70_000).status_code == 413
        assert client.post("/add-checkpoint", content=b"old 0\n").status_code == 400
        assert client.get("/add-checkpoint").status_code == 405
        assert client.post("/elsewhere").status_code == 404
        assert client.get("/healthz").text == "ok\n"


def test_a_witness_that_lost_its_memory_does_not_start(tmp_path: Path) -> None:
    Served.made(tmp_path / "w", "witness.example/w", [])
    (tmp_path / "w" / "seen.db").unlink()
    with pytest.raises(WitnessMissing):
        open_witness(tmp_path / "w", [])
