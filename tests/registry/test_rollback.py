"""After a rollback nothing is signed: the published log and the anchors know of more."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from ledger import tables
from ledger.checkpoint import peek_checkpoint
from ledger.errors import MalformedTree
from ledger.log import LogCorrupt
from ledger.tiles import entries_path, tile_path
from registry.accounts.service import RegisterPerson
from registry.anchor import AnchorMissing, AnchorUnreadable, DatabaseBehind, HistoryForked
from registry.installation import Installation
from registry.settings import Home
from registry.transparency.audit import audit
from registry.writer import WriterStopped
from tests.registry.conftest import START
from tests.registry.people import request_id


def register(installation: Installation, count: int = 1) -> None:
    for _ in range(count):
        command = RegisterPerson(name="A")
        installation.office.execute(installation.root, "person.register", command, request_id())


def note_sizes(installation: Installation) -> list[int]:
    with installation.database.read() as session:
        return list(session.scalars(sa.select(tables.checkpoint.c.size).order_by(tables.checkpoint.c.size)))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder on another volume."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


@pytest.fixture
def anchored(tmp_path: Path, elsewhere: Path, sqlite_url: str) -> Iterator[Installation]:
    places = (elsewhere / "anchor", elsewhere / "second anchor")
    home = Home.at(tmp_path / "home", sqlite_url, places)
    installation = Installation.create(home, "tanhui.test/log", simulated_at=START)
    yield installation
    installation.close()


class Volume:
    """Home and database as they are at one moment, and back again."""

    def __init__(self, home: Home, copy: Path) -> None:
        self._home, self._copy = home, copy
        self._tables = Path(str(sa.make_url(home.database_url).database))

    def save(self) -> None:
        connection = sqlite3.connect(self._tables)
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.close()
        shutil.copytree(self._home.path, self._copy / "home")
        shutil.copy2(self._tables, self._copy / "tables")

    def roll_back(self) -> None:
        shutil.rmtree(self._home.path)
        shutil.copytree(self._copy / "home", self._home.path)
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self._tables}{suffix}").unlink()
        shutil.copy2(self._copy / "tables", self._tables)


def test_the_anchors_follow_every_publication(anchored: Installation, elsewhere: Path) -> None:
    register(anchored, 3)
    public = anchored.tiles.checkpoint_bytes()
    assert public is not None
    assert (elsewhere / "anchor").read_bytes() == (elsewhere / "second anchor").read_bytes() == public
    assert peek_checkpoint(public).size == 4
    assert sorted(path.name for path in elsewhere.iterdir()) == ["anchor", "second anchor"]


def test_a_whole_home_that_was_rolled_back_signs_nothing(
    anchored: Installation, elsewhere: Path, tmp_path: Path
) -> None:
    """Tables and published files agree with each other; only the anchor knows of more."""
    register(anchored, 2)
    anchored.close()
    volume = Volume(anchored.home, tmp_path / "copy")
    volume.save()
    later = Installation.open(anchored.home)
    register(later, 3)
    later.close()
    known = (elsewhere / "anchor").read_bytes()
    volume.roll_back()

    with pytest.raises(DatabaseBehind) as refused:
        Installation.open(anchored.home)
    assert refused.value.facts == {"published": 6, "committed": 3}
    assert (elsewhere / "anchor").read_bytes() == known
    without = Installation.open(Home.at(anchored.home.path, anchored.home.database_url))
    assert note_sizes(without) == [1, 2, 3]
    without.close()


def test_files_of_a_commit_that_the_disk_lost_before_it_was_public_make_room(
    anchored: Installation, elsewhere: Path, tmp_path: Path
) -> None:
    """Killed between the tiles and the checkpoint, and then the synced end of the database is gone."""
    register(anchored, 2)
    anchored.close()
    volume = Volume(anchored.home, tmp_path / "copy")
    volume.save()
    known = {path: path.read_bytes() for path in elsewhere.iterdir()}
    later = Installation.open(anchored.home)
    register(later, 1)
    later.close()
    written = tmp_path / "written"
    shutil.copytree(anchored.home.log / "tile", written)
    volume.roll_back()
    shutil.copytree(written, anchored.home.log / "tile", dirs_exist_ok=True)
    for path, note in known.items():
        path.write_bytes(note)
    unheard = anchored.home.log / entries_path(0, 4)
    assert unheard.is_file()

    again = Installation.open(anchored.home)
    assert not unheard.exists() and (anchored.home.log / entries_path(0, 3)).is_file()
    register(again, 2)
    again.close()
    assert note_sizes(again)[-1] == 5
    assert audit(anchored.home).passed


def test_a_second_history_is_found_at_a_smaller_and_at_the_same_size(
    anchored: Installation, tmp_path: Path
) -> None:
    anchored.close()
    bare = Home.at(anchored.home.path, anchored.home.database_url)
    volume = Volume(anchored.home, tmp_path / "copy")
    volume.save()
    first = Installation.open(anchored.home)
    register(first, 2)
    first.close()
    volume.roll_back()
    for _ in range(2):  # behind the anchors' back
        second = Installation.open(bare)
        register(second, 2)
        second.close()
        with pytest.raises(HistoryForked) as refused:
            Installation.open(anchored.home)
        assert refused.value.facts["size"] == 3


def test_a_volume_that_is_not_mounted_is_no_first_use(anchored: Installation, elsewhere: Path) -> None:
    anchored.close()
    (elsewhere / "anchor").unlink()
    with pytest.raises(AnchorMissing):
        Installation.open(anchored.home)


@pytest.mark.parametrize("content", [b"", b"tanhui.test/log\n5\n", b"\xff\xfe"])
def test_an_anchor_that_says_nothing_is_not_taken_for_a_small_one(
    anchored: Installation, elsewhere: Path, content: bytes
) -> None:
    anchored.close()
    (elsewhere / "anchor").write_bytes(content)
    with pytest.raises(AnchorUnreadable):
        Installation.open(anchored.home)


def test_two_logs_do_not_share_an_anchor(anchored: Installation, tmp_path: Path) -> None:
    other = Home.at(tmp_path / "other", anchors=anchored.home.anchors)
    with pytest.raises(AnchorUnreadable):
        Installation.create(other, "other.test/log")
    assert not other.path.exists()


def test_an_anchor_that_cannot_be_written_stops_the_writer(anchored: Installation, elsewhere: Path) -> None:
    register(anchored)
    shutil.rmtree(elsewhere)
    with pytest.raises(WriterStopped):
        register(anchored)
    with pytest.raises(AnchorMissing):
        Installation.open(anchored.home)


def test_a_database_rolled_back_under_a_running_server_gets_no_signature(
    installation: Installation, tmp_path: Path
) -> None:
    """The published files have more than the tables that the writer now finds."""
    register(installation, 2)
    ahead = tmp_path / "ahead"
    shutil.copytree(installation.home.log, ahead)
    installation.close()
    other = Installation.create(
        Home.at(tmp_path / "other", _fresh(tmp_path)), "tanhui.test/log", simulated_at=START
    )
    shutil.rmtree(other.home.log)
    shutil.copytree(ahead, other.home.log)
    before = note_sizes(other)
    with pytest.raises(WriterStopped):
        register(other)
    assert note_sizes(other) == before == [1]
    assert isinstance(other.writer.failure, DatabaseBehind)
    other.close()


def _fresh(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'other.db'}"


# ---- what a start repairs ----------------------------------------------------------------------------------


def test_published_files_that_were_lost_are_made_again_at_the_next_start(installation: Installation) -> None:
    register(installation, 4)
    installation.close()
    log = installation.home.log
    for name in (tile_path(0, 0, 5), entries_path(0, 5)):
        (log / name).unlink()
    staging = log / ".staging"
    (staging / "tile-0-000.p-9").write_bytes(b"half")
    again = Installation.open(installation.home)
    assert not list(staging.iterdir())
    assert audit(again.home).findings == []
    again.close()


def test_the_whole_published_log_is_made_again_from_the_tables(installation: Installation) -> None:
    register(installation, 4)
    installation.close()
    public = (installation.home.log / "checkpoint").read_bytes()
    shutil.rmtree(installation.home.log)
    again = Installation.open(installation.home)
    assert again.tiles.checkpoint_bytes() == public
    assert audit(again.home).findings == []
    again.close()


@pytest.mark.parametrize("column", ["root", "frontier"])
def test_a_head_that_nobody_signed_is_not_started_on(installation: Installation, column: str) -> None:
    register(installation, 2)
    with installation.database.write() as session:
        session.execute(sa.update(tables.head).values({column: b"\0" * 32}))
    installation.close()
    with pytest.raises((LogCorrupt, MalformedTree)):
        Installation.open(installation.home)
