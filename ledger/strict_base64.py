"""Standard base64 in its one spelling.

Even with `validate=True` the library lets the spare bits of the last character and surplus padding through,
so what is decoded is encoded again and compared.
"""

from base64 import b64decode, b64encode


def to_base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes | None:
    """The bytes that `text` spells, or None when it is not their one spelling (RFC 4648, 4 and 3.5)."""
    try:
        spelling = text.encode("ascii")
        data = b64decode(spelling, validate=True)
    except ValueError:
        return None
    return data if b64encode(data) == spelling else None
