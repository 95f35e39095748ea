"""An entry follows from the log before it, or it is refused and named."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import encode
from ledger.effects import Limit, MalformedEffect, OpenAccount, Transition
from ledger.entry import MalformedPayload, Payload, parse_payload
from ledger.envelope import Envelope, encode_leaf
from ledger.errors import LedgerRefusal, MalformedKey, SignatureRefused
from ledger.keys import SigningKey
from ledger.replay import DuplicateEntry, Entry, LedgerState, ReplayRefusal, StateMoved, UnknownKey

ROOT, CLERK, STRANGER = (SigningKey.from_seed(bytes([n]) * 32) for n in (1, 2, 3))


def uuid(n: int) -> str:
    return f"00000000-0000-7000-8000-{n:012}"


def key_of(key: SigningKey, person: str, custody: str = "client") -> dict[str, Any]:
    return {"public": key.public_bytes.hex(), "person": person, "custody": custody, "suite": "ed25519"}


def payload(n: int, **changed: Any) -> Payload:
    act = Payload(
        type="act", id=uuid(n), by="clerk", role="bank", mandate="m", machine="deposit", subject=f"d{n}",
        action="record", before="none", after="recorded",
    )  # fmt: skip
    return replace(act, **changed)


GENESIS = payload(
    0, type="genesis", by="root", role="root", mandate="root", machine="log", subject="test.log",
    action="open", after="open", facts={"keys": [key_of(ROOT, "root", "server")]},
)  # fmt: skip


def adds(n: int, key: SigningKey, person: str = "clerk", **changed: Any) -> Payload:
    facts = {"keys": [key_of(key, person) | changed]}
    return payload(
        n, type="key.add", by="root", role="root", mandate="root", machine="key", subject=key.keyid,
        action="add", after="active", facts=facts,
    )  # fmt: skip


def leaf(said: Payload, *keys: SigningKey, at_ms: int = 1000) -> bytes:
    return encode_leaf(at_ms, Envelope(said.to_bytes()).sign(*keys))


def begun() -> LedgerState:
    """A log of two entries: genesis, and the clerk's key."""
    state = LedgerState()
    state.apply(leaf(GENESIS, ROOT))
    state.apply(leaf(adds(1, CLERK), ROOT))
    return state


@contextmanager
def refused(kind: type[LedgerRefusal], words: str = "") -> Iterator[None]:
    with pytest.raises(kind) as refusal:
        yield
    assert words in str(refusal.value)


# ---- the story ---------------------------------------------------------------------------------------------


def test_a_log_begins_with_its_keys_and_goes_on_with_acts() -> None:
    state = begun()
    entry = state.apply(leaf(payload(2), CLERK, at_ms=1001))
    assert isinstance(entry, Entry)
    assert (entry.index, entry.at_ms, entry.payload) == (2, 1001, payload(2))
    assert state.subject_state("deposit", "d2") == "recorded"
    assert (state.size, state.last_at_ms) == (3, 1001)
    assert state.actor_key(CLERK.keyid).person == "clerk"


def test_an_id_is_used_once() -> None:
    state = begun()
    state.apply(leaf(payload(2), CLERK))
    with refused(DuplicateEntry, uuid(2)):
        state.apply(leaf(payload(2, subject="d3"), CLERK))
    with refused(DuplicateEntry):
        begun().apply(leaf(payload(1), CLERK))


def test_time_stands_or_goes_forward() -> None:
    state = begun()
    state.apply(leaf(payload(2), CLERK, at_ms=1000))
    with refused(ReplayRefusal, "time falls"):
        state.apply(leaf(payload(3), CLERK, at_ms=999))


def test_genesis_is_the_first_entry_and_no_other() -> None:
    with refused(ReplayRefusal, "genesis"):
        begun().apply(leaf(replace(GENESIS, id=uuid(9), subject="other.log"), ROOT))
    with refused(ReplayRefusal, "genesis"):
        LedgerState().apply(leaf(payload(0), CLERK))


def test_a_subject_is_left_where_it_stands() -> None:
    state = begun()
    state.apply(leaf(payload(2), CLERK))
    with refused(StateMoved, "recorded"):
        state.apply(leaf(payload(3, subject="d2"), CLERK))
    state = begun()
    state.apply(leaf(payload(2), CLERK))
    state.apply(leaf(payload(4, subject="d2", before="recorded", after="void"), CLERK))


def test_steps_that_an_entry_causes_are_held_to_the_same() -> None:
    moved = Transition("period", "p1", "issue", "verified", "issued")
    state = begun()
    state.apply(leaf(payload(2, effects=(moved,)), CLERK))
    assert state.subject_state("period", "p1") == "issued"
    with refused(StateMoved):
        state.apply(leaf(payload(3, effects=(moved,)), CLERK))
    with refused(StateMoved):
        begun().apply(leaf(payload(2, effects=(moved, moved)), CLERK))


# ---- keys and signatures -----------------------------------------------------------------------------------


def test_a_signer_is_registered_before() -> None:
    with refused(UnknownKey, STRANGER.keyid):
        begun().apply(leaf(payload(2), STRANGER))
    with refused(UnknownKey):
        begun().apply(leaf(payload(2), CLERK, STRANGER))


def test_a_new_key_does_not_vouch_for_itself() -> None:
    """Whoever holds the log's key alone could otherwise make themselves root."""
    with refused(UnknownKey):
        begun().apply(leaf(adds(2, STRANGER, "root"), STRANGER))


def test_a_key_is_registered_once_and_to_one_person() -> None:
    with refused(ReplayRefusal, "registered already"):
        begun().apply(leaf(adds(2, CLERK, "somebody else"), ROOT))
    with refused(ReplayRefusal, "registered already"):
        begun().apply(leaf(adds(2, ROOT), ROOT))


def test_one_key_is_added_at_a_time_and_under_its_own_id() -> None:
    good = adds(2, STRANGER)
    key, another = (key_of(one, "clerk") for one in (STRANGER, SigningKey.from_seed(b"4" * 32)))
    for keys in ([key, key], [key, another], [another, key], [another]):
        facts: Any = {"keys": keys}
        with refused(ReplayRefusal, "one key is added"):
            begun().apply(leaf(replace(good, facts=facts), ROOT))
    with refused(ReplayRefusal, "one key is added"):
        begun().apply(leaf(replace(good, subject=CLERK.keyid, before="active"), ROOT))
    assert begun().apply(leaf(good, ROOT)).index == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"suite": "sm2"},
        {"custody": "nobody"},
        {"public": CLERK.public_bytes.hex().upper()},
        {"public": "not hexadecimal"},
        {"public": "00"},
        {"public": " " + STRANGER.public_bytes.hex()},
        {"public": 5},
        {"person": ""},
        {"person": None},
        {"more": 1},
    ],
)
def test_a_key_is_registered_in_its_one_form(changed: dict[str, Any]) -> None:
    with refused(MalformedPayload):
        begun().apply(leaf(adds(2, STRANGER, **changed), ROOT))


def test_a_key_of_small_order_is_refused() -> None:
    with refused(MalformedKey):
        begun().apply(leaf(adds(2, STRANGER, public="01" + "00" * 31), ROOT))


@pytest.mark.parametrize("facts", [{}, {"keys": []}, {"keys": "x"}, {"keys": ["x"]}, {"keys": [{}]}])
def test_an_entry_that_adds_keys_names_them(facts: dict[str, Any]) -> None:
    with refused(MalformedPayload):
        begun().apply(leaf(replace(adds(2, STRANGER), facts=facts), ROOT))


@given(st.integers(0, 63), st.integers(0, 7))
def test_a_flipped_bit_in_a_signature_is_refused(byte: int, bit: int) -> None:
    envelope = Envelope(payload(2).to_bytes()).sign(CLERK)
    (signature,) = envelope.signatures
    sig = bytearray(signature.sig)
    sig[byte] ^= 1 << bit
    broken = replace(envelope, signatures=(replace(signature, sig=bytes(sig)),))
    with refused(SignatureRefused):
        begun().apply(encode_leaf(1000, broken))


def test_a_signature_is_over_this_payload() -> None:
    envelope = Envelope(payload(2).to_bytes()).sign(CLERK)
    other = replace(envelope, payload=payload(3).to_bytes())
    with refused(SignatureRefused):
        begun().apply(encode_leaf(1000, other))


def test_a_signature_over_another_type_of_payload_is_no_entry() -> None:
    envelope = Envelope(payload(2).to_bytes(), "application/json").sign(CLERK)
    with refused(MalformedPayload, "payload type"):
        begun().apply(encode_leaf(1000, envelope))


# ---- the one shape -----------------------------------------------------------------------------------------


def spelled(**changed: Any) -> bytes:
    value: Any = {
        "v": 1, "type": "act", "id": uuid(2), "by": "clerk", "role": "bank", "mandate": "m",
        "machine": "deposit", "subject": "d2", "action": "record", "before": "none", "after": "recorded",
        "reason_code": "", "facts": {}, "commitments": {}, "effects": [],
    }  # fmt: skip
    value |= changed
    return encode({k: v for k, v in value.items() if v != "absent"})


def test_the_spelling_of_the_test_is_right() -> None:
    assert parse_payload(spelled()) == payload(2)
    assert payload(2).to_bytes() == spelled()


@pytest.mark.parametrize(
    "changed",
    [
        {"v": 2},
        {"v": "1"},
        {"type": "mint"},
        {"id": uuid(2).upper().replace("0", "A")},
        {"id": "2"},
        {"by": ""},
        {"subject": ""},
        {"before": ""},
        {"after": ""},
        {"mandate": None},
        {"subject": "x" * 201},
        {"subject": "村"},
        {"subject": "d\x002"},
        {"subject": "d\n2"},
        {"role": 5},
        {"reason_code": None},
        {"reason_code": 0},
        {"reason_code": "因为"},
        {"facts": []},
        {"facts": {"name": "王小明"}},
        {"facts": {"list": [[{"deep": "村"}]]}},
        {"facts": {"村": 1}},
        {"facts": {"code": "a\x00"}},
        {"effects": {}},
        {"commitments": []},
        {"commitments": {"profile": "ab"}},
        {"commitments": {"profile": "A" * 64}},
        {"commitments": {"王小明": "a" * 64}},
        {"commitments": {"": "a" * 64}},
        {"extra": 1},
        {"facts": "absent"},
    ],
)
def test_a_payload_has_one_shape(changed: dict[str, Any]) -> None:
    with refused(MalformedPayload):
        parse_payload(spelled(**changed))


@pytest.mark.parametrize("effect", [None, "void", {}, {"type": "mint"}, {"type": "void", "pending": ""}])
def test_malformed_effects_are_refused(effect: Any) -> None:
    with refused(MalformedEffect):
        begun().apply(leaf_of(spelled(effects=[effect])))


def leaf_of(content: bytes) -> bytes:
    return encode_leaf(1000, Envelope(content).sign(CLERK))


def test_books_that_refuse_refuse_the_entry() -> None:
    opened = OpenAccount("cash:a", "money", Limit.FLOOR, False, "a")
    state = begun()
    state.apply(leaf(payload(2, effects=(opened,)), CLERK))
    with refused(LedgerRefusal, "open already"):
        state.apply(leaf(payload(3, effects=(opened,)), CLERK))


@given(st.binary(max_size=60) | st.builds(lambda at: spelled()[:at], st.integers(0, 200)))
def test_bytes_that_are_no_entry_are_refused_and_never_crash(data: bytes) -> None:
    for read in (parse_payload, begun().apply):
        with pytest.raises(LedgerRefusal):
            read(data)


@given(st.integers(0, 600), st.integers(0, 7))
def test_no_flipped_bit_in_a_leaf_passes_but_in_its_time(byte: int, bit: int) -> None:
    """`at` is the sequencer's and not signed by the actor; it is bound by the tree."""
    good = leaf(payload(2), CLERK)
    broken = bytearray(good)
    broken[byte % len(good)] ^= 1 << bit
    try:
        entry = begun().apply(bytes(broken))
    except LedgerRefusal:
        return
    assert entry.payload == payload(2)
    assert entry.at_ms != 1000
