"""Clients that write through the office of one process, and say what they sent and what was answered.

Each line goes to the operating system before the next step is taken: `sent ID`, and `done ID N` with the
index of the entry. A kill loses none of them.
"""

import os
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from registry.installation import Installation
from tests.reliability.acting import Ground, asked

CLIENTS = 6
Say = Callable[[str], None]


@dataclass(slots=True)
class Said:
    """What the clients of some processes said: ids that were sent, and the entry that each was answered."""

    sent: set[str] = field(default_factory=set)
    done: dict[str, int] = field(default_factory=dict)

    def hear(self, lines: Iterable[str]) -> "Said":
        """A last line that a kill cut short has no end and says nothing."""
        for line in lines:
            match line.split():
                case ["sent", request] if line.endswith("\n"):
                    self.sent.add(request)
                case ["done", request, index] if line.endswith("\n"):
                    assert request not in self.done
                    self.done[request] = int(index)
        return self

    def read(self, path: Path) -> "Said":
        return self.hear(path.read_text().splitlines(keepends=True)) if path.exists() else self


def load(ground: Ground, count: int, say: Say) -> None:
    """Requests from several clients at once, each waiting for its answer before the next."""
    installation = Installation.open(ground.home)

    def client(share: int) -> None:
        for _ in range(share):
            request = str(uuid.uuid4())
            say(f"sent {request}")
            outcome = installation.office.execute(*asked(ground, request), request)
            say(f"done {request} {outcome.entries[0]}")

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(client, [count // CLIENTS] * CLIENTS))
    installation.close()


def load_groups(ground: Ground, sizes: Iterable[int], say: Say) -> None:
    """Groups of requests that are sent together, one group after the other."""
    installation = Installation.open(ground.home)
    for size in sizes:
        requests = [str(uuid.uuid4()) for _ in range(size)]
        for request in requests:
            say(f"sent {request}")
        works = [(r, installation.office.send(*asked(ground, r), r)) for r in requests]
        for request, future in works:
            say(f"done {request} {future.result().entries[0]}")
    installation.close()


def say_to(descriptor: int) -> Say:
    """A line is one write."""

    def say(line: str) -> None:
        os.write(descriptor, f"{line}\n".encode())

    return say
