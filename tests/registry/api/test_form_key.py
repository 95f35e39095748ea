"""The key of a form is found in its first part, however the body is cut, and nowhere else."""

import asyncio
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from registry.web.form_key import peek_key

KIND = "multipart/form-data; boundary=XyZ"


def body(name: str, value: str, rest: bytes) -> bytes:
    head = f'--XyZ\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    return head + b'--XyZ\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + rest


def peeked(kind: str, pieces: list[bytes]) -> tuple[str, bytes]:
    """The key that was found, and the whole body as it is received afterwards."""
    messages: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": n + 1 < len(pieces)}
        for n, piece in enumerate(pieces)
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def run() -> tuple[str, bytes]:
        key, receiving = await peek_key(kind, receive)
        taken = b""
        while True:
            message = await receiving()
            taken += message["body"]
            if not message["more_body"]:
                return key, taken

    return asyncio.run(run())


@given(st.binary(max_size=200), st.lists(st.integers(0, 400), max_size=6))
def test_the_key_is_found_however_the_body_is_cut_and_nothing_is_lost(rest: bytes, cuts: list[int]) -> None:
    whole = body("key", "abc.def", rest)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[a:b] for a, b in pairwise(places)]
    assert peeked(KIND, pieces) == ("abc.def", whole)


def test_a_key_that_is_not_first_or_not_in_a_form_is_none() -> None:
    other = body("programme", "ZJ-PH.1", b"")
    assert peeked(KIND, [other]) == ("", other)
    assert peeked("application/json", [b"{}"]) == ("", b"{}")
    assert peeked(KIND, [b"--XyZ"]) == ("", b"--XyZ")
    assert peeked(KIND, [body("key", "k" * 20_000, b"")])[0] in ("", "k" * 20_000)
