"""Costly work of strangers, few at once: some have their turn, some wait, the rest are told to come again."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

from registry.errors import RegistryRefusal

RETRY_AFTER_S: Final = 10


class ServiceBusy(RegistryRefusal):
    """Not carried out; the same request may be sent again. Answers carry `Retry-After`."""

    code: ClassVar[str] = "service_busy"
    template: ClassVar[str] = (
        "{waiting} requests of this kind are under way already; send yours again in {retry_after_s} seconds."
    )


def service_busy(waiting: int) -> RegistryRefusal:
    return ServiceBusy(waiting=waiting, retry_after_s=RETRY_AFTER_S)


class Turns:
    """`at_once` callers work, `standing` more wait behind them: each holds a thread that others need."""

    def __init__(
        self, at_once: int, standing: int, busy: Callable[[int], RegistryRefusal] = service_busy
    ) -> None:
        self._most, self._busy = at_once + standing, busy
        self._turns = threading.Semaphore(at_once)
        self._lock = threading.Lock()
        self._callers = 0

    @property
    def callers(self) -> int:
        """Those who work and those who wait."""
        with self._lock:
            return self._callers

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The right to work now. Waits behind those who came before; raises what `busy` makes of their number
        when they are too many.
        """
        with self._lock:
            if self._callers >= self._most:
                raise self._busy(self._callers)
            self._callers += 1
        try:
            with self._turns:
                yield
        finally:
            with self._lock:
                self._callers -= 1

    @contextmanager
    def behind(self) -> Iterator[None]:
        """The right to work for what waits in a queue of its own, which nobody stands waiting for."""
        with self._turns:
            yield
