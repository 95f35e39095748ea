"""Records of the first release: read, shown and computed again to the same kilograms, whatever came since."""

import json
import zipfile
from pathlib import Path

from ledger.canonical import encode
from registry.estimates.recompute import folder, recompute
from registry.estimates.run_record import RunRecord

KEPT = Path(__file__).with_name("record_1.zip")
"""A record of version 1 with its files and outlines, written by the code of the first release's form."""


def unpacked(tmp_path: Path) -> str:
    with zipfile.ZipFile(KEPT) as kept:
        kept.extractall(tmp_path)
    return (tmp_path / "record.json").read_text()


def test_a_record_of_version_1_is_read_and_spelled_as_it_was(tmp_path: Path) -> None:
    text = unpacked(tmp_path)
    record = RunRecord(text)
    assert (record.document["version"], record.estimate_kg, record.tier) == (1, 869_435, "verified")
    assert record.document["inputs_sha256"] == record.inputs.digest()
    assert encode(record.inputs.to_json()) == encode(record.document["inputs"])


def test_a_record_of_version_1_is_computed_again_to_the_same_kilograms(tmp_path: Path) -> None:
    again = recompute(unpacked(tmp_path), folder(tmp_path))
    assert again.differences == ()
    assert again.kg == again.recorded_kg == 869_435


def test_a_record_of_version_1_that_was_changed_is_found_out(tmp_path: Path) -> None:
    document = json.loads(unpacked(tmp_path))
    document["inputs"]["leakage_kg"] = 5
    again = recompute(encode(document).decode(), folder(tmp_path))
    assert "inputs_sha256" in {one.name for one in again.differences}
    assert again.kg == 869_430
