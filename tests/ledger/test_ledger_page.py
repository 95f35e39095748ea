"""What `docs/ledger.md` promises to authors of verifiers: its vectors are what the code makes, and both of
our implementations give the verdicts that stand in them.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from auditor.findings import Report
from auditor.replay import Replay
from ledger.canonical import decode, encode
from ledger.checkpoint import open_checkpoint
from ledger.commitment import commit
from ledger.errors import LedgerRefusal
from ledger.merkle import verify_consistency
from ledger.note import NoteVerifier
from ledger.replay import LedgerState
from ledger.strict_base64 import from_base64
from ledger.verify import verify_entry
from tests.ledger import vectors

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "ledger.md").read_text()
VECTORS: dict[str, Any] = json.loads((DOCS / "vectors" / "ledger.json").read_text())
LOG = NoteVerifier.parse(VECTORS["vkeys"]["log"])
LEAVES = [entry["leaf"].encode() for entry in VECTORS["entries"]]


def named(cases: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


def test_the_vectors_are_those_that_the_code_makes() -> None:
    made = "python -m tests.ledger.vectors > docs/vectors/ledger.json"
    assert (DOCS / "vectors" / "ledger.json").read_text() == vectors.text(), made


def test_the_log_of_the_vectors_holds_in_the_ledger_and_in_the_auditor() -> None:
    state, report = LedgerState(), Report()
    replay = Replay(report, judges={}, recall=LEAVES.__getitem__)
    for leaf in LEAVES:
        state.apply(leaf)
        assert replay.see(leaf) is not None, report.findings
    assert replay.settle()
    assert report.findings == []
    replay.close()


@named(VECTORS["leaves"])
def test_the_ledger_gives_the_verdict_of_a_leaf(case: dict[str, Any]) -> None:
    state = LedgerState()
    for leaf in LEAVES[: case["after"]]:
        state.apply(leaf, check_signatures=False)
    if case["verdict"] == "accept" or case["level"] == "authority":
        state.apply(case["leaf"].encode())
    else:
        with pytest.raises(LedgerRefusal):
            state.apply(case["leaf"].encode())


@named(VECTORS["leaves"])
def test_the_auditor_gives_the_verdict_of_a_leaf(case: dict[str, Any]) -> None:
    report = Report()
    replay = Replay(report, judges={}, recall=LEAVES.__getitem__)
    for leaf in LEAVES[: case["after"]]:
        replay.see(leaf)
    assert report.findings == []
    seen = replay.see(case["leaf"].encode())
    good = replay.settle()
    replay.close()
    found = {finding.check for finding in report.findings}
    if case["verdict"] == "accept":
        assert (seen is not None, good, found) == (True, True, set())
    elif case["level"] == "authority":
        assert seen is not None
        assert found & {"I8", "I9"}
    else:
        assert seen is None or not good
        assert "L3" in found


@named(VECTORS["notes"])
def test_a_note_has_its_verdict(case: dict[str, Any]) -> None:
    if case["verdict"] == "accept":
        assert open_checkpoint(case["note"].encode(), LOG).size == 3
    else:
        with pytest.raises(LedgerRefusal):
            open_checkpoint(case["note"].encode(), LOG)


@named(VECTORS["receipts"])
def test_a_receipt_has_its_verdict(case: dict[str, Any]) -> None:
    proof, entry = case["receipt"].encode(), LEAVES[case["entry"]]
    if case["verdict"] == "accept":
        assert verify_entry(proof, entry, LOG.vkey, witnesses=[VECTORS["vkeys"]["witness"]]).index == 2
    else:
        with pytest.raises(LedgerRefusal):
            verify_entry(proof, entry, LOG.vkey)


@pytest.mark.parametrize("case", VECTORS["canonical"], ids=lambda case: ascii(case["text"]))
def test_a_text_is_canonical_or_not(case: dict[str, Any]) -> None:
    data = case["text"].encode()
    if case["canonical"]:
        assert encode(decode(data)) == data
    else:
        with pytest.raises(LedgerRefusal):
            decode(data)


def test_proofs_and_commitment_verify() -> None:
    roots = [bytes.fromhex(entry["root"]) for entry in VECTORS["entries"]]
    for proof in VECTORS["consistency"]:
        hashes = [from_base64(value) or b"" for value in proof["hashes"]]
        verify_consistency(
            proof["old"], proof["new"], hashes, roots[proof["old"] - 1], roots[proof["new"] - 1]
        )
    told = VECTORS["commitment"]
    assert encode(told["record"]).decode() == told["text"]
    assert commit(bytes.fromhex(told["key"]), told["record"]) == told["commitment"]
