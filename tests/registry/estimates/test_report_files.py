"""Reports of real runs: what they take from the record, who may see them, and how they are had."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from ledger.canonical import encode
from registry.accounts.service import NotFound, create_api_key
from registry.app import create_app
from registry.cli import app as command_line
from registry.estimates.models import EstimateRun
from registry.estimates.reports.document import compose
from registry.estimates.reports.facts import Report, Standing
from registry.estimates.reports.loading import (
    Installed,
    NothingToReport,
    Sight,
    load_report,
    reported_run,
    run_of_project,
)
from registry.estimates.rules import RecordErased, RecordMalformed
from registry.installation import Installation
from registry.language import Language
from registry.machine import Mandate, Role
from registry.parcels.public import set_masked
from registry.projects.models import Project
from registry.settings import Home
from registry.transparency.outcome import IssuedOutcomes
from tests.registry.forest import NOW, Forest, plots_text
from tests.registry.land import Land
from tests.registry.people import People

ALL = Sight(everything=True)


@dataclass
class Told:
    """A forest that was screened, estimated by plots, and verified; the report of each state as it was."""

    forest: Forest
    installation: Installation
    screening: Report
    superseded: Report
    proven: Report
    verified: Report

    @property
    def run(self) -> str:
        return self.verified.run

    def load(self, run: str, sight: Sight = ALL) -> Report:
        with self.installation.database.read() as session:
            return loaded(self.installation, session, run, sight)


def loaded(installation: Installation, session: Session, run: str, sight: Sight = ALL) -> Report:
    given = Installed(installation.home, installation.clock.simulated)
    return load_report(session, given, reported_run(session, run), sight, IssuedOutcomes())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("reports")
    home = Home.at(folder / "home")
    installation = Installation.create(home, "tanhui.test/log", simulated_at=NOW)
    forest = Forest(Land(People(installation), folder), folder)

    def report(run: str) -> Report:
        with installation.database.read() as session:
            return loaded(installation, session, run)

    first = str(forest.estimate().answer["run"])
    screening = report(first)
    second = str(forest.estimate(plots_text()).answer["run"])
    proven, superseded = report(second), report(first)
    forest.submit()
    forest.accept()
    forest.verify()
    yield Told(forest, installation, screening, superseded, proven, report(second))
    installation.close()


# ---- what it takes from the record -------------------------------------------------------------------------


def test_a_run_is_reported_as_what_it_is_at_each_step(told: Told) -> None:
    standings = [one.standing for one in (told.screening, told.superseded, told.proven, told.verified)]
    assert standings == [Standing.SCREENING, Standing.SUPERSEDED, Standing.PROVEN, Standing.VERIFIED]
    assert told.superseded.superseded_by == told.proven.run
    assert told.superseded.entry == told.screening.entry  # the entry that recorded it, not the one after
    assert told.proven.outcome is None
    assert told.verified.outcome is not None
    assert told.verified.outcome.verified_kg == told.verified.estimate_kg
    assert told.verified.outcome.attested_sha256 == told.verified.attestation_sha256
    assert told.verified.stated_index > told.proven.stated_index > told.screening.stated_index


def test_a_report_is_the_same_on_both_databases(forest: Forest) -> None:
    run = str(forest.estimate().answer["run"])
    installation = forest.land.people.installation
    with installation.database.read() as session:
        report = loaded(installation, session, run)
        assert reported_run(session, forest.project).id == run
    assert report.standing is Standing.SCREENING
    assert [one.number for one in report.parcels] == [1, 2, 3]
    assert all(one.rings and one.village for one in report.parcels)
    assert (report.plots, report.change, report.strata) == (None, None, ())
    assert report.entry.leaf_sha256
    assert compose(report, Language.CHINESE).stamp == "筛查 · 不得签发"


def test_its_facts_are_those_of_the_record(told: Told) -> None:
    report = told.verified
    with told.installation.database.read() as session:
        run = session.get_one(EstimateRun, report.run)
        record: Any = json.loads(run.record or "")
        assert report.inputs_sha256 == record["inputs_sha256"] == run.inputs_sha256
    results, change = record["results"], record["evidence"]["change"]["change"]
    assert report.estimate_kg == results["estimate_kg"] == sum(one.estimate_kg for one in report.parcels)
    assert report.eligible_cm2 == results["eligible_cm2"]
    assert [str(one.tco2e) for one in report.chain if one.tco2e is not None] == [
        line["tco2e"] for line in record["chain"] if "tco2e" in line
    ]
    assert report.change is not None
    assert float(report.change.se_tc_ha) == float(change["se_tc_ha"])
    assert [one.code for one in report.strata] == [one["name"] for one in record["evidence"]["strata"]]
    assert {one.sha256 for one in report.rasters} == {one["sha256"] for one in record["inputs"]["rasters"]}
    assert all(check.holds for check in report.checks)
    assert report.method.known
    assert {row.table for row in report.method.rows} >= {"stand_types", "deduction_rules", "estimation_rules"}
    assert report.plots is not None
    assert report.plots.places is not None
    assert {one.plot for one in report.plots.places} == {f"P{n}" for n in range(1, 7)}
    assert report.simulated


def test_the_standard_errors_of_the_strata_make_that_of_the_whole(told: Told) -> None:
    report = told.verified
    assert report.change is not None
    area = sum((one.area_ha for one in report.strata), Decimal(0))
    variance = sum(((one.area_ha / area * one.se) ** 2 for one in report.strata), Decimal(0))
    assert float(variance.sqrt()) == pytest.approx(float(report.change.se_tc_ha), rel=1e-12)


def test_a_record_of_the_first_release_makes_a_report_with_what_it_has(told: Told) -> None:
    with told.installation.database.read() as session:
        run = session.get_one(EstimateRun, told.run)
        session.expunge(run)
        record: Any = json.loads(run.record or "")
        for name in ("method", "parameters", "inputs_parts_sha256"):
            record.pop(name, None)
        for name in ("second_opinion", "findings", "plots", "saturation"):
            record["evidence"].pop(name, None)
        for raster in record["inputs"]["rasters"]:
            for name in set(raster) - {"name", "sha256", "product", "taken_on"}:
                del raster[name]
        record["version"] = 1
        run.record = encode(record).decode()
        given = Installed(told.installation.home, simulated=True)
        old = load_report(session, given, run, ALL, IssuedOutcomes())
    assert (old.second_opinion, old.findings, old.plot_changes) == (None, None, None)
    assert old.method.rows == told.verified.method.rows  # this software has the very same method
    assert old.land_covers == told.verified.land_covers
    texts = compose(old, Language.ENGLISH).texts()
    assert "not recorded" in texts
    assert f"{old.estimate_kg:,}" in texts


def test_a_record_that_says_nothing_of_a_parcel_is_refused(told: Told) -> None:
    with told.installation.database.read() as session:
        run = session.get_one(EstimateRun, told.run)
        session.expunge(run)
        record: Any = json.loads(run.record or "")
        del record["results"]["parcels"][1]
        run.record = encode(record).decode()
        with pytest.raises(RecordMalformed):
            load_report(session, Installed(told.installation.home, True), run, ALL, IssuedOutcomes())


@pytest.mark.parametrize("damage", ["{", "[]", '{"version":2}', '{"inputs":{"method":7},"version":2}'])
def test_a_record_that_cannot_be_read_is_refused(told: Told, damage: str) -> None:
    with told.installation.database.read() as session:
        run = session.get_one(EstimateRun, told.run)
        session.expunge(run)
        run.record = damage
        with pytest.raises(RecordMalformed):
            load_report(session, Installed(told.installation.home, True), run, ALL, IssuedOutcomes())
        run.record = None
        with pytest.raises(RecordErased):
            load_report(session, Installed(told.installation.home, True), run, ALL, IssuedOutcomes())


# ---- who sees which outline --------------------------------------------------------------------------------


def test_outlines_are_exact_for_the_owner_and_public_in_an_edition_to_hand_on(told: Told) -> None:
    owner = told.load(told.run, Sight(organisation=told.forest.owner.organisation))
    assert all(one.exact and one.rings for one in owner.parcels)
    stranger = told.load(told.run, Sight(organisation="another"))
    assert not any(one.exact for one in stranger.parcels)
    handed_on = told.load(told.run, Sight(everything=True, public=True))
    assert not any(one.exact for one in handed_on.parcels)
    assert handed_on.plots is not None
    assert handed_on.plots.places is None


def test_a_masked_parcel_is_drawn_for_its_owner_alone(told: Told) -> None:
    parcel = _parcel(told, 2)
    try:
        _mask(told, parcel, masked=True)
        handed_on = told.load(told.run, Sight(public=True))
        hidden = handed_on.parcels[1]
        assert (hidden.rings, hidden.village, hidden.masked) == (None, None, True)
        assert handed_on.parcels[0].rings is not None
        own = told.load(told.run, Sight(organisation=told.forest.owner.organisation)).parcels[1]
        assert own.rings is not None
        assert own.village
    finally:
        _mask(told, parcel, masked=False)


def _parcel(told: Told, number: int) -> str:
    with told.installation.database.read() as session:
        record: Any = json.loads(session.get_one(EstimateRun, told.run).record or "")
    return str(next(one["parcel"] for one in record["inputs"]["parcels"] if one["number"] == number))


def _mask(told: Told, parcel: str, *, masked: bool) -> None:
    with told.installation.database.write() as session:
        set_masked(session, told.forest.owner, parcel, masked, NOW)


# ---- over HTTP ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def web(told: Told) -> FastAPI:
    return create_app(told.installation)


def asked(told: Told, web: FastAPI, by: Mandate | None, path: str, **more: Any) -> httpx.Response:
    headers = dict(more.pop("headers", {}))
    if by is not None:
        with told.installation.database.write() as session:
            key = create_api_key(session, by.id, NOW, "read")
        headers["Authorization"] = f"Bearer {key}"

    async def answer() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://tanhui") as client:
            return await client.get(f"/api/v1{path}", headers=headers, params=more)

    return asyncio.run(answer())


def test_the_owner_and_officials_see_a_report_and_nobody_else(told: Told, web: FastAPI) -> None:
    people = told.forest.land.people
    owner, auditor = told.forest.owner, people.member(Role.AUDITOR, "auditor")
    for path in (f"/projects/{told.forest.project}/report", f"/runs/{told.run}/report"):
        answer = asked(told, web, owner, path)
        assert answer.status_code == 200, answer.text
        for by in (told.forest.land.verifier, auditor):
            same = asked(told, web, by, path, headers={"If-None-Match": answer.headers["etag"]})
            assert same.status_code == 304  # the very report that the owner sees
        for role in (Role.COLLECTIVE, Role.ENTERPRISE, Role.BANK):
            refused = asked(told, web, people.member(role, f"stranger {role}"), path)
            assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
        assert asked(told, web, None, path).status_code == 401
    assert asked(told, web, told.forest.owner, "/runs/none/report").status_code == 404
    assert asked(told, web, told.forest.owner, "/projects/none/report").status_code == 404


def test_language_and_format_are_asked_for_and_the_policy_lets_the_page_do_nothing(
    told: Told, web: FastAPI
) -> None:
    path = f"/runs/{told.run}/report"
    chinese = asked(told, web, told.forest.owner, path)
    assert '<html lang="zh-CN">' in chinese.text
    assert chinese.headers["content-security-policy"].startswith("default-src 'none'")
    assert "script" not in chinese.headers["content-security-policy"]
    english = asked(told, web, told.forest.owner, path, headers={"Accept-Language": "en-GB"})
    assert (english.headers["content-language"], '<html lang="en">' in english.text) == ("en", True)
    pdf = asked(told, web, told.forest.owner, path, format="pdf", lang="en")
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-")
    assert asked(told, web, told.forest.owner, path, format="docx").status_code == 422


def test_a_reader_who_has_the_report_is_told_so_without_rendering_it(told: Told, web: FastAPI) -> None:
    path = f"/runs/{told.run}/report"
    first = asked(told, web, told.forest.owner, path, lang="en")
    etag = {"If-None-Match": first.headers["etag"]}
    again = asked(told, web, told.forest.owner, path, lang="en", headers=etag)
    assert (again.status_code, again.content) == (304, b"")
    other = asked(told, web, told.forest.owner, path, lang="zh", headers=etag)
    assert other.status_code == 200


def test_a_project_without_an_estimate_has_nothing_to_report(told: Told) -> None:
    with told.installation.database.read() as session:
        project = session.get_one(Project, told.forest.project)
        assert run_of_project(session, project).id == told.run
        assert run_of_project(session, project, told.forest.period).id == told.run
        with pytest.raises(NotFound):
            run_of_project(session, project, "none")
        nobody = Project(id="p")
        session.expunge_all()
        with pytest.raises(NothingToReport):
            run_of_project(session, nobody)


# ---- from the command line ---------------------------------------------------------------------------------


def command(told: Told, *arguments: str) -> Any:
    return CliRunner().invoke(
        command_line, ["export", "report", *arguments, "--home", str(told.installation.home.path)]
    )


def test_the_command_line_writes_a_report_by_project_number_or_run(told: Told, tmp_path: Path) -> None:
    with told.installation.database.read() as session:
        number = session.scalar(sa.select(Project.number).where(Project.id == told.forest.project))
    page, paper = tmp_path / "report.html", tmp_path / "report.pdf"
    done = command(told, str(number), "-o", str(page), "--lang", "en", "--public", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["run"] == told.run
    assert "to be handed on" in page.read_text(encoding="utf-8")
    assert command(told, told.run, "-o", str(paper)).exit_code == 0
    assert paper.read_bytes().startswith(b"%PDF-")
    assert command(told, told.run, "-o", str(tmp_path / "report.txt")).exit_code == 2
    assert isinstance(command(told, "999", "-o", str(page)).exception, NotFound)
