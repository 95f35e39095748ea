"""Logs that were made to be audited: cut off, forged under a known key, and with a key that changed."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from auditor.audit import Audited, DayBeforeLog, SizeBeyondLog, Until, audit_alone
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.client import FolderFiles, read_head
from ledger.entry import parse_payload
from ledger.envelope import Envelope, decode_leaf, encode_leaf
from ledger.keys import SigningKey
from ledger.log_keys import endorse
from ledger.note import NoteSigner, NoteVerifier
from ledger.tiles import CHECKPOINT, TileDirectory
from tests.auditor.deposits import BEGAN_MS, Depositing
from tests.auditor.test_replay import by_root, deposit, leaf_of, log_key

WORLD = Depositing(firms=3)
NEW = NoteSigner(WORLD.origin, SigningKey.from_seed(b"n" * 32))


def published(folder: Path, leaves: list[bytes], *signers: NoteSigner) -> FolderFiles:
    tiles = TileDirectory(folder)
    root = tiles.publish(leaves, 0, len(leaves))
    checkpoint = Checkpoint(WORLD.origin, len(leaves), root)
    tiles.write_checkpoint(sign_checkpoint(checkpoint, signers or (WORLD.signer,)))
    return FolderFiles(folder)


def audited(files: FolderFiles, *vkeys: str, **until: Any) -> Audited:
    verifiers = [NoteVerifier.parse(vkey) for vkey in vkeys or (WORLD.vkey,)]
    return audit_alone(files, verifiers, Until(**until))


def found(one: Audited) -> set[str]:
    return {f"{finding.check} {finding.where}" for finding in one.report.findings}


@pytest.mark.parametrize("entries", [5, 255, 256, 257, 600])
def test_a_plain_log_passes_at_every_width(tmp_path: Path, entries: int) -> None:
    done = audited(published(tmp_path, list(WORLD.leaves(entries))))
    assert done.report.findings == []
    assert done.followed
    assert done.report.size == entries


@pytest.mark.parametrize("size", [1, 9, 255, 256, 257, 511, 512, 600])
def test_the_beginning_of_a_log_is_proven_to_be_its_beginning(tmp_path: Path, size: int) -> None:
    done = audited(published(tmp_path, list(WORLD.leaves(600))), size=size)
    assert done.report.findings == []
    assert done.report.size == done.replay.size == size


@pytest.mark.parametrize("threads", [1, 3])
def test_a_bad_signature_is_found_at_its_entry(tmp_path: Path, threads: int) -> None:
    leaves = list(WORLD.leaves(600))
    at_ms, envelope = decode_leaf(leaves[500])
    wrong = replace(envelope.signatures[0], sig=decode_leaf(leaves[501])[1].signatures[0].sig)
    leaves[500] = encode_leaf(at_ms, replace(envelope, signatures=(wrong,)))
    files = published(tmp_path, leaves)
    done = audit_alone(files, [WORLD.signer.verifier], threads=threads)
    assert found(done) == {"L3 entry 500"}
    assert not done.followed


def test_a_request_id_that_comes_twice_is_found(tmp_path: Path) -> None:
    leaves = list(WORLD.leaves(20))
    used = parse_payload(decode_leaf(leaves[-1])[1].payload).id
    files = published(tmp_path, [*leaves, leaf_of(deposit(id=used))])
    assert found(audited(files)) == {"I15 entry 20", "L3 entry 20"}


def test_a_day_ends_at_midnight_in_china(tmp_path: Path) -> None:
    world = Depositing(firms=3, step_ms=3_600_000)  # an entry an hour, from 2025-01-01 01:00 UTC on
    tiles = tmp_path / "log"
    world.publish(tiles, 100)
    files = FolderFiles(tiles)
    sizes = [audited(files, day=date(2025, 1, day)).report.size for day in (1, 2, 4, 31)]
    assert sizes == [15, 39, 87, 100]
    with pytest.raises(DayBeforeLog):
        audited(files, day=date(2024, 12, 31))
    with pytest.raises(SizeBeyondLog):
        audited(files, size=101)


# ---- the log's own keys ------------------------------------------------------------------------------------


def rotated(*, finished: bool) -> list[bytes]:
    added = log_key("add_key", NEW.vkey, endorse(NEW.verifier, WORLD.signer))
    leaves = [*WORLD.leaves(20), leaf_of(added, WORLD.root)]
    if finished:
        leaves.append(leaf_of(log_key("end_key", WORLD.vkey), WORLD.root))
    return [*leaves, leaf_of(deposit())]


def test_who_knows_the_old_key_follows_the_log_to_the_new_one(tmp_path: Path) -> None:
    files = published(tmp_path, rotated(finished=True), NEW)
    for vkey in (WORLD.vkey, NEW.vkey):
        assert found(audited(files, vkey)) == set()
        assert found(audited(files, vkey, size=10)) == set()


def test_every_key_in_force_signs(tmp_path: Path) -> None:
    both = published(tmp_path / "both", rotated(finished=False), WORLD.signer, NEW)
    assert found(audited(both)) == set()
    for n, signer in enumerate((WORLD.signer, NEW)):
        alone = published(tmp_path / str(n), rotated(finished=False), signer)
        assert found(audited(alone)) == {f"L1 {CHECKPOINT}"}


def test_an_ended_key_opens_nothing_new(tmp_path: Path) -> None:
    files = published(tmp_path, rotated(finished=True), WORLD.signer)
    assert f"L1 {CHECKPOINT}" in found(audited(files))


def test_a_log_under_an_invented_key_does_not_pass_by_naming_a_known_one(tmp_path: Path) -> None:
    """Somebody who knows the public key alone begins a log with it, and cannot endorse a key of his own."""
    forged = Depositing(firms=3, root=SigningKey.from_seed(b"f" * 32))
    added = log_key("add_key", NEW.vkey, endorse(NEW.verifier, NEW))
    ended = by_root(
        "log", "end_key", WORLD.origin, "open", "open", type="log.key", facts={"vkey": WORLD.vkey}
    )
    leaves = [*forged.leaves(20), leaf_of(added, forged.root), leaf_of(ended, forged.root)]
    assert found(audited(published(tmp_path, leaves, NEW))) == {f"L1 {CHECKPOINT}"}


def test_another_log_is_not_this_one(tmp_path: Path) -> None:
    files = published(tmp_path, list(WORLD.leaves(20)))
    other = Depositing(origin="other.test/log").vkey
    stranger = NoteSigner(WORLD.origin, SigningKey.from_seed(b"x" * 32)).vkey
    assert found(audited(files, other)) == {f"L1 {CHECKPOINT}"}
    assert found(audited(files, stranger)) == {f"L1 {CHECKPOINT}"}


# ---- files -------------------------------------------------------------------------------------------------


def test_files_that_no_entry_gives_are_found(tmp_path: Path) -> None:
    files = published(tmp_path, list(WORLD.leaves(300)))
    (tmp_path / "tile/0/000.p").mkdir()
    (tmp_path / "tile/0/000.p/7").write_bytes(b"x" * 7 * 32)
    (tmp_path / "notes.txt").write_text("none of the log's")
    assert found(audited(files)) == {"L2 tile/0/000.p/7", "L2 notes.txt"}


@pytest.mark.parametrize(
    "name", ["tile/entries/000", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", CHECKPOINT]
)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    files = published(tmp_path, list(WORLD.leaves(300)))
    (tmp_path / name).unlink()
    check = "L1" if name == CHECKPOINT else "L2"
    assert f"{check} {name}" in found(audited(files))


def test_entries_that_lead_to_another_root_are_not_this_logs(tmp_path: Path) -> None:
    leaves = list(WORLD.leaves(20))
    files = published(tmp_path / "a", leaves)
    other = published(tmp_path / "b", [*leaves[:-1], leaf_of(deposit(), at_ms=BEGAN_MS + 10**8)])
    (tmp_path / "b" / CHECKPOINT).write_bytes((tmp_path / "a" / CHECKPOINT).read_bytes())
    assert found(audited(files)) == set()
    assert f"L1 {CHECKPOINT}" in found(audited(other))


def test_an_envelope_of_something_else_is_no_entry(tmp_path: Path) -> None:
    leaves = list(WORLD.leaves(20))
    other = Envelope(b"{}", "application/json").sign(WORLD.teller)
    files = published(tmp_path, [*leaves, encode_leaf(BEGAN_MS + 10**9, other)])
    assert found(audited(files)) == {"L3 entry 20"}


def test_a_log_continues_the_checkpoint_that_somebody_saved(tmp_path: Path) -> None:
    leaves = list(WORLD.leaves(300))
    saved = published(tmp_path / "before", leaves[:270])
    known = read_head((saved.path / CHECKPOINT).read_bytes(), WORLD.signer.verifier).checkpoint
    later = published(tmp_path / "later", leaves)
    assert found(audit_alone(later, [WORLD.signer.verifier], since=known)) == set()
    rewritten = [*leaves[:260], leaf_of(deposit(), at_ms=BEGAN_MS + 10**8), *leaves[261:]]
    fork = published(tmp_path / "fork", rewritten)
    assert f"I12 {CHECKPOINT}" in found(audit_alone(fork, [WORLD.signer.verifier], since=known))
