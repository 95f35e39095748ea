"""Who does the work: `Workers` runs one function over many items and hands back the results in their order.

Whatever is measured here is cut into items that know nothing of each other (a range of blocks of one raster,
a chunk of outlines), and the results are put together in the order of the items. So a number does not depend
on how many workers there were, which of them was faster, or on which machine an item was done.

A task is a function of a module (or a `functools.partial` of one), and items and results are plain values
that can be pickled, so that the same task runs in this process (`Threads`) or on other machines.
"""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

__all__ = ["Progress", "Threads", "Workers", "threads_of", "told", "workers_of"]

Progress = Callable[[str, int, int], None]
"""Told the name of a step, how many of its items are done, and of how many."""

_AHEAD: Final = 4
"""Items begun beyond the one waited for, for each worker: results are not piled up."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Workers(Protocol):
    """Runs `task` on each item; the results come in the order of the items, whoever was first.

    The first item that fails ends the work with its error, in the order of the items; what was not begun is
    not begun. `progress` is told of `step` as results come, and at the start.
    """

    def map(
        self,
        task: Callable[[_Item], _Result],
        items: Sequence[_Item],
        *,
        step: str = "",
        progress: Progress | None = None,
    ) -> Iterator[_Result]: ...


@dataclass(frozen=True, slots=True)
class Threads:
    """Workers within this process: GDAL, GEOS, PROJ and the compiled loops leave the interpreter lock."""

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"{self.count} workers")

    def map(
        self,
        task: Callable[[_Item], _Result],
        items: Sequence[_Item],
        *,
        step: str = "",
        progress: Progress | None = None,
    ) -> Iterator[_Result]:
        results = self._one_by_one(task, items) if self._alone(items) else self._side_by_side(task, items)
        if progress is None:
            return results
        return told(results, len(items), step, progress)

    def _alone(self, items: Sequence[_Item]) -> bool:
        return self.count == 1 or len(items) < 2

    @staticmethod
    def _one_by_one(task: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
        return (task(item) for item in items)

    def _side_by_side(self, task: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
        todo = iter(items)
        with ThreadPoolExecutor(min(self.count, len(items)), thread_name_prefix="measure") as pool:
            begun: deque[Future[_Result]] = deque(
                pool.submit(task, item) for item in itertools.islice(todo, self.count * _AHEAD)
            )
            try:
                while begun:
                    result = begun.popleft().result()
                    begun.extend(pool.submit(task, item) for item in itertools.islice(todo, 1))
                    yield result
            finally:
                for future in begun:
                    future.cancel()


def told(results: Iterator[_Result], total: int, step: str, progress: Progress) -> Iterator[_Result]:
    """The results, with `progress` told of each as it comes."""
    progress(step, 0, total)
    for done, result in enumerate(results, 1):
        progress(step, done, total)
        yield result


def workers_of(given: "Workers | int | None") -> Workers:
    """Workers as they are given: as such, as a number of threads, or (None) a thread for each core that this
    process may use.
    """
    if given is None:
        return Threads(len(os.sched_getaffinity(0)))
    return Threads(max(given, 1)) if isinstance(given, int) else given


def threads_of(workers: Workers) -> Threads:
    """For work on arrays that lie in this process: these threads, or this one where the workers are
    elsewhere.
    """
    return workers if isinstance(workers, Threads) else Threads(1)
