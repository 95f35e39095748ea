"""`tanhui import`: the installation's command line brings a file in, or lists every bad row."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from registry.installation import Installation
from registry.machine import Role
from registry.parcels.import_models import ParcelImport
from registry.parcels.models import ParcelDraft
from tests.registry.land import Land, ground, row
from tests.registry.people import People
from tests.registry.test_cli import Line, line

__all__ = ["line"]

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def land(installation: Installation, people: People, tmp_path: Path) -> Land:
    made = Land(people, tmp_path)
    assert made.programme and made.village.organisation
    return made


@pytest.fixture
def home(installation: Installation, monkeypatch: pytest.MonkeyPatch, line: Line) -> str:
    monkeypatch.setenv("TANHUI_DATABASE_URL", installation.home.database_url)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    return str(installation.home.path)


def drafts(land: Land) -> int:
    with land.people.installation.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(ParcelDraft)) or 0


def test_a_collective_brings_its_file_by_its_name_and_again(land: Land, home: str, line: Line) -> None:
    village = land.village.organisation
    path = land.file([row(1, ground(0, 0)), row(2, ground(200, 0))])
    dry = line("import", str(path), "--as", "甲村", "--dry-run", "--home", home)
    assert (dry[0], "没有错误" in dry[1], drafts(land)) == (0, True, 0)
    status, said = line("import", str(path), "--as", village, "--home", home, "--json")
    report = json.loads(said)
    assert (status, report["taken"], len(report["drafts"])) == (0, True, 2)
    status, said = line("import", str(path), "--as", village, "--home", home, "--lang", "en")
    assert (status, "was imported before" in said, drafts(land)) == (0, True, 2)


def test_every_bad_row_is_listed_and_the_status_is_two(land: Land, home: str, line: Line) -> None:
    path = land.file([row(1, ground(0, 0), 优势树种="银杏"), row(2, ground(200, 0), 期限至="1999-01-01")])
    status, said = line("import", str(path), "--as", "甲村", "--home", home)
    assert (status, drafts(land)) == (2, 0)
    for words in ("银杏", "怎么办", "1999-01-01", "2 处错误"):
        assert words in said.replace("\n", "")
    gml = land.folder / "land.gml"
    gml.write_text("<?xml version='1.0'?><gml:FeatureCollection xmlns:gml='http://www.opengis.net/gml'/>")
    status, said = line("import", str(gml), "--as", "甲村", "--home", home, "--lang", "en", "--json")
    assert (status, json.loads(said)["problems"][0]["row"]) == (2, 0)


def test_an_operator_says_whose_land_it_brings_and_what_the_file_lacks(
    land: Land, home: str, line: Line
) -> None:
    operator = land.pair(Role.OPERATOR, "两山公司")
    outline, attributes = row(1, ground(0, 0))
    del attributes["县代码"]
    path = land.file([(outline, attributes)])
    told = ("--value", "county=330802", "--owner", f"甲村={land.village.organisation}")
    status, said = line("import", str(path), "--as", operator.organisation, *told, "--home", home, "--json")
    assert (status, json.loads(said)["taken"]) == (0, True)
    assert line("import", str(path), "--as", "两山公司", "--home", home)[0] == 2  # nobody owns it


@pytest.mark.parametrize(
    "arguments",
    [
        ("--as", "nobody"),
        ("--as", "登记处"),
        ("--as", "甲村", "--programme", "X.1"),
        ("--as", "甲村", "--value", "county"),
        ("--as", "甲村", "--accept-repair", "1=x"),
        ("--as", "甲村", "--mapping", "nobody's"),
    ],
)
def test_what_is_asked_wrongly_is_refused(
    land: Land, home: str, line: Line, arguments: tuple[str, ...]
) -> None:
    path = land.file([row(1, ground(0, 0))])
    assert line("import", str(path), *arguments, "--home", home)[0] == 2
    assert drafts(land) == 0


@pytest.mark.slow
def test_processes_that_bring_the_same_file_at_once_leave_one_import(land: Land, home: str) -> None:
    path = land.file([row(n, ground(200 * n, 0)) for n in range(1, 4)])
    command = [
        sys.executable,
        "-m",
        "registry.cli",
        "import",
        str(path),
        "--as",
        "甲村",
        "--home",
        home,
        "--json",
    ]
    running = [subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE) for _ in range(4)]
    reports = [json.loads(one.communicate(timeout=120)[0]) for one in running]
    assert [one.returncode for one in running] == [0] * 4
    assert len({tuple(report["drafts"]) for report in reports}) == 1
    assert sorted(report["repeated"] for report in reports)[0] is False
    with land.people.installation.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ParcelImport)) == 1
    assert drafts(land) == 3
