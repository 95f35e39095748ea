"""Several projects over the same ground are registered at once: exactly one gets it (DESIGN, Truth 3)."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa

from benchmarks.land.races import race
from registry.parcels.rules import OverlapReason
from registry.projects.models import LandClaim, Project
from registry.projects.rules import ClaimRefused
from registry.projects.service import NameProject
from registry.transparency.audit import audit
from tests.registry.land import Land, ground, some_id

CHECKOUT = Path(__file__).resolve().parents[3]


def rivals(land: Land, count: int) -> list[str]:
    """Validated projects of one parcel each, every parcel 2 m beside the last: all of them overlap."""
    projects = []
    for n in range(count):
        reason: OverlapReason | None = "neighbour_withdraws" if n else None
        parcels = land.eligible(land.village, ground(2 * n, 0), overlap_reason=reason)
        projects.append(land.submitted(land.village.first, parcels))
    land.validated(*projects)
    return projects


def initiated(land: Land, project: str) -> str:
    """A registration that waits for its second signature."""
    office = land.people.installation.office
    waiting = office.execute(land.registry.first, "project.register", NameProject(project=project), some_id())
    assert waiting.status == "awaiting"
    return waiting.request_id


def check_one_winner(land: Land, projects: list[str]) -> None:
    with land.people.installation.database.read() as session:
        states = list(session.scalars(sa.select(Project.status).where(Project.id.in_(projects))))
        assert session.scalar(sa.select(sa.func.count()).select_from(LandClaim)) == 1
    assert sorted(states) == ["active"] + ["validated"] * (len(projects) - 1)
    assert audit(land.people.installation.home).findings == []


@pytest.mark.slow
def test_of_eight_threads_exactly_one_gets_the_ground(land: Land) -> None:
    projects = rivals(land, 8)
    requests = [initiated(land, project) for project in projects]
    barrier = Barrier(len(projects))

    def confirm(request: str) -> str:
        barrier.wait()
        try:
            return land.people.installation.office.confirm(land.registry.second, request).status
        except ClaimRefused as refusal:
            return refusal.code

    with ThreadPoolExecutor(len(projects)) as pool:
        results = sorted(pool.map(confirm, requests))
    assert results == ["done"] + ["ground_claimed"] * 7
    check_one_winner(land, projects)


def test_of_two_processes_exactly_one_gets_the_ground(land: Land) -> None:
    projects = rivals(land, 2)
    assert confirmed_at_once(land, projects) == ["done", "ground_claimed"]
    check_one_winner(land, projects)


@pytest.mark.slow
def test_twenty_processes_that_submit_one_parcel_leave_one_claim(land: Land) -> None:
    parcel = land.eligible(land.village, ground(0, 0))
    projects = [land.submitted(land.village.first, parcel) for _ in range(20)]
    land.validated(*projects)
    assert confirmed_at_once(land, projects) == ["done"] + ["parcels_not_eligible"] * 19
    check_one_winner(land, projects)


@pytest.mark.slow
def test_twenty_processes_with_parcels_two_metres_apart_leave_one_claim(land: Land) -> None:
    projects = rivals(land, 20)
    assert confirmed_at_once(land, projects) == ["done"] + ["ground_claimed"] * 19
    check_one_winner(land, projects)


def test_processes_that_only_the_locks_keep_apart_claim_no_ground_twice(database_url: str) -> None:
    """The real check and index, each in a transaction of its own, without the writer that serialises on the
    log: a small race of `benchmarks.land.races`, after which every pair of claims is judged exactly.
    """
    run = race(database_url, processes=3, grounds=16)
    assert (run.tries, run.claims, run.doubled) == (48, 16, 0)


def confirmed_at_once(land: Land, projects: list[str]) -> list[str]:
    """What came of registrations that as many processes confirm at the same moment."""
    running = [_process(land, initiated(land, project)) for project in projects]
    try:
        for process in running:
            assert _line(process) == "ready"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = sorted(_line(process) for process in running)
        assert {process.wait(timeout=60) for process in running} == {0}
        return said
    finally:
        for process in running:
            process.kill()
            process.communicate()


def _process(land: Land, request: str) -> "subprocess.Popen[str]":
    home, confirmer = land.people.installation.home, land.registry.second
    told = {
        "id": confirmer.id,
        "person": confirmer.person,
        "organisation": confirmer.organisation,
        "role": confirmer.role.value,
        "request": request,
    }
    command = [sys.executable, "-m", "tests.registry.projects.register_in_process", str(home.path)]
    return subprocess.Popen(
        [*command, home.database_url, json.dumps(told)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, "the process died"
    return line


@pytest.mark.parametrize("first", [0, 1])
def test_whoever_comes_second_is_told_who_came_first(land: Land, first: int) -> None:
    projects = rivals(land, 2)
    land.register(projects[first])
    with pytest.raises(ClaimRefused) as refusal:
        land.register(projects[1 - first])
    assert refusal.value.facts["project"] == projects[first]
    assert refusal.value.facts["candidate_share"] == pytest.approx(0.98, abs=1e-4)
