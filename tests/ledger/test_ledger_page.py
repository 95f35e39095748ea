"""What `docs/ledger.md` promises to authors of verifiers: its vectors are what the code makes, and both of
our implementations give the verdicts that stand in them.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from auditor.findings import Report
from auditor.replay import Replay
from ledger.canonical import decode, encode
from ledger.checkpoint import open_checkpoint
from ledger.commitment import commit
from ledger.effects import _READERS, Lock
from ledger.entry import TYPES
from ledger.envelope import MAX_PAYLOAD_BYTES, PAYLOAD_TYPE, pae
from ledger.errors import LedgerRefusal
from ledger.keys import _P, _SMALL_ORDER_Y
from ledger.merkle import verify_consistency
from ledger.note import NoteVerifier
from ledger.replay import OWN_STEPS, LedgerState
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


# ---- the page ----------------------------------------------------------------------------------------------


def shown(name: str) -> str:
    """What a block of the page shows: a value of the vectors, or several as the page lays them out."""
    match name:
        case "paths":
            return "\n".join(f"{p['n']:<7}  {p['path'].removeprefix('tile/0/')}" for p in VECTORS["paths"])
        case "vkeys":
            return "\n".join(f"{key:<7}  {vkey}" for key, vkey in VECTORS["vkeys"].items())
        case "roots":
            return "\n".join(f"{e['index']:2} {e['leaf_hash']} {e['root']}" for e in VECTORS["entries"])
        case "pae":
            return pae(PAYLOAD_TYPE, VECTORS["entries"][1]["payload"].encode()).decode()
        case "commitment":
            return "\n".join(VECTORS["commitment"][field] for field in ("text", "key", "commitment"))
    value: Any = VECTORS
    for step in name.split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return "\n".join(value) if isinstance(value, list) else str(value).removesuffix("\n")


BLOCKS = re.findall(r"^```text vector=(\S+)\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_a_block_of_the_page_is_the_vector(name: str, block: str) -> None:
    assert block == shown(name)


def test_no_block_of_the_page_is_held_to_nothing() -> None:
    assert len(BLOCKS) == PAGE.count("```") // 2 >= 16
    sizes = {file["path"]: file["bytes"] for file in VECTORS["files"]}
    first = VECTORS["files"][1]["hex"][:4]
    assert (
        f"has {sizes['tile/entries/000.p/2']} bytes and begins with the length of entry 0, `{first}`" in PAGE
    )
    assert f"cosigned at {VECTORS['cosigned']['time']};" in PAGE


def test_the_page_lists_what_the_code_knows() -> None:
    for type_ in TYPES:
        assert f"| `{type_}` |" in PAGE
    for effect in _READERS:
        assert f'{{"type":"{effect}"' in PAGE
    for lock in Lock:
        assert f"`{lock.value}`" in PAGE
    for field in VECTORS:
        assert f"`{field}`" in PAGE or field == "format"
    for y in _SMALL_ORDER_Y - {0, 1, _P - 1}:
        assert f"`{y.to_bytes(32, 'little').hex()}`" in PAGE
    assert f"{MAX_PAYLOAD_BYTES:,} bytes before base64" in PAGE
    assert PAYLOAD_TYPE in PAGE
    for name, (machine, actions) in OWN_STEPS.items():
        for action in actions:
            assert f"| `{name}` | `{machine}` `{action}` |" in PAGE
