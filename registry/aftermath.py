"""What some refusals leave behind although they take everything back: written after them, on its own.

A room says for which of its refusals something is kept, and how (`Keeper`); the catalogue lists it. The
writer calls `Aftermath` before it answers with the refusal, outside any transaction, so whoever was refused
finds it written. If it cannot be written the refusal stands all the same, and the operator reads why.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from registry.clock import Clock
from registry.database import Database
from registry.errors import RegistryRefusal

_log = logging.getLogger(__name__)


class Keeper(Protocol):
    """Writes working rows about a refusal, in a transaction of its own."""

    def __call__(self, session: Session, refusal: Any, now: datetime, /) -> None: ...


class Aftermath:
    """Keeps what the rooms want kept of refusals."""

    def __init__(
        self, database: Database, clock: Clock, keepers: Mapping[type[RegistryRefusal], Keeper]
    ) -> None:
        self._database = database
        self._clock = clock
        self._keepers = keepers

    def __call__(self, refusal: Exception) -> None:
        for kind, keeper in self._keepers.items():
            if isinstance(refusal, kind):
                self._keep(keeper, refusal)

    def _keep(self, keeper: Keeper, refusal: Exception) -> None:
        try:
            now = self._clock.now()
            with self._database.write() as session:
                keeper(session, refusal, now)
        except Exception:
            _log.exception("nothing could be kept of the refusal %s", refusal)
