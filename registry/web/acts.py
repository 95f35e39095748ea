"""Many acts in one request, for programs: a bank's statement lines, a day's deliveries.

`POST /api/v1/acts` takes up to 256 requests. Each is an act by itself, with its own id, refused or done by
itself; all of them share the writer's group, so a batch costs far less than its acts one by one. A program
that keeps its own key, and knows the bytes an act logs, signs before it asks: it sends the DSSE envelope
along, and needs no second call.
"""

import asyncio
import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from geo.errors import GeoRefusal
from ledger.envelope import Envelope
from ledger.errors import LedgerRefusal
from registry.errors import RegistryRefusal
from registry.language import Language
from registry.office import Asked, Outcome
from registry.problem import language_of, problem_body, reported, status_of
from registry.web.api import (
    ACT_PROBLEMS,
    BEARER,
    ActAnswer,
    Caller,
    Services,
    act_answer,
    acting,
    caller_of,
    inlined,
    parse_json_body,
    proofs_of,
    request_invalid,
    services,
    validated,
)
from registry.web.refusals import ActUnknown

MOST_ACTS: Final = 256
KEY_SECONDS: Final = 1.0
"""How long a key that was good is taken to be good without looking again; its mandate is looked at with every
act.
"""
MOST_KEYS: Final = 4096
ALONE: Final = frozenset({"period.estimate"})
"""Acts with long work before them, which a batch does not wait for."""

Refusal = RegistryRefusal | LedgerRefusal | GeoRefusal

router = APIRouter(tags=["requests"])


class AskedBody(BaseModel):
    """One act of a batch. `command` has all the fields of the act, those of its path included."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(description="a new UUID, lower case; it names the request")
    act: str
    command: dict[str, Any] = {}
    envelope: dict[str, Any] | None = Field(
        None, description="DSSE, signed over the payload that the act logs"
    )


class BatchBody(BaseModel):
    """Acts in the order in which they are done."""

    model_config = ConfigDict(extra="forbid", strict=True)

    acts: Annotated[list[AskedBody], Field(min_length=1, max_length=MOST_ACTS)]
    receipts: bool = Field(False, description="answer with the proof of each entry, not only where it is")


class ActResult(ActAnswer):
    """As the answer of an act asked alone; `refused` with the problem, where it was."""

    problem: dict[str, Any] | None = None


class BatchAnswer(BaseModel):
    """One result for each act, in their order."""

    results: list[ActResult]


@router.post(
    "/acts",
    operation_id="acts",
    summary="Many acts in one request, each by itself",
    response_model=BatchAnswer,
    responses=ACT_PROBLEMS,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": inlined(BatchBody.model_json_schema())}},
        }
    },
)
async def acts(request: Request) -> Response:
    """Answers when all of them are durable and published: 200, whatever became of each."""
    running = services(request)
    by = await request.app.state.recent_keys.caller(request, running)
    batch = _batch(parse_json_body(request, await request.body()))
    language = language_of(request)
    results: list[dict[str, Any] | None] = [None] * len(batch.acts)
    asked, places = [], []
    for place, one in enumerate(batch.acts):
        try:
            asked.append(_asked(running, by, one))
            places.append(place)
        except (RegistryRefusal, LedgerRefusal, GeoRefusal) as refusal:
            results[place] = _refused(one.id, refusal, language)
    futures = await _all_done(running.office.send_all(asked))
    done = [future.result() for future in futures if future.exception() is None]
    proofs = await run_in_threadpool(proofs_of, running, done) if batch.receipts else {}
    for place, future in zip(places, futures, strict=True):
        results[place] = _result(batch.acts[place].id, future, proofs, request, language)
    content = json.dumps({"results": results}, ensure_ascii=False).encode()
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})


def _batch(content: dict[str, Any]) -> BatchBody:
    try:
        return BatchBody.model_validate(content)
    except ValidationError as invalid:
        raise request_invalid(list(invalid.errors(include_url=False, include_input=False))) from invalid


def _asked(running: Services, by: Caller, one: AskedBody) -> Asked:
    act = running.office.acts.get(one.act)
    if act is None or one.act in ALONE:
        raise ActUnknown(act=one.act[:80])
    envelope = None if one.envelope is None else Envelope.from_json(one.envelope)
    return Asked(by.mandate, one.act, validated(act.command, one.command), one.id, envelope)


async def _all_done(futures: Sequence[Future[Outcome]]) -> Sequence[Future[Outcome]]:
    """Wait for all of them; this thread is woken once."""
    if not futures:
        return futures
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left, lock = len(futures), threading.Lock()

    def wake() -> None:
        if not done.done():
            done.set_result(None)

    def one_less(_future: Future[Outcome]) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            loop.call_soon_threadsafe(wake)

    for future in futures:
        future.add_done_callback(one_less)
    await done
    return futures


def _result(
    request_id: str,
    future: Future[Outcome],
    proofs: Mapping[int, str],
    request: Request,
    language: Language,
) -> dict[str, Any]:
    failure = future.exception()
    if failure is None:
        return act_answer(future.result(), proofs).model_dump(exclude_none=True)
    if isinstance(failure, Refusal) and status_of(type(failure)) is not None:
        return _refused(request_id, failure, language)
    return _refused(request_id, reported(request, failure), language)


def _refused(request_id: str, refusal: Refusal, language: Language) -> dict[str, Any]:
    return {"request": request_id[:80], "status": "refused", "problem": problem_body(refusal, language)}


class RecentKeys:
    """Keys that were good a moment ago, because programs ask many times a second."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Caller]] = {}

    async def caller(self, request: Request, running: Services) -> Caller:
        """Whoever may act with the key of this request; `NotAuthenticated`, `KeyReadsOnly`."""
        credentials = await BEARER(request)
        token = "" if credentials is None else credentials.credentials
        found = self._known.get(token)
        now = time.monotonic()
        if found is None or found[0] < now:
            by = acting(await run_in_threadpool(caller_of, request, running, token))
            if len(self._known) > MOST_KEYS:
                self._known.clear()
            found = self._known[token] = (now + KEY_SECONDS, by)
        return found[1]
