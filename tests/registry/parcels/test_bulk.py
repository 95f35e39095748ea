"""Very many rows, and very many outlines held against the register, are what one after the other would be."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.land import register
from benchmarks.land.world import EPSG, grown, moved, outlines
from geo import batch
from geo.polygon import OverlapKind, OverlapRule, overlap
from registry.database import Database
from registry.parcels.bulk_ground import index_many, live_ground, overlaps_of_many
from registry.parcels.bulk_rows import insert_many
from registry.parcels.ground import live_neighbours
from registry.parcels.models import Parcel, ParcelCell, ParcelDraft

RULE = OverlapRule()


def draft(number: int) -> dict[str, Any]:
    return {
        "id": f"draft-{number}",
        "organisation_id": "village",
        "import_id": "import",
        "row_number": number,
        "wkb": bytes([number, 0, 255, 92, 10]),
        "area_cm2": 2**40 + number,
        "county": "330802",
        "code": "甲\t乙\\N",
        "village": "第一村",
        "stand_type": "fir",
        "tenure": {"kind": "collective", "until": None, "号": 2**60},
        "attributes": {"quote": "\"'", "big": 2**70, "list": [1, 2.5, True]},
        "source_sha256": "0" * 64,
        "submitted": bool(number % 2),
        "created_at": datetime(2025, 3, 3, 1, 2, 3, 4000, tzinfo=UTC),
        "source_wkb": None if number % 2 else b"\x00",
        "source_crs": None,
    }


@pytest.fixture
def registered(database_url: str) -> Any:
    """A register of made-up parcels, and the ones that are not in it."""
    some = register.world(150, 30)
    register.fill(database_url, some, claims=False)
    database = Database(database_url)
    yield database, some
    database.dispose()


def test_rows_written_at_once_are_read_as_they_were_given(registered: Any) -> None:
    database, _ = registered
    rows = [draft(number) for number in range(1, 8)]
    with database.write() as session:
        insert_many(session, ParcelDraft, rows)
        insert_many(session, ParcelDraft, [])
    with database.read() as session:
        read = session.scalars(sa.select(ParcelDraft).order_by(ParcelDraft.row_number)).all()
        assert [{name: getattr(row, name) for name in rows[0]} for row in read] == rows


def test_rows_written_at_once_go_back_with_their_transaction(registered: Any) -> None:
    database, _ = registered
    with pytest.raises(RuntimeError), database.write() as session:
        insert_many(session, ParcelDraft, [draft(1)])
        raise RuntimeError
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"), database.write() as session:
        insert_many(session, ParcelDraft, [draft(1), draft(1)])
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ParcelDraft)) == 0


def test_many_outlines_lie_on_the_ground_that_each_lies_on(registered: Any) -> None:
    database, _ = registered
    metres = outlines(180)
    asked = [*metres[150:170], *moved(metres[:10], 30.0), *grown(metres[170:], 0.2)]
    recorded = batch.record(asked, EPSG)
    wkbs = [wkb for wkb in recorded.wkb if wkb is not None]
    cells = [recorded.cells_of(row) for row in range(len(asked))]
    gone = register.parcel_id(3)
    with database.write() as session:
        session.execute(sa.update(Parcel).where(Parcel.id == register.parcel_id(5)).values(status="closed"))
    with database.read() as session:
        found = overlaps_of_many(session, wkbs, cells, RULE, except_parcels=(gone,))
        assert overlaps_of_many(session, [], [], RULE) == []
        expected = []
        for place, outline in enumerate(recorded.outlines):
            near = live_neighbours(session, cells[place], except_parcels=(gone,))
            for parcel, (status, other) in near.items():
                shared = overlap(outline, other, RULE)
                if shared.kind is not OverlapKind.NONE:
                    expected.append((place, parcel, status, shared))
        live = live_ground(session, [cell for touched in cells for cell in touched], (gone,))
    assert [(place, one.parcel, one.status, one.overlap) for place, one in found] == expected
    assert {place for place, *_ in expected} >= set(range(20, 30)) and not set(range(20)) & {
        p for p, *_ in expected
    }
    assert {shared.kind for *_, shared in expected} == {OverlapKind.SLIVER, OverlapKind.REFUSED}
    assert live.parcels == sorted(live.parcels) and gone not in live.parcels
    assert register.parcel_id(5) not in live.parcels


def test_parcels_are_found_by_the_cells_they_are_given(registered: Any) -> None:
    database, _ = registered
    first, second = register.parcel_id(0), register.parcel_id(1)
    with database.write() as session:
        index_many(session, {first: [1, 2, 3], second: [3]})
        found = session.execute(
            sa.select(ParcelCell.parcel_id, ParcelCell.cell).where(ParcelCell.parcel_id.in_([first, second]))
        )
        assert {tuple(row) for row in found} == {(first, 1), (first, 2), (first, 3), (second, 3)}
