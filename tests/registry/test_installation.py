"""An installation is made once, opened unaided, and refuses to sign a second history."""

import shutil
from concurrent.futures import wait
from pathlib import Path

import pytest
import sqlalchemy as sa

from ledger.entry import Payload
from ledger.envelope import Envelope, encode_leaf
from ledger.errors import PublishRefused
from ledger.log import LedgerTransaction
from ledger.merkle import inclusion_proof, leaf_hash, verify_inclusion
from ledger.tiles import TILE_WIDTH
from registry.accounts.service import RegisterPerson
from registry.clock import milliseconds
from registry.errors import HomeMissing
from registry.installation import HomeTaken, Installation, publish
from registry.settings import Home
from registry.transparency.audit import audit
from tests.registry.conftest import START
from tests.registry.people import People, request_id


def register(installation: Installation, count: int) -> None:
    person = RegisterPerson(name="A")
    office, root = installation.office, installation.root
    wait([office.send(root, "person.register", person, request_id()) for _ in range(count)])


def fill(installation: Installation, count: int) -> None:
    """So many entries in one transaction, without the office's questions."""
    root = installation.office.keyring.get("root")
    with installation.database.write() as session:
        ledger = LedgerTransaction(session)
        for _ in range(count):
            said = Payload(
                type="act", id=request_id(), by="root", role="root", mandate="root", machine="person",
                subject=request_id(), action="register", before="none", after="registered",
                commitments={"profile": "0" * 64},
            )  # fmt: skip
            ledger.append(encode_leaf(milliseconds(START), Envelope(said.to_bytes()).sign(root)))
        ledger.seal(installation.signer)
    publish(installation.database, installation.tiles)


def partials(installation: Installation) -> list[str]:
    return sorted(str(p.relative_to(installation.home.log)) for p in installation.home.log.rglob("*.p/*"))


def test_partial_tiles_make_room_for_the_full_one(people: People) -> None:
    installation = people.installation
    fill(installation, 200)
    assert "tile/0/000.p/201" in partials(installation)
    fill(installation, TILE_WIDTH - 201 + 4)

    size = installation.tiles.published_size()
    assert size == TILE_WIDTH + 4
    assert not [name for name in partials(installation) if "/000.p/" in name and name[5] != "1"]
    assert {"tile/0/001.p/4", "tile/1/000.p/1", "tile/entries/001.p/4"} <= set(partials(installation))
    (entry,) = installation.tiles.read_entries(7, 8)
    proof = inclusion_proof(7, size, installation.tiles.node)
    verify_inclusion(7, size, leaf_hash(entry), proof, installation.tiles.root(size))
    assert [f for f in audit(installation.home).findings if f.check in ("L1", "L2")] == []

    leftover = installation.home.log / "tile" / "0" / "000.p" / "201"  # a crash before pruning
    leftover.parent.mkdir()
    leftover.write_bytes((installation.home.log / "tile" / "0" / "000").read_bytes()[: 201 * 32])
    Installation.open(installation.home).close()
    assert not leftover.exists()


def test_a_home_is_made_once(installation: Installation) -> None:
    with pytest.raises(HomeTaken):
        Installation.create(installation.home, "other.test/log")


def test_a_database_with_a_log_gets_no_second_one(installation: Installation, tmp_path: Path) -> None:
    other = Home.at(tmp_path / "other", installation.home.database_url)
    with pytest.raises(HomeTaken):
        Installation.create(other, "other.test/log")
    assert not other.keys.exists()


def test_where_there_is_no_installation_none_is_opened(tmp_path: Path) -> None:
    with pytest.raises(HomeMissing):
        Installation.open(Home.at(tmp_path / "nowhere"))


def test_a_restored_database_that_grew_to_the_published_size_is_another_history(
    tmp_path: Path, sqlite_url: str
) -> None:
    """Restored from a backup, and written to while the published log was out of sight."""
    home = Home.at(tmp_path / "home", sqlite_url)
    first = Installation.create(home, "tanhui.test/log", simulated_at=START)
    register(first, 2)
    first.close()
    _vacuum_into(home, tmp_path / "backup.db")
    shutil.copytree(home.log, tmp_path / "log then")

    second = Installation.open(home)
    register(second, 1)
    second.close()
    shutil.move(home.log, tmp_path / "log now")

    shutil.copytree(tmp_path / "log then", home.log)
    (tmp_path / "tanhui.db").write_bytes((tmp_path / "backup.db").read_bytes())
    forked = Installation.open(home)
    register(forked, 1)
    forked.close()
    shutil.rmtree(home.log)
    shutil.move(tmp_path / "log now", home.log)
    with pytest.raises(PublishRefused):
        Installation.open(home)


def _vacuum_into(home: Home, path: Path) -> None:
    engine = sa.create_engine(home.database_url)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"vacuum into '{path}'")
    engine.dispose()


def test_keys_and_their_passphrase_are_their_owners_only(installation: Installation) -> None:
    files = list(installation.home.keys.iterdir())
    assert {path.name for path in files} >= {"secret", "log.pem", "root.pem", "system.pem"}
    for path in files:
        assert path.stat().st_mode & 0o077 == 0
        assert path.name == "secret" or b"ENCRYPTED" in path.read_bytes()
    assert installation.home.keys.stat().st_mode & 0o077 == 0
