"""Appends over HTTP: the real server in its own process, clients in another, requests made beforehand."""

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks import machine
from benchmarks.ledger import clients
from benchmarks.ledger.rounds import ResultWrong, percentile
from benchmarks.ledger.world import World
from ledger.canonical import JsonValue, encode

CHECKOUT: Final = Path(__file__).parents[2]
PATIENCE_S: Final = 60.0
DEPOSITS: Final = "/api/v1/deposits"
ACTS: Final = "/api/v1/acts"
ERRORS: Final = "errors"
"""The file of what the server says on its standard error."""


@dataclass(slots=True)
class Server:
    """A `tanhui serve`; `entries` are the log positions that its clients were told."""

    process: subprocess.Popen[str]
    port: int
    world: World
    folder: Path
    sent: int = 0
    entries: set[int] = field(default_factory=set)

    @property
    def memory_mib(self) -> float:
        return machine.peak_mib(self.process.pid)

    def deposits(self, count: int) -> list[bytes]:
        """Requests of one entry each, by the teller, for whom the registry signs."""
        requests = []
        for n in self._next(count):
            headers = {
                "Authorization": f"Bearer {self.world.teller_key}",
                "Idempotency-Key": str(uuid.uuid4()),
            }
            requests.append(clients.request_bytes(DEPOSITS, encode(self.world.command(n)), headers))
        return requests

    def batches(self, count: int, entries: int) -> list[bytes]:
        """Requests of `entries` entries each, signed by their clerks beforehand."""
        requests = []
        for number in range(count):
            clerk = number % len(self.world.clerks)
            acts: list[JsonValue] = []
            for n in self._next(entries):
                request_id, envelope = self.world.signed(n, clerk)
                acts.append(
                    {
                        "id": request_id,
                        "act": "deposit.record",
                        "command": self.world.command(n),
                        "envelope": envelope.to_json(),
                    }
                )
            headers = {"Authorization": f"Bearer {self.world.api_keys[clerk]}"}
            requests.append(clients.request_bytes(ACTS, encode({"acts": acts}), headers))
        return requests

    def _next(self, count: int) -> range:
        self.sent += count
        return range(self.sent - count, self.sent)

    def answer(
        self, requests: Sequence[bytes], count: int, entries: int
    ) -> tuple[float, Mapping[str, float]]:
        """Entries per second with `count` clients, who are told `entries` new log positions."""
        path = self.folder / "requests"
        clients.save(path, requests)
        line = [sys.executable, "-m", "benchmarks.ledger.clients", str(self.port), str(count), str(path)]
        done = subprocess.run(line, check=False, capture_output=True, text=True, cwd=CHECKOUT)
        if done.returncode != 0:
            raise ResultWrong(f"clients: {done.stderr.strip()[-500:]}\nserver: {self._complaint()}")
        said = json.loads(done.stdout)
        self.note(said["bodies"], entries)
        milliseconds = [1e3 * seconds for seconds in said["latencies_s"]]
        return entries / said["seconds"], {
            "p50_ms": percentile(milliseconds, 0.5),
            "p99_ms": percentile(milliseconds, 0.99),
        }

    def _complaint(self) -> str:
        return (self.folder / ERRORS).read_text()[-2000:]

    def note(self, bodies: Sequence[dict[str, Any]], entries: int) -> None:
        """Keep the positions that were answered; `ResultWrong` for one told twice or missing."""
        answers = [answer for body in bodies for answer in body.get("results", [body])]
        refused = [answer for answer in answers if answer.get("status", "done") != "done"]
        if refused:
            raise ResultWrong(f"{len(refused)} acts are not done; the first: {refused[0]}")
        told = [receipt["index"] for answer in answers for receipt in answer["entries"]]
        if len(told) != entries or len(set(told)) != entries or not self.entries.isdisjoint(told):
            raise ResultWrong(f"{entries} entries were sent, {len(set(told))} positions were answered")
        self.entries |= set(told)


@contextmanager
def serving(home: Path, world: World) -> Iterator[Server]:
    """`tanhui serve` on an existing installation, ready to answer; ended when the block ends."""
    command = [sys.executable, "-m", "registry.cli", "serve", "--home", str(home), "--port", "0"]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / ERRORS).open("w") as errors:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            port = _port_of(process)
            _wait_until_answered(port)
            yield Server(process, port, world, Path(folder))
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _port_of(process: subprocess.Popen[str]) -> int:
    """As the server says it, after what else it has to say."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        found = re.search(r"^serving .* at http://[^ ]+:(\d+)\s*$", line)
        if found is not None:
            return int(found[1])
    raise ResultWrong(f"the server says: {said!r}")


def _wait_until_answered(port: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/log/checkpoint", timeout=PATIENCE_S):
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
