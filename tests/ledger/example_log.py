"""The log of the vectors in `docs/ledger.md`: fifteen entries made from fixed seeds.

The same bytes every time: Ed25519 is deterministic, times and ids are fixed. The acts are deposits that carry
whatever effect is to be shown; what each room asks of its own acts is no part of the vectors.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.books import Account, Block, Reservation
from ledger.canonical import JsonValue, encode
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.commitment import commit
from ledger.effects import (
    Child,
    Effect,
    Expire,
    Limit,
    MergeBlocks,
    Move,
    OpenAccount,
    OpenBlock,
    Pend,
    Post,
    Posting,
    SplitBlock,
    Transfer,
    Transition,
)
from ledger.entry import Payload
from ledger.envelope import Envelope, encode_leaf
from ledger.keys import SigningKey
from ledger.log_keys import endorse
from ledger.merkle import Frontier, inclusion_proof, leaf_hash, node_hash
from ledger.note import Cosigner, NoteSigner
from ledger.proof import TlogProof
from ledger.replay import LedgerState
from ledger.state import state_of
from ledger.units import UnitRange

Json = dict[str, Any]

ORIGIN = "vectors.example/log"
WITNESS = "vectors.example/witness"
SEEDS = {
    "log": 0x00, "witness": 0x20, "root": 0x40, "system": 0x60, "clerk": 0x80, "clerk2": 0xA0, "log2": 0xC0,
    "stranger": 0xE0,
}  # fmt: skip
KEYS = {name: SigningKey.from_seed(bytes(range(first, first + 32))) for name, first in SEEDS.items()}
LOG, LOG2 = (NoteSigner(ORIGIN, KEYS[name]) for name in ("log", "log2"))
BEGAN_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""
DEADLINE_MS = BEGAN_MS + 60_000
COSIGNED_S = BEGAN_MS // 1000 + 100
UNIT, FEN = "CO2E:EX.1", "CNY-fen"
COMMITMENT_KEY = bytes(range(0xE0, 0x100))
RECORD: JsonValue = {"name": "竹溪村", "rings": [[1190000000, 289000000]], "note": 'a "quote"\n'}
ORDER_L = 2**252 + 27742317777372353535851937790883648493


def uuid(n: int) -> str:
    return f"00000000-0000-7000-8000-{n:012d}"


def key_of(name: str, person: str, custody: str) -> JsonValue:
    return {
        "public": KEYS[name].public_bytes.hex(), "person": person, "custody": custody, "suite": "ed25519",
    }  # fmt: skip


def own(
    n: int, who: str, machine: str, subject: str, action: str, before: str, after: str, **more: Any
) -> Payload:
    """A step under one of the installation's own mandates, `root` or `system`."""
    return Payload(
        more.pop("type", "act"), uuid(n), who, who, who, machine, subject, action, before, after, **more
    )  # fmt: skip


def act(n: int, *effects: Effect, **more: Any) -> Payload:
    """A deposit by the clerk of the bank, which carries effects."""
    return Payload(
        "act", uuid(n), "person-1", "bank", "mandate-1", "deposit", f"deposit-{n}", "record", "none",
        "recorded", effects=effects, **more,
    )  # fmt: skip


def leaf(at_ms: int, payload: Payload | bytes, *signers: str) -> bytes:
    content = payload if isinstance(payload, bytes) else payload.to_bytes()
    return encode_leaf(at_ms, Envelope(content).sign(*(KEYS[name] for name in signers)))


# ---- the log -----------------------------------------------------------------------------------------------

ACCOUNTS = (
    OpenAccount("issued:EX.1", UNIT, Limit.NONE, True, "registry"),
    OpenAccount("units:org-1", UNIT, Limit.FLOOR, True, "org-1"),
    OpenAccount("retired:EX.1", UNIT, Limit.SINK, True, "registry"),
    OpenAccount("cash:org-1", FEN, Limit.FLOOR, False, "org-1"),
    OpenAccount("cash:org-2", FEN, Limit.FLOOR, False, "org-2"),
)


def opened(block: str, start: int, end: int, series: str = "EX-1") -> OpenBlock:
    return OpenBlock(
        block, series, "batch-1", UnitRange(start, end), UNIT, "units:org-1", "issued:EX.1"
    )  # fmt: skip


def paid(name: str, *lines: tuple[str, int], asset: str = FEN) -> Transfer:
    return Transfer(name, tuple(Posting(account, asset, amount) for account, amount in lines))


def retires(units: int) -> tuple[Posting, ...]:
    return (Posting("units:org-1", UNIT, -units), Posting("retired:EX.1", UNIT, units))


def said() -> Iterator[tuple[int, Payload, tuple[str, ...]]]:
    """Every entry: seconds after the first, what it says, who signs."""
    add, root = "key.add", ("root",)
    yield 0, own(
        0, "root", "log", ORIGIN, "open", "none", "open", type="genesis",
        facts={
            "clock": "simulated", "hash": "sha256", "suite": "ed25519", "vkey": LOG.vkey,
            "keys": [key_of("root", "root", "server"), key_of("system", "system", "server")],
        },
        effects=(OpenAccount("bank:CNY", FEN, Limit.NONE, False, "registry"),),
    ), root  # fmt: skip
    facts: Json = {"kind": "bank", "county": "330802"}
    yield 1, own(1, "root", "organisation", "org-1", "register", "none", "registered", facts=facts), root
    sealed = {"record": commit(COMMITMENT_KEY, RECORD)}
    yield 1, own(2, "root", "person", "person-1", "register", "none", "registered", commitments=sealed), root
    facts = {"person": "person-1", "organisation": "org-1", "role": "bank"}
    yield 2, own(3, "root", "mandate", "mandate-1", "grant", "none", "active", facts=facts), root
    facts = {"keys": [key_of("clerk", "person-1", "client")]}
    clerk = KEYS["clerk"].keyid
    yield 2, own(4, "root", "key", clerk, "add", "none", "active", type=add, facts=facts), root
    money = paid("t-1", ("bank:CNY", -10_000), ("cash:org-1", 10_000))
    yield 10, act(5, *ACCOUNTS, money, opened("b-1", 1, 100)), ("clerk",)
    split = SplitBlock("b-1", (Child("b-1.1", UnitRange(1, 60)), Child("b-1.2", UnitRange(61, 100))))
    yield 20, act(
        6, split,
        Pend("p-1", retires(60), ("b-1.1",), "retire", "retirement-1", DEADLINE_MS),
        Pend("p-2", retires(40), ("b-1.2",), "option", 'the "second"', DEADLINE_MS),
    ), ("clerk",)  # fmt: skip
    yield 20, STATED, ("system",)
    parts = SplitBlock("b-1.1", (Child("b-1.1.1", UnitRange(1, 50)), Child("b-1.1.2", UnitRange(51, 60))))
    post = Post("p-1", retires(50), (Move("b-1.1.1", "retired:EX.1"),))
    both = paid("t-2", ("cash:org-1", -2_500), ("cash:org-2", 2_500))
    yield 30, act(8, parts, post, both), ("clerk",)
    facts = {"keys": [key_of("clerk2", "person-1", "webcrypto")]}
    succeeds = Transition("key", KEYS["clerk2"].keyid, "succeed", "none", "active")
    yield 40, Payload(
        "key.rotate", uuid(9), "person-1", "bank", "mandate-1", "key", clerk, "rotate", "active", "rotated",
        facts=facts, effects=(succeeds,),
    ), ("clerk", "clerk2")  # fmt: skip
    facts = {"vkey": LOG2.vkey, "endorsement": endorse(LOG2.verifier, LOG)}
    yield 50, own(10, "root", "log", ORIGIN, "add_key", "open", "open", type="log.key", facts=facts), root
    yield 60, act(11, Expire("p-2"), MergeBlocks("b-2", ("b-1.2", "b-1.1.2"))), ("clerk2",)
    facts = {"vkey": LOG.vkey}
    yield 70, own(12, "root", "log", ORIGIN, "end_key", "open", "open", type="log.key", facts=facts), root
    yield 80, STATED, ("system",)
    yield 90, Payload(
        "key.revoke", uuid(14), "person-1", "bank", "mandate-1", "key", KEYS["clerk2"].keyid, "revoke",
        "active", "revoked", reason_code="compromised", facts={"suspect_from": 11},
    ), ("clerk2",)  # fmt: skip


STATED = own(0, "system", "log", ORIGIN, "state", "open", "open", type="state")


@dataclass(slots=True)
class Story:
    """The log of the vectors, entry by entry."""

    leaves: list[bytes] = field(default_factory=list)
    roots: list[bytes] = field(default_factory=lambda: [Frontier().root()])
    states: dict[int, tuple[Json, str]] = field(default_factory=dict)
    """Facts of a `state` entry, and the text that its digest is of."""

    def node(self, level: int, index: int) -> bytes:
        if level == 0:
            return leaf_hash(self.leaves[index])
        return node_hash(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))


def told() -> Story:
    story, state, tree = Story(), LedgerState(), Frontier()
    for n, (after_s, payload, signers) in enumerate(said()):
        spoken = payload
        if payload is STATED:
            facts, text = state_of(state.books, n), state_text(state)
            story.states[n] = facts, text
            spoken = replace(payload, id=uuid(n), facts=facts)
        one = leaf(BEGAN_MS + 1000 * after_s, spoken, *signers)
        state.apply(one)
        tree.append(leaf_hash(one))
        story.leaves.append(one)
        story.roots.append(tree.root())
    return story


def state_text(state: LedgerState) -> str:
    """What a state's digest is of, written another way than the ledger does."""
    books = state.books
    accounts = [_account(books.accounts[name]) for name in sorted(books.accounts)]
    blocks = [_block(books.blocks[name]) for name in sorted(books.blocks) if books.blocks[name].live]
    pendings = [
        _pending(books.reservations[name])
        for name in sorted(books.reservations)
        if books.reservations[name].status == "open"
    ]
    return encode({"accounts": accounts, "blocks": blocks, "pendings": pendings}).decode("ascii")


def _account(one: Account) -> JsonValue:
    counters = ("credits_pending", "credits_posted", "debits_pending", "debits_posted")
    return {
        "account": one.account, "asset": one.asset, "limit": one.limit.value, "numbered": one.numbered,
        "owner": one.owner, **{name: getattr(one, name) for name in counters},
    }  # fmt: skip


def _block(one: Block) -> JsonValue:
    return {
        "account": one.account, "asset": one.asset, "batch": one.batch, "block": one.block,
        "end": one.units.end, "pending": one.pending, "series": one.series, "start": one.units.start,
    }  # fmt: skip


def _pending(one: Reservation) -> JsonValue:
    return {
        "blocks": list(one.blocks), "deadline": one.deadline_ms, "lock": one.lock, "pending": one.pending,
        "postings": [posting.to_json() for posting in one.postings], "ref": one.ref,
    }  # fmt: skip


def signers_at(size: int) -> list[NoteSigner]:
    return ([LOG] if size <= 12 else []) + ([LOG2] if size > 10 else [])


def cosigned(story: Story, size: int, *more: Cosigner) -> bytes:
    checkpoint = Checkpoint(ORIGIN, size, story.roots[size])
    return sign_checkpoint(checkpoint, [*signers_at(size), *more])


def witness() -> Cosigner:
    return Cosigner(WITNESS, KEYS["witness"], COSIGNED_S)


def receipt(story: Story, index: int, size: int) -> bytes:
    hashes = inclusion_proof(index, size, story.node)
    return TlogProof(index, tuple(hashes), cosigned(story, size, witness())).to_bytes()
