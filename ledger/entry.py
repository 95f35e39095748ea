"""What one entry of the log says: the payload that actors sign.

One shape for every type of entry, so that one parser is enough for fifty years:

    {"v": 1, "type", "id", "by", "role", "mandate", "machine", "subject", "action", "before", "after",
     "reason_code", "facts": {...}, "commitments": {...}, "effects": [...]}

`type` is `act` (one step of a state machine), `genesis`, or another of `TYPES`, whose meaning `ledger.replay`
knows. `id` is the request id, unique in the
log. `facts` holds integers, ASCII codes and digests, never names, coordinates or free text; those are bound
by `commitments` (hex HMAC-SHA-256 over the record, see `ledger.commitment`).
"""

import re
from dataclasses import dataclass, field
from typing import ClassVar, Final

from ledger.canonical import JsonValue, decode, encode
from ledger.effects import Effect, is_name, parse_effect
from ledger.errors import LedgerRefusal

VERSION: Final = 1
TYPES: Final = frozenset(
    {
        "genesis", "key.add", "key.rotate", "key.revoke", "log.key", "log.next", "act", "correct", "state",
        "annotation", "erase",
    }
)  # fmt: skip
REQUEST_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
COMMITMENT: Final = re.compile(r"[0-9a-f]{64}")
NAMES: Final = ("type", "id", "by", "role", "mandate", "machine", "subject", "action", "before", "after")
"""In the order of `Payload`'s fields."""
FIELDS: Final = frozenset({"v", "reason_code", "facts", "commitments", "effects", *NAMES})


class MalformedPayload(LedgerRefusal):
    """A payload that is not of the one shape above."""

    code: ClassVar[str] = "payload_malformed"
    template: ClassVar[str] = "The entry's payload is malformed: {reason}."


@dataclass(frozen=True, slots=True)
class Payload:
    """The content of one entry; `to_bytes` and `parse_payload` are inverse to the byte."""

    type: str
    id: str
    by: str
    role: str
    mandate: str
    machine: str
    subject: str
    action: str
    before: str
    after: str
    reason_code: str = ""
    facts: dict[str, JsonValue] = field(default_factory=dict)
    commitments: dict[str, str] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()

    def to_bytes(self) -> bytes:
        return encode(
            {
                "v": VERSION,
                "type": self.type,
                "id": self.id,
                "by": self.by,
                "role": self.role,
                "mandate": self.mandate,
                "machine": self.machine,
                "subject": self.subject,
                "action": self.action,
                "before": self.before,
                "after": self.after,
                "reason_code": self.reason_code,
                "facts": self.facts,
                "commitments": dict(self.commitments),
                "effects": [effect.to_json() for effect in self.effects],
            }
        )


def parse_payload(data: bytes) -> Payload:
    """The payload that canonical bytes spell. Raises `MalformedPayload`, `NotCanonical` or a
    `BooksRefusal`.
    """
    value = decode(data)
    if not isinstance(value, dict) or value.get("v") is True or value.get("v") != VERSION:
        raise MalformedPayload(reason=f"not a version {VERSION} object")
    if value.keys() != FIELDS:
        raise MalformedPayload(reason=f"fields {sorted(value.keys() ^ FIELDS)}")
    kind, request_id, by, role, mandate, machine, subject, action, before, after = (
        [_name(key, value[key]) for key in NAMES]
    )  # fmt: skip
    if kind not in TYPES:
        raise MalformedPayload(reason=f"type {kind!r} is unknown")
    if not REQUEST_ID.fullmatch(request_id):
        raise MalformedPayload(reason="id is not a lower-case UUID")
    facts, effects = value["facts"], value["effects"]
    if not isinstance(facts, dict) or not isinstance(effects, list):
        raise MalformedPayload(reason="facts is an object, effects a list")
    return Payload(
        kind,
        request_id,
        by,
        role,
        mandate,
        machine,
        subject,
        action,
        before,
        after,
        reason_code="" if value["reason_code"] == "" else _name("reason_code", value["reason_code"]),
        facts=_plain_facts(facts),
        commitments=_commitments(value["commitments"]),
        effects=tuple([parse_effect(effect) for effect in effects]),
    )


def _name(key: str, text: JsonValue) -> str:
    if not isinstance(text, str) or not is_name(text):
        raise MalformedPayload(reason=f"{key} is not a short printable ASCII text")
    return text


def _plain_facts(facts: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Facts are in the log for ever, so nothing that could be a name stands in them: ASCII throughout."""
    waiting: list[JsonValue] = [facts]
    while waiting:
        match waiting.pop():
            case str(text) if text and not (text.isascii() and text.isprintable()):
                raise MalformedPayload(reason="a fact is a number, a code or a digest, in printable ASCII")
            case list(items):
                waiting += items
            case dict(items):
                waiting += [*items.keys(), *items.values()]
    return facts


def _commitments(value: JsonValue) -> dict[str, str]:
    if not isinstance(value, dict):
        raise MalformedPayload(reason="commitments is an object")
    commitments: dict[str, str] = {}
    for name, digest in value.items():
        _name("a commitment's name", name)
        if not isinstance(digest, str) or not COMMITMENT.fullmatch(digest):
            raise MalformedPayload(reason=f"commitment {name} is not 64 hexadecimal digits")
        commitments[name] = digest
    return commitments
