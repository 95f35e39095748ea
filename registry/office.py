"""The counter: every request for an act comes here, from the API and from the command line alike.

A request has an id made by its client. It is kept with a digest of what was asked, its answer, and, while a
signature is awaited, the prepared payload. The same id with the same content gets the same answer however
often it is sent and from whichever process; the same id with other content is refused. All of that is
written in the transaction that writes the entry.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final, cast

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Mapped, Session

from ledger.canonical import JsonValue, encode
from ledger.entry import REQUEST_ID
from ledger.envelope import PAYLOAD_TYPE, Envelope, Signature, decode_leaf
from ledger.errors import LedgerRefusal
from ledger.log import LedgerTransaction, leaves
from ledger.signed import verified
from registry.acts import Awaiting, Desk, Directory, Mode, PayloadMoved, Prepared
from registry.clock import Clock
from registry.database import Base, UtcInstant, working
from registry.errors import RegistryRefusal
from registry.group import group_of
from registry.keyring import KeyRing
from registry.machine import Machine, Mandate, Role
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


class TextRefused(RegistryRefusal):
    """Control characters, halves of characters, and marks that turn the direction of what follows."""

    code: ClassVar[str] = "text_refused"
    template: ClassVar[str] = "The text of {field} holds the character {character}, which cannot be kept."


UNKEPT: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


ONE_LINE: Final = r"^\S([^\t\n\r\u2028\u2029]*\S)?$"
"""The pattern of a name: one line without space around it, so that on a certificate or a page nobody's name
looks like a statement of ours.
"""


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
    """What came of a request: `done` with answer and entries, `awaiting` a signature, or `prepared`."""

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


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: who asks for which act, with what, under which id.

    With an `envelope` it is signed already, by a program that knows which bytes the act will log; without it
    is signed with the key that the registry holds for the actor.
    """

    actor: Mandate
    act: str
    command: Command
    request_id: str
    envelope: Envelope | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """How a request is taken up this time: what has to come out, who signed it, and who signs now."""

    mode: Mode
    expected: bytes | None = None
    collected: tuple[Signature, ...] = ()
    server_signers: tuple[str, ...] = ()
    checked: frozenset[Signature] = frozenset()
    command: Command | None = None
    """The request's command, where it need not be read back from its row."""


@dataclass(slots=True)
class Office:
    """Carries requests to the writer. One per process."""

    writer: Writer
    keyring: KeyRing
    clock: Clock
    projections: Projections
    directory: Directory
    acts: Mapping[str, Act]
    machines: Mapping[str, Machine]

    def execute(self, actor: Mandate, act: str, command: Command, request_id: str) -> Outcome:
        """Do it with the actor's key in server custody; `awaiting` when a second person has to sign."""
        return self.send(actor, act, command, request_id).result()

    def send(self, actor: Mandate, act: str, command: Command, request_id: str) -> "Future[Outcome]":
        """As `execute`, without waiting: many acts then share one group."""
        return self.writer.submit(self._job(Asked(actor, act, command, request_id)), request_id)

    def send_all(self, asked: Sequence["Asked"]) -> "list[Future[Outcome]]":
        """Many requests at once, each by itself: one that is refused hinders no other."""
        jobs, refused = [], dict[int, Future[Outcome]]()
        for place, one in enumerate(asked):
            try:
                jobs.append((self._job(one), one.request_id))
            except (RegistryRefusal, LedgerRefusal) as refusal:
                refused[place] = Future()
                refused[place].set_exception(refusal)
        sent = iter(self.writer.submit_all(jobs))
        return [refused[place] if place in refused else next(sent) for place in range(len(asked))]

    def _job(self, asked: "Asked") -> Callable[[Session, LedgerTransaction], Outcome]:
        """What the writer does with a request: act with the actor's key in server custody or, where the
        actor brought a signed envelope at once, with that.
        """
        _check_id(asked.request_id)
        content = _content(asked.act, asked.command)
        envelope = asked.envelope
        checked = frozenset() if envelope is None else self._checked(envelope)

        def work(session: Session, ledger: LedgerTransaction) -> Outcome:
            request = self._request(session, asked.actor, asked.act, content, asked.request_id)
            if request.status == "done" or (envelope is None and request.status != "new"):
                return _outcome(request, replayed=True)
            if envelope is None:
                turn = Turn(Mode.SERVER, server_signers=(asked.actor.person,), command=asked.command)
            else:
                collected = _merged(request, envelope.signatures)
                turn = Turn(Mode.SUBMIT, envelope.payload, collected, checked=checked, command=asked.command)
            return self._attempt(session, ledger, request, turn)

        return work

    def _checked(self, envelope: Envelope) -> frozenset[Signature]:
        """The signatures that can be verified before the writer's turn."""
        if envelope.payload_type != PAYLOAD_TYPE:
            raise PayloadMoved()
        return verified(envelope.payload, envelope.signatures, self.writer.public_key)

    def prepare(self, actor: Mandate, act: str, command: Command, request_id: str) -> Outcome:
        """The exact payload bytes that the actor has to sign. Nothing is logged."""
        _check_id(request_id)
        content = _content(act, command)

        def work(session: Session, ledger: LedgerTransaction) -> Outcome:
            request = self._request(session, actor, act, content, request_id)
            if request.status not in ("new", "prepared"):
                return _outcome(request, replayed=True)
            return self._attempt(session, ledger, request, Turn(Mode.PREPARE))

        return self.writer.run(work, request_id)

    def submit(self, person: str, request_id: str, envelope: Envelope) -> Outcome:
        """Bring a signed envelope over a prepared or awaiting payload; from its initiator, or from its
        confirmer, whose signature is then in it.
        """
        _check_id(request_id)
        checked = self._checked(envelope)

        def work(session: Session, ledger: LedgerTransaction) -> Outcome:
            request = _open_request(session, ledger, person, request_id)
            if request.status == "done":
                return _outcome(request, replayed=True)
            if person != request.person:
                _check_confirmer(ledger, person, request, envelope)
            if envelope.payload != request.payload:
                raise PayloadMoved()
            collected = _merged(request, envelope.signatures)
            turn = Turn(Mode.SUBMIT, request.payload, collected, checked=checked)
            return self._attempt(session, ledger, request, turn)

        return self.writer.run(work, request_id)

    def confirm(self, actor: Mandate, request_id: str) -> Outcome:
        """Add the confirmer's signature with a key in server custody; the entry is logged when it was the
        last one.
        """
        return self.send_confirmation(actor, request_id).result()

    def send_confirmation(self, actor: Mandate, request_id: str) -> "Future[Outcome]":
        _check_id(request_id)

        def work(session: Session, ledger: LedgerTransaction) -> Outcome:
            request = _open_request(session, ledger, actor.person, request_id)
            if request.status == "done":
                return _outcome(request, replayed=True)
            if request.person == actor.person:
                raise RequestUnknown(request_id=request_id)
            collected = _merged(request, ())
            turn = Turn(Mode.SUBMIT, request.payload, collected, server_signers=(actor.person,))
            return self._attempt(session, ledger, request, turn)

        return self.writer.submit(work, request_id)

    # -- within the writer's transaction

    def _request(
        self, session: Session, actor: Mandate, act: str, content: dict[str, Any], request_id: str
    ) -> Request:
        asked: JsonValue = {"act": act, "command": content, "person": actor.person, "mandate": actor.id}
        digest = hashlib.sha256(encode(asked)).hexdigest()
        request = find_request(session, request_id)
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
            created_at=group_of(session).instant(self.clock.now),
        )

    def _attempt(
        self, session: Session, ledger: LedgerTransaction, request: Request, turn: "Turn"
    ) -> Outcome:
        group = group_of(session)
        try:
            with ledger.savepoint():
                answer = self._serve(session, ledger, request, turn)
        except Prepared as prepared:
            request.payload, request.status = prepared.payload, "prepared"
        except Awaiting as awaiting:
            request.payload, request.status = awaiting.payload, "awaiting"
            request.needed = awaiting.needed
            request.signatures = [{"keyid": s.keyid, "sig": s.sig.hex()} for s in awaiting.signatures]
        except BaseException:
            ledger.memory.recalled.clear()
            raise
        else:
            request.status, request.answer = "done", answer
            request.command = request.salt = request.payload = None
            request.signatures = []
        if request not in session:
            group.made[request.id] = request
        return _outcome(request, replayed=False)

    def _serve(self, session: Session, ledger: LedgerTransaction, request: Request, turn: "Turn") -> Answer:
        act = self.acts[request.act]
        assert request.salt is not None and request.command is not None
        desk = Desk(
            session=session,
            ledger=ledger,
            keyring=self.keyring,
            projections=self.projections,
            machines=self.machines,
            directory=self.directory,
            now=group_of(session).instant(self.clock.now),
            simulated=self.clock.simulated,
            actor=_mandate(request),
            request_id=request.id,
            salt=request.salt,
            mode=turn.mode,
            expected=turn.expected,
            collected=turn.collected,
            server_signers=turn.server_signers,
            checked=turn.checked,
        )
        command = turn.command or act.command.model_validate_json(encode(request.command))
        answer = act.service(desk, command)
        return {**answer, "entries": [entry.index for entry in desk.entries]}


class RequestsOfGroup:
    """The requests of a group are looked for together and written together (`registry.writer.Bracket`)."""

    def begin(self, session: Session, request_ids: Sequence[str]) -> None:
        group = group_of(session)
        group.found = dict.fromkeys(request_ids)
        if request_ids:
            known = sa.select(Request.id).where(Request.id.in_(request_ids))
            for request_id in session.execute(known).scalars().all():  # few: nearly all requests are new
                group.found[request_id] = session.get(Request, request_id)

    def end(self, session: Session) -> None:
        made = group_of(session).made.values()
        if made:
            columns = Request.__table__.columns.keys()
            rows = [{name: getattr(request, name) for name in columns} for request in made]
            session.execute(sa.insert(cast("sa.Table", Request.__table__)), rows)


def find_request(session: Session, request_id: str) -> Request | None:
    """A request of this group or of an earlier one."""
    group = group_of(session)
    made: Request | None = group.made.get(request_id)
    if made is not None:
        return made
    if request_id not in group.found:
        group.found[request_id] = session.get(Request, request_id)
    found: Request | None = group.found[request_id]
    return found


def _content(act: str, command: Command) -> dict[str, Any]:
    """The command as it is kept and compared; `TextRefused` for what cannot be kept."""
    content = command.model_dump(mode="json")
    _check_texts(act, content)
    return content


def _mandate(request: Request) -> Mandate:
    kept = request.mandate
    return Mandate(kept["id"], request.person, kept["organisation"], Role(kept["role"]))


def _open_request(session: Session, ledger: LedgerTransaction, person: str, request_id: str) -> Request:
    """The request, for those it concerns: its initiator; whoever may confirm it while it waits, which its
    signatures decide; and once it is done those who signed it. To others it does not exist.
    """
    request = find_request(session, request_id)
    if request is not None:
        if request.person == person or request.status == "awaiting":
            return request
        if request.status == "done" and person in _signers(session, ledger, request):
            return request
    raise RequestUnknown(request_id=request_id)


def _signers(session: Session, ledger: LedgerTransaction, request: Request) -> set[str]:
    """Who signed the entry that came of the request: the log says it."""
    source = ledger.source
    found: set[str] = set()
    for index in _outcome(request, replayed=True).entries[:1]:
        for leaf in leaves(session, index, index + 1):
            keys = (source.actor_key(signature.keyid) for signature in decode_leaf(leaf)[1].signatures)
            found |= {key.person for key in keys if key is not None}
    return found


def _check_confirmer(ledger: LedgerTransaction, person: str, request: Request, envelope: Envelope) -> None:
    """Nobody brings the signatures of others, or asks after a payload that they do not know."""
    known = {item["keyid"] for item in request.signatures}
    keys = [ledger.source.actor_key(s.keyid) for s in envelope.signatures if s.keyid not in known]
    own = bool(keys) and all(key is not None and key.person == person for key in keys)
    if not own or envelope.payload != request.payload:
        raise RequestUnknown(request_id=request.id)


def _check_texts(field: str, value: object) -> None:
    match value:
        case str():
            found = UNKEPT.search(value)
            if found is not None:
                raise TextRefused(field=field, character=f"U+{ord(found[0]):04X}")
        case dict():
            for name, item in value.items():
                _check_texts(field, name)
                _check_texts(f"{field}.{name}", item)
        case list():
            for item in value:
                _check_texts(field, item)


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
