"""The key of a form that brings a file: read from the form's first part, before the rest is taken.

A page without JavaScript can send its key only inside the form. Frameworks read a form whole, file and all,
before they ask who sends it; here the first few kilobytes are looked at, and the body of a stranger is let
run out without being kept.
"""

import re
from typing import Final

from starlette.types import Message, Receive

FIELD: Final = "key"
_PEEKED_BYTES: Final = 8192
_BOUNDARY: Final = re.compile(r'multipart/form-data;.*?boundary="?([^";,]{1,70})"?', re.IGNORECASE)
_NAME: Final = re.compile(
    rb'content-disposition:\s*form-data;\s*name="key"\s*$', re.IGNORECASE | re.MULTILINE
)


async def peek_key(content_type: str, receive: Receive) -> tuple[str, Receive]:
    """The key in the first part of a multipart form ("" where there is none), and what to receive the whole
    body from.
    """
    found = _BOUNDARY.match(content_type)
    if found is None:
        return "", receive
    boundary = b"--" + found[1].encode("latin-1")
    taken: list[Message] = []
    start = b""
    key: str | None = None
    while key is None and len(start) < _PEEKED_BYTES:
        message = await receive()
        taken.append(message)
        start += message.get("body", b"")
        key = key_of_first_part(start, boundary)
        if message["type"] != "http.request" or not message.get("more_body", False):
            break

    async def replayed() -> Message:
        return taken.pop(0) if taken else await receive()

    return key or "", replayed


def key_of_first_part(start: bytes, boundary: bytes) -> str | None:
    """The key, if the first part is it and is there whole; "" if the first part is another one."""
    head, ended, rest = start.partition(b"\r\n\r\n")
    if not ended:
        return None
    if not head.startswith(boundary + b"\r\n") or not _NAME.search(head.replace(b"\r\n", b"\n")):
        return ""
    value, ended, _ = rest.partition(b"\r\n" + boundary)
    if not ended:
        return None
    return value.decode("utf-8", "replace")


async def let_run_out(receive: Receive, limit_bytes: int) -> None:
    """Take what is still coming and keep nothing of it, so that the sender hears the answer."""
    taken = 0
    while taken <= limit_bytes:
        message = await receive()
        taken += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
