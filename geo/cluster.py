"""Workers on other machines: the only module that imports dask and distributed, with the first address given.

`DaskWorkers` does what `Threads` does, with the processes of a Dask cluster. What a run may expect of it:

* the same numbers, bit for bit: every worker is asked what it computes with before it does anything, and with
  each item again, so that one that comes later is held to the same;
* a worker that dies takes no result with it: its items are begun again elsewhere. An item during which
  workers die again and again ends the work by its name;
* what a task refuses arrives as that refusal, and is not tried again;
* few items are on their way at a time, so that neither the scheduler nor this process holds a province.
"""

import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from geo.elsewhere import Frames, compare, computing_with, do_item, packages_of, packed, unpacked
from geo.errors import (
    ClusterAddressRefused,
    ClusterDiffers,
    ClusterNotInstalled,
    ClusterUnreachable,
    ClusterWithoutWorkers,
    ClusterWorkersLost,
)
from geo.work import Progress, Workers, told, workers_of

__all__ = ["DaskWorkers", "workers_for"]

WAIT_S: Final = 30.0
"""How long a scheduler may take to answer, and how long it may be without any worker."""

_AHEAD: Final = 2
"""Items on their way for each thread of the cluster."""

_MOST_BYTES: Final = 1 << 30
"""Of items on their way, however many threads there are; one is always begun."""

_LOOK_S: Final = 1.0
_COUNT_AGAIN_S: Final = 5.0
_FETCH_S: Final = 600.0
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@contextmanager
def workers_for(address: str | None, threads: int | None = None) -> Iterator[Workers]:
    """Workers of the cluster at `address`, or so many threads of this process (None: one for each core)."""
    if address is None:
        yield workers_of(threads)
        return
    with DaskWorkers(address) as workers:
        yield workers


@dataclass(slots=True)
class _Begun:
    """An item on its way."""

    size_bytes: int
    future: Any


class DaskWorkers:
    """The workers of the Dask scheduler at an address, which are connected to until `close`.

    `wait_s`: how long to wait for the scheduler, and for its first worker. Certificates for tls:// are those
    of the configuration of distributed (`distributed.comm.tls`). Raises ClusterNotInstalled,
    ClusterAddressRefused, ClusterUnreachable, ClusterWithoutWorkers, ClusterDiffers; `map` the same, and
    ClusterWorkersLost.
    """

    def __init__(self, address: str, *, wait_s: float = WAIT_S) -> None:
        _require_private(address)
        self.address = address
        self._wait_s = wait_s
        self._checked: set[tuple[str, ...]] = set()
        self._threads, self._counted_at = 0, float("-inf")
        self._client = self._connected()
        try:
            self._wait_for_a_worker()
            self._require_alike(("geo",))
        except BaseException:
            self.close()
            raise

    def map(
        self,
        task: Callable[[_Item], _Result],
        items: Sequence[_Item],
        *,
        step: str = "",
        progress: Progress | None = None,
    ) -> Iterator[_Result]:
        results = self._results(task, items, step)
        return results if progress is None else told(results, len(items), step, progress)

    def close(self) -> None:
        """Leave the cluster; what is on its way is forgotten."""
        with _quiet():
            self._client.close(timeout=_LOOK_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- the cluster ---------------------------------------------------------------------------------------

    def _connected(self) -> Any:
        distributed = _library()
        try:
            security = distributed.Security()  # of its configuration
            if self.address.startswith("tls:") and not security.get_connection_args("client")["ssl_context"]:
                raise ClusterUnreachable(address=self.address, reason="no certificate is configured for TLS")
            with warnings.catch_warnings():  # of versions that differ: they are compared below
                warnings.simplefilter("ignore")
                return distributed.Client(
                    self.address, timeout=self._wait_s, set_as_default=False, security=security
                )
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: BaseException) -> ClusterUnreachable:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return ClusterUnreachable(address=self.address, reason=reason)

    def _wait_for_a_worker(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=self._wait_s)
        except TimeoutError:
            raise self._without_workers() from None
        except OSError as error:
            raise self._unreachable(error) from None

    def _without_workers(self) -> ClusterWithoutWorkers:
        return ClusterWithoutWorkers(address=self.address, seconds=round(self._wait_s, 1))

    def _require_alike(self, packages: tuple[str, ...]) -> Mapping[str, str]:
        """Compare all workers of now, and the scheduler, with this process (ClusterDiffers)."""
        ours = computing_with(packages)
        if packages not in self._checked:
            scheduler, workers = self._answers(packages)
            # it computes nothing, but makes objects of what it passes on
            passing_on = {what: ours[what] for what in ("python", "distributed", "code of geo")}
            self._compare(self.address, scheduler, passing_on)
            for worker, theirs in sorted(workers.items()):
                self._compare(worker, theirs, ours)
            self._checked.add(packages)
        return ours

    def _answers(self, packages: tuple[str, ...]) -> tuple[Any, Mapping[str, Any]]:
        """What the scheduler and each worker compute with, or why they cannot say."""
        try:
            workers: Mapping[str, Any] = self._client.run(computing_with, packages, on_error="return")
        except OSError as error:
            raise self._unreachable(error) from None
        try:
            return self._client.run_on_scheduler(computing_with, packages), workers
        except Exception as error:
            return error, workers

    def _compare(self, host: str, theirs: Any, ours: Mapping[str, str]) -> None:
        if isinstance(theirs, OSError):
            raise self._unreachable(theirs)
        if isinstance(
            theirs, Exception
        ):  # of another release, or without us: it does not know what was asked
            reason = " ".join(str(theirs).split())[:200]
            raise ClusterDiffers(host=host, what="code of geo", theirs=reason, ours=ours["code of geo"])
        compare(host, theirs, ours)

    def _count(self) -> int:
        """Threads of the cluster, asked for now and then: workers come and go."""
        if time.monotonic() - self._counted_at > _COUNT_AGAIN_S:
            self._threads = self._ask()["total_threads"]
            self._counted_at = time.monotonic()
        return max(self._threads, 1)

    def _ask(self) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = self._client.scheduler_info(n_workers=0)
        except (OSError, RuntimeError) as error:
            raise self._unreachable(error) from None
        return found

    # ---- items ---------------------------------------------------------------------------------------------

    def _results(
        self, task: Callable[[_Item], _Result], items: Sequence[_Item], step: str
    ) -> Iterator[_Result]:
        expected = self._require_alike(packages_of(task))
        name = f"{step or 'work'}-{uuid.uuid4().hex[:8]}"
        todo = iter(range(len(items)))
        begun: deque[_Begun] = deque()

        def begin_more() -> None:
            while self._room(begun) and (following := next(todo, None)) is not None:
                begun.append(self._begin(packed((task, items[following])), expected, name, following))

        try:
            for number in range(len(items)):
                begin_more()
                result = self._awaited(begun[0], begin_more, step, number, len(items))
                begun.popleft()
                yield result
        finally:
            self._give_up(begun)

    def _room(self, begun: deque[_Begun]) -> bool:
        if not begun:
            return True
        return len(begun) < self._count() * _AHEAD and sum(one.size_bytes for one in begun) < _MOST_BYTES

    def _begin(self, frames: Frames, expected: Mapping[str, str], name: str, number: int) -> _Begun:
        size_bytes = sum(frame.nbytes for frame in frames)
        key = f"{name}-{number + 1}"
        try:
            with warnings.catch_warnings():  # of items above 10 MB: so they are meant
                warnings.simplefilter("ignore")
                future = self._client.submit(do_item, frames, expected, key=key, pure=False)
        except (OSError, RuntimeError) as error:
            raise self._unreachable(error) from None
        return _Begun(size_bytes, future)

    def _awaited(
        self, begun: _Begun, meanwhile: Callable[[], None], step: str, number: int, total: int
    ) -> Any:
        """The result of an item, however often it has to be begun again."""
        distributed = _library()
        try:
            self._wait_for(begun.future, meanwhile)
            done, value = unpacked(begun.future.result(timeout=_FETCH_S))
        except distributed.KilledWorker as error:
            count = error.allowed_failures + 1
            raise ClusterWorkersLost(count=count, step=step, task=number + 1, total=total) from None
        except (distributed.CancelledError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from None
        begun.future.release()
        if not done:
            raise value
        return value

    def _wait_for(self, future: Any, meanwhile: Callable[[], None]) -> None:
        """Until it is done, or has failed; not for longer than a cluster may be without workers. Who joins it
        meanwhile is given something to do.
        """
        alone_since: float | None = None
        while True:
            with suppress(TimeoutError):
                future.exception(timeout=_LOOK_S)
                return
            now = time.monotonic()
            if self._ask()["n_workers"]:
                alone_since = None
            elif alone_since is None:
                alone_since = now
            elif now - alone_since > self._wait_s:
                raise self._without_workers()
            meanwhile()

    def _give_up(self, begun: deque[_Begun]) -> None:
        if begun:
            with _quiet():
                self._client.cancel([one.future for one in begun], force=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """For leaving: a scheduler that is gone has forgotten by itself."""
    with suppress(OSError, RuntimeError, TimeoutError):
        yield


@cache
def _library() -> Any:
    """The library distributed (ClusterNotInstalled)."""
    try:
        import distributed
    except ImportError:
        raise ClusterNotInstalled() from None
    return distributed


def _require_private(address: str) -> None:
    """Only where nobody else can speak: TLS with certificates of both sides, or this machine."""
    try:
        parts = urlsplit(address)
        named = parts.hostname is not None and parts.port is not None
    except ValueError:
        raise ClusterAddressRefused(address=address) from None
    if not named or not (parts.scheme == "tls" or (parts.scheme == "tcp" and parts.hostname in _LOOPBACK)):
        raise ClusterAddressRefused(address=address)
