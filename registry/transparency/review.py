"""Entries under review: signed by a key that was revoked as compromised, from the index that was named on.

They stay valid, because a verdict depends on positions alone; what was wrong is reversed by new entries. Here
they are found, so that nobody overlooks them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from auditor.findings import Report
from ledger import tables
from ledger.entry import parse_payload
from ledger.envelope import decode_leaf


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A key whose signatures are suspect from one entry up to the one that revoked it."""

    key: str
    suspect_from: int
    revoked_index: int


@dataclass(frozen=True, slots=True)
class UnderReview:
    """An entry that a suspect key signed."""

    entry_index: int
    key: str
    revoked_index: int


def suspicions(session: Session) -> list[Suspicion]:
    """Every compromise that the log tells of, in its order."""
    state, log = tables.subject_state.c, tables.log.c
    rows = session.execute(
        sa.select(log.idx, log.leaf)
        .join(tables.subject_state, state.idx == log.idx)
        .where(state.machine == "key", state.state == "revoked")
        .order_by(log.idx)
    )
    found = []
    for index, leaf in rows:
        payload = parse_payload(decode_leaf(leaf)[1].payload)
        suspect_from = payload.facts["suspect_from"]
        if isinstance(suspect_from, int):
            found.append(Suspicion(payload.subject, suspect_from, index))
    return found


def under_review(session: Session, indexes: Iterable[int | None]) -> list[UnderReview]:
    """Those of these entries that a suspect key signed."""
    found = suspicions(session)
    wanted = sorted({index for index in indexes if index is not None}) if found else []
    log = tables.log.c
    rows = session.execute(sa.select(log.idx, log.leaf).where(log.idx.in_(wanted)).order_by(log.idx))
    return list(_reviewed(((row.idx, row.leaf) for row in rows), found)) if found else []


def note_reviews(session: Session, report: Report) -> None:
    """Note every entry under review. No contradiction: the log says it itself."""
    log = tables.log.c
    for suspicion in suspicions(session):
        rows = session.execute(
            sa.select(log.idx, log.leaf)
            .where(log.idx >= suspicion.suspect_from, log.idx < suspicion.revoked_index)
            .order_by(log.idx)
        )
        for one in _reviewed(((row.idx, row.leaf) for row in rows), [suspicion]):
            report.note(
                "I9",
                f"entry {one.entry_index}",
                f"under review: the key {one.key}, compromised by entry {one.revoked_index}, signed it",
            )


def _reviewed(rows: Iterable[tuple[int, bytes]], suspicions: Iterable[Suspicion]) -> Iterator[UnderReview]:
    known = {one.key: one for one in suspicions}
    for index, leaf in rows:
        for signature in decode_leaf(leaf)[1].signatures:
            one = known.get(signature.keyid)
            if one is not None and one.suspect_from <= index < one.revoked_index:
                yield UnderReview(index, one.key, one.revoked_index)
