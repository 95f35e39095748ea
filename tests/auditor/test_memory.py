"""What the auditor keeps of every entry lies on disk: exact, and without memory that grows with the log."""

import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.spill import Spill
from tests.auditor.deposits import Depositing

MEASURE = """
import resource, sys
from pathlib import Path
from auditor.audit import audit_alone
from ledger.client import FolderFiles
from ledger.note import NoteVerifier
audited = audit_alone(FolderFiles(Path(sys.argv[1])), [NoteVerifier.parse(sys.argv[2])])
assert audited.report.passed, audited.report.findings
print(audited.report.size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3)), max_size=60), st.integers(1, 5))
def test_a_spill_is_a_dictionary_whatever_lies_on_disk(puts: list[tuple[str, int]], limit: int) -> None:
    spill = Spill(limit)
    known: dict[str, str] = {}
    for name, value in puts:
        assert spill.get(name.encode()) == known.get(name)
        spill.put(name.encode(), str(value))
        known[name] = str(value)
    for name in "abcdefghij":
        assert spill.get(name.encode()) == known.get(name)
    spill.close()


def test_a_request_id_is_known_again_after_it_left_memory() -> None:
    spill = Spill(16)
    ids = [str(uuid.uuid4()).encode() for _ in range(500)]
    for one in ids:
        assert spill.get(one) is None
        spill.put(one)
    assert all(spill.get(one) == "" for one in ids)
    assert spill.get(b"another") is None
    spill.close()


@pytest.mark.slow
def test_ten_times_the_entries_take_no_more_memory(tmp_path: Path) -> None:
    """Within a fifth; in truth a few per cent."""
    peaks = []
    for entries in (40_000, 400_000):
        world = Depositing()
        world.publish(tmp_path / str(entries), entries)
        command = [sys.executable, "-c", MEASURE, str(tmp_path / str(entries)), world.vkey]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        size, peak_kb = map(int, done.stdout.split())
        assert size == entries
        peaks.append(peak_kb)
    assert peaks[1] < 1.2 * peaks[0]
