"""A disk that is full, fails or may not be written: the registry stops, keeps the last state, and says why."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from ledger.tiles import TileDirectory
from registry.installation import Installation
from registry.settings import Home
from registry.writer import WriterStopped
from tests.reliability.acting import Ground, asked
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
    tracer = Tracer(strace, child, "-e", f"inject={fault}", "-e", f"trace={fault.partition(':')[0]}")
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
    for n in (1, 2, 3, 5, 8, 13, 21):
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
    figures.tell(name, rounds=verdict.rounds, stopped=stopped, acknowledged=verdict.acknowledged, lost=0)
    assert stopped > 0


REASONS = ("disk is full", "disk I/O error", "No space left", "Input/output error")


def test_a_full_disk_under_a_server_is_said_to_clients_to_machines_and_to_the_operator(
    strace: str, on_sqlite: Grounds, go_oracle: Path, tmp_path: Path
) -> None:
    ground = on_sqlite()
    request = "00000000-0000-4000-8000-000000000001"
    installation = Installation.open(ground.home)
    installation.office.execute(*asked(ground, request), request)
    installation.close()
    del strace, tmp_path, go_oracle
    judge(ground, Said({request}), Verdict())
