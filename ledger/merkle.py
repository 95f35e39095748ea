"""The tree of RFC 6962 / RFC 9162 over SHA-256: hashes, compact range, proofs and their checks.

Leaf `H(00 || entry)`, node `H(01 || left || right)`, split at the largest power of two below the size; no
padding and no duplicated leaves. A *node* `(level, index)` is the hash of the complete subtree over the
leaves from `index * 2^level` to `(index + 1) * 2^level` (end excluded). Proof builders ask a function for
such nodes, so that they run over memory, tables or tiles alike.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from ledger.errors import MalformedTree, ProofRefused

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
MAX_SIZE: Final = 2**63 - 1

NodeReader: TypeAlias = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """A growing tree of which only the complete subtrees on the right edge are kept: at most 63 hashes."""

    __slots__ = ("_peaks", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._peaks: list[bytes] = []  # largest subtree first, one for each bit of the size

    @property
    def size(self) -> int:
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash. Every trailing one bit of the size is a subtree that the new leaf completes."""
        peaks = self._peaks
        bits = self._size
        while bits & 1:
            leaf = sha256(b"\x01" + peaks.pop() + leaf).digest()
            bits >>= 1
        peaks.append(leaf)
        self._size += 1

    def root(self) -> bytes:
        return _fold(self._peaks)

    def copy(self) -> "Frontier":
        twin = Frontier()
        twin._size = self._size
        twin._peaks = self._peaks.copy()
        return twin

    def encode(self) -> bytes:
        """The kept hashes, largest subtree first; 32 bytes for each one bit of the size."""
        return b"".join(self._peaks)

    @classmethod
    def decode(cls, size: int, data: bytes) -> "Frontier":
        """The frontier of a tree of `size` leaves from `encode`. Raises `MalformedTree`."""
        _check_size(size)
        if len(data) != size.bit_count() * HASH_BYTES:
            raise MalformedTree(reason=f"a frontier of {len(data)} bytes for {size} leaves")
        frontier = cls()
        frontier._size = size
        frontier._peaks = [bytes(data[at : at + HASH_BYTES]) for at in range(0, len(data), HASH_BYTES)]
        return frontier


def root_from_nodes(size: int, node: NodeReader) -> bytes:
    """The root of the first `size` leaves."""
    _check_size(size)
    return _fold([node(level, index) for level, index in _complete_subtrees(0, size)])


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """The hashes, leaf side first, that lead from leaf `index` to the root of the first `size` leaves."""
    _check_size(size)
    if not 0 <= index < size:
        raise MalformedTree(reason=f"leaf {index} is not among {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _largest_power_below(high - low)
        if index < middle:
            path.append(_range_hash(middle, high, node))
            high = middle
        else:
            path.append(_range_hash(low, middle, node))
            low = middle
    path.reverse()
    return path


def consistency_proof(old_size: int, new_size: int, node: NodeReader) -> list[bytes]:
    """The hashes that lead from the root of `old_size` leaves to that of `new_size` (RFC 9162, 2.1.4.1)."""
    _check_size(old_size)
    _check_size(new_size)
    if old_size > new_size:
        raise MalformedTree(reason=f"{old_size} leaves are not a prefix of {new_size}")
    if old_size in (0, new_size):
        return []
    path: list[bytes] = []
    low, high = 0, new_size
    while old_size != high:
        middle = low + _largest_power_below(high - low)
        if old_size <= middle:
            path.append(_range_hash(middle, high, node))
            high = middle
        else:
            path.append(_range_hash(low, middle, node))
            low = middle
    if low > 0:
        path.append(_range_hash(low, high, node))
    path.reverse()
    return path


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash is leaf `index` of the tree (RFC 9162, 2.1.3.2). Raises `ProofRefused`."""
    _check_size(size)
    if not 0 <= index < size:
        raise ProofRefused(reason=f"leaf {index} is not among {size}")
    _check_hashes([leaf, root, *proof])
    value = leaf
    for from_left, sibling in _climb(index, size - 1, proof):
        value = node_hash(sibling, value) if from_left else node_hash(value, sibling)
    if value != root:
        raise ProofRefused(reason="the entry is not in the tree with this root")


def verify_consistency(
    old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Check that the new tree extends the old one (RFC 9162, 2.1.4.2). Raises `ProofRefused`."""
    _check_size(old_size)
    _check_size(new_size)
    _check_hashes([old_root, new_root, *proof])
    if old_size > new_size:
        raise ProofRefused(reason=f"the tree shrinks from {old_size} to {new_size}")
    if old_size in (0, new_size):
        _check_trivial(old_size, new_size, proof, old_root, new_root)
        return
    hashes = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place >>= 1
        last >>= 1
    if not hashes:
        raise ProofRefused(reason="too few hashes")
    old_value = new_value = hashes[0]
    for from_left, sibling in _climb(place, last, hashes[1:]):
        if from_left:
            old_value, new_value = node_hash(sibling, old_value), node_hash(sibling, new_value)
        else:
            new_value = node_hash(new_value, sibling)
    if old_value != old_root or new_value != new_root:
        raise ProofRefused(reason="the new tree does not extend the old one")


def _climb(place: int, last: int, siblings: Sequence[bytes]) -> Iterator[tuple[bool, bytes]]:
    """Each sibling on the way from node `place` of a row ending at `last` to the root, and whether it is on
    the left.

    Raises `ProofRefused` when there are more or fewer siblings than levels.
    """
    for sibling in siblings:
        if last == 0:
            raise ProofRefused(reason="too many hashes")
        from_left = bool(place & 1) or place == last
        yield from_left, sibling
        while from_left and place and not place & 1:  # the right edge has no sibling on these levels
            place >>= 1
            last >>= 1
        place >>= 1
        last >>= 1
    if last != 0:
        raise ProofRefused(reason="too few hashes")


def _check_trivial(
    old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    if proof:
        raise ProofRefused(reason="too many hashes")
    if old_size == new_size and old_root != new_root:
        raise ProofRefused(reason="two roots for one size")
    if (old_size == 0 and old_root != EMPTY_ROOT) or (new_size == 0 and new_root != EMPTY_ROOT):
        raise ProofRefused(reason="the empty tree has another root")


def _check_size(size: int) -> None:
    if type(size) is not int or not 0 <= size <= MAX_SIZE:
        raise MalformedTree(reason="a tree size is a whole number from 0 to 2^63 - 1")


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise ProofRefused(reason="a hash has 32 bytes")


def _largest_power_below(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)


def _complete_subtrees(low: int, high: int) -> list[tuple[int, int]]:
    """The complete subtrees, largest first, that make up the leaves from `low` (aligned) to `high`, end
    excluded.
    """
    subtrees: list[tuple[int, int]] = []
    while low < high:
        level = (high - low).bit_length() - 1
        subtrees.append((level, low >> level))
        low += 1 << level
    return subtrees


def _range_hash(low: int, high: int, node: NodeReader) -> bytes:
    return _fold([node(level, index) for level, index in _complete_subtrees(low, high)])


def _fold(peaks: Sequence[bytes]) -> bytes:
    """The root over complete subtrees, largest first: the right edge is joined from the small end."""
    if not peaks:
        return EMPTY_ROOT
    value = peaks[-1]
    for left in reversed(peaks[:-1]):
        value = node_hash(left, value)
    return value
