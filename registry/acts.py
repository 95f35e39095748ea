"""How an act becomes an entry: the desk a service works at.

A service is one function `(desk, command) -> answer`. It loads, asks a rule, and calls `desk.act` once for
the act of the person and `desk.consequence` for what the system does because of it. The same function
serves three purposes, because it is deterministic for a given state: to *prepare* (the desk stops at the
payload and everything is rolled back), to *submit* (the payload must come out as the signed bytes, else the
state has moved), and to act at once with keys in server custody.
"""

import hashlib
import hmac
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, ClassVar, Protocol

from sqlalchemy.orm import Session

from ledger.actor_keys import ActorKey, UnknownKey, check_rotation_signatures
from ledger.canonical import JsonValue
from ledger.commitment import commit
from ledger.effects import Effect, Transition
from ledger.entry import Payload
from ledger.envelope import PAYLOAD_TYPE, Envelope, Signature, pae
from ledger.keys import SigningKey
from ledger.log import LedgerTransaction
from ledger.replay import Entry, payload_of
from ledger.signed import Signed
from registry.clock import check_jump, milliseconds
from registry.database import Committed
from registry.errors import RegistryRefusal
from registry.keyring import KeyNotHeld, KeyRing
from registry.machine import (
    MEMBERSHIP,
    ConfirmationMissing,
    Machine,
    Mandate,
    Role,
    Signer,
    Step,
    TransitionRefused,
    check_authority,
    check_carried,
)
from registry.projections import Projections, UnknownMachine, project, record_of, steps_of

CONSEQUENCE_NAMESPACE = uuid.UUID("5d6b0c5e-7a57-5f0e-9f0e-6a1f5c0f7a11")
SYSTEM = Mandate("system", "system", "registry", Role.SYSTEM)
ROOT = Mandate("root", "root", "registry", Role.ROOT)


class Directory(Protocol):
    """Who may act for whom. The accounts room answers; `app.py` says so."""

    def mandates(self, session: Session, person: str) -> tuple[Mandate, ...]: ...

    def server_key(self, session: Session, person: str) -> str | None: ...


class Mode(StrEnum):
    PREPARE = "prepare"
    SUBMIT = "submit"
    SERVER = "server"


class Prepared(Exception):
    """The payload an act would log. Carried out of the savepoint, which rolls back."""

    def __init__(self, payload: bytes) -> None:
        super().__init__("prepared")
        self.payload = payload


class Awaiting(Exception):
    """The act is in order and signed by its initiator; another person has to sign the same payload."""

    def __init__(self, payload: bytes, signatures: Sequence[Signature], needed: str) -> None:
        super().__init__("awaiting")
        self.payload = payload
        self.signatures = tuple(signatures)
        self.needed = needed


class PayloadMoved(RegistryRefusal):
    """Between prepare and submit the registry moved on. Nothing was written."""

    code: ClassVar[str] = "state_moved_since_prepare"
    template: ClassVar[str] = "The registry has moved on since the act was prepared; prepare it again."


class NotSimulated(RegistryRefusal):
    code: ClassVar[str] = "not_simulated"
    template: ClassVar[str] = "This is possible in a simulated installation only."


@dataclass(frozen=True, slots=True)
class Opened:
    """A commitment made in this act: its digest for the entry, its key and values for the row."""

    digest: str
    key: bytes
    values: Mapping[str, Any]

    def reveal(self, row: Committed) -> None:
        """Put key and values on the projected row they belong to."""
        row.commitment_key = self.key
        for name, value in self.values.items():
            setattr(row, name, value)


@dataclass(slots=True)
class Desk:
    """One act in progress, inside the writer's transaction.

    `salt` is 32 random bytes kept with the request from its first call on, so that commitments come out the
    same when the act is prepared, submitted and confirmed.
    """

    session: Session
    ledger: LedgerTransaction
    keyring: KeyRing
    projections: Projections
    machines: Mapping[str, Machine]
    directory: Directory
    now: datetime
    simulated: bool
    actor: Mandate
    request_id: str
    salt: bytes
    mode: Mode = Mode.SERVER
    expected: bytes | None = None
    collected: tuple[Signature, ...] = ()
    server_signers: tuple[str, ...] = ()
    checked: frozenset[Signature] = frozenset()
    """Signatures over `expected` that were verified before the writer's turn."""
    entries: list[Entry] = field(default_factory=list)
    _acted: bool = False

    # -- what services call

    def act(
        self,
        machine: Machine,
        action: str,
        subject: str,
        *,
        facts: Mapping[str, JsonValue] | None = None,
        commitments: Mapping[str, Opened] | None = None,
        effects: Sequence[Effect] = (),
        reason_code: str = "",
        type_: str = "act",
        rule: Step | None = None,
        successor: ActorKey | None = None,
    ) -> Entry:
        """Log the person's own act; once per command.

        `rule` stands for the table's step where the subject decides which part of that counts. `successor` is
        the new key of a rotation, which signs beside the one that it follows.

        Raises `TransitionRefused`, `NotAuthorised`, a `LedgerRefusal`; `Prepared` and `Awaiting` on the way.
        """
        if self._acted:
            raise RuntimeError("a command has one act of its own; what follows from it is a consequence")
        self._acted = True
        payload = self._payload(
            self.request_id,
            self.actor,
            machine,
            action,
            subject,
            facts,
            commitments,
            effects,
            reason_code,
            type_,
        )
        content = payload.to_bytes()
        rule = rule or machine.step(payload.before, action, subject)
        return self._append(content, self._sign(rule, payload, content, successor))

    def consequence(
        self,
        machine: Machine,
        action: str,
        subject: str,
        *,
        facts: Mapping[str, JsonValue] | None = None,
        commitments: Mapping[str, Opened] | None = None,
        effects: Sequence[Effect] = (),
        reason_code: str = "",
    ) -> Entry:
        """Log what the system does because of the act, signed by the registry's `system` key."""
        # From the salt, so that nobody can take the id before: it must not follow from what others know.
        entry_id = str(uuid.uuid5(CONSEQUENCE_NAMESPACE, f"{self.salt.hex()}/{len(self.entries)}"))
        payload = self._payload(
            entry_id, SYSTEM, machine, action, subject, facts, commitments, effects, reason_code, "act"
        )
        rule = machine.step(payload.before, action, subject)
        signers = [Signer(SYSTEM.person, (SYSTEM,))]
        check_authority(machine.name, action, rule, SYSTEM, SYSTEM.person, signers)
        self._check_carried(payload, signers)
        content = payload.to_bytes()
        return self._append(content, [self._server_signature(SYSTEM.person, content)])

    @property
    def must_look(self) -> bool:
        """Whether a rule that a table's own constraint holds has to be looked at first. In a group without
        savepoints it need not: a row that breaks it has the group done again, with savepoints.
        """
        return self.mode is Mode.PREPARE or self.ledger.savepoints

    def state(self, machine: Machine, subject: str) -> str:
        """The subject's state: what the log implies, else the machine's initial one."""
        source = self.ledger.source
        known = source.subject_state(machine.name, subject)
        if known is None and machine.name == "key" and source.actor_key(subject) is not None:
            return "active"  # the first entry registers the keys of root and system without a step of theirs
        return known or machine.initial

    def commitment(self, label: str, model: type[Any], /, **values: Any) -> Opened:
        """Commit the committed columns of one row of `model`; `label` is unique within the request."""
        key = hmac.new(self.salt, f"{self.request_id}/{label}".encode(), hashlib.sha256).digest()
        return Opened(commit(key, dict(record_of(model, values))), key, values)

    def commit_record(self, name: str, record: dict[str, JsonValue]) -> Opened:
        """Commit a record that is kept as a document rather than as columns."""
        key = hmac.new(self.salt, f"{self.request_id}/{name}".encode(), hashlib.sha256).digest()
        return Opened(commit(key, record), key, record)

    # -- how an entry is made

    def _payload(
        self,
        entry_id: str,
        by: Mandate,
        machine: Machine,
        action: str,
        subject: str,
        facts: Mapping[str, JsonValue] | None,
        commitments: Mapping[str, Opened] | None,
        effects: Sequence[Effect],
        reason_code: str,
        type_: str,
    ) -> Payload:
        before = self.state(machine, subject)
        rule = machine.step(before, action, subject)
        return Payload(
            type=type_,
            id=entry_id,
            by=by.person,
            role=by.role.value,
            mandate=by.id,
            machine=machine.name,
            subject=subject,
            action=action,
            before=before,
            after=rule.after,
            reason_code=reason_code,
            facts=dict(facts or {}),
            commitments={name: opened.digest for name, opened in (commitments or {}).items()},
            effects=tuple(effects),
        )

    def _sign(
        self, rule: Step, payload: Payload, content: bytes, successor: ActorKey | None
    ) -> list[Signature]:
        Envelope(content)  # refuses what would be too large to log before anybody signs it
        for effect in payload.effects:
            if isinstance(effect, Transition):
                self._carried_rule(effect)
        if self.mode is Mode.PREPARE:
            if self.actor.role not in rule.roles and self.actor.role not in rule.confirmers:
                check_authority(payload.machine, payload.action, rule, self.actor, payload.by, [])
            raise Prepared(content)
        if self.expected is not None and self.expected != content:
            raise PayloadMoved()
        if successor is None:
            signatures = [*self.collected, *(self._server_signature(p, content) for p in self.server_signers)]
            signers = [self._signer(signature, content) for signature in signatures]
        else:
            signatures = self._rotation_signatures(payload, content, successor)
            signers = [self._signer(signature, content, successor) for signature in signatures][:1]
        try:
            check_authority(payload.machine, payload.action, rule, self.actor, payload.by, signers)
        except ConfirmationMissing as missing:
            raise Awaiting(content, signatures, str(missing.facts["needed"])) from missing
        self._check_carried(payload, signers)
        return signatures

    def _rotation_signatures(self, payload: Payload, content: bytes, successor: ActorKey) -> list[Signature]:
        """Two signatures of one person, by the old and the new key: the server's part, where it holds them,
        and what the person brought.
        """
        signatures = {signature.keyid: signature for signature in self.collected}
        for keyid in (payload.subject, successor.keyid):
            known = successor if keyid == successor.keyid else self.ledger.source.actor_key(keyid)
            if keyid not in signatures and known is not None and known.custody == "server":
                signatures[keyid] = _signature(self.keyring.held(keyid, known.person), content)
        check_rotation_signatures(tuple(signatures.values()), payload.subject, successor.keyid)
        return list(signatures.values())

    def _carried_rule(self, effect: Transition) -> Step:
        """The step of its machine's table that an entry carries, else `TransitionRefused` (invariant I8)."""
        machine = self.machines.get(effect.machine)
        if machine is None:
            raise UnknownMachine(index=self.ledger.size, machine=effect.machine)
        rule = machine.step(effect.before, effect.action, effect.subject)
        known = self.ledger.source.subject_state(effect.machine, effect.subject)
        if rule.after != effect.after or (known is None and effect.before != machine.initial):
            raise TransitionRefused(
                machine=machine.name, subject=effect.subject, state=effect.before, action=effect.action
            )
        return rule

    def _check_carried(self, payload: Payload, signers: Sequence[Signer]) -> None:
        """Nobody causes by an entry what they may not do by an act of their own (invariant I9)."""
        for effect in payload.effects:
            if isinstance(effect, Transition):
                check_carried(effect.machine, effect.action, self._carried_rule(effect), signers)

    def _server_signature(self, person: str, content: bytes) -> Signature:
        """By the person's newest key in server custody. Raises `KeyNotHeld`; `KeyEnded` when it was ended."""
        keyid = self.ledger.memory.recall(
            ("server_key", person), lambda: self.directory.server_key(self.session, person)
        )
        key = None if keyid is None else self.ledger.source.actor_key(keyid)
        if key is None:
            raise KeyNotHeld(keyid=f"of {person}")
        key.require_running()
        return _signature(self.keyring.held(key.keyid, person), content)

    def _signer(self, signature: Signature, content: bytes, successor: ActorKey | None = None) -> Signer:
        key = self.ledger.source.actor_key(signature.keyid)
        if key is None and successor is not None and successor.keyid == signature.keyid:
            key = successor
        if key is None:
            raise UnknownKey(keyid=signature.keyid)
        key.require_running()
        if signature not in self.checked:
            Envelope(content, PAYLOAD_TYPE, (signature,)).verify({key.keyid: key.public_key})
        for own in (ROOT, SYSTEM):
            if key.person == own.person:
                return Signer(own.person, (own,))
        mandates = self.ledger.memory.recall(
            ("mandates", key.person), lambda: self.directory.mandates(self.session, key.person)
        )
        return Signer(key.person, mandates)

    def _append(self, content: bytes, signatures: Sequence[Signature]) -> Entry:
        """Log a payload whose signatures this desk has made or verified."""
        envelope = Envelope(content, PAYLOAD_TYPE, tuple(sorted(signatures, key=attrgetter("keyid"))))
        signed = Signed(envelope, payload_of(envelope), frozenset(s.keyid for s in signatures))
        at_ms = max(milliseconds(self.now), self.ledger.last_at_ms)
        check_jump((at_ms - milliseconds(self.now)) / 1000)
        entry = self.ledger.append_signed(at_ms, signed)
        project(self.session, entry, self.projections)
        if any(step.machine in MEMBERSHIP for step in steps_of(entry)):
            self.ledger.memory.recalled.clear()
        self.entries.append(entry)
        return entry


def _signature(key: SigningKey, content: bytes) -> Signature:
    return Signature(key.keyid, key.sign(pae(PAYLOAD_TYPE, content)))
