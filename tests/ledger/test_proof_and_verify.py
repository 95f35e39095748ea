"""The proof file and the offline check of one entry."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ledger.verify
from ledger.canonical import encode
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.envelope import Envelope, encode_leaf
from ledger.errors import LedgerRefusal, MalformedEnvelope, MalformedProof, NotCanonical, SignerUnknown
from ledger.keys import SigningKey
from ledger.merkle import Frontier, inclusion_proof, leaf_hash
from ledger.note import Cosigner, NoteSigner, Signer
from ledger.proof import TlogProof
from ledger.tiles import TileDirectory
from ledger.verify import verify_entry

LOG = NoteSigner("ledger.example/carbon", SigningKey.from_seed(bytes(range(0x20))))
WITNESS = Cosigner("witness.example/w1", SigningKey.from_seed(bytes(range(0x20, 0x40))), 1767225603)
ACTOR = SigningKey.from_seed(bytes(range(0x40, 0x60)))
PAYLOADS = [encode({"n": i, "v": 1}) for i in range(21)]
LEAVES = [encode_leaf(1000 + i, Envelope(payload).sign(ACTOR)) for i, payload in enumerate(PAYLOADS)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def node(level: int, index: int) -> bytes:
    frontier = Frontier()
    for value in HASHES[index << level : (index + 1) << level]:
        frontier.append(value)
    return frontier.root()


def proof_of(index: int, size: int, *signers: Signer) -> bytes:
    frontier = Frontier()
    for value in HASHES[:size]:
        frontier.append(value)
    checkpoint = Checkpoint(LOG.name, size, frontier.root())
    hashes = tuple(inclusion_proof(index, size, node))
    return TlogProof(index, hashes, sign_checkpoint(checkpoint, signers or [LOG])).to_bytes()


PROOF = proof_of(7, 21)


def test_a_proof_file_has_the_published_form(tmp_path: Path) -> None:
    """The inclusion of entry 2 in 3 of the worked example."""
    entries = [b'{"amount_kg":%d,"seq":%d,"type":"demo"}' % (1000 + i, i) for i in range(3)]
    directory = TileDirectory(tmp_path)
    note = sign_checkpoint(Checkpoint(LOG.name, 3, directory.publish(entries, 0, 3)), [LOG, WITNESS])
    proof = TlogProof(2, tuple(inclusion_proof(2, 3, directory.nodes(3))), note)
    assert proof.to_bytes().decode() == (
        "c2sp.org/tlog-proof@v1\n"
        "index 2\n"
        "cZsDy21vSmMLbLXlQjWa60kZcolfQycncrog/VUGKJw=\n"
        "\n"
        "ledger.example/carbon\n"
        "3\n"
        "qmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n"
        "\n"
        "— ledger.example/carbon uZMUCmYQcQIeR3FsEIdumCbnSGCiAkOadTP6Ry3QHub+a2pbYO7aNmmKsFev3s"
        "XeliOeLwWUrHDrjLsdPEfWYiLBWAg=\n"
        "— witness.example/w1 IDJKvgAAAABpVbkDf9znS34OX1HNn38jCnh78k+F6N+XnnO6SHrJBt7Ro73JqHX8FiCBM"
        "igoN+OJdXfd+NcGGbuZ8BA0BA1YXPX8DQ==\n"
    )
    assert TlogProof.parse(proof.to_bytes()) == proof
    with_extra = TlogProof(2, proof.hashes, note, b"more")
    assert with_extra.to_bytes().startswith(b"c2sp.org/tlog-proof@v1\nextra bW9yZQ==\nindex 2\n")
    assert TlogProof.parse(with_extra.to_bytes()) == with_extra


def test_every_entry_verifies_in_every_later_size() -> None:
    for size in range(1, len(LEAVES) + 1):
        for index in range(size):
            found = verify_entry(proof_of(index, size), LEAVES[index], LOG.vkey)
            assert (found.index, found.size, found.at_ms) == (index, size, 1000 + index)
            assert found.payload == {"n": index, "v": 1}
            assert found.envelope.payload == PAYLOADS[index]


def test_any_flipped_bit_of_a_proof_is_refused() -> None:
    proof = proof_of(7, 21, LOG, WITNESS)
    for bit in range(8 * len(proof)):
        flipped = bytearray(proof)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LedgerRefusal):
            verify_entry(bytes(flipped), LEAVES[7], LOG.vkey, witnesses=[WITNESS.vkey])


def test_any_flipped_bit_of_an_entry_is_refused() -> None:
    for bit in range(8 * len(LEAVES[7])):
        flipped = bytearray(LEAVES[7])
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LedgerRefusal):
            verify_entry(PROOF, bytes(flipped), LOG.vkey)


def test_any_removed_or_inserted_byte_of_a_proof_is_refused() -> None:
    for at in range(len(PROOF)):
        mutants = [PROOF[:at] + PROOF[at + 1 :], PROOF[:at]]
        mutants += [PROOF[:at] + more + PROOF[at:] for more in (b"\n", b"\r", b" ", b"0", b"=", b"A")]
        for mutant in mutants:
            if mutant != PROOF:
                with pytest.raises(LedgerRefusal):
                    verify_entry(mutant, LEAVES[7], LOG.vkey)


@given(st.binary(max_size=200))
def test_anything_else_is_refused_and_never_a_crash(data: bytes) -> None:
    for proof in (data, PROOF[:60] + data, b"c2sp.org/tlog-proof@v1\nindex " + data):
        with pytest.raises(LedgerRefusal):
            verify_entry(proof, LEAVES[7], LOG.vkey)
    with pytest.raises(LedgerRefusal):
        verify_entry(PROOF, data, LOG.vkey)


def test_the_key_the_entry_and_the_proof_belong_together() -> None:
    other = NoteSigner(LOG.name, SigningKey.from_seed(bytes(32)))
    with pytest.raises(SignerUnknown):
        verify_entry(PROOF, LEAVES[7], other.vkey)
    with pytest.raises(LedgerRefusal):
        verify_entry(PROOF, LEAVES[8], LOG.vkey)
    with pytest.raises(LedgerRefusal):
        verify_entry(proof_of(8, 21), LEAVES[7], LOG.vkey)


def test_wanted_witnesses_must_have_signed() -> None:
    with pytest.raises(SignerUnknown):
        verify_entry(PROOF, LEAVES[7], LOG.vkey, witnesses=[WITNESS.vkey])
    verify_entry(proof_of(7, 21, LOG, WITNESS), LEAVES[7], LOG.vkey, witnesses=[WITNESS.vkey])


def test_actors_signatures_are_checked_with_their_keys() -> None:
    verify_entry(PROOF, LEAVES[7], LOG.vkey, actor_keys={ACTOR.keyid: ACTOR.public_bytes})
    with pytest.raises(SignerUnknown):
        verify_entry(PROOF, LEAVES[7], LOG.vkey, actor_keys={})


def test_extra_data_is_refused_since_nothing_vouches_for_it() -> None:
    parsed = TlogProof.parse(PROOF)
    with pytest.raises(MalformedProof):
        verify_entry(
            TlogProof(7, parsed.hashes, parsed.checkpoint_note, b"x").to_bytes(), LEAVES[7], LOG.vkey
        )


@pytest.mark.parametrize(
    ("envelope", "refusal"),
    [
        (Envelope(b"[]"), MalformedEnvelope),
        (Envelope(b"{}", "application/other+json"), MalformedEnvelope),
        (Envelope(b"{ }"), NotCanonical),
        (Envelope(b'{"a":0.5}'), NotCanonical),
    ],
)
def test_a_logged_payload_is_a_canonical_object_of_the_ledger_s_type(
    envelope: Envelope, refusal: type[LedgerRefusal]
) -> None:
    leaf = encode_leaf(1, envelope.sign(ACTOR))
    note = sign_checkpoint(Checkpoint(LOG.name, 1, leaf_hash(leaf)), LOG)
    with pytest.raises(refusal):
        verify_entry(TlogProof(0, (), note).to_bytes(), leaf, LOG.vkey)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"proof@v1", b"proof@v2"),
        (b"index 7\n", b"index 07\n"),
        (b"index 7\n", b"index +7\n"),
        (b"index 7\n", b"index -7\n"),
        (b"index 7\n", b"index  7\n"),
        (b"index 7\n", b"Index 7\n"),
        (b"index 7\n", b"index 7\nindex 7\n"),
        (b"index 7\n", b"index " + b"9" * 5000 + b"\n"),
        (b"index 7\n", b""),
        (b"index 7\n", b"extra \nextra \nindex 7\n"),
        (b"index 7\n", b"extra eA\nindex 7\n"),
        (b"index 7\n", b"index 7\n" + b"A" * 43 + b"=\n" + (b"A" * 43 + b"=\n") * 63),
        (b"index 7\n", b"index 7\nAAAA\n"),
        (b"index 7\n", b"index 7\n\xef\xbc\x97\n"),
        (PROOF, b""),
        (PROOF, b"c2sp.org/tlog-proof@v1\n\n"),
        (PROOF, b"c2sp.org/tlog-proof@v1"),
        (PROOF, b"x" * 2_000_001),
    ],
    ids=range(18),
)
def test_another_spelling_of_a_proof_is_refused(old: bytes, new: bytes) -> None:
    assert old in PROOF
    with pytest.raises(MalformedProof):
        TlogProof.parse(PROOF.replace(old, new, 1))


def test_the_offline_check_imports_no_database_no_network_and_no_registry() -> None:
    script = "import sys, ledger.verify; print(*sorted(sys.modules))"
    root = Path(ledger.verify.__file__).parent.parent
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "ledger.merkle" in loaded
    for name in (
        "sqlalchemy",
        "sqlite3",
        "registry",
        "geo",
        "ledger.log",
        "ledger.tables",
        "ledger.books",
        "ledger.effects",
        "requests",
    ):
        assert name not in loaded
