"""One entry of the log, read from its bytes: the leaf, the envelope in it, the payload in that.

Nothing is encoded twice to see whether it was canonical. A leaf has one spelling, so one expression matches
it; a payload's spelling is written from its values, by templates whose keys stand in order, and compared with
the bytes that were signed. Only a payload with a backslash in it (a quote in some code) takes the general way
through `ledger.canonical`.
"""

import binascii
import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple, NoReturn

from auditor.effects import (
    MOST_CHARACTERS,
    Contradiction,
    Effect,
    Transition,
    name_of,
    read_effects,
    whole,
)
from ledger.canonical import MAX_INTEGER, decode
from ledger.effects import parse_effect
from ledger.envelope import MAX_LEAF_BYTES, MAX_PAYLOAD_BYTES, PAYLOAD_TYPE
from ledger.errors import LedgerRefusal

TYPES: Final = frozenset(
    {
        "genesis", "key.add", "key.rotate", "key.revoke", "log.key", "log.next", "act", "correct", "state",
        "annotation", "erase",
    }
)  # fmt: skip
_LEAF: Final = re.compile(
    rb'\{"at":(0|[1-9][0-9]{0,15}),"payload":"([A-Za-z0-9+/=]*)","payloadType":"'
    + re.escape(PAYLOAD_TYPE.encode())
    + rb'","signatures":\[(\{"keyid":"[0-9a-f]{64}","sig":"[A-Za-z0-9+/=]{88}"\}'
    rb'(?:,\{"keyid":"[0-9a-f]{64}","sig":"[A-Za-z0-9+/=]{88}"\})*)\]\}'
)
_SIGNATURE_TEXT: Final = len('{"keyid":"","sig":""}') + 64 + 88
_REQUEST_ID: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
).fullmatch
_COMMITMENT: Final = re.compile(r"[0-9a-f]{64}").fullmatch
_KEYS: Final = frozenset(
    {
        "v", "type", "id", "by", "role", "mandate", "machine", "subject", "action", "before", "after",
        "reason_code", "facts", "commitments", "effects",
    }
)  # fmt: skip
_a2b, _b2a = binascii.a2b_base64, binascii.b2a_base64


class Taken(NamedTuple):
    """One step of one subject that an entry takes."""

    machine: str
    subject: str
    action: str
    before: str
    after: str


@dataclass(slots=True)
class Entry:
    """One entry at its place. `keyids` signed it, sorted; `persons` are theirs, once the register knows."""

    index: int
    at_ms: int
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
    reason_code: str
    facts: dict[str, Any]
    commitments: dict[str, str]
    effects: tuple[Effect, ...]
    steps: tuple[Taken, ...]
    payload: bytes
    keyids: tuple[str, ...]
    signatures: tuple[bytes, ...]
    persons: tuple[str, ...] = ()


def read_entry(index: int, leaf: bytes) -> Entry:
    """The entry that a leaf spells. No signature is checked. Raises `Contradiction`."""
    match = _LEAF.fullmatch(leaf)
    if match is None or len(leaf) > MAX_LEAF_BYTES:
        raise Contradiction("the leaf is not the canonical envelope of an entry")
    at_ms = int(match[1])
    if at_ms > MAX_INTEGER:
        raise Contradiction("the time is beyond 2^53 - 1")
    payload = _from_base64(match[2])
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise Contradiction(f"a payload of more than {MAX_PAYLOAD_BYTES} bytes")
    keyids, signatures = _signatures(match[3])
    return _read_payload(index, at_ms, payload, keyids, signatures)


def _from_base64(spelling: bytes) -> bytes:
    """The bytes of the one spelling of base64 (spare bits and padding are compared, too)."""
    try:
        data = _a2b(spelling)
    except binascii.Error:
        raise Contradiction("base64 in another spelling") from None
    if _b2a(data, newline=False) != spelling:
        raise Contradiction("base64 in another spelling")
    return data


def _signatures(text: bytes) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    keyids, signatures = [], []
    for at in range(0, len(text), _SIGNATURE_TEXT + 1):
        keyids.append(text[at + 10 : at + 74].decode())
        signature = _from_base64(text[at + 83 : at + 171])
        if len(signature) != 64:
            raise Contradiction("a signature has 64 bytes")
        signatures.append(signature)
    if len(keyids) > 1 and any(one >= two for one, two in pairwise(keyids)):
        raise Contradiction("signatures are sorted by key id, one for each key")
    return tuple(keyids), tuple(signatures)


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"the number {text[:40]} is not whole")


_loads: Final = json.JSONDecoder(parse_float=_refuse_number, parse_constant=_refuse_number).decode
_dumps: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False).encode


def _read_payload(
    index: int, at_ms: int, payload: bytes, keyids: tuple[str, ...], signatures: tuple[bytes, ...]
) -> Entry:
    text, value = _parsed(payload)
    type_, id_, by, role = value["type"], value["id"], value["by"], value["role"]
    mandate, machine, subject = value["mandate"], value["machine"], value["subject"]
    action, before, after = value["action"], value["before"], value["after"]
    reason, facts, commitments = value["reason_code"], value["facts"], value["commitments"]
    for name in (by, role, mandate, machine, subject, action, before, after):
        if type(name) is not str or not 0 < len(name) <= MOST_CHARACTERS:
            raise Contradiction(f"{str(name)[:80]!r} is not a short text")
    _check_kind(value)
    effects, effects_text = read_effects(value["effects"])
    committed = _commitments(commitments)
    if "\\" in text:
        _check_general(payload, value)
    elif text != (
        f'{{"action":"{action}","after":"{after}","before":"{before}","by":"{by}","commitments":{committed},'
        f'"effects":{effects_text},"facts":{_facts(facts)},"id":"{id_}","machine":"{machine}",'
        f'"mandate":"{mandate}","reason_code":"{reason}","role":"{role}","subject":"{subject}",'
        f'"type":"{type_}","v":1}}'
    ):
        raise Contradiction("the payload is another spelling of what it says")
    steps: tuple[Taken, ...] = (Taken(machine, subject, action, before, after),)
    for effect in effects:
        if type(effect) is Transition:
            steps = (*steps, Taken(*effect))
    return Entry(
        index, at_ms, type_, id_, by, role, mandate, machine, subject, action, before, after, reason, facts,
        commitments, effects, steps, payload, keyids, signatures,
    )  # fmt: skip


def _parsed(payload: bytes) -> tuple[str, dict[str, Any]]:
    """The payload's text and the object it spells: printable ASCII, with exactly its fields."""
    try:
        text = payload.decode("ascii")
        value = _loads(text)
    except (ValueError, RecursionError) as fault:
        raise Contradiction(f"the payload is not canonical: {fault}") from None
    if not text.isprintable() or type(value) is not dict or value.keys() != _KEYS:
        raise Contradiction("the payload has not exactly its fields, in printable ASCII")
    return text, value


def _check_kind(value: dict[str, Any]) -> None:
    reason, id_ = value["reason_code"], value["id"]
    if type(reason) is not str or len(reason) > MOST_CHARACTERS:
        raise Contradiction("the reason's code is not a short text")
    kind = value["type"]
    if type(kind) is not str or kind not in TYPES or type(value["v"]) is not int or value["v"] != 1:
        raise Contradiction(f"entries of type {str(kind)[:80]!r} are not known")
    if type(id_) is not str or _REQUEST_ID(id_) is None:
        raise Contradiction("id is not a lower-case UUID")
    if not type(value["facts"]) is type(value["commitments"]) is dict or type(value["effects"]) is not list:
        raise Contradiction("facts and commitments are objects, effects a list")


def _commitments(commitments: dict[str, Any]) -> str:
    lines = []
    for name in sorted(commitments):
        digest = commitments[name]
        if type(digest) is not str or _COMMITMENT(digest) is None:
            raise Contradiction(f"the commitment {name[:80]!r} is not 64 hexadecimal digits")
        lines.append(f'"{name_of(name)}":"{digest}"')
    return "{" + ",".join(lines) + "}"


def _facts(facts: dict[str, Any]) -> str:
    """The canonical text of facts: written here when they are flat, else by the library's encoder."""
    lines = []
    for name in sorted(facts):
        value = facts[name]
        kind = type(value)
        if kind is str:
            lines.append(f'"{name}":"{value}"')
        elif kind is int:
            if not -MAX_INTEGER <= value <= MAX_INTEGER:
                raise Contradiction("a whole number beyond 2^53 - 1")
            lines.append(f'"{name}":{value}')
        elif value is None:
            lines.append(f'"{name}":null')
        else:
            _check_numbers(value)
            lines.append(f'"{name}":{_dumps(value)}')
    return "{" + ",".join(lines) + "}"


def _check_numbers(value: Any) -> None:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if type(one) is int:
            whole(one)
        elif type(one) is list:
            waiting += one
        elif type(one) is dict:
            waiting += one.values()


def _check_general(payload: bytes, value: Any) -> None:
    """Canonicity by the shared encoder, and texts one by one: some of them hold escapes."""
    try:
        if decode(payload) != value:
            raise Contradiction("the payload is another spelling of what it says")
        for effect in value["effects"]:
            parse_effect(effect)
    except (LedgerRefusal, ValueError) as fault:
        raise Contradiction(f"the payload is not canonical: {fault}") from None
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        if type(one) is str and not one.isprintable():
            raise Contradiction("a text is not printable ASCII")
        if type(one) is list:
            waiting += one
        elif type(one) is dict:
            waiting += [*one.keys(), *one.values()]
