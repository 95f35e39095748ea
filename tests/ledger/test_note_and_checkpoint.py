"""Signed notes and checkpoints: the published worked example to the byte, and one spelling only."""

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint, open_checkpoint, parse, peek_checkpoint, sign_checkpoint
from ledger.errors import (
    LedgerRefusal,
    MalformedCheckpoint,
    MalformedKey,
    MalformedNote,
    SignatureRefused,
    SignerUnknown,
)
from ledger.keys import SigningKey
from ledger.merkle import EMPTY_ROOT, MAX_SIZE
from ledger.note import (
    Cosigner,
    NoteSigner,
    NoteVerifier,
    add_signatures,
    open_note,
    parse_note,
    sign_note,
)

ORIGIN = "ledger.example/carbon"
VKEY = "ledger.example/carbon+b993140a+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
WITNESS_VKEY = "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
TEXT = "ledger.example/carbon\n3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n"
LOG_LINE = (
    "— ledger.example/carbon uZMUCmYQcQIeR3FsEIdumCbnSGCiAkOadTP6Ry3QHub+a2pbYO7aNmmKsFev3s"
    "XeliOeLwWUrHDrjLsdPEfWYiLBWAg=\n"
)
WITNESS_LINE = (
    "— witness.example/w1 IDJKvgAAAABpVbkDf9znS34OX1HNn38jCnh78k+F6N+XnnO6SHrJBt7Ro73JqHX8FiCBM"
    "igoN+OJdXfd+NcGGbuZ8BA0BA1YXPX8DQ==\n"
)
SIGNED = f"{TEXT}\n{LOG_LINE}".encode()
COSIGNED = f"{TEXT}\n{LOG_LINE}{WITNESS_LINE}".encode()

LOG = NoteSigner(ORIGIN, SigningKey.from_seed(bytes(range(0x20))))
WITNESS = Cosigner("witness.example/w1", SigningKey.from_seed(bytes(range(0x20, 0x40))), 1767225603)
VERIFIER = NoteVerifier.parse(VKEY)
WITNESS_VERIFIER = NoteVerifier.parse(WITNESS_VKEY)
CHECKPOINT = Checkpoint(
    ORIGIN, 3, bytes.fromhex("aa64e455c887169b73692371e76dda90ae954f71b4d9d5ab77db59daf9286558")
)


# ---- the worked example ----------------------------------------------------------------------------------


def test_the_worked_example_to_the_byte() -> None:
    assert LOG.vkey == VKEY
    assert WITNESS.vkey == WITNESS_VKEY
    assert CHECKPOINT.text() == TEXT
    assert sign_checkpoint(CHECKPOINT, LOG) == SIGNED
    assert sign_checkpoint(CHECKPOINT, [LOG, WITNESS]) == COSIGNED
    assert add_signatures(SIGNED, WITNESS_LINE.encode()) == COSIGNED


def test_the_worked_example_opens() -> None:
    assert open_note(COSIGNED, [VERIFIER, WITNESS_VERIFIER]) == (TEXT, [ORIGIN, "witness.example/w1"])
    assert open_note(COSIGNED, [WITNESS_VERIFIER]) == (TEXT, ["witness.example/w1"])
    assert open_checkpoint(SIGNED, VERIFIER) == CHECKPOINT
    assert open_checkpoint(COSIGNED, VERIFIER, [WITNESS_VERIFIER]) == CHECKPOINT
    assert peek_checkpoint(SIGNED) == CHECKPOINT
    assert parse_note(COSIGNED).to_bytes() == COSIGNED


def test_another_verifier_accepts_the_worked_example() -> None:
    reason = "tlog-scales, the second opinion, is not installed"
    tlog = pytest.importorskip("tlog_scales.tlog", reason=reason)
    signing = pytest.importorskip("tlog_scales.signing", reason=reason)
    theirs = tlog.Checkpoint.from_text(COSIGNED.decode())
    theirs.verify(signing.Vkey.from_string(VKEY))
    theirs.verify(signing.Vkey.from_string(WITNESS_VKEY))
    assert (theirs.origin, theirs.size, theirs.root_hash) == (ORIGIN, 3, CHECKPOINT.root)


# ---- tampering -------------------------------------------------------------------------------------------


def test_any_flipped_bit_of_a_checkpoint_is_refused() -> None:
    for bit in range(8 * len(COSIGNED)):
        flipped = bytearray(COSIGNED)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LedgerRefusal):
            open_checkpoint(bytes(flipped), VERIFIER, [WITNESS_VERIFIER])


def test_any_removed_doubled_or_inserted_byte_of_a_checkpoint_is_refused() -> None:
    for at in range(len(SIGNED)):
        mutants = [SIGNED[:at] + SIGNED[at + 1 :], SIGNED[:at]]
        mutants += [SIGNED[:at] + extra + SIGNED[at:] for extra in (b"\n", b"\r", b" ", b"=", b"A", b"\0")]
        for mutant in mutants:
            if mutant != SIGNED:
                with pytest.raises(LedgerRefusal):
                    open_checkpoint(mutant, VERIFIER)


def test_every_other_last_character_of_a_signature_is_refused() -> None:
    """Spare bits of base64: others take several characters there for the same bytes."""
    at = SIGNED.rindex(b"=") - 1
    for other in range(256):
        if other != SIGNED[at]:
            with pytest.raises(LedgerRefusal):
                open_checkpoint(SIGNED[:at] + bytes([other]) + SIGNED[at + 1 :], VERIFIER)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_else_is_refused_and_never_a_crash(data: bytes) -> None:
    for mutant in (data, data + b"\n\n" + LOG_LINE.encode(), SIGNED + data + b"\n"):
        with pytest.raises(LedgerRefusal):
            open_checkpoint(mutant, VERIFIER)
    with pytest.raises(LedgerRefusal):
        NoteVerifier.parse(data.decode("latin-1"))


# ---- spellings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "o\n+3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n",
        "o\n03\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n",
        "o\n-3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n",
        "o\n3 \nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n",
        "o\n\u0663\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n",
        "o\n\n3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n",
        "o\n3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVh=\n",
        "o\n3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg\n",
        "o\n3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg==\n",
        "o\n3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=",
        "o\n3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\nextension\n",
        "o\n3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n\n",
        "o\n3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vko\n",
        "\n3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n",
        "o\r\n3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n",
        "o\x0b3\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n",
        f"o\n{MAX_SIZE + 1}\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n",
        f"o\n{'9' * 5000}\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n",
        "o\n0\nqmTkVciHFptzaSNx523akK6VT3G02dWrd9tZ2vkoZVg=\n",
        "",
        "\n\n\n",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_another_spelling_of_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(MalformedCheckpoint):
        parse(text)


@given(st.integers(1, MAX_SIZE), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_reads_back(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(ORIGIN, size, root)
    assert parse(checkpoint.text()) == checkpoint


def test_the_empty_log_has_a_checkpoint_too() -> None:
    checkpoint = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert open_checkpoint(sign_checkpoint(checkpoint, LOG), VERIFIER) == checkpoint


@pytest.mark.parametrize(
    "note",
    [
        SIGNED[:-1],
        SIGNED + b"\n",
        SIGNED.replace(b"\n\n", b"\n"),
        SIGNED.replace(b"\n\n", b"\n \n"),
        SIGNED.replace(b"\n", b"\r\n"),
        SIGNED.replace(b"\xe2\x80\x94 ", b"- "),
        SIGNED.replace(b"\xe2\x80\x94 ", b"\xe2\x80\x94  "),
        SIGNED.replace(b"\xe2\x80\x94 ", b"\xe2\x80\x94\xc2\xa0"),
        SIGNED.replace(b"carbon uZ", b"carbon  uZ"),
        SIGNED.replace(b"carbon uZ", b"carbon+ uZ"),
        SIGNED[:-1] + b" \n",
        SIGNED + LOG_LINE.encode(),
        SIGNED + "— x AAAA\n".encode(),
        SIGNED + "— x\n".encode(),
        SIGNED + "—  AAAAAAAA\n".encode(),
        SIGNED + "".join(f"— w{i} AAAAAAAA\n" for i in range(100)).encode(),
        TEXT.encode() + b"\n",
        b"\x07" + SIGNED,
        b"\x7f" * 1_000_001,
        SIGNED.replace(b"example", b"ex\xffmple"),
        b"",
    ],
    ids=range(21),
)
def test_another_spelling_of_a_note_is_refused(note: bytes) -> None:
    with pytest.raises(MalformedNote):
        open_note(note, [VERIFIER])


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        VKEY.upper(),
        VKEY + "=",
        VKEY + "\n",
        " " + VKEY,
        VKEY.replace("b993140a", "b993140b"),
        VKEY.replace("b993140a", "B993140A"),
        VKEY.replace("carbon+", "carbon +"),
        VKEY.replace("ledger", "ladger"),
        "+".join(["", *VKEY.split("+")[1:]]),
        f"{ORIGIN}+b993140a+{b64encode(bytes([2]) + LOG.key.public_bytes).decode()}",
        f"{ORIGIN}+b993140a+{b64encode(bytes([1]) + LOG.key.public_bytes[:31]).decode()}",
        f"{ORIGIN}+b993140a+{b64encode(bytes([1]) + bytes(32)).decode()}",
    ],
)
def test_another_spelling_of_a_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(MalformedKey):
        NoteVerifier.parse(vkey)


# ---- who signed ------------------------------------------------------------------------------------------


def test_signatures_by_unknown_keys_are_kept_and_ignored() -> None:
    stranger = NoteSigner("stranger.example", SigningKey.from_seed(bytes(32)))
    namesake = NoteSigner(ORIGIN, stranger.key)
    note = sign_checkpoint(CHECKPOINT, [stranger, namesake, LOG, WITNESS])
    assert open_note(note, [VERIFIER]) == (TEXT, [ORIGIN])
    assert len(parse_note(note).signatures) == 4
    with pytest.raises(SignerUnknown):
        open_note(sign_checkpoint(CHECKPOINT, [stranger, namesake]), [VERIFIER])
    with pytest.raises(SignerUnknown):
        open_note(note, [])


def test_one_bad_signature_by_a_known_key_spoils_the_note() -> None:
    line = parse_note(COSIGNED).signatures[1]
    bad = b64encode(line.key_id + line.data[:-1] + bytes([line.data[-1] ^ 1])).decode()
    note = f"{TEXT}\n{LOG_LINE}— witness.example/w1 {bad}\n".encode()
    assert open_note(note, [VERIFIER])[1] == [ORIGIN]
    with pytest.raises(SignatureRefused):
        open_note(note, [VERIFIER, WITNESS_VERIFIER])


def test_a_witness_does_not_speak_for_the_log() -> None:
    with pytest.raises(SignerUnknown):
        open_checkpoint(sign_checkpoint(CHECKPOINT, WITNESS), VERIFIER, [WITNESS_VERIFIER])
    with pytest.raises(SignerUnknown):
        open_checkpoint(SIGNED, VERIFIER, [WITNESS_VERIFIER])


def test_a_witness_of_the_log_s_name_does_not_speak_for_the_log() -> None:
    namesake = Cosigner(ORIGIN, WITNESS.key, 1)
    with pytest.raises(SignerUnknown):
        open_checkpoint(sign_checkpoint(CHECKPOINT, namesake), VERIFIER, [namesake.verifier])


def test_the_origin_is_the_name_of_the_key() -> None:
    with pytest.raises(MalformedCheckpoint):
        open_checkpoint(sign_checkpoint(Checkpoint("other.example/log", 3, CHECKPOINT.root), LOG), VERIFIER)


def test_the_time_of_a_cosignature_is_signed() -> None:
    data = bytearray(b64decode(WITNESS_LINE.split()[2]))
    data[11] ^= 1
    with pytest.raises(SignatureRefused):
        open_note(f"{TEXT}\n— witness.example/w1 {b64encode(data).decode()}\n".encode(), [WITNESS_VERIFIER])
    for short in (4, 8, 12, 40, 75):
        note = f"{TEXT}\n— witness.example/w1 {b64encode(data[: short + 1]).decode()}\n".encode()
        with pytest.raises(LedgerRefusal):
            open_note(note, [WITNESS_VERIFIER])


def test_a_text_may_hold_empty_lines_and_signature_lines_of_its_own() -> None:
    text = f"first\n\n{LOG_LINE}\nlast\n"
    assert open_note(sign_note(text, [LOG]), [VERIFIER])[0] == text


@pytest.mark.parametrize("text", ["no line end", "control \x01\n", "tab\t\n", "lone \ud800\n"])
def test_what_cannot_be_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(MalformedNote):
        sign_note(text, [LOG])


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u3000b", "a\x01b", "a\ud800"])
def test_a_name_has_no_space_and_no_plus(name: str) -> None:
    with pytest.raises(MalformedKey):
        NoteSigner(name, LOG.key)
    with pytest.raises(MalformedKey):
        Cosigner(name, LOG.key, 0)


def test_added_lines_do_not_change_the_text() -> None:
    for lines in (b"\n" + WITNESS_LINE.encode(), b"x", LOG_LINE.encode()):
        with pytest.raises(MalformedNote):
            add_signatures(SIGNED, lines)


@pytest.mark.parametrize("time_s", [-1, 2**63])
def test_a_cosignature_time_is_posix_seconds(time_s: int) -> None:
    with pytest.raises(MalformedNote):
        Cosigner("w", LOG.key, time_s)
