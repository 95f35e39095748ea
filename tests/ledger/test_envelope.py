"""What actors sign and what the log holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import JsonValue, encode
from ledger.envelope import (
    MAX_LEAF_BYTES,
    MAX_PAYLOAD_BYTES,
    PAYLOAD_TYPE,
    Envelope,
    Signature,
    decode_leaf,
    encode_leaf,
    pae,
)
from ledger.errors import LedgerRefusal, MalformedEnvelope, NotCanonical, SignatureRefused, SignerUnknown
from ledger.keys import SigningKey

ACTOR = SigningKey.from_seed(bytes(range(0x40, 0x60)))
OTHER = SigningKey.from_seed(bytes(range(0x60, 0x80)))
KEYS = {key.keyid: key.public_bytes for key in (ACTOR, OTHER)}
EXAMPLE_TYPE = "application/vnd.example.ledger+json"
EXAMPLE = b'{"amount":125000,"id":"0197f3a2-7c00-7000-8000-000000000001","type":"demo"}'
SIGNED = Envelope(EXAMPLE).sign(ACTOR, OTHER)
LEAF = encode_leaf(1_767_225_603_000, SIGNED)


def test_the_worked_example_to_the_byte() -> None:
    envelope = Envelope(EXAMPLE, EXAMPLE_TYPE).sign(ACTOR)
    assert envelope.to_json()["signatures"] == [
        {
            "keyid": ACTOR.keyid,
            "sig": "AkpErcuNWWewRD8Fc0BtQUJLdszcJm+/vaLHZkAGHzlo761HI8iOmRMTOm0P0bUPI8CPfjopGIVTApUd+mYnAw==",
        }
    ]
    envelope.verify(KEYS)


def test_the_signed_bytes_are_those_of_the_dsse_protocol() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_another_verifier_accepts_what_actors_signed() -> None:
    reason = "securesystemslib, the second opinion, is not installed"
    dsse = pytest.importorskip("securesystemslib.dsse", reason=reason)
    signer = pytest.importorskip("securesystemslib.signer", reason=reason)
    theirs: list[Any] = [
        signer.SSlibKey(keyid, "ed25519", "ed25519", {"public": public.hex()})
        for keyid, public in KEYS.items()
    ]
    accepted = dsse.Envelope.from_dict(SIGNED.to_json()).verify(theirs, 2)
    assert set(accepted) == set(KEYS)


def test_a_leaf_is_the_canonical_form_of_its_parts() -> None:
    assert encode({"at": 1_767_225_603_000, **SIGNED.to_json()}) == LEAF
    assert LEAF.startswith(b'{"at":1767225603000,"payload":"')
    assert decode_leaf(LEAF) == (1_767_225_603_000, SIGNED)
    assert Envelope.from_json(SIGNED.to_json()) == SIGNED


def test_signatures_stand_in_the_order_of_their_keys_whoever_signed_first() -> None:
    assert Envelope(EXAMPLE).sign(OTHER).sign(ACTOR) == SIGNED
    assert [s.keyid for s in SIGNED.signatures] == sorted(KEYS)


def test_any_flipped_bit_of_a_leaf_is_refused() -> None:
    """But in the time, which the sequencer sets and the tree covers."""
    at = LEAF.index(b",")
    for bit in range(8 * len(LEAF)):
        flipped = bytearray(LEAF)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            at_ms, envelope = decode_leaf(bytes(flipped))
            envelope.verify(KEYS)
        except LedgerRefusal:
            continue
        assert bit // 8 < at
        assert at_ms != 1_767_225_603_000
        assert encode_leaf(at_ms, envelope) == bytes(flipped)


@given(st.binary(max_size=300), st.integers(0, 2**53 - 1))
def test_what_is_encoded_decodes_to_the_same(payload: bytes, at_ms: int) -> None:
    envelope = Envelope(payload).sign(ACTOR)
    assert decode_leaf(encode_leaf(at_ms, envelope)) == (at_ms, envelope)


def changed(**fields: JsonValue) -> bytes:
    value: dict[str, JsonValue] = {"at": 1, **SIGNED.to_json(), **fields}
    return encode({name: item for name, item in value.items() if item is not None})


SIG = SIGNED.to_json()["signatures"]
assert isinstance(SIG, list)
ONE, TWO = SIG
assert isinstance(ONE, dict)


@pytest.mark.parametrize(
    "leaf",
    [
        changed(at=None),
        changed(at=-1),
        changed(at=True),
        changed(at="1"),
        changed(payload=None),
        changed(payload=1),
        changed(payload="e30"),
        changed(payload="e31="),
        changed(payload="e30=\n"),
        changed(payload="e30=="),
        changed(payload="e3-_"),
        changed(payloadType=None),
        changed(payloadType=""),
        changed(payloadType="n\u00e4me"),
        changed(payloadType="a\nb"),
        changed(payloadType="a" * 201),
        changed(signatures=[]),
        changed(signatures={}),
        changed(signatures=[TWO, ONE]),
        changed(signatures=[ONE, ONE]),
        changed(signatures=[{**ONE, "keyid": ACTOR.keyid.upper()}]),
        changed(signatures=[{**ONE, "keyid": "ab"}]),
        changed(signatures=[{**ONE, "sig": ""}]),
        changed(signatures=[{**ONE, "more": 1}]),
        changed(signatures=[{"keyid": ACTOR.keyid}]),
        changed(signatures=["x"]),
        changed(more=1),
        b"[]",
        b"1",
    ],
    ids=range(29),
)
def test_a_leaf_of_another_form_is_refused(leaf: bytes) -> None:
    with pytest.raises(MalformedEnvelope):
        decode_leaf(leaf)


@pytest.mark.parametrize(
    "leaf", [b"", LEAF + b"\n", LEAF.replace(b'"at"', b' "at"'), LEAF[:-1], b'{"at":1,' + LEAF[1:]]
)
def test_another_spelling_of_a_leaf_is_refused(leaf: bytes) -> None:
    with pytest.raises(NotCanonical):
        decode_leaf(leaf)


def test_a_signature_verifies_for_its_payload_type_and_key_only() -> None:
    signed = Envelope(EXAMPLE).sign(ACTOR)
    for other in (
        Envelope(EXAMPLE + b" ", PAYLOAD_TYPE, signed.signatures),
        Envelope(EXAMPLE, "x", signed.signatures),
    ):
        with pytest.raises(SignatureRefused):
            other.verify(KEYS)
    with pytest.raises(SignatureRefused):
        signed.verify({ACTOR.keyid: OTHER.public_bytes})
    posing = Envelope(EXAMPLE, PAYLOAD_TYPE, (Signature(OTHER.keyid, signed.signatures[0].sig),))
    with pytest.raises(SignatureRefused):
        posing.verify(KEYS)
    with pytest.raises(SignatureRefused):
        posing.verify({OTHER.keyid: ACTOR.public_bytes})


def test_every_signature_counts_and_one_is_needed() -> None:
    with pytest.raises(SignerUnknown):
        SIGNED.verify({ACTOR.keyid: ACTOR.public_bytes})
    with pytest.raises(SignerUnknown):
        Envelope(EXAMPLE).verify(KEYS)
    with pytest.raises(MalformedEnvelope):
        encode_leaf(1, Envelope(EXAMPLE))
    with pytest.raises(MalformedEnvelope):
        SIGNED.sign(ACTOR)


@pytest.mark.parametrize("at_ms", [-1, 2**53, True, 1.0])
def test_the_time_is_whole_milliseconds(at_ms: int) -> None:
    with pytest.raises(MalformedEnvelope):
        encode_leaf(at_ms, SIGNED)


def test_payloads_and_leaves_have_their_largest_size() -> None:
    encode_leaf(1, Envelope(b"x" * MAX_PAYLOAD_BYTES).sign(ACTOR))
    with pytest.raises(MalformedEnvelope):
        Envelope(b"x" * (MAX_PAYLOAD_BYTES + 1))
    many = [SigningKey.from_seed(i.to_bytes(32, "big")) for i in range(150)]
    with pytest.raises(MalformedEnvelope):
        encode_leaf(1, Envelope(b"x" * MAX_PAYLOAD_BYTES).sign(*many))
    with pytest.raises(MalformedEnvelope):
        decode_leaf(b"1" * (MAX_LEAF_BYTES + 1))
