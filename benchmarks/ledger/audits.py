"""The audit of a published log: its hashes alone, with signatures and replay, and what it keeps in memory."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.ledger.logs import PublishedLog
from benchmarks.ledger.rounds import ResultWrong

CHECKOUT: Final = Path(__file__).parents[2]
GO_PACKAGES: Final = Path("/usr/share/gocode")
"""Where Debian keeps x/mod (package golang-golang-x-mod-dev)."""


def hash_audit(log: PublishedLog) -> tuple[float, Mapping[str, float]]:
    """Entries per second of `LogClient.verify`: checkpoint, bundles, every tile of every level, root."""
    return _audit(log, "hashes")


def full_audit(log: PublishedLog) -> tuple[float, Mapping[str, float]]:
    """Entries per second of the auditor: the same, and signatures, replay and every rule."""
    return _audit(log, "everything")


def _audit(log: PublishedLog, what: str) -> tuple[float, Mapping[str, float]]:
    """In a process of its own, because its memory is asked for; the time is that of the audit alone."""
    line = [sys.executable, "-m", "benchmarks.ledger.audit_once", what, str(log.folder)]
    done = subprocess.run(line, check=False, capture_output=True, text=True, cwd=CHECKOUT)
    if done.returncode != 0:
        raise ResultWrong(f"the audit of {log.folder} failed: {done.stdout}{done.stderr}")
    said = json.loads(done.stdout)
    if said["size"] != log.size:
        raise ResultWrong(f"{said['size']} of {log.size} entries were audited")
    seen = {"peak_mib": said["peak_mib"], "start_mib": said["start_mib"], "seconds": said["seconds"]}
    return log.size / said["seconds"], seen


def built_oracle(folder: Path) -> Path | None:
    """The Go program `oracle.go` over x/mod, which also proves every entry; None without Go or x/mod."""
    if shutil.which("go") is None or not (GO_PACKAGES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        return None
    program, source = folder / "oracle", Path(__file__).with_name("oracle.go")
    own = {"GO111MODULE": "off", "GOPATH": str(GO_PACKAGES), "GOCACHE": str(folder / "cache"), "GOFLAGS": ""}
    line = ["go", "build", "-o", str(program), str(source)]
    subprocess.run(line, env=os.environ | own, check=True, capture_output=True)
    return program


def oracle_audit(program: Path, log: PublishedLog) -> tuple[float, Mapping[str, float]]:
    """Entries per second of the Go program, with the start of its process."""
    started = time.perf_counter()
    line = [str(program), str(log.log), log.vkey]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode != 0 or done.stdout.split()[0] != str(log.size):
        raise ResultWrong(f"the Go program refuses {log.folder}: {done.stdout}{done.stderr}")
    return log.size / seconds, {"seconds": seconds}
