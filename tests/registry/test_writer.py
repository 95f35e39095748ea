"""The group writer: refusals stay alone, a doubtful commit answers nobody, a kill loses nothing."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import tables
from ledger.log import LedgerTransaction
from registry.accounts.models import Person
from registry.clock import ClockState
from registry.errors import RegistryRefusal
from registry.installation import Installation
from registry.office import Outcome
from registry.transparency.audit import audit
from registry.writer import Writer, WriterStopped
from tests.registry.load import PERSON, said
from tests.registry.people import request_id

CHECKOUT = Path(__file__).parents[2]


def log_size(installation: Installation) -> int:
    with installation.database.read() as session:
        return int(session.execute(sa.select(tables.head.c.size)).scalar_one())


def register(installation: Installation, request: str | None = None) -> "Future[Outcome]":
    return installation.office.send(installation.root, "person.register", PERSON, request or request_id())


@contextmanager
def held_up(writer: Writer) -> Iterator[None]:
    """While the writer is busy with something else, so that what is sent forms one group."""
    busy, go_on = threading.Event(), threading.Event()

    def wait_for_it(_session: Session, _ledger: LedgerTransaction) -> None:
        busy.set()
        go_on.wait(20)

    first = writer.submit(wait_for_it)
    assert busy.wait(20)
    try:
        yield
    finally:
        go_on.set()
        first.result(20)


def test_a_group_has_one_checkpoint_and_every_member_its_entry(installation: Installation) -> None:
    with held_up(installation.writer):
        sent = [register(installation) for _ in range(12)]
    entries = [future.result().entries for future in sent]
    assert sorted(entries) == [[n] for n in range(1, 13)]
    with installation.database.read() as session:
        assert session.scalars(sa.select(tables.checkpoint.c.size)).all() == [1, 13]


def test_a_refusal_rolls_back_its_own_writing_and_nothing_else(installation: Installation) -> None:
    class Refused(RegistryRefusal):
        pass

    def changes_its_mind(session: Session, _ledger: LedgerTransaction) -> None:
        session.get_one(ClockState, 1).instant = session.get_one(ClockState, 1).instant.replace(year=2099)
        session.flush()
        raise Refused()

    def breaks_a_rule(session: Session, _ledger: LedgerTransaction) -> None:
        session.execute(
            sa.insert(tables.head).values(one=1, origin="x", size=0, root=b"", frontier=b"", at_ms=0)
        )

    before = installation.clock.now()
    with held_up(installation.writer):
        first = register(installation)
        refused = installation.writer.submit(changes_its_mind)
        broken = installation.writer.submit(breaks_a_rule)
        last = register(installation)
    assert isinstance(refused.exception(), Refused)
    assert isinstance(broken.exception(), sa.exc.IntegrityError)
    assert [first.result().entries, last.result().entries] == [[1], [2]]
    assert installation.clock.now() == before
    assert audit(installation.home).findings == []


def test_a_client_who_goes_away_does_not_stop_the_writer(installation: Installation) -> None:
    with held_up(installation.writer):
        gone, stays = register(installation), register(installation)
        assert gone.cancel()
    assert stays.result(20).entries == [1]
    assert register(installation).result(20).entries == [2]


def test_closing_answers_what_is_queued_and_takes_nothing_more(installation: Installation) -> None:
    writer = installation.writer
    with held_up(writer):
        sent = [register(installation) for _ in range(3)]
        closing = threading.Thread(target=writer.close)
        closing.start()
        while not writer._closed:
            time.sleep(0.001)
        with pytest.raises(WriterStopped):  # and does not wait for ever
            register(installation)
    closing.join(20)
    assert sorted(future.result(0).entries for future in sent) == [[1], [2], [3]]
    with pytest.raises(WriterStopped):
        register(installation)


# ---- commits that fail -------------------------------------------------------------------------------------


class Lost(Exception):
    """The connection, at the worst moment."""


def lose(installation: Installation, monkeypatch: pytest.MonkeyPatch, *, stored: bool) -> None:
    """The next commit fails: with the work stored, or not."""
    write = installation.database.write

    @contextmanager
    def failing() -> Iterator[Session]:
        with write() as session:
            yield session
            if not stored:
                raise Lost()
        raise Lost()

    monkeypatch.setattr(
        installation.writer, "_database", type("Failing", (), {"write": staticmethod(failing)})()
    )


@pytest.mark.parametrize("stored", [False, True], ids=["not stored", "stored"])
def test_when_the_outcome_of_a_commit_is_unknown_nobody_is_told_success(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    register(installation).result()
    lose(installation, monkeypatch, stored=stored)
    requests = [request_id() for _ in range(3)]
    futures = [register(installation, request) for request in requests]
    wait(futures, 20)

    for future in futures:
        stopped = future.exception(0)
        assert isinstance(stopped, WriterStopped)
        assert isinstance(stopped.__cause__, Lost)
    assert isinstance(installation.writer.failure, Lost)
    with pytest.raises(WriterStopped):
        register(installation)

    again = Installation.open(installation.home)
    try:
        assert [register(again, request).result().replayed for request in requests[:1]] == [stored]
        answered = {register(again, request).result().entries[0] for request in requests}
        assert answered == {2, 3, 4}
        assert audit(installation.home).findings == []
    finally:
        again.close()


def test_when_publishing_fails_the_entries_are_kept_and_published_at_the_next_start(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(installation.writer, "_publish", full)
    request = request_id()
    with pytest.raises(WriterStopped):
        register(installation, request).result(20)
    assert installation.tiles.published_size() == 1

    again = Installation.open(installation.home)
    try:
        assert again.tiles.published_size() == 2
        assert register(again, request).result().replayed
    finally:
        again.close()


def test_a_seal_that_refuses_stops_the_writer_and_writes_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BadSigner:
        def __getattr__(self, name: str) -> Any:
            raise Lost()

    monkeypatch.setattr(installation.writer, "_signers", lambda wanted: [BadSigner()])
    with pytest.raises(WriterStopped):
        register(installation).result(20)
    assert log_size(installation) == 1
    with installation.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Person)) == 0


# ---- processes ---------------------------------------------------------------------------------------------


def started(installation: Installation, count: int) -> "subprocess.Popen[str]":
    home = installation.home
    return subprocess.Popen(
        [sys.executable, "-m", "tests.registry.load", str(home.path), home.database_url, str(count)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    )


def entry_ids(installation: Installation) -> list[str]:
    with installation.database.read() as session:
        return list(session.scalars(sa.select(tables.log.c.entry_id)))


@pytest.mark.slow
def test_a_killed_process_loses_nothing_it_answered_and_doubles_nothing(installation: Installation) -> None:
    """kill -9 in the midst of the load, five times; each start after it is unaided."""
    installation.close()
    moments = random.Random(5)
    for _ in range(5):
        process = started(installation, 10_000)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(moments.randrange(1, 40))]
        time.sleep(moments.uniform(0, 0.03))
        process.kill()
        lines += process.stdout.readlines()
        process.stdout.close()
        assert process.wait(20) == -9
        sent, done = said(iter(lines))
        assert sent

        again = Installation.open(installation.home)
        try:
            ids = entry_ids(again)
            assert done <= set(ids)
            doubtful = sorted(sent - done)
            for request in doubtful:  # the client asks again, and gets its one entry
                register(again, request).result(20)
            ids = entry_ids(again)
            assert sent <= set(ids)
            assert len(ids) == len(set(ids)) == again.tiles.published_size()
            assert audit(again.home).findings == []
        finally:
            again.close()


def test_two_processes_write_at_once_into_one_log(installation: Installation) -> None:
    installation.close()
    processes = [started(installation, 40) for _ in range(2)]
    answered = []
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        answered.append(said(iter(output.splitlines()))[1])
    assert [len(done) for done in answered] == [40, 40]
    assert set(entry_ids(installation)) >= answered[0] | answered[1]
    assert log_size(installation) == 81
    assert installation.tiles.published_size() == 81
    assert audit(installation.home).findings == []
