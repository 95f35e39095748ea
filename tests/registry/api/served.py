"""A registry served by a process of its own, and clients that speak to it over a socket."""

import base64
import os
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from ledger.envelope import Envelope
from ledger.keys import SigningKey

START_SECONDS: Final = 60


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass(slots=True)
class Served:
    """`tanhui serve` on a home, running."""

    home: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    base: str
    log: Path

    @classmethod
    def start(cls, home: Path, database_url: str | None) -> "Served":
        environment = {**os.environ, "TANHUI_HOME": str(home)}
        environment.pop("TANHUI_DATABASE_URL", None)
        if database_url is not None:
            environment["TANHUI_DATABASE_URL"] = database_url
        port, log = _free_port(), home / "serve.out"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "registry.cli", "serve", "--port", str(port)],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        served = cls(home, environment, process, f"http://127.0.0.1:{port}", log)
        served._await()
        return served

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)

    def command(self, *arguments: str) -> str:
        """Another process of the command line on the same home."""
        done = subprocess.run(
            [sys.executable, "-m", "registry.cli", *arguments],
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def client(self, key: str | None = None) -> "Client":
        return Client(self.base, key)

    def _await(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if httpx.get(f"{self.base}/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        self.process.kill()
        raise AssertionError(self.log.read_text())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Client:
    """One key's view of the API."""

    base: str
    key: str | None
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        self.http = httpx.Client(base_url=f"{self.base}/api/v1", headers=headers, timeout=60)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(path, params=query)

    def act(
        self, path: str, body: dict[str, Any] | None = None, request: str | None = None, **query: Any
    ) -> httpx.Response:
        headers = {"Idempotency-Key": request or new_id()}
        return self.http.post(path, json=body, headers=headers, params=query)

    def done(self, path: str, body: dict[str, Any] | None = None, **query: Any) -> dict[str, Any]:
        """The answer of an act that one signature is enough for."""
        response = self.act(path, body, **query)
        assert response.status_code == 201, response.text
        answer: dict[str, Any] = response.json()
        assert answer["status"] == "done" and answer["entries"]
        return dict(answer["answer"])

    def confirmed_by(self, second: "Client", path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer of an act that this key begins and another confirms."""
        first = self.act(path, body)
        assert first.status_code == 202, first.text
        response = second.confirm(first.json()["request"])
        assert response.status_code == 201, response.text
        return dict(response.json()["answer"])

    def confirm(self, request: str) -> httpx.Response:
        return self.http.post(f"/requests/{request}/confirmation")

    def signed(self, key: SigningKey, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer of an act that is prepared, signed by a key of the caller's own, and brought."""
        prepared = self.act(path, body, prepare=True)
        assert prepared.status_code == 200, prepared.text
        response = self.bring(key, prepared.json())
        assert response.status_code == 201, response.text
        return dict(response.json()["answer"])

    def bring(self, key: SigningKey, prepared: dict[str, Any]) -> httpx.Response:
        payload = base64.b64decode(prepared["payload"])
        envelope = Envelope(payload, prepared["payload_type"]).sign(key)
        return self.http.post(f"/requests/{prepared['request']}/envelope", json=envelope.to_json())

    def upload(self, path: str, file: Path, **form: str) -> httpx.Response:
        with file.open("rb") as content:
            return self.http.post(path, files={"file": (file.name, content)}, data=form)
