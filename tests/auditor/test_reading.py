"""The auditor reads an entry's bytes by templates of its own: it takes what `ledger` takes, nothing else."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from auditor.effects import Contradiction
from auditor.entries import Entry, read_entry
from ledger.effects import (
    Child,
    Expire,
    Limit,
    MergeBlocks,
    Move,
    OpenAccount,
    OpenBlock,
    Pend,
    Post,
    Posting,
    SplitBlock,
    Transfer,
    Transition,
    Void,
)
from ledger.entry import Payload, parse_payload
from ledger.envelope import PAYLOAD_TYPE, Envelope, decode_leaf, encode_leaf
from ledger.errors import LedgerRefusal
from ledger.keys import SigningKey
from ledger.units import UnitRange

KEYS = [SigningKey.from_seed(bytes([n]) * 32) for n in range(3)]
names = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12)
whole = st.integers(-(2**53) + 1, 2**53 - 1)
ranges = st.tuples(st.integers(1, 2**40), st.integers(0, 99)).map(
    lambda two: UnitRange(two[0], two[0] + two[1])
)
postings = st.lists(st.builds(Posting, names, names, whole), max_size=4).map(tuple)
moves = st.lists(st.builds(Move, names, names), max_size=2).map(tuple)
some = st.lists(names, max_size=3).map(tuple)
effects = st.one_of(
    st.builds(OpenAccount, names, names, st.sampled_from(Limit), st.booleans(), names),
    st.builds(OpenBlock, names, names, names, ranges, names, names, names),
    st.builds(SplitBlock, names, st.lists(st.builds(Child, names, ranges), max_size=3).map(tuple)),
    st.builds(MergeBlocks, names, some),
    st.builds(Transfer, names, postings, moves),
    st.builds(
        Pend, names, postings, some, st.sampled_from(["order", "option", "pledge", "retire", "freeze"]),
        names, st.none() | whole,
    ),
    st.builds(Post, names, postings, moves),
    st.builds(Void, names),
    st.builds(Expire, names),
    st.builds(Transition, names, names, names, names, names),
)  # fmt: skip
ids = st.uuids(version=4).map(str)
facts: Any = st.dictionaries(
    names,
    st.recursive(
        names | whole | st.none() | st.booleans() | st.just(""),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
payloads = st.builds(
    Payload,
    type=st.sampled_from(["act", "key.add", "state", "correct"]), id=ids, by=names, role=names, mandate=names,
    machine=names, subject=names, action=names, before=names, after=names, reason_code=names | st.just(""),
    facts=facts, commitments=st.dictionaries(names, digests, max_size=2),
    effects=st.lists(effects, max_size=3).map(tuple),
)  # fmt: skip


def leaf_of(payload: bytes, *keys: SigningKey, at_ms: int = 1_700_000_000_000) -> bytes:
    return encode_leaf(at_ms, Envelope(payload).sign(*(keys or KEYS[:1])))


def read(leaf: bytes) -> Entry | None:
    """As the auditor reads it; None for what it refuses."""
    try:
        return read_entry(0, leaf)
    except (Contradiction, LedgerRefusal):
        return None


def by_ledger(leaf: bytes) -> tuple[int, Envelope, Payload] | None:
    try:
        at_ms, envelope = decode_leaf(leaf)
        if envelope.payload_type != PAYLOAD_TYPE:
            return None
        return at_ms, envelope, parse_payload(envelope.payload)
    except LedgerRefusal:
        return None


def agree(leaf: bytes) -> bool:
    """Whether both take the leaf; that they differ is a failure."""
    told, known = read(leaf), by_ledger(leaf)
    assert (told is None) == (known is None), leaf
    if told is None or known is None:
        return False
    at_ms, envelope, payload = known
    assert told.at_ms == at_ms
    assert told.payload == envelope.payload
    assert [(s.keyid, s.sig) for s in envelope.signatures] == list(
        zip(told.keyids, told.signatures, strict=True)
    )
    for name in ("type", "id", "by", "role", "mandate", "machine", "subject", "action", "before", "after"):
        assert getattr(told, name) == getattr(payload, name)
    assert (told.reason_code, told.facts) == (payload.reason_code, payload.facts)
    assert told.commitments == payload.commitments
    assert len(told.effects) == len(payload.effects)
    return True


@settings(max_examples=300, deadline=None)
@given(payloads, st.integers(1, 3))
def test_an_entry_is_read_as_it_was_written(payload: Payload, signers: int) -> None:
    assert agree(leaf_of(payload.to_bytes(), *KEYS[:signers]))


@settings(max_examples=300, deadline=None)
@given(payloads, st.data())
def test_a_payload_with_one_byte_changed_is_taken_by_both_or_by_none(payload: Payload, data: Any) -> None:
    content = bytearray(payload.to_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255) | st.sampled_from(list(b'"\\{}[],:0 .e-')))
    agree(leaf_of(bytes(content)))


@settings(max_examples=200, deadline=None)
@given(payloads, st.data())
def test_a_leaf_with_one_byte_changed_is_taken_by_both_or_by_none(payload: Payload, data: Any) -> None:
    leaf = bytearray(leaf_of(payload.to_bytes(), *KEYS[:2]))
    place = data.draw(st.integers(0, len(leaf) - 1))
    leaf[place] = data.draw(st.integers(0, 255) | st.sampled_from(list(b'"=/+Aa09f')))
    agree(bytes(leaf))


@settings(max_examples=200, deadline=None)
@given(payloads, st.data())
def test_a_payload_with_one_value_exchanged_is_taken_by_both_or_by_none(payload: Payload, data: Any) -> None:
    value = json.loads(payload.to_bytes())
    holder = value
    while True:
        keys = sorted(holder) if isinstance(holder, dict) else range(len(holder))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if isinstance(holder[key], dict | list) and holder[key] and data.draw(st.booleans()):
            holder = holder[key]
            continue
        holder[key] = data.draw(ODD)
        break
    agree(leaf_of(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()))


ODD: Any = st.sampled_from(
    [None, True, False, 0, 1, -1, 1.5, 1.0, 2**53, 2**53 - 1, -(2**53), "", "x", "x" * 200, "x" * 201, '"',
     "\\", "a\tb", "ä", "\x7f", [], {}, [[]], [{}], {"a": 1}, ["x"], "order", "act", "genesis"]
)  # fmt: skip


PLAIN = Payload(
    type="act", id="0197f3a2-7c00-7000-8000-000000000001", by="p", role="bank", mandate="m",
    machine="deposit", subject="s", action="record", before="none", after="recorded", facts={"amount_fen": 5},
    effects=(Transfer("t", (Posting("bank", "CNY-fen", -5), Posting("cash", "CNY-fen", 5))),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        (b'"amount":5', b'"amount":5.0'),
        (b'"amount":5', b'"amount":05'),
        (b'"amount":5', b'"amount":[5]'),
        (b'"amount":-5', b'"amount":-0'),
        (b'"amount":5', b'"amount":true'),
        (b'"amount_fen":5', b'"amount_fen":5,"amount_fen":5'),
        (b'"amount_fen":5', b'"amount_fen":9007199254740992'),
        (b'"amount_fen":5', b'"amount_fen":5e0'),
        (b'"amount_fen":5', b'"amount_fen":NaN'),
        (b'"v":1', b'"v":true'),
        (b'"v":1', b'"v":1,"w":2'),
        (b'"v":1', b'"v": 1'),
        (b'"by":"p"', b'"by":"\\u0070"'),
        (b'"by":"p"', b'"by":["p"]'),
        (b'"by":"p"', b'"by":""'),
        (b'"type":"act"', b'"type":["act"]'),
        (b'"type":"transfer"', b'"more":1,"type":"transfer"'),
        (b'"facts":{"amount_fen":5}', b'"facts":[]'),
        (b'"commitments":{}', b'"commitments":{"a":"b"}'),
    ],
)
def test_another_spelling_or_another_shape_is_refused_by_both(written: bytes, instead: bytes) -> None:
    content = PLAIN.to_bytes()
    assert agree(leaf_of(content))
    assert written in content
    assert not agree(leaf_of(content.replace(written, instead, 1)))


@given(st.integers(0, 2**54))
@example(0)
@example(2**53 - 1)
@example(2**53)
def test_the_time_of_an_entry_has_one_spelling_and_a_limit(at_ms: int) -> None:
    leaf = leaf_of(PLAIN.to_bytes(), at_ms=0)
    agree(leaf.replace(b'{"at":0', b'{"at":%d' % at_ms, 1))
    assert not agree(leaf.replace(b'{"at":0', b'{"at":0%d' % at_ms, 1))


def test_spare_bits_of_base64_are_no_second_spelling() -> None:
    content = PLAIN.to_bytes() + b" "
    while len(content) % 3 != 1:
        content += b" "
    spelled = b64encode(content)
    assert spelled.endswith(b"==")
    leaf = leaf_of(PLAIN.to_bytes()).replace(b64encode(PLAIN.to_bytes()), spelled)
    other = leaf.replace(spelled, spelled[:-3] + bytes([spelled[-3] + 1]) + b"==")
    assert not agree(leaf)
    assert not agree(other)
