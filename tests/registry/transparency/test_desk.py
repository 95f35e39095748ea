"""The audit at a desk: a published log and its key, over real HTTP, without an installation or a database."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from auditor.digest import state_facts
from auditor.findings import Report
from auditor.replay import Replay
from ledger import tables
from ledger.envelope import decode_leaf
from ledger.replay import LedgerState
from ledger.state import state_of
from registry.cli import app
from tests.registry.transparency.life import Life
from tests.registry.transparency.tampering import flipped

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"])
"""A stranger sees no database, so it does not matter which."""
CHINA = timezone(timedelta(hours=8))


class Quiet(SimpleHTTPRequestHandler):
    """The log's folder as any web server hands it out."""

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def published(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def served(life: Life) -> Iterator[str]:
    """`tanhui serve` in a process of its own; answers the address of its log."""
    command = [
        sys.executable,
        "-u",
        "-m",
        "registry.cli",
        "serve",
        "--home",
        str(life.home.path),
        "--port",
        "0",
    ]
    environment = {**os.environ, "TANHUI_DATABASE_URL": life.home.database_url}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield line.split()[-1] + "/log"
        finally:
            process.terminate()


def asked(log: str, life: Life, *options: str) -> dict[str, object]:
    """The answer of the command for programs; its exit status must fit."""
    arguments = ["audit", "--log", log, "--vkey", life.home.vkey.read_text().strip(), "--json", *options]
    done = CliRunner().invoke(app, arguments)
    told: dict[str, object] = json.loads(done.output)
    assert done.exit_code == (0 if told["passed"] else 1)
    return told


def leaves(life: Life) -> list[bytes]:
    with life.installation.database.read() as session:
        return list(session.scalars(sa.select(tables.log.c.leaf).order_by(tables.log.c.idx)))


def test_a_stranger_audits_what_a_running_server_publishes(life: Life, tmp_path: Path) -> None:
    os.chdir(tmp_path)  # nothing of an installation lies here
    with served(life) as log:
        told = asked(log, life)
    assert told["passed"]
    assert told["size"] == len(leaves(life))
    checks: list[dict[str, str]] = told["checks"]  # type: ignore[assignment]
    unmade = {check["check"] for check in checks if check["verdict"] != "ok"}
    assert unmade == {"I4", "I13", "I14", "C1"}
    assert all("not checked" in check["verdict"] for check in checks if check["check"] in unmade)


def test_what_stood_at_a_size_is_what_a_replay_to_there_holds(life: Life) -> None:
    known = leaves(life)
    for size in (1, 40, len(known) - 3, len(known)):
        state = LedgerState()
        for leaf in known[:size]:
            state.apply(leaf)
        told = asked(str(life.home.log), life, "--size", str(size))
        stood: dict[str, object] = told["standing"]  # type: ignore[assignment]
        assert (stood["size"], stood["log_size"]) == (size, len(known))
        accounts: dict[str, dict[str, dict[str, int]]] = stood["accounts"]  # type: ignore[assignment]
        balances = {
            (asset, name): (line["balance"], line["reserved"])
            for asset, lines in accounts.items()
            for name, line in lines.items()
        }
        assert balances == {
            (account.asset, name): (account.balance, account.debits_pending)
            for name, account in state.books.accounts.items()
        }
        batches: list[dict[str, Any]] = stood["batches"]  # type: ignore[assignment]
        for batch in batches:
            places = [batch[place] for place in ("held", "locked", "buffer", "retired", "cancelled")]
            blocks = [b for b in state.books.blocks.values() if b.live and b.batch == batch["batch"]]
            assert batch["issued"] == sum(places) == sum(block.units.count for block in blocks)


def test_what_stood_on_a_day_is_what_the_last_entry_of_that_day_in_china_left(life: Life) -> None:
    known = leaves(life)
    days = [datetime.fromtimestamp(decode_leaf(leaf)[0] / 1000, CHINA).date() for leaf in known]
    with published(life.home.log) as log:
        for day in sorted(set(days)):
            told = asked(log, life, "--date", day.isoformat())
            assert told["passed"]
            assert told["size"] == sum(other <= day for other in days)
        before = CliRunner().invoke(
            app, ["audit", "--log", log, "--vkey", str(life.home.vkey), "--date", "2001-01-01"]
        )
    assert before.exit_code != 0


def test_a_changed_byte_in_any_file_that_is_served_is_found_over_http(life: Life) -> None:
    size = len(leaves(life))
    needed = [
        path for path in life.home.log.rglob("*") if path.is_file() and path.name in (str(size), "checkpoint")
    ]
    assert len(needed) == 3
    with published(life.home.log) as log:
        assert asked(log, life)["passed"]
        for path in needed:
            for place in range(0, path.stat().st_size, max(1, path.stat().st_size // 25)):
                with flipped(path, place):
                    assert not asked(log, life)["passed"], f"{path.name} byte {place}"


def test_a_log_does_not_vouch_for_its_own_key(life: Life) -> None:
    with published(life.home.log) as log:
        assert CliRunner().invoke(app, ["audit", "--log", log]).exit_code == 2
        beyond = CliRunner().invoke(
            app, ["audit", "--log", log, "--vkey", str(life.home.vkey), "--size", "99999"]
        )
    assert beyond.exit_code != 0


def test_the_story_is_read_alike_by_both_programs_entry_by_entry(life: Life) -> None:
    known = leaves(life)
    report, state = Report(), LedgerState()
    replay = Replay(report, recall=known.__getitem__)
    for size, leaf in enumerate(known, 1):
        state.apply(leaf)
        assert replay.see(leaf) is not None
        assert {"size": size, **state_facts(replay.books)} == state_of(state.books, size)
    assert report.findings == []
