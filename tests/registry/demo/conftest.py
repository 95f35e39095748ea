"""One run of the demo, shared by the tests that only read it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Tanhui = Callable[..., subprocess.CompletedProcess[str]]


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "registry.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def tanhui() -> Tanhui:
    return command


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of a finished demo and its lines of output. Read only."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    done = command("demo", "--once", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout.splitlines()


@pytest.fixture(scope="session")
def demo(told: tuple[Path, list[str]]) -> Path:
    return told[0]
