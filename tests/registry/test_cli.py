"""The command line: what is asked wrongly is refused in one line, and nothing is made on the way."""

import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry import cli
from registry.clock import clock_of
from registry.database import Database
from registry.settings import Home
from registry.transparency.overview import summary

OWN_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
"""A public key of RFC 8032, 7.1."""


class Line:
    """A command line that keeps what was said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """The exit status and everything printed."""
        self._monkeypatch.setattr(sys, "argv", ["tanhui", *arguments])
        try:
            cli.main()
            status = 0
        except SystemExit as left:
            status = int(left.code or 0)
        said = self._capsys.readouterr()
        return status, said.out + said.err


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Line:
    for name in ("TANHUI_HOME", "TANHUI_DATABASE_URL", "TANHUI_KEY_PASSPHRASE", "TANHUI_ANCHOR"):
        monkeypatch.delenv(name, raising=False)
    return Line(monkeypatch, capsys)


@pytest.fixture
def home(line: Line, tmp_path: Path) -> Path:
    path = tmp_path / "home"
    assert line("db", "create", "--home", str(path))[0] == 0
    return path


def log_size(home: Path) -> int:
    database = Database(Home.at(home).database_url)
    try:
        with database.read() as session:
            return summary(session).log_size
    finally:
        database.dispose()


@pytest.mark.parametrize(
    "arguments",
    [
        ("db", "upgrade"),
        ("clock", "advance", "2025-01-01"),
        ("member", "A", "--kind", "bank", "--person", "B"),
        ("serve", "--port", "0"),
        ("audit",),
        ("audit", "--log-only"),
        ("recompute", "QZP1-330802-RN-00001-2024-005-861-863-24"),
    ],
)
def test_without_an_installation_every_command_says_so_and_makes_none(
    line: Line, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    status, said = line(*arguments, "--home", str(tmp_path / "none"))
    assert (status, "refused home_missing" in said) == (2, True), said
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\nb"])
def test_a_log_name_that_cannot_be_leaves_no_half_made_home(line: Line, tmp_path: Path, origin: str) -> None:
    status, said = line("db", "create", "--home", str(tmp_path / "new"), "--origin", origin)
    assert (status, "refused key_malformed" in said) == (2, True), said
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("instant", "meant"),
    [
        ("2025-01-01", datetime(2025, 1, 1, tzinfo=UTC)),
        ("2025-01-01T08:00:00", datetime(2025, 1, 1, 8, tzinfo=UTC)),
        ("2025-01-01T08:00:00+08:00", datetime(2025, 1, 1, tzinfo=UTC)),
    ],
)
def test_an_instant_with_a_time_zone_is_that_instant(
    line: Line, tmp_path: Path, instant: str, meant: datetime
) -> None:
    home = tmp_path / "rehearsal"
    assert line("db", "create", "--home", str(home), "--clock", instant)[0] == 0
    assert _now(home) == meant
    assert line("clock", "advance", "2025-02-01T00:30:00+08:00", "--home", str(home))[0] == 0
    assert _now(home) == datetime(2025, 1, 31, 16, 30, tzinfo=UTC)


def _now(home: Path) -> datetime:
    database = Database(Home.at(home).database_url)
    try:
        return clock_of(database).now()
    finally:
        database.dispose()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("", "--kind", "bank", "--person", "B"), "invalid_request"),
        (("A", "--kind", "bank", "--person", ""), "invalid_request"),
        (("A", "--kind", "bank", "--person", "B", "--county", "33"), "invalid_request"),
        (("A", "--kind", "bank", "--person", "B", "--public-key", "zz"), "invalid_request"),
        (("A", "--kind", "bank", "--person", "B", "--public-key", "00" * 32), "key_malformed"),
        (("A", "--kind", "root", "--person", "B"), "role_refused"),
        (("b544094c-34f0-4050-b5cc-d31346ea3221", "--kind", "bank", "--person", "B"), "not_found"),
        (("A", "--kind", "bogus", "--person", "B"), "Invalid value for '--kind'"),
    ],
)
def test_a_member_asked_for_wrongly_writes_nothing(
    line: Line, home: Path, arguments: tuple[str, ...], code: str
) -> None:
    before = log_size(home)
    status, said = line("member", *arguments, "--home", str(home))
    assert (status, code in said) == (2, True), said
    assert log_size(home) == before


def test_a_second_person_joins_an_organisation_by_its_id(line: Line, home: Path) -> None:
    _, first = line("member", "银行", "--kind", "bank", "--person", "B", "--home", str(home))
    organisation = first.split()[1]
    own = ("--person", "C", "--public-key", OWN_KEY)
    status, second = line("member", organisation, "--kind", "bank", *own, "--home", str(home))
    assert (status, second.split()[1]) == (0, organisation), second


def test_the_log_alone_is_audited_only_when_asked_for(line: Line, home: Path) -> None:
    (home / "tanhui.db").unlink()
    status, said = line("audit", str(home))
    assert (status, "refused tables_missing" in said) == (2, True), said
    assert not (home / "tanhui.db").exists()
    assert line("audit", str(home), "--log-only")[0] == 0


def test_a_port_in_use_is_said_in_one_line(line: Line, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, said = line("serve", "--home", str(home), "--port", port)
    assert (status, "failed OSError" in said, "serving" in said) == (1, True, False), said


def test_a_home_that_is_a_file_is_said_in_one_line(line: Line, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, said = line("db", "create", "--home", str(tmp_path / "file"))
    assert (status, said.startswith("failed FileExistsError"), len(said.splitlines())) == (1, True, 1), said


def test_a_registry_is_backed_up_restored_and_caught_up_from_the_command_line(
    line: Line, home: Path, tmp_path: Path
) -> None:
    archive, restored = tmp_path / "full.tar.gz", tmp_path / "restored"
    status, said = line("backup", str(archive), "--home", str(home))
    assert (status, "audit passed" in said, "keys/secret is not in it" in said) == (0, True, True), said
    assert line("member", "银行", "--kind", "bank", "--person", "B", "--home", str(home))[0] == 0

    status, said = line("restore", str(archive), "--home", str(restored), "--vkey", str(home / "log.vkey"))
    assert (status, "it signs nothing yet" in said) == (0, True), said
    member = ("member", "银行", "--kind", "bank", "--person", "B", "--home", str(restored))
    status, said = line(*member)
    assert (status, "refused home_restored" in said) == (2, True), said
    status, said = line("restore", "--home", str(restored), "--catch-up", str(home / "log"))
    assert (status, f"from 1 to {log_size(home)} entries" in said) == (0, True), said
    assert "to be supplied organisation" in said
    (restored / "keys" / "secret").write_bytes((home / "keys" / "secret").read_bytes())
    assert line(*member)[0] == 0
    assert log_size(restored) > log_size(home)


def test_the_operators_word_is_asked_for_once(line: Line, home: Path, tmp_path: Path) -> None:
    restored = ("--home", str(tmp_path / "restored"))
    assert line("backup", str(tmp_path / "full.tar.gz"), "--home", str(home), "--with-secret")[0] == 0
    both = ("--nothing-newer", "--catch-up", str(home / "log"))
    assert line("restore", str(tmp_path / "full.tar.gz"), *restored, *both)[0] == 2
    assert not (tmp_path / "restored").exists()
    assert line("restore", str(tmp_path / "full.tar.gz"), *restored, "--nothing-newer")[0] == 0
    assert line("member", "银行", "--kind", "bank", "--person", "B", *restored)[0] == 0


def test_an_anchor_is_begun_when_asked_for_and_refuses_an_old_home(
    line: Line, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = ("member", "银行", "--kind", "bank", "--person", "B", "--home")
    assert line("backup", str(tmp_path / "full.tar.gz"), "--home", str(home), "--with-secret")[0] == 0
    monkeypatch.setenv("TANHUI_ANCHOR", str(tmp_path / "elsewhere" / "anchor"))
    status, said = line(*member, str(home))
    assert (status, "refused anchor_missing" in said) == (2, True), said
    assert line("db", "anchor", "--home", str(home))[0] == 0
    assert line(*member, str(home))[0] == 0
    restored = ("--home", str(tmp_path / "restored"))
    status, said = line("restore", str(tmp_path / "full.tar.gz"), *restored, "--nothing-newer")
    assert (status, "refused database_behind_log" in said) == (2, True), said


def test_help_keeps_what_stands_in_brackets(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "[default: the root of the log's last checkpoint]" in line("plots", "design", "--help")[1]


def test_a_project_that_is_not_there_is_named_where_plots_are_designed(
    home: Path, line: Line, tmp_path: Path
) -> None:
    status, said = line(
        "plots", "design", "--project", "7", "--out", str(tmp_path / "d"), "--home", str(home)
    )
    assert (status, "not_found" in said) == (2, True)


@pytest.mark.parametrize("words", [("recompute",), ("plots", "check"), ("method", "calc")])
def test_a_file_that_is_not_there_is_no_finding(line: Line, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Status 1 of `recompute` says that a run is not the same."""
    status, said = line(*words, str(tmp_path / "run.zip"))
    assert (status, "No such file" in said) == (2, True)
