"""Each byte of a small published log changed: Go, our client and our audit all refuse. None escapes."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.client import FolderFiles, LogClient, LogWrong
from ledger.note import NoteVerifier
from registry.accounts.service import RegisterPerson
from registry.installation import Installation
from registry.settings import Home
from registry.transparency.audit import audit
from tests.registry.people import request_id
from tests.registry.transparency.tampering import flipped
from tests.reliability.acting import ORIGIN
from tests.reliability.figures import Figures
from tests.reliability.judging import vkey_of

STRIDE = 301
MASKS = 3


@pytest.fixture
def small(tmp_path: Path) -> Home:
    """A log of two entries."""
    installation = Installation.create(Home.at(tmp_path / "home"), ORIGIN)
    register = RegisterPerson(name="person A")
    installation.office.execute(installation.root, "person.register", register, request_id())
    installation.close()
    return installation.home


def published_files(home: Home) -> list[Path]:
    """All that belongs to the newest size."""
    size = LogClient(FolderFiles(home.log), verifier(home)).head().checkpoint.size
    names = ["checkpoint", f"tile/0/000.p/{size}", f"tile/entries/000.p/{size}"]
    return [home.log / name for name in names]


def verifier(home: Home) -> NoteVerifier:
    return NoteVerifier.parse(vkey_of(home))


def places(home: Home, stride: int) -> Iterator[tuple[Path, int]]:
    for path in published_files(home):
        for place in range(0, path.stat().st_size, stride):
            yield path, place


def client_refuses(home: Home) -> bool:
    try:
        LogClient(FolderFiles(home.log), verifier(home)).verify()
    except LogWrong:
        return True
    return False


def test_go_notices_each_changed_byte_but_the_spare_bits_that_we_refuse(
    small: Home, go_program: Callable[[str], Path], figures: Figures, tmp_path: Path
) -> None:
    """A base64 text of 68 bytes has 4 spare bits in its last character, which Go does not look at."""
    only = tmp_path / "only the newest"
    for path in published_files(small):
        copy = only / path.relative_to(small.log)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    done = subprocess.run(
        [str(go_program("tlog_sweep")), str(only), vkey_of(small)],
        capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip
    *escaped, changes = done.stdout.splitlines()
    note = small.log / "checkpoint"
    last_character = note.read_bytes().rindex(b"=") - 1
    for line in escaped:
        _, name, place, mask = line.split()
        assert (name, int(place)) == ("checkpoint", last_character), line
        data = note.read_bytes()
        note.write_bytes(data[: int(place)] + bytes([data[int(place)] ^ int(mask)]) + data[int(place) + 1 :])
        assert client_refuses(small)
        note.write_bytes(data)
    count = sum(path.stat().st_size for path in published_files(small))
    assert changes == f"CHANGES {count * MASKS}"
    figures.tell("tamper judged by Go", bytes=count, changes=count * MASKS, spare_bits=len(escaped))


@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_our_client_notices_each_changed_byte(small: Home, figures: Figures, stride: int) -> None:
    escaped, count = [], 0
    for path, place in places(small, stride):
        with flipped(path, place):
            count += 1
            if not client_refuses(small):
                escaped.append((path, place))
    figures.tell("tamper judged by the client", changes=count, escaped=len(escaped))
    assert escaped == []


def sweep_with_audit(home: Home, stride: int) -> tuple[int, list[tuple[str, int]]]:
    escaped, count = [], 0
    for path, place in places(home, stride):
        with flipped(path, place):
            count += 1
            if audit(home, log_only=True).passed:
                escaped.append((path.name, place))
    return count, escaped


def test_our_audit_notices_a_changed_byte(small: Home, figures: Figures) -> None:
    count, escaped = sweep_with_audit(small, STRIDE)
    figures.tell("tamper judged by the audit", changes=count, escaped=len(escaped))
    assert escaped == []


@pytest.mark.slow
def test_our_audit_notices_each_changed_byte(small: Home, figures: Figures) -> None:
    count, escaped = sweep_with_audit(small, 1)
    figures.tell("tamper judged by the audit", changes=count, escaped=len(escaped))
    assert escaped == []
