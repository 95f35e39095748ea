"""Two programs read the same log, written apart: `ledger.replay`, by which the registry writes, and the
auditor's. They stop at the same entry, and what they hold until then is the same.
"""

import uuid
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from auditor.digest import state_facts
from auditor.findings import Report
from auditor.replay import Replay
from ledger.effects import Posting, Transfer, Transition
from ledger.entry import Payload, parse_payload
from ledger.envelope import Envelope, decode_leaf, encode_leaf
from ledger.errors import LedgerRefusal
from ledger.keys import SigningKey
from ledger.log_keys import endorse
from ledger.merkle import leaf_hash
from ledger.note import NoteSigner
from ledger.replay import LedgerState
from ledger.state import state_of
from tests.auditor.deposits import BEGAN_MS, Depositing


@dataclass(slots=True)
class Both:
    """One log, read by both as it grows. `told` is false from the entry on that neither takes."""

    report: Report = field(default_factory=Report)
    state: LedgerState = field(default_factory=LedgerState)
    leaves: list[bytes] = field(default_factory=list)
    replay: Replay = field(init=False)

    def __post_init__(self) -> None:
        self.replay = Replay(self.report, recall=self.leaves.__getitem__)

    def take(self, leaf: bytes) -> bool:
        taken = self.replay.see(leaf) is not None
        assert taken == self._ledger_takes(leaf), (self.report.findings, leaf)
        if taken:
            self.leaves.append(leaf)
            size = len(self.leaves)
            assert self.replay.size == self.state.size == size
            assert {"size": size, **state_facts(self.replay.books)} == state_of(self.state.books, size)
            self._compare_keys()
        return taken

    def _ledger_takes(self, leaf: bytes) -> bool:
        try:
            self.state.apply(leaf)
        except LedgerRefusal:
            return False
        return True

    def _compare_keys(self) -> None:
        register, state = self.replay.register, self.state
        told = {key.keyid: (key.person, key.custody, key.index, key.ended) for key in register.keys.values()}
        known = {k.keyid: (k.person, k.custody, k.index, k.ended_index) for k in state.keys.values()}
        assert told == known
        logs = [(key.verifier.vkey, key.since, key.ended) for key in register.log_keys]
        assert logs == [(key.vkey, key.index, key.ended_index) for key in state.known_log_keys()]


WORLD = Depositing(firms=3)
BEGINNING = list(WORLD.leaves(12))
KEYS = {"root": WORLD.root, "system": WORLD.system, "teller": WORLD.teller}
SPARE = [SigningKey.from_seed(bytes([n]) * 32) for n in range(3)]


def begun() -> Both:
    both = Both()
    for leaf in BEGINNING:
        assert both.take(leaf)
    assert both.report.findings == []
    return both


def payload_at(index: int) -> Payload:
    return parse_payload(decode_leaf(BEGINNING[index])[1].payload)


def deposit(**changed: Any) -> Payload:
    """The last deposit again, with another id."""
    fresh = str(uuid.uuid4())
    return replace(payload_at(-1), **({"id": fresh, "subject": fresh} | changed))


def leaf_of(payload: Payload, *keys: SigningKey, at_ms: int = BEGAN_MS + 10**9) -> bytes:
    return encode_leaf(at_ms, Envelope(payload.to_bytes()).sign(*(keys or (WORLD.teller,))))


def test_both_take_a_plain_log_whole() -> None:
    assert begun().take(leaf_of(deposit()))


# ---- what a random hand writes -----------------------------------------------------------------------------


def exchanged(payload: Payload, data: DataObject) -> Payload:
    """One field of the payload replaced by something of the log's own vocabulary."""
    texts = ["none", "active", "recorded", "deposit", "key", "log", "bank:CNY", "root", payload.subject]
    name = data.draw(st.sampled_from(["type", "machine", "subject", "action", "before", "after", "id", "by"]))
    kinds = ["act", "genesis", "key.add", "key.rotate", "key.revoke", "log.key", "state", "annotation"]
    value = data.draw(
        st.sampled_from(kinds if name == "type" else [payload_at(-1).id] if name == "id" else texts)
    )
    changed: Any = {name: value}
    return replace(payload, **changed)


def posted(payload: Payload, data: DataObject) -> Payload:
    (transfer,) = payload.effects
    assert isinstance(transfer, Transfer)
    one, two = transfer.postings
    amount = data.draw(st.sampled_from([-5, 0, 1, 7, 10**9, 2**53 - 1]))
    account = data.draw(st.sampled_from([one.account, two.account, "bank:CNY", "nobody"]))
    changed = Posting(account, "CNY-fen", amount)
    lines = data.draw(
        st.sampled_from([(one, changed), (changed, two), (changed, replace(changed, amount=-amount))])
    )
    return replace(payload, effects=(Transfer("t", lines),))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_both_stop_at_the_same_entry_of_a_log_that_somebody_changed(data: DataObject) -> None:
    both = begun()
    at_ms = BEGAN_MS + 10**9
    for _ in range(data.draw(st.integers(1, 6))):
        payload = deposit()
        change = data.draw(st.sampled_from([None, None, exchanged, posted]))
        payload = payload if change is None else change(payload, data)
        key = data.draw(st.sampled_from(["teller", "teller", "teller", "root", "spare"]))
        at_ms += data.draw(st.sampled_from([0, 1, 1000, -1]))
        if not both.take(leaf_of(payload, KEYS.get(key, SPARE[0]), at_ms=at_ms)):
            return


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_entries_in_another_order_are_refused_by_both_at_the_same_place(data: DataObject) -> None:
    both, order = Both(), data.draw(st.permutations(range(len(BEGINNING))))
    kept = data.draw(st.integers(0, len(BEGINNING)))
    leaves = [*BEGINNING[:kept], *(BEGINNING[n] for n in order)]
    for leaf in leaves:
        if not both.take(leaf):
            return
    assert leaves[: len(BEGINNING)] == BEGINNING


# ---- keys over time ----------------------------------------------------------------------------------------


def by_root(machine: str, action: str, subject: str, before: str, after: str, **more: Any) -> Payload:
    return Payload(
        **{
            "type": "act", "id": str(uuid.uuid4()), "by": "root", "role": "root", "mandate": "root",
            "machine": machine, "subject": subject, "action": action, "before": before, "after": after,
        } | more
    )  # fmt: skip


def key_of(key: SigningKey, person: str) -> dict[str, str]:
    return {"public": key.public_bytes.hex(), "person": person, "custody": "client", "suite": "ed25519"}


def person() -> str:
    return payload_at(2).subject


def rotation(old: SigningKey, new: SigningKey, owner: str | None = None) -> Payload:
    succession = Transition("key", new.keyid, "succeed", "none", "active")
    facts = {"keys": [key_of(new, owner or person())]}
    return by_root(
        "key", "rotate", old.keyid, "active", "rotated", type="key.rotate", by=person(), role="bank",
        mandate=payload_at(4).subject, facts=facts, effects=(succession,),
    )  # fmt: skip


def revocation(key: SigningKey, reason: str, suspect_from: int | None) -> Payload:
    facts: dict[str, Any] = {"suspect_from": suspect_from}
    return by_root(
        "key", "revoke", key.keyid, "active", "revoked", type="key.revoke", facts=facts, reason_code=reason
    )


def log_key(action: str, vkey: str, endorsement: str | None = None) -> Payload:
    facts: dict[str, Any] = {"vkey": vkey} | ({"endorsement": endorsement} if endorsement else {})
    return by_root("log", action, WORLD.origin, "open", "open", type="log.key", facts=facts)


def test_a_key_is_replaced_and_the_old_one_signs_nothing_more() -> None:
    both = begun()
    assert both.take(leaf_of(rotation(WORLD.teller, SPARE[0]), WORLD.teller, SPARE[0]))
    assert both.take(leaf_of(deposit(), SPARE[0]))
    assert both.report.findings == []
    assert not both.take(leaf_of(deposit(), WORLD.teller))


@pytest.mark.parametrize(
    ("payload", "signers"),
    [
        (rotation(WORLD.teller, SPARE[0]), [WORLD.teller]),
        (rotation(WORLD.teller, SPARE[0]), [SPARE[0]]),
        (rotation(WORLD.teller, SPARE[0]), [WORLD.teller, SPARE[0], WORLD.root]),
        (rotation(WORLD.teller, SPARE[0], "root"), [WORLD.teller, SPARE[0]]),
        (rotation(WORLD.teller, WORLD.root), [WORLD.teller, WORLD.root]),
        (rotation(SPARE[1], SPARE[0]), [SPARE[1], SPARE[0]]),
        (replace(rotation(WORLD.teller, SPARE[0]), effects=()), [WORLD.teller, SPARE[0]]),
    ],
)
def test_a_rotation_that_is_none_is_refused_by_both(payload: Payload, signers: list[SigningKey]) -> None:
    assert not begun().take(leaf_of(payload, *signers))


@pytest.mark.parametrize(
    ("reason", "suspect_from", "taken"),
    [
        ("lost", None, True), ("compromised", 3, True), ("compromised", None, True), ("left", 3, False),
        ("compromised", 99, False), ("compromised", -1, False), ("bored", None, False), ("", None, False),
    ],
)  # fmt: skip
def test_a_key_that_was_revoked_signs_nothing_more(
    reason: str, suspect_from: int | None, taken: bool
) -> None:
    both = begun()
    assert both.take(leaf_of(revocation(WORLD.teller, reason, suspect_from), WORLD.root)) == taken
    if taken:
        assert both.report.findings == []
        assert not both.take(leaf_of(deposit(), WORLD.teller))


def test_a_key_cannot_vouch_for_itself() -> None:
    key = SPARE[0]
    payload = by_root(
        "key", "add", key.keyid, "none", "active", type="key.add", facts={"keys": [key_of(key, person())]}
    )
    assert not begun().take(leaf_of(payload, key))


def test_the_log_gets_a_new_key_and_ends_the_old_one() -> None:
    both, new = begun(), NoteSigner(WORLD.origin, SPARE[0])
    added = log_key("add_key", new.vkey, endorse(new.verifier, WORLD.signer))
    assert both.take(leaf_of(added, WORLD.root))
    assert both.take(leaf_of(log_key("end_key", WORLD.vkey), WORLD.root))
    assert both.report.findings == []
    size = len(both.leaves)
    in_force = [both.replay.register.log_verifiers(n) for n in (size - 2, size - 1, size)]
    assert in_force == [[WORLD.signer.verifier], [WORLD.signer.verifier, new.verifier], [new.verifier]]
    assert not both.take(leaf_of(log_key("end_key", new.vkey), WORLD.root))


@pytest.mark.parametrize("endorsed_by", [SPARE[0], SPARE[1], None])
def test_a_log_key_that_no_key_in_force_endorses_is_refused(endorsed_by: SigningKey | None) -> None:
    new = NoteSigner(WORLD.origin, SPARE[0])
    endorsement = (
        None if endorsed_by is None else endorse(new.verifier, NoteSigner(WORLD.origin, endorsed_by))
    )
    assert not begun().take(leaf_of(log_key("add_key", new.vkey, endorsement), WORLD.root))


def test_nothing_follows_after_a_log_is_closed() -> None:
    both, next_ = begun(), NoteSigner("next.test/log", SPARE[0])
    facts: dict[str, Any] = {"origin": next_.name, "vkey": next_.vkey}
    closing = by_root("log", "close", WORLD.origin, "open", "closed", type="log.next", facts=facts)
    assert both.take(leaf_of(closing, WORLD.root))
    assert not both.take(leaf_of(deposit()))


# ---- what entries say about the log ------------------------------------------------------------------------


def stated(both: Both, **changed: Any) -> Payload:
    facts = {"size": len(both.leaves), **state_facts(both.replay.books)} | changed
    return by_root(
        "log", "state", WORLD.origin, "open", "open", type="state", facts=facts, by="system", role="system",
        mandate="system",
    )  # fmt: skip


@pytest.mark.parametrize("changed", [{}, {"size": 3}, {"accounts": 1}, {"sha256": "0" * 64}, {"more": 1}])
def test_a_state_is_the_one_that_the_books_imply(changed: dict[str, Any]) -> None:
    both = begun()
    assert both.take(leaf_of(stated(both, **changed), WORLD.system)) == (not changed)


def remark(index: int, leaf: str, subject: str | None = None) -> Payload:
    facts: dict[str, Any] = {"index": index, "leaf": leaf}
    return by_root(
        "entry", "annotate", subject or str(index), "logged", "logged", type="annotation", facts=facts,
        reason_code="typing_error",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("index", "leaf", "subject", "taken"),
    [(7, 7, None, True), (7, 8, None, False), (12, 7, None, False), (7, 7, "8", False), (-1, 7, None, False)],
)
def test_a_remark_names_an_entry_by_index_and_hash(
    index: int, leaf: int, subject: str | None, taken: bool
) -> None:
    payload = remark(index, leaf_hash(BEGINNING[leaf]).hex(), subject)
    assert begun().take(leaf_of(payload, WORLD.root)) == taken
