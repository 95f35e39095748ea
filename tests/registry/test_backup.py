"""A backup is one consistent archive, made while the registry serves; what is not whole is not restored."""

import json
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa

from ledger.client import FolderFiles
from ledger.tiles import TileDirectory
from registry.anchor import HomeRestored
from registry.archive import MANIFEST, BackupDamaged
from registry.backup import BackupInside, backup
from registry.catchup import catch_up, declare_newest
from registry.database import create_engine
from registry.dump import DumpRefused, tables_of
from registry.installation import HomeTaken, Installation
from registry.keyring import PassphraseMissing
from registry.machine import Role
from registry.restore import DatabaseTaken, OtherLog, RestoreRefused, restore
from registry.settings import Home
from registry.transparency.audit import audit
from tests.registry.conftest import START
from tests.registry.load import said
from tests.registry.people import People
from tests.registry.test_rollback import note_sizes
from tests.registry.test_writer import entry_ids, started
from tests.registry.volumes import (
    Members,
    dumped,
    emptied,
    members_of,
    plain,
    register,
    rewritten,
    write_archive,
)

pytestmark = pytest.mark.seconds

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


@pytest.fixture
def archive(people: People, elsewhere: Path) -> Path:
    """A backup of a registry with a few members, keys and passphrase in it."""
    people.colleague(people.member(Role.COLLECTIVE, "上村"))
    people.installation.home.rasters.mkdir(exist_ok=True)
    (people.installation.home.rasters / "one.tif").write_bytes(b"II*\0" + bytes(5000))
    return backup(people.installation.home, elsewhere / "full.tar.gz", secret=True).path


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same on SQLite, for tests that only spoil copies of it."""
    folder = tmp_path_factory.mktemp("once")
    installation = Installation.create(Home.at(folder / "home"), "tanhui.test/log", simulated_at=START)
    People(installation).member(Role.COLLECTIVE, "上村")
    installation.home.rasters.mkdir(exist_ok=True)
    (installation.home.rasters / "one.tif").write_bytes(b"II*\0" + bytes(5000))
    made = backup(installation.home, folder / "full.tar.gz", secret=True, check=False).path
    installation.close()
    return made


@pytest.fixture
def spoilt(made_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made_once, tmp_path / "spoilt.tar.gz"))


@pytest.fixture(params=["into sqlite", "into postgresql"])
def empty_home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """Where to restore: nothing is there yet."""
    if request.param == "into sqlite":
        return Home.at(tmp_path / "restored")
    return Home.at(tmp_path / "restored", emptied(request.getfixturevalue("postgres_url")))


def leftovers(home: Home) -> list[str]:
    """What lies about of a home that was not made."""
    return sorted(path.name for path in home.path.parent.iterdir() if "restor" in path.name)


# ---- out and in again --------------------------------------------------------------------------------------


def test_what_was_backed_up_is_restored_into_either_database_and_goes_on(
    people: People, archive: Path, empty_home: Home
) -> None:
    installation = people.installation
    installation.close()
    manifest, report = restore(archive, empty_home, vkey=installation.vkey)

    assert (report.findings, report.size) == ([], manifest.size)
    assert dumped(empty_home.database_url) == dumped(installation.home.database_url)
    assert (empty_home.rasters / "one.tif").read_bytes() == b"II*\0" + bytes(5000)
    assert (empty_home.log / "checkpoint").read_bytes() == (installation.home.log / "checkpoint").read_bytes()
    with pytest.raises(HomeRestored):
        Installation.open(empty_home)
    declare_newest(empty_home)
    again = Installation.open(empty_home)
    try:
        People(again).member(Role.BANK, "a bank")
        assert audit(again.home).findings == []
    finally:
        again.close()


def test_an_archive_says_what_it_is(people: People, elsewhere: Path) -> None:
    register(people.installation, 3)
    made = backup(people.installation.home, elsewhere)
    assert made.report is not None
    assert made.report.passed
    assert made.path.parent == elsewhere
    assert made.path.stat().st_mode & 0o077 == 0
    manifest = json.loads(members_of(made.path)[MANIFEST])
    assert (manifest["origin"], manifest["size"]) == ("tanhui.test/log", 4)
    assert manifest["checkpoint"].encode() == people.installation.tiles.checkpoint_bytes()


def test_keys_stay_out_when_asked_and_their_passphrase_unless_asked(people: People, elsewhere: Path) -> None:
    home = people.installation.home
    usual = members_of(backup(home, elsewhere / "usual.tar.gz", check=False).path)
    assert {"home/keys/log.pem", "home/keys/root.pem", "home/keys/system.pem"} <= usual.keys()
    assert all(b"ENCRYPTED" in data for name, data in usual.items() if name.endswith(".pem"))
    assert "home/keys/secret" not in usual
    bare = members_of(backup(home, elsewhere / "bare.tar.gz", keys=False, check=False).path)
    assert not [name for name in bare if "keys" in name]


def test_keys_without_their_passphrase_open_nothing_and_get_no_new_one(
    people: People, elsewhere: Path, tmp_path: Path
) -> None:
    home = people.installation.home
    restored = Home.at(tmp_path / "restored")
    restore(backup(home, elsewhere, check=False).path, restored)
    declare_newest(restored)
    with pytest.raises(PassphraseMissing):
        Installation.open(restored)
    assert not (restored.keys / "secret").exists()
    Installation.open(restored, passphrase=(home.keys / "secret").read_text()).close()
    assert restored.keys.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in restored.keys.iterdir())


def test_rasters_behind_a_link_are_taken_too(people: People, elsewhere: Path, tmp_path: Path) -> None:
    home = people.installation.home
    shutil.rmtree(home.rasters, ignore_errors=True)
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "far.tif").write_bytes(b"far")
    home.rasters.symlink_to(tmp_path / "volume")
    assert members_of(backup(home, elsewhere, check=False).path)["home/rasters/far.tif"] == b"far"


# ---- while others work -------------------------------------------------------------------------------------


def test_a_backup_under_load_is_one_moment_and_the_rest_is_caught_up(
    installation: Installation, elsewhere: Path, tmp_path: Path
) -> None:
    """A server writes all the time; what it logs after the backup comes from what it published."""
    home = installation.home
    installation.close()
    process = started(installation, 100_000)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(60)]
    made = backup(home, elsewhere, secret=True)
    lines += [process.stdout.readline() for _ in range(60)]
    process.kill()
    lines += process.stdout.readlines()
    process.stdout.close()
    process.wait(20)
    Installation.open(home).close()  # publishes what the killed server had committed
    assert made.report is not None
    assert made.report.findings == []
    published = TileDirectory(home.log).published_size()
    assert 1 < made.manifest.size < published

    restored = Home.at(tmp_path / "restored")
    restore(made.path, restored)
    caught = catch_up(restored, FolderFiles(home.log))
    assert (caught.before, caught.size) == (made.manifest.size, published)
    assert caught.report.findings == []
    assert (restored.log / "checkpoint").read_bytes() == (home.log / "checkpoint").read_bytes()
    again = Installation.open(restored)
    try:
        register(again)
        assert said(iter(lines))[1] <= set(entry_ids(again))
        assert audit(restored).findings == []
    finally:
        again.close()


def test_a_killed_backup_leaves_nothing_under_the_name_and_the_next_one_clears_up(
    people: People, elsewhere: Path
) -> None:
    home = people.installation.home
    home.rasters.mkdir(exist_ok=True)
    with (home.rasters / "large.tif").open("wb") as file:
        file.truncate(3_000_000_000)
    target = elsewhere / "full.tar.gz"
    call = f"from registry.backup import backup; backup(Home.at(Path({str(home.path)!r}), "
    call += f"{home.database_url!r}), Path({str(target)!r}))"
    lines = f"from pathlib import Path\nfrom registry.settings import Home\n{call}"
    process = subprocess.Popen([sys.executable, "-c", lines], cwd=CHECKOUT)
    until = time.monotonic() + 60
    while sum(path.stat().st_size for path in elsewhere.iterdir()) < 100_000:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait(20)

    assert not target.exists()
    assert len(list(elsewhere.iterdir())) == 1  # a hidden half, which nobody takes for a backup
    (home.rasters / "large.tif").unlink()
    backup(home, target)
    assert list(elsewhere.iterdir()) == [target]


def test_a_backup_is_not_made_inside_the_home(people: People) -> None:
    home = people.installation.home
    with pytest.raises(BackupInside):
        backup(home, home.path / "rasters" / "full.tar.gz")


# ---- what is not restored ----------------------------------------------------------------------------------


def flip(members: Members, name: str) -> None:
    members[name] = members[name][:-2] + bytes([members[name][-2] ^ 1]) + members[name][-1:]


@pytest.mark.parametrize(
    "name", ["tables/log", "tables/person", "home/log.vkey", "home/keys/root.pem", "home/rasters/one.tif"]
)
@pytest.mark.parametrize("harm", ["changed", "taken away"])
def test_a_member_that_was_changed_or_taken_away_is_named(
    spoilt: Path, tmp_path: Path, name: str, harm: str
) -> None:
    def change(members: Members) -> None:
        if harm == "changed":
            flip(members, name)
        else:
            del members[name]

    home = Home.at(tmp_path / "restored")
    with pytest.raises(BackupDamaged) as refused:
        restore(rewritten(spoilt, change), home)
    assert refused.value.facts["member"] == name
    assert leftovers(home) == []


def link(name: str, kind: bytes, to: str) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info, b""


@pytest.mark.parametrize(
    "added",
    [
        *plain({"home/../../escaped": b"x"}),
        *plain({"/escaped": b"x"}),
        *plain({"home/keys//secret": b"x"}),
        *plain({"escaped": b"x"}),
        *plain({"home/log/checkpoint": b"x"}),
        *plain({"home/restored": b"x"}),
        *plain({"tables/nothing": b"x"}),
        link("home/rasters/link", tarfile.SYMTYPE, "../../escaped"),
        link("home/rasters/hard", tarfile.LNKTYPE, "home/log.vkey"),
        link("home/rasters/pipe", tarfile.FIFOTYPE, ""),
    ],
    ids=lambda added: added[0].name,
)
def test_a_member_that_would_leave_its_place_is_refused(
    spoilt: Path, tmp_path: Path, added: tuple[tarfile.TarInfo, bytes]
) -> None:
    """Also by somebody who made the manifest anew."""
    members = members_of(spoilt)
    manifest = json.loads(members.pop(MANIFEST))
    if added[0].isreg():
        manifest["members"][added[0].name] = sha256(added[1]).hexdigest()

    def infos() -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        yield from plain(members)
        yield added
        yield from plain({MANIFEST: json.dumps(manifest).encode()})

    home = Home.at(tmp_path / "restored")
    with pytest.raises(BackupDamaged) as refused:
        restore(write_archive(tmp_path / "evil.tar.gz", infos()), home)
    assert refused.value.facts["member"] == added[0].name
    assert leftovers(home) == []
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 0.999])
def test_an_archive_cut_short_is_refused(spoilt: Path, tmp_path: Path, share: float) -> None:
    data = spoilt.read_bytes()
    spoilt.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BackupDamaged):
        restore(spoilt, Home.at(tmp_path / "restored"))


@pytest.mark.parametrize("content", [b"no archive", b"\x1f\x8b\x08\0" + bytes(40)])
def test_something_else_is_no_archive(tmp_path: Path, content: bytes) -> None:
    other = tmp_path / "other.tar.gz"
    other.write_bytes(content)
    with pytest.raises(BackupDamaged):
        restore(other, Home.at(tmp_path / "restored"))


def test_a_forged_row_is_found_by_the_audit_and_nothing_is_left(spoilt: Path, empty_home: Home) -> None:
    """The forger makes the manifest anew; the log's signature is what he cannot make."""

    def change(members: Members) -> None:
        members["tables/organisation"] = members["tables/organisation"].replace(b"collective", b"enterprise")

    with pytest.raises(RestoreRefused):
        restore(rewritten(spoilt, change, manifest_too=True), empty_home)
    assert leftovers(empty_home) == []
    if empty_home.database_url != Home.at(empty_home.path).database_url:
        engine = create_engine(empty_home.database_url)
        with engine.connect() as connection:
            assert sa.inspect(connection).get_table_names() == []
            left = "select count(*) from pg_proc where pronamespace = current_schema()::regnamespace"
            assert connection.scalar(sa.text(left)) == 0
        engine.dispose()
        restore(spoilt, empty_home)


@pytest.mark.parametrize("line", [b'["x"]\n', b"[]\n", b"\xff\n", b"{}\n"])
def test_a_row_that_is_none_is_refused_with_its_table(spoilt: Path, tmp_path: Path, line: bytes) -> None:
    def change(members: Members) -> None:
        members["tables/person"] += line

    with pytest.raises(DumpRefused) as refused:
        restore(rewritten(spoilt, change, manifest_too=True), Home.at(tmp_path / "restored"))
    assert refused.value.facts["table"] == "person"
    assert not (tmp_path / "restored").exists()


def test_nothing_that_is_there_is_overwritten(spoilt: Path, tmp_path: Path, postgres_url: str) -> None:
    taken = tmp_path / "restored"
    taken.mkdir()
    (taken / "mine").write_text("mine")
    with pytest.raises(HomeTaken):
        restore(spoilt, Home.at(taken))
    with pytest.raises(DatabaseTaken) as refused:
        restore(spoilt, Home.at(tmp_path / "other restored", postgres_url))
    assert "postgres" in str(refused.value.facts["database"])
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        assert tables_of(connection)
    engine.dispose()
    assert [path.name for path in taken.iterdir()] == ["mine"]


def test_an_archive_of_another_log_is_refused(spoilt: Path, tmp_path: Path) -> None:
    other = Installation.create(Home.at(tmp_path / "other"), "other.test/log")
    other.close()
    with pytest.raises(OtherLog):
        restore(spoilt, Home.at(tmp_path / "restored"), vkey=other.vkey)


def test_a_damaged_installation_is_backed_up_and_its_findings_are_told(
    people: People, elsewhere: Path
) -> None:
    people.member(Role.COLLECTIVE, "上村")
    with people.installation.database.write() as session:
        session.execute(sa.text("update organisation set county = '330803'"))
    made = backup(people.installation.home, elsewhere)
    assert made.path.exists()
    assert made.report is not None
    assert [finding.check for finding in made.report.findings] == ["I13"]


def test_backups_do_not_change_what_they_are_of(installation: Installation, elsewhere: Path) -> None:
    register(installation, 2)
    before = (dumped(installation.home.database_url), note_sizes(installation))
    backup(installation.home, elsewhere)
    assert (dumped(installation.home.database_url), note_sizes(installation)) == before
