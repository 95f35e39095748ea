"""`tanhui demo --once`: seconds and peak memory of the whole process, and seconds of its steps.

Checked before it is timed: the process exits 0, and `tanhui audit` passes on what it left.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Run:
    """One whole run, as the operating system accounts it."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    steps_s: dict[str, float]


def measure(rounds: int) -> dict[str, Any]:
    """One uncounted round (compiled kernels are cached), then `rounds` counted ones; medians with their
    range.
    """
    first = _run(check=True)
    runs = [_run(check=False) for _ in range(rounds)]
    return {
        "rounds": rounds,
        "first_wall_s": first.wall_s,
        "wall_s": _spread([run.wall_s for run in runs]),
        "cpu_s": _spread([run.cpu_s for run in runs]),
        "peak_mib": _spread([run.peak_mib for run in runs]),
        "steps_s": {step: _spread([run.steps_s[step] for run in runs]) for step in runs[0].steps_s},
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"min": min(values), "median": median(values), "max": max(values)}


def _run(*, check: bool) -> Run:
    folder = Path(tempfile.mkdtemp(prefix="tanhui-bench-"))
    try:
        run = _timed([sys.executable, "-m", "registry.cli", "demo", "--once", str(folder / "demo")], folder)
        if check:
            command = [sys.executable, "-m", "registry.cli", "audit", str(folder / "demo")]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return run
    finally:
        shutil.rmtree(folder)


def _timed(command: list[str], folder: Path) -> Run:
    with (folder / "output").open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError((folder / "output").read_text())
    steps = json.loads((folder / "demo" / "steps.json").read_text())
    return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, steps)
