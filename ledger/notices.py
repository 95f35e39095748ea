"""Entries that say something about the log itself: `state`, `annotation`, `correct` and `erase`.

    state       {"size": its own index, "accounts", "blocks", "pendings": counts, "sha256": see ledger.state}
    annotation  {"index", "leaf"}: the entry it remarks on, and that entry's leaf hash in hexadecimal
    correct     {"corrects": {"index", "leaf"}, ...}: an act that names the entry it corrects
    erase       {"commitment", "index"}: the record that was deleted, and the entry that committed to it

Only the first says anything of the books. An erased record cannot be held to anything any more, and an entry
that was corrected or remarked on stays as it was.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol

from ledger.canonical import JsonValue
from ledger.entry import COMMITMENT, MalformedPayload, Payload
from ledger.errors import ReplayRefusal

ENTRY_MACHINE: Final = "entry"
RECORD_MACHINE: Final = "record"

StateAt = Callable[[int], dict[str, JsonValue]]
"""The facts that a `state` entry at this index must have."""


class Earlier(Protocol):
    """What is asked of entries that came before."""

    def hash_of(self, index: int) -> bytes | None:
        """The entry's leaf hash."""

    def commitments_of(self, index: int) -> Collection[str]:
        """What the entry committed to, in hexadecimal."""


def check_notice(payload: Payload, index: int, state_at: StateAt, earlier: Earlier) -> None:
    """Hold an entry of one of these types, which stands at `index`, to the log before it.

    Raises `MalformedPayload` and `ReplayRefusal`; says nothing of entries of other types.
    """
    match payload.type:
        case "state":
            if payload.effects or payload.commitments:
                raise MalformedPayload(reason="a state entry does nothing")
            if payload.facts != state_at(index):
                raise ReplayRefusal(reason="the state that it states is not the one of the books")
        case "annotation":
            _check_named(payload.facts, index, earlier)
            if payload.effects or payload.subject != str(payload.facts["index"]):
                raise MalformedPayload(
                    reason="an annotation's subject is the index it names; it does nothing"
                )
        case "correct":
            corrects = payload.facts.get("corrects")
            if not isinstance(corrects, dict):
                raise MalformedPayload(reason="a correction names the entry it corrects")
            _check_named(corrects, index, earlier)
        case "erase":
            _check_erased(payload, index, earlier)


def _check_named(named: Mapping[str, Any], index: int, earlier: Earlier) -> None:
    if set(named) != {"index", "leaf"}:
        raise MalformedPayload(reason="an entry is named by index and leaf")
    found = earlier.hash_of(_before(named["index"], index))
    if found is None or found.hex() != named["leaf"]:
        raise ReplayRefusal(reason=f"entry {named['index']} has another leaf hash than is said")


def _before(named: object, index: int) -> int:
    if type(named) is not int or not 0 <= named < index:
        raise ReplayRefusal(reason="the entry that it names did not come before it")
    return named


def _check_erased(payload: Payload, index: int, earlier: Earlier) -> None:
    facts = payload.facts
    if set(facts) != {"commitment", "index"} or payload.effects or payload.commitments:
        raise MalformedPayload(reason="an erasure names a commitment and an entry, and does nothing")
    if facts["commitment"] != payload.subject or not COMMITMENT.fullmatch(payload.subject):
        raise MalformedPayload(reason="an erasure's subject is the commitment it names")
    named = _before(facts["index"], index)
    if payload.subject not in earlier.commitments_of(named):
        raise ReplayRefusal(reason=f"entry {named} has no such commitment")
