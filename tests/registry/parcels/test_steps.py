"""What happened to a parcel is kept step by step, and an older home's log is read for it."""

import importlib

import pytest
import sqlalchemy as sa

from ledger import tables
from registry.database import Base
from registry.parcels.models import ParcelStep
from registry.transparency.audit import audit
from tests.registry.story import Story

MIGRATION = importlib.import_module("migrations.versions.0008_the_life_of_land")


def kept(story: Story) -> list[tuple[object, ...]]:
    table = Base.metadata.tables["parcel_step"]
    with story.installation.database.read() as session:
        order = (table.c.entry_index, table.c.n, table.c.parcel_id)
        return [tuple(row) for row in session.execute(sa.select(table).order_by(*order))]


def test_every_step_of_a_parcel_and_of_its_claims_is_kept(story: Story) -> None:
    with story.installation.database.read() as session:
        steps = session.scalars(
            sa.select(ParcelStep)
            .where(ParcelStep.parcel_id == story.parcels[0])
            .order_by(ParcelStep.entry_index, ParcelStep.n)
        ).all()
        assert [(step.machine, step.action, step.after) for step in steps] == [
            ("parcel", "submit", "submitted"),
            ("parcel", "accept", "in_review"),
            ("parcel", "find_eligible", "eligible"),
            ("parcel", "enrol", "enrolled"),
            ("claim", "activate", "active"),
        ]
        assert [step.n for step in steps] == [0, 0, 0, 0, 1]
        assert steps[-1].project_id == story.project_id
        assert steps[-1].pool == "forest-biomass"
    assert audit(story.installation.home).findings == []


def test_the_migration_reads_the_same_steps_out_of_a_log_that_is_there(story: Story) -> None:
    with story.installation.database.read() as session:
        log = [dict(row._mapping) for row in session.execute(sa.select(tables.log))]
    older = sa.create_engine("sqlite://")
    tables.metadata.create_all(older)
    table = Base.metadata.tables["parcel_step"]
    Base.metadata.create_all(older)
    with older.begin() as connection:
        connection.execute(sa.insert(tables.log), log)
        MIGRATION.fill(connection)
        order = (table.c.entry_index, table.c.n, table.c.parcel_id)
        filled = [tuple(row) for row in connection.execute(sa.select(table).order_by(*order))]
    assert len(filled) > 10
    assert filled == kept(story)


@pytest.mark.parametrize("table", ["parcel_step", "parcel_lineage"])
@pytest.mark.parametrize("verb", ["update {0} set {1} = {1}", "delete from {0}"])
def test_what_happened_to_land_is_never_changed(story: Story, table: str, verb: str) -> None:
    with story.installation.database.write() as session:
        if table == "parcel_lineage":
            one, two, *_ = story.parcels
            session.execute(
                sa.insert(Base.metadata.tables[table]).values(
                    predecessor_id=one, successor_id=two, kind="split", share_ppm=1, shared_cm2=1,
                    from_on="2024-01-01", entry_index=1,
                )
            )  # fmt: skip
    column = Base.metadata.tables[table].columns.keys()[-1]
    with (
        pytest.raises(sa.exc.DBAPIError, match="append-only"),
        story.installation.database.write() as session,
    ):
        session.execute(sa.text(verb.format(table, column)))
