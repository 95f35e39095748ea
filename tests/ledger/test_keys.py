"""Keys and signatures on which every verifier agrees."""

from hashlib import sha256, sha512

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedKey, SignatureRefused
from ledger.keys import SigningKey, check_public_key, keyid, verify_signature

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
KEY = SigningKey.from_seed(bytes(range(32)))

# The eight points of small order in their canonical encodings, and further spellings of some of them.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


def test_a_key_of_rfc_8032_signs_as_printed_there() -> None:
    """RFC 8032, 7.1, test 3."""
    key = SigningKey.from_seed(
        bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    )
    assert key.public_bytes.hex() == "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    assert key.sign(bytes.fromhex("af82")).hex() == (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )


def test_the_id_of_a_key_is_its_digest() -> None:
    assert KEY.keyid == keyid(KEY.public_bytes) == sha256(KEY.public_bytes).hexdigest()
    assert "SigningKey" in repr(KEY)
    assert bytes(range(32)).hex() not in repr(KEY)


@pytest.mark.parametrize("encoding", SMALL_ORDER)
def test_points_of_small_order_are_no_keys(encoding: str) -> None:
    with pytest.raises(MalformedKey):
        check_public_key(bytes.fromhex(encoding))


@pytest.mark.parametrize("encoding", SMALL_ORDER)
def test_a_signature_starting_with_a_point_of_small_order_is_refused(encoding: str) -> None:
    with pytest.raises(SignatureRefused):
        verify_signature(KEY.public_bytes, bytes.fromhex(encoding) + KEY.sign(b"m")[32:], b"m")


def test_a_signature_made_for_the_neutral_point_is_refused_though_openssl_accepts_it() -> None:
    """R neutral, S = h * a: a signer can make one, and libsodium refuses it where others accept."""
    digest = bytearray(sha512(bytes(range(32))).digest()[:32])
    digest[0] &= 248
    digest[31] = (digest[31] & 127) | 64
    neutral = (1).to_bytes(32, "little")
    h = int.from_bytes(sha512(neutral + KEY.public_bytes + b"m").digest(), "little")
    signature = neutral + (h * int.from_bytes(digest, "little") % L).to_bytes(32, "little")
    public = serialization.load_der_public_key(
        bytes.fromhex("302a300506032b6570032100") + KEY.public_bytes,
    )
    public.verify(signature, b"m")  # type: ignore[union-attr,call-arg]
    with pytest.raises(SignatureRefused):
        verify_signature(KEY.public_bytes, signature, b"m")


@pytest.mark.parametrize("y", [P, P + 1, P + 3, P + 18])
@pytest.mark.parametrize("sign", [0, 1 << 255])
def test_coordinates_that_are_not_reduced_are_no_keys(y: int, sign: int) -> None:
    with pytest.raises(MalformedKey):
        check_public_key((y | sign).to_bytes(32, "little"))


def test_what_is_no_point_is_no_key() -> None:
    refused = 0
    for y in range(2, 60):
        try:
            check_public_key(y.to_bytes(32, "little"))
        except MalformedKey:
            refused += 1
    assert 15 < refused < 45  # about half of all y have no point


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_public_key_has_32_bytes(length: int) -> None:
    with pytest.raises(MalformedKey):
        check_public_key(KEY.public_bytes.ljust(length, b"\1")[:length])


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100))
def test_what_a_key_signs_verifies(seed: bytes, message: bytes) -> None:
    key = SigningKey.from_seed(seed)
    check_public_key(key.public_bytes)
    verify_signature(key.public_bytes, key.sign(message), message)


def test_any_flipped_bit_of_a_signature_is_refused() -> None:
    signature = KEY.sign(b"message")
    for bit in range(512):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SignatureRefused):
            verify_signature(KEY.public_bytes, bytes(flipped), b"message")
    with pytest.raises(SignatureRefused):
        verify_signature(KEY.public_bytes, signature, b"massage")


def test_s_plus_the_order_of_the_group_is_another_spelling_and_refused() -> None:
    signature = KEY.sign(b"message")
    s = int.from_bytes(signature[32:], "little")
    assert s + L < 2**256
    with pytest.raises(SignatureRefused):
        verify_signature(KEY.public_bytes, signature[:32] + (s + L).to_bytes(32, "little"), b"message")


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_has_64_bytes(length: int) -> None:
    with pytest.raises(SignatureRefused):
        verify_signature(KEY.public_bytes, KEY.sign(b"m").ljust(length, b"\0")[:length], b"m")


def test_a_private_key_is_stored_under_a_passphrase_only() -> None:
    pem = KEY.to_pem(b"correct horse")
    assert b"ENCRYPTED" in pem
    assert SigningKey.from_pem(pem, b"correct horse").keyid == KEY.keyid
    with pytest.raises(MalformedKey):
        SigningKey.from_pem(pem, b"wrong horse")
    with pytest.raises(MalformedKey):
        SigningKey.from_pem(b"-----BEGIN NOTHING-----", b"correct horse")
    with pytest.raises(MalformedKey):
        KEY.to_pem(b"")
    with pytest.raises(MalformedKey):
        SigningKey.from_seed(b"short")


def test_a_key_of_another_kind_or_in_the_clear_is_refused() -> None:
    other = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"p"),
    )
    with pytest.raises(MalformedKey):
        SigningKey.from_pem(other, b"p")
    clear = KEY._private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(MalformedKey):
        SigningKey.from_pem(clear, b"p")


def test_two_new_keys_differ() -> None:
    assert SigningKey.generate().keyid != SigningKey.generate().keyid


@given(st.binary(max_size=80), st.integers(0, 767), st.booleans())
def test_libsodium_and_openssl_reach_the_same_verdict(message: bytes, bit: int, damaged: bool) -> None:
    """One bit of signature or key is turned, or none; a key that is no point is refused before either."""
    material = bytearray(KEY.sign(message) + KEY.public_bytes)
    if damaged:
        material[bit // 8] ^= 1 << bit % 8
    signature, public_key = bytes(material[:64]), bytes(material[64:])
    try:
        verify_signature(public_key, signature, message)
        ours = True
    except SignatureRefused:
        ours = False
    except MalformedKey:
        return
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
        theirs = True
    except InvalidSignature:
        theirs = False
    assert ours == theirs == (not damaged)
