"""What the commands of one group share, so that a busy writer does not look the same thing up for each.

It lives as long as the writer's transaction and is kept in `Session.info`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session


@dataclass(slots=True)
class Group:
    """The instant of the group, rows looked for together, and rows to be written together."""

    now: datetime | None = None
    found: dict[str, Any] = field(default_factory=dict)
    """Request rows by id; `None` for an id that has none."""
    made: dict[str, Any] = field(default_factory=dict)
    """Request rows that are new and written at the end."""
    loaded: list[object] = field(default_factory=list)
    """Keeps what was read alive, because a session forgets what nobody holds."""

    def instant(self, now: Callable[[], datetime]) -> datetime:
        """The clock is read once for a group; its entries are logged at one instant."""
        if self.now is None:
            self.now = now()
        return self.now


def group_of(session: Session) -> Group:
    """The group whose transaction this session is."""
    found: Group | None = session.info.get("group")
    if found is None:
        found = session.info["group"] = Group()
        loaded = found.loaded

        def keep(_session: Session, row: object) -> None:
            loaded.append(row)

        sa.event.listen(session, "loaded_as_persistent", keep)
        sa.event.listen(session, "pending_to_persistent", keep)
    return found
