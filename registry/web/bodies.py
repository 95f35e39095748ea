"""Limits on what is asked and sent, and headers on what goes out. Plain ASGI, because answers may be
streams.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry.web.api import BEARER, acting, caller, caller_of, services
from registry.web.form_key import let_run_out, peek_key
from registry.web.refusals import AddressMalformed, BodyTooLarge, KeyReadsOnly, NotAuthenticated

MEBIBYTE: Final = 1024 * 1024
USUAL_BYTES: Final = MEBIBYTE
UPLOAD_BYTES: Final[dict[str, int]] = {
    "/api/v1/parcel-imports": 64 * MEBIBYTE,
    "/land/import": 64 * MEBIBYTE,
    "/api/v1/evidence-files": 41 * MEBIBYTE,
    "/api/v1/plot-files": 16 * MEBIBYTE,
    "/api/v1/rasters": 1024 * MEBIBYTE,
}
"""Paths that take files, and how much."""
KEY_IN_FORM: Final = frozenset({"/land/import"})
"""Pages whose forms carry the key as their first field."""

CONTENT_POLICY: Final = (
    "default-src 'self'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
DOCS_POLICY: Final = CONTENT_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""Swagger UI sets style attributes in its markup."""

HEADERS: Final[Sequence[tuple[bytes, bytes]]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"geolocation=(self), camera=(), microphone=()"),
)


def limit_for(path: str) -> int:
    return UPLOAD_BYTES.get(path, USUAL_BYTES)


_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_CONTROL_ESCAPED: Final = re.compile(rb"%([01][0-9a-fA-F]|7[fF])")


class InputLimits:
    """Refuse an address with control characters, and a body that is too large: by what it says, and by what
    comes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if _CONTROL.search(scope["path"]) or _CONTROL_ESCAPED.search(scope["query_string"]):
            raise AddressMalformed()
        limit = limit_for(scope["path"])
        stated = Request(scope).headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > limit:
            raise BodyTooLarge(limit_bytes=limit)
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise BodyTooLarge(limit_bytes=limit)
            return message

        await self.app(scope, counted, send)


class KeyBeforeUpload:
    """Ask for the key before a file is read: a form is read whole before its route is asked, and a stranger's
    gigabyte belongs on nobody's disk.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in KEY_IN_FORM:
            key, receive = await peek_key(Request(scope).headers.get("content-type", ""), receive)
            if not await self._known(Request(scope), key):
                await self._refuse(scope, receive, send)
                return
        elif scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in UPLOAD_BYTES:
            request = Request(scope)
            credentials = await BEARER(request)
            acting(await run_in_threadpool(caller, request, services(request), credentials))
        await self.app(scope, receive, send)

    @staticmethod
    async def _known(request: Request, key: str) -> bool:
        try:
            acting(await run_in_threadpool(caller_of, request, services(request), key))
        except (NotAuthenticated, KeyReadsOnly):
            return False
        return True

    @staticmethod
    async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
        """Back to the form, which says so; a program, which asks for JSON by `Prefer`, is told at once."""
        await let_run_out(receive, limit_for(scope["path"]))
        if "respond-async" in Request(scope).headers.get("prefer", ""):
            raise NotAuthenticated()
        asked = {"refused": "key", **{k: v for k, v in Request(scope).query_params.items() if k == "lang"}}
        answer = RedirectResponse(f"{scope['path']}?{urlencode(asked)}", 303, {"Cache-Control": "no-store"})
        await answer(scope, receive, send)


class SafeHeaders:
    """The headers that every answer carries. One that says its own content security policy keeps it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        policy = DOCS_POLICY if scope["path"] == "/docs" else CONTENT_POLICY

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", []))
                own += HEADERS
                if not any(name.lower() == b"content-security-policy" for name, _ in own):
                    own.append((b"content-security-policy", policy.encode()))
                message["headers"] = own
            await send(message)

        await self.app(scope, receive, headed)
