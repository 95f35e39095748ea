"""Estimates over HTTP: computed while one waits or behind the answer, few at once, handed out as bundles."""

import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from registry.app import create_app
from registry.estimates import estimate_jobs
from registry.estimates.bundles.reading import recompute_bundle, unpack
from registry.estimates.estimate_jobs import EstimateJobs, EstimatesBusy
from registry.machine import Mandate, Role
from registry.members import issue_api_key
from tests.registry.forest import Forest, plots_text
from tests.registry.people import request_id

ONE = pytest.mark.parametrize("forest", ["sqlite"], indirect=True)


@pytest.fixture
def jobs(forest: Forest) -> Iterator[EstimateJobs]:
    installation = forest.land.people.installation
    made = EstimateJobs(installation.database, installation.home, installation.clock, waiting=2)
    yield made
    made.close()


class Caller:
    """One mandate at a served registry."""

    def __init__(self, client: TestClient, forest: Forest, by: Mandate) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {issue_api_key(forest.land.people.installation, by)}"}

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1{path}", headers=self.headers)

    def estimate(self, forest: Forest, body: dict[str, Any], prefer: str | None = None) -> Any:
        headers = self.headers | {"Idempotency-Key": request_id()}
        if prefer is not None:
            headers["Prefer"] = prefer
        return self.client.post(f"/api/v1/periods/{forest.period}/runs", json=body, headers=headers)


def test_an_estimate_behind_the_answer_is_watched_recorded_and_handed_out(
    forest: Forest, tmp_path: Path
) -> None:
    body = forest.command(plots_text()).model_dump(mode="json", exclude={"period"})
    people = forest.land.people
    with TestClient(create_app(people.installation)) as client:
        owner = Caller(client, forest, forest.owner)
        asked = owner.estimate(forest, body, "respond-async")
        assert asked.status_code == 202, asked.text
        place = asked.headers["Location"].removeprefix("/api/v1")
        again = owner.estimate(forest, body, "respond-async")
        assert again.status_code in (201, 202)
        found: EstimateJobs = client.app.state.estimate_jobs  # type: ignore[attr-defined]
        job = found.find(asked.json()["id"])
        assert job is not None
        assert job.finished.wait(60)
        told = owner.get(place).json()
        assert (told["status"], told["tier"], told["done"], told["total"]) == ("computed", "verified", 4, 4)
        done = again if again.status_code == 201 else owner.estimate(forest, body, "respond-async")
        assert done.status_code == 201, done.text
        assert done.json()["answer"]["estimate_kg"] == told["estimate_kg"]

        stranger = Caller(client, forest, people.member(Role.COLLECTIVE, "丁村"))
        assert stranger.get(place).status_code == 404
        run = done.json()["answer"]["run"]
        handed = owner.get(f"/runs/{run}/bundle")
        assert handed.headers["Cache-Control"] == "no-store"
        (tmp_path / "run.zip").write_bytes(handed.content)
        assert recompute_bundle(unpack(tmp_path / "run.zip", tmp_path / "unpacked")).same
        small = owner.get(f"/runs/{run}/bundle?rasters=false")
        assert not [n for n in zipfile.ZipFile(io.BytesIO(small.content)).namelist() if "rasters/" in n]
        assert stranger.get(f"/runs/{run}/bundle").status_code == 404
        auditor = Caller(client, forest, people.member(Role.AUDITOR, "审计"))
        assert auditor.get(f"/runs/{run}/bundle").status_code == 200
        other = Caller(client, forest, people.member(Role.VERIFIER, "别的核查机构"))
        assert other.get(f"/runs/{run}/bundle").status_code == 403


@ONE
def test_who_waits_gets_the_run_at_once(forest: Forest) -> None:
    body = forest.command(plots_text()).model_dump(mode="json", exclude={"period"})
    with TestClient(create_app(forest.land.people.installation)) as client:
        done = Caller(client, forest, forest.owner).estimate(forest, body)
    assert done.status_code == 201, done.text


@ONE
def test_what_is_refused_behind_the_answer_is_told_by_its_code(forest: Forest, jobs: EstimateJobs) -> None:
    command = forest.command(plots_text(stand_type="oak"))
    job = jobs.begin("one", forest.owner, command)
    assert job.finished.wait(60)
    told = job.view()
    assert (told["status"], told["refusal"]["code"], told["estimate_kg"]) == (
        "refused",
        "plot_stratum_differs",
        None,
    )


@ONE
def test_the_same_request_is_one_job_and_too_many_are_told_to_come_again(
    forest: Forest, jobs: EstimateJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, begun = threading.Event(), threading.Event()

    def slow(*_: Any, **__: Any) -> Any:
        begun.set()
        going.wait(30)
        raise ValueError("nothing came of it")

    monkeypatch.setattr(estimate_jobs, "prepare_run", slow)
    command = forest.command(plots_text())
    first = jobs.begin("a", forest.owner, command)
    assert begun.wait(10)
    assert jobs.begin("a", forest.owner, command) is first
    waiting = [jobs.begin(name, forest.owner, command) for name in ("b", "c")]
    with pytest.raises(EstimatesBusy):
        jobs.begin("d", forest.owner, command)
    going.set()
    assert all(job.finished.wait(30) for job in (first, *waiting))
    assert (first.status, first.view()["reference"] is not None) == ("failed", True)
    jobs.close()
    with pytest.raises(EstimatesBusy), jobs.turn():
        pass
