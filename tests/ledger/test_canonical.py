"""One byte form for each value."""

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import MAX_INTEGER, JsonValue, decode, encode
from ledger.errors import NotCanonical

keys = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=12)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=30,
)


@given(values)
def test_the_bytes_are_those_of_another_rfc_8785_encoder(value: JsonValue) -> None:
    assert encode(value) == rfc8785.dumps(value)


@given(values)
def test_what_was_encoded_decodes_to_the_same_value(value: JsonValue) -> None:
    assert decode(encode(value)) == value


def test_every_single_character_is_spelled_as_another_encoder_spells_it() -> None:
    for code in (*range(0xD800), *range(0xE000, 0x10000), 0x1F332, 0x10FFFF):
        assert encode(chr(code)) == rfc8785.dumps(chr(code))


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b' {"a":1}',
        b'{"a":1}\n',
        b'{"a":1.0}',
        b"1.5",
        b"1e3",
        b"-0",
        b"01",
        b"+1",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"9007199254740992",
        b"-9007199254740992",
        b"1" * 5000,
        rb'"\u0041"',
        rb'"\/"',
        rb'"\u000A"',
        rb'"\ud800"',
        rb'{"\udfff":1}',
        rb'"\ud83c\udf32"',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b'"\xc0\xaf"',
        b'\xef\xbb\xbf"a"',
        '{"\U0001f332":1}'.encode(),
        '[{"\U0001f332":1}]'.encode(),
        b'"\x01"',
        b"",
        b"{}{}",
        b"[1,]",
        b"{'a':1}",
        b"nul",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda data: repr(data[:24]),
)
def test_another_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        decode(data)


def nested(depth: int) -> JsonValue:
    value: JsonValue = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        {"a": [0.5]},
        {1: "a"},
        {None: "a"},
        {"\U0001f332": 1},
        "\ud800",
        {"\udfff": 1},
        (1, 2),
        b"bytes",
        {"a": {1, 2}},
        nested(100_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_canonical_form_is_refused(value: JsonValue) -> None:
    with pytest.raises(NotCanonical):
        encode(value)


@given(values.filter(lambda value: value != {}), st.data())
def test_no_flipped_bit_spells_the_same_value(value: JsonValue, data: st.DataObject) -> None:
    good = bytearray(encode(value))
    bit = data.draw(st.integers(0, 8 * len(good) - 1))
    good[bit // 8] ^= 1 << bit % 8
    try:
        other = decode(bytes(good))
    except NotCanonical:
        return
    assert type(other) is not type(value) or other != value or repr(other) != repr(value)
