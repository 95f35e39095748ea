"""Processes that write into an installation, forked from one that has imported everything.

A campaign of hundreds of kills would otherwise mostly start Python. `python -m tests.reliability.nursery`
reads an order a line and answers with a process id, or waits for one of its processes and answers how it
ended.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.settings import Home
from tests.reliability.acting import Ground, break_ground
from tests.reliability.loading import Said, load, load_groups, say_to

CHECKOUT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60


@dataclass(slots=True)
class Child:
    """One process of the nursery, and the file of what its clients said."""

    nursery: "Nursery"
    pid: int
    said: Path
    gate: Path | None

    def release(self) -> None:
        """Let a process go that waits at its gate."""
        assert self.gate is not None
        self.gate.write_text("go")

    def await_lines(self, count: int) -> None:
        """Until the clients have said so much, or the process has nothing more to say."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and not self.ended():
            if self.said.exists() and self.said.read_bytes().count(b"\n") >= count:
                return
            time.sleep(0.005)
        assert self.ended(), f"nothing was said in {PATIENCE_SECONDS} seconds"

    def ended(self) -> bool:
        """Whether it ended, though nobody waited for it yet."""
        state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state in "ZX"

    def kill(self) -> int:
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> int:
        """The exit status, or the negative number of the signal."""
        return int(self.nursery.ask({"wait": self.pid}))

    def complaint(self) -> str:
        """What it printed when it failed."""
        return self.said.with_suffix(".err").read_text()


class Nursery:
    """The forking process, as the campaign sees it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.nursery"],
            cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._count = 0

    def ask(self, order: dict[str, Any]) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def start(
        self, ground: Ground, folder: Path, *, count: int = 100_000, groups: list[int] | None = None,
        gated: bool = False,
    ) -> Child:  # fmt: skip
        """A process that writes `count` requests under load, or these groups; a gated one waits first."""
        self._count += 1
        said = folder / f"said{self._count}"
        gate = folder / f"gate{self._count}" if gated else None
        if gate is not None:
            os.mkfifo(gate)
        order = {
            "ground": ground.to_json(), "count": count, "groups": groups,
            "said": str(said), "gate": str(gate) if gate else None,
        }  # fmt: skip
        return Child(self, int(self.ask(order)), said, gate)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(20)


@contextmanager
def nursery_open() -> Iterator[Nursery]:
    nursery = Nursery()
    try:
        yield nursery
    finally:
        nursery.close()


def heard(*children: Child) -> Said:
    said = Said()
    for child in children:
        said.read(child.said)
    return said


def _write(order: dict[str, Any]) -> None:
    if order["gate"] is not None:
        Path(order["gate"]).read_text()
    descriptor = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    say, ground = say_to(descriptor), Ground.from_json(order["ground"])
    if order["groups"] is not None:
        load_groups(ground, order["groups"], say)
    else:
        load(ground, order["count"], say)


def _raise(order: dict[str, Any]) -> int:
    """Fork; the child never comes back from here."""
    pid = os.fork()
    if pid:
        return pid
    status = 0
    try:
        os.close(0)
        os.dup2(os.open(f"{order['said']}.err", os.O_WRONLY | os.O_CREAT, 0o600), 2)
        os.dup2(2, 1)
        _write(order)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        status = 1
    os._exit(status)


def _warm_up() -> None:
    """Have everything compiled and configured that the first requests would; no thread is left."""
    with tempfile.TemporaryDirectory() as folder:
        ground = break_ground(Home.at(Path(folder) / "home"))
        load(ground, 20, lambda _line: None)


def main() -> None:
    _warm_up()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        else:
            answer = _raise(order)
        print(answer, flush=True)


if __name__ == "__main__":
    main()
