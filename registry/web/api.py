"""What every room's routes stand on: transactions, the caller, the language, acts, and pages of lists.

A room's `routes.py` says where its acts and lists are found; everything that is the same everywhere is here.
An act is a POST with an `Idempotency-Key`, a new UUID that is the request's id ever after. It answers

* 201 `done` with the answer and the receipts of its entries, or
* 202 `awaiting` with the payload that another person has to sign too, or
* 200 `prepared` (with `?prepare=true`): the exact bytes to sign with a key that the caller holds.
"""

import base64
import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from inspect import Parameter, Signature
from typing import Annotated, Any, Final, Protocol, TypeVar

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ValidationError, create_model
from sqlalchemy.orm import Session

from ledger.entry import REQUEST_ID
from ledger.envelope import PAYLOAD_TYPE, pae
from ledger.tiles import TileDirectory
from registry.accounts.models import ApiKey
from registry.accounts.service import authenticate
from registry.clock import Clock
from registry.database import Database
from registry.language import Language, chosen
from registry.machine import Mandate, Role
from registry.office import Command, Office, Outcome, RequestIdMalformed
from registry.receipts import receipts
from registry.settings import Home
from registry.web.refusals import (
    BodyMalformed,
    CursorMalformed,
    IdempotencyKeyMissing,
    KeyReadsOnly,
    MediaTypeUnsupported,
    NotAuthenticated,
    RequestInvalid,
)

ACTING: Final = "act"
"""The scope of a key that may act; any other scope only reads."""

PAGE_SIZE: Final = 50
LARGEST_PAGE: Final = 200

OFFICIALS: Final = frozenset({Role.REGISTRY_ADMIN, Role.ISSUER, Role.VERIFIER, Role.REGULATOR, Role.AUDITOR})
"""Roles whose duty is to look at what is other people's."""

access = logging.getLogger("tanhui.access")


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes of one running installation work with; `app.state.services`."""

    office: Office
    database: Database
    clock: Clock
    home: Home
    tiles: TileDirectory


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Running = Annotated[Services, Depends(services)]


def reading(running: Running) -> Iterator[Session]:
    with running.database.read() as session:
        yield session


Reading = Annotated[Session, Depends(reading, scope="function")]
"""A transaction for reading that ends before the answer leaves."""


def instant(running: Running) -> datetime:
    return running.clock.now()


Now = Annotated[datetime, Depends(instant)]
"""What the clock says. Named before `Reading`: a simulated clock reads the database too, and nobody may hold
one connection while waiting for a second.
"""


def language_of(
    request: Request,
    lang: Annotated[str | None, Query(description="`zh` or `en`; else Accept-Language, else Chinese")] = None,
) -> Language:
    return chosen(lang, request.headers.get("Accept-Language"))


Reader = Annotated[Language, Depends(language_of)]


# ---- who calls ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds the key: one mandate, and whether the key may act."""

    mandate: Mandate
    prefix: str
    scope: str

    @property
    def official(self) -> bool:
        return self.mandate.role in OFFICIALS


BEARER: Final = HTTPBearer(auto_error=False, description="an API key `prefix.secret`", scheme_name="ApiKey")


def caller(
    request: Request,
    running: Running,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
) -> Caller:
    """The caller by its key; `NotAuthenticated` whatever is wrong with it."""
    return caller_of(request, running, credentials.credentials if credentials is not None else "")


def caller_of(request: Request, running: Services, token: str) -> Caller:
    prefix = token.partition(".")[0]
    now = running.clock.now()
    with running.database.read() as session:
        mandate = authenticate(session, token, now)
        if mandate is None:
            access.warning("key refused: %s %s", request.method, request.url.path)
            raise NotAuthenticated()
        return Caller(mandate, prefix, session.get_one(ApiKey, prefix).scope)


Known = Annotated[Caller, Depends(caller)]


def visitor(
    request: Request,
    running: Running,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
) -> Caller | None:
    return None if credentials is None else caller(request, running, credentials)


Visitor = Annotated[Caller | None, Depends(visitor)]
"""The caller where a key is not needed but may show more."""


def acting(known: Known) -> Caller:
    if known.scope != ACTING:
        raise KeyReadsOnly(prefix=known.prefix)
    return known


Acting = Annotated[Caller, Depends(acting)]


# ---- bodies ------------------------------------------------------------------------------------------------


async def json_body(request: Request) -> dict[str, Any]:
    """The body as a JSON object; an absent one is an empty object. Strict: no duplicate names, no NaN."""
    return parse_json_body(request, await request.body())


def parse_json_body(request: Request, content: bytes) -> dict[str, Any]:
    if not content:
        return {}
    found = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if found != "application/json":
        raise MediaTypeUnsupported(found=found or "untyped", expected="application/json")
    return parse_object(content)


Body = Annotated[dict[str, Any], Depends(json_body)]


_NUL: Final = re.compile(rb"(?<!\\)(\\\\)*\\u0000")


def parse_object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(
            content.decode("utf-8"), object_pairs_hook=_unique_names, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as fault:
        reason = "it is nested too deeply" if isinstance(fault, RecursionError) else str(fault)
        raise BodyMalformed(reason=reason) from fault
    if not isinstance(value, dict):
        raise BodyMalformed(reason=f"it is a {type(value).__name__}")
    if b"\\u0000" in content and _NUL.search(content):  # it stands in JSON in no other spelling
        raise BodyMalformed(reason="it holds the character U+0000")
    return value


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], content: Mapping[str, Any]) -> M:
    """The model made of a JSON object; `RequestInvalid` lists every fault, without the values."""
    try:
        return model.model_validate_json(json.dumps(content))
    except ValidationError as invalid:
        raise request_invalid(list(invalid.errors(include_url=False, include_input=False))) from invalid


def request_invalid(faults: list[Any]) -> RequestInvalid:
    """A refusal out of pydantic's faults; their values are left out, because they may be personal."""
    errors = [
        {"field": ".".join(map(str, fault["loc"])), "message": fault["msg"], "type": fault["type"]}
        for fault in faults
    ]
    return RequestInvalid(count=len(errors), errors=errors)


# ---- acts --------------------------------------------------------------------------------------------------


class Receipt(BaseModel):
    """An entry of the log, where its proof is, and the proof itself (c2sp.org/tlog-proof), which a careful
    program keeps. It is left out while witnesses are late.
    """

    index: int
    entry: str
    proof: str
    receipt: str | None = None


class ActAnswer(BaseModel):
    """What came of a request; `payload` (base64) and `to_sign` while signatures are missing."""

    request: str
    status: str
    answer: dict[str, Any] = {}
    entries: list[Receipt] = []
    needed: str | None = None
    payload_type: str | None = None
    payload: str | None = None
    to_sign: str | None = None


STATUSES: Final = {"done": 201, "awaiting": 202, "prepared": 200}


def act_answer(outcome: Outcome, proofs: Mapping[int, str] | None = None) -> ActAnswer:
    answer: dict[str, Any] = {name: value for name, value in outcome.answer.items() if name != "entries"}
    made = ActAnswer(request=outcome.request_id, status=outcome.status, answer=answer)
    if outcome.status == "done":
        entries = [
            Receipt(
                index=index,
                entry=f"/api/v1/log/entries/{index}",
                proof=f"/api/v1/log/proof/{index}",
                receipt=(proofs or {}).get(index),
            )
            for index in outcome.entries
        ]
        return made.model_copy(update={"entries": entries})
    assert outcome.payload is not None
    return made.model_copy(
        update={
            "needed": outcome.needed or None,
            "payload_type": PAYLOAD_TYPE,
            "payload": base64.b64encode(outcome.payload).decode(),
            "to_sign": base64.b64encode(pae(PAYLOAD_TYPE, outcome.payload)).decode(),
        }
    )


def proofs_of(running: Services, outcomes: Iterable[Outcome]) -> dict[int, str]:
    """The receipts of what was done, read once."""
    entries = [index for outcome in outcomes if outcome.status == "done" for index in outcome.entries]
    if not entries:
        return {}
    with running.database.read() as session:
        return receipts(session, entries, running.tiles)


def outcome_response(running: Services, outcome: Outcome) -> JSONResponse:
    headers = {"Location": f"/api/v1/requests/{outcome.request_id}", "Cache-Control": "no-store"}
    if outcome.replayed:
        headers["Idempotency-Replayed"] = "true"
    content = act_answer(outcome, proofs_of(running, [outcome])).model_dump(exclude_none=True)
    return JSONResponse(content, STATUSES[outcome.status], headers)


IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", description="a new UUID, lower case; it names the request")
]
Prepare = Annotated[bool, Query(description="only answer the bytes to sign; nothing is logged")]


def perform(
    running: Services, by: Caller, act: str, command: Command, request_id: str | None, prepare: bool = False
) -> Response:
    """Carry out an act for a caller, or prepare it."""
    if not request_id:
        raise IdempotencyKeyMissing()
    office = running.office
    carry_out = office.prepare if prepare else office.execute
    return outcome_response(running, carry_out(by.mandate, act, command, request_id))


def working_request(request_id: str | None) -> str:
    """The Idempotency-Key of a request that is not an act, and so does not pass the office."""
    if not request_id:
        raise IdempotencyKeyMissing()
    if not REQUEST_ID.fullmatch(request_id):
        raise RequestIdMalformed(request_id=request_id[:80])
    return request_id


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of an operation: problem+json for each status it may refuse with."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": "refused", "content": content} for status in statuses}


READ_PROBLEMS: Final = problem_responses(400, 401, 404, 500)
ACT_PROBLEMS: Final = problem_responses(400, 401, 403, 404, 409, 413, 415, 422, 500, 503)


class Perform(Protocol):
    """How an act is carried out for a caller; nearly always `perform`."""

    def __call__(
        self,
        running: Services,
        by: Caller,
        act: str,
        command: Command,
        request_id: str | None,
        prepare: bool = False,
    ) -> Response: ...


@dataclass(frozen=True, slots=True)
class ActRoute:
    """Where an act is found: its name, the shape of its command, its path (whose parameters are fields of the
    command), and one sentence.
    """

    act: str
    command: type[Command]
    path: str
    summary: str
    perform: Perform = perform
    context: Any = None
    """A dependency (`Annotated[…, Depends(…)]`) that `performing` makes the act's `perform` from."""
    performing: Callable[[Any], Perform] | None = None


def add_acts(router: APIRouter, *routes: ActRoute) -> None:
    """Give each act of a room its POST; `app.unrouted` names acts that have none."""
    for route in routes:
        _add_act(router, route)


def _add_act(router: APIRouter, route: ActRoute) -> None:
    from_path = _path_fields(route.path)
    answers: dict[int | str, dict[str, Any]] = {
        200: {"model": ActAnswer, "description": "prepared: the bytes to sign"},
        202: {"model": ActAnswer, "description": "the signature of another person is awaited"},
    }
    router.post(
        route.path,
        operation_id=route.act,
        summary=route.summary,
        status_code=201,
        response_model=ActAnswer,
        responses={**answers, **ACT_PROBLEMS},
        openapi_extra=_request_body(route, from_path),
    )(_act_endpoint(route, from_path))


def _request_body(route: ActRoute, from_path: tuple[str, ...]) -> dict[str, Any]:
    """The body's schema, complete in itself: FastAPI does not see the body, because it is read strictly."""
    model = body_model(route.command, from_path)
    if model is None:
        return {}
    schema = model.model_json_schema()
    required = bool(schema.get("required"))
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": inlined(schema)}}}
    }


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema with its definitions put where they are referred to; commands have no cycles."""
    definitions = schema.get("$defs", {})

    def resolve(part: Any) -> Any:
        if isinstance(part, list):
            return [resolve(item) for item in part]
        if not isinstance(part, dict):
            return part
        rest = {name: resolve(value) for name, value in part.items() if name not in ("$ref", "$defs")}
        if "$ref" in part:
            return resolve(definitions[part["$ref"].rsplit("/", 1)[1]]) | rest
        return rest

    found: dict[str, Any] = resolve(schema)
    return found


def _path_fields(path: str) -> tuple[str, ...]:
    return tuple(part[1:-1] for part in path.split("/") if part.startswith("{"))


def body_model(command: type[Command], from_path: tuple[str, ...]) -> type[BaseModel] | None:
    """The fields of a command that are not in the path; None when nothing is left."""
    unknown = set(from_path) - set(command.model_fields)
    if unknown:
        raise TypeError(f"{command.__name__} has no fields {sorted(unknown)}")
    left: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in command.model_fields.items()
        if name not in from_path
    }
    return create_model(command.__name__, __base__=Command, __doc__=command.__doc__, **left) if left else None


def _act_endpoint(route: ActRoute, from_path: tuple[str, ...]) -> Callable[..., Response]:
    def endpoint(
        running: Services,
        by: Caller,
        content: dict[str, Any],
        request_id: str | None,
        prepare: bool,
        context: Any = None,
        **path: str,
    ) -> Response:
        clash = sorted(set(content) & set(path))
        if clash:
            raise request_invalid(
                [{"loc": [name], "msg": "it stands in the path", "type": "extra_forbidden"} for name in clash]
            )
        command = validated(route.command, {**content, **path})
        carry_out = route.perform if route.performing is None else route.performing(context)
        return carry_out(running, by, route.act, command, request_id, prepare)

    annotations: dict[str, Any] = {
        "running": Running,
        "by": Acting,
        "content": Body,
        "request_id": IdempotencyKey,
        "prepare": Prepare,
        **({} if route.performing is None else {"context": route.context}),
        **dict.fromkeys(from_path, str),
    }
    defaults: dict[str, Any] = {"request_id": None, "prepare": False}
    endpoint.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(
                name, Parameter.KEYWORD_ONLY, annotation=kind, default=defaults.get(name, Parameter.empty)
            )
            for name, kind in annotations.items()
        ]
    )
    endpoint.__name__ = route.act.replace(".", "_")
    return endpoint


# ---- lists -------------------------------------------------------------------------------------------------


Cursor = Annotated[str | None, Query(description="`next` of the page before")]
Before = Annotated[int | None, Query(ge=0, le=2**53, description="`next` of the page before")]
PlainForm = Annotated[str, Form(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)]
"""A field of a form: one line of text."""
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="rows on a page")]


def page_of(
    request: Request,
    session: Session,
    wanted: sa.Select[Any],
    key: Any,
    view: Callable[[Any], Mapping[str, Any]],
    cursor: str | None,
    limit: int,
) -> JSONResponse:
    """One page of a list in the order of `key`, a column that never changes; with `next` and Link rel=next.

    A row is on exactly one page, also when others are added or change while the list is read.
    """
    statement = wanted.order_by(key).limit(limit + 1)
    if cursor is not None:
        statement = statement.where(key > decode_cursor(cursor))
    rows = list(session.scalars(statement))
    items = [dict(view(row)) for row in rows[:limit]]
    following = encode_cursor(getattr(rows[limit - 1], key.key)) if len(rows) > limit else None
    headers = {}
    if following is not None:
        address = request.url.include_query_params(cursor=following)
        headers["Link"] = f'<{address.path}?{address.query}>; rel="next"'
    return JSONResponse({"items": items, "next": following}, headers=headers)


def encode_cursor(after: str) -> str:
    return base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """The key a page ended with; `CursorMalformed` for any other spelling, or what no key can be."""
    try:
        after = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError as fault:
        raise CursorMalformed() from fault
    if not after.isprintable() or encode_cursor(after) != cursor:
        raise CursorMalformed()
    return after


def tagged(request: Request, content: bytes, media_type: str, max_age: int) -> Response:
    """An answer with a strong ETag, or 304 when the reader has it already."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={max_age}"}
    wanted = request.headers.get("If-None-Match", "")
    if etag in (part.strip().removeprefix("W/") for part in wanted.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
