"""The tree: hashes and proofs against the definition in the RFC, written down once more, naively."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerRefusal, MalformedTree, ProofRefused
from ledger.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_from_nodes,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(b"entry %d" % i) for i in range(131)]


def definition(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, to the letter."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + definition(leaves[:k]) + definition(leaves[k:])).digest()


NODES = {
    (level, index): definition(LEAVES[index << level : (index + 1) << level])
    for level in range(8)
    for index in range(len(LEAVES) >> level)
}
ROOTS = [definition(LEAVES[:size]) for size in range(len(LEAVES) + 1)]


def node(level: int, index: int) -> bytes:
    return NODES[level, index]


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m < k:
        return [*path(m, leaves[:k]), definition(leaves[k:])]
    return [*path(m - k, leaves[k:]), definition(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], known: bool) -> list[bytes]:
    """RFC 6962, 2.1.2."""
    if m == len(leaves):
        return [] if known else [definition(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m <= k:
        return [*subproof(m, leaves[:k], known), definition(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), definition(leaves[:k])]


def test_the_constants_of_rfc_6962() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert (
        node_hash(b"N123", b"N456").hex()
        == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    )


def test_the_frontier_has_the_root_of_every_size() -> None:
    frontier = Frontier()
    for size, root in enumerate(ROOTS):
        assert frontier.size == size
        assert frontier.root() == root == root_from_nodes(size, node)
        again = Frontier.decode(size, frontier.encode())
        assert (again.root(), again.encode(), again.size) == (root, frontier.encode(), size)
        if size < len(LEAVES):
            twin = frontier.copy()
            frontier.append(LEAVES[size])
            assert twin.root() == root
            again.append(LEAVES[size])
            assert again.root() == frontier.root()


def test_every_inclusion_proof_is_the_defined_one_and_verifies() -> None:
    for size in range(1, len(LEAVES) + 1):
        for index in range(size):
            proof = inclusion_proof(index, size, node)
            if size in (1, 2, 3, 7, 8, 9, 64, 65, 100, 127, 128, 129, 131):
                assert proof == path(index, LEAVES[:size])
            verify_inclusion(index, size, LEAVES[index], proof, ROOTS[size])


def test_every_consistency_proof_is_the_defined_one_and_verifies() -> None:
    for new in range(len(LEAVES) + 1):
        for old in range(new + 1):
            proof = consistency_proof(old, new, node)
            if old and new in (1, 2, 3, 7, 8, 9, 64, 65, 100, 131):
                assert proof == subproof(old, LEAVES[:new], True)
            verify_consistency(old, new, proof, ROOTS[old], ROOTS[new])


def test_a_proof_is_for_one_index_one_size_and_one_leaf() -> None:
    for size in range(1, 34):
        for index in range(size):
            proof = inclusion_proof(index, size, node)
            for wrong in range(size):
                if wrong != index:
                    with pytest.raises(ProofRefused):
                        verify_inclusion(wrong, size, LEAVES[index], proof, ROOTS[size])
                    with pytest.raises(ProofRefused):
                        verify_inclusion(index, size, LEAVES[wrong], proof, ROOTS[size])
            with pytest.raises(ProofRefused):
                verify_inclusion(index, size, LEAVES[index], [*proof, LEAVES[0]], ROOTS[size])
            if proof:
                with pytest.raises(ProofRefused):
                    verify_inclusion(index, size, LEAVES[index], proof[:-1], ROOTS[size])


def test_a_consistency_proof_is_for_two_sizes_and_two_roots() -> None:
    for new in range(1, 34):
        for old in range(1, new):
            proof = consistency_proof(old, new, node)
            with pytest.raises(ProofRefused):
                verify_consistency(old, new, proof, ROOTS[old + 40], ROOTS[new])
            with pytest.raises(ProofRefused):
                verify_consistency(old, new, proof, ROOTS[old], ROOTS[new + 40])
            with pytest.raises(ProofRefused):
                verify_consistency(old, new, [*proof, LEAVES[0]], ROOTS[old], ROOTS[new])
            with pytest.raises(ProofRefused):
                verify_consistency(old, new, proof[:-1], ROOTS[old], ROOTS[new])


def test_a_tree_does_not_shrink_change_or_start_from_something_else() -> None:
    for old, new, old_root, new_root in (
        (5, 4, ROOTS[5], ROOTS[4]),
        (5, 5, ROOTS[5], ROOTS[6]),
        (0, 5, ROOTS[1], ROOTS[5]),
        (0, 0, ROOTS[0], ROOTS[1]),
    ):
        with pytest.raises(ProofRefused):
            verify_consistency(old, new, [], old_root, new_root)
    with pytest.raises(ProofRefused):
        verify_consistency(0, 5, [LEAVES[0]], EMPTY_ROOT, ROOTS[5])


def flipped(proof: list[bytes], data: st.DataObject) -> list[bytes]:
    joined = bytearray(b"".join(proof))
    bit = data.draw(st.integers(0, 8 * len(joined) - 1))
    joined[bit // 8] ^= 1 << bit % 8
    return [bytes(joined[at : at + 32]) for at in range(0, len(joined), 32)]


@settings(max_examples=300)
@given(st.integers(2, 131), st.data())
def test_any_flipped_bit_of_a_proof_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size - 1))
    included = inclusion_proof(index, size, node)
    with pytest.raises(ProofRefused):
        verify_inclusion(index, size, LEAVES[index], flipped(included, data), ROOTS[size])
    extended = consistency_proof(old, size, node)
    with pytest.raises(ProofRefused):
        verify_consistency(old, size, flipped(extended, data), ROOTS[old], ROOTS[size])


def test_the_last_leaf_twice_is_another_tree() -> None:
    """Others balance the tree by repeating the last leaf, so that two lists share a root."""
    three, four = Frontier(), Frontier()
    for leaf in LEAVES[:3]:
        three.append(leaf)
        four.append(leaf)
    four.append(LEAVES[2])
    assert three.root() != four.root()


def test_a_node_is_no_leaf() -> None:
    """Without the prefixes the two children's hashes joined would be an entry with the root's hash."""
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])


@pytest.mark.parametrize("size", [-1, True, 1.0, "1", MAX_SIZE + 1])
def test_a_size_is_a_whole_number_of_63_bits(size: int) -> None:
    for call in (
        lambda: Frontier.decode(size, b""),
        lambda: inclusion_proof(0, size, node),
        lambda: consistency_proof(1, size, node),
        lambda: root_from_nodes(size, node),
        lambda: verify_inclusion(0, size, LEAVES[0], [], ROOTS[1]),
        lambda: verify_consistency(1, size, [], ROOTS[1], ROOTS[1]),
    ):
        with pytest.raises(MalformedTree):
            call()


def test_indexes_outside_the_tree_are_refused() -> None:
    for index in (-1, 3):
        with pytest.raises(LedgerRefusal):
            inclusion_proof(index, 3, node)
        with pytest.raises(LedgerRefusal):
            verify_inclusion(index, 3, LEAVES[0], [], ROOTS[3])
    with pytest.raises(MalformedTree):
        consistency_proof(4, 3, node)


def test_hashes_have_32_bytes() -> None:
    with pytest.raises(ProofRefused):
        verify_inclusion(0, 2, LEAVES[0], [LEAVES[1][:31]], ROOTS[2])
    with pytest.raises(ProofRefused):
        verify_consistency(1, 2, [LEAVES[1] + b"\0"], ROOTS[1], ROOTS[2])
    for size, data in ((1, b"\0" * 31), (3, b"\0" * 32), (0, b"\0")):
        with pytest.raises(MalformedTree):
            Frontier.decode(size, data)


def test_another_verifier_accepts_every_proof() -> None:
    tlog = pytest.importorskip("tlog_scales.tlog", reason="tlog-scales, the second opinion, is not installed")
    for size in range(1, 131, 3):
        for index in range(size):
            tlog.InclusionProof(index, size, inclusion_proof(index, size, node)).check(
                LEAVES[index], ROOTS[size]
            )
        for old in range(1, size):
            tlog.ConsistencyProof(old, size, consistency_proof(old, size, node)).check(
                ROOTS[old], ROOTS[size]
            )
