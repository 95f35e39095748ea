"""The log as C2SP publishes logs: a signed checkpoint and tiles, to be read by anybody, also from browsers.

The same files may be served by any static server; these routes add the headers, and gzip for bundles to whom
it is welcome.
"""

import gzip
from typing import Annotated, Final

from fastapi import APIRouter, Header, Response
from fastapi.responses import FileResponse

from ledger.errors import MalformedTile, TileMissing
from ledger.tiles import CHECKPOINT, parse_path
from registry.web.api import Running, problem_responses

router = APIRouter(prefix="/log", tags=["log"])

ANYBODY: Final = {"Access-Control-Allow-Origin": "*"}
IMMUTABLE: Final = "public, max-age=31536000, immutable"
BRIEFLY: Final = "public, max-age=2"
VARYING: Final = {"Vary": "Accept-Encoding"}

Accepted = Annotated[str, Header(include_in_schema=False)]


@router.head("/checkpoint", include_in_schema=False)
@router.get(
    "/checkpoint",
    summary="The newest signed tree head",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **problem_responses(404)},
)
def checkpoint(running: Running) -> Response:
    try:
        note = (running.home.log / CHECKPOINT).read_bytes()
    except FileNotFoundError as missing:
        raise TileMissing(path=CHECKPOINT) from missing
    return Response(
        note, media_type="text/plain; charset=utf-8", headers={**ANYBODY, "Cache-Control": BRIEFLY}
    )


@router.get(
    "/vkey",
    summary="The log's verifier keys, one a line, newest last",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
def vkey(running: Running) -> Response:
    """Take the key from somewhere else too: a log that lies would lie here as well."""
    text = running.home.vkey.read_bytes()
    return Response(
        text, media_type="text/plain; charset=utf-8", headers={**ANYBODY, "Cache-Control": BRIEFLY}
    )


@router.head("/tile/{path:path}", include_in_schema=False)
@router.get(
    "/tile/{path:path}",
    summary="A tile of hashes, or a bundle of entries",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, **problem_responses(400, 404)},
)
def tile(path: str, running: Running, accept_encoding: Accepted = "") -> Response:
    name = f"tile/{path}"
    try:
        wanted = parse_path(name)
    except MalformedTile as malformed:
        raise TileMissing(path=name[:200]) from malformed
    file = running.home.log / str(wanted)
    if not file.is_file():
        raise TileMissing(path=str(wanted))
    headers = {**ANYBODY, "Cache-Control": IMMUTABLE}
    if wanted.level is None:  # hashes do not get smaller
        headers |= VARYING
        if welcomes_gzip(accept_encoding):
            small = gzip.compress(file.read_bytes(), mtime=0)
            headers["Content-Encoding"] = "gzip"
            return Response(small, media_type="application/octet-stream", headers=headers)
    return FileResponse(file, media_type="application/octet-stream", headers=headers)


def welcomes_gzip(accept_encoding: str) -> bool:
    """Whether the header names gzip, or `*`, with a weight that is not zero (RFC 9110, 12.5.3)."""
    for coding in ("gzip", "x-gzip", "*"):
        for part in accept_encoding.lower().split(","):
            name, _, parameter = part.partition(";")
            if name.strip() == coding:
                weight = parameter.strip().removeprefix("q=")
                return not weight or bool(weight.strip("0."))
    return False
