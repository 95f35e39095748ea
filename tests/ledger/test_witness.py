"""A witness cosigns what extends what it cosigned before, and nothing else, whatever happens to it."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, open_checkpoint, peek_checkpoint, sign_checkpoint
from ledger.errors import LedgerRefusal, SignatureRefused
from ledger.keys import SigningKey
from ledger.merkle import Frontier, consistency_proof, leaf_hash, root_from_nodes
from ledger.mldsa import MlDsaKey
from ledger.note import MlDsaCosigner, NoteSigner, NoteVerifier, add_signatures, parse_note
from ledger.strict_base64 import to_base64
from ledger.witness import SIZE_TYPE, AddCheckpoint, Answer, Witness, WitnessStore, trusted_logs

CHECKOUT = Path(__file__).parents[2]
VKEY = "ledger.example/carbon+b993140a+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
WITNESS_VKEY = "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
WITNESS_LINE = (
    "— witness.example/w1 IDJKvgAAAABpVbkDf9znS34OX1HNn38jCnh78k+F6N+XnnO6SHrJBt7Ro73JqHX8FiCBM"
    "igoN+OJdXfd+NcGGbuZ8BA0BA1YXPX8DQ==\n"
)
LOG = NoteSigner("ledger.example/carbon", SigningKey.from_seed(bytes(range(0x20))))
NEXT = NoteSigner("ledger.example/carbon", SigningKey.from_seed(bytes([7] * 32)))
STRANGER = NoteSigner("other.example/log", SigningKey.from_seed(bytes([9] * 32)))
AT_S = 1767225603


def entry(index: int, what: str = "demo") -> bytes:
    return f'{{"amount_kg":{1000 + index},"seq":{index},"type":"{what}"}}'.encode()


class Tree:
    """A log of so many entries, all nodes by hand."""

    def __init__(self, what: str = "demo", entries: int = 40, fork_at: int = 0) -> None:
        self.hashes = [leaf_hash(entry(i, what if i >= fork_at else "demo")) for i in range(entries)]

    def node(self, level: int, index: int) -> bytes:
        frontier = Frontier()
        for digest in self.hashes[index << level : (index + 1) << level]:
            frontier.append(digest)
        return frontier.root()

    def note(self, size: int, *signers: NoteSigner) -> bytes:
        root = root_from_nodes(size, self.node)
        return sign_checkpoint(Checkpoint("ledger.example/carbon", size, root), signers or (LOG,))

    def request(self, old: int, size: int, *signers: NoteSigner) -> bytes:
        proof = tuple(consistency_proof(old, size, self.node))
        return AddCheckpoint(old, proof, self.note(size, *signers)).to_bytes()


TREE, FORK = Tree(), Tree("fork", fork_at=5)


def witness_at(path: Path, **keys: object) -> Witness:
    known = trusted_logs([NoteVerifier.parse(VKEY), NEXT.verifier])
    key = SigningKey.from_seed(bytes(range(0x20, 0x40)))
    witness = Witness("witness.example/w1", key, known, WitnessStore(path), lambda: AT_S)
    return replace(witness, **keys)  # type: ignore[arg-type]


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return witness_at(tmp_path / "seen.db")


def size_told(answer: Answer) -> int:
    assert (answer.status, answer.content_type) == (HTTPStatus.CONFLICT, SIZE_TYPE)
    assert answer.body == f"{int(answer.body)}\n".encode()
    return int(answer.body)


# ---- what it signs -----------------------------------------------------------------------------------------


def test_the_worked_example_of_the_specification_to_the_byte(witness: Witness) -> None:
    assert witness.vkeys == [WITNESS_VKEY]
    first = witness.add_checkpoint(TREE.request(0, 1))
    assert first.status == HTTPStatus.OK
    request = (
        "old 1\n"
        "Ph7EEszf77TboKcULBB98ximoESu73IXrkHb+5BEt1Y=\n"
        "W8fsa5RWNjC7SJma7ry6HEMG1buNm+7xY2Y7GYTL7zI=\n"
        "\n"
        "ledger.example/carbon\n"
        "3\n"
        "qmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n"
        "\n"
        "— ledger.example/carbon uZMUCmYQcQIeR3FsEIdumCbnSGCiAkOadTP6Ry3QHub+a2pbYO7aNmmKsFev3sXeliOeLw"
        "WUrHDrjLsdPEfWYiLBWAg=\n"
    ).encode()
    assert TREE.request(1, 3) == request
    assert witness.add_checkpoint(request) == Answer(HTTPStatus.OK, WITNESS_LINE.encode())


def test_it_follows_the_log_step_by_step_and_every_line_verifies(witness: Witness) -> None:
    verifier = NoteVerifier.parse(WITNESS_VKEY)
    for old, new in ((0, 0), (0, 1), (1, 2), (2, 7), (7, 8), (8, 32), (32, 33), (33, 40), (40, 40)):
        answer = witness.add_checkpoint(TREE.request(old, new))
        assert answer.status == HTTPStatus.OK, (old, new, answer)
        cosigned = add_signatures(TREE.note(new), answer.body)
        assert open_checkpoint(cosigned, LOG.verifier, [verifier]).size == new


def test_the_same_checkpoint_again_is_cosigned_again_because_the_answer_may_have_been_lost(
    witness: Witness,
) -> None:
    assert witness.add_checkpoint(TREE.request(0, 7)).status == HTTPStatus.OK
    assert size_told(witness.add_checkpoint(TREE.request(0, 7))) == 7
    assert witness.add_checkpoint(TREE.request(7, 7)).status == HTTPStatus.OK
    assert size_told(witness.add_checkpoint(TREE.request(0, 9))) == 7, "the log has grown meanwhile"
    assert witness.add_checkpoint(TREE.request(7, 9)).status == HTTPStatus.OK


def test_lines_by_unknown_keys_are_ignored_and_any_known_key_of_the_log_is_enough(witness: Witness) -> None:
    stranger = NoteSigner("ledger.example/carbon", STRANGER.key)
    assert witness.add_checkpoint(TREE.request(0, 3, stranger, NEXT)).status == HTTPStatus.OK
    assert witness.add_checkpoint(TREE.request(3, 5, LOG, NEXT)).status == HTTPStatus.OK
    assert witness.add_checkpoint(TREE.request(5, 6, stranger)).status == HTTPStatus.FORBIDDEN


# ---- what it refuses ---------------------------------------------------------------------------------------


def test_a_log_that_it_does_not_know_is_not_found(witness: Witness) -> None:
    note = sign_checkpoint(Checkpoint("other.example/log", 1, bytes(32)), STRANGER)
    answer = witness.add_checkpoint(AddCheckpoint(0, (), note).to_bytes())
    assert answer.status == HTTPStatus.NOT_FOUND


def test_a_signature_that_does_not_verify_is_forbidden(witness: Witness) -> None:
    line = parse_note(TREE.note(3)).signatures[0]
    forged = replace(line, data=bytes([line.data[0] ^ 1]) + line.data[1:])
    note = replace(parse_note(TREE.note(3)), signatures=(forged,)).to_bytes()
    assert witness.add_checkpoint(AddCheckpoint(0, (), note).to_bytes()).status == HTTPStatus.FORBIDDEN
    assert witness.store.latest("ledger.example/carbon") is None


def test_an_old_size_beyond_the_new_one_is_malformed(witness: Witness) -> None:
    body = AddCheckpoint(4, (), TREE.note(3)).to_bytes()
    assert witness.add_checkpoint(body).status == HTTPStatus.BAD_REQUEST


def test_another_old_size_is_answered_with_the_right_one(witness: Witness) -> None:
    assert size_told(witness.add_checkpoint(TREE.request(2, 3))) == 0
    witness.add_checkpoint(TREE.request(0, 7))
    for old in (0, 3, 8):
        assert size_told(witness.add_checkpoint(TREE.request(old, 9))) == 7


@pytest.mark.parametrize("old", [5, 6, 7])
def test_a_proof_that_does_not_hold_is_refused(witness: Witness, old: int) -> None:
    witness.add_checkpoint(TREE.request(0, old))
    right = AddCheckpoint.parse(TREE.request(old, 9))
    wrong = [
        replace(right, proof=right.proof[:-1]),
        replace(right, proof=(*right.proof, bytes(32))),
        replace(right, proof=(bytes(32), *right.proof[1:])),
        replace(right, proof=()),
    ]
    for request in wrong:
        answer = witness.add_checkpoint(request.to_bytes())
        assert answer.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert witness.add_checkpoint(right.to_bytes()).status == HTTPStatus.OK


def test_a_proof_from_nothing_must_be_empty(witness: Witness) -> None:
    body = AddCheckpoint(0, (bytes(32),), TREE.note(3)).to_bytes()
    assert witness.add_checkpoint(body).status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_fork_is_refused_at_every_size(witness: Witness) -> None:
    witness.add_checkpoint(TREE.request(0, 9))
    assert size_told(witness.add_checkpoint(FORK.request(9, 9))) == 9, "the same size, another root"
    for size in (10, 16, 40):
        answer = witness.add_checkpoint(FORK.request(9, size))
        assert answer.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert witness.add_checkpoint(TREE.request(9, 10)).status == HTTPStatus.OK


def test_a_rollback_is_refused(witness: Witness) -> None:
    witness.add_checkpoint(TREE.request(0, 9))
    for old, new in ((0, 5), (5, 5), (5, 8), (0, 0)):
        assert size_told(witness.add_checkpoint(TREE.request(old, new))) == 9


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        (b"old 3\n", b"old 03\n"),
        (b"old 3\n", b"old +3\n"),
        (b"old 3\n", b"old  3\n"),
        (b"old 3\n", b"Old 3\n"),
        (b"old 3\n", b"old 3\r\n"),
        (b"old 3\n", b"old \n"),
        (b"old 3\n", b"old -1\n"),
        (b"old 3\n", b"old 99999999999999999999\n"),
        (b"old 3\n", b""),
        (b"\n\nledger", b"\nledger"),
        (b"\n\nledger", b"\nAAAA\n\nledger"),
        (b"\n\nledger", b"\n" + b"\n".join([to_base64(bytes(32)).encode()] * 64) + b"\n\nledger"),
        (b"\n7\n", b"\n07\n"),
        (b"\n7\n", b"\n7\nextension\n"),
        ("— ".encode(), b"- "),
    ],
)
def test_what_is_malformed_is_a_bad_request(witness: Witness, part: bytes, instead: bytes) -> None:
    witness.add_checkpoint(TREE.request(0, 3))
    request = TREE.request(3, 7)
    changed = request.replace(part, instead, 1)
    assert changed != request
    expected = {HTTPStatus.BAD_REQUEST}
    if part == b"\n7\n":  # the signature does not cover it any more, which is looked at first
        expected = {HTTPStatus.FORBIDDEN}
    assert witness.add_checkpoint(changed).status in expected


@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_it_fail(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    with pytest.raises(LedgerRefusal):
        AddCheckpoint.parse(b"old 0\n" + data)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_any_changed_byte_is_refused_or_ignored_with_its_signature(at: int, other: int) -> None:
    request = TREE.request(3, 7)
    at %= len(request)
    if request[at] == other:
        return
    try:
        parsed = AddCheckpoint.parse(request[:at] + bytes([other]) + request[at + 1 :])
    except LedgerRefusal:
        return
    assert parsed.to_bytes() != request


# ---- what happens to it ------------------------------------------------------------------------------------


def test_it_remembers_over_a_restart(tmp_path: Path) -> None:
    witness_at(tmp_path / "seen.db").add_checkpoint(TREE.request(0, 9))
    again = witness_at(tmp_path / "seen.db")
    assert size_told(again.add_checkpoint(FORK.request(0, 20))) == 9
    assert again.add_checkpoint(TREE.request(9, 20)).status == HTTPStatus.OK


def test_of_many_requests_from_the_same_old_size_one_wins(tmp_path: Path) -> None:
    """Each through a connection of its own, as from so many processes; half of them are of a fork."""
    witness_at(tmp_path / "seen.db").add_checkpoint(TREE.request(0, 5))
    barrier = threading.Barrier(8)

    def ask(number: int) -> Answer:
        tree = FORK if number % 2 else TREE
        witness, request = witness_at(tmp_path / "seen.db"), tree.request(5, 10 + number)
        barrier.wait()
        return witness.add_checkpoint(request)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    winners = [number for number, answer in enumerate(answers) if answer.status == HTTPStatus.OK]
    assert len(winners) == 1
    for number, answer in enumerate(answers):
        if number not in winners:
            assert size_told(answer) == 10 + winners[0]


def test_killed_between_what_is_durable_and_what_is_said_it_goes_on_from_there(tmp_path: Path) -> None:
    """A real process: its clock, which it reads for the signature alone, kills it."""
    program = textwrap.dedent(
        """
        import os, signal, sys
        from dataclasses import replace
        from pathlib import Path
        from tests.ledger.test_witness import TREE, witness_at

        def killed() -> int:
            os.kill(os.getpid(), signal.SIGKILL)
            return 0

        witness = witness_at(Path(sys.argv[1]), now_s=killed)
        witness.add_checkpoint(TREE.request(int(sys.argv[2]), int(sys.argv[3])))
        """
    )
    path = tmp_path / "seen.db"
    for old, new in ((0, 4), (4, 9)):
        line = [sys.executable, "-c", program, str(path), str(old), str(new)]
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
        done = subprocess.run(line, cwd=CHECKOUT, env=environment, capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
    again = witness_at(path)
    assert size_told(again.add_checkpoint(TREE.request(4, 9))) == 9
    assert again.add_checkpoint(FORK.request(9, 12)).status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert again.add_checkpoint(TREE.request(9, 9)).status == HTTPStatus.OK


def test_what_could_not_be_kept_is_not_signed(witness: Witness, tmp_path: Path) -> None:
    with witness.store.turn("ledger.example/carbon"):  # somebody else has the file, and does not let go
        impatient = replace(witness, store=_Impatient(tmp_path / "seen.db"))
        with pytest.raises(Exception, match="locked"):
            impatient.add_checkpoint(TREE.request(0, 9))
    assert witness.store.latest("ledger.example/carbon") is None


class _Impatient(WitnessStore):
    def _connect(self):  # type: ignore[no-untyped-def]
        connection = super()._connect()
        connection.execute("pragma busy_timeout = 50")
        return connection


# ---- ML-DSA-44, and the second opinions --------------------------------------------------------------------


def test_a_second_line_is_signed_with_ml_dsa_44(tmp_path: Path) -> None:
    witness = witness_at(tmp_path / "seen.db", ml_dsa_key=MlDsaKey.from_seed(bytes(range(32))))
    answer = witness.add_checkpoint(TREE.request(0, 7))
    cosigned = add_signatures(TREE.note(7), answer.body)
    verifiers = [NoteVerifier.parse(vkey) for vkey in witness.vkeys]
    assert [verifier.kind for verifier in verifiers] == [4, 6]
    assert open_checkpoint(cosigned, LOG.verifier, verifiers) == peek_checkpoint(TREE.note(7))

    note = parse_note(cosigned)
    line = note.signatures[2]
    for at in (0, 7, 8, 2000, len(line.data) - 1):
        flipped = line.data[:at] + bytes([line.data[at] ^ 1]) + line.data[at + 1 :]
        with pytest.raises(SignatureRefused):
            verifiers[1].verify(note.text, flipped)
    for text in ("other.example/log\n" + note.text.partition("\n")[2], note.text.replace("\n7\n", "\n8\n")):
        with pytest.raises(SignatureRefused):
            verifiers[1].verify(text, line.data)
    for broken in ("", "\n", "a\nb\nc\n", "a\n1\nAAAA\n"):
        with pytest.raises(SignatureRefused):
            verifiers[1].verify(broken, line.data)


def test_tlog_scales_accepts_both_kinds_of_cosignatures_and_we_accept_its_own(tmp_path: Path) -> None:
    reason = "tlog-scales, the second opinion, is not installed"
    tlog = pytest.importorskip("tlog_scales.tlog", reason=reason)
    signing = pytest.importorskip("tlog_scales.signing", reason=reason)
    witness = witness_at(tmp_path / "seen.db", ml_dsa_key=MlDsaKey.from_seed(bytes(range(32))))
    cosigned = add_signatures(TREE.note(7), witness.add_checkpoint(TREE.request(0, 7)).body)
    theirs = tlog.Checkpoint.from_text(cosigned.decode())
    for vkey in (VKEY, *witness.vkeys):
        theirs.verify(signing.Vkey.from_string(vkey))

    signer = signing.MLDSA44CosignatureSigner("witness.example/theirs", bytes(range(32)))
    signed = signer.sign(theirs)
    ours = MlDsaCosigner("witness.example/theirs", MlDsaKey.from_seed(bytes(range(32))), 0).verifier
    ours.verify(parse_note(cosigned).text, signed.payload)
