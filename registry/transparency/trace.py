"""From a serial to everything it rests on: parcels, run, verifier, issuing entry, everybody who held it.

Read from the tables, whose rows the audit holds against the log; who held the units is read from the log's
own entries. `recomputing` goes on to compute the kilograms again.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import tables
from ledger.effects import Move, OpenBlock, Post, Transfer
from ledger.entry import parse_payload
from ledger.envelope import decode_leaf
from ledger.units import UnitRange
from registry.accounts.models import Organisation
from registry.accounts.service import NotFound
from registry.clock import from_milliseconds
from registry.documents.serials import Serial
from registry.estimates.models import EstimateRun
from registry.estimates.service import load_run
from registry.issuance.models import Batch, HomeRange, Issuance
from registry.machine import Role
from registry.parcels.life import successors
from registry.parcels.models import Parcel, ParcelVersion
from registry.parcels.public import masked_among
from registry.programmes.rules import unit_asset
from registry.programmes.service import load_programme, terms_of
from registry.projects.models import MonitoringPeriod, Project, ProjectParcel
from registry.transparency.review import UnderReview, under_review
from registry.verification.models import Statement
from registry.verification.service import load_statement, verified_parcels


@dataclass(frozen=True, slots=True)
class TracedSuccessor:
    """A parcel on ground of another that was split, merged or surveyed again. Shares in parts per million."""

    predecessor: str
    parcel: str
    kind: str
    share_ppm: int
    from_on: str
    entry_index: int


@dataclass(frozen=True, slots=True)
class TracedHome:
    """Units of the serial that grew on one parcel. Areas in cm2; the parcel's outline is public elsewhere.

    `successors`: who took over ground of the parcel since, generation after generation, and which share of
    their predecessor's credits and duties each has.
    """

    start: int
    end: int
    number: int
    parcel: str
    version: int
    code: str
    county: str
    village: str | None
    stand_type: str
    area_cm2: int
    buffer: bool
    verified_kg: int
    status: str
    successors: tuple[TracedSuccessor, ...]


@dataclass(frozen=True, slots=True)
class TracedHolder:
    """Units of the serial that came to an account by an entry. A private person is named by nothing but its
    id.
    """

    start: int
    end: int
    account: str
    organisation: str
    name: str | None
    entry_index: int
    at: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything a serial rests on, each with the index of the entry that says so."""

    serial: str
    units: int
    project: dict[str, Any]
    batch: dict[str, Any]
    homes: tuple[TracedHome, ...]
    period: dict[str, Any]
    run: dict[str, Any]
    statement: dict[str, Any]
    issuance: dict[str, Any]
    holders: tuple[TracedHolder, ...]
    under_review: tuple[UnderReview, ...]
    """Those of these entries that a key signed which was revoked as compromised since."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Found:
    """The rows that a serial leads to."""

    serial: Serial
    project: Project
    batch: Batch
    issuance: Issuance
    period: MonitoringPeriod
    statement: Statement
    run: EstimateRun


def trace(session: Session, serial: str) -> Trace:
    """Everything a serial rests on, in one call.

    Raises `SerialMalformed`, `SerialCheckDigitsWrong`, `SerialBatchDisagrees`, and `NotFound` for units
    that were never issued.
    """
    found = find_serial(session, serial)
    holders, recorded = tuple(_holders(session, found)), _recorded_index(session, found.run.id)
    rested_on = (
        recorded, found.statement.entry_index, found.issuance.issued_index,
        *(holder.entry_index for holder in holders),
    )  # fmt: skip
    return Trace(
        serial=str(found.serial),
        units=found.serial.count,
        project={
            "id": found.project.id,
            "number": found.project.number,
            "programme": found.project.programme_id,
            "owner": found.project.owner_id,
            "owner_name": _public_name(session, found.project.owner_id),
            "name": found.project.name,
        },
        batch={"id": found.batch.id, "number": found.batch.number, "vintage": found.batch.vintage},
        homes=tuple(homes_of(session, found)),
        period={
            "id": found.period.id,
            "from_on": found.period.from_on,
            "to_on": found.period.to_on,
            "pools": found.period.pools,
        },
        run={
            "id": found.run.id,
            "entry_index": recorded,
            "method": found.run.method,
            "method_sha256": found.run.method_sha256,
            "parameters_sha256": found.run.parameters_sha256,
            "inputs_sha256": found.run.inputs_sha256,
            "estimate_kg": found.run.estimate_kg,
            "uncertainty_ppm": found.run.uncertainty_ppm,
        },
        statement={
            "id": found.statement.id,
            "entry_index": found.statement.entry_index,
            "verifier": found.statement.verifier_id,
            "verifier_name": _public_name(session, found.statement.verifier_id),
            "person": found.statement.person_id,
            "verified_kg": found.statement.verified_kg,
            "deduction_kg": found.statement.deduction_kg,
        },
        issuance={
            "id": found.issuance.id,
            "entry_index": found.issuance.issued_index,
            "units": found.issuance.units,
            "buffer_units": found.issuance.buffer_units,
        },
        holders=holders,
        under_review=tuple(under_review(session, rested_on)),
    )


# ---- the way -----------------------------------------------------------------------------------------------


def find_serial(session: Session, text: str) -> Found:
    serial = Serial.parse(text)
    project = session.scalars(sa.select(Project).where(Project.number == serial.project)).one_or_none()
    batch = None if project is None else _batch(session, project, serial.units)
    if project is None or batch is None or not _spells(session, project, serial):
        raise NotFound(kind="serial", id=text[:120])
    serial.require_batch(batch.vintage, batch.number)
    issuance = session.get_one(Issuance, batch.issuance_id)
    statement = load_statement(session, issuance.statement_id)
    return Found(
        serial=serial,
        project=project,
        batch=batch,
        issuance=issuance,
        period=session.get_one(MonitoringPeriod, issuance.period_id),
        statement=statement,
        run=load_run(session, statement.run_id),
    )


def _batch(session: Session, project: Project, units: UnitRange) -> Batch | None:
    """The batch that holds all of the units, if one does."""
    wanted = sa.select(Batch).where(
        Batch.project_id == project.id, Batch.start_number <= units.start, Batch.end_number >= units.end
    )
    return session.scalars(wanted).one_or_none()


def _spells(session: Session, project: Project, serial: Serial) -> bool:
    """Whether registry, county and kind are those of the project."""
    terms = terms_of(load_programme(session, project.programme_id))
    registry = terms.serial_registry.rstrip("0123456789")
    return (serial.registry, serial.county, serial.kind.value) == (registry, project.county, terms.unit_kind)


def homes_of(session: Session, found: Found) -> Iterator[TracedHome]:
    units = found.serial.units
    rows = session.scalars(
        sa.select(HomeRange)
        .where(
            HomeRange.project_id == found.project.id,
            HomeRange.start_number <= units.end,
            HomeRange.end_number >= units.start,
        )
        .order_by(HomeRange.start_number)
    )
    shares = verified_parcels(session, found.statement)
    for row in rows:
        listed = session.get_one(ProjectParcel, (found.project.id, row.parcel_number))
        parcel = session.get_one(Parcel, listed.parcel_id)
        version = session.get_one(ParcelVersion, (listed.parcel_id, listed.parcel_version))
        yield TracedHome(
            start=max(row.start_number, units.start),
            end=min(row.end_number, units.end),
            number=row.parcel_number,
            parcel=parcel.id,
            version=version.version,
            code=parcel.code,
            county=parcel.county,
            village=None if masked_among(session, [version]) else version.village,
            stand_type=version.stand_type,
            area_cm2=version.area_cm2,
            buffer=row.buffer,
            verified_kg=shares.get(row.parcel_number, 0),
            status=parcel.status,
            successors=tuple(_successors(session, parcel.id)),
        )


def _successors(session: Session, parcel: str) -> Iterator[TracedSuccessor]:
    for row in successors(session, parcel):
        yield TracedSuccessor(
            predecessor=row.predecessor_id,
            parcel=row.successor_id,
            kind=row.kind,
            share_ppm=row.share_ppm,
            from_on=row.from_on,
            entry_index=row.entry_index,
        )


def _recorded_index(session: Session, run: str) -> int | None:
    """The entry that recorded a run: its id is the run's."""
    log = tables.log.c
    return session.execute(sa.select(log.idx).where(log.entry_id == run)).scalar_one_or_none()


# ---- who held it -------------------------------------------------------------------------------------------


def _holders(session: Session, found: Found) -> Iterator[TracedHolder]:
    """Every arrival of units of the serial at an account, oldest first: at issuance, and by each later
    move.
    """
    blocks = _blocks(session, found.project.id, found.serial.units)
    asset = unit_asset(found.project.programme_id)
    owners: dict[str, tuple[str, str | None]] = {}
    for index, at_ms, units, account in _arrivals(session, asset, blocks):
        if account not in owners:
            owners[account] = _owner(session, account)
        organisation, name = owners[account]
        yield TracedHolder(
            start=max(units.start, found.serial.units.start),
            end=min(units.end, found.serial.units.end),
            account=account,
            organisation=organisation,
            name=name,
            entry_index=index,
            at=from_milliseconds(at_ms).isoformat(),
        )


def _blocks(session: Session, series: str, units: UnitRange) -> dict[str, UnitRange]:
    """Blocks of the project, live or split, that hold some of the units."""
    block = tables.block.c
    rows = session.execute(
        sa.select(block.block, block.start_number, block.end_number).where(
            block.series == series, block.start_number <= units.end, block.end_number >= units.start
        )
    )
    return {name: UnitRange(start, end) for name, start, end in rows}


def _arrivals(
    session: Session, asset: str, blocks: dict[str, UnitRange]
) -> Iterator[tuple[int, int, UnitRange, str]]:
    posting, log = tables.posting.c, tables.log.c
    touched = sa.select(posting.idx).where(posting.asset == asset).distinct()
    rows = session.execute(sa.select(log.idx, log.leaf).where(log.idx.in_(touched)).order_by(log.idx))
    for index, leaf in rows:
        at_ms, envelope = decode_leaf(leaf)
        for effect in parse_payload(envelope.payload).effects:
            for move in _moves(effect):
                if move.block in blocks:
                    yield index, at_ms, blocks[move.block], move.to


def _moves(effect: object) -> tuple[Move, ...]:
    match effect:
        case OpenBlock():
            return (Move(effect.block, effect.account),)
        case Transfer() | Post():
            return effect.moves
        case _:
            return ()


def _owner(session: Session, account: str) -> tuple[str, str | None]:
    kept = tables.account.c
    owner = session.execute(sa.select(kept.owner).where(kept.account == account)).scalar_one()
    return owner, _public_name(session, owner)


def _public_name(session: Session, organisation: str) -> str | None:
    """An organisation's name; none of a natural person's account."""
    row = session.get(Organisation, organisation)
    return None if row is None or row.kind == Role.INDIVIDUAL.value else row.name
