"""`tanhui estimate --period`, `export run` and `recompute`, as an operator and as a stranger."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ledger.canonical import encode
from registry.cli import app
from registry.estimates.models import PreparedRun
from registry.estimates.rules import BundleRefused
from tests.registry.forest import Forest, plots_text


def tell(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def home(forest: Forest, monkeypatch: pytest.MonkeyPatch) -> str:
    target = forest.land.people.installation.home
    monkeypatch.setenv("TANHUI_DATABASE_URL", target.database_url)
    return str(target.path)


def test_an_operator_computes_the_owner_records_and_a_stranger_recomputes(
    forest: Forest, home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = forest.command(plots_text())
    (tmp_path / "rasters.json").write_text(json.dumps(command.rasters.model_dump()))
    asked = [
        *("estimate", "--home", home, "--period", command.period, "--plots", str(command.plots)),
        *("--rasters", str(tmp_path / "rasters.json")),
    ]
    tried: dict[str, Any] = json.loads(tell(*asked, "--dry-run", "--json"))
    assert tried["kept"] is False
    said = tell(*asked)
    kg = tried["record"]["results"]["estimate_kg"]
    assert f"{kg:,} kg CO2e may be issued" in said
    assert "second opinion of 10,000 draws" in said
    assert "project_change" in said
    run = str(forest.land.people.do(forest.owner, "period.estimate", command).answer["run"])

    assert tell("recompute", run, "--home", home).splitlines()[-1] == "the same"
    of_project = json.loads(tell("recompute", forest.project, "--home", home, "--json"))
    assert (of_project["run"], of_project["same"], of_project["kg"]) == (run, True, kg)
    bundle = tmp_path / "run.zip"
    assert "wrote" in tell("export", "run", run, "--bundle", str(bundle), "--home", home)
    small = tmp_path / "small.zip"
    told = json.loads(
        tell("export", "run", run, "--bundle", str(small), "--without-rasters", "--home", home, "--json")
    )
    assert "agb_end" in told["left_out"]

    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.delenv("TANHUI_DATABASE_URL")
    found = json.loads(tell("recompute", str(bundle), "--vkey", str(Path(home) / "log.vkey"), "--json"))
    assert (found["run"], found["same"], found["kg"]) == (run, True, kg)
    assert "NOT the same" in tell("recompute", str(small), code=1)
    rasters = str(Path(home) / "rasters")
    assert json.loads(tell("recompute", str(small), "--rasters", rasters, "--json"))["same"]
    bundle.write_bytes(bundle.read_bytes()[:-100])
    with pytest.raises(BundleRefused):
        tell("recompute", str(bundle))


@pytest.mark.parametrize("forest", ["sqlite"], indirect=True)
def test_a_record_planted_among_the_prepared_is_found_out(forest: Forest, home: str) -> None:
    command = forest.command(plots_text())
    prepared = forest.prepare(command)
    more = prepared.estimate_kg * 3
    with forest.land.people.installation.database.write() as session:
        row = session.get_one(PreparedRun, prepared.inputs_sha256)
        document = json.loads(row.record)
        document["results"]["estimate_kg"] = more
        document["results"]["parcels"][0]["estimate_kg"] += more - prepared.estimate_kg
        row.record = encode(document).decode()
    assert forest.land.people.do(forest.owner, "period.estimate", command).answer["estimate_kg"] == more

    tell("audit", "--home", home)  # books and log agree with each other
    said = tell("audit", "--home", home, "--recompute", code=1)
    assert f"differs: results.estimate_kg: recorded {more}, found {prepared.estimate_kg}" in said
    assert f"differs: results.estimate_kg: recorded {more}" in tell("recompute", "1", "--home", home, code=1)
    told = json.loads(tell("audit", "--home", home, "--recompute", "--json", code=1))
    assert told["passed"] and not told["runs"][0]["same"]


@pytest.mark.parametrize("forest", ["sqlite"], indirect=True)
def test_what_was_not_said_is_asked_for(forest: Forest, home: str) -> None:
    for arguments in (
        (),
        ("--period", "x", "--register"),
        ("--register", "--agb", "x"),
        ("--register", "--agb", "x", "--out", "stocks.xlsx"),
        ("--period", forest.period, "--raster", "agb_start=nothing"),
    ):
        tell("estimate", "--home", home, *arguments, code=2)
