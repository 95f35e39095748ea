"""A database of an older program is brought up to date with its data; a newer program's is left alone."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.orm import Session

from registry.backup import backup
from registry.database import Database, SchemaNewer, create_engine, migrate, migration_config, schema_revision
from registry.estimates.models import EstimateRun
from registry.estimates.rasters.rules import ErrorModel
from registry.estimates.rasters.store import list_rasters
from registry.estimates.recompute_home import recompute_run
from registry.installation import Installation
from registry.machine import Role
from registry.restore import restore
from registry.settings import Home
from registry.transparency.audit import audit
from tests.conftest import not_tested
from tests.registry.people import People
from tests.registry.volumes import emptied

pytestmark = pytest.mark.seconds

CHECKOUT = Path(__file__).parents[2]
FONTS = Path("registry/documents/fonts")
FIRST_RELEASE = "98fb544"
"""The last commit that wrote entries of version 1 only, under schema 0002."""


def revisions(url: str) -> list[str]:
    """Every schema, the oldest first."""
    script = ScriptDirectory.from_config(migration_config(url))
    return [known.revision for known in script.walk_revisions()][::-1]


def set_revision(url: str, revision: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = :to"), {"to": revision})
    engine.dispose()


# ---- the newer program's database --------------------------------------------------------------------------


def test_a_database_that_a_newer_program_wrote_is_refused_and_left_as_it_is(
    installation: Installation,
) -> None:
    home = installation.home
    installation.close()
    set_revision(home.database_url, "9999")
    with pytest.raises(SchemaNewer) as refused:
        Installation.open(home)
    assert refused.value.facts == {"found": "9999", "known": revisions(home.database_url)[-1]}
    assert schema_revision(home.database_url) == "9999"


def test_no_step_of_the_schema_is_taken_back(database_url: str) -> None:
    newest = schema_revision(database_url)
    with pytest.raises(NotImplementedError, match="restore a backup"):
        command.downgrade(migration_config(database_url), "-1")
    assert schema_revision(database_url) == newest


def test_the_first_step_is_not_taken_back_either(database_url: str) -> None:
    """Its own code would drop every table."""
    url = emptied(database_url)
    migrate(url, "0001")
    with pytest.raises(NotImplementedError, match="restore a backup"):
        command.downgrade(migration_config(url), "base")
    assert schema_revision(url) == "0001"
    engine = create_engine(url)
    assert sa.inspect(engine).has_table("log")
    engine.dispose()


def test_processes_that_start_at_once_migrate_one_after_another(database_url: str) -> None:
    url = emptied(database_url)
    line = [sys.executable, "-c", f"from registry.database import migrate; migrate({url!r})"]
    processes = [subprocess.Popen(line, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert schema_revision(url) == revisions(url)[-1]


# ---- the older program's database --------------------------------------------------------------------------


@pytest.fixture(scope="session")
def first_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the first release, out of this checkout's history."""
    own = ["git", "-c", f"safe.directory={CHECKOUT}", "archive", FIRST_RELEASE]
    packages = ("registry", "geo", "ledger", "migrations", "fixtures", "tests")
    try:
        packed = subprocess.run([*own, *packages], cwd=CHECKOUT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        not_tested(f"the history of this checkout does not reach back to {FIRST_RELEASE}")
    folder = tmp_path_factory.mktemp("first release")
    with tarfile.open(fileobj=io.BytesIO(packed)) as files:
        files.extractall(folder, filter="data")
    return folder


MEMBERS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from registry.installation import Installation
from registry.machine import Role
from registry.settings import Home
from tests.registry.people import People

home = Home.at(Path(sys.argv[1]), sys.argv[2])
first = Installation.create(home, "tanhui.test/log", simulated_at=datetime(2025, 3, 3, 1, tzinfo=UTC))
people = People(first)
for kind in (Role.COLLECTIVE, Role.VERIFIER, Role.REGISTRY_ADMIN):
    people.colleague(people.member(kind, "house " + kind.value))
first.close()
"""


def run_old(first_release: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=first_release,
        env=os.environ | {"PYTHONPATH": str(first_release)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_home_of_the_first_release_goes_up_step_by_step_audits_green_and_goes_on(
    first_release: Path, database_url: str, tmp_path: Path
) -> None:
    home = Home.at(tmp_path / "home", emptied(database_url))
    run_old(first_release, "-c", MEMBERS, str(home.path), home.database_url)
    assert schema_revision(home.database_url) == "0002"

    for revision in revisions(home.database_url)[2:]:
        migrate(home.database_url, revision)
        assert schema_revision(home.database_url) == revision
    with_old_data = audit(home)
    assert (with_old_data.size, with_old_data.findings) == (22, [])

    now = Installation.open(home)
    try:
        People(now).member(Role.BANK, "a bank")
        report = audit(home)
        assert report.findings == []
        assert report.size > with_old_data.size
    finally:
        now.close()


def test_an_archive_of_an_old_home_is_restored_into_the_new_schema(
    first_release: Path, database_url: str, tmp_path: Path
) -> None:
    """The backup one makes before the upgrade."""
    old = Home.at(tmp_path / "home", emptied(database_url))
    run_old(first_release, "-c", MEMBERS, str(old.path), old.database_url)
    made = backup(old, tmp_path)
    assert schema_revision(old.database_url) == made.manifest.revision == "0002"
    home = Home.at(tmp_path / "restored")
    assert restore(made.path, home)[1].findings == []
    assert schema_revision(home.database_url) == revisions(home.database_url)[-1]


@pytest.mark.slow
def test_the_whole_story_of_the_first_release_audits_green_after_the_upgrade(
    first_release: Path, tmp_path: Path
) -> None:
    home = Home.at(tmp_path / "demo")
    shutil.copytree(CHECKOUT / FONTS, first_release / FONTS, dirs_exist_ok=True)  # they are in no commit
    story = "import sys; from pathlib import Path; from registry.demo import run; run(Path(sys.argv[1]))"
    run_old(first_release, "-c", story, str(home.path))
    Installation.open(home).close()
    report = audit(home)
    assert report.size > 700
    assert report.findings == []
    database = Database(home.database_url)
    with database.read() as session:
        again = [recompute_run(session, home, run) for run in session.scalars(sa.select(EstimateRun))]
    database.dispose()
    assert {record.version for record, _ in again} == {1}
    assert [found.differences for _, found in again if not found.same] == []


def test_many_that_open_an_old_home_at_once_find_it_upgraded(
    first_release: Path, sqlite_url: str, tmp_path: Path
) -> None:
    home = Home.at(tmp_path / "home", emptied(sqlite_url))
    run_old(first_release, "-c", MEMBERS, str(home.path), home.database_url)
    with ThreadPoolExecutor(3) as starting:
        for opened in starting.map(lambda _n: Installation.open(home), range(3)):
            opened.close()
    assert audit(home).findings == []


# ---- data that a step carries over -------------------------------------------------------------------------


def test_a_raster_of_an_older_home_keeps_what_was_said_of_it_and_no_licence_is_made_up(
    database_url: str,
) -> None:
    url = emptied(database_url)
    migrate(url, "0011")
    engine = create_engine(url)
    old = {"taken_on": "2020-01-01", "file_name": "a.tif", "size_bytes": 7, "grid": '{"width": 3}'}
    with engine.begin() as connection:
        for sha256, kind, unit, product in (
            ("aa", "agb", "t/ha", "map"),
            ("bb", "land_cover", "class", "CLCD"),
        ):
            row = old | {"sha256": sha256 * 32, "kind": kind, "unit": unit, "product": product}
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(sa.text(f"insert into raster ({names}) values ({values})"), row)
    migrate(url)
    with Session(engine) as session:
        density, cover = list_rasters(session)
        assert (density.kind, density.unit, density.product, density.taken_on) == (
            "agb", "t/ha", "map", "2020-01-01",
        )  # fmt: skip
        assert (density.version, density.band, density.licence, density.facts) == (1, 1, None, None)
        assert density.error_model == ErrorModel().to_json()
        assert (cover.forest_classes, cover.file.grid) == ([2], {"width": 3})
    engine.dispose()
