"""The tiles alone, replayed into an empty SQLite and an empty PostgreSQL, give the tables of the registry."""

import hashlib
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ledger import log, tables
from ledger.client import FolderFiles, LogClient
from ledger.log import LedgerTransaction
from ledger.note import NoteSigner, NoteVerifier
from registry.catalogue import PROJECTIONS
from registry.database import Database
from registry.keyring import FIRST_LOG_KEY, KeyRing
from registry.projections import project
from registry.settings import Home
from tests.registry.story import Story, dialect, issued, sold, story
from tests.registry.transparency.tampering import all_tables
from tests.reliability.figures import Figures
from tests.reliability.judging import vkey_of

__all__ = ["dialect", "issued", "sold", "story"]

SIGNED_IN_GROUPS = {"checkpoint"}
"""Which sizes were signed depends on who came together, not on the entries."""


def logged_columns() -> Iterator[tuple[sa.Table, list[sa.Column[object]]]]:
    for table in all_tables():
        columns = [column for column in table.columns if column.info["truth"] == "logged"]
        if columns and table.name not in SIGNED_IN_GROUPS:
            yield table, columns


def digests(session: Session) -> dict[str, tuple[int, str]]:
    """For each table how many rows it has and SHA-256 over what the log says of them."""
    found = {}
    for table, columns in logged_columns():
        rows = sorted(repr(tuple(row)) for row in session.execute(sa.select(*columns)))
        found[table.name] = len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found


def replayed(home: Home, url: str) -> dict[str, tuple[int, str]]:
    """The published log of a home into the empty database at `url`."""
    client = LogClient(FolderFiles(home.log), NoteVerifier.parse(vkey_of(home)))
    leaves: list[bytes] = []
    origin = client.verify(visit=lambda _index, leaf: leaves.append(leaf)).head.checkpoint.origin
    database = Database(url)
    try:
        with database.write() as session:
            log.create(session, origin)
        with database.write() as session:
            ledger = LedgerTransaction(session)
            for leaf in leaves:
                project(session, ledger.append(leaf), PROJECTIONS)
            ledger.seal(NoteSigner(origin, KeyRing(home.keys).get(FIRST_LOG_KEY)))
        with database.read() as session:
            return digests(session)
    finally:
        database.dispose()


def test_a_registry_s_tables_are_those_of_its_tiles_on_either_database(
    sold: Story, database_url: str, figures: Figures
) -> None:
    with sold.installation.database.read() as session:
        served = digests(session)
    again = replayed(sold.installation.home, database_url)
    assert again == served
    rows = sum(count for count, _ in served.values())
    figures.tell("tables from tiles", tables=len(served), rows=rows, differing=0)
    assert rows > 200


def test_a_row_that_is_not_of_the_tiles_shows(sold: Story, sqlite_url: str) -> None:
    account = tables.account
    with sold.installation.database.write() as session:
        name = session.scalars(sa.select(account.c.account).limit(1)).one()
        more = account.c.credits_posted + 1
        session.execute(sa.update(account).where(account.c.account == name).values(credits_posted=more))
    with sold.installation.database.read() as session:
        served = digests(session)
    again = replayed(sold.installation.home, sqlite_url)
    assert {table for table, found in served.items() if again[table] != found} == {"account"}
