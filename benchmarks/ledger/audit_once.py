"""`python -m benchmarks.ledger.audit_once hashes|everything FOLDER`: one audit, timed, as JSON."""

import json
import sys
import time
from pathlib import Path

from auditor.audit import audit_alone
from benchmarks import machine
from ledger.client import FolderFiles, LogClient
from ledger.note import NoteVerifier


def main(what: str, folder: Path) -> int:
    verifier = NoteVerifier.parse((folder / "log.vkey").read_text().strip())
    files = FolderFiles(folder / "log")
    start_mib = _peak_mib()
    started = time.perf_counter()
    if what == "hashes":
        size, findings = LogClient(files, verifier).verify().head.checkpoint.size, []
    else:
        report = audit_alone(files, [verifier]).report
        size, findings = report.size, [str(finding) for finding in report.findings]
    seconds = time.perf_counter() - started
    peak_mib = _peak_mib()
    said = {"size": size, "seconds": seconds, "start_mib": start_mib, "peak_mib": peak_mib}
    print(json.dumps({**said, "findings": findings[:20]}))
    return 1 if findings else 0


def _peak_mib() -> float:
    """Of this program alone: getrusage would remember the process that started it."""
    return machine.peak_mib("self")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
