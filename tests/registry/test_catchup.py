"""A restored registry takes over what was published after its backup, from the published log alone."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.client import FolderFiles, LogWrong, files_at
from ledger.tiles import entries_path
from registry.accounts.models import Person
from registry.accounts.service import RegisterPerson
from registry.anchor import Anchors, DatabaseBehind, HomeRestored
from registry.backup import backup
from registry.catchup import CatchUpCircular, CaughtUp, catch_up, declare_newest
from registry.database import Database
from registry.installation import Installation
from registry.log_rotation import begin_rotation, finish_rotation
from registry.machine import Role, TransitionRefused
from registry.parcels.models import ParcelVersion
from registry.parcels.rules import GroundErased
from registry.programmes.models import Programme
from registry.projects.claims import NOWHERE, check
from registry.projects.models import ClaimCell, LandClaim
from registry.projects.rules import DateRange
from registry.records.service import EraseRecord
from registry.restore import restore
from registry.settings import Home
from registry.transparency.audit import audit
from registry.transparency.comparison import compared_tables, logged_columns
from tests.registry.land import ground
from tests.registry.people import People
from tests.registry.story import CHAPTERS, Story
from tests.registry.volumes import register


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def restored_from(archive: Path, tmp_path: Path, name: str = "restored") -> Home:
    home = Home.at(tmp_path / name)
    restore(archive, home)
    return home


def logged_rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every logged column of every table, in order."""
    database = Database(url)
    try:
        with database.read() as session:
            return {
                table.name: sorted(
                    (tuple(row) for row in session.execute(sa.select(*logged_columns(table)))), key=str
                )
                for table in compared_tables()
            }
    finally:
        database.dispose()


def test_the_whole_life_of_a_credit_comes_back_from_the_published_log(
    installation: Installation, elsewhere: Path, tmp_path: Path
) -> None:
    """The backup has the first entry alone. What only the newer tables had is named, row by row."""
    archive = backup(installation.home, elsewhere, secret=True).path
    story = Story(People(installation))
    for chapter in ("active", "issued", "sold"):
        CHAPTERS[chapter](story)
    installation.close()

    home = restored_from(archive, tmp_path)
    caught = catch_up(home, FolderFiles(installation.home.log))
    assert (caught.before, caught.report.findings) == (1, [])
    assert caught.size == audit(installation.home).size
    assert logged_rows(home.database_url) == logged_rows(installation.home.database_url)
    assert {lost.table for lost in caught.lost} >= {"organisation", "person", "parcel_version", "project"}
    assert ("name", "uscc") in {lost.columns for lost in caught.lost if lost.table == "organisation"}

    again = Installation.open(home)
    try:
        assert again.clock.now() >= installation.clock.now()
        _the_lost_ground_is_not_claimed_again(again)
        People(again).member(Role.BANK, "another bank")
        assert audit(home).findings == []
    finally:
        again.close()


def _the_lost_ground_is_not_claimed_again(again: Installation) -> None:
    """Where the claims lie is not known any more, so that nobody may claim anything beside them."""
    with again.database.read() as session:
        claims = set(session.scalars(sa.select(LandClaim.id)))
        nowhere = set(session.scalars(sa.select(ClaimCell.claim_id).where(ClaimCell.cell == NOWHERE)))
        assert claims == nowhere != set()
        assert session.scalar(sa.select(sa.func.count()).where(ParcelVersion.wkb.is_not(None))) == 0
    with pytest.raises(GroundErased):
        _claim_somewhere(again)


def _claim_somewhere(again: Installation) -> None:
    with again.database.write() as session:
        claim = session.scalars(sa.select(LandClaim)).first()
        assert claim is not None
        programme = session.get_one(Programme, claim.programme_id)
        period = DateRange(claim.from_on, claim.to_on)
        check(session, ground(9000, 9000), period, claim.pool, programme, today="2025-06-01")


class Archived(Story):
    """A story of which a backup is made after each parcel that is taken in, before any is enrolled."""

    def _parcel(self, n: int, village: str) -> str:
        made = super()._parcel(n, village)
        backup(self.installation.home, self.installation.home.path.parent / "parcels.tar.gz", check=False)
        return made


def test_claims_of_after_the_backup_on_ground_of_before_it_are_found_by_their_ground(
    installation: Installation, tmp_path: Path
) -> None:
    """The outlines are in the backup, the enrolment is not."""
    CHAPTERS["active"](Archived(People(installation)))
    expected = claimed_cells(installation.home)
    installation.close()

    home = restored_from(tmp_path / "parcels.tar.gz", tmp_path)
    assert claimed_cells(home) == set()
    caught = catch_up(home, FolderFiles(installation.home.log))
    assert caught.report.findings == []
    assert "parcel_version" not in {lost.table for lost in caught.lost}
    assert claimed_cells(home) == expected != set()


def claimed_cells(home: Home) -> set[tuple[int, str]]:
    database = Database(home.database_url)
    try:
        with database.read() as session:
            return {(row.cell, row.claim_id) for row in session.scalars(sa.select(ClaimCell))}
    finally:
        database.dispose()


# ---- where the log comes from ------------------------------------------------------------------------------


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The published log behind a plain file server."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def later(installation: Installation, elsewhere: Path, tmp_path: Path) -> tuple[Home, Home]:
    """The registry, and a home restored from a backup that three entries are missing from."""
    register(installation, 2)
    archive = backup(installation.home, elsewhere, secret=True).path
    register(installation, 3)
    installation.close()
    return installation.home, restored_from(archive, tmp_path)


def caught_up(home: Home, source: str) -> CaughtUp:
    return catch_up(home, files_at(source))


def test_over_http_and_again_without_a_difference(later: tuple[Home, Home]) -> None:
    first, home = later
    with pytest.raises(HomeRestored):
        Installation.open(home)
    with served(first.log) as address:
        assert (caught_up(home, address).before, caught_up(home, address).before) == (3, 6)
    assert not home.restored.exists()
    again = Installation.open(home)
    register(again)
    assert again.tiles.published_size() == 7
    again.close()


def test_what_was_taken_over_was_not_signed_again(later: tuple[Home, Home]) -> None:
    first, home = later
    shutil.rmtree(home.keys)
    caught_up(home, str(first.log))
    database = Database(home.database_url)
    with database.read() as session:
        sizes = list(session.scalars(sa.select(tables.checkpoint.c.size)))
    database.dispose()
    assert sizes == [1, 2, 3, 6]
    assert (home.log / "checkpoint").read_bytes() == (first.log / "checkpoint").read_bytes()


@pytest.mark.parametrize("harm", ["an entry is touched", "a bundle is missing", "no checkpoint"])
def test_a_published_log_that_does_not_hold_is_not_taken_over(later: tuple[Home, Home], harm: str) -> None:
    first, home = later
    bundle = first.log / entries_path(0, 6)
    match harm:
        case "an entry is touched":
            bundle.write_bytes(bundle.read_bytes().replace(b"payload", b"Payload", 6))
        case "a bundle is missing":
            bundle.unlink()
        case _:
            (first.log / "checkpoint").unlink()
    with pytest.raises(LogWrong):
        caught_up(home, str(first.log))
    assert home.restored.exists()
    assert audit(home).size == 3


def test_a_log_that_is_shorter_or_another_is_none_to_catch_up_with(
    later: tuple[Home, Home], tmp_path: Path
) -> None:
    first, home = later
    forked = tmp_path / "forked"
    shutil.copytree(home.path, forked)
    (forked / "restored").unlink()
    other = Installation.open(Home.at(forked))
    register(other, 1)
    other.close()
    caught_up(home, str(first.log))
    with pytest.raises(LogWrong):
        caught_up(home, str(forked / "log"))
    other = Installation.open(Home.at(forked))
    register(other, 4)
    other.close()
    with pytest.raises(LogWrong):
        caught_up(home, str(forked / "log"))
    assert audit(home).size == 6


def test_what_was_erased_after_the_backup_is_erased_in_what_it_held(
    installation: Installation, elsewhere: Path, tmp_path: Path
) -> None:
    people = People(installation)
    registry = people.member(Role.REGISTRY_ADMIN, "登记处")
    colleague = people.colleague(registry)
    gone = people.member(Role.ENTERPRISE, "someone who leaves")
    archive = backup(installation.home, elsewhere, secret=True).path
    with installation.database.read() as session:
        commitment = session.get_one(Person, gone.person).commitment
    people.together(registry, colleague, "record.erase", EraseRecord(commitment=commitment))
    installation.close()

    home = restored_from(archive, tmp_path)
    caught = caught_up(home, str(installation.home.log))
    assert (caught.report.findings, caught.lost) == ([], ())
    database = Database(home.database_url)
    with database.read() as session:
        row = session.get_one(Person, gone.person)
        assert (row.name, row.commitment_key) == (None, None)
    database.dispose()


@pytest.mark.parametrize("finished", [False, True], ids=["both keys sign", "the old key ended"])
def test_a_log_that_changed_its_key_after_the_backup_is_followed(
    installation: Installation, elsewhere: Path, tmp_path: Path, finished: bool
) -> None:
    """The backup knows the old verifier key alone; the new key's file has to be brought to sign again."""
    archive = backup(installation.home, elsewhere, secret=True).path
    begin_rotation(installation)
    if finished:
        finish_rotation(installation)
    register(installation, 2)
    installation.close()
    home = restored_from(archive, tmp_path)
    assert caught_up(home, str(installation.home.log)).report.findings == []
    assert home.vkey.read_text() == installation.home.vkey.read_text()
    (new,) = {path.name for path in installation.home.keys.glob("log-*")}
    shutil.copy(installation.home.keys / new, home.keys / new)
    again = Installation.open(home)
    register(again)
    assert audit(home).findings == []
    again.close()


def test_a_restored_home_does_not_vouch_for_itself(later: tuple[Home, Home]) -> None:
    _, home = later
    with pytest.raises(CatchUpCircular):
        caught_up(home, str(home.log))
    assert home.restored.exists()


def test_tables_that_were_put_back_alone_catch_up_with_the_homes_own_log(later: tuple[Home, Home]) -> None:
    """Only the database was rolled back; nobody ran `restore`, and the published log is still there."""
    first, home = later
    home.restored.unlink()
    shutil.rmtree(home.log)
    shutil.copytree(first.log, home.log)
    with pytest.raises(DatabaseBehind):
        Installation.open(home)
    assert caught_up(home, str(home.log)).size == 6
    Installation.open(home).close()


# ---- the operator's word -----------------------------------------------------------------------------------


def test_nothing_newer_is_not_believed_against_an_anchor(later: tuple[Home, Home], elsewhere: Path) -> None:
    first, home = later
    anchored = Home.at(home.path, home.database_url, (elsewhere / "anchor",))
    Anchors(anchored.anchors).begin((first.log / "checkpoint").read_bytes())
    with pytest.raises(DatabaseBehind):
        declare_newest(anchored)
    with pytest.raises(HomeRestored):
        Installation.open(anchored)
    caught_up(anchored, str(first.log))
    Installation.open(anchored).close()


def test_a_request_from_before_the_loss_is_not_carried_out_twice(later: tuple[Home, Home]) -> None:
    """Its entry is in the log, its answer went with the newer tables."""
    first, home = later
    database = Database(first.database_url)
    with database.read() as session:
        newest = session.scalars(sa.select(tables.log.c.entry_id).where(tables.log.c.idx == 5)).one()
    database.dispose()
    caught_up(home, str(first.log))
    again = Installation.open(home)
    try:
        with pytest.raises(TransitionRefused):
            again.office.execute(again.root, "person.register", RegisterPerson(name="A"), newest)
        assert again.tiles.published_size() == 6
    finally:
        again.close()
