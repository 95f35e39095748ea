"""Services of the records room: remark on an entry, have a record erased.

To erase a record is to delete its values and its key; the commitment in the log then says nothing any more.
With it go the traces that its request left: an unkeyed digest of what was asked would let somebody try names.
What was handed out before (a certificate's files, a backup) is outside the database: `tanhui db vacuum` takes
away the files that the home still has, and the remnants in the database's own files.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from ledger import tables
from ledger.canonical import JsonValue
from ledger.entry import Payload, parse_payload
from ledger.envelope import decode_leaf
from ledger.log import leaves
from registry.accounts.models import MandateRow, Organisation, Person
from registry.acts import SYSTEM, Desk
from registry.database import Base, Committed
from registry.machine import Role
from registry.office import Act, Answer, Command, Request
from registry.projections import committed_columns
from registry.records.models import Annotation
from registry.records.rules import ENTRY, RECORD, EntryToName, EntryUnknown, RecordUnknown

ERASED_DIGEST = "erased"
"""In place of the digest of a request whose content was erased; no request has this digest."""

Forget = Callable[[Session, Committed], None]
"""What a later room does when one of its records is erased: it deletes what else holds those values. It is
called before the record is emptied.
"""


class AnnotateEntry(Command):
    index: int = Field(ge=0, le=2**53 - 1, description="the entry that is remarked on")
    reason: Literal["clerical", "context", "superseded", "disputed", "key_suspect"]
    text: str = Field("", max_length=2000, description="kept off the log, bound to it by its commitment")


class EraseRecord(Command):
    commitment: str = Field(pattern=r"^[0-9a-f]{64}$")
    index: int | None = Field(
        None, ge=0, le=2**53 - 1, description="the entry that commits to it, where its row does not say"
    )


def annotate(desk: Desk, command: AnnotateEntry) -> Answer:
    text = desk.commitment("text", Annotation, text=command.text or None)
    entry = desk.act(
        ENTRY,
        "annotate",
        str(command.index),
        facts=named_entry(desk.session, command.index),
        commitments={"text": text},
        reason_code=command.reason,
        type_="annotation",
    )
    text.reveal(desk.session.get_one(Annotation, entry.index))
    return {"entry": command.index}


def erase(desk: Desk, command: EraseRecord, forget: Sequence[Forget] = ()) -> Answer:
    """Delete key and values of the one row that has this commitment. Refuses only what is not there."""
    row = find_record(desk.session, command.commitment)
    if row is None or row.commitment_key is None:
        raise RecordUnknown(commitment=command.commitment)
    index = _committing_entry(desk.session, row, command)
    desk.act(
        RECORD,
        "erase",
        command.commitment,
        facts={"commitment": command.commitment, "index": index},
        type_="erase",
    )
    empty(desk.session, row, index, forget)
    return {"commitment": command.commitment, "committed_in": index}


def empty(session: Session, row: Committed, index: int, forget: Sequence[Forget] = ()) -> None:
    """Delete key and values of a record, and what requests and rooms kept of it; entry `index` committed to
    it.
    """
    for one in forget:
        one(session, row)
    _clear_requests(session, row, index)
    for name in (*committed_columns(type(row)), "commitment_key"):
        setattr(row, name, None)
    session.flush()


def acts(forget: Sequence[Forget]) -> tuple[Act, ...]:
    """The room's acts; `forget` is what other rooms do when a record of theirs is erased."""
    return (
        Act("entry.annotate", AnnotateEntry, annotate),
        Act("record.erase", EraseRecord, partial(erase, forget=forget)),
    )


# ---- the log -----------------------------------------------------------------------------------------------


def named_entry(session: Session, index: int) -> dict[str, JsonValue]:
    """An entry by index and leaf hash, as annotations and corrections name it. Raises `EntryUnknown`."""
    log = tables.log.c
    found = session.execute(sa.select(log.leaf_hash).where(log.idx == index)).scalar_one_or_none()
    if found is None:
        raise EntryUnknown(index=index)
    return {"index": index, "leaf": found.hex()}


def _payload(session: Session, index: int) -> Payload | None:
    for leaf in leaves(session, index, index + 1):
        return parse_payload(decode_leaf(leaf)[1].payload)
    return None


def _committing_entry(session: Session, row: Committed, command: EraseRecord) -> int:
    """The index of the entry that says the commitment: the one named, else the row's own."""
    candidates = [command.index] if command.index is not None else _own_entries(session, row)
    for index in candidates:
        payload = _payload(session, index)
        if payload is not None and command.commitment in payload.commitments.values():
            return index
    if command.index is None:
        raise EntryToName(commitment=command.commitment)
    raise EntryUnknown(index=command.index)


def _own_entries(session: Session, row: Any) -> list[int]:
    """Entries that may have made the row: the one that has its id, and the one it names."""
    log, (name, *_) = tables.log.c, sa.orm.object_mapper(row).primary_key_from_instance(row)
    by_id = session.execute(sa.select(log.idx).where(log.entry_id == str(name))).scalars()
    return [*by_id, *([row.entry_index] if hasattr(row, "entry_index") else [])]


# ---- the traces --------------------------------------------------------------------------------------------


def find_record(session: Session, commitment: str) -> Committed | None:
    """The one row with this commitment, of whatever table."""
    for mapper in Base.registry.mappers:
        if issubclass(mapper.class_, Committed):
            model: Any = mapper.class_
            found: Committed | None = session.scalar(sa.select(model).where(model.commitment == commitment))
            if found is not None:
                return found
    return None


def _clear_requests(session: Session, row: Committed, index: int) -> None:
    """The request that made the record, and every request of the person whose record it is.

    One that is done keeps its id and its entries, and is never answered as a repetition again; one that still
    waits goes altogether, with the command and the payload it holds.
    """
    wanted = Request.id == _request_of(session, index)
    persons = _persons_of(session, row)
    if persons:
        wanted = sa.or_(wanted, Request.person.in_(persons))
    for request in session.scalars(sa.select(Request).where(wanted)).all():
        if request.status != "done":
            session.delete(request)
            continue
        request.digest = ERASED_DIGEST
        request.answer = {"entries": (request.answer or {}).get("entries", [])}


def _request_of(session: Session, index: int) -> str:
    """The request that an entry came of: what the system did because of an act stands right behind it."""
    while True:
        payload = _payload(session, index)
        assert payload is not None
        if payload.by != SYSTEM.person or index == 0:
            return payload.id
        index -= 1


def _persons_of(session: Session, row: Committed) -> Sequence[str]:
    """The natural person whose record it is: a person's own, or the account of an individual."""
    if isinstance(row, Person):
        return [row.id]
    if isinstance(row, Organisation) and row.kind == Role.INDIVIDUAL.value:
        wanted = sa.select(MandateRow.person_id).where(MandateRow.organisation_id == row.id)
        return session.scalars(wanted).all()
    return []
