"""Ed25519 keys, and the checks that make every verifier reach the same verdict.

RFC 8032 leaves room: small-order keys, encodings with y >= p, S >= L. OpenSSL, Go, Node and libsodium differ
there, so such keys and signatures are refused before the library sees them. Keys are made, kept and used by
`cryptography`; signatures are verified by libsodium, which takes half the time and lets other threads run.
"""

from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from ledger.errors import MalformedKey, SignatureRefused

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_P: Final = 2**255 - 19
_L: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_SIGN: Final = 1 << 255


def _order_eight_y() -> tuple[int, int]:
    """The y of the points of order 8, up to sign: doubling them gives y = 0, so d*y^4 + 2*y^2 - 1 = 0."""
    root = _square_root((1 + _D) % _P)
    for sign in (root, -root):
        y_squared = (-1 + sign) * pow(_D, -1, _P) % _P
        if pow(y_squared, (_P - 1) // 2, _P) == 1:
            y = _square_root(y_squared)
            return y, _P - y
    raise AssertionError("edwards25519 has points of order 8")


def _square_root(square: int) -> int:
    """A square root modulo p = 5 mod 8."""
    root = pow(square, (_P + 3) // 8, _P)
    return root if root * root % _P == square else root * pow(2, (_P - 1) // 4, _P) % _P


_SMALL_ORDER_Y: Final = frozenset({0, 1, _P - 1, *_order_eight_y()})


def keyid(public_key: bytes) -> str:
    """The name of a key in the log: the hexadecimal SHA-256 of its 32 bytes."""
    return sha256(public_key).hexdigest()


@lru_cache(maxsize=4096)
def check_public_key(public_key: bytes) -> None:
    """Refuse (`MalformedKey`) a wrong length, y >= p, no curve point, and points of small order (RFC 8032,
    5.1.3).
    """
    if len(public_key) != KEY_BYTES:
        raise MalformedKey(reason="an Ed25519 public key has 32 bytes")
    y = int.from_bytes(public_key, "little") & (_SIGN - 1)
    if y >= _P:
        raise MalformedKey(reason="its y coordinate is not reduced")
    if y in _SMALL_ORDER_Y:
        raise MalformedKey(reason="it is a point of small order")
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    if pow(x_squared, (_P - 1) // 2, _P) != 1:
        raise MalformedKey(reason="it is not a point of the curve")


@lru_cache(maxsize=4096)
def _require_sound(public_key: bytes) -> None:
    check_public_key(public_key)


def verify_signature(public_key: bytes, signature: bytes, message: bytes) -> None:
    """Check an Ed25519 signature (RFC 8032, 5.1.7), also refusing S >= L and R of small order.

    Raises `MalformedKey` for the key, `SignatureRefused` for the signature.
    """
    _require_sound(public_key)
    if len(signature) != SIGNATURE_BYTES or not _has_one_verdict(signature):
        raise SignatureRefused(signer=keyid(public_key))
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        raise SignatureRefused(signer=keyid(public_key)) from None


def _has_one_verdict(signature: bytes) -> bool:
    y = int.from_bytes(signature[:32], "little") & (_SIGN - 1)
    s = int.from_bytes(signature[32:], "little")
    return s < _L and y < _P and y not in _SMALL_ORDER_Y


class SigningKey:
    """An Ed25519 private key. Its `repr` shows the key id only."""

    __slots__ = ("_private", "keyid", "public_bytes")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_bytes: Final[bytes] = private.public_key().public_bytes_raw()
        self.keyid: Final[str] = keyid(self.public_bytes)

    def __repr__(self) -> str:
        return f"SigningKey({self.keyid[:16]})"

    @classmethod
    def generate(cls) -> "SigningKey":
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """The key of a 32-byte seed (RFC 8032, 5.1.5)."""
        if len(seed) != KEY_BYTES:
            raise MalformedKey(reason="an Ed25519 seed has 32 bytes")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""
        return self._private.sign(message)

    def to_pem(self, passphrase: bytes) -> bytes:
        """Encrypted PKCS#8, as `encrypted_pem`."""
        return encrypted_pem(self._private, passphrase)

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: bytes) -> "SigningKey":
        """The key of an encrypted PKCS#8 file.

        Raises `MalformedKey` for a wrong passphrase or another kind.
        """
        private = opened_pem(pem, passphrase)
        if not isinstance(private, Ed25519PrivateKey):
            raise MalformedKey(reason="it is not an Ed25519 key")
        return cls(private)


def encrypted_pem(private: Ed25519PrivateKey | MLDSA44PrivateKey, passphrase: bytes) -> bytes:
    """A private key as encrypted PKCS#8; an empty passphrase is refused: no key is stored in the clear."""
    if not passphrase:
        raise MalformedKey(reason="a private key is stored under a passphrase")
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )


def opened_pem(pem: bytes, passphrase: bytes) -> object:
    """The private key, of whatever kind, in an encrypted PKCS#8 file. Raises `MalformedKey`."""
    try:
        return serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError):
        raise MalformedKey(reason="it is not a private key under this passphrase") from None
