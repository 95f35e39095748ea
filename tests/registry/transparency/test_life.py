"""The audit of a whole life of a credit: it passes as the registry wrote it, and finds and names whatever was
changed behind its back.
"""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from auditor.findings import CHECKS, NEED_MORE_THAN_THE_LOG, Finding, Report
from registry.cli import app
from registry.documents.bundle import SUFFIXES, read_bundle, verify_bundle
from registry.documents.errors import DocumentRefused
from registry.projects.models import ClaimCell
from registry.retirement.models import Certificate
from registry.settings import Home
from registry.transparency.audit import Judged, audit, hold_installation, judge, snapshot, verifiers_of
from registry.transparency.comparison import compared_tables
from tests.registry.transparency.life import Life
from tests.registry.transparency.tampering import (
    Change,
    changes,
    drop_guards,
    flipped,
    run,
    tampered,
)

sqlite = pytest.mark.parametrize("dialect", ["sqlite"])
"""For what does not depend on the database."""


@contextmanager
def judged(life: Life) -> Iterator[Judged]:
    """The published log judged once, to be held against many databases."""
    with snapshot(life.home) as served:
        found = judge(life.home, verifiers_of(life.home.vkey), served, Report())
    assert found is not None
    yield found
    found.close()


def held(life: Life, log: Judged) -> list[Finding]:
    report = Report()
    with snapshot(life.home) as served:
        hold_installation(life.home, verifiers_of(life.home.vkey), log, served, report)
    return report.findings


def named(change: Change, findings: list[Finding]) -> bool:
    """Whether a finding names the table, the row and the column, or that the row is another one."""
    for finding in findings:
        where, _, columns = finding.where.partition(" column")
        if where in (change.row, change.new_row) and (not columns or change.column.name in columns):
            return True
    return False


# ---- as it was written -------------------------------------------------------------------------------------


def test_a_whole_life_passes_and_every_check_was_made(life: Life) -> None:
    report = audit(life.home)
    assert report.findings == []
    assert [check for check in CHECKS if not report.made.get(check)] == []
    assert report.notes == []


@sqlite
def test_from_the_log_alone_most_is_decided_and_the_rest_is_named(life: Life, tmp_path: Path) -> None:
    alone = tmp_path / "stranger"
    shutil.copytree(life.home.log, alone / "log")
    shutil.copy(life.home.vkey, alone / "log.vkey")
    report = audit(Home.at(alone), log_only=True)

    assert report.findings == []
    verdicts = {check: verdict for check, _, _, verdict in report.lines()}
    unmade = {check for check, verdict in verdicts.items() if verdict != "ok"}
    assert unmade == set(NEED_MORE_THAN_THE_LOG) == {"I4", "I13", "I14", "C1"}
    assert all("not checked" in verdicts[check] for check in unmade)


@sqlite
def test_the_command_prints_the_table_and_says_what_it_did_not_check(life: Life) -> None:
    done = CliRunner().invoke(app, ["audit", "--log-only", "--json", str(life.home.path)])
    assert done.exit_code == 0
    told = json.loads(done.output)
    assert told["passed"]
    assert [check["check"] for check in told["checks"]] == list(CHECKS)
    printed = CliRunner().invoke(app, ["audit", "--log-only", str(life.home.path)])
    assert "not checked" in printed.output


# ---- tiles -------------------------------------------------------------------------------------------------


@sqlite
@pytest.mark.parametrize("each", [pytest.param(1, marks=pytest.mark.slow), 8], ids=["all", "an eighth"])
def test_a_flipped_byte_in_any_published_file_is_found_in_that_file(life: Life, each: int) -> None:
    files = sorted(p for p in life.home.log.rglob("*") if p.is_file() and not p.name.startswith("."))
    assert len(files) > 100
    for n, path in enumerate(files[::each]):
        name = path.relative_to(life.home.log).as_posix()
        with flipped(path, 7919 * n):
            findings = audit(life.home, log_only=n % 20 > 0).findings
        assert name in {finding.where for finding in findings}, name
    assert audit(life.home).passed


@sqlite
def test_a_published_log_that_is_older_than_the_database_is_found(life: Life) -> None:
    kept = life.home.log.with_name("kept")
    shutil.copytree(life.home.log, kept)
    life.story.pay_in("firm", 1)
    shutil.rmtree(life.home.log)
    kept.rename(life.home.log)
    assert any(f.check == "L1" and f.where == "checkpoint" for f in audit(life.home).findings)


@pytest.mark.parametrize("times", [3])
@pytest.mark.seconds
def test_an_audit_finds_nothing_wrong_while_money_comes_in_all_the_time(life: Life, times: int) -> None:
    """Tables are read at one moment, the log is judged to it, and what is on its way is waited for."""
    over = threading.Event()

    def pay_in() -> None:
        while not over.is_set():
            life.story.pay_in("firm", 1)

    paying = threading.Thread(target=pay_in)
    paying.start()
    try:
        reports = [audit(life.home) for _ in range(times)]
    finally:
        over.set()
        paying.join()
    assert [report.findings for report in reports] == [[]] * times
    sizes = [report.size for report in reports]
    assert sizes == sorted(set(sizes))


# ---- tables ------------------------------------------------------------------------------------------------


def test_a_change_in_any_logged_column_is_found_and_named(life: Life) -> None:
    """One row for each column of each table; a round changes one column in every table at once."""
    drop_guards(life.installation)
    tried = set()
    with judged(life) as log:
        for changed in changes(life.installation, "logged"):
            with tampered(life.installation, changed):
                findings = held(life, log)
            for change in changed:
                assert named(change, findings), f"{change.row} column {change.column.name}"
            tried |= {change.table.name for change in changed}
        assert held(life, log) == []
    empty = {table.name for table in compared_tables()} - tried - {"checkpoint"}
    # nobody remarks, erases, splits a parcel, disputes or files evidence in this story; see those rooms
    elsewhere = {"annotation", "erasure", "succession", "parcel_lineage"}
    elsewhere |= {"outside_claim", "dispute_decision", "evidence_file"}
    assert empty <= elsewhere


def test_a_change_in_any_committed_column_is_found_and_named(life: Life) -> None:
    tried = 0
    with judged(life) as log:
        for changed in changes(life.installation, "committed"):
            with tampered(life.installation, changed):
                findings = [finding for finding in held(life, log) if finding.check == "C1"]
            for change in changed:
                assert named(change, findings), f"{change.row} column {change.column.name}"
            tried += len(changed)
        assert held(life, log) == []
    assert tried > 25


@sqlite
def test_a_record_that_was_emptied_and_that_no_entry_erased_is_found(life: Life) -> None:
    """An erasure that was logged is a note; `tests/registry/records` tells that story."""
    emptied = {"records": None, "commitment_key": None}
    run(life.installation, [sa.update(Certificate).values(emptied)])
    findings = audit(life.home).findings
    assert [(finding.check, finding.where.split()[0]) for finding in findings] == [("C1", "certificate")]


def test_a_hole_in_the_index_of_claims_is_found(life: Life) -> None:
    with life.installation.database.read() as session:
        cell = session.scalars(sa.select(ClaimCell).limit(1)).one()
        lost = sa.delete(ClaimCell).where(ClaimCell.cell == cell.cell, ClaimCell.claim_id == cell.claim_id)
        where = f"claim_cell {cell.claim_id}"
    run(life.installation, [lost])
    assert [(f.check, f.where) for f in audit(life.home).findings] == [("I4", where)]


# ---- certificates ------------------------------------------------------------------------------------------


@sqlite
def test_a_flipped_byte_in_a_certificate_is_found_in_that_file(life: Life) -> None:
    with judged(life) as log:
        for suffix in SUFFIXES:
            path = life.home.certificates / f"{life.certificate}{suffix}"
            size = path.stat().st_size
            for place in (0, size // 3, size // 2, size - 1):
                with flipped(path, place):
                    findings = held(life, log)
                assert [f.check for f in findings] == ["I14"], f"{suffix} byte {place}"
                assert findings[0].where.startswith(f"certificates/{path.name}"), findings[0]


@sqlite
def test_no_byte_of_proof_entry_and_statement_can_be_changed(life: Life) -> None:
    bundle = read_bundle(life.home.certificates / f"{life.certificate}.entry")
    files = (bundle.proof, bundle.entry, bundle.statement)
    for n, data in enumerate(files):
        for place in range(0, len(data), 3):
            changed = list(files)
            changed[n] = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            with pytest.raises(DocumentRefused) as refused:
                verify_bundle(changed[0], changed[1], changed[2], life.installation.vkey, None)
            assert refused.value.facts["where"], (n, place)


@sqlite
def test_certificates_that_are_missing_or_strange_are_named(life: Life) -> None:
    folder = life.home.certificates
    (folder / f"{life.certificate}.tlog-proof").unlink()
    assert [f.where for f in audit(life.home).findings] == [f"certificates/{life.certificate}.tlog-proof"]
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("000001", "000009"))
    report = audit(life.home)
    assert {f.where for f in report.findings} == {f"certificates/{path.name}" for path in folder.iterdir()}
    assert [note.where for note in report.notes] == [f"certificates/{life.certificate}.pdf"]
