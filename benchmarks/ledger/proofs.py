"""Inclusion proofs built from published tiles, in process, one at a time, up to a million entries."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ledger.logs import hash_tree
from benchmarks.ledger.rounds import ResultWrong, percentile
from ledger.errors import ProofRefused
from ledger.merkle import inclusion_proof, leaf_hash, verify_inclusion
from ledger.tiles import TILE_WIDTH, TileDirectory


@dataclass(frozen=True, slots=True)
class Tree:
    """The tiles of a tree over made-up leaves (`logs.hash_tree`)."""

    tiles: TileDirectory
    size: int
    root: bytes

    @classmethod
    def grown(cls, folder: Path, size: int) -> "Tree":
        """Its server has met every tile once, as one that has run for a day."""
        tree = cls(TileDirectory(folder), size, hash_tree(folder, size))
        for index in range(0, size, TILE_WIDTH):
            check(tree, index, inclusion_proof(index, size, tree.tiles.nodes(size)))
        return tree


def prove(tree: Tree, count: int, random_source: random.Random) -> tuple[float, Mapping[str, float]]:
    """Proofs per second for leaves drawn at random, as a busy server makes them; p50 and p99 in microseconds.

    The reader's memory of tiles is that of the server. Every proof is checked, outside the time.
    """
    indexes = [random_source.randrange(tree.size) for _ in range(count)]
    took_s: list[float] = []
    for index in indexes:
        started = time.perf_counter()
        proof = inclusion_proof(index, tree.size, tree.tiles.nodes(tree.size))
        took_s.append(time.perf_counter() - started)
        check(tree, index, proof)
    microseconds = [1e6 * seconds for seconds in took_s]
    return count / sum(took_s), {
        "p50_us": percentile(microseconds, 0.5),
        "p99_us": percentile(microseconds, 0.99),
    }


def check(tree: Tree, index: int, proof: list[bytes]) -> None:
    """Raises `ResultWrong` for a proof that does not lead to the root."""
    try:
        verify_inclusion(index, tree.size, leaf_hash(index.to_bytes(8, "big")), proof, tree.root)
    except ProofRefused as refused:
        raise ResultWrong(f"the proof of {index} in {tree.size}: {refused}") from refused
