"""Witnesses for the tests: the real program behind a real socket, in a thread or in a process of its own."""

import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import uvicorn

from ledger.note import NoteVerifier
from registry.witness import create_witness, open_witness, witness_app

START_SECONDS: Final = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class Served:
    """A witness that can be stopped and started again at the same address."""

    folder: Path
    logs: list[NoteVerifier]
    vkeys: list[str]
    port: int = field(default_factory=free_port)
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @classmethod
    def made(cls, folder: Path, name: str, logs: list[NoteVerifier], *, ml_dsa: bool = False) -> "Served":
        return cls(folder, logs, create_witness(folder, name, ml_dsa=ml_dsa).vkeys)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        app = witness_app(open_witness(self.folder, self.logs))
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until = time.monotonic() + START_SECONDS
        while not self._server.started:
            assert time.monotonic() < until
            time.sleep(0.005)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._server.force_exit = True  # kept connections are cut, as when the machine dies
            self._thread.join()
        self._server = self._thread = None


@dataclass(slots=True)
class Process:
    """`tanhui log witness`, which can be killed."""

    folder: Path
    log: str
    port: int = field(default_factory=free_port)
    _running: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        line = ["log", "witness", "--dir", str(self.folder), "--log", self.log, "--port", str(self.port)]
        self._running = subprocess.Popen(
            [sys.executable, "-m", "registry.cli", *line], stdout=subprocess.DEVNULL, env=dict(os.environ)
        )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            assert self._running.poll() is None
            try:
                if httpx.get(f"{self.url}/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the witness does not answer")

    def kill(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.wait()
        self._running = None
