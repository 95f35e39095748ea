"""Policies: the specification's example, quorums as they are meant, and one meaning for each file."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import LedgerRefusal, SignatureRefused
from ledger.keys import SigningKey
from ledger.merkle import EMPTY_ROOT
from ledger.mldsa import MlDsaKey
from ledger.note import Cosigner, MlDsaCosigner, Note, NoteSigner, parse_note
from ledger.policy import LogNotInPolicy, MalformedPolicy, Policy, QuorumMissing
from ledger.proof import TlogProof
from ledger.verify import verify_entry

LOG = NoteSigner("ledger.example/carbon", SigningKey.from_seed(bytes([1] * 32)))
OTHER = NoteSigner("other.example/log", SigningKey.from_seed(bytes([2] * 32)))
W = [
    Cosigner(f"witness.example/w{i}", SigningKey.from_seed(bytes([10 + i] * 32)), 1_700_000_000)
    for i in range(7)
]
Q = MlDsaCosigner("witness.example/q", MlDsaKey.from_seed(bytes([3] * 32)), 1_700_000_000)
CHECKPOINT = Checkpoint("ledger.example/carbon", 0, EMPTY_ROOT)
TWO_OF_THREE = (
    f"log {LOG.vkey} https://ledger.example/log\n"
    f"witness a {W[0].vkey} https://a.example\n"
    f"witness b {W[1].vkey}\n"
    f"witness c {W[2].vkey}\n"
    "group three 2 a b c\n"
    "quorum three\n"
)


def policy(text: str) -> Policy:
    return Policy.parse(text.encode())


def example() -> str:
    """The example of the specification."""
    lines = [f"log {LOG.vkey}", ""]
    lines += [f"witness X{i + 1} {W[i].vkey}" for i in range(3)]
    lines += ["group X-witnesses 2 X1 X2 X3", ""]
    lines += [f"witness Y{i + 1} {W[3 + i].vkey}" for i in range(3)]
    lines += ["group Y-witnesses any Y1 Y2 Y3", "", "group X-and-Y all X-witnesses Y-witnesses"]
    return "\n".join([*lines, "quorum X-and-Y", ""])


def test_the_example_of_the_specification_means_two_of_these_and_one_of_those() -> None:
    read = policy(example())
    assert [log.verifier.vkey for log in read.logs] == [LOG.vkey]
    names = ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    for count in range(7):
        for signed in itertools.combinations(names, count):
            exes = sum(name.startswith("X") for name in signed)
            assert read.satisfied(signed) == (exes >= 2 and len(signed) - exes >= 1)


def test_white_space_comments_and_addresses_are_read_as_written() -> None:
    text = f"# 见证策略\n\t \n  witness\t王  {W[0].vkey}\thttps://w.example/x \n\t# …\nquorum 王\n"
    read = policy(text)
    assert read.witnesses["王"].url == "https://w.example/x"
    assert read.satisfied(["王"]) and not read.satisfied([])


def test_no_witness_is_needed_where_the_policy_says_none() -> None:
    assert policy("quorum none\n").satisfied([])


def test_octets_that_are_not_utf_8_are_names_too() -> None:
    read = Policy.parse(b"witness \xff\xfe " + W[0].vkey.encode() + b"\nquorum \xff\xfe\n")
    assert read.satisfied(list(read.witnesses))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 0),
        ("quorum none", 0),
        ("quorum none\r\n", 1),
        ("quorum none\x7f\n", 1),
        ("quorum\n", 1),
        ("quorum none none\n", 1),
        ("quorum none\nquorum none\n", 2),
        ("quorum a\n", 1),
        ("Quorum none\n", 1),
        ("witness a\nquorum none\n", 1),
        (f"witness none {W[0].vkey}\nquorum none\n", 1),
        (f"witness a {W[0].vkey} x y\nquorum none\n", 1),
        (f"witness a {LOG.vkey}\nquorum none\n", 1),
        (f"log {W[0].vkey}\nquorum none\n", 1),
        (f"log {LOG.vkey}\nlog {LOG.vkey}\nquorum none\n", 2),
        (f"witness a {W[0].vkey}\nwitness b {W[0].vkey}\nquorum none\n", 2),
        (f"witness a {W[0].vkey}\nwitness b {Cosigner('x', W[0].key, 0).vkey}\nquorum none\n", 2),
        (f"witness a {W[0].vkey}\nwitness a {W[1].vkey}\nquorum none\n", 2),
        (f"witness a {W[0].vkey}\ngroup a any a\nquorum none\n", 2),
        (f"witness a {W[0].vkey}\ngroup g 1\nquorum none\n", 2),
        (f"witness a {W[0].vkey}\ngroup g 0 a\nquorum none\n", 2),
        (f"witness a {W[0].vkey}\ngroup g 2 a\nquorum none\n", 2),
        (f"witness a {W[0].vkey}\ngroup g 01 a\nquorum none\n", 2),
        (f"witness a {W[0].vkey}\ngroup g 1 a a\nquorum none\n", 2),
        (f"witness a {W[0].vkey}\ngroup g 1 none\nquorum none\n", 2),
        (f"group g any a\nwitness a {W[0].vkey}\nquorum g\n", 1),
        (f"witness a {W[0].vkey}\ngroup g any a\ngroup h any a\nquorum h\n", 3),
        (f"witness a {W[0].vkey[:-1]}A\nquorum a\n", 1),
    ],
)
def test_what_the_specification_does_not_allow_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(MalformedPolicy) as refused:
        policy(text)
    assert refused.value.facts["line"] == line


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_it_fail(data: bytes) -> None:
    try:
        Policy.parse(data)
    except LedgerRefusal:
        return
    assert b"quorum" in data


# ---- held against a checkpoint -----------------------------------------------------------------------------


def test_two_of_three_are_a_quorum_and_one_is_not() -> None:
    read = policy(TWO_OF_THREE)
    for signers in itertools.combinations(W[:3], 2):
        read.require(sign_checkpoint(CHECKPOINT, [LOG, *signers]))
    for few in ([], [W[0]], [W[0], W[5], W[6]]):
        with pytest.raises(QuorumMissing):
            read.require(sign_checkpoint(CHECKPOINT, [LOG, *few]))


def test_a_known_witness_whose_line_does_not_verify_is_refused_even_with_a_quorum() -> None:
    read = policy(TWO_OF_THREE)
    note = parse_note(sign_checkpoint(CHECKPOINT, [LOG, *W[:3]]))
    last = note.signatures[-1]
    forged = type(last)(last.name, last.key_id, last.data[:-1] + bytes([last.data[-1] ^ 1]))
    with pytest.raises(SignatureRefused):
        read.require(Note(note.text, (*note.signatures[:-1], forged)).to_bytes())


def test_both_kinds_of_cosignatures_count() -> None:
    read = policy(f"witness a {W[0].vkey}\nwitness q {Q.vkey}\ngroup both all a q\nquorum both\n")
    read.require(sign_checkpoint(CHECKPOINT, [LOG, W[0], Q]))
    with pytest.raises(QuorumMissing):
        read.require(sign_checkpoint(CHECKPOINT, [LOG, W[0]]))


def test_a_log_that_the_policy_does_not_list_is_refused() -> None:
    read = policy(TWO_OF_THREE)
    read.require_log(LOG.verifier)
    with pytest.raises(LogNotInPolicy):
        read.require_log(OTHER.verifier)
    policy("quorum none\n").require_log(OTHER.verifier)


def test_a_proof_is_checked_against_the_policy_before_its_entry_is() -> None:
    checkpoint = Checkpoint("ledger.example/carbon", 1, bytes(32))
    proof = TlogProof(0, (), sign_checkpoint(checkpoint, [LOG, W[0]])).to_bytes()
    with pytest.raises(QuorumMissing):
        verify_entry(proof, b"{}", LOG.vkey, policy=policy(TWO_OF_THREE))
