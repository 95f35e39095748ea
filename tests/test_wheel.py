"""What `pip install` brings: the wheel holds all that the command needs, and works in an empty folder."""

import json
import os
import sqlite3
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Final

import pytest

CHECKOUT: Final = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built by its own back end with the libraries of this environment."""
    if os.environ.get("TANHUI_SKIP_WEB"):
        pytest.skip("NOT TESTED HERE: a wheel without its pages, because TANHUI_SKIP_WEB is set")
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        ".",
    ]
    done = subprocess.run(build, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("tanhui-*.whl")
    return path


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of the installed wheel: an environment that sees the libraries but not the checkout."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, symlinks=True, with_pip=False)
    (site,) = home.glob("lib/python3*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return [str(home / "bin" / "python"), "-c", "from registry.cli import main; main()"]


def run(command: list[str], arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command in `folder` with nothing of ours in the environment."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TANHUI_", "PYTHON"))
    }
    return subprocess.run(
        [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_wheel_carries_packages_migrations_pages_fonts_and_translations(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/", 1)[0] for name in names if ".dist-info/" not in name}
    assert tops == {"registry", "auditor", "geo", "ledger", "migrations", "fixtures"}
    assert {
        "registry/cli/__init__.py",
        "registry/locale/zh_CN.po",
        "registry/documents/certificate.typ",
        "registry/documents/fonts/NotoSansSC_400Regular.ttf",
        "registry/documents/fonts/NotoSansSC_700Bold.ttf",
        "registry/documents/fonts/LICENSE_FONT",
        "registry/web/static/map.js",
        "registry/web/static/maplibre-gl-worker.mjs",
        "registry/web/static/maplibre-gl.css",
        "registry/web/static/style.css",
        "registry/web/static/NOTICES.txt",
        "migrations/env.py",
        "fixtures/quzhou.py",
    } <= names
    assert any(name.startswith("migrations/versions/0001") for name in names)


def test_the_wheel_carries_every_tracked_file_of_its_packages(wheel: Path) -> None:
    listing = subprocess.run(
        [
            "git",
            "-c",
            f"safe.directory={CHECKOUT}",
            "ls-files",
            "registry",
            "geo",
            "ledger",
            "migrations",
            "fixtures",
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("NOT TESTED HERE: this is not a git checkout")
    tracked = {name for name in listing.stdout.splitlines() if (CHECKOUT / name).is_file()}
    assert tracked - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_the_installed_command_makes_a_database_in_an_empty_folder(
    command: list[str], tmp_path: Path
) -> None:
    where = run([command[0]], ["-c", "import registry; print(registry.__file__)"], tmp_path).stdout
    assert Path(where.strip()).is_relative_to(Path(command[0]).parent.parent)
    done = run(command, ["db", "create", "--origin", "tanhui.test/log"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tanhui-data" / "tanhui.db").is_file()


@pytest.mark.slow
def test_the_installed_command_runs_the_demo_and_its_audit(command: list[str], tmp_path: Path) -> None:
    done = run(command, ["demo", "--once", "here"], tmp_path)
    assert done.returncode == 0, done.stderr
    audited = run(command, ["audit", "here"], tmp_path)
    assert audited.returncode == 0, audited.stdout + audited.stderr
    with sqlite3.connect(tmp_path / "here" / "tanhui.db") as database:
        ((kg, name), *_) = database.execute("select estimate_kg, id from estimate_run order by id").fetchall()
    packed = run(command, ["export", "run", name, "--bundle", "run.zip", "--home", "here"], tmp_path)
    assert packed.returncode == 0, packed.stdout + packed.stderr
    (tmp_path / "empty").mkdir()
    again = run(command, ["recompute", str(tmp_path / "run.zip"), "--json"], tmp_path / "empty")
    assert again.returncode == 0, again.stdout + again.stderr
    assert (json.loads(again.stdout)["same"], json.loads(again.stdout)["kg"]) == (True, kg)
    assert list((tmp_path / "empty").iterdir()) == []
