"""What every test can ask for: a migrated database on each dialect, and the real data where there is some.

Environment: TANHUI_REQUIRE_POSTGRES makes a test fail, not skip, when PostgreSQL cannot run; PGBIN names
PostgreSQL's programs; TANHUI_TEST_DATA is the folder of real data (else `shared/data` beside the checkout).
"""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

import psycopg
import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import settings
from playwright.sync_api import Playwright, sync_playwright

from tests.browser import chromium_path
from tests.postgres import Cluster, NoPostgres, start_cluster

CHECKOUT: Final = Path(__file__).resolve().parent.parent
TEMPLATE: Final = "migrated"
LOUD: Final = "NOT TESTED HERE: "

_numbers = itertools.count(1)

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile("tanhui", deadline=None)
settings.load_profile("tanhui")


def _migrate(url: str) -> None:
    from registry.database import migrate  # here, so that tests of geo and ledger need no registry

    migrate(url)


def not_tested(reason: str) -> NoReturn:
    """Skip the test that asks, and say so again at the end of the run."""
    pytest.skip(LOUD + reason)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    """A running PostgreSQL, one for each worker; skips loudly, or fails under TANHUI_REQUIRE_POSTGRES."""
    try:
        cluster = start_cluster()
    except NoPostgres as reason:
        if os.environ.get("TANHUI_REQUIRE_POSTGRES"):
            pytest.fail(str(reason), pytrace=False)
        not_tested(str(reason))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres_cluster: Cluster) -> Cluster:
    """The cluster with a database `migrated` that holds the schema; `new_postgres` copies it."""
    with psycopg.connect(postgres_cluster.conninfo(), autocommit=True) as connection:
        connection.execute(f"create database {TEMPLATE}")
    _migrate(postgres_cluster.url(TEMPLATE))
    return postgres_cluster


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that holds the schema; `database_url` copies it."""
    path = tmp_path_factory.mktemp("template") / "migrated.db"
    _migrate(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    connection.execute("pragma journal_mode=delete")  # one file, complete, without a -wal beside it
    connection.close()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The address of a fresh, migrated SQLite database."""
    path = tmp_path / "tanhui.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_template: Cluster) -> Iterator[str]:
    """The address of a fresh, migrated PostgreSQL database."""
    name = f"t{next(_numbers)}"
    with psycopg.connect(postgres_template.conninfo(), autocommit=True) as connection:
        connection.execute(f"create database {name} template {TEMPLATE}")
    yield postgres_template.url(name)
    with psycopg.connect(postgres_template.conninfo(), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a fresh, migrated database: the test that asks for it runs once on each dialect."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium for `tests.browser.launched`; skips loudly where there is none."""
    path = chromium_path()
    if path is None:
        not_tested("no Chromium on PATH (on Debian: apt-get install chromium)")
    return path


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Playwright's driver, for one module: while it runs, asyncio.run() does not work in the same thread."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data; skips loudly where there is none."""
    folder = Path(os.environ.get("TANHUI_TEST_DATA", CHECKOUT.parent / "shared" / "data"))
    if not folder.is_dir():
        not_tested(f"no real data at {folder}; TANHUI_TEST_DATA names its folder")
    return folder


@pytest.fixture(scope="session")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds a program of `tests/oracles` over x/mod; skips loudly without Go or it."""
    packages = Path("/usr/share/gocode")
    if shutil.which("go") is None or not (packages / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        not_tested("no Go with x/mod (on Debian: apt-get install golang-go golang-golang-x-mod-dev)")
    folder = tmp_path_factory.mktemp("go")
    own = {"GO111MODULE": "off", "GOPATH": str(packages), "GOCACHE": str(folder / "cache"), "GOFLAGS": ""}

    def built(name: str) -> Path:
        program, source = folder / name, CHECKOUT / "tests" / "oracles" / f"{name}.go"
        line = ["go", "build", "-o", str(program), str(source)]
        subprocess.run(line, env=os.environ | own, check=True, timeout=300)
        return program

    return built


@pytest.fixture(scope="session")
def go_oracle(go_program: Callable[[str], Path]) -> Path:
    """The program that reads a published log and proves every entry."""
    return go_program("tlog_check")


@pytest.fixture(scope="session", params=["hledger", "ledger"])
def accountant(request: pytest.FixtureRequest) -> str:
    """A plain-text accounting program; skips loudly where it is missing."""
    program = str(request.param)
    if shutil.which(program) is None:
        not_tested(f"no {program} on PATH (on Debian: apt-get install {program})")
    return program


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stories of seconds are told on SQLite by `make test`, and on both databases by `make test-slow`."""
    for item in items:
        if item.get_closest_marker("seconds") is not None and "postgresql" in item.name:
            item.add_marker(pytest.mark.slow)


def pytest_report_header(config: pytest.Config) -> str:
    required = "required" if os.environ.get("TANHUI_REQUIRE_POSTGRES") else "used where it runs"
    return f"PostgreSQL: {required}"


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Repeat at the end what this machine could not test, so that nobody reads a half run as a whole one."""
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        said = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if LOUD in said:
            reason = said.split(LOUD, 1)[1]
            reasons[reason] = reasons.get(reason, 0) + 1
    if not reasons:
        return
    terminalreporter.write_sep("!", "this machine could not run everything", red=True, bold=True)
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count} tests left out: {reason}", red=True)
