"""The counter: every request for an act comes here, from the API and from the command line alike.

A request has an id made by its client. It is kept with a digest of what was asked, its answer, and, while a
signature is awaited, the prepared payload. The same id with the same content gets the same answer however
often it is sent and from whichever process; the same id with other content is refused. All of that is
written in the transaction that writes the entry.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Mapped, Session

from ledger.canonical import JsonValue, encode
from ledger.entry import REQUEST_ID
from ledger.envelope import PAYLOAD_TYPE, Envelope, Signature
from ledger.log import LedgerTransaction
from registry.acts import Awaiting, Desk, Directory, Mode, PayloadMoved, Prepared
from registry.clock import Clock
from registry.database import Base, UtcInstant, working
from registry.errors import RegistryRefusal
from registry.keyring import KeyRing
from registry.machine import Mandate, Role
from registry.projections import Projections
from registry.writer import Writer

Answer = dict[str, JsonValue]


class Command(BaseModel):
    """What somebody asks for, as it comes in JSON. Unknown fields and lax types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Act:
    """One kind of request: its name, the shape of its command, and the service that carries it out."""

    name: str
    command: type[Command]
    service: Callable[[Desk, Any], Answer]


class RequestIdMalformed(RegistryRefusal):
    code: ClassVar[str] = "request_id_malformed"
    template: ClassVar[str] = "A request id is a lower-case UUID; {request_id} is not."


class RequestIdReused(RegistryRefusal):
    code: ClassVar[str] = "idempotency_key_reused"
    template: ClassVar[str] = "The request id {request_id} was used for another request."


class RequestUnknown(RegistryRefusal):
    code: ClassVar[str] = "request_unknown"
    template: ClassVar[str] = "There is no open request {request_id} for you."


class Request(Base):
    """A request and, once it is done, its answer. Working data: the entries say what happened."""

    __tablename__ = "request"

    id: Mapped[str] = working(sa.String(36), primary_key=True)
    act: Mapped[str] = working(sa.String(80))
    digest: Mapped[str] = working(sa.String(64))
    person: Mapped[str] = working(sa.String(200), index=True)
    mandate: Mapped[dict[str, str]] = working(sa.JSON)
    command: Mapped[dict[str, Any] | None] = working(sa.JSON, nullable=True)
    salt: Mapped[bytes | None] = working(sa.LargeBinary, nullable=True)
    payload: Mapped[bytes | None] = working(sa.LargeBinary, nullable=True)
    signatures: Mapped[list[dict[str, str]]] = working(sa.JSON)
    status: Mapped[str] = working(sa.String(10), index=True)
    needed: Mapped[str] = working(sa.String(200))
    answer: Mapped[dict[str, Any] | None] = working(sa.JSON, nullable=True)
    created_at: Mapped[datetime] = working(UtcInstant)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request: `done` with an answer and its entries, `awaiting` a signature, or `prepared`."""

    request_id: str
    status: str
    answer: Answer
    payload: bytes | None = None
    needed: str = ""
    replayed: bool = False

    @property
    def entries(self) -> list[int]:
        entries: Any = self.answer.get("entries", [])
        return list(entries)


@dataclass(slots=True)
class Office:
    """Carries requests to the writer. One per process."""

    writer: Writer
    keyring: KeyRing
    clock: Clock
    projections: Projections
    directory: Directory
    acts: Mapping[str, Act]

    def execute(self, actor: Mandate, act: str, command: Command, request_id: str) -> Outcome:
        """Do it with the actor's key in server custody; `awaiting` when a second person has to sign."""
        return self.send(actor, act, command, request_id).result()

    def send(self, actor: Mandate, act: str, command: Command, request_id: str) -> "Future[Outcome]":
        """As `execute`, without waiting: many acts then share one group."""
        _check_id(request_id)

        def work(session: Session, ledger: LedgerTransaction) -> Outcome:
            request = self._request(session, actor, act, command, request_id)
            if request.status != "new":
                return _outcome(request, replayed=True)
            return self._attempt(session, ledger, request, Mode.SERVER, server_signers=(actor.person,))

        return self.writer.submit(work)

    def prepare(self, actor: Mandate, act: str, command: Command, request_id: str) -> Outcome:
        """The exact payload bytes that the actor has to sign. Nothing is logged."""
        _check_id(request_id)

        def work(session: Session, ledger: LedgerTransaction) -> Outcome:
            request = self._request(session, actor, act, command, request_id)
            if request.status not in ("new", "prepared"):
                return _outcome(request, replayed=True)
            return self._attempt(session, ledger, request, Mode.PREPARE)

        return self.writer.run(work)

    def submit(self, person: str, request_id: str, envelope: Envelope) -> Outcome:
        """Bring a signed envelope over a prepared or awaiting payload; from its initiator or its confirmer."""

        def work(session: Session, ledger: LedgerTransaction) -> Outcome:
            request = _open_request(session, request_id)
            if request.status == "done":
                return _outcome(request, replayed=True)
            if envelope.payload_type != PAYLOAD_TYPE or envelope.payload != request.payload:
                raise PayloadMoved()
            return self._attempt(
                session, ledger, request, Mode.SUBMIT, collected=_merged(request, envelope.signatures)
            )

        return self.writer.run(work)

    def confirm(self, actor: Mandate, request_id: str) -> Outcome:
        """Add the confirmer's signature with a key in server custody; the entry is logged when it was the
        last one.
        """
        return self.send_confirmation(actor, request_id).result()

    def send_confirmation(self, actor: Mandate, request_id: str) -> "Future[Outcome]":
        def work(session: Session, ledger: LedgerTransaction) -> Outcome:
            request = _open_request(session, request_id)
            if request.status == "done":
                return _outcome(request, replayed=True)
            if request.status != "awaiting" or request.person == actor.person:
                raise RequestUnknown(request_id=request_id)
            return self._attempt(
                session, ledger, request, Mode.SUBMIT,
                collected=_merged(request, ()), server_signers=(actor.person,),
            )  # fmt: skip

        return self.writer.submit(work)

    # -- within the writer's transaction

    def _request(
        self, session: Session, actor: Mandate, act: str, command: Command, request_id: str
    ) -> Request:
        content = command.model_dump(mode="json")
        asked: JsonValue = {"act": act, "command": content, "person": actor.person, "mandate": actor.id}
        digest = hashlib.sha256(encode(asked)).hexdigest()
        request = session.get(Request, request_id)
        if request is not None:
            if request.digest != digest:
                raise RequestIdReused(request_id=request_id)
            return request
        return Request(
            id=request_id,
            act=act,
            digest=digest,
            person=actor.person,
            mandate={"id": actor.id, "organisation": actor.organisation, "role": actor.role.value},
            command=content,
            salt=secrets.token_bytes(32),
            payload=None,
            signatures=[],
            status="new",
            needed="",
            answer=None,
            created_at=self.clock.now(),
        )

    def _attempt(
        self,
        session: Session,
        ledger: LedgerTransaction,
        request: Request,
        mode: Mode,
        collected: tuple[Signature, ...] = (),
        server_signers: tuple[str, ...] = (),
    ) -> Outcome:
        try:
            with ledger.savepoint():
                answer = self._serve(session, ledger, request, mode, collected, server_signers)
        except Prepared as prepared:
            request.payload, request.status = prepared.payload, "prepared"
        except Awaiting as awaiting:
            request.payload, request.status = awaiting.payload, "awaiting"
            request.needed = awaiting.needed
            request.signatures = [{"keyid": s.keyid, "sig": s.sig.hex()} for s in awaiting.signatures]
        else:
            request.status, request.answer = "done", answer
            request.command = request.salt = request.payload = None
            request.signatures = []
        session.add(request)
        session.flush()
        return _outcome(request, replayed=False)

    def _serve(
        self,
        session: Session,
        ledger: LedgerTransaction,
        request: Request,
        mode: Mode,
        collected: tuple[Signature, ...],
        server_signers: tuple[str, ...],
    ) -> Answer:
        act = self.acts[request.act]
        assert request.salt is not None and request.command is not None
        desk = Desk(
            session=session,
            ledger=ledger,
            keyring=self.keyring,
            projections=self.projections,
            directory=self.directory,
            now=self.clock.now(),
            simulated=self.clock.simulated,
            actor=_mandate(request),
            request_id=request.id,
            salt=request.salt,
            mode=mode,
            expected=request.payload if mode is Mode.SUBMIT else None,
            collected=collected,
            server_signers=server_signers,
        )
        command = act.command.model_validate_json(encode(request.command))
        answer = act.service(desk, command)
        return {**answer, "entries": [entry.index for entry in desk.entries]}


def _mandate(request: Request) -> Mandate:

    kept = request.mandate
    return Mandate(kept["id"], request.person, kept["organisation"], Role(kept["role"]))


def _open_request(session: Session, request_id: str) -> Request:
    request = session.get(Request, request_id)
    if request is None:
        raise RequestUnknown(request_id=request_id)
    return request


def _merged(request: Request, added: Sequence[Signature]) -> tuple[Signature, ...]:
    known = {
        item["keyid"]: Signature(item["keyid"], bytes.fromhex(item["sig"])) for item in request.signatures
    }
    return tuple({**known, **{signature.keyid: signature for signature in added}}.values())


def _outcome(request: Request, *, replayed: bool) -> Outcome:
    return Outcome(
        request_id=request.id,
        status=request.status,
        answer=dict(request.answer or {}),
        payload=request.payload,
        needed=request.needed,
        replayed=replayed,
    )


def _check_id(request_id: str) -> None:
    if not REQUEST_ID.fullmatch(request_id):
        raise RequestIdMalformed(request_id=request_id)
