"""A register filled table by table: parcels with their versions, cells and running claims, as the services
would have left them, so that a million can be asked about within an hour.
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg.sql import SQL, Identifier

from benchmarks.land.world import EPSG, outlines
from geo import batch
from geo.polygon import Polygonal
from registry.database import Database, migrate
from registry.programmes.service import TERMS, programme_file

ROWS_TOGETHER: Final = 20_000
PROGRAMME: Final = "ZJ-PH.1"
POOL: Final = "forest-biomass"
CREDITING: Final = ("2020-01-01", "2040-01-01")
NAMES: Final = uuid.UUID("1c6f4a1e-6c1b-5d0a-9f2e-0d8a3f0b7c55")

PARCEL: Final = (
    "id", "status", "entry_index", "organisation_id", "county", "code", "version", "reviewer_id",
    "operator_id",
)  # fmt: skip
VERSION: Final = (
    "parcel_id", "version", "area_cm2", "stand_type", "source_sha256", "evidence_sha256", "resolution_sha256",
    "wkb", "commitment",
)  # fmt: skip
CLAIM: Final = (
    "id", "status", "entry_index", "parcel_id", "parcel_version", "project_id", "programme_id", "pool",
    "from_on", "to_on", "credited_cm2", "claimed_index",
)  # fmt: skip
TABLES: Final = {
    "parcel": PARCEL,
    "parcel_version": VERSION,
    "parcel_cell": ("cell", "parcel_id"),
    "land_claim": CLAIM,
    "claim_cell": ("cell", "claim_id"),
}


@dataclass(frozen=True, slots=True)
class World:
    """Recorded outlines with their areas and cells; the last `spare` of them are not registered."""

    recorded: batch.Recorded
    registered: int

    @property
    def outlines(self) -> list[Polygonal]:
        return list(self.recorded.outlines[: self.registered])

    @property
    def spare(self) -> list[Polygonal]:
        return list(self.recorded.outlines[self.registered :])


def world(registered: int, spare: int, seed: int = 1) -> World:
    recorded = batch.record(list(outlines(registered + spare, seed)), EPSG)
    if recorded.refused:
        raise RuntimeError(f"the world has {len(recorded.refused)} outlines that cannot be recorded")
    return World(recorded, registered)


def parcel_id(number: int) -> str:
    return str(uuid.uuid5(NAMES, str(number)))


def fill(url: str, some: World, *, claims: bool = True) -> float:
    """Migrate the database and register the world; answers the seconds that writing took."""
    migrate(url)
    database = Database(url)
    try:
        with database.write() as session:
            found(session)
        began = time.perf_counter()
        for first in range(0, some.registered, ROWS_TOGETHER):
            rows = _rows(some, first, min(first + ROWS_TOGETHER, some.registered), claims)
            _write(database, rows)
        seconds = time.perf_counter() - began
        with database.engine.connect() as connection:
            connection.execute(sa.text("analyze"))
            connection.commit()
        return seconds
    finally:
        database.dispose()


def found(session: Any) -> None:
    """Whose the parcels are, and under what they are claimed."""
    table = {name: sa.table(name, *map(sa.column, columns)) for name, columns in _HEADS.items()}
    row = {"id": "village", "status": "active", "entry_index": 0, "kind": "collective", "county": "330802"}
    session.execute(sa.insert(table["organisation"]), [{**row, "commitment": "0" * 64}])
    terms = TERMS.dump_json(programme_file().terms).decode()
    session.execute(
        sa.insert(table["programme"]),
        [
            {
                "id": PROGRAMME,
                "status": "published",
                "entry_index": 0,
                "code": "ZJ-PH",
                "version": 1,
                "terms": terms,
                "commitment": "0" * 64,
            }
        ],
    )
    session.execute(
        sa.insert(table["project"]),
        [
            {
                "id": "project",
                "status": "active",
                "entry_index": 0,
                "programme_id": PROGRAMME,
                "owner_id": "village",
                "county": "330802",
                "method": "m",
                "crediting_from": CREDITING[0],
                "crediting_to": CREDITING[1],
                "benefit_rule": "by_credited_units",
                "commitment": "0" * 64,
            }
        ],
    )


_HEADS: Final = {
    "organisation": ("id", "status", "entry_index", "kind", "county", "commitment"),
    "programme": ("id", "status", "entry_index", "code", "version", "terms", "commitment"),
    "project": (
        "id", "status", "entry_index", "programme_id", "owner_id", "county", "method", "crediting_from",
        "crediting_to", "benefit_rule", "commitment",
    ),
}  # fmt: skip

Rows = dict[str, list[tuple[Any, ...]]]


def _rows(some: World, first: int, last: int, claims: bool) -> Rows:
    rows: Rows = {name: [] for name in TABLES}
    for number in range(first, last):
        id_, area = parcel_id(number), int(some.recorded.areas_cm2[number])
        touched = some.recorded.cells_of(number)
        rows["parcel"].append(
            (id_, "enrolled", number, "village", "330802", f"330802-{number}", 1, None, None)
        )
        rows["parcel_version"].append(
            (id_, 1, area, "fir", "0" * 64, "0" * 64, "0" * 64, some.recorded.wkb[number], f"{number:064x}")
        )
        rows["parcel_cell"] += [(cell, id_) for cell in touched]
        if claims:
            rows["land_claim"].append(
                (f"c{id_}", "active", number, id_, 1, "project", PROGRAMME, POOL, *CREDITING, area, number)
            )
            rows["claim_cell"] += [(cell, f"c{id_}") for cell in touched]
    return rows


def _write(database: Database, rows: Rows) -> None:
    if database.engine.dialect.name == "postgresql":
        connect = database.engine.raw_connection()
        try:
            connection: Any = connect.driver_connection
            for name, values in rows.items():
                _copied(connection, name, values)
            connection.commit()
        finally:
            connect.close()
        return
    with database.write() as session:
        driver: Any = session.connection().connection.driver_connection
        for name, values in rows.items():
            marks = ", ".join("?" * len(TABLES[name]))
            driver.executemany(f"insert into {name} ({', '.join(TABLES[name])}) values ({marks})", values)


def _copied(connection: "psycopg.Connection[Any]", name: str, values: Sequence[tuple[Any, ...]]) -> None:
    columns = SQL(", ").join(map(Identifier, TABLES[name]))
    question = SQL("copy {} ({}) from stdin").format(Identifier(name), columns)
    with connection.cursor() as cursor, cursor.copy(question) as copy:
        for row in values:
            copy.write_row(row)


def size_mib(url: str) -> float:
    """What the tables and their indices take on the disk."""
    database = Database(url)
    try:
        with database.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                count = connection.scalar(sa.text("select pg_database_size(current_database())"))
                return float(count or 0) / 2**20
    finally:
        database.dispose()
    return sum(path.stat().st_size for path in _files(url)) / 2**20


def _files(url: str) -> Iterator[Path]:
    path = Path(str(sa.make_url(url).database))
    yield from path.parent.glob(path.name + "*")
