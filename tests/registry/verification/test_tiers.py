"""Screening, forecast, proven, verified: which number may become which, by type and at every door (D1)."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import sqlalchemy as sa

from registry.estimates.models import EstimateRun
from registry.estimates.rules import TIER_SCREENING, TIER_VERIFIED
from registry.issuance import service as issuance
from registry.verification import rules, service
from registry.verification.rules import (
    AssumptionsNotOverridden,
    ParametersUnattested,
    Proven,
    UnverifiedQuantity,
    Verified,
    check_attested,
    proven,
)
from tests.registry.forest import Forest

ROOT = Path(__file__).resolve().parents[3]


def test_only_a_run_of_the_verified_tier_is_proven() -> None:
    assert proven("p", "r", TIER_VERIFIED, 100_000, 5).estimate_kg == 5
    for tier in (TIER_SCREENING, "ex_ante", "", "Verified"):
        with pytest.raises(UnverifiedQuantity):
            proven("p", "r", tier, 100_000, 5)


@pytest.mark.parametrize("uncertainty_ppm", [None, 300_001, -1])
def test_too_uncertain_a_run_is_not_proven(uncertainty_ppm: int | None) -> None:
    with pytest.raises(UnverifiedQuantity):
        proven("p", "r", TIER_VERIFIED, uncertainty_ppm, 5)


def test_signing_takes_what_is_proven_and_issuing_what_is_verified() -> None:
    """The signatures themselves: nothing else has the type."""
    assert get_type_hints(rules.signed_kg)["run"] is Proven
    assert get_type_hints(rules.check_difference)["run"] is Proven
    assert get_type_hints(service.verified_quantity)["return"] is Verified
    assert get_type_hints(issuance.Case)["verified"] is Verified


def test_a_forecast_has_no_road_to_verification_or_issuance() -> None:
    """No module after the estimates knows a forecast, and the estimates' own runs neither."""
    words = ("methods.tiers", "ExAnte", "ForecastBand", "forecast_project", "growth_curve", "logistic_curve")
    for room in ("verification", "issuance", "market", "retirement"):
        for path in (ROOT / "registry" / room).glob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not [word for word in words if word in text], path
    for name in ("run.py", "service.py", "chain.py", "proof.py"):
        path = ROOT / "registry" / "estimates" / name
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not [word for word in words if word in text], path


def test_probable_rows_are_attested_and_assumed_rows_are_overridden_too() -> None:
    rows, assumed = ["t.probable", "t.assumed"], ["t.assumed"]
    check_attested([], [], attested=False, overridden=False)
    check_attested(rows, [], attested=True, overridden=False)
    check_attested(rows, assumed, attested=True, overridden=True)
    with pytest.raises(ParametersUnattested) as unattested:
        check_attested(rows, assumed, attested=False, overridden=True)
    assert unattested.value.facts["rows"] == rows
    with pytest.raises(AssumptionsNotOverridden) as bare:
        check_attested(rows, assumed, attested=True, overridden=False)
    assert bare.value.facts["rows"] == assumed


def test_a_run_whose_tier_was_altered_after_signing_is_not_issued(forest: Forest) -> None:
    """The tier is looked at again at the last door, whatever the statement says."""
    forest.verifying()
    forest.verify()
    database = forest.land.people.installation.database
    with database.read() as session:
        assert service.verified_quantity(session, forest.period).kg > 0
        run = session.scalars(sa.select(EstimateRun)).one()
        with session.no_autoflush:
            run.tier = TIER_SCREENING  # in this session alone; it is never written
            with pytest.raises(UnverifiedQuantity, match="screening"):
                service.verified_quantity(session, forest.period)
        session.rollback()


WRONG = {
    "a run of any tier for a proven one": """
from registry.estimates.models import EstimateRun
from registry.verification.rules import signed_kg
def sign(run: EstimateRun) -> int:
    return signed_kg(run, None, 0)
""",
    "a forecast for a proven run": """
from registry.estimates.methods.tiers import ForecastBand
from registry.verification.rules import signed_kg
def sign(band: ForecastBand) -> int:
    return signed_kg(band, None, 0)
""",
    "kilograms for a proven run": """
from registry.verification.rules import signed_kg
def sign(kg: int) -> int:
    return signed_kg(kg, None, 0)
""",
    "a proven run for a verified quantity": """
from dataclasses import replace
from registry.issuance.service import Case
from registry.verification.rules import Proven
def issue(case: Case, run: Proven) -> Case:
    return Case(case.period, case.project, case.terms, run)
""",
}
RIGHT = """
from registry.issuance.service import Case
from registry.verification.rules import Proven, Verified, signed_kg
def both(case: Case, run: Proven, verified: Verified) -> Case:
    assert signed_kg(run, None, 0) >= 0
    return Case(case.period, case.project, case.terms, verified)
"""


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """mypy over a few lines that use the rooms as they are."""
    folder = tmp_path_factory.mktemp("typed")

    def check(text: str) -> "subprocess.CompletedProcess[str]":
        file = folder / "lines.py"
        file.write_text(text, encoding="utf-8")
        return subprocess.run(
            [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(file)],
            cwd=ROOT,
            capture_output=True,
            check=False,
            text=True,
        )

    return check


@pytest.mark.slow
def test_the_type_checker_lets_what_is_right_pass(typed: Callable[[str], Any]) -> None:
    assert typed(RIGHT).returncode == 0, typed(RIGHT).stdout


@pytest.mark.slow
@pytest.mark.parametrize("lines", WRONG.values(), ids=WRONG)
def test_the_type_checker_refuses(lines: str, typed: Callable[[str], Any]) -> None:
    done = typed(lines)
    assert done.returncode == 1 and "[arg-type]" in done.stdout, done.stdout
