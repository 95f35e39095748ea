"""Rows of the programmes room."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from registry.database import Base, Committed, committed, logged
from registry.projections import Subject


class Programme(Subject, Committed, Base):
    """One version of a programme. `terms` are its figures, whole numbers and codes, exactly as they stand
    in the log.
    """

    __tablename__ = "programme"

    code: Mapped[str] = logged(sa.String(20), index=True)
    version: Mapped[int] = logged(sa.Integer)
    terms: Mapped[dict[str, Any]] = logged(sa.JSON)
    name_zh: Mapped[str | None] = committed(sa.String(200))
    name_en: Mapped[str | None] = committed(sa.String(200))
