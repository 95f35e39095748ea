"""Rows that the issuance room's entries imply."""

from typing import Any

from sqlalchemy.orm import Session

from registry.issuance.models import Batch, HomeRange, Issuance
from registry.issuance.plan import BatchPlan
from registry.projections import Recorded, begin, follow

FIGURES = ("verified_kg", "units", "buffer_units", "residue_before_kg", "residue_after_kg")


def issuance(session: Session, recorded: Recorded) -> None:
    if recorded.action == "propose":
        _propose(session, recorded)
        return
    row = follow(session, Issuance, recorded)
    if recorded.action == "approve":
        _approve(session, row, recorded)


def _propose(session: Session, recorded: Recorded) -> None:
    facts = recorded.facts
    begin(
        session,
        Issuance,
        recorded,
        project_id=facts["project"],
        period_id=facts["period"],
        pools=facts["pools"],
        statement_id=facts["statement"],
        proposed_by=facts["proposed_by"],
        proposed_ms=recorded.entry.at_ms,
        **{name: facts[name] for name in FIGURES},
    )


def _approve(session: Session, row: Issuance, recorded: Recorded) -> None:
    facts: dict[str, Any] = recorded.facts
    for name in FIGURES:
        setattr(row, name, facts[name])
    row.issued_index = recorded.index
    row.issued_key = f"{row.project_id}:{row.period_id}:{row.pools}"
    session.flush()
    for value in facts["batches"]:
        _add_batch(session, row, BatchPlan.from_json(value), facts["parcels"])


def _add_batch(session: Session, row: Issuance, batch: BatchPlan, parcels: list[int]) -> None:
    batch_id = f"{row.id}.{batch.vintage}"
    session.add(
        Batch(
            id=batch_id,
            issuance_id=row.id,
            project_id=row.project_id,
            number=batch.number,
            vintage=batch.vintage,
            start_number=batch.units.start,
            end_number=batch.units.end,
            buffer_units=batch.buffer_units,
        )
    )
    session.flush()
    session.add_all(
        HomeRange(
            project_id=row.project_id,
            start_number=home.units.start,
            end_number=home.units.end,
            batch_id=batch_id,
            parcel_number=home.parcel,
            buffer=home.buffer,
        )
        for home in batch.home_parts(parcels)
    )
