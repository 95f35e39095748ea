"""Whatever arrives, mutated or made up, is refused with a reason of ours, or is what it says to the byte."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.canonical import MAX_INTEGER, JsonValue, decode, encode
from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.entry import Payload, parse_payload
from ledger.envelope import Envelope, decode_leaf, encode_leaf
from ledger.errors import LedgerRefusal, NotCanonical
from ledger.keys import SigningKey
from ledger.merkle import leaf_hash
from ledger.note import NoteSigner, NoteVerifier, parse_note
from ledger.proof import TlogProof
from ledger.tiles import decode_entry_bundle, encode_entry_bundle, parse_path, tile_path

KEY = SigningKey.from_seed(bytes(range(32)))
SIGNER = NoteSigner("ledger.example/carbon", KEY)
NOTE = sign_checkpoint(Checkpoint(SIGNER.name, 3, b"\7" * 32), SIGNER)
PROOF = TlogProof(2, (b"\1" * 32, b"\2" * 32), NOTE).to_bytes()
PAYLOAD = Payload(
    type="act", id="00000000-0000-4000-8000-000000000001", by="person", role="root", mandate="m",
    machine="person", subject="s", action="register", before="none", after="active", facts={"n": 1},
).to_bytes()  # fmt: skip
LEAF = encode_leaf(1_700_000_000_000, Envelope(PAYLOAD).sign(KEY))
BUNDLE = encode_entry_bundle([LEAF, b"", LEAF])

Parser = Callable[[bytes], bytes]
"""Reads bytes, and spells again what it read."""


def _leaf(data: bytes) -> bytes:
    return encode_leaf(*decode_leaf(data))


def _path(data: bytes) -> bytes:
    return str(parse_path(data.decode("latin-1"))).encode("latin-1")


PARSERS: dict[str, tuple[Parser, bytes]] = {
    "note": (lambda data: parse_note(data).to_bytes(), NOTE),
    "proof": (lambda data: TlogProof.parse(data).to_bytes(), PROOF),
    "leaf": (_leaf, LEAF),
    "json": (lambda data: encode(decode(data)), PAYLOAD),
    "payload": (lambda data: parse_payload(data).to_bytes(), PAYLOAD),
    "bundle": (lambda data: encode_entry_bundle(decode_entry_bundle(data, 3)), BUNDLE),
    "path": (_path, tile_path(0, 1_234_067, 17).encode()),
    "verifier key": (
        lambda data: NoteVerifier.parse(data.decode("latin-1")).vkey.encode("latin-1"),
        SIGNER.vkey.encode(),
    ),
}


@st.composite
def mutations(draw: st.DrawFn, original: bytes) -> bytes:
    """A few bytes changed, removed, doubled, put in or exchanged."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        piece = data[at : at + draw(st.integers(1, 40))]
        match draw(st.sampled_from(("change", "remove", "double", "insert", "move"))):
            case "change" if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case "remove":
                del data[at : at + len(piece)]
            case "double":
                data[at:at] = piece
            case "insert":
                data[at:at] = draw(st.sampled_from(PIECES) | st.binary(max_size=8))
            case "move":
                del data[at : at + len(piece)]
                to = draw(st.integers(0, len(data)))
                data[to:to] = piece
    return bytes(data)


PIECES = (
    b"\n", b"\r\n", b"\x0b", b"\x1c", b"\xc2\x85", b"\xe2\x80\xa8", b"\0", b" ", b"=", b"+", b"/", b"..",
    b"x000/", b"1e3", b"1.0", b"-0", b"9007199254740993", b"NaN", b"\\ud800", b'"a":1,', b"{", b"[" * 2000,
    b"\xed\xa0\x80", b"\xff",
)  # fmt: skip


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=300)
@given(chance=st.data())
def test_what_was_mutated_is_refused_or_spelled_so(name: str, chance: st.DataObject) -> None:
    parse, original = PARSERS[name]
    assert parse(original) == original
    data = chance.draw(mutations(original))
    with suppress(LedgerRefusal):
        assert parse(data) == data


@settings(max_examples=300)
@given(chance=st.data())
def test_a_mutated_checkpoint_never_opens(chance: st.DataObject) -> None:
    data = chance.draw(mutations(NOTE).filter(lambda data: data != NOTE))
    with pytest.raises(LedgerRefusal):
        open_checkpoint(data, SIGNER.verifier)


# ---- JSON that is not ours ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}', '{"a":1,"a":2}', '{"b":1,"a":2}', '{"a": 1}', "1.0", "1e3", "-0", "01", "+1",
        "NaN", "Infinity", "-Infinity", "1E400", str(MAX_INTEGER + 1), str(-MAX_INTEGER - 1), "9" * 5000,
        '"\\ud800"', '"\\udc00\\ud800"', '{"\\ud800":1}', '"\\u0041"', '"\\/"', '"a', "[1,]", "", " 1",
        "1 ", "\ufeff1", "nul", "[" * 100_000, '{"a":' * 50_000, '{"\U0001f333":1}', "'a'", "// c\n1",
    ],
    ids=lambda text: ascii(text[:20]),
)  # fmt: skip
def test_json_that_is_not_canonical_is_refused_by_name(text: str) -> None:
    with pytest.raises(NotCanonical):
        decode(text.encode("utf-8", "surrogatepass"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(value=JSON)
@example(value=2.0**53)
@example(value={"a": "\ud800"})
def test_any_value_is_refused_or_reads_back(value: Any) -> None:
    try:
        data = encode(value)
    except NotCanonical:
        return
    assert decode(data) == value
    assert json.loads(data) == value


@given(text=st.text(alphabet='{}[],:"\\u0123456789abcdefeE+-. \ntrunlsf', max_size=60))
def test_any_text_is_refused_or_canonical(text: str) -> None:
    with suppress(LedgerRefusal):
        assert encode(decode(text.encode())) == text.encode()


# ---- envelopes and payloads whose JSON is canonical --------------------------------------------------------


def _fields(data: bytes) -> dict[str, JsonValue]:
    value = decode(data)
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("data", [LEAF, PAYLOAD], ids=["leaf", "payload"])
@settings(max_examples=200)
@given(chance=st.data())
def test_a_field_of_another_kind_missing_or_too_much_is_refused_by_name(
    data: bytes, chance: st.DataObject
) -> None:
    fields = _fields(data)
    name = chance.draw(st.sampled_from([*sorted(fields), "another"]))
    if chance.draw(st.booleans()):
        fields.pop(name, None)
    else:
        fields[name] = chance.draw(PLAIN)
    again = encode(fields)
    parse = decode_leaf if data == LEAF else parse_payload
    with suppress(LedgerRefusal):
        parse(again)


PLAIN: st.SearchStrategy[JsonValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.text(st.characters(max_codepoint=0xD7FF)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(max_codepoint=0xD7FF)), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(path=st.text(max_size=60) | st.from_regex(r"tile/[0-9a-z]{1,8}/[0-9x/.p]{1,30}"))
def test_any_path_is_refused_or_the_one_spelling(path: str) -> None:
    with suppress(LedgerRefusal):
        assert str(parse_path(path)) == path


def test_the_originals_are_what_they_say() -> None:
    assert open_checkpoint(NOTE, SIGNER.verifier).size == 3
    assert leaf_hash(decode_entry_bundle(BUNDLE, 3)[0]) == leaf_hash(LEAF)
