"""Who holds which numbers, which of them are chosen for a transfer, and how they are written as serials.

Holdings are read from the ledger's blocks; choosing is pure. By default a receiver gets the tail and the
holder keeps the head (RULES 2); the request may instead name a range, a home parcel, or first in first out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.orm import Session

from ledger import tables
from ledger.books import Block
from ledger.canonical import JsonValue
from ledger.rows import block_of
from ledger.units import UnitRange
from registry.documents.serials import FORMAT_VERSION, Serial, UnitKind
from registry.issuance.models import Batch, HomeRange
from registry.issuance.rules import InsufficientUnits, SelectionInvalid
from registry.office import Command
from registry.programmes.service import load_programme, terms_of
from registry.projects.models import Project


class Selection(Command):
    """Which units are meant: `tail` (default), `fifo`, `range` with start and end, or `parcel` by its number
    in the project.
    """

    by: Literal["tail", "fifo", "range", "parcel"] = "tail"
    start: int | None = Field(None, ge=1)
    end: int | None = Field(None, ge=1)
    parcel: int | None = Field(None, ge=1)
    vintage: int | None = Field(None, ge=1990, le=2199)

    def facts(self) -> dict[str, JsonValue]:
        """The choice as it stands in the signed entry."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


@dataclass(frozen=True, slots=True)
class Cut:
    """A block in parts, lowest first, of which some are chosen."""

    block: Block
    parts: tuple[UnitRange, ...]
    chosen: frozenset[UnitRange]


def choose(
    blocks: Sequence[Block], asked: int, selection: Selection, homes: Sequence[UnitRange] = ()
) -> tuple[Cut, ...]:
    """`asked` units out of free blocks of one project. Pure; `homes` are the units of the selected parcel.

    Answers blocks from the lowest number. Raises `InsufficientUnits` when fewer are free in the selection,
    `SelectionInvalid` for one that contradicts itself.
    """
    eligible = list(_eligible(blocks, selection, homes))
    if selection.by == "range":
        asked = _asked_of_range(selection, asked)
    available = sum(units.count for _, units in eligible)
    if asked > available:
        raise InsufficientUnits(asked=asked, available=available)
    eligible.sort(key=lambda pair: pair[1], reverse=selection.by == "tail")
    taken: dict[str, list[UnitRange]] = {}
    for block, units in eligible:
        count = min(asked, units.count)
        if count == 0:
            break
        part = units.tail(count) if selection.by == "tail" else units.head(count)
        taken.setdefault(block.block, []).append(part)
        asked -= count
    ordered = sorted(blocks, key=lambda block: block.units)
    return tuple(_cut(block, taken[block.block]) for block in ordered if block.block in taken)


def _eligible(
    blocks: Sequence[Block], selection: Selection, homes: Sequence[UnitRange]
) -> Iterator[tuple[Block, UnitRange]]:
    match selection.by:
        case "range":
            wanted: Sequence[UnitRange] = (_named_range(selection),)
        case "parcel":
            if selection.parcel is None:
                raise SelectionInvalid(reason="a parcel's number is missing")
            wanted = homes
        case _:
            if selection.start or selection.end or selection.parcel:
                raise SelectionInvalid(reason=f"{selection.by} takes neither a range nor a parcel")
            wanted = ()
    for block in blocks:
        if selection.by in ("tail", "fifo"):
            yield block, block.units
        for units in wanted:
            part = block.units.intersection(units)
            if part is not None:
                yield block, part


def _named_range(selection: Selection) -> UnitRange:
    if selection.start is None or selection.end is None or selection.start > selection.end:
        raise SelectionInvalid(reason="a range needs its first and last unit, in this order")
    return UnitRange(selection.start, selection.end)


def _asked_of_range(selection: Selection, asked: int) -> int:
    count = _named_range(selection).count
    if asked != count:
        raise SelectionInvalid(reason=f"the range holds {count} units, {asked} are asked for")
    return count


def _cut(block: Block, chosen: Iterable[UnitRange]) -> Cut:
    parts = [block.units]
    for units in chosen:
        at = next(n for n, part in enumerate(parts) if part.contains(units))
        parts[at : at + 1] = parts[at].split_around(units)
    return Cut(block, tuple(parts), frozenset(chosen))


# ---- reading -----------------------------------------------------------------------------------------------


def free_blocks(session: Session, account: str, project: str) -> list[Block]:
    """The live, unlocked blocks of a project in an account, lowest numbers first."""
    block = tables.block.c
    rows = session.execute(
        sa.select(tables.block)
        .where(
            block.account == account, block.series == project, block.live.is_(True), block.pending.is_(None)
        )
        .order_by(block.start_number)
    )
    return [block_of(row) for row in rows.mappings()]


def locked_blocks(session: Session, pending: str) -> list[Block]:
    """The live blocks that a reservation holds, lowest numbers first."""
    block = tables.block.c
    rows = session.execute(
        sa.select(tables.block)
        .where(block.pending == pending, block.live.is_(True))
        .order_by(block.series, block.start_number)
    )
    return [block_of(row) for row in rows.mappings()]


def find_units(
    session: Session, account: str, project: str, asked: int, selection: Selection
) -> tuple[Cut, ...]:
    """Choose among what an account holds free of a project; raises as `choose`."""
    blocks = free_blocks(session, account, project)
    if selection.vintage is not None:
        years = sa.select(Batch.id).where(Batch.project_id == project, Batch.vintage == selection.vintage)
        wanted = set(session.scalars(years))
        blocks = [block for block in blocks if block.batch in wanted]
    homes: list[UnitRange] = []
    if selection.parcel is not None:
        rows = session.scalars(
            sa.select(HomeRange).where(
                HomeRange.project_id == project, HomeRange.parcel_number == selection.parcel
            )
        )
        homes = [UnitRange(row.start_number, row.end_number) for row in rows]
    return choose(blocks, asked, selection, homes)


def homes_within(session: Session, project: str, units: UnitRange) -> list[tuple[int, UnitRange]]:
    """(parcel number, units) for every home range that a range touches, clipped to it, lowest numbers
    first.
    """
    rows = session.scalars(
        sa.select(HomeRange)
        .where(
            HomeRange.project_id == project,
            HomeRange.start_number <= units.end,
            HomeRange.end_number >= units.start,
        )
        .order_by(HomeRange.start_number)
    )
    clipped = [
        (row.parcel_number, units.intersection(UnitRange(row.start_number, row.end_number))) for row in rows
    ]
    return [(parcel, part) for parcel, part in clipped if part is not None]


def credited_units(session: Session, project: str) -> dict[int, int]:
    """Units issued to a project so far by home parcel number, buffer included."""
    count = sa.func.sum(HomeRange.end_number - HomeRange.start_number + 1)
    rows = session.execute(
        sa.select(HomeRange.parcel_number, count)
        .where(HomeRange.project_id == project)
        .group_by(HomeRange.parcel_number)
    )
    return {parcel: int(units) for parcel, units in rows}


# ---- serials -----------------------------------------------------------------------------------------------


def serials_of(session: Session, project: Project, blocks: Iterable[Block]) -> tuple[Serial, ...]:
    """Serials of blocks of one project; what adjoins within a batch is one serial."""
    return tuple(
        serial_of(session, project, session.get_one(Batch, batch), units)
        for batch, units in joined_ranges(blocks)
    )


def joined_ranges(blocks: Iterable[Block]) -> list[tuple[str, UnitRange]]:
    """(batch, units) of blocks from the lowest number, adjoining ones of a batch as one."""
    joined: list[tuple[str, UnitRange]] = []
    for block in sorted(blocks, key=lambda block: block.units):
        if joined and joined[-1][0] == block.batch and joined[-1][1].adjacent(block.units):
            joined[-1] = (block.batch, joined[-1][1].merge(block.units))
        else:
            joined.append((block.batch, block.units))
    return joined


def serial_of(session: Session, project: Project, batch: Batch, units: UnitRange) -> Serial:
    """The serial of some units of a batch (RULES 2)."""
    terms = terms_of(load_programme(session, project.programme_id))
    registry = terms.serial_registry.removesuffix(str(FORMAT_VERSION))
    assert project.number is not None, "units are issued to registered projects only"
    return Serial(
        registry,
        project.county,
        UnitKind(terms.unit_kind),
        project.number,
        batch.vintage,
        batch.number,
        units,
    )


def find_serial(session: Session, text: str) -> tuple[Project, Batch, Serial] | None:
    """What a serial names: its project, its batch and itself; None when these units were never issued.

    Raises `SerialMalformed`, `SerialCheckDigitsWrong`, `SerialBatchDisagrees`.
    """
    serial = Serial.parse(text)
    project = session.scalar(
        sa.select(Project).where(Project.number == serial.project, Project.county == serial.county)
    )
    if project is None:
        return None
    batch = session.scalar(
        sa.select(Batch).where(
            Batch.project_id == project.id,
            Batch.start_number <= serial.units.start,
            Batch.end_number >= serial.units.end,
        )
    )
    if batch is None:
        return None
    serial.require_batch(batch.vintage, batch.number)
    return project, batch, serial
