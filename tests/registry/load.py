"""A process that writes under load, for tests that kill it or run two of them at once.

    python -m tests.registry.load FOLDER DATABASE_URL COUNT

Opens the installation, registers COUNT persons from several threads, and prints the request id of each before
it is sent (`sent ID`) and when it was answered (`done ID`).
"""

import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from registry.accounts.service import RegisterPerson
from registry.installation import Installation
from registry.settings import Home

CLIENTS = 6
PERSON = RegisterPerson(name="person A")

_printing = threading.Lock()


def say(word: str, request: str) -> None:
    with _printing:
        print(word, request, flush=True)


def main(folder: str, url: str, count: int) -> None:
    installation = Installation.open(Home.at(Path(folder), url))

    def register(_n: int) -> None:
        request = str(uuid.uuid4())
        say("sent", request)
        installation.office.execute(installation.root, "person.register", PERSON, request)
        say("done", request)

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(register, range(count)))
    installation.close()


def said(lines: Iterator[str]) -> tuple[set[str], set[str]]:
    """The ids that were sent and those that were answered; a last line cut short by a kill is nothing."""
    sent, done = set[str](), set[str]()
    for line in lines:
        with suppress(ValueError):
            word, request = line.split()
            (sent if word == "sent" else done).add(str(uuid.UUID(request)))
    return sent, done


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
