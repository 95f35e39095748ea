"""Receipts: the proof, for whoever logged something, that it is in the log that everybody sees."""

from collections.abc import Iterable
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import tables
from ledger.merkle import inclusion_proof
from ledger.proof import TlogProof
from ledger.tiles import TileDirectory
from registry.errors import RegistryRefusal


class NotPublished(RegistryRefusal):
    """The published log does not reach the entry yet."""

    code: ClassVar[str] = "entry_not_published"
    template: ClassVar[str] = "Entry {entry} is not in the published log of {published} entries yet."


def prove(session: Session, index: int, log: TileDirectory) -> bytes:
    """The tlog-proof of an entry under the first checkpoint that covers it, with hashes from the published
    tiles. However far the log grows, it has the same bytes: the first checkpoint that witnesses cosigned, if
    there is one, else the one that was signed with the entry.

    Raises `NotPublished`.
    """
    first = _first(session, tables.cosigned, index) or _first(session, tables.checkpoint, index)
    published = log.published_size()
    if first is None or first.size > published:
        raise NotPublished(entry=index, published=published)
    hashes = inclusion_proof(index, first.size, log.nodes(published))
    return TlogProof(index, tuple(hashes), first.note).to_bytes()


def receipts(session: Session, entries: Iterable[int], log: TileDirectory) -> dict[int, str]:
    """The proofs of entries, by index; those that are not published yet, because witnesses are late, are left
    out and can be asked for later.
    """
    found = {}
    for index in entries:
        try:
            found[index] = prove(session, index, log).decode("utf-8")
        except NotPublished:
            continue
    return found


def _first(session: Session, notes: sa.Table, index: int) -> sa.Row[Any, Any] | None:
    """Size and note of the first checkpoint in a table that covers an entry."""
    covering = sa.select(notes.c.size, notes.c.note).where(notes.c.size > index)
    return session.execute(covering.order_by(notes.c.size).limit(1)).one_or_none()
