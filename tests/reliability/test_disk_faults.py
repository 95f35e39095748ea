"""A disk that is full, fails or may not be written: the registry stops, keeps what was, and says why."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from ledger.tiles import TileDirectory
from registry.installation import Installation
from registry.members import issue_api_key
from registry.settings import Home
from tests.conftest import not_tested
from tests.registry.api.served import Served, new_id
from tests.reliability.acting import Ground
from tests.reliability.calls import Tracer
from tests.reliability.conftest import Grounds
from tests.reliability.figures import Figures
from tests.reliability.judging import Verdict, committed_size, judge
from tests.reliability.loading import Said
from tests.reliability.nursery import Child, Nursery, heard

GROUPS = [1, 3]
MANY = 400
"""More calls than the process makes: the campaign ends at the first that nothing befell."""


def struck(nursery: Nursery, strace: str, ground: Ground, fault: str) -> tuple[Child, int]:
    """A process that writes two groups while strace injects `fault`; and how it ended."""
    child = nursery.start(ground, ground.home.path.parent, groups=GROUPS, gated=True)
    place = child.said.with_suffix(".strace")
    tracer = Tracer(
        strace, child.pid, place, "-e", f"inject={fault}", "-e", f"trace={fault.partition(':')[0]}"
    )
    child.release()
    status = child.wait()
    tracer.wait()
    return child, status


# ---- the process is killed at its nth call -----------------------------------------------------------------


def kill_at_each(
    nursery: Nursery, strace: str, grounds: Grounds, go: Path, calls: str, step: int, *, thorough: bool
) -> tuple[int, Verdict]:
    """kill -9 as the nth of these calls begins, for n = 1, 1 + step, ... until the process lives."""
    verdict = Verdict()
    for n in range(1, MANY, step):
        ground = grounds()
        child, status = struck(nursery, strace, ground, f"{calls}:signal=KILL:when={n}")
        judge(ground, heard(child), verdict, go=go if thorough or n == 1 else None, audited=thorough)
        shutil.rmtree(ground.home.path.parent)
        if status == 0:
            return verdict.rounds - 1, verdict
        assert status == -signal.SIGKILL, child.complaint()
    raise AssertionError(f"more than {MANY} calls of {calls}")


@pytest.mark.parametrize("calls", ["fsync,fdatasync", "rename"])
def test_killed_at_every_sync_and_every_rename(
    nursery: Nursery, strace: str, on_sqlite: Grounds, go_oracle: Path, figures: Figures, calls: str
) -> None:
    kills, verdict = kill_at_each(nursery, strace, on_sqlite, go_oracle, calls, 1, thorough=False)
    figures.tell(f"kill at {calls.replace(',', ' ')}", kills=kills, acknowledged=verdict.acknowledged, lost=0)
    assert kills > 3


@pytest.mark.slow
@pytest.mark.parametrize("calls", ["pwrite64", "write", "openat,unlink,ftruncate,mkdir"])
def test_killed_at_every_write(
    nursery: Nursery, strace: str, on_sqlite: Grounds, go_oracle: Path, figures: Figures, calls: str
) -> None:
    kills, verdict = kill_at_each(nursery, strace, on_sqlite, go_oracle, calls, 1, thorough=True)
    figures.tell(f"kill at {calls.replace(',', ' ')}", kills=kills, acknowledged=verdict.acknowledged, lost=0)
    assert kills > 3


# ---- the disk says no --------------------------------------------------------------------------------------


FAULTS = {
    "full on writing tables": "pwrite64:error=ENOSPC",
    "failing on writing tables": "pwrite64:error=EIO",
    "failing on syncing tables": "fdatasync:error=EIO",
    "full on syncing the log": "fsync:error=ENOSPC",
    "failing on syncing the log": "fsync:error=EIO",
    "failing on renaming": "rename:error=EIO",
}


@pytest.mark.parametrize("name", FAULTS)
def test_from_any_call_on_the_disk_fails_and_a_restart_goes_on(
    nursery: Nursery, strace: str, on_sqlite: Grounds, go_oracle: Path, figures: Figures, name: str
) -> None:
    """The fault begins at the nth call of each thread and stays; then the disk is well again."""
    verdict, stopped = Verdict(), 0
    for n in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89):
        ground = on_sqlite()
        before = committed_size(ground.home)
        child, status = struck(nursery, strace, ground, f"{FAULTS[name]}:when={n}+")
        said = heard(child)
        assert TileDirectory(ground.home.log).published_size() >= before
        assert TileDirectory(ground.home.log).published_size() <= committed_size(ground.home)
        if status:
            stopped += 1
            assert any(word in child.complaint() for word in REASONS), child.complaint()
        judge(ground, said, verdict, go=go_oracle)
        shutil.rmtree(ground.home.path.parent)
        if not status:
            break
    figures.tell(name, rounds=verdict.rounds, stopped=stopped, acknowledged=verdict.acknowledged, lost=0)
    assert stopped > 0


REASONS = ("disk is full", "disk I/O error", "No space left", "Input/output error")


# ---- real file systems -------------------------------------------------------------------------------------


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own; skips loudly where none may be mounted."""
    place = tmp_path / "volume"
    place.mkdir()
    if os.geteuid() != 0 or not mounted(place, "size=1m"):
        not_tested("this user may not mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def mounted(place: Path, options: str) -> bool:
    line = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    return subprocess.run(line, capture_output=True, check=False).returncode == 0


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True, capture_output=True)


def moved_to(volume: Path, ground: Ground) -> Ground:
    shutil.copytree(ground.home.path, volume / "home")
    return replace(ground, home=Home.at(volume / "home"))


def test_a_file_system_that_fills_up_stops_the_registry_and_more_room_lets_it_go_on(
    nursery: Nursery, on_sqlite: Grounds, go_oracle: Path, volume: Path, tmp_path: Path
) -> None:
    remount(volume, "size=4m")
    ground = moved_to(volume, on_sqlite())
    child = nursery.start(ground, tmp_path)
    assert child.wait() == 1
    assert "The registry takes no more acts until it is restarted, because" in child.complaint()
    assert any(word in child.complaint() for word in REASONS), child.complaint()
    said, verdict = heard(child), Verdict()
    assert len(said.done) > 10
    remount(volume, "size=64m")
    judge(ground, said, verdict, go=go_oracle)


def test_a_home_on_a_read_only_file_system_is_refused_with_a_reason_and_left_as_it_is(
    on_sqlite: Grounds, go_oracle: Path, volume: Path
) -> None:
    remount(volume, "size=64m")
    ground = moved_to(volume, on_sqlite())
    before = committed_size(ground.home)
    remount(volume, "ro")
    done = command_line(ground, "serve", "--port", "0")
    assert done.returncode != 0
    assert "unable to open database file" in done.stderr or "readonly" in done.stderr, done.stderr[-3000:]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    remount(volume, "rw")
    assert committed_size(ground.home) == before
    judge(ground, Said(), Verdict(), go=go_oracle)


def command_line(ground: Ground, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "registry.cli", *arguments]
    own = os.environ | {"TANHUI_HOME": str(ground.home.path), "COLUMNS": "200"}
    return subprocess.run(line, env=own, capture_output=True, text=True, timeout=60, check=False)


# ---- a server ----------------------------------------------------------------------------------------------


def test_a_full_disk_under_a_server_is_said_to_clients_to_machines_and_to_the_operator(
    strace: str, on_sqlite: Grounds, go_oracle: Path
) -> None:
    ground = on_sqlite()
    installation = Installation.open(ground.home)
    key = issue_api_key(installation, ground.bank)
    installation.close()
    deposit = {"organisation": ground.firm, "amount_fen": 700, "reference": "statement-1"}
    request, other = new_id(), new_id()

    served = Served.start(ground.home.path, None)
    public = (ground.home.log / "checkpoint").read_bytes()
    tracer = attached(strace, served, "pwrite64:error=ENOSPC")
    try:
        for refused in (request, other):
            answer = served.client(key).act("/deposits", deposit, refused)
            assert (answer.status_code, answer.json()["code"]) == (503, "writer_stopped")
        health = httpx.get(f"{served.base}/healthz")
        assert (health.status_code, health.json()) == (503, {"status": "stopped"})
        assert httpx.get(f"{served.base}/log/checkpoint").content == public
    finally:
        served.stop()
        tracer.wait()
    said = served.log.read_text()
    assert "The registry takes no more acts until it is restarted, because OperationalError" in said
    assert "disk is full" in said

    again = Served.start(ground.home.path, None)
    try:
        first = again.client(key).act("/deposits", deposit, request)
        assert first.status_code == 201
        assert (
            again.client(key).act("/deposits", deposit, request).json()["entries"] == first.json()["entries"]
        )
    finally:
        again.stop()
    judge(ground, Said(), Verdict(), go=go_oracle)


def attached(strace: str, served: Served, fault: str) -> Tracer:
    """strace on every thread of a running server."""
    options = ("-e", f"inject={fault}", "-e", f"trace={fault.partition(':')[0]}")
    return Tracer(strace, served.process.pid, served.home.parent / "strace.out", *options)
