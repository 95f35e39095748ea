"""New rows that wait to be inserted together.

Within a group of acts, rows of new subjects are kept as plain values and inserted many at a time: before
anything is read through the session, before the session writes rows of its own, and at the end of the group.
They are inserted in the order in which they came, so that none refers to one that is not there yet.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import ORMExecuteState, Session

_KEY: Final = "tanhui.waiting"


class Waiting:
    """Rows in runs of one table each. A run can be cut back to a mark, as long as nothing was sent since."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._runs: list[tuple[type[Any], list[dict[str, Any]]]] = []

    def add(self, model: type[Any], row: dict[str, Any]) -> None:
        if not self._runs or self._runs[-1][0] is not model:
            self._runs.append((model, []))
        self._runs[-1][1].append(row)

    def send(self) -> None:
        """Insert what waits."""
        runs, self._runs = self._runs, []
        for model, rows in runs:
            self._session.execute(sa.insert(model.__table__), rows)

    def mark(self) -> tuple[int, int]:
        """A point to go back to: the number of runs, and of rows in the last one."""
        return len(self._runs), len(self._runs[-1][1]) if self._runs else 0

    def take_back(self, mark: tuple[int, int]) -> None:
        """Forget what came after the mark."""
        runs, rows = mark
        del self._runs[runs:]
        if self._runs:
            del self._runs[-1][1][rows:]


def begin_waiting(session: Session) -> Waiting:
    """Let the new rows of this session wait from here on."""
    waiting = session.info[_KEY] = Waiting(session)

    def executing(state: ORMExecuteState) -> None:
        if state.is_select:
            waiting.send()

    def flushing(_session: Session, _context: object, _instances: object) -> None:
        waiting.send()

    sa.event.listen(session, "do_orm_execute", executing)
    sa.event.listen(session, "before_flush", flushing)
    return waiting


def waiting_in(session: Session) -> Waiting | None:
    """Where the new rows of this session wait; None where they are added at once."""
    found: Waiting | None = session.info.get(_KEY)
    return found
