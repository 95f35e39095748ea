"""Signatures verified as they come, or by threads beside the replay: libsodium does not hold Python's lock.

What a signature means is decided where it stands (the key's registration and end); only the arithmetic may be
late. With threads an entry is followed before its signature is known to be good, and `settle` says at the end
of a bundle, or of the log, which entry it was not.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from ledger.errors import LedgerRefusal
from ledger.keys import verify_signature

Job = tuple[int, bytes, bytes, bytes]
"""Index of the entry, public key, signature, message."""
TOGETHER: Final = 128
_WAITING_EACH: Final = 4


class Signatures:
    """Verifies in `threads` threads; one means at once and in the caller's."""

    def __init__(self, threads: int = 1) -> None:
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._most = threads * _WAITING_EACH
        self._jobs: list[Job] = []
        self._waiting: deque[Future[tuple[int, str] | None]] = deque()
        self._fault: tuple[int, str] | None = None

    def take(self, index: int, public: bytes, signature: bytes, message: bytes) -> None:
        """Verify a signature now or soon. Raises a `LedgerRefusal` when it does so now."""
        if self._pool is None:
            verify_signature(public, signature, message)
            return
        self._jobs.append((index, public, signature, message))
        if len(self._jobs) >= TOGETHER:
            self._submit()
            while len(self._waiting) > self._most:
                self._collect()

    def settle(self) -> tuple[int, str] | None:
        """The first entry known to have a bad signature, and why, once all that was taken is verified."""
        if self._pool is not None:
            self._submit()
            while self._waiting:
                self._collect()
        return self._fault

    @property
    def fault(self) -> tuple[int, str] | None:
        """As `settle`, without waiting."""
        return self._fault

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _submit(self) -> None:
        if self._jobs:
            assert self._pool is not None
            self._waiting.append(self._pool.submit(_verify, self._jobs))
            self._jobs = []

    def _collect(self) -> None:
        fault = self._waiting.popleft().result()
        if self._fault is None:  # jobs are collected in the order of the log
            self._fault = fault


def _verify(jobs: Sequence[Job]) -> tuple[int, str] | None:
    for index, public, signature, message in jobs:
        try:
            verify_signature(public, signature, message)
        except LedgerRefusal as refusal:
            return index, str(refusal)
    return None
