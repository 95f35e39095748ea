"""Rows of the records room."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from registry.database import Base, Committed, committed, logged


class StateEntry(Base):
    """A `state` entry: how many accounts, live blocks and open reservations there were, and their digest."""

    __tablename__ = "state_entry"

    entry_index: Mapped[int] = logged(sa.BigInteger, primary_key=True, autoincrement=False)
    at_ms: Mapped[int] = logged(sa.BigInteger)
    accounts: Mapped[int] = logged(sa.BigInteger)
    blocks: Mapped[int] = logged(sa.BigInteger)
    pendings: Mapped[int] = logged(sa.BigInteger)
    sha256: Mapped[str] = logged(sa.String(64))


class Annotation(Committed, Base):
    """A remark on an entry. The entry stays as it is; why is a code, and what is said is committed."""

    __tablename__ = "annotation"

    entry_index: Mapped[int] = logged(sa.BigInteger, primary_key=True, autoincrement=False)
    annotated_index: Mapped[int] = logged(sa.BigInteger, index=True)
    reason_code: Mapped[str] = logged(sa.String(40))
    text: Mapped[str | None] = committed(sa.String(2000))


class Erasure(Base):
    """A record whose values and key were deleted; the entry that committed to it keeps the commitment."""

    __tablename__ = "erasure"

    commitment: Mapped[str] = logged(sa.String(64), primary_key=True)
    committed_index: Mapped[int] = logged(sa.BigInteger)
    entry_index: Mapped[int] = logged(sa.BigInteger)
