"""What a running registry published and exported, redone by programs that are not ours."""

import csv
import io
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.client import FolderFiles, LogClient
from ledger.effects import OpenBlock, Post, Transfer
from ledger.envelope import decode_leaf
from ledger.journal import account_name, commodity
from ledger.merkle import leaf_hash
from ledger.note import NoteVerifier
from ledger.replay import Entry, LedgerState
from ledger.verify import verify_entry
from tests.registry.story import Story, dialect, sold, story
from tests.registry.test_cli import Line, line

__all__ = ["dialect", "line", "sold", "story"]

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"])


@pytest.fixture
def folder(sold: Story) -> Iterator[Path]:
    """The home of an installation that issued, sold and published; it is whole when the test ends."""
    yield sold.installation.home.path


def vkey_of(home: Path) -> str:
    return (home / "log.vkey").read_text().strip()


def read(home: Path) -> tuple[LogClient, dict[int, bytes]]:
    entries: dict[int, bytes] = {}
    client = LogClient(FolderFiles(home / "log"), NoteVerifier.parse(vkey_of(home)))
    client.verify(visit=entries.__setitem__)
    return client, entries


# ---- the command line --------------------------------------------------------------------------------------


def test_a_stranger_verifies_keeps_the_checkpoint_and_comes_back(
    line: Line, folder: Path, tmp_path: Path
) -> None:
    saved = str(tmp_path / "saved")
    log, key = str(folder / "log"), str(folder / "log.vkey")
    status, said = line("log", "verify", log, "--vkey", key, "--save", saved)
    assert (status, "verified size" in said) == (0, True), said
    status, said = line("log", "verify", log, "--vkey", vkey_of(folder), "--since", saved, "--json")
    answer = json.loads(said)
    assert (status, answer["since"], answer["origin"]) == (0, answer["size"], "tanhui.test/log")
    assert answer["size"] == len(read(folder)[1])


def test_what_is_wrong_is_named_with_status_1_and_what_is_asked_wrongly_has_status_2(
    line: Line, folder: Path, tmp_path: Path
) -> None:
    log, key = str(folder / "log"), str(folder / "log.vkey")
    assert line("log", "verify", str(tmp_path / "none"), "--vkey", key)[0] == 2
    assert line("log", "verify", log, "--vkey", "a+b+c")[0] == 2
    assert line("log", "proof", "0", "--log", log)[0] == 2
    assert line("log", "proof", "99999", "--home", str(folder))[0] == 2
    assert line("export", str(tmp_path / "x"), "--home", str(folder))[0] == 2
    (tmp_path / "saved").write_bytes((folder / "log" / "checkpoint").read_bytes() + b"\n")
    assert line("log", "verify", log, "--vkey", key, "--since", str(tmp_path / "saved"))[0] == 2
    for bundle in (p for p in (folder / "log" / "tile" / "entries").rglob("*") if p.is_file()):
        bundle.write_bytes(bundle.read_bytes()[:-1] + b"!")
    status, said = line("log", "verify", log, "--vkey", key)
    assert (status, "wrong log_wrong: The published log is wrong at tile/" in said) == (1, True), said
    assert line("export", "--hledger", str(tmp_path / "x"), "--home", str(folder))[0] == 1
    assert not (tmp_path / "x").exists()


def test_the_proof_of_an_entry_verifies_offline(line: Line, folder: Path, tmp_path: Path) -> None:
    entries = read(folder)[1]
    out = tmp_path / "entry.tlog-proof"
    assert line("log", "proof", "7", "--home", str(folder), "-o", str(out))[0] == 0
    assert verify_entry(out.read_bytes(), entries[7], vkey_of(folder)).index == 7
    status, printed = line("log", "proof", "7", "--log", str(folder / "log"), "--vkey", vkey_of(folder))
    assert (status, printed.encode()) == (0, out.read_bytes())


# ---- other programs ----------------------------------------------------------------------------------------


def test_go_proves_every_entry_of_the_installation(go_oracle: Path, folder: Path) -> None:
    size = len(read(folder)[1])
    line = [str(go_oracle), str(folder / "log"), vkey_of(folder), str(folder / "log" / "checkpoint")]
    answer = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.split()[0] == str(size) and size > 50


def test_tlog_scales_proves_every_entry_of_the_installation(folder: Path) -> None:
    reason = "tlog-scales, the second opinion, is not installed"
    reader = pytest.importorskip("tlog_scales.reader", reason=reason)
    backend = pytest.importorskip("tlog_scales.backend", reason=reason)
    signing = pytest.importorskip("tlog_scales.signing", reason=reason)
    client, entries = read(folder)
    theirs = reader.TilesReader(backend.LocalBackend(folder / "log"))
    checkpoint = theirs.get_checkpoint()
    checkpoint.verify(signing.Vkey.from_string(vkey_of(folder)))
    assert theirs.calculate_root_hash() == checkpoint.root_hash == client.head().checkpoint.root
    for index, leaf in entries.items():
        assert theirs.get_entry(index) == leaf
        proof = theirs.get_inclusion_proof(index, len(entries))
        assert tuple(proof.node_hashes) == client.proof(index)[0].hashes
        proof.check(leaf_hash(leaf), checkpoint.root_hash)


def test_securesystemslib_accepts_every_signature_of_the_log(folder: Path) -> None:
    reason = "securesystemslib, the second opinion, is not installed"
    dsse = pytest.importorskip("securesystemslib.dsse", reason=reason)
    signer = pytest.importorskip("securesystemslib.signer", reason=reason)
    entries = read(folder)[1]
    state = LedgerState()
    for leaf in entries.values():
        state.apply(leaf)
        envelope = decode_leaf(leaf)[1]
        theirs: list[Any] = [
            signer.SSlibKey(s.keyid, "ed25519", "ed25519", {"public": state.keys[s.keyid].public_key.hex()})
            for s in envelope.signatures
        ]
        accepted = dsse.Envelope.from_dict(envelope.to_json()).verify(theirs, len(theirs))
        assert set(accepted) == {s.keyid for s in envelope.signatures}


def test_accountants_come_to_our_balances(
    line: Line, accountant: str, sold: Story, folder: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "all.journal"
    status, said = line("export", "--hledger", str(journal), "--home", str(folder))
    assert status == 0, said
    theirs = balances(accountant, journal)
    with sold.installation.database.read() as session:
        rows = session.execute(sa.select(tables.account)).mappings().all()
    ours = {
        (account_name(row["account"]), commodity(row["asset"])): row["credits_posted"] - row["debits_posted"]
        for row in rows
    }
    assert theirs == {name: amount for name, amount in ours.items() if amount}
    assert len(theirs) > 5 and len({asset for _, asset in theirs}) == 3


def test_an_accountant_notices_a_changed_amount(
    line: Line, accountant: str, folder: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "all.journal"
    assert line("export", "--hledger", str(journal), "--home", str(folder))[0] == 0
    text = journal.read_text()
    journal.write_text(re.sub(r"  (\d+) ", lambda m: f"  {int(m[1]) + 1} ", text, count=1))
    with pytest.raises(subprocess.CalledProcessError):
        balances(accountant, journal)


def balances(accountant: str, journal: Path) -> dict[tuple[str, str], int]:
    """What the program makes of the journal: (account, asset) to balance, without zeros."""
    line = [accountant, "-f", str(journal), "balance", "--flat"]
    if accountant == "hledger":
        line += ["--no-total", "--layout=bare", "-O", "csv"]
    else:
        line += ["--no-total", "--balance-format", "%(account)\n%(scrub(amount))\n;\n"]
    said = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True).stdout
    if accountant == "hledger":
        rows = list(csv.reader(io.StringIO(said)))[1:]
        return {(account, asset): int(amount) for account, asset, amount in rows}
    found = {}
    for block in filter(None, said.split(";\n")):
        account, *amounts = block.strip().split("\n")
        for text in amounts:
            amount, asset = text.strip().split(" ")
            found[account, asset.strip('"')] = int(amount)
    return found


def test_a_journal_holds_every_posting_and_no_reservation(line: Line, folder: Path, tmp_path: Path) -> None:
    journal = tmp_path / "all.journal"
    assert line("export", "--hledger", str(journal), "--home", str(folder))[0] == 0
    state = LedgerState()
    entries: list[Entry] = [state.apply(leaf) for leaf in read(folder)[1].values()]
    posting = {
        e.index for e in entries if any(isinstance(f, OpenBlock | Transfer | Post) for f in e.payload.effects)
    }
    found = {int(n) for n in re.findall(r"^\d{4}-\d\d-\d\d entry (\d+) ", journal.read_text(), re.M)}
    assert found == posting
