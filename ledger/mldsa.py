"""ML-DSA-44 keys (FIPS 204): the second, quantum-safe kind of cosignature (c2sp.org/tlog-cosignature, 0x06).

What is signed commits to the cosigner's name, to the time, and to the whole checkpoint:

    "subtree/v1" LF NUL || u8 length, cosigner || u64 time || u8 length, origin || u64 0 || u64 size || root
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from ledger.errors import MalformedKey, SignatureRefused
from ledger.keys import encrypted_pem, opened_pem

PUBLIC_KEY_BYTES: Final = 1312
ML_DSA_SIGNATURE_BYTES: Final = 2420
SEED_BYTES: Final = 32
_LABEL: Final = b"subtree/v1\n\0"


def cosigned_message(cosigner: str, time_s: int, origin: str, size: int, root: bytes) -> bytes:
    """The `cosigned_message` of a checkpoint. Raises `SignatureRefused` for names that have no such form."""
    named = bytearray()
    for name, after in ((cosigner, time_s), (origin, 0)):
        data = name.encode()
        if not 1 <= len(data) <= 255:
            raise SignatureRefused(signer=cosigner)
        named += bytes([len(data)]) + data + after.to_bytes(8, "big")
    return _LABEL + bytes(named) + size.to_bytes(8, "big") + root


def check_ml_dsa_key(public_key: bytes) -> None:
    """`MalformedKey` for bytes of another length, which is all that can be wrong with them."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise MalformedKey(reason=f"an ML-DSA-44 public key has {PUBLIC_KEY_BYTES:,} bytes")


def verify_ml_dsa(public_key: bytes, signature: bytes, message: bytes, signer: str) -> None:
    """Check a signature with an empty context (FIPS 204, algorithm 3). Raises `SignatureRefused`."""
    try:
        MLDSA44PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise SignatureRefused(signer=signer) from None


class MlDsaKey:
    """An ML-DSA-44 private key."""

    __slots__ = ("_private", "public_bytes")

    def __init__(self, private: MLDSA44PrivateKey) -> None:
        self._private = private
        self.public_bytes: Final[bytes] = private.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> "MlDsaKey":
        return cls(MLDSA44PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> "MlDsaKey":
        """The key of a 32-byte seed (FIPS 204, algorithm 6)."""
        if len(seed) != SEED_BYTES:
            raise MalformedKey(reason=f"an ML-DSA seed has {SEED_BYTES} bytes")
        return cls(MLDSA44PrivateKey.from_seed_bytes(seed))

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)

    def to_pem(self, passphrase: bytes) -> bytes:
        """Encrypted PKCS#8, as `ledger.keys.encrypted_pem`."""
        return encrypted_pem(self._private, passphrase)

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: bytes) -> "MlDsaKey":
        """The key of an encrypted PKCS#8 file. Raises `MalformedKey`."""
        private = opened_pem(pem, passphrase)
        if not isinstance(private, MLDSA44PrivateKey):
            raise MalformedKey(reason="it is not an ML-DSA-44 key")
        return cls(private)
