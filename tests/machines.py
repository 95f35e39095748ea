"""A real Dask cluster for the tests: a scheduler and workers as processes of their own, on the loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from geo.cluster import DaskWorkers

CHECKOUT: Final = Path(__file__).resolve().parent.parent
DASK: Final = (sys.executable, "-m", "dask")
_LONGEST_S: Final = 240.0


class Machines:
    """`dask scheduler` and `dask worker` as an operator starts them, ended by their process ids.

    Workers have one thread and, unless asked for, no nanny: one that is killed stays dead.
    """

    def __init__(
        self, settings: Mapping[str, str] | None = None, protocol: str = "tcp", program: Sequence[str] = DASK
    ) -> None:
        self._protocol = protocol
        self._program = program
        self.folder = Path(tempfile.mkdtemp(prefix="dask-"))
        self._environment = os.environ | {
            "PYTHONPATH": str(CHECKOUT),
            "DASK_TEMPORARY_DIRECTORY": str(self.folder),
            "OMP_NUM_THREADS": "1",
            "NUMBA_NUM_THREADS": "1",
            **(settings or {}),
        }
        self._file = self.folder / "scheduler.json"
        self.address = ""
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Machines:
        try:
            self.scheduler = self._start("scheduler", "--port", "0", "--no-dashboard", "--no-show")
            self.address = str(json.loads(self._written(self._file, self.scheduler))["address"])
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def worker(self, *more: str, nanny: bool = False, **environment: str) -> subprocess.Popen[bytes]:
        """One more worker, which is connected somewhat later; `DaskWorkers` waits for the first."""
        line = ("--nthreads", "1", "--no-dashboard", "--nanny" if nanny else "--no-nanny")
        return self._start("worker", *line, *more, environment=environment)

    def doomed_worker(self, step: str, trace: Path) -> subprocess.Popen[bytes]:
        """One that is killed as soon as it has begun an item of a step, whose name it leaves in `trace`."""
        return self.worker("--preload", "tests.doomed", DOOMED_STEP=step, DOOMED_TRACE=str(trace))

    def wait_for(self, count: int) -> None:
        """Until so many workers are connected."""
        with DaskWorkers(self.address, wait_s=_LONGEST_S) as workers:
            workers._client.wait_for_workers(count, timeout=_LONGEST_S)

    def end(self, process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGKILL) -> None:
        """End one process, and be sure that it has ended."""
        if process.poll() is None:
            process.send_signal(how)
        process.wait(_LONGEST_S)

    def stop(self) -> None:
        for process in reversed(self._running):
            self.end(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def said(self) -> str:
        """What all of them have written."""
        return "\n".join(f.read_text("utf-8", "replace") for f in sorted(self.folder.glob("*.out")))

    def _start(
        self, what: str, *more: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        place = ("--host", "127.0.0.1", "--protocol", self._protocol, "--scheduler-file", str(self._file))
        line = [*self._program, what, *place, *more]
        with (self.folder / f"{what}-{len(self._running)}.out").open("wb") as out:
            process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._environment | dict(environment or {}),
            )
        self._running.append(process)
        return process

    def _written(self, file: Path, by: subprocess.Popen[bytes]) -> str:
        end = time.monotonic() + _LONGEST_S
        while time.monotonic() < end and by.poll() is None:
            if file.exists() and (text := file.read_text()).strip().endswith("}"):
                return text
            time.sleep(0.05)
        raise RuntimeError(f"no scheduler:\n{self.said()}")
