"""Every proof for trees of up to 300 leaves is the one that Go, tlog-scales and metamorphic-log know."""

import random
import subprocess
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from ledger.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_from_nodes,
    verify_consistency,
    verify_inclusion,
)
from tests.reliability.figures import Figures

SIZE = 300
LARGE = 1_000_000
SAMPLES = 20_000

Pair = tuple[int, int]


@cache
def node(level: int, index: int) -> bytes:
    """A complete subtree of the tree whose leaf i is the text "i"."""
    if level == 0:
        return leaf_hash(str(index).encode())
    return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))


@cache
def root(size: int) -> bytes:
    return root_from_nodes(size, node)


def all_pairs(leaves: int = SIZE) -> Iterator[Pair]:
    yield from ((index, size) for size in range(1, leaves + 1) for index in range(size))


def spelled(proof: list[bytes]) -> str:
    return b"".join(proof).hex() or "-"


def what_go_says(program: Path, size: int, pairs: Iterable[Pair]) -> list[str]:
    asked = "".join(f"{index} {size}\n" for index, size in pairs)
    line = [str(program), str(size)]
    return subprocess.run(
        line, input=asked, capture_output=True, text=True, check=True, timeout=600
    ).stdout.splitlines()


def agree_with_go(program: Path, size: int, pairs: list[Pair]) -> None:
    answers = what_go_says(program, size, pairs)
    assert len(answers) == len(pairs)
    for (index, count), answer in zip(pairs, answers, strict=True):
        inclusion = inclusion_proof(index, count, node)
        consistency = consistency_proof(index + 1, count, node)
        assert answer == f"{spelled(inclusion)} {spelled(consistency)}", (index, count)
        verify_inclusion(index, count, node(0, index), inclusion, root(count))
        verify_consistency(index + 1, count, consistency, root(index + 1), root(count))


def test_every_proof_up_to_300_leaves_is_gos(go_program: Callable[[str], Path], figures: Figures) -> None:
    pairs = list(all_pairs())
    agree_with_go(go_program("tlog_proofs"), SIZE, pairs)
    figures.tell("proofs against Go", leaves=SIZE, inclusion=len(pairs), consistency=len(pairs), differing=0)


@pytest.mark.slow
def test_proofs_of_a_million_leaves_are_gos(go_program: Callable[[str], Path], figures: Figures) -> None:
    chance = random.Random(6962)
    sizes = [chance.randrange(1, LARGE + 1) for _ in range(SAMPLES // 40)]
    pairs = [(chance.randrange(size), size) for size in sizes for _ in range(40)]
    agree_with_go(go_program("tlog_proofs"), LARGE, pairs)
    figures.tell("large proofs against Go", leaves=LARGE, inclusion=len(pairs), consistency=len(pairs))


def test_tlog_scales_accepts_every_proof_up_to_300_leaves() -> None:
    tlog = pytest.importorskip("tlog_scales.tlog", reason="tlog-scales, the second opinion, is not installed")
    for index, size in all_pairs():
        inclusion = tlog.InclusionProof(index, size, inclusion_proof(index, size, node))
        inclusion.check(node(0, index), root(size))
        old = index + 1
        consistency = tlog.ConsistencyProof(old, size, consistency_proof(old, size, node))
        consistency.check(root(old), root(size))


@pytest.mark.parametrize("leaves", [100, pytest.param(SIZE, marks=pytest.mark.slow)])
def test_metamorphic_log_accepts_every_proof(leaves: int) -> None:
    metamorphic = pytest.importorskip("metamorphic_log", reason="metamorphic-log is not installed")
    for index, size in all_pairs(leaves):
        inclusion = inclusion_proof(index, size, node)
        metamorphic.verify_inclusion(index, size, node(0, index), inclusion, root(size))
        old = index + 1
        consistency = consistency_proof(old, size, node)
        metamorphic.verify_consistency(old, size, consistency, root(old), root(size))
